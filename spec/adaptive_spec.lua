--- Adaptive limits against a simulated server in virtual time: it serves `knee`
-- requests at once without a queue, and there is always one more who calls.
-- Each line tells the limit in the first seconds and then every tenth, and
-- after a bar the median of the last ten: probes halve it for moments.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, through, load = helper.at, helper.through, helper.load

local CALLERS = 300
local FAIL = 0.001 -- seconds, to say no

-- Latency in multiples of that without a queue, with n requests under way.
local function slowness(n, knee)
  return n > knee and 1 + 5 * (n - knee) / knee or 1
end

local SERVERS = {
  steep = function(server)
    weir.sleep(server.latency * slowness(server.serving, server.knee)
               * (0.9 + 0.2 * math.random()))
  end,
  dropping = function(server) -- says no to more than a tenth above the knee
    if server.serving > 1.1 * server.knee then
      server.dropped = server.dropped + 1
      server.serving = server.serving - 1
      weir.sleep(FAIL)
      server.serving = server.serving + 1
      error("too many", 0)
    end
    weir.sleep(server.latency * (0.9 + 0.2 * math.random()))
  end,
}

-- A server with callers who never stop, behind a limit.
local function open(adaptive, kind, knee, latency)
  math.randomseed(1)
  local server = { knee = knee, latency = latency or 0.05, serving = 0,
                   answered = 0, dropped = 0, trace = {} }
  server.limiter = weir.rate_limit { adaptive = adaptive }
  local call = server.limiter(function()
    server.serving = server.serving + 1
    local _ <close> = helper.closing(function()
      server.serving = server.serving - 1
    end)
    SERVERS[kind](server)
    server.answered = server.answered + 1
  end)
  for _ = 1, CALLERS do
    weir.spawn(function()
      while not server.closed do pcall(call) end
    end)
  end
  return server
end

local function close(server)
  server.closed = true
  server.limiter:close()
  through(weir.now() + 100)
  assert.same({ 0, 0 }, load(server.limiter))
  assert.equal(0, server.serving)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- Runs; answers the median of the limit in the last ten seconds.
