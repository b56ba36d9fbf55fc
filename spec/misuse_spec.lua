--- Bad input: an error at the caller's line that names the argument, what came
-- and what was expected; and nothing has changed.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local wrong = require "spec.wrong"

local WRONG, HUGE, NUMBERS = wrong.VALUES, wrong.HUGE, wrong.NUMBERS
local COUNT, QUEUE, SECONDS = wrong.COUNT, wrong.QUEUE, wrong.SECONDS
local NAME, HOST, KEY = wrong.NAME, wrong.HOST, wrong.KEY
local described, joined, without = wrong.described, wrong.joined, wrong.without

-- == every argument of every function =========================================

local limiter = weir.limiter { concurrent = 5, name = "misused" }
local keyed = weir.limiter { concurrent = 5, keys = 9 }
local permit = limiter:acquire()
local task = weir.spawn(weir.sleep, 1e6)

-- A string would be a key, about which there is more to say.
local NO_STRINGS = without(WRONG["a table"], "string")

-- { what the message starts with, what is expected, the call, the wrong values
-- if they are not those of what is expected }
local ARGUMENTS = {
  { "weir.semaphore: concurrent must be", COUNT,
    function(v) weir.semaphore(v) end },
  { "weir.rate_limit: expected", "a number, a table of options or a limiter",
    function(v) weir.rate_limit(v) end },
  { "weir.rate_limit: concurrent must be", COUNT, function(v)
    weir.rate_limit(type(v) == "number" and v or { concurrent = v })
  end },
  { "weir.limiter: expected", "a table", function(v) weir.limiter(v) end },
  { "limiter:acquire: expected", "a table",
    function(v) limiter:acquire(v) end, NO_STRINGS },
  { "limiter:try_acquire: expected", "a table",
    function(v) limiter:try_acquire(v) end, NO_STRINGS },
  { "limiter:set: expected", "a table", function(v) limiter:set(v) end },
  { "limiter:drain: timeout must be", SECONDS,
    function(v) limiter:drain(v) end },
  { "limiter:wrap: the function to limit must be", "a function",
    function(v) limiter:wrap(v) end },
  { "limiter:wrap: the function to limit must be", "a function",
    function(v) limiter(v) end },
  { "permit:release: the outcome must be", "'done', 'dropped' or 'unused'",
    function(v) permit:release(v) end },
  { "weir.spawn: the function to run must be", "a function",
    function(v) weir.spawn(v) end },
  { "weir.run: the main function must be", "a function",
    function(v) weir.run(v) end },
  { "task:join: timeout must be", SECONDS, function(v) task:join(v) end },
  { "weir.sleep: the time to sleep must be", SECONDS,
    function(v) weir.sleep(v) end },
  { "weir.step: the time must be", SECONDS, function(v) weir.step(v) end },
  { "weir.step: the budget must be", COUNT, function(v) weir.step(1, v) end },
  { "weir.resolve: the host must be", HOST, function(v) weir.resolve(v) end },
  { "weir.readable: timeout must be", SECONDS,
    function(v) weir.readable(0, v) end },
  { "weir.writable: timeout must be", SECONDS,
    function(v) weir.writable(0, v) end },
  { "limiter:stats: the key must be", KEY, function(v) keyed:stats(v) end },
  { "limiter:headers: the key must be", KEY, function(v) keyed:headers(v) end },
  { "limiter:headers: cost must be", COUNT,
    function(v) limiter:headers(nil, v) end },
  { "limiter:explain: the key must be", KEY, function(v) keyed:explain(v) end },
  { "limiter:top: n must be", "a whole number from 1 to 1000",
    function(v) keyed:top(v) end, WRONG[COUNT] },
  { "weir.trace: expected", "true or false", function(v) weir.trace(v) end },
  { "weir.all: expected", "a list of limiters", function(v) weir.all(v) end,
    joined(NUMBERS, without(WRONG["a table"], "table")) },
  { "weir.all: limiter 2 must be", "a limiter",
    function(v) weir.all { limiter, v } end, WRONG["true or false"] },
  { "weir.attach: expected", "an event_base as light userdata",
    function(v) weir.attach(v) end },
}

