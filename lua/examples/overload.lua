--- Shows what weir does for a backend behind nginx that gets three times the
-- requests that it can serve. `make demo-nginx` runs it.
--
--    lua5.4 lua/examples/overload.lua [seconds]
--
-- Starts a backend, nginx with two workers and a load three times: without a
-- limit; with weir's two lines; with the policy of share.lua.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local SECONDS = tonumber(arg[1] or 5) -- of load, each time
local PATIENCE = 2 -- seconds after which a client gives up
local FLOOD, FEW, FEW_RATE = 930, 9, 30 -- requests a second

local LIMIT = "weir_limit backend concurrent=8 queue=1000 timeout=500ms;"
local PASS = "proxy_pass http://origin;"

local function clients()
  local list = { "flood:" .. FLOOD }
  for i = 1, FEW do list[#list + 1] = ("c%d:%d"):format(i, FEW_RATE) end
  return table.concat(list, ",")
end

-- What came of one load on one configuration.
local function try(spec)
  local origin <close> = process.origin()
  spec.origin, spec.level = origin.port, "crit"
  local server <close> = nginx.start(spec)
  local result = process.load({
    port = server.port, clients = clients(), seconds = SECONDS,
    warm = math.min(1, SECONDS / 2), timeout = PATIENCE }):result()
  result.highest = origin:tell("stats").highest
  return result
end

local function ms(seconds)
  if seconds == 0 then return "-" end -- of none
  return ("%.0f ms"):format(seconds * 1000)
end

local function row(what, ...)
  print(("  %-34s" .. ("%16s"):rep(select("#", ...))):format(what, ...))
end

-- What the few others got: goodput together, the worst p99 and median p50.
local function others(result)
  local goodput, sent, p50, p99 = 0, 0, {}, 0
  for name, client in pairs(result.clients) do
    if name ~= "flood" then
      goodput, sent = goodput + client.goodput, sent + client.sent
      p50[#p50 + 1] = client.p50
      p99 = math.max(p99, client.p99)
    end
  end
  table.sort(p50)
  return { goodput = goodput, sent = sent, p50 = p50[#p50 // 2 + 1] or 0,
           p99 = p99 }
end

local function each(results, value)
  local list = {}
  for i, result in ipairs(results) do list[i] = value(result) end
  return table.unpack(list)
end

local function rate(n) return ("%.0f / s"):format(n) end

local function compare(results)
  row("goodput", each(results, function(r) return rate(r.goodput) end))
  row("p50 of those served", each(results, function(r) return ms(r.p50) end))
  row("p99", each(results, function(r) return ms(r.p99) end))
  local function refused(r)
    return (r.status[503] or 0) + (r.status[429] or 0)
  end
  row("refused at once or in time", each(results, function(r)
    return ("%.0f %%"):format(100 * refused(r) / r.sent)
  end))
  row("the client gave up after " .. PATIENCE .. " s", each(results,
    function(r)
      return ("%.0f %%"):format(100 * (r.sent - r.served - refused(r)) / r.sent)
    end))
  row("the backend's highest concurrency", each(results, function(r)
    return r.highest
  end))
end

local function compare_clients(results)
  row(("the flood: %d / s"):format(FLOOD), each(results, function(r)
    return rate(r.clients.flood.goodput)
  end))
  row(("the %d others: %d / s each"):format(FEW, FEW_RATE), each(results,
    function(r) return rate(others(r).goodput / FEW) .. " each" end))
  row("  p50", each(results, function(r) return ms(others(r).p50) end))
  row("  the worst p99 of them", each(results, function(r)
    return ms(others(r).p99)
  end))
end

local function show()
  print(([[

A backend serves 8 requests at once in 20 ms each, 400 a second, and collapses
beyond. %d a second come for it through nginx, with two workers, for %g s.
]]):format(FLOOD + FEW * FEW_RATE, SECONDS))
  local without = try { server = "location / { " .. PASS .. " }" }
  local with = try { http = LIMIT,
                     server = "location / { weir backend; " .. PASS .. " }" }
  row("", "without weir", "with weir")
  compare { without, with }
  print(([[

  %s
  location / { weir backend; ... }

One of the clients sends %d of these requests. The two lines serve in the order
of arrival; a policy gives every client its turn (lua/examples/share.lua).
]]):format(LIMIT, FLOOD))
  local shared = try {
    http = "weir_script {root}/lua/examples/share.lua;",
    server = "location / { weir policy; " .. PASS .. " }",
  }
  row("goodput of", "two lines", "the policy")
  compare_clients { with, shared }
  row("all together", rate(with.goodput), rate(shared.goodput))
  row("the backend's highest concurrency", with.highest, shared.highest)
end

local missing = nginx.missing()
if missing then
  io.stderr:write(missing, "\n")
  os.exit(1)
end
show()
