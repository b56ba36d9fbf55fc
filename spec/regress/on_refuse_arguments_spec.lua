--- on_refuse was called with the limiter's label after the call's arguments,
-- left on the stack by what made the error: on_refuse = error raised "number
-- expected, got string" instead of the refusal.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("on_refuse", function()
  it("gets the error and the arguments, and nothing else", function()
    local limiter = weir.rate_limit {
      concurrent = 1, queue = 0, on_refuse = function(...) return ... end
    }
    local permit = limiter:acquire()
    local call = limiter(print)
    assert.equal(1, select("#", call()))
    assert.equal(4, select("#", call(1, nil, nil)))
    permit:release()
  end)

  it("may be error itself", function()
    local limiter = weir.rate_limit {
      concurrent = 1, queue = 0, on_refuse = error
    }
    local permit = limiter:acquire()
    local ok, err = pcall(limiter(print))
    assert.same({ false, "full" }, { ok, err.code })
    permit:release()
  end)
end)
