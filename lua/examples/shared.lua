--- Eight workers, each a process, with three permits for all of them together.
-- One of them does not come to its end and is killed: its permit goes to who
-- waits next.
--
--    weir run lua/examples/shared.lua

local weir = require "weir"

local STUCK = "2" -- the worker that does not come to its end

local role, dir, number = ...

local function say(what)
  print(number, what, io.open "/proc/self/stat":read "n") -- its process id
  io.stdout:flush()
end

-- The same name in the same space is the same limiter, in every process.
local function work()
  local space = assert(weir.open("shm:workers", { dir = dir }))
  local job = weir.rate_limit { space = space, name = "jobs", concurrent = 3 }
  job(function()
    say "begins"
    weir.sleep(number == STUCK and 60 or 0.1)
    say "ends"
  end)()
end

if role == "worker" then return work() end

-- == the program that starts them =============================================

-- The words of a shell that run this script once more.
local function myself()
  local words, first = {}, 0
  while arg[first - 1] do first = first - 1 end
  for i = first, 0 do
    table.insert(words, "'" .. arg[i]:gsub("'", "'\\''") .. "'")
  end
  return table.concat(words, " ")
end

local home = io.popen "mktemp -d":read "l" -- for the space
local workers = io.popen(
  ("for i in 1 2 3 4 5 6 7 8; do %s worker %s $i & done; wait; rm -r %s")
    :format(myself(), home, home))

local running, most, ended, stuck, killed = 0, 0, 0, nil, nil

-- When another one has ended: then there are some who wait and some who work.
local function kill_stuck()
  os.execute("kill -KILL " .. stuck)
  running, killed = running - 1, STUCK
  print(("worker %s killed %s"):format(killed, ("#"):rep(running)))
end

for line in workers:lines() do
  local who, what, pid = line:match "(%d)\t(%a+)\t(%d+)"
  running = running + (what == "begins" and 1 or -1)
  most = math.max(most, running)
  print(("worker %s %-6s %s"):format(who, what, ("#"):rep(running)))
  if what == "ends" then ended = ended + 1 end
  if who == STUCK then stuck = pid end
  if stuck and ended > 0 and not killed then kill_stuck() end
end

print(("%d ended, %d was killed, at most %d ran at once")
  :format(ended, killed and 1 or 0, most))
