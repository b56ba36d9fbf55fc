--- weir spaces: which shared spaces there are, and what is in them.
--
-- @module weir.cli.spaces

local weir = require "weir"
local readable = require "weir.cli.readable"

local FAILED = 1 -- exit code

local spaces = {
  summary = "List the spaces that processes share.",
  description = "Lists the spaces that processes share on this machine: their "
    .. "bytes, how many processes have them open, and how many limiters, keys "
    .. "and tickets (who holds or waits) they have; or what is wrong with one.",
}

local COLUMNS = { "name", "size", "used", "processes", "limiters", "keys",
                  "tickets" }

function spaces.setup(parser)
  parser:option("--dir", "The directory of the spaces; else $WEIR_DIR, else "
    .. "/dev/shm/weir-UID."):argname "<dir>"
end

local function cells_of(space)
  local cells = {}
  for i, column in ipairs(COLUMNS) do
    local value = space[column]
    local is_bytes = column == "size" or column == "used"
    cells[i] = is_bytes and readable.bytes(value) or tostring(value)
  end
  return cells
end

-- Those that can be looked into as a table, then what is wrong with the others.
local function print_list(list)
  local rows, wrong = { COLUMNS }, {}
  for _, space in ipairs(list) do
    if space.why then
      table.insert(wrong, space.name .. "  " .. space.why)
    else
      table.insert(rows, cells_of(space))
    end
  end
  if #rows > 1 then readable.print_rows(rows) end
  for _, line in ipairs(wrong) do print(line) end
end

function spaces.run(args)
  local list, err = weir.spaces(args.dir)
  if not list then
    io.stderr:write("weir: ", err, "\n")
    return FAILED
  end
  print_list(list)
  return 0
end

return spaces
