--- Five workers and two permits: who comes first goes first.

local weir = require "weir"

local sem = weir.semaphore(2)

local function work(n)
  local permit = sem:acquire()
  print("worker " .. n .. " is in")
  weir.sleep(0.01)
  permit:release()
end

weir.map(work, { 1, 2, 3, 4, 5 })
print(sem:stats().admitted .. " were let in, " .. sem:stats().in_use
  .. " are still in")
