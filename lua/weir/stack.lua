--- weir.stack: several decorators as one.
-- @module weir

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or meta == "weir.limiter"
    or type(meta) == "table" and meta.__call ~= nil
end

local function check(decorators)
  if type(decorators) ~= "table" then
    error("weir.stack: expected a list of decorators, got "
      .. type(decorators), 3)
  end
  for i = 1, #decorators do
    if not is_callable(decorators[i]) then
      error(("weir.stack: decorator %d must be a limiter or a function, got %s")
        :format(i, type(decorators[i])), 3)
    end
  end
end

local function check_function(value, expected)
  if not is_callable(value) then
    error(("weir.stack: %s, got %s"):format(expected, type(value)), 3)
  end
end

--- Makes one decorator of several, the outermost first: a call asks the first
-- limiter, then the second, and gives back in the opposite order. If a later
-- one refuses, those right outside of it get everything back, also the tokens
-- of a rate, less what came in meanwhile. (Across a function between them, as
-- one that tries again, they do not: it has run, and so their permits were
-- used.)
-- @function stack
-- @tparam table decorators limiters, or functions that take and give a function
-- @treturn function a decorator
-- @usage local handle = weir.stack{ per_client, backend }(function(req) end)
return function(decorators)
  check(decorators)
  local list = table.move(decorators, 1, #decorators, 1, {})
  return function(fn)
    check_function(fn, "expected a function")
    for i = #list, 1, -1 do
      fn = list[i](fn)
      check_function(fn, ("decorator %d must give a function"):format(i))
    end
    return fn
  end
end
