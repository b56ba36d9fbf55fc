--- weir.step: frames and virtual time, without a loop.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

describe("weir.step", function()
  before_each(function() at(0) end)

  it("answers 0 and no deadline when there is nothing to do", function()
    assert.same({ 0, n = 1 }, table.pack(at(1)))
    assert.same({ 0, n = 1 }, table.pack(weir.step()))
  end)

  it("sets the time", function()
    at(5.5)
    assert.equal(5.5, weir.now())
    weir.step()
    assert.equal(5.5, weir.now())
  end)

  it("takes a time that goes backwards", function()
    local done
    local task = weir.spawn(function() weir.sleep(1) done = true end)
    at(10)
    at(5)
    assert.equal(5, weir.now())
    at(10.999)
    assert.is_nil(done)
    at(11)
    assert.is_true(done)
    assert.equal("done", task:status())
  end)

  it("resumes each task up to its next wait, in order", function()
    local log = {}
    for i = 1, 3 do
      weir.spawn(function()
        log[#log + 1] = "start " .. i
        weir.sleep(4 - i)
        log[#log + 1] = "end " .. i
      end)
    end
    assert.same({ 3, 1 }, { at(0) })
    assert.same({ 0, 1 }, { at(0.5) })
    assert.same({ 1, 2 }, { at(1) })
    assert.same({ 2 }, { at(9) })
    assert.same({ "start 1", "start 2", "start 3", "end 3", "end 2", "end 1" },
                log)
  end)

  it("wakes sleepers in the order of their deadlines", function()
    local log = {}
    for i, time in ipairs { 5, 3, 4, 3, 1 } do
      weir.spawn(function()
        weir.sleep(time)
        log[#log + 1] = i
      end)
    end
    at(0)
    at(10)
    assert.same({ 5, 2, 4, 3, 1 }, log)
  end)

  it("never wakes a sleeper early", function()
    local done
    weir.spawn(function() weir.sleep(0.1) done = true end)
    at(0)
    at(0.1 - 1e-9)
    assert.is_nil(done)
    at(0.1)
    assert.is_true(done)
  end)

  it("resumes no more than its budget, and the others the next time", function()
    local log = {}
    for i = 1, 5 do weir.spawn(function() log[#log + 1] = i end) end
    assert.equal(2, weir.step(0, 2))
    assert.same({ 1, 2 }, log)
    assert.equal(1, weir.step(nil, 1))
    assert.equal(2, weir.step(0, 2))
    assert.equal(0, weir.step(0, 2))
    assert.same({ 1, 2, 3, 4, 5 }, log)
  end)

  it("brings permits on within the same frame", function()
    local limiter, log = weir.semaphore(1), {}
    for i = 1, 3 do
      weir.spawn(limiter(function() log[#log + 1] = i end))
    end
    assert.equal(3, at(1))
    assert.same({ 1, 2, 3 }, log)
  end)

  it("counts what waits for permits in no deadline", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local task = weir.spawn(limiter(function() return "in" end))
    assert.same({ 1, n = 1 }, table.pack(at(1)))
    permit:release()
    assert.same({ 1, n = 1 }, table.pack(at(1)))
    assert.equal("in", task:join())
  end)

  it("tells the next deadline of a wait with a timeout", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local task = weir.spawn(function()
      return limiter:acquire { timeout = 2.5 }
    end)
    assert.same({ 1, 4.5 }, { at(2) })
    assert.same({ 1, n = 1 }, table.pack(at(4.5)))
    assert.equal("timeout", select(2, task:join()).code)
    permit:release()
  end)

  it("raises the error of a task that nobody can join", function()
    weir.spawn(function() error({}, 0) end)
    local value = { "the same" }
    weir.spawn(function() error(value) end)
    helper.collect()
    assert.is_false(pcall(at, 1))
    local ok, err = pcall(at, 1)
    assert.is_false(ok)
    assert.equal(value, err)
    assert.equal(0, at(1))
  end)

  it("leaves the error of a task that somebody has to its join", function()
    local task = weir.spawn(function() error("kept", 0) end)
    assert.equal(1, at(1))
    assert.equal("failed", task:status())
    assert.has_error(function() task:join() end, "kept")
  end)

  it("does not run inside itself, and weir.run not inside it", function()
    local messages = {}
    weir.spawn(function()
      for _, fn in ipairs { weir.step, weir.run } do
        table.insert(messages, select(2, pcall(fn, print)))
      end
    end)
    at(1)
    assert.matches("weir.step: the tasks are being run already", messages[1])
    assert.matches("weir.run: the loop runs already", messages[2])
  end)

  it("leaves no loop to run or to watch with", function()
    assert.error_matches(function() weir.run(print) end, "weir.step")
    assert.error_matches(function() weir.readable(0) end, "weir.step")
    assert.error_matches(function() weir.resolve "localhost" end, "weir.step")
  end)

  it("takes its time from the clock until it is given one", function()
    local out = helper.child(function()
      local w = require "weir"
      local start, done = w.now(), nil
      w.spawn(function() w.sleep(0.01) done = w.now() - start end)
      repeat w.step() until done
      print(done >= 0.01 and done < 5, select("#", w.step()))
    end)
    assert.equal("true\t1\n", out)
  end)
end)
