--- weir.metrics: what all limiters do and have done, as OpenMetrics text.
--
-- The text is valid OpenMetrics 1.0 and, byte for byte, valid in Prometheus's
-- older format, whose `promtool check metrics` has nothing to say against it.
-- The two contradict each other about counters: the one takes "_total" off the
-- name in a counter's TYPE and HELP, the other wants it there. What is right in
-- both is a counter whose TYPE is left out.
-- @module weir
local core = require "weir.core"

-- Upper bounds of the histogram: seconds, written as OpenMetrics wants them.
local LE = { "0.0001", "0.0005", "0.001", "0.005", "0.01", "0.05", "0.1",
             "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0" }

local BOUNDS = {}
for i, bound in ipairs(LE) do BOUNDS[i] = tonumber(bound) end

-- `of`: a field of what `read` gives; `by`: the label of its parts, if it is a
-- table. HELP has no quotes: the two formats escape them differently.
local FAMILIES = {
  { name = "weir_permits_limit", type = "gauge", of = "limit",
    help = "Permits there are now, per key; absent: not limited." },
  { name = "weir_permits_in_use", type = "gauge", of = "in_use",
    help = "Permits in use now." },
  { name = "weir_waiting", type = "gauge", of = "waiting",
    help = "Requests that wait now." },
  { name = "weir_keys", type = "gauge", of = "keys",
    help = "Keys known now, some of them idle." },
  { name = "weir_admitted_total", of = "admitted",
    help = "Requests admitted." },
  { name = "weir_refused_total", of = "refused", by = "code",
    help = "Requests refused, by code." },
  { name = "weir_dropped_total", of = "dropped",
    help = "Permits given back by an error or by being dropped." },
  { name = "weir_unused_total", of = "unused",
    help = "Permits given back before the work began." },
  { name = "weir_dry_run_total", of = "would", by = "verdict",
    help = "Requests admitted by a dry run, by what it would have told them." },
  { name = "weir_wait_seconds", type = "histogram", unit = "seconds",
    of = "wait", help = "How long the admitted waited, within 3.2 %." },
}

-- == text =====================================================================

-- Puts U+FFFD in the place of each byte that is no UTF-8.
local function make_utf8(text)
  local parts, from = {}, 1
  while true do
    local _, bad = utf8.len(text, from)
    parts[#parts + 1] = text:sub(from, (bad or 0) - 1)
    if not bad then return table.concat(parts) end
    parts[#parts + 1] = "\u{FFFD}"
    from = bad + 1
  end
end

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function label(name, value)
  return ('%s="%s"'):format(name, make_utf8(value):gsub('[\\"\n]', ESCAPES))
end

-- A number; the locale may have a decimal comma.
local function number(value)
  return (tostring(value):gsub(",", "."))
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- == numbers ==================================================================

-- Adds the numbers of a table, and of the tables in it, to those of another.
local function add(total, part)
  for key, value in pairs(part) do
    if type(value) == "table" then
      total[key] = total[key] or {}
      add(total[key], value)
    else
      total[key] = (total[key] or 0) + value
    end
  end
end

local function any(counts)
  for _, count in pairs(counts) do
    if count > 0 then return true end
  end
end

-- What a limiter says: `now` goes up and down, `ever` only up.
local function read(limiter)
  local stats = limiter:stats()
  local below, sum, count = limiter:waits(BOUNDS)
  local labels = label("limiter", stats.name)
  if stats.space then labels = labels .. "," .. label("space", stats.space) end
  return stats.id, {
    label = labels,
    now = { limit = stats.limit, in_use = stats.in_use, keys = stats.keys,
            waiting = stats.waiting },
    ever = { admitted = stats.admitted, refused = stats.refused,
             dropped = stats.dropped, unused = stats.unused,
             would = any(stats.would) and stats.would or nil,
             wait = { below = below, sum = sum, count = count } },
  }
end

local known = {} -- [id] = what was last read of a limiter
local gone = {}  -- [label] = the `ever` of limiters that are collected

-- Reads all limiters, and keeps what was last read of those that are no more.
local function read_all()
  local present = {}
  for _, limiter in ipairs(core.limiters()) do
    local id, entry = read(limiter)
    present[id] = entry
  end
  for id, entry in pairs(known) do
    if not present[id] then
      gone[entry.label] = gone[entry.label] or {}
      add(gone[entry.label], entry.ever)
    end
  end
  known = present
end

-- The sums by label. A label that several limiters have counts on when one of
-- them is collected; with the last of them it goes.
local function sums()
  local by_label = {}
  for _, entry in pairs(known) do
    local sum = by_label[entry.label] or {}
    by_label[entry.label] = sum
    add(sum, entry.now)
    add(sum, entry.ever)
  end
  for name, ever in pairs(gone) do
    local sum = by_label[name]
    if sum then add(sum, ever) else gone[name] = nil end
  end
  return by_label
end

-- == lines ====================================================================

local function add_sample(lines, name, labels, value)
  lines[#lines + 1] = ("%s{%s} %s"):format(name, labels, number(value))
end

local function add_histogram(lines, name, labels, wait)
  local function add_bucket(le, count)
    add_sample(lines, name .. "_bucket", labels .. "," .. label("le", le),
               count)
  end
  for i, le in ipairs(LE) do add_bucket(le, wait.below[i]) end
  add_bucket("+Inf", wait.count)
  add_sample(lines, name .. "_count", labels, wait.count)
  add_sample(lines, name .. "_sum", labels, wait.sum)
end

local function add_metric(lines, family, labels, value)
  if value == nil then
    return
  elseif family.type == "histogram" then
    add_histogram(lines, family.name, labels, value)
  elseif family.by then
    for _, part in ipairs(sorted_keys(value)) do
      add_sample(lines, family.name, labels .. "," .. label(family.by, part),
                 value[part])
    end
  else
    add_sample(lines, family.name, labels, value)
  end
end

local function add_metadata(lines, family)
  for _, what in ipairs { "type", "unit", "help" } do
    if family[what] then
      lines[#lines + 1] = ("# %s %s %s"):format(what:upper(), family.name,
                                                family[what])
    end
  end
end

-- The lines of a family; none, where no limiter has it.
local function add_family(lines, family, by_label)
  local metrics = {}
  for _, labels in ipairs(sorted_keys(by_label)) do
    add_metric(metrics, family, labels, by_label[labels][family.of])
  end
  if #metrics == 0 then return end
  add_metadata(lines, family)
  table.move(metrics, 1, #metrics, #lines + 1, lines)
end

--- What all limiters do and have done, for Prometheus and its like: OpenMetrics
-- text, to be served as
-- `application/openmetrics-text; version=1.0.0; charset=utf-8` or as
-- `text/plain; version=0.0.4`.
--
-- The label `limiter` is a limiter's name, or the file and line it was made at;
-- a limiter in a shared space has the label `space` as well, and every process
-- tells the same of it, so ask one of them. Limiters that share their labels
-- are summed, and go on being counted (as they were at the last call) when they
-- are collected while another one is there.
-- @function metrics
-- @treturn string the text, with "# EOF" as its last line
return function()
  read_all()
  local by_label, lines = sums(), {}
  for _, family in ipairs(FAMILIES) do add_family(lines, family, by_label) end
  lines[#lines + 1] = "# EOF\n"
  return table.concat(lines, "\n")
end
