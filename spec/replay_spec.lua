--- weir.replay: small logs, every number of whose reports was computed by hand.

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local replay = require "weir.replay"
local replaying = require "spec.replaying"

local near, lines, file = replaying.near, replaying.lines, replaying.file

local function run(policy, requests, options)
  local report, err = replaying.replay(policy, requests, options)
  assert.is_nil(err)
  return report
end

local function sum(list)
  local total = 0
  for _, value in ipairs(list) do total = total + value end
  return total
end

local function most(list)
  return math.max(table.unpack(list))
end

-- How the requests fell into classes.
local function classes(report)
  return { report.requests, report.at_once, report.waited, report.refused,
           report.answered, report.failed, report.unfinished }
end

describe("weir.replay", function()
  after_each(replaying.clean)

  -- Serving takes 1 s, one at a time; one may wait.
  --   0.0 is served until 1.0
  --   0.1 waits 0.9, is served until 2.0
  --   0.2 finds the queue full
  --   1.2 waits 0.8, is served until 3.0
  --   1.3 finds the queue full
  --   3.0 comes when that ends: at once, until 4.0
  --   3.1 waits 0.9, is served until 5.0
  it("queues and refuses", function()
    local report = run([[
      local door = { name = "door", concurrent = 1, queue = 1 }
      return weir.rate_limit(door)(proceed)
    ]], { 0, 0.1, 0.2, 1.2, 1.3, 3, 3.1 })
    assert.same({ 7, 2, 3, 2, 0, 0, 0 }, classes(report))
    assert.same({ full = 2 }, report.codes)
    assert.same({ [503] = 2 }, report.statuses)
    near(0.8, report.wait.p50)
    near(0.9, report.wait.p90)
    near(0.9, report.wait.p99)
    assert.near(0.9, report.wait.max, 1e-6)
    assert.near(2.6 / 5, report.wait.mean, 1e-6)
    near(1.8, report.time.p50)
    assert.near(1.9, report.time.max, 1e-6)
    assert.near(7.6 / 5, report.time.mean, 1e-6)
    assert.equal(1, report.in_flight)
    assert.equal(1, report.waiting)
    assert.equal(3, report.without)
    assert.near(3.1, report.span, 1e-6)
    assert.equal(replaying.BEGIN, report.first)
  end)

  it("tells of each limiter", function()
    local report = run([[
      local door = { name = "door", concurrent = 1, queue = 1 }
      return weir.rate_limit(door)(proceed)
    ]], { 0, 0.1, 0.2, 1.2, 1.3, 3, 3.1 })
    assert.equal(1, #report.limiters)
    local door = report.limiters[1]
    assert.same({ "door", 1, 5, 2, 3, 2, 2 }, { door.name, door.limit,
      door.admitted, door.at_once, door.waited, door.refused, door.codes.full })
    assert.near(0.9, door.wait.max, 1e-6)
    assert.near(2.6 / 5, door.wait.mean, 1e-6)
    near(0.8, door.wait.p50)
  end)

  it("draws a line of time", function()
    local report = run([[
      local door = { name = "door", concurrent = 1, queue = 1 }
      return weir.rate_limit(door)(proceed)
    ]], { 0, 0.1, 0.2, 1.2, 1.3, 3, 3.1 })
    local line = report.timeline
    assert.near(0.016, line.width, 1e-9) -- 5 s in 512 steps at most
    assert.equal(7, sum(line.arrived))
    assert.equal(2, sum(line.refused))
    assert.same({ 1, 1, 3 }, { most(line.in_flight), most(line.waiting),
                               most(line.without) })
    local function at(list, time) return list[time // line.width + 1] end
    assert.equal(1, at(line.refused, 0.2))
    assert.equal(0, at(line.waiting, 0.05))
    assert.equal(1, at(line.waiting, 0.5))
    assert.equal(1, at(line.in_flight, 4.5))
    assert.equal(2, at(line.without, 0.15))
    assert.equal(3, at(line.without, 0.5))
    assert.equal(0, at(line.without, 2.6))
  end)

  -- One at a time, for 1 s; who waits 0.5 s gives up.
  --   0.0 until 1.0; 0.1 gives up at 0.6; 0.7 waits 0.3, until 2.0
  it("times out", function()
    local report = run([[
      return weir.rate_limit { concurrent = 1, timeout = 0.5 }(proceed)
    ]], { 0, 0.1, 0.7 })
    assert.same({ 3, 1, 1, 1, 0, 0, 0 }, classes(report))
    assert.same({ timeout = 1 }, report.codes)
    assert.near(0.3, report.wait.max, 1e-6)
  end)

  -- A rate of 2 per second and a burst of 2 for each address, nobody waits.
  --   a: 0.0 and 0.1 take the burst, 0.2 is refused, 0.5 takes the token that
  --   came then, 0.6 is refused; b: 0.3 is none of a's business
  it("gives each key its own", function()
    local report = run([[
      return weir.rate_limit { name = "client", rate = "2/s", burst = 2,
        queue = 0, key = function(req) return req.remote_addr end }(proceed)
    ]], { { 0, "a" }, { 0.1, "a" }, { 0.2, "a" }, { 0.3, "b" }, { 0.5, "a" },
          { 0.6, "a" } })
    assert.same({ 6, 4, 0, 2, 0, 0, 0 }, classes(report))
    assert.same({ [429] = 2 }, report.statuses)
    assert.equal(2, #report.keys)
    local a, b = report.keys[1], report.keys[2]
    assert.same({ "a", "client", 3, 0, 2, { full = 2 } },
      { a.key, a.limiter, a.at_once, a.waited, a.affected, a.refused })
    assert.same({ "b", "client", 1, 0, 0, {} },
      { b.key, b.limiter, b.at_once, b.waited, b.affected, b.refused })
  end)

  -- As above, but they wait: the third of a until 0.5, the fourth until 1.0.
  it("tells what the keys waited", function()
    local report = run([[
      return weir.rate_limit { name = "client", rate = "2/s", burst = 2,
        key = function(req) return req.remote_addr end }(proceed)
    ]], { { 0, "a" }, { 0, "a" }, { 0.1, "a" }, { 0.2, "a" }, { 0.3, "b" } })
    local a = report.keys[1]
    assert.same({ "a", 2, 2, 2 }, { a.key, a.at_once, a.waited, a.affected })
    assert.near(0.8, a.wait_max, 1e-6)
    assert.near((0.4 + 0.8) / 4, a.wait_mean, 1e-6)
    assert.near(0.8, report.wait.max, 1e-6)
  end)

  it("tells in whose name a wait was given up", function()
    local report = run([[
      return weir.rate_limit { concurrent = 1, timeout = 0.5,
        key = function(req) return req.remote_addr end }(proceed)
    ]], { { 0, "a" }, { 0.1, "b" }, { 0.2, "a" } })
    assert.same({ timeout = 1 }, report.keys[1].refused)
    assert.equal("a", report.keys[1].key)
  end)

  -- The server serves two at once for 1 s; without a limit.
  --   0.0 and 0.1 at once, until 1.0 and 1.1; 0.2 from 1.0 until 2.0;
  --   0.3 from 1.1 until 2.1
  it("has a server that saturates", function()
    local told, each = replaying.told()
    local report = run("return proceed", { 0, 0.1, 0.2, 0.3 },
                       { capacity = 2, each = each })
    local ends = {}
    for i, one in ipairs(told) do ends[i] = one[7] end
    for i, wanted in ipairs { 1, 1.1, 2, 2.1 } do
      assert.near(wanted, ends[i], 1e-6)
    end
    assert.same({ 4, 4 }, { report.in_flight, report.without })
    assert.near(1.8, report.time.max, 1e-6)
  end)

  it("takes the time that requests took from the log", function()
    local log = file(table.concat({
      "1431857104.000 1.000 GET", -- from 3.000
      "1431857104.100 0.100 GET", -- from 4.000, when that one ends
      "1431857104.100 0.600 GET", -- from 3.500: waits 0.5, until 4.6
    }, "\n"))
    local told, each = replaying.told()
    local report = assert(replay.run(replaying.policy
      "return weir.rate_limit(1)(proceed)", { logs = { log }, each = each,
        format = "$msec $request_time $request_method" }))
    assert.same({ 3, 1, 2, 0, 0, 0, 0 }, classes(report))
    local order = {}
    for i, one in ipairs(told) do
      order[i] = { one[3], one[5], one[6], one[7] }
    end
    local wanted = { { 1, 0, 0, 1 }, { 3, 0.5, 1, 1.6 }, { 2, 1, 1.6, 1.7 } }
    for i, row in ipairs(wanted) do
      for c, number in ipairs(row) do assert.near(number, order[i][c], 1e-6) end
    end
  end)

  it("spreads requests over their second", function()
    local log = file(("a - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" "
      .. "200 1\n"):rep(4))
    for _, case in ipairs { { nil, { 0, 0.25, 0.5, 0.75 } },
                            { false, { 0, 0, 0, 0 } } } do
      local told, each = replaying.told()
      local report = assert(replay.run(replaying.policy "return proceed",
        { logs = { log }, service = "0.1s", each = each, spread = case[1] }))
      for i, one in ipairs(told) do assert.near(case[2][i], one[5], 1e-6) end
      assert.equal(4, report.logs[1].spread)
      assert.equal("common", report.logs[1].format)
    end
  end)

  it("answers what the policy answers", function()
    local report = run([[
      return function(req)
        if req.path == "/no" then return req:refuse(403) end
        if req.path == "/oh" then error "oh" end
        if req.path == "/what" then return false end
        if req.path == "/yes" then return nil end
        return true
      end
    ]], { { 0, "a", "/no" }, { 1, "a", "/oh" }, { 2, "a", "/what" },
          { 3, "a", "/yes" }, { 4, "a", "/" } })
    assert.same({ 5, 2, 0, 0, 1, 2, 0 }, classes(report))
    assert.equal(1, report.statuses[403])
    assert.matches("oh", report.messages[1])
    assert.matches("the handler returned false", report.messages[2])
    assert.equal(1, report.in_flight)
  end)

  it("says what waits for ever", function()
    local report = run([[
      local door = weir.semaphore(1)
      local kept = {}
      return function(req)
        kept[#kept + 1] = door:acquire()
        return req:proceed()
      end
    ]], { 0, 1, 2 })
    assert.same({ 3, 1, 0, 0, 0, 0, 2 }, classes(report))
  end)

  it("counts an error behind req:proceed, and lets the request be", function()
    local report = run([[
      return function(req)
        local answer = req:proceed()
        assert(answer.status == 200 and answer.bytes == 100)
        assert(answer.upstream_time == 1)
        error "late"
      end
    ]], { 0 })
    assert.same({ 1, 1, 0, 0, 0, 0, 0 }, classes(report))
    assert.equal(1, report.errors)
    assert.matches("late", report.messages[1])
  end)

  it("does not let a request proceed twice, nor when it is refused", function()
    local report = run([[
      return function(req)
        if req.path == "/twice" then
          req:proceed()
          req:proceed()
        elseif req.path == "/refused" then
          req:refuse(503)
          req:proceed()
        else
          req:proceed()
          req:refuse(503)
        end
      end
    ]], { { 0, "a", "/twice" }, { 2, "a", "/refused" }, { 4, "a", "/late" } })
    assert.same({ 3, 2, 0, 0, 1, 0, 0 }, classes(report))
    assert.equal(2, report.errors)
    assert.matches("the request has proceeded already", report.messages[1])
    assert.matches("req:refuse: the request has proceeded already",
                   report.messages[2])
  end)

  it("gives a request what its line has", function()
    local log = file('1431857103.5 1.2.3.4 567 200 42 "GET /a%20b/../c?x=1&y='
      .. '%41&x=2 HTTP/1.1" "Moz \\x22" "b=2; a=1" "example.com:80" "https"\n')
    local policy = replaying.policy [[
      return function(req)
        local seen = { req.method, req.uri, req.path, req.args.x, req.args.y,
          req.http_version, req.remote_addr, req.remote_port, req.status,
          req.bytes, req.user_agent, req.headers["User-Agent"],
          req.headers.cookie, req.cookies.a, req.host, req.scheme,
          req.var.remote_addr, tostring(req.var.nothing), tostring(req.id),
          tostring(req.ssl), type(req.ctx) }
        print(table.concat(seen, "|"))
        req.ctx.mine = true
        assert(req.ctx.mine)
        assert(not pcall(function() req.mine = 1 end))
        assert(not pcall(function() return req.mine end))
      end
    ]]
    local printed
    local report = assert(replay.run(policy, {
      logs = { log }, service = "1s", print = function(text) printed = text end,
      format = '$msec $remote_addr $remote_port $status $body_bytes_sent '
        .. '"$request" "$http_user_agent" "$http_cookie" "$http_host" '
        .. '"$scheme"',
    }))
    assert.same({}, report.messages)
    assert.equal('GET|/a%20b/../c?x=1&y=%41&x=2|/c|2|A|1.1|1.2.3.4|567|200|42|'
      .. 'Moz "|Moz "|b=2; a=1|1|example.com|https|1.2.3.4|nil|nil|nil|table',
      printed)
  end)

  it("runs on the log's time", function()
    local printed = {}
    run([[
      local began = weir.now()
      return function(req)
        print(("%.3f %d %.3f %s"):format(weir.now() - began, os.time(),
          os.clock(), os.date "!%H:%M:%S"))
      end
    ]], { 0, 1.5 }, { print = function(text) printed[#printed + 1] = text end })
    assert.same({ "0.000 1431857103 0.000 10:05:03",
                  "1.500 1431857104 1.500 10:05:04" }, printed)
  end)

  -- Periods of a minute begin at full minutes: 10:05:03 is in that until
  -- 10:06:00, 57 s later. Two are let through in each.
  it("aligns windows with the log's clock", function()
    local report = run([[
      return weir.rate_limit { rate = "2/m", window = "fixed", align = true,
                               queue = 0 }(proceed)
    ]], { 0, 1, 2, 56, 57, 58, 59 })
    assert.same({ 7, 4, 0, 3, 0, 0, 0 }, classes(report))
  end)

  it("lets a limit find itself, and makes it go down by failures", function()
    local policy = [[
      return weir.rate_limit { name = "found", adaptive = { algorithm = "aimd",
        initial = 10, min = 1, max = 20 } }(proceed)
    ]]
    local good, bad = {}, {}
    for i = 1, 100 do
      good[i] = { i * 2, "a", "/", 200 }
      bad[i] = { i * 2, "a", "/", 502 }
    end
    local well, ill = run(policy, good), run(policy, bad)
    assert.equal(10, well.limiters[1].limit)
    assert.equal(1, ill.limiters[1].limit)
    assert.same({ 0, 100 }, { well.limiters[1].dropped,
                              ill.limiters[1].dropped })
  end)

  it("runs several limiters, in a made-up space", function()
    local report = run([[
      local space = weir.open "shm:api"
      local client = weir.rate_limit { space = space, name = "client",
        concurrent = 1, queue = 0,
        key = function(req) return req.remote_addr end }
      local backend = weir.rate_limit { space = space, name = "backend",
        concurrent = 1, queue = 1 }
      return weir.stack { client, backend }(proceed)
    ]], { { 0, "a" }, { 0.1, "a" }, { 0.2, "b" }, { 0.3, "c" } })
    -- a is served, a second a refused by client; b waits; c finds it full.
    assert.same({ 4, 1, 1, 2, 0, 0, 0 }, classes(report))
    assert.same({ [429] = 1, [503] = 1 }, report.statuses)
    local by_name = {}
    for _, limiter in ipairs(report.limiters) do
      by_name[limiter.name] = limiter
    end
    assert.equal("shm:api", by_name.client.space)
    assert.equal(1, by_name.client.refused)
    assert.equal(1, by_name.backend.refused)
    assert.near(0.8, by_name.backend.wait.max, 1e-6)
  end)

  it("takes it that limiters go", function()
    local report = run([[
      local space = weir.open "shm:api"
      local first = weir.limiter { space = space, name = "first", rate = "1/h",
                                   keys = 10, queue = 0 }
      return function(req)
        local own = weir.limiter { rate = "1/h", keys = 10, queue = 0 }
        own:try_acquire "own"
        if req.path == "/close" then space:close() return true end
        local permit, err = first:acquire(req.path)
        if not permit then return nil, err end
        return req:proceed()
      end
    ]], { { 0, "a", "/a" }, { 1, "a", "/a" }, { 2, "a", "/close" } })
    assert.same({ 3, 2, 0, 1, 0, 0, 0 }, classes(report))
    collectgarbage()
    for _, key in ipairs(report.keys) do
      assert.is_true(key.limiter == "a limiter of a closed space"
        or key.key == "own")
    end
  end)

  it("begins anew each time", function()
    local policy = [[
      return weir.rate_limit { space = "shm:api", name = "once", rate = "1/h",
                               queue = 0 }(proceed)
    ]]
    for _ = 1, 2 do
      assert.same({ 2, 1, 0, 1, 0, 0, 0 }, classes(run(policy, { 0, 1 })))
    end
  end)

  it("tells what a dry run would have done", function()
    local report = run([[
      return weir.rate_limit { name = "dry", concurrent = 1, queue = 0,
                               dry_run = true }(proceed)
    ]], { 0, 0.1, 0.2 })
    assert.same({ 3, 3, 0, 0, 0, 0, 0 }, classes(report))
    assert.equal(2, report.limiters[1].would.full)
  end)

  it("sets options of limiters", function()
    local report = run([[
      local door = { name = "door", concurrent = 1, queue = 0 }
      return weir.rate_limit(door)(proceed)
    ]], { 0, 0.1, 0.2 }, { set = { door = { concurrent = 2 } } })
    assert.same({ 3, 2, 0, 1, 0, 0, 0 }, classes(report))
  end)

  it("is the same for the same log, policy and seed", function()
    local policy = replaying.policy [[
      return weir.rate_limit { concurrent = 3, timeout = 0.2,
        key = function(req) return math.random() < 0.5 and "a" or "b" end
      }(proceed)
    ]]
    local requests = {}
    for i = 1, 500 do requests[i] = i / 50 end
    local json, reports, log = require "weir.json", {}, file(lines(requests))
    for i, seed in ipairs { 1, 1, 2 } do
      local told, each = replaying.told()
      local report = assert(replay.run(policy, { logs = { log }, each = each,
        format = replaying.FORMAT, service = "lognormal:p50=50ms,p99=500ms",
        seed = seed }))
      report.seed = nil
      reports[i] = json.encode { report, told }
    end
    assert.is_true(reports[1] == reports[2]) -- they are long
    assert.is_false(reports[1] == reports[3])
  end)

  it("chooses among handlers", function()
    local policy = "return { a = proceed, b = function(req) "
      .. "return req:refuse(418) end }"
    local report = run(policy, { 0 }, { handler = "b" })
    assert.equal(1, report.statuses[418])
    local none, err = replaying.replay(policy, { 0 })
    assert.is_nil(none)
    assert.matches("several handlers: say which with %-%-handler: 'a', 'b'",
                   err)
    none, err = replaying.replay(policy, { 0 }, { handler = "c" })
    assert.is_nil(none)
    assert.matches("no handler 'c', but 'a', 'b'", err)
  end)

  it("says what is wrong", function()
    local function wrong(wanted, policy, requests, options)
      local report, err = replaying.replay(policy, requests, options)
      assert.is_nil(report)
      assert.matches(wanted, err)
    end
    wrong("the logs have no requests", "return proceed", {})
    wrong("no limiter 'x', but door",
      'return weir.rate_limit { name = "door", concurrent = 1 }(proceed)',
      { 0 }, { set = { x = { concurrent = 1 } } })
    wrong("concurrent must be",
      'return weir.rate_limit { name = "x", concurrent = 1 }(proceed)', { 0 },
      { set = { x = { concurrent = "y" } } })
    wrong("does not say how long requests took", "return proceed", { 0 },
      { service = false })
    wrong("the service time: it wants a time", "return proceed", { 0 },
      { service = "soon" })
    wrong("a policy has no 'io'", "return io", { 0 })
    wrong("unexpected symbol", "return return", { 0 })
    wrong("the format: a %$ without a name", "return proceed", { 0 },
      { format = "$" })
    wrong("No such file", "return proceed", { 0 }, { logs = { "/no/such" } })
  end)

  it("models the time that requests take", function()
    local service = require "weir.replay.service"
    assert.same({ 0.02 }, service.parse "20ms")
    assert.same({ 1.5 }, service.parse "1.5")
    assert.same({ 120 }, service.parse "2m")
    local times = service.parse "lognormal:p50=20ms,p99=200ms"
    local function rank(part) return times[math.ceil(part * #times)] end
    assert.near(0.02, rank(0.5), 1e-4)
    assert.near(0.2, rank(0.99), 2e-3)
    -- The normal distribution's table.
    for part, x in pairs { [0.5] = 0, [0.84134474606854] = 1,
                           [0.99] = 2.32634787404, [0.999] = 3.09023230617,
                           [0.0227501319481792] = -2 } do
      assert.near(x, service.quantile(part), 1e-9)
    end
    for _, text in ipairs { "", "x", "20mm", "lognormal:", "lognormal:p50=1s",
                            "lognormal:p50=2s,p99=1s", "lognormal:p50=0,p99=1",
                            "lognormal:p50=1s,p90=2s" } do
      assert.is_nil((service.parse(text)))
    end
  end)
end)
