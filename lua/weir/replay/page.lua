--- weir.replay.page: a report as one page that needs nothing else.
-- @module weir.replay.page

local compare = require "weir.replay.compare"
local facts = require "weir.replay.facts"
local figures = require "weir.replay.figures"
local formats = require "weir.replay.formats"
local plot = require "weir.replay.plot"
local text = require "weir.replay.text"

local page = {}

local STYLE = [[
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5a6570;
  --ground: #fff; --line: #d9dee3; --band: #f5f7f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa6b2;
  --ground: #14181c; --line: #343c44; --band: #1c2228; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; color: var(--ink);
  background: var(--ground); font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; color: var(--soft); }
li, pre { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; font-size: 0.85rem; background: var(--band);
  padding: 0.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: 0.9rem; }
th, td { padding: 0.25rem 0.7rem 0.25rem 0; text-align: right;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; white-space: normal;
  vertical-align: bottom; }
@media (max-width: 30rem) { th { overflow-wrap: anywhere; }
  th, td { padding-right: 0.4rem; } }
th.text, td.text { text-align: left; }
.charts { display: grid; gap: 0.5rem 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: 0.95rem; }
svg { width: 100%; height: auto; color: var(--ink); }
svg .gridline { stroke: var(--line); stroke-dasharray: none; }
]]

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
                  ['"'] = "&quot;", ["'"] = "&#39;" }

