--- A policy cannot take the server down.

local nginx = require "spec.nginx.nginx"
local socket = require "socket"

local with, eventually = nginx.with, nginx.eventually

local LOCATION = "location / { weir policy; proxy_pass http://origin; }"

local function policy(text, more)
  local spec = { http = "weir_script {dir}/p.lua;", server = LOCATION,
                 files = { ["p.lua"] = text } }
  for name, value in pairs(more or {}) do
    spec[name] = name == "http" and spec.http .. value or value
  end
  return spec
end

nginx.describe(_ENV, "nginx -t", function()
  local cases = {
    { "a syntax error, with file and line", "return function(req)\n  (\nend",
      "p.lua:3: " },
    { "a runtime error, with file and line", "local x = nil\nreturn x.y",
      "p.lua:2: attempt to index" },
    { "misuse, with file and line",
      'local weir = require "weir"\nreturn weir.rate_limit(-1)(print)',
      "p.lua:2: " },
    { "a file without a handler", "return 5", "p.lua: expected a handler" },
    { "a file that returns nothing", "local x = 1",
      "p.lua: expected a handler" },
    { "an endless loop", "while true do end", "p.lua:1: .*endless loop" },
    { "one that hides in pcall", "\nwhile true do pcall(function() while true "
      .. "do end end) end", "p.lua:2: .*endless loop" },
    { "too much memory", "local t = {} for i = 1, 1e9 do t[i] = {} end",
      "p.lua.*memory" },
    { "a file of io", "io.open('/etc/passwd')", "p.lua:1: .*io" },
    { "a process", "os.execute('true')", "p.lua:1: " },
    { "the debug library", "debug.getregistry()", "p.lua:1: .*debug" },
    { "bytecode", "return load('\\27Lua')()", "p.lua:1: " },
    { "a module that is not there", "local x = require 'nowhere'",
      "p.lua:1: .*nowhere" },
  }
  for _, case in ipairs(cases) do
    it("finds " .. case[1], function()
      local ok, text = nginx.check(policy(case[2]))
      assert.is_false(ok, text)
      assert.is_truthy(text:find(case[3]), text)
    end)
  end

  it("finds names that no script defines", function()
    local ok, text = nginx.check(policy("return { one = print }", {
      server = " location / { weir policy:other; }" }))
    assert.is_false(ok)
    assert.is_truthy(text:find 'p.lua defines no handler "other" in .*conf:%d+',
                     text)
    ok, text = nginx.check(policy("return { one = print }"))
    assert.is_false(ok, text)
  end)

  it("finds a script that is not there", function()
    local ok, text = nginx.check { http = "weir_script {dir}/none.lua;",
                                   server = LOCATION }
    assert.is_false(ok)
    assert.is_truthy(text:find "none.lua", text)
  end)

  it("warns of a limiter that is each worker's own", function()
    local ok, text = nginx.check(policy
      "return require 'weir'.rate_limit(3)(function(r) r:proceed() end)")
    assert.is_true(ok, text)
    assert.is_truthy(text:find "%[warn%].*each", text)
  end)

  it("makes no space", with(policy [[
    local weir = require "weir"
    local gate = weir.limiter { space = "shm:gate", name = "gate",
                                concurrent = 1 }
    return gate(function(req) return req:proceed() end)
  ]], function(server)
    local before = server:space "gate"
    server:write("p.lua", [[
      local weir = require "weir"
      local gate = weir.limiter { space = "shm:gate", name = "gate",
                                  concurrent = 9 }
      weir.limiter { space = "shm:other", name = "x", concurrent = 1 }
      return gate(function(req) return req:proceed() end)
    ]])
    local ok, text = nginx.check(server.spec, server)
    assert.is_true(ok, text)
    assert.same(before, server:space "gate")
    assert.is_nil(server:space "other")
  end))
end)