local function settle(server, length)
  local start, limits = weir.now(), {}
  server.trace[#server.trace + 1] = "|"
  for i = 1, 10 * length do
    through(start + i / 10)
    limits[#limits + 1] = server.limiter:stats().limit
    if i % 10 == 0 and (i <= 50 or i % 100 == 0) then
      server.trace[#server.trace + 1] =
        median(table.move(limits, #limits - 9, #limits, 1, {}))
    end
  end
  local found = median(table.move(limits, #limits - 99, #limits, 1, {}))
  server.trace[#server.trace + 1] = "=" .. found
  return found
end

local function write(server, name)
  io.write("#: ", name, " ", table.concat(server.trace, " "), "\n")
end

-- Within 15 % of the knee, or above it by the few that a rule lets queue.
local function assert_found(knee, found, queue)
  local highest = math.max(1.15 * knee, knee + (queue or 0))
  if found < 0.85 * knee or found > highest then
    error(("found %g, not %g"):format(found, knee), 2)
  end
end

describe("an adaptive limit", function()
  before_each(function() at(0) end)

  it("stays where it is when it is not used up", function()
    for _, algorithm in ipairs { "aimd", "vegas", "gradient2" } do
      local limiter = weir.rate_limit { adaptive = { algorithm = algorithm,
                                                     initial = 50 } }
      local call = limiter(function() weir.sleep(0.05) end)
      for _ = 1, 5 do
        weir.spawn(function() for _ = 1, 200 do call() end end)
      end
      through(weir.now() + 20)
      assert.equal(50, limiter:stats().limit)
      assert.equal(1000, limiter:stats().admitted)
    end
  end)

  it("keeps to its bounds, and to `concurrent` as the highest", function()
    local up = weir.rate_limit {
      adaptive = { algorithm = "aimd", initial = 5, max = 30 }, concurrent = 12
    }
    local down = weir.rate_limit {
      adaptive = { algorithm = "aimd", initial = 20, min = 3 }
    }
    local good = up(function() weir.sleep(0.05) end)
    local bad = down(function() weir.sleep(0.05) error("no", 0) end)
    for _ = 1, 40 do
      weir.spawn(function() for _ = 1, 100 do good() end end)
      weir.spawn(function() for _ = 1, 100 do pcall(bad) end end)
    end
    local most, least = 0, 20
    for _ = 1, 30 do -- as no latency is known, it is one step a second
      through(weir.now() + 1)
      most = math.max(most, up:stats().limit)
      least = math.min(least, down:stats().limit)
    end
    assert.same({ 12, 3 }, { most, least })
    through(weir.now() + 1000)
    assert.same({ { 0, 0 }, { 0, 0 } }, { load(up), load(down) })
  end)

  it("takes what is late for dropped, by aimd's timeout", function()
    local limiter = weir.rate_limit {
      adaptive = { algorithm = "aimd", timeout = 0.04, min = 2 }
    }
    local call = limiter(function() weir.sleep(0.05) end)
    for _ = 1, 40 do
      weir.spawn(function() for _ = 1, 100 do call() end end)
    end
    through(weir.now() + 1000)
    assert.equal(2, limiter:stats().limit)
  end)

  it("is one for each key", function()
    local limiter = weir.rate_limit {
      adaptive = { algorithm = "aimd", initial = 20, min = 2 },
      key = function(key) return key end
    }
    local call = limiter(function(key)
      weir.sleep(0.05)
      if key == "bad" then error("no", 0) end
    end)
    for _ = 1, 30 do
      weir.spawn(function()
        for _ = 1, 100 do pcall(call, "bad") pcall(call, "good") end
      end)
    end
    local bad, good
    for i = 1, 100 do -- while both are in use
      through(weir.now() + 0.1)
      if i == 60 then
        bad, good = limiter:stats "bad".limit, limiter:stats "good".limit
      end
    end
    assert.is_true(bad < 20 and good >= 20, bad .. " and " .. good)
    through(weir.now() + 1000)
  end)

  it("can be set and taken back", function()
    local limiter = weir.limiter { concurrent = 30 }
    limiter:set { adaptive = { algorithm = "vegas", initial = 7 } }
    assert.equal(7, limiter:stats().limit)
    limiter:set { adaptive = false }
    assert.equal(30, limiter:stats().limit)
    limiter:set { adaptive = "aimd", concurrent = false }
    limiter:set { queue = 0 }
    assert.equal(20, limiter:stats().limit)
    local permits = {}
    for i = 1, 20 do permits[i] = assert(limiter:acquire()) end
    local _, err = limiter:acquire()
    assert.same({ "full", 20 }, { err.code, err.limit })
    helper.forget(permits)
  end)

  it("does not count what was never begun", function()
    local limiter = weir.limiter {
      adaptive = { algorithm = "aimd", initial = 20 }
    }
    for i = 1, 1000 do
      local permit = limiter:acquire()
      at(i / 100)
      permit:release "unused"
    end
    assert.equal(20, limiter:stats().limit)
    assert.equal(1000, limiter:stats().unused)
  end)
end)

-- Under a collector that runs all the time it takes minutes.
if helper.stress then return end

for _, case in ipairs {
  { "aimd", "dropping" }, { "vegas", "steep" }, { "gradient2", "steep", 4 },
} do
  local algorithm, kind, queue = table.unpack(case)
  local name = ("%-9s"):format(algorithm)

  describe(algorithm, function()
    before_each(function() at(0) end)

    it("finds the knee from below", function()
      local server = open({ algorithm = algorithm, initial = 10 }, kind, 40)
      local found = settle(server, 30)
      write(server, name .. " from  10:")
      assert_found(40, found, queue)
      close(server)
    end)

    it("finds it from above", function()
      local server = open({ algorithm = algorithm, initial = 200 }, kind, 40)
      local found = settle(server, 60)
      write(server, name .. " from 200:")
      assert_found(40, found, queue)
      close(server)
    end)

    it("finds it by its defaults", function()
      local server = open(algorithm, kind, 40)
      local found = settle(server, 30)
      write(server, name .. " by word :")
      assert_found(40, found, queue)
      close(server)
    end)

    it("follows it when it halves and comes back", function()
      local server = open({ algorithm = algorithm }, kind, 40)
      settle(server, 30)
      server.knee = 20
      local halved = settle(server, 40)
      server.knee = 40
      local back = settle(server, 40)
      write(server, name .. " 40 20 40:")
      assert_found(20, halved, queue)
      assert_found(40, back, queue)
      close(server)
    end)

    it("does not creep up under an overload that does not end", function()
      local server = open({ algorithm = algorithm }, kind, 40, 0.2)
      settle(server, 60)
      local answered, highest = server.answered, 0
      for _ = 1, 4 do highest = math.max(highest, settle(server, 60)) end
      write(server, name .. " 5 minutes:")
      assert_found(40, highest, queue)
      local possible = 240 * 40 / 0.2
      assert.is_true(server.answered - answered > 0.6 * possible,
                     "answered " .. server.answered - answered)
      close(server)
    end)
  end)
end
