--- weir.stack: several decorators as one.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load = helper.at, helper.load

describe("weir.stack", function()
  before_each(function() at(0) end)

  it("asks the outermost first, and gives back in reverse", function()
    local log = {}
    local function logged(name)
      return function(fn)
        return function(...)
          log[#log + 1] = "+" .. name
          local _ <close> = helper.closing(function()
            log[#log + 1] = "-" .. name
          end)
          return fn(...)
        end
      end
    end
    local call = weir.stack { logged "a", logged "b" }(math.max)
    assert.equal(2, call(1, 2))
    assert.same({ "+a", "+b", "-b", "-a" }, log)
  end)

  it("waits for the second while it holds the first", function()
    local a, b = weir.semaphore(1), weir.semaphore(1)
    local call = weir.stack { a, b }(function() return load(a), load(b) end)
    local permit = b:acquire()
    local task = weir.spawn(call)
    at()
    assert.same({ { 1, 0 }, { 1, 1 } }, { load(a), load(b) })
    permit:release()
    at()
    assert.same({ { 1, 0 }, { 1, 0 } }, { task:join() })
    assert.same({ { 0, 0 }, { 0, 0 } }, { load(a), load(b) })
  end)

  it("answers the refusal of either, and holds nothing then", function()
    local a = weir.semaphore(1)
    local b = weir.limiter { concurrent = 1, queue = 0, name = "inner" }
    local permit = b:acquire()
    local nothing, err = weir.stack { a, b }(print)()
    assert.same({ nil, "full", "inner" }, { nothing, err.code, err.limiter })
    assert.same({ 0, 0 }, load(a))
    permit:release()
  end)

  it("passes arguments, results and errors on", function()
    local stack = weir.stack { weir.rate_limit(1), weir.rate_limit(2) }
    local call = stack(function(...) return ... end)
    assert.same({ 1, nil, n = 2 }, table.pack(call(1, nil)))
    local value = {}
    local ok, err = pcall(stack(error), value)
    assert.same({ false, true }, { ok, err == value })
  end)

  it("decorates several functions with the same permits", function()
    local a = weir.semaphore(1)
    local stack = weir.stack { a }
    local inner = stack(print)
    helper.raises("a call limited by",
                  function() stack(function() inner() end)() end)
    assert.same({ 0, 0 }, load(a))
  end)

  it("says what it was given that is no function", function()
    local a = weir.semaphore(1)
    helper.raises("weir.stack: expected a function, got number",
                  function() weir.stack { a } (5) end)
    helper.raises("weir.stack: decorator 2 must give a function, got nil",
                  function() weir.stack { a, function() end } (print) end)
  end)

  it("of nothing changes nothing", function()
    assert.equal(print, weir.stack {}(print))
  end)

  it("keeps the list it was given", function()
    local a, list = weir.semaphore(1), {}
    list[1] = a
    local stack = weir.stack(list)
    list[1] = nil
    stack(math.max)(1)
    assert.equal(1, a:stats().admitted)
  end)

  it("takes stacks", function()
    local a, b = weir.semaphore(1), weir.semaphore(1)
    local call = weir.stack { weir.stack { a }, b }(math.max)
    assert.equal(2, call(2))
    assert.same({ 1, 1 }, { a:stats().admitted, b:stats().admitted })
  end)
end)

-- What an inner limiter refuses has never begun: what an outer one gave for it
-- comes back as if it had not been taken.
describe("a refusal by the second of two limiters", function()
  local rate, gate

  before_each(function()
    at(0)
    rate = weir.limiter { rate = "1/m" }
    gate = weir.limiter { concurrent = 1, queue = 0 }
  end)

  local function assert_unused(limiter)
    assert.equal(1, limiter:stats().unused)
    assert.truthy(limiter:try_acquire())
  end

  it("gives the token of the first back", function()
    local permit = gate:acquire()
    local nothing, err = weir.stack { rate, gate }(print)()
    assert.same({ nil, "full" }, { nothing, err.code })
    assert_unused(rate)
    permit:release()
  end)

  it("does so when they are stacked by hand, and more than two", function()
    local permit = gate:acquire()
    local other = weir.limiter { rate = "1/m" }
    local _, err = other(rate(gate(print)))()
    assert.equal("full", err.code)
    assert_unused(rate)
    assert_unused(other)
    permit:release()
  end)

  it("does so after a wait of either", function()
    gate:set { queue = 1, timeout = 5 }
    local permit, first = gate:acquire(), rate:acquire()
    local task = weir.spawn(weir.stack { rate, gate }(print))
    helper.through(70)
    local _, err = task:join()
    assert.same({ "timeout", 5 }, { err.code, err.waited })
    assert.equal(1, rate:stats().unused)
    assert.truthy(rate:try_acquire())
    permit:release()
    first:release()
  end)

  it("does so when it is impossible, closed or has no key", function()
    local keyed = weir.limiter { concurrent = 1, key = tostring, keys = 1 }
    local permit = keyed:acquire "a"
    local call = weir.stack { rate, keyed }(print)
    assert.equal("exhausted", select(2, call "b").code)
    assert.equal(1, rate:stats().unused)
    keyed:close()
    assert.equal("closed", select(2, call "a").code)
    local heavy = weir.limiter { concurrent = 1, cost = 2 }
    assert.equal("impossible",
                 select(2, weir.stack { rate, heavy }(print)()).code)
    assert.equal(3, rate:stats().unused)
    assert.truthy(rate:try_acquire())
    permit:release()
  end)

  it("does so whatever on_refuse makes of it, also later", function()
    local asked = weir.limiter {
      concurrent = 1, queue = 0,
      on_refuse = function()
        weir.sleep(1)
        return "something else"
      end
    }
    local permit = asked:acquire()
    local task = weir.spawn(weir.stack { rate, asked }(print))
    helper.through(5)
    assert.equal("something else", task:join())
    assert_unused(rate)
    permit:release()
  end)

  it("does so past one that is passed freely for want of a key", function()
    local keyed = weir.limiter { concurrent = 1, key = function() end }
    local permit = gate:acquire()
    weir.stack { rate, keyed, gate }(print)()
    weir.stack { rate, weir.all { keyed }, gate }(print)()
    assert.equal(2, rate:stats().unused)
    assert.truthy(rate:try_acquire())
    permit:release()
  end)

  it("does so with weir.all on either side", function()
    local door = weir.semaphore(1)
    local permit = gate:acquire()
    weir.stack { rate, weir.all { door, gate } }(print)()
    assert.equal(1, rate:stats().unused)
    weir.stack { weir.all { door, rate }, gate }(print)()
    assert.equal(2, rate:stats().unused)
    assert.same({ 0, 0 }, load(door))
    assert.truthy(rate:try_acquire())
    permit:release()
  end)

  it("is not what fn returned that looks like one", function()
    local refusal = select(2, weir.limiter { concurrent = 1 }
                                :acquire { cost = 2 })
    weir.stack { rate, gate }(function() return nil, refusal end)()
    assert.equal(0, rate:stats().unused)
    assert.is_nil(rate:try_acquire())
  end)

  it("is not that of a call inside fn", function()
    local permit = gate:acquire()
    local inner = gate(print)
    rate(function() return inner() end)()
    assert.equal(0, rate:stats().unused)
    assert.is_nil(rate:try_acquire())
    local other = weir.limiter { rate = "1/m" }
    local door = weir.semaphore(1)
    other(door(function() inner() return nil, "no" end))()
    assert.same({ 0, 0 }, { other:stats().unused, door:stats().unused })
    permit:release()
  end)

  it("is not that of a call before, in another coroutine", function()
    local permit = gate:acquire()
    local task = weir.spawn(weir.stack { rate, weir.semaphore(1) }(function()
      weir.sleep(1)
      return nil, "not a refusal"
    end))
    at()
    gate(print)()
    local other = weir.spawn(function()
      weir.sleep(1)
      return gate(print)()
    end)
    helper.through(5)
    assert.same({ "done", "done" }, { task:status(), other:status() })
    assert.equal(0, rate:stats().unused)
    permit:release()
  end)

  it("is not an error of on_refuse", function()
    local asked = weir.limiter { concurrent = 1, queue = 0, on_refuse = error }
    local permit = asked:acquire()
    assert.is_false(pcall(weir.stack { rate, asked }(print)))
    local door = weir.limiter { rate = "1/m" }
    weir.stack { door, weir.semaphore(1) }(function() end)()
    assert.equal(0, door:stats().unused)
    permit:release()
  end)
end)

-- Which is right depends on what is limited. A limiter of who asks (jobs of a
-- user, threads of ours) belongs outside: a try again is the same job. One of
-- who is asked (a server that counts requests) belongs inside: each try is
-- another request to it, and none may pass uncounted.
describe("a limiter and a decorator that tries again", function()
  before_each(function() at(0) end)

  local function retry(tries)
    return function(fn)
      return function(...)
        local result, err
        for i = 1, tries do
          if i > 1 then weir.sleep(1) end
          result, err = fn(...)
          if result then return result end
        end
        return nil, err
      end
    end
  end

  -- Work that succeeds the third time, and what it sees.
  local function failing(limiter)
    local seen = { calls = 0 }
    return function()
      seen.calls = seen.calls + 1
      seen[#seen + 1] = weir.now()
      seen.in_use = limiter:stats().in_use
      return seen.calls == 3 and "third time" or nil, "failed"
    end, seen
  end

  it("holds one permit for all tries if it is outside", function()
    local limiter = weir.limiter { concurrent = 1, rate = "10/s" }
    local work, seen = failing(limiter)
    local task = weir.spawn(weir.stack { limiter, retry(5) }(work))
    at()
    helper.through(0.5)
    assert.same({ 1, 0 }, load(limiter)) -- held while it sleeps
    helper.through(10)
    assert.equal("third time", task:join())
    assert.same({ 0, 1, 2 }, { table.unpack(seen) })
    assert.equal(1, limiter:stats().admitted)
  end)

  it("is asked for each try if it is inside", function()
    local limiter = weir.limiter { concurrent = 1, rate = "1/10s" }
    local work, seen = failing(limiter)
    local task = weir.spawn(weir.stack { retry(5), limiter }(work))
    helper.through(0.5)
    assert.same({ 0, 0 }, load(limiter)) -- not held while it sleeps
    helper.through(50)
    assert.equal("third time", task:join())
    assert.same({ 0, 10, 20 }, { table.unpack(seen) })
    assert.equal(3, limiter:stats().admitted)
  end)

  it("tries refusals, too, if it is inside", function()
    local limiter = weir.limiter { concurrent = 1, queue = 0 }
    local permit = limiter:acquire()
    local task = weir.spawn(weir.stack { retry(3), limiter }(weir.now))
    at()
    at(1)
    permit:release()
    at(2)
    assert.equal(2, task:join())
    assert.equal(2, limiter:stats().refused.full)
  end)

  it("gives a token back only if there is none between two", function()
    local rate = weir.limiter { rate = "1/m" }
    local gate = weir.limiter { concurrent = 1, queue = 0 }
    local permit = gate:acquire()
    local task = weir.spawn(weir.stack { rate, retry(2), gate }(print))
    helper.through(5)
    assert.equal("full", select(2, task:join()).code)
    assert.equal(0, rate:stats().unused) -- it cannot know what was tried
    permit:release()
  end)
end)
