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

--- What is measured, by { module, function, n } or { name } in bench_core:
-- what, weir, floor, reach; `is` says what the floor is, `less` is taken off
-- weir's.
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
  { "C: acquire and release, a permit is free", { "free_permit" },
    { "count" }, is = "functions that count up to a limit, and down" },
  { "C: hand-off, 1,000 waiting", { "hand_off" }, { "push_pop" },
    is = "push and pop of a linked list" },
  { "C: wait with a deadline, then cancel in random order, 100,000, each",
    { "cancel" }, { "timers" }, is = "as many libevent timers" },
}

local function sample(subject)
  local command = build .. "bench/bench_core " .. subject[1]
  if subject[2] then
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
  for run = 1, RUNS do
    ours[run] = sample(row[2]) - (row.less and sample(row.less) or 0)
    floors[run] = sample(row[3])
  end
  table.sort(ours)
  table.sort(floors)
  return ours, floors
end

local function print_row(row)
  local ours, floors = measure(row)
  print(("| %s | %s | %s | %.2f | %s |"):format(row[1], figure(ours),
    figure(floors), median(ours) / median(floors), row[4] or ""))
  io.flush()
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

| what | weir | floor | ratio | reach |
| --- | ---: | ---: | ---: | ---: |]]):format(_VERSION, processor(), RUNS))
for _, row in ipairs(rows) do print_row(row) end

print "\nThe floors:\n"
for _, row in ipairs(rows) do
  if row.is then print(("- %s: %s"):format(row[1], row.is)) end
end
