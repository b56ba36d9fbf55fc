--- weir.replay.text: a report for a terminal.
-- @module weir.replay.text

local compare = require "weir.replay.compare"
local facts = require "weir.replay.facts"
local figures = require "weir.replay.figures"
local formats = require "weir.replay.formats"
local json = require "weir.json"

local text = {}

local WIDTH = 60 -- columns of a timeline

-- == tables ===================================================================

-- How wide something is on a terminal.
local function width_of(cell)
  return utf8.len(cell) or #cell
end

local function pad(cell, width, left)
  local room = (" "):rep(width - width_of(cell))
  return left and cell .. room or room .. cell
end

local function widths_of(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, width_of(cell))
    end
  end
  return widths
end

--- Rows of cells as lines: the first `left` columns to the left, and the last,
-- if it is text.
-- @tparam table rows
-- @tparam number left
-- @tparam[opt] boolean text_last
-- @treturn table a list of lines
function text.table(rows, left, text_last)
  local widths, lines = widths_of(rows), {}
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = pad(cell, widths[i],
                     i <= left or text_last and i == #row)
    end
    lines[n] = ("  " .. table.concat(cells, "  ")):gsub("%s+$", "")
  end
  return lines
end

local function add(lines, more)
  for _, line in ipairs(more) do lines[#lines + 1] = line end
end

-- == parts ====================================================================

local function requests_part(report)
  local rows = {}
  for i, class in ipairs(facts.classes(report)) do
    rows[i] = { class[1], figures.count(class[2]),
                figures.part(class[2], report.requests), class[3] }
  end
  return text.table(rows, 1, true)
end

local function wait_row(name, wait)
  return { name, figures.time(wait.p50), figures.time(wait.p90),
           figures.time(wait.p99), figures.time(wait.max) }
end

local function waits_part(report)
  return text.table({
    { "", "p50", "p90", "p99", "max" },
    wait_row("wait", report.wait),
    wait_row("wait and service", report.time),
  }, 1)
end

local function highest_part(report)
  return { ("  at most %s at once with the policy, %s without; at most %s "
    .. "waiting"):format(figures.count(report.in_flight),
      figures.count(report.without), figures.count(report.waiting)) }
end

local function limiter_row(limiter)
  local wait = limiter.wait
  return { formats.shown(limiter.name, 24), figures.count(limiter.at_once),
           figures.count(limiter.waited), figures.count(limiter.refused),
           figures.time(wait.p50), figures.time(wait.p90),
           figures.time(wait.p99), figures.time(wait.max),
           figures.codes(limiter.codes) }
end

--- The limiters as rows of texts, the first of them the heads.
function text.limiter_rows(report)
  local rows = { { "limiter", "at once", "waited", "refused", "p50", "p90",
                   "p99", "max", "" } }
  for i, limiter in ipairs(report.limiters) do
    rows[i + 1] = limiter_row(limiter)
  end
  return rows
end

local function limiters_part(report)
  return text.table(text.limiter_rows(report), 1, true)
end

--- What dry runs would have said, as lines.
function text.would_lines(report)
  local lines = {}
  for _, limiter in ipairs(report.limiters) do
    local codes = figures.codes(limiter.would)
    if codes ~= "" then
      lines[#lines + 1] = ("  %s is a dry run, and would have said: %s")
        :format(formats.shown(limiter.name, 24), codes)
    end
  end
  return lines
end

local function key_row(key)
  return { formats.shown(key.key, 40), formats.shown(key.limiter, 24),
           figures.count(key.at_once), figures.count(key.waited),
           figures.count(key.affected - key.waited),
           figures.time(key.wait_mean), figures.time(key.wait_max),
           figures.codes(key.refused) }
end

--- The most affected keys as rows of texts, the first of them the heads.
function text.key_rows(report, most)
  local rows = { { "key", "limiter", "at once", "waited", "refused", "mean",
                   "max wait", "" } }
  for _, key in ipairs(report.keys) do
    if key.affected > 0 and #rows <= most then
      rows[#rows + 1] = key_row(key)
    end
  end
  return rows
end

local function keys_part(report, most)
  local rows = text.key_rows(report, most)
  return #rows > 1 and text.table(rows, 2, true) or {}
end

-- == the timeline =============================================================

local BLOCKS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local LETTERS = { ".", ":", "-", "=", "+", "*", "#", "@" }

-- A list made shorter: of neighbours the sum, or the largest.
local function shorten(list, by_sum)
  local step, short = math.max(1, #list / WIDTH), {}
  for column = 1, math.min(#list, WIDTH) do
    local value = 0
    for i = math.floor((column - 1) * step) + 1, math.floor(column * step) do
      value = by_sum and value + list[i] or math.max(value, list[i])
    end
    short[column] = value
  end
  return short
end

local function draw(list, by_sum, blocks)
  local values, marks = shorten(list, by_sum), blocks and BLOCKS or LETTERS
  local most = math.max(table.unpack(values))
  for i, value in ipairs(values) do
    values[i] = value == 0 and " " or marks[math.ceil(8 * value / most)]
  end
  return table.concat(values), most
end

local function timeline_part(report, blocks)
  local timeline, lines = report.timeline, {}
  local seconds = timeline.width * math.max(1, #timeline.arrived / WIDTH)
  for _, row in ipairs { { "arrivals", "arrived", true },
                         { "in flight", "in_flight" },
                         { "waiting", "waiting" },
                         { "refused", "refused", true } } do
    local drawn, most = draw(timeline[row[2]], row[3], blocks)
    lines[#lines + 1] = ("  %-9s |%s| %s"):format(row[1],
      pad(drawn, WIDTH, true), figures.count(most))
  end
  lines[#lines + 1] = ("  a column is %s; on the right, the most of one")
    :format(figures.time(seconds))
  return lines
end

-- == all of it ================================================================

--- A report of one policy.
-- @tparam table report of `weir.replay`
-- @tparam[opt] table options
-- @tparam[opt=false] boolean options.blocks the terminal has block characters
-- @tparam[opt=10] number options.keys how many keys at most
-- @treturn string
function text.report(report, options)
  options = options or {}
  local lines = { "weir replay: " .. report.policy }
  local function part(more, title)
    if #more == 0 then return end
    lines[#lines + 1] = title and "\n" .. title or ""
    add(lines, more)
  end
  for _, fact in ipairs(facts.of(report)) do
    lines[#lines + 1] = "  " .. fact
  end
  part(requests_part(report))
  part(waits_part(report))
  part(highest_part(report))
  part(limiters_part(report))
  part(text.would_lines(report))
  part(keys_part(report, options.keys or 10))
  part(timeline_part(report, options.blocks))
  part(facts.bad_lines(report), "Lines that were skipped:")
  part(facts.trouble(report), "Trouble:")
  return table.concat(lines, "\n") .. "\n"
end

-- == several ==================================================================

-- "a.lua", "b.lua": what is different in the names of files.
local function short_names(reports)
  local names, used = {}, {}
  for i, report in ipairs(reports) do
    names[i] = formats.shown(report.policy:match "[^/]*$", 24)
    used[names[i]] = (used[names[i]] or 0) + 1
  end
  for i, report in ipairs(reports) do
    if used[names[i]] > 1 then names[i] = formats.shown(report.policy, 36) end
  end
  return names
end

text.short_names = short_names

local function compare_text(reports, options)
  local lines = { "weir replay: two policies" }
  for _, fact in ipairs(facts.of(reports[1])) do
    lines[#lines + 1] = "  " .. fact
  end
  lines[#lines + 1] = ""
  add(lines, text.table(compare.table(reports, short_names(reports)), 1))
  for _, report in ipairs(reports) do
    lines[#lines + 1] = "\n" .. report.policy
    add(lines, limiters_part(report))
    local keys = keys_part(report, options.keys or 10)
    if #keys > 0 then lines[#lines + 1] = "" end
    add(lines, keys)
    add(lines, facts.trouble(report))
  end
  return table.concat(lines, "\n") .. "\n"
end

--- What is said of a sweep's knee.
function text.knee(sweep)
  if not sweep.knee then return "the curve has no knee here" end
  return ("the knee is at %s.%s = %.6g: more brings little"):format(
    sweep.limiter, sweep.field, sweep.knee)
end

local function sweep_text(sweep, policy)
  local lines = { "weir replay: " .. policy }
  for _, fact in ipairs(facts.of(sweep.rows[1])) do
    lines[#lines + 1] = "  " .. fact
  end
  lines[#lines + 1] = ""
  add(lines, text.table(compare.sweep_table(sweep), 1))
  lines[#lines + 1] = "\n  " .. text.knee(sweep)
  return table.concat(lines, "\n") .. "\n"
end

--- What came of `weir replay`.
-- @tparam table result `report`; or `compare`, a list of them; or `sweep`, and
-- `policy`
-- @tparam[opt] table options as @{report}
-- @treturn string
function text.result(result, options)
  if result.compare then return compare_text(result.compare, options or {}) end
  if result.sweep then return sweep_text(result.sweep, result.policy) end
  return text.report(result.report, options)
end

-- == for scripts ==============================================================

-- Lists that may be empty are marked as such.
local function mark_lists(report)
  for _, name in ipairs { "keys", "limiters", "logs", "messages",
                          "warnings" } do
    json.list(report[name])
  end
  for _, log in ipairs(report.logs) do json.list(log.examples) end
  return report
end

--- The same, to be written as JSON.
-- @tparam table result
-- @treturn table
function text.plain(result)
  if result.report then return mark_lists(result.report) end
  local list = result.compare or result.sweep.rows
  for _, report in ipairs(list) do mark_lists(report) end
  if result.compare then return { policies = list } end
  return { policy = result.policy, limiter = result.sweep.limiter,
           option = result.sweep.field, knee = result.sweep.knee, rows = list }
end

return text
