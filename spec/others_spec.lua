--- What other limiters got wrong, each by its name.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load = helper.at, helper.load

-- A task that asks for permits and keeps them until it is canceled.
local function asker(limiter, options)
  local asked = {}
  asked.task = weir.spawn(function()
    local permit <close>, err = limiter:acquire(options)
    asked.permit, asked.err = permit, err
    if permit then weir.sleep(1e6) end
  end)
  at()
  return asked
end

-- The asker's code, or true if it is in; nil while it waits.
local function outcome(asked)
  at()
  return asked.permit and true or asked.err and asked.err.code
end

describe("a head that goes away wakes whoever can now go", function()
  before_each(function() at(0) end)

  -- Two free, head wants five, a follower wants one.
  local function scene(options)
    local limiter = weir.semaphore(5)
    local holder = limiter:acquire { cost = 3 }
    options.cost = 5
    return limiter, asker(limiter, options), asker(limiter), holder
  end

  it("when it times out, in the same call", function()
    local limiter, head, follower, holder = scene { timeout = 1 }
    assert.is_nil(outcome(follower))
    at(1)
    assert.equal("timeout", outcome(head))
    assert.is_true(outcome(follower))
    assert.same({ 4, 0 }, load(limiter))
    holder:release()
    follower.task:cancel()
  end)

  it("when it is canceled, in the same call", function()
    local limiter, head, follower, holder = scene {}
    head.task:cancel()
    assert.same({ 4, 0 }, load(limiter))
    assert.is_true(outcome(follower))
    holder:release()
    follower.task:cancel()
  end)

  it("when its coroutine is closed, in the same call", function()
    local limiter = weir.semaphore(5)
    local holder = limiter:acquire { cost = 3 }
    local head = helper.stranger(limiter.acquire, limiter, { cost = 5 })
    local follower = asker(limiter)
    coroutine.close(head)
    assert.same({ 4, 0 }, load(limiter))
    assert.is_true(outcome(follower))
    holder:release()
    follower.task:cancel()
  end)

  it("also several followers, up to the next one that is too heavy", function()
    local limiter, head, one, holder = scene {}
    local two, more = asker(limiter), asker(limiter)
    head.task:cancel()
    assert.same({ 5, 1 }, load(limiter))
    assert.same({ true, true, n = 3 },
                table.pack(outcome(one), outcome(two), outcome(more)))
    holder:release()
    for _, asked in ipairs { one, two, more } do asked.task:cancel() end
    assert.same({ 0, 0 }, load(limiter))
  end)
end)

describe("order", function()
  before_each(function() at(0) end)

  it("a heavy head is not overtaken by light followers", function()
    local limiter = weir.semaphore(4)
    local holders = {}
    for i = 1, 4 do holders[i] = limiter:acquire() end
    local heavy, light = asker(limiter, { cost = 4 }), asker(limiter)
    for i = 1, 3 do
      holders[i]:release()
      assert.is_nil(outcome(heavy))
      assert.is_nil(outcome(light))
    end
    holders[4]:release()
    assert.is_true(outcome(heavy))
    assert.is_nil(outcome(light))
    heavy.task:cancel()
    assert.is_true(outcome(light))
    light.task:cancel()
  end)

  it("a newcomer never overtakes a queue", function()
    local limiter = weir.semaphore(2)
    local holder = limiter:acquire()
    local heavy = asker(limiter, { cost = 2 })
    local newcomer = asker(limiter)
    assert.same({ 1, 2 }, load(limiter))
    assert.is_nil(outcome(newcomer))
    holder:release()
    assert.is_true(outcome(heavy))
    assert.is_nil(outcome(newcomer))
    heavy.task:cancel()
    newcomer.task:cancel()
  end)

  it("try_acquire fails (full) while others wait ahead", function()
    local limiter = weir.semaphore(2)
    local holder = limiter:acquire()
    local heavy = asker(limiter, { cost = 2 })
    local nothing, err = limiter:try_acquire()
    assert.same({ nil, "full" }, { nothing, err.code })
    heavy.task:cancel()
    local permit = limiter:try_acquire()
    assert.truthy(permit)
    permit:release()
    holder:release()
  end)
end)

