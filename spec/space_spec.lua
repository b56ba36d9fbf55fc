--- Spaces that processes share, seen from one process.

local helper = require "spec.helper"
local weir = require "weir"

local dir, remove_dir

local function open(name, options)
  options = options or {}
  options.dir = dir
  return assert(weir.open("shm:" .. (name or "api"), options))
end

-- A limiter of a space of its own.
local function limiter(options)
  options.space = options.space or open()
  options.name = options.name or "door"
  return weir.limiter(options)
end

local function raises(message, fn) helper.raises(message, fn) end

local function setup_dir() dir, remove_dir = helper.spaces_dir() end

local function clean()
  helper.collect()
  for _, lim in ipairs(weir.limiters()) do
    if lim:stats().space then lim:close() end
  end
  remove_dir()
end

describe("weir.open", function()
  before_each(setup_dir)
  after_each(clean)

  it("makes a space and tells what it is", function()
    local space <close> = open("api", { size = "1m" })
    assert.same({ "shm:api", 1048576, "weir.space: shm:api (1m)" },
                { space.name, space.size, tostring(space) })
    assert.is_nil(space.other)
  end)

  it("gives the same space again", function()
    local space <close> = open()
    assert.equal(space, open())
    local other <close> = open "other"
    assert.not_equal(space, other)
  end)

  it("takes sizes as people write them", function()
    for text, bytes in pairs { ["256k"] = 256 * 1024, ["1m"] = 1024 ^ 2,
                               ["3M"] = 3 * 1024 ^ 2 } do
      local space <close> = open("s" .. text, { size = text })
      assert.equal(bytes, space.size)
    end
    local space <close> = open("number", { size = 300000 })
    assert.is_true(space.size >= 300000)
    assert.matches("^weir.space: shm:number %(%d+", tostring(space))
  end)

  it("answers nil and a sentence for what may happen", function()
    local space, err = weir.open("shm:api", { create = false, dir = dir })
    assert.is_nil(space)
    assert.equal(dir .. "/api: is not there: make it first, or choose another "
                 .. "name or directory", err)
    local first <close> = open("api", { size = "1m" })
    space, err = weir.open("shm:api", { size = "2m", dir = dir })
    assert.is_nil(space)
    assert.matches("its size is 1048576, not 2097152", err)
    assert.matches("is no name of a space",
                   select(2, weir.open("shm:a/b", { dir = dir })))
    assert.matches("/no/such/dir",
                   select(2, weir.open("shm:x", { dir = "/no/such/dir" })))
    assert.is_not_nil(first)
  end)

  it("raises for mistakes, at the caller's line", function()
    raises("weir.open: expected 'shm:' and a name, as 'shm:api', for a space "
           .. "that the processes of this machine share, got 'api'",
           function() weir.open "api" end)
    raises("weir.open: the URL must be a string of 1 to 255 bytes without NUL,"
           .. " got nil", function() weir.open() end)
    raises("weir.open: unknown option 'syze'; did you mean 'size'?",
           function() weir.open("shm:x", { syze = 1 }) end)
    raises("weir.open: create must be true or false, got 1",
           function() weir.open("shm:x", { create = 1 }) end)
    for _, size in ipairs { "16", "m", "-1m", "1t", "1.5m", 5, "99999999g",
                            -1, 2^62 } do
      raises("weir.open: size must be a number of bytes, or a text such as "
             .. "'256k', '16m' or '1g', from '256k' to '64g', got",
             function() weir.open("shm:x", { size = size }) end)
    end
    raises("space:close: expected a space (call it as space:close())",
           function() local s <close> = open() s.close() end)
  end)

  it("is refused where the program gives the time, and the reverse", function()
    local out, code = helper.child(function(where)
      local virtual = require "weir"
      virtual.step(0)
      print(pcall(virtual.open, "shm:api", { dir = where }))
    end, dir)
    assert.equal(0, code)
    assert.matches("weir.open: this program gives the time itself", out)
    out, code = helper.child(function(where)
      local frames = require "weir"
      local space = frames.open("shm:api", { dir = where })
      print(pcall(frames.step, 0))
      print(frames.step())
      space:close()
      print(frames.step(0))
    end, dir)
    assert.equal(0, code)
    assert.matches("weir.step: the space 'shm:api' is open, which goes by the "
                   .. "machine's clock", out)
    assert.matches("\n0\n0\n$", out)
  end)
end)

