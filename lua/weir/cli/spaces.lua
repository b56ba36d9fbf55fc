--- weir spaces: which shared spaces there are, and what is in them.
--
-- @module weir.cli.spaces

local weir = require "weir"

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

-- Bytes as a person writes them: 16m, 1.5m, 300.
local function readable(bytes)
  local unit, units = 0, { "k", "m", "g" }
  while bytes >= 1024 and units[unit + 1] do
    bytes, unit = bytes / 1024, unit + 1
  end
  local text = ("%.1f"):format(bytes):gsub("%.0$", "")
  return text .. (units[unit] or "")
end

local function cells_of(space)
  local cells = {}
  for i, column in ipairs(COLUMNS) do
    local value = space[column]
    local is_bytes = column == "size" or column == "used"
    cells[i] = is_bytes and readable(value) or tostring(value)
  end
  return cells
end

local function widths_of(rows)
  local widths = {}
  for _, cells in ipairs(rows) do
    for i = 1, #COLUMNS do
      widths[i] = math.max(widths[i] or 0, #cells[i])
    end
  end
  return widths
end

-- The name to the left, numbers to the right.
local function print_row(cells, widths)
  local line = { cells[1] .. (" "):rep(widths[1] - #cells[1]) }
  for i = 2, #COLUMNS do
    line[i] = (" "):rep(widths[i] - #cells[i]) .. cells[i]
  end
  print(table.concat(line, "  "))
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
  local widths = widths_of(rows)
  for i = #rows > 1 and 1 or 2, #rows do print_row(rows[i], widths) end
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
