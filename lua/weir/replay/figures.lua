--- weir.replay.figures: numbers as people read them.
-- @module weir.replay.figures

local figures = {}

--- "12,345"
function figures.count(n)
  local digits = ("%d"):format(n)
  local text = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

-- Three digits, and no more than are needed.
local function three(n)
  local text = n >= 100 and ("%.0f"):format(n) or n >= 10 and ("%.1f"):format(n)
    or ("%.2f"):format(n)
  return (text:gsub("(%..-)0+$", "%1"):gsub("%.$", ""))
end

local UNITS = { { 3600, "h", 7200 }, { 60, "min", 120 }, { 1, "s", 0.9995 },
                { 1e-3, "ms", 0.9995e-3 }, { 1e-6, "us", 0.9995e-6 },
                { 1e-9, "ns", 0 } }

--- "0.25 s", "12.5 ms"; 0 is "0".
function figures.time(seconds)
  if seconds == 0 then return "0" end
  for _, unit in ipairs(UNITS) do
    if seconds >= unit[3] then
      return three(seconds / unit[1]) .. " " .. unit[2]
    end
  end
end

--- "12.5 %"
function figures.part(n, of)
  if of == 0 then return "" end
  return ("%.2f %%"):format(100 * n / of)
end

--- "2015-05-17 10:05:03"
function figures.date(seconds)
  return os.date("!%Y-%m-%d %H:%M:%S", math.floor(seconds))
end

--- The names of a table of counts, the largest first.
function figures.by_size(counts)
  local names = {}
  for name, count in pairs(counts) do
    if count > 0 then names[#names + 1] = name end
  end
  table.sort(names, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return tostring(a) < tostring(b)
  end)
  return names
end

--- "3 full, 2 timeout"; "" for none.
function figures.codes(counts)
  local parts = {}
  for i, name in ipairs(figures.by_size(counts)) do
    parts[i] = ("%s %s"):format(figures.count(counts[name]), name)
  end
  return table.concat(parts, ", ")
end

--- "1 line", "2 lines"
function figures.of(n, noun)
  return ("%s %s%s"):format(figures.count(n), noun, n == 1 and "" or "s")
end

return figures
