--- Whether a limiter's decisions need the exact time was kept in each Lua
-- object. Where another object of the same name had set the timeout, it counted
-- from the turn's time: a task that had computed before it asked timed out
-- early, at once in this case.

local weir = require "weir"

describe("a timeout that another object of the same name has set", function()
  it("counts from the request", function()
    local one = weir.limiter { concurrent = 1, name = "regress timeout" }
    local other = weir.limiter { concurrent = 1, name = "regress timeout" }
    one:set { timeout = 0.004 }
    local permit = one:acquire()
    weir.run(function()
      weir.sleep(0)
      local start = os.clock()
      while os.clock() - start < 0.006 do end
      start = weir.now()
      assert.equal("timeout", select(2, other:acquire()).code)
      assert.is_true(weir.now() - start >= 0.004)
    end)
    permit:release()
  end)
end)
