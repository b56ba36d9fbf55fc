--- Who holds and who waits, on what and since when; and dry runs.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, load = helper.at, helper.load

-- This file and the line that many lines before the call.
local function here(before)
  return ("spec/explain_spec.lua:%d"):format(
    debug.getinfo(2, "l").currentline - (before or 0))
end

-- The fields of the entries, in a list for each, in the order of arrival.
local function fields(entries, ...)
  local list = {}
  for i, entry in ipairs(entries) do
    list[i] = {}
    for j, name in ipairs { ... } do list[i][j] = entry[name] or "-" end
  end
  table.sort(list, function(a, b)
    return table.concat(a, "\0") < table.concat(b, "\0")
  end)
  return list
end

describe("limiter:explain", function()
  before_each(function() at(0) end)

  it("lists who holds and who waits, and for how long", function()
    local limiter = weir.limiter { concurrent = 3, name = "door" }
    local holder, line
    holder = weir.spawn(function()
      local _ <close> = limiter:acquire { cost = 2 }
      line = here(-1)
      weir.sleep(100)
    end)
    at()
    at(1)
    local waiter = weir.spawn(function() limiter:acquire { cost = 2 } end)
    at(1)
    local place = here(2)
    at(5)
    local list = limiter:explain()
    assert.equal(2, #list)
    assert.same({ { "holding", "door", 2, 5, "-", line },
                  { "waiting", "door", 2, 4, "permits", place } },
                fields(list, "state", "limiter", "cost", "seconds", "bound_by",
                       "at"))
    for _, entry in ipairs(list) do
      assert.matches("^task %d+ %(spec/explain_spec.lua:%d+%)$", entry.who)
      assert.is_nil(entry.asked_at)
      assert.is_nil(entry.key)
    end
    waiter:cancel()
    holder:cancel()
    assert.same({}, { table.unpack(limiter:explain()) })
  end)

  it("tells what keeps a waiter", function()
    local limiter = weir.limiter { concurrent = 1, rate = "1/m" }
    local permit = limiter:acquire()
    local tasks = { weir.spawn(limiter(print)), weir.spawn(limiter(print)) }
    at()
    assert.same({ { "-" }, { "others" }, { "permits" } },
                fields(limiter:explain(), "bound_by"))
    permit:release()
    assert.same({ { "others" }, { "rate" } },
                fields(limiter:explain(), "bound_by"))
    for _, task in ipairs(tasks) do task:cancel() end
  end)

  it("names tasks, coroutines and code outside of any", function()
    local limiter = weir.semaphore(9)
    local permit = limiter:acquire()
    local task = weir.spawn(limiter(weir.sleep), 10)
    local strangers = { helper.stranger(limiter(coroutine.yield)) }
    at()
    local whos = fields(limiter:explain(), "who")
    assert.equal("code outside any task", whos[1][1])
    assert.equal("code outside any task", whos[2][1]) -- of no task
    assert.matches("^task %d+ %(%[C%]%)$", whos[3][1])
    helper.forget(strangers)
    task:cancel()
    permit:release()
    local busy = weir.semaphore(1)
    permit = busy:acquire()
    strangers = { helper.stranger(busy(print)) }
    whos = fields(busy:explain(), "state", "who")
    assert.matches("^coroutine %d+ %(", whos[2][2])
    helper.forget(strangers)
    permit:release()
  end)

  it("is for one key alone if it is asked", function()
    local limiter = weir.limiter { concurrent = 1, keys = 9 }
    local permits = { limiter:acquire "a", limiter:acquire "b\n" }
    local task = weir.spawn(limiter.acquire, limiter, "a")
    at()
    assert.same({ { "a", "holding" }, { "a", "waiting" } },
                fields(limiter:explain "a", "key", "state"))
    assert.same({ { "b?", "holding" } },
                fields(limiter:explain "b\n", "key", "state"))
    assert.equal(0, #limiter:explain "c")
    assert.equal(3, #limiter:explain())
    helper.raises("limiter:explain: the key must be a string of at most 65535 "
                  .. "bytes, got 5", function() limiter:explain(5) end)
    task:cancel()
    helper.forget(permits)
  end)

  it("is not about other limiters", function()
    local one, other = weir.semaphore(1), weir.semaphore(1)
    local permit = one:acquire()
    assert.same({ 1, 0 }, { #one:explain(), #other:explain() })
    permit:release()
  end)

  it("lists each of weir.all that is held", function()
    local a, b = weir.semaphore(1), weir.semaphore(2)
    local permit = weir.all { a, b }:acquire()
    assert.same({ 1, 1 }, { #a:explain(), #b:explain() })
    permit:release()
  end)

  it("reads as a report", function()
    local limiter = weir.limiter { concurrent = 1, keys = 9, name = "door" }
    assert.equal("nobody holds or waits", tostring(limiter:explain()))
    local permit = limiter:acquire "k"
    local task = weir.spawn(function() limiter:acquire "k" end)
    at()
    local line = here(2)
    at(2)
    local lines = {}
    for text in tostring(limiter:explain()):gmatch "[^\n]+" do
      lines[#lines + 1] = text:gsub("task %d+", "task N")
    end
    table.sort(lines)
    assert.same({
      "code outside any task holds 1 of 'door' (k) for 2.0 s",
      ("task N (%s) at %s waits for 1 of 'door' (k) for 2.0 s, kept by permits")
        :format(line, line),
    }, lines)
    task:cancel()
    permit:release()
  end)

  it("reads even if somebody changed it", function()
    local list = weir.semaphore(1):explain()
    list[1] = { state = "holding", limiter = {}, seconds = "x" }
    assert.is_string(tostring(list))
    assert.equal("weir.explanation", getmetatable(list))
  end)
end)

describe("weir.explain", function()
  before_each(function() at(0) end)

  it("is about all limiters", function()
    local a = weir.limiter { concurrent = 1, name = "a" }
    local b = weir.limiter { rate = "1/s", name = "b" }
    local permits = { a:acquire(), b:acquire() }
    local task = weir.spawn(weir.stack { a, b }(print))
    at()
    assert.same({ { "a", "holding" }, { "a", "waiting" }, { "b", "holding" } },
                fields(weir.explain(), "limiter", "state"))
    task:cancel()
    helper.forget(permits)
    assert.equal(0, #weir.explain())
  end)

  it("leaves out who waits for something else", function()
    local task = weir.spawn(weir.sleep, 10)
    at()
    assert.equal(0, #weir.explain())
    task:cancel()
  end)

  it("names a limiter that nobody has any more", function()
    local permit = weir.semaphore(1):acquire()
    helper.collect()
    assert.equal("a limiter that nobody has any more",
                 weir.explain()[1].limiter)
    permit:release()
  end)
end)

describe("weir.trace", function()
  before_each(function() at(0) end)
  after_each(function() weir.trace(false) end)

  it("notes where permits were asked for", function()
    local limiter = weir.semaphore(1)
    weir.trace(true)
    local permit = limiter:acquire()
    local asked = here(1)
    local call = limiter(print)
    local task = weir.spawn(function() call() end)
    at()
    assert.same({ { "holding", asked }, { "waiting", here(2) } },
                fields(limiter:explain(), "state", "asked_at"))
    assert.matches("asked for at " .. asked, tostring(limiter:explain()),
                   1, true)
    task:cancel()
    permit:release()
    weir.trace(false)
    permit = limiter:acquire()
    assert.is_nil(limiter:explain()[1].asked_at)
    permit:release()
  end)

  it("forgets what is over", function()
    local limiter = weir.semaphore(1)
    weir.trace(true)
    for _ = 1, 5000 do limiter:acquire():release() end
    helper.collect()
    local before = collectgarbage "count"
    for _ = 1, 20000 do limiter:acquire():release() end
    helper.collect()
    assert.is_true(collectgarbage "count" - before < 200)
  end)

  it("wants to be told yes or no", function()
    for _, value in ipairs { 1, "on", {} } do
      helper.raises("weir.trace: expected true or false, got ",
                    function() weir.trace(value) end)
    end
    helper.raises("weir.trace: expected true or false, got ",
                  function() weir.trace() end)
  end)
end)

describe("weir.limiters", function()
  it("lists what there is", function()
    helper.collect()
    local before = #weir.limiters()
    local limiter = weir.semaphore(1)
    local found = 0
    for _, other in ipairs(weir.limiters()) do
      if other == limiter then found = found + 1 end
    end
    assert.same({ 1, before + 1 }, { found, #weir.limiters() })
  end)
end)

describe("a dry run", function()
  before_each(function() at(0) end)

  it("admits everybody and counts what would have been", function()
    local limiter = weir.rate_limit { concurrent = 2, queue = 1,
                                      dry_run = true }
    local call = limiter(function(x)
      weir.sleep(1)
      return x
    end)
    local tasks = {}
    for i = 1, 5 do tasks[i] = weir.spawn(call, i) end
    at()
    assert.truthy(limiter:acquire { cost = 3 })
    at(1)
    for i = 1, 5 do assert.equal(i, tasks[i]:join()) end
    local stats = limiter:stats()
    assert.same({ 6, 2, 1, 2, 1 },
                { stats.admitted, stats.would.admitted, stats.would.waiting,
                  stats.would.full, stats.would.impossible })
    helper.collect()
    assert.same({ 0, 0 }, load(limiter))
    for _, count in pairs(stats.refused) do assert.equal(0, count) end
  end)

  it("counts a rate", function()
    local limiter = weir.limiter { rate = "10/s", dry_run = true }
    for i = 0, 99 do
      at(i / 100)
      assert.truthy(limiter:try_acquire())
    end
    local would = limiter:stats().would
    assert.same({ 10, 90 }, { would.admitted, would.full })
  end)

  it("can be ended and begun", function()
    local limiter = weir.limiter { concurrent = 1, dry_run = true, queue = 0 }
    local permits = { limiter:acquire(), limiter:acquire() }
    limiter:set { dry_run = false }
    assert.is_nil(limiter:acquire())
    helper.forget(permits)
    permits = { limiter:acquire() }
    assert.is_nil(limiter:acquire())
    limiter:set { dry_run = true }
    assert.truthy(limiter:acquire())
    helper.forget(permits)
  end)
end)
