--- weir: limit what runs at once; the others wait their turn.
-- @module weir
local core = require "weir.core"

local weir = {}
for name, value in pairs(core) do weir[name] = value end

weir._VERSION = "weir " .. core.version
weir.map = require "weir.map"
weir.stack = require "weir.stack"

--- What all limiters do and have done, for Prometheus and its like: OpenMetrics
-- text, to be served as
-- `application/openmetrics-text; version=1.0.0; charset=utf-8` or as
-- `text/plain; version=0.0.4`. It is `weir.status(nil, "metrics")`.
--
-- The label `limiter` is a limiter's name, or the file and line it was made at;
-- a limiter in a shared space has the label `space` as well, and every process
-- tells the same of it, so ask one of them. Limiters that share their labels
-- are summed, and go on being counted (as they were at the last call) when they
-- are collected while another one is there.
-- @function metrics
-- @treturn string the text, with "# EOF" as its last line
function weir.metrics()
  local text, err = core.status(nil, "metrics")
  return text or error("weir.metrics: " .. err, 2)
end

--- A TCP socket shaped as LuaSocket's that yields instead of blocking.
-- Needs LuaSocket; it is loaded at the first call.
-- @treturn table a socket, see `weir.tcp`
function weir.tcp()
  return require("weir.tcp").new()
end

--- As weir.tcp, for IPv4 only.
function weir.tcp4()
  return require("weir.tcp").new("tcp4")
end

--- As weir.tcp, for IPv6 only.
function weir.tcp6()
  return require("weir.tcp").new("tcp6")
end

return weir
