--- Everything at once, for WEIR_STORM_SECONDS (4): load above the limit,
-- clients without patience, reloads, logs opened anew, binary upgrades, workers
-- killed. The backend never sees more than the limit, and when all is over
-- nobody holds and nobody waits.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"
local socket = require "socket"

local with, eventually = nginx.with, nginx.eventually
local SECONDS = tonumber(os.getenv "WEIR_STORM_SECONDS") or 4
local SEED = tonumber(os.getenv "SEED") or os.time()

local POLICY = [[
local weir = require "weir"
local gate = weir.limiter { space = "shm:storm", name = "gate", concurrent = 8,
  queue = 1000, timeout = 0.5, order = "fair",
  flow = function(req) return req.headers["x-client"] end }
return gate(function(req) return req:proceed() end)
]]

local actions = {}

function actions.reload(server)
  local ok = pcall(server.reload, server)
  return ok and "reloads" or "reloads that were killed"
end

function actions.reopen(server)
  server:reopen()
  return "reopens"
end

function actions.kill(server)
  local workers = server:workers()
  if #workers > 0 then server:kill(workers[math.random(#workers)]) end
  return "kills"
end

function actions.upgrade(server)
  local old = server:upgrade()
  server:signal("QUIT", old)
  assert.is_true(process.gone(old, 30 * nginx.slow))
  return "upgrades"
end

local NAMES = { "reload", "reload", "reopen", "kill", "kill", "kill",
                "upgrade" }

local function storm(server, port)
  local load = process.load { port = port, clients = "ann:300,bob:300,eve:300",
    seconds = SECONDS, timeout = 3, impatient = 0.2, patience = 0.3,
    seed = SEED }
  local counts, stop = {}, socket.gettime() + SECONDS
  while socket.gettime() < stop do
    local what = actions[NAMES[math.random(#NAMES)]](server)
    counts[what] = (counts[what] or 0) + 1
    socket.sleep(math.random() * 0.3)
  end
  return load:result(), counts
end

local function describe_counts(result, counts)
  local words = {}
  for what, n in pairs(counts) do words[#words + 1] = n .. " " .. what end
  table.sort(words)
  local status = {}
  for what, n in pairs(result.status) do
    status[#status + 1] = ("%s: %d"):format(what, n)
  end
  table.sort(status)
  print(("#: nginx storm of %g s, SEED=%d: %s; of %d requests %s"):format(
    SECONDS, SEED, table.concat(words, ", "), result.sent,
    table.concat(status, ", ")))
end

-- After a storm: nothing is lost, nothing held.
local function check(server, origin, result)
  server:has(0)
  origin:serves(0)
  assert.is_true(origin:tell("stats").highest <= 8,
                 origin:tell("stats").highest)
  assert.is_true((result.status[200] or 0) > 20 * SECONDS / nginx.slow)
  eventually(function() return #server:workers "old" == 0 end)
  origin:tell "reset"
  local list = {}
  for i = 1, 8 do list[i] = server:ask "/?hold" end
  origin:serves(8)
  origin:tell "free"
  for _, one in ipairs(list) do assert.equal(200, one:status()) end
  server:has(0)
end

nginx.describe(_ENV, "a storm #time over", function()
  for what, spec in pairs {
    ["two lines"] = {
      http = "weir_limit gate concurrent=8 queue=1000 timeout=500ms;",
      server = "location / { weir gate; proxy_pass http://origin; }" },
    ["a policy"] = {
      http = "weir_script {dir}/p.lua;", files = { ["p.lua"] = POLICY },
      server = "location / { weir policy; proxy_pass http://origin; }" },
  } do
    spec.daemon, spec.workers = true, 3
    it(what .. " loses nothing", with(spec, function(server, origin)
      math.randomseed(SEED)
      server:expects "exited on signal 9"
      server:expects "open socket #%d+ left in connection"
      server:expects "aborting"
      local result, counts = storm(server, server.port)
      describe_counts(result, counts)
      check(server, origin, result)
    end))
  end
end)
