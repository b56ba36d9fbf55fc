--- What weir.tcp() promises: LuaSocket's socket, but it yields.

local weir = require "weir"
local socket = require "socket"
local ends = require "spec.ends"

local SHORT, LONG = ends.SHORT, ends.LONG
local task, listener = ends.task, ends.listener
local pair = ends.pair

describe("weir.tcp", function()
  it("has every method of LuaSocket's object", function()
    local theirs = getmetatable(socket.tcp()).__index
    local ours = weir.tcp()
    for name, value in pairs(theirs) do
      if type(value) == "function" then
        assert.is_function(ours[name], name)
      end
    end
  end)

  it("is master, client or server by what was done to it", task(function()
    local server, host, port = listener()
    assert.matches("^weir%.tcp{server}", tostring(server))
    local client = weir.tcp()
    assert.matches("^weir%.tcp{master}", tostring(client))
    assert.equal(1, client:connect(host, port))
    assert.matches("^weir%.tcp{client}", tostring(client))
    local peer = server:accept()
    assert.matches("^weir%.tcp{client}", tostring(peer))
    assert.same(ends.local_address(client), ends.peer_address(peer))
    assert.same(ends.peer_address(client), ends.local_address(peer))
    assert.equal("inet4", client:getfamily())
    assert.equal("integer", math.type(client:getfd()))
    assert.is_false(client:dirty())
  end))

  it("can be a to-be-closed variable", task(function()
    local outer
    do
      local sock <close> = listener()
      outer = sock
    end
    assert.equal(-1, outer:getfd())
  end))

  it("closes more than once", task(function()
    local client = pair()
    assert.equal(1, client:close())
    assert.equal(1, client:close())
    assert.equal(-1, client:getfd())
    assert.same({ nil, "closed", 0, n = 3 }, table.pack(client:send("x")))
    assert.same({ nil, "closed", "", n = 3 }, table.pack(client:receive()))
  end))

  it("keeps LuaSocket's counts and options", task(function()
    local client, peer = pair()
    assert.equal(5, client:send("12345"))
    assert.equal("12345", peer:receive(5))
    local received, sent = client:getstats()
    assert.same({ 0, 5 }, { received, sent })
    assert.truthy(client:setstats(1, 2, 3))
    received, sent = client:getstats()
    assert.same({ 1, 2 }, { received, sent })
    assert.truthy(client:setoption("tcp-nodelay", true))
    assert.is_true(client:getoption("tcp-nodelay"))
  end))
end)