-- { function, option, what is expected }
for _, option in ipairs {
  { "weir.limiter", "concurrent", COUNT },
  { "weir.limiter", "queue", QUEUE },
  { "weir.limiter", "timeout", SECONDS },
  { "weir.limiter", "cost", COUNT .. " or a function" },
  { "weir.limiter", "name", NAME },
  { "weir.limiter", "on_refuse", "a function" },
  { "limiter:set", "concurrent", COUNT },
  { "limiter:set", "queue", QUEUE },
  { "limiter:set", "timeout", SECONDS },
  { "limiter:acquire", "timeout", SECONDS },
  { "limiter:acquire", "cost", COUNT },
  { "limiter:try_acquire", "cost", COUNT },
} do
  local who, name, expected = table.unpack(option)
  local object, method = who:match "(%w+).(.*)"
  local function call(v)
    local options = { [name] = v }
    if object == "limiter" then limiter[method](limiter, options)
    else weir[method](options) end
  end
  ARGUMENTS[#ARGUMENTS + 1] =
    { who .. ": " .. name .. " must be", expected, call }
end

-- Methods, and what they are called on.
local METHODS = {
  limiter = { "acquire", "try_acquire", "wrap", "set", "stats", "close",
              "drain", "top", "headers", "explain" },
  task = { "join", "cancel", "status", "traceback" },
  permit = { "release" },
}
local OBJECTS = { limiter = limiter, task = task, permit = permit }

local function snapshot()
  return { limiter:stats(), tostring(permit), task:status() }
end

weir.step(0)
local before = snapshot()

describe("bad input", function()
  after_each(function() assert.same(before, snapshot()) end)

  for _, case in ipairs(ARGUMENTS) do
    local start, expected, call, values = table.unpack(case)
    it("for " .. start .. " " .. expected, function()
      for _, value in ipairs(values or WRONG[expected]) do
        helper.raises(("%s %s, got %s"):format(start, expected,
                                               described(value)), call, value)
      end
    end)
  end

  it("for what must be given is nothing, too", function()
    local missing = {
      ["weir.rate_limit: expected a number, a table of options or a limiter"] =
        function() weir.rate_limit() end,
      ["weir.semaphore: concurrent must be " .. COUNT] =
        function() weir.semaphore() end,
      ["weir.limiter: expected a table"] = function() weir.limiter() end,
      ["limiter:set: expected a table"] = function() limiter:set() end,
      ["limiter:wrap: the function to limit must be a function"] =
        function() limiter:wrap() end,
      ["weir.spawn: the function to run must be a function"] =
        function() weir.spawn() end,
      ["weir.run: the main function must be a function"] =
        function() weir.run() end,
      ["weir.sleep: the time to sleep must be " .. SECONDS] =
        function() weir.sleep() end,
      ["weir.resolve: the host must be " .. HOST] =
        function() weir.resolve() end,
      ["weir.readable: the descriptor must be"] =
        function() weir.readable() end,
      ["weir.wake: the descriptor must be"] = function() weir.wake() end,
    }
    for message, call in pairs(missing) do helper.raises(message, call) end
  end)

  it("is a limiter that limits nothing", function()
    local NONE = "a limiter needs concurrent, rate or adaptive: what shall it "
      .. "limit?"
    helper.raises("weir.limiter: " .. NONE, function() weir.limiter {} end)
    helper.raises("weir.rate_limit: " .. NONE,
                  function() weir.rate_limit { queue = 1 } end)
    helper.raises("limiter:set: " .. NONE,
                  function() limiter:set { concurrent = false } end)
  end)

  it("for a method is another object", function()
    local others = { 1, "x", true, {}, print, io.stdout, limiter, task, permit }
    for kind, methods in pairs(METHODS) do
      for _, name in ipairs(methods) do
        local method = OBJECTS[kind][name]
        for _, other in ipairs(others) do
          if other ~= OBJECTS[kind] then
            helper.raises(("%s:%s: expected a %s (call it as %s:%s("):format(
              kind, name, kind, kind, name), function() method(other) end)
          end
        end
        helper.raises(("%s:%s: expected a %s"):format(kind, name, kind),
                      function() method() end)
      end
    end
  end)

  it("for a descriptor is no number and has no getfd", function()
    local calls = {
      ["weir.readable"] = function(v) weir.readable(v) end,
      ["weir.writable"] = function(v) weir.writable(v) end,
      ["weir.wake"] = function(v) weir.wake(v) end,
    }
    for name, call in pairs(calls) do
      for _, value in ipairs(joined(NUMBERS, { 0.5, 2^31, "1", true })) do
        helper.raises(name .. ": the descriptor must be " .. QUEUE .. ", got "
                      .. described(value), call, value)
      end
      for _, value in ipairs { {}, limiter } do
        helper.raises(name .. ": expected a descriptor or an object with "
                      .. "getfd(), got ", call, value)
      end
      helper.raises(name .. ": the descriptor must be",
                    call, { getfd = function() return -1 end })
      assert.has_error(function() call(io.stdout) end)
    end
  end)

  it("for weir.map", function()
    for _, value in ipairs(WRONG["a function"]) do
      helper.raises("weir.map: the function must be a function, got",
                    function() weir.map(value, {}) end)
    end
    for _, value in ipairs { 1, "x", true, print, coroutine.create(print) } do
      helper.raises("weir.map: the list must be a table, got",
                    function() weir.map(print, value) end)
    end
    helper.raises("weir.map: the list must be a table, got nil",
                  function() weir.map(print) end)
    helper.raises("weir.map would have to wait, and nothing can wait here",
                  function() weir.map(print, { 1 }) end)
  end)

  it("for weir.stack", function()
    for _, value in ipairs { 1, "x", true, print, coroutine.create(print) } do
      helper.raises("weir.stack: expected a list of decorators, got ",
                    function() weir.stack(value) end)
    end
    for _, value in ipairs { 1, "x", true, {}, coroutine.create(print) } do
      helper.raises("weir.stack: decorator 2 must be a limiter or a function, ",
                    function() weir.stack { limiter, value } end)
      helper.raises("weir.stack: expected a function, got ",
                    function() weir.stack { limiter } (value) end)
    end
  end)

  it("is an option that there is not, with the nearest there is", function()
    local known = {
      concurent = "concurrent", concurrency = "concurrent",
      Concurrent = "concurrent", queu = "queue", queues = "queue",
      time_out = "timeout", costs = "cost", nme = "name",
      on_refused = "on_refuse", onrefuse = "on_refuse",
    }
    for name, meant in pairs(known) do
      helper.raises(("weir.limiter: unknown option '%s'; did you mean '%s'?")
                    :format(name, meant),
                    function() weir.limiter { concurrent = 1, [name] = 1 } end)
    end
    helper.raises("limiter:acquire: unknown option 'tmeout'; did you mean "
                  .. "'timeout'", function() limiter:acquire { tmeout = 1 } end)
    helper.raises("limiter:set: unknown option 'concurrant'; did you mean",
                  function() limiter:set { concurrant = 1 } end)
  end)

  it("is an option that is like no other, with all there are", function()
    local all = "; known are: concurrent, queue, timeout, rate, per, burst, "
      .. "window, align, keys, on_exhausted, order, aging, shed, adaptive, "
      .. "dry_run, cost, priority, name, space, key, flow, on_refuse"
    for name, shown in pairs {
      [1] = "1", [""] = "''", bananas = "'bananas'", [true] = "true",
      [HUGE] = "a string of 100000 bytes", [print] = "a function",
      [0.5] = "0.5",
    } do
      helper.raises("weir.limiter: unknown option " .. shown .. all,
                    function() weir.limiter { [name] = 1 } end)
    end
    helper.raises("limiter:acquire: unknown option 1; known are: timeout, cost",
                  function() limiter:acquire { 5 } end)
  end)

  it("changes nothing of a set that is half right", function()
    for _ = 1, 20 do -- whichever the table has first
      assert.has_error(function()
        limiter:set { concurrent = 9, queue = 3, timeout = -1 }
      end)
    end
  end)

  it("inside a task is an error of that task", function()
    local failing = weir.spawn(function() limiter:acquire { cost = 0 } end)
    weir.step()
    assert.error_matches(function() failing:join() end,
                         "limiter:acquire: cost must be")
  end)
end)
