--- Ten permits and many tasks that want them, over and over.
-- Each function answers the nanoseconds of one hand-off. The tasks go in a
-- circle, so one of them can hold the watch: while it goes round n times, so
-- does each of the others.
local floor = require "benchfloor"
local stopwatch = require "stopwatch"
local weir = require "weir"

local PERMITS = 10
local HANDOFFS = 500000 -- about
local WARM_UP = 3 -- rounds: everybody has come by

local handoff = {}

local yield = coroutine.yield

local function watch(body, tasks)
  body(WARM_UP)
  return stopwatch(HANDOFFS, body, HANDOFFS // tasks)
end

local function run(tasks, body)
  return weir.run(function()
    local others = {}
    for i = 2, tasks do others[i - 1] = weir.spawn(body, math.huge) end
    local ns = watch(body, tasks)
    for _, task in ipairs(others) do task:cancel() end
    return ns
  end)
end

function handoff.permits(tasks)
  local sem = weir.semaphore(PERMITS)
  return run(tasks, function(n)
    for _ = 1, n do
      local permit = sem:acquire()
      yield()
      permit:release()
    end
  end)
end

function handoff.limited(tasks)
  local limited = weir.semaphore(PERMITS)(yield)
  return run(tasks, function(n)
    for _ = 1, n do limited() end
  end)
end

function handoff.bare(tasks)
  local function body(n)
    for _ = 1, n do
      yield()
      yield()
    end
  end
  local threads = { coroutine.create(function() return watch(body, tasks) end) }
  for i = 2, tasks do
    threads[i] = coroutine.create(function() body(math.huge) end)
  end
  return floor.rounds(threads, PERMITS)
end

return handoff
