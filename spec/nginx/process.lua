--- Programs that run beside a spec, and end with it whatever happens to it.

local client = require "spec.nginx.client"
local socket = require "socket"

local process = {}
process.__index = process

local STEP = 0.005 -- seconds between looks

--- A word for the shell that means itself.
function process.quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

--- Looks until a condition holds: what it answers, or nil after `seconds`.
function process.eventually(condition, seconds)
  local due = socket.gettime() + (seconds or 5)
  while true do
    local value = condition()
    if value then return value end
    if socket.gettime() > due then return nil end
    socket.sleep(STEP)
  end
end

--- All of a file, or nil.
function process.read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

--- A new directory that others may pass through, as an nginx of another user
-- has to.
function process.directory()
  local pipe = io.popen "mktemp -d -t weir-nginx-XXXXXX"
  local dir = pipe:read "l"
  pipe:close()
  os.execute("chmod 755 " .. dir)
  return dir
end

--- The shell's status of a command, and what it wrote.
function process.run(command)
  local pipe = io.popen("{ " .. command .. "; } 2>&1")
  local text = pipe:read "a"
  local _, how, code = pipe:close()
  return how == "exit" and code or 128 + code, text
end

--- Starts a program.
-- @tparam table words
-- @tparam[opt] table options `env`: variables; `stderr`: a file; `files`: how
-- many it may open; `seconds` it may live
function process.start(words, options)
  options = options or {}
  local parts = { ("ulimit -n %d; echo $$;"):format(options.files or 16384) }
  for name, value in pairs(options.env or {}) do
    parts[#parts + 1] = name .. "=" .. process.quote(value)
  end
  parts[#parts + 1] = "exec setpriv --pdeathsig TERM"
  for _, word in ipairs(words) do parts[#parts + 1] = process.quote(word) end
  parts[#parts + 1] = "2>>" .. process.quote(options.stderr or "/dev/stderr")
  local pipe = assert(io.popen(table.concat(parts, " ")))
  local self = setmetatable({ pipe = pipe, stderr = options.stderr }, process)
  self.pid = math.tointeger(tonumber(pipe:read "l"))
  return self
end

--- Starts one of the programs of this directory.
function process.start_lua(name, args)
  local words = { os.getenv "LUA" or "lua5.4", "spec/nginx/" .. name .. ".lua" }
  for option, value in pairs(args or {}) do
    words[#words + 1] = option .. "=" .. value
  end
  return process.start(words, {
    env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
end

--- Starts the backend: `port`, and `tell(what)` for what it is asked.
function process.origin(args)
  local self = process.start_lua("origin", args)
  self.port = math.tointeger(tonumber(self:line()))
  assert(self.port, "the origin did not start")
  return self
end

--- What the origin answers: stats as a table, seen as a list.
function process:tell(what)
  local one <close> = client.open(self.port)
  local text = assert(one:ask("/origin/" .. what):answer()).body
  if what == "stats" then
    local stats = {}
    for name, n in text:gmatch "(%l+) (%d+)" do stats[name] = tonumber(n) end
    return stats
  elseif what == "seen" then
    local list = {}
    for target in text:gmatch "[^\n]+" do list[#list + 1] = target end
    return list
  end
  return text
end

--- Waits until the origin serves so many; raises if it does not come to it.
function process:serves(n)
  local got
  if process.eventually(function()
    got = self:tell("stats").serving
    return got == n
  end, 20) then return true end
  error(("the origin should serve %d, it serves %d"):format(n, got), 2)
end

--- Starts an open-loop load; its `result` is what it writes at its end.
function process.load(args) return process.start_lua("load", args) end

function process:result()
  local text = self.pipe:read "a"
  self.pipe:close()
  self.pipe = nil
  assert(text ~= "", "the load wrote nothing")
  return assert(load("return " .. text))()
end

--- The next line of its output.
function process:line() return self.pipe:read "l" end

--- Sends a signal, to it or to another process.
function process:signal(name, pid)
  return os.execute(("kill -%s %d 2>/dev/null"):format(name, pid or self.pid))
end

-- A process without anything left but its exit status counts as gone.
local function state_of(pid)
  local stat = process.read(("/proc/%d/stat"):format(pid))
  return stat and stat:match "%) (%a)"
end

--- Whether a process goes on.
function process.alive(pid)
  local state = state_of(pid)
  return state ~= nil and state ~= "Z" and state ~= "X"
end

--- Waits until a process is gone; false if it is not after `seconds`.
function process.gone(pid, seconds)
  return process.eventually(function() return not process.alive(pid) end,
                            seconds) or false
end

--- The processes that a process started, with their command lines.
function process.children(pid)
  local list = {}
  local text = process.read(("/proc/%d/task/%d/children"):format(pid, pid))
  for child in (text or ""):gmatch "%d+" do
    local line = process.read(("/proc/%s/cmdline"):format(child)) or ""
    list[#list + 1] = { pid = math.tointeger(tonumber(child)),
                        line = line:gsub("%z", " ") }
  end
  return list
end

--- Seconds of CPU that a process has used.
function process.cpu(pid)
  local sched = process.read(("/proc/%d/schedstat"):format(pid))
  return sched and tonumber(sched:match "^%d+") / 1e9 or 0
end

--- Ends it: with a signal, and if that does not help, with another.
-- @treturn number its exit status
function process:stop(signal, seconds)
  if not self.pipe then return end
  self:signal(signal or "TERM")
  if not process.gone(self.pid, seconds or 10) then self:signal "KILL" end
  local _, how, code = self.pipe:close()
  self.pipe = nil
  return how == "exit" and code or 128 + code
end

process.__close = function(self) self:stop() end

-- Whoever forgets it, or ends by an error, must not wait for it for ever.
process.__gc = process.__close

return process
