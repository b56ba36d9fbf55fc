--- Calls that find a permit free: nobody waits, nobody yields.
-- Each function answers the nanoseconds of one operation.
local floor = require "benchfloor"
local measure = require "measure"
local weir = require "weir"

local N = 500000

local calls = {}

local sem = weir.semaphore(10)
local object = floor.object()

function calls.acquire()
  return measure.ns(N, function(n)
    for _ = 1, n do
      local permit = sem:acquire()
      permit:release()
    end
  end)
end

function calls.two_methods()
  return measure.ns(N, function(n)
    for _ = 1, n do
      local other = object:take()
      other:give()
    end
  end)
end

local function trivial(x) return x end

local function call_often(n, fn)
  for i = 1, n do fn(i) end
end

local limited = sem(trivial)

function calls.limited()
  return measure.ns(N, call_often, limited)
end

local function pass_on(ok, ...)
  if not ok then error(..., 0) end
  return ...
end

local function guarded(...)
  return pass_on(pcall(trivial, ...))
end

function calls.guarded()
  return measure.ns(N, call_often, guarded)
end

return calls
