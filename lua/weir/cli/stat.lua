--- weir stat: what the limiters of a space do and have done.
--
-- @module weir.cli.stat

local readable = require "weir.cli.readable"
local source = require "weir.cli.source"

local FAILED, USAGE = 1, 2 -- exit codes

local stat = {
  summary = "Tell what the limiters of a space do.",
  description = "Tells what the limiters of a space that processes share do "
    .. "now and have done since they were made. It takes no part in the space. "
    .. "With --json or --metrics for scripts.",
}

function stat.setup(parser)
  source.setup(parser)
  parser:mutex(
    parser:flag("--json", "All of it as JSON, keys, waiters and holders too."),
    parser:flag("--metrics", "OpenMetrics text, for Prometheus and its like."))
end

local HEAD = { "limiter", "in use/limit", "waiting", "keys", "admitted",
               "refused", "dropped", "wait p50", "p99", "max" }

local function sum(counts)
  local total = 0
  for _, count in pairs(counts) do total = total + count end
  return total
end

local function cells_of(limiter)
  local wait = limiter.wait
  return { readable.plain(limiter.name), readable.gates(limiter),
           ("%d"):format(limiter.waiting), ("%d"):format(limiter.keys),
           ("%d"):format(limiter.admitted), ("%d"):format(sum(limiter.refused)),
           ("%d"):format(limiter.dropped),
           readable.duration(wait.p50_seconds),
           readable.duration(wait.p99_seconds),
           readable.duration(wait.max_seconds) }
end

local function print_table(document)
  local space = document.spaces[1]
  print(("%s  %s  %s of %s"):format(space.name,
    readable.count(space.processes - 1, "process", "processes"),
    readable.bytes(space.used_bytes), readable.bytes(space.size_bytes)))
  table.sort(document.limiters, function(a, b) return a.name < b.name end)
  local rows = { HEAD }
  for i, limiter in ipairs(document.limiters) do
    rows[i + 1] = cells_of(limiter)
  end
  if #rows > 1 then readable.print_rows(rows) end
end

local function complain(message, code)
  io.stderr:write("weir: ", message, "\n")
  return code or FAILED
end

local function show(space, format)
  if format then
    local text, err = space:text(format)
    return text and io.write(text), err
  end
  local document, err = space:read()
  return document and (print_table(document) or true), err
end

function stat.run(args)
  local format = args.json and "json" or args.metrics and "metrics"
  local missing = not format and source.missing()
  if missing then return complain("weir stat without --json " .. missing) end
  local name, err, names = source.choose(args)
  if names then
    return complain("there are several spaces, name one: "
      .. table.concat(names, ", "), USAGE)
  end
  local space
  if name then space, err = source.open(name, args.dir) end
  if not space then return complain(err) end
  local shown
  shown, err = show(space, format)
  space:close()
  return shown and 0 or complain(err)
end

return stat
