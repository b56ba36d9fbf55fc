--- Draws what `weir top` shows on a screen, or whatever has its methods `size`,
-- `put` and `wide`.
--
-- A state is what the user has chosen: `mode` ("list", "detail", "help",
-- "choose"), `sort`, `filter`, `typing`, `paused`, `chosen` (the id of a row),
-- `from` (the first row shown), and what is wrong, `trouble`.
--
-- @module weir.top.view

local readable = require "weir.cli.readable"

local view = {}

local WIDE = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local PLAIN = { "_", ".", ":", "-", "=", "+", "*", "#" }

local HEAD_ROWS, FOOT_ROWS = 4, 1

-- == columns ==================================================================

local function warn(style)
  return function(value) return value and value > 0 and style or nil end
end

--- The columns behind the name: `by` is what rows are sorted by, `key` what
-- sorts by it, which `head` has in it.
view.COLUMNS = {
  { by = "name", key = "n", head = "NAME" },
  { by = "use", key = "u", head = "USE/LIMIT", width = 12,
    text = function(row) return readable.gates(row.limiter) end },
  { by = "waiting", key = "w", head = "WAIT", width = 6,
    text = function(row) return readable.number(row.limiter.waiting) end,
    style = function(row) return warn "warn"(row.limiter.waiting) end },
  { by = "admitted", key = "a", head = "ADM/s", width = 6,
    text = function(row) return readable.number(row.admitted) end },
  { by = "refused", key = "r", head = "REF/s", width = 6,
    text = function(row) return readable.number(row.refused) end,
    style = function(row) return warn "bad"(row.refused) end },
  { by = "p50", key = "5", head = "p50", width = 6,
    text = function(row) return readable.duration(row.p50) end },
  { by = "p99", key = "9", head = "p99", width = 6,
    text = function(row) return readable.duration(row.p99) end },
}

