-- A policy file: what it may be, what it may use, what becomes of a request.
local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local policy = require "weir.policy"
local request = require "weir.request"
local weir = require "weir"

local dir

setup(function()
  dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir -p " .. dir .. "/deep"))
end)

teardown(function() os.execute("rm -rf " .. dir) end)

local function write(name, text)
  local path = dir .. "/" .. name
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

local function load_text(text, options)
  options = options or {}
  options.path = options.path or dir .. "/?.lua"
  return policy.load(write("policy.lua", text), options)
end

--- What the handler of a policy decides, run in a coroutine.
local function decide(text, req, options)
  local loaded = assert(load_text(text, options))
  local result
  local co = coroutine.create(function()
    result = table.pack(policy.serve(loaded.handlers[""], req))
  end)
  assert(coroutine.resume(co))
  return table.unpack(result, 1, result.n)
end

--- What a policy's file returns, as its handler tells.
local function value_of(expression, options)
  local seen
  options = options or {}
  options.print = function(value) seen = value end
  assert(load_text("print((" .. expression .. ")) return print", options))
  return seen
end

local function refused(text, options)
  local loaded, err = load_text(text, options)
  assert.is_nil(loaded)
  return err
end

describe("a policy file", function()
  it("is a function, or a table of named ones", function()
    local one = assert(load_text "return function() end")
    assert.same({ "" }, one.names)
    assert.is_function(one.handlers[""])
    local two = assert(load_text "return { b = print, ['a-1.x'] = print }")
    assert.same({ "a-1.x", "b" }, two.names)
  end)

  it("may be a limited function, and a table that can be called", function()
    assert(load_text [[local weir = require "weir"
      return weir.rate_limit(3)(function() end)]])
    assert(load_text "return setmetatable({}, { __call = print })")
  end)

  it("names its file and line where it is wrong", function()
    local path = dir .. "/policy.lua"
    assert.matches("^" .. path:gsub("%p", "%%%0") .. ":2: .*near",
                   refused "\nreturn return")
    assert.matches("^" .. path:gsub("%p", "%%%0") .. ":3: ouch$",
                   refused "\n\nerror 'ouch'")
    local _, _, stack = load_text "error 'ouch'"
    assert.matches("^\nstack traceback:\n.*\n%s*%S*policy.lua:1: in [^\n]*$",
                   stack)
  end)

  it("says what it returned instead of a handler", function()
    local path = (dir .. "/policy.lua: "):gsub("%p", "%%%0")
    assert.matches("^" .. path .. ".*returned nothing$", refused "")
    assert.matches("returned a nil$", refused "return nil")
    assert.matches("returned a number$", refused "return 3")
    assert.matches("has no handlers$", refused "return {}")
    assert.matches("'x' must be a function, got a number",
                   refused "return { x = 1 }")
    assert.matches("^" .. path .. "\"a b\" is no name of a handler",
                   refused "return { ['a b'] = print }")
    assert.matches("a number is no name of a handler",
                   refused "return { print }")
    assert.matches("'x' is a limiter without a function",
                   refused "return { x = require 'weir'.semaphore(1) }")
    assert.matches("'' is a limiter without a function",
                   refused "return require 'weir'.semaphore(1)")
  end)

  it("that is not there is named", function()
    local loaded, err = policy.load(dir .. "/none.lua")
    assert.is_nil(loaded)
    assert.matches("^" .. dir:gsub("%p", "%%%0") .. "/none.lua: No such file",
                   err)
  end)

  it("is text", function()
    write("policy.lua", string.dump(function() end))
    local loaded, err = policy.load(dir .. "/policy.lua")
    assert.is_nil(loaded)
    assert.matches("attempt to load a binary chunk", err)
  end)

  it("warns of limiters that each process has for itself", function()
    local loaded = assert(load_text([[
      local weir = require "weir"
      local mine = weir.rate_limit{ name = "mine", concurrent = 1 }
      local theirs = weir.rate_limit{ name = "theirs", concurrent = 1,
                                      space = "shm:spec" }
      return theirs(mine(function() end))]], { trial = true }))
    assert.equal(1, #loaded.warnings)
    assert.matches("^the limiter 'mine' is each process' own",
                   loaded.warnings[1])
    assert.same({ "shm:spec" }, loaded.spaces)
  end)
end)

describe("the sandbox", function()
  it("has no files, processes, debug library or bytecode", function()
    for _, name in ipairs { "io", "debug", "package", "dofile", "loadfile" } do
      assert.matches("policy.lua:1: a policy has no '" .. name .. "'",
                     refused("return " .. name))
    end
    for _, name in ipairs { "os.execute", "os.remove", "os.getenv", "os.exit",
                            "os.tmpname", "os.rename", "string.dump" } do
      assert.is_nil(value_of(name), name)
    end
    assert.is_nil(value_of("load(('').dump(function() end))"))
    assert.is_nil(value_of("load('\\27Lua', 'x', 'b')"))
  end)

  it("has the rest of Lua", function()
    assert.equal("a1", value_of "('a%d'):format(1)")
    assert.equal("number", value_of "type(os.time())")
    assert.equal(3, value_of "load('return 1 + 2')()")
    assert.equal(4, value_of "load('return x', 'x', 't', { x = 4 })()")
    assert.equal(5, value_of "coroutine.wrap(coroutine.yield)(5)")
    assert.equal("number", value_of "type(collectgarbage 'count')")
  end)

  it("hands out copies", function()
    assert(load_text [[
      string.format, table.concat, math.max = nil, nil, nil
      rawset(string, "rep", nil)
      local weir = require "weir"
      weir.limiter, weir.stack = nil, nil
      return function() end]])
    assert.is_function(string.format)
    assert.is_function(table.concat)
    assert.is_function(string.rep)
    assert.is_function(weir.limiter)
    assert(load_text [[return require "weir".semaphore(1)(print)]])
  end)

  it("shows no metatable that is not the policy's own", function()
    assert.equal("string", value_of "getmetatable('')")
    assert.equal("weir.limiter",
                 value_of "getmetatable(require 'weir'.semaphore(1))")
    assert.equal("policy", value_of "getmetatable(_G)")
    assert.equal(7, value_of "getmetatable(setmetatable({}, { x = 7 })).x")
  end)

  it("lets nobody make finalizers or steer the collector", function()
    assert.matches("policy.lua:1: a policy can have no finalizers",
                   refused "setmetatable({}, { __gc = print })")
    assert.matches("can only ask collectgarbage for \"count\", not for stop",
                   refused "collectgarbage 'stop'")
  end)

  it("has no loops in C that go on for ever", function()
    for _, call in ipairs { "insert(endless, 1, 1)", "remove(endless, 1)",
                            "move({}, 1, math.maxinteger - 1, 2)",
                            "move({}, -1e15, 1e15, 2)" } do
      assert.matches("^%S*policy.lua:2: table.", refused(
        "local endless = setmetatable({}, { __len = function() "
        .. "return 1 << 50 end })\ntable." .. call))
    end
    assert.equal("1,2,4", value_of [[(function()
      local list = { 2, 3 }
      table.insert(list, 1, 1)
      table.remove(list)
      table.insert(list, 4)
      return table.concat(table.move(list, 1, 3, 1, {}), ",")
    end)()]])
  end)

  it("withholds what is the host's of weir", function()
    for _, name in ipairs { "run", "step", "attach", "remove", "spaces", "tcp",
                            "pretend", "look", "resolve", "readable" } do
      assert.matches("policy.lua:1: weir." .. name .. " is not for a policy",
                     refused("require 'weir'." .. name .. "()"))
    end
    assert.matches("cannot say in which directory",
                   refused "require 'weir'.open('shm:x', { dir = '/tmp' })")
  end)

  it("keeps globals of one policy from another", function()
    assert(load_text "shared = 1 return print")
    assert.is_nil(value_of "shared")
    assert.is_nil(rawget(_G, "shared"))
  end)

  it("can be left off", function()
    assert.equal(io, value_of("io", { sandbox = false }))
    assert.equal(weir, value_of("require 'weir'", { sandbox = false }))
    assert.equal(debug, value_of("require 'debug'", { sandbox = false }))
  end)
end)

describe("require", function()
  it("finds a policy's own files, once, in the same sandbox", function()
    write("mine.lua", [[
      count = (count or 0) + 1
      return { count, io = pcall(function() return io end), ... }]])
    local seen = value_of "require 'mine' == require 'mine' and require 'mine'"
    assert.same({ 1, "mine", dir .. "/mine.lua", io = false }, seen)
    write("deep/er.lua", "return 'deep'")
    assert.equal("deep", value_of "require 'deep.er'")
  end)

  it("says where it looked, and what is wrong", function()
    local err = refused "require 'none'"
    assert.matches("policy.lua:1: module 'none' was not found", err)
    assert.matches("no file '" .. dir:gsub("%p", "%%%0") .. "/none.lua'", err)
    assert.matches("no C module: another Lua is here",
                   refused("require 'none'",
                           { why_no_c = "another Lua is here" }))
    write("broken.lua", "return return")
    assert.matches("broken.lua:1:", refused "require 'broken'")
    write("round.lua", "return require 'round'")
    assert.matches("'round' requires itself", refused "require 'round'")
    write("raises.lua", "error 'ouch'")
    assert.matches("raises.lua:1: ouch", refused "require 'raises'")
  end)

  it("does not leave its path", function()
    for _, name in ipairs { "../x", "/etc/passwd", "a..b", ".x", "a b" } do
      assert.matches("is no module's name",
                     refused(("require %q"):format(name)))
    end
    assert.matches("expected a module's name, got nil", refused "require(nil)")
  end)

  it("loads C modules where there is a path for them", function()
    local cpath = package.cpath
    assert.equal("table", value_of("type(require 'weir.core')",
                                   { cpath = cpath }))
    assert.matches("no C module", refused "require 'weir.core'")
  end)
end)

describe("a trial", function()
  it("touches no live space", function()
    local seen
    local loaded = assert(load_text([[
      local weir = require "weir"
      local space = assert(weir.open("shm:trial-1", { size = "1m" }))
      local function make(where, n)
        return weir.limiter{ space = where, name = "a", concurrent = n }
      end
      local a, b, c = make(space, 1), make("shm:trial-1", 2),
                      make("shm:trial-2", 3)
      print{ a:stats().limit, b:stats().limit, c:stats().limit, space.name,
             space.size }
      return function() end]],
      { trial = true, print = function(value) seen = value end }))
    assert.same({ 2, 2, 3, "shm:trial-1", 1 << 20 }, seen)
    assert.same({ "shm:spec", "shm:trial-1", "shm:trial-2" }, loaded.spaces)
    for _, space in ipairs(assert(weir.spaces())) do
      assert.not_matches("trial", space.name)
    end
  end)

  it("minds names as the real ones do", function()
    assert.matches("policy.lua:1: .*\"a/b\" is no name of a space",
                   refused("require 'weir'.limiter{ space = 'shm:a/b', "
                           .. "name = 'x', concurrent = 1 }"))
    assert.matches("is found by its name",
                   refused("require 'weir'.limiter{ space = 'shm:ab', "
                           .. "concurrent = 1 }"))
  end)

  it("goes by virtual time", function()
    local permits = {}
    weir.step(0)
    local limiter = weir.limiter{ space = "shm:time", name = "slow",
                                  concurrent = 1, timeout = 5 }
    permits[1] = limiter:acquire()
    local code
    helper.stranger(function()
      local _, err = limiter:acquire()
      code = err.code
    end)
    weir.step(1)
    assert.is_nil(code)
    weir.step(1000)
    assert.equal("timeout", code)
    helper.forget(permits)
    assert.equal("timeout", code)
  end)
end)

describe("a request", function()
  it("passes when its handler returns nothing, true, or what proceed did",
     function()
    assert.equal("pass", (decide("return function() end", {})))
    assert.equal("pass", (decide("return function() return true end", {})))
    local req = request.new{ proceed = function() return { status = 204 } end }
    assert.equal("pass", (decide(
      "return function(req) return req:proceed() end", req)))
  end)

  it("is refused with a limiter's refusal", function()
    local kind, err = decide([[
      local limiter = require "weir".limiter{ concurrent = 1, name = "one" }
      local permit = limiter:acquire() -- the handler keeps it
      return function() if permit then return limiter:try_acquire() end end]],
      {})
    assert.equal("refuse", kind)
    assert.equal("one", err.limiter)
    assert.equal(503, policy.status(err))
    err.key = "x"
    assert.equal(429, policy.status(err))
  end)

  it("is answered by req:refuse, whether or not that is returned", function()
    local kind, answer = decide([[return function(req)
      req:refuse(403, { ["X-Why"] = "no" }, "go away")
    end]], request.new{})
    assert.equal("answer", kind)
    assert.same({ 403, { ["X-Why"] = "no" }, "go away" },
                { answer.status, answer.headers, answer.body })
    local _, _, why = decide([[return function(req)
      req:refuse(403)
      error "afterwards"
    end]], request.new{})
    assert.matches("policy.lua:3: afterwards", why)
  end)

  it("fails with a message and the policy's part of the traceback", function()
    local kind, message = decide([[
      local function inner() error "ouch" end
      return function() inner() end]], {})
    assert.equal("fail", kind)
    assert.matches("^%S*policy.lua:1: ouch\nstack traceback:", message)
    assert.matches("policy.lua:2: in function <[^\n]*>$", message)
  end)

  it("fails with what cannot be told, too", function()
    local function message_of(text)
      local kind, message = decide("return function() " .. text .. " end", {})
      assert.equal("fail", kind)
      return message
    end
    assert.matches("^%(error object is a table value%)", message_of "error {}")
    assert.matches("^told", message_of
      "error(setmetatable({}, { __tostring = function() return 'told' end }))")
    assert.matches("^%(error object is a table value%)", message_of
      "error(setmetatable({}, { __tostring = function() error() end }))")
    assert.matches("returned false", message_of "return false")
    assert.matches("returned nil and oops", message_of "return nil, 'oops'")
  end)
end)

describe("the fields of a request", function()
  it("follow from each other", function()
    local req = request.new{
      uri = "/a%20b/../c//d?x=1&y=a+b%21&x=2&flag",
      headers = { ["User-Agent"] = "spec", Cookie = "a=1; b=\"2\"; a=3",
                  Host = "Example.org:80" } }
    assert.equal("/c/d", req.path)
    assert.same({ x = "2", y = "a b!", flag = "" }, req.args)
    assert.same({ a = "1", b = "2" }, req.cookies)
    assert.equal("spec", req.user_agent)
    assert.equal("spec", req.headers["USER-AGENT"])
    assert.equal("spec", req.headers.user_agent)
    assert.equal("example.org", req.host)
    assert.is_nil(req.remote_addr)
  end)

  it("are nobody's to set, but ctx", function()
    local req = request.new{}
    req.ctx.mine = 1
    assert.equal(1, req.ctx.mine)
    helper.raises("req.mine cannot be set", function() req.mine = 1 end)
    helper.raises("a request has no field colour",
                  function() return req.colour end)
  end)

  it("are of paths as servers see them", function()
    local paths = { ["/"] = "/", ["/a/"] = "/a/", ["/../a"] = "/a",
                    ["/a/."] = "/a/", ["/a/.."] = "/", ["//a//b"] = "/a/b",
                    ["http://x/y?z"] = "/y", ["/%41"] = "/A", ["*"] = "/*" }
    for uri, path in pairs(paths) do
      assert.equal(path, request.path(uri), uri)
    end
  end)

  it("are checked where they are the response's", function()
    local req = request.new{}
    helper.raises("req:refuse: the status must be",
                  function() req:refuse(42) end)
    helper.raises("req:refuse: the headers must be a table, got number",
                  function() req:refuse(403, 1) end)
    helper.raises("req:refuse: \"a b\" is no name of a header",
                  function() req:refuse(403, { ["a b"] = "" }) end)
    helper.raises("req:refuse: the value of x must be one line",
                  function() req:refuse(403, { x = "a\r\nb: c" }) end)
    helper.raises("req:set_header: Content-Length is the server's own",
                  function() req:set_header("Content-Length", 1) end)
    helper.raises("req:refuse: the body must be a string, got boolean",
                  function() req:refuse(403, nil, true) end)
    helper.raises("req:set_header: the value of x must be text",
                  function() req:set_header("x", {}) end)
    req:proceed()
    helper.raises("req:proceed: the request has proceeded already",
                  function() req:proceed() end)
    helper.raises("req:refuse: the request has proceeded already",
                  function() req:refuse() end)
  end)
end)
