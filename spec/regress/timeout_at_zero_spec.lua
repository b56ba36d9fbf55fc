--- A deadline of 0 ns means none to the engine. In virtual time that starts at
-- 0, acquire{ timeout = 0 } made just that deadline, and waited for ever.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("timeout = 0 at time 0", function()
  it("waits not at all", function()
    helper.at(0)
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    local task = weir.spawn(limiter.acquire, limiter, { timeout = 0 })
    helper.at(0)
    helper.at(1)
    assert.equal("done", task:status())
    assert.equal("timeout", select(2, task:join()).code)
    permit:release()
  end)
end)
