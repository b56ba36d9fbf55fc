--- What the specs of replay share: logs and policies made in the spec, as files
-- that are gone afterwards.

local replay = require "weir.replay"

local replaying = {}

local files = {}

--- A file with this text; its name.
function replaying.file(text)
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "wb"))
  file:write(text)
  files[#files + 1] = name
  return name
end

--- A policy's file: `weir` is there, `proceed` is the handler under its limits.
function replaying.policy(text)
  return replaying.file('local weir = require "weir"\n'
    .. "local function proceed(req) return req:proceed() end\n" .. text)
end

--- Removes all of them.
function replaying.clean()
  for i, name in ipairs(files) do
    os.remove(name)
    files[i] = nil
  end
end

replaying.BEGIN = 1431857103 -- 2015-05-17T10:05:03Z
replaying.FORMAT = '$msec $remote_addr $status $body_bytes_sent "$request"'

--- Lines of that format of requests at these seconds: { time, address, uri,
-- status }.
function replaying.lines(requests)
  local lines = {}
  for i, request in ipairs(requests) do
    if type(request) == "number" then request = { request } end
    lines[i] = ('%.6f %s %d 100 "GET %s HTTP/1.1"\n'):format(
      replaying.BEGIN + request[1], request[2] or "10.0.0.1",
      request[4] or 200, request[3] or "/")
  end
  return table.concat(lines)
end

--- Runs requests at these seconds through a policy.
-- @tparam string policy its text
-- @tparam table requests see @{lines}
-- @tparam[opt] table options of weir.replay
function replaying.replay(policy, requests, options)
  local all = { logs = { replaying.file(replaying.lines(requests)) },
                format = replaying.FORMAT, service = "1s" }
  for name, value in pairs(options or {}) do all[name] = value end
  return replay.run(replaying.policy(policy), all)
end

--- What became of each request, in the order in which they were over: a list of
-- { what, code, line, log, came, began, over }.
function replaying.told()
  local told = {}
  return told, function(...) told[#told + 1] = table.pack(...) end
end

--- Nearly: histograms know times within 3.2 %.
function replaying.near(wanted, got)
  local bound = math.abs(wanted) * 0.033 + 1e-9
  if math.abs(got - wanted) > bound then
    error(("expected about %g, got %g"):format(wanted, got), 2)
  end
end

-- == JSON =====================================================================

local decode -- (text, at) -> value, where it ends

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decode_string(text, at)
  local parts = {}
  while true do
    local plain, mark, to = text:match('^([^"\\]*)(["\\])()', at)
    assert(plain, "a string without an end")
    parts[#parts + 1] = plain
    if mark == '"' then return table.concat(parts), to end
    local hex = text:match("^u(%x%x%x%x)", to)
    local name = text:sub(to, to)
    parts[#parts + 1] = hex and utf8.char(tonumber(hex, 16)) or ESCAPES[name]
      or name
    at = to + (hex and 5 or 1)
  end
end

local function decode_members(text, at, close, read)
  local value = {}
  while text:sub(at, at) ~= close do
    at = read(value, at)
    at = text:match("^,()", at) or at
  end
  return value, at + 1
end

function decode(text, at)
  local c = text:sub(at, at)
  if c == '"' then return decode_string(text, at + 1) end
  if c == "[" then
    return decode_members(text, at + 1, "]", function(list, from)
      local value, to = decode(text, from)
      list[#list + 1] = value
      return to
    end)
  elseif c == "{" then
    return decode_members(text, at + 1, "}", function(object, from)
      local name, colon = decode(text, from)
      assert(text:sub(colon, colon) == ":", "a member without a colon")
      local value, to = decode(text, colon + 1)
      object[name] = value
      return to
    end)
  end
  local word, to = text:match("^([%w.+-]+)()", at)
  if word == "true" or word == "false" then return word == "true", to end
  return word ~= "null" and assert(tonumber(word), word) or nil, to
end

--- What JSON says; of what `weir replay --json` writes.
function replaying.decode(text)
  local value, to = decode(text, 1)
  assert(not text:find("%S", to), "there is more than one value")
  return value
end

return replaying
