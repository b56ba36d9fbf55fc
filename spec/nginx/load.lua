--- An open-loop load: requests come when they come, however many wait.
--
--    lua5.4 spec/nginx/load.lua port=N [name=value...]
--
-- Each request has a connection of its own and tells whose it is in X-Client.
-- Writes a Lua table of what became of them: see `summary`. Options:

local http = require "spec.nginx.http"
local weir = require "weir"

local options = {
  port = 0,
  path = "/",
  clients = "one:100", -- who come, and how often in a second: "ann:30,bob:5"
  seconds = 5, -- of arrivals
  warm = 0, -- seconds at first whose requests do not count in the summary
  arrivals = "poisson", -- or "fixed": at even distances
  timeout = 5, -- seconds after which a client gives up
  impatient = 0, -- the share of clients who give up at any time before that
  patience = 0.2, -- seconds these have at most
  service = 0.02, -- seconds the backend takes at least: what is more, is wait
  seed = 1, -- of the arrivals
}

for _, word in ipairs(arg) do
  local name, value = word:match "^([%w_]+)=(.*)$"
  local usual = options[name]
  assert(usual, "what is " .. word)
  options[name] = type(usual) == "number" and assert(tonumber(value)) or value
end

-- == requests =================================================================

local NEAR = 0.0001 -- seconds: workers may read what is sent at once either way
local FAR = 0.002 -- seconds: further than what is on its way at once

local results = {} -- { at, sent, client, took, status or why, began }, seconds

-- What came of it: a status, or the word of what went wrong; the response; and
-- when the request was sent.
local function try(sock, client, patience)
  sock:settimeout(patience, "t")
  local deadline = weir.now() + patience
  local ok, err = sock:connect("127.0.0.1", options.port)
  if not ok then return err end
  sock:setoption("tcp-nodelay", true)
  local sent = weir.now()
  sock:send(http.message(("GET %s HTTP/1.1"):format(options.path), {
    Host = "load", Connection = "close", ["X-Client"] = client }))
  sock:settimeout(math.max(0, deadline - weir.now()), "t")
  local answer, why = http.read_response(sock, "GET")
  if not answer then return why end
  return answer.status, answer, sent
end

local function patience()
  if math.random() >= options.impatient then return options.timeout end
  return math.random() * options.patience
end

local function request(at, client)
  local sock <close> = weir.tcp()
  local status, answer, sent = try(sock, client, patience())
  results[#results + 1] = {
    at = at, sent = sent, client = client, status = status,
    took = weir.now() - at,
    began = answer and tonumber(answer.fields["x-began"]),
  }
end

-- == arrivals =================================================================

-- How long until the next one of somebody who comes at a rate.
local function gap(rate)
  if options.arrivals == "fixed" then return 1 / rate end
  return -math.log(1 - math.random()) / rate
end

local function come(client, rate, start)
  local due = start
  while true do
    due = due + gap(rate)
    if due - start >= options.seconds then return end
    local left = due - weir.now()
    if left > 0 then weir.sleep(left) end
    weir.spawn(request, due, client)
  end
end

-- == what is said =============================================================

local function quantile(sorted, q)
  return sorted[math.max(1, math.ceil(q * #sorted))] or 0
end

-- Of those served in order, the share that was sent before the one that was
-- served before them, by more than `apart` seconds.
local function out_of_order(list, apart)
  table.sort(list, function(a, b) return a.began < b.began end)
  local pairs_of, wrong = 0, 0
  for i = 2, #list do
    pairs_of = pairs_of + 1
    if list[i].sent < list[i - 1].sent - apart then wrong = wrong + 1 end
  end
  return pairs_of > 0 and wrong / pairs_of or 0
end

local function is_good(result)
  return type(result.status) == "number" and result.status < 400
end

-- How many were answered in a time, however early they came.
local function good_between(list, from, to)
  local good = 0
  for _, result in ipairs(list) do
    local ended = result.at + result.took
    if is_good(result) and ended >= from and ended < to then good = good + 1 end
  end
  return good
end

--- What became of requests, from `warm` on:
--    sent          how many
--    served        200 and the like
--    goodput       of these, per second, by when they were answered
--    status        counts, by status or the word of what went wrong
--    p50 p90 p99 max   seconds, of those served
--    wait_p50 wait_max seconds that they took beyond the backend's
--    out_of_order  share of the neighbours in the order of service
--    far_out_of_order  the same, of those that came FAR apart
local function summary(all, from, to)
  local took, served, status, sent = {}, {}, {}, 0
  for _, result in ipairs(all) do
    if result.at >= from then
      sent = sent + 1
      status[result.status] = (status[result.status] or 0) + 1
      if is_good(result) then took[#took + 1] = result.took end
      if is_good(result) and result.began then served[#served + 1] = result end
    end
  end
  table.sort(took)
  local function wait(q) return quantile(took, q) - options.service end
  return {
    sent = sent, served = #took, status = status,
    goodput = good_between(all, from, to) / (to - from),
    p50 = quantile(took, 0.5), p90 = quantile(took, 0.9),
    p99 = quantile(took, 0.99), max = quantile(took, 1),
    wait_p50 = wait(0.5), wait_max = wait(1),
    out_of_order = out_of_order(served, NEAR),
    far_out_of_order = out_of_order(served, FAR),
  }
end

local function by_client(list)
  local lists = {}
  for _, result in ipairs(list) do
    local own = lists[result.client] or {}
    lists[result.client] = own
    own[#own + 1] = result
  end
  return lists
end

local function literal(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local fields = {}
  for key, field in pairs(value) do
    fields[#fields + 1] = ("[%q] = %s"):format(key, literal(field))
  end
  return "{" .. table.concat(fields, ", ") .. "}"
end

math.randomseed(math.tointeger(options.seed))
local start
weir.run(function()
  start = weir.now()
  for name, rate in options.clients:gmatch "([^:,]+):([^,]+)" do
    weir.spawn(come, name, tonumber(rate), start)
  end
end)

local from, to = start + options.warm, start + options.seconds
local total = summary(results, from, to)
total.clients = {}
for name, list in pairs(by_client(results)) do
  total.clients[name] = summary(list, from, to)
end
print(literal(total))
