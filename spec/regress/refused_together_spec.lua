--- The error of a call that weir.all refused told the cost of the first one,
-- and no key, whoever refused: both are those of the one that did.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

describe("a refusal of weir.all", function()
  local calls, users, bytes, call

  before_each(function()
    at(0)
    calls = weir.limiter { concurrent = 9, key = function() return "call" end }
    users = weir.limiter { concurrent = 1, timeout = 1, order = "fair",
                           key = function(user) return user end,
                           flow = function(_, _, flow) return flow end }
    bytes = weir.limiter { concurrent = 100,
                           cost = function(_, n) return n end }
    call = weir.all { calls, users, bytes }(print)
  end)

  it("has the key of the one that refused", function()
    local permit = users:acquire "u"
    users:set { queue = 0 }
    local _, err = call("u", 5, "flow")
    assert.same({ "full", "u", 1 }, { err.code, err.key, err.cost })
    permit:release()
  end)

  it("has its cost, and no key if it has none", function()
    local permit = bytes:acquire { cost = 50 }
    bytes:set { queue = 0 }
    local _, err = call("u", 70)
    assert.same({ "full", 70 }, { err.code, err.cost })
    assert.is_nil(err.key)
    permit:release()
  end)

  it("has them after a wait as well", function()
    local permit = users:acquire "u"
    local task = weir.spawn(call, "u", 5)
    at()
    at(1)
    local _, err = task:join()
    assert.same({ "timeout", "u", 1 }, { err.code, err.key, err.cost })
    permit:release()
  end)

  it("has the cost of acquire", function()
    local permit = bytes:acquire { cost = 50 }
    local both = weir.all { weir.semaphore(99), bytes }
    local _, err = both:try_acquire { cost = 60 }
    assert.same({ "full", 60 }, { err.code, err.cost })
    permit:release()
  end)
end)
