--- lua5.4 run.lua [ROUNDS]: prints what weir does for a backend that is offered
-- too much, beside what others do, in one interleaved run; medians of ROUNDS
-- (3), least and most in parentheses. `make bench-nginx` runs it.
--
-- The backend serves 8 at once in 20 ms, 400 a second, and collapses beyond;
-- nginx has two workers; who waits for 500 ms is refused.
local here = arg[0]:match "^(.*)run%.lua$"
package.path = here .. "?.lua;" .. package.path

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"
local rivals = require "rivals"
local socket = require "socket"

local ROUNDS = tonumber(arg[1] or 3)
local CAPACITY, LIMIT, BOUND, SERVICE = 400, 8, 0.5, 0.02
local LOAD_S, WARM_S = 5, 1 -- seconds of one load
local QUIET_ROUNDS, QUIET_S = 15, 1 -- where the limit is not hit
local BACKEND = nginx.module
  and nginx.module:match "^(.*)/nginx/[^/]*$" .. "/bench/nginx/backend"

local COLUMNS = {
  { "native", "limit_conn + limit_req" },
  { "semaphore", "ngx.semaphore" },
  { "haproxy", "HAProxy maxconn" },
  { "weir", "weir" },
  { "policy", "weir, a policy" },
  { "shedding", "weir, shed=codel,lifo" },
}

local function note(...) io.stderr:write(string.format(...), "\n") end

-- == numbers ==================================================================

