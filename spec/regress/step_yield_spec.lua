--- weir.step without a budget resumed a task that gave way again in the same
-- step, for ever: a script that says coroutine.yield() to wait for the next
-- frame stopped the game.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("weir.step", function()
  it("resumes a task that gives way once", function()
    local turns, over = 0, false
    weir.spawn(function()
      while not over and turns < 1000 do
        turns = turns + 1
        coroutine.yield()
      end
    end)
    for i = 1, 5 do
      assert.equal(1, helper.at(i))
      assert.equal(i, turns)
    end
    over = true
    helper.at(6)
  end)
end)
