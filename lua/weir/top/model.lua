--- What is known of a space over the last minute: `weir top` shows it.
--
--    local model = require "weir.top.model".new()
--    model:add(document)  -- what weir.status says as JSON, decoded
--    for _, row in ipairs(model:rows(sort, filter)) do ... end
--
-- A row has `limiter`, as in the document, `admitted` and `refused` (a second,
-- over the last two documents), `p50` and `p99` (seconds, of those admitted in
-- the last minute); nil: not known yet.
--
-- @classmod weir.top.model

local SPAN = 60 -- seconds that are remembered

local model = {}
model.__index = model

local function sum(counts)
  local total = 0
  for _, count in pairs(counts) do total = total + count end
  return total
end

--- A model that knows nothing.
local function new()
  return setmetatable({
    past = {}, -- [id] = samples, the newest last
    document = nil, -- the last one
  }, model)
end

local function id_of(limiter)
  return ("%s\0%s\0%s"):format(limiter.space, limiter.id, limiter.name)
end

local function sample_of(limiter, now)
  return { at = now, admitted = limiter.admitted,
           refused = sum(limiter.refused), waits = limiter.wait.count,
           at_most = limiter.wait.at_most }
end

-- Whether a sample cannot be of what the one before was of.
local function is_another(sample, before)
  return sample.at < before.at or sample.admitted < before.admitted
    or sample.refused < before.refused
end

local function remember(samples, sample)
  local before = samples[#samples]
  if before and is_another(sample, before) then
    samples, before = {}, nil
  end
  if not before or sample.at > before.at then
    samples[#samples + 1] = sample
  end
  while #samples > 2 and sample.at - samples[2].at >= SPAN do
    table.remove(samples, 1)
  end
  return samples
end

--- Takes a document in.
function model:add(document)
  local past = {}
  for _, limiter in ipairs(document.limiters) do
    local id = id_of(limiter)
    past[id] = remember(self.past[id] or {},
                        sample_of(limiter, document.now_seconds))
  end
  self.past = past
  self.document = document
end

-- == numbers ==================================================================

local function rate(samples, what)
  local last, before = samples[#samples], samples[#samples - 1]
  if not before then return nil end
  return (last[what] - before[what]) / (last.at - before.at)
end

-- What a part of those admitted between two samples did not wait longer than,
-- by where it lies between two bounds.
local function wait(first, last, part, bounds)
  local total = last.waits - first.waits
  local wanted, before = math.ceil(total * part), 0
  if total <= 0 then return nil end
  for i, bound in ipairs(bounds) do
    local count = last.at_most[i] - first.at_most[i]
    if count >= wanted then
      if i == 1 then return 0 end
      local low = bounds[i - 1]
      return low + (bound - low) * (wanted - before) / (count - before)
    end
    before = count
  end
  return bounds[#bounds]
end

-- What a counter was at a time between two samples.
local function counter_at(samples, what, time)
  for i = 2, #samples do
    local a, b = samples[i - 1], samples[i]
    if time <= b.at then
      return a[what] + (b[what] - a[what]) * (time - a.at) / (b.at - a.at)
    end
  end
  return samples[#samples][what]
end

--- How many were admitted a second, over the last minute in so many parts; nil
-- is not used: a part before all that is known is -1.
function model:line(limiter, parts)
  local samples = self.past[id_of(limiter)]
  local line = {}
  if not samples then return line end
  local first, last = samples[1].at, samples[#samples].at
  for i = 1, parts do
    local from = last - SPAN * (parts - i + 1) / parts
    local to = from + SPAN / parts
    if to <= first then
      line[i] = -1
    else
      from = math.max(from, first)
      line[i] = (counter_at(samples, "admitted", to)
        - counter_at(samples, "admitted", from)) / (to - from)
    end
  end
  return line
end

-- == rows =====================================================================

local function row_of(self, limiter)
  local samples = self.past[id_of(limiter)]
  local first, last = samples[1], samples[#samples]
  local bounds = self.document.wait_bounds_seconds
  return { id = id_of(limiter), limiter = limiter,
           admitted = rate(samples, "admitted"),
           refused = rate(samples, "refused"),
           p50 = wait(first, last, 0.50, bounds),
           p99 = wait(first, last, 0.99, bounds) }
end

-- By what rows can be sorted: what is not known comes last.
local VALUES = {
  name = function(row) return row.limiter.name end,
  use = function(row)
    local limit = row.limiter.limit
    return limit and row.limiter.in_use / limit or -1
  end,
  waiting = function(row) return row.limiter.waiting end,
  admitted = function(row) return row.admitted or -1 end,
  refused = function(row) return row.refused or -1 end,
  p50 = function(row) return row.p50 or -1 end,
  p99 = function(row) return row.p99 or -1 end,
}

local function compare(sort)
  local value = VALUES[sort.by]
  return function(a, b)
    local x, y = value(a), value(b)
    if x == y then return a.id < b.id end
    if sort.down then return x > y end
    return x < y
  end
end

--- The rows of the limiters whose names have a text in them.
-- @tparam table sort `by` a column's name, `down` the largest first
-- @tparam string filter in whatever case; "": all
function model:rows(sort, filter)
  local rows = {}
  for _, limiter in ipairs(self.document and self.document.limiters or {}) do
    if limiter.name:lower():find(filter:lower(), 1, true) then
      rows[#rows + 1] = row_of(self, limiter)
    end
  end
  table.sort(rows, compare(sort))
  return rows
end

return { new = new }
