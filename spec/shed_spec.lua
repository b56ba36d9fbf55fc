--- What a queue that is too long gives up: victims of its bound, waits that are
-- too long (CoDel), the oldest (LIFO while it lasts), and who is too late.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through, load = helper.at, helper.through, helper.load

-- A task that waits for a permit and notes under its name what became of it.
local function waiter(limiter, log, name, wishes)
  local task = weir.spawn(function()
    local permit, err = limiter:acquire(wishes)
    log[#log + 1] = name .. (permit and "" or " " .. err.code)
    log[name] = err
    if permit then permit:release() end
  end)
  at()
  return task
end

-- Calls that come every `gap` seconds, from now on for `length` seconds, and
-- take `work` seconds. What became of them: { { code or "done", waited }... }
local function offer(limiter, gap, length, work)
  local results, start = {}, weir.now()
  local call = limiter(function(since)
    local waited = weir.now() - since
    weir.sleep(work)
    return waited
  end)
  for i = 1, length // gap do
    weir.spawn(function()
      weir.sleep((i - 1) * gap)
      local waited, err = call(weir.now())
      results[#results + 1] = { err and err.code or "done",
                                err and err.waited or waited }
    end)
  end
  through(start + length)
  return results
end

local function count(results, code)
  local n, longest = 0, 0
  for _, result in ipairs(results) do
    if result[1] == code then
      n = n + 1
      longest = math.max(longest, result[2])
    end
  end
  return n, longest
end

describe("a queue that is full", function()
  before_each(function() at(0) end)

  it("refuses the newcomer, unless it is told otherwise", function()
    local limiter, log = weir.limiter { concurrent = 1, queue = 2 }, {}
    local permit = limiter:acquire()
    for i = 1, 3 do waiter(limiter, log, "w" .. i) end
    permit:release()
    at()
    assert.same({ "w3 full", "w1", "w2" }, { table.unpack(log) })
  end)

  it("refuses who waits longest", function()
    local limiter, log = weir.limiter { concurrent = 1, queue = 2,
                                        shed = "oldest" }, {}
    local permit = limiter:acquire()
    for i = 1, 4 do
      at(i)
      waiter(limiter, log, "w" .. i)
    end
    assert.same({ "w1 full", "w2 full" }, { table.unpack(log) })
    assert.equal(2, log.w1.waited)
    assert.same({ 1, 2 }, load(limiter))
    permit:release()
    at()
    assert.same({ "w1 full", "w2 full", "w3", "w4" }, { table.unpack(log) })
    assert.equal(2, limiter:stats().refused.full)
  end)

  it("refuses the last of the lowest, for who is higher", function()
    local limiter, log = weir.limiter {
      concurrent = 1, queue = 3, order = "priority", shed = "lowest"
    }, {}
    local permit = limiter:acquire()
    for name, priority in pairs { a = 5 } do
      waiter(limiter, log, name, { priority = priority })
    end
    waiter(limiter, log, "b", { priority = -2 })
    waiter(limiter, log, "c", { priority = -2 })
    waiter(limiter, log, "as low", { priority = -2 })
    waiter(limiter, log, "lower", { priority = -3 })
    waiter(limiter, log, "higher", { priority = -1 })
    assert.same({ "as low full", "lower full", "c full" },
                { table.unpack(log) })
    permit:release()
    at()
    assert.same({ "a", "higher", "b" }, { table.unpack(log, 4) })
  end)

  it("of no place refuses the newcomer whoever it should be", function()
    for _, victim in ipairs { "newest", "oldest" } do
      local limiter = weir.limiter { concurrent = 1, queue = 0,
                                     shed = { victim = victim } }
      local permit <close> = limiter:acquire()
      assert.equal("full", select(2, limiter:acquire()).code)
      assert.truthy(permit)
    end
  end)

  it("refuses nobody for one who only tries", function()
    local limiter, log = weir.limiter { concurrent = 1, queue = 1,
                                        shed = "oldest" }, {}
    local permit = limiter:acquire()
    waiter(limiter, log, "a")
    assert.is_nil(limiter:try_acquire())
    assert.same({ 1, 1 }, load(limiter))
    permit:release()
    at()
    assert.same({ "a" }, { table.unpack(log) })
  end)
end)

describe("CoDel", function()
  before_each(function() at(0) end)

  it("keeps waits short where they would grow without end", function()
    local plain = weir.rate_limit { concurrent = 1 }
    local longest = select(2, count(offer(plain, 0.016, 60, 0.02), "done"))
    plain:close()
    assert.is_true(longest > 5)
    for _, shed in ipairs {
      "codel", { codel = true }, { target = 0.01 },
      { target = 0.05, interval = 0.2 },
    } do
      at(0)
      local limiter = weir.rate_limit { concurrent = 1, shed = shed }
      local results = offer(limiter, 0.016, 60, 0.02)
      local late = {}
      for i = #results // 2, #results do late[#late + 1] = results[i] end
      local done, wait = count(late, "done")
      assert.is_true(wait < 0.5, "waited " .. wait)
      assert.is_true(done > 0.7 * #late, done .. " of " .. #late)
      local dropped = count(results, "shed")
      assert.is_true(dropped > 0)
      assert.equal(dropped, limiter:stats().refused.shed)
      limiter:close()
      at()
    end
  end)

  it("tolerates a burst", function()
    local limiter = weir.rate_limit {
      concurrent = 1, shed = { target = 0.01, interval = 1 }
    }
    local results = offer(limiter, 0.001, 0.03, 0.02) -- 0.6 s of work
    through(5)
    assert.equal(30, (count(results, "done")))
  end)

  it("sheds nobody who is the last", function()
    local limiter, log = weir.limiter { concurrent = 1, shed = "codel" }, {}
    for i = 1, 5 do
      local permit = limiter:acquire()
      waiter(limiter, log, "w" .. i)
      at(100 * i)
      permit:release()
      at()
    end
    assert.same({ "w1", "w2", "w3", "w4", "w5" }, { table.unpack(log) })
  end)

  it("tells how long who is shed has waited", function()
    local limiter = weir.rate_limit { concurrent = 1, shed = "codel",
                                      name = "busy" }
    local errors = {}
    local call = limiter(function() weir.sleep(0.05) end)
    for _ = 1, 50 do
      weir.spawn(function()
        local _, err = call()
        if err then errors[#errors + 1] = err end
      end)
    end
    through(10)
    assert.is_true(#errors > 0)
    local err = errors[1]
    assert.is_true(err.waited > 0.1)
    assert.equal(("limiter 'busy' gave this call up after %.14g s, since its "
                  .. "queue is too long"):format(err.waited), tostring(err))
    limiter:close()
  end)

  it("can be set and taken back", function()
    local limiter = weir.rate_limit { concurrent = 1, shed = "codel" }
    limiter:set { shed = false }
    assert.equal(0, (count(offer(limiter, 0.01, 5, 0.02), "shed")))
    limiter:set { shed = "codel" }
    assert.is_true(count(offer(limiter, 0.01, 5, 0.02), "shed") > 0)
    limiter:close()
  end)

  it("is one for each key", function()
    local limiter = weir.rate_limit { concurrent = 1, shed = "codel",
                                      key = function(key) return key end }
    local call = limiter(function() weir.sleep(0.05) end)
    local codes = { noisy = 0, quiet = 0 }
    for key, times in pairs { noisy = 100, quiet = 2 } do
      for _ = 1, times do
        weir.spawn(function()
          if select(2, call(key)) then codes[key] = codes[key] + 1 end
        end)
      end
    end
    through(100)
    assert.is_true(codes.noisy > 0)
    assert.equal(0, codes.quiet)
    assert.same({ 0, 0 }, load(limiter))
  end)
end)

describe("shed = 'lifo'", function()
  before_each(function() at(0) end)

  it("lets the newest go first while waits are long", function()
    local fresh = {}
    for _, shed in ipairs { false, "lifo" } do
      at(0)
      local limiter = weir.rate_limit { concurrent = 1, shed = shed or nil }
      local results = offer(limiter, 0.016, 30, 0.02)
      fresh[#fresh + 1] = 0
      for _, result in ipairs(results) do
        if result[2] < 0.2 then fresh[#fresh] = fresh[#fresh] + 1 end
      end
      limiter:close()
      at()
    end
    assert.is_true(fresh[1] < 200 and fresh[2] > 1000,
                   table.concat(fresh, " "))
  end)

  it("keeps the order of arrival as long as they are short", function()
    local limiter, log = weir.limiter {
      concurrent = 1, shed = { lifo = true, target = 1, interval = 1 }
    }, {}
    local permit = limiter:acquire()
    for i = 1, 4 do waiter(limiter, log, "w" .. i) end
    at(0.5)
    permit:release()
    at()
    assert.same({ "w1", "w2", "w3", "w4" }, { table.unpack(log) })
  end)

  it("refuses nobody by itself", function()
    local limiter = weir.rate_limit { concurrent = 1, shed = "lifo" }
    local results = offer(limiter, 0.016, 5, 0.02)
    through(100)
    assert.equal(5 // 0.016, (count(results, "done")))
  end)
end)

describe("shed = 'doomed'", function()
  local limiter

  -- A limiter that is known to let one go in half a second.
  before_each(function()
    at(0)
    limiter = weir.rate_limit { concurrent = 1, shed = "doomed",
                                name = "slow" }
    for _ = 1, 12 do
      weir.spawn(limiter(function() weir.sleep(0.5) end))
    end
    through(4.9) -- the tenth runs, two wait
  end)

  after_each(function()
    limiter:close()
    at()
  end)

  it("refuses at once who cannot be in time", function()
    local task = weir.spawn(function()
      return limiter:acquire { timeout = 0.4 }
    end)
    at()
    local nothing, err = task:join()
    assert.same({ nil, "doomed", 0 }, { nothing, err.code, err.waited })
    assert.matches("limiter 'slow' cannot admit this call before its "
                   .. "deadline, as fast as its queue goes", tostring(err))
    assert.equal(1, limiter:stats().refused.doomed)
  end)

  it("refuses nobody who can, and nobody without a deadline", function()
    local early = weir.spawn(limiter.acquire, limiter, { timeout = 5 })
    local patient = weir.spawn(limiter.acquire, limiter)
    at()
    assert.same({ "waiting", "waiting" }, { early:status(), patient:status() })
    early:cancel()
    patient:cancel()
  end)

  it("says nothing before it knows the pace", function()
    local new = weir.limiter { concurrent = 1, shed = "doomed" }
    local permit = new:acquire()
    local task = weir.spawn(new.acquire, new, { timeout = 1e-3 })
    at()
    assert.equal("waiting", task:status())
    task:cancel()
    permit:release()
  end)

  it("goes by the limiter's timeout as well", function()
    limiter:set { timeout = 0.1 }
    local task = weir.spawn(limiter(print))
    at()
    assert.equal("doomed", select(2, task:join()).code)
  end)

  it("knows the pace of a rate once it has seen it", function()
    local rate, log = weir.limiter { rate = "1/s", shed = "doomed" }, {}
    for i = 1, 9 do waiter(rate, log, "w" .. i) end
    through(weir.now() + 7.5) -- one still waits
    log = {}
    waiter(rate, log, "early", { timeout = 3 })
    waiter(rate, log, "late", { timeout = 1 })
    through(100)
    assert.same({ "late doomed", "early" }, { table.unpack(log) })
  end)
end)