local function sorted(list)
  local copy = table.move(list, 1, #list, 1, {})
  table.sort(copy)
  return copy
end

local function median(list)
  local all = sorted(list)
  local half = #all // 2
  return #all % 2 == 1 and all[half + 1] or (all[half] + all[half + 1]) / 2
end

-- "12.3 (11.9-14.0)"
local function spread(list, format)
  local all = sorted(list)
  local text = format:format(median(list))
  if #all == 1 then return text end
  return ("%s (%s-%s)"):format(text, format:format(all[1]),
                               format:format(all[#all]))
end

local function cpu(pids)
  local sum = 0
  for _, pid in ipairs(pids) do sum = sum + process.cpu(pid) end
  return sum
end

-- == rows =====================================================================

local results = {} -- [name][what] = a list of numbers

local function add(name, what, value)
  results[name] = results[name] or {}
  results[name][what] = results[name][what] or {}
  table.insert(results[name][what], value)
end

local function each_column(fn)
  for _, column in ipairs(COLUMNS) do
    if not rivals.missing(column[1]) then fn(column[1]) end
  end
end

-- Does something with one of the rivals before a backend.
local function in_front_of(origin, name, limit, bound, workers, fn)
  local server = rivals.start(name, limit, bound, origin.port, workers)
  local ok, err = pcall(fn, server, origin)
  server.stop()
  if not ok then error(err, 0) end
end

-- The backend is one that holds requests and answers otherwise, as it is told.
local function with(name, limit, bound, fn)
  local origin <close> = process.origin()
  in_front_of(origin, name, limit, bound, nil, fn)
end

-- It is one that is offered a load. `how`, if any: what is unusual, vary of the
-- backend or the number of workers.
local function under_load(name, fn, how)
  how = how or {}
  local backend <close> = process.start { BACKEND, how.vary or 0 }
  backend.port = math.tointeger(tonumber(backend:line()))
  assert(backend.port, "the backend did not start")
  in_front_of(backend, name, LIMIT, BOUND, how.workers, fn)
end

-- Below the capacity at random; above it evenly, so that the order can be told.
local function offer(server, times, seconds)
  return process.load { port = server.port, seconds = seconds or LOAD_S,
    arrivals = times > 1 and "fixed" or "poisson",
    warm = WARM_S, timeout = 3, service = SERVICE,
    clients = ("all:%d"):format(CAPACITY * times) }
end

-- --- the limit is not hit

local function quiet_round(servers)
  local figures = {}
  for _, name in ipairs { "none", "none again", "native", "semaphore", "weir",
                          "policy", "open_haproxy", "haproxy" } do
    local server = servers[name]
    if server then
      local pids = server.pids()
      local before = cpu(pids)
      local path = name:find "haproxy" and "/" or "/gif"
      local _, text = process.run(("wrk -t1 -c32 -d%ds http://127.0.0.1:%d%s")
        :format(QUIET_S, server.port, path))
      local requests = tonumber(text:match "(%d+) requests in")
      assert(requests, text)
      figures[name] = 1e6 * (cpu(pids) - before) / requests
    end
  end
  return figures
end

-- What a backend costs is not what HAProxy costs: it has one that is fast.
local function measure_quiet()
  local servers, list = {}, {}
  local function start(name, what, port)
    if rivals.missing(what:match "%l+$" or what) then return end
    servers[name] = rivals.start(what, 10000, BOUND, port or 9)
    list[#list + 1] = servers[name]
  end
  start("none", "none")
  start("none again", "none")
  for _, name in ipairs { "native", "semaphore", "weir", "policy" } do
    start(name, name)
  end
  local fast = servers.none.port
  start("open_haproxy", "open_haproxy", fast)
  start("haproxy", "haproxy", fast)
  for i = 1, QUIET_ROUNDS do
    note("the limit is not hit: round %d of %d", i, QUIET_ROUNDS)
    local figures = quiet_round(servers)
    add("base", "quiet", figures.none)
    for name, us in pairs(figures) do
      local floor = name:find "haproxy" and figures.open_haproxy or figures.none
      add(name, "added", us - floor)
    end
  end
  for _, server in ipairs(list) do server.stop() end
end

-- --- under load

local function measure_load(name)
  under_load(name, function(server, origin)
    local result = offer(server, 0.8):result()
    add(name, "goodput 0.8", result.goodput)
    add(name, "p50 0.8", result.p50 * 1000)
    add(name, "refused 0.8", 100 * (1 - result.served / result.sent))
    origin:tell "reset"
    local before = cpu(server.pids())
    result = offer(server, 3):result()
    local used = cpu(server.pids()) - before
    local stats = origin:tell "stats"
    add(name, "goodput 3", result.goodput)
    add(name, "p50 3", result.p50 * 1000)
    add(name, "highest", stats.highest)
    add(name, "unfair", result.wait_max / math.max(result.wait_p50, 0.001))
    add(name, "disorder", 100 * result.out_of_order)
    add(name, "cpu 3", 1e6 * used / (result.sent * LOAD_S / (LOAD_S - WARM_S)))
  end)
end

local function measure_order(name, what, how)
  if name == "native" or name == "shedding" then return end -- no such order
  under_load(name, function(server)
    add(name, what, 100 * offer(server, 3):result().out_of_order)
  end, how)
end

local function measure_reloads(name)
  under_load(name, function(server, origin)
    local load = offer(server, 3, 4)
    for _ = 1, 2 do
      socket.sleep(1)
      server.reload()
    end
    load:result()
    add(name, "reloads", origin:tell("stats").highest)
  end)
end

-- --- what is lost

-- How many of so many get through to the backend.
local function places(server, origin, count)
  local client = require "spec.nginx.client"
  local list = {}
  for i = 1, count do list[i] = client.open(server.port):ask "/?hold" end
  local got
  process.eventually(function()
    got = origin:tell("stats").serving
    return got == count
  end, 1)
  origin:tell "free"
  for _, one in ipairs(list) do one:close() end
  return got
end

local function measure_kill(name)
  with(name, LIMIT, 30, function(server, origin)
    local client = require "spec.nginx.client"
    local list = {}
    for i = 1, LIMIT do list[i] = client.open(server.port):ask "/?hold" end
    process.eventually(function()
      return origin:tell("stats").serving == LIMIT
    end, 1)
    server.kill()
    socket.sleep(0.5)
    origin:tell "free"
    for _, one in ipairs(list) do one:close() end
    origin:serves(0)
    local ok, got = pcall(places, server, origin, LIMIT)
    add(name, "killed", ok and LIMIT - got or LIMIT)
  end)
end

local function measure_errors(name)
  if name == "haproxy" then return end -- it has no such thing
  with(name, 16, 1, function(server, origin)
    local client = require "spec.nginx.client"
    for _ = 1, 16 do
      local one <close> = client.open(server.port):ask "/error?status=404"
      one:answer(3)
    end
    add(name, "errors", 16 - places(server, origin, 16))
  end)
end

local function measure_abandoned(name)
  if name == "native" then return end -- it has no queue
  with(name, LIMIT, 30, function(server, origin)
    local client = require "spec.nginx.client"
    local held, queued = {}, {}
    for i = 1, LIMIT do held[i] = client.open(server.port):ask "/?hold" end
    assert(#held == LIMIT)
    socket.sleep(0.3)
    for i = 1, 40 do queued[i] = client.open(server.port):ask "/" end
    socket.sleep(0.3)
    local before = origin:tell("stats").began
    for _, one in ipairs(queued) do one:close() end
    socket.sleep(0.2)
    origin:tell "free"
    socket.sleep(1)
    add(name, "abandoned", origin:tell("stats").began - before)
  end)
end

-- == the table ================================================================

local function value(name, what, format)
  local list = results[name] and results[name][what]
  return list and spread(list, format) or "-"
end

local function of(name, what)
  local list = results[name] and results[name][what]
  return list and median(list) or nil
end

local function verdict(reach, ok)
  if ok == nil then return reach end
  return ("%s: %s"):format(reach, ok and "met" or "MISSED")
end

local function row(what, cell, reach)
  local cells = { what }
  for _, column in ipairs(COLUMNS) do cells[#cells + 1] = cell(column[1]) end
  cells[#cells + 1] = reach
  print("| " .. table.concat(cells, " | ") .. " |")
end

local function plain(what, format)
  return function(name) return value(name, what, format) end
end

local function at_most(what, most, names)
  for _, name in ipairs(names or { "weir", "policy" }) do
    local got = of(name, what)
    if not got then return nil end
    if got > most then return false end
  end
  return true
end

local function at_least(what, least)
  return of("weir", what) >= least and of("policy", what) >= least
end

local function print_head()
  local cells, line = { "what" }, { "---" }
  for _, column in ipairs(COLUMNS) do
    cells[#cells + 1], line[#line + 1] = column[2], "---:"
  end
  cells[#cells + 1], line[#line + 1] = "reach of weir", "---"
  print("| " .. table.concat(cells, " | ") .. " |")
  print("| " .. table.concat(line, " | ") .. " |")
end

local function print_rows()
  row("CPU added per request, limit not hit, us", plain("added", "%.2f"),
    verdict("directives <= 0.7, a policy <= 2",
      of("weir", "added") <= 0.7 and of("policy", "added") <= 2))
  row("goodput at 0.8 x, /s", plain("goodput 0.8", "%.0f"), verdict(
    "all of it", at_most("refused 0.8", 0.5)))
  row("refused or lost at 0.8 x, %", plain("refused 0.8", "%.1f"), "")
  row("p50 at 0.8 x, ms", plain("p50 0.8", "%.1f"),
    verdict("<= 23", at_most("p50 0.8", 23)))
  row("goodput at 3 x, /s", plain("goodput 3", "%.0f"),
    verdict(">= 97 % of capacity", at_least("goodput 3", 0.97 * CAPACITY)))
  row("p50 of those served at 3 x, ms", plain("p50 3", "%.0f"), verdict(
    "with shedding <= 100", at_most("p50 3", 100, { "shedding" })))
  row("the backend's highest concurrency, limit 8", plain("highest", "%.0f"),
    verdict("8", at_most("highest", LIMIT)))
  row("the same during two reloads", plain("reloads", "%.0f"),
    verdict("8", at_most("reloads", LIMIT)))
  row("slots lost to kill -9 of a worker, of 8", plain("killed", "%.0f"),
    verdict("0", at_most("killed", 0)))
  row("slots lost to error_page, of 16", plain("errors", "%.0f"),
    verdict("0", at_most("errors", 0)))
  row("abandoned in the queue, and yet served, of 40",
    plain("abandoned", "%.0f"), verdict("0", at_most("abandoned", 0)))
  row("longest / median wait at 3 x", plain("unfair", "%.2f"),
    verdict("<= 1.1", at_most("unfair", 1.1)))
  row("served out of order, %", plain("disorder", "%.1f"),
    verdict("<= 1", at_most("disorder", 1)))
  row("the same, of a backend that takes 18 to 22 ms, %",
    plain("disorder varied", "%.1f"), "")
  row("the same, with one worker, %", plain("disorder of one", "%.1f"), "")
  row("CPU per request at 3 x, us", plain("cpu 3", "%.0f"),
    verdict("<= 140", at_most("cpu 3", 140)))
end

local function print_notes()
  print(([[

Medians of %d rounds in turn (least-most); the added CPU of %d, each against an
nginx without a limit measured beside it, which takes %s us
per request; another such nginx beside it differs by %s
us: what is less than that, is noise. HAProxy's is against HAProxy without
maxconn, both before the same nginx. CPU is that of the workers. Out of order
are those of neighbours in the order in which the backend began them that were
sent in the other one, 0.1 ms apart or more: where all take the same time, eight
permits come back within microseconds, and without more ado the workers that
they go to are at the backend in the order in which the system runs them.
HAProxy has as many threads as nginx has workers; ngx.semaphore has a worker's
share of the limit in each. Not measured: lua-resty-limit-traffic, of which
Debian has no package.]])
    :format(ROUNDS, QUIET_ROUNDS, spread(results.base.quiet, "%.1f"),
            spread(results["none again"].added, "%.2f")))
  for _, column in ipairs(COLUMNS) do
    local why = rivals.missing(column[1])
    if why then print(("Not measured: %s: %s."):format(column[2], why)) end
  end
end

-- == all ======================================================================

local missing = nginx.missing()
if missing then
  io.stderr:write(missing, "\n")
  os.exit(1)
end
measure_quiet()
for i = 1, ROUNDS do
  each_column(function(name)
    note("round %d of %d: %s", i, ROUNDS, name)
    measure_load(name)
    measure_order(name, "disorder varied", { vary = 0.1 })
    measure_order(name, "disorder of one", { workers = 1 })
    measure_reloads(name)
    measure_kill(name)
    measure_errors(name)
    measure_abandoned(name)
  end)
end
print_head()
print_rows()
print_notes()
