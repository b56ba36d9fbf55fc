--- weir.map: a function over a list, one task per item.
-- @module weir
local core = require "weir.core"

local function cancel_all(tasks)
  for _, task in ipairs(tasks) do task:cancel() end
end

local CANCELED_AT_END = { __close = cancel_all }

-- As ipairs; and what is still going is canceled when the loop is left, also by
-- an error, or because the task that loops is canceled.
local function each(tasks)
  local following = ipairs(tasks)
  return following, tasks, 0, tasks
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function"
    or type(meta) == "table" and meta.__call ~= nil
end

local function check(fn, list)
  if not is_callable(fn) then
    error("weir.map: the function must be a function, got " .. type(fn), 3)
  elseif type(list) ~= "table" then
    error("weir.map: the list must be a table, got " .. type(list), 3)
  elseif not coroutine.isyieldable() then
    error("weir.map would have to wait, and nothing can wait here: call it in "
      .. "a task (weir.run, weir.spawn) or in a coroutine", 3)
  end
end

--- Calls fn(item, index) for every item of a list, each call in a task of its
-- own, and waits for all of them. If one raises, the others are canceled and
-- the error is raised here; they are canceled with the task that waits, too.
-- @function map
-- @tparam function fn
-- @tparam table list
-- @treturn table what each call returned first, in the order of the list
-- @treturn table what each call returned second: of a refused call, the error
-- @usage local pages, errors = weir.map(fetch, urls)
return function(fn, list)
  check(fn, list)
  local tasks, firsts, seconds = setmetatable({}, CANCELED_AT_END), {}, {}
  for i, item in ipairs(list) do tasks[i] = core.spawn(fn, item, i) end
  for i, task in each(tasks) do firsts[i], seconds[i] = task:join() end
  return firsts, seconds
end
