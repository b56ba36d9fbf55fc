--- weir.status: what limiters do, as JSON, OpenMetrics and a page, which is
-- opened in a browser where one is; weir.look; lua/examples/status.lua.

local helper = require "spec.helper"
local weir = require "weir"
local json = require "dkjson"

local dir, remove_dir

before_each(function() dir, remove_dir = helper.spaces_dir() end)
after_each(function()
  helper.collect()
  remove_dir()
end)

local function decode(text)
  local document, _, err = json.decode(text)
  return assert(document, err)
end

-- The limiter of that name in what weir.status says.
local function status_of(name, ...)
  local document = decode(assert(weir.status(...)))
  for _, limiter in ipairs(document.limiters) do
    if limiter.name == name then return limiter, document end
  end
end

local function open(options)
  options = options or {}
  options.dir = dir
  return assert(weir.open("shm:api", options))
end

-- == in Lua ===================================================================

describe("weir.status", function()
  it("tells of the limiters of this Lua state, by name or place", function()
    local door = weir.limiter { name = "door", concurrent = 2, queue = 3 }
    local line = debug.getinfo(1, "l").currentline + 1
    local nameless = weir.limiter { rate = "5/m" }
    local permit = door:acquire()
    local limiter, document = status_of "door"
    assert.same({ 2, 1, 0, 3, 1 }, { limiter.limit, limiter.in_use,
      limiter.waiting, limiter.queue_limit, limiter.admitted })
    assert.equal("integer", math.type(limiter.in_use))
    assert.is_nil(limiter.space)
    assert.equal(weir._VERSION, "weir " .. document.version)
    assert.near(weir.now(), document.now_seconds, 5)
    limiter = assert(status_of("spec/status_spec.lua:" .. line))
    assert.same({ count = 5, per_seconds = 60, burst = 1 }, limiter.rate)
    permit:release()
    assert.equal(0, status_of "door".in_use)
    assert.is_truthy(nameless)
  end)

  it("says who waits, since when, and who holds what they wait for", function()
    local door = weir.limiter { name = "keys", concurrent = 2,
                                key = function(key) return key end }
    local held = { door:acquire "a", door:acquire "a", door:acquire "b" }
    weir.run(function()
      local task = weir.spawn(function() door:acquire("a"):release() end)
      weir.sleep(0.02)
      local limiter = status_of "keys"
      assert.equal(3, limiter.in_use)
      assert.same({ "a", 2, 1 }, { limiter.busiest[1].key,
        limiter.busiest[1].in_use, limiter.busiest[1].waiting })
      local waiter = limiter.waiters[1]
      assert.same({ "a", 1, "permits" }, { waiter.key, waiter.cost,
                                           waiter.bound_by })
      assert.near(0.02, waiter.waited_seconds, 0.019)
      assert.equal(2, waiter.holders[1].permits)
      assert.equal(3, #limiter.holders)
      for _, permit in ipairs(held) do permit:release() end
      task:join()
    end)
  end)

  it("tells of one space, or of all that are open", function()
    local mine = weir.limiter { name = "mine", concurrent = 1 }
    local space <close> = open()
    local shared = weir.limiter { name = "door", concurrent = 3,
                                  space = space }
    local permit = shared:acquire()
    local limiter, document = status_of("door", space)
    assert.equal("shm:api", limiter.space)
    assert.same({ "shm:api", 1, 1 }, { document.spaces[1].name,
      document.spaces[1].processes, #document.spaces })
    assert.equal(16 << 20, document.spaces[1].size_bytes)
    assert.is_true(document.spaces[1].used_bytes > 0)
    assert.equal("number", type(limiter.holders[1].pid))
    assert.is_nil(status_of("mine", space))
    assert.is_truthy(status_of "mine")
    limiter, document = status_of "door"
    assert.equal("shm:api", limiter.space)
    assert.equal(2, #document.spaces)
    permit:release()
    assert.is_truthy(mine)
  end)

  it("has the metrics of one space, and of the space itself", function()
    local space <close> = open()
    local door = weir.limiter { name = "door", concurrent = 3, space = space }
    local text, fields = weir.status(space, "metrics")
    assert.matches('weir_permits_limit{limiter="door",space="shm:api"} 3',
                   text, 1, true)
    assert.matches('weir_space_size_bytes{space="shm:api"} 16777216\n', text,
                   1, true)
    assert.matches('weir_space_processes{space="shm:api"} 1\n', text, 1, true)
    assert.matches("^application/openmetrics%-text;", fields["Content-Type"])
    assert.equal("no-store", fields["Cache-Control"])
    assert.is_truthy(door)
  end)

  it("answers nil and why where a space is closed", function()
    local space = open()
    space:close()
    assert.same({ nil, "the space 'shm:api' is closed: open it again with "
      .. "weir.open('shm:api'), and make its limiters anew" },
      { weir.status(space) })
    assert.is_truthy(weir.status())
  end)

  it("wants a space and a format that there is", function()
    helper.raises("weir.status: expected 'json', 'metrics' or 'html', got "
                  .. "'xml'", function() weir.status(nil, "xml") end)
    helper.raises("weir.status: expected a space or nil, got a table",
                  function() weir.status({}) end)
    helper.raises("weir.status: expected a space or nil, got the string "
                  .. "'shm:api'",
                  function() weir.status("shm:api") end)
  end)
end)

describe("weir.status_format", function()
  it("says what a request wants", function()
    assert.equal("json", weir.status_format())
    assert.equal("html", weir.status_format(nil, "text/html,*/*;q=0.8"))
    assert.equal("metrics", weir.status_format("format=metrics", "text/html"))
    assert.equal("json", weir.status_format("", "*/*"))
  end)
end)

describe("weir.look", function()
  it("sees what others do in a space, and takes no part", function()
    local space <close> = open()
    local door = weir.limiter { name = "door", concurrent = 1, space = space }
    local permit = door:acquire()
    local child = helper.start(function(where)
      local module = require "weir"
      local look <close> = assert(module.look("shm:api", { dir = where }))
      io.write(tostring(look), "\n", (module.status(look)), "\n")
      assert(#module.spaces(where) == 1 and module.spaces(where)[1].ports == 1)
    end, dir)
    assert.equal("weir.look: shm:api", child:line())
    local document = decode(child:line())
    assert.equal(1, document.limiters[1].in_use)
    assert.equal(2, document.spaces[1].processes)
    assert.equal(0, select(2, child:finish()))
    permit:release()
  end)

  it("makes none, and says so", function()
    local look, err = weir.look("shm:none", { dir = dir })
    assert.is_nil(look)
    assert.matches("none: is not there: ", err, 1, true)
    helper.raises("weir.look: expected 'shm:' and a name",
                  function() weir.look "none" end)
  end)

  it("is closed once, or more often", function()
    local space <close> = open()
    local look = assert(weir.look("shm:api", { dir = dir }))
    assert.is_truthy(weir.status(look, "metrics"))
    look:close()
    look:close()
    assert.equal("weir.look: shm:api (closed)", tostring(look))
    assert.is_nil(weir.status(look))
    assert.is_truthy(space)
  end)
end)

-- == over HTTP ================================================================

-- Serves lua/examples/status.lua, with limiters of evil names beside its own.
local function serve(port, seconds)
  local module = require "weir"
  local door = module.limiter { name = "<script>alert(1)</script>",
                                concurrent = 1 }
  local keyed = module.limiter {
    name = "</script><img src=x onerror=alert(2)>", concurrent = 1,
    key = function(key) return key end }
  local function use()
    local permit = door:acquire()
    module.sleep(1000)
    permit:release()
  end
  for _ = 1, 2 do module.spawn(use) end
  module.spawn(function()
    local permit = keyed:acquire "<b>'\"&key"
    module.sleep(1000)
    permit:release()
  end)
  _G.arg = { port, seconds }
  module.run(dofile, "lua/examples/status.lua")
end

local function start_server()
  local server = helper.start(serve, 0, 60)
  return server, (server:line() or error(server:finish()))
end

-- What curl says of an address: the fields, and the body.
local function get(url, accept)
  local socket = require "socket.http"
  local parts = {}
  local _, code, fields = socket.request {
    url = url, headers = { accept = accept },
    sink = function(part) parts[#parts + 1] = part return 1 end }
  assert.equal(200, code)
  return table.concat(parts), fields
end

local function command(line)
  local pipe = assert(io.popen(line))
  local out = pipe:read "a"
  return out, pipe:close()
end

local function is_there(name)
  return command("command -v " .. name) ~= ""
end

-- The address, after a while, in a headless browser: its document, and what its
-- console says.
local function browse(url)
  local profile = dir .. "/profile"
  local out = command(("timeout 60 env LD_PRELOAD= chromium --headless "
    .. "--no-sandbox --disable-gpu --no-first-run --disable-sync "
    .. "--disable-background-networking --disable-component-update "
    .. "--user-data-dir=%s --enable-logging=stderr "
    .. "--virtual-time-budget=5000 --dump-dom '%s' 2>%s/err")
    :format(profile, url, dir))
  local said = {}
  for line in io.lines(dir .. "/err") do
    if line:find "CONSOLE" then said[#said + 1] = line end
  end
  return out, table.concat(said, "\n")
end

describe("a server with weir.status", function()
  local server, url

  lazy_setup(function() server, url = start_server() end)
  lazy_teardown(function() server:stop() end)

  it("answers each with what it likes", function()
    local text, fields = get(url)
    assert.equal("application/json", fields["content-type"])
    local names = {}
    for _, limiter in ipairs(decode(text).limiters) do
      names[limiter.name] = true
    end
    assert.is_true(names.backend and names.client)
    assert.is_true(names["<script>alert(1)</script>"])
    assert.is_nil(text:find("<", 1, true))
    text = get(url .. "?format=metrics", "text/html")
    assert.matches('limiter="<script>alert(1)</script>"', text, 1, true)
    text, fields = get(url, "text/html")
    assert.matches("^<!doctype html>", text)
    assert.is_nil(fields["content-security-policy"]:find("unsafe", 1, true))
  end)

  -- Who changes the page changes its policy.
  it("names the page's style and script by their hashes", function()
    local text, fields = weir.status(nil, "html")
    for _, tag in ipairs { "style", "script" } do
      local part = text:match(("<%s>(.-)</%s>"):format(tag, tag))
      local path = dir .. "/" .. tag
      local file = assert(io.open(path, "wb"))
      file:write(part)
      file:close()
      local hash = command(("openssl dgst -sha256 -binary '%s' | base64")
        :format(path)):gsub("%s+", "")
      assert.matches(("%s-src 'sha256-%s'"):format(tag, hash),
                     fields["Content-Security-Policy"], 1, true)
    end
  end)

  if not is_there "chromium" then
    pending "chromium is not installed (Debian: chromium)"
    return
  end

  it("shows a browser who is there, and its console says nothing", function()
    local out, said = browse(url .. "#%3Cscript%3Ealert(1)%3C/script%3E")
    assert.equal("", said)
    assert.matches(">backend<", out, 1, true)
    assert.matches(">&lt;script&gt;alert(1)&lt;/script&gt;<", out, 1, true)
    assert.matches(">&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;<", out,
                   1, true)
    assert.is_nil(out:find("<img", 1, true))
    assert.matches(">live<", out, 1, true)
    assert.matches("Oldest waiters", out, 1, true) -- the row in the address
    assert.matches("this process x 1 for ", out, 1, true)
    assert.matches('<polyline class="admitted" points="%d', out)
  end)
end)
