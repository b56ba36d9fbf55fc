--- Names were compared up to their first NUL: "queue\0x" was the option queue,
-- "done\0" the outcome done.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("a name with a NUL", function()
  it("is no option", function()
    helper.raises("weir.limiter: unknown option", function()
      weir.limiter { concurrent = 1, ["queue\0x"] = 3 }
    end)
  end)

  it("is no outcome", function()
    local limiter = weir.semaphore(1)
    local permit = limiter:acquire()
    helper.raises("permit:release: the outcome must be 'done', 'dropped'",
                  function() permit:release "done\0" end)
    permit:release()
  end)
end)
