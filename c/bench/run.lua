--- lua5.4 run.lua: prints a table of what weir costs beside what the least
-- that could do its work costs. `make bench` runs it.
--
-- lua5.4 run.lua MODULE FUNCTION N: prints one sample. Each sample is taken in
-- a process that has done nothing else.
local here = arg[0]:match "^(.*)run%.lua$"
local core = assert(package.searchpath("weir.core", package.cpath))
local build = core:match "^(.*)lua/weir/core%.so$"
package.path = here .. "?.lua;" .. package.path
package.cpath = build .. "bench/?.so;" .. package.cpath

if arg[1] then
  print(require(arg[1])[arg[2]](math.tointeger(arg[3])))
  os.exit()
end

local RUNS = 7

--- What is measured, by { module, function, n } or the words of a command,
-- "bench_core count": what, weir, floor, reach; `is` says what the floor is,
-- `less` is taken off weir's.
local rows = {
  { "`acquire` and `release`, a permit is free", { "calls", "acquire", 500000 },
    { "calls", "methods", 500000 }, "1.3 x",
    is = "two C methods that check their userdata with luaL_checkudata" },
  { "a call through the decorator, a permit is free",
    { "calls", "limited", 500000 }, { "calls", "guarded", 500000 }, "1.3 x",
    is = "a Lua function that calls fn through pcall and returns its results, "
      .. "or raises its error again" },
  { "hand-off, 10 permits, 10,000 tasks", { "handoff", "permits", 10000 },
    { "handoff", "bare", 10000 }, "1.4 x",
    is = "as many coroutines, resumed twice and yielding twice in the same "
      .. "order, from a linked list in C, without a limiter" },
  { "the same through the decorator", { "handoff", "limited", 10000 },
    { "handoff", "bare", 10000 }, "1.4 x" },
  { "hand-off, 10 permits, 100 tasks", { "handoff", "permits", 100 },
    { "handoff", "bare", 100 }, "1.4 x" },
  { "the same through the decorator", { "handoff", "limited", 100 },
    { "handoff", "bare", 100 }, "1.4 x" },
  { "no limiter, but a permit object and two methods, 100 tasks",
    { "handoff", "bare_permits", 100 }, { "handoff", "bare", 100 },
    is = "as above; what weir's column shows here is the same C list, while "
      .. "the coroutines make the calls that ask for a permit and give it "
      .. "back, and these do nothing but make an object and yield" },
  { "no limiter, but a call from C with a slot to be closed, 100 tasks",
    { "handoff", "bare_limited", 100 }, { "handoff", "bare", 100 },
    is = "likewise, for the decorator" },
  { "memory of a waiting task, bytes", { "crowd", "memory", 100000 },
    { "crowd", "bare_memory", 100000 }, "1.2 x",
    is = "a bare suspended coroutine; both are VmRSS, for each of 100,000" },
  { "wake and finish 100,000 waiters, each", { "crowd", "burst", 100000 },
    { "crowd", "resume", 100000 }, "300 ns",
    is = "as many bare coroutines, resumed to their end from a list in C" },
  { "the same with 100,000, against 50,000", { "crowd", "burst", 100000 },
    { "crowd", "burst", 50000 }, "linear",
    is = "no floor, but weir with half as many: 1 is linear" },
  { "wait with a timeout, then cancel in random order, 100,000 tasks, each",
    { "crowd", "cancel", 100000 }, { "crowd", "timers", 100000 }, "2.5 x",
    less = { "crowd", "close", 100000 },
    is = "as many libevent timers, added and deleted in the same order, in C; "
      .. "weir's figure is on top of making, suspending and closing as many "
      .. "bare coroutines in that order" },
  { "C: acquire and release, a permit is free", "bench_core free_permit",
    "bench_core count", is = "functions that count up to a limit, and down" },
  { "C: hand-off, 1,000 waiting", "bench_core hand_off",
    "bench_core push_pop", is = "push and pop of a linked list" },
  { "C: wait with a deadline, then cancel in random order, 100,000, each",
    "bench_core cancel", "bench_core timers", is = "as many libevent timers" },
}

