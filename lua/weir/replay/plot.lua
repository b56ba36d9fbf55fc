--- weir.replay.plot: charts, by gnuplot, as SVG for a page.
-- @module weir.replay.plot

local plot = {}

plot.MISSING = "--html draws its charts with gnuplot, which was not found: "
  .. "install it, as by `apt install gnuplot-nox`"

-- Of lines and areas, one that both a white and a black page show.
plot.COLOURS = { "#2f86d6", "#e0732b", "#4a9d5b", "#b05bb8" }

local HEAD = [[
set terminal svg size 460,240 dynamic font "sans-serif,13" linewidth 1.3
set termoption noenhanced
set border 3
set tics nomirror scale 0.5
set grid y
set key above left horizontal samplen 2 noautotitle
set lmargin 8
set rmargin 3
set yrange [0:*]
set xtics rotate by 0 autofreq
]]

local function works(command)
  local ok = os.execute(command .. " >/dev/null 2>&1")
  return ok == true
end

--- Whether there is a gnuplot.
function plot.found()
  return works "command -v gnuplot"
end

-- Runs a script; what it wrote, or nil and what it complained of.
local function gnuplot(script)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(script)
  file:close()
  local pipe = assert(io.popen(("gnuplot %s 2>&1"):format(name)))
  local out = pipe:read "a"
  local ok = pipe:close()
  os.remove(name)
  if ok and out:find "<svg" then return out end
  return nil, plot.found() and "gnuplot failed: " .. out or plot.MISSING
end

-- == from a picture of its own to a part of a page ============================

local made = 0

-- Black is the page's ink. Names are made this picture's own: a page has
-- several.
local function adopt(svg, title)
  made = made + 1
  local prefix = "c" .. made .. "-"
  svg = svg:match "<svg.*</svg>":gsub("<title>.-</title>", "", 1)
    :gsub("<desc>.-</desc>", "", 1):gsub("<title>.-</title>", "")
    :gsub("<defs>.-</defs>", function(defs)
      return (defs:gsub("<filter.-</filter>", ""))
    end)
    :gsub('color="black"', 'color="currentColor"')
    :gsub("stroke=(['\"])black%1", 'stroke="currentColor"')
    :gsub('fill="black"', 'fill="currentColor"')
    :gsub("id=(['\"])", "id=%1" .. prefix)
    :gsub("href=(['\"])#", "href=%1#" .. prefix)
    :gsub("url%(#", "url(#" .. prefix)
  return '<svg role="img" aria-label="' .. title .. '"' .. svg:sub(#"<svg" + 1)
end

local function draw(title, parts)
  local svg, err = gnuplot(table.concat(parts, "\n"))
  if not svg then return nil, err end
  return adopt(svg, title)
end

-- == charts ===================================================================

-- A data block of columns.
local function block(name, columns)
  local lines = { ("$%s << EOD"):format(name) }
  for i = 1, #columns[1] do
    local cells = {}
    for c, column in ipairs(columns) do
      cells[c] = ("%.13g"):format(column[i])
    end
    lines[i + 1] = table.concat(cells, " ")
  end
  lines[#lines + 1] = "EOD"
  return table.concat(lines, "\n")
end

local function series_of(curves, style)
  local parts = {}
  for i, curve in ipairs(curves) do
    parts[i] = ("$d using 1:%d with %s lc rgb '%s' title '%s'"):format(i + 1,
      curve.style or style, curve.colour
        or plot.COLOURS[(i - 1) % #plot.COLOURS + 1],
      curve.name)
  end
  return "plot " .. table.concat(parts, ", ")
end

-- How a time axis is written: by the span that it shows.
local function time_format(span)
  if span > 2 * 86400 then return "%m-%d" end
  if span > 600 then return "%H:%M" end
  return "%H:%M:%S"
end

-- Few enough marks that they do not meet on a telephone.
local function time_marks(span)
  for _, step in ipairs { 0.001, 0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600, 10800,
                          21600, 43200, 86400, 172800, 604800, 2592000 } do
    if span / step <= 5 then return step end
  end
  return 31536000
end

--- Something over time.
-- @tparam string title
-- @tparam table timeline `first` (seconds since 1970), `width` of a step
-- @tparam table curves a list of { name =, values =, style = }
-- @treturn[1] string SVG
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function plot.over_time(title, timeline, curves)
  local times, columns = {}, {}
  for i = 1, #curves[1].values + 1 do
    times[i] = (i - 1) * timeline.width
  end
  columns[1] = times
  for c, curve in ipairs(curves) do
    columns[c + 1] = table.move(curve.values, 1, #curve.values, 1, {})
    columns[c + 1][#times] = curve.values[#curve.values]
  end
  local span = times[#times]
  local marks = time_marks(span)
  if span < 5 then
    return draw(title, { HEAD, "set xlabel 'seconds'", block("d", columns),
      ("set xrange [0:%.9g]"):format(span), series_of(curves, "steps") })
  end
  for i, time in ipairs(times) do times[i] = timeline.first + time end
  return draw(title, { HEAD, "set xdata time", 'set timefmt "%s"',
    ('set format x "%s"'):format(time_format(span)),
    ("set xtics %.9g"):format(marks), block("d", columns),
    ('set xrange ["%.13g":"%.13g"]'):format(times[1], times[#times]),
    series_of(curves, "steps") })
end

--- Something against a number.
-- @tparam string title
-- @tparam string label of the axis
-- @tparam table values
-- @tparam table curves as for @{over_time}
-- @tparam[opt] number mark where to draw a line
-- @treturn[1] string SVG
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function plot.against(title, label, values, curves, mark)
  local columns = { values }
  for c, curve in ipairs(curves) do columns[c + 1] = curve.values end
  local logarithmic = values[1] > 0 and values[#values] / values[1] >= 8
  return draw(title, { HEAD, block("d", columns),
    ("set xlabel '%s'"):format(label:gsub("[^%w_. -]", "?")),
    logarithmic and "set logscale x 2" or "",
    ("set xrange [%.9g:%.9g]"):format(values[1],
      math.max(values[#values], values[1] + 1e-9)),
    mark and ("set arrow from first %.9g, graph 0 to first %.9g, graph 1 "
      .. "nohead dt 2 lc rgb 'gray'"):format(mark, mark) or "",
    series_of(curves, "linespoints pt 7 ps 0.4") })
end

return plot
