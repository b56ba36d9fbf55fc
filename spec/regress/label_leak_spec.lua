--- What people call a limiter was kept for every limiter that there ever was.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"

describe("a limiter that is collected", function()
  it("leaves nothing behind", function()
    local function make()
      for _ = 1, 2000 do weir.semaphore(1) end
      helper.collect()
      return collectgarbage "count"
    end
    make()
    local before = make()
    for _ = 1, 8 do make() end
    assert.is_true(make() < before + 100) -- KB, and 16000 limiters
  end)
end)
