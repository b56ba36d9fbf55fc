--- A TCP socket with the shape of LuaSocket's, that yields instead of blocking.
--
-- What has to wait lets the other tasks run meanwhile; everything else is as
-- LuaSocket documents it, so its own modules take it unchanged:
--
--    http.request{ url = "http://example.org/", create = weir.tcp }
--
-- One object is master, client or server by what was done to it. Several tasks
-- may use one socket, say one reading and one writing; a task that waits on a
-- socket another task closes gets `nil, "closed"`. Host names are looked up
-- with `weir.resolve`, and every address found is tried in turn.
--
-- Timeouts are as documented by LuaSocket: mode "b" limits each single wait,
-- mode "t" a call as a whole.
--
-- @classmod weir.tcp

local weir = require "weir"

local FOREVER = 1e9 -- seconds; weir waits for as long at most
local BULK = 65536 -- bytes moved before the other tasks get a turn
local NAME_MAX = 255 -- bytes of a host name
local STREAK = 64 -- calls without a wait before the other tasks get a turn

local LIBRARY = "weir.tcp needs LuaSocket, which was not found: install it "
  .. "with `apt install lua-socket` or `luarocks install luasocket`"

-- Lua 5.1 has no isyieldable; its running answers nil in the main coroutine.
local yieldable = coroutine.isyieldable or coroutine.running

local tcp = {}
tcp.__index = tcp
tcp.__name = "weir.tcp"

-- Raises at the line that called into this file, however deep we are in it.
local function misuse(text, ...)
  local own, level = debug.getinfo(1, "S").source, 2
  while true do
    local frame = debug.getinfo(level, "S")
    if not frame or frame.source ~= own and frame.what ~= "C" then break end
    level = level + 1
  end
  error(text:format(...), level)
end

-- Passes a call on to the LuaSocket object, its complaints to our caller.
local function answer(method, ok, ...)
  if ok then return ... end
  misuse("%s: %s", method, (tostring(...):gsub("^bad argument #(%d+) to '%?'",
    function(n) return "bad argument #" .. math.floor(n - 1) end)))
end

local function pass(self, method, ...)
  return answer(method, pcall(self.sock[method], self.sock, ...))
end

local function need(self, class, method)
  if self.sock.class == class then return self.sock end
  misuse("%s: wants a %s socket, this is %s", method, class:match "{(%a+)}",
    tostring(self))
end

