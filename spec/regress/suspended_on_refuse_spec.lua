--- A refused call put its record back among the idle ones, and kept it on its
-- own stack as well while on_refuse was running. Another call that used the
-- record did not get its permit back when its coroutine was collected, as long
-- as that on_refuse was suspended.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("a suspended on_refuse", function()
  it("keeps no other call's permit", function()
    local refusing = weir.rate_limit {
      concurrent = 1, queue = 0, on_refuse = coroutine.yield
    }
    local permit = refusing:acquire()
    local suspended = helper.stranger(refusing(print))
    local limiter = weir.semaphore(1)
    local dropped = { helper.stranger(limiter(coroutine.yield)) }
    assert.same({ 1, 0 }, helper.load(limiter))
    helper.forget(dropped)
    assert.same({ 0, 0 }, helper.load(limiter))
    coroutine.close(suspended)
    permit:release()
  end)
end)
