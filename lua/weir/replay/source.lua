--- weir.replay.source: the bytes of a log, packed or not.
--
-- A log is read in pieces. One that was packed by gzip is known by its first
-- bytes, wherever it comes from; it is unpacked by the module lua-zlib, which
-- is loaded when there is one.
-- @module weir.replay.source

local PIECE = 65536 -- bytes
local GZIP = "^\x1f\x8b"

local source = { INPUT = "standard input" } -- what that is called
source.__index = source

local NO_ZLIB = "it is packed by gzip, and there is no lua-zlib to unpack it "
  .. "(`apt install lua-zlib` or `luarocks install lua-zlib`); or "
  .. "`zcat LOG | weir replay - ...`"

local function fail(self, message)
  error(("%s: %s"):format(self.name, message), 0)
end

-- A function that unpacks: bytes -> bytes.
local function unpacker(self)
  local found, zlib = pcall(require, "zlib")
  if not found then fail(self, NO_ZLIB) end
  local inflate = zlib.inflate()
  return function(bytes)
    local parts = {}
    while bytes ~= "" do
      -- How many bytes it took is counted from its begin.
      local before = self.taken or 0
      local ok, out, over, taken = pcall(inflate, bytes)
      if not ok then fail(self, "it is damaged: gzip cannot be unpacked") end
      parts[#parts + 1] = out
      self.whole = over
      if not over then
        self.taken = taken
        break
      end
      -- Several packed files, one after the other, are one.
      bytes = bytes:sub(taken - before + 1)
      inflate, self.taken = zlib.inflate(), 0
    end
    return table.concat(parts)
  end
end

--- Opens a log.
-- @tparam string name of a file; "-" is the standard input
-- @tparam[opt] string shown what to call it
-- @treturn[1] table a source
-- @treturn[2] nil
-- @treturn[2] string why not
function source.open(name, shown)
  local self = setmetatable({ name = shown or name, read_bytes = 0 }, source)
  if name == "-" then
    self.name, self.file = source.INPUT, io.stdin
    return self
  end
  local file, err = io.open(name, "rb")
  if not file then return nil, err end
  local size = file:seek "end"
  if not size or not file:seek "set" then size = nil end
  self.file, self.size = file, size
  return self
end

-- The next piece as it is in the file; nil: it is over.
local function read_raw(self)
  local bytes, err = self.file:read(PIECE)
  if not bytes then
    if err then fail(self, err) end
    return nil
  end
  self.read_bytes = self.read_bytes + #bytes
  if self.unpack == nil then
    self.unpack = bytes:find(GZIP) and unpacker(self) or false
  end
  return bytes
end

--- The next piece of the log. Raises if it cannot be read.
-- @treturn ?string nil: it is over
function source:read()
  local held = self.held
  if held then
    self.held = nil
    return held
  end
  local bytes = read_raw(self)
  if bytes and self.unpack then bytes = self.unpack(bytes) end
  if not bytes and self.unpack and not self.whole then
    fail(self, "it is damaged: it ends in the middle")
  end
  return bytes
end

--- The first bytes of the log, which read gives as well.
-- @treturn string
function source:peek()
  local bytes
  repeat bytes = self:read() until bytes ~= ""
  self.held = bytes
  return bytes or ""
end

--- How much of it was read, from 0 to 1; nil: nobody knows.
function source:part()
  return self.size and self.size > 0 and self.read_bytes / self.size or nil
end

function source:close()
  if self.file ~= io.stdin then self.file:close() end
end

return source
