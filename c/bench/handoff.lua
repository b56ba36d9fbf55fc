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

local function holder(sem)
  return function(n)
    for _ = 1, n do
      local permit = sem:acquire()
      yield()
      permit:release()
    end
  end
end

local function caller(fn)
  return function(n)
    for _ = 1, n do fn() end
  end
end

local function yielder(n)
  for _ = 1, n do
    yield()
    yield()
  end
end

function handoff.permits(tasks)
  return run(tasks, holder(weir.semaphore(PERMITS)))
end

function handoff.limited(tasks)
  return run(tasks, caller(weir.semaphore(PERMITS)(yield)))
end

-- The same coroutines in the same order, without weir.
local function run_bare(tasks, body)
  local threads = { coroutine.create(function() return watch(body, tasks) end) }
  for i = 2, tasks do
    threads[i] = coroutine.create(function() body(math.huge) end)
  end
  return floor.rounds(threads, PERMITS)
end

function handoff.bare(tasks)
  return run_bare(tasks, yielder)
end

function handoff.bare_permits(tasks)
  return run_bare(tasks, holder(floor.semaphore()))
end

function handoff.bare_limited(tasks)
  return run_bare(tasks, caller(floor.limit(yield)))
end

return handoff
