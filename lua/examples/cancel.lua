--- A task that waits is canceled: it leaves the queue at once, and whoever
-- stood behind it moves up.

local weir = require "weir"

local printer = weir.limiter { concurrent = 1, name = "printer" }

local print_page = printer:wrap(function(name)
  return name .. " is printed"
end)

local permit = printer:acquire()
local first = weir.spawn(print_page, "first")
local second = weir.spawn(print_page, "second")
local third = weir.spawn(print_page, "third")

weir.sleep(0) -- lets them run, and queue up
print(printer:stats().waiting .. " wait")
second:cancel()
print(printer:stats().waiting .. " wait")

permit:release()
print(first:join())
print(third:join())
print(second:join())
