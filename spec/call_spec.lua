--- A call of a limited function: arguments, results, errors, refusals.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load = helper.at, helper.load

local function identity(...) return ... end

describe("a limited function", function()
  local limiter

  before_each(function()
    at(0)
    limiter = weir.semaphore(2)
  end)

  it("passes arguments and results on, nils included", function()
    local call = limiter(identity)
    local cases = {
      table.pack(), table.pack(nil), table.pack(1, nil, 3, nil),
      table.pack(nil, nil, nil), table.pack(false, "x", print, {}, 2.5),
    }
    for _, case in ipairs(cases) do
      assert.same(case, table.pack(call(table.unpack(case, 1, case.n))))
    end
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("passes very many arguments and results on", function()
    local many = {}
    for i = 1, 5000 do many[i] = i end
    assert.same(many, { limiter(identity)(table.unpack(many)) })
  end)

  it("holds a permit while it runs and not after", function()
    local during
    limiter(function() during = load(limiter) end)()
    assert.same({ 1, 0 }, during)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("raises the same value that fn raises", function()
    local values = { "a string", {}, 5, false, print,
                     setmetatable({}, { __tostring = error }) }
    for _, value in ipairs(values) do
      local ok, err = pcall(limiter(function() error(value, 0) end))
      assert.is_false(ok)
      assert.equal(value, err)
    end
    local result = table.pack(pcall(limiter(function() error(nil) end)))
    assert.same({ false, nil, n = 2 }, result)
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(#values + 1, limiter:stats().dropped)
  end)

  it("does so after a wait", function()
    local value = {}
    local permit = limiter:acquire { cost = 2 }
    local task = weir.spawn(limiter(function() error(value) end))
    at(0)
    permit:release()
    at(0)
    local ok, err = pcall(task.join, task)
    assert.same({ false, true }, { ok, err == value })
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("keeps the traceback down to where fn raised", function()
    local function deep() error "here" end
    local line = debug.getinfo(deep, "S").linedefined
    local call = limiter(function() deep() end)
    local ok, trace = xpcall(function() call() end, debug.traceback)
    assert.is_false(ok)
    assert.matches("call_spec.lua:" .. line .. ": here", trace)
    assert.matches("in upvalue 'deep'", trace)
  end)

  it("leaves strings as long as they were", function()
    local _, err = pcall(limiter(function() error("short", 0) end))
    assert.equal("short", err)
  end)

  it("is a method when fn is one", function()
    local Account = { balance = 5 }
    Account.__index = Account
    Account.draw = limiter(function(self, n) return self.balance - n end)
    assert.equal(3, setmetatable({}, Account):draw(2))
  end)

  it("shares its limiter with all that the decorator was given", function()
    local seen = {}
    local inner = limiter(function() seen[2] = load(limiter) end)
    local outer = limiter(function()
      seen[1] = load(limiter)
      inner()
    end)
    outer()
    assert.same({ { 1, 0 }, { 2, 0 } }, seen)
  end)

  it("has a limiter of its own under each decorator", function()
    local one, two = weir.rate_limit(1), weir.rate_limit(1)
    assert.equal(7, one(two(identity))(7))
    assert.equal(7, one(function(x) return two(identity)(x) end)(7))
    assert.same({ 2, 2 }, { one:stats().admitted, two:stats().admitted })
  end)

  it("may call itself as long as there are permits", function()
    local three, factorial = weir.semaphore(3), nil
    factorial = three(function(n)
      return n < 2 and 1 or n * factorial(n - 1)
    end)
    assert.equal(6, factorial(3))
    assert.error_matches(function() factorial(4) end, "would have to wait")
    assert.same({ 0, 0 }, load(three))
  end)

  it("gives everything back when it calls itself too deep", function()
    local deep, call = weir.semaphore(100000), nil
    call = deep(function() return call() + 1 end)
    assert.error_matches(call, "stack overflow")
    assert.same({ 0, 0 }, load(deep))
  end)

  it("takes what can be called, whatever it is", function()
    local callable = setmetatable({}, { __call = function(_, x) return x end })
    assert.equal(4, limiter(callable)(4))
    assert.equal(4, limiter(limiter(callable))(4))
    assert.equal("4", limiter(tostring)(4))
  end)

  it("keeps its limiter alive", function()
    local call = weir.rate_limit(1)(identity)
    helper.collect()
    assert.equal(1, call(1))
  end)

  it("runs where nothing can wait as long as it need not", function()
    local less = limiter(function(a, b) return a < b end)
    local list = { 3, 1, 2 }
    table.sort(list, less)
    assert.same({ 1, 2, 3 }, list)
    assert.equal("b", (("a"):gsub("a", limiter(function() return "b" end))))
  end)

  it("says what to do where it would have to wait and cannot", function()
    limiter = weir.limiter { concurrent = 1, name = "here" }
    local permit = limiter:acquire()
    local call = limiter(identity)
    local message = "a call limited by 'here' would have to wait, and nothing "
      .. "can wait here: call it in a task (weir.run, weir.spawn) or in a "
      .. "coroutine"
    helper.raises(message, function() call() end)
    local function sort()
      table.sort({ 2, 1 }, function(a, b) call() return a < b end)
    end
    helper.raises(message, sort)
    local task = weir.spawn(sort)
    at(0)
    assert.error_matches(function() task:join() end, message, 1, true)
    assert.same({ 1, 0 }, load(limiter))
    permit:release()
  end)
end)

describe("cost", function()
  before_each(function() at(0) end)

  it("is what each call takes", function()
    local limiter = weir.rate_limit { concurrent = 5, cost = 2 }
    local during
    limiter(function() during = load(limiter) end)()
    assert.same({ 2, 0 }, during)
    local permit = limiter:acquire()
    assert.same({ 2, 0 }, load(limiter))
    permit:release()
    permit = limiter:acquire { cost = 5 }
    assert.same({ 5, 0 }, load(limiter))
    permit:release()
  end)

  it("may be a function of the arguments", function()
    local seen
    local limiter = weir.rate_limit {
      concurrent = 10,
      cost = function(...)
        seen = table.pack(...)
        return ...
      end,
    }
    local during
    local call = limiter(function() during = load(limiter) end)
    call(7, nil, "x", nil)
    assert.same({ 7, 0 }, during)
    assert.same(table.pack(7, nil, "x", nil), seen)
  end)

  it("raises what the cost function raises, before anything", function()
    local value = {}
    local limiter = weir.rate_limit {
      concurrent = 1, cost = function() error(value) end
    }
    local ran, runs = helper.counter()
    local call = limiter(ran)
    for _ = 1, 500 do
      local ok, err = pcall(call)
      assert.same({ false, true }, { ok, err == value })
    end
    assert.equal(0, runs())
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(0, limiter:stats().admitted)
  end)

  it("that no number can be is an error at the call", function()
    for _, cost in ipairs { 0, -1, 1.5, "1", 2^53, 0/0, 1/0, {}, print } do
      local call = weir.rate_limit {
        concurrent = 1, cost = function() return cost end
      }(identity)
      helper.raises("weir: what the cost function returned must be a whole "
                    .. "number from 1 to 2147483647, got",
                    function() call() end)
    end
  end)

  it("beyond the limit is impossible at once", function()
    local limiter = weir.rate_limit { concurrent = 3, cost = 4 }
    local nothing, err = limiter(identity)(1)
    assert.is_nil(nothing)
    assert.equal("impossible", err.code)
    assert.matches("can never admit this call: it costs 4 permits and there "
                   .. "are only 3", tostring(err))
  end)
end)
