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

-- Gates that are always open, so that only what they cost is seen.
local RATE = { rate = 1000000, per = 0.001, burst = 1000000 }

local function name(x) return x end

local function key() return "somebody" end

-- A limiter of ten permits with these options.
local function with(options)
  options.concurrent = options.concurrent or 10
  return weir.limiter(options)
end

local function windowed(window)
  return with { rate = RATE.rate, per = RATE.per, window = window }
end

local gates = {
  rate = function() return weir.limiter(RATE) end,
  both = function()
    return with { rate = RATE.rate, per = RATE.per, burst = RATE.burst }
  end,
  key = function()
    return with { rate = RATE.rate, per = RATE.per, burst = RATE.burst,
                  key = key }
  end,
  fixed = function() return windowed "fixed" end,
  sliding = function() return windowed "sliding" end,
  priority = function() return with { order = "priority", priority = 1 } end,
  dry_run = function() return with { dry_run = true } end,
  aimd = function() return with { adaptive = "aimd" } end,
  gradient2 = function() return with { adaptive = "gradient2" } end,
  fair = function() return with { order = "fair", flow = key } end,
  vegas = function() return with { adaptive = "vegas" } end,
  shed = function()
    return with { shed = { codel = true, doomed = true } }
  end,
  all = function() return weir.all { sem, weir.semaphore(10) } end,
  stack = function() return weir.stack { sem, weir.semaphore(10) } end,
}

for gate, make in pairs(gates) do
  calls["limited_" .. gate] = function(n)
    return within(n, call, n, make()(name))
  end
end

return calls
