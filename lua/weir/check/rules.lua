--- weir.check.rules: what is suspicious of a policy that has been tried.
--
-- A rule is a function of what is known (see weir.check) that notes what it
-- finds with `note(level, place, request, text, ...)`: the first request that
-- showed it, or nil; the text is formatted.
-- @module weir.check.rules

local weir = require "weir"

local TICKET, KEY = 64, 128 -- bytes of a space that each takes, at least
local KEY_MAX = 65535 -- bytes

local rules = {}

-- == what is known of a limiter ===============================================

local function option(making, name)
  return type(making.options) == "table" and making.options[name] or nil
end

local function concurrent(making)
  if type(making.options) == "number" then return making.options end
  return option(making, "concurrent")
end

local function name_of(making) return making.limiter:stats().name end

local function seconds(number) return ("%.14g s"):format(number) end

-- Each limiter once, as it was made last; those that requests made only once
-- for each line.
local function each(known)
  local seen, list = {}, {}
  for i = #known.makings, 1, -1 do
    local making = known.makings[i]
    local id = making.request and making.file .. ":" .. making.line
      or making.limiter
    if not seen[id] then table.insert(list, 1, making) end
    seen[id] = true
  end
  return list
end

rules.each, rules.name_of = each, name_of

-- == rules ====================================================================

-- A limiter that is made for each request.
table.insert(rules, function(known, note)
  for _, making in ipairs(each(known)) do
    if making.request then
      note("warning", making, nil, "%s makes a limiter for each request, %s: "
        .. "make it once, outside of the handler", making.what,
        option(making, "name") and "and each time looks it up by its name"
        or "which so limits nothing")
    end
  end
end)

