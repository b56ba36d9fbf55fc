--- Who goes next: in order of arrival, the last first, by priority, or flows in
-- turn.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through, load = helper.at, helper.through, helper.load

local MANY = helper.stress and 1000 or 10000

-- A limiter whose permits are held, and a log of who is admitted after that.
local function held(options)
  options.concurrent = options.concurrent or 1
  local limiter, log = weir.rate_limit(options), {}
  local permit = limiter:acquire { cost = options.concurrent }
  local queue = { limiter = limiter, log = log, permit = permit }

  -- A task that waits, under a name.
  function queue.wait(name, wishes)
    local task = weir.spawn(function()
      local admitted = limiter:acquire(wishes)
      if admitted then
        log[#log + 1] = name
        weir.sleep(0.001)
        admitted:release()
      end
    end)
    at()
    return task
  end

  -- Lets all go; in which order they were admitted.
  function queue.go()
    queue.permit:release()
    through(weir.now() + 1000)
    assert.same({ 0, 0 }, load(limiter))
    return log
  end
  return queue
end

describe("each order", function()
  before_each(function() at(0) end)

  for order, expected in pairs {
    fifo = { "b", "d", "e" }, lifo = { "e", "d", "b" },
    priority = { "b", "d", "e" }, fair = { "b", "d", "e" },
  } do
    it("closes up when one leaves, by " .. order, function()
      local queue = held { order = order }
      local tasks = {}
      for _, name in ipairs { "a", "b", "c", "d", "e" } do
        tasks[name] = queue.wait(name, name == "c" and { timeout = 1 } or nil)
      end
      tasks.a:cancel()
      at(1)
      assert.same({ 1, 3 }, load(queue.limiter))
      assert.same(expected, queue.go())
    end)

    it("lets nobody pass who waits, by " .. order, function()
      local queue = held { order = order, concurrent = 3 }
      queue.wait("heavy", { cost = 3 })
      local nothing, err = queue.limiter:try_acquire()
      assert.same({ nil, "full" }, { nothing, err.code })
      assert.same({ "heavy" }, queue.go())
    end)

    it("is one for each key, by " .. order, function()
      local limiter = weir.rate_limit { concurrent = 1, order = order,
                                        key = function(key) return key end }
      local log = {}
      local call = limiter(function(key, name)
        weir.sleep(1)
        log[#log + 1] = key .. name
      end)
      for name = 0, 2 do
        for _, key in ipairs { "x", "y" } do weir.spawn(call, key, name) end
        at()
      end
      through(100)
      local last = order == "lifo"
      assert.same({ "x0", "y0", last and "x2" or "x1", last and "y2" or "y1",
                    last and "x1" or "x2", last and "y1" or "y2" }, log)
    end)

    it("takes very many who leave from everywhere, by " .. order, function()
      local queue = held { order = order, concurrent = 5 }
      local tasks, left, served = {}, 0, 0
      math.randomseed(3)
      for i = 1, MANY do
        tasks[i] = weir.spawn(function()
          queue.limiter:acquire { priority = i % 32 - 16, flow = "f" .. i % 7 }
               :release()
          served = served + 1
        end)
      end
      at()
      for i = 1, MANY do
        if math.random(3) > 1 then tasks[i]:cancel() else left = left + 1 end
      end
      assert.same({ 5, left }, load(queue.limiter))
      queue.go()
      assert.equal(left, served)
    end)
  end
end)

describe("the order lifo", function()
  before_each(function() at(0) end)

  it("admits who came last", function()
    local queue = held { order = "lifo" }
    for i = 1, 5 do queue.wait(i) end
    assert.same({ 5, 4, 3, 2, 1 }, queue.go())
  end)

  it("puts a newcomer before all who wait, but not through", function()
    local queue = held { order = "lifo" }
    queue.wait "old"
    queue.permit:release()
    queue.permit = { release = function() end }
    queue.wait "new" -- the permit is granted to the old one already
    assert.same({ "old", "new" }, queue.go())
  end)

  it("lets the last go of a rate", function()
    local limiter, log = weir.limiter { rate = "1/s", order = "lifo" }, {}
    for i = 1, 4 do
      weir.spawn(function()
        limiter:acquire()
        log[#log + 1] = i .. " at " .. weir.now()
      end)
    end
    through(10)
    assert.same({ "1 at 0.0", "4 at 1.0", "3 at 2.0", "2 at 3.0" }, log)
  end)
end)

describe("the order of priority", function()
  before_each(function() at(0) end)

  it("admits the highest, and who came first within it", function()
    local queue = held { order = "priority" }
    for i, priority in ipairs { 0, -16, 15, 0, 7, 15, -1 } do
      queue.wait(priority .. " " .. i, { priority = priority })
    end
    assert.same({ "15 3", "15 6", "7 5", "0 1", "0 4", "-1 7", "-16 2" },
                queue.go())
  end)

  it("takes the limiter's own where a request says none", function()
    local queue = held { order = "priority", priority = 3 }
    queue.wait "3"
    queue.wait("2", { priority = 2 })
    queue.wait("0", { priority = 0 })
    queue.wait("4", { priority = 4 })
    queue.wait("3 again", {})
    assert.same({ "4", "3", "3 again", "2", "0" }, queue.go())
  end)

  it("may be a function of the arguments", function()
    local log, seen = {}, nil
    local limiter = weir.rate_limit {
      concurrent = 1, order = "priority",
      priority = function(...)
        seen = table.pack(...)
        return ...
      end
    }
    local call = limiter(function(priority)
      weir.sleep(1)
      log[#log + 1] = priority
    end)
    for _, priority in ipairs { 0, 1, 5, -5, 15 } do
      weir.spawn(call, priority, nil, "x", nil)
    end
    through(100)
    assert.same({ 0, 15, 5, 1, -5 }, log)
    assert.same(table.pack(15, nil, "x", nil), seen)
  end)

  it("is strict without aging: the low ones starve", function()
    local queue = held { order = "priority" }
    queue.wait("low", { priority = -1 })
    for i = 1, 20 do
      at(i)
      queue.wait("high", { priority = 0 })
    end
    assert.equal("low", queue.go()[21])
  end)

  it("counts waiting with aging", function()
    for _, case in ipairs { { 4, "high" }, { 6, "low" } } do
      at(0)
      local queue = held { order = "priority", aging = 1 }
      queue.wait("low", { priority = 0 })
      at(case[1]) -- seconds, each worth one step
      queue.wait("high", { priority = 5 })
      assert.equal(case[2], queue.go()[1])
    end
  end)

  it("lets nobody starve with aging", function()
    local limiter = weir.rate_limit { concurrent = 1, order = "priority",
                                      aging = 0.5 }
    local done
    local busy = limiter(function() weir.sleep(1) end)
    for _ = 1, 3 do
      weir.spawn(function()
        while not done do limiter:acquire { priority = 10 }:release() busy() end
      end)
    end
    at()
    weir.spawn(function()
      limiter:acquire { priority = -5 }
      done = weir.now()
    end)
    through(100)
    assert.is_true(done and done <= 0.5 * 15 + 3, tostring(done))
  end)

  it("that functions raise or get wrong holds nothing", function()
    local limiter = weir.rate_limit { concurrent = 1, order = "priority",
                                      priority = error }
    assert.has_error(function() limiter(print) "x" end, "x")
    helper.raises("weir: what the priority function returned must be a whole "
                  .. "number from -16 to 15, got ", function()
      weir.rate_limit { concurrent = 1, order = "priority",
                        priority = tostring }(print)(1)
    end)
    assert.same({ 0, 0 }, load(limiter))
  end)
end)

describe("the order fair", function()
  before_each(function() at(0) end)

  it("takes flows in turn", function()
    local queue = held { order = "fair" }
    for i = 1, 3 do
      for _, flow in ipairs { "a", "a", "b", "c" } do
        queue.wait(flow .. i, { flow = flow })
      end
    end
    assert.same({ "a1", "b1", "c1", "a1", "b2", "c2", "a2", "b3", "c3",
                  "a2", "a3", "a3" }, queue.go())
  end)

  it("shares by cost, not by number", function()
    local queue = held { order = "fair", concurrent = 3 }
    for _ = 1, 10 do queue.wait("heavy", { flow = "h", cost = 3 }) end
    for _ = 1, 30 do queue.wait("light", { flow = "l", cost = 1 }) end
    local log, counts = queue.go(), { heavy = 0, light = 0 }
    for i = 1, 16 do counts[log[i]] = counts[log[i]] + 1 end
    assert.is_true(counts.heavy >= 3 and counts.heavy <= 5,
                   "heavy " .. counts.heavy .. " of the first 16")
  end)

  it("asks the flow function, for which nil is one flow, too", function()
    local log, seen = {}, nil
    local limiter = weir.rate_limit {
      concurrent = 1, order = "fair",
      flow = function(...)
        seen = table.pack(...)
        return ...
      end
    }
    local call = limiter(function(flow, i)
      weir.sleep(1)
      log[#log + 1] = tostring(flow) .. i
    end)
    for i = 1, 3 do weir.spawn(call, nil, i, nil) end
    for i = 1, 3 do weir.spawn(call, "", i, nil) end
    for i = 1, 3 do weir.spawn(call, "a\0b", i, nil) end
    through(100)
    assert.same({ "nil1", "nil2", "1", "a\0b1", "nil3", "2", "a\0b2", "3",
                  "a\0b3" }, log)
    assert.same(table.pack("a\0b", 3, nil), seen)
  end)

  it("does not let a tenant with 10,000 waiters keep others out", function()
    local limiter = weir.rate_limit {
      concurrent = 10, order = "fair", flow = function(flow) return flow end
    }
    local call = limiter(function(_, seconds) weir.sleep(seconds) end)
    for _ = 1, MANY do weir.spawn(call, "noisy", 1) end
    at()
    local waited = {}
    for i = 1, 5 do
      weir.spawn(function()
        weir.sleep(i)
        local since = weir.now()
        call("quiet " .. i, 1)
        waited[i] = weir.now() - since - 1
      end)
    end
    through(10)
    assert.equal(5, #waited)
    for i = 1, 5 do assert.is_true(waited[i] <= 1, tostring(waited[i])) end
    limiter:close()
    at()
  end)

  it("forgets a flow when nobody of it waits", function()
    local limiter = weir.rate_limit {
      concurrent = 1, order = "fair", flow = function(flow) return flow end
    }
    local call = limiter(function() end)
    for i = 1, 2000 do
      local permit = limiter:acquire()
      local task = weir.spawn(call, "flow " .. i)
      at()
      permit:release()
      at()
      assert(task:status() == "done")
    end
    assert.same({ 0, 0 }, load(limiter))
  end)
end)

describe("limiter:set{order=}", function()
  it("is for the next queue: who waits stays where it is", function()
    at(0)
    local queue = held {}
    queue.wait "a"
    queue.wait "b"
    queue.limiter:set { order = "lifo" }
    queue.wait "c"
    assert.same({ "a", "b", "c" }, queue.go())
    queue.permit = queue.limiter:acquire()
    local permit = queue.permit
    for i = 1, 3 do queue.wait(i) end
    permit:release()
    through(weir.now() + 10)
    assert.same({ "a", "b", "c", 3, 2, 1 }, queue.log)
  end)
end)
