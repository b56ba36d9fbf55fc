--- Policies that are hard on their host: they keep what is not theirs to keep,
-- wait where few do, meddle with coroutines, and come by the thousand.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local with, eventually = nginx.with, process.eventually

-- Handlers by name, each at /name of a server with one worker: what one request
-- leaves behind the next one finds.
local function handlers(text, more)
  local spec = {
    workers = 1, level = "notice",
    http = "weir_script {dir}/p.lua; weir_space gate 16m;",
    server = "",
    files = { ["p.lua"] = 'local weir = require "weir"\n'
      .. 'local gate = weir.limiter{ space = "shm:gate", name = "gate", '
      .. "concurrent = 1, timeout = 60 }\nlocal kept\n" .. text },
  }
  for name in text:gmatch "\n  (%w+) = " do
    spec.server = spec.server .. ("location /%s { weir policy:%s; "):format(
      name, name) .. "proxy_pass http://origin; }\n"
  end
  for name, value in pairs(more or {}) do spec[name] = value end
  return spec
end

local function still_serves(server)
  assert.equal(200, server:get("/fine").status)
  server:has(0)
end

nginx.describe(_ENV, "a request that is over", function()
  it("is no more to be read, but for what was kept of it", with(handlers [[
return {
  keep = function(req)
    kept = { req = req, headers = req.headers, var = req.var, args = req.args,
             proceeded = req:proceed() }
  end,
  look = function(req)
    local function try(name, read)
      local ok, what = pcall(read)
      req:set_header("X-" .. name, tostring(ok) .. " " .. tostring(what))
    end
    try("field", function() return kept.req.method end)
    try("method", function() return kept.req:set_header("a", "b") end)
    try("header", function() return kept.headers.host end)
    try("var", function() return kept.var.host end)
    try("pairs", function() return pairs(kept.headers) end)
    try("text", function() return tostring(kept.req) end)
    try("args", function() return kept.args.a end)
    try("status", function() return kept.proceeded.status end)
  end,
  fine = function() end }
]], function(server)
    assert.equal(200, server:get("/keep?a=1").status)
    local fields = server:get("/look").fields
    for _, name in ipairs { "field", "method", "header", "var", "pairs" } do
      assert.matches("^false .*this request is over", fields["x-" .. name])
    end
    assert.equal("true weir.request: over", fields["x-text"])
    assert.equal("true 1", fields["x-args"])
    assert.equal("true 200", fields["x-status"])
    still_serves(server)
  end))

  it("can be read a little behind req:proceed()", with(handlers [[
return {
  go = function(req)
    req:proceed()
    print("then", req.method, req.path, req.remote_addr,
          select(2, pcall(function() return req.host end)))
  end,
  fine = function() end }
]], function(server)
    assert.equal(200, server:get("/go").status)
    assert(eventually(function()
      return server:log():find("weir: then\tGET\t/go\t127.0.0.1\t.*"
                               .. "the response is finished")
    end))
    still_serves(server)
  end))
end)

