--- Keys: one limiter, and for each key permits and tokens of its own.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through, load = helper.at, helper.through, helper.load

local function identity(...) return ... end

-- A key function that says what it is given.
local function first(key) return key end

describe("a key function", function()
  before_each(function() at(0) end)

  it("gives each key permits of its own", function()
    local limiter = weir.rate_limit { concurrent = 1, key = first, queue = 0 }
    local inner
    limiter(function()
      inner = { limiter(identity)("b", 1), (limiter(identity)("a", 2)) }
    end)("a")
    assert.same({ "b", nil }, inner)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("gives each key a rate of its own", function()
    local limiter, log = weir.rate_limit { rate = "1/s", key = first }, {}
    local call = limiter(function(key)
      log[#log + 1] = key .. weir.now()
    end)
    for _ = 1, 2 do
      for _, key in ipairs { "a", "b" } do weir.spawn(call, key) end
    end
    through(10)
    assert.same({ "a0.0", "b0.0", "a1.0", "b1.0" }, log)
  end)

  it("gives each key a queue and an order of its own", function()
    local limiter, log = weir.rate_limit { concurrent = 1, key = first,
                                           queue = 1 }, {}
    local call = limiter(function(key, i)
      weir.sleep(1)
      log[#log + 1] = key .. i
    end)
    local tasks = {}
    for i = 1, 3 do
      for _, key in ipairs { "a", "b" } do
        tasks[#tasks + 1] = weir.spawn(call, key, i)
      end
    end
    through(10)
    assert.same({ "a1", "b1", "a2", "b2" }, log)
    for i = 5, 6 do
      local _, err = tasks[i]:join()
      assert.same({ "full", i == 5 and "a" or "b" }, { err.code, err.key })
    end
  end)

  it("gets the arguments of the call, self included", function()
    local Client, seen = {}, nil
    Client.get = weir.rate_limit {
      concurrent = 1,
      key = function(self, ...)
        seen = table.pack(...)
        return self.host
      end,
    }(function(self, path) return self.host .. path end)
    local client = setmetatable({ host = "h" }, { __index = Client })
    assert.equal("h/x", client:get("/x", nil, 3, nil))
    assert.same(table.pack("/x", nil, 3, nil), seen)
  end)

  it("may be whatever can be called", function()
    local key = setmetatable({}, { __call = function(_, x) return x end })
    local limiter = weir.rate_limit { concurrent = 1, key = key }
    limiter(identity) "a"
    assert.equal("a", limiter:top()[1].key)
  end)

  it("that says nil lets the call pass freely", function()
    local limiter = weir.rate_limit { concurrent = 1, key = first }
    local depth, call = 0, nil
    call = limiter(function(...)
      depth = depth + 1
      if depth < 5 then return call(...) end
      return select("#", ...), ...
    end)
    assert.same({ 3, nil, 7, nil, n = 4 }, table.pack(call(nil, 7, nil)))
    assert.same({ 0, 0, 0 }, { limiter:stats().admitted, limiter:stats().keys,
                               limiter:stats().in_use })
    assert.error(function() limiter(error)(nil, "x") end)
    limiter:close()
    assert.equal(8, select(2, limiter(identity)(nil, 8)))
    assert.equal("closed", select(2, limiter(identity)("a")).code)
  end)

  it("lets pass what yields and waits", function()
    local limiter = weir.rate_limit { concurrent = 1, key = first }
    local task = weir.spawn(limiter(function(_, x)
      weir.sleep(1)
      return x
    end), nil, "x")
    through(5)
    assert.equal("x", task:join())
  end)

  it("that raises raises at the call, and nothing is held", function()
    local value = {}
    local limiter = weir.rate_limit { concurrent = 1, key = error, queue = 0 }
    local ran, runs = helper.counter()
    local call = limiter(ran)
    for _ = 1, 500 do
      local ok, err = pcall(call, value)
      assert.same({ false, true }, { ok, err == value })
    end
    assert.equal(0, runs())
    assert.same({ 0, 0 }, load(limiter))
    assert.same({ 0, 0 }, { limiter:stats().admitted, limiter:stats().keys })
  end)

  it("that gives no string is an error at the caller's line", function()
    local limiter = weir.rate_limit { concurrent = 1, key = first }
    local ran, runs = helper.counter()
    local call = limiter(ran)
    for shown, key in pairs {
      ["5"] = 5, ["1.5"] = 1.5, ["a table"] = {}, ["true"] = true,
      ["false"] = false, ["a function"] = print, ["a weir.limiter"] = limiter,
      ["a string of 65536 bytes"] = ("x"):rep(65536),
      ["a string of 1048576 bytes"] = ("x"):rep(2^20),
    } do
      helper.raises("weir: what the key function returned must be a string of "
                    .. "at most 65535 bytes, got " .. shown,
                    function() call(key) end)
    end
    assert.equal(0, runs())
    assert.same({ 0, 0, 0 }, { limiter:stats().in_use, limiter:stats().keys,
                               limiter:stats().admitted })
  end)

  it("cannot yield, and says so", function()
    local limiter = weir.rate_limit { concurrent = 1, key = coroutine.yield }
    local call = limiter(print)
    local task = weir.spawn(function() call "a" end)
    at()
    assert.error_matches(function() task:join() end, "attempt to yield")
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("may call limited functions itself", function()
    local cache = weir.rate_limit { concurrent = 1, queue = 0 }
    local lookup = cache(function(x) return "key of " .. x end)
    local limiter = weir.rate_limit { concurrent = 1, key = lookup }
    assert.equal("x", limiter(identity) "x")
    assert.equal("key of x", limiter:top()[1].key)
  end)

  it("takes any bytes, and tells keys apart by all of them", function()
    local limiter = weir.rate_limit { concurrent = 1, key = first, queue = 0 }
    local keys = { "", "\0", "a", "a\0", "a\0b", "a\0c", "\255\254", " ",
                   ("k"):rep(65535), ("k"):rep(65534) .. "l" }
    local permits = {}
    for i, key in ipairs(keys) do
      permits[i] = assert(limiter:acquire(key))
      assert.is_nil(limiter:try_acquire(key))
    end
    assert.equal(#keys, limiter:stats().keys)
    for i, key in ipairs(keys) do
      assert.equal(1, limiter:stats(key).in_use)
      permits[i]:release()
      assert.equal(0, limiter:stats(key).in_use)
    end
  end)
end)

describe("a limiter with keys = n", function()
  before_each(function() at(0) end)

  it("wants a key for each request", function()
    local limiter = weir.limiter { concurrent = 1, keys = 10 }
    local a, b = limiter:acquire "a", limiter:try_acquire("b", { cost = 1 })
    assert.truthy(a and b)
    assert.is_nil(limiter:try_acquire "a")
    local WHOSE = "this limiter has keys: whose permit shall it be? Call "
    for _, name in ipairs { "acquire", "try_acquire" } do
      local message = ("limiter:%s: %slimiter:%s(key)"):format(name, WHOSE,
                                                               name)
      helper.raises(message, function() limiter[name](limiter) end)
      helper.raises(message, function() limiter[name](limiter, {}) end)
      helper.raises(message, function()
        limiter[name](limiter, nil, { cost = 1 })
      end)
    end
    assert.same({ 2, 0 }, load(limiter))
  end)

  it("takes no other key than a string", function()
    local limiter = weir.limiter { concurrent = 1, keys = 10 }
    for _, key in ipairs { 1, 1.5, true, print, limiter } do
      helper.raises("limiter:acquire: expected a key (a string) and perhaps a "
                    .. "table, got ", function() limiter:acquire(key) end)
    end
    helper.raises("limiter:acquire: the key must be a string of at most 65535 "
                  .. "bytes, got a string of 65536 bytes",
                  function() limiter:acquire(("x"):rep(65536)) end)
  end)

  it("does not wrap a function without a key function", function()
    local limiter = weir.limiter { concurrent = 1, keys = 10 }
    helper.raises("limiter:wrap: this limiter has keys, but no key function "
                  .. "that could say whose a call is",
                  function() limiter(print) end)
  end)

  it("that has none takes none", function()
    local limiter = weir.semaphore(1)
    local NONE = "this limiter has no keys"
    helper.raises("limiter:acquire: " .. NONE,
                  function() limiter:acquire "a" end)
    helper.raises("limiter:stats: " .. NONE, function() limiter:stats "a" end)
    helper.raises("limiter:headers: " .. NONE,
                  function() limiter:headers "a" end)
    assert.same({}, limiter:top())
  end)

  it("has so many active at once", function()
    local limiter = weir.limiter { concurrent = 1, keys = 3 }
    local permits = {}
    for i = 1, 3 do permits[i] = limiter:acquire("key " .. i) end
    local nothing, err = limiter:acquire "key 4"
    assert.same({ nil, "exhausted", "key 4" }, { nothing, err.code, err.key })
    assert.matches("for 'key 4' has no place for another key: all are active",
                   tostring(err))
    assert.is_nil(limiter:try_acquire "key 1") -- is known, and full
    assert.equal(1, limiter:stats().refused.exhausted)
    permits[2]:release()
    assert.truthy(limiter:acquire "key 4")
    assert.equal(3, limiter:stats().keys)
  end)

  it("may admit those for whom there is no place", function()
    local limiter = weir.rate_limit { concurrent = 1, keys = 1, key = first,
                                      on_exhausted = "admit" }
    local permit = limiter:acquire "a"
    local others = { limiter:acquire "b", limiter:acquire "b" }
    assert.equal(2, #others)
    assert.equal(5, select(2, limiter(identity)("c", 5)))
    assert.same({ 1, 0 }, load(limiter))
    for _, other in ipairs(others) do other:release() end
    permit:release()
    assert.same({ 0, 0 }, load(limiter))
    limiter:set { on_exhausted = "refuse" }
    permit = limiter:acquire "a"
    assert.equal("exhausted", select(2, limiter:acquire "b").code)
    permit:release()
  end)

  it("lets go of keys that are idle, and of no others", function()
    local limiter = weir.limiter { concurrent = 1, keys = 2 }
    local permit = limiter:acquire "held"
    for i = 1, 1000 do limiter:acquire("key " .. i):release() end
    assert.is_true(limiter:stats().keys <= 2)
    assert.equal(1, limiter:stats("held").in_use)
    assert.is_nil(limiter:try_acquire "held")
    permit:release()
  end)

  it("does not take a key for idle whose rate has not recovered", function()
    local limiter = weir.limiter { rate = "1/s", burst = 3, keys = 1 }
    for _ = 1, 3 do limiter:acquire("a"):release() end
    assert.equal("exhausted", select(2, limiter:acquire "b").code)
    at(2.99)
    assert.equal("exhausted", select(2, limiter:acquire "b").code)
    at(3)
    assert.truthy(limiter:acquire "b")
  end)

  it("takes nothing from a key whose waiters go away", function()
    local limiter = weir.limiter { concurrent = 1, keys = 1 }
    local permit = limiter:acquire "a"
    local task = weir.spawn(limiter.acquire, limiter, "a")
    at()
    task:cancel()
    permit:release()
    helper.collect()
    assert.truthy(limiter:acquire "b")
  end)

  it("can be set", function()
    local limiter = weir.limiter { concurrent = 1, keys = 1 }
    local permits = { limiter:acquire "a" }
    assert.is_nil(limiter:acquire "b")
    limiter:set { keys = 2, concurrent = 2 }
    permits[2] = assert(limiter:acquire "b")
    permits[3] = assert(limiter:acquire "a")
    assert.same({ 3, 0 }, load(limiter))
  end)

  it("takes very many", function()
    local n = helper.stress and 2000 or 70000
    local limiter = weir.limiter { concurrent = 1, keys = n }
    local permits = {}
    for i = 1, n do permits[i] = assert(limiter:acquire("key " .. i)) end
    assert.equal("exhausted", select(2, limiter:acquire "more").code)
    assert.equal(n, limiter:stats().keys)
    for i = 1, n do permits[i]:release() end
    assert.same({ 0, 0 }, load(limiter))
  end)
end)

describe("limiter:stats(key)", function()
  before_each(function() at(0) end)

  it("tells of one key", function()
    local limiter = weir.limiter { concurrent = 2, keys = 10 }
    local key = ("long\0"):rep(100)
    local permit = limiter:acquire(key)
    limiter:try_acquire(key, { cost = 2 })
    local task = weir.spawn(limiter.acquire, limiter, key, { cost = 2 })
    at()
    assert.same({ key = key, limit = 2, in_use = 1, waiting = 1, admitted = 1,
                  refused = 1, left = 0, reset_after = 0 },
                limiter:stats(key))
    task:cancel()
    permit:release()
  end)

  it("tells of its rate", function()
    local limiter = weir.limiter { rate = "4/s", burst = 2, keys = 10 }
    limiter:acquire "a"
    local stats = limiter:stats "a"
    assert.same({ 1, 0, 0.25 },
                { stats.left, stats.retry_after, stats.reset_after })
    limiter:acquire "a"
    stats = limiter:stats "a"
    assert.same({ 0, 0.25, 0.5 },
                { stats.left, stats.retry_after, stats.reset_after })
  end)

  it("of a key that was never used makes none", function()
    local limiter = weir.limiter { concurrent = 2, keys = 10 }
    assert.same({ key = "x", limit = 2, in_use = 0, waiting = 0, admitted = 0,
                  refused = 0, left = 2, retry_after = 0, reset_after = 0 },
                limiter:stats "x")
    assert.equal(0, limiter:stats().keys)
  end)
end)

describe("limiter:top", function()
  before_each(function() at(0) end)

  it("names the busiest keys first", function()
    local limiter = weir.limiter { concurrent = 9, keys = 99 }
    local permits = {}
    for i = 1, 5 do
      for _ = 1, i do permits[#permits + 1] = limiter:acquire("key " .. i) end
    end
    limiter:acquire("idle"):release()
    local top = limiter:top(2)
    assert.same({ { key = "key 5", limit = 9, in_use = 5, waiting = 0,
                    admitted = 5, refused = 0 },
                  { key = "key 4", limit = 9, in_use = 4, waiting = 0,
                    admitted = 4, refused = 0 } }, top)
    top = limiter:top()
    assert.same({ 6, "idle" }, { #top, top[6].key })
    assert.equal(6, #limiter:top(1000))
    helper.forget(permits)
  end)

  it("names 10 unless it is told, and 1000 at most", function()
    local limiter = weir.limiter { concurrent = 1, keys = 99 }
    local permits = {}
    for i = 1, 20 do permits[i] = limiter:acquire("key " .. i) end
    assert.same({ 10, 1, 20 },
                { #limiter:top(), #limiter:top(1), #limiter:top(50) })
    helper.raises("limiter:top: n must be a whole number from 1 to 1000, got "
                  .. "1001", function() limiter:top(1001) end)
  end)

  it("shows keys so that they can be read", function()
    local limiter = weir.limiter { concurrent = 1, keys = 99 }
    for given, shown in pairs {
      ["a\nb"] = "a?b", ["\0"] = "?", ["h\195\188te"] = "h\195\188te",
      [("x"):rep(100)] = ("x"):rep(14) .. "~", ["\255"] = "?",
    } do
      local permit = limiter:acquire(given)
      assert.equal(shown, limiter:top(1)[1].key)
      permit:release()
    end
  end)
end)
