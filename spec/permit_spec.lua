--- Permits: what gives one back, and what does not twice.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load, closing = helper.at, helper.load, helper.closing

describe("a permit", function()
  local limiter

  before_each(function()
    at(0)
    limiter = weir.semaphore(2)
  end)

  it("is held until it is released", function()
    local permit = limiter:acquire()
    assert.same({ 1, 0 }, load(limiter))
    assert.equal("weir.permit (held)", tostring(permit))
    assert.same({ n = 0 }, table.pack(permit:release()))
    assert.same({ 0, 0 }, load(limiter))
    assert.equal("weir.permit (released)", tostring(permit))
  end)

  it("gives back as many as it took", function()
    local permit = limiter:acquire { cost = 2 }
    assert.same({ 2, 0 }, load(limiter))
    permit:release()
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("raises at a second release and changes nothing", function()
    local permit, other = limiter:acquire(), limiter:acquire()
    permit:release()
    helper.raises("permit:release: this permit was released before",
                  function() permit:release() end)
    assert.same({ 1, 0 }, load(limiter))
    other:release()
  end)

  it("raises at a second release also when its place is another's", function()
    local old = limiter:acquire()
    old:release()
    local new = limiter:acquire()
    assert.has_error(function() old:release() end)
    assert.same({ 1, 0 }, load(limiter))
    new:release()
  end)

  it("tells how the work went", function()
    limiter:acquire():release()
    limiter:acquire():release(nil)
    limiter:acquire():release "done"
    assert.equal(0, limiter:stats().dropped)
    limiter:acquire():release "dropped"
    assert.equal(1, limiter:stats().dropped)
  end)

  it("stays held when the outcome is none", function()
    local permit = limiter:acquire()
    for _, outcome in ipairs { "", "Done", "donee", 1, true, {} } do
      helper.raises("permit:release: the outcome must be 'done', 'dropped' or "
                    .. "'unused', got", function() permit:release(outcome) end)
    end
    assert.same({ 1, 0 }, load(limiter))
    permit:release()
  end)

  it("comes back at the end of its scope", function()
    do
      local _ <close> = limiter:acquire()
      assert.same({ 1, 0 }, load(limiter))
    end
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(0, limiter:stats().dropped)
  end)

  it("comes back as dropped when its scope ends with an error", function()
    local err = {}
    local ok, got = pcall(function()
      local _ <close> = limiter:acquire()
      error(err)
    end)
    assert.same({ false, err }, { ok, got })
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(1, limiter:stats().dropped)
  end)

  it("may be released inside its scope", function()
    do
      local permit <close> = limiter:acquire()
      permit:release()
    end
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(1, limiter:stats().admitted)
  end)

  it("of a refusal is nothing to close", function()
    local all = limiter:acquire { cost = 2 }
    do
      local permit <close>, err = limiter:try_acquire()
      assert.is_nil(permit)
      assert.equal("full", err.code)
    end
    all:release()
  end)

  it("comes back from a loop that is left", function()
    for i = 1, 5 do
      local _ <close> = limiter:acquire()
      if i == 3 then goto left end
    end
    ::left::
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(3, limiter:stats().admitted)
  end)

  it("comes back as dropped when it is collected", function()
    local permits = { limiter:acquire(), limiter:acquire() }
    assert.same({ 2, 0 }, load(limiter))
    helper.forget(permits)
    assert.same({ 0, 0 }, load(limiter))
    assert.equal(2, limiter:stats().dropped)
  end)

  it("wakes who waits for it when it is collected", function()
    local permits = { limiter:acquire { cost = 2 } }
    local task = weir.spawn(limiter(function() return "in" end))
    at(0)
    assert.equal("waiting", task:status())
    helper.forget(permits)
    at(0)
    assert.equal("in", task:join())
  end)

  it("comes back when the coroutine that keeps it is collected", function()
    local kept = { helper.stranger(function()
      local permit <close> = limiter:acquire()
      coroutine.yield(permit)
    end) }
    assert.same({ 1, 0 }, load(limiter))
    helper.forget(kept)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("comes back when the coroutine that keeps it is closed", function()
    local co = helper.stranger(function()
      local _ <close> = limiter:acquire()
      coroutine.yield()
    end)
    assert.same({ 1, 0 }, load(limiter))
    coroutine.close(co)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("comes back when the task that keeps it is canceled", function()
    local task = weir.spawn(function()
      local _ <close> = limiter:acquire()
      weir.sleep(100)
    end)
    at(0)
    assert.same({ 1, 0 }, load(limiter))
    task:cancel()
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("may be released by somebody else", function()
    local permit
    local task = weir.spawn(function() permit = limiter:acquire() end)
    at(0)
    task:join()
    helper.stranger(function() permit:release() end)
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("may be released by a finalizer or a closing value", function()
    do
      local _ <close> = (function()
        local permit = limiter:acquire()
        return closing(function() permit:release() end)
      end)()
    end
    assert.same({ 0, 0 }, load(limiter))
    local released
    do
      local permit = limiter:acquire()
      setmetatable({}, { __gc = function()
        released = pcall(permit.release, permit)
      end })
    end
    helper.collect()
    assert.is_boolean(released)
    assert.same({ 0, 0 }, load(limiter))
    assert.same({ 1, 0 }, { limiter:acquire():release() or 1, 0 })
  end)

  it("is right in the same turn for many at once", function()
    local many = weir.semaphore(5000)
    local permits = {}
    for i = 1, 5000 do permits[i] = many:acquire() end
    assert.same({ 5000, 0 }, load(many))
    for i = 1, 5000, 2 do permits[i]:release() end
    assert.same({ 2500, 0 }, load(many))
    for i = 1, 5000, 2 do permits[i] = many:acquire() end
    assert.equal("full", select(2, many:try_acquire()).code)
    for i = 1, 5000 do
      if i % 3 > 0 then permits[i] = nil end
    end
    helper.collect()
    assert.same({ 1666, 0 }, load(many))
    for i = 3, 5000, 3 do permits[i]:release() end
    assert.same({ 0, 0 }, load(many))
  end)

  it("is nothing to a collected limiter's name", function()
    local permit = weir.semaphore(1):acquire()
    helper.collect()
    permit:release()
    assert.has_error(function() permit:release() end)
  end)

  it("keeps its metatable to itself", function()
    local permit = limiter:acquire()
    assert.equal("weir.permit", getmetatable(permit))
    assert.has_error(function() setmetatable(permit, {}) end)
    permit:release()
  end)
end)
