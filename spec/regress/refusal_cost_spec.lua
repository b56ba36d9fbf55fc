--- The error of a refused request told the limiter's cost, or 1, instead of the
-- request's: "it costs 1 permits and there are only 3".

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

describe("a refusal's cost", function()
  before_each(function() at(0) end)

  it("is what the cost function said", function()
    local call = weir.rate_limit {
      concurrent = 3, cost = function(n) return n end
    }(print)
    local _, err = call(5)
    assert.equal(5, err.cost)
    assert.matches("it costs 5 permits and there are only 3", tostring(err))
  end)

  it("is what acquire was told, also after a wait", function()
    local limiter = weir.semaphore(3)
    local permit = limiter:acquire()
    local task = weir.spawn(limiter.acquire, limiter, { cost = 3 })
    at()
    limiter:set { concurrent = 2 }
    at()
    local _, err = task:join()
    assert.same({ "impossible", 3 }, { err.code, err.cost })
    permit:release()
  end)

  it("is what a call costs, also after a wait", function()
    local limiter = weir.rate_limit {
      concurrent = 3, cost = function(n) return n end, timeout = 1
    }
    local permit = limiter:acquire { cost = 3 }
    local task = weir.spawn(limiter(print), 2)
    at()
    at(1)
    local _, err = task:join()
    assert.same({ "timeout", 2 }, { err.code, err.cost })
    permit:release()
  end)
end)
