--- weir.check: tries a policy file before a host runs it.
--
-- It is loaded as a host would, but with made-up spaces and in virtual time,
-- and a handful of made-up requests go through it one after the other. So a
-- process that checks a policy can do nothing else with weir.
-- @module weir.check

local policy = require "weir.policy"
local request = require "weir.request"
local requests = require "weir.check.requests"
local rules = require "weir.check.rules"
local watch = require "weir.check.watch"
local weir = require "weir"

local MILLION = 1000000
local BUDGET = 50 -- millions of instructions for a file, and for a request
local MEMORY = 256 -- megabytes that all may take
local SERVICE = 0.02 -- seconds until a response is finished
local PAUSE = 1 -- seconds between requests
local STEPS = 10000 -- of the clock; then it is taken not to come to an end

local check = {}

-- == bounds ===================================================================

-- What runs beneath a policy is not stopped.
local OURS = {}
for _, module in ipairs { policy.load, policy.serve, request.new, rules.each,
                          watch.start, function() end } do
  OURS[debug.getinfo(module, "S").source] = true
end

-- In the running coroutine. What catches the error is stopped at once again.
local function limit_instructions()
  local millions = 0
  local function stop()
    local memory = collectgarbage "count" / 1024
    millions = millions + 1
    if millions < BUDGET and memory < MEMORY then return end
    millions = BUDGET
    debug.sethook(stop, "", 1)
    if OURS[debug.getinfo(2, "S").source] then return end
    error(memory < MEMORY
      and ("stopped after %d million instructions: it does not come to its end")
        :format(BUDGET)
      or ("stopped when it took more than %d megabytes"):format(MEMORY), 2)
  end
  debug.sethook(stop, "", MILLION)
end

-- Calls fn(...) within bounds; nil and a message if it was stopped.
local function bounded(fn, ...)
  limit_instructions()
  local result = table.pack(pcall(fn, ...))
  debug.sethook()
  if result[1] then return table.unpack(result, 2, result.n) end
  return nil, tostring(result[2])
end

-- == a request ================================================================

local now = 0 -- virtual, seconds

-- Lets all tasks go on until `is_over`; false: nothing ever will be.
local function go_on(is_over)
  for _ = 1, STEPS do
    local _, due = weir.step(now)
    if is_over() then return true end
    if not due then return false end
    now = math.max(now, due)
  end
  return false
end

local function asked_of(makings)
  local counts = {}
  for _, making in ipairs(makings) do
    local stats = making.limiter:stats()
    local sum = stats.admitted
    for _, count in pairs(stats.refused) do sum = sum + count end
    counts[making] = sum
  end
  return counts
end

local function make_request(made_up, trial)
  local fields = { id = ("%032x"):format(made_up.number), server_name = "_" }
  for name, value in pairs(made_up) do fields[name] = value end
  function fields.proceed()
    trial.proceeded = true
    weir.sleep(SERVICE)
    return { status = 200, bytes = 1024, upstream_time = SERVICE }
  end
  return request.new(fields)
end

local function note_outcome(trial, outcome, what)
  trial.outcome = outcome
  if outcome == "fail" then trial.failure = what end
  if outcome == "refuse" then trial.refusal = what end
end

local function has_bad_key(makings, made_up)
  for _, making in ipairs(makings) do
    for _, answer in ipairs(making.answers) do
      if answer.request == made_up and answer.value ~= nil
         and type(answer.value) ~= "string" then
        return true
      end
    end
  end
end

-- Where a coroutine waits, as far as it is the policy's.
local function place_in(co)
  for level = 0, 20 do
    local info = debug.getinfo(co, level, "Sl")
    if not info then return end
    if info.currentline > 0 and not OURS[info.source] then
      return { file = info.short_src, line = info.currentline }
    end
  end
end

-- The permits that a request has left behind.
local function held_of(makings)
  local held = {}
  for _, making in ipairs(makings) do
    local count = making.limiter:stats().in_use
    if count > 0 then held[making] = count end
  end
  return held
end

-- Which limiters were asked meanwhile: those that the file has made.
local function difference(makings, before)
  local asked = {}
  for making, count in pairs(asked_of(makings)) do
    if count > (before[making] or 0) then asked[making] = true end
  end
  return asked
end

