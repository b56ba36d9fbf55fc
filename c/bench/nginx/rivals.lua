--- What limits the requests to a backend today, and weir: each as a server that
-- is started with a limit and a backend.
--
-- A server has `port`, `pids()` of its workers, `reload()`, `kill()` of one
-- worker, `stop()`.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local rivals = {}

-- == nginx ====================================================================

local SERVER = [[
  %s
  proxy_intercept_errors on;
  location / { proxy_pass http://origin; }
  location = /gif { empty_gif; }
  location /error { error_page 404 /instead; proxy_pass http://origin; }
  location = /instead { empty_gif; }
]]

local POLICY = [[
local weir = require "weir"
local backend = weir.rate_limit {
  space = "shm:bench", name = "backend", concurrent = %d, queue = 1000,
  timeout = %g,
}
return backend(function(req) return req:proceed() end)
]]

-- Own semaphores of each worker, as the module's manual does it.
local SEMAPHORE = {
  http = [[
    lua_package_path "/usr/share/lua/5.1/?.lua;;";
    init_worker_by_lua_block {
      local semaphore = require "ngx.semaphore"
      places = semaphore.new({share})
    }
  ]],
  server = [[
    access_by_lua_block {
      if not places:wait({timeout}) then return ngx.exit(503) end
      ngx.ctx.has_place = true
    }
    log_by_lua_block {
      if ngx.ctx.has_place then places:post(1) end
    }
  ]],
}

local function directives(limit, timeout, more)
  return { http = ("weir_limit backend concurrent=%d queue=1000 "
             .. "timeout=%dms %s;"):format(limit, timeout * 1000, more),
           server = "weir backend;" }
end

--- What stands in nginx.conf, by limit, the seconds one may wait, and how many
-- workers there are.
local configs = {
  none = function() return { plain = true, http = "", server = "" } end,
  native = function(limit)
    return { plain = true, http = [[
        limit_conn_zone $server_addr zone=conn:1m;
        limit_req_zone $server_addr zone=rate:1m rate=]]
          .. math.floor(limit * 50) .. "r/s;",
      server = ("limit_conn conn %d; limit_req zone=rate burst=%d nodelay;")
        :format(limit, limit) }
  end,
  semaphore = function(limit, timeout, workers)
    local function fill(text)
      return (text:gsub("{(%l+)}", { share = limit // workers,
                                     timeout = timeout }))
    end
    return { plain = true, before = { nginx.stock "ndk_http_module.so",
                                      nginx.stock "ngx_http_lua_module.so" },
             http = fill(SEMAPHORE.http), server = fill(SEMAPHORE.server) }
  end,
  weir = function(limit, timeout) return directives(limit, timeout, "") end,
  shedding = function(limit, timeout)
    return directives(limit, timeout,
                      "shed=codel,lifo target=20ms interval=100ms")
  end,
  policy = function(limit, timeout)
    return { http = "weir_script {dir}/p.lua;", server = "weir policy;",
             files = { ["p.lua"] = POLICY:format(limit, timeout) } }
  end,
}

local function start_nginx(config, origin, workers)
  local spec = { plain = config.plain, before = config.before,
                 files = config.files, http = config.http .. " access_log off;",
                 server = SERVER:format(config.server), origin = origin,
                 level = "crit", workers = workers }
  local server = nginx.start(spec)
  server:expects "."
  return {
    port = server.port,
    pids = function() return server:workers() end,
    reload = function() server:reload() end,
    kill = function() server:kill(server:workers()[1]) end,
    stop = function() server:stop() end,
  }
end

-- == HAProxy ==================================================================

local HAPROXY = [[
global
  nbthread %d
  maxconn 5000
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout queue %dms
frontend in
  bind 127.0.0.1:%d
  default_backend app
backend app
  http-reuse safe
  server app 127.0.0.1:%d %s
]]

local function threads_of(pid)
  local list = {}
  local _, text = process.run(("ls /proc/%d/task"):format(pid))
  for id in text:gmatch "%d+" do list[#list + 1] = tonumber(id) end
  return list
end

local function start_haproxy(limit, timeout, origin, threads)
  local dir, port = process.directory(), nginx.free_port()
  local file <close> = assert(io.open(dir .. "/haproxy.cfg", "w"))
  file:write(HAPROXY:format(threads, math.floor(timeout * 1000), port, origin,
                            limit and "maxconn " .. limit or ""))
  file:close()
  local program = process.start({ "/usr/sbin/haproxy", "-W", "-db", "-f",
    dir .. "/haproxy.cfg" }, { stderr = dir .. "/log" })
  local function workers()
    local list = {}
    for _, child in ipairs(process.children(program.pid)) do
      list[#list + 1] = child.pid
    end
    return list
  end
  assert(process.eventually(function() return nginx.accepts(port) end),
         "HAProxy did not start")
  return {
    port = port,
    pids = function() -- its threads: schedstat is of one
      local list = {}
      for _, pid in ipairs(workers()) do
        for _, id in ipairs(threads_of(pid)) do list[#list + 1] = id end
      end
      return list
    end,
    reload = function() program:signal "USR2" end,
    kill = function() program:signal("KILL", workers()[1]) end,
    stop = function()
      program:stop()
      os.execute("rm -rf " .. dir)
    end,
  }
end

-- == all ======================================================================

local MISSING = {
  semaphore = function()
    return not nginx.stock "ngx_http_lua_module.so"
      and "libnginx-mod-http-lua is not installed"
  end,
  haproxy = function()
    return not process.read "/usr/sbin/haproxy" and "haproxy is not installed"
  end,
}

--- Why one cannot be measured here, or nil.
function rivals.missing(name)
  return MISSING[name] and MISSING[name]() or nil
end

--- Starts one.
-- @tparam string name none, native, semaphore, haproxy, open_haproxy (without a
-- limit), weir, shedding, policy
-- @tparam number limit requests at once
-- @tparam number timeout seconds one may wait
-- @tparam number origin the backend's port
-- @tparam[opt=2] number workers or threads
function rivals.start(name, limit, timeout, origin, workers)
  workers = workers or 2
  if name == "haproxy" or name == "open_haproxy" then
    limit = name == "haproxy" and limit or nil
    return start_haproxy(limit, timeout, origin, workers)
  end
  return start_nginx(configs[name](limit, timeout, workers), origin, workers)
end

return rivals
