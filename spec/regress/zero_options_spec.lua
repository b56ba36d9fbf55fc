--- An option of 0 that means nothing was taken in silence for the default, so
-- that rate = 5, per = 0 was 5 a second and a target of 0 one of 5 ms: to the
-- engine 0 is what was not said.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("an option of 0", function()
  local SOME = " must be a number of seconds above 0, up to 1000000000, got 0"

  it("is no number of seconds that something lasts", function()
    for name, options in pairs {
      ["per"] = { rate = 5, per = 0 },
      ["aging"] = { concurrent = 1, order = "priority", aging = 0 },
      ["shed: target"] = { concurrent = 1, shed = { target = 0 } },
      ["shed: interval"] = { concurrent = 1, shed = { interval = 0 } },
      ["adaptive: timeout"] =
        { adaptive = { algorithm = "aimd", timeout = 0 } },
    } do
      helper.raises("weir.limiter: " .. name .. SOME,
                    function() weir.limiter(options) end)
    end
  end)

  it("is no factor", function()
    for _, name in ipairs { "backoff", "smoothing", "tolerance" } do
      helper.raises(("weir.limiter: adaptive: %s must be a number above 0, got "
                     .. "0"):format(name), function()
        weir.limiter { adaptive = { algorithm = "aimd", [name] = 0 } }
      end)
    end
  end)

  it("is a timeout, which nobody waits for", function()
    local limiter = weir.limiter { concurrent = 1, timeout = 0 }
    local permit = limiter:acquire()
    assert.equal("timeout", select(2, limiter:acquire()).code)
    permit:release()
  end)
end)
