--- Very many waiters at once. Each function answers the nanoseconds of one.
local floor = require "benchfloor"
local measure = require "measure"
local weir = require "weir"

local yield = coroutine.yield

local crowd = {}

--- All wait for permits that one release gives back, and go on to their end.
function crowd.burst(n)
  return weir.run(function()
    local sem = weir.semaphore(n)
    local all = sem:acquire{ cost = n }
    local last
    local function body() sem:acquire():release() end
    for _ = 1, n do last = weir.spawn(body) end
    weir.sleep(0)
    assert(sem:stats().waiting == n)
    return measure.ns(1, function()
      all:release()
      last:join()
    end) / n
  end)
end

--- As many bare coroutines, suspended, go on to their end.
function crowd.resume(n)
  local threads = {}
  for i = 1, n do threads[i] = coroutine.create(function() yield() end) end
  floor.resume(threads)
  return measure.ns(1, function() floor.resume(threads) end) / n
end

-- The same numbers in every run.
local function seed() math.randomseed(20, 24) end

local function shuffled(n)
  local order = {}
  seed()
  for i = 1, n do
    local j = math.random(i)
    order[i], order[j] = order[j], i
  end
  return order
end

local function delays(n, unit)
  local list = {}
  seed()
  for i = 1, n do list[i] = math.random(1000, 2000) * 1000000 * unit end
  return list
end

--- Tasks are made, wait with a timeout each, and are canceled in random order.
function crowd.cancel(n)
  local order, seconds = shuffled(n), delays(n, 1e-6)
  return weir.run(function()
    local sem = weir.semaphore(1)
    local permit = sem:acquire()
    local function body(timeout) sem:acquire{ timeout = timeout } end
    local ns = measure.ns(1, function()
      local tasks = {}
      for i = 1, n do tasks[i] = weir.spawn(body, seconds[i]) end
      weir.sleep(0)
      for i = 1, n do tasks[order[i]]:cancel() end
    end) / n
    permit:release()
    return ns
  end)
end

--- Bare coroutines are made, suspended, and closed in random order.
function crowd.close(n)
  local order = shuffled(n)
  return measure.ns(1, function()
    local threads = {}
    for i = 1, n do threads[i] = coroutine.create(yield) end
    floor.resume(threads)
    for i = 1, n do coroutine.close(threads[order[i]]) end
  end) / n
end

--- libevent's timers are added, and deleted in random order.
function crowd.timers(n)
  return floor.timers(shuffled(n), delays(n, 1)) * 1e9 / n
end

return crowd
