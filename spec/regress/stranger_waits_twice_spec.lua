--- A coroutine that is no task and was resumed by weir after its first wait
-- waited a second time: it took its first wait's fiber, which was free by then,
-- for its own. The next resume went through a NULL pointer, or two coroutines
-- shared one fiber.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

describe("a stranger", function()
  it("may wait again after weir resumed it", function()
    at(0)
    local log, limiter = {}, weir.semaphore(1)
    local permit = limiter:acquire()
    helper.stranger(function()
      for i = 1, 3 do
        weir.sleep(1)
        log[#log + 1] = i
      end
      limiter:acquire():release()
      log[#log + 1] = "permit"
    end)
    for time = 1, 3 do at(time) end
    permit:release()
    at(3)
    assert.same({ 1, 2, 3, "permit" }, log)
  end)

  it("that was let in and is done leaves no fiber to others", function()
    at(0)
    local limiter = weir.semaphore(1)
    for _ = 1, 2 do
      local permit = limiter:acquire()
      helper.stranger(limiter(math.max), 1)
      local task = weir.spawn(limiter(math.max), 7)
      at()
      permit:release()
      at()
      assert.equal(7, task:join())
    end
    assert.same({ 0, 0 }, helper.load(limiter))
  end)
end)
