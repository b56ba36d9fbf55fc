--- A real nginx for a spec: in a directory of its own, on free ports of
-- loopback, gone when the spec is over.
--
-- WEIR_NGINX_MODULE names the module, if it is not in the build that the specs
-- run on; WEIR_NGINX_WRAPPER is a command to run nginx with (valgrind),
-- WEIR_NGINX_PRELOAD a library to load before all others (AddressSanitizer's),
-- WEIR_NGINX_SLOW how many times as long all may take.

local client = require "spec.nginx.client"
local process = require "spec.nginx.process"
local socket = require "socket"
local weir = require "weir"

local nginx = {}
nginx.__index = nginx

local LONG = 15 -- seconds that nginx may take for what it is told
local MODULES = "/usr/lib/nginx/modules/"
local ROOT = os.getenv "PWD" -- of the repository

nginx.binary = os.getenv "WEIR_NGINX" or "/usr/sbin/nginx"
nginx.wrapper = os.getenv "WEIR_NGINX_WRAPPER"
nginx.preload = os.getenv "WEIR_NGINX_PRELOAD"
--- Times are longer where everything is checked, or the machine is busy.
nginx.slow = tonumber(os.getenv "WEIR_NGINX_SLOW")
  or nginx.wrapper and 6 or nginx.preload and 3 or 1

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Next to the build of the Lua module that this process uses.
local function find_module()
  local own = os.getenv "WEIR_NGINX_MODULE"
  if own then return own end
  local core = package.searchpath("weir.core", package.cpath)
  if not core then return end
  -- To nginx a relative path is one of its own prefix.
  if core:sub(1, 1) ~= "/" then core = os.getenv "PWD" .. "/" .. core end
  return (core:gsub("lua/weir/core%.so$", "nginx/ngx_http_weir_module.so"))
end

nginx.module = find_module()

--- Why there can be no specs of nginx here, or nil.
function nginx.missing(what)
  if not exists(nginx.binary) then return "there is no nginx" end
  if what == "plain" then return end
  if not nginx.module or not exists(nginx.module) then
    return "the module is not built: make nginx"
  end
end

--- Another of nginx's own modules, by its file's name; nil if not installed.
function nginx.stock(name)
  return exists(MODULES .. name) and MODULES .. name or nil
end

--- Declares a group of specs, or says why it cannot.
function nginx.describe(env, what, tests)
  local why = nginx.missing()
  env.describe(what .. " #nginx", function()
    if why then return env.pending("nginx: " .. why) end
    return tests()
  end)
end

-- == configuration ============================================================

local given = {}

--- A port of loopback that nobody has now, and nobody was given before; below
-- those that the kernel gives to connections.
function nginx.free_port()
  for _ = 1, 1000 do
    local port = math.random(10000, 32000)
    local sock = not given[port] and socket.bind("127.0.0.1", port)
    if sock then
      sock:close()
      given[port] = true
      return port
    end
  end
  error "no port of loopback is free"
end

local function is_root()
  local status = process.read "/proc/self/status"
  return status:match "\nUid:%s+(%d+)" == "0"
end
nginx.is_root = is_root()

local CONFIG = [[
{modules}
daemon {daemon};
{user}
pid {dir}/nginx.pid;
lock_file {dir}/lock;
error_log {dir}/error.log {level};
worker_processes {workers};
{files}
env WEIR_DIR;
env ASAN_OPTIONS;
env LD_PRELOAD;
{main}
events { worker_connections 4096; {events} }
http {
  {access}
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  default_type text/plain;
  upstream origin { server 127.0.0.1:{origin}; keepalive {kept}; }
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  {http}
  server {
    listen 127.0.0.1:{port} reuseport backlog=4096;
    listen 127.0.0.1:{port2} reuseport http2;
    {server}
  }
}
]]

local function load_lines(spec)
  local lines = {}
  for _, file in ipairs(spec.before or {}) do lines[#lines + 1] = file end
  if not spec.plain then lines[#lines + 1] = nginx.module end
  for _, file in ipairs(spec.after or {}) do lines[#lines + 1] = file end
  for i, file in ipairs(lines) do lines[i] = "load_module " .. file .. ";" end
  return table.concat(lines, "\n")
end

local function user_line(spec)
  if not nginx.is_root then return "" end
  return ("user %s;"):format(spec.user or "root")
end

--- The text of a configuration. `spec`:
--    http, server, main, events   what stands in these blocks
--    workers (2), user (root's own), level ("info") of the error log
--    plain                        without weir
--    before, after                modules to load before weir's, and after it
--    origin                       the port of the backend
--    kept (64)                    connections to it that are kept
--    own_dir = false              spaces lie where they lie usually
--    daemon                       becomes one: only such can be upgraded
-- In all of them {dir}, {port} and so on are filled in; {root} is ours,
-- {port3} free.
function nginx:text(spec)
  local values = {
    dir = self.dir, root = ROOT, port = self.port, port2 = self.port2,
    port3 = self.port3,
    modules = load_lines(spec), user = user_line(spec),
    -- what valgrind does not let it ask for
    files = nginx.wrapper and "" or "worker_rlimit_nofile 16384;",
    access = (spec.http or ""):find "access_log" and ""
      or "access_log {dir}/access.log;",
    level = spec.level or "info", workers = spec.workers or 2,
    origin = spec.origin or 9, kept = spec.kept or 64,
    daemon = spec.daemon and "on" or "off", events = spec.events or "",
    main = spec.main or "", http = spec.http or "", server = spec.server or "",
  }
  local function fill(text)
    return (text:gsub("{(%w+)}", function(name) return values[name] end))
  end
  for _, name in ipairs { "main", "http", "server", "access" } do
    values[name] = fill(values[name])
  end
  return fill(spec.config or CONFIG)
end

function nginx:write(name, text)
  local folder = name:match "^(.*)/"
  if folder then os.execute(("mkdir -p '%s/%s'"):format(self.dir, folder)) end
  local file <close> = assert(io.open(self.dir .. "/" .. name, "wb"))
  file:write(text)
  return self.dir .. "/" .. name
end

-- == its life =================================================================

local function make(spec)
  local dir = process.directory()
  local self = setmetatable({
    dir = dir, spec = spec, port = nginx.free_port(), port2 = nginx.free_port(),
    port3 = nginx.free_port(),
    spaces = dir .. "/spaces", read_to = {},
  }, nginx)
  assert(os.execute("mkdir -m 700 " .. self.spaces))
  if spec.user then
    os.execute(("chown %s %s"):format(spec.user, self.spaces))
  end
  for name, text in pairs(spec.files or {}) do self:write(name, text) end
  self:write("nginx.conf", self:text(spec))
  return self
end

function nginx:words(...)
  local words = {}
  for word in (nginx.wrapper or ""):gmatch "%S+" do
    words[#words + 1] = word:gsub("{dir}", self.dir)
  end
  for _, word in ipairs { nginx.binary, "-p", self.dir, "-c",
                          self.dir .. "/nginx.conf", "-e",
                          self.dir .. "/error.log", ... } do
    words[#words + 1] = word
  end
  return words
end

function nginx:env()
  return { WEIR_DIR = self.spec.own_dir ~= false and self.spaces or nil,
           LD_PRELOAD = nginx.preload,
           ASAN_OPTIONS = nginx.preload and ("detect_leaks=0:log_path=%s/asan")
             :format(self.dir) }
end

--- Whether somebody listens there.
function nginx.accepts(port)
  local sock = socket.tcp()
  local ok = sock:connect("127.0.0.1", port)
  sock:close()
  return ok
end

-- A daemon is nobody's child: this ends it when we are gone, or close the pipe.
local GUARD = "trap '' TERM INT HUP; read -r _; "
  .. "{ kill $(cat %s/nginx.pid); } 2>/dev/null; :"

local function launch(self)
  self.program = process.start(self:words(), {
    env = self:env(), stderr = self.dir .. "/stderr" })
  self.pid = self.program.pid
  if not self.spec.daemon then return true end
  if not process.gone(self.pid, LONG * nginx.slow) then return false end
  self.guard = io.popen(GUARD:format(self.dir), "w")
  self.pid = self:master()
  return true
end

local function is_up(self)
  if not process.alive(self.pid) then return "dead" end
  local workers, wanted = #self:workers(), self.spec.workers or 2
  return (workers == wanted or nginx.wrapper and workers > wanted)
    and nginx.accepts(self.port)
end

--- Starts one.
-- @treturn nginx, or raises what it said
function nginx.start(spec)
  local self = make(spec)
  local up = launch(self) and process.eventually(function()
    return is_up(self)
  end, LONG * nginx.slow)
  if not up or up == "dead" then
    local said = (process.read(self.dir .. "/stderr") or "") .. self:log()
    self:expects "."
    pcall(self.stop, self)
    error("nginx did not start:\n" .. said, 2)
  end
  return self
end

--- What `nginx -t` says of a configuration: whether it is well, and the text.
-- @tparam table spec as of `start`
-- @tparam[opt] nginx live one that runs: its directory is used
function nginx.check(spec, live)
  local self = live or make(spec)
  local name = live and self:write("other.conf", self:text(spec))
    or self.dir .. "/nginx.conf"
  local variables = {}
  for variable, value in pairs(self:env()) do
    variables[#variables + 1] = variable .. "=" .. process.quote(value)
  end
  local code, text = process.run(("%s timeout -k 1 60 %s -t -p %s -c %s -e %s")
    :format(table.concat(variables, " "), nginx.binary, self.dir, name,
            "stderr"))
  if not live then os.execute("rm -rf " .. self.dir) end
  return code == 0, text
end

-- The process id that nginx wrote: of the newest master.
function nginx:master()
  return math.tointeger(tonumber(process.read(self.dir .. "/nginx.pid") or ""))
    or self.pid
end

--- The pids of the workers of a master, those that shut down if `old`. In a
-- wrapper they have no titles: there, all that a master started are workers.
function nginx:workers(old, master)
  local list = {}
  for _, child in ipairs(process.children(master or self:master())) do
    local leaving = child.line:find "is shutting down" ~= nil
    local is_worker = nginx.wrapper or child.line:find "worker process"
    if is_worker and leaving == (old ~= nil) then
      list[#list + 1] = child.pid
    end
  end
  return list
end

function nginx:signal(name, pid)
  return process.signal(self.program, name, pid or self:master())
end

local function same(a, b)
  for _, pid in ipairs(a) do
    for _, other in ipairs(b) do if pid == other then return true end end
  end
  return false
end

-- Waits until there are workers, none of which is in `before`.
function nginx:renewed(before)
  local ok = process.eventually(function()
    local now = self:workers()
    return #now > 0 and not same(now, before)
  end, LONG * nginx.slow)
  assert(ok, "no new workers")
end

--- Reloads, with another configuration if `spec` is given, and waits for the
-- new workers.
function nginx:reload(spec)
  if spec then
    self.spec = spec
    self:write("nginx.conf", self:text(spec))
  end
  local before = self:workers()
  self:signal "HUP"
  self:renewed(before)
end

--- Opens the logs anew.
function nginx:reopen() self:signal "USR1" end

--- Starts a new master with new workers beside the old ones.
-- @treturn number the old master
function nginx:upgrade()
  local old = self:master()
  self:signal("USR2", old)
  local ok = process.eventually(function()
    return self:master() ~= old and #self:workers() > 0
  end, LONG * nginx.slow)
  assert(ok, "no new master")
  return old
end

--- Tells a worker, or all of them, to end at once.
function nginx:kill(pid)
  for _, worker in ipairs(pid and { pid } or self:workers()) do
    self:signal("KILL", worker)
  end
end

--- A spec with a backend and an nginx before it, both gone at its end.
-- @tparam table spec as of `start`; `backend`: options of the origin
-- @tparam function fn(server, origin)
function nginx.with(spec, fn)
  return function()
    local origin <close> = process.origin(spec.backend)
    local own = setmetatable({ origin = origin.port }, { __index = spec })
    local server <close> = nginx.start(own)
    local ok, err = pcall(fn, server, origin)
    if ok then return end
    for _, line in ipairs(server:complaints()) do print("# " .. line) end
    server:expects "." -- one error is enough
    error(err, 0)
  end
end

-- == its end ==================================================================

local function collect(pid, list)
  for _, child in ipairs(process.children(pid)) do
    list[#list + 1] = child.pid
    collect(child.pid, list)
  end
  return list
end

-- What sanitizers and valgrind wrote.
local function reports(self)
  local _, text = process.run(("cat %s/asan.* %s/valgrind.* 2>/dev/null")
    :format(self.dir, self.dir))
  return text
end

--- The lines of the error log that no working nginx writes, but for those that
-- match a pattern of `self.expected`.
function nginx:complaints()
  local list = {}
  for line in self:log():gmatch "[^\n]+" do
    local bad = line:find "%[alert%]" or line:find "%[emerg%]"
      or line:find "%[crit%]"
    for _, pattern in ipairs(self.expected or {}) do
      if line:find(pattern) then bad = nil end
    end
    if bad then list[#list + 1] = line end
  end
  return list
end

--- Lines that this spec brings about, by a pattern.
function nginx:expects(pattern)
  self.expected = self.expected or {}
  table.insert(self.expected, pattern)
end

--- Ends it, and everything that it started; raises what it complained of.
function nginx:stop(signal)
  if not self.program then return end
  local pids, master = collect(self.pid, {}), self:master()
  collect(master, pids)
  if master ~= self.pid then self:signal(signal or "TERM", master) end
  if self.guard then self:signal(signal or "TERM", self.pid) end
  self.program:stop(signal or "TERM", LONG * nginx.slow)
  self.program = nil
  pids[#pids + 1] = master
  local left = {}
  for _, pid in ipairs(pids) do
    if not process.gone(pid, LONG) then
      left[#left + 1] = pid
      os.execute("kill -KILL " .. pid)
    end
  end
  if self.guard then self.guard:close() end
  local complaints = table.concat(self:complaints(), "\n") .. reports(self)
  if os.getenv "WEIR_NGINX_KEEP" then
    print("# " .. self.dir)
  else
    os.execute("rm -rf " .. self.dir)
  end
  assert(#left == 0, "processes were left: " .. table.concat(left, " "))
  assert(complaints == "", complaints)
end

nginx.__close = function(self) self:stop() end

-- == what is asked of it ======================================================

--- Opens a connection.
function nginx:open() return client.open(self.port) end

--- Opens a connection and sends a request on it: see client.ask.
function nginx:ask(target, options) return self:open():ask(target, options) end

--- Sends a request and waits for the response.
function nginx:get(target, options)
  local one <close> = self:ask(target, options)
  return assert(one:answer())
end

--- Runs curl.
-- @tparam string target
-- @tparam[opt=""] string options for it; "--http2-prior-knowledge" goes to the
-- port that speaks it
-- @treturn number status
-- @treturn string what it wrote
function nginx:curl(target, options)
  options = options or ""
  local port = options:find "http2" and self.port2 or self.port
  return process.run(("curl -sS -m 20 %s 'http://127.0.0.1:%d%s'")
    :format(options, port, target))
end

--- All of the error log, of which lines match `pattern` if one is given.
function nginx:log(pattern, name)
  local text = process.read(("%s/%s"):format(self.dir, name or "error.log"))
    or ""
  if not pattern then return text end
  local list = {}
  for line in text:gmatch "[^\n]+" do
    if line:find(pattern) then list[#list + 1] = line end
  end
  return list
end

--- A space as others see it, by weir.spaces: `tickets` are those who hold and
-- those who wait.
function nginx:space(name)
  for _, space in ipairs(weir.spaces(self.spaces)) do
    if not name or space.name == "shm:" .. name then return space end
  end
end

--- How many hold or wait now.
function nginx:tickets(name)
  local space = self:space(name)
  return space and space.tickets
end

--- Waits until a condition holds; raises if it does not come to it.
function nginx.eventually(condition)
  local value = process.eventually(condition, LONG * nginx.slow)
  if not value then error("it did not happen in time", 2) end
  return value
end

--- Waits until so many hold or wait.
function nginx:has(tickets, name)
  local got
  if process.eventually(function()
    got = self:tickets(name)
    return got == tickets
  end, LONG * nginx.slow) then return true end
  error(("expected %d tickets, got %s"):format(tickets, got), 2)
end

--- The lines of the access log: written when a request is over.
function nginx:accesses(pattern)
  return self:log(pattern or ".", "access.log")
end

--- Waits until the access log has so many lines that match: they are written
-- after the response. Raises if it does not come to it.
function nginx:logged(pattern, count)
  local got
  if process.eventually(function()
    got = #self:accesses(pattern)
    return got >= count
  end) and got == count then return true end
  error(("expected %d lines with '%s', got %d:\n%s"):format(count, pattern, got,
    self:log(nil, "access.log")), 2)
end

return nginx
