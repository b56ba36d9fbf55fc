--- Forty pages over HTTP, three at a time.
--
--    weir run lua/examples/fetch.lua URL [--unlimited]
--
-- URL is that of lua/examples/server.lua. At the end: a chart of who waited and
-- who ran when, and how many the server saw at once.

local weir = require "weir"
local http = require "socket.http"
local chart = require "weir.cli.chart"

local server = assert(arg[1], "which URL? see lua/examples/server.lua")
  :gsub("/$", "")
local board = chart.new()

local function fetch(url)
  board:started(url)
  assert(http.request { url = url, create = weir.tcp })
  board:finished(url)
end

if arg[2] ~= "--unlimited" then
  fetch = weir.rate_limit(3)(fetch)
end

local urls = {}
for n = 1, 40 do
  urls[n] = server .. "/page/" .. n
  board:asked(urls[n])
end
weir.map(fetch, urls)

board:print()

local stats = {}
http.request { url = server .. "/stats", create = weir.tcp,
  sink = require "ltn12".sink.table(stats) }
print(("\nThe server's own highest count of simultaneous requests: %d")
  :format(table.concat(stats):match "highest (%d+)"))
