--- weir.sandbox: what a policy may use, and its `require`.
--
-- A policy decides about requests of strangers in somebody's server. So it has
-- no files, no processes, no debug library and no bytecode, and nothing that it
-- is given can be changed for others: libraries are copies, and metatables that
-- are not a policy's own are out of sight. Finalizers run where no budget of
-- instructions reaches, so a policy cannot make any.
-- @module weir.sandbox
local weir = require "weir"

-- What is handed out of each library; "": of _G.
local LIBRARIES = {
  [""] = { "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal",
           "rawget", "rawlen", "rawset", "select", "tonumber", "tostring",
           "type", "xpcall", "_VERSION" },
  coroutine = { "close", "create", "isyieldable", "resume", "running",
                "status", "wrap", "yield" },
  math = { "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor",
           "fmod", "huge", "log", "max", "maxinteger", "min", "mininteger",
           "modf", "pi", "rad", "random", "randomseed", "sin", "sqrt", "tan",
           "tointeger", "type", "ult" },
  os = { "clock", "date", "difftime", "time" },
  string = { "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower",
             "match", "pack", "packsize", "rep", "reverse", "sub", "unpack",
             "upper" },
  table = { "concat", "insert", "move", "pack", "remove", "sort", "unpack" },
  utf8 = { "char", "charpattern", "codepoint", "codes", "len", "offset" },
}

-- What a policy has of weir; the rest is its host's business, which runs the
-- tasks, watches descriptors and has the files.
local OF_WEIR = { "_VERSION", "all", "explain", "limiter", "limiters", "map",
                  "metrics", "now", "rate_limit", "semaphore", "sleep", "spawn",
                  "stack", "status", "status_format", "trace", "version" }

local FORBIDDEN = { "io", "debug", "package", "dofile", "loadfile" }

local function pick(library, names)
  local picked = {}
  for _, name in ipairs(names) do picked[name] = library[name] end
  return picked
end

-- == what replaces functions of Lua's =========================================

-- A metatable can be seen and changed; only that of a table is its user's.
local function get_metatable(value)
  local meta = getmetatable(value)
  if type(value) == "table" or type(meta) ~= "table" then return meta end
  return type(value)
end

local function set_metatable(value, meta)
  if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
    error("a policy can have no finalizers (__gc); use <close>, or "
      .. "`weir_sandbox off`", 2)
  end
  return setmetatable(value, meta)
end

local function count_garbage(what)
  if what == nil or what == "count" then return collectgarbage "count" end
  error(('a policy can only ask collectgarbage for "count", not for %s')
    :format(tostring(what)), 2)
end

-- Loops of Lua's own, which no budget counts, go as far as a table says that it
-- goes; so it has to be as long as it is.
local MOST = 1 << 24

local function check_length(list, name, from, to)
  local meta = type(list) == "table" and getmetatable(list)
  if type(meta) == "table" and rawget(meta, "__len") ~= nil then
    error(("table.%s: a policy can use it on tables without __len only")
      :format(name), 3)
  elseif math.type(from) and math.type(to) and to - from >= MOST then
    error(("table.%s: more than %d elements"):format(name, MOST), 3)
  end
end

local function insert(list, ...)
  check_length(list, "insert")
  return table.insert(list, ...)
end

local function remove(list, ...)
  check_length(list, "remove")
  return table.remove(list, ...)
end

local function move(list, from, to, ...)
  check_length(list, "move", from, to)
  return table.move(list, from, to, ...)
end

-- As load, but of text alone, and where it can see no more than its caller.
local function loader(env)
  return function(chunk, name, _, ...)
    if select("#", ...) == 0 then return load(chunk, name, "t", env) end
    return load(chunk, name, "t", (...))
  end
end

-- Lua's functions of time, by a host's own clock.
local function os_by(clock)
  local begin = clock()
  return {
    clock = function() return clock() - begin end,
    date = function(format, time)
      return os.date(format, time or math.floor(clock()))
    end,
    difftime = os.difftime,
    time = function(date)
      return date and os.time(date) or math.floor(clock())
    end,
  }
end

-- == weir as a policy has it ==================================================

local function open(url, options)
  if type(options) == "table" and rawget(options, "dir") ~= nil then
    error("weir.open: a policy cannot say in which directory its spaces are; "
      .. "leave `dir` out, or use `weir_sandbox off`", 2)
  end
  return weir.open(url, options)
