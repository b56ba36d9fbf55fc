--- One space for all workers: across reloads, upgrades and kills, and with
-- workers of another user.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"
local socket = require "socket"
local weir = require "weir"

local with, eventually = nginx.with, nginx.eventually
local LOCATION = "location / { weir gate; proxy_pass http://origin; }"

local function gate(options, more)
  local spec = {
    http = "weir_space api 16m; weir_limit gate " .. options .. ";",
    server = LOCATION }
  for name, value in pairs(more or {}) do spec[name] = value end
  return spec
end

local function ask(server, n, target)
  local list = {}
  for i = 1, n do list[i] = server:ask(target) end
  return list
end

-- What became of requests: how many 200s, and what else.
local function count(list)
  local good, others = 0, {}
  for _, one in ipairs(list) do
    local status = one:status()
    one:close()
    if status == 200 then good = good + 1 else others[#others + 1] = status end
  end
  return good, others
end

-- Reloads with other options of the limiter.
local function change(server, options)
  server:reload(setmetatable({ http = gate(options).http },
                             { __index = server.spec }))
end

-- The worker that has a connection to the origin.
local function holder_of(server, origin)
  local _, inodes = process.run(("awk '$3 ~ /:%04X$/ { print $10 }' "
    .. "/proc/net/tcp"):format(origin.port))
  for _, worker in ipairs(server:workers()) do
    local _, files = process.run(("ls -l /proc/%d/fd"):format(worker))
    for inode in inodes:gmatch "%d+" do
      if files:find("socket:[" .. inode .. "]", 1, true) then return worker end
    end
  end
end

nginx.describe(_ENV, "a reload", function()
  it("keeps the queue, and the permits of old workers counted",
    with(gate "concurrent=3 timeout=60s", function(server, origin)
      local held = ask(server, 3, "/h?hold")
      origin:serves(3)
      local waiting = ask(server, 4, "/w")
      server:has(7)
      server:reload()
      local after = ask(server, 4, "/after?hold")
      server:has(11)
      assert.equal(3, origin:tell("stats").began)
      eventually(function() return #server:workers "old" > 0 end)
      origin:tell "free"
      assert.equal(3, (count(held)))
      assert.equal(4, (count(waiting)))
      origin:serves(3)
      origin:tell "free"
      origin:serves(1)
      origin:tell "free"
      assert.equal(4, (count(after)))
      assert.equal(3, origin:tell("stats").highest)
      server:has(0)
      eventually(function() return #server:workers "old" == 0 end)
    end))

  it("with a higher limit lets those go who wait already",
    with(gate "concurrent=1 timeout=60s", function(server, origin)
      local list = ask(server, 5, "/?hold")
      origin:serves(1)
      server:has(5)
      change(server, "concurrent=4 timeout=60s")
      origin:serves(4)
      server:has(5)
      origin:tell "free"
      origin:serves(1)
      origin:tell "free"
      assert.equal(5, (count(list)))
      server:has(0)
    end))

  it("with a lower limit waits until it is reached",
    with(gate "concurrent=3 timeout=60s", function(server, origin)
      local list = ask(server, 5, "/?hold")
      origin:serves(3)
      server:has(5)
      change(server, "concurrent=1 timeout=60s")
      local more = ask(server, 1, "/?hold")
      server:has(6)
      origin:tell "free?n=2"
      server:has(4)
      assert.equal(1, origin:tell("stats").serving) -- nobody came after them
      for _ = 1, 4 do
        origin:serves(1)
        origin:tell "free"
        origin:tell "reset"
      end
      assert.equal(5, (count(list)))
      assert.equal(1, (count(more)))
      assert.is_true(origin:tell("stats").highest <= 1)
      server:has(0)
    end))

  it("keeps what was used of a rate", with(gate "rate=3/h burst=3 queue=0",
    function(server)
      for _ = 1, 2 do assert.equal(200, server:get("/").status) end
      server:reload()
      local list = { server:get("/").status, server:get("/").status }
      assert.same({ 200, 503 }, list)
    end))

  it("with a wrong configuration changes nothing", with(gate
    "concurrent=1 queue=0", function(server, origin)
      local held = ask(server, 1, "/?hold")
      origin:serves(1)
      server:write("nginx.conf", server:text(gate "concurrent=none"))
      server:expects "%[emerg%]"
      server:signal "HUP"
      eventually(function() return #server:log "%[emerg%]" > 0 end)
      assert.equal(503, server:get("/").status)
      origin:tell "free"
      assert.equal(1, (count(held)))
      server:has(0)
      assert.equal(200, server:get("/").status)
    end))

  it("that drops the limiter lets those pass who waited for it",
    with(gate "concurrent=1 timeout=60s", function(server, origin)
      local held = ask(server, 1, "/?hold")
      origin:serves(1)
      local waiting = ask(server, 3, "/w")
      server:has(4)
      server:reload { server = "location / { proxy_pass http://origin; }",
                      origin = server.spec.origin }
      assert.equal(200, server:get("/").status)
      origin:tell "free"
      assert.equal(1, (count(held)))
      assert.equal(3, (count(waiting)))
      server:has(0)
    end))

  it("cannot change the size of a space, and says so",
    with(gate "concurrent=1", function(server)
      server:reload(setmetatable({ http = server.spec.http:gsub("16m", "32m") },
                                 { __index = server.spec }))
      assert.is_true(#server:log "%[warn%].*weir_space api stays as it is" > 0)
      assert.equal(200, server:get("/").status)
      assert.equal(16 << 20, server:space().size)
    end))

  for _, workers in ipairs { 1, 2, 4 } do
    it(("twice under load keeps the limit, with %d workers"):format(workers),
      with(gate("concurrent=8 queue=1000 timeout=500ms",
                { workers = workers }), function(server, origin)
        local load = process.load { port = server.port, clients = "all:800",
                                    seconds = 3 }
        for _ = 1, 2 do
          socket.sleep(0.7)
          server:reload()
        end
        local result = load:result()
        assert.is_true(result.status[200] > 300, result.status[200])
        server:has(0)
        origin:serves(0)
        assert.equal(8, origin:tell("stats").highest)
      end))
  end
end)

nginx.describe(_ENV, "a binary upgrade", function()
  it("shares the space between both masters' workers",
    with(gate("concurrent=2 timeout=60s", { daemon = true }),
      function(server, origin)
        local held = ask(server, 2, "/h?hold")
        origin:serves(2)
        local waiting = ask(server, 2, "/w?hold")
        server:has(4)
        local old = server:upgrade()
        server:signal("WINCH", old) -- its workers finish what they have
        local new = {}
        eventually(function() -- until one of them is a new worker's
          new[#new + 1] = server:ask "/n"
          return #new > 3
        end)
        server:has(8)
        assert.equal(2, origin:tell("stats").began)
        server:signal("QUIT", old)
        origin:tell "free"
        assert.equal(2, (count(held)))
        origin:serves(2)
        origin:tell "free"
        assert.equal(2, (count(waiting)))
        assert.equal(4, (count(new)))
        assert.equal(2, origin:tell("stats").highest)
        assert.is_true(process.gone(old))
        server:has(0)
        assert.equal(200, server:get("/").status)
      end))
end)

nginx.describe(_ENV, "a worker that is killed", function()
  for _, workers in ipairs { 1, 2, 4 } do
    it(("gives everything back, of %d"):format(workers),
      with(gate("concurrent=8 timeout=60s", { workers = workers }),
        function(server, origin)
          server:expects "exited on signal 9"
          for _ = 1, 3 do
            local list = ask(server, 8, "/?hold")
            origin:serves(8)
            for _, one in ipairs(ask(server, 8, "/w")) do
              list[#list + 1] = one
            end
            server:has(16)
            local before = server:workers()
            server:kill(before[1])
            eventually(function()
              local now = server:workers()
              return #now == workers and now[1] ~= before[1]
            end)
            repeat
              origin:tell "free"
              socket.sleep(0.01)
            until server:tickets() == 0
            local good, others = count(list)
            for _, why in ipairs(others) do assert.equal("closed", why) end
            assert.equal(16, good + #others)
            origin:serves(0)
          end
          local list = ask(server, 8, "/?hold") -- none was lost
          origin:serves(8)
          origin:tell "free"
          assert.equal(8, (count(list)))
          server:has(0)
          assert.is_true(origin:tell("stats").highest <= 8)
        end))
  end

  it("makes those go at once who wait in another",
    with(gate "concurrent=1 timeout=60s", function(server, origin)
      server:expects "exited on signal 9"
      local held = server:ask "/?hold"
      origin:serves(1)
      local waiting = ask(server, 12, "/w")
      server:has(13)
      local holder = eventually(function() return holder_of(server, origin) end)
      server:kill(holder)
      local start = socket.gettime()
      local good = count(waiting)
      assert.is_true(socket.gettime() - start < 2 * nginx.slow)
      assert.is_true(good >= 1)
      assert.equal("closed", held:status())
      assert.equal(1, origin:tell("stats").highest)
      server:has(0)
    end))
end)

nginx.describe(_ENV, "nginx -t", function()
  it("touches nothing of a server that runs",
    with(gate "concurrent=1 timeout=60s", function(server, origin)
      local held = ask(server, 1, "/?hold")
      origin:serves(1)
      local waiting = ask(server, 2, "/w")
      server:has(3)
      local before = server:space()
      for _, options in ipairs { "concurrent=9", "rate=1/h", "concurrent=2" } do
        local ok, text = nginx.check(setmetatable({ http = gate(options).http },
          { __index = server.spec }), server)
        assert.is_true(ok, text)
      end
      local ok = nginx.check({ http = "weir_space other 1m;"
        .. "weir_limit gate concurrent=1 space=other;" }, server)
      assert.is_true(ok)
      assert.same(before, server:space())
      assert.equal(1, #weir.spaces(server.spaces)) -- it made none
      assert.equal(1, origin:tell("stats").began)
      origin:tell "free"
      assert.equal(1, (count(held)))
      assert.equal(2, (count(waiting)))
    end))
end)

nginx.describe(_ENV, "a master of root's", function()
  if not nginx.is_root then return pending "nginx: this is not root" end

  for _, workers in ipairs { 1, 2, 4 } do
    it(("may have %d workers of another user"):format(workers),
      with(gate("concurrent=2 timeout=60s", { user = "www-data",
                                              workers = workers }),
        function(server, origin)
          local held = ask(server, 2, "/?hold")
          origin:serves(2)
          local waiting = ask(server, 6, "/w")
          server:has(8)
          local _, owner = process.run("stat -c %U " .. server.spaces .. "/api")
          assert.equal("www-data\n", owner)
          server:reload()
          origin:tell "free"
          assert.equal(2, (count(held)))
          assert.equal(6, (count(waiting)))
          server:has(0)
        end))
  end

  it("has the spaces of those where weir's users look", with(
    gate("concurrent=1", { user = "www-data", own_dir = false }),
    function(server)
      local name = ("spec-%d"):format(server.pid)
      server:reload(setmetatable({ http = ("weir_space %s 1m; weir_limit gate "
        .. "concurrent=1 space=%s;"):format(name, name) },
        { __index = server.spec }))
      assert.equal(200, server:get("/").status)
      local _, id = process.run "id -u www-data"
      local dir = "/dev/shm/weir-" .. id:gsub("%s", "")
      local found
      for _, space in ipairs(weir.spaces(dir)) do
        found = found or space.name == "shm:" .. name
      end
      assert.is_true(found)
      os.execute(("rm -rf '%s/%s' '%s/api'; rmdir '%s' 2>/dev/null"):format(
        dir, name, dir, dir))
    end))

  for _, case in ipairs { { "pass", 200 }, { "refuse", 503 } } do
    it(("serves on when a space cannot be had: weir_on_error %s")
      :format(case[1]), with({ user = "www-data",
        http = "weir_dir {dir}/shut; weir_limit gate concurrent=1;"
          .. "weir_on_error " .. case[1] .. ";",
        server = LOCATION }, function(server)
          server:expects "weir_space .*/shut"
          assert.equal(case[2], server:get("/").status)
        end))
  end
end)