-- Every gate on top of the bare decorator, from Lua.
for i, gate in ipairs {
  { "a call through the decorator, a rate", "rate" },
  { "... a rate and permits", "both" },
  { "... a fixed window and permits", "fixed" },
  { "... a sliding window and permits", "sliding" },
  { "... a rate and permits of a key", "key" },
  { "... permits by priority", "priority" },
  { "... permits in turns, of a flow", "fair" },
  { "... permits, shedding by CoDel and by doom", "shed" },
  { "... permits, in a dry run", "dry_run" },
  { "... an adaptive limit, AIMD", "aimd" },
  { "... an adaptive limit, Vegas", "vegas" },
  { "... an adaptive limit, Gradient2", "gradient2" },
  { "... two limiters, one after the other (weir.stack)", "stack" },
  { "... two limiters at once (weir.all)", "all" },
} do
  rows[#rows + 1] = { gate[1], { "calls", "limited_" .. gate[2], 500000 },
    { "calls", "limited", 500000 },
    is = i == 1 and "the decorator with nothing but permits, of which one is "
      .. "free; so of the gates that follow" or nil }
end

--- Adds rows of one program that have a floor in common.
local function add(list, program, floor, is)
  for i, row in ipairs(list) do
    rows[#rows + 1] = { row[1], program .. row[2], row[3] or floor, row[4],
      is = row.is or i == 1 and is or nil }
  end
end

add({
  { "C: acquire and release, a rate", "rate" },
  { "C: ... a rate and permits", "both" },
  { "C: ... a fixed window and permits", "fixed" },
  { "C: ... a sliding window and permits", "sliding" },
  { "C: ... permits, shedding by CoDel and by doom", "shed" },
  { "C: ... an adaptive limit, AIMD", "aimd" },
  { "C: ... an adaptive limit, Vegas", "vegas" },
  { "C: ... an adaptive limit, Gradient2", "gradient2" },
  { "C: ... permits by priority", "priority" },
  { "C: ... permits in turns, of a flow", "fair" },
  { "C: ... permits, in a dry run", "dry_run" },
  { "C: ... a rate and permits of a key", "key" },
  { "C: ... of two limiters at once", "together", "bench_gates apart",
    is = "the same two limiters, one after the other" },
}, "bench_gates ", "bench_gates permits",
  "nothing but permits, of which one is free; so of all rows that follow up "
    .. "to two limiters at once")

add({
  { "C: hand-off, 1,000 waiting, first in first out", "hand_off_fifo" },
  { "C: ... last in first out", "hand_off_lifo" },
  { "C: ... of 4 priorities", "hand_off_priority" },
  { "C: ... of 100 flows in turns", "hand_off_fair" },
  { "C: ... for a rate, each at its time", "passing" },
}, "bench_gates ", "bench_core push_pop",
  "push and pop of a linked list; so of the orders that follow")

add({
  { "C: a new key, up to 1,000,000", "insert", "bench_keys nodes insert",
    "1.5 x",
    is = "the hash table that most C programs have: chains of nodes with their "
      .. "key, and a rate in each, with weir's hash (nodes.h)" },
  { "C: the same, beside slots that know no key", "insert",
    is = "open addressing in slots of 16 bytes, a hash and a time each, with "
      .. "weir's hash (table.h); so of the keys that follow" },
  { "C: the same, with a fast hash", "insert", "bench_keys fast insert",
    is = "the same slots with a hash that a stranger can make collide; weir "
      .. "with its own" },
  { "C: a key of 1,000,000", "hit", "bench_keys nodes hit", "1.5 x",
    is = "the chains" },
  { "C: the same, beside slots that know no key", "hit",
    "bench_keys sip hit" },
  { "C: the same, with a fast hash", "hit", "bench_keys fast hit" },
  { "C: a new key in the place of an idle one, 1,000,000", "churn",
    "bench_keys sip churn",
    is = "the slots; the oldest key is known from a ring, and removed" },
  { "memory of a key, bytes", "bytes", "bench_keys sip bytes", "128" },
  { "C: the longest of 1,000,000 new keys, real time", "longest",
    "bench_keys sip longest", "no pause",
    is = "likewise, each the best of three rounds; it doubles its table" },
  { "C: the same, 99.99th percentile", "tail", "bench_keys sip tail" },
}, "bench_keys weir ", "bench_keys sip insert")

