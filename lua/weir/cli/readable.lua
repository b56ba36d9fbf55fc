--- Numbers and tables as people read them.
--
-- @module weir.cli.readable

local readable = {}

--- "1 process", "2 processes".
function readable.count(count, one, many)
  return ("%d %s"):format(count, count == 1 and one or many)
end

--- Bytes: 16m, 1.5m, 300.
function readable.bytes(bytes)
  local unit, units = 0, { "k", "m", "g" }
  while bytes >= 1024 and units[unit + 1] do
    bytes, unit = bytes / 1024, unit + 1
  end
  local text = ("%.1f"):format(bytes):gsub("%.0$", "")
  return text .. (units[unit] or "")
end

--- A count or how many a second: 0, 1.5, 120, 12.3k, 4.5M; nil: "-".
function readable.number(number)
  if not number then return "-" end
  if number >= 1e6 then return ("%.1fM"):format(number / 1e6) end
  if number >= 1e4 then return ("%.1fk"):format(number / 1e3) end
  if number >= 100 or number % 1 == 0 then return ("%.0f"):format(number) end
  return ("%.1f"):format(number)
end

--- Seconds: 0, 15us, 2.5ms, 150ms, 1.2s, 3m, 1.5h; nil: "-".
function readable.duration(seconds)
  if not seconds then return "-" end
  if seconds == 0 then return "0" end
  if seconds < 1e-3 then
    return ("%.0fus"):format(math.max(1, seconds * 1e6))
  end
  if seconds < 1e-2 then return ("%.1fms"):format(seconds * 1e3) end
  if seconds < 1 then return ("%.0fms"):format(seconds * 1e3) end
  if seconds < 120 then return ("%.1fs"):format(seconds) end
  if seconds < 7200 then return ("%.0fm"):format(seconds / 60) end
  return ("%.1fh"):format(seconds / 3600)
end

--- A rate: 100/s, 5/m, 10/250ms.
function readable.rate(rate)
  local units = { [1] = "s", [60] = "m", [3600] = "h", [86400] = "d" }
  return ("%d/%s"):format(rate.count, units[rate.per_seconds]
    or readable.duration(rate.per_seconds))
end

--- What a limiter has in use and may give: "3/8", of a limiter with keys
-- "12/2*" (of each key), "100/s".
function readable.gates(limiter)
  local parts = {}
  if limiter.limit then
    parts[1] = ("%d/%d%s"):format(limiter.in_use, limiter.limit,
                                  limiter.keys > 0 and "*" or "")
  end
  if limiter.rate then parts[#parts + 1] = readable.rate(limiter.rate) end
  if limiter.closed then parts[#parts + 1] = "closed" end
  return table.concat(parts, " ")
end

--- Text without what could steer a terminal.
function readable.plain(text)
  return (text:gsub("[\0-\31\127]", "?"):gsub("\xc2[\x80-\x9f]", "?"))
end

local function widths_of(rows)
  local widths = {}
  for _, cells in ipairs(rows) do
    for i, cell in ipairs(cells) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell)
    end
  end
  return widths
end

--- Prints rows of cells: what is in the first column to the left, numbers to
-- the right.
function readable.print_rows(rows)
  local widths = widths_of(rows)
  for _, cells in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(cells) do
      local gap = (" "):rep(widths[i] - (utf8.len(cell) or #cell))
      line[i] = i == 1 and cell .. gap or gap .. cell
    end
    print((table.concat(line, "  "):gsub(" +$", "")))
  end
end

return readable