-- Where the columns are in so many: a list of { from, width }; the last is the
-- last minute's. The name and that share what the others leave.
local function layout(columns)
  local fixed = 0
  for i = 2, #view.COLUMNS do fixed = fixed + view.COLUMNS[i].width + 1 end
  local left = math.max(columns - fixed, 12)
  local line = math.min(60, math.max(8, math.floor(left * 0.4)))
  local from = left - line + 1
  local places = { { from = 1, width = from - 2 } }
  for i = 2, #view.COLUMNS do
    places[i] = { from = from, width = view.COLUMNS[i].width }
    from = from + view.COLUMNS[i].width + 1
  end
  places[#places + 1] = { from = from, width = line }
  return places
end

local function right(text, width)
  return (" "):rep(width - (utf8.len(text) or #text)) .. text
end

-- == the last minute ==========================================================

local function level_of(value, most)
  if most <= 0 then return 1 end
  return math.max(1, math.min(8, math.ceil(value / most * 8)))
end

--- A list of numbers as one line of blocks; -1: nothing is known.
function view.blocks(values, is_wide)
  local marks, most, parts = is_wide and WIDE or PLAIN, 0, {}
  for _, value in ipairs(values) do most = math.max(most, value) end
  for i, value in ipairs(values) do
    parts[i] = value < 0 and " " or marks[level_of(value, most)]
  end
  return table.concat(parts)
end

-- == lines ====================================================================

local function put_line(screen, row, text, style)
  local _, columns = screen:size()
  screen:put(row, 1, text, columns, style)
end

local function put_title(screen, state, document)
  local rows, columns = screen:size()
  local space = document and document.spaces[1]
  local text = "weir top  " .. state.name
  if space then
    text = ("%s  %s  %s of %s"):format(text,
      readable.count(space.processes - 1, "process", "processes"),
      readable.bytes(space.used_bytes), readable.bytes(space.size_bytes))
  end
  screen:put(1, 1, text, columns, "bold")
  if state.paused then
    screen:put(1, math.max(1, columns - 7), " PAUSED ", 8, "head")
  end
  return rows
end

local function put_trouble(screen, state)
  if state.trouble then put_line(screen, 3, state.trouble, "bad") end
end

local function put_totals(screen, rows)
  local in_use, waiting, admitted, refused = 0, 0, 0, 0
  for _, row in ipairs(rows) do
    in_use = in_use + row.limiter.in_use
    waiting = waiting + row.limiter.waiting
    admitted = admitted + (row.admitted or 0)
    refused = refused + (row.refused or 0)
  end
  put_line(screen, 2, ("%s  %s in use  %s waiting  %s admitted/s  "
    .. "%s refused/s"):format(readable.count(#rows, "limiter", "limiters"),
    readable.number(in_use), readable.number(waiting),
    readable.number(admitted), readable.number(refused)))
end

local function put_head(screen, places, sort)
  put_line(screen, HEAD_ROWS, "", "head")
  for i, column in ipairs(view.COLUMNS) do
    local place, text = places[i], column.head
    if column.by == sort.by then text = text .. (sort.down and "v" or "^") end
    screen:put(HEAD_ROWS, place.from, i == 1 and text
      or right(text, place.width), place.width,
      column.by == sort.by and "chosen" or "head")
  end
  local last = places[#places]
  screen:put(HEAD_ROWS, last.from, "LAST MINUTE", last.width, "head")
end

local function put_row(screen, at, places, row, line, is_chosen)
  local style = is_chosen and "chosen" or nil
  put_line(screen, at, "", style)
  screen:put(at, 1, row.limiter.name, places[1].width, style)
  for i = 2, #view.COLUMNS do
    local column = view.COLUMNS[i]
    screen:put(at, places[i].from, right(column.text(row), places[i].width),
               places[i].width, style or column.style and column.style(row))
  end
  local last = places[#places]
  screen:put(at, last.from, view.blocks(line, screen:wide()), last.width,
             style or "mark")
end

local function put_foot(screen, text)
  local rows = screen:size()
  put_line(screen, rows, text, "head")
end

-- == the list =================================================================

--- How many rows of limiters there is room for.
function view.room(screen)
  return math.max(1, (screen:size()) - HEAD_ROWS - FOOT_ROWS)
end

local function foot_of(state)
  if state.typing then return "filter: " .. state.filter .. "_" end
  local text = "Enter look into  / filter  letters sort  p pause  ? help  "
    .. "q quit"
  if state.filter == "" then return text end
  return "filter: " .. state.filter .. "   " .. text
end

--- The limiters.
-- @param rows of the model
function view.list(screen, state, rows, model)
  local _, columns = screen:size()
  local places = layout(columns)
  put_title(screen, state, model.document)
  put_totals(screen, rows)
  put_trouble(screen, state)
  put_head(screen, places, state.sort)
  for i = 0, view.room(screen) - 1 do
    local row = rows[state.from + i]
    if not row then break end
    put_row(screen, HEAD_ROWS + 1 + i, places, row,
            model:line(row.limiter, places[#places].width),
            row.id == state.chosen)
  end
  if #rows == 0 and model.document then
    put_line(screen, HEAD_ROWS + 1, state.filter == "" and "no limiter is there"
      or "no limiter has such a name", "dim")
  end
  put_foot(screen, foot_of(state))
end

-- == one limiter ==============================================================

local function key_name(key)
  if not key then return "(no key)" end
  return key == "" and "(empty)" or key
end

local function holders_of(waiter)
  local parts = {}
  for i, holder in ipairs(waiter.holders) do
    parts[i] = ("%s x%d %s"):format(holder.pid or "?", holder.permits,
      readable.duration(holder.held_seconds))
  end
  return #parts > 0 and table.concat(parts, ", ") or "-"
end

-- Lines of a table under a title, as { text, style }.
local function add_section(lines, title, head, rows, none)
  lines[#lines + 1] = { "" }
  lines[#lines + 1] = { title, "bold" }
  if #rows == 0 then
    lines[#lines + 1] = { "  " .. none, "dim" }
    return
  end
  lines[#lines + 1] = { "  " .. head, "dim" }
  for _, row in ipairs(rows) do lines[#lines + 1] = { "  " .. row } end
end

local function map(list, fn)
  local results = {}
  for i, item in ipairs(list) do results[i] = fn(item) end
  return results
end

local function add_keys(lines, limiter)
  local format = "%-16s %8s %8s %8s %10s %8s"
  add_section(lines, "Busiest keys", format:format("KEY", "IN USE", "LIMIT",
    "WAITING", "ADMITTED", "REFUSED"), map(limiter.busiest, function(key)
      return format:format(key_name(key.key), key.in_use, key.limit or "-",
                           key.waiting, key.admitted, key.refused)
    end), "none")
end

local function add_waiters(lines, limiter)
  local format = "%-8s %-16s %5s %8s  %-8s %s"
  add_section(lines, "Oldest waiters", format:format("PID", "KEY", "ASKS",
    "WAITS", "KEPT BY", "HELD BY"), map(limiter.waiters, function(one)
      return format:format(one.pid or "?", key_name(one.key), one.cost,
        readable.duration(one.waited_seconds), one.bound_by or "-",
        holders_of(one))
    end), "nobody waits")
end

local function add_holders(lines, limiter)
  local format = "%-8s %-16s %5s %8s"
  add_section(lines, "Longest holders", format:format("PID", "KEY", "HOLDS",
    "FOR"), map(limiter.holders, function(one)
      return format:format(one.pid or "?", key_name(one.key), one.cost,
                           readable.duration(one.held_seconds))
    end), "nobody holds")
end

local function add_counts(lines, limiter)
  local codes = {}
  for code, count in pairs(limiter.refused) do
    if count > 0 then codes[#codes + 1] = ("%s %d"):format(code, count) end
  end
  table.sort(codes)
  lines[#lines + 1] = { ("admitted %d  refused %s"):format(limiter.admitted,
    #codes > 0 and table.concat(codes, ", ") or "0") }
  local wait = limiter.wait
  lines[#lines + 1] = { ("waits so far: p50 %s  p90 %s  p99 %s  max %s"):format(
    readable.duration(wait.p50_seconds), readable.duration(wait.p90_seconds),
    readable.duration(wait.p99_seconds), readable.duration(wait.max_seconds)) }
end

--- The lines about one limiter.
function view.lines_of(row)
  local limiter, lines = row.limiter, {}
  lines[1] = { ("%s  %s  %d waiting  %s admitted/s  %s refused/s"):format(
    limiter.name, readable.gates(limiter), limiter.waiting,
    readable.number(row.admitted), readable.number(row.refused)), "bold" }
  add_counts(lines, limiter)
  add_keys(lines, limiter)
  add_waiters(lines, limiter)
  add_holders(lines, limiter)
  return lines
end

--- One limiter: its keys, who waits, who holds. nil: it has gone.
function view.detail(screen, state, row, model)
  local rows = put_title(screen, state, model.document)
  local lines = row and view.lines_of(row) or { { "it is no more", "dim" } }
  local room = math.max(1, rows - 3)
  state.detail_from = math.max(1, math.min(state.detail_from,
                                           #lines - room + 1))
  for i = 0, room - 1 do
    local line = lines[state.detail_from + i]
    if line then put_line(screen, 3 + i, line[1], line[2]) end
  end
  put_trouble(screen, state)
  put_foot(screen, "Esc back  arrows scroll  p pause  ? help  q quit")
end

-- == others ===================================================================

local HELP = {
  "arrows, PgUp, PgDn, Home, End   choose a limiter",
  "Enter        its busiest keys, and who waits and holds longest",
  "Esc          back; in the list: no filter any more",
  "/            show only limiters whose name has what you type",
  "n u w a r 5 9   sort by name, use, waiting, admitted, refused, p50, p99;",
  "             once more: the other way round",
  "< >          sort by the column to the left or right",
  "p, space     pause: what is shown stays; once more: go on",
  "?            this help; any key leaves it",
  "q, Ctrl-C    quit",
  "",
  "USE/LIMIT    permits in use and how many there are; \"*\": of each key;",
  "             100/s: a rate",
  "ADM/s REF/s  admitted and refused, a second",
  "p50 p99      how long half and 99 % of those waited at most that were",
  "             admitted in the last minute",
  "LAST MINUTE  admitted a second; the newest to the right",
}

--- What the keys do.
function view.help(screen)
  put_line(screen, 1, "weir top: what the limiters of a space do", "bold")
  for i, line in ipairs(HELP) do put_line(screen, i + 2, line) end
  put_foot(screen, "any key: back")
end

--- Spaces to choose from.
function view.choose(screen, names, chosen)
  local rows = screen:size()
  put_line(screen, 1, "weir top: which space?", "bold")
  local from = math.max(1, chosen - (rows - 4) + 1)
  for i = 0, rows - 5 do
    local name = names[from + i]
    if not name then break end
    put_line(screen, 3 + i, "  " .. name,
             from + i == chosen and "chosen" or nil)
  end
  put_foot(screen, "Enter look at it  q quit")
end

return view
