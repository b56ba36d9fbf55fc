--- weir.check.watch: sees which limiters a policy makes, where, and what its
-- functions of a call answer.
-- @module weir.check.watch

local weir = require "weir"

local watch = {}
watch.__index = watch

local MAKERS = { "limiter", "rate_limit", "semaphore" }
local ASKED = { "key", "flow" } -- options that are functions of a call

-- A function that calls `fn` from that place in a file: weir names its caller
-- where something is wrong, and where a limiter has no name.
local function as_if_at(place, fn)
  if place.currentline < 1 then return fn end
  local text = "local fn = ... return function(...) return fn(...) end"
  return load(("\n"):rep(place.currentline - 1) .. text, place.source, "t",
              {})(fn)
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function"
    or type(meta) == "table" and meta.__call ~= nil
end

-- Where a function is written, if that can be known.
local function place_of(fn, otherwise)
  local info = type(fn) == "function" and debug.getinfo(fn, "S")
  if not info or info.linedefined < 1 then return otherwise end
  return { file = info.short_src, line = info.linedefined }
end

-- The same function; what it answers is kept with the request it is about.
local function listen(self, making, option, fn)
  local place = place_of(fn, making)
  return function(...)
    local answer = fn(...)
    table.insert(making.answers, { option = option, value = answer,
                                   place = place, request = self.request })
    return answer
  end
end

local function listening(self, making, options)
  local copy = {}
  for name, value in next, options do copy[name] = value end
  for _, option in ipairs(ASKED) do
    local fn = copy[option]
    if is_callable(fn) then
      copy[option] = listen(self, making, option, fn)
    end
  end
  return copy
end

local function maker(self, name, original)
  return function(options, ...)
    local place = debug.getinfo(2, "Sl")
    local making = { file = place.short_src, line = place.currentline,
                     what = "weir." .. name, options = options, answers = {},
                     request = self.request }
    if type(options) == "table" then
      options = listening(self, making, options)
    end
    local limiter = as_if_at(place, original)(options, ...)
    if limiter ~= options then
      making.limiter = limiter
      table.insert(self.makings, making)
    end
    return limiter
  end
end

--- Begins to watch.
-- @treturn table with `makings`, in their order: each has `file`, `line`,
-- `what` was called, its `options`, the `limiter`, the `request` for which it
-- was made (nil: when the file was loaded), and the `answers` of its functions:
-- `option`, `value`, `place`, `request`. Set `request` to what comes.
function watch.start()
  local self = setmetatable({ makings = {}, originals = {} }, watch)
  for _, name in ipairs(MAKERS) do
    self.originals[name] = weir[name]
    weir[name] = maker(self, name, weir[name])
  end
  return self
end

--- Ends it.
function watch:stop()
  for name, original in pairs(self.originals) do weir[name] = original end
end

return watch
