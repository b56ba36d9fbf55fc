--- A permit that comes back at the end of its block, however the block ends.

local weir = require "weir"

local sem = weir.semaphore(1)

local function careful(work)
  local _ <close> = sem:acquire()
  return work()
end

print("returned", careful(function() return "a result" end))
print("in use", sem:stats().in_use)

print("raised", pcall(careful, function() error("an error", 0) end))
print("in use", sem:stats().in_use)

local task = weir.spawn(careful, function() weir.sleep(3600) end)
weir.sleep(0) -- lets it start
print("while it runs", sem:stats().in_use)
task:cancel()
print("canceled", sem:stats().in_use)
