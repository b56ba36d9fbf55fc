--- Two lines and no Lua: who is above the limit waits, in one queue of all
-- workers; and what every option of weir_limit does.

local http2 = require "spec.nginx.http2"
local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"
local socket = require "socket"

local with, eventually = nginx.with, nginx.eventually
local LOCATION = "location / { weir gate; proxy_pass http://origin; }"
local LOG = "log_format weir '$pid $status $weir_verdict $weir_wait $uri';"
  .. "access_log {dir}/access.log weir;"

-- A server with one limiter named gate.
local function gate(options, fn, more)
  local spec = { http = "weir_limit gate " .. options .. ";" .. LOG,
                 server = LOCATION }
  for name, value in pairs(more or {}) do spec[name] = value end
  return with(spec, fn)
end

-- Asks for targets, one after the other has come to where it is.
local function ask_each(server, n, format)
  local asked, before = {}, server:tickets()
  for i = 1, n do
    asked[i] = server:ask(format:format(i))
    server:has(before + i)
  end
  return asked
end

local function statuses(asked)
  local list = {}
  for i, one in ipairs(asked) do
    list[i] = one:status()
    one:close()
  end
  return list
end

local function pids_of(server)
  local pids, count = {}, 0
  for _, line in ipairs(server:accesses()) do
    local pid = line:match "^%d+"
    if not pids[pid] then count = count + 1 end
    pids[pid] = true
  end
  return count
end

nginx.describe(_ENV, "two lines", function()
  for _, workers in ipairs { 1, 2, 4 } do
    it(("make requests wait their turn, with %d workers"):format(workers),
      gate("concurrent=3 queue=1000 timeout=60s", function(server, origin)
        local held = {}
        for i = 1, 3 do held[i] = server:ask(("/h%d?hold"):format(i)) end
        origin:serves(3)
        local waiting = ask_each(server, 24, "/w%d")
        assert.equal(3, origin:tell("stats").began)
        origin:tell "free"
        assert.same({ 200, 200, 200 }, statuses(held))
        for _, status in ipairs(statuses(waiting)) do
          assert.equal(200, status)
        end
        -- In the order in which they came, whichever worker they came to; three
        -- at once may come to the origin in any order.
        local seen = origin:tell "seen"
        for i = 1, 24 do
          local place = tonumber(seen[3 + i]:match "%d+")
          assert.is_true(math.abs(place - i) <= 2, table.concat(seen, " "))
        end
        assert.equal(3, origin:tell("stats").highest)
        server:has(0)
        if workers > 1 then assert.is_true(pids_of(server) > 1) end
      end, { workers = workers }))

    it(("keep the backend at its limit under load, with %d workers")
      :format(workers), gate("concurrent=8 queue=1000 timeout=500ms",
      function(server, origin)
        local result = process.load({
          port = server.port, clients = "all:800", seconds = 2 }):result()
        local stats = origin:tell "stats"
        assert.equal(8, stats.highest)
        assert.equal(0, stats.serving)
        assert.equal(result.sent, result.status[200] + result.status[503])
        assert.equal(result.status[200], stats.served)
        server:has(0)
      end, { workers = workers }))
  end

  it("pass everybody below the limit", gate("concurrent=8 queue=1000",
    function(server)
      for _ = 1, 20 do assert.equal(200, server:get("/").status) end
      server:logged(" 200 admitted 0.000 /$", 20)
    end))

  it("work over HTTP/2 as over HTTP/1.1", gate("concurrent=1 timeout=60s",
    function(server, origin)
      local held <close> = server:ask "/?hold"
      origin:serves(1)
      local one <close> = http2.open(server.port2)
      local streams = {}
      for i = 1, 5 do streams[i] = one:ask("/" .. i) end
      server:has(6)
      origin:tell "free"
      assert.equal(200, held:status())
      for _, stream in ipairs(streams) do
        assert.equal(200, one:status(stream))
      end
      assert.equal(1, origin:tell("stats").highest)
      server:has(0)
    end))
end)

