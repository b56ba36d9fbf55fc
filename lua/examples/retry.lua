--- Limits and retries: which one goes outside?
--
-- The limiter outside: one permit covers a call and all its tries, so a call
-- that is being retried still counts as one, and no more calls are let in while
-- the backend has trouble. That is what protects a backend. Inside, each try
-- would ask for a permit of its own and wait behind all newcomers, and in
-- between, while it pauses, others would be let in: the more fails, the more
-- there is to do.

local weir = require "weir"

--- A decorator: calls fn again, up to `times` in all, while it answers nil.
local function retry(times, pause)
  return function(fn)
    return function(...)
      for try = 1, times do
        local result, err = fn(...)
        if result or try == times then return result, err end
        weir.sleep(pause)
      end
    end
  end
end

local running, most, tries = 0, 0, {}

local function flaky(n) -- works at the third try
  running = running + 1
  most = math.max(most, running)
  tries[n] = (tries[n] or 0) + 1
  weir.sleep(0.001)
  running = running - 1
  if tries[n] == 3 then return "answer " .. n end
  return nil, "no luck"
end

local limited = weir.semaphore(2)
local ask = weir.stack { limited, retry(5, 0.001) }(flaky)

local answers = weir.map(ask, { 1, 2, 3, 4 })
print(table.concat(answers, ", "))
print(#tries * 3 .. " tries in " .. limited:stats().admitted .. " permits, "
  .. most .. " at once")
