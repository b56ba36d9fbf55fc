--- lua5.4 one.lua MODULE FUNCTION [N]: prints one sample, of a process that
-- has done nothing else.
local build = package.searchpath("weir.core", package.cpath)
  :match "^(.*)lua/weir/core%.so$"
package.cpath = build .. "bench/?.so;" .. package.cpath
package.path = arg[0]:match "^(.*)one%.lua$" .. "?.lua;" .. package.path

print(require(arg[1])[arg[2]](math.tointeger(arg[3])))
