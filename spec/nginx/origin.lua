--- A backend: it serves some requests at once in the time it was told, and
-- collapses beyond, as backends do: with n of them it takes (n / at_once)^2
-- times as long for each. It knows best how many it had at once.
--
--    lua5.4 spec/nginx/origin.lua [at_once=8] [seconds=0.02] [vary=0] [port=0]
--
-- `vary` is the share by which a request may take more or less than that.
--
-- Writes its port, then serves until it is killed. What a request asks for by
-- arguments in its target:
--
--    ms=N       takes so many milliseconds, however many there are
--    hold       takes until /origin/free, or the client is gone
--    status=N   of the response
--    bytes=N    in the body
--    chunks=N   of 1,000 bytes, one every `pause` ms (1)
--    cut        sends half of its body, then closes
--
-- One that asks for an upgrade gets its bytes back until it closes. The
-- response says in X-Began the how manieth it was, and in X-Received how many
-- bytes came with it. For whoever watches:
--
--    /origin/stats   serving, highest, began, served, gone
--    /origin/seen    the targets, in the order in which they came
--    /origin/reset   forgets both
--    /origin/free    lets go of all who hold, or of the n=N who came first

local http = require "spec.nginx.http"
local weir = require "weir"

local IDLE = 75 -- seconds until a connection without requests is closed
local FOREVER = 3600 -- seconds
local SEEN_MAX = 100000 -- targets remembered

local options = { at_once = 8, seconds = 0.02, vary = 0, port = 0 }
for _, word in ipairs(arg) do
  local name, value = word:match "^([%w_]+)=(.*)$"
  options[assert(options[name] and name, "what is " .. word)] = tonumber(value)
end

local stats -- of all since the last reset; `serving` is kept across it
local seen -- targets
local holding = {} -- requests
local active = {} -- [request] = its client

local function reset()
  stats = { serving = stats and stats.serving or 0, highest = 0, began = 0,
            served = 0, gone = 0 }
  seen = {}
end
reset()

-- == what it takes ============================================================

-- The count goes down before the last byte goes out: then the next may come.
local function leave(request, how)
  if request.left then return end
  request.left = true
  active[request] = nil
  stats.serving = stats.serving - 1
  stats[how] = stats[how] + 1
end

-- Whether the client is gone; a byte that came early is kept for the next
-- request.
local function is_gone(client, request)
  client:settimeout(0)
  local byte, err = client:receive(1)
  client:settimeout(IDLE)
  if byte then request.early = (request.early or "") .. byte end
  return err == "closed"
end

-- Whoever is gone must have been noticed before one is counted on top of them,
-- however busy we are.
local function look_after_all()
  for request, client in pairs(active) do
    if is_gone(client, request) then leave(request, "gone") end
  end
end

local function begin(client, request)
  if stats.serving >= options.at_once then look_after_all() end
  active[request] = client
  stats.serving = stats.serving + 1
  stats.began = stats.began + 1
  stats.highest = math.max(stats.highest, stats.serving)
  request.began = stats.began
  if #seen < SEEN_MAX then seen[#seen + 1] = request.target end
end

local function time_of(request)
  if request.args.hold then return FOREVER end
  if request.args.ms then return tonumber(request.args.ms) / 1000 end
  local usual = options.seconds * (1 + options.vary * (2 * math.random() - 1))
  return usual * math.max(1, stats.serving / options.at_once) ^ 2
end

-- Waits so long, unless the client leaves before: then answers false.
local function take(client, request, seconds)
  local due = weir.now() + seconds
  while not request.free and due > weir.now() do
    if request.early then
      weir.sleep(math.max(0, due - weir.now()))
    elseif weir.readable(client:getfd(), due - weir.now())
           and not request.free and is_gone(client, request) then
      return false
    end
    if request.left then return false end
  end
  return true
end

