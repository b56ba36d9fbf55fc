--- Calls that find a permit free: nobody waits, nobody yields.
-- Each function answers the nanoseconds of one of n operations, in a task.
local floor = require "benchfloor"
local stopwatch = require "stopwatch"
local weir = require "weir"

local calls = {}

local sem = weir.semaphore(10)

local function within(n, ...)
  return weir.run(stopwatch, n, ...)
end

function calls.acquire(n)
  return within(n, function()
    for _ = 1, n do
      local permit = sem:acquire()
      permit:release()
    end
  end)
end

function calls.methods(n)
  local object = floor.object()
  return within(n, function()
    for _ = 1, n do
      local same = object:take()
      same:give()
    end
  end)
end

local function trivial(x) return x end

local function pass_on(ok, ...)
  if not ok then error(..., 0) end
  return ...
end

local function guarded(...)
  return pass_on(pcall(trivial, ...))
end

local function call(n, fn)
  for i = 1, n do fn(i) end
end

function calls.limited(n)
  return within(n, call, n, sem(trivial))
end

function calls.guarded(n)
  return within(n, call, n, guarded)
end

return calls
