--- The nanoseconds of CPU time that fn(...) takes for each of n operations.
-- The collector starts from rest and then works as it always does.
return function(n, fn, ...)
  collectgarbage()
  local start = os.clock()
  fn(...)
  return (os.clock() - start) * 1e9 / n
end