local function hold(client, request)
  request.client = client
  if request.args.hold then holding[#holding + 1] = request end
  return take(client, request, time_of(request))
end

-- == what it answers ==========================================================

local function respond(client, status, fields, body)
  fields["Content-Length"] = fields["Content-Length"] or #body
  return client:send(http.message(
    ("HTTP/1.1 %d It Is"):format(status), fields, body))
end

local function send_chunks(client, request, fields)
  fields["Transfer-Encoding"] = "chunked"
  local status = tonumber(request.args.status or 200)
  local ok = client:send(http.message(
    ("HTTP/1.1 %d It Is"):format(status), fields))
  local chunk = "3e8\r\n" .. ("c"):rep(1000) .. "\r\n"
  for _ = 1, tonumber(request.args.chunks) do
    weir.sleep(tonumber(request.args.pause or 1) / 1000)
    ok = ok and client:send(chunk)
  end
  return ok and client:send "0\r\n\r\n"
end

local function echo(client)
  client:send "HTTP/1.1 101 Switching\r\nUpgrade: echo\r\n"
  client:send "Connection: upgrade\r\n\r\n"
  local line = client:receive()
  while line do
    client:send(line .. "\n")
    line = client:receive()
  end
  return nil
end

-- Answers whether the connection can go on.
local function answer(client, request)
  local args = request.args
  local fields = { ["Content-Type"] = "text/plain",
                   ["X-Began"] = request.began,
                   ["X-Received"] = #request.body,
                   ["Connection"] = request.keep and "keep-alive" or "close" }
  if args.cache then fields["Cache-Control"] = "max-age=" .. args.cache end
  if args.chunks then return send_chunks(client, request, fields) end
  local body = args.bytes and ("b"):rep(tonumber(args.bytes)) or "served\n"
  if args.cut then
    fields["Content-Length"] = 2 * #body
    request.keep = false
  end
  if request.method == "HEAD" then
    body, fields["Content-Length"] = "", #body
  end
  return respond(client, tonumber(args.status or 200), fields, body)
end

-- == control ==================================================================

local control = {}

function control.stats()
  local lines = {}
  for name, n in pairs(stats) do lines[#lines + 1] = name .. " " .. n end
  return table.concat(lines, "\n") .. "\n"
end

function control.seen() return table.concat(seen, "\n") .. "\n" end

function control.reset()
  reset()
  return ""
end

function control.free(args)
  local n = math.min(tonumber(args.n or #holding), #holding)
  for _ = 1, n do
    local request = table.remove(holding, 1)
    request.free = true
    weir.wake(request.client:getfd())
  end
  return n .. "\n"
end

local function forget(request)
  for i, other in ipairs(holding) do
    if other == request then return table.remove(holding, i) end
  end
end

-- == connections ==============================================================

-- Those who watch do not count.
local function inform(client, request)
  local tell = control[request.path:match "^/origin/(%l+)$"]
  if not tell then return false end
  return respond(client, 200, {}, tell(request.args))
end

local function serve_one(client, request)
  begin(client, request)
  request.body = http.read_body(client, request.fields)
  if not request.body then return leave(request, "gone") end
  if request.fields.upgrade then
    echo(client)
    return leave(request, "served")
  end
  local stayed = hold(client, request)
  forget(request)
  if not stayed then return leave(request, "gone") end
  if not request.args.chunks then leave(request, "served") end
  local sent = answer(client, request)
  leave(request, sent and "served" or "gone")
  return sent and request.keep
end

local function keeps(request)
  local connection = (request.fields.connection or ""):lower()
  return request.version == "1.1" and not connection:find "close"
end

local function serve(client)
  client:settimeout(IDLE)
  client:setoption("tcp-nodelay", true)
  local early, again
  repeat
    local request = http.read_request(client, early)
    if not request then break end
    request.keep = keeps(request)
    if request.path:find "^/origin/" then
      again = inform(client, request) and request.keep
    else
      again = serve_one(client, request)
    end
    early = request.early
  until not again
  client:close()
end

weir.run(function()
  local server = weir.tcp()
  server:setoption("reuseaddr", true)
  assert(server:bind("127.0.0.1", options.port))
  assert(server:listen(4096))
  print((select(2, server:getsockname())))
  io.stdout:flush()
  while true do weir.spawn(serve, assert(server:accept())) end
end)
