--- `weir top` on a screen: reads a space, draws it, does what keys say.
--
-- @module weir.top.app

local weir = require "weir"
local make_model = require "weir.top.model".new
local view = require "weir.top.view"

local app = {}
app.__index = app

-- == moving ===================================================================

local function index_of(rows, id)
  for i, row in ipairs(rows) do
    if row.id == id then return i end
  end
end

-- Chooses the row that is `by` below the chosen one, and keeps it in sight.
local function move(self, by)
  local state, rows = self.state, self.rows
  local at = (index_of(rows, state.chosen) or 1) + by
  at = math.max(1, math.min(#rows, at))
  state.chosen = rows[at] and rows[at].id
  local room = view.room(self.screen)
  state.from = math.max(1, math.min(state.from, at, #rows - room + 1),
                        at - room + 1)
end

-- The rows anew: after another document, sort or filter.
local function refresh(self)
  local state = self.state
  self.rows = self.model:rows(state.sort, state.filter)
  move(self, 0)
end

local function sort_by(self, column)
  local sort = self.state.sort
  if sort.by == column.by then
    sort.down = not sort.down
  else
    self.state.sort = { by = column.by, down = column.by ~= "name" }
  end
  refresh(self)
end

-- Sorts by the column `by` to the right of the present one.
local function sort_beside(self, by)
  for i, column in ipairs(view.COLUMNS) do
    if column.by == self.state.sort.by then
      local other = view.COLUMNS[i + by]
      return other and sort_by(self, other)
    end
  end
end

-- == reading ==================================================================

-- A paused screen goes on reading, so that its rates have no hole; it shows
-- what was there.
local function read(self)
  local document, err = self.space:read()
  self.state.trouble = err
  if not document then return end
  self.model:add(document)
  if not self.state.paused then refresh(self) end
end

-- == keys =====================================================================

local function pause(self)
  self.state.paused = not self.state.paused
  if not self.state.paused then refresh(self) end
end

local function set_filter(self, filter)
  self.state.filter = filter
  refresh(self)
end

local function page(self, pages)
  move(self, pages * view.room(self.screen))
end

-- What a key does wherever it is typed; true: it quits.
local COMMON = {
  q = function() return true end,
  p = pause,
  [" "] = pause,
  ["?"] = function(self)
    self.state.before, self.state.mode = self.state.mode, "help"
  end,
}

local LIST = {
  up = function(self) move(self, -1) end,
  down = function(self) move(self, 1) end,
  k = function(self) move(self, -1) end,
  j = function(self) move(self, 1) end,
  pageup = function(self) page(self, -1) end,
  pagedown = function(self) page(self, 1) end,
  home = function(self) move(self, -#self.rows) end,
  ["end"] = function(self) move(self, #self.rows) end,
  ["<"] = function(self) sort_beside(self, -1) end,
  [">"] = function(self) sort_beside(self, 1) end,
  ["/"] = function(self) self.state.typing = true end,
  escape = function(self) set_filter(self, "") end,
  enter = function(self)
    if not self.state.chosen then return end
    self.state.mode, self.state.detail_from = "detail", 1
  end,
}
LIST.right = LIST.enter
for _, column in ipairs(view.COLUMNS) do
  LIST[column.key] = function(self) sort_by(self, column) end
end

local function scroll(by)
  return function(self)
    self.state.detail_from = self.state.detail_from + by
  end
end

local function leave_detail(self) self.state.mode = "list" end

local DETAIL = { up = scroll(-1), down = scroll(1), k = scroll(-1),
                 j = scroll(1), pageup = scroll(-10), pagedown = scroll(10),
                 home = scroll(-math.maxinteger // 2),
                 ["end"] = scroll(1000000), escape = leave_detail,
                 left = leave_detail, enter = leave_detail,
                 backspace = leave_detail }

local function without_last(text)
  local at = utf8.offset(text, -1)
  return at and text:sub(1, at - 1) or ""
end

-- While a filter is typed.
local function type_filter(self, key)
  local state = self.state
  if key == "enter" then
    state.typing = false
  elseif key == "escape" then
    state.typing = false
    set_filter(self, "")
  elseif key == "backspace" then
    set_filter(self, without_last(state.filter))
  elseif utf8.len(key) == 1 then
    set_filter(self, state.filter .. key)
  end
end

-- true: it quits.
local function do_key(self, key)
  local state = self.state
  if key == "resize" then
    move(self, 0)
  elseif state.mode == "help" then
    state.mode = state.before
  elseif state.typing then
    type_filter(self, key)
  else
    local own = state.mode == "detail" and DETAIL or LIST
    local action = own[key] or COMMON[key]
    return action and action(self)
  end
end

-- == the screen ===============================================================

local function chosen_row(self)
  local at = index_of(self.rows, self.state.chosen)
  return at and self.rows[at]
end

local function draw(self)
  local screen, state = self.screen, self.state
  screen:clear()
  if state.mode == "help" then
    view.help(screen)
  elseif state.mode == "detail" then
    view.detail(screen, state, chosen_row(self), self.model)
  else
    view.list(screen, state, self.rows, self.model)
  end
  screen:draw()
end

--- Shows a space until the user quits.
-- @param screen of weir.screen
-- @tparam table space of weir.cli.source
-- @tparam number delay seconds between two reads
function app.run(screen, space, delay)
  local self = {
    screen = screen, space = space, model = make_model(), rows = {},
    state = { name = space.name, mode = "list", filter = "", from = 1,
              sort = { by = "waiting", down = true }, detail_from = 1 },
  }
  local due = weir.now()
  repeat
    if weir.now() >= due then
      read(self)
      due = math.max(due + delay, weir.now())
    end
    draw(self)
    local key = screen:key(math.max(0, due - weir.now()))
  until key and do_key(self, key)
end

--- Lets the user choose one of several names; nil: none.
function app.choose(screen, names)
  local chosen = 1
  while true do
    screen:clear()
    view.choose(screen, names, chosen)
    screen:draw()
    local key = screen:key(3600)
    if key == "enter" or key == "right" then return names[chosen] end
    if key == "q" or key == "escape" then return nil end
    local by = (key == "down" or key == "j") and 1
      or (key == "up" or key == "k") and -1 or 0
    chosen = math.max(1, math.min(#names, chosen + by))
  end
end

return app
