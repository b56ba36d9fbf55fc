--- When a run ends with an error all its tasks are closed, one after the other.
-- A task that a closing variable spawned meanwhile, in a place that had been
-- looked at already, was left over and started in the next run.

local helper = require "spec.helper"
local weir = require "weir"

describe("a task spawned while a failed run is being closed", function()
  it("is closed as well", function()
    local started, ever = 0, {}
    pcall(weir.run, function()
      for _ = 1, 5 do weir.spawn(function() end) end
      weir.sleep(0)
      weir.sleep(0)
      helper.collect() -- frees places
      for i = 1, 8 do
        ever[i] = weir.spawn(function()
          local _ <close> = helper.closing(function()
            weir.spawn(function() started = started + 1 end)
          end)
          weir.sleep(5)
        end)
      end
      weir.sleep(0)
      weir.sleep(0)
      error "x"
    end)
    weir.run(weir.sleep, 0)
    assert.equal(0, started)
  end)
end)
