--- weir.map: a function over a list, one task per item.
-- @module weir
local core = require "weir.core"

local function cancel_all(tasks)
  for _, task in ipairs(tasks) do task:cancel() end
end

--- Calls fn(item, index) for every item of a list, each call in a task of its
-- own, and waits for all of them. If one raises, the others are canceled and
-- the error is raised here.
-- @function map
-- @tparam function fn
-- @tparam table list
-- @treturn table what each call returned first, in the order of the list
-- @treturn table what each call returned second: of a refused call, the error
-- @usage local pages, errors = weir.map(fetch, urls)
return function(fn, list)
  if type(list) ~= "table" then
    error("weir.map: the list must be a table, got " .. type(list), 2)
  end
  local tasks, firsts, seconds = {}, {}, {}
  for i, item in ipairs(list) do tasks[i] = core.spawn(fn, item, i) end
  for i, task in ipairs(tasks) do
    local ok, first, second = pcall(task.join, task)
    if not ok then
      cancel_all(tasks)
      error(first, 0)
    end
    firsts[i], seconds[i] = first, second
  end
  return firsts, seconds
end