local function try(watching, name, handler, made_up)
  local trial = { request = made_up, took = 0, handler = name,
                  who = name == "" and "" or ("handler '%s': "):format(name) }
  local req, began = make_request(made_up, trial), now
  local before = asked_of(watching.makings)
  local co
  watching.request = made_up
  collectgarbage "stop" -- a permit that was dropped shall not come back by it
  weir.spawn(function()
    co = coroutine.running()
    limit_instructions()
    note_outcome(trial, policy.serve(handler, req))
    debug.sethook()
  end)
  trial.stuck = not go_on(function() return trial.outcome end)
  trial.took, trial.place = now - began, trial.stuck and place_in(co)
  trial.held = held_of(watching.makings)
  collectgarbage "restart"
  collectgarbage()
  trial.asked = difference(watching.makings, before)
  trial.bad_key = has_bad_key(watching.makings, made_up)
  now = now + PAUSE
  return trial
end

-- A copy, as one of several handlers has it.
local function copy_for(name, i)
  local copy = { number = i, handler = name }
  for field, value in pairs(requests[i]) do copy[field] = value end
  return copy
end

local function try_all(watching, loaded)
  local trials = {}
  for _, name in ipairs(loaded.names) do
    for i = 1, #requests do
      table.insert(trials, try(watching, name, loaded.handlers[name],
                               copy_for(name, i)))
    end
  end
  return trials
end

-- == findings =================================================================

local function note_into(findings)
  local seen = {}
  return function(level, place, made_up, text, ...)
    local finding = { level = level, file = place.file, line = place.line,
                      text = text:format(...),
                      request = made_up and made_up.what }
    -- The same of another request is the same.
    local id = ("%s:%s:%s"):format(finding.file, finding.line, finding.text)
    if not seen[id] then table.insert(findings, finding) end
    seen[id] = true
  end
end

local function sort(findings)
  for i, finding in ipairs(findings) do finding.order = i end
  table.sort(findings, function(a, b)
    if a.file ~= b.file then return a.file < b.file end
    if a.line ~= b.line then return (a.line or 0) < (b.line or 0) end
    return a.order < b.order
  end)
  return findings
end

local function apply_rules(known)
  local findings = {}
  local note = note_into(findings)
  for _, rule in ipairs(rules) do rule(known, note) end
  return sort(findings)
end

-- A message of Lua's as place and text. Where it blames weir's own files, as it
-- does for a `return require "x"`, it means the policy.
local function split(message, file)
  local rest = message:gsub("^" .. file:gsub("%p", "%%%0") .. ": ", "")
  local where, line, text = rest:match "^([^\n]-):(%d+): (.*)$"
  if not where or OURS["@" .. where] then
    return { file = file }, text or rest
  end
  return { file = where, line = tonumber(line) }, text
end

local function not_loaded(file, message)
  local findings = {}
  local place, text = split(message, file)
  note_into(findings)("error", place, nil, "%s", text)
  return { names = {}, limiters = {}, trials = {}, findings = findings }
end

-- What the file has made, as far as it is there still.
local function limiters_of(known)
  local list = {}
  for _, making in ipairs(rules.each(known)) do
    if not making.request then
      local stats = making.limiter:stats()
      table.insert(list, { file = making.file, line = making.line,
                           name = stats.name, space = stats.space,
                           options = making.options })
    end
  end
  return list
end

local function examine(watching, file, options)
  local loaded, err = bounded(policy.load, file, options)
  if not loaded then return not_loaded(file, err) end
  local known = { place = { file = file }, makings = watching.makings,
                  warnings = loaded.warnings, split = split,
                  proxy_timeout = options.proxy_timeout or 60 }
  known.trials = try_all(watching, loaded)
  return { names = loaded.names, limiters = limiters_of(known),
           trials = known.trials, findings = apply_rules(known) }
end

-- What the policy wants of weir goes by virtual time from the begin.
local function prepare(options)
  local copy = { trial = true, print = function() end, warn = function() end }
  for name, value in pairs(options or {}) do copy[name] = value end
  weir.step(now)
  return copy
end

--- Loads a policy and tries it.
-- @tparam string file
-- @tparam[opt] table options those of `weir.policy.load`, and
-- @tparam[opt=60] number options.proxy_timeout seconds after which nobody waits
-- for an answer any more
-- @treturn table `names` of the handlers ("": there is one without), the
-- `limiters` that the file makes (`file`, `line`, `name`, `space`, `options`),
-- `trials` (`request`, `handler`, `outcome` as of `weir.policy.serve`,
-- `refusal`, `failure`, `stuck`, `took` seconds) and `findings` (`level`
-- "error" or "warning", `file`, `line` if it has one, `text`, `request` that
-- showed it, if one did), in the order of the lines
function check.policy(file, options)
  options = prepare(options)
  local watching = watch.start()
  local ok, report = xpcall(examine, debug.traceback, watching, file, options)
  watching:stop()
  if not ok then error(report, 0) end
  return report
end

return check
