--- weir.replay.facts: what a report says of its input, in sentences.
-- @module weir.replay.facts

local figures = require "weir.replay.figures"
local formats = require "weir.replay.formats"

local facts = {}

--- The sums of what was read of all logs.
-- @tparam table report
-- @treturn table as @{weir.replayer:counts}
function facts.read(report)
  local sums = {}
  for _, log in ipairs(report.logs) do
    for name, value in pairs(log) do
      if type(value) == "number" then sums[name] = (sums[name] or 0) + value end
    end
  end
  return sums
end

local function names_of(logs)
  local names = {}
  for i, log in ipairs(logs) do
    names[i] = ("%s (%s)"):format(log.name, log.format)
  end
  return table.concat(names, ", ")
end

local function service(report, sums)
  if report.service then return "serving a request takes " .. report.service end
  local text = "serving a request takes as long as the log says"
  if sums.timeless > 0 then
    text = text .. ("; %s do not say it and take none"):format(
      figures.of(sums.timeless, "line"))
  end
  return text
end

-- Lines that were not replayed, or not as they are.
local function skipped(list, sums)
  if sums.bad > 0 then
    list[#list + 1] = ("%s skipped: not as the format says"):format(
      figures.of(sums.bad, "line"))
  end
  if sums.none > 0 then
    list[#list + 1] = ("%s skipped: of no request"):format(
      figures.of(sums.none, "line"))
  end
  if sums.late > 0 then
    list[#list + 1] = ("%s came too late to be put in order (see --window), "
      .. "and were replayed when they came"):format(
        figures.of(sums.late, "line"))
  end
end

local function spread(report, sums)
  if sums.spread == 0 then return nil end
  if report.spread == false then
    return ("%s have whole seconds: requests of one second came together")
      :format(figures.of(sums.spread, "line"))
  end
  return ("%s have whole seconds: requests were spread evenly in theirs")
    :format(figures.of(sums.spread, "line"))
end

--- What was replayed, and how.
-- @tparam table report of `weir.replay`
-- @treturn table a list of sentences
function facts.of(report)
  local sums = facts.read(report)
  local list = {
    ("%s in %s of %s"):format(figures.of(report.requests, "request"),
      figures.of(sums.lines, "line"), names_of(report.logs)),
    ("from %s to %s UTC, %s"):format(figures.date(report.first),
      figures.date(report.last), figures.time(report.span)),
    service(report, sums),
  }
  if report.capacity then
    list[#list + 1] = ("the server serves %d at once, the others wait in it")
      :format(report.capacity)
  end
  list[#list + 1] = spread(report, sums)
  skipped(list, sums)
  return list
end

--- Examples of bad lines.
-- @tparam table report
-- @treturn table a list of texts
function facts.bad_lines(report)
  local list = {}
  for _, log in ipairs(report.logs) do
    for _, bad in ipairs(log.examples) do
      list[#list + 1] = ("%s:%d:%d: %s: %s"):format(log.name, bad.line,
        bad.column, bad.why, formats.shown(bad.text))
    end
  end
  return list
end

--- What went wrong otherwise: policies' errors and warnings.
-- @tparam table report
-- @treturn table a list of texts
function facts.trouble(report)
  local list = {}
  if report.errors > 0 then
    list[#list + 1] = figures.of(report.errors, "error")
      .. " in tasks, or after req:proceed"
  end
  if report.forgotten > 0 then
    list[#list + 1] = ("there were too many keys: %s were forgotten on the "
      .. "way, and count less than there was"):format(
        figures.count(report.forgotten))
  end
  for _, message in ipairs(report.messages) do list[#list + 1] = message end
  return list
end

--- What became of all requests: a list of { name, how many, codes }.
-- @tparam table report
-- @treturn table
function facts.classes(report)
  local list = {
    { "at once", report.at_once, "" },
    { "waited", report.waited, "" },
    { "refused", report.refused, figures.codes(report.codes) },
  }
  for _, name in ipairs { "answered", "failed", "unfinished" } do
    if report[name] > 0 then list[#list + 1] = { name, report[name], "" } end
  end
  return list
end

return facts