describe("a space", function()
  before_each(setup_dir)
  after_each(clean)

  it("is open until nobody has anything of it", function()
    local function processes()
      helper.collect()
      return weir.spaces(dir)[1].ports
    end
    local kept = { open() }
    table.insert(kept, limiter { concurrent = 1, space = kept[1] })
    local permit = kept[2]:acquire()
    kept[1] = nil
    assert.equal(1, processes())
    kept[2] = nil
    assert.equal(1, processes())
    permit:release()
    assert.equal(0, processes())
  end)

  it("comes back with its limiters while they are there", function()
    local door = limiter { concurrent = 1 }
    helper.collect()
    local again = limiter { concurrent = 2 }
    assert.equal(2, door:stats().limit)
    assert.equal(door:stats().id, again:stats().id)
  end)

  it("is named where its limiters are shown", function()
    local door = limiter { concurrent = 3 }
    assert.equal("weir.limiter 'door' in shm:api: 0 of 3 permits in use, 0 "
                 .. "waiting", tostring(door))
    assert.equal("shm:api", door:stats().space)
    assert.matches('weir_permits_limit{limiter="door",space="shm:api"} 3',
                   weir.metrics(), 1, true)
  end)

  it("counts how often a limiter was configured", function()
    local door = limiter { concurrent = 3 }
    assert.equal(1, door:stats().generation)
    door:set { concurrent = 4 }
    assert.equal(2, door:stats().generation)
    assert.equal(4, limiter { concurrent = 4 }:stats().limit)
    assert.equal(3, door:stats().generation)
  end)

  it("can be closed, and opened again", function()
    local space = open()
    local door = limiter { concurrent = 1, space = space }
    local permit = door:acquire()
    space:close()
    space:close()
    assert.equal("weir.space: shm:api (closed)", tostring(space))
    local closed = "the space 'shm:api' is closed: open it again with "
      .. "weir.open('shm:api'), and make its limiters anew"
    for name, fn in pairs {
      weir = function() door:try_acquire() end,
      ["limiter:stats"] = function() door:stats() end,
      ["limiter:set"] = function() door:set { concurrent = 2 } end,
      ["limiter:top"] = function() door:top() end,
      ["limiter:drain"] = function() door:drain() end,
      ["weir.limiter"] = function()
        weir.limiter { space = space, name = "x", concurrent = 1 }
      end,
    } do
      raises(name .. ": " .. closed, fn)
    end
    assert.matches(closed, tostring(door), 1, true)
    permit:release()
    local again = open()
    assert.not_equal(space, again)
    assert.same({ 0, 0 }, helper.load(limiter { concurrent = 1 }))
    again:close()
  end)

  it("refuses who waits in it when it is closed", function()
    local space = open()
    local door = limiter { concurrent = 1, space = space }
    local permit = door:acquire()
    local co, other = {}, nil
    co.stranger = helper.stranger(function() other = { door:acquire() } end)
    local results = table.pack(weir.run(function()
      local task = weir.spawn(function() return door:acquire() end)
      local ran = weir.spawn(door(function() return "ran" end))
      weir.sleep(0.01)
      space:close()
      local _, err = task:join()
      return err.code, select(2, ran:join()).code, tostring(err)
    end))
    assert.same({ "closed", "closed",
                  "limiter 'door' is closed and takes no more calls", n = 3 },
                results)
    if not other then coroutine.resume(co.stranger) end
    assert.equal("closed", other[2].code)
    permit:release()
  end)

  it("closes at the end of its block", function()
    local kept
    do
      local space <close> = open()
      kept = space
    end
    assert.equal("weir.space: shm:api (closed)", tostring(kept))
  end)
end)

