--- What the specs of bad input share: values that are wrong for what is
-- expected, and what messages call them.

local wrong = {}

wrong.HUGE = ("x"):rep(100000)

local NUMBERS = { -1, -2^31, math.mininteger, math.maxinteger, 2^53, 2^63,
                  1e300, 1/0, -1/0, 0/0, -0.5, -1e-9 }
local OTHERS = { "", "3", "a\0b", wrong.HUGE, true, print,
                 coroutine.create(print),
                 setmetatable({}, { __name = "my.type" }), io.stdout }

wrong.NUMBERS, wrong.OTHERS = NUMBERS, OTHERS

local function joined(...)
  local all = {}
  for _, list in ipairs { ... } do
    table.move(list, 1, #list, #all + 1, all)
  end
  return all
end

local function without(list, kind)
  local kept = {}
  for _, value in ipairs(list) do
    if type(value) ~= kind then kept[#kept + 1] = value end
  end
  return kept
end

wrong.joined, wrong.without = joined, without

wrong.COUNT = "a whole number from 1 to 2147483647"
wrong.QUEUE = "a whole number from 0 to 2147483647"
wrong.PRIORITY = "a whole number from -16 to 15"
wrong.SECONDS = "a number of seconds from 0 to 1000000000"
wrong.SOME_SECONDS = "a number of seconds above 0, up to 1000000000"
wrong.NAME = "a string of 1 to 63 bytes without NUL"
wrong.HOST = "a string of 1 to 255 bytes without NUL"
wrong.KEY = "a string of at most 65535 bytes"
wrong.RATE = "a text such as '100/s', '5/m' or '10/250ms', or a number of "
  .. "tokens from above 0 to 2147483647 (per second, or per `per` seconds)"

--- By what is expected: the values that are not.
wrong.VALUES = {
  [wrong.COUNT] = joined(NUMBERS, { 0, 0.5, 1.5, 2^31, {} }, OTHERS),
  [wrong.QUEUE] = joined(NUMBERS, { 0.5, 1.5, 2^31, {} }, OTHERS),
  [wrong.PRIORITY] = joined({ -17, 16, 0.5, 2^31, 1/0, 0/0, {} }, OTHERS),
  [wrong.SECONDS] = joined(NUMBERS, { 1e9 + 1, {} }, OTHERS),
  [wrong.SOME_SECONDS] = joined(NUMBERS, { 0, 0.0, 1e9 + 1, {} }, OTHERS),
  [wrong.NAME] = { "", "a\0b", ("x"):rep(64), wrong.HUGE, 1, 1.5, 0/0, true,
                   {}, print },
  [wrong.HOST] = { "", "a\0b", ("x"):rep(256), wrong.HUGE, 1, 1.5, 0/0, true,
                   {}, print },
  [wrong.KEY] = joined({ 0, {}, wrong.HUGE, ("x"):rep(65536) }, NUMBERS,
                       without(OTHERS, "string")),
  [wrong.RATE] = joined(
    { -1, 0, 2^31, 1/0, -1/0, 0/0, {}, true, print, io.stdout },
    { "", "100", "/s", "100/", "100/s/s", "0/s", "-1/s", "1.5/s", "1e3/s",
      "100/x", "100/S", "100/ss", "5/0s", "2/1ns", "100 s", "a/s",
      "100/s\0", "2147483648/d", "1/99999d", wrong.HUGE }),
  ["a number above 0"] = joined(NUMBERS, { 0, {} }, OTHERS),
  ["true or false"] = joined(NUMBERS, { 0, 1, {} }, without(OTHERS, "boolean")),
  ["a function"] = joined(NUMBERS, { 0, {} }, without(OTHERS, "function")),
  ["a table"] = joined(NUMBERS, { 0 }, without(OTHERS, "table")),
  ["'done', 'dropped' or 'unused'"] = joined(NUMBERS, { 0, {} }, OTHERS),
  ["a number, a table of options or a limiter"] =
    { "", "x", "a\0b", wrong.HUGE, true, false, print, coroutine.create(print),
      io.stdout },
  ["an event_base as light userdata"] = joined(NUMBERS, OTHERS, { {} }),
}

-- A number is no wrong number above 0 for being large.
for i, value in ipairs(wrong.VALUES["a number above 0"]) do
  if type(value) == "number" and value > 0 and value < 1/0 then
    wrong.VALUES["a number above 0"][i] = -value
  end
end

for _, expected in ipairs { wrong.COUNT, wrong.PRIORITY } do
  wrong.VALUES[expected .. " or a function"] =
    without(wrong.VALUES[expected], "function")
end

-- Words, and what is none of them.
for _, words in ipairs {
  "'gcra', 'fixed' or 'sliding'", "'refuse' or 'admit'",
  "'fifo', 'lifo', 'priority' or 'fair'", "'newest', 'oldest' or 'lowest'",
  "'aimd', 'vegas' or 'gradient2'",
} do
  wrong.VALUES[words] = joined(NUMBERS, { 0, 1, {} }, OTHERS,
                               { "FIFO", "fixed ", "gcra\0" })
end

--- What a message calls a value.
function wrong.described(value)
  if value == nil then return "nil" end
  local kind = type(value)
  if kind == "boolean" then return tostring(value) end
  if kind == "number" then
    return value ~= value and "nan" or tostring(value)
  end
  if kind == "string" then
    if #value > 32 then return ("a string of %d bytes"):format(#value) end
    return ("the string '%s'"):format(value:match "^%Z*")
  end
  local meta = getmetatable(value)
  if type(meta) == "table" then return "a " .. (meta.__name or kind) end
  return "a " .. (type(meta) == "string" and meta or kind)
end

return wrong
