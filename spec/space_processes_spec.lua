--- Spaces that processes share, by several processes.

local helper = require "spec.helper"
local weir = require "weir"

local dir, remove_dir
local started -- processes of a test

local function start(fn, ...)
  local process = helper.start(fn, dir, ...)
  started[#started + 1] = process
  return process
end

-- Waits until a condition holds; other processes make it so.
local function eventually(condition)
  for _ = 1, 1000 do
    if condition() then return true end
    weir.run(weir.sleep, 0.005)
  end
  error("it did not happen in five seconds", 2)
end

local function limiter(options)
  options.space = assert(weir.open("shm:api", { dir = dir }))
  options.name = options.name or "door"
  return weir.limiter(options)
end

local function waits(door, n)
  eventually(function() return door:stats().waiting == n end)
end

local function log_lines()
  local lines = {}
  for line in io.lines(dir .. "/log") do lines[#lines + 1] = line end
  return lines
end

-- A process that takes one permit after the other, and notes in a file of all
-- when it goes in and out.
local function worker(where, name, calls)
  local module = require "weir"
  local space = assert(module.open("shm:api", { dir = where }))
  local door = module.limiter { space = space, name = "door", concurrent = 3 }
  local log = io.open(where .. "/log", "a")
  log:setvbuf "no"
  local work = door(function()
    log:write("in " .. name .. "\n") -- at once: others write as well
    module.sleep(0.002)
    log:write("out " .. name .. "\n")
  end)
  print "ready"
  io.stdout:flush()
  local list = {}
  for i = 1, tonumber(calls) do list[i] = i end
  module.run(module.map, work, list)
  print(#list)
end

-- A process that holds a permit until it is killed.
local function holder(where, cost)
  local module = require "weir"
  local space = assert(module.open("shm:api", { dir = where }))
  local door = module.limiter { space = space, name = "door", concurrent = 3 }
  module.run(function()
    local permit <close> = door:acquire { cost = tonumber(cost) }
    print(permit)
    io.stdout:flush()
    module.sleep(60)
  end)
end

-- A process that waits for all permits and tells when it has them.
local function waiter(where, name)
  local module = require "weir"
  local space = assert(module.open("shm:api", { dir = where }))
  local door = module.limiter { space = space, name = "door", concurrent = 3 }
  local log = io.open(where .. "/log", "a")
  log:setvbuf "no"
  module.run(function()
    local permit, err = door:acquire { cost = 3, timeout = 20 }
    log:write(name .. "\n")
    print(permit or err)
    if permit then permit:release() end
  end)
end

local function in_processes(what, tests)
  describe(what, function()
    before_each(function()
      dir, remove_dir = helper.spaces_dir()
      started = {}
    end)
    after_each(function()
      for _, process in ipairs(started) do process:stop() end
      helper.collect()
      remove_dir()
    end)
    tests()
  end)
end

in_processes("processes that share a limiter", function()
  it("are never more at once than its permits", function()
    local workers = {}
    for i = 1, 6 do workers[i] = start(worker, i, 30) end
    for _, process in ipairs(workers) do
      assert.same({ "ready\n30\n", 0 }, { process:finish() })
    end
    local at_once, most, count = 0, 0, 0
    for _, line in ipairs(log_lines()) do
      at_once = at_once + (line:find "^in" and 1 or -1)
      most = math.max(most, at_once)
      count = count + 1
    end
    assert.same({ 3, 0, 360 }, { most, at_once, count })
    assert.same({ 0, 0 }, helper.load(limiter { concurrent = 3 }))
  end)

  it("go in the order in which they came", function()
    local door = limiter { concurrent = 3 }
    local permit = door:acquire { cost = 3 }
    local waiters = {}
    for i = 1, 4 do
      waiters[i] = start(waiter, i)
      waits(door, i)
    end
    permit:release()
    for _, process in ipairs(waiters) do
      assert.same({ "weir.permit (held)\n", 0 }, { process:finish() })
    end
    assert.same({ "1", "2", "3", "4" }, log_lines())
  end)

  it("get back what a killed one held", function()
    local door = limiter { concurrent = 3 }
    local killed = start(holder, 3)
    assert.equal("weir.permit (held)", killed:line())
    local other = start(waiter, "other")
    waits(door, 1)
    killed:signal "KILL"
    assert.same({ "weir.permit (held)\n", 0 }, { other:finish() })
    killed:stop()
    assert.is_true(weir.run(function()
      return (door:acquire { cost = 3, timeout = 10 }) ~= nil
    end))
  end)

  it("do not wait behind a killed one", function()
    local door = limiter { concurrent = 3 }
    local permit = door:acquire { cost = 3 }
    local killed = start(waiter, "killed")
    waits(door, 1)
    local other = start(waiter, "other")
    waits(door, 2)
    killed:stop()
    permit:release()
    assert.same({ "weir.permit (held)\n", 0 }, { other:finish() })
    assert.same({ "other" }, log_lines())
  end)

  it("wait for one that is stopped, and no longer", function()
    local door = limiter { concurrent = 3 }
    local stopped = start(holder, 3)
    stopped:line()
    stopped:signal "STOP"
    local _, err = weir.run(function()
      return door:acquire { timeout = 0.3 }
    end)
    assert.equal("timeout", err.code)
    stopped:signal "CONT"
    stopped:stop()
    assert.is_true(weir.run(function()
      return (door:acquire { cost = 3, timeout = 10 }) ~= nil
    end))
  end)

  it("leave nothing behind when they end", function()
    local door = limiter { concurrent = 3 }
    local out, code = helper.child(function(where)
      local module = require "weir"
      local space = assert(module.open("shm:api", { dir = where }))
      local lim = module.limiter { space = space, name = "door",
                                   concurrent = 3 }
      KEPT = lim:acquire() -- luacheck: ignore
      lim:acquire()
      os.exit(3)
    end, dir)
    assert.same({ "", 3 }, { out, code })
    eventually(function()
      local permit = door:try_acquire { cost = 3 }
      if permit then permit:release() end
      return permit
    end)
  end)

  it("see what another one has set", function()
    local door = limiter { concurrent = 3 }
    assert.same({ "", 0 }, { helper.child(function(where)
      local module = require "weir"
      local lim = module.limiter {
        space = assert(module.open("shm:api", { dir = where })),
        name = "door", concurrent = 3,
      }
      lim:set { concurrent = 5, queue = 7 }
    end, dir) })
    local stats = door:stats()
    assert.same({ 5, 3 }, { stats.limit, stats.generation })
  end)

  it("admit who waits elsewhere when one raises the limit", function()
    local door = limiter { concurrent = 2 }
    local permit = door:acquire { cost = 2 }
    local other = start(waiter, "other") -- sets it to 3
    waits(door, 1)
    door:set { concurrent = 5 }
    assert.same({ "weir.permit (held)\n", 0 }, { other:finish() })
    permit:release()
  end)

  it("share rates and keys", function()
    local function take(where)
      local module = require "weir"
      local users = module.limiter {
        space = assert(module.open("shm:api", { dir = where })),
        name = "users", rate = "3/h", burst = 3, keys = 10,
      }
      local permit, err = users:try_acquire "ada"
      print(permit and "yes" or err.code, users:try_acquire "bob" ~= nil)
    end
    for i = 1, 4 do
      assert.equal((i < 4 and "yes\ttrue\n" or "full\tfalse\n"),
                   (helper.child(take, dir)))
    end
  end)

  it("see each other in an explanation", function()
    local door = limiter { concurrent = 3 }
    local other = start(holder, 2)
    other:line()
    local own = door:acquire()
    local behind = start(waiter, "behind")
    waits(door, 1)
    local list = door:explain()
    assert.same({ { "holding", 1 }, { "holding", 2, "other processes" },
                  { "waiting", nil, "other processes", 1 } }, {
      { list[1].state, list[1].cost },
      { list[2].state, list[2].cost, list[2].who },
      { list[3].state, list[3].cost, list[3].who, list[3].calls },
    })
    assert.matches("other processes hold 2 of 'door'\nother processes wait for "
                   .. "'door' with 1 call$", tostring(weir.explain()))
    own:release()
    other:stop()
    behind:finish()
  end)

  it("may wait for each other without being a deadlock", function()
    local door = limiter { concurrent = 3 }
    local other = start(holder, 3)
    other:line()
    local got = weir.run(function()
      weir.spawn(function()
        weir.sleep(0.05)
        other:signal "KILL"
      end)
      return door:acquire()
    end)
    got:release()
  end)

  it("end a run when nothing is left to wait for", function()
    local out, code = helper.child(function(where)
      local module = require "weir"
      local space = assert(module.open("shm:api", { dir = where }))
      local door = module.limiter { space = space, name = "door",
                                    concurrent = 1 }
      local permit = module.run(door.acquire, door)
      print(module.run(function()
        local _, err = door:acquire { timeout = 0.01 }
        return err.code
      end), permit)
    end, dir)
    assert.same({ "timeout\tweir.permit (held)\n", 0 }, { out, code })
  end)

  it("are told when one closes it", function()
    local door = limiter { concurrent = 3 }
    local permit = door:acquire { cost = 3 }
    local other = start(waiter, "other")
    waits(door, 1)
    door:close()
    assert.same({ "limiter 'door' is closed and takes no more calls\n", 0 },
                { other:finish() })
    permit:release()
  end)
end)

-- == what a process may do to itself ==========================================

local FORK = [[
#include <lauxlib.h>
#include <sys/wait.h>
#include <unistd.h>
static int fork_(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}
static int wait_(lua_State *L) {
  int status;
  waitpid((pid_t)lua_tointeger(L, 1), &status, 0);
  lua_pushinteger(L, status);
  return 1;
}
int luaopen_forker(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, fork_);
  lua_setfield(L, -2, "fork");
  lua_pushcfunction(L, wait_);
  lua_setfield(L, -2, "wait");
  return 1;
}
]]

local function build_forker()
  local file <close> = assert(io.open(dir .. "/forker.c", "w"))
  file:write(FORK)
  file:flush()
  return os.execute(("cc -shared -fPIC -o %s/forker.so %s/forker.c "
    .. "$(pkg-config --cflags lua5.4) 2>/dev/null"):format(dir, dir))
end

in_processes("a process that forks", function()
  it("takes no permits along, and opens the space anew", function()
    if not build_forker() then return pending "no compiler" end
    local out, code = helper.child(function(where)
      package.cpath = where .. "/?.so;" .. package.cpath
      local forker, module = require "forker", require "weir"
      local space = assert(module.open("shm:api", { dir = where }))
      local door = module.limiter { space = space, name = "door",
                                    concurrent = 3 }
      local permit = door:acquire()
      local dropped = { door:acquire() }
      module.run(module.sleep, 0)
      local child = forker.fork()
      if child == 0 then
        print(pcall(function() door:acquire() end))
        print(pcall(function() door:stats() end))
        print(pcall(function() permit:release() end))
        print(tostring(door))
        dropped[1] = nil
        collectgarbage()
        collectgarbage()
        local own = assert(module.open("shm:api", { dir = where }))
        local same = module.limiter { space = own, name = "door",
                                      concurrent = 3 }
        print(own == space, same:stats().in_use)
        print(module.run(function()
          return (same:acquire { timeout = 5 }) ~= nil
        end))
        os.exit(0, true)
      end
      forker.wait(child)
      print(door:stats().in_use, #dropped)
      permit:release()
      print(module.run(function() module.sleep(0.01) return "well" end))
    end, dir)
    local forked = "the space 'shm:api' is the parent process': after a fork "
      .. "the child opens it for itself with weir.open('shm:api'), and makes "
      .. "its limiters anew"
    local lines = {}
    for line in out:gmatch "[^\n]+" do
      lines[#lines + 1] = line:gsub("%S+:%d+: ", "")
    end
    assert.same({
      "false\tweir: " .. forked, "false\tlimiter:stats: " .. forked,
      "false\tpermit:release: " .. forked,
      "weir.limiter 'door' in shm:api: " .. forked,
      "false\t2", "true", "2\t1", "well",
    }, lines)
    assert.equal(0, code)
  end)
end)

in_processes("a space whose memory is overwritten", function()
  it("says so, to who calls and to who waits", function()
    local out, code = helper.child(function(where)
      local module = require "weir"
      local space = assert(module.open("shm:api", { dir = where,
                                                    size = "256k" }))
      local door = module.limiter { space = space, name = "door",
                                    concurrent = 1 }
      local permit = door:acquire()
      print(pcall(module.run, function()
        module.spawn(function()
          module.sleep(0.01)
          local file = io.open(where .. "/api/space", "r+")
          local size = file:seek "end"
          file:seek("set", 4096)
          file:write(("\255"):rep(size - 4096))
          file:close()
          pcall(door.stats, door)
        end)
        door:acquire()
      end))
      print(pcall(function() door:try_acquire() end))
      print(pcall(permit.release, permit))
      space:close()
    end, dir)
    assert.equal(0, code, out)
    local damaged = "the memory of the space 'shm:api' is damaged: stop the "
      .. "programs that use it, remove it with `weir rm --force api`, and "
      .. "start them again"
    local _, count = out:gsub(damaged:gsub("%p", "%%%0"), "")
    assert.equal(3, count, out)
  end)
end)
