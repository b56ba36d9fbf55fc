package.path = "c/bench/?.lua;" .. package.path
local B = package.searchpath("weir.core", package.cpath):match "^(.*)lua/weir/core%.so$"
package.cpath = B .. "bench/?.so;" .. package.cpath
local m = require "measure"
local calls, handoff, crowd = require "calls", require "handoff", require "crowd"
local weir = require "weir"
local t0 = os.clock()
local function T(name) io.stderr:write(name, " ", os.clock()-t0, "\n") t0 = os.clock() end
local a, b = m.in_turn(calls.acquire, calls.two_methods) m.row("main", a, b)
weir.run(function()
local a, b = m.in_turn(calls.acquire, calls.two_methods) m.row("task", a, b)
end)
T"1"
local a, b = m.in_turn(calls.limited, calls.guarded) m.row("main", a, b)
weir.run(function()
local a, b = m.in_turn(calls.limited, calls.guarded) m.row("task", a, b)
end)
T"2"
for _, n in ipairs{10000, 100} do
local function F(f) return function() return f(n) end end
local p, l, f = m.in_turn(F(handoff.permits), F(handoff.limited), F(handoff.bare))
m.row("permits "..n, p, f)
m.row("decor "..n, l, f)
T"3"
end
for _, n in ipairs{100000, 50000} do
local function F(f) return function() return f(n) end end
local p, l = m.in_turn(F(crowd.burst), F(crowd.resume))
m.row("burst "..n, p, l)
T"5"
end
local n = 100000
local function F(f) return function() return f(n) end end
local p, l, f = m.in_turn(F(crowd.cancel), F(crowd.close), F(crowd.timers))
m.row("cancel "..n, p, f)
m.row("close "..n, l, f)
T"5"
local function child(kind) return function()
  local p = io.popen("lua5.4 c/bench/memory.lua "..kind.." 100000") local x = p:read "n" p:close() return x end end
m.row("mem", m.in_turn(child"tasks", child"coroutines"))
T"6"
