--- Limiters: making, changing, counting, closing.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load = helper.at, helper.load

-- A task that waits for a permit of the limiter.
local function waiter(limiter, options)
  return weir.spawn(function() return limiter:acquire(options) end)
end

describe("a limiter", function()
  before_each(function() at(0) end)

  it("is made by a number, a table or a limiter", function()
    local limiter = weir.rate_limit(3)
    assert.equal(3, limiter:stats().limit)
    assert.equal(4, weir.rate_limit { concurrent = 4 }:stats().limit)
    assert.equal(5, weir.limiter { concurrent = 5 }:stats().limit)
    assert.equal(6, weir.semaphore(6):stats().limit)
    assert.equal(limiter, weir.rate_limit(limiter))
  end)

  it("takes whole numbers of either kind, up to 2^31 - 1", function()
    assert.equal(3, weir.semaphore(3.0):stats().limit)
    assert.equal(2^31 - 1, weir.semaphore(2^31 - 1):stats().limit)
    assert.equal(2^31 - 1, weir.rate_limit(2^31 - 1):stats().limit)
  end)

  it("is a decorator", function()
    local limiter = weir.semaphore(1)
    assert.equal(6, limiter(math.max)(4, 6))
    assert.equal(6, limiter:wrap(math.max)(4, 6))
    assert.equal(2, limiter:stats().admitted)
  end)

  it("has a name, or that of the line it was made at", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local unnamed = weir.semaphore(2)
    local named = weir.limiter { concurrent = 2, name = ("n"):rep(63) }
    local permit = named:acquire { cost = 2 }
    assert.equal(("weir.limiter 'spec/limiter_spec.lua:%d': 0 of 2 permits in "
                  .. "use, 0 waiting"):format(line), tostring(unnamed))
    assert.equal("weir.limiter '" .. ("n"):rep(63)
                 .. "': 2 of 2 permits in use, 0 waiting", tostring(named))
    permit:release()
  end)

  it("shows in tostring who waits", function()
    local limiter = weir.limiter { concurrent = 1, name = "busy" }
    local permit = limiter:acquire()
    local task = waiter(limiter)
    at(1)
    assert.equal("weir.limiter 'busy': 1 of 1 permits in use, 1 waiting",
                 tostring(limiter))
    task:cancel()
    permit:release()
  end)

  it("keeps its metatable to itself", function()
    assert.equal("weir.limiter", getmetatable(weir.semaphore(1)))
    assert.has_error(function() setmetatable(weir.semaphore(1), {}) end)
    assert.has_error(function() weir.semaphore(1).x = 1 end)
  end)

  it("refuses when its queue is full", function()
    local limiter = weir.limiter { concurrent = 1, queue = 2 }
    local permit = limiter:acquire()
    local first, second, third = waiter(limiter), waiter(limiter),
                                 waiter(limiter)
    at(1)
    assert.same({ 1, 2 }, load(limiter))
    local nothing, err = third:join()
    assert.is_nil(nothing)
    assert.equal("full", err.code)
    assert.equal(2, err.queue)
    first:cancel()
    second:cancel()
    permit:release()
  end)

  it("lets nobody wait when its queue is 0, in any place", function()
    local limiter = weir.limiter { concurrent = 1, queue = 0 }
    local permit <const> = limiter:acquire()
    local nothing, err = limiter:acquire()
    assert.is_nil(nothing)
    assert.equal("full", err.code)
    permit:release()
    assert.truthy(limiter:acquire())
  end)

  it("waits no longer than its timeout, unless a request says", function()
    local limiter = weir.limiter { concurrent = 1, timeout = 2 }
    local permit = limiter:acquire()
    local usual, short = waiter(limiter), waiter(limiter, { timeout = 1 })
    local forever = waiter(limiter, { timeout = false })
    at(0)
    at(1)
    assert.same({ "waiting", "done", "waiting" },
                { usual:status(), short:status(), forever:status() })
    at(2)
    assert.same({ "done", "waiting" }, { usual:status(), forever:status() })
    at(1e6)
    assert.equal("waiting", forever:status())
    permit:release()
    at(1e6)
    assert.truthy(forever:join())
  end)

  it("is one for all who open it by its name", function()
    local one = weir.limiter { concurrent = 1, name = "shared" }
    local other = weir.limiter { concurrent = 2, queue = 7, name = "shared" }
    assert.are_not.equal(one, other)
    local permit = one:acquire()
    assert.same({ 1, 0 }, load(other))
    assert.equal(2, one:stats().limit)
    permit:release()
    assert.same({ 0, 0 }, load(other))
    assert.equal(1, other:stats().admitted)
  end)

  it("lets those go for whom there is room after another opened it", function()
    local one = weir.limiter { concurrent = 1, name = "grown" }
    local permit = one:acquire()
    local task = waiter(one)
    at(0)
    local other = weir.limiter { concurrent = 2, name = "grown" }
    assert.same({ 2, 0 }, load(other))
    at(0)
    assert.equal("done", task:status())
    permit:release()
  end)

  it("is a new one under a name that was closed or forgotten", function()
    local one = weir.limiter { concurrent = 1, name = "again" }
    local permit = one:acquire()
    one:close()
    local other = weir.limiter { concurrent = 3, name = "again" }
    assert.same({ 0, 0 }, load(other))
    permit:release()
    other:acquire { cost = 2 }:release()
    other = nil -- luacheck: ignore
    one = nil -- luacheck: ignore
    helper.collect()
    assert.equal(0, weir.limiter { concurrent = 3, name = "again" }
                        :stats().admitted)
  end)

  it("outlives its last reference while a permit is held", function()
    local permit = weir.limiter { concurrent = 1, name = "held" }:acquire()
    helper.collect()
    assert.same({ 1, 0 },
                load(weir.limiter { concurrent = 1, name = "held" }))
    permit:release()
  end)
end)

