--- What the specs share. busted loads it before them; WEIR_GC=stress makes the
-- collector run all the time.

local helper = {}

local LUA = os.getenv "LUA" or "lua5.4"
local CHILD = "WEIR_SPEC_CHILD" -- set in processes that specs start
local LIMIT = "timeout -k 1 300" -- seconds; for one that hangs

if os.getenv "WEIR_GC" == "stress" then
  collectgarbage("incremental", 1, 1000, 1) -- no pause, in small steps
  helper.stress = true
end

--- Collects what nobody has any more, and runs the finalizers.
function helper.collect()
  collectgarbage()
  collectgarbage()
end

--- Empties a list, and collects what was kept by it alone.
function helper.forget(list)
  for i in ipairs(list) do list[i] = nil end
  helper.collect()
end

--- A value for a to-be-closed variable: fn(error) is called at its end.
function helper.closing(fn)
  return setmetatable({}, { __close = function(_, err) fn(err) end })
end

--- A function without results that says how often it was called.
function helper.counter()
  local calls = 0
  return function() calls = calls + 1 end, function() return calls end
end

--- How many permits are held and how many wait, as a list to compare.
function helper.load(limiter)
  local stats = limiter:stats()
  return { stats.in_use, stats.waiting }
end

--- Starts a coroutine that is no task, and gives it back.
function helper.stranger(fn, ...)
  local co = coroutine.create(fn)
  local ok, err = coroutine.resume(co, ...)
  if not ok then error(err, 2) end
  return co
end

--- Asserts that fn raises a string that starts with the place of the call in
-- it, a single one, and goes on with `message`, plain text. luassert's own
-- takes the place off.
function helper.raises(message, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "expected an error: " .. message)
  assert(type(err) == "string", "expected a string, got a " .. type(err))
  local where = debug.getinfo(fn, "S")
  local file, line, text = err:match "^(.-):(%d+): (.*)"
  if file ~= where.short_src or text:sub(1, #message) ~= message
     or tonumber(line) < where.linedefined
     or tonumber(line) > where.lastlinedefined then
    error(("expected at %s:%d: %s\ngot %s"):format(
      where.short_src, where.linedefined, message, err), 2)
  end
end

-- == other processes ==========================================================

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Runs a command line; what it wrote, and its exit code.
local function run(...)
  local words = { CHILD .. "=1", ... }
  words[#words + 1] = "2>&1"
  local pipe = assert(io.popen(table.concat(words, " ")))
  local out = pipe:read "a"
  local _, how, code = pipe:close()
  return out, how == "exit" and code or 128 + code
end

local function only_globals(fn)
  for i = 1, 255 do
    local name = debug.getupvalue(fn, i)
    if not name then return end
    assert(name == "_ENV", "a child has no upvalues, but uses " .. name)
  end
end

local spaces_dir = "" -- of the processes that are started; "": weir's own

-- A file with a function in it, and the words of a shell that run it.
local function script_of(fn, ...)
  only_globals(fn)
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "wb"))
  file:write(string.dump(fn))
  local words = table.pack(...)
  for i, word in ipairs(words) do words[i] = quoted(tostring(word)) end
  return name, { "LUA_PATH=" .. quoted(package.path),
                 "LUA_CPATH=" .. quoted(package.cpath),
                 "WEIR_DIR=" .. quoted(spaces_dir) },
    { LUA, "-l spec.helper", name, table.unpack(words) }
end

--- Runs a function, which may use globals only, in a Lua of its own.
-- @tparam function fn called with the other arguments, as strings
-- @treturn string what it wrote, to stdout and to stderr
-- @treturn number its exit code; 128 and more: the signal that ended it
function helper.child(fn, ...)
  local name, variables, words = script_of(fn, ...)
  local out, code = run(table.concat(variables, " "), LIMIT,
                        table.unpack(words))
  os.remove(name)
  return out, code
end

local process = {} -- methods of one that goes on beside the spec
process.__index = process

--- The next line it writes; nil at its end.
function process:line() return self.pipe:read "l" end

--- Sends it a signal: "KILL", "STOP", "CONT".
function process:signal(name)
  os.execute(("kill -%s %d"):format(name, self.pid))
end

--- Waits for its end: what else it wrote, and its exit code as helper.child's.
function process:finish()
  if not self.pipe then return end
  local out = self.pipe:read "a"
  local _, how, code = self.pipe:close()
  os.remove(self.name)
  self.pipe = nil
  return out, how == "exit" and code or 128 + code
