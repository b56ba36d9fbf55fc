--- A client of one connection, in the spec's own process: it sends when it is
-- told and reads when it is told, so that a spec has many of them wait at once
-- without any task.

local http = require "spec.nginx.http"
local socket = require "socket"

local client = {}
client.__index = client

local LONG = 10 -- seconds; no answer should take that long

--- Connects to a port.
function client.open(port)
  local sock = assert(socket.tcp())
  sock:settimeout(LONG)
  assert(sock:connect("127.0.0.1", port))
  sock:setoption("tcp-nodelay", true)
  return setmetatable({ sock = sock }, client)
end

--- Sends bytes as they are.
function client:raw(bytes)
  self.sock:send(bytes)
  return self
end

--- Sends a request.
-- @tparam string target
-- @tparam[opt] table options `method`, `fields`, `body`, `version`
function client:ask(target, options)
  options = options or {}
  self.method = options.method or "GET"
  local fields = { Host = "weir.test" }
  for name, value in pairs(options.fields or {}) do fields[name] = value end
  if options.body then fields["Content-Length"] = #options.body end
  return self:raw(http.message(("%s %s HTTP/%s"):format(self.method, target,
    options.version or "1.1"), fields, options.body))
end

--- Reads the response: status, fields, body; or nil and a message.
function client:answer(seconds)
  self.sock:settimeout(seconds or LONG)
  return http.read_response(self.sock, self.method)
end

--- Its status alone.
function client:status(seconds)
  local answer, err = self:answer(seconds)
  return answer and answer.status or err
end

--- Whether nothing has come yet, nor the connection was closed.
function client:waits()
  return #socket.select({ self.sock }, nil, 0) == 0
end

--- Goes away: in order, or at once, by a reset.
function client:close(abruptly)
  if abruptly then
    self.sock:setoption("linger", { on = true, timeout = 0 })
  end
  self.sock:close()
end

client.__close = client.close

return client
