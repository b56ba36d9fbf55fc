--- weir.run: the loop, its results, its errors, its end.

local helper = require "spec.helper"
local weir = require "weir"

local load, closing = helper.load, helper.closing

local SHORT = 0.002 -- seconds

-- The error that running fn raises.
local function error_of(fn, ...)
  local ok, err = pcall(weir.run, fn, ...)
  assert(not ok, "weir.run did not raise")
  return err
end

describe("weir.run", function()
  it("answers what main returns, nils included", function()
    local function identity(...) return ... end
    assert.same({ 1, nil, "x", nil, n = 4 },
                table.pack(weir.run(identity, 1, nil, "x", nil)))
    assert.same({ n = 0 }, table.pack(weir.run(identity)))
    assert.same({ nil, n = 1 }, table.pack(weir.run(function()
      weir.sleep(0)
      return nil
    end)))
  end)

  it("takes what can be called", function()
    assert.equal(3, weir.run(math.max, 1, 3))
    assert.equal(4, weir.run(setmetatable({}, {
      __call = function(_, x) return x end
    }), 4))
    assert.equal(5, weir.run(weir.semaphore(1)(math.max), 5))
  end)

  it("waits for all tasks", function()
    local done = 0
    assert.equal("main", weir.run(function()
      for _ = 1, 3 do
        weir.spawn(function()
          weir.sleep(SHORT)
          weir.spawn(function() done = done + 1 end)
        end)
      end
      return "main"
    end))
    assert.equal(3, done)
  end)

  it("runs tasks that were spawned before", function()
    local task = weir.spawn(function() return "before" end)
    assert.equal("runnable", task:status())
    assert.equal("before", weir.run(function() return task:join() end))
  end)

  it("goes on with what another run left waiting", function()
    local limiter, results = weir.semaphore(1), nil
    local permit = limiter:acquire()
    helper.stranger(function()
      results = table.pack(limiter(math.max)(1, 2))
    end)
    weir.run(function() permit:release() end)
    assert.same({ 2, n = 1 }, results)
  end)

  it("runs inside a coroutine", function()
    local co = coroutine.wrap(function() return weir.run(math.max, 2) end)
    assert.equal(2, co())
  end)

  it("does not run inside itself", function()
    local message = "weir.run: the loop runs already; use weir.spawn"
    weir.run(function()
      helper.raises(message, function() weir.run(print) end)
      assert.has_error(function() weir.step() end)
    end)
  end)

  it("raises main's error, with its traceback if it is a string", function()
    local function deep() error("broken", 0) end
    local line = debug.getinfo(deep, "S").linedefined
    local text = error_of(deep)
    assert.matches("^broken\nstack traceback:\n", text)
    assert.matches("run_spec.lua:" .. line, text)
    local value = {}
    assert.equal(value, error_of(function() error(value) end))
    assert.is_nil(error_of(function() error(nil) end))
    assert.is_false(error_of(function() error(false) end))
  end)

  it("raises a task's error with the task's own traceback", function()
    local function failing()
      weir.sleep(0)
      error("broken", 0)
    end
    local line = debug.getinfo(failing, "S").linedefined
    local went_on
    local text = error_of(function()
      weir.spawn(failing)
      weir.sleep(5)
      went_on = true
    end)
    assert.matches("^broken\nstack traceback:\n", text)
    assert.matches("in function <spec/run_spec.lua:" .. line, text)
    assert.is_nil(went_on)
  end)

  it("raises the error of a task that somebody has but nobody joins", function()
    local task
    assert.equal(7, error_of(function()
      task = weir.spawn(error, 7)
    end))
    assert.equal("failed", task:status())
    local ok, err = pcall(task.join, task)
    assert.same({ false, 7 }, { ok, err })
    assert.equal(1, weir.run(math.max, 1))
  end)

  it("does not raise an error that a join saw", function()
    assert.equal("handled", weir.run(function()
      local task = weir.spawn(error, "seen")
      assert(not pcall(task.join, task))
      return "handled"
    end))
  end)

  it("ends everything when it raises, and closes its variables", function()
    local limiter, log = weir.semaphore(1), {}
    error_of(function()
      for i = 1, 3 do
        weir.spawn(limiter(function()
          local _ <close> = closing(function() log[#log + 1] = i end)
          weir.sleep(5)
        end))
      end
      weir.sleep(0)
      error "x"
    end)
    assert.same({ 1 }, log)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("runs again after an error", function()
    error_of(error, "x")
    error_of(function() weir.semaphore(1):acquire { cost = {} } end)
    assert.equal(1, weir.run(function()
      weir.sleep(SHORT)
      return 1
    end))
  end)

  it("leaves in_use right at its end", function()
    local limiter = weir.semaphore(2)
    weir.run(function()
      for _ = 1, 5 do weir.spawn(limiter(weir.sleep), 0) end
    end)
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(5, limiter:stats().admitted)
  end)

  it("never ends a wait early", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local early = weir.run(function()
      local tasks = {}
      for i = 1, 10 do
        local time = i * 0.00037
        tasks[i] = weir.spawn(function()
          local start = weir.now()
          if i % 2 == 0 then weir.sleep(time)
          else limiter:acquire { timeout = time } end
          return weir.now() - start < time
        end)
      end
      for i = 1, 10 do
        if tasks[i]:join() then return i end
      end
    end)
    assert.is_nil(early)
    permit:release()
  end)

  it("lets descriptors in between tasks that never wait", function()
    local turns = 0
    weir.run(function()
      local over
      weir.spawn(function()
        weir.sleep(SHORT)
        over = true
      end)
      while not over do
        turns = turns + 1
        coroutine.yield()
      end
    end)
    assert.is_true(turns > 1)
  end)
end)

describe("a deadlock", function()
  it("raises, and names all who hold and wait with file and line", function()
    local one = weir.limiter { concurrent = 1, name = "one" }
    local two = weir.limiter { concurrent = 2, name = "two" }
    local function lock(first, second)
      local _ <close> = first:acquire { cost = first:stats().limit }
      weir.sleep(0)
      local _ <close> = second:acquire()
    end
    local line = debug.getinfo(lock, "S").linedefined
    local text = error_of(function()
      weir.spawn(lock, one, two)
      weir.spawn(lock, two, one)
    end)
    assert.matches("^weir.run: deadlock: nothing is left to wait for but "
                   .. "permits, and nobody can give one back", text)
    local task = "\n  task %d+ %(spec/run_spec.lua:" .. line
      .. "%) at spec/run_spec.lua:" .. line + 3
    assert.matches(task .. " holds 1 of 'one'", text)
    assert.matches(task .. " holds 2 of 'two'", text)
    assert.matches(task .. " waits for 1 of 'one'", text)
    assert.matches(task .. " waits for 1 of 'two'", text)
    assert.same({ { 0, 0 }, { 0, 0 } }, { load(one), load(two) })
    assert.equal(1, weir.run(math.max, 1))
  end)

  it("names code outside any task, and unnamed limiters", function()
    local limiter = weir.semaphore(1)
    local line = debug.getinfo(1, "l").currentline - 1
    local permit = limiter:acquire()
    local text = error_of(limiter(print))
    assert.matches("\n  code outside any task holds 1 of 'spec/run_spec.lua:"
                   .. line .. "'", text)
    permit:release()
  end)

  it("is a limited function that needs itself in another task", function()
    local limiter, call = weir.semaphore(2), nil
    call = limiter(function(n)
      return n == 0 and 0 or weir.spawn(call, n - 1):join()
    end)
    assert.equal(0, weir.run(call, 1))
    assert.matches("deadlock", error_of(call, 2))
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("is tasks that join each other", function()
    local one, two
    local text = error_of(function()
      one = weir.spawn(function() two:join() end)
      two = weir.spawn(function() one:join() end)
    end)
    assert.matches("deadlock.*waits for something else", text)
    assert.same({ "canceled", "canceled" }, { one:status(), two:status() })
  end)

  it("is not while a dropped permit can be collected", function()
    local limiter = weir.semaphore(1)
    assert.equal("in", weir.run(function()
      limiter:acquire()
      return limiter(function() return "in" end)()
    end))
  end)

  it("is not while somebody sleeps or gives way", function()
    local limiter = weir.semaphore(1)
    assert.equal(2, weir.run(function()
      weir.spawn(function()
        local _ <close> = limiter:acquire()
        for _ = 1, 3 do coroutine.yield() end
        weir.sleep(SHORT)
      end)
      coroutine.yield()
      return limiter(math.max)(1, 2)
    end))
  end)

  it("names no more than a person reads", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local text = error_of(function()
      for _ = 1, 100 do weir.spawn(limiter(print)) end
    end)
    assert.equal(42, select(2, text:gsub("\n", "")) + 1)
    assert.matches("\n  and 61 more$", text)
    permit:release()
  end)
end)
