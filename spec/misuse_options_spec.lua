--- Bad input in the options of limiters and requests: an error at the caller's
-- line that names the option, what came and what was expected; and nothing has
-- changed.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local wrong = require "spec.wrong"

local COUNT, SECONDS = wrong.COUNT, wrong.SOME_SECONDS
local WINDOWS = "'gcra', 'fixed' or 'sliding'"
local VICTIMS = "'newest', 'oldest' or 'lowest'"
local FLAG = "true or false"
local NUMBER = "a number above 0"

-- What stands beside an option so that it makes sense.
local CREATION = {
  { "rate", wrong.RATE },
  { "per", SECONDS, { rate = 5 } },
  { "burst", COUNT, { rate = "5/s" } },
  { "window", WINDOWS, { rate = "5/s" } },
  { "align", FLAG, { rate = "5/s", window = "fixed" } },
  { "keys", COUNT, { concurrent = 1 } },
  { "on_exhausted", "'refuse' or 'admit'", { concurrent = 1, keys = 1 } },
  { "order", "'fifo', 'lifo', 'priority' or 'fair'", { concurrent = 1 } },
  { "aging", SECONDS, { concurrent = 1, order = "priority" } },
  { "dry_run", FLAG, { concurrent = 1 } },
  { "priority", wrong.PRIORITY .. " or a function",
    { concurrent = 1, order = "priority" } },
  { "key", "a function", { concurrent = 1 } },
  { "flow", "a function", { concurrent = 1, order = "fair" } },
}

-- Of shed = { ... } and adaptive = { algorithm = "vegas", ... }.
local NESTED = {
  shed = { { "codel", FLAG }, { "lifo", FLAG }, { "doomed", FLAG },
           { "target", SECONDS }, { "interval", SECONDS },
           { "victim", VICTIMS } },
  adaptive = { { "algorithm", "'aimd', 'vegas' or 'gradient2'" },
               { "initial", COUNT }, { "min", COUNT }, { "max", COUNT },
               { "queue", COUNT }, { "long_window", COUNT },
               { "backoff", NUMBER }, { "smoothing", NUMBER },
               { "tolerance", NUMBER }, { "timeout", SECONDS } },
}

local function with(options, name, value)
  local all = {}
  for key, other in pairs(options or {}) do all[key] = other end
  all[name] = value
  return all
end

local limiter = weir.limiter { concurrent = 5, rate = "5/s", burst = 5,
                               name = "misused", order = "priority" }
local fair = weir.limiter { concurrent = 5, keys = 5, order = "fair" }
local permit = limiter:acquire()

local function snapshot() return { limiter:stats(), fair:stats() } end

weir.step(0)
local before = snapshot()

-- Asserts what is said to each wrong value.
local function assert_all(start, expected, call, values)
  for _, value in ipairs(values or wrong.VALUES[expected]) do
    helper.raises(("%s must be %s, got %s"):format(start, expected,
                                                   wrong.described(value)),
                  call, value)
  end
end

