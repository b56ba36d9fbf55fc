--- task:cancel, in every state that a task can be in.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load, closing = helper.at, helper.load, helper.closing

local function code(task)
  local nothing, err = task:join()
  assert(nothing == nil)
  return err.code
end

describe("task:cancel", function()
  local limiter

  before_each(function()
    at(0)
    limiter = weir.semaphore(1)
  end)

  it("keeps a task from starting", function()
    local ran, runs = helper.counter()
    local task = weir.spawn(ran)
    assert.is_true(task:cancel())
    at()
    assert.same({ 0, "canceled", "canceled" },
                { runs(), task:status(), code(task) })
  end)

  local states = {
    ["sleeping"] = function() weir.sleep(1e6) end,
    ["that gave way"] = function() coroutine.yield() end,
    ["that waits for a permit"] = function() limiter:acquire() end,
    ["that waits in a call"] = function() limiter(print)() end,
    ["that waits for a drain"] = function() limiter:drain() end,
    ["that waits for a task"] = function()
      weir.spawn(weir.sleep, 1):join()
    end,
  }
  for name, wait in pairs(states) do
    it("ends a task " .. name .. ", and closes its variables", function()
      local permit = limiter:acquire()
      local closed = {}
      local function at_end(value)
        return closing(function(err) closed[#closed + 1] = err or value end)
      end
      local task = weir.spawn(function()
        local _ <close> = at_end(0)
        local _ <close> = at_end(1)
        wait()
        closed[3] = "went on"
      end)
      weir.step(0, 1)
      assert.is_true(task:cancel())
      assert.same({ 1, 0 }, closed)
      assert.same({ 1, 0 }, load(limiter))
      assert.equal("canceled", task:status())
      permit:release()
      at(1)
      at(2)
      assert.same({ 1, 0 }, closed)
      assert.same({ 0, 0 }, load(limiter))
      assert.equal("canceled", code(task))
    end)
  end

  it("gives back a permit that was granted and not taken up", function()
    local permit = limiter:acquire()
    local task = weir.spawn(limiter(print))
    at()
    permit:release()
    assert.same({ 1, 0 }, load(limiter))
    task:cancel()
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("gives back what the task's calls hold", function()
    local outer = weir.semaphore(1)
    local task = weir.spawn(outer(limiter(weir.sleep)), 5)
    at()
    assert.same({ { 1, 0 }, { 1, 0 } }, { load(outer), load(limiter) })
    task:cancel()
    assert.same({ { 0, 0 }, { 0, 0 } }, { load(outer), load(limiter) })
    assert.equal(1, limiter:stats().dropped)
  end)

  it("is false for a task that is over", function()
    local done, failed = weir.spawn(function() end), weir.spawn(error, "x")
    local canceled = weir.spawn(weir.sleep, 1)
    at()
    canceled:cancel()
    assert.is_false(done:cancel())
    assert.is_false(failed:cancel())
    assert.is_false(canceled:cancel())
    assert.same({ "done", "failed", "canceled" },
                { done:status(), failed:status(), canceled:status() })
    pcall(failed.join, failed)
  end)

  it("is not for the task itself", function()
    local task
    task = weir.spawn(function() task:cancel() end)
    at()
    assert.error_matches(function() task:join() end,
                         "a task cannot cancel itself")
  end)

  it("is not for the task itself from a coroutine inside it", function()
    local task
    task = weir.spawn(function()
      coroutine.wrap(function() task:cancel() end)()
    end)
    at()
    assert.error_matches(function() task:join() end,
                         "a task cannot cancel itself")
  end)

  it("raises in join what a closing variable raises", function()
    local task = weir.spawn(function()
      local _ <close> = closing(function() error("closing", 0) end)
      weir.sleep(1)
    end)
    at()
    assert.is_true(task:cancel())
    assert.equal("failed", task:status())
    assert.has_error(function() task:join() end, "closing")
  end)

  it("lets closing variables call what need not wait", function()
    local log = {}
    local task = weir.spawn(function()
      local _ <close> = closing(function()
        log[1] = limiter(math.max)(1, 2)
        log[2] = weir.spawn(print):cancel()
        log[3] = select(2, pcall(weir.sleep, 1))
        limiter:set { concurrent = 3 }
      end)
      weir.sleep(1)
    end)
    at()
    assert.is_true(task:cancel())
    assert.same({ 2, true }, { log[1], log[2] })
    assert.matches("weir.sleep would have to wait, and nothing can wait here",
                   log[3])
    assert.equal("canceled", task:status())
    assert.equal(0, at(1))
  end)

  it("may be called by a closing variable, on any task", function()
    local first, second
    first = weir.spawn(function()
      local _ <close> = closing(function()
        second:cancel()
        first:cancel()
      end)
      weir.sleep(1)
    end)
    second = weir.spawn(function()
      local _ <close> = closing(function() first:cancel() end)
      weir.sleep(1)
    end)
    at()
    first:cancel()
    assert.same({ "canceled", "canceled" }, { first:status(), second:status() })
    at(1)
  end)

  it("wakes joiners at the end of the task, in their turn", function()
    local log = {}
    local task = weir.spawn(function()
      local _ <close> = closing(function() log[#log + 1] = "closed" end)
      weir.sleep(1)
    end)
    local joiner = weir.spawn(function()
      local _, err = task:join()
      log[#log + 1] = err.code
    end)
    at()
    task:cancel()
    log[#log + 1] = "here"
    at()
    assert.same({ "closed", "here", "canceled" }, log)
    assert.equal("done", joiner:status())
  end)

  it("leaves tasks alone that the task spawned", function()
    local inner
    local outer = weir.spawn(function()
      inner = weir.spawn(weir.sleep, 1)
      inner:join()
    end)
    at()
    outer:cancel()
    at(1)
    assert.equal("done", inner:status())
  end)

  it("leaves a coroutine that the task resumed to itself", function()
    local permit, over = limiter:acquire(), nil
    local task = weir.spawn(function()
      coroutine.wrap(function()
        limiter:acquire():release()
        over = true
      end)()
      weir.sleep(1)
    end)
    at()
    task:cancel()
    assert.same({ 1, 1 }, load(limiter))
    permit:release()
    at()
    assert.is_true(over)
  end)

  it("of a great many tasks, in no order", function()
    local permit, tasks = limiter:acquire(), {}
    for i = 1, 3000 do
      tasks[i] = weir.spawn(function()
        if i % 3 == 0 then return weir.sleep(i) end
        local held <close> = limiter:acquire { timeout = i }
        return held
      end)
    end
    at()
    for i = 1, 3000 do tasks[i * 1009 % 3000 + 1]:cancel() end
    assert.same({ 1, 0 }, load(limiter))
    permit:release()
    assert.same({ 0, n = 1 }, table.pack(at(4000)))
  end)
end)