-- Keys and flows that are none.
local function check_answer(answer, note)
  local kind = type(answer.value)
  if kind == "nil" or kind == "string" and #answer.value <= KEY_MAX then
    return
  end
  note("error", answer.place, answer.request, "the %s function returns %s: "
    .. "expected a string, or nil for no %s%s", answer.option,
    kind == "string" and ("one of %d bytes"):format(#answer.value)
      or "a " .. kind,
    answer.option == "key" and "limit" or "flow",
    kind == "number" and " (tostring makes one)" or "")
end

table.insert(rules, function(known, note)
  for _, making in ipairs(known.makings) do
    for _, answer in ipairs(making.answers) do check_answer(answer, note) end
  end
end)

-- The keys of the first request and of its repetition, by handler.
local function compare_keys(making, note)
  local first, always = {}, false
  for _, answer in ipairs(making.answers) do
    local request, handler = answer.request, answer.request.handler
    if answer.option == "key" and type(answer.value) == "string" then
      if request.repeats and first[handler] then
        always = always or first[handler] ~= answer.value
      elseif request.number == 1 then
        first[handler] = answer.value
      end
    end
  end
  if not always then return end
  note("warning", making.answers[1].place, nil, "the key of '%s' is another "
    .. "one for each request of the same client: it limits nothing",
    name_of(making))
end

local function check_nil(making, note)
  for _, answer in ipairs(making.answers) do
    if answer.option == "key" and answer.value ~= nil then return end
  end
  note("warning", making.answers[1].place, nil, "the key of '%s' is nil for "
    .. "all these requests: it limits none of them", name_of(making))
end

table.insert(rules, function(known, note)
  for _, making in ipairs(each(known)) do
    if not making.request and #making.answers > 0 and option(making, "key") then
      compare_keys(making, note)
      check_nil(making, note)
    end
  end
end)

-- == timeouts =================================================================

local function may_wait(making)
  return option(making, "queue") ~= 0 and option(making, "timeout") ~= 0
end

local function timeout(making) return option(making, "timeout") or nil end

local function check_timeout(making, known, note)
  local most = timeout(making)
  if most and most > known.proxy_timeout then
    note("warning", making, nil, "a request may wait %s for '%s', longer than "
      .. "a proxy's %s: whoever waits so long is gone when it is its turn",
      seconds(most), name_of(making), seconds(known.proxy_timeout))
  elseif not most and not option(making, "shed") then
    note("warning", making, nil, "'%s' has no timeout: a request may wait for "
      .. "ever, longer than a proxy's %s", name_of(making),
      seconds(known.proxy_timeout))
  end
end

table.insert(rules, function(known, note)
  for _, making in ipairs(each(known)) do
    if not making.request and may_wait(making) then
      check_timeout(making, known, note)
    end
  end
end)

-- One after the other they may take too long, though none does alone.
table.insert(rules, function(known, note)
  local longest, sum = nil, known.proxy_timeout
  for _, trial in ipairs(known.trials) do
    local all, alone = 0, 0
    for making in pairs(trial.asked) do
      local most = may_wait(making) and timeout(making) or 0
      all, alone = all + most, math.max(alone, most)
    end
    if all > sum and alone <= known.proxy_timeout then
      longest, sum = trial, all
    end
  end
  if not longest then return end
  note("warning", known.place, longest.request, "a request may wait %s for one "
    .. "limiter after the other, longer than a proxy's %s", seconds(sum),
    seconds(known.proxy_timeout))
end)

-- == room =====================================================================

local UNITS = { [""] = 1, k = 2^10, m = 2^20, g = 2^30 }

-- The URL of a limiter's space, and its size in bytes as text and number.
local function space_of(making)
  local space = option(making, "space")
  local url = making.limiter:stats().space
  if not space or not url then return end
  local text = tostring(weir.open(url))
  local size, unit = text:match "%((%d+)([kmg]?)%)$"
  return url, size and size .. unit, size and size * UNITS[unit]
end

local function number(value) return type(value) == "number" and value or 0 end

-- How much of its space a limiter's bounds let it take; and the largest one.
local function appetite(making)
  local calls, keys = number(concurrent(making)), option(making, "keys")
  local queue, of = number(option(making, "queue")), "at once"
  local most = calls
  if queue > most then most, of = queue, "waiting" end
  local bytes = (calls + queue) * TICKET + number(keys) * KEY
  if number(keys) * KEY > most * TICKET then return bytes, keys, "keys", KEY end
  return bytes, most, of, TICKET
end

local function say_too_large(making, note, url, size, bytes)
  local _, most, of, each_takes = appetite(making)
  note("warning", making, nil, "'%s' may have %d %s, but %s has %s, which is "
    .. "room for less than %d: open it with a larger size, or lower the limit",
    name_of(making), most, of, url, size, bytes // each_takes + 1)
end

-- What all limiters of each space may take, the spaces in order, and those
-- that one limiter alone is too large for.
local function add_up(known, note)
  local spaces, by_url = {}, {}
  for _, making in ipairs(each(known)) do
    local url, size, bytes = space_of(making)
    if bytes and not making.request then
      local takes, most, _, each_takes = appetite(making)
      if not by_url[url] then
        by_url[url] = { url = url, size = size, bytes = bytes, takes = 0 }
        table.insert(spaces, by_url[url])
      end
      by_url[url].takes = by_url[url].takes + takes
      if most * each_takes > bytes then
        by_url[url].said = true
        say_too_large(making, note, url, size, bytes)
      end
    end
  end
  return spaces
end

table.insert(rules, function(known, note)
  for _, space in ipairs(add_up(known, note)) do
    if space.takes > space.bytes and not space.said then
      note("warning", known.place, nil, "the limiters in %s may need %d bytes "
        .. "for all calls, waiters and keys they allow; it has %s", space.url,
        space.takes // 1, space.size)
    end
  end
end)

-- == what became of the requests ==============================================

table.insert(rules, function(known, note)
  for _, trial in ipairs(known.trials) do
    if trial.failure and not trial.bad_key then
      local message = trial.failure:match "^(.-)\nstack traceback:"
      local place, text = known.split(message or trial.failure,
                                      known.place.file)
      note("error", place, trial.request, "%s%s", trial.who, text)
    elseif trial.stuck then
      note("error", trial.place or known.place, trial.request,
           "%swaits for what never comes", trial.who)
    elseif trial.took > known.proxy_timeout then
      note("warning", known.place, trial.request, "%stakes %s with nobody else "
        .. "there", trial.who, seconds(trial.took))
    end
  end
end)

-- Refusals that no waiting would help against.
table.insert(rules, function(known, note)
  for _, trial in ipairs(known.trials) do
    local err = trial.refusal
    if err and (err.code == "impossible" or err.code == "exhausted"
                or err.code == "closed") then
      note("warning", known.place, trial.request, "%s", tostring(err))
    end
  end
end)

-- A response that begins when the permits are back already.
table.insert(rules, function(known, note)
  for _, trial in ipairs(known.trials) do
    for making in pairs(trial.asked) do
      if trial.outcome == "pass" and not trial.proceeded
         and concurrent(making) then
        note("warning", making, trial.request, trial.who .. "returns without "
          .. "req:proceed(), so the permit of '%s' comes back before the "
          .. "response begins", name_of(making))
      end
    end
  end
end)

table.insert(rules, function(known, note)
  for _, trial in ipairs(known.trials) do
    for making, held in pairs(trial.held) do
      note("warning", making, trial.request, "%sdoes not give back %s of '%s': "
        .. "`local permit <close> = ...` does at the end of its block",
        trial.who, held == 1 and "the permit" or "permits", name_of(making))
    end
  end
end)

-- What the loader has to say, at the line of the limiter it speaks of.
table.insert(rules, function(known, note)
  for _, text in ipairs(known.warnings) do
    local place = known.place
    for _, making in ipairs(known.makings) do
      if text:find("the limiter '" .. name_of(making) .. "' ", 1, true) then
        place = making
      end
    end
    note("warning", place, nil, "%s", text)
  end
end)

return rules