describe("bad input", function()
  after_each(function() assert.same(before, snapshot()) end)

  for _, case in ipairs(CREATION) do
    local name, expected, others = table.unpack(case)

    it("for " .. name .. " of a new limiter", function()
      assert_all("weir.limiter: " .. name, expected,
                 function(v) weir.limiter(with(others, name, v)) end)
      assert_all("weir.rate_limit: " .. name, expected,
                 function(v) weir.rate_limit(with(others, name, v)) end)
    end)

    if name ~= "key" and name ~= "flow" and name ~= "priority" then
      it("for " .. name .. " of set", function()
        assert_all("limiter:set: " .. name, expected,
                   function(v) limiter:set { [name] = v } end)
      end)
    end
  end

  for option, fields in pairs(NESTED) do
    for _, field in ipairs(fields) do
      local name, expected = table.unpack(field)
      local base = option == "adaptive" and { algorithm = "vegas" } or {}
      it(("for %s in %s"):format(name, option), function()
        assert_all(("weir.limiter: %s: %s"):format(option, name), expected,
                   function(v)
                     weir.limiter { concurrent = 1,
                                    [option] = with(base, name, v) }
                   end)
        assert_all(("limiter:set: %s: %s"):format(option, name), expected,
                   function(v)
                     limiter:set { [option] = with(base, name, v) }
                   end)
      end)
    end

    it("for a name in " .. option, function()
      helper.raises(("weir.limiter: %s: unknown option 'bananas'; known are: ")
                    :format(option), function()
        weir.limiter { concurrent = 1, [option] = { bananas = 1 } }
      end)
      local near = option == "shed" and "codel" or "timeout"
      helper.raises(("weir.limiter: %s: unknown option '%s'; did you mean '%s'")
                    :format(option, near .. "s", near), function()
        weir.limiter { concurrent = 1, [option] = { [near .. "s"] = 1 } }
      end)
    end)
  end

  it("for shed and adaptive themselves", function()
    local values = wrong.joined(wrong.NUMBERS,
                                wrong.without(wrong.OTHERS, "table"))
    assert_all("weir.limiter: shed",
               "'codel', 'lifo', 'doomed', 'oldest' or 'lowest'",
               function(v) weir.limiter { concurrent = 1, shed = v } end,
               values)
    assert_all("weir.limiter: adaptive", "'aimd', 'vegas' or 'gradient2'",
               function(v) weir.limiter { adaptive = v } end, values)
    helper.raises("weir.limiter: adaptive: algorithm is missing: 'aimd', "
                  .. "'vegas' or 'gradient2'",
                  function() weir.limiter { adaptive = { min = 1 } } end)
  end)

  it("is what does not go together", function()
    local P = { concurrent = 1 }
    for message, options in pairs {
      ["per goes with a rate that is a number"] = { rate = "5/s", per = 2 },
      ["burst, window and align go with a rate"] = with(P, "burst", 2),
      ["burst, window and align go with a rate\0"] = with(P, "window", "gcra"),
      ["burst, window and align go with a rate\0\0"] = with(P, "align", true),
      ["burst goes with a rate without a window"] =
        { rate = "5/s", burst = 5, window = "fixed" },
      ["align goes with window = 'fixed' or 'sliding'"] =
        { rate = "5/s", align = true },
      ["priority goes with order = 'priority'"] = with(P, "priority", 3),
      ["aging goes with order = 'priority'"] = with(P, "aging", 3),
      ["flow goes with order = 'fair'"] = with(P, "flow", print),
      ["rate must be at most one token per nanosecond"] = { rate = 2e9 },
      ["rate must be more than one in 36 years"] = { rate = 1e-10 },
      ["burst must be one that fills up within 146 years"] =
        { rate = "1/365d", burst = 2^31 - 1 },
      ["shed: lifo turns a queue round whose order is fifo"] =
        { concurrent = 1, shed = "lifo", order = "fair" },
      ["shed: the lowest can be the victim only in order of priority"] =
        { concurrent = 1, shed = "lowest" },
      ["adaptive: min must not be above max"] =
        { adaptive = { algorithm = "aimd", min = 5, max = 4 } },
      ["adaptive: initial must not be above max"] =
        { adaptive = { algorithm = "aimd", initial = 201 } },
      ["adaptive: backoff must be from 0.5 to below 1"] =
        { adaptive = { algorithm = "aimd", backoff = 1 } },
      ["adaptive: smoothing must be above 0 and up to 1"] =
        { adaptive = { algorithm = "vegas", smoothing = 1.5 } },
      ["adaptive: tolerance must be from 1 to "] =
        { adaptive = { algorithm = "gradient2", tolerance = 0.5 } },
      ["a limiter needs concurrent, rate or adaptive: what shall it limit?"] =
        { rate = false, queue = 1 },
    } do
      helper.raises("weir.limiter: " .. message:gsub("%z", ""),
                    function() weir.limiter(options) end)
    end
  end)

  it("is what cannot be changed", function()
    for _, name in ipairs { "cost", "priority", "name", "key", "flow",
                            "on_refuse" } do
      helper.raises("limiter:set: " .. name .. " cannot be changed; make "
                    .. "another limiter",
                    function() limiter:set { [name] = print } end)
    end
  end)

  it("for a request", function()
    for _, name in ipairs { "acquire", "try_acquire" } do
      assert_all("limiter:" .. name .. ": priority", wrong.PRIORITY,
                 function(v) limiter[name](limiter, { priority = v }) end)
      assert_all("limiter:" .. name .. ": cost", COUNT,
                 function(v) fair[name](fair, "key", { cost = v }) end)
      assert_all("limiter:" .. name .. ": flow", wrong.KEY,
                 function(v) fair[name](fair, "key", { flow = v }) end)
    end
  end)

  it("from a function that says something of a call", function()
    local values = { cost = COUNT, priority = wrong.PRIORITY,
                     key = wrong.KEY, flow = wrong.KEY }
    local orders = { priority = "priority", flow = "fair" }
    for name, expected in pairs(values) do
      local ran, runs = helper.counter()
      local limited = weir.limiter {
        concurrent = 1, order = orders[name],
        [name] = function(value) return value end
      }
      local call = limited(ran)
      assert_all("weir: what the " .. name .. " function returned", expected,
                 function(v) call(v) end)
      assert.same({ 0, 0, 0 }, { runs(), limited:stats().in_use,
                                 limited:stats().admitted })
    end
  end)

  it("is to ask for what a limiter has not", function()
    helper.raises("limiter:acquire: this limiter has no keys: make it with "
                  .. "keys = n or with a key function",
                  function() limiter:acquire("a key") end)
    helper.raises("limiter:acquire: unknown option 'keys'",
                  function() limiter:acquire { keys = 1 } end)
    helper.raises("limiter:acquire: unknown option 'prioritty'; did you mean "
                  .. "'priority'?",
                  function() limiter:acquire { prioritty = 1 } end)
  end)
end)

describe("what was misused", function()
  it("works as before", function()
    permit:release()
    assert.equal(0, limiter:stats().in_use)
    assert.truthy(limiter:try_acquire { priority = -16, cost = 4 })
  end)
end)
