--- Measuring things in turn, and setting figures beside their floors.
local measure = {}

measure.RUNS = 7

--- The nanoseconds of CPU time that fn(n) takes for each of n operations.
-- The collector starts from rest and then works as it always does.
function measure.ns(n, fn, ...)
  collectgarbage()
  local start = os.clock()
  fn(n, ...)
  return (os.clock() - start) * 1e9 / n
end

--- What is to be known about a list of samples.
function measure.summary(samples)
  table.sort(samples)
  return {
    median = samples[(#samples + 1) // 2],
    min = samples[1],
    max = samples[#samples],
  }
end

--- Runs functions in turn, A B A B ..., and sums up what each returned.
-- @tparam function ... each returns one sample
-- @return a summary for each
function measure.in_turn(...)
  local subjects, samples = { ... }, {}
  for i = 1, #subjects do samples[i] = {} end
  for run = 1, measure.RUNS do
    for i, subject in ipairs(subjects) do samples[i][run] = subject() end
  end
  for i = 1, #subjects do samples[i] = measure.summary(samples[i]) end
  return table.unpack(samples)
end

local function figure(summary)
  local format = summary.median < 20 and "%.1f" or "%.0f"
  return ((format .. " (" .. format .. "-" .. format .. ")"):format(
    summary.median, summary.min, summary.max))
end

--- Prints a row of the table: a figure, its floor, and the ratio to reach.
-- @tparam string what
-- @tparam table weir a summary
-- @tparam[opt] table floor a summary
-- @tparam[opt] string reach
function measure.row(what, weir, floor, reach)
  print(("| %s | %s | %s | %s | %s |"):format(what, figure(weir),
    floor and figure(floor) or "",
    floor and ("%.2f"):format(weir.median / floor.median) or "", reach or ""))
  io.flush()
end

return measure
