--- An HTTP/2 client as far as a spec needs one: it opens streams, resets them
-- and reads how they end. Its fields are literal, of the responses it reads the
-- status alone.

local socket = require "socket"

local http2 = {}
http2.__index = http2

local LONG = 10 -- seconds
local DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW =
  0, 1, 3, 4, 6, 7, 8
local END_STREAM, END_HEADERS, ACK = 1, 4, 1
local CANCEL = 8

-- The names of HPACK's table that say a method, a scheme, a path and a host.
local METHOD_GET, SCHEME_HTTP, PATH, AUTHORITY = "\x82", "\x86", 4, 1
local STATUS = { [0x88] = 200, [0x89] = 204, [0x8a] = 206, [0x8b] = 304,
                 [0x8c] = 400, [0x8d] = 404, [0x8e] = 500 }

local function frame(kind, flags, stream, payload)
  return string.pack(">I3BBI4", #payload, kind, flags, stream) .. payload
end

-- A field with an indexed name that is not to be remembered.
local function literal(name, value)
  assert(#value < 127)
  return string.pack("Bs1", name, value)
end

--- Connects to a port that speaks it.
function http2.open(port)
  local sock = assert(socket.tcp())
  sock:settimeout(LONG)
  assert(sock:connect("127.0.0.1", port))
  sock:setoption("tcp-nodelay", true)
  sock:send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" .. frame(SETTINGS, 0, 0, ""))
  return setmetatable({ sock = sock, last = -1, ended = {}, heads = {} }, http2)
end

--- Sends a request; answers its stream.
function http2:ask(target)
  self.last = self.last + 2
  self.sock:send(frame(HEADERS, END_STREAM + END_HEADERS, self.last,
    METHOD_GET .. SCHEME_HTTP .. literal(PATH, target)
    .. literal(AUTHORITY, "weir.test")))
  return self.last
end

--- Takes a request back.
function http2:reset(stream)
  self.sock:send(frame(RST_STREAM, 0, stream, string.pack(">I4", CANCEL)))
end

-- The status is the first field: one of the table's, or the table's name with
-- a value of three digits, that may be in Huffman's code: each digit in 5 or 6
-- bits.
local HUFFMAN = { ["\x68\x2f"] = 429, ["\x6c\x02"] = 503 }
local function status_of(block)
  local first = block:byte()
  if STATUS[first] then return STATUS[first] end
  local size = block:byte(2)
  local value = block:sub(3, 2 + (size & 0x7f))
  if size & 0x80 == 0 then return tonumber(value) end
  return HUFFMAN[value] or "in Huffman's code: "
    .. value:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
end

local function read_frame(self)
  local head, err = self.sock:receive(9)
  if not head then return nil, err end
  local size, kind, flags, stream = string.unpack(">I3BBI4", head)
  local payload = size > 0 and self.sock:receive(size) or ""
  return kind, flags, stream, payload
end

local function take(self, kind, flags, stream, payload)
  if kind == SETTINGS and flags & ACK == 0 then
    self.sock:send(frame(SETTINGS, ACK, 0, ""))
  elseif kind == PING and flags & ACK == 0 then
    self.sock:send(frame(PING, ACK, 0, payload))
  elseif kind == HEADERS then
    self.heads[stream] = status_of(payload)
  elseif kind == RST_STREAM then
    self.ended[stream] = "reset"
  elseif kind == GOAWAY then
    self.gone = true
  elseif kind == DATA and #payload > 0 then
    local more = string.pack(">I4", #payload)
    self.sock:send(frame(WINDOW, 0, 0, more))
  end
  if (kind == HEADERS or kind == DATA) and flags & END_STREAM ~= 0 then
    self.ended[stream] = self.heads[stream]
  end
end

--- Waits for the end of a stream: its status, or "reset"; or nil and a message.
function http2:status(stream, seconds)
  self.sock:settimeout(seconds or LONG)
  while not self.ended[stream] do
    local kind, flags, id, payload = read_frame(self)
    if not kind then return nil, flags end
    take(self, kind, flags, id, payload)
  end
  return self.ended[stream]
end

--- Goes away.
function http2:close() self.sock:close() end

http2.__close = http2.close

return http2
