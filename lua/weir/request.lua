--- weir.request: a request as a policy sees it, for hosts that have it in Lua,
-- and what all hosts read alike: arguments, cookies, paths.
-- @module weir.request

local request = {}

-- What a policy may ask of any request; a host may not know some of it.
request.FIELDS = { "method", "uri", "path", "args", "scheme", "host",
                   "http_version", "headers", "cookies", "remote_addr",
                   "remote_port", "server_name", "ssl", "id", "var", "ctx",
                   "user_agent", "proceed", "refuse", "set_header" }

local KNOWN = {}
for _, name in ipairs(request.FIELDS) do KNOWN[name] = true end

-- == reading ==================================================================

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local function unescape_argument(text)
  return unescape((text:gsub("%+", " ")))
end

--- The arguments of a URI. Of one that is repeated it is the last; one without
-- a value is "".
-- @tparam ?string query what is behind the "?"
-- @treturn table [name] = value, both decoded
function request.args(query)
  local args = {}
  for pair in (query or ""):gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=(.*)"
    args[unescape_argument(name or pair)] = unescape_argument(value or "")
  end
  return args
end

--- The cookies in a Cookie field. Of one that is repeated it is the first, as
-- browsers send the most specific first.
-- @tparam ?string field
-- @treturn table [name] = value, as sent, without quotes around it
function request.cookies(field)
  local cookies = {}
  for pair in (field or ""):gmatch "[^;]+" do
    local name, value = pair:match "^%s*([^=]-)%s*=%s*(.-)%s*$"
    if name and name ~= "" and cookies[name] == nil then
      cookies[name] = value:match '^"(.*)"$' or value
    end
  end
  return cookies
end

--- The path in a URI: decoded, without arguments, with "." and ".." followed
-- and slashes merged, as servers look for it.
-- @tparam string uri
-- @treturn string
function request.path(uri)
  local path = unescape((uri:gsub("^%a[%w+.-]*://[^/?#]*", "")
    :match "^[^?#]*"))
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  local slash = #parts > 0 and path:find "/%.?%.?$" and "/" or ""
  return "/" .. table.concat(parts, "/") .. slash
end

-- == fields ===================================================================

-- "User-Agent", "user_agent" and "user-agent" are one.
local function field_name(name)
  if type(name) ~= "string" then return name end
  return (name:lower():gsub("_", "-"))
end

local HEADERS = {
  __index = function(headers, name)
    return rawget(headers, field_name(name))
  end,
  __metatable = "weir.headers",
}

--- A table of header fields that takes a name in any case.
-- @tparam ?table fields [name] = value
-- @treturn table the same with names in lower case
function request.headers(fields)
  local headers = {}
  for name, value in pairs(fields or {}) do
    headers[field_name(name)] = value
  end
  return setmetatable(headers, HEADERS)
end

-- What follows from other fields, when it is asked for.
local DERIVED = {
  path = function(req) return req.uri and request.path(req.uri) end,
  args = function(req)
    return request.args(req.uri and req.uri:match "%?([^#]*)")
  end,
  headers = function() return request.headers() end,
  cookies = function(req) return request.cookies(req.headers.cookie) end,
  user_agent = function(req) return req.headers["user-agent"] end,
  host = function(req)
    local host = req.headers.host
    return host and host:gsub(":%d+$", ""):lower()
  end,
  var = function() return {} end,
  ctx = function() return {} end,
}

-- == a request ================================================================

local REPLY = { __metatable = "weir.reply" } -- of what req:refuse answers

local STATE = {} -- the key of what a request keeps for its host

request.STATE = STATE

local function state_of(req)
  local state = rawget(req, STATE)
  if not state then
    state = {}
    rawset(req, STATE, state)
  end
  return state
end

local methods = {}

--- Lets the request go on, and waits until its response is finished.
-- @treturn table `status`, `bytes` sent, and `upstream_time` in seconds if
-- there was an upstream
function methods:proceed()
  local state = state_of(self)
  if state.answer then
    error("req:proceed: the request has been refused already", 2)
  elseif state.proceeded then
    error("req:proceed: the request has proceeded already", 2)
  end
  state.proceeded = true
  return state.proceed and state.proceed(self) or { status = 200, bytes = 0 }
end

-- What says where a response ends is not a script's to say.
local FRAMING = { connection = true, ["content-length"] = true,
                  ["transfer-encoding"] = true }