end

--- Ends it, however it goes.
function process:stop()
  if self.pipe then self:signal "KILL" end
  self:finish()
end

--- As helper.child, but does not wait for it.
-- @treturn table a process with `pid`, line, signal, finish and stop
function helper.start(fn, ...)
  local name, variables, words = script_of(fn, ...)
  local command = ("echo $$; %s=1 %s exec %s 2>&1"):format(
    CHILD, table.concat(variables, " "), table.concat(words, " "))
  local self = setmetatable({ pipe = assert(io.popen(command)), name = name },
                            process)
  self.pid = math.tointeger(self:line())
  return self
end

-- == shared spaces ============================================================

--- A new directory for shared spaces, those of processes that are started from
-- now on as well, and what removes it.
function helper.spaces_dir()
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir -m 700 " .. dir))
  spaces_dir = dir
  return dir, function()
    spaces_dir = ""
    os.execute("rm -rf " .. dir)
  end
end

-- == spec files with a process of their own ===================================

-- The module's path is what only busted's command line knows.
local function busted(file)
  local core = package.searchpath("weir.core", package.cpath)
  local cpath = core:gsub("weir/core", "?")
  return run(LIMIT, "busted", "--lua=" .. LUA, "--cpath=" .. quoted(cpath),
             "-o TAP", file)
end

-- Reads TAP: a list of { name =, ok =, skipped =, text = }; and if it is whole.
local function results_of(tap)
  local results, last, whole = {}, nil, false
  for line in tap:gmatch "[^\n]+" do
    local bad, name = line:match "^(n?o?t? ?)ok %d+ %- (.*)"
    if name then
      local skipped = name:match "^# SKIP (.*)"
      last = { name = skipped or name, ok = bad == "", skipped = skipped,
               text = {} }
      results[#results + 1] = last
    elseif line:find "^1%.%.%d+$" then
      whole = true
    elseif last then
      table.insert(last.text, line)
    end
  end
  return results, whole
end

local function repeat_result(env, result)
  local declare = result.skipped and env.pending or env.it
  declare(result.name, function()
    if not result.ok then error(table.concat(result.text, "\n"), 0) end
  end)
end

--- Runs the calling spec file in a process of its own and repeats its results
-- here: for virtual time, which a Lua state that has an event loop cannot have.
-- What it writes in lines that begin with "#: " is written here as well.
-- @tparam table env the file's _ENV, where busted puts what it declares with
-- @treturn bool false in that process: the file goes on
-- @usage if helper.elsewhere(_ENV) then return end
function helper.elsewhere(env)
  if os.getenv(CHILD) then return false end
  local file = debug.getinfo(2, "S").source:sub(2)
  local tap, code = busted(file)
  local results, whole = results_of(tap)
  for line in tap:gmatch "#: [^\n]*" do io.write(line, "\n") end
  for _, result in ipairs(results) do repeat_result(env, result) end
  if not whole or #results == 0 then
    env.it(file .. " runs to its end", function()
      error(("exit code %d\n%s"):format(code, tap), 0)
    end)
  end
  return true
end

-- == virtual time =============================================================

local now = 0

--- Takes the tasks to `time`, which is virtual (seconds); nothing: the same.
-- Answers what weir.step does.
function helper.at(time)
  now = time or now
  return require "weir".step(now)
end

--- The seconds that weir reads as exactly so many nanoseconds.
function helper.seconds(ns)
  local s = ns / 1e9
  return s * 1e9 > ns and s * (1 - 2^-53) or s
end

--- Seconds as a whole number of nanoseconds.
function helper.ns(seconds) return math.floor(seconds * 1e9 + 0.5) end

--- Takes the tasks to `time` by way of everything that is due before it, to the
-- nanosecond.
function helper.through(time)
  local _, due = helper.at()
  while due and due <= time do
    _, due = helper.at(helper.seconds(helper.ns(due)))
  end
  return helper.at(time)
end

--- Runs a shell command that may take so many seconds.
-- @treturn number its exit code
-- @treturn string what it wrote to stdout
-- @treturn string and to stderr
function helper.sh(command, seconds)
  local name = os.tmpname()
  local pipe = assert(io.popen(("timeout %d %s 2>%s"):format(seconds, command,
    name)))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  local file <close> = assert(io.open(name, "rb"))
  os.remove(name)
  return code, out, file:read "a"
end

return helper
