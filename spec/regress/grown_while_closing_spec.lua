--- When a run ends with an error its tasks are closed. A closing variable that
-- spawned tasks until the table of fibers grew moved it from under the one that
-- was being closed: it was read after it was freed. (Seen with the sanitizer.)

local helper = require "spec.helper"
local weir = require "weir"

describe("very many tasks spawned while a failed run is closed", function()
  it("are closed, too", function()
    local started, runs = helper.counter()
    local ok, err = pcall(weir.run, function()
      weir.spawn(function()
        local _ <close> = helper.closing(function()
          for _ = 1, 10000 do weir.spawn(started) end
        end)
        weir.sleep(5)
      end)
      weir.sleep(0)
      error("x", 0)
    end)
    assert.is_false(ok)
    assert.matches("^x", err)
    weir.run(weir.sleep, 0)
    assert.equal(0, runs())
  end)
end)