nginx.describe(_ENV, "an error of a policy", function()
  local function failing(body, more)
    return policy("return function(req)\n  if req.args.bad then\n" .. body
      .. "\n  end\n  return req:proceed()\nend", more)
  end

  for _, case in ipairs { { "pass", 200 }, { "refuse", 503 } } do
    it(("is logged once with its traceback, and the request goes on as "
      .. "weir_on_error %s says"):format(case[1]), with(failing(
      "local function deep() error 'oh' end deep()", {
        http = "weir_on_error " .. case[1] .. ";" }), function(server)
        local first = socket.gettime()
        for _ = 1, 5 do
          assert.equal(case[2], server:get("/?bad").status)
        end
        local lines = server:log "p.lua:3: oh"
        assert.is_true(#lines >= 1)
        assert.is_true(#lines <= 2 * (2 + socket.gettime() - first), #lines)
        assert.is_truthy(server:log():find "stack traceback", server:log())
        assert.is_truthy(server:log():find "deep", server:log())
        assert.equal(200, server:get("/").status)
      end))
  end

  it("after req:proceed is logged, and the response whole", with(policy [[
    return function(req) req:proceed() error "late" end
  ]], function(server)
    assert.equal(200, server:get("/").status)
    eventually(function() return #server:log "p.lua:1: late" > 0 end)
    assert.equal(200, server:get("/").status)
  end))

  for _, case in ipairs {
    { "an endless loop", "while true do end", "endless loop" },
    { "an endless loop in pcall", "while true do pcall(function() while true "
      .. "do end end) end", "endless loop" },
    { "an endless loop in a coroutine", "coroutine.wrap(function() while true "
      .. "do end end)()", "endless loop" },
    { "memory without end", "local t = {} while true do t[#t + 1] = "
      .. "('x'):rep(1000000) .. #t end", "memory" },
    { "a string too long", "return ('x'):rep(1 << 40)", "p.lua" },
    { "recursion without end", "local function f() return 1 + f() end f()",
      "memory" }, -- of 16m, which its stack reaches first
    { "a wrong answer", "return 5, 6, 7", nil },
    { "a table as an error", "error({})", "p?" },
    { "nil as an error", "error(nil)", "p?" },
    { "a yield of its own", "coroutine.yield(1)", nil },
  } do
    it(("costs that request alone: %s"):format(case[1]), with(failing(case[2],
      { workers = 1, http = "weir_memory 16m; weir_on_error refuse;" }),
      function(server, origin)
        local other <close> = server:ask "/?hold"
        origin:serves(1)
        local bad <close> = server:ask "/?bad"
        local status = bad:status(8 * nginx.slow)
        if case[3] then
          assert.equal(503, status)
          assert.is_truthy(server:log():find(case[3]), server:log())
        end
        for _ = 1, 3 do assert.equal(200, server:get("/").status) end
        origin:tell "free"
        assert.equal(200, other:status())
        assert.same({}, server:log "exited on signal")
      end))
  end

  it("gives permits back", with(policy [[
    local weir = require "weir"
    local gate = weir.limiter { space = "shm:gate", name = "gate",
                                concurrent = 1, queue = 0 }
    return gate(function(req)
      if req.args.bad == "loop" then while true do end end
      if req.args.bad == "error" then error "oh" end
      if req.args.bad == "late" then req:proceed() error "late" end
      return req:proceed()
    end)
  ]], function(server)
    for _ = 1, 3 do
      for _, bad in ipairs { "loop", "error", "late" } do
        server:get("/?bad=" .. bad)
        server:has(0)
      end
    end
    assert.equal(200, server:get("/").status)
  end))
end)

nginx.describe(_ENV, "weir_sandbox off", function()
  it("lets a policy have files, processes and debug", with(policy([[
    local file = io.open(debug.getinfo(1, "S").source:sub(2))
    local size = #file:read "a"
    file:close()
    return function(req)
      req:set_header("X-Size", tostring(size))
      return req:proceed()
    end
  ]], { http = "weir_sandbox off;" }), function(server)
    assert.is_true(tonumber(server:get("/").fields["x-size"]) > 100)
  end))
end)
