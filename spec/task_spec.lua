--- Tasks: joining, errors, status, traceback. Canceling: cancel_spec.lua.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

-- What a task returns or raises: pcall's results, packed.
local function joined(task)
  return table.pack(pcall(task.join, task))
end

describe("weir.spawn", function()
  before_each(function() at(0) end)

  it("starts fn later, with its arguments", function()
    local seen
    local task = weir.spawn(function(...) seen = table.pack(...) end, 1, nil)
    assert.is_nil(seen)
    assert.equal("runnable", task:status())
    at()
    assert.same({ 1, nil, n = 2 }, seen)
  end)

  it("runs tasks in the order they came", function()
    local log = {}
    for i = 1, 4 do weir.spawn(table.insert, log, i) end
    at()
    assert.same({ 1, 2, 3, 4 }, log)
  end)

  it("takes what can be called", function()
    local callable = setmetatable({}, { __call = function(_, x) return x end })
    local task, other = weir.spawn(callable, 5), weir.spawn(weir.sleep, 1)
    at()
    at(1)
    assert.same({ true, 5, n = 2 }, joined(task))
    assert.same({ true, n = 1 }, joined(other))
  end)

  it("works inside tasks", function()
    local inner
    local outer = weir.spawn(function()
      inner = weir.spawn(function() return "inner" end)
      return inner:join()
    end)
    at()
    assert.same({ true, "inner", n = 2 }, joined(outer))
  end)

  it("passes very many arguments and results on", function()
    local many = {}
    for i = 1, 5000 do many[i] = i end
    local task = weir.spawn(function(...) return ... end, table.unpack(many))
    at()
    assert.same(many, { task:join() })
  end)
end)

