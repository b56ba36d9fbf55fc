--- How weir.tcp() finds its peers: connect and accept.

local weir = require "weir"
local socket = require "socket"
local ends = require "spec.ends"
local new = require "weir.tcp".new

local SHORT, LONG = ends.SHORT, ends.LONG
local task, listener = ends.task, ends.listener

local function has_ipv6()
  local sock = socket.tcp6()
  local bound = sock and sock:bind("::1", 0)
  if sock then sock:close() end
  return bound
end

describe("connect", function()
  it("tells a refusal", task(function()
    local server, host, port = listener()
    server:close()
    local sock = weir.tcp()
    assert.same({ nil, "connection refused" }, { sock:connect(host, port) })
  end))

  it("can be tried again after a refusal", task(function()
    local server, host, port = listener()
    local gone, _, nobody = listener()
    gone:close()
    local sock = weir.tcp()
    assert.is_nil(sock:connect(host, nobody))
    assert.equal(1, sock:connect(host, port))
    server:close()
  end))

  describe("by name", function()
    local resolve = weir.resolve
    after_each(function() weir.resolve = resolve end)

    local function names(table_of)
      weir.resolve = function(host)
        if table_of[host] then return table_of[host] end
        return nil, "host not found"
      end
    end

    it("tries every address in turn", task(function()
      local server, _, port = listener()
      names { here = { "::1", "127.0.0.2", "127.0.0.1" } }
      local sock = weir.tcp()
      assert.equal(1, sock:connect("here", port))
      assert.same(ends.local_address(server), ends.peer_address(sock))
      server:close()
    end))

    it("keeps options and the local address while it tries", task(function()
      local server, _, port = listener()
      names { here = { "127.0.0.2", "127.0.0.1" } }
      local sock = weir.tcp()
      assert.equal(1, sock:setoption("keepalive", true))
      assert.equal(1, sock:bind("127.0.0.1", 0))
      assert.equal(1, sock:connect("here", port))
      assert.is_true(sock:getoption("keepalive"))
      assert.equal("127.0.0.1", (sock:getsockname()))
      server:close()
    end))

    it("tells the last address's failure", task(function()
      local server, _, port = listener()
      server:close()
      names { here = { "127.0.0.2", "127.0.0.1" } }
      assert.same({ nil, "connection refused" },
        { weir.tcp():connect("here", port) })
    end))

    it("tells that the socket was closed meanwhile", task(function()
      local server, _, port = listener()
      local sock = weir.tcp()
      weir.resolve = function()
        sock:close()
        return { "127.0.0.1" }
      end
      assert.same({ nil, "closed" }, { sock:connect("here", port) })
      assert.equal(-1, sock:getfd())
      server:close()
    end))

    it("tells an unknown name", task(function()
      names {}
      assert.same({ nil, "host not found" },
        { weir.tcp():connect("nowhere.invalid", 80) })
    end))

    it("tells what cannot be a name", function()
      for _, host in ipairs { "", ("x"):rep(256), "a\0b" } do
        assert.same({ nil, "this is no host name" },
          { weir.tcp():connect(host, 80) })
      end
    end)

    it("leaves out addresses of the other family", task(function()
      names { six = { "::1" } }
      assert.same({ nil, "no address of this family" },
        { new "tcp4":connect("six", 80) })
    end))
  end)

  -- A server that answers nobody: its queue of connections is full.
  local function deaf()
    local server = weir.tcp()
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen(0))
    local host, port = server:getsockname()
    local queued = {}
    for i = 1, 4 do
      queued[i] = socket.tcp4()
      queued[i]:settimeout(0)
      queued[i]:connect(host, port)
    end
    weir.sleep(SHORT)
    return host, port, server, queued
  end

  it("gives up when nobody answers", task(function()
    local host, port, server = deaf()
    local sock = weir.tcp()
    sock:settimeout(SHORT)
    assert.same({ nil, "timeout" }, { sock:connect(host, port) })
    server:close()
  end))

  it("tells that the socket was closed meanwhile", task(function()
    local host, port, server = deaf()
    local sock = weir.tcp()
    local waiter = weir.spawn(sock.connect, sock, host, port)
    weir.sleep(SHORT)
    sock:close()
    assert.same({ nil, "closed" }, { waiter:join(LONG) })
    server:close()
  end))

  it("knows localhost", task(function()
    local server, _, port = listener()
    local sock = weir.tcp()
    assert.equal(1, sock:connect("localhost", port))
    server:close()
  end))

  it("speaks IPv6", task(function()
    if not has_ipv6() then return pending "no IPv6 loopback here" end
    for _, family in ipairs { "tcp", "tcp6" } do
      local server = new(family)
      assert(server:bind("::1", 0))
      assert(server:listen())
      local host, port = server:getsockname()
      local client = new(family)
      assert.equal(1, client:connect(host, port))
      assert.equal("inet6", client:getfamily())
      local peer = server:accept()
      peer:send("six\n")
      assert.equal("six", client:receive())
      server:close()
    end
  end))

  it("can be polled with a timeout of 0, as LuaSocket's", task(function()
    local server, host, port = listener()
    local sock = weir.tcp()
    sock:settimeout(0)
    local ok, err = sock:connect(host, port)
    if not ok then
      assert.equal("timeout", err)
      weir.writable(sock, LONG)
      ok = sock:connect(host, port)
    end
    assert.truthy(ok)
    server:close()
  end))
end)

describe("accept", function()
  it("waits for a client and then times out", task(function()
    local server, host, port = listener()
    server:settimeout(SHORT)
    assert.same({ nil, "timeout" }, { server:accept() })
    local client = weir.tcp()
    assert(client:connect(host, port))
    assert.same(ends.local_address(client), ends.peer_address(server:accept()))
    server:close()
  end))

  it("serves many at once", task(function()
    local server, host, port = listener()
    weir.spawn(function()
      for _ = 1, 50 do
        local peer = assert(server:accept())
        weir.spawn(function()
          peer:send(peer:receive() .. "!\n")
          peer:close()
        end)
      end
    end)
    local numbers = {}
    for i = 1, 50 do numbers[i] = i end
    local answers = weir.map(function(i)
      local sock = weir.tcp()
      assert(sock:connect(host, port))
      sock:send(i .. "\n")
      return sock:receive()
    end, numbers)
    for i = 1, 50 do assert.equal(i .. "!", answers[i]) end
    server:close()
  end))
end)