describe("limiter:set", function()
  before_each(function() at(0) end)

  it("changes what it names and nothing else", function()
    local limiter = weir.limiter { concurrent = 1, queue = 0, timeout = 1 }
    assert.same({ n = 0 }, table.pack(limiter:set { concurrent = 2 }))
    local permits = { limiter:acquire(), limiter:acquire() }
    assert.equal("full", select(2, limiter:acquire()).code)
    limiter:set { queue = 5 }
    local task = waiter(limiter)
    at(0)
    at(0.9)
    assert.equal("waiting", task:status())
    at(1)
    assert.equal("done", task:status())
    limiter:set {}
    for _, permit in ipairs(permits) do permit:release() end
  end)

  it("takes bounds back with false", function()
    local limiter = weir.limiter { concurrent = 1, queue = 0, timeout = 1 }
    limiter:set { queue = false, timeout = false }
    local permit = limiter:acquire()
    local task = waiter(limiter)
    at(0)
    at(1e6)
    assert.equal("waiting", task:status())
    task:cancel()
    permit:release()
  end)

  it("cannot change what a decorated function has already", function()
    local limiter = weir.semaphore(1)
    for _, name in ipairs { "cost", "name", "on_refuse" } do
      assert.error_matches(function() limiter:set { [name] = 2 } end,
                           "limiter:set: " .. name .. " cannot be changed")
    end
  end)
end)

describe("limiter:stats", function()
  before_each(function() at(0) end)

  it("has all its fields from the start", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local stats = weir.semaphore(3):stats()
    assert.equal("integer", math.type(stats.id))
    assert.same({
      name = "spec/limiter_spec.lua:" .. line, id = stats.id,
      limit = 3, in_use = 0, waiting = 0, keys = 0, admitted = 0, dropped = 0,
      unused = 0, closed = false, generation = 1,
      refused = { full = 0, timeout = 0, closed = 0, canceled = 0,
                  impossible = 0, doomed = 0, exhausted = 0, shed = 0 },
      would = { admitted = 0, waiting = 0, full = 0, timeout = 0, closed = 0,
                canceled = 0, impossible = 0, doomed = 0, exhausted = 0,
                shed = 0 },
      wait = { p50 = 0, p90 = 0, p99 = 0, max = 0 },
    }, stats)
  end)

  it("counts every refusal by its code", function()
    local limiter = weir.limiter { concurrent = 1, queue = 2 }
    local permit = limiter:acquire()
    limiter:try_acquire()
    limiter:acquire { cost = 2 }
    local gone, late = waiter(limiter), waiter(limiter, { timeout = 1 })
    local more = waiter(limiter)
    at(0)
    gone:cancel()
    at(1)
    permit:release()
    limiter:close()
    limiter:acquire()
    assert.same({ full = 2, timeout = 1, closed = 1, canceled = 1,
                  impossible = 1, doomed = 0, exhausted = 0, shed = 0 },
                limiter:stats().refused)
    assert.same({ "canceled", "done", "done" },
                { gone:status(), late:status(), more:status() })
  end)

  it("counts admissions and drops", function()
    local limiter = weir.semaphore(5)
    limiter:acquire():release()
    limiter:acquire():release "done"
    limiter:acquire():release "dropped"
    pcall(limiter(error), "x")
    limiter(print)
    local stats = limiter:stats()
    assert.same({ 4, 2 }, { stats.admitted, stats.dropped })
  end)

  it("measures waits in seconds, within 3.2 %", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    for _ = 1, 98 do weir.spawn(limiter(function() end)) end
    at(0)
    at(2)
    permit:release()
    at(2)
    permit = limiter:acquire()
    weir.spawn(limiter(function() end))
    at(2)
    at(7)
    permit:release()
    local wait = limiter:stats().wait
    assert.is_near(2, wait.p50, 0.064)
    assert.is_near(2, wait.p90, 0.064)
    assert.is_near(2, wait.p99, 0.064)
    assert.is_near(5, wait.max, 0.16)
    at(7)
  end)

  it("counts a permit that came at once as no wait", function()
    local limiter = weir.semaphore(1)
    for _ = 1, 10 do limiter:acquire():release() end
    assert.same({ p50 = 0, p90 = 0, p99 = 0, max = 0 }, limiter:stats().wait)
  end)
end)
