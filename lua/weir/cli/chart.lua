--- Who waited and who ran when: a progress line, and a chart at the end.
--
--    local board = chart.new()
--    board:asked(name); board:started(name); board:finished(name)
--    board:print()
--
-- The progress line is drawn on stderr, and only if that is a terminal.
--
-- @classmod weir.cli.chart

local terminal = require "weir.cli.terminal"
local weir = require "weir"

local WIDTH = 56 -- columns of a row's bar, of 80 for the row
local TICKS = 5 -- at most, on the time axis

local board = {}
board.__index = board

-- Block characters where the terminal's language has them.
local function marks()
  if terminal.has_blocks() then return { waiting = "·", running = "█" } end
  return { waiting = ".", running = "#" }
end

local function plain(_, text)
  return text
end

--- A chart with no rows.
local function new()
  return setmetatable({
    rows = {}, -- in the order they asked
    by_name = {},
    counts = { waiting = 0, running = 0, done = 0 },
    live = terminal.is_one(io.stderr), -- draws a progress line
  }, board)
end

local function progress(self, from, to)
  local counts = self.counts
  if from then counts[from] = counts[from] - 1 end
  counts[to] = counts[to] + 1
  if self.live then
    io.stderr:write(("\r%3d waiting %3d running %3d done ")
      :format(counts.waiting, counts.running, counts.done))
    io.stderr:flush()
  end
end

--- Somebody new: waits from now on.
-- @tparam string name
function board:asked(name)
  local row = { asked = weir.now() }
  self.by_name[name] = row
  table.insert(self.rows, row)
  progress(self, nil, "waiting")
end

--- Its wait is over, it runs from now on.
-- @tparam string name
function board:started(name)
  self.by_name[name].started = weir.now()
  progress(self, "waiting", "running")
end

--- It is done.
-- @tparam string name
function board:finished(name)
  self.by_name[name].finished = weir.now()
  progress(self, "running", "done")
end

-- When the first asked, and for how long it went on.
local function span(rows)
  local from, to = math.huge, 0
  for _, row in ipairs(rows) do
    from = math.min(from, row.asked)
    to = math.max(to, row.finished)
  end
  return from, math.max(to - from, 1e-3)
end

-- 1, 2 or 5 times a power of ten, so that few enough fit into `length`.
local function tick_of(length)
  local unit = 10 ^ math.floor(math.log(length / TICKS, 10))
  for _, factor in ipairs { 1, 2, 5 } do
    if length / (unit * factor) <= TICKS then return unit * factor end
  end
  return unit * 10
end

local function axis(length)
  local tick, line = tick_of(length), ""
  local digits = math.max(0, math.ceil(-math.log(tick, 10)))
  local label = ("%%.%df"):format(digits)
  for at = 0, length, tick do
    local column, text = math.floor(at / length * WIDTH), label:format(at)
    if column + #text + #" s" > WIDTH then break end
    line = line .. (" "):rep(column - #line) .. text
  end
  return line .. " s" .. (" "):rep(WIDTH - #line - 2)
end

local function bar(row, from, length, mark, paint)
  local function column(time)
    return math.floor((time - from) / length * WIDTH + 0.5)
  end
  local asked, started = column(row.asked), column(row.started)
  started = math.min(started, WIDTH - 1)
  local running = math.max(1, column(row.finished) - started)
  return (" "):rep(asked)
    .. paint("yellow", mark.waiting:rep(started - asked))
    .. paint("green", mark.running:rep(running))
    .. (" "):rep(WIDTH - started - running)
end

--- The chart as text, at most 80 columns wide.
-- @tparam[opt] function paint (colour, text) -> text in that colour
-- @treturn string
function board:draw(paint)
  paint = paint or plain
  local mark, lines = marks(), {}
  local from, length = span(self.rows)
  lines[1] = ("%4s  %s %6s %6s"):format("", axis(length), "waited", "ran")
  for n, row in ipairs(self.rows) do
    lines[n + 1] = ("%4d  %s %6.2f %6.2f"):format(n,
      bar(row, from, length, mark, paint),
      row.started - row.asked, row.finished - row.started)
  end
  lines[#lines + 1] = ("\n%4s  %s waiting  %s running\n"):format("",
    paint("yellow", mark.waiting:rep(3)), paint("green", mark.running:rep(3)))
  return table.concat(lines, "\n")
end

--- Puts the chart in place of the progress line, on stdout.
function board:print()
  if self.live then io.stderr:write "\r\27[K" end
  io.stdout:write(self:draw(terminal.painter(io.stdout)))
end

return { new = new }
