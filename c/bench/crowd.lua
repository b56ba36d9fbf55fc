--- Very many waiters at once. Each function answers what one of n costs.
local floor = require "benchfloor"
local shuffle = require "shuffle"
local stopwatch = require "stopwatch"
local weir = require "weir"

local yield = coroutine.yield

local crowd = {}

--- All wait for what one permit holds, and go on to their end when it is
-- released.
function crowd.burst(n)
  return weir.run(function()
    local sem = weir.semaphore(n)
    local all = sem:acquire{ cost = n }
    local last
    local function body() sem:acquire():release() end
    for _ = 1, n do last = weir.spawn(body) end
    weir.sleep(0)
    assert(sem:stats().waiting == n)
    return stopwatch(n, function()
      all:release()
      last:join()
    end)
  end)
end

--- As many bare coroutines, suspended, go on to their end.
function crowd.resume(n)
  local threads = {}
  for i = 1, n do threads[i] = coroutine.create(function() yield() end) end
  floor.resume(threads)
  return stopwatch(n, floor.resume, threads)
end

local function delays(n)
  local seconds = {}
  for i = 1, n do seconds[i] = math.random(1000, 2000) + math.random() end
  return seconds
end

--- Tasks are made, wait with a timeout each, and are canceled in random order.
function crowd.cancel(n)
  local order, seconds = shuffle(n), delays(n)
  return weir.run(function()
    local sem = weir.semaphore(1)
    local permit = sem:acquire()
    local function body(timeout) sem:acquire{ timeout = timeout } end
    local ns = stopwatch(n, function()
      local tasks = {}
      for i = 1, n do tasks[i] = weir.spawn(body, seconds[i]) end
      weir.sleep(0)
      for i = 1, n do tasks[order[i]]:cancel() end
    end)
    permit:release()
    return ns
  end)
end

--- Bare coroutines are made, suspended, and closed in random order.
function crowd.close(n)
  local order = shuffle(n)
  return stopwatch(n, function()
    local threads = {}
    for i = 1, n do threads[i] = coroutine.create(yield) end
    floor.resume(threads)
    for i = 1, n do coroutine.close(threads[order[i]]) end
  end)
end

--- libevent's timers are added, and deleted in random order.
function crowd.timers(n)
  return floor.timers(shuffle(n), delays(n)) * 1e9 / n
end

local function resident()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return kilobytes * 1024 end
  end
end

--- The resident memory of a task that waits, in bytes.
function crowd.memory(n)
  return weir.run(function()
    local sem = weir.semaphore(1)
    local permit = sem:acquire()
    local function body() sem:acquire():release() end
    local before = resident()
    for _ = 1, n do weir.spawn(body) end
    weir.sleep(0)
    assert(sem:stats().waiting == n)
    local bytes = (resident() - before) / n
    permit:release()
    return bytes
  end)
end

--- The resident memory of a bare suspended coroutine.
function crowd.bare_memory(n)
  local threads = {}
  local function body() yield():release() end
  local before = resident()
  for i = 1, n do
    threads[i] = coroutine.create(body)
    coroutine.resume(threads[i])
  end
  return (resident() - before) / #threads
end

return crowd