end

local function withheld(name)
  return function()
    error(("weir.%s is not for a policy: its host runs the tasks and has the "
      .. "files"):format(name), 2)
  end
end

local function make_weir()
  local copy = pick(weir, OF_WEIR)
  for name, value in pairs(weir) do
    if copy[name] == nil and type(value) == "function" then
      copy[name] = withheld(name)
    end
  end
  copy.open = open
  return copy
end

-- == require ==================================================================

local function read_chunk(file, env)
  local handle <close>, err = io.open(file, "rb")
  if not handle then return nil, err end
  return load(handle:read "a", "@" .. file, "t", env)
end

-- A name that leads out of the directories of the path is none.
local function check_name(name)
  if type(name) ~= "string" then
    error("require: expected a module's name, got " .. type(name), 3)
  elseif not name:find "^[%w_%-.]+$" or name:find("..", 1, true)
         or name:find "^%." then
    error(("require: %q is no module's name: letters, digits, '_' and '-', "
      .. "with dots between directories"):format(name), 3)
  end
end

local function search_c(name, options)
  if not options.cpath then
    return nil, "\n\tno C module: " .. (options.why_no_c
      or "this policy has no path for them")
  end
  local file, err = package.searchpath(name, options.cpath)
  if not file then return nil, err end
  local symbol = "luaopen_" .. name:gsub("^[^%-]*%-", ""):gsub("%.", "_")
  local fn, why = package.loadlib(file, symbol)
  if fn then return fn, file end
  return nil, ("\n\tC module '%s' cannot be loaded: %s"):format(file, why)
end

local function search(name, options, env)
  local file, err = package.searchpath(name, options.path or "")
  if file then
    local chunk, why = read_chunk(file, env)
    if not chunk then error(why, 0) end
    return chunk, file
  end
  local fn, where = search_c(name, options)
  if fn then return fn, where end
  error(("module '%s' was not found, nor is it one that a policy has "
    .. "anyway:\n\t%s\n\t%s"):format(name, (err:gsub("^%s+", "")),
    (where:gsub("^%s+", ""))), 3)
end

-- Modules that are being loaded have this value.
local LOADING = {}

-- `outside`: the host's own require, for a policy that is not confined.
local function requirer(loaded, options, env, outside)
  return function(name)
    check_name(name)
    local value = loaded[name]
    if value == LOADING then
      error(("module '%s' requires itself"):format(name), 2)
    elseif value ~= nil then
      return value
    elseif outside and package.loaded[name] then
      return outside(name)
    end
    local chunk, where = search(name, options, env)
    loaded[name] = LOADING
    local ok, result = pcall(chunk, name, where)
    loaded[name] = nil
    if not ok then error(result, 0) end
    if result == nil then result = true end
    loaded[name] = result
    return result, where
  end
end

-- == environments =============================================================

local function absent(_, name)
  for _, forbidden in ipairs(FORBIDDEN) do
    if name == forbidden then
      error(("a policy has no '%s' (see `weir_sandbox`)"):format(name), 2)
    end
  end
end

local function confined(options)
  local env = pick(_G, LIBRARIES[""])
  local loaded = { weir = make_weir() }
  for name, names in pairs(LIBRARIES) do
    if name ~= "" then
      env[name] = pick(_G[name], names)
      loaded[name] = env[name]
    end
  end
  if options.clock then
    env.os = os_by(options.clock)
    loaded.os = env.os
  end
  env._G = env
  env.table.insert, env.table.remove, env.table.move = insert, remove, move
  env.getmetatable = get_metatable
  env.setmetatable = set_metatable
  env.collectgarbage = count_garbage
  env.load = loader(env)
  env.print = options.print or print
  env.warn = options.warn or warn
  env.require = requirer(loaded, options, env)
  return setmetatable(env, { __index = absent, __metatable = "policy" })
end

local function free(options)
  local env = setmetatable({}, { __index = _G })
  env._G = env
  if options.clock then
    env.os = setmetatable(os_by(options.clock), { __index = os })
  end
  env.print = options.print
  env.warn = options.warn
  env.require = requirer({ weir = weir }, options, env, require)
  return env
end

--- The globals of a policy.
-- @tparam table options of `weir.policy.load`
-- @treturn table an environment for its chunk
local function make(options)
  return options.sandbox == false and free(options) or confined(options)
end

return { environment = make, read = read_chunk }
