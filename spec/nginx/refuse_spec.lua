--- What a refused request is told, and what the logs say.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local with = nginx.with
local LOG = "log_format weir '$status v=$weir_verdict l=$weir_limiter "
  .. "w=$weir_wait k=$weir_key $uri'; access_log {dir}/access.log weir;"

local function rated(server, more)
  return { http = [[
      weir_limit client key=$arg_user rate=2/m burst=2 queue=0;
      weir_limit all concurrent=1 queue=0;
    ]] .. LOG .. (more or ""), server = server }
end

local LOCATIONS = [[
  location /client { weir client; proxy_pass http://origin; }
  location /all { weir all; proxy_pass http://origin; }
]]

-- Uses up what the client ann has.
local function exhaust(server)
  for _ = 1, 2 do
    assert.equal(200, server:get("/client?user=ann").status)
  end
end

nginx.describe(_ENV, "a refusal", function()
  it("is 429 of a keyed limiter, 503 of another", with(rated(LOCATIONS),
    function(server, origin)
      exhaust(server)
      assert.equal(429, server:get("/client?user=ann").status)
      local held <close> = server:ask "/all?hold"
      origin:serves(1)
      assert.equal(503, server:get("/all").status)
      assert.equal(200, server:get("/client?user=bob").status)
      origin:tell "free"
      assert.equal(200, held:status())
    end))

  it("says when to come again, and of which policy", with(rated(LOCATIONS),
    function(server)
      exhaust(server)
      local fields = server:get("/client?user=ann").fields
      local seconds = tonumber(fields["retry-after"])
      assert.is_true(seconds >= 28 and seconds <= 31, fields["retry-after"])
      assert.matches('^"client";q=2;w=60', fields["ratelimit-policy"])
      assert.matches('^"client";r=0;t=%d+', fields["ratelimit"])
      assert.is_nil(server:get("/client?user=bob").fields["retry-after"])
    end))

  it("has the status that weir_refuse_status says", with(rated(
    "weir_refuse_status 444;" .. [[
      location /client { weir client; weir_refuse_status 509;
                         proxy_pass http://origin; }
      location /cut { weir client; proxy_pass http://origin; }
    ]]), function(server)
      exhaust(server)
      assert.equal(509, server:get("/client?user=ann").status)
      local one <close> = server:ask "/cut?user=ann"
      assert.equal("closed", one:status()) -- nginx's 444
    end))

  it("goes through error_page, with its fields, and is not asked again",
    with(rated([[
      error_page 429 /busy;
      error_page 503 @sorry;
      location = /busy { weir client; return 200 "busy\n"; }
      location /client { weir client; proxy_pass http://origin; }
      location /all { weir all; proxy_pass http://origin; }
      location @sorry { weir all; proxy_pass http://origin; }
    ]]), function(server, origin)
      exhaust(server)
      local answer = server:get "/client?user=ann"
      assert.same({ 429, "busy\n" }, { answer.status, answer.body })
      assert.is_truthy(answer.fields["retry-after"])
      local held <close> = server:ask "/all?hold"
      origin:serves(1)
      answer = server:get "/all"
      assert.same({ 503, "served\n" }, { answer.status, answer.body })
      origin:tell "free"
      assert.equal(200, held:status())
      server:logged("^429 v=full l=client w=0.000 k=ann /busy$", 1)
      server:has(0)
    end))

  it("may change its status by error_page =", with(rated([[
      error_page 429 =200 /instead;
      location = /instead { return 200 "instead\n"; }
      location /client { weir client; proxy_pass http://origin; }
    ]]), function(server)
      exhaust(server)
      local answer = server:get "/client?user=ann"
      assert.same({ 200, "instead\n" }, { answer.status, answer.body })
    end))

  it("reads and forgets the body of what it refuses", with(rated(LOCATIONS),
    function(server)
      exhaust(server)
      local one <close> = server:open()
      for _ = 1, 3 do
        one:ask("/client?user=ann", { method = "POST",
                                      body = ("x"):rep(100000) })
        assert.equal(429, one:status())
      end
    end))
end)

-- The fields are of the refusal that is handed on, not of the last one.
nginx.describe(_ENV, "the refusals of a policy", function()
  it("are each other's in nothing", with({
    http = "weir_script {dir}/p.lua;", server = "weir policy;",
    files = { ["p.lua"] = [[
      local weir = require "weir"
      local function key(req) return req.args.k end
      local gate = weir.rate_limit { name = "gate", key = key, rate = "1/h",
        queue = 0 }(function() end)
      local door = weir.rate_limit { name = "door", key = key, rate = "2/m",
        burst = 2, queue = 0, cost = 2 }(function() end)
      return function(req)
        gate(req)
        door(req)
        local _, first = gate(req)
        local _, second = door(req)
        if req.args.late then weir.sleep(0.05) end
        return nil, req.args.first and first or second
      end
    ]] } }, function(server)
      for _, late in ipairs { "", "&late=1" } do
        local fields = server:get("/?k=a%20b&first=1" .. late).fields
        assert.equal('"gate";r=0;t=3600', fields.ratelimit)
        assert.equal('"gate";q=1;w=3600', fields["ratelimit-policy"])
        fields = server:get("/?k=c" .. late).fields
        assert.equal('"door";r=0;t=60', fields.ratelimit)
        assert.equal('"door";q=2;w=60', fields["ratelimit-policy"])
        assert.equal("60", fields["retry-after"])
      end
    end))
end)

nginx.describe(_ENV, "the variables", function()
  it("say the verdict, the limiter, the key and the wait", with({
    http = "weir_limit gate key=$arg_k concurrent=1 timeout=300ms;" .. LOG,
    server = [[
      location / { weir gate; proxy_pass http://origin; }
      location /free { proxy_pass http://origin; }
      location /told { weir gate; add_header X-Weir
        "$weir_verdict $weir_limiter $weir_key $weir_wait" always;
        proxy_pass http://origin; }
    ]] }, function(server, origin)
      server:get "/free"
      server:logged("^200 v=%- l=%- w=%- k=%- /free$", 1)
      assert.equal("admitted gate a%20b 0.000",
                   server:get("/told?k=a%20b").fields["x-weir"])
      local held <close> = server:ask "/held?hold&k=x"
      origin:serves(1)
      assert.equal(429, server:get("/late?k=x").status)
      server:logged("^429 v=timeout l=gate w=0.3%d%d k=x /late$", 1)
      local gone = server:ask "/gone?k=x"
      server:has(2)
      gone:close()
      server:logged("^499 v=canceled l=gate w=%d.%d%d%d k=x /gone$", 1)
      local waits <close> = server:ask "/waits?k=x"
      server:has(2)
      origin:tell "free"
      assert.same({ 200, 200 }, { held:status(), waits:status() })
      server:logged("^200 v=admitted l=gate w=0.%d%d%d k=x /waits$", 1)
      server:logged("^200 v=admitted l=gate w=0.000 k=x /held$", 1)
    end))
end)

nginx.describe(_ENV, "the log", function()
  local function noisy(more)
    return { http = "weir_limit gate key=$arg_k rate=1/h queue=0;" .. LOG,
             workers = 1,
             server = more .. "location / { weir gate; "
               .. "proxy_pass http://origin; }" }
  end

  it("has a line for a refusal", with(noisy "", function(server)
    server:get "/?k=ann"
    server:get "/?k=ann"
    local lines = server:log "weir: gate refused: full after 0.000 s"
    assert.equal(1, #lines)
    assert.matches('%[error%].*, key "ann".*client: 127.0.0.1.*GET /%?k=ann',
                   lines[1])
  end))

  it("at the level that weir_log_level says", with(noisy
    "weir_log_level notice;", function(server)
      server:get "/?k=ann"
      server:get "/?k=ann"
      assert.equal(1, #server:log "%[notice%].*weir: gate refused")
    end))

  local function is_paced(server)
    local load = process.load({ port = server.port, path = "/?k=ann",
      clients = "all:200", seconds = 3 }):result()
    local refused, told, more = load.status[429], 0, 0
    assert.is_true(refused > 300, refused)
    for _, line in ipairs(server:log 'gate refused.*, key "ann"') do
      told = told + 1
      more = more + tonumber(line:match "(%d+) more not logged" or 0)
    end
    assert.is_true(told >= 10 and told <= 60, told)
    assert.is_true(told + more <= refused and more > refused / 2)
  end

  it("and no more than some in a second, with the rest counted",
    with(noisy "", is_paced))

  -- Those of a policy were all written: a flood was one in the log, too.
  it("of a policy likewise", with({
    http = "weir_script {dir}/p.lua;", server = "weir policy;", workers = 1,
    files = { ["p.lua"] = [[
      local weir = require "weir"
      local gate = weir.rate_limit { name = "gate", rate = "1/h", queue = 0,
        key = function(req) return req.args.k end }
      return gate(function(req) return req:proceed() end)
    ]] } }, function(server)
      server:get "/?k=bob"
      local fields = server:get("/?k=bob").fields
      assert.equal('"gate";r=0;t=3600', fields.ratelimit)
      assert.equal('"gate";q=1;w=3600', fields["ratelimit-policy"])
      assert.equal("3600", fields["retry-after"])
      assert.equal(1, #server:log(
        '%[error%].*weir: gate refused: full after 0.000 s, key "bob"'))
      is_paced(server)
    end))

  it("of a policy's own wait, and none of what it refuses by itself", with({
    http = "weir_script {dir}/p.lua;", server = "weir policy;", workers = 1,
    files = { ["p.lua"] = [[
      local weir = require "weir"
      return function(req)
        if req.args.own then return req:refuse(418) end
        return weir.spawn(weir.sleep, 5):join(0.01)
      end
    ]] } }, function(server)
      assert.equal(418, server:get("/?own=1").status)
      assert.equal(503, server:get("/").status)
      assert.equal(1, #server:log "weir: ")
      assert.equal(1, #server:log(
        "weir: the policy refused: timeout after 0.0%d%d s"))
    end))

  local function has_whole_lines(server)
    for line in server:log():gmatch "[^\n]+" do
      assert.is_truthy(line:find "^%d%d%d%d/%d%d/%d%d ", line)
    end
  end

  it("cannot be broken by what clients send", with(noisy "", function(server)
    for _ = 1, 2 do
      server:get "/?k=%0a%1b[31m\x01\x7f\xff\"quoted\""
    end
    has_whole_lines(server)
  end))

  -- Keys were written as they are, and so was the newline in one.
  it("nor by a key that is decoded, or an address in binary", with({
    http = [[weir_script {dir}/p.lua;
      map $arg_a $address { default "\n\t\x01\""; }
      weir_limit client key=$address rate=1/h queue=0;]],
    server = "location / { weir policy; } location /a { weir client; }",
    files = { ["p.lua"] = [[
      local weir = require "weir"
      return weir.rate_limit { name = "gate", rate = "1/h", queue = 0,
        key = function(req) return req.args.k end
      }(function(req) return req:proceed() end)
    ]] }, workers = 1 }, function(server)
      for _ = 1, 2 do
        server:get("/?k=x%0a2026%2f%22%1b%ff")
        server:get "/a"
      end
      has_whole_lines(server)
      assert.equal(1, #server:log 'gate refused.*, key "x%?2026/%?%?%?"')
      assert.equal(1, #server:log 'client refused.*, key "%?%?')
    end))
end)

nginx.describe(_ENV, "weir_dry_run", function()
  it("lets everybody pass, and tells what would have been", with({
    http = "weir_limit gate concurrent=1 queue=0;"
      .. "weir_limit door concurrent=1 timeout=60s; weir_dry_run on;" .. LOG,
    server = [[
      location / { weir gate; proxy_pass http://origin; }
      location /door { weir door; proxy_pass http://origin; }
      location /real { weir_dry_run off; weir gate; proxy_pass http://origin; }
    ]] }, function(server, origin)
      local held <close> = server:ask "/?hold"
      local other <close> = server:ask "/door?hold"
      origin:serves(2)
      assert.equal(200, server:get("/").status)
      assert.equal(200, server:get("/door").status)
      server:logged("^200 v=full l=gate ", 1)
      server:logged("^200 v=waiting l=door ", 1)
      assert.equal(1, #server:log "weir: gate would refuse: full")
      assert.equal(1, #server:log "weir: door would make wait")
      assert.equal(503, server:get("/real").status)
      origin:tell "free"
      assert.same({ 200, 200 }, { held:status(), other:status() })
      server:has(0)
    end))
end)