describe("receive", function()
  -- What a peer sent before it closed, and what is then asked for: whatever
  -- LuaSocket answers is right.
  local cases = {
    { "", {} },
    { "", { "*a" } }, { "", { "*a", "before" } },
    { "", { 0 } }, { "", { 0, "before" } }, { "", { 3, "before" } },
    { "", { 6, "before" } }, { "", { 7, "before" } },
    { "one\ntwo\r\n\r\nthree", {}, {}, {}, {}, {} },
    { "one\ntwo", { "*l", "before" }, { "*l", "before" } },
    { "\r\r\n\r", { "*l" }, { "*l" } },
    { "a\0b\n\0\n", { "*l" }, { "*l" }, { "*l" } },
    { "abcdef", { 2 }, { 0 }, { 2 }, { 3 }, { 3 } },
    { "abcdef", { 4, "12" }, { "3" }, { 2.9 }, { "*a" }, { "*a" } },
    { "line\nrest", { "*l" }, { "*a" }, { "*a" } },
    { "abc", { 5, 12 } },
    { ("x"):rep(100000), { "*l" } },
    { ("x"):rep(100000) .. "\ny", { "*l" }, { "*l" } },
    { ("x"):rep(100000), { 70000 }, { 40000 } },
    { ("x"):rep(100000), { "*a" }, { "*a" } },
  }

  -- All answers to the calls of a case; `sock` is at the far end.
  local function answers(sock, case)
    local all = {}
    for i = 2, #case do
      all[#all + 1] = table.pack(sock:receive(table.unpack(case[i])))
      all[#all].n = nil -- LuaSocket pads with nils
    end
    sock:close()
    return all
  end

  local function send_and_close(server, bytes)
    local peer = assert(server:accept())
    assert(peer:send(bytes))
    peer:close()
  end

  it("answers what LuaSocket's answers", task(function()
    for _, case in ipairs(cases) do
      local server, host, port = listener()
      local theirs, ours = socket.tcp(), weir.tcp()
      assert(theirs:connect(host, port))
      send_and_close(server, case[1])
      local expected = answers(theirs, case)
      assert(ours:connect(host, port))
      send_and_close(server, case[1])
      assert.same(expected, answers(ours, case))
      server:close()
    end
  end))

  it("answers the same when the bytes come one at a time", task(function()
    for _, case in ipairs(cases) do
      if #case[1] < 100 then
        local client, peer = pair()
        local writer = weir.spawn(function()
          for i = 1, #case[1] do
            peer:send(case[1], i, i)
            weir.sleep(0)
          end
          peer:close()
        end)
        local slow = answers(client, case)
        writer:join()
        client, peer = pair()
        peer:send(case[1])
        peer:close()
        assert.same(answers(client, case), slow)
      end
    end
  end))

  it("knows its patterns without the star", task(function()
    local client, peer = pair()
    peer:send("line\nall of it")
    peer:close()
    assert.equal("line", client:receive("l"))
    assert.equal("all of it", client:receive("a"))
  end))

  it("lets others run while it waits", task(function()
    local client, peer = pair()
    local turns = 0
    weir.spawn(function()
      for _ = 1, 4 do
        turns = turns + 1
        weir.sleep(0.001)
      end
      peer:send("now\n")
    end)
    assert.equal("now", client:receive())
    assert.equal(4, turns)
  end))

  it("lets others run while a peer is always ready", task(function()
    local client, peer = pair()
    local writer = weir.spawn(function()
      while peer:send(("x"):rep(100) .. "\n") do end
    end)
    local lines = 0
    local reader = weir.spawn(function()
      while client:receive() do lines = lines + 1 end
    end)
    weir.sleep(SHORT)
    local until_then = lines
    client:close()
    assert.is_true(until_then > 10)
    reader:join()
    writer:join()
  end))

  it("gives up with what it has", task(function()
    local client, peer = pair()
    client:settimeout(SHORT)
    assert.same({ nil, "timeout", "" }, { client:receive() })
    peer:send("half")
    assert.same({ nil, "timeout", "half" }, { client:receive() })
    peer:send("more\n")
    assert.equal("halfmore", client:receive("*l", "half"))
    peer:send("1234")
    assert.same({ nil, "timeout", "x1234" }, { client:receive(6, "x") })
    assert.same({ nil, "timeout", "" }, { client:receive("*a") })
  end))

  it("does not wait with a timeout of 0", task(function()
    local client, peer = pair()
    client:settimeout(0)
    assert.same({ nil, "timeout", "" }, { client:receive() })
    peer:send("x\n")
    weir.readable(client, LONG)
    assert.equal("x", client:receive())
  end))

  it("may wait for ever, or for as long as makes no difference",
    task(function()
      local client, peer = pair()
      for _, seconds in ipairs { 1e300, math.huge, -1 } do
        client:settimeout(seconds)
        client:settimeout(seconds, "t")
        assert.same({ -1, -1 }, { client:gettimeout() })
      end
      client:settimeout()
      weir.spawn(function() peer:send("x\n") end)
      assert.equal("x", client:receive())
    end))

  -- Something comes all the time, and each wait for it is short.
  local function trickle(peer, seconds)
    return weir.spawn(function()
      local over = weir.now() + seconds
      while weir.now() < over do
        peer:send("x")
        weir.sleep(0.001)
      end
      peer:send("\n")
    end)
  end

  it("limits each wait in mode b", task(function()
    local client, peer = pair()
    client:settimeout(1)
    trickle(peer, 1.2)
    assert.matches("^x+$", (client:receive()))
    assert.same({ 1, -1 }, { client:gettimeout() })
  end))

  it("limits the whole call in mode t", task(function()
    local client, peer = pair()
    local writer = trickle(peer, 100)
    client:settimeout(2.5 * SHORT, "t")
    local data, err, partial = client:receive()
    assert.same({ nil, "timeout" }, { data, err })
    assert.matches("^x+$", partial)
    assert.same({ LONG, 2.5 * SHORT }, { client:gettimeout() })
    writer:cancel()
  end))

  it("tells a reset connection as closed", task(function()
    local client, peer = pair()
    peer:setoption("linger", { on = true, timeout = 0 })
    peer:close()
    assert.same({ nil, "closed", "" }, { client:receive() })
    assert.same({ nil, "closed", 0 }, { client:send("x") })
  end))
end)

describe("send", function()
  it("takes bounds as LuaSocket does", task(function()
    local bounds = {
      {}, { 3 }, { 3, 4 }, { -3 }, { 2, -2 }, { -3, -2 }, { 0, 2 },
      { -20, 99 }, { 4, 3 }, { 9 }, { 9, 20 }, { 1, 0 }, { 1, -20 },
    }
    local server, host, port = listener()
    local theirs, ours = socket.tcp(), weir.tcp()
    assert(theirs:connect(host, port))
    local their_peer = server:accept()
    assert(ours:connect(host, port))
    local our_peer = server:accept()
    for _, pair_of in ipairs(bounds) do
      local i, j = table.unpack(pair_of)
      assert.equal(theirs:send("abcdef", i, j), ours:send("abcdef", i, j))
    end
    assert.equal(theirs:send(""), ours:send(""))
    assert.equal(theirs:send(42), ours:send(42))
    theirs:close()
    ours:close()
    assert.equal(their_peer:receive("*a"), our_peer:receive("*a"))
  end))

  it("carries megabytes of any bytes both ways at once", task(function()
    local client, peer = pair()
    local block = {}
    for i = 0, 255 do block[i + 1] = string.char(i) end
    local body = table.concat(block):rep(16384) -- 4 MiB
    local echo = weir.spawn(function()
      local all = {}
      while #all < 64 do
        all[#all + 1] = assert(peer:receive(65536))
        assert(peer:send(all[#all]))
      end
      peer:shutdown("send")
      return table.concat(all)
    end)
    local writer = weir.spawn(function() return client:send(body) end)
    local back = client:receive("*a")
    assert.equal(#body, (writer:join()))
    assert.is_true(body == echo:join())
    assert.is_true(body == back)
  end))

  it("says how far it came when the peer does not read", task(function()
    local client, peer = pair()
    client:settimeout(SHORT)
    local body = ("x"):rep(16 * 1024 * 1024)
    local ok, err, last = client:send(body)
    assert.same({ nil, "timeout" }, { ok, err })
    assert.is_true(last > 0 and last < #body)
    client:close()
    local received = peer:receive("*a")
    assert.equal(last, #received)
  end))
end)

describe("a socket closed while others wait on it", function()
  local function closing(sock, wait)
    local waiter = weir.spawn(function() return wait(sock) end)
    weir.sleep(SHORT)
    sock:close()
    return table.pack(waiter:join(LONG))
  end

  it("tells the reader", task(function()
    local client = pair()
    assert.same({ nil, "closed", "", n = 3 },
      closing(client, function(sock) return sock:receive() end))
  end))

  it("tells the writer how far it came", task(function()
    local client, peer = pair()
    local result = closing(client, function(sock)
      return sock:send(("x"):rep(16 * 1024 * 1024))
    end)
    assert.same({ nil, "closed" }, { result[1], result[2] })
    assert.is_true(result[3] > 0)
    peer:close()
  end))

  it("tells the server", task(function()
    assert.same({ nil, "closed", n = 2 },
      closing(listener(), function(sock) return sock:accept() end))
  end))

  it("tells a reader and a writer of one socket", task(function()
    local client, peer = pair()
    local reader = weir.spawn(function() return client:receive() end)
    local writer = weir.spawn(function()
      return client:send(("x"):rep(16 * 1024 * 1024))
    end)
    weir.sleep(SHORT)
    client:close()
    assert.equal("closed", select(2, reader:join(LONG)))
    assert.equal("closed", select(2, writer:join(LONG)))
    peer:close()
  end))

  it("does not disturb a new socket of the same number", task(function()
    local client, peer = pair()
    local number = client:getfd()
    local reader = weir.spawn(function() return client:receive() end)
    weir.sleep(0)
    client:close()
    local other, far = pair()
    assert.is_true(other:getfd() == number or far:getfd() == number)
    local other_reader = weir.spawn(function() return other:receive() end)
    far:send("mine\n")
    assert.equal("mine", other_reader:join(LONG))
    assert.equal("closed", select(2, reader:join(LONG)))
    peer:close()
  end))
end)

describe("one socket used by two tasks", function()
  it("reads and writes at the same time", task(function()
    local client, peer = pair()
    local reader = weir.spawn(function() return client:receive(3) end)
    weir.sleep(0)
    assert.equal(4, client:send("ping"))
    assert.equal("ping", peer:receive(4))
    peer:send("abc")
    assert.equal("abc", reader:join(LONG))
  end))

  it("survives the reader being canceled", task(function()
    local client, peer = pair()
    local reader = weir.spawn(function() return client:receive() end)
    weir.sleep(0)
    reader:cancel()
    peer:send("still here\n")
    assert.equal("still here", client:receive())
  end))
end)

describe("misuse", function()
  local here = "spec/tcp_spec%.lua:%d+: "

  it("raises at the caller's line", task(function()
    local client, server = pair(), listener()
    local calls = {
      ["receive: bad argument #1 .-got zz"] =
        function() client:receive("zz") end,
      ["receive: bad argument #1 .-got %-1"] =
        function() client:receive(-1) end,
      ["receive: bad argument #1 .-nan"] =
        function() client:receive(0 / 0) end,
      ["receive: bad argument #2 .-got table"] =
        function() client:receive("*l", {}) end,
      ["send: bad argument #1 .-got nil"] = function() client:send() end,
      ["send: wants a client socket, this is weir.tcp{server}"] =
        function() server:send("x") end,
      ["accept: wants a server socket"] = function() client:accept() end,
      ["listen: wants a master socket"] = function() client:listen() end,
      ["bind: wants a master socket"] = function() server:bind("*", 0) end,
      ["connect: bad argument #2 .-got nil"] =
        function() weir.tcp():connect("127.0.0.1") end,
      ["connect: bad argument #2 .-got 70000"] =
        function() weir.tcp():connect("127.0.0.1", 70000) end,
      ["connect: bad argument #1 .-got nil"] =
        function() weir.tcp():connect() end,
      ["settimeout: bad argument #1"] =
        function() client:settimeout("soon") end,
      ["settimeout: bad argument #2 .-got q"] =
        function() client:settimeout(1, "q") end,
      ["setoption: bad argument #1"] =
        function() client:setoption("bogus", true) end,
      ["shutdown: bad argument #1"] = function() client:shutdown("x") end,
    }
    for message, call in pairs(calls) do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.matches("^" .. here .. message, err)
    end
    server:close()
  end))

  it("includes waiting outside any task", function()
    local server = listener()
    local ok, err = pcall(function() server:accept() end)
    assert.is_false(ok)
    assert.matches(here .. ".*in a task %(weir%.run", err)
    server:settimeout(0)
    assert.same({ nil, "timeout" }, { server:accept() })
    server:close()
  end)

  it("includes having no LuaSocket, and only when it is needed", function()
    local saved, loaded = package.preload["socket.core"],
      package.loaded["socket.core"]
    package.loaded["socket.core"] = nil
    package.preload["socket.core"] = function() error "not found" end
    local ok, err = pcall(function() return weir.tcp() end)
    package.preload["socket.core"] = saved
    package.loaded["socket.core"] = loaded
    assert.is_false(ok)
    assert.matches("lua%-socket", err)
    assert.matches("luarocks install luasocket", err)
  end)
end)
