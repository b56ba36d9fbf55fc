--- weir.map: a function over a list.

local helper = require "spec.helper"
local weir = require "weir"

describe("weir.map", function()
  it("answers results in the list's order, whoever is first", function()
    local order = {}
    local results, errs = weir.run(weir.map, function(x, i)
      weir.sleep((4 - i) * 0.002)
      order[#order + 1] = i
      return x * 10
    end, { 1, 2, 3 })
    assert.same({ 10, 20, 30 }, results)
    assert.same({}, errs)
    assert.same({ 3, 2, 1 }, order)
  end)

  it("answers the second result of each as well", function()
    local results, errs = weir.run(weir.map, function(x)
      if x % 2 == 0 then return nil, "even" end
      return x
    end, { 1, 2, 3, 4 })
    assert.same({ [1] = 1, [3] = 3 }, results)
    assert.same({ [2] = "even", [4] = "even" }, errs)
  end)

  it("runs no more at once than a limiter lets", function()
    local limiter, most = weir.semaphore(2), 0
    weir.run(weir.map, limiter(function()
      most = math.max(most, limiter:stats().in_use)
      weir.sleep(0)
    end), { 1, 2, 3, 4, 5, 6 })
    assert.equal(2, most)
    assert.same({ 0, 0 }, helper.load(limiter))
  end)

  it("answers refusals in place", function()
    local limiter = weir.limiter { concurrent = 1, queue = 1 }
    local results, errs = weir.run(weir.map, limiter(function(x)
      weir.sleep(0)
      return x
    end), { "a", "b", "c" })
    assert.same({ "a", "b" }, results)
    assert.equal("full", errs[3].code)
  end)

  it("takes an empty list, and stops at the first nil", function()
    assert.same({ {}, {} }, { weir.run(weir.map, print, {}) })
    assert.same({ { 1 }, {} },
                { weir.run(weir.map, math.max, { 1, nil, 3 }) })
  end)

  it("raises the same value, and cancels the others", function()
    local closed, value = 0, {}
    local ok, err = pcall(weir.run, weir.map, function(x)
      if x == 2 then error(value) end
      local _ <close> = helper.closing(function() closed = closed + 1 end)
      weir.sleep(x == 1 and 0 or 5)
    end, { 1, 2, 3 })
    assert.same({ false, true, 2 }, { ok, err == value, closed })
  end)

  it("cancels all with the task that waits for them", function()
    local closed = 0
    weir.run(function()
      local mapper = weir.spawn(weir.map, function()
        local _ <close> = helper.closing(function() closed = closed + 1 end)
        weir.sleep(5)
      end, { 1, 2, 3 })
      weir.sleep(0)
      weir.sleep(0)
      mapper:cancel()
      assert.equal(3, closed)
    end)
  end)

  it("is called inside a task", function()
    weir.run(function()
      assert.same({ 2, 3 }, (weir.map(function(x) return x + 1 end, { 1, 2 })))
    end)
  end)
end)
