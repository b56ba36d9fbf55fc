--- lua5.4 memory.lua tasks|coroutines N: the bytes of resident memory that
-- each of N waiting tasks, or N bare suspended coroutines, takes.
local kind, n = arg[1], math.tointeger(arg[2])

local function resident()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return kilobytes * 1024 end
  end
end

local function report(before)
  print((resident() - before) / n)
end

local crowds = {}

function crowds.tasks()
  local weir = require "weir"
  weir.run(function()
    local sem = weir.semaphore(1)
    local permit = sem:acquire()
    local function body() sem:acquire():release() end
    local before = resident()
    for _ = 1, n do weir.spawn(body) end
    weir.sleep(0)
    assert(sem:stats().waiting == n)
    report(before)
    permit:release()
  end)
end

function crowds.coroutines()
  local threads, yield = {}, coroutine.yield
  local function body() yield():release() end
  local before = resident()
  for i = 1, n do
    threads[i] = coroutine.create(body)
    coroutine.resume(threads[i])
  end
  report(before)
  assert(#threads == n)
end

crowds[kind]()
