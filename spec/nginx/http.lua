--- HTTP/1.1 as far as the origin, the load and the specs of nginx speak it, on
-- LuaSocket's sockets and on weir.tcp's alike.

local http = {}

--- Reads a first line and the fields after it.
-- @tparam tcp sock
-- @tparam[opt] string prefix what was read of it already
-- @treturn string the line; or nil and a message
-- @treturn table values by names in lower case, repeated ones joined by ", "
function http.read_head(sock, prefix)
  local first, err = sock:receive("*l", prefix)
  if not first then return nil, err end
  local fields = {}
  while true do
    local line
    line, err = sock:receive()
    if not line then return nil, err end
    if line == "" then return first, fields end
    local name, value = line:match "^([^:]+):%s*(.-)%s*$"
    if not name then return nil, "no field: " .. line end
    name = name:lower()
    fields[name] = fields[name] and fields[name] .. ", " .. value or value
  end
end

local function read_chunks(sock)
  local parts = {}
  while true do
    local line, err = sock:receive()
    local size = line and tonumber(line:match "^%x+", 16)
    if not size then return nil, err or "no chunk: " .. line end
    local data
    data, err = sock:receive(size + 2) -- the line's end comes with it
    if not data then return nil, err end
    if size == 0 then return table.concat(parts) end
    parts[#parts + 1] = data:sub(1, -3)
  end
end

--- Reads a body as its fields announce it.
-- @tparam tcp sock
-- @tparam table fields
-- @tparam boolean to_end if neither length nor chunks: until the peer closes
function http.read_body(sock, fields, to_end)
  local size = tonumber(fields["content-length"])
  if (fields["transfer-encoding"] or ""):find "chunked" then
    return read_chunks(sock)
  elseif size then
    if size == 0 then return "" end
    return sock:receive(size)
  elseif to_end then
    local all, err, partial = sock:receive "*a"
    return all or err == "closed" and partial or nil, err
  end
  return ""
end

--- Reads a request: method, target, path, version, fields; or nil and a
-- message.
function http.read_request(sock, prefix)
  local line, fields = http.read_head(sock, prefix)
  if not line then return nil, fields end
  local method, target, version = line:match "^(%u+) (%S+) HTTP/(1%.[01])$"
  if not method then return nil, "no request: " .. line end
  local path, query = target:match "^([^?]*)%??(.*)$"
  local args = {}
  for name, value in query:gmatch "([^&=]+)=?([^&]*)" do args[name] = value end
  return { method = method, target = target, path = path, version = version,
           fields = fields, args = args }
end

local function has_body(method, status)
  return method ~= "HEAD" and status >= 200 and status ~= 204 and status ~= 304
end

--- Reads a response: status, fields, body; or nil, a message, and what came of
-- it.
function http.read_response(sock, method)
  local line, fields = http.read_head(sock)
  if not line then return nil, fields end
  local status = tonumber(line:match "^HTTP/1%.[01] (%d%d%d)")
  if not status then return nil, "no response: " .. line end
  local answer = { status = status, fields = fields, body = "" }
  if not has_body(method, status) then return answer end
  local body, err = http.read_body(sock, fields, true)
  answer.body = body
  if not body then return nil, err, answer end
  return answer
end

--- The text of a message.
-- @tparam string first its first line
-- @tparam table fields a list of { name, value }, or values by names
-- @tparam[opt=""] string body
function http.message(first, fields, body)
  local lines = { first }
  for name, value in pairs(fields or {}) do
    if type(name) == "number" then name, value = value[1], value[2] end
    lines[#lines + 1] = name .. ": " .. value
  end
  lines[#lines + 1] = "\r\n" .. (body or "")
  return table.concat(lines, "\r\n")
end

return http
