--- A task in the run queue (it had given way) that somebody else resumed and
-- that then joined another task was put into that one's list of joiners before
-- it left the run queue: both lists are linked through the same fields, so
-- whoever stood behind it in the run queue was never resumed again.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

describe("a task that joins while it is still in the run queue", function()
  it("takes nobody with it", function()
    at(0)
    local log, co = {}, nil
    local sleeper = weir.spawn(weir.sleep, 5)
    local function patient(name)
      weir.spawn(function()
        for _ = 1, 3 do coroutine.yield() end
        log[#log + 1] = name
      end)
    end
    patient "before"
    weir.spawn(function()
      co = coroutine.running()
      coroutine.yield()
      sleeper:join()
      log[#log + 1] = "joined"
    end)
    patient "behind"
    weir.spawn(function() coroutine.resume(co) end)
    for time = 0, 6 do at(time) end
    assert.same({ "before", "behind", "joined" }, log)
  end)
end)
