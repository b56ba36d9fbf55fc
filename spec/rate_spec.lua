--- Rates: how many calls may begin in a time, to the nanosecond.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through, load = helper.at, helper.through, helper.load
local ns, seconds = helper.ns, helper.seconds

-- When each of n calls that come now begins, in seconds.
local function begins(limiter, n, options)
  local times = {}
  for _ = 1, n do
    weir.spawn(function()
      if limiter:acquire(options) then times[#times + 1] = weir.now() end
    end)
  end
  through(1e6)
  return times
end

-- A spec says seconds; what is compared are nanoseconds.
local function assert_times(expected, times)
  local a, b = {}, {}
  for i, time in ipairs(expected) do a[i] = ns(time) end
  for i, time in ipairs(times) do b[i] = ns(time) end
  assert.same(a, b)
end

describe("a rate", function()
  before_each(function() at(0) end)

  it("lets calls begin one after the other, evenly", function()
    for text, gap in pairs {
      ["100/s"] = 0.01, ["5/m"] = 12, ["5/min"] = 12, ["10/250ms"] = 0.025,
      ["1/h"] = 3600, ["1/d"] = 86400, [" 3 / 2 s "] = 2 / 3,
      ["1/1us"] = 1e-6, ["1/ns"] = 1e-9,
    } do
      at(0)
      local times = begins(weir.limiter { rate = text }, 4)
      for i = 1, 4 do -- in the nanosecond in which its token comes
        assert.equal(ns(gap * 3) * (i - 1) // 3, ns(times[i]), text)
      end
    end
  end)

  it("is per second as a number, or per `per`", function()
    for _, case in ipairs {
      { 100, nil, 0.01 }, { 5, 60, 12 }, { 10, 0.25, 0.025 },
      { 2.5, nil, 0.4 }, { 0.1, nil, 10 }, { 0.1, 0.5, 5 }, { 1e-6, nil, 1e6 },
      { 0.3, 3, 10 }, { 1 / 3, nil, 3 }, { 1000.5, 1000.5, 1 },
    } do
      at(0)
      local limiter = weir.limiter { rate = case[1], per = case[2] }
      assert_times({ 0, case[3] }, begins(limiter, 2))
    end
  end)

  it("does not add up what it rounds", function()
    assert.equal(1000 * 1e9, ns(begins(weir.limiter { rate = 3 }, 3001)[3001]))
    at(0)
    assert.equal(1e9, ns(begins(weir.limiter { rate = 7 }, 8)[8]))
  end)

  it("has a burst for who comes after a pause", function()
    local limiter, times = weir.limiter { rate = "10/s", burst = 3 }, {}
    local function call(n)
      for _ = 1, n do
        weir.spawn(limiter(function() times[#times + 1] = weir.now() end))
      end
    end
    call(5)
    through(0.4) -- 2 tokens have come back
    call(3)
    through(1)
    assert_times({ 0, 0, 0, 0.1, 0.2, 0.4, 0.4, 0.5 }, times)
    at(100) -- and no more than 3 do
    for _ = 1, 3 do assert.truthy(limiter:try_acquire()) end
    assert.is_nil(limiter:try_acquire())
  end)

  it("serves in the order of arrival", function()
    local limiter, log = weir.limiter { rate = 1 }, {}
    for i = 1, 5 do
      weir.spawn(function()
        weir.sleep(i / 8)
        limiter:acquire()
        log[#log + 1] = i
      end)
    end
    through(10)
    assert.same({ 1, 2, 3, 4, 5 }, log)
  end)

  it("holds for all functions of a decorator, however they end", function()
    local limiter = weir.rate_limit { rate = 1 }
    assert.equal(1, limiter(math.max)(1))
    assert.is_nil(limiter:try_acquire())
    at(1)
    assert.is_false(pcall(limiter(error)))
    assert.is_nil(limiter:try_acquire())
  end)

  it("is no limit of what is under way", function()
    local limiter = weir.limiter { rate = "1000/s" }
    local permits = {}
    for i = 1, 50 do
      at(i / 1000)
      permits[i] = assert(limiter:try_acquire())
    end
    assert.same({ 50, 0 }, load(limiter))
    assert.is_nil(limiter:stats().limit)
    helper.forget(permits)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("goes with permits: a call wants both", function()
    local limiter = weir.rate_limit { concurrent = 1, rate = "10/s" }
    local times = {}
    for i, length in ipairs { 0.03, 0.35, 0.01, 0 } do
      weir.spawn(limiter(function()
        times[i] = weir.now()
        weir.sleep(length)
      end))
    end
    through(10)
    assert_times({ 0, 0.1, 0.45, 0.55 }, times)
  end)

  it("admits 3000 of the 27,000 calls that come in a second", function()
    local limiter = weir.rate_limit { rate = "3000/s", queue = 0 }
    local call = limiter(function() return true end)
    for second = 0, 2 do
      local admitted = 0
      for i = 0, 26999 do
        at(second + i / 27000)
        if call() then admitted = admitted + 1 end
      end
      assert.equal(3000, admitted)
    end
    assert.equal(72000, limiter:stats().refused.full)
  end)
end)

describe("who waits for a rate", function()
  before_each(function() at(0) end)

  -- Tasks that note in `log` when they are admitted, by number.
  local function waiters(limiter, n, log, options)
    local tasks = {}
    for i = 1, n do
      tasks[i] = weir.spawn(function()
        local permit, err = limiter:acquire(options)
        log[i] = permit and weir.now() or err.code
      end)
    end
    at()
    return tasks
  end

  it("gives its place and token back when canceled", function()
    local limiter, log = weir.limiter { rate = "1/s" }, {}
    local tasks = waiters(limiter, 4, log)
    at(0.5)
    tasks[2]:cancel() -- the first who waits
    through(10)
    assert.same({ 0, nil, 1, 2 }, log)
    assert.equal(1, limiter:stats().refused.canceled)
  end)

  it("gives it back also in the instant it is admitted", function()
    local limiter, log = weir.limiter { rate = "1/s" }, {}
    local second
    weir.spawn(function()
      weir.sleep(1) -- wakes in the same turn, before
      second:cancel()
    end)
    at()
    second = waiters(limiter, 3, log)[2]
    through(10)
    assert.same({ 0, nil, 1 }, log)
  end)

  it("times out to the nanosecond, and takes nothing along", function()
    local limiter, log = weir.limiter { rate = "1/s" }, {}
    limiter:acquire():release()
    local late = weir.spawn(function()
      return limiter:acquire { timeout = 0.75 }
    end)
    at()
    waiters(limiter, 2, log)
    at(seconds(0.75e9 - 1))
    assert.equal("waiting", late:status())
    at(0.75)
    local nothing, err = late:join()
    assert.same({ nil, "timeout", 0.75 }, { nothing, err.code, err.waited })
    through(10)
    assert.same({ 1, 2 }, log)
  end)

  it("is bounded by the queue", function()
    local limiter, log = weir.limiter { rate = "1/s", queue = 2 }, {}
    waiters(limiter, 5, log)
    through(10)
    assert.same({ 0, 1, 2, "full", "full" }, log)
  end)

  it("is refused when the limiter is closed", function()
    local limiter, log = weir.limiter { rate = "1/s" }, {}
    waiters(limiter, 3, log)
    limiter:close()
    through(10)
    assert.same({ 0, "closed", "closed" }, log)
  end)

  it("does not hold up a drain longer than the rate", function()
    local limiter = weir.rate_limit { rate = "1/s" }
    local call = limiter(weir.now)
    local tasks = { weir.spawn(call), weir.spawn(call), weir.spawn(call) }
    at()
    local drained = weir.spawn(function()
      return limiter:drain(), weir.now()
    end)
    through(10)
    assert.same({ true, 2 }, { drained:join() })
    assert.equal(2, tasks[3]:join())
  end)
end)

describe("limiter:set of a rate", function()
  before_each(function() at(0) end)

  it("is for those who wait, too", function()
    local limiter, times = weir.limiter { rate = "1/m" }, {}
    for _ = 1, 4 do
      weir.spawn(limiter(function() times[#times + 1] = weir.now() end))
    end
    through(0.5)
    limiter:set { rate = "10/s" }
    through(200)
    assert.equal(4, #times)
    assert.is_true(times[2] >= 0.5 and times[2] <= 0.6 + 1e-9)
    assert.equal(ns(0.1), ns(times[4] - times[3]))
    limiter:set { rate = "1/m" }
    assert.truthy(limiter:acquire())
    through(259)
    assert.is_nil(limiter:try_acquire())
    at(260)
    assert.truthy(limiter:try_acquire())
  end)

  it("gives nothing away by being called again and again", function()
    local limiter = weir.limiter { rate = "10/s", burst = 10 }
    local admitted = 0
    for i = 0, 999 do
      at(i / 1000)
      limiter:set { rate = i % 2 == 0 and "20/s" or "10/s" }
      if limiter:try_acquire() then admitted = admitted + 1 end
    end
    assert.is_true(admitted >= 10 + 10 - 1 and admitted <= 10 + 20 + 1,
                   "admitted " .. admitted)
  end)

  it("can be one of burst alone", function()
    local limiter = weir.limiter { rate = "1/s", burst = 5 }
    for _ = 1, 4 do limiter:try_acquire() end
    limiter:set { burst = 2 } -- less than has been taken
    assert.is_nil(limiter:try_acquire())
    at(1)
    assert.truthy(limiter:try_acquire())
    assert.is_nil(limiter:try_acquire())
    at(100)
    for _ = 1, 2 do assert.truthy(limiter:try_acquire()) end
    assert.is_nil(limiter:try_acquire())
    limiter:set { burst = 3 }
    at(200)
    for _ = 1, 3 do assert.truthy(limiter:try_acquire()) end
    assert.is_nil(limiter:try_acquire())
  end)

  it("keeps the burst where only the rate changes", function()
    local limiter = weir.limiter { rate = "1/s", burst = 3 }
    limiter:set { rate = 2 }
    at(100)
    for _ = 1, 3 do assert.truthy(limiter:try_acquire()) end
    assert.is_nil(limiter:try_acquire())
  end)

  it("takes it back with false, and whoever waits goes", function()
    local limiter = weir.limiter { rate = "1/m", concurrent = 9 }
    local tasks = {}
    for i = 1, 5 do tasks[i] = weir.spawn(limiter(weir.now)) end
    at(1)
    assert.equal(4, limiter:stats().waiting)
    limiter:set { rate = false }
    at(1)
    for i = 2, 5 do assert.equal(1, tasks[i]:join()) end
    assert.has_error(function() limiter:set { concurrent = false } end)
    limiter:set { rate = "1/m" }
    limiter:set { concurrent = false }
    assert.is_nil(limiter:stats().limit)
  end)

  it("gives one to who had none", function()
    local limiter, times = weir.limiter { concurrent = 1 }, {}
    local permit = limiter:acquire()
    for _ = 1, 3 do
      weir.spawn(limiter(function() times[#times + 1] = weir.now() end))
    end
    at(1)
    limiter:set { rate = "1/s" }
    permit:release()
    through(100)
    assert_times({ 1, 2, 3 }, times)
  end)
end)

describe("the cost of a call", function()
  before_each(function() at(0) end)

  it("is as many tokens", function()
    local limiter = weir.limiter { rate = "10/s", burst = 5 }
    assert_times({ 0, 0.5, 1, 1.5 }, begins(limiter, 4, { cost = 5 }))
  end)

  it("may be a function", function()
    local call = weir.rate_limit {
      rate = "1/s", burst = 4, cost = function(n) return n end
    }(weir.now)
    local tasks = {}
    for i, cost in ipairs { 3, 1, 4, 2 } do
      tasks[i] = weir.spawn(call, cost)
    end
    through(100)
    for i, time in ipairs { 0, 0, 4, 6 } do
      assert.equal(time, tasks[i]:join())
    end
  end)

  it("is impossible beyond the burst, or the count of a window", function()
    for _, options in ipairs {
      { rate = "100/s", burst = 4 },
      { rate = "4/s", window = "fixed" }, { rate = "4/s", window = "sliding" },
      { rate = "100/s", burst = 9, concurrent = 4 },
    } do
      local limiter = weir.limiter(options)
      local _, err = limiter:acquire { cost = 5 }
      assert.same({ "impossible", 5 }, { err.code, err.cost })
      assert.is_nil(err.retry_after)
      assert.truthy(limiter:try_acquire { cost = 4 })
    end
  end)

  it("that is impossible reads as a sentence", function()
    local limiter = weir.limiter { rate = "100/s", name = "api" }
    local _, err = limiter:acquire { cost = 2 }
    assert.equal("limiter 'api' can never admit this call: it costs 2, which "
                 .. "is more than its permits or the burst of its rate",
                 tostring(err))
  end)

  it("waits for all of it, with nobody passing meanwhile", function()
    local limiter, log = weir.limiter { rate = "1/s", burst = 3 }, {}
    for _ = 1, 3 do limiter:try_acquire() end
    for i, cost in ipairs { 3, 1 } do
      weir.spawn(function()
        limiter:acquire { cost = cost }
        log[i] = weir.now()
      end)
    end
    through(2.5)
    assert.is_nil(limiter:try_acquire())
    through(10)
    assert.same({ 3, 4 }, log)
  end)

  it("comes back when it was not used", function()
    local limiter = weir.limiter { rate = "1/m", burst = 5 }
    local permit = limiter:acquire { cost = 5 }
    assert.is_nil(limiter:try_acquire())
    permit:release "unused"
    permit = limiter:try_acquire { cost = 5 }
    permit:release "done"
    assert.is_nil(limiter:try_acquire())
    assert.equal(1, limiter:stats().unused)
  end)
end)
