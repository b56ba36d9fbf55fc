--- weir.json: JSON, written.
-- @module weir.json

local json = {}

local LIST = { __name = "weir.json.list" }

--- Marks a table as a list, which an empty one does not show.
-- @tparam table list
-- @treturn table the same
function json.list(list)
  return setmetatable(list, LIST)
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b",
                  ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
                  ["\t"] = "\\t" }

local function escape(c)
  return ESCAPES[c] or ("\\u%04x"):format(c:byte())
end

-- What is no UTF-8 counts as Latin-1, so that nothing is lost.
local function as_utf8(text)
  if utf8.len(text) then return text end
  return (text:gsub("[\128-\255]", function(c) return utf8.char(c:byte()) end))
end

local function of_string(text)
  return '"' .. as_utf8(text):gsub('[%c"\\\127]', escape) .. '"'
end

-- As short as it can be read back; what is no number is null.
local function of_number(n)
  if math.type(n) == "integer" then return ("%d"):format(n) end
  if n ~= n or n == math.huge or n == -math.huge then return "null" end
  local short = ("%.15g"):format(n)
  return tonumber(short) == n and short or ("%.17g"):format(n)
end

local encode

local function of_list(list)
  local parts = {}
  for i = 1, #list do parts[i] = encode(list[i]) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function of_table(value)
  local names, parts = {}, {}
  for name in pairs(value) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for i, name in ipairs(names) do
    local member = value[name]
    if member == nil then member = value[math.tointeger(name)] end
    parts[i] = of_string(name) .. ":" .. encode(member)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value)
  local kind = type(value)
  if kind == "string" then return of_string(value) end
  if kind == "number" then return of_number(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then return "null" end
  if value[1] ~= nil or getmetatable(value) == LIST then
    return of_list(value)
  end
  return of_table(value)
end

--- Writes a value as JSON: the members of an object in the order of their
-- names.
-- @param value strings, numbers, booleans, nil, and tables of them: a list, or
-- an object
-- @treturn string
function json.encode(value)
  return encode(value)
end

return json
