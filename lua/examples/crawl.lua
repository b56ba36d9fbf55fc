--- Follows links, page by page: tasks that start tasks, two pages at a time.

local weir = require "weir"

local LINKS = {
  home = { "news", "about" },
  news = { "today", "about" },
  about = { "home" },
  today = {},
}

local loading, highest, seen = 0, 0, {}

local load = weir.rate_limit(2)(function(page)
  loading = loading + 1
  highest = math.max(highest, loading)
  weir.sleep(0.01) -- as a network would take
  loading = loading - 1
  return LINKS[page]
end)

local function crawl(page)
  if seen[page] then return end
  seen[page] = true
  weir.map(crawl, load(page))
end

crawl "home"

local pages = {}
for page in pairs(seen) do table.insert(pages, page) end
table.sort(pages)
print("found " .. table.concat(pages, ", "))
print("loaded at once, at most: " .. highest)
