--- A limited function that is suspended: the permit and the place in the queue
-- of a coroutine that goes on, is closed, or is dropped.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load, stranger = helper.at, helper.load, helper.stranger

local function identity(...) return ... end

describe("fn of a limited function", function()
  local limiter

  before_each(function()
    at(0)
    limiter = weir.semaphore(1)
  end)

  it("may yield, to whoever resumes the coroutine", function()
    local co = coroutine.wrap(limiter(function(a)
      local b, c = coroutine.yield(a + 1, nil)
      return coroutine.yield(b + c), nil
    end))
    assert.same({ 2, nil, n = 2 }, table.pack(co(1)))
    assert.same({ 1, 0 }, load(limiter))
    assert.equal(5, co(2, 3))
    assert.same({ "end", nil, n = 2 }, table.pack(co("end")))
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("may yield inside pcall, and pcall inside it", function()
    local call = limiter(function(x)
      local ok, err = pcall(function() error(coroutine.yield(x)) end)
      return ok, err
    end)
    local co = coroutine.wrap(function() return pcall(call, 1) end)
    assert.equal(1, co())
    local err = {}
    assert.same({ true, false, err }, { co(err) })
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("may raise after it yielded", function()
    local err = {}
    local co = coroutine.create(limiter(function()
      coroutine.yield()
      error(err)
    end))
    coroutine.resume(co)
    local ok, got = coroutine.resume(co)
    assert.same({ false, true }, { ok, got == err })
    coroutine.close(co)
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(1, limiter:stats().dropped)
  end)

  it("raises through pcall and two limiters after it yielded", function()
    local outer, err = weir.semaphore(1), {}
    local call = outer(limiter(function()
      coroutine.yield()
      error(err)
    end))
    local co = coroutine.wrap(function() return pcall(call) end)
    co()
    assert.same({ { 1, 0 }, { 1, 0 } }, { load(outer), load(limiter) })
    local ok, got = co()
    assert.same({ false, true }, { ok, got == err })
    assert.same({ { 0, 0 }, { 0, 0 } }, { load(outer), load(limiter) })
  end)

  it("gives the permit back when its coroutine is closed", function()
    local closed = {}
    local co = stranger(limiter(function()
      local _ <close> = helper.closing(function()
        closed[#closed + 1] = load(limiter)
      end)
      coroutine.yield()
    end))
    assert.is_true(coroutine.close(co))
    assert.same({ { 1, 0 } }, closed)
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(1, limiter:stats().dropped)
  end)

  it("gives the permit back when its coroutine is collected", function()
    for _ = 1, 3 do
      local kept = { stranger(limiter(coroutine.yield)) }
      assert.same({ 1, 0 }, load(limiter))
      helper.forget(kept)
      assert.same({ 0, 0 }, load(limiter))
    end
    assert.equal(3, limiter:stats().dropped)
  end)

  it("gives all permits back when many coroutines are collected", function()
    local many, kept = weir.semaphore(1000), {}
    for i = 1, 1000 do
      local co = stranger(many(coroutine.yield))
      if i % 10 == 0 then kept[#kept + 1] = co end
    end
    helper.collect()
    assert.same({ 100, 0 }, load(many))
    for _, co in ipairs(kept) do coroutine.resume(co) end
    assert.same({ 0, 0 }, load(many))
  end)

  it("lets the next one in when its coroutine is collected", function()
    stranger(limiter(coroutine.yield))
    local task = weir.spawn(limiter(identity), "in")
    at(0)
    helper.collect()
    at(0)
    assert.equal("in", task:join())
  end)
end)

describe("a coroutine that waits in a call", function()
  local limiter, permit

  before_each(function()
    at(0)
    limiter = weir.semaphore(1)
    permit = limiter:acquire()
  end)

  it("goes on when it is its turn", function()
    local results
    local co = stranger(function()
      results = table.pack(limiter(identity)(1, nil))
    end)
    assert.same({ 1, 1 }, load(limiter))
    permit:release()
    assert.equal(1, at(0))
    assert.equal("dead", coroutine.status(co))
    assert.same({ 1, nil, n = 2 }, results)
  end)

  it("leaves the queue at once when it is closed", function()
    local ran, runs = helper.counter()
    local co = stranger(limiter(ran))
    local after = weir.spawn(limiter(identity), "after")
    at(0)
    assert.same({ 1, 2 }, load(limiter))
    assert.is_true(coroutine.close(co))
    assert.same({ 1, 1 }, load(limiter))
    permit:release()
    at(0)
    assert.equal("after", after:join())
    assert.equal(0, runs())
    assert.equal(1, limiter:stats().refused.canceled)
  end)

  it("wakes who follows when it is closed with its turn granted", function()
    local ran, runs = helper.counter()
    local co = stranger(limiter(ran))
    local after = weir.spawn(limiter(identity), "after")
    at(0)
    permit:release()
    coroutine.close(co)
    at(0)
    assert.equal("after", after:join())
    assert.equal(0, runs())
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("keeps its place when nobody has it any more", function()
    local ran, runs = helper.counter()
    stranger(limiter(ran))
    helper.collect()
    assert.same({ 1, 1 }, load(limiter))
    permit:release()
    at(0)
    assert.equal(1, runs())
  end)

  it("is not let in by a stranger's resume", function()
    local results
    local co = stranger(function()
      results = table.pack(limiter(identity)("mine"))
    end)
    for _ = 1, 3 do
      assert.is_true(coroutine.resume(co))
      assert.is_true(coroutine.resume(co, "what", nil, "else"))
    end
    assert.same({ 1, 1 }, load(limiter))
    permit:release()
    at(0)
    assert.same({ "mine", n = 1 }, results)
  end)

  it("is harmed by no stranger's resume at any wait", function()
    local waits = {
      function() return limiter:acquire { timeout = 5 } end,
      function() return weir.sleep(5) end,
      function() return limiter:drain(5) end,
    }
    for _, wait in ipairs(waits) do
      for _, start in ipairs { stranger, weir.spawn } do
        local co, over
        at(0)
        start(function()
          co = coroutine.running()
          wait()
          over = true
        end)
        at(0)
        for n = 0, 300 do
          coroutine.resume(co, table.unpack({}, 1, n))
        end
        at(4)
        assert.is_nil(over)
        at(5)
        assert.is_true(over)
      end
    end
  end)

  it("goes on with its own scheduler alone", function()
    local log = {}
    local function worker(name)
      return coroutine.create(limiter(function()
        log[#log + 1] = name .. " in"
        coroutine.yield()
        log[#log + 1] = name .. " out"
      end))
    end
    local ready = { worker "a", worker "b", worker "c" }
    permit:release()
    for _ = 1, 12 do
      for _, co in ipairs(ready) do
        if coroutine.status(co) == "suspended" then
          assert(coroutine.resume(co))
        end
      end
    end
    assert.same({ "a in", "a out", "b in", "b out", "c in", "c out" }, log)
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(0, at(0))
  end)

  it("times out with its own scheduler alone", function()
    local err
    local co = stranger(function()
      err = select(2, limiter:acquire { timeout = 0.001 })
    end)
    at(0.001)
    coroutine.resume(co)
    assert.equal("timeout", err.code)
  end)

  it("may be a task's own", function()
    local results
    local task = weir.spawn(function()
      local inner = coroutine.wrap(function()
        results = table.pack(limiter(identity)("inner"))
      end)
      inner()
      return "outer"
    end)
    at(0)
    assert.equal("outer", task:join())
    assert.is_nil(results)
    permit:release()
    at(0)
    assert.same({ "inner", n = 1 }, results)
  end)

  it("is a task whose resume by others does nothing", function()
    local co
    local task = weir.spawn(function()
      co = coroutine.running()
      return limiter(identity)("task")
    end)
    at(0)
    permit:release()
    assert.same({ true, n = 1 }, table.pack(coroutine.resume(co, "x")))
    assert.equal("waiting", task:status())
    at(0)
    assert.equal("task", task:join())
  end)

  it("is canceled when it is a task that coroutine.close closes", function()
    local co
    local task = weir.spawn(function()
      co = coroutine.running()
      limiter:acquire()
    end)
    at(0)
    assert.is_true(coroutine.close(co))
    assert.equal("canceled", task:status())
    assert.same({ 1, 0 }, load(limiter))
    assert.equal("canceled", select(2, task:join()).code)
  end)
end)
