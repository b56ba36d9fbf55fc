--- weir.replay.service: how long requests take, as a model.
--
-- A model is a list of seconds of which each is as likely. That of a
-- distribution is its quantiles in the middle of equal parts.
-- @module weir.replay.service

local QUANTILES = 4096

local UNITS = { ns = 1e-9, us = 1e-6, ms = 1e-3, s = 1, m = 60, h = 3600 }

local service = {}

local HELP = 'it wants a time, as "20ms", or "lognormal:p50=20ms,p99=200ms"'

--- Reads a time as people write it.
-- @tparam string text "20ms", "1.5s", "2m"; a number alone is seconds
-- @treturn ?number seconds
function service.seconds(text)
  local number, unit = text:match "^(%d+%.?%d*)(%a*)$"
  local scale = unit == "" and 1 or UNITS[unit]
  return number and scale and tonumber(number) * scale
end

-- The normal distribution's density and, by its power series and its continued
-- fraction, the part of it that lies below x.
local function below(x)
  if x < 0 then return 1 - below(-x) end
  local density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
  if x < 3 then
    local term, sum, n = x, x, 1
    while term > 1e-17 * sum do
      n = n + 2
      term = term * x * x / n
      sum = sum + term
    end
    return 0.5 + density * sum
  end
  local fraction = x
  for n = 60, 1, -1 do fraction = x + n / fraction end
  return 1 - density / fraction
end

--- Where this part of the normal distribution lies below, by bisection.
-- @tparam number part between 0 and 1
-- @treturn number
function service.quantile(part)
  local low, high = -9, 9
  for _ = 1, 60 do
    local middle = (low + high) / 2
    if below(middle) < part then low = middle else high = middle end
  end
  return (low + high) / 2
end

local function lognormal(p50, p99)
  local mu = math.log(p50)
  local sigma = (math.log(p99) - mu) / service.quantile(0.99)
  local times = {}
  for i = 1, QUANTILES do
    local z = service.quantile((i - 0.5) / QUANTILES)
    times[i] = math.exp(mu + sigma * z)
  end
  return times
end

local function read_lognormal(text)
  local values = {}
  for pair in text:gmatch "[^,]+" do
    local name, value = pair:match "^(p%d+)=(.+)$"
    if name ~= "p50" and name ~= "p99" then return nil, HELP end
    values[name] = service.seconds(value)
  end
  local p50, p99 = values.p50, values.p99
  if not p50 or not p99 then return nil, HELP end
  if p50 <= 0 or p99 < p50 then
    return nil, "p50 must be more than 0, and p99 not less than p50"
  end
  return lognormal(p50, p99)
end

--- Reads a model.
-- @tparam string text
-- @treturn[1] table a list of seconds
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function service.parse(text)
  local fixed = service.seconds(text)
  if fixed then return { fixed } end
  local parameters = text:match "^lognormal:(.+)$"
  if not parameters then return nil, HELP end
  return read_lognormal(parameters)
end

return service
