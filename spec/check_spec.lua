--- weir check: what it says of policies, and that it says nothing of good ones.

local helper = require "spec.helper"
local weir = require "weir"

local LUA = os.getenv "LUA" or "lua5.4"

local dir, remove_dir

setup(function() dir, remove_dir = helper.spaces_dir() end)
teardown(function() remove_dir() end)

local function write(name, text)
  local file <close> = assert(io.open(dir .. "/" .. name, "wb"))
  file:write(text)
end

-- Checks a policy of that text: what it says, with limits.lua for the path of
-- the file, and the exit code.
local function check(text, options)
  write("limits.lua", text)
  local pipe = io.popen(("WEIR_DIR=%s/spaces %s lua/bin/weir check %s "
    .. "%s/limits.lua 2>&1"):format(dir, LUA, options or "", dir))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  return out:gsub(dir:gsub("%p", "%%%0") .. "/", ""), code
end

-- The lines of what it finds, and the exit code.
local function findings(text, options)
  local list = {}
  local out, code = check(text, options)
  for line in out:gmatch "[^\n]+" do
    if line:find "^[^ ]*: error: " or line:find "^[^ ]*: warning: " then
      list[#list + 1] = line
    end
  end
  return list, code
end

-- A limiter of these options, in a shared space, that has no other fault.
local function limited(options)
  return ([[
local weir = require "weir"
local backend = weir.rate_limit { space = "shm:api", name = "backend",
  %s }
return backend(function(req) return req:proceed() end)]]):format(options)
end

local function assert_one(pattern, text, options)
  local list, code = findings(text, options)
  assert.equal(1, #list, table.concat(list, "\n"))
  assert.matches(pattern, list[1])
  assert.equal(list[1]:find ": error: " and 1 or 0, code)
end

local function assert_none(text, options)
  assert.same({}, (findings(text, options)))
end

describe("weir check", function()
  it("tells what a policy defines, and how it fared", function()
    local out, code = check [[
local weir = require "weir"
local space = weir.open("shm:api", { size = "1m" })
local client = weir.rate_limit {
  space = space, name = "client", concurrent = 2, rate = "50/s", queue = 0,
  key = function(req) return req.remote_addr end,
}
local backend = weir.rate_limit { space = space, name = "backend",
                                  concurrent = 8, queue = 1000, timeout = 5 }
local function proceed(req) return req:proceed() end
return {
  app = weir.stack { client, backend }(proceed),
  no = function(req) return req:refuse(403) end,
}]]
    assert.equal([[
limits.lua:3: limiter 'client' in shm:api: concurrent=2 rate=50/s ]]
.. [[key=function queue=0
limits.lua:7: limiter 'backend' in shm:api: concurrent=8 queue=1000 timeout=5
handler 'app': of 5 requests 5 passed
handler 'no': of 5 requests 5 answered by the policy
0 errors, 0 warnings
]], out)
    assert.equal(0, code)
    assert.is_nil(io.open(dir .. "/spaces")) -- nothing live was touched
  end)

  it("tells who was refused", function()
    local out, code = check(limited "rate = '1/h', queue = 0")
    assert.matches("the handler: of 5 requests 1 passed, 4 refused\n", out)
    assert.equal(0, code)
  end)

  it("finds nothing in the example", function()
    local pipe = io.popen(LUA .. " lua/bin/weir check lua/examples/share.lua")
    assert.matches("0 errors, 0 warnings\n$", pipe:read "a")
    assert.is_true(pipe:close())
  end)

  it("fails for a warning with --strict", function()
    local text = limited "concurrent = 1"
    assert.equal(0, select(2, check(text)))
    assert.equal(1, select(2, check(text, "--strict")))
    assert.equal(0, select(2, check(limited "rate = 1, queue = 0",
                                    "--strict")))
  end)

  it("says what is wrong with the command line", function()
    for _, time in ipairs { "5m", "x", "-1", "0" } do
      local out, code = check(limited "rate = 1", "--proxy-timeout=" .. time)
      assert.truthy(out:find("500ms, got '" .. time .. "'\n", 1, true), out)
      assert.equal(2, code)
    end
  end)
end)

describe("a policy that cannot be loaded", function()
  it("is an error at its line", function()
    assert_one("^limits.lua:2: error: .*near", "\nreturn return")
    assert_one("^limits.lua:3: error: ouch$", "\n\nerror 'ouch'")
    assert_one("^limits.lua: error: expected a handler", "return 3")
    assert_one("^limits.lua:2: error: weir.limiter: concurrent must be",
               "local weir = require 'weir'\nweir.limiter{ concurrent = -1 }")
    assert_one("^limits.lua:1: error: weir.semaphore: concurrent must be",
               "require 'weir'.semaphore('x')")
  end)

  it("may be not there", function()
    local pipe = io.popen(LUA .. " lua/bin/weir check /no/such.lua")
    assert.equal("/no/such.lua: error: No such file or directory\n"
                 .. "1 error, 0 warnings\n", pipe:read "a")
    assert.equal(1, select(3, pipe:close()))
  end)

  it("is stopped if it has no end, whatever it catches", function()
    assert_one("^limits.lua:1: error: stopped after 50 million instructions",
               "while true do end")
    assert_one("stopped after 50 million instructions", [[
      local function forever() while true do end end
      while true do pcall(forever) end]])
    assert_one("stopped when it took more than 256 megabytes", [[
      local list = {}
      while true do list[#list + 1] = { #list } end]])
  end)

  it("finds its own files, and those of --path", function()
    write("other.lua", "return function(req) return req:proceed() end")
    assert_none "return require 'other'"
    assert_one("^limits.lua: error: module 'other' was not found",
               "return require 'other'",
               "--path /no/such")
    assert_one("a policy has no 'io'", "return io.open")
    assert_none("return io and function(req) return req:proceed() end",
                "--no-sandbox")
  end)
end)

describe("a handler", function()
  it("that fails is an error, with the first request that shows it", function()
    assert_one("^limits.lua:2: error: attempt to index a nil value .field "
               .. "'user_agent'. %(GET /%%2e%%2e/a%%20b of HTTP/1.0",
               "return function(req)\n return req.user_agent:lower() end")
    assert_one("^limits.lua: error: handler 'a': the handler returned false",
               "return { a = function() return false end }")
  end)

  it("that does not end is an error", function()
    assert_one("^limits.lua:2: error: waits for what never comes",
               "return function(req)\n coroutine.yield() end")
    assert_one("^limits.lua:1: error: stopped after 50 million instructions",
               "return function(req) while true do end end")
    assert_one("^limits.lua: warning: takes 100 s with nobody else there",
               "local weir = require 'weir'\n"
               .. "return function(req) weir.sleep(100) end")
  end)

  it("that makes a limiter for each request", function()
    assert_one("^limits.lua:3: warning: weir.rate_limit makes a limiter for "
               .. "each request, which so limits nothing", [[
local weir = require "weir"
return function(req)
  return weir.rate_limit(3)(function(r) return r:proceed() end)(req)
end]])
    assert_one("^limits.lua:3: warning: weir.limiter makes a limiter for each "
               .. "request, and each time looks it up by its name", [[
local weir = require "weir"
return function(req)
  local limiter = weir.limiter { space = "shm:api", name = "a", rate = 9 }
  return limiter(function(r) return r:proceed() end)(req)
end]])
  end)

  it("that keeps its permits", function()
    assert_one("^limits.lua:2: warning: does not give back the permit of "
               .. "'backend'", [[
local weir = require "weir"
local backend = weir.limiter { space = "shm:api", name = "backend",
                               concurrent = 9, timeout = 1 }
return function(req)
  backend:acquire()
  return req:proceed()
end]])
  end)

  it("that returns before the response begins", function()
    assert_one("^limits.lua:2: warning: returns without req:proceed%(%), so "
               .. "the permit of 'backend' comes back before", [[
local weir = require "weir"
local backend = weir.limiter { space = "shm:api", name = "backend",
                               concurrent = 9, timeout = 1 }
return backend(function(req) end)]])
    assert_none [[
local weir = require "weir"
local client = weir.limiter { space = "shm:api", name = "client", rate = 9,
                              queue = 0 }
return client(function(req) end)]]
  end)

  it("that asks for what can never be", function()
    assert_one("^limits.lua: warning: .*'backend'.* %(GET / of a browser%)$",
               limited "concurrent = 2, cost = 3, timeout = 1")
  end)
end)

describe("a key function", function()
  it("that returns no string is an error where it is written", function()
    assert_one("^limits.lua:3: error: the key function returns a table: "
               .. "expected a string, or nil for no limit %(GET /",
               limited "rate = 9, queue = 0, key = function() return {} end")
    assert_one("^limits.lua:4: error: the key function returns a number: "
               .. "expected a string, or nil for no limit %(tostring makes one",
               limited "rate = 9, queue = 0,\nkey = function() return 7 end")
    assert_one("^limits.lua:3: error: the flow function returns a boolean: ",
               limited("concurrent = 9, timeout = 1, order = 'fair', "
                       .. "flow = function() return true end"))
  end)

  it("that tells no two requests as one, or nobody's", function()
    assert_one("^limits.lua:3: warning: the key of 'backend' is another one "
               .. "for each request of the same client",
               limited "rate = 9, queue = 0, key = function(r) return r.id end")
    assert_one("^limits.lua:3: warning: the key of 'backend' is nil for all",
               limited "rate = 9, queue = 0, key = function() end")
    assert_none(limited("rate = 9, queue = 0, key = function(r) return r.path "
                        .. "end"))
    assert_none(limited("rate = 9, queue = 0, key = function(r) return "
                        .. "r.cookies.session end"))
  end)
end)

describe("a timeout", function()
  it("is not longer than a proxy's", function()
    local text = limited "concurrent = 9, timeout = 90"
    assert_one("^limits.lua:2: warning: a request may wait 90 s for 'backend', "
               .. "longer than a proxy's 60 s", text)
    assert_none(text, "--proxy-timeout 90")
    assert_one("longer than a proxy's 0.5 s", limited "rate = 9, timeout = 1",
               "--proxy-timeout 500ms")
  end)

  it("is there, where somebody may wait", function()
    assert_one("^limits.lua:2: warning: 'backend' has no timeout",
               limited "concurrent = 9")
    assert_none(limited "concurrent = 9, queue = 0")
    assert_none(limited "concurrent = 9, shed = 'codel'")
    assert_none(limited "concurrent = 9, timeout = 0")
  end)

  it("counts with those that are waited for before", function()
    local text = [[
local weir = require "weir"
local function make(name)
  return weir.rate_limit { space = "shm:api", name = name, concurrent = 9,
                           timeout = 25 }
end
return weir.stack { make "a", make "b", make "c" }(function(req)
  return req:proceed()
end)]]
    assert_one("^limits.lua: warning: a request may wait 75 s for one limiter "
               .. "after the other, longer than a proxy's 60 s", text)
    assert_none(text, "--proxy-timeout 75s")
  end)
end)

describe("a space", function()
  local function sized(size, options)
    return ([[
local weir = require "weir"
local space = weir.open("shm:api", { size = "%s" })
local backend = weir.rate_limit { space = space, name = "backend",
  %s }
return backend(function(req) return req:proceed() end)]]):format(size, options)
  end

  it("has room for what its limiters allow", function()
    assert_one("^limits.lua:3: warning: 'backend' may have 5000 at once, but "
               .. "shm:api has 256k, which is room for less than 4097",
               sized("256k", "concurrent = 5000, timeout = 1"))
    assert_one("'backend' may have 5000 waiting, but",
               sized("256k", "rate = 9, queue = 5000, timeout = 1"))
    assert_one("'backend' may have 5000 keys, but shm:api has 256k, which is "
               .. "room for less than 2049",
               sized("256k", "rate = 9, queue = 0, keys = 5000, "
                     .. "key = function(r) return r.path end"))
    assert_none(sized("1m", "concurrent = 5000, queue = 5000, timeout = 1"))
    assert_one("'backend' may have 300000 at once, but shm:api has 16m",
               limited "concurrent = 300000, timeout = 1")
  end)

  it("has room for all of them together", function()
    assert_one("^limits.lua: warning: the limiters in shm:api may need 384000 "
               .. "bytes .* it has 256k",
               sized("256k", "concurrent = 3000, queue = 3000, timeout = 1"))
  end)

  -- What a call and a key take is the engine's to say.
  it("has as much room as is said", function()
    local calls, keys = 0, 0
    do
      local space <close> = assert(weir.open("shm:calls", { size = "256k",
                                                            dir = dir }))
      local limiter = weir.limiter { space = space, name = "l",
                                     concurrent = 100000 }
      local held = {}
      repeat
        held[#held + 1] = limiter:try_acquire()
        calls = calls + 1
      until #held < calls
    end
    do
      local space <close> = assert(weir.open("shm:keys", { size = "256k",
                                                           dir = dir }))
      local limiter = weir.limiter { space = space, name = "l", rate = "1/h",
                                     queue = 0, keys = 100000 }
      local fine = true
      while fine do
        local permit, err = limiter:try_acquire("k" .. keys)
        fine = permit or err.code ~= "exhausted"
        if permit then permit:release() end
        keys = keys + 1
      end
    end
    assert.is_true(calls <= 4097 and calls > 3000, calls)
    assert.is_true(keys <= 2049 and keys > 1000, keys)
  end)

  it("is each process' own, unless it is shared", function()
    assert_one("^limits.lua:2: warning: the limiter 'mine' is each process' "
               .. "own", [[
local weir = require "weir"
local mine = weir.rate_limit { name = "mine", rate = 9, queue = 0 }
return mine(function(req) return req:proceed() end)]])
  end)
end)
