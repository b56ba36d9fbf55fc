--- A noisy tenant and a quiet one: with order = "fair" they take turns.

local weir = require "weir"

local served = {}
local serve = weir.rate_limit {
  concurrent = 1,
  order = "fair",
  flow = function(tenant) return tenant end,
}(function(tenant)
  weir.sleep(0.001)
  served[#served + 1] = tenant
end)

local tasks = {}
for _ = 1, 8 do tasks[#tasks + 1] = weir.spawn(serve, "noisy") end
for _ = 1, 2 do tasks[#tasks + 1] = weir.spawn(serve, "quiet") end
for _, task in ipairs(tasks) do task:join() end
print(table.concat(served, " "))