nginx.describe(_ENV, "weir_limit's option", function()
  it("concurrent: so many at once", gate("concurrent=2 queue=0",
    function(server, origin)
      local a <close> = server:ask "/?hold"
      local b <close> = server:ask "/?hold"
      origin:serves(2)
      assert.equal(503, server:get("/").status)
      origin:tell "free"
      assert.same({ 200, 200 }, { a:status(), b:status() })
      server:has(0)
      assert.equal(200, server:get("/").status)
    end))

  it("queue: so many may wait", gate("concurrent=1 queue=2",
    function(server, origin)
      local held <close> = server:ask "/?hold"
      origin:serves(1)
      local waiting = ask_each(server, 2, "/%d")
      assert.equal(503, server:get("/").status)
      server:logged(" 503 full 0.000 ", 1)
      origin:tell "free"
      assert.same({ 200, 200, 200 },
                  { held:status(), table.unpack(statuses(waiting)) })
    end))

  it("timeout: for so long", gate("concurrent=1 timeout=200ms",
    function(server, origin)
      local held <close> = server:ask "/?hold"
      origin:serves(1)
      local start = socket.gettime()
      assert.equal(503, server:get("/").status)
      local took = socket.gettime() - start
      assert.is_true(took >= 0.2 and took < 0.2 + nginx.slow, took)
      server:logged(" 503 timeout 0.2%d%d ", 1)
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
    end))

  it("rate and burst: so many begin in a time",
    gate("rate=5/s burst=3 queue=0", function(server)
      local counts = {}
      for _ = 1, 8 do
        local status = server:get("/").status
        counts[status] = (counts[status] or 0) + 1
      end
      assert.is_true(counts[200] >= 3 and counts[200] <= 5, counts[200])
      assert.equal(8, counts[200] + counts[503])
      server:has(0)
    end))

  it("rate: who waits begins at its time", gate("rate=20/s timeout=10s",
    function(server)
      local start = socket.gettime()
      for _ = 1, 5 do assert.equal(200, server:get("/").status) end
      local took = socket.gettime() - start
      assert.is_true(took >= 0.2 and took < 0.6 * nginx.slow, took)
    end))

  it("window and align: so many in a period",
    gate("rate=3/h window=fixed align=on queue=0", function(server)
      local list = {}
      for i = 1, 5 do list[i] = server:get("/").status end
      assert.same({ 200, 200, 200, 503, 503 }, list)
    end))

  it("key: each its own, of any variables; none passes freely",
    gate([["key=$arg_user/$request_method" concurrent=1 queue=0]],
      function(server, origin)
        local a <close> = server:ask "/?hold&user=ann"
        local b <close> = server:ask "/?hold&user=bob"
        origin:serves(2)
        assert.equal(429, server:get("/?user=ann").status)
        assert.equal(429, server:get("/?user=bob").status)
        assert.equal(200, server:get("/?user=eve").status)
        local post <close> = server:ask("/?user=ann", { method = "POST",
                                                        body = "x" })
        assert.equal(200, post:status())
        origin:tell "free"
        assert.same({ 200, 200 }, { a:status(), b:status() })
      end))

  it("key: an empty one is nobody's", gate("key=$arg_user rate=1/h queue=0",
    function(server)
      for _ = 1, 3 do assert.equal(200, server:get("/").status) end
      assert.equal(200, server:get("/?user=ann").status)
      assert.equal(429, server:get("/?user=ann").status)
    end))

  it("keys: so many are known at once; on_exhausted: or one passes",
    gate("key=$arg_user concurrent=1 queue=0 keys=2", function(server, origin)
      local held = {}
      for i = 1, 2 do held[i] = server:ask(("/?hold&user=%d"):format(i)) end
      origin:serves(2)
      assert.equal(429, server:get("/?user=3").status)
      server:logged(" 429 exhausted ", 1)
      origin:tell "free"
      assert.same({ 200, 200 }, statuses(held))
      server:has(0)
      assert.equal(200, server:get("/?user=3").status)
    end))

  it("cost: permits that one takes, of a variable",
    gate("cost=$arg_cost concurrent=4 queue=0", function(server, origin)
      local held <close> = server:ask "/?hold&cost=3"
      origin:serves(1)
      assert.equal(503, server:get("/?cost=2").status)
      assert.equal(200, server:get("/?cost=1").status)
      server:has(1)
      assert.equal(200, server:get("/").status) -- 1 unless told
      assert.equal(503, server:get("/?cost=5").status)
      server:logged(" 503 impossible ", 1)
      origin:tell "free"
      assert.equal(200, held:status())
    end))

  it("order=lifo: the last goes first",
    gate("concurrent=1 order=lifo", function(server, origin)
      local held <close> = server:ask "/h?hold"
      origin:serves(1)
      local waiting = ask_each(server, 4, "/%d")
      origin:tell "free"
      assert.equal(200, held:status())
      assert.same({ 200, 200, 200, 200 }, statuses(waiting))
      assert.same({ "/h?hold", "/4", "/3", "/2", "/1" }, origin:tell "seen")
    end))

  it("order=priority: the highest priority goes first",
    gate("concurrent=1 order=priority priority=$arg_p",
      function(server, origin)
        local held <close> = server:ask "/h?hold"
        origin:serves(1)
        local waiting = {}
        for i, p in ipairs { "-3", "0", "7", "x", "99" } do
          waiting[i] = server:ask("/?p=" .. p)
          server:has(1 + i)
        end
        origin:tell "free"
        assert.equal(200, held:status())
        assert.same({ 200, 200, 200, 200, 200 }, statuses(waiting))
        assert.same({ "/h?hold", "/?p=99", "/?p=7", "/?p=0", "/?p=x",
                      "/?p=-3" }, origin:tell "seen")
      end))

  it("order=fair: flows go in turns",
    gate("concurrent=1 order=fair flow=$arg_f", function(server, origin)
      local held <close> = server:ask "/h?hold&f=c"
      origin:serves(1)
      local waiting = {}
      for i, f in ipairs { "a", "a", "a", "a", "b", "b" } do
        waiting[i] = server:ask(("/%d?f=%s"):format(i, f))
        server:has(1 + i)
      end
      origin:tell "free"
      assert.equal(200, held:status())
      assert.same({ 200, 200, 200, 200, 200, 200 }, statuses(waiting))
      local seen = origin:tell "seen"
      local last_b = 0
      for i, target in ipairs(seen) do
        if target:find "f=b" then last_b = i end
      end
      assert.is_true(last_b <= 5, table.concat(seen, " "))
    end))

  it("shed=codel: gives up who waits when waits stay long",
    gate("concurrent=1 shed=codel target=5ms interval=50ms timeout=10s",
      function(server, origin)
        local load = process.load({ port = server.port, seconds = 2,
          clients = "all:200", path = "/?ms=20" }):result()
        assert.is_true(load.status[503] > 50, load.status[503])
        assert.is_true(load.p50 < 0.5 * nginx.slow, load.p50)
        assert.is_true(#server:accesses " 503 shed " > 50)
        assert.equal(1, origin:tell("stats").highest)
      end))

  it("shed=doomed: refuses who cannot come to its turn",
    gate("concurrent=1 shed=doomed timeout=100ms", function(server)
      for _ = 1, 8 do server:get "/?ms=30" end
      process.load({ port = server.port, seconds = 1, clients = "all:200",
                     path = "/?ms=30" }):result()
      assert.is_true(#server:accesses " 503 doomed 0.000 " > 10)
    end))

  it("shed=oldest: a newcomer takes its place",
    gate("concurrent=1 queue=1 shed=oldest", function(server, origin)
      local held <close> = server:ask "/h?hold"
      origin:serves(1)
      local old <close> = server:ask "/old"
      server:has(2)
      local new <close> = server:ask "/new"
      assert.equal(503, old:status())
      origin:tell "free"
      assert.equal(200, new:status())
      assert.equal(200, held:status())
    end))

  it("adaptive: a limit that is found", gate(
    "adaptive=aimd initial=2 min=1 max=50 concurrent=50 queue=0",
    function(server, origin)
      local held = {}
      for i = 1, 2 do held[i] = server:ask "/?hold" end
      origin:serves(2)
      assert.equal(503, server:get("/").status)
      origin:tell "free"
      statuses(held)
      local load = process.load({ port = server.port, seconds = 2,
        clients = "all:300", path = "/?ms=20" }):result()
      assert.is_true(origin:tell("stats").highest > 2)
      assert.is_true(load.served > 100, load.served)
    end))

  it("adaptive: an answer of 5xx is a failure", gate(
    "adaptive=aimd initial=10 min=1 max=10 concurrent=10 queue=0",
    function(server, origin)
      process.load({ port = server.port, seconds = 2, clients = "all:60",
                     path = "/?status=500&ms=1" }):result() -- some windows
      origin:tell "reset"
      local asked = {}
      for i = 1, 10 do asked[i] = server:ask "/?hold" end
      eventually(function() return #server:accesses " 503 full " > 0 end)
      assert.is_true(origin:tell("stats").highest < 10)
      origin:tell "free"
      statuses(asked)
    end))

  it("dry_run: of one limiter, admits all and counts", gate(
    "concurrent=1 queue=0 dry_run=on", function(server, origin)
      local held <close> = server:ask "/?hold"
      origin:serves(1)
      assert.equal(200, server:get("/").status)
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
    end))

  it("space: where it is", with({
    http = [[
      weir_space one 1m;
      weir_space two 512k;
      weir_limit first concurrent=1;
      weir_limit second concurrent=1 space=two;
    ]],
    server = [[
      location /first { weir first; proxy_pass http://origin; }
      location /second { weir second; proxy_pass http://origin; }
    ]] }, function(server, origin)
      local a <close> = server:ask "/first?hold"
      origin:serves(1)
      assert.same({ 1, 0 }, { server:tickets "one", server:tickets "two" })
      local b <close> = server:ask "/second?hold"
      origin:serves(2)
      assert.same({ 1, 1 }, { server:tickets "one", server:tickets "two" })
      assert.same({ 1 << 20, 512 << 10 }, { server:space("one").size,
                                            server:space("two").size })
      origin:tell "free"
      assert.same({ 200, 200 }, { a:status(), b:status() })
    end))
end)
