--- Refusals: nil and an error object, or what on_refuse makes of it.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load = helper.at, helper.load

local function identity(...) return ... end

-- What a task gets that asks for a permit, as time goes by.
local function outcome(fn, ...)
  local task = weir.spawn(fn, ...)
  at(0)
  at(2)
  return table.pack(task:join())
end

describe("a refusal", function()
  local limiter, permit

  before_each(function()
    at(0)
    limiter = weir.limiter { concurrent = 2, queue = 9, name = "backend" }
    permit = limiter:acquire { cost = 2 }
  end)

  after_each(function() permit:release() end)

  it("is nil and an error object", function()
    local result = outcome(limiter.acquire, limiter, { timeout = 1.5 })
    assert.equal(2, result.n)
    assert.is_nil(result[1])
    local err = result[2]
    assert.equal("weir.refusal", getmetatable(err))
    assert.same({ "timeout", "backend", 2, 1 },
                { err.code, err.limiter, err.waited, err.cost })
    assert.is_nil(err.retry_after)
  end)

  it("reads as a sentence with what a person needs", function()
    local text = {}
    text.timeout = outcome(limiter.acquire, limiter, { timeout = 1 })[2]
    text.full = select(2, limiter:try_acquire())
    text.impossible = select(2, limiter:acquire { cost = 3 })
    local late = weir.spawn(function() return limiter:acquire() end)
    at(1)
    limiter:close()
    at(1)
    text.waiting = select(2, late:join())
    text.closed = select(2, limiter:acquire())
    for name, err in pairs(text) do text[name] = tostring(err) end
    assert.same({
      timeout = "limiter 'backend' gave no permit in time, after 2.0 s",
      full = "limiter 'backend' is full: its 2 permits are taken or waited "
        .. "for, and at most 9 may wait",
      impossible = "limiter 'backend' can never admit this call: it costs 3 "
        .. "permits and there are only 2",
      waiting = "limiter 'backend' is closed and takes no more calls",
      closed = "limiter 'backend' is closed and takes no more calls",
    }, text)
  end)

  it("of a task says so", function()
    local task = weir.spawn(weir.sleep, 10)
    at(0)
    local result = outcome(function() return task:join(1) end)
    assert.equal("timeout", result[2].code)
    assert.equal("the wait for a task: timeout", tostring(result[2]))
    task:cancel()
    local _, err = task:join()
    assert.equal("canceled", err.code)
    assert.equal("the task: canceled", tostring(err))
  end)

  it("has no value to break its sentence", function()
    local _, err = limiter:try_acquire()
    for _, code in ipairs { "no such", 5, {}, false } do
      err.code = code
      err.limiter = code
      assert.is_string(tostring(err))
    end
  end)

  it("comes at once where a wait may not last", function()
    at(1)
    local _, err = limiter:acquire { timeout = 0 }
    assert.equal("timeout", err.code)
    assert.equal(0, err.waited)
  end)
end)

describe("on_refuse", function()
  before_each(function() at(0) end)

  local function limited(on_refuse, options)
    options = options or {}
    options.concurrent, options.on_refuse = 1, on_refuse
    return weir.rate_limit(options)
  end

  it("is asked what a refused call returns", function()
    local seen
    local limiter = limited(function(...)
      seen = table.pack(...)
      return "other", nil, nil
    end, { queue = 0 })
    local permit = limiter:acquire()
    assert.same({ "other", nil, nil, n = 3 },
                table.pack(limiter(identity)(1, nil, 3, nil)))
    assert.same({ "full", 1, nil, 3, nil, 5 },
                { seen[1].code, seen[2], seen[3], seen[4], seen[5], seen.n })
    permit:release()
    assert.equal(1, limiter(identity)(1))
  end)

  it("is asked after a wait as well", function()
    local limiter = limited(function(err, x) return err.code, err.waited, x end)
    limiter:set { timeout = 1 }
    local permit = limiter:acquire()
    local task = weir.spawn(limiter(identity), "x")
    at(0)
    at(1)
    assert.same({ "timeout", 1, "x" }, { task:join() })
    permit:release()
  end)

  it("may raise", function()
    local limiter = limited(error, { queue = 0 })
    local permit = limiter:acquire()
    local ok, err = pcall(limiter(identity))
    assert.same({ false, "full" }, { ok, err.code })
    permit:release()
    assert.same({ 0, 0 }, load(limiter))
  end)

  it("may yield and wait", function()
    local limiter
    limiter = limited(function(_, ...)
      weir.sleep(1)
      return limiter(identity)("again", ...)
    end, { queue = 0 })
    local permit = limiter:acquire()
    local task = weir.spawn(limiter(identity), 1, nil)
    at(0)
    permit:release()
    at(1)
    assert.same({ "again", 1, nil, n = 3 }, table.pack(task:join()))
  end)

  it("is not asked about acquire", function()
    local limiter = limited(error, { queue = 0 })
    local permit = limiter:acquire()
    assert.equal("full", select(2, limiter:acquire()).code)
    assert.equal("full", select(2, limiter:try_acquire()).code)
    permit:release()
  end)

  it("may be anything that can be called", function()
    local limiter = limited(setmetatable({}, {
      __call = function(_, err) return err.code end
    }), { queue = 0 })
    local permit = limiter:acquire()
    assert.equal("full", limiter(identity)())
    permit:release()
  end)
end)