describe("a permit granted in the same instant", function()
  before_each(function() at(0) end)

  for name, leave in pairs {
    ["as a cancel"] = function(asked) asked.task:cancel() end,
    ["as a timeout"] = function() at(1) end,
    ["as a cancel and a timeout"] = function(asked)
      at(1)
      asked.task:cancel()
    end,
  } do
    it(name .. " is never lost and never doubled", function()
      local limiter = weir.semaphore(1)
      local holder = limiter:acquire()
      local first, second = asker(limiter, { timeout = 1 }), asker(limiter)
      holder:release()
      assert.same({ 1, 1 }, load(limiter))
      leave(first)
      assert.equal(1, limiter:stats().in_use)
      outcome(first)
      assert.equal(1, limiter:stats().in_use)
      first.task:cancel()
      assert.is_true(outcome(second))
      second.task:cancel()
      assert.same({ 0, 0 }, load(limiter))
    end)
  end
end)

describe("the limit", function()
  before_each(function() at(0) end)

  it("raised admits exactly as many as now fit", function()
    local limiter = weir.semaphore(1)
    local holder, asked = limiter:acquire(), {}
    for i = 1, 5 do asked[i] = asker(limiter) end
    limiter:set { concurrent = 4 }
    assert.same({ 4, 2 }, load(limiter))
    local seen = {}
    for i = 1, 5 do seen[i] = outcome(asked[i]) or false end
    assert.same({ true, true, true, false, false }, seen)
    holder:release()
    for i = 5, 1, -1 do asked[i].task:cancel() end
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("lowered takes none away and admits none until enough return", function()
    local limiter = weir.semaphore(4)
    local holders = {}
    for i = 1, 4 do holders[i] = limiter:acquire() end
    local asked = asker(limiter)
    limiter:set { concurrent = 2 }
    assert.same({ 4, 1 }, load(limiter))
    holders[1]:release()
    holders[2]:release()
    assert.same({ 2, 1 }, load(limiter))
    assert.is_nil(outcome(asked))
    assert.equal("full", select(2, limiter:try_acquire()).code)
    holders[3]:release()
    assert.same({ 2, 0 }, load(limiter))
    assert.is_true(outcome(asked))
    holders[4]:release()
    asked.task:cancel()
  end)
end)

describe("misuse", function()
  it("releasing twice raises and changes nothing", function()
    local limiter = weir.semaphore(2)
    local permit, other = limiter:acquire(), limiter:acquire()
    permit:release()
    local before = limiter:stats()
    for _ = 1, 3 do
      assert.has_error(function() permit:release() end)
      assert.same(before, limiter:stats())
    end
    other:release()
  end)

  it("asking for more than there ever is is impossible at once", function()
    local limiter = weir.semaphore(2)
    for _, ask in ipairs { limiter.acquire, limiter.try_acquire } do
      local nothing, err = ask(limiter, { cost = 3 })
      assert.same({ nil, "impossible" }, { nothing, err.code })
    end
    local holder = limiter:acquire()
    assert.equal("impossible", select(2, limiter:acquire { cost = 3 }).code)
    assert.equal("impossible",
                 select(2, limiter:acquire { cost = 2^31 - 1 }).code)
    holder:release()
  end)
end)

-- Seconds of processor time per waiter that leaves a queue of `n`.
local function cost_of_leaving(n, leave)
  local limiter = weir.semaphore(1)
  local holder, tasks = limiter:acquire(), {}
  for i = 1, n do tasks[i] = weir.spawn(limiter(function() end)) end
  at(0)
  assert.same({ 1, n }, load(limiter))
  local start = os.clock()
  leave(tasks, holder)
  local seconds = os.clock() - start
  assert.same({ 0, 0 }, load(limiter))
  return seconds / n
end

local function release_all(_, holder)
  holder:release()
  at(0)
end

-- Half of them in an order that is none, then the others.
local function cancel_half(tasks, holder)
  local n = #tasks
  for i = 1, n // 2 do tasks[i * 7919 % n + 1]:cancel() end
  holder:release()
  at(0)
end

-- The factor is large: this is about 100 times as many, not about speed.
describe("releasing with n waiters is O(1) per wake", function()
  local many = helper.stress and 2000 or 20000

  it("with many waiters", function()
    local few = cost_of_leaving(200, release_all)
    assert.is_true(cost_of_leaving(many, release_all) < 20 * few + 1e-5)
  end)

  it("when many were canceled out of order", function()
    local few = cost_of_leaving(200, cancel_half)
    assert.is_true(cost_of_leaving(many, cancel_half) < 20 * few + 1e-5)
  end)
end)
