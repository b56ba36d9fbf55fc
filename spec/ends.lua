--- What the specs of sockets share: the two ends of a connection.

local weir = require "weir"

local ends = {}

ends.SHORT = 0.03 -- seconds; for waits that are meant to time out
ends.LONG = 5 -- seconds; no wait should come near it

-- A test that is one task.
function ends.task(fn)
  return function() weir.run(fn) end
end

function ends.listener(host)
  local server = weir.tcp()
  assert(server:setoption("reuseaddr", true))
  assert(server:bind(host or "127.0.0.1", 0))
  assert(server:listen(64))
  server:settimeout(ends.LONG)
  return server, server:getsockname()
end

-- Two ends of one connection.
function ends.pair()
  local server, host, port = ends.listener()
  local client = weir.tcp()
  client:settimeout(ends.LONG)
  assert(client:connect(host, port))
  local peer = assert(server:accept())
  peer:settimeout(ends.LONG)
  server:close()
  return client, peer
end

-- LuaSocket tells ports as strings here and as numbers there.
function ends.local_address(sock)
  local host, port = sock:getsockname()
  return { host, tonumber(port) }
end

function ends.peer_address(sock)
  local host, port = sock:getpeername()
  return { host, tonumber(port) }
end

return ends