describe("task:join", function()
  before_each(function() at(0) end)

  it("answers all results, also to several, also again", function()
    local task = weir.spawn(function()
      weir.sleep(1)
      return nil, 2, nil
    end)
    local joiners = {}
    for i = 1, 3 do joiners[i] = weir.spawn(task.join, task) end
    at()
    at(1)
    for _, joiner in ipairs(joiners) do
      assert.same({ true, nil, 2, nil, n = 4 }, joined(joiner))
    end
    assert.same({ true, nil, 2, nil, n = 4 }, joined(task))
  end)

  it("wakes its joiners in the order they came", function()
    local task, log = weir.spawn(weir.sleep, 1), {}
    for i = 1, 4 do
      weir.spawn(function()
        task:join()
        log[#log + 1] = i
      end)
    end
    at()
    at(1)
    assert.same({ 1, 2, 3, 4 }, log)
  end)

  it("raises the same value that the task raised", function()
    for _, value in ipairs { "text", 5, {}, print, false } do
      local task = weir.spawn(function() error(value, 0) end)
      local joiner = weir.spawn(task.join, task)
      at()
      for _, failed in ipairs { task, joiner, task } do
        assert.equal("failed", failed:status())
        local result = joined(failed)
        assert.same({ false, 2 }, { result[1], result.n })
        assert.equal(value, result[2])
      end
    end
    local task = weir.spawn(function() error(nil) end)
    local silent = weir.spawn(function() return pcall(task.join, task) end)
    at()
    assert.same({ true, false, nil, n = 3 }, joined(silent))
    assert.same({ false, nil, n = 2 }, joined(task))
  end)

  it("gives up after its timeout, and may be asked again", function()
    local task = weir.spawn(function()
      weir.sleep(3)
      return "late"
    end)
    local joiner = weir.spawn(function() return task:join(2) end)
    at()
    at(1.9)
    assert.equal("waiting", joiner:status())
    at(2)
    local nothing, err = joiner:join()
    assert.same({ nil, "timeout" }, { nothing, err.code })
    assert.equal("waiting", task:status())
    at(3)
    assert.equal("late", task:join(0))
  end)

  it("with a timeout of 0 looks whether the task is over", function()
    local task = weir.spawn(weir.sleep, 1)
    local joiner = weir.spawn(function() return task:join(0) end)
    at(0.5)
    at(0.5)
    assert.equal("timeout", select(2, joiner:join()).code)
    at(1.5)
    assert.same({ true, n = 1 }, joined(task))
  end)

  it("answers nil and an error for a canceled task", function()
    local task = weir.spawn(weir.sleep, 1)
    local joiner = weir.spawn(task.join, task)
    at()
    task:cancel()
    at()
    for _, canceled in ipairs { task, joiner } do
      local nothing, err = canceled:join()
      assert.same({ nil, "canceled" }, { nothing, err.code })
    end
  end)

  it("works from other coroutines", function()
    local task, result = weir.spawn(weir.sleep, 1), nil
    helper.stranger(function()
      result = table.pack(task:join())
    end)
    at()
    at(1)
    assert.same({ n = 0 }, result)
  end)

  it("does not wait for itself", function()
    local task
    task = weir.spawn(function() task:join() end)
    at()
    assert.error_matches(function() task:join() end,
                         "task:join: a task cannot wait for its own end")
  end)

  it("says where it cannot wait", function()
    local task = weir.spawn(weir.sleep, 1)
    helper.raises("task:join would have to wait, and nothing can wait here",
                  function() task:join() end)
    task:cancel()
  end)

  it("is left when the joiner is canceled", function()
    local task = weir.spawn(weir.sleep, 1)
    local joiners = {}
    for i = 1, 3 do joiners[i] = weir.spawn(task.join, task) end
    at()
    joiners[2]:cancel()
    at(1)
    assert.same({ "done", "canceled", "done" },
                { joiners[1]:status(), joiners[2]:status(),
                  joiners[3]:status() })
  end)
end)

describe("coroutine.yield inside a task", function()
  before_each(function() at(0) end)

  it("lets the others run, and comes back", function()
    local log = {}
    for i = 1, 2 do
      weir.spawn(function()
        for j = 1, 2 do
          log[#log + 1] = i .. j
          assert(select("#", coroutine.yield("dropped")) == 0)
        end
      end)
    end
    at()
    at()
    at()
    assert.same({ "11", "21", "12", "22" }, log)
  end)

  it("and weir.sleep(0) let others run as well", function()
    local log = {}
    for i, yield in ipairs { coroutine.yield, weir.sleep } do
      weir.spawn(function()
        for _ = 1, 2 do
          log[#log + 1] = i
          yield(0)
        end
      end)
    end
    for _ = 1, 3 do at() end
    assert.same({ 1, 2, 1, 2 }, log)
  end)

  it("inside a coroutine of the task's own goes to the task", function()
    local task = weir.spawn(function()
      local generator = coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(i) end
      end)
      return generator() + generator() + generator()
    end)
    at()
    assert.equal(6, task:join())
  end)
end)

describe("a task", function()
  before_each(function() at(0) end)

  it("tells its status", function()
    local limiter, during = weir.semaphore(1), nil
    local permit = limiter:acquire()
    local task
    task = weir.spawn(function()
      during = task:status()
      coroutine.yield()
      limiter:acquire():release()
    end)
    local seen = { task:status() }
    weir.step(0, 1)
    seen[2] = task:status()
    at()
    at()
    seen[3] = task:status()
    permit:release()
    at()
    seen[4] = task:status()
    assert.same({ "runnable", "runnable", "waiting", "done" }, seen)
    assert.equal("running", during)
  end)

  it("has a name with the place of its function", function()
    local task = weir.spawn(function() weir.sleep(1) end)
    local line = debug.getinfo(1, "l").currentline - 1
    at()
    assert.matches("^weir.task %d+ %(spec/task_spec.lua:" .. line
                   .. "%): waiting$", tostring(task))
    task:cancel()
    assert.matches("^weir.task %d+: canceled$", tostring(task))
  end)

  it("tells where it is, or where it failed", function()
    local function place() weir.sleep(1) end
    local line = debug.getinfo(place, "S").linedefined
    local task = weir.spawn(function()
      place()
      error "x"
    end)
    at()
    assert.matches("task_spec.lua:" .. line .. ": in upvalue 'place'",
                   task:traceback())
    at(1)
    assert.matches("in function 'error'\n.-task_spec.lua", task:traceback())
    pcall(task.join, task)
    local other = weir.spawn(function() end)
    at()
    assert.is_nil(other:traceback())
  end)

  it("goes on when nobody has it any more", function()
    local done
    weir.spawn(function()
      weir.sleep(1)
      helper.collect()
      weir.sleep(1)
      done = true
    end)
    at()
    helper.collect()
    at(1)
    helper.collect()
    at(2)
    assert.is_true(done)
  end)

  it("is forgotten when it is over and nobody has it", function()
    local weak = setmetatable({}, { __mode = "v" })
    weir.spawn(function() weak[1] = {} return weak[1] end)
    at()
    helper.collect()
    assert.is_nil(weak[1])
  end)

  it("keeps its results while somebody has it", function()
    local task = weir.spawn(function() return {} end)
    at()
    helper.collect()
    assert.same({}, task:join())
  end)

  it("gives up its coroutine when it is over", function()
    local weak = setmetatable({}, { __mode = "k" })
    local task = weir.spawn(function() weak[coroutine.running()] = true end)
    at()
    helper.collect()
    assert.is_nil(next(weak))
    assert.equal("done", task:status())
  end)

  it("keeps its metatable to itself", function()
    local task = weir.spawn(print)
    assert.equal("weir.task", getmetatable(task))
    assert.has_error(function() setmetatable(task, {}) end)
    task:cancel()
  end)

  it("raises errors of its own that closing replaces", function()
    local task = weir.spawn(function()
      local _ <close> = helper.closing(function() error("closing", 0) end)
      error("first", 0)
    end)
    at()
    assert.has_error(function() task:join() end, "closing")
  end)

  it("closes its variables when it fails", function()
    local seen
    local task = weir.spawn(function()
      local _ <close> = helper.closing(function(err) seen = err end)
      error("first", 0)
    end)
    at()
    assert.equal("first", seen)
    assert.has_error(function() task:join() end, "first")
  end)
end)
