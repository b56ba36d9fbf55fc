--- weir: limit what runs at once; the others wait their turn.
-- @module weir
local core = require "weir.core"

local weir = {}
for name, value in pairs(core) do weir[name] = value end

weir._VERSION = "weir " .. core.version
weir.map = require "weir.map"
weir.metrics = require "weir.metrics"
weir.stack = require "weir.stack"

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
