--- weir.all{...}:acquire{ priority = 0 } was taken as no priority at all: its
-- members went by their own.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

describe("a priority of 0 for weir.all", function()
  it("is one, and without any it is each member's own", function()
    at(0)
    local high = weir.limiter { concurrent = 1, order = "priority",
                                priority = 5 }
    local all, log = weir.all { weir.semaphore(9), high }, {}
    local permit = high:acquire()
    for name, options in pairs { zero = { priority = 0 }, own = {},
                                 three = { priority = 3 } } do
      weir.spawn(function()
        local _ <close> = all:acquire(options)
        log[#log + 1] = name
      end)
    end
    at()
    permit:release()
    at()
    assert.same({ "own", "three", "zero" }, log)
  end)
end)
