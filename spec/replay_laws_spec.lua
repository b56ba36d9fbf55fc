--- What is true of every replay: random policies over random logs, and logs
-- that are no logs.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local replay = require "weir.replay"
local replaying = require "spec.replaying"

local ROUNDS = helper.stress and 5 or 40

local function random_requests(count)
  local requests, time = {}, 0
  for i = 1, count do
    -- Bursts, and pauses in between.
    time = time + (math.random() < 0.1 and math.random() or math.random() / 50)
    requests[i] = { time, ("10.0.0.%d"):format(math.random(4)),
                    "/" .. math.random(3), math.random() < 0.1 and 503 or 200 }
  end
  return requests
end

-- A limiter of any kind: its text and its limits.
local function random_limiter(name, keyed)
  local limit = { concurrent = math.random(4), rate = math.random(20),
                  burst = math.random(5) }
  local text = ([[weir.rate_limit { name = "%s", concurrent = %d, rate = "%d/s",
    burst = %d, queue = %d, timeout = %.2f, order = "%s"%s }]]):format(name,
      limit.concurrent, limit.rate, limit.burst, math.random(0, 5),
      math.random(), math.random() < 0.5 and "fifo" or "lifo",
      keyed and ", key = function(req) return req.remote_addr end" or "")
  return text, limit
end

-- The requests that were served, in the order in which that began.
local function served_of(told)
  local served = {}
  for _, one in ipairs(told) do
    if one[6] then served[#served + 1] = { from = one[6], to = one[7] } end
  end
  table.sort(served, function(a, b) return a.from < b.from end)
  return served
end

-- Never more at once than there are permits.
local function check_concurrency(served, limit)
  local points = {}
  for _, one in ipairs(served) do
    points[#points + 1] = { one.from, 1 }
    points[#points + 1] = { one.to, -1 }
  end
  table.sort(points, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end)
  local level = 0
  for _, point in ipairs(points) do
    level = level + point[2]
    assert.is_true(level <= limit)
  end
  return level
end

-- Never more begin in any time than the burst and what the rate gives in it.
local function check_rate(served, limit)
  for i = 1, #served do
    for n = i, math.min(#served, i + 60) do
      local most = limit.burst
        + math.floor((served[n].from - served[i].from) * limit.rate + 1e-6)
      assert.is_true(n - i + 1 <= most)
    end
  end
end

local function check_sums(report, told)
  assert.equal(report.requests, report.at_once + report.waited + report.refused
    + report.answered + report.failed + report.unfinished)
  assert.equal(report.requests, #told)
  local line = report.timeline
  local arrived, refused = 0, 0
  for i = 1, #line.arrived do
    arrived, refused = arrived + line.arrived[i], refused + line.refused[i]
  end
  assert.equal(report.requests, arrived)
  assert.equal(report.requests - report.at_once - report.waited, refused)
  local codes = 0
  for _, count in pairs(report.codes) do codes = codes + count end
  assert.equal(report.refused, codes)
end

local function check_keys(report, name)
  local all, limiter = { at_once = 0, waited = 0, refused = 0 }, nil
  for _, one in ipairs(report.limiters) do
    if one.name == name then limiter = one end
  end
  for _, key in ipairs(report.keys) do
    if key.limiter == name then
      all.at_once = all.at_once + key.at_once
      all.waited = all.waited + key.waited
      all.refused = all.refused + key.affected - key.waited
    end
  end
  assert.same({ limiter.at_once, limiter.waited, limiter.refused },
              { all.at_once, all.waited, all.refused })
end

describe("a replay", function()
  after_each(replaying.clean)

  it("never lets through more than a limiter does", function()
    for seed = 1, ROUNDS do
      math.randomseed(seed)
      local text, limit = random_limiter("one", false)
      local told, each = replaying.told()
      local report = assert(replaying.replay("return " .. text .. "(proceed)",
        random_requests(300), { each = each, seed = seed,
          service = "lognormal:p50=50ms,p99=400ms" }))
      local served = served_of(told)
      check_sums(report, told)
      assert.equal(0, check_concurrency(served, limit.concurrent))
      assert.equal(0, report.unfinished)
      check_rate(served, limit)
      assert.is_true(report.in_flight <= limit.concurrent)
    end
  end)

  it("adds up, whatever limiters there are", function()
    for seed = 1, ROUNDS do
      math.randomseed(seed)
      local combine = math.random() < 0.5 and "stack" or "all"
      local told, each = replaying.told()
      local report = assert(replaying.replay(
        ("return weir.%s { %s, %s }(proceed)"):format(combine,
          random_limiter("client", true), (random_limiter("backend", false))),
        random_requests(300), { each = each, seed = seed,
          service = "30ms", capacity = math.random(3) }))
      check_sums(report, told)
      assert.equal(0, report.unfinished)
      assert.equal(0, #report.messages)
      if combine == "stack" then check_keys(report, "client") end
    end
  end)

  -- With room for all, there is no difference to none at all.
  it("is as without a policy when that has room for all", function()
    for seed = 1, ROUNDS do
      math.randomseed(seed)
      local report = assert(replaying.replay(
        "return weir.rate_limit { concurrent = 1000 }(proceed)",
        random_requests(200), { seed = seed, capacity = math.random(4),
          service = "lognormal:p50=50ms,p99=400ms" }))
      assert.equal(report.requests, report.at_once)
      assert.equal(report.without, report.in_flight)
      assert.same(report.timeline.without, report.timeline.in_flight)
    end
  end)

  -- Lines that something has been done to: each is a request, a bad line, or
  -- one of no request, and those that were not touched are requests.
  it("counts every line of a damaged log", function()
    local formats = { replaying.FORMAT, "combined", "common", "json", "nginx",
                      "haproxy" }
    local policy = replaying.policy(
      "return weir.rate_limit { concurrent = 2, queue = 5, timeout = 1, "
      .. "key = function(req) return req.remote_addr or req.path end }"
      .. "(proceed)")
    for seed = 1, ROUNDS do
      math.randomseed(seed)
      local lines, whole = {}, 0
      local text = replaying.lines(random_requests(100))
      for line in text:gmatch "[^\n]+" do
        if math.random() < 0.3 then
          local at = math.random(#line)
          line = line:sub(1, at - 1)
            .. string.char(math.random(0, 255)):gsub("\n", " ")
            .. line:sub(at + math.random(0, 5))
        else
          whole = whole + 1
        end
        lines[#lines + 1] = line
      end
      local log = replaying.file(table.concat(lines, "\n"))
      local format = formats[seed % #formats + 1]
      local report, err = replay.run(policy, { logs = { log }, service = "10ms",
                                               format = format })
      if report then
        local counts = report.logs[1]
        assert.equal(#lines, counts.lines)
        assert.equal(counts.lines, counts.bad + counts.none + report.requests)
        assert.equal(report.requests, report.at_once + report.waited
          + report.refused + report.answered + report.failed)
        if format == replaying.FORMAT then
          assert.is_true(report.requests >= whole)
        end
      else
        assert.matches("the logs have no requests", err)
      end
    end
  end)
end)
