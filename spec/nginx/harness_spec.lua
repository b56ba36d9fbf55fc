--- The harness by itself, with what stock nginx has: if these fail, no other
-- spec of nginx says anything.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local PLAIN = {
  plain = true,
  http = "limit_conn_zone $server_addr zone=all:1m;",
  server = [[
    location / { limit_conn all 2; proxy_pass http://origin; }
    location = /ok { return 200 "ok\n"; }
  ]],
}

local function with(fn, changes)
  return nginx.with(setmetatable(changes or {}, { __index = PLAIN }), fn)
end

describe("the harness of nginx #nginx", function()
  if nginx.missing "plain" then
    return pending("nginx: " .. nginx.missing "plain")
  end

  it("asks over HTTP/1.1, HTTP/2 and raw sockets", with(function(server)
    assert.same({ 0, "ok\n" }, { server:curl "/ok" })
    assert.same({ 0, "ok\n2" }, { server:curl("/ok",
      "--http2-prior-knowledge -w '%{http_version}'") })
    assert.same({ 200, "ok\n" }, { server:get("/ok").status,
                                   server:get("/ok").body })
  end))

  it("holds requests at the origin and lets them go", with(function(server,
                                                                    origin)
    local held = {}
    for i = 1, 2 do -- the next worker may be quicker
      held[i] = server:ask(("/%d?hold"):format(i))
      assert(process.eventually(function()
        return origin:tell("stats").serving == i
      end))
    end
    assert.equal(503, server:get("/").status) -- limit_conn's
    assert.is_true(held[1]:waits())
    held[1]:close(true)
    assert(process.eventually(function()
      return origin:tell("stats").gone == 1
    end))
    assert.equal("1\n", origin:tell "free")
    assert.equal(200, held[2]:status())
    assert.same({ "/1?hold", "/2?hold" }, origin:tell "seen")
    local stats = origin:tell "stats"
    assert.same({ 0, 2, 1, 1 }, { stats.serving, stats.highest, stats.served,
                                  stats.gone })
  end))

  it("has an origin that collapses when it has too many", function()
    local origin <close> = process.origin { at_once = 2, seconds = 0.01 }
    local load = process.load { port = origin.port, clients = "one:100",
                                seconds = 0.5, timeout = 10, service = 0.01 }
    local calm = load:result()
    assert.equal(calm.sent, calm.status[200])
    assert.is_true(calm.p50 >= 0.01)
    origin:tell "reset"
    local wild = process.load({ port = origin.port, clients = "one:1000",
                                seconds = 1, timeout = 0.5 }):result()
    assert.is_true(wild.goodput < 100, wild.goodput)
    assert.is_true(origin:tell("stats").highest > 20)
  end)

  it("keeps clients apart, and knows the order", with(function(server, origin)
    local result = process.load({ port = server.port, arrivals = "fixed",
                                  clients = "ann:30,bob:60" }):result()
    local ratio = result.clients.bob.sent / result.clients.ann.sent
    assert.is_true(ratio > 1.8 and ratio < 2.2, ratio) -- the end cuts one off
    assert.equal(result.sent, origin:tell("stats").began
                 + (result.status[503] or 0))
    assert.is_true(result.out_of_order < 0.25) -- at random it were a half
  end, { server = "location / { proxy_pass http://origin; }" }))

  it("reloads, reopens, upgrades and kills", with(function(server)
    local before = server:workers()
    assert.equal(2, #before)
    server:reload()
    for _, pid in ipairs(before) do assert.is_true(process.gone(pid)) end
    server:kill(server:workers()[1])
    server:expects "exited on signal 9"
    assert(process.eventually(function() return #server:workers() == 2 end))
    assert.equal("ok\n", server:get("/ok").body)

    local old = server:upgrade()
    assert.is_true(process.alive(old))
    server:signal("QUIT", old)
    assert.is_true(process.gone(old))
    os.remove(server.dir .. "/access.log")
    server:reopen()
    assert(process.eventually(function()
      return #server:get("/ok").body == 3 and #server:accesses() > 0
    end))
  end, { daemon = true }))

  it("says what a wrong configuration is", function()
    local ok, text = nginx.check { plain = true, server = "nonsense 1;" }
    assert.is_false(ok)
    assert.matches('unknown directive "nonsense"', text)
    assert.is_true((nginx.check { plain = true }))
    assert.has_error(function()
      nginx.start { plain = true, http = "nonsense 1;" }
    end)
  end)

  it("leaves nothing behind", function()
    local origin <close> = process.origin()
    local server <close> = nginx.start { plain = true, workers = 4 }
    local pids = server:workers()
    assert.equal(4, #pids)
    table.insert(pids, server.pid)
    table.insert(pids, origin.pid)
    local dir = server.dir
    server:stop()
    origin:stop()
    for _, pid in ipairs(pids) do assert.is_false(process.alive(pid)) end
    assert.is_nil(process.read(dir .. "/nginx.conf"))
  end)
end)
