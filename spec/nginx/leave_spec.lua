--- A client that goes away: out of the queue at once, and its permit back at
-- once, whatever it was doing.

local http2 = require "spec.nginx.http2"
local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local with = nginx.with

local function spec(more)
  return { http = "weir_limit gate concurrent=1 timeout=60s;"
             .. "log_format weir '$status $weir_verdict $uri';"
             .. "access_log {dir}/access.log weir;",
           server = (more or "")
             .. "location / { weir gate; proxy_pass http://origin; }" }
end

-- One at the origin, `n` behind it.
local function crowd(server, origin, n)
  local held = server:ask "/held?hold"
  origin:serves(1)
  local waiting = {}
  for i = 1, n do
    waiting[i] = server:ask(("/w%d"):format(i))
    server:has(1 + i)
  end
  return held, waiting
end

local QUEUED = "a client that goes away while it is queued #memory"

nginx.describe(_ENV, QUEUED, function()
  for _, how in ipairs { "in order", "by a reset" } do
    it(("leaves the queue at once: HTTP/1.1, %s"):format(how), with(spec(),
      function(server, origin)
        local held, waiting = crowd(server, origin, 5)
        waiting[2]:close(how == "by a reset")
        waiting[4]:close(how == "by a reset")
        server:has(4)
        server:logged("^499 canceled /w", 2)
        origin:tell "free"
        assert.equal(200, held:status())
        for _, i in ipairs { 1, 3, 5 } do
          assert.equal(200, waiting[i]:status())
        end
        assert.same({ "/held?hold", "/w1", "/w3", "/w5" }, origin:tell "seen")
        server:has(0)
      end))
  end

  it("leaves the queue at once: HTTP/2, a stream of many", with(spec(),
    function(server, origin)
      local held = crowd(server, origin, 0)
      local one <close> = http2.open(server.port2)
      local streams = {}
      for i = 1, 5 do
        streams[i] = one:ask(("/s%d"):format(i))
        server:has(1 + i)
      end
      one:reset(streams[2])
      one:reset(streams[4])
      server:has(4)
      server:logged("^499 canceled /s", 2)
      origin:tell "free"
      assert.equal(200, held:status())
      for _, i in ipairs { 1, 3, 5 } do
        assert.equal(200, one:status(streams[i]))
      end
      assert.same({ "/held?hold", "/s1", "/s3", "/s5" }, origin:tell "seen")
      server:has(0)
    end))

  it("leaves the queue at once: HTTP/2, all of a connection", with(spec(),
    function(server, origin)
      local held = crowd(server, origin, 0)
      local one = http2.open(server.port2)
      for i = 1, 5 do one:ask(("/s%d"):format(i)) end
      server:has(6)
      one:close()
      server:has(1)
      origin:tell "free"
      assert.equal(200, held:status())
      assert.same({ "/held?hold" }, origin:tell "seen")
      server:has(0)
    end))

  it("leaves it with a body that was half sent, too", with(spec(),
    function(server, origin)
      local held, waiting = crowd(server, origin, 1)
      local half = server:open()
      half:raw "POST /half HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n1234"
      server:has(3)
      half:close()
      server:has(2)
      origin:tell "free"
      assert.same({ 200, 200 }, { held:status(), waiting[1]:status() })
      assert.same({ "/held?hold", "/w1" }, origin:tell "seen")
    end))

  it("never comes to the backend, of forty", with(spec(),
    function(server, origin)
      local held, waiting = crowd(server, origin, 40)
      for _, one in ipairs(waiting) do one:close() end
      server:has(1)
      origin:tell "free"
      assert.equal(200, held:status())
      assert.same({ "/held?hold" }, origin:tell "seen")
      server:has(0)
    end))

  it("stays while proxy_ignore_client_abort says so", with(spec
    "proxy_ignore_client_abort on;", function(server, origin)
      local held = crowd(server, origin, 0)
      held:close()
      local waits <close> = server:ask "/w"
      server:has(2) -- the first one still is at the backend
      origin:tell "free"
      assert.equal(200, waits:status())
      server:has(0)
    end))
end)

nginx.describe(_ENV, "a client that goes away later #memory", function()
  it("gives its permit back at once: HTTP/1.1", with(spec(),
    function(server, origin)
      local held, waiting = crowd(server, origin, 2)
      held:close()
      assert.equal(200, waiting[1]:status())
      assert.equal(200, waiting[2]:status())
      assert.equal(1, origin:tell("stats").highest)
      server:logged("^499 admitted /held$", 1)
      server:has(0)
    end))

  it("gives its permit back at once: HTTP/2", with(spec(),
    function(server, origin)
      local one <close> = http2.open(server.port2)
      local stream = one:ask "/held?hold"
      origin:serves(1)
      local waits <close> = server:ask "/w"
      server:has(2)
      one:reset(stream)
      assert.equal(200, waits:status())
      server:has(0)
    end))

  it("gives it back in the middle of a response", with(spec(),
    function(server, origin)
      local big = server:ask "/?chunks=100000&pause=0"
      origin:serves(1)
      local waits <close> = server:ask "/w"
      server:has(2)
      big.sock:receive(10000)
      big:close(true)
      assert.equal(200, waits:status())
      server:has(0)
    end))

  it("gives it back in the middle of a request", with(spec
    "proxy_request_buffering off;", function(server, origin)
      local half = server:open()
      half:raw "POST /half HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n1234"
      server:has(1)
      local waits <close> = server:ask "/w"
      server:has(2)
      half:close()
      assert.equal(200, waits:status())
      server:has(0)
      origin:serves(0)
    end))
end)

nginx.describe(_ENV, "clients without patience #memory", function()
  it("never make the backend see more than the limit", with({
    http = "weir_limit gate concurrent=8 queue=1000 timeout=500ms;",
    server = "location / { weir gate; proxy_pass http://origin; }",
  }, function(server, origin)
    local result = process.load({ port = server.port, clients = "all:1000",
      seconds = 2, impatient = 0.5, patience = 0.1 }):result()
    assert.is_true(result.status.timeout > 100, result.status.timeout)
    server:has(0)
    origin:serves(0)
    local stats = origin:tell "stats"
    assert.is_true(stats.highest <= 8, stats.highest)
    -- In valgrind all may have left by the time their turn comes.
    assert.is_true(stats.gone > 0 or nginx.wrapper ~= nil)
  end))
end)