-- Anybody's text. What is no UTF-8, or a control, is shown as such.
local function escape(any)
  any = tostring(any)
  if not utf8.len(any) then any = formats.shown(any, #any) end
  return (any:gsub("[%z\1-\8\11-\31\127]", "?"):gsub("[&<>\"']", ESCAPES))
end

-- == parts ====================================================================

local function cell(tag, content, is_text)
  return ("<%s%s>%s</%s>"):format(tag, is_text and ' class="text"' or "",
    escape(content), tag)
end

-- Rows of texts; the first are the heads. `left` columns, and the last with
-- `text_last`, are text.
local function html_table(rows, left, text_last)
  local lines = { '<div class="wide"><table>' }
  for n, row in ipairs(rows) do
    local cells = {}
    for i, content in ipairs(row) do
      cells[i] = cell(n == 1 and "th" or "td", content,
                      i <= left or text_last and i == #row)
    end
    lines[#lines + 1] = "<tr>" .. table.concat(cells) .. "</tr>"
  end
  lines[#lines + 1] = "</table></div>"
  return table.concat(lines, "\n")
end

local function html_list(list)
  local lines = {}
  for i, item in ipairs(list) do
    lines[i] = "<li>" .. escape(item) .. "</li>"
  end
  return "<ul>\n" .. table.concat(lines, "\n") .. "\n</ul>"
end

local function heading(title)
  return "<h2>" .. escape(title) .. "</h2>"
end

local function texts(title, list)
  if #list == 0 then return "" end
  return ("%s<pre>%s</pre>"):format(heading(title),
    escape(table.concat(list, "\n")))
end

-- A list of { title, SVG or nil, error }; raises the first error.
local function charts(list)
  local lines = { '<div class="charts">' }
  for _, chart in ipairs(list) do
    if not chart[2] then error(chart[3], 0) end
    lines[#lines + 1] = ("<figure><figcaption>%s</figcaption>\n%s</figure>")
      :format(escape(chart[1]), chart[2])
  end
  lines[#lines + 1] = "</div>"
  return table.concat(lines, "\n")
end

local function document(title, parts)
  return ([[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<link rel="icon" href="data:,">
<style>
%s</style>
</head>
<body>
<h1>%s</h1>
%s
</body>
</html>
]]):format(escape(title), STYLE, escape(title), table.concat(parts, "\n"))
end

-- == one policy ===============================================================

-- What is counted, as so many a second.
local function a_second(list, width)
  local rates = {}
  for i, count in ipairs(list) do rates[i] = count / width end
  return rates
end

local function timeline_of(report)
  return { first = report.first, width = report.timeline.width }
end

local function chart(title, timeline, curves)
  return { title, plot.over_time(title, timeline, curves) }
end

local function timeline_charts(report)
  local line, at = report.timeline, timeline_of(report)
  return charts {
    chart("Requests per second", at, {
      { name = "came", values = a_second(line.arrived, line.width) },
      { name = "refused", values = a_second(line.refused, line.width) } }),
    chart("In flight, the most", at, {
      { name = "without the policy", values = line.without,
        colour = plot.COLOURS[2] },
      { name = "with it", values = line.in_flight,
        colour = plot.COLOURS[1] } }),
    chart("Waiting, the most", at, {
      { name = "in queues", values = line.waiting } }),
    chart("Refused", at, {
      { name = "in each step", values = line.refused } }),
  }
end

local function requests_table(report)
  local rows = { { "requests", "", "", "" } }
  for i, class in ipairs(facts.classes(report)) do
    rows[i + 1] = { class[1], figures.count(class[2]),
                    figures.part(class[2], report.requests), class[3] }
  end
  return html_table(rows, 1, true)
end

local function waits_table(report)
  local rows = { { "", "p50", "p90", "p99", "max" } }
  for _, row in ipairs { { "wait", report.wait },
                         { "wait and service", report.time } } do
    local wait = row[2]
    rows[#rows + 1] = { row[1], figures.time(wait.p50), figures.time(wait.p90),
                        figures.time(wait.p99), figures.time(wait.max) }
  end
  return html_table(rows, 1)
end

local function highest_list(report)
  return html_table({ { "the most", "with the policy", "without" },
    { "in flight", figures.count(report.in_flight),
      figures.count(report.without) },
    { "waiting", figures.count(report.waiting), "" } }, 1)
end

local function limiters_table(report)
  local rows = text.limiter_rows(report)
  if #rows == 1 then return "" end
  return heading "Limiters" .. html_table(rows, 1, true)
    .. html_list(text.would_lines(report))
end

local function keys_table(report)
  local rows = text.key_rows(report, 20)
  if #rows == 1 then return "" end
  return heading "The keys most affected" .. html_table(rows, 2, true)
end

local function policy_parts(report)
  return { timeline_charts(report), heading "Requests", requests_table(report),
           heading "Time", waits_table(report), highest_list(report),
           limiters_table(report), keys_table(report),
           texts("Trouble", facts.trouble(report)) }
end

local function one(report)
  local parts = { html_list(facts.of(report)) }
  table.move(policy_parts(report), 1, 20, #parts + 1, parts)
  parts[#parts + 1] = texts("Lines that were skipped", facts.bad_lines(report))
  return document("weir replay: " .. report.policy, parts)
end

-- == several ==================================================================

-- The same of all reports, whose timelines are of the same logs, but may have
-- other steps.
local function widest(reports)
  local width = 0
  for _, report in ipairs(reports) do
    width = math.max(width, report.timeline.width)
  end
  return width
end

-- A list in wider steps: of those that become one the sum, or the largest.
local function widen(list, factor, by_sum)
  local wide = {}
  for i, value in ipairs(list) do
    local at = (i - 1) // factor + 1
    local before = wide[at] or 0
    wide[at] = by_sum and before + value or math.max(before, value)
  end
  return wide
end

local function curves_of(reports, names, name, width, by_sum)
  local curves, longest = {}, 0
  for i, report in ipairs(reports) do
    local factor = math.floor(width / report.timeline.width + 0.5)
    local values = widen(report.timeline[name], factor, by_sum)
    curves[i] = { name = names[i], values = values }
    longest = math.max(longest, #values)
  end
  for _, curve in ipairs(curves) do
    for i = #curve.values + 1, longest do curve.values[i] = 0 end
  end
  return curves
end

local function compare_charts(reports)
  local width, letters = widest(reports), {}
  for i in ipairs(reports) do letters[i] = string.char(64 + i) end
  local at = { first = reports[1].first, width = width }
  local list = {}
  for _, row in ipairs { { "Refused", "refused", true },
                         { "In flight, the most", "in_flight" },
                         { "Waiting, the most", "waiting" } } do
    list[#list + 1] = chart(row[1], at,
      curves_of(reports, letters, row[2], width, row[3]))
  end
  return charts(list)
end

local function compare_page(reports)
  local names = text.short_names(reports)
  for i, name in ipairs(names) do
    names[i] = ("%s: %s"):format(string.char(64 + i), name)
  end
  local parts = { html_list(facts.of(reports[1])), compare_charts(reports),
    heading "Side by side", html_table(compare.table(reports, names), 1) }
  for i, report in ipairs(reports) do
    parts[#parts + 1] = heading(("%s: %s"):format(string.char(64 + i),
      report.policy))
    table.move(policy_parts(report), 1, 20, #parts + 1, parts)
  end
  return document("weir replay: two policies", parts)
end

local function sweep_curves(sweep, ...)
  local curves = {}
  for i, curve in ipairs { ... } do
    local values = {}
    for n, row in ipairs(sweep.rows) do values[n] = curve[2](row) end
    curves[i] = { name = curve[1], values = values }
  end
  return curves
end

local function sweep_chart(sweep, title, ...)
  return { title, plot.against(title, sweep.limiter .. "." .. sweep.field,
    sweep.values, sweep_curves(sweep, ...), sweep.knee) }
end

local function refused_share(row)
  if row.requests == 0 then return 0 end
  return 100 * (1 - (row.at_once + row.waited) / row.requests)
end

local function sweep_page(sweep, policy)
  return document(("weir replay: %s, %s.%s"):format(policy, sweep.limiter,
      sweep.field), {
    html_list(facts.of(sweep.rows[1])),
    charts {
      sweep_chart(sweep, "Seconds that 99 % took at most",
        { "wait", function(r) return r.wait.p99 end },
        { "wait and service", function(r) return r.time.p99 end }),
      sweep_chart(sweep, "Refused, %", { "of all requests", refused_share }),
      sweep_chart(sweep, "In flight, the most",
        { "with the policy", function(r) return r.in_flight end }),
      sweep_chart(sweep, "Waiting, the most",
        { "in queues", function(r) return r.waiting end }),
    },
    "<p>" .. escape(text.knee(sweep)) .. "</p>",
    html_table(compare.sweep_table(sweep), 1),
  })
end

--- A page of what came of `weir replay`.
-- @tparam table result as @{weir.replay.text.result}
-- @treturn[1] string HTML
-- @treturn[2] nil
-- @treturn[2] string what is wrong: gnuplot is missing, or failed
function page.page(result)
  local ok, html = pcall(function()
    if result.compare then return compare_page(result.compare) end
    if result.sweep then return sweep_page(result.sweep, result.policy) end
    return one(result.report)
  end)
  if not ok then return nil, html end
  return html
end

return page