--- Spaces that processes share: a table of their own, as most of it is real
-- time. `runs`: how often, if not RUNS.
local shared = {
  { "acquire and release, a permit is free, nobody else is there; CPU time",
    "bench_shared alone", "bench_shared local", "3 x",
    is = "the same two calls in a local space" },
  { "8 processes at one limiter, a permit is free: each call, acquire or "
    .. "release, of any of them", "bench_shared eight", "bench_shared mutex",
    "2 x", is = "8 processes that lock, count and unlock: one robust mutex in "
      .. "shared memory, one time each" },
  { "... each acquire and release together", "bench_shared eight_pairs",
    "bench_shared mutex", is = "as above" },
  { "hand-off between 2 processes that wait in epoll, each",
    "bench_shared hand_off", "bench_shared eventfds", "1.5 x",
    is = "2 processes that wait in epoll and wake each other by an eventfd: as "
      .. "many wake-ups" },
  { "a process with 100,000 tickets is killed: until the next one has a "
    .. "permit and nothing of it is left, ms", "bench_crowd recovery",
    "bench_crowd give_back", "50 ms",
    is = "a process that has as many of a local space gives them back itself" },
  { "64 processes, nobody waits: all their wake-ups in 10 s",
    "bench_crowd idle", "bench_crowd asleep", "0", runs = 1,
    is = "64 processes that wait in epoll for what does not come" },
}

--- Logs through policies, each line.
local replays = {
  { "a line of a log through a rate and permits of a key",
    { "replay", "keyed", 500000 }, { "replay", "read", 500000 }, "3,333",
    is = "the same log read in the same pieces, and its lines' ends found by "
      .. "memchr" },
  { "... through a handler without a limit", { "replay", "free", 500000 },
    { "replay", "read", 500000 } },
}

local function sample(subject)
  local command = build .. "bench/" .. tostring(subject)
  if type(subject) == "table" then
    command = ("%s %s %s %s %d"):format(arg[-1], arg[0],
      table.unpack(subject))
  end
  local pipe = io.popen(command)
  local number = pipe:read "n"
  pipe:close()
  return assert(number, "no answer from " .. command)
end

local function median(samples)
  return samples[(#samples + 1) // 2]
end

--- "141 (139-150)", of sorted samples
local function figure(samples)
  local format = "%.0f (%.0f-%.0f)"
  if median(samples) < 20 then format = "%.1f (%.1f-%.1f)" end
  return format:format(median(samples), samples[1], samples[#samples])
end

--- Takes samples in turn, weir's and the floor's; answers both lists, sorted.
local function measure(row)
  local ours, floors = {}, {}
  for run = 1, row.runs or RUNS do
    ours[run] = sample(row[2]) - (row.less and sample(row.less) or 0)
    floors[run] = sample(row[3])
  end
  table.sort(ours)
  table.sort(floors)
  return ours, floors
end

local function print_row(row)
  local ours, floors = measure(row)
  local ratio = median(floors) > 0
    and ("%.2f"):format(median(ours) / median(floors)) or ""
  print(("| %s | %s | %s | %s | %s |"):format(row[1], figure(ours),
    figure(floors), ratio, row[4] or ""))
  io.flush()
end

local HEAD = [[
| what | weir | floor | ratio | reach |
| --- | ---: | ---: | ---: | ---: |]]

local function print_table(list)
  print(HEAD)
  for _, row in ipairs(list) do print_row(row) end
  print "\nThe floors:\n"
  for _, row in ipairs(list) do
    if row.is then print(("- %s: %s"):format(row[1], row.is)) end
  end
end

local function processor()
  for line in io.lines "/proc/cpuinfo" do
    local name = line:match "^model name%s*:%s*(.*)$"
    if name then return name end
  end
  return "an unknown processor"
end

print(([[
%s on %s. Nanoseconds of CPU time unless it says bytes:
the median (least-most) of %d runs, each in a process of its own, weir and floor
in turn.
]]):format(_VERSION, processor(), RUNS))
print_table(rows)
print [[

`weir replay`: nanoseconds of CPU time for each line, in virtual time; 3,333 are
300,000 lines a second.
]]
print_table(replays)
print [[

Spaces that processes share: nanoseconds of real time unless it says otherwise.
]]
print_table(shared)
