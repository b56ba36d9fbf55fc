--- weir.sleep and weir.now.

local weir = require "weir"

local PATIENCE = 60 -- seconds; for a slow machine

describe("weir.sleep", function()
  it("takes as long as it was told, or a little more", function()
    weir.run(function()
      for _, time in ipairs { 0, 0.0001, 0.003 } do
        local start = weir.now()
        assert.equal(0, select("#", weir.sleep(time)))
        assert.is_true(weir.now() - start >= time)
        assert.is_true(weir.now() - start < time + PATIENCE)
      end
    end)
  end)

  it("lets others run meanwhile", function()
    local log = {}
    weir.run(function()
      for i = 3, 1, -1 do
        weir.spawn(function()
          weir.sleep(i * 0.003)
          log[#log + 1] = i
        end)
      end
      weir.sleep(0)
      log[#log + 1] = 0
    end)
    assert.same({ 0, 1, 2, 3 }, log)
  end)

  it("says where it cannot wait", function()
    assert.error_matches(function() weir.sleep(0) end,
                         "weir.sleep would have to wait, and nothing can")
  end)
end)

describe("weir.now", function()
  it("is a float that only goes forward", function()
    local last = weir.now()
    assert.equal("float", math.type(last))
    for _ = 1, 100 do
      local now = weir.now()
      assert.is_true(now >= last)
      last = now
    end
  end)

  it("goes on inside a task that does not wait", function()
    weir.run(function()
      local start = weir.now()
      repeat until weir.now() > start
    end)
  end)
end)
