--- Beside another Lua in the same nginx: libnginx-mod-http-lua has LuaJIT.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local with = nginx.with
local NDK, LUA = nginx.stock "ndk_http_module.so",
  nginx.stock "ngx_http_lua_module.so"

local POLICY = [[
local weir = require "weir"
local gate = weir.limiter { space = "shm:gate", name = "gate", concurrent = 1,
                            timeout = 60 }
return gate(function(req)
  req:set_header("X-Weir", _VERSION .. " " .. math.type(1) .. " " .. (7 // 2))
  return req:proceed()
end)
]]

local function spec(more)
  local all = {
    files = { ["p.lua"] = POLICY },
    http = "weir_limit door concurrent=1 queue=0;",
    server = [[
      location / { weir policy; proxy_pass http://origin; }
      location /door { weir door; proxy_pass http://origin; }
    ]],
  }
  for name, value in pairs(more) do all[name] = value end
  return all
end

-- Two Luas at work: theirs sets a field in the location of ours.
local BOTH = {
  http = [[
    lua_package_path "/usr/share/lua/5.1/?.lua;;";
    weir_script {dir}/p.lua;
    weir_limit door concurrent=1 queue=0;
    init_by_lua_block { started = jit.version }
  ]],
  server = [[
    location / {
      weir policy;
      access_by_lua_block { ngx.sleep(0.001) }
      header_filter_by_lua_block {
        ngx.header["X-Theirs"] = started:match "LuaJIT" .. " " .. _VERSION }
      proxy_pass http://origin;
    }
    location /door { weir door; content_by_lua_block { ngx.say "theirs" } }
  ]],
}

nginx.describe(_ENV, "weir beside http_lua", function()
  if not LUA or not NDK then
    return pending "nginx: libnginx-mod-http-lua is not installed"
  elseif nginx.preload then
    return pending "nginx: AddressSanitizer cannot keep two Luas apart"
  end

  for _, order in ipairs { "before", "after" } do
    it(("works when that is loaded %s it"):format(order), with(spec {
      [order] = { NDK, LUA }, http = BOTH.http, server = BOTH.server },
      function(server, origin)
        for _ = 1, 3 do
          local fields = server:get("/").fields
          assert.equal("Lua 5.4 integer 3", fields["x-weir"])
          assert.equal("LuaJIT Lua 5.1", fields["x-theirs"])
        end
        local held = server:ask "/1?hold"
        origin:serves(1)
        local waiting = {}
        for i = 2, 5 do
          waiting[i - 1] = server:ask("/" .. i)
          server:has(i)
        end
        assert.equal("theirs\n", server:get("/door").body)
        origin:tell "free"
        assert.equal(200, held:status())
        for _, one in ipairs(waiting) do assert.equal(200, one:status()) end
        server:reload()
        assert.equal("Lua 5.4 integer 3", server:get("/").fields["x-weir"])
        server:has(0)
      end))
  end
end)

nginx.describe(_ENV, "the module itself", function()
  it("knows no function of Lua's", function()
    local code, text = process.run("nm -D --undefined-only "
      .. process.quote(nginx.module))
    assert.equal(0, code)
    assert.is_nil(text:find " luaL?_", text)
  end)

  it("runs without the other half, where there is no script", function()
    local dir = process.directory()
    os.execute(("cp %s %s/"):format(process.quote(nginx.module), dir))
    local path = dir .. "/" .. nginx.module:match "[^/]+$"
    with({ plain = true, before = { path },
           http = "weir_limit gate concurrent=1;",
           server = "location / { weir gate; proxy_pass http://origin; }" },
         function(server) assert.equal(200, server:get("/").status) end)()
    local ok, text = nginx.check { plain = true, before = { path },
      http = "weir_script {dir}/p.lua;", files = { ["p.lua"] = POLICY } }
    assert.is_false(ok)
    assert.is_truthy(text:find "ngx_http_weir_lua.so", text)
    os.execute("rm -rf " .. dir)
  end)
end)

nginx.describe(_ENV, "a C module for a policy", function()
  local cpath = package.searchpath("lfs", package.cpath)
  if not cpath then return pending "nginx: lua-filesystem is not installed" end
  local directory = cpath:match "^(.*)/lfs"

  local function using(more)
    return spec {
      files = { ["p.lua"] = [[
        local lfs = require "lfs"
        return function(req)
          req:set_header("X-Mode", lfs.attributes("/tmp").mode)
          return req:proceed()
        end
      ]] },
      http = "weir_script {dir}/p.lua; weir_limit door concurrent=1; " .. more,
    }
  end

  it("can be required where there is no other Lua", with(using(
    ("weir_sandbox off; weir_cpath %s;"):format(directory)),
    function(server)
      assert.equal("directory", server:get("/").fields["x-mode"])
    end))

  it("says why it cannot: there is no path", function()
    local ok, text = nginx.check(using "weir_sandbox off;")
    assert.is_false(ok)
    assert.is_truthy(text:find "weir_cpath", text)
  end)

  it("says why it cannot: another Lua is in the process", function()
    if not LUA or nginx.preload then
      return pending "nginx: there is no http_lua, or no way beside it"
    end
    for _, order in ipairs { "before", "after" } do
      local one = using(("weir_sandbox off; weir_cpath %s;"):format(directory)
        .. 'lua_package_path "/usr/share/lua/5.1/?.lua;;";')
      one[order] = { NDK, LUA }
      local ok, text = nginx.check(one)
      assert.is_false(ok)
      assert.is_truthy(text:find "another Lua", text)
    end
  end)
end)
