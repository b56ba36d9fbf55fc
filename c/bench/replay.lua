--- A log through a policy: the nanoseconds of CPU time that one of n lines
-- takes. The log is made beforehand: 1,000 requests a second of 2,000 clients,
-- in combined format, 217 bytes a line.
local floor = require "benchfloor"
local stopwatch = require "stopwatch"

local replay = {}

local BEGIN = 1431857103 -- seconds since 1970
local A_SECOND = 1000
local PIECE = 65536 -- bytes

local LINE = '10.%d.%d.%d - - [%s +0000] "GET /path/to/item/%d?page=%d '
  .. 'HTTP/1.1" 200 %d "http://example.com/list" "Mozilla/5.0 (Macintosh; '
  .. 'Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) '
  .. 'Chrome/32.0.1700.77 Safari/537.36"\n'

local KEYED = [[
local weir = require "weir"
return weir.rate_limit { name = "client", concurrent = 2, rate = "50/s",
  burst = 20, queue = 10, timeout = 2,
  key = function(req) return req.remote_addr end,
}(function(req) return req:proceed() end)
]]

local FREE = "return function(req) return req:proceed() end"

local function file_of(text)
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "wb"))
  file:write(text)
  return name
end

local function log_of(n)
  local random = math.random
  local lines = {}
  math.randomseed(1)
  for i = 1, n do
    local time = os.date("!%d/%b/%Y:%H:%M:%S", BEGIN + (i - 1) // A_SECOND)
    lines[i] = LINE:format(random(0, 3), random(0, 9), random(0, 49), time,
      random(10000), random(20), random(100, 100000))
  end
  return file_of(table.concat(lines))
end

local function through(n, policy)
  local run = require "weir.replay.run"
  local log, file = log_of(n), file_of(policy)
  local time = stopwatch(n, function()
    local report = assert(run.run(file, { logs = { log },
                                          services = { 0.02 } }))
    assert(report.requests == n and report.refused == 0 and report.failed == 0)
  end)
  os.remove(log)
  os.remove(file)
  return time
end

function replay.keyed(n)
  return through(n, KEYED)
end

function replay.free(n)
  return through(n, FREE)
end

-- Reads the log in the same pieces, and finds where its lines end.
function replay.read(n)
  local log = log_of(n)
  local file <close> = assert(io.open(log, "rb"))
  local time = stopwatch(n, function()
    local lines = 0
    for bytes in function() return file:read(PIECE) end do
      lines = lines + floor.lines(bytes)
    end
    assert(lines == n)
  end)
  os.remove(log)
  return time
end

return replay
