--- Waiting in a queue: order, weights, timeouts, and leaving it.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load = helper.at, helper.load

describe("the queue", function()
  local limiter, log

  before_each(function()
    at(0)
    log = {}
  end)

  -- A task that writes its name into the log once it is in, and stays.
  local function waiter(name, options)
    local task = weir.spawn(function()
      local permit <close>, err = limiter:acquire(options)
      log[#log + 1] = permit and name or name .. " " .. err.code
      if permit then weir.sleep(1000) end
    end)
    at()
    return task
  end

  local function fill(n, concurrent)
    limiter = weir.semaphore(concurrent or n)
    local permits = {}
    for i = 1, n do permits[i] = limiter:acquire() end
    return permits
  end

  it("is first in, first out", function()
    local permits = fill(3)
    for i = 1, 9 do waiter(i) end
    for _, permit in ipairs(permits) do
      permit:release()
      at()
    end
    assert.same({ 1, 2, 3 }, log)
    at(1000)
    assert.same({ 1, 2, 3, 4, 5, 6 }, log)
    at(2000)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, log)
    at(3000)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("is the same for tasks and other coroutines", function()
    local permit = fill(1)[1]
    for i = 1, 6 do
      local start = i % 2 == 0 and weir.spawn or helper.stranger
      start(limiter(function() log[#log + 1] = i end))
      at()
    end
    permit:release()
    at()
    assert.same({ 1, 2, 3, 4, 5, 6 }, log)
  end)

  it("hands a permit to its head in the call that releases it", function()
    local permit = fill(1)[1]
    local head = waiter "head"
    permit:release()
    assert.same({ 1, 0 }, load(limiter))
    assert.equal("full", select(2, limiter:try_acquire()).code)
    assert.same({}, log)
    at()
    assert.same({ "head" }, log)
    head:cancel()
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("resumes nobody inside a release", function()
    local permit = fill(1)[1]
    local task = waiter "task"
    weir.spawn(function()
      permit:release()
      log[#log + 1] = "released"
    end)
    at()
    assert.same({ "released", "task" }, log)
    task:cancel()
  end)

  it("is left by who times out, neither early nor late", function()
    local permit = fill(1)[1]
    waiter("a", { timeout = 3 })
    waiter("b", { timeout = 1 })
    waiter("c", { timeout = 2 })
    at(1 - 1e-9)
    assert.same({}, log)
    at(1)
    assert.same({ "b timeout" }, log)
    assert.same({ 1, 2 }, load(limiter))
    at(5)
    assert.same({ "b timeout", "c timeout", "a timeout" }, log)
    assert.same({ 1, 0 }, load(limiter))
    assert.equal(3, limiter:stats().refused.timeout)
    permit:release()
  end)

  it("rounds a timeout up, never down", function()
    local permit = fill(1)[1]
    waiter("a", { timeout = 1e-12 })
    assert.same({}, log)
    at(1e-9)
    assert.same({ "a timeout" }, log)
    permit:release()
  end)

  it("is not entered with a timeout of 0", function()
    at(1)
    local permit = fill(1)[1]
    waiter("a", { timeout = 0 })
    assert.same({ "a timeout" }, log)
    permit:release()
    local task = waiter("b", { timeout = 0 })
    assert.same({ "a timeout", "b" }, log)
    task:cancel()
  end)

  it("lets a permit win that comes in the instant of the timeout", function()
    local permit = fill(1)[1]
    local task = waiter("a", { timeout = 1 })
    permit:release()
    at(1)
    assert.same({ "a" }, log)
    task:cancel()
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("waits for a heavy head, whoever follows", function()
    local permits = fill(3)
    local heavy = waiter("heavy", { cost = 3 })
    local light = waiter "light"
    permits[1]:release()
    permits[2]:release()
    at()
    assert.same({}, log)
    assert.same({ 1, 2 }, load(limiter))
    permits[3]:release()
    at()
    assert.same({ "heavy" }, log)
    heavy:cancel()
    at()
    assert.same({ "heavy", "light" }, log)
    light:cancel()
  end)

  it("lets as many go as a heavy holder gave back", function()
    limiter = weir.semaphore(5)
    local permit = limiter:acquire { cost = 5 }
    local tasks = {}
    for i = 1, 7 do tasks[i] = waiter(i) end
    permit:release()
    at()
    assert.same({ 1, 2, 3, 4, 5 }, log)
    assert.same({ 5, 2 }, load(limiter))
    for i = 7, 1, -1 do tasks[i]:cancel() end
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("is left in any order, from any place", function()
    local permit = fill(1)[1]
    local tasks = {}
    for i = 1, 9 do tasks[i] = waiter(i) end
    for _, i in ipairs { 5, 1, 9, 2 } do tasks[i]:cancel() end
    assert.same({ 1, 5 }, load(limiter))
    permit:release()
    for _ = 1, 5 do
      at()
      tasks[log[#log]]:cancel()
    end
    assert.same({ 3, 4, 6, 7, 8 }, log)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("grows and shrinks with the limit", function()
    local permits = fill(2)
    local tasks = {}
    for i = 1, 6 do tasks[i] = waiter(i) end
    limiter:set { concurrent = 4 }
    assert.same({ 4, 4 }, load(limiter))
    at()
    assert.same({ 1, 2 }, log)
    limiter:set { concurrent = 1 }
    assert.same({ 4, 4 }, load(limiter))
    permits[1]:release()
    permits[2]:release()
    tasks[1]:cancel()
    at()
    assert.same({ 1, 2 }, log)
    tasks[2]:cancel()
    at()
    assert.same({ 1, 2, 3 }, log)
    for i = 3, 6 do tasks[i]:cancel() end
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("refuses a heavy waiter that a smaller limit cannot admit", function()
    local permits = fill(3)
    waiter("heavy", { cost = 3 })
    local light = waiter "light"
    limiter:set { concurrent = 2 }
    at()
    assert.same({ "heavy impossible" }, log)
    for _, permit in ipairs(permits) do permit:release() end
    at()
    assert.same({ "heavy impossible", "light" }, log)
    light:cancel()
  end)

  it("is open to who comes once everybody is in", function()
    local permit = fill(1)[1]
    local task = waiter "a"
    permit:release()
    at()
    task:cancel()
    permit = limiter:acquire()
    assert.same({ 1, 0 }, load(limiter))
    permit:release()
  end)
end)

describe("limiter:close", function()
  before_each(function() at(0) end)

  it("refuses all who wait and all who come, and nobody who holds", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local task = weir.spawn(limiter(print))
    local other = weir.spawn(function() return limiter:acquire() end)
    at(0)
    assert.same({ n = 0 }, table.pack(limiter:close()))
    assert.same({ 1, 0 }, load(limiter))
    assert.is_true(limiter:stats().closed)
    at(0)
    for _, refused in ipairs { task, other } do
      local nothing, err = refused:join()
      assert.is_nil(nothing)
      assert.equal("closed", err.code)
    end
    assert.equal("closed", select(2, limiter:try_acquire()).code)
    assert.equal("closed", select(2, limiter(print)()).code)
    permit:release()
    assert.same({ 0, 0 }, load(limiter))
    assert.equal("closed", select(2, limiter:acquire()).code)
  end)

  it("may be called again", function()
    local limiter = weir.semaphore(1)
    limiter:close()
    limiter:close()
    limiter:set { concurrent = 5 }
    assert.equal("closed", select(2, limiter:acquire()).code)
  end)
end)

describe("limiter:drain", function()
  before_each(function() at(0) end)

  it("is true at once when nothing is held", function()
    local limiter = weir.semaphore(1)
    assert.same({ true, n = 1 }, table.pack(limiter:drain()))
    assert.equal("closed", select(2, limiter:acquire()).code)
  end)

  it("waits for the holders and for those who waited before", function()
    local limiter, log = weir.semaphore(1), {}
    local permit = limiter:acquire()
    weir.spawn(limiter(function()
      log[#log + 1] = "waiter in"
      weir.sleep(1)
      log[#log + 1] = "waiter out"
    end))
    at(0)
    for i = 1, 2 do
      weir.spawn(function()
        local drained = limiter:drain()
        log[#log + 1] = drained and "drained " .. i
      end)
    end
    at(0)
    local late = weir.spawn(limiter(print), "late")
    at(0)
    assert.equal("closed", select(2, late:join()).code)
    permit:release()
    at(0)
    assert.same({ "waiter in" }, log)
    at(1)
    assert.same({ "waiter in", "waiter out", "drained 1", "drained 2" }, log)
  end)

  it("gives up after its timeout", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local task = weir.spawn(function() return limiter:drain(2) end)
    at(0)
    assert.equal("waiting", task:status())
    at(2)
    local nothing, err = task:join()
    assert.same({ nil, "timeout", 2 }, { nothing, err.code, err.waited })
    assert.is_true(limiter:stats().closed)
    permit:release()
    assert.is_true(limiter:drain())
  end)

  it("can be canceled", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local task = weir.spawn(function() return limiter:drain() end)
    at(0)
    assert.same({ 1, 0 }, load(limiter))
    task:cancel()
    permit:release()
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("says where it cannot wait", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    helper.raises("limiter:drain would have to wait, and nothing can wait here",
                  function() limiter:drain() end)
    permit:release()
  end)
end)