describe("a limiter in a shared space", function()
  before_each(setup_dir)
  after_each(clean)

  it("wants a name and a space", function()
    local space <close> = open()
    for who, make in pairs { ["weir.limiter"] = weir.limiter,
                             ["weir.rate_limit"] = weir.rate_limit } do
      raises(who .. ": a limiter in a shared space is found by its name: add "
             .. "name = 'backend' or what else you call it", function()
               make { space = space, concurrent = 1 }
             end)
      raises(who .. ": space must be what weir.open gave, or its URL such as "
             .. "'shm:api', got true", function()
               make { space = true, name = "x", concurrent = 1 }
             end)
      raises(who .. ": expected 'shm:' and a name", function()
        make { space = "api", name = "x", concurrent = 1 }
      end)
    end
    raises("limiter:set: space cannot be changed", function()
      limiter { concurrent = 1 }:set { space = space }
    end)
  end)

  it("takes the URL of its space as well", function()
    local out, code = helper.child(function()
      local module = require "weir"
      local door = module.limiter { space = "shm:text", name = "door",
                                    concurrent = 1 }
      local same = module.open "shm:text"
      print(door, door:stats().space == same.name)
      same:close()
      print(module.remove "shm:text", module.remove "shm:text" == nil)
      print(pcall(module.remove, "text"))
    end)
    assert.equal(0, code)
    assert.matches("^weir.limiter 'door' in shm:text: 0 of 1 .-\ttrue\n"
                   .. "true\ttrue\nfalse\tweir.remove: expected 'shm:'", out)
  end)

  it("limits calls, and gives back however they end", function()
    local door = limiter { concurrent = 2 }
    local at_once, most = 0, 0
    local run = door(function(how)
      at_once = at_once + 1
      most = math.max(most, at_once)
      weir.sleep(0.002)
      at_once = at_once - 1
      if how == "raise" then error "oh" end
      return how
    end)
    weir.run(function()
      local tasks = {}
      for i = 1, 10 do
        tasks[i] = weir.spawn(pcall, run, i % 3 == 0 and "raise" or i)
      end
      tasks[9]:cancel()
      for _, task in ipairs(tasks) do task:join() end
    end)
    assert.equal(2, most)
    assert.same({ 0, 0 }, helper.load(door))
    assert.equal(9, door:stats().admitted)
  end)

  it("keeps the order, and forgets who is closed or canceled", function()
    local door = limiter { concurrent = 1 }
    local order = {}
    weir.run(function()
      local permit = door:acquire()
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = weir.spawn(function()
          local own <close> = door:acquire()
          order[#order + 1] = i
          return own ~= nil
        end)
      end
      weir.sleep(0.002)
      local co = helper.stranger(function() door:acquire() end)
      assert.same({ 1, 6 }, helper.load(door))
      tasks[2]:cancel()
      coroutine.close(co)
      assert.same({ 1, 4 }, helper.load(door))
      permit:release()
      for _, task in ipairs(tasks) do task:join() end
    end)
    assert.same({ 1, 3, 4, 5 }, order)
  end)

  it("gets dropped permits back", function()
    local door = limiter { concurrent = 2 }
    local kept = { (door:acquire()), helper.stranger(door(coroutine.yield)) }
    assert.same({ 2, 0 }, helper.load(door))
    helper.forget(kept)
    assert.same({ 0, 0 }, helper.load(door))
    assert.equal(2, door:stats().dropped)
  end)

  it("gets them back while all wait", function()
    local door = limiter { concurrent = 1 }
    local holder = { door:acquire() }
    weir.run(function()
      weir.spawn(function()
        weir.sleep(0.01)
        holder[1] = nil
      end)
      assert(door:acquire { timeout = 20 }):release()
    end)
    assert.same({ 0, 0 }, helper.load(door))
  end)

  it("resumes strangers by whoever comes first", function()
    local door = limiter { concurrent = 1 }
    local permit = door:acquire()
    local got
    local co = helper.stranger(function() got = door:acquire() end)
    coroutine.resume(co)
    assert.is_nil(got)
    permit:release()
    coroutine.resume(co)
    got:release()
    assert.equal("dead", coroutine.status(co))
  end)

  it("is served by weir.step", function()
    local out, code = helper.child(function(where)
      local frames = require "weir"
      local space = frames.open("shm:api", { dir = where })
      local door = frames.limiter { space = space, name = "door",
                                    concurrent = 1 }
      local done = 0
      for _ = 1, 3 do
        frames.spawn(function()
          local _ <close> = door:acquire()
          coroutine.yield()
          done = done + 1
        end)
      end
      for _ = 1, 20 do frames.step() end
      print(done)
    end, dir)
    assert.same({ "3\n", 0 }, { out, code })
  end)

  it("keeps to its rate, its keys and its timeouts", function()
    local users = limiter { concurrent = 1, rate = "1/h", burst = 2,
                            keys = 10, name = "users" }
    users:acquire("ada"):release()
    users:acquire("ada"):release()
    local none, err = users:try_acquire "ada"
    assert.is_nil(none)
    assert.is_true(err.retry_after > 1000)
    assert.is_not_nil(users:try_acquire "bob")
    assert.equal(0, users:stats("ada").left)
    assert.matches("^\"users\";", users:headers("ada")["RateLimit-Policy"])
    assert.equal(2, #users:top())
    local door = limiter { concurrent = 1 }
    local permit = door:acquire()
    weir.run(function()
      none, err = door:acquire { timeout = 0.01 }
    end)
    assert.same({ nil, "timeout" }, { none, err.code })
    permit:release()
  end)

  it("raises for a wait that only its own coroutine could end", function()
    local door = limiter { concurrent = 1 }
    local permit = door:acquire()
    local co = coroutine.wrap(function()
      local own = permit and door
      permit:release()
      local first = own:acquire()
      local ok, err = pcall(own.acquire, own)
      first:release()
      return ok, err
    end)
    local ok, err = co()
    assert.is_false(ok)
    assert.matches("limiter 'door': this coroutine would wait for ever", err)
  end)

  it("explains who holds and who waits", function()
    local door = limiter { concurrent = 1 }
    local permit = door:acquire()
    local co = helper.stranger(function() door:acquire() end)
    local list = door:explain()
    assert.equal(2, #list)
    assert.same({ "holding", "waiting", "shm:api", "door" },
                { list[1].state, list[2].state, list[1].space,
                  list[1].limiter })
    assert.equal(2, #weir.explain())
    assert.matches("holds 1 of 'door' for .* s\n.*waits for 1 of 'door' for "
                   .. ".*, kept by permits", tostring(list))
    coroutine.close(co)
    permit:release()
  end)

  it("can be asked with others of its space alone", function()
    local space = open()
    local a = limiter { concurrent = 1, name = "a", space = space }
    local b = limiter { concurrent = 1, name = "b", space = space }
    local both = weir.all { a, b }
    local permit = both:acquire()
    assert.is_nil(b:try_acquire())
    permit:release()
    raises("weir.all: limiters 1 and 2 are in different spaces (shm:api and "
           .. "this Lua state alone), where nothing happens at the same "
           .. "instant; use weir.stack", function()
             weir.all { a, weir.semaphore(1) }
           end)
    local other <close> = open "other"
    raises("weir.all: limiters 1 and 2 are in different spaces (shm:api and "
           .. "shm:other)", function()
             weir.all { a, limiter { space = other, concurrent = 1 } }
           end)
    assert.equal("ok", weir.stack { a, weir.semaphore(1) } (function()
      return "ok"
    end)())
  end)

  it("drains and closes", function()
    local door = limiter { concurrent = 1 }
    local permit = door:acquire()
    assert.same({ true, "closed" }, { weir.run(function()
      local task = weir.spawn(door.drain, door)
      weir.sleep(0.002)
      local _, err = door:acquire()
      permit:release()
      return task:join(), err.code
    end) })
    assert.is_true(door:stats().closed)
  end)

  it("is told of when the space is full", function()
    local space <close> = open("small", { size = "256k" })
    local users = limiter { space = space, concurrent = 1, keys = 100000 }
    local permits, refusal = {}, nil
    for i = 1, 100000 do
      permits[i], refusal = users:try_acquire("user " .. i)
      if refusal then break end
    end
    assert.equal("exhausted", refusal.code)
    local ok, err = pcall(function()
      for i = 1, 10000 do
        permits[#permits + 1] = limiter { space = space, name = "n" .. i,
                                          concurrent = 1 }
      end
    end)
    assert.is_false(ok)
    assert.matches("weir.limiter: the space 'shm:small' is full: ", err)
  end)
end)

describe("the local space", function()
  before_each(setup_dir)
  after_each(clean)

  it("still finds its deadlocks beside a shared one", function()
    local space <close> = open()
    local narrow = weir.limiter { concurrent = 1, name = "narrow" }
    local permit = narrow:acquire()
    local door = limiter { concurrent = 1, space = space }
    local held = door:acquire()
    local ok, err = pcall(weir.run, function() narrow:acquire() end)
    assert.is_false(ok)
    assert.matches("deadlock.*holds 1 of 'narrow'.*holds 1 of 'door'", err)
    permit:release()
    held:release()
  end)

  it("has limiters of the same handles", function()
    local here = weir.limiter { concurrent = 1, name = "here" }
    local there = limiter { concurrent = 1, name = "there" }
    local found = {}
    for _, lim in ipairs(weir.limiters()) do
      found[lim:stats().name] = lim
    end
    assert.equal(here, found.here)
    assert.equal(there, found.there)
  end)
end)
