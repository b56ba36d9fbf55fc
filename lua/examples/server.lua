--- A small HTTP server that takes its time and counts whom it serves.
--
--    weir run lua/examples/server.lua [port [seconds]]
--
-- Every page takes `seconds` (0.1 unless told). /stats tells how many requests
-- are served now, and how many were at most.

local weir = require "weir"

local port, seconds = arg[1] or 0, tonumber(arg[2] or 0.1)
local serving, highest = 0, 0

local function page()
  serving = serving + 1
  highest = math.max(highest, serving)
  weir.sleep(seconds)
  serving = serving - 1
  return "Here you are.\n"
end

local function stats()
  return ("serving %d\nhighest %d\n"):format(serving, highest)
end

-- The path of the request, or nil if the client did not send a whole one.
local function read_request(client)
  local path = (client:receive() or ""):match "^%u+ (%S+) HTTP/"
  local header
  repeat header = client:receive() until not header or header == ""
  return header and path
end

local function serve(client)
  client:settimeout(10)
  local path = read_request(client)
  if path then
    local body = path == "/stats" and stats() or page()
    client:send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
      .. "Connection: close\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
  end
  client:close()
end

local server = weir.tcp()
server:setoption("reuseaddr", true)
assert(server:bind("127.0.0.1", port))
assert(server:listen(128))
print(("http://%s:%d/"):format(server:getsockname()))
io.stdout:flush()

while true do
  weir.spawn(serve, assert(server:accept()))
end
