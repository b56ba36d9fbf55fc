--- weir.all: several limiters in one, all or none, holding nothing while it
-- waits.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through, load = helper.at, helper.through, helper.load

local function identity(...) return ... end
local function first(key) return key end

local function loads(...)
  local list = {}
  for i, limiter in ipairs { ... } do list[i] = load(limiter) end
  return list
end

local function in_use(...)
  local list = {}
  for i, limiter in ipairs { ... } do list[i] = limiter:stats().in_use end
  return list
end

describe("weir.all", function()
  local a, b, both

  before_each(function()
    at(0)
    a = weir.limiter { concurrent = 1, name = "a" }
    b = weir.limiter { concurrent = 1, name = "b" }
    both = weir.all { a, b }
  end)

  after_each(function()
    a:close() -- their names are free again
    b:close()
  end)

  it("takes a permit of each, and gives all back", function()
    local during
    assert.equal(7, both(function(x)
      during = loads(a, b)
      return x
    end)(7))
    assert.same({ { 1, 0 }, { 1, 0 } }, during)
    assert.same({ { 0, 0 }, { 0, 0 } }, loads(a, b))
    local permit = both:acquire()
    assert.same({ { 1, 0 }, { 1, 0 } }, loads(a, b))
    permit:release()
    assert.same({ { 0, 0 }, { 0, 0 } }, loads(a, b))
    assert.error_matches(function() permit:release() end, "released before")
  end)

  it("gives all back however fn ends", function()
    local value = {}
    local ok, err = pcall(both(error), value)
    assert.same({ false, true }, { ok, err == value })
    local task = weir.spawn(both(weir.sleep), 10)
    at()
    assert.same({ { 1, 0 }, { 1, 0 } }, loads(a, b))
    task:cancel()
    local strangers = { helper.stranger(both(coroutine.yield)) }
    assert.same({ { 1, 0 }, { 1, 0 } }, loads(a, b))
    helper.forget(strangers)
    assert.same({ { 0, 0 }, { 0, 0 } }, loads(a, b))
    assert.same({ 2, 2 }, { a:stats().dropped - 1, b:stats().dropped - 1 })
  end)

  it("holds nothing while it waits", function()
    for _, held in ipairs { a, b } do
      local free = held == a and b or a
      local permit = held:acquire()
      local task = weir.spawn(both(identity), "done")
      at()
      assert.same({ 1, 0 }, in_use(held, free))
      free:acquire():release() -- nobody is in its way
      permit:release()
      assert.same({ { 1, 0 }, { 1, 0 } }, loads(held, free))
      at()
      assert.equal("done", task:join())
    end
    assert.same({ { 0, 0 }, { 0, 0 } }, loads(a, b))
  end)

  it("moves on to the next that it has to wait for", function()
    local one, other = a:acquire(), b:acquire()
    local task = weir.spawn(both(identity), "done")
    at()
    one:release()
    at()
    assert.same({ 0, 1 }, in_use(a, b))
    one = a:acquire()
    other:release()
    at()
    assert.same({ 1, 0 }, in_use(a, b))
    assert.equal("waiting", task:status())
    one:release()
    at()
    assert.equal("done", task:join())
  end)

  it("takes no token of a rate while it waits for something else", function()
    local slow = weir.limiter { rate = "1/m" }
    local call = weir.all { slow, a }(identity)
    local permit = a:acquire()
    local task = weir.spawn(call, "done")
    at(1)
    assert.truthy(slow:try_acquire())
    permit:release()
    through(60)
    assert.equal("waiting", task:status())
    a:acquire():release() -- which it does not hold meanwhile
    at(61)
    assert.equal("done", task:join())
  end)

  it("refuses all or none by try_acquire", function()
    local permit = b:acquire()
    local nothing, err = both:try_acquire()
    assert.same({ nil, "full", "b" }, { nothing, err.code, err.limiter })
    assert.same({ { 0, 0 }, { 1, 0 } }, loads(a, b))
    permit:release()
    permit = both:try_acquire()
    assert.same({ { 1, 0 }, { 1, 0 } }, loads(a, b))
    permit:release()
  end)

  it("does not deadlock, in whatever order limiters are named", function()
    local limiters, done = {}, 0
    for i = 1, 5 do limiters[i] = weir.semaphore(1 + i % 2) end
    math.randomseed(7)
    local function some(n)
      local list = table.move(limiters, 1, #limiters, 1, {})
      for i = 1, n do
        local j = math.random(i, #list)
        list[i], list[j] = list[j], list[i]
      end
      return table.move(list, 1, n, 1, {})
    end
    for i = 1, 300 do
      local all = weir.all(some(1 + i % 4))
      weir.spawn(function()
        weir.sleep(i % 10 / 100)
        all(weir.sleep)(0.01 + i % 3 / 100)
        done = done + 1
      end)
    end
    through(1000)
    assert.equal(300, done)
    for _, limiter in ipairs(limiters) do
      assert.same({ 0, 0 }, load(limiter))
    end
  end)

  it("does not deadlock with two that name them crosswise", function()
    local log = {}
    local ab, ba = weir.all { a, b }, weir.all { b, a }
    for i = 1, 20 do
      weir.spawn((i % 2 == 0 and ab or ba)(function()
        weir.sleep(1)
        log[#log + 1] = weir.now()
      end))
    end
    through(100)
    assert.equal(20, #log)
    assert.equal(20, log[20]) -- never two at once, and never a pause
  end)

  it("can be canceled where it waits", function()
    local permit = b:acquire()
    local task = weir.spawn(both(identity))
    at()
    task:cancel()
    assert.same({ { 0, 0 }, { 1, 0 } }, loads(a, b))
    permit:release()
    assert.same({ { 0, 0 }, { 0, 0 } }, loads(a, b))
    assert.equal(1, b:stats().refused.canceled)
  end)

  it("is refused when one of them is closed, also after a wait", function()
    local permit = a:acquire()
    local task = weir.spawn(both(identity))
    at()
    a:close()
    at()
    local _, err = task:join()
    assert.same({ "closed", "a" }, { err.code, err.limiter })
    _, err = both(identity)()
    assert.same({ "closed", "a" }, { err.code, err.limiter })
    permit:release()
    assert.same({ 0, 0 }, load(b))
  end)

  it("may be used again and again by the same coroutine", function()
    for _ = 1, 100 do both(identity)() end
    assert.same({ 100, 100 }, { a:stats().admitted, b:stats().admitted })
  end)

  it("raises where its own coroutine holds what it would wait for", function()
    local permit = b:acquire()
    local task = weir.spawn(function()
      local _ <close> = both:acquire()
      both(identity)()
    end)
    permit:release()
    at()
    assert.error_matches(function() task:join() end,
                         "this coroutine would wait for ever")
    assert.same({ { 0, 0 }, { 0, 0 } }, loads(a, b))
  end)

  it("keeps its members, and works as a member of a stack", function()
    local c = weir.semaphore(1)
    local call = weir.stack { weir.all { weir.semaphore(1), c }, a }(identity)
    helper.collect()
    assert.equal(5, call(5))
    assert.same({ 1, 1 }, { a:stats().admitted, c:stats().admitted })
  end)

  it("is a decorator that rate_limit knows", function()
    assert.equal(both, weir.rate_limit(both))
    assert.equal(3, both:wrap(math.max)(1, 3))
    assert.equal("weir.all 'a + b'", tostring(both))
  end)

  it("of one is that one", function()
    local only = weir.all { a }
    local permit = only:acquire()
    assert.same({ 1, 0 }, load(a))
    assert.is_nil(only:try_acquire())
    permit:release()
  end)
end)

describe("each of weir.all", function()
  before_each(function() at(0) end)

  it("is asked for a cost and a key of its own", function()
    local user = weir.limiter { concurrent = 2, key = first, queue = 0 }
    local bytes = weir.limiter { concurrent = 100,
                                 cost = function(_, n) return n end }
    local seen
    local call = weir.all { user, bytes }(function(...)
      seen = { user:stats("u").in_use, bytes:stats().in_use, ... }
    end)
    call("u", 30)
    assert.same({ 1, 30, "u", 30 }, seen)
    local nothing, err = call("u", 101)
    assert.same({ nil, "impossible", 101 }, { nothing, err.code, err.cost })
    assert.is_nil(err.key)
    local permits = { user:acquire "u", user:acquire "u" }
    nothing, err = call("u", 5)
    assert.same({ nil, "full", "u", 1 },
                { nothing, err.code, err.key, err.cost })
    assert.same({ 0, 0 }, load(bytes))
    helper.forget(permits)
  end)

  it("is left out if it has no key for the call", function()
    local user = weir.limiter { concurrent = 1, key = first }
    local host = weir.limiter { concurrent = 1,
                                key = function(_, x) return x end }
    local call = weir.all { user, host }(function(...)
      return user:stats().in_use, host:stats().in_use, ...
    end)
    assert.same({ 1, 1, "u", "h" }, { call("u", "h") })
    assert.same({ 1, 0, "u" }, { call("u") })
    assert.same({ 0, 1, nil, "h", n = 4 }, table.pack(call(nil, "h")))
    assert.same({ 0, 0, nil, n = 3 }, table.pack(call(nil)))
    assert.same({ 0, 0 }, load(user))
  end)

  it("gets the key of acquire, if it has keys", function()
    local user = weir.limiter { concurrent = 1, keys = 9, name = "user" }
    local door = weir.limiter { concurrent = 5, name = "door" }
    local all = weir.all { door, user }
    local permit = all:acquire("u", { cost = 1 })
    local nothing, err = all:try_acquire "u"
    assert.same({ nil, "full", "user", "u" },
                { nothing, err.code, err.limiter, err.key })
    local other = all:try_acquire "v"
    assert.same({ { 2, 0 }, { 2, 0 } }, loads(user, door))
    helper.raises("limiter:acquire: this limiter has keys",
                  function() all:acquire() end)
    helper.raises("limiter:wrap: this limiter has keys, but no key function",
                  function() all(print) end)
    permit:release()
    other:release()
  end)

  it("has a key function that may raise, before anything is held", function()
    local user = weir.limiter { concurrent = 1, key = error }
    local door = weir.semaphore(1)
    local call = weir.all { door, user }(print)
    for _ = 1, 100 do
      assert.has_error(function() call "x" end, "x")
    end
    helper.raises("weir: what the key function returned must be a string",
                  function()
                    weir.all { door, weir.limiter { concurrent = 1,
                                                    key = first } }(print)(5)
                  end)
    assert.same({ { 0, 0 }, { 0, 0 } }, loads(user, door))
  end)

  it("may time out, the earliest first", function()
    local slow = weir.limiter { concurrent = 1, timeout = 5, name = "slow" }
    local fast = weir.limiter { concurrent = 1, timeout = 2 }
    local permit = slow:acquire()
    local task = weir.spawn(weir.all { slow, fast }(print))
    through(100)
    local _, err = task:join()
    assert.same({ "timeout", "slow", 2 }, { err.code, err.limiter, err.waited })
    local patient = weir.spawn(function()
      return weir.all { slow, fast }:acquire { timeout = 50 }
    end)
    at(100)
    through(149)
    permit:release()
    at(149)
    assert.truthy(patient:join())
  end)

  it("says what a call returns that it refuses", function()
    local function handler(name)
      return function(err, ...) return name, err.limiter, ... end
    end
    local x = weir.limiter { concurrent = 1, queue = 0, name = "x",
                             on_refuse = handler "of x" }
    local y = weir.limiter { concurrent = 1, queue = 0, name = "y" }
    local call = weir.all { x, y }(print)
    local permit = x:acquire()
    assert.same({ "of x", "x", 1, nil, n = 4 }, table.pack(call(1, nil)))
    permit:release()
    permit = y:acquire()
    local nothing, err = call(1)
    assert.same({ nil, "y" }, { nothing, err.limiter })
    permit:release()
  end)

  it("of very many is asked", function()
    local list = {}
    for i = 1, 16 do list[i] = weir.limiter { concurrent = 1, key = first } end
    local call = weir.all(list)(identity)
    assert.equal("k", call "k")
    for i = 1, 16 do assert.equal(1, list[i]:stats().admitted) end
    local many = {}
    for i = 1, 5000 do many[i] = "k" end
    assert.same(many, { call(table.unpack(many)) })
  end)
end)

describe("what weir.all is not", function()
  it("made of", function()
    local a = weir.limiter { concurrent = 1, name = "twice" }
    local again = weir.limiter { concurrent = 1, name = "twice" }
    local list = {}
    for i = 1, 17 do list[i] = weir.semaphore(1) end
    for _, value in ipairs { 1, "x", true, print } do
      helper.raises("weir.all: expected a list of limiters, got ",
                    function() weir.all(value) end)
      helper.raises("weir.all: limiter 2 must be a limiter, got ",
                    function() weir.all { a, value } end)
    end
    for message, members in pairs {
      ["weir.all: expected 1 to 16 limiters, got 0"] = {},
      ["weir.all: expected 1 to 16 limiters, got 17"] = list,
      ["weir.all: limiters 1 and 2 are the same"] = { a, again },
      ["weir.all: limiters 2 and 3 are the same"] = { list[1], a, a },
      ["weir.all: limiter 1 must be a limiter, got "] =
        { weir.all { a }, a },
    } do
      helper.raises(message, function() weir.all(members) end)
    end
  end)

  it("is a limiter of its own", function()
    local all = weir.all { weir.semaphore(1) }
    for _, name in ipairs { "set", "stats", "top", "headers", "explain",
                            "close", "drain" } do
      helper.raises("limiter:" .. name .. ": weir.all{...} is no limiter of "
                    .. "its own; ask those that it was made of",
                    function() all[name](all, {}) end)
    end
  end)
end)
