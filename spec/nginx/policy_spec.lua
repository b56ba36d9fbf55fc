--- Policies: a Lua file that says who shares which limit.

local http2 = require "spec.nginx.http2"
local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local with, eventually = nginx.with, nginx.eventually

-- A server with one policy, in its locations' words.
local function policy(text, server, more)
  local spec = {
    http = "weir_script {dir}/p.lua; weir_path {dir};"
      .. "log_format weir '$status v=$weir_verdict l=$weir_limiter "
      .. "w=$weir_wait k=$weir_key $uri'; access_log {dir}/access.log weir;",
    server = server or "location / { weir policy; proxy_pass http://origin; }",
    files = { ["p.lua"] = 'local weir = require "weir"\n' .. text },
  }
  for name, value in pairs(more or {}) do
    if name == "files" then
      for file, content in pairs(value) do spec.files[file] = content end
    else
      spec[name] = name == "http" and spec.http .. value or value
    end
  end
  return spec
end

local GATE = [[
local gate = weir.limiter { space = "shm:gate", name = "gate", concurrent = 1,
                            timeout = 60 }
return gate(function(req) return req:proceed() end)
]]

nginx.describe(_ENV, "a policy #memory", function()
  for _, workers in ipairs { 1, 2, 4 } do
    it(("limits what proceeds in it, over %d workers, in order")
      :format(workers), with(policy(GATE, nil, { workers = workers }),
      function(server, origin)
        local held = server:ask "/0?hold"
        origin:serves(1)
        local waiting, expected = {}, { "/0?hold" }
        for i = 1, 20 do
          waiting[i] = server:ask("/" .. i)
          server:has(1 + i)
          expected[1 + i] = "/" .. i
        end
        origin:tell "free"
        assert.equal(200, held:status())
        for _, one in ipairs(waiting) do assert.equal(200, one:status()) end
        assert.same(expected, origin:tell "seen")
        server:has(0)
        server:logged("^200 v=admitted l=gate w=%d", 20) -- who waited
      end))
  end

  it("may be a table of handlers, and share limiters with locations",
    with(policy([[
      local gate = weir.limiter { space = "shm:gate", name = "gate",
                                  concurrent = 1, queue = 0 }
      local own = weir.limiter { space = "shm:gate", name = "own",
        concurrent = 1, queue = 0,
        key = function(req) return req.args.user end }
      local function go(req) return req:proceed() end
      return { one = gate(go), two = own(go), free = go }
    ]], [[
      location /one { weir policy:one; proxy_pass http://origin; }
      location /two { weir policy:two; proxy_pass http://origin; }
      location /both { weir policy:two policy:one; proxy_pass http://origin; }
      location /mixed { weir door policy:one; proxy_pass http://origin; }
      location / { weir policy:free; proxy_pass http://origin; }
    ]], { http = "weir_space gate 16m;"
      .. "weir_limit door concurrent=2 queue=0;" }),
    function(server, origin)
      local a <close> = server:ask "/one?hold"
      local b <close> = server:ask "/two?hold&user=ann"
      origin:serves(2)
      server:has(2)
      assert.equal(503, server:get("/one").status)
      assert.equal(429, server:get("/two?user=ann").status)
      assert.equal(200, server:get("/two?user=bob").status)
      server:has(2)
      assert.equal(503, server:get("/both?user=bob").status)
      assert.equal(503, server:get("/mixed").status)
      assert.equal(200, server:get("/").status)
      server:logged("^429 v=full l=own w=0.000 k=ann /two$", 1)
      server:logged("^503 v=full l=gate w=0.000 k=%- /both$", 1)
      origin:tell "free"
      assert.same({ 200, 200 }, { a:status(), b:status() })
      server:has(0)
      assert.equal(200, server:get("/both?user=bob").status)
      server:has(0)
      assert.equal(200, server:get("/mixed").status)
      server:has(0)
    end))

  it("knows the request", with(policy [[
    return function(req)
      local function tell(name, value)
        req:set_header("X-" .. name, tostring(value))
      end
      for _, name in ipairs { "method", "uri", "path", "scheme", "host",
                              "http_version", "remote_addr", "server_name",
                              "user_agent", "ssl" } do
        tell(name:gsub("_", "-"), req[name])
      end
      tell("id", #req.id)
      tell("port", req.remote_port > 0)
      tell("arg", req.args["a b"] .. req.args.empty)
      tell("header", req.headers["X-ONE"] .. req.headers.x_one)
      tell("cookie", req.cookies.user)
      tell("var", req.var.request_method .. req.var.arg_q)
      tell("unknown", req.var.there_is_none)
      req.ctx.mine = "yes"
      tell("ctx", req.ctx.mine)
      return req:proceed()
    end
  ]], function(server)
    local answer = server:get("/a%20b/../c?q=1&a+b=%41&empty", { fields = {
      ["x-One"] = "1", Cookie = "user=ann; other=2", Host = "weir.test:80",
      ["User-Agent"] = "spec" } })
    local fields = answer.fields
    assert.equal(200, answer.status)
    for name, value in pairs {
      method = "GET", uri = "/a%20b/../c?q=1&a+b=%41&empty", path = "/c",
      scheme = "http", host = "weir.test", ["http-version"] = "1.1",
      ["remote-addr"] = "127.0.0.1", ["server-name"] = "",
      ["user-agent"] = "spec", ssl = "nil", id = "32", port = "true",
      arg = "A", header = "11", cookie = "ann", var = "GET1",
      unknown = "nil", ctx = "yes",
    } do
      assert.equal(value, fields["x-" .. name], name)
    end
  end))

  it("knows what TLS knows", function()
    local dir = process.directory()
    local code, text = process.run(("openssl req -x509 -newkey rsa:2048 -nodes "
      .. "-subj /CN=weir.test -days 2 -keyout %s/key -out %s/cert")
      :format(dir, dir))
    assert.equal(0, code, text)
    local key = process.read(dir .. "/key")
    local cert = process.read(dir .. "/cert")
    os.execute("rm -rf " .. dir)
    with(policy([[
      return function(req)
        local ssl = req.ssl
        req:set_header("X-SSL", ("%s %s %s %s"):format(ssl.protocol,
          ssl.cipher ~= "" and "cipher", ssl.server_name, ssl.client_verify))
        return req:proceed()
      end
    ]], nil, { files = { key = key, cert = cert }, http = [[
      server { listen 127.0.0.1:{port3} ssl http2;
        ssl_certificate {dir}/cert; ssl_certificate_key {dir}/key;
        location / { weir policy; proxy_pass http://origin; } }
    ]] }), function(server)
      local _, out = process.run(("curl -sSik --resolve weir.test:%d:127.0.0.1 "
        .. "'https://weir.test:%d/'"):format(server.port3, server.port3))
      assert.matches("[xX]%-[sS][sS][lL]: TLSv1.%d cipher weir.test NONE", out)
    end)()
  end)

  it("hears what became of the response", with(policy([[
    return function(req)
      local done = req:proceed()
      print(("done %d %s %s"):format(done.status, done.bytes > 100000,
        done.upstream_time and done.upstream_time >= 0.05))
    end
  ]], [[
    location / { weir policy; proxy_pass http://origin; }
    location /file { weir policy; root {dir}; }
  ]], { files = { file = "a file\n" } }), function(server)
    server:get "/?bytes=200000&ms=60"
    server:get "/?status=500&ms=60"
    server:get "/file"
    eventually(function() return #server:log "weir: done" == 3 end)
    local lines = server:log "weir: done"
    assert.matches("done 200 true true", lines[1])
    assert.matches("done 500 false true", lines[2])
    assert.matches("done 200 false nil", lines[3])
    local gone = server:ask "/?hold"
    eventually(function() return server:get("/file").status == 200 end)
    gone:close(true)
    eventually(function() return #server:log "done 499" == 1 end)
  end))

  it("refuses as it likes", with(policy([[
    return {
      plain = function(req) return req:refuse(418) end,
      whole = function(req)
        return req:refuse(403, { ["X-Why"] = "so", ["Content-Type"] =
                                 "application/json" }, '{"no":true}\n')
      end,
      ok = function(req) return req:refuse(200, nil, "instead\n") end,
    }
  ]], [[
    error_page 418 /tea;
    location = /tea { return 418 "tea\n"; }
    location /plain { weir policy:plain; proxy_pass http://origin; }
    location /whole { weir policy:whole; proxy_pass http://origin; }
    location /ok { weir policy:ok; proxy_pass http://origin; }
  ]]), function(server, origin)
    local plain, whole = server:get "/plain", server:get "/whole"
    assert.same({ 418, "tea\n" }, { plain.status, plain.body })
    assert.same({ 403, '{"no":true}\n', "so", "application/json" },
      { whole.status, whole.body, whole.fields["x-why"],
        whole.fields["content-type"] })
    local ok = server:get "/ok"
    assert.same({ 200, "instead\n" }, { ok.status, ok.body })
    assert.same({}, origin:tell "seen")
    for _ = 1, 3 do -- the connection goes on
      local _, text = server:curl("/whole", "--http2-prior-knowledge")
      assert.equal('{"no":true}\n', text)
    end
  end))

  it("that refuses says when to come again", with(policy [[
    local rate = weir.limiter { space = "shm:gate", name = "client",
      rate = "2/m", burst = 2, queue = 0,
      key = function(req) return req.headers["x-user"] end }
    return rate(function(req) return req:proceed() end)
  ]], function(server)
    local options = { fields = { ["X-User"] = "ann" } }
    for _ = 1, 2 do assert.equal(200, server:get("/", options).status) end
    local answer = server:get("/", options)
    assert.equal(429, answer.status)
    assert.is_true(tonumber(answer.fields["retry-after"]) >= 28)
    assert.matches('^"client";q=2;w=60', answer.fields["ratelimit-policy"])
    assert.is_truthy(answer.fields.ratelimit)
    assert.equal(200, server:get("/").status)
    assert.equal(1, #server:log "%[error%].*weir: .*client.*ann")
  end))

  it("has weir.stack and weir.all", with(policy([[
    local function limiter(name)
      return weir.limiter { space = "shm:gate", name = name, concurrent = 1,
                            queue = 0 }
    end
    local a, b = limiter "a", limiter "b"
    local function go(req) return req:proceed() end
    return { stack = weir.stack { a, b } (go), all = weir.all { a, b } (go),
             a = a(go) }
  ]], [[
    location /stack { weir policy:stack; proxy_pass http://origin; }
    location /all { weir policy:all; proxy_pass http://origin; }
    location /a { weir policy:a; proxy_pass http://origin; }
  ]]), function(server, origin)
    for _, target in ipairs { "/stack?hold", "/all?hold" } do
      local held <close> = server:ask(target)
      origin:serves(1)
      server:has(2)
      assert.equal(503, server:get("/stack").status)
      assert.equal(503, server:get("/all").status)
      assert.equal(503, server:get("/a").status)
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
    end
  end))

  it("may require files of weir_path", with(policy([[
    local mine = require "lib.mine"
    return function(req) req:set_header("X-Mine", mine) return req:proceed() end
  ]], nil, { files = { ["lib/mine.lua"] = "return 'mine'" } }),
    function(server)
      assert.equal("mine", server:get("/").fields["x-mine"])
    end))

  it("is left by a client that goes away", with(policy(GATE),
    function(server, origin)
      local held = server:ask "/0?hold"
      origin:serves(1)
      local one <close> = http2.open(server.port2)
      local streams, waiting = {}, {}
      for i = 1, 3 do
        streams[i] = one:ask("/s" .. i)
        waiting[i] = server:ask("/w" .. i)
        server:has(1 + 2 * i)
      end
      one:reset(streams[2])
      waiting[2]:close()
      server:has(5)
      server:logged("^499 v=canceled l=", 2)
      held:close() -- later: its permit comes back at once
      for _, i in ipairs { 1, 3 } do
        assert.equal(200, one:status(streams[i]))
        assert.equal(200, waiting[i]:status())
      end
      assert.equal(5, #origin:tell "seen")
      server:has(0)
    end))

  it("gives everything back when its worker is killed", with(policy(GATE),
    function(server, origin)
      server:expects "exited on signal 9"
      for _ = 1, 3 do
        local list = { server:ask "/?hold" }
        origin:serves(1)
        for i = 1, 6 do list[1 + i] = server:ask "/w" end
        server:has(7)
        server:kill()
        server:has(0)
        for _, one in ipairs(list) do assert.equal("closed", one:status()) end
        eventually(function() return #server:workers() == 2 end)
      end
      assert.equal(200, server:get("/").status)
    end))

  it("is read anew by a reload; old workers go on", with(policy(GATE),
    function(server, origin)
      if nginx.wrapper then return end -- in it no worker tells that it is old
      local held <close> = server:ask "/0?hold"
      origin:serves(1)
      local waits <close> = server:ask "/1"
      server:has(2)
      server:write("p.lua", 'local weir = require "weir"\n' .. GATE:gsub(
        "return req:proceed%(%)", "req:set_header('X-New', '1') %0"))
      server:reload()
      local new <close> = server:ask "/2"
      server:has(3)
      origin:tell "free"
      assert.same({ 200, 200 }, { held:status(), waits:status() })
      assert.equal("1", new:answer().fields["x-new"])
      server:has(0)
      assert.same({ "/0?hold", "/1", "/2" }, origin:tell "seen")
    end))

  it("runs once, whatever happens to its request", with(policy([[
    local gate = weir.limiter { space = "shm:gate", name = "gate",
                                concurrent = 4, queue = 0 }
    return gate(function(req) print "ran" return req:proceed() end)
  ]], [[
    error_page 404 502 /error;
    proxy_intercept_errors on;
    location / { weir policy; auth_request /auth; proxy_pass http://origin; }
    location = /auth { weir policy; proxy_pass http://origin; }
    location /first { weir policy; rewrite ^ /again last; }
    location /error { weir policy; return 200 "error\n"; }
  ]]), function(server)
    for i, target in ipairs { "/", "/first", "/?status=404" } do
      assert.is_truthy(server:get(target).status < 500)
      server:has(0)
      assert.equal(i, #server:log "weir: ran")
    end
  end))
end)
