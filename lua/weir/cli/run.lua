--- weir run: a script whose top level is a task.
--
-- @module weir.cli.run

local weir = require "weir"

local FAILED, NOT_FOUND, INTERRUPTED = 1, 2, 130 -- exit codes

local run = {
  summary = "Run a Lua script inside weir.run.",
  description = "Runs a Lua script whose top level is a task: it may sleep, "
    .. "spawn tasks and call limited functions. Ends when all tasks have.",
  rest = true,
}

function run.setup(parser)
  parser:argument("script", "The script's file name.")
  parser:argument("args", "What the script finds in `arg` and `...`.")
    :args "*"
end

local function complain(message)
  io.stderr:write("weir: ", message, "\n")
end

-- A script's `arg` is the line counted from the script: what comes before it
-- has negative places.
local function count_from(at, line)
  local first, counted = 0, {}
  while line[first - 1] do first = first - 1 end
  return table.move(line, first, #line, first - at, counted)
end

-- What an error tells; `lua` says the same of one that tells nothing.
local function describe(err)
  local meta = getmetatable(err)
  if type(err) == "string" or type(err) == "number"
    or type(meta) == "table" and meta.__tostring then
    return tostring(err)
  end
  return ("(error object is a %s value)"):format(type(err))
end

function run.run(args, line, rest)
  local chunk, err = loadfile(args.script)
  if not chunk then
    complain(err)
    return err:find "^cannot " and NOT_FOUND or FAILED
  end
  warn "@on" -- weir has something to say of limiters made without end
  _G.arg = count_from(#line - #rest, line)
  local ok, failure = pcall(weir.run, chunk, table.unpack(rest))
  if ok then return 0 end
  if failure == weir.interrupted then return INTERRUPTED end
  complain(describe(failure))
  return FAILED
end

return run
