--- weir.replay.formats: which format a log has.
-- @module weir.replay.formats

local weir = require "weir"

local COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status '
  .. '$body_bytes_sent "$http_referer" "$http_user_agent"'

-- What is tried, in this order: names, and what people often add.
local CANDIDATES = {
  "json", "haproxy", "nginx", "combined", "common",
  COMBINED .. ' "$http_x_forwarded_for"',
  COMBINED .. ' "$http_x_forwarded_for" $request_time',
  COMBINED .. " rt=$request_time",
  COMBINED .. " $request_time $upstream_response_time",
  COMBINED .. " $request_time $upstream_response_time $pipe",
  '$remote_addr - $remote_user [$time_local] "$request" $status '
    .. "$body_bytes_sent $request_time",
}

local formats = {}

--- A text of anybody's, fit to be shown: one line, without controls.
-- @tparam string text
-- @tparam[opt=100] number most bytes
function formats.shown(text, most)
  most = most or 100
  if #text > most then text = text:sub(1, most) .. "..." end
  return (text:gsub("[^\32-\126]", function(c)
    return ("\\x%02X"):format(c:byte())
  end))
end

-- How many of these lines have a format.
local function count_good(format, text)
  local replayer <close> = weir.replayer { spread = false }
  assert(replayer:add(format))
  replayer:feed(1, text)
  replayer:feed(1, nil)
  local counts = replayer:counts(1)
  return counts.lines - counts.bad
end

--- The format of a log, by its first lines: that which most of them have.
-- Raises if none has it.
-- @tparam table log a source
-- @treturn string
function formats.guess(log)
  local text = log:peek()
  text = text:match "^(.*\n)" or text -- whole lines
  local best, good = nil, 0
  for _, format in ipairs(CANDIDATES) do
    local count = count_good(format, text)
    if count > good then best, good = format, count end
  end
  if best or text == "" then return best or "combined" end
  error(("%s: its lines have no format that is known: %s\nsay it as nginx's "
    .. "log_format does, with --format '$remote_addr ... $time_local ...'")
    :format(log.name, formats.shown(text:match "[^\n]*")), 0)
end

return formats
