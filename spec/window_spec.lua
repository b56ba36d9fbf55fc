--- Windows: rates that are counted by periods; and retry_after, for all rates.
-- The time only goes forward here: periods are aligned to it.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through = helper.at, helper.through
local ns, seconds = helper.ns, helper.seconds

local start = 0 -- of a spec, in seconds

-- Each begins at a round minute; times are counted from there.
local function begin()
  start = start + 60000
  at(start)
end

local function since_start() return weir.now() - start end

-- Spawns n calls, which note in `times` when they begin.
local function spawn(limiter, n, times)
  for _ = 1, n do
    weir.spawn(limiter(function() times[#times + 1] = since_start() end))
  end
  at()
end

local function assert_times(expected, times)
  local a, b = {}, {}
  for i, time in ipairs(expected) do a[i] = ns(time) end
  for i, time in ipairs(times) do b[i] = ns(time) end
  assert.same(a, b)
end

describe("a window", function()
  before_each(begin)

  it("that is fixed begins with the first call after a pause", function()
    local limiter, times = weir.limiter { rate = "3/s", window = "fixed" }, {}
    at(start + 0.25)
    spawn(limiter, 2, times)
    at(start + 0.5)
    spawn(limiter, 6, times)
    through(start + 5.625)
    spawn(limiter, 4, times)
    through(start + 10)
    assert_times({ 0.25, 0.25, 0.5, 1.25, 1.25, 1.25, 2.25, 2.25,
                   5.625, 5.625, 5.625, 6.625 }, times)
  end)

  it("that is aligned begins at round times", function()
    local times = {}
    at(start + 0.75)
    spawn(weir.limiter { rate = "2/s", window = "fixed", align = true }, 5,
         times)
    through(start + 50)
    assert_times({ 0.75, 0.75, 1, 1, 2 }, times)
    times = {}
    spawn(weir.limiter { rate = "1/m", window = "fixed", align = true }, 3,
         times)
    through(start + 300)
    assert_times({ 50, 60, 120 }, times)
  end)

  it("that slides counts the last one by its part", function()
    local times = {}
    spawn(weir.limiter { rate = "4/s", window = "sliding" }, 8, times)
    through(start + 10.5)
    assert_times({ 0, 0, 0, 0, 1.25, 1.5, 1.75, 2 }, times)
    times = {}
    spawn(weir.limiter { rate = "4/s", window = "sliding", align = true }, 8,
         times)
    through(start + 20)
    assert_times({ 10.5, 10.5, 10.5, 10.5, 11.25, 11.5, 11.75, 12 }, times)
  end)

  it("never admits more than its count in a period", function()
    local limiter = weir.limiter { rate = "5/s", window = "fixed",
                                   align = true }
    local counts = {}
    for i = 0, 399 do
      at(start + i / 100)
      if limiter:try_acquire() then
        counts[i // 100] = (counts[i // 100] or 0) + 1
      end
    end
    assert.same({ [0] = 5, 5, 5, 5 }, counts)
  end)

  it("can be set, and set back", function()
    local limiter = weir.limiter { rate = "5/s", burst = 2 }
    limiter:set { window = "fixed" }
    for _ = 1, 5 do assert.truthy(limiter:try_acquire()) end
    assert.is_nil(limiter:try_acquire())
    at(start + 100)
    limiter:set { window = "gcra" }
    for _ = 1, 2 do assert.truthy(limiter:try_acquire()) end
    assert.is_nil(limiter:try_acquire())
  end)
end)

describe("retry_after of a rate", function()
  before_each(begin)

  -- A refusal is told when the same would be admitted: then, and not a
  -- nanosecond before.
  local function assert_exact(limiter, options)
    local permit, err
    repeat permit, err = limiter:try_acquire(options) until not permit
    local due = ns(weir.now()) + ns(err.retry_after)
    at(seconds(due - 1))
    local early = limiter:try_acquire(options)
    assert.is_nil(early, tostring(limiter) .. " was admitted early")
    at(seconds(due))
    permit = limiter:try_acquire(options)
    assert.truthy(permit, tostring(limiter) .. " should have been admitted")
  end

  it("is exact", function()
    for _, options in ipairs {
      { rate = "3/s" }, { rate = "7/11s" }, { rate = "1/m" },
      { rate = "100/s", burst = 13 }, { rate = "2147483647/d" },
      { rate = "3/s", window = "fixed" }, { rate = "1000/7s", burst = 2 },
      { rate = "7/3s", window = "sliding" },
      { rate = "5/s", window = "fixed", align = true },
      { rate = "5/s", window = "sliding", align = true },
    } do
      at(start + 0.123456789)
      start = start + 600
      local limiter = weir.limiter(options)
      for _ = 1, 5 do assert_exact(limiter) end
    end
  end)

  it("is that of the cost", function()
    local limiter = weir.limiter { rate = "7/s", burst = 5 }
    assert_exact(limiter, { cost = 5 })
    assert_exact(limiter, { cost = 2 })
  end)

  it("is enough to sleep", function()
    local call = weir.rate_limit { rate = "3/s", queue = 0 }(since_start)
    local times = {}
    weir.spawn(function()
      while #times < 4 do
        local now, err = call()
        if now then times[#times + 1] = now else weir.sleep(err.retry_after) end
      end
    end)
    through(start + 10)
    for i = 1, 4 do -- a sleep may be a nanosecond longer than it says
      local due = (i - 1) * 10^9 // 3
      assert.is_true(ns(times[i]) >= due and ns(times[i]) <= due + i)
    end
    assert.equal(4, #times)
  end)

  it("reads as a sentence", function()
    local limiter = weir.limiter { rate = "4/s", name = "api" }
    limiter:acquire()
    local _, err = limiter:try_acquire()
    assert.equal("limiter 'api' is full: its rate of 4 per 1.0 s is used up; "
                 .. "try again in 0.25 s", tostring(err))
    assert.same({ "full", "4 per 1.0 s", 0.25 },
                { err.code, err.rate, err.retry_after })
  end)
end)
