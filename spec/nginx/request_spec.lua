--- A request is counted once, whatever nginx does with it on its way.

local http = require "spec.nginx.http"
local nginx = require "spec.nginx.nginx"

local with = nginx.with
local GATE = "weir_limit gate concurrent=1 queue=0;"
  .. "weir_limit other concurrent=1 queue=0;"
local PASS = "proxy_pass http://origin;"

-- Whether all permits are there: nothing is held, and one gets through.
local function is_free(server, target)
  server:has(0)
  local status = server:get(target).status
  server:has(0)
  return status == 200
end

nginx.describe(_ENV, "a request #memory", function()
  it("that is redirected inside holds its first permits, and meets new ones",
    with({ http = GATE .. "weir_limit third concurrent=1 queue=0;", server = [[
      location /a { weir gate; rewrite ^/a(.*)$ /b$1 last; }
      location /b { weir gate other; proxy_pass http://origin; }
      location /c { weir third; try_files /none /b?$args; }
    ]] }, function(server, origin)
      local held <close> = server:ask "/c?hold"
      origin:serves(1)
      server:has(3) -- third, gate and other: once each
      assert.equal(503, server:get("/b").status)
      origin:tell "free"
      assert.equal(200, held:status())
      assert.is_true(is_free(server, "/a"))
      assert.is_true(is_free(server, "/c"))
    end))

  it("keeps what it has through error_page, sixteen times over", with({
    http = "weir_limit gate concurrent=16 queue=0;", server = [[
      proxy_intercept_errors on;
      error_page 500 502 /error;
      error_page 404 @named;
      location /none { weir gate; proxy_pass http://127.0.0.1:9; }
      location / { weir gate; proxy_pass http://origin; }
      location /error { weir gate; return 200 "error\n"; }
      location @named { weir gate; proxy_pass http://origin; }
    ]] }, function(server, origin)
      for _ = 1, 16 do
        assert.equal(500, server:get("/?status=500").status)
      end
      for _ = 1, 16 do
        assert.equal(404, server:get("/?status=404").status)
      end
      for _ = 1, 16 do assert.equal(502, server:get("/none").status) end
      server:has(0)
      local held = {}
      for i = 1, 16 do held[i] = server:ask "/?hold" end
      origin:serves(16) -- none was lost
      assert.equal(503, server:get("/").status)
      origin:tell "free"
      for _, one in ipairs(held) do assert.equal(200, one:status()) end
      server:has(0)
    end))

  it("that falls through try_files is counted once", with({ http = GATE,
    files = { ["there.txt"] = "there\n" }, server = [[
      root {dir};
      weir gate;
      location / { try_files $uri $uri/ @app; }
      location @app { proxy_pass http://origin; }
    ]] }, function(server, origin)
      local held <close> = server:ask "/app?hold"
      origin:serves(1)
      server:has(1)
      assert.equal(503, server:get("/there.txt").status)
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
      local file = server:get "/there.txt"
      assert.same({ 200, "there\n" }, { file.status, file.body })
      assert.is_true(is_free(server, "/app"))
    end))

  it("passes with its subrequests: auth_request and mirror", with({
    http = GATE, server = [[
      location / { weir gate; auth_request /auth; mirror /mirror;
                   proxy_pass http://origin; }
      location = /auth { weir gate other; proxy_pass http://origin; }
      location = /mirror { weir gate; internal; proxy_pass http://origin; }
    ]] }, function(server, origin)
      assert.equal(200, server:get("/page").status)
      server:has(0)
      assert.equal(3, #origin:tell "seen")
      local held <close> = server:ask "/held?hold"
      origin:serves(2) -- the mirror's has its arguments, and holds as well
      server:has(1)
      assert.equal(503, server:get("/page").status)
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
    end))

  it("is refused by auth_request and gives its permit back", with({
    http = GATE, server = [[
      location / { weir gate; auth_request /auth; proxy_pass http://origin; }
      location = /auth { return 403; }
    ]] }, function(server)
      for _ = 1, 3 do
        assert.equal(403, server:get("/page").status)
        server:has(0)
      end
    end))

  it("is asked before it is asked who it is", with({ http = GATE, server = [[
      location / { weir gate; auth_basic "who"; auth_basic_user_file {dir}/none;
                   proxy_pass http://origin; }
      location /held { weir gate; proxy_pass http://origin; }
    ]] }, function(server, origin)
      local held <close> = server:ask "/held?hold"
      origin:serves(1)
      assert.equal(503, server:get("/page").status)
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
      assert.equal(401, server:get("/page").status)
      server:has(0)
    end))

  it("of a connection that is kept is one each", with({ http = GATE,
    server = "location / { weir gate; " .. PASS .. " }" }, function(server)
      local one <close> = server:open()
      for _ = 1, 20 do
        assert.equal(200, one:ask("/"):status())
        server:has(0) -- though the connection is still there
      end
    end))

  it("of a pipeline waits its turn, and the ones after it", with({
    http = "weir_limit gate concurrent=1 timeout=60s;",
    server = "location / { weir gate; " .. PASS .. " }" },
    function(server, origin)
      local held <close> = server:ask "/held?hold"
      origin:serves(1)
      local one <close> = server:open()
      local list = {}
      for i = 1, 5 do
        list[i] = http.message(("GET /%d HTTP/1.1"):format(i), { Host = "t" })
      end
      one.method = "GET"
      one:raw(table.concat(list))
      server:has(2)
      origin:tell "free"
      assert.equal(200, held:status())
      for _ = 1, 5 do assert.equal(200, one:status()) end
      assert.same({ "/held?hold", "/1", "/2", "/3", "/4", "/5" },
                  origin:tell "seen")
      server:has(0)
    end))

  it("may have a body that is large, or in chunks", with({
    http = "weir_limit gate concurrent=1 timeout=60s;"
      .. "client_max_body_size 10m;", server = [[
      location / { weir gate; proxy_pass http://origin; }
      location /stream { weir gate; proxy_request_buffering off;
                         proxy_pass http://origin; }
    ]] }, function(server, origin)
      for _, path in ipairs { "/", "/stream" } do
        local held <close> = server:ask "/held?hold"
        origin:serves(1)
        local large <close> = server:open()
        local chunked <close> = server:open()
        large.method, chunked.method = "POST", "POST"
        large:raw(http.message(("POST %s HTTP/1.1"):format(path), {
          Host = "t", ["Content-Length"] = 5000000 }, ("x"):rep(1000)))
        server:has(2)
        chunked:raw(http.message(("POST %s HTTP/1.1"):format(path), {
          Host = "t", ["Transfer-Encoding"] = "chunked" }, "5\r\nfirst\r\n"))
        server:has(3)
        origin:tell "free"
        large:raw(("x"):rep(4999000))
        chunked:raw(("186a0\r\n" .. ("y"):rep(100000) .. "\r\n"):rep(10)
          .. "0\r\n\r\n")
        assert.equal(200, held:status())
        local answer = assert(large:answer())
        assert.same({ 200, "5000000" }, { answer.status,
                                          answer.fields["x-received"] })
        answer = assert(chunked:answer())
        assert.same({ 200, "1000005" }, { answer.status,
                                          answer.fields["x-received"] })
        server:has(0)
      end
    end))

  it("holds its permit until the last byte of a large response", with({
    http = GATE .. "proxy_max_temp_file_size 0;", server =
      "location / { weir gate; " .. PASS .. " }" }, function(server, origin)
      local slow <close> = server:ask "/?bytes=30000000"
      origin:serves(1)
      server:has(1)
      assert.equal(503, server:get("/").status)
      assert.equal(30000000, #slow:answer(60).body)
      assert.is_true(is_free(server, "/"))
      local chunks <close> = server:ask "/?chunks=200"
      assert.equal(200000, #chunks:answer().body)
      assert.is_true(is_free(server, "/"))
    end))

  it("holds its permit for as long as an upgraded connection goes on", with({
    http = GATE, server = [[
      location / { weir gate; proxy_pass http://origin;
                   proxy_set_header Upgrade $http_upgrade;
                   proxy_set_header Connection upgrade; }
    ]] }, function(server, origin)
      local one = server:ask("/socket", { fields = { Upgrade = "echo",
                                                     Connection = "upgrade" } })
      local line = http.read_head(one.sock)
      assert.matches(" 101 ", line)
      for i = 1, 3 do
        one:raw(("line %d\n"):format(i))
        assert.equal("line " .. i, one.sock:receive())
      end
      server:has(1)
      assert.equal(503, server:get("/").status)
      one:close()
      server:has(0)
      origin:serves(0)
      assert.equal(200, server:get("/").status)
    end))

  it("takes a permit, too, where the cache answers", with({
    http = GATE .. "proxy_cache_path {dir}/cache keys_zone=c:1m;",
    server = [[
      proxy_cache c; proxy_cache_valid 200 1m; proxy_cache_lock on;
      add_header X-Cache $upstream_cache_status;
      location / { weir gate; proxy_pass http://origin; }
    ]] }, function(server, origin)
      assert.equal("MISS", server:get("/x?cache=60").fields["x-cache"])
      for _ = 1, 3 do
        server:has(0)
        assert.equal("HIT", server:get("/x?cache=60").fields["x-cache"])
      end
      server:has(0)
      assert.equal(1, #origin:tell "seen")
      local held <close> = server:ask "/held?hold"
      origin:serves(1)
      assert.equal(503, server:get("/x?cache=60").status)
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
    end))

  it("gives its permit back when the backend fails", with({ http = GATE,
    server = [[
      location / { weir gate; proxy_pass http://origin;
                   proxy_read_timeout 200ms; }
      location /none { weir gate; proxy_pass http://127.0.0.1:9; }
    ]] }, function(server)
      for target, status in pairs { ["/?status=500"] = 500, ["/none"] = 502,
                                    ["/?hold"] = 504 } do
        assert.equal(status, server:get(target).status)
        server:has(0)
      end
      local one <close> = server:ask "/?cut"
      assert.is_nil((one:answer()))
      assert.is_true(is_free(server, "/"))
    end))

  it("that is wrong takes nothing", with({ http = GATE,
    server = "location / { weir gate; " .. PASS .. " }" }, function(server)
      for _, text in ipairs {
        "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\0\0\0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
      } do
        local one <close> = server:open()
        one.method = "GET"
        one:raw(text)
        one:answer()
      end
      assert.is_true(is_free(server, "/"))
    end))

  it("is not asked where `return` answers before", with({ http = GATE,
    server = 'location / { weir gate; return 204; }' }, function(server)
      assert.equal(204, server:get("/").status)
      server:has(0)
    end))
end)
