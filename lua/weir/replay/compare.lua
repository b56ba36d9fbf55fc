--- weir.replay.compare: several replays beside each other, and along a line.
-- @module weir.replay.compare

local figures = require "weir.replay.figures"

local compare = {}

local POINTS = 12 -- of a range, about

-- What is compared: a name, and how it reads.
compare.ROWS = {
  { "requests", function(r) return figures.count(r.requests) end },
  { "at once", function(r) return figures.count(r.at_once) end },
  { "waited", function(r) return figures.count(r.waited) end },
  { "refused", function(r) return figures.count(r.refused) end },
  { "answered", function(r) return figures.count(r.answered) end },
  { "failed", function(r) return figures.count(r.failed + r.unfinished) end },
  { "refused by", function(r) return figures.codes(r.codes) end },
  { "wait p50", function(r) return figures.time(r.wait.p50) end },
  { "wait p90", function(r) return figures.time(r.wait.p90) end },
  { "wait p99", function(r) return figures.time(r.wait.p99) end },
  { "wait max", function(r) return figures.time(r.wait.max) end },
  { "wait and service p50", function(r) return figures.time(r.time.p50) end },
  { "wait and service p99", function(r) return figures.time(r.time.p99) end },
  { "most in flight", function(r) return figures.count(r.in_flight) end },
  { "without a policy", function(r) return figures.count(r.without) end },
  { "most waiting", function(r) return figures.count(r.waiting) end },
}

--- Reports beside each other.
-- @tparam table reports
-- @tparam table names what each is called
-- @treturn table rows of texts, the first of them the names
function compare.table(reports, names)
  local rows = { { "", table.unpack(names) } }
  for _, row in ipairs(compare.ROWS) do
    local cells, said = { row[1] }, false
    for i, report in ipairs(reports) do
      cells[i + 1] = row[2](report)
      said = said or cells[i + 1] ~= "0" and cells[i + 1] ~= ""
    end
    if said then rows[#rows + 1] = cells end
  end
  return rows
end

-- == sweeps ===================================================================

local HELP = "as backend.concurrent=4..64 or backend.timeout=0.5,1,2"

-- Whole numbers from a to b, evenly by their ratio; all, if they are few.
local function range(a, b)
  local values, last = {}, nil
  local count = math.min(POINTS, b - a + 1)
  for i = 0, count - 1 do
    local part = count > 1 and i / (count - 1) or 0
    local value = a > 0 and a * (b / a) ^ part or a + (b - a) * part
    value = math.floor(value + 0.5)
    if last and value <= last then value = last + 1 end
    if value > b then break end
    values[#values + 1], last = value, value
  end
  return values
end

local function read_values(text)
  local a, b = text:match "^(%d+)%.%.(%d+)$"
  if a then
    a, b = math.tointeger(tonumber(a)), math.tointeger(tonumber(b))
    if a > b then return nil end
    return range(a, b)
  end
  local values = {}
  for word in text:gmatch "[^,]+" do
    local value = tonumber(word)
    if not value then return nil end
    values[#values + 1] = value
  end
  return #values > 0 and values or nil
end

--- Reads what is to be swept.
-- @tparam string text "backend.concurrent=4..64"
-- @treturn[1] table `limiter`, `field`, `values`
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function compare.parse(text)
  local limiter, field, list = text:match "^(.+)%.([%w_]+)=(.+)$"
  local values = list and read_values(list)
  if not values then return nil, "what to sweep: expected it " .. HELP end
  return { limiter = limiter, field = field, values = values }
end

-- From 0 to 1.
local function normalized(rows, get)
  local low, high = math.huge, -math.huge
  for _, row in ipairs(rows) do
    low, high = math.min(low, get(row)), math.max(high, get(row))
  end
  return function(row)
    return high > low and (get(row) - low) / (high - low) or 0
  end, high > low
end

local function refused_part(row)
  return row.requests > 0 and 1 - (row.at_once + row.waited) / row.requests or 0
end

--- Where more of it brings little: the point of the curve that is the farthest
-- below the line from its first to its last one, values by their logarithms.
-- The curve is what requests pay: the p99 of their wait and service, and how
-- many of them are refused, each from its least to its most.
-- @tparam table rows `value`, and what a report has
-- @treturn ?number a value; nil: there is none
function compare.knee(rows)
  local slow, has_slow = normalized(rows, function(r) return r.time.p99 end)
  local lost, has_lost = normalized(rows, refused_part)
  local scale = normalized(rows, function(r)
    return rows[1].value > 0 and math.log(r.value) or r.value
  end)
  if not has_slow and not has_lost or #rows < 3 then return nil end
  local function price(row) return slow(row) + lost(row) end
  local from, to = price(rows[1]), price(rows[#rows])
  local best, farthest = nil, 0.05
  for _, row in ipairs(rows) do
    local below = from + (to - from) * scale(row) - price(row)
    if below > farthest + 1e-9 then best, farthest = row.value, below end
  end
  return best
end

--- A sweep as rows of texts, the first of them the heads.
-- @tparam table sweep `limiter`, `field`, `rows`
-- @treturn table
function compare.sweep_table(sweep)
  local rows = { { sweep.limiter .. "." .. sweep.field, "at once", "waited",
                   "refused", "wait p50", "wait p99", "and service p99",
                   "in flight" } }
  for i, row in ipairs(sweep.rows) do
    rows[i + 1] = { ("%.6g"):format(row.value), figures.count(row.at_once),
      figures.count(row.waited), figures.count(row.requests - row.at_once
        - row.waited), figures.time(row.wait.p50), figures.time(row.wait.p99),
      figures.time(row.time.p99), figures.count(row.in_flight) }
  end
  return rows
end

return compare
