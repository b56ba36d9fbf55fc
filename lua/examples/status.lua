--- A server that shows what its limiters do: a page for a browser, OpenMetrics
-- for Prometheus, JSON for scripts, all under one address.
--
--    weir run lua/examples/status.lua [port [seconds]]
--
-- Something has to be there to be seen: a backend that takes three at once, and
-- clients that may each have two. It ends after `seconds`, or never.

local weir = require "weir"

local port, seconds = arg[1] or 0, tonumber(arg[2] or math.huge)

local client = weir.rate_limit { name = "client", concurrent = 2, queue = 5,
                                 key = function(name) return name end }
local backend = weir.rate_limit { name = "backend", concurrent = 3, queue = 20,
                                  rate = "200/s" }

local work = weir.stack { client, backend }(function()
  weir.sleep(0.01 + 0.05 * math.random())
end)

local function visit(name)
  while true do
    weir.spawn(work, name)
    weir.sleep(0.2 * math.random())
  end
end

-- What the request asks for, and what it likes; nil if it is not a whole one.
local function read_request(connection)
  local target = (connection:receive() or ""):match "^GET (%S+) HTTP/"
  local accept, line
  repeat
    line = connection:receive()
    accept = (line or ""):match "^[Aa]ccept:%s*(.*)" or accept
  until not line or line == ""
  return line and target, accept
end

local function respond(connection, body, fields)
  local lines = { "HTTP/1.1 200 OK", "Connection: close",
                  "Content-Length: " .. #body }
  for name, value in pairs(fields) do
    lines[#lines + 1] = ("%s: %s"):format(name, value)
  end
  connection:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body)
end

local function serve(connection)
  connection:settimeout(10)
  local target, accept = read_request(connection)
  if target then
    local format = weir.status_format(target:match "%?(.*)", accept)
    local body, fields = assert(weir.status(nil, format))
    respond(connection, body, fields)
  end
  connection:close()
end

local server = weir.tcp()
server:setoption("reuseaddr", true)
assert(server:bind("127.0.0.1", port))
assert(server:listen(128))
print(("http://%s:%d/"):format(server:getsockname()))
io.stdout:flush()

for _, name in ipairs { "ann", "ben", "cleo", "<script>" } do
  weir.spawn(visit, name)
end
weir.spawn(function()
  while true do weir.spawn(serve, assert(server:accept())) end
end)
if seconds < math.huge then
  weir.sleep(seconds)
  os.exit(0, true)
end
