--- The numbers from 1 to n in a random order, the same in every run.
return function(n)
  local order = {}
  math.randomseed(20, 24)
  for i = 1, n do order[i] = i end
  for i = n, 2, -1 do
    local j = math.random(i)
    order[i], order[j] = order[j], order[i]
  end
  return order
end