--- Raises unless it can be a field of a response.
-- @tparam string who is called
-- @param name
-- @param value
-- @tparam number level whom to blame
function request.check_field(who, name, value, level)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    error(("%s: %s is no name of a header"):format(who, type(name) == "string"
      and ("%q"):format(name) or tostring(name)), level)
  elseif FRAMING[name:lower()] then
    error(("%s: %s is the server's own to say"):format(who, name), level)
  end
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then
    error(("%s: the value of %s must be text, got %s"):format(who, name, kind),
          level)
  elseif tostring(value):find "[\0\r\n]" then
    error(("%s: the value of %s must be one line"):format(who, name), level)
  end
end

local function check_status(status)
  if status == nil or math.type(status) == "integer" and status >= 200
     and status <= 599 then
    return
  end
  error("req:refuse: the status must be a whole number from 200 to 599, got "
    .. tostring(status), 4)
end

--- Raises unless it can be an answer, at the line that called the caller.
-- @param status
-- @param headers
-- @param body
function request.check_answer(status, headers, body)
  check_status(status)
  if headers ~= nil and type(headers) ~= "table" then
    error("req:refuse: the headers must be a table, got " .. type(headers), 3)
  elseif body ~= nil and type(body) ~= "string" then
    error("req:refuse: the body must be a string, got " .. type(body), 3)
  end
  for name, value in pairs(headers or {}) do
    request.check_field("req:refuse", name, value, 4)
  end
end

--- Answers the request instead of whoever would. The handler should return what
-- this returns.
-- @tparam[opt] number status as configured for refusals
-- @tparam[opt] table headers of the response
-- @tparam[opt] string body of the response
-- @treturn nil
-- @treturn table what was decided
function methods:refuse(status, headers, body)
  local state = state_of(self)
  request.check_answer(status, headers, body)
  if state.proceeded then
    error("req:refuse: the request has proceeded already", 2)
  end
  state.answer = setmetatable(
    { status = status, headers = headers, body = body }, REPLY)
  return nil, state.answer
end

--- Sets a field of the response, whoever answers it.
-- @tparam string name
-- @tparam ?string value nil takes it back
function methods:set_header(name, value)
  request.check_field("req:set_header", name, value == nil and "" or value, 3)
  local state = state_of(self)
  if state.set_header then state.set_header(self, name, value) end
end

local function no_new_field(_, name)
  error(("req.%s cannot be set; your own fields belong in req.ctx"):format(
    tostring(name)), 2)
end

-- A metatable of requests that have these methods and derived fields.
local function kind_of(own, derived)
  local kind = { __name = "weir.request", __metatable = "weir.request",
                 __newindex = no_new_field }
  function kind.__index(req, name)
    if own[name] then return own[name] end
    local value = derived[name] and derived[name](req)
    if value ~= nil then rawset(req, name, value) end
    if value == nil and not KNOWN[name] then
      error(("a request has no field %s; your own belong in req.ctx"):format(
        tostring(name)), 2)
    end
    return value
  end
  return kind
end

local REQUEST = kind_of(methods, DERIVED)

--- A kind of request, for a host that has so many that it makes them itself: as
-- tables with this metatable, in which whole numbers are the host's own.
-- @tparam table host
-- @tparam function host.proceed the method, which raises if `answer` says that
-- the request was refused, or if it has proceeded
-- @tparam function host.proceeded whether a request has
-- @tparam table host.fields [name] = function(req), for what the host derives
-- otherwise than others do
-- @treturn table a metatable, of which the host may replace `__index`, and ask
-- it for what it does not know itself
function request.kind(host)
  local own = setmetatable({ proceed = host.proceed }, { __index = methods })
  function own.refuse(self, ...)
    if host.proceeded(self) then
      error("req:refuse: the request has proceeded already", 2)
    end
    return methods.refuse(self, ...)
  end
  return kind_of(own, setmetatable(host.fields, { __index = DERIVED }))
end

--- Makes a request of what a host knows of it.
-- @tparam table fields those of FIELDS that are known; `headers` a plain table;
-- `proceed`: a function that is called by req:proceed and answers its result;
-- `set_header`: likewise
-- @treturn table
function request.new(fields)
  local req = { [STATE] = { proceed = fields.proceed,
                            set_header = fields.set_header } }
  for _, name in ipairs(request.FIELDS) do
    if not methods[name] then req[name] = fields[name] end
  end
  if fields.headers then req.headers = request.headers(fields.headers) end
  return setmetatable(req, REQUEST)
end

--- What req:refuse has decided of a request; nil: nothing.
-- @tparam table req
-- @treturn ?table `status`, `headers`, `body`
function request.answer(req)
  local state = type(req) == "table" and rawget(req, STATE)
  return state and state.answer
end

--- Whether a value is what req:refuse answers.
function request.is_answer(value)
  return type(value) == "table" and getmetatable(value) == "weir.reply"
end

--- What req:refuse may answer where a host keeps the decision itself.
request.ANSWERED = setmetatable({}, REPLY)

return request
