--- weir.policy: a policy file, for every host that runs one.
--
-- A policy is a Lua file that returns a handler, or a table of named ones. A
-- handler is a function of a request, limited as its author likes; it runs in a
-- coroutine of its own, one for each request.
-- @module weir.policy
local request = require "weir.request"
local sandbox = require "weir.sandbox"
local weir = require "weir"

local policy = {}

-- == the file =================================================================

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function"
    or type(meta) == "table" and meta.__call ~= nil
end

local function is_limiter(value)
  return type(value) == "userdata" and getmetatable(value) == "weir.limiter"
end

local function check_handler(name, value)
  if is_limiter(value) then
    error(("the handler '%s' is a limiter without a function: give it one, as "
      .. "limiter(function(req) return req:proceed() end)"):format(name), 0)
  elseif type(name) ~= "string" or not name:find "^[%w_.%-]+$" then
    error(("%s is no name of a handler: letters, digits, '_', '-' and '.'")
      :format(type(name) == "string" and ("%q"):format(name)
              or "a " .. type(name)), 0)
  elseif not is_callable(value) then
    error(("the handler '%s' must be a function, got a %s"):format(name,
      type(value)), 0)
  end
end

-- The handlers by their names; "" is that of a file that returns a function.
local function handlers_of(count, value)
  if count > 0 and is_limiter(value) then check_handler("", value) end
  if is_callable(value) then return { [""] = value } end
  if type(value) ~= "table" then
    error("expected a handler (a function) or a table of named handlers, to be "
      .. "returned at the end of the file, which returned "
      .. (count == 0 and "nothing" or "a " .. type(value)), 0)
  end
  local handlers = {}
  for name, handler in next, value do
    check_handler(name, handler)
    handlers[name] = handler
  end
  if not next(handlers) then
    error("the table that the file returned has no handlers", 0)
  end
  return handlers
end

-- What an error says. A policy's __tostring may fail, too.
local function describe(err)
  local meta = getmetatable(err)
  local kind = type(err)
  if kind == "string" or kind == "number" then return tostring(err) end
  if type(meta) == "table" and meta.__tostring or type(meta) == "string" then
    local ok, text = pcall(tostring, err)
    if ok then return text end
  end
  return ("(error object is a %s value)"):format(kind)
end

local HERE = debug.getinfo(1, "S").short_src

--- A message, and the part of the traceback that is the policy's own.
-- @param err what was raised
-- @treturn string
function policy.trace(err)
  local text = debug.traceback(describe(err), 2)
  local ours = text:find("\n\t" .. HERE .. ":", 1, true) or 0
  return (text:sub(1, ours - 1):gsub("\n\t%[C%]: in function 'xpcall'$", "")
    :gsub("\n\t%[C%]: in %?$", ""))
end

-- What calls before all else name the file themselves: `error(text, 0)`.
local function with_file(file, message)
  if message:find(file, 1, true) then return message end
  return file .. ": " .. message
end

local function run(chunk)
  local returned = table.pack(chunk())
  return handlers_of(returned.n, returned[1])
end

local function names_of(handlers)
  local names = {}
  for name in pairs(handlers) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Those that each process has for itself, and what it says of that.
local function warnings_of(before)
  local warnings = {}
  for _, limiter in ipairs(weir.limiters()) do
    local text = tostring(limiter)
    if not before[limiter] and not text:find "^weir.limiter '.*' in shm:" then
      warnings[#warnings + 1] = ("the limiter %s is each process' own: with "
        .. "space = \"shm:...\" and a name all share it"):format(
          text:match "^weir.limiter ('.*'):" or text)
    end
  end
  table.sort(warnings)
  return warnings
end

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do set[value] = true end
  return set
end

--- Loads a policy file.
-- @tparam string file
-- @tparam[opt] table options
-- @tparam[opt=true] boolean options.sandbox no files, processes or debug
-- library
-- @tparam[opt=""] string options.path where its `require` looks for files, as
-- package.path
-- @tparam[opt] string options.cpath where it looks for C modules; else there
-- are none, and
-- @tparam[opt] string options.why_no_c says why
-- @tparam[opt=false] boolean options.trial nothing live is touched: all shared
-- spaces, from here on, are made up
-- @tparam[opt] function options.clock what time it is, in seconds since 1970,
-- for os.time, os.date and os.clock
-- @tparam[opt] function options.print instead of Lua's
-- @tparam[opt] function options.warn instead of Lua's
-- @treturn[1] table `handlers` by name (of a file that returns a function it is
-- ""), their `names` in order, the URLs of `spaces` that a trial has made up,
-- and `warnings`, sentences for its author
-- @treturn[2] nil
-- @treturn[2] string what is wrong, and where
-- @treturn[2] string where that was called, if it was called
function policy.load(file, options)
  options = options or {}
  if options.trial then weir.pretend() end
  local before = set_of(weir.limiters())
  local chunk, err = sandbox.read(file, sandbox.environment(options))
  if not chunk then return nil, with_file(file, err) end
  local ok, handlers = xpcall(run, policy.trace, chunk)
  if not ok then
    local message, stack = handlers:match "^(.-)(\nstack traceback:.*)$"
    return nil, with_file(file, message or handlers), stack
  end
  local spaces = weir.pretended()
  table.sort(spaces)
  return { handlers = handlers, names = names_of(handlers),
           warnings = warnings_of(before), spaces = spaces }
end

-- == a request ================================================================

local function is_refusal(value)
  return type(value) == "table" and getmetatable(value) == "weir.refusal"
end

local function wrong(what)
  return "fail", ("the handler returned %s; return nothing to let the request "
    .. "pass, the refusal of a limiter (nil, err), or req:refuse(...)"):format(
      what)
end

--- What becomes of a request whose handler has returned: for hosts that call it
-- themselves, as @{serve} does.
-- @tparam ?table req
-- @tparam boolean ok whether it returned, or raised
-- @param first what it returned, or what @{trace} made of its error
-- @param err what else it returned
-- @treturn string as @{serve}
-- @return see there
function policy.conclude(req, ok, first, err)
  local answer = request.answer(req)
  if answer then return "answer", answer, not ok and first or nil end
  if not ok then return "fail", first end
  if first or first == nil and err == nil then return "pass" end
  if first == nil and is_refusal(err) then return "refuse", err end
  if first == nil and request.is_answer(err) then return "answer", err end
  if first == false and err == nil then return wrong "false" end
  return wrong(("%s and %s"):format(tostring(first), describe(err)))
end

--- Runs a handler for a request, in the request's coroutine: it may yield.
-- @tparam function handler
-- @tparam table req see `weir.request`
-- @treturn string what becomes of the request, unless it has proceeded before:
--
-- - "pass": it goes on
-- - "refuse" and the limiter's refusal
-- - "answer" and what req:refuse was told, by the script's own decision; and,
--   if it failed thereafter, why
-- - "fail", the handler has an error; and a message with a traceback
-- @return see there
function policy.serve(handler, req)
  return policy.conclude(req, xpcall(handler, policy.trace, req))
end

--- The HTTP status that tells of a limiter's refusal.
-- @tparam table err
-- @treturn number 429 if it has keys, as its client is one of many; else 503
function policy.status(err)
  return err.key ~= nil and 429 or 503
end

return policy