local function text(method, n, value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  misuse("%s: bad argument #%d (string expected, got %s)", method, n,
    type(value))
end

local function port_of(method, port)
  if type(port) == "string" then return port end
  if type(port) == "number" and port >= 0 and port <= 65535
    and port % 1 == 0 then
    return ("%d"):format(port)
  end
  misuse("%s: bad argument #2 (a port from 0 to 65535 expected, got %s)",
    method, tostring(port))
end

-- When a call that starts now has to be over, or nil.
local function deadline_of(self)
  return self.total >= 0 and weir.now() + self.total or nil
end

-- Waits until the socket can go on; true, or nil and LuaSocket's word.
local function wait(self, ready, deadline)
  local fd, left = self.sock:getfd(), self.block >= 0 and self.block or nil
  if fd < 0 then return nil, "closed" end
  if deadline then
    left = math.min(left or math.huge, deadline - weir.now())
  end
  if left and left <= 0 then return nil, "timeout" end
  if not yieldable() then
    misuse("this socket would have to wait, and nothing can wait here: call "
      .. "it in a task (weir.run, weir.spawn) or in a coroutine")
  end
  self.streak = 0
  local ok, err = ready(fd, left)
  if ok then return true end
  return nil, err.code or tostring(err)
end

-- Lets the other tasks run, where that is possible.
local function turn(self)
  self.streak = 0
  if self.block ~= 0 and yieldable() then weir.sleep(0) end
end

-- A peer that is always ready must not keep the other tasks from running.
local function count(self)
  self.streak = self.streak + 1
  if self.streak >= STREAK then turn(self) end
end

-- Those who wait are woken before the descriptor is gone: its number may be
-- another socket's soon.
local function retire(sock)
  local fd = sock:getfd()
  if fd >= 0 then weir.wake(fd) end
  sock:close()
end

local function wrap(sock, luasocket, family)
  sock:settimeout(0)
  return setmetatable({
    sock = sock, -- LuaSocket's, never blocking
    luasocket = luasocket,
    family = family, -- "tcp4", "tcp6", or "tcp": decided by the first address
    block = -1, -- seconds a single wait may take; negative: any
    total = -1, -- seconds a call may take; negative: any
    streak = 0, -- calls in a row that did not have to wait
    setup = {}, -- what was asked of the socket before it connected
    spent = false, -- failed to connect
    closed = false, -- since it was last told to connect or bind
  }, tcp)
end

-- A socket that starts anew: one that failed to connect cannot be used again.
local function renew(self, address)
  local family = self.family
  if family == "tcp" then family = address:find ":" and "tcp6" or "tcp4" end
  local sock, err = self.luasocket[family]()
  if not sock then return nil, err end
  retire(self.sock)
  self.sock, self.spent = sock, false
  sock:settimeout(0)
  for _, step in ipairs(self.setup) do
    local done
    done, err = sock[step[1]](sock, step[2], step[3])
    if not done then return nil, err end
  end
  return true
end

local function suits(self, address)
  local six = address:find(":", 1, true) ~= nil
  return self.family == "tcp" or (self.family == "tcp6") == six
end

-- The addresses of a host; one that is an address already is taken as it is.
local function addresses_of(self, host)
  if host == "*" or host:find ":" or host:find "^[%d.]+$" then
    return { host }
  end
  if host == "" or #host > NAME_MAX or host:find "%z" then
    return nil, "this is no host name"
  end
  local all, err = weir.resolve(host)
  if not all then return nil, tostring(err) end
  local fitting = {}
  for _, address in ipairs(all) do
    if suits(self, address) then fitting[#fitting + 1] = address end
  end
  if fitting[1] then return fitting end
  return nil, "no address of this family"
end

-- Tries the addresses of a host in turn until one succeeds, or fails without
-- spending the socket.
local function each_address(self, host, try)
  self.closed = false
  local all, err = addresses_of(self, host)
  for _, address in ipairs(all or {}) do
    local fresh, done = true
    if self.closed then return nil, "closed" end
    if self.spent or self.sock:getfd() < 0 then
      fresh, err = renew(self, address)
    end
    if fresh then done, err = try(address) end
    if done or fresh and not self.spent then return done, err end
  end
  return nil, err
end

--- Connects to a host.
-- @tparam string host a name or an address
-- @tparam number|string port
-- @return 1, or nil and a message
function tcp:connect(host, port)
  host, port = text("connect", 1, host), port_of("connect", port)
  local deadline = deadline_of(self)

  local function try(address)
    local _, err = pass(self, "connect", address, port)
    if err == "timeout" then
      _, err = wait(self, weir.writable, deadline)
      if self.closed then return nil, "closed" end
      err = err or self.sock:getoption "error"
    end
    -- Told not to wait, the caller asks again when the socket is writable.
    self.spent = err ~= nil and self.block ~= 0
    return not err and 1 or nil, err
  end

  if self.spent or self.sock.class == "tcp{master}" then
    return each_address(self, host, try)
  end
  return pass(self, "connect", host, port)
end

--- Binds the socket to a local address.
-- @tparam string host a name, an address, or "*"
-- @tparam number|string port 0: any that is free
-- @return 1, or nil and a message
function tcp:bind(host, port)
  host, port = text("bind", 1, host), port_of("bind", port)
  need(self, "tcp{master}", "bind")
  return each_address(self, host, function(address)
    local done, err = pass(self, "bind", address, port)
    self.spent = not done
    if not done then return nil, err end
    table.insert(self.setup, { "bind", address, port })
    return 1
  end)
end

--- Makes the socket a server.
-- @tparam[opt=32] number backlog
-- @return 1, or nil and a message
function tcp:listen(backlog)
  need(self, "tcp{master}", "listen")
  return pass(self, "listen", backlog)
end

--- Waits for a client.
-- @return a socket like this one, or nil and a message
function tcp:accept()
  local deadline = deadline_of(self)
  need(self, "tcp{server}", "accept")
  while true do
    local client, err = self.sock:accept()
    if client then
      count(self)
      return wrap(client, self.luasocket, self.family)
    end
    if err ~= "timeout" then return nil, err end
    local ok, why = wait(self, weir.readable, deadline)
    if not ok then return nil, why end
  end
end

-- LuaSocket's reading of the bounds: from the end if negative, then clipped.
local function bounds(size, i, j)
  if i < 0 then i = size + i + 1 end
  if j < 0 then j = size + j + 1 end
  return math.max(i, 1), math.min(j, size)
end

--- Sends data, waiting as often as the peer is slow.
-- @tparam string data
-- @tparam[opt=1] number i first byte
-- @tparam[opt=-1] number j last byte
-- @return the index of the last byte sent; or nil, a message and that index
function tcp:send(data, i, j)
  local sock = need(self, "tcp{client}", "send")
  local deadline = deadline_of(self)
  data = text("send", 1, data)
  i, j = bounds(#data, i or 1, j or -1)
  while true do
    local done, err, sent = sock:send(data, i, math.min(j, i + BULK - 1))
    local last = math.floor(done or sent)
    if err and err ~= "timeout" then return nil, err, last end
    if done and last >= j then
      count(self)
      return last
    end
    i = last + 1
    if done then
      turn(self)
    else
      done, err = wait(self, weir.writable, deadline)
      if not done then return nil, err, last end
    end
  end
end

-- What a pattern asks for: nil for a line, or how many bytes.
local function size_of(pattern)
  if pattern == nil then return nil end
  local size = tonumber(pattern)
  if size and size >= 0 and size < math.huge then return math.floor(size) end
  local kind = type(pattern) == "string" and pattern:match "^%*?([la])"
  if kind == "l" then return nil end
  if kind == "a" then return math.huge end
  misuse("receive: bad argument #1 (\"*l\", \"*a\" or a number of bytes "
    .. "expected, got %s)", tostring(pattern))
end

--- Receives a line, a number of bytes, or all until the peer closes.
-- @tparam[opt="*l"] string|number pattern "*l", "*a" or how many bytes
-- @tparam[opt=""] string prefix what comes before; counts as received
-- @return the data; or nil, a message and the data received so far
function tcp:receive(pattern, prefix)
  local sock = need(self, "tcp{client}", "receive")
  local deadline, left = deadline_of(self), size_of(pattern)
  prefix = text("receive", 2, prefix or "")
  if left and #prefix > 0 then left = left - #prefix end
  if left and left <= 0 and #prefix > 0 then return prefix end
  local parts, got = { prefix }, false
  while true do
    local data, err, partial =
      sock:receive(left and math.min(left, BULK) or "*l")
    local piece = data or partial
    parts[#parts + 1] = piece
    got = got or #piece > 0
    if left then left = left - #piece end
    if err == "closed" and left == math.huge and got
      or data and (not left or left <= 0) then
      count(self)
      return table.concat(parts)
    end
    if data then
      turn(self)
    else
      local ok = err == "timeout"
      if ok then ok, err = wait(self, weir.readable, deadline) end
      if not ok then return nil, err, table.concat(parts) end
    end
  end
end

--- Limits how long calls may wait.
-- @tparam number seconds nil or negative: without limit; 0: do not wait
-- @tparam[opt="b"] string mode "b": each wait; "t": a call as a whole
-- @return 1
function tcp:settimeout(seconds, mode)
  seconds = seconds == nil and -1 or seconds
  if type(seconds) ~= "number" or seconds ~= seconds then
    misuse("settimeout: bad argument #1 (seconds expected, got %s)",
      tostring(seconds))
  end
  if seconds >= FOREVER or seconds < 0 then seconds = -1 end
  if mode == nil or mode == "b" then
    self.block = seconds
  elseif mode == "t" or mode == "r" then
    self.total = seconds
  else
    misuse("settimeout: bad argument #2 (\"b\" or \"t\" expected, got %s)",
      tostring(mode))
  end
  return 1
end

--- The timeouts in force.
-- @return seconds for each wait, seconds for a call; -1: without limit
function tcp:gettimeout()
  return self.block, self.total
end

--- Sets an option by LuaSocket's names. What is set before the socket is
-- bound or connected holds for every address tried.
-- @return 1, or nil and a message
function tcp:setoption(name, value)
  local done, err = pass(self, "setoption", name, value)
  if self.sock.class ~= "tcp{master}" then return done, err end
  if not done and self.sock:getfd() >= 0 then return done, err end
  table.insert(self.setup, { "setoption", name, value })
  return 1
end

--- Closes the socket; whoever waits on it is told.
-- @return 1
function tcp:close()
  self.closed = true
  retire(self.sock)
  return 1
end

tcp.__close = tcp.close

--- The descriptor's number; -1: none.
function tcp:getfd()
  return math.floor(self.sock:getfd())
end

function tcp:__tostring()
  return "weir." .. tostring(self.sock)
end

for _, method in ipairs {
  "dirty", "getfamily", "getoption", "getpeername", "getsockname", "getstats",
  "setfd", "setstats", "shutdown",
} do
  tcp[method] = function(self, ...) return pass(self, method, ...) end
end
tcp.setpeername = tcp.connect -- LuaSocket has these two names as well
tcp.setsockname = tcp.bind

-- LuaSocket's http forgets `create` when it follows a redirect, and would go
-- on with a socket that blocks everybody. So where a coroutine has made one of
-- our sockets, ours are what http creates there when it is not told.
local makers = setmetatable({}, { __mode = "k" }) -- coroutines
local adopted -- the http module that knows

local function adopt(http)
  local scheme = http.schemes and http.schemes.http
  adopted = http
  if not scheme then return end
  local usual = scheme.create
  function scheme.create(request)
    if makers[coroutine.running() or false] then return weir.tcp end
    return usual(request)
  end
end

--- A new socket.
-- LuaSocket is loaded here, so that weir itself goes without.
-- @tparam[opt="tcp"] string family "tcp4", "tcp6", or "tcp" for either
-- @treturn tcp
local function new(family)
  local found, luasocket = pcall(require, "socket.core")
  if not found then misuse(LIBRARY) end
  family = family or "tcp"
  local sock, err = luasocket[family]()
  if not sock then return nil, err end
  local http = package.loaded["socket.http"]
  if http and http ~= adopted then adopt(http) end
  if yieldable() then makers[coroutine.running()] = true end
  return wrap(sock, luasocket, family)
end

return { new = new }
