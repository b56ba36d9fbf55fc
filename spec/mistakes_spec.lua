--- What weir says by itself of a limiter that is used as nobody can mean it:
-- a coroutine that waits for its own permits, a decorator made for each call.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through, load = helper.at, helper.through, helper.load

local FOR_EVER = ": this coroutine would wait for ever: it holds every permit "
  .. "there is itself; release one first, or give a timeout if somebody else "
  .. "will"

-- What happens to a task: "waiting", or its results, or its error.
local function outcome(task)
  at()
  if task:status() == "waiting" then
    task:cancel()
    return "waiting"
  end
  local ok, result = pcall(task.join, task)
  return ok and "done" or result
end

describe("a coroutine that waits for its own permits", function()
  local limiter

  before_each(function()
    at(0)
    limiter = weir.rate_limit { concurrent = 1, name = "mine" }
  end)

  after_each(function()
    helper.collect()
    assert.same({ 0, 0 }, load(limiter))
    limiter:close()
  end)

  local function assert_raised(task)
    local err = outcome(task)
    assert.is_string(err)
    local place, message = err:match "^(spec/mistakes_spec.lua:%d+): (.*)"
    assert.truthy(place, err)
    assert.equal("limiter 'mine'" .. FOR_EVER, message)
  end

  it("by a limited function that calls itself is told", function()
    local call
    call = limiter(function() call() end)
    assert_raised(weir.spawn(function() call() end))
  end)

  it("by acquiring twice is told, at its line", function()
    local line
    local task = weir.spawn(function()
      local permit <close> = limiter:acquire()
      line = debug.getinfo(1, "l").currentline + 1
      limiter:acquire()
      return permit
    end)
    local err = outcome(task)
    assert.matches("mistakes_spec.lua:" .. line .. ": ", err, 1, true)
  end)

  it("is told outside tasks, too", function()
    local co = coroutine.wrap(function()
      local _ <close> = limiter:acquire()
      limiter:acquire()
    end)
    assert.error_matches(co, "limiter 'mine'" .. FOR_EVER, 1, true)
  end)

  it("is told with a cost, and for several permits", function()
    limiter:set { concurrent = 5 }
    assert_raised(weir.spawn(function()
      local _ <close> = limiter:acquire { cost = 2 }
      local _ <close> = limiter:acquire()
      limiter:acquire { cost = 3 }
    end))
    limiter:set { concurrent = 1 }
  end)

  it("is told after the first wait as well", function()
    local permit = limiter:acquire()
    local task = weir.spawn(limiter(function() limiter(print)() end))
    at()
    permit:release()
    assert.matches("would wait for ever", outcome(task))
  end)

  it("is told about one of weir.all", function()
    local other = weir.semaphore(5)
    assert_raised(weir.spawn(function()
      local _ <close> = limiter:acquire()
      weir.all { other, limiter }(print)()
    end))
    assert.same({ 0, 0 }, load(other))
  end)

  it("goes on if the error is caught", function()
    local call
    call = limiter(function(depth)
      return depth == 1 and not pcall(call, 2)
    end)
    local task = weir.spawn(call, 1)
    at()
    assert.is_true(task:join())
    assert.equal("done", outcome(weir.spawn(limiter(weir.now))))
  end)

  it("may do so for a while", function()
    for _, options in ipairs { { timeout = 1 }, { timeout = 0 } } do
      local task = weir.spawn(function()
        local _ <close> = limiter:acquire()
        return limiter:acquire(options)
      end)
      through(2)
      assert.equal("timeout", select(2, task:join()).code)
    end
    limiter:set { timeout = 1 }
    local task = weir.spawn(limiter(function() return limiter(print)() end))
    at()
    through(5)
    assert.equal("timeout", select(2, task:join()).code)
  end)

  it("is told if that takes its timeout off", function()
    limiter:set { timeout = 1 }
    assert_raised(weir.spawn(function()
      local _ <close> = limiter:acquire()
      limiter:acquire { timeout = false }
    end))
  end)

  it("may try", function()
    assert.equal("done", outcome(weir.spawn(function()
      local _ <close> = limiter:acquire()
      assert(not limiter:try_acquire())
    end)))
  end)

  it("may wait where another holds one as well", function()
    limiter:set { concurrent = 2 }
    local permit = limiter:acquire()
    local task = weir.spawn(function()
      local _ <close> = limiter:acquire()
      limiter:acquire():release()
    end)
    at()
    assert.equal("waiting", task:status())
    permit:release()
    assert.equal("done", outcome(task))
  end)

  it("may wait for a permit that is handed on", function()
    local permit = limiter:acquire()
    local task = weir.spawn(function() limiter:acquire():release() end)
    at()
    assert.equal("waiting", task:status())
    permit:release()
    assert.equal("done", outcome(task))
  end)

  it("may wait for one that is garbage", function()
    assert.equal("done", outcome(weir.spawn(function()
      limiter:acquire()
      limiter:acquire():release()
    end)))
    assert.equal("done", outcome(weir.spawn(function()
      for _ = 1, 3 do limiter:acquire() end
    end)))
  end)

  it("may wait for a rate", function()
    local rate = weir.limiter { rate = "1/s" }
    local task = weir.spawn(function()
      local _ <close> = rate:acquire()
      rate:acquire()
    end)
    through(2)
    assert.equal("done", outcome(task))
  end)

  it("is told with keys for the same one only", function()
    local keyed = weir.rate_limit { concurrent = 1, name = "keyed",
                                    key = function(key) return key end }
    assert.equal("done", outcome(weir.spawn(function()
      local _ <close> = keyed:acquire "a"
      keyed(weir.now)("b")
    end)))
    local call
    call = keyed(function(...) return call(...) end)
    local err = outcome(weir.spawn(call, "a"))
    assert.matches("limiter 'keyed'" .. FOR_EVER, err, 1, true)
    assert.same({ 0, 0 }, load(keyed))
  end)

  it("leaves no trace of the refused wait", function()
    local call
    call = limiter(function() call() end)
    for _ = 1, 100 do outcome(weir.spawn(call)) end
    local stats = limiter:stats()
    assert.same({ 100, 100, 0 }, { stats.admitted, stats.dropped,
                                   stats.waiting })
  end)
end)

describe("a line that makes 1000 limiters", function()
  it("is warned of once, if warnings are on", function()
    local out, code = helper.child(function()
      warn "@on"
      local w = require "weir"
      local function fetch(x)
        return w.rate_limit(3)(function() return x end)()
      end
      for i = 1, 5000 do assert(fetch(i) == i) end
      for _ = 1, 999 do w.semaphore(1) end
      print "end"
    end)
    assert.equal(0, code)
    local warnings = select(2, out:gsub("Lua warning: ", ""))
    assert.equal(1, warnings, out)
    assert.matches("Lua warning: weir: [^\n]*:%d+ has made 1000 limiters: a "
                   .. "decorator that is made for each call limits nothing; "
                   .. "make it once, outside the function\n", out)
    assert.matches("end\n$", out)
  end)

  it("is not, if they are off", function()
    local out = helper.child(function()
      local w = require "weir"
      for _ = 1, 2000 do w.semaphore(1) end
      print "end"
    end)
    assert.equal("end\n", out)
  end)

  it("may have opened one by its name, which does limit", function()
    local out = helper.child(function()
      warn "@on"
      local w = require "weir"
      for _ = 1, 2000 do
        w.limiter { concurrent = 1, name = "shared" }
      end
      print "end"
    end)
    assert.equal("end\n", out)
  end)
end)
