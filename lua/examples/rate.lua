--- A crawler's manners: each host gets twenty requests a second, two of them at
-- once, and no more than two at a time.

local weir = require "weir"

local fetch = weir.rate_limit {
  key = function(url) return url:match "^%w+://([^/]+)" end, -- the host
  rate = "20/s", burst = 2, -- begun
  concurrent = 2,           -- at a time
}(function(url)
  weir.sleep(0.001) -- something that takes time
  return url
end)

local urls = {}
for i = 1, 6 do
  urls[#urls + 1] = "http://one.example/" .. i
  urls[#urls + 1] = "http://two.example/" .. i
end

local begun = weir.now()
weir.map(fetch, urls)
local took = weir.now() - begun
-- Two at once and four more, one each 50 ms; the hosts do not wait for each
-- other.
print(#urls .. " pages in more than 0.2 s: " .. tostring(took >= 0.2))
print("and in less than it takes one host for all: " .. tostring(took < 0.5))
