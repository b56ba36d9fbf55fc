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
