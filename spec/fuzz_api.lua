--- Random sequences of calls of the module, in virtual time.
--
--    lua5.4 spec/fuzz_api.lua STEPS SEED
--
-- Limiters come and go, with random options of every kind, alone and as members
-- of weir.all. After every step no key has more in use than there ever were
-- permits. At the end everything is given back, closed or dropped, and then
-- nothing is in use and nobody waits. Prints the seed; raises where something
-- is wrong.

local weir = require "weir"

local steps, seed = tonumber(arg[1]) or 20000, tonumber(arg[2]) or os.time()
print("seed " .. seed)
math.randomseed(seed)
if os.getenv "WEIR_GC" == "stress" then collectgarbage("setpause", 0) end

local random = math.random
local LIMIT = 6 -- permits at most
local KEYS = { "a", "b", "", "a\0", "a\0b", ("k"):rep(300), "c", "d", "e", "f" }
local time = 0
local limiters, alls, permits, tasks, strangers = {}, {}, {}, {}, {}

-- What is known of a limiter: { keyed =, keys = (the most), dry =, free = }
local known = setmetatable({}, { __mode = "k" })

local function chance(n) return random(n) == 1 end
local function one_of(list) return list[random(#list)] end

local function take_one(list)
  if #list == 0 then return end
  local i = random(#list)
  local value = list[i]
  list[i] = list[#list]
  list[#list] = nil
  return value
end

-- == limiters =================================================================

local function rate()
  return one_of { "10/s", "100/s", "3/s", "7/250ms", 20, 2.5 }
end

-- What can be set later, too; `base` is what there is already.
local function changes(base)
  local o = {}
  if chance(2) then o.concurrent = random(LIMIT) end
  if chance(3) then
    o.rate = rate()
    if type(o.rate) == "number" and chance(2) then o.per = random() + 0.1 end
    o.window = chance(3) and one_of { "fixed", "sliding" } or nil
    if o.window then o.align = chance(3) or nil
    elseif chance(2) then o.burst = random(LIMIT) end
  end
  if chance(3) then
    o.adaptive = one_of { "aimd", "vegas", "gradient2" }
    o.adaptive = { algorithm = o.adaptive, max = random(LIMIT) }
    o.adaptive.initial = random(o.adaptive.max)
  end
  if chance(3) then o.queue = random(0, 9) end
  if chance(3) then o.timeout = random() end
  if chance(20) then o.dry_run = chance(2) end
  if chance(3) then
    o.shed = one_of { "codel", "doomed", "oldest", "lowest", "lifo", false,
                      { codel = true, doomed = true, target = random() / 10,
                        interval = random() / 10, victim = "oldest" } }
  end
  if chance(4) then o.order = one_of { "fifo", "lifo", "priority", "fair" } end
  if base.keyed and chance(2) then
    o.keys = random(8)
    o.on_exhausted = one_of { "refuse", "admit" }
  end
  return o
end

-- A function of a call's arguments, which are random; seldom one that fails.
local function says(value)
  return function(...)
    if chance(100) then error("said no", 0) end
    if chance(100) then return one_of { {}, true, -1e9, ("x"):rep(1e5) } end
    return value(...)
  end
end

local function creation()
  local o = changes { keyed = chance(2) }
  if not (o.concurrent or o.rate or o.adaptive) then
    o.concurrent = random(LIMIT)
  end
  if chance(4) then
    o.key = says(function(_, key) return not chance(10) and key or nil end)
  end
  if chance(4) then o.cost = chance(2) and random(3)
    or says(function() return random(3) end) end
  if o.order == "priority" then
    o.priority = one_of { random(-16, 15), says(function(n) return n % 16 end) }
    o.aging = chance(2) and random() or nil
  elseif o.order == "fair" then
    o.flow = says(function(_, _, flow) return flow end)
  end
  if chance(4) then
    o.on_refuse = function(err, ...)
      if chance(3) then weir.sleep(0.01) end
      if chance(9) then error(err, 0) end
      return nil, err, ...
    end
  end
  return o
end

local function note(limiter, o)
  local info = known[limiter] or { keyed = o.key or o.keys, keys = 65536 }
  info.dry = info.dry or o.dry_run
  info.free = info.free or not (o.concurrent or o.adaptive)
  known[limiter] = info
end

-- Options that do not go together raise, and then something simple is made.
local function new_limiter(place)
  local o = creation()
  local ok, limiter = pcall(weir.limiter, o)
  if not ok then
    o = { concurrent = random(LIMIT) }
    limiter = weir.limiter(o)
  end
  note(limiter, o)
  limiters[place or random(#limiters)] = limiter
end

local function new_all()
  local members = {}
  for i = 1, random(4) do members[i] = one_of(limiters) end
  local ok, all = pcall(weir.all, members) -- it raises if one is there twice
  if not ok then return end
  local info = { keyed = false }
  for _, member in ipairs(members) do
    info.keyed = info.keyed or known[member].keyed
  end
  known[all] = info
  alls[random(4)] = all
end

local function any()
  local all = chance(4) and alls[random(4)]
  return all or one_of(limiters)
end

local function wishes()
  return { cost = chance(2) and random(3) or nil,
           timeout = not chance(4) and random() or nil,
           priority = chance(3) and random(-16, 15) or nil,
           flow = chance(3) and one_of(KEYS) or nil }
end

local function ask(method, limiter, options)
  if known[limiter].keyed then
    return limiter[method](limiter, one_of(KEYS), options)
  end
  return limiter[method](limiter, options)
end

local function keep(permit)
  if permit then permits[#permits + 1] = permit end
end

-- == what is done =============================================================

-- What a task or a stranger does: waits here and there, holds, drops, raises.
local bodies = {
  function() keep(ask("acquire", any(), wishes())) end,
  function() ask("acquire", any()) end, -- dropped
  function()
    local _ <close> = ask("acquire", any(), wishes())
    weir.sleep(random() / 10)
  end,
  function()
    return any()(function(...)
      if chance(3) then coroutine.yield() end
      if chance(5) then error("raised", 0) end
      weir.sleep(random() / 10)
      return ...
    end)(random(100), one_of(KEYS), one_of(KEYS))
  end,
  function()
    if #tasks > 0 then pcall(one_of(tasks).join, one_of(tasks), 0.1) end
  end,
  function()
    weir.stack { any(), any(), any() }(function() weir.sleep(0.01) end)(
      random(100), one_of(KEYS))
  end,
  function() coroutine.yield() weir.sleep(0) end,
}

local WEIRD = { -1, 0, 1.5, 0 / 0, 1 / 0, 2 ^ 53, "x", true, {}, tostring,
  ("y"):rep(1000), "\0" }

-- A call that makes no sense must raise, or refuse, and hold nothing.
local function misuse()
  local limiter = one_of(limiters)
  local call = one_of {
    weir.limiter, weir.rate_limit, weir.semaphore, weir.sleep, weir.spawn,
    weir.map, weir.stack, weir.readable, weir.step, weir.all, weir.trace,
    limiter.acquire, limiter.set, limiter.drain, limiter.wrap, limiter.stats,
    limiter.top, limiter.headers, limiter.explain,
  }
  pcall(call, one_of(WEIRD), one_of(WEIRD))
end

local function look()
  local limiter = one_of(limiters)
  local key = known[limiter].keyed and one_of(KEYS) or nil
  limiter:stats(key)
  limiter:headers(key, random(9))
  limiter:top(random(5))
  tostring(limiter:explain(key))
  tostring(weir.explain())
  local _, err = ask("try_acquire", any(), { cost = random(2 * LIMIT) })
  if err then
    tostring(err)
    err:headers()
  end
end

local function change()
  local limiter = one_of(limiters)
  local o = changes(known[limiter])
  if chance(3) then o[one_of { "rate", "adaptive", "concurrent" }] = false end
  if not pcall(limiter.set, limiter, o) then return end
  note(limiter, { dry_run = o.dry_run, concurrent = true })
  local info = known[limiter] -- it may have none by now
  info.free = info.free or o.concurrent == false or o.adaptive == false
end

local actions = {
  function() -- a new task, kept or not
    local task = weir.spawn(pcall, one_of(bodies))
    if chance(2) then tasks[#tasks + 1] = task end
  end,
  function()
    local co = coroutine.create(one_of(bodies))
    coroutine.resume(co)
    if not chance(3) then strangers[#strangers + 1] = co end
  end,
  function() keep(ask("try_acquire", any(), { cost = random(LIMIT) })) end,
  function()
    local permit = take_one(permits)
    if not permit or chance(4) then return end -- dropped
    permit:release(one_of { "dropped", "unused", "done" })
    assert(not pcall(permit.release, permit))
  end,
  function()
    local task = take_one(tasks)
    if task then task:cancel() end
  end,
  function()
    local co = take_one(strangers)
    if not co then return end
    if chance(2) then
      coroutine.resume(co, 1, 2)
      strangers[#strangers + 1] = co
    elseif coroutine.status(co) == "suspended" then
      coroutine.close(co)
    end
  end,
  change,
  function() if chance(50) then one_of(limiters):close() end end,
  function() if chance(10) then new_limiter() end end,
  function() if chance(10) then new_all() end end,
  function() if chance(30) then collectgarbage() end end,
  function() if chance(5) then look() end end,
  misuse,
}

-- == what must hold ===========================================================

local function check_limiter(limiter)
  local stats, info = limiter:stats(), known[limiter]
  local sum, bounded = 0, not info.dry and not info.free
  for _, key in ipairs(info.keyed and KEYS or {}) do
    local one = limiter:stats(key)
    sum = sum + one.in_use
    assert(not bounded or one.in_use <= LIMIT, tostring(limiter))
  end
  assert(not info.keyed or sum == stats.in_use, tostring(limiter))
  assert(info.keyed or not bounded or stats.in_use <= LIMIT, tostring(limiter))
  assert(not bounded or stats.limit <= LIMIT, tostring(limiter))
end

-- The collector would give back what was dropped between two looks at it.
local function check()
  collectgarbage "stop"
  for _, limiter in ipairs(limiters) do check_limiter(limiter) end
  collectgarbage "restart"
end

local function step(seconds, budget)
  time = time + seconds
  pcall(weir.step, time, budget)
end

local function is_busy(limiter)
  local stats = limiter:stats()
  return stats.in_use > 0 or stats.waiting > 0
end

local function finish()
  for _, permit in ipairs(permits) do permit:release() end
  for _, task in ipairs(tasks) do task:cancel() end
  for _, co in ipairs(strangers) do
    if coroutine.status(co) == "suspended" then coroutine.close(co) end
  end
  permits, tasks, strangers = {}, {}, {}
  for i = 1, 2000 do
    collectgarbage()
    step(1)
    for _, permit in ipairs(permits) do permit:release() end
    permits = {}
    local busy = false
    for _, limiter in ipairs(weir.limiters()) do
      if is_busy(limiter) then
        busy = true
        if i == 1000 then limiter:close() end -- stacks may be in a deadlock
      end
    end
    if not busy then return end
  end
  print(weir.explain())
  error "something is left"
end

for i = 1, 6 do new_limiter(i) end
step(0)
for _ = 1, steps do
  one_of(actions)()
  if chance(3) then step(random() / 50, random(20)) end
  check()
end
finish()
print "nothing is left"
