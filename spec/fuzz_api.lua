--- Random sequences of calls of the module, in virtual time.
--
--    lua5.4 spec/fuzz_api.lua STEPS SEED
--
-- After every step no limiter has more in use than it ever had permits. At the
-- end everything is given back, closed or dropped, and then nothing is in use
-- and nobody waits. Prints the seed; raises where something is wrong.

local weir = require "weir"

local steps, seed = tonumber(arg[1]) or 20000, tonumber(arg[2]) or os.time()
print("seed " .. seed)
math.randomseed(seed)
if os.getenv "WEIR_GC" == "stress" then collectgarbage("setpause", 0) end

local random = math.random
local LIMIT = 6 -- permits at most
local time = 0
local limiters, permits, tasks, strangers = {}, {}, {}, {}

local function one_of(list) return list[random(#list)] end

local function take_one(list)
  if #list == 0 then return end
  local i = random(#list)
  local value = list[i]
  list[i] = list[#list]
  list[#list] = nil
  return value
end

local function options()
  return { cost = random(3), timeout = random(4) > 1 and random() or nil }
end

local function keep(permit)
  if permit then permits[#permits + 1] = permit end
end

-- What a task or a stranger does: waits here and there, holds, drops, raises.
local bodies = {
  function() keep(one_of(limiters):acquire(options())) end,
  function() one_of(limiters):acquire() end, -- dropped
  function()
    local _ <close> = one_of(limiters):acquire(options())
    weir.sleep(random() / 10)
  end,
  function()
    return one_of(limiters)(function(...)
      if random(3) == 1 then coroutine.yield() end
      if random(5) == 1 then error("raised", 0) end
      weir.sleep(random() / 10)
      return ...
    end)(1, nil, 3)
  end,
  function()
    if #tasks > 0 then pcall(one_of(tasks).join, one_of(tasks), 0.1) end
  end,
  function()
    weir.stack { one_of(limiters), one_of(limiters) }(weir.sleep)(0.01)
  end,
  function() coroutine.yield() weir.sleep(0) end,
}

local function new_limiter()
  limiters[random(4)] = weir.limiter {
    concurrent = random(LIMIT), queue = random(3) == 1 and random(0, 9) or nil,
    timeout = random(3) == 1 and random() or nil,
  }
end

local WEIRD = { -1, 0, 1.5, 0 / 0, 1 / 0, 2 ^ 53, "x", true, {}, tostring,
  ("y"):rep(1000), "\0" }

-- A call that makes no sense must raise, or refuse, and hold nothing.
local function misuse()
  local call = one_of {
    weir.limiter, weir.rate_limit, weir.semaphore, weir.sleep, weir.spawn,
    weir.map, weir.stack, weir.readable, weir.step, one_of(limiters).acquire,
    one_of(limiters).set, one_of(limiters).drain, one_of(limiters).wrap,
  }
  pcall(call, one_of(WEIRD), one_of(WEIRD))
end

local actions = {
  function() -- a new task, kept or not
    local task = weir.spawn(pcall, one_of(bodies))
    if random(2) == 1 then tasks[#tasks + 1] = task end
  end,
  function()
    local co = coroutine.create(one_of(bodies))
    coroutine.resume(co)
    if random(3) > 1 then strangers[#strangers + 1] = co end
  end,
  function() keep(one_of(limiters):try_acquire { cost = random(LIMIT) }) end,
  function()
    local permit = take_one(permits)
    if not permit or random(4) == 1 then return end -- dropped
    permit:release(random(2) == 1 and "dropped" or nil)
    assert(not pcall(permit.release, permit))
  end,
  function()
    local task = take_one(tasks)
    if task then task:cancel() end
  end,
  function()
    local co = take_one(strangers)
    if not co then return end
    if random(2) == 1 then
      coroutine.resume(co, 1, 2)
      strangers[#strangers + 1] = co
    elseif coroutine.status(co) == "suspended" then
      coroutine.close(co)
    end
  end,
  function() one_of(limiters):set { concurrent = random(LIMIT) } end,
  function() if random(50) == 1 then one_of(limiters):close() end end,
  function() if random(20) == 1 then new_limiter() end end,
  function() if random(30) == 1 then collectgarbage() end end,
  misuse,
}

local function check()
  for _, limiter in ipairs(limiters) do
    local stats = limiter:stats()
    assert(stats.in_use <= LIMIT, tostring(limiter))
    assert(stats.waiting >= 0 and stats.limit <= LIMIT, tostring(limiter))
  end
end

local function step(seconds, budget)
  time = time + seconds
  pcall(weir.step, time, budget)
end

local function finish()
  for _, permit in ipairs(permits) do permit:release() end
  for _, task in ipairs(tasks) do task:cancel() end
  for _, co in ipairs(strangers) do
    if coroutine.status(co) == "suspended" then coroutine.close(co) end
  end
  permits, tasks, strangers = {}, {}, {}
  for _ = 1, 2000 do
    collectgarbage()
    step(1)
    for _, permit in ipairs(permits) do permit:release() end
    permits = {}
    local busy = false
    for _, limiter in ipairs(limiters) do
      local stats = limiter:stats()
      busy = busy or stats.in_use > 0 or stats.waiting > 0
    end
    if not busy then return end
  end
  for _, limiter in ipairs(limiters) do print(limiter) end
  error "something is left"
end

for i = 1, 4 do limiters[i] = weir.semaphore(i) end
step(0)
for _ = 1, steps do
  one_of(actions)()
  if random(3) == 1 then step(random() / 50, random(20)) end
  check()
end
finish()
print "nothing is left"
