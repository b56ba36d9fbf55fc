--- A task object that another object's finalizer brought back, after its own
-- finalizer had run, went on with its number: it canceled whoever had that
-- number by then.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("a task object that a finalizer brings back", function()
  it("is nobody else's", function()
    helper.at(0)
    local saved
    local function save_at_its_end(task)
      setmetatable({}, { __gc = function() saved = task end })
    end
    save_at_its_end(weir.spawn(function() end))
    helper.at()
    helper.collect()
    assert.is_userdata(saved)
    local victim = weir.spawn(weir.sleep, 5)
    helper.at()
    for _, name in ipairs { "cancel", "status", "join", "traceback" } do
      pcall(saved[name], saved)
    end
    assert.equal("waiting", victim:status())
    victim:cancel()
  end)
end)