nginx.describe(_ENV, "a handler's coroutine", function()
  local MEDDLE = [[
local co
return {
  wait = gate(function(req) co = coroutine.running() return req:proceed() end),
  sleep = function(req)
    co = coroutine.running()
    weir.sleep(0.3)
    return req:proceed()
  end,
  rest = function() co = coroutine.running() end,
  resume = function(req)
    for i = 1, 3 do
      local ok, what = coroutine.resume(co, i)
      req:set_header("X-Resumed", tostring(ok) .. " " .. tostring(what))
    end
  end,
  close = function(req)
    local ok, what = pcall(coroutine.close, co)
    req:set_header("X-Closed", tostring(ok) .. " " .. tostring(what))
  end,
  fine = function() end }
]]

  it("is resumed by nobody else", with(handlers(MEDDLE), function(server,
                                                                  origin)
    local held = server:ask "/wait?hold"
    origin:serves(1)
    assert.equal(200, server:get("/resume").status)
    assert.is_true(held:waits())
    origin:tell "free"
    assert.equal(200, held:status())
    local slept = server:ask "/sleep"
    assert.equal(200, server:get("/resume").status)
    assert.equal(200, slept:status())
    assert.equal(200, server:get("/rest").status)
    assert.equal(200, server:get("/resume").status)
    assert.equal(200, server:get("/rest").status)
    still_serves(server)
  end))

  it("that another one closes costs its own request", with(handlers(MEDDLE),
    function(server, origin)
      local held = server:ask "/wait?hold"
      origin:serves(1)
      assert.matches("true", server:get("/close").fields["x-closed"])
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
      held = server:ask "/wait?hold" -- in another one, which rests afterwards
      origin:serves(1)
      assert.equal(200, server:get("/rest").status)
      origin:tell "free"
      assert.equal(200, held:status())
      assert.matches("true", server:get("/close").fields["x-closed"])
      local slept = server:ask "/sleep"
      assert.equal(200, server:get("/close").status)
      slept:close()
      still_serves(server)
    end))

  it("may have others in it, and they may wait", with(handlers [[
return {
  nested = gate(function(req)
    local steps = {}
    local inner = coroutine.wrap(function()
      weir.sleep(0.05)
      steps[#steps + 1] = "inner"
    end)
    inner()
    weir.sleep(0.2)
    req:set_header("X-Steps", table.concat(steps, ","))
    return req:proceed()
  end),
  map = function(req)
    local doubled = weir.map(function(n) weir.sleep(0.01) return 2 * n end,
                             { 1, 2, 3 })
    req:set_header("X-Map", table.concat(doubled, ","))
  end,
  spawn = function(req)
    local task = weir.spawn(function() weir.sleep(0.01) return "joined" end)
    weir.spawn(function() weir.sleep(0.01) error "nobody's" end)
    req:set_header("X-Spawn", task:join())
  end,
  elsewhere = function(req)
    local ok, err = coroutine.resume(coroutine.create(function()
      req:proceed()
    end))
    req:set_header("X-Else", tostring(ok) .. " " .. tostring(err))
  end,
  fine = function() end }
]], function(server)
    assert.equal("inner", server:get("/nested").fields["x-steps"])
    assert.equal("2,4,6", server:get("/map").fields["x-map"])
    assert.equal("joined", server:get("/spawn").fields["x-spawn"])
    assert.matches("^false .*only the handler's own coroutine",
                   server:get("/elsewhere").fields["x-else"])
    assert(eventually(function()
      return server:log():find "%[error%].*weir: .*nobody's"
    end))
    still_serves(server)
  end))

  it("gives back what it holds, however it ends", with(handlers [[
local function pass(req) return req:proceed() end
return {
  dropped = function(req) gate:acquire() return pass(req) end,
  closed = function(req) local _ <close> = gate:acquire() return pass(req) end,
  raises = gate(function(req) req:proceed() error "late" end),
  closing = gate(function(req)
    local _ <close> = setmetatable({}, { __close = function()
      error "ouch"
    end })
    return pass(req)
  end),
  slow = gate(function(req)
    local _ <close> = setmetatable({}, { __close = function()
      weir.sleep(10)
    end })
    return pass(req)
  end),
  endless = gate(function(req)
    local _ <close> = setmetatable({}, { __close = function()
      while true do end
    end })
    return pass(req)
  end),
  behind = gate(function(req) req:proceed() weir.sleep(10) end),
  protected = function(req)
    local ok = pcall(gate(function() req:proceed() error "caught" end))
    print("protected", ok)
  end,
  garbage = function() local t = {} for i = 1, 1e5 do t[i] = {} end end,
  fine = function() end }
]], function(server)
    for _, name in ipairs { "closed", "raises", "closing", "slow", "endless",
                            "behind", "protected" } do
      assert.equal(200, server:get("/" .. name).status, name)
      server:has(0)
    end
    assert(server:log():find "weir: protected\tfalse")
    assert.equal(200, server:get("/dropped").status)
    assert(eventually(function()
      server:get("/garbage")
      return server:tickets() == 0
    end))
    still_serves(server)
  end))
end)

nginx.describe(_ENV, "a script", function()
  it("sets fields of the response, whoever answers", with(handlers([[
return {
  set = function(req)
    req:set_header("x-Origin", "mine")
    req:set_header("Server", "weir")
    req:set_header("content-type", "text/x-mine")
    req:set_header("X-Twice", "a")
    req:set_header("X-TWICE", "b")
    req:set_header("X-None", "c")
    req:set_header("X-None", nil)
    return req:proceed()
  end,
  refuse = function(req)
    req:set_header("X-Why", "because")
    return req:refuse(404)
  end,
  wrong = function(req)
    local function try(...)
      return select(2, pcall(req.set_header, req, ...))
    end
    req:set_header("X-Wrong", (table.concat({ try("a b", 1), try("a", {}),
      try("a", "b\r\nc: d"), try("Content-Length", 1) }, " ")
      :gsub("[\r\n]", "")))
  end,
  fine = function() end }
]], { server = [[
      location /set { weir policy:set; add_header X-Origin theirs;
                      proxy_pass http://origin; }
      location /static { weir policy:set; alias {dir}/p.lua; }
      location /refuse { weir policy:refuse; proxy_pass http://origin; }
      location /wrong { weir policy:wrong; proxy_pass http://origin; }
      location /fine { weir policy:fine; proxy_pass http://origin; }
    ]] }), function(server)
    for _, path in ipairs { "/set", "/static" } do
      local fields = server:get(path).fields
      assert.same({ "weir", "text/x-mine", "b" },
                  { fields.server, fields["content-type"], fields["x-twice"] })
      assert.matches("^mine", fields["x-origin"])
      assert.is_nil(fields["x-none"])
    end
    local answer = server:get("/refuse")
    assert.same({ 404, "because" }, { answer.status, answer.fields["x-why"] })
    local wrong = server:get("/wrong").fields["x-wrong"]
    assert.matches('"a b" is no name of a header', wrong)
    assert.matches("must be text, got table", wrong)
    assert.matches("must be one line", wrong)
    assert.matches("is the server's own to say", wrong)
    still_serves(server)
  end))

  it("that keeps all memory costs requests, not the worker", with(handlers([[
local hoard = {}
return {
  hoard = function()
    while true do hoard[#hoard + 1] = ("x"):rep(1000) .. #hoard end
  end,
  free = function() hoard = {} end,
  fine = function() end }
]], { http = "weir_script {dir}/p.lua; weir_space gate 16m; weir_memory 4m;" }),
  function(server)
    local worker = server:workers()[1]
    for _ = 1, 3 do server:get("/hoard") end
    assert(server:log():find "not enough memory: the script may have 4096 KB")
    server:get("/free")
    assert.equal(worker, server:workers()[1])
    still_serves(server)
  end))

  it("is told of by the log as limits are", with(handlers([[
local own = weir.limiter{ space = "shm:gate", name = "own", concurrent = 1,
                          key = function(req) return req.args.user end }
return {
  own = own(function(req) return req:proceed() end),
  fine = function() end }
]], { http = "weir_script {dir}/p.lua; weir_space gate 16m; log_format weir "
      .. "'$status $weir_verdict $weir_limiter $weir_key'; "
      .. "access_log {dir}/access.log weir;" }), function(server, origin)
    local first = server:ask "/own?user=ann&hold"
    origin:serves(1)
    local second = server:ask "/own?user=ann"
    server:has(2)
    origin:tell "free"
    assert.same({ 200, 200 }, { first:status(), second:status() })
    server:logged("^200 admitted own ann$", 1) -- it waited
    still_serves(server)
  end))

  it("whose instructions take long is stopped, too", with(handlers [[
return {
  slow = function()
    local subject = ("a"):rep(1000000)
    while true do subject:find "ab" end
  end,
  fine = function() end }
]], function(server)
    assert.equal(200, server:get("/slow").status)
    assert(server:log():find "p.lua:7: more than %d+ thousand .* or 2 s: ")
    still_serves(server)
  end))

  it("runs in a half without an engine of its own", function()
    local half = nginx.module:gsub("module%.so$", "lua.so")
    local _, symbols = process.run("nm --defined-only " .. half)
    assert.not_matches(" weir_acquire\n", symbols)
    assert.matches(" weir_policy_half\n", symbols)
  end)

  it("serves thousands that wait at once", with(handlers([[
return {
  many = function(req)
    local wait = weir.limiter{ name = "many", concurrent = 1 }
    return gate(function() return req:proceed() end)(req)
  end,
  herd = gate(function(req) return req:proceed() end),
  fine = function() end }
]], { level = "error" }), function(server, origin)
    local held, herd = server:ask "/herd?hold", {}
    origin:serves(1)
    for i = 1, 1500 do herd[i] = server:ask("/herd?" .. i) end
    server:has(1501)
    for i = 1, 1500, 2 do herd[i]:close(true) end
    server:has(751)
    origin:tell "free"
    assert.equal(200, held:status())
    for i = 2, 1500, 2 do assert.equal(200, herd[i]:status(30)) end
    assert.equal(751, #origin:tell "seen")
    still_serves(server)
  end))
end)
