--- Finds the space that `weir top` and `weir stat` look at.
--
-- @module weir.cli.source

local weir = require "weir"

local source = {}

local found, json = pcall(require, "dkjson")

--- Declares the arguments: a space's name, and the directory of spaces.
function source.setup(parser)
  parser:argument("space", "Its name, as api or shm:api; the only one there is "
    .. "where none is given."):args "?"
  parser:option("--dir", "The directory of the spaces; else $WEIR_DIR, else "
    .. "/dev/shm/weir-UID. Root may look at another user's, as "
    .. "/dev/shm/weir-33."):argname "<dir>"
end

--- The names of the spaces that there are, of those that can be opened if any
-- can; nil and why.
function source.names(dir)
  local list, err = weir.spaces(dir)
  if not list then return nil, err end
  local names, broken = {}, {}
  for _, space in ipairs(list) do
    local to = space.why and broken or names
    to[#to + 1] = space.name
  end
  return #names > 0 and names or broken
end

--- The name of the space that is meant; nil and why; nil, nil and the names
-- where there are several.
function source.choose(args)
  if args.space then
    return args.space:find "^shm:" and args.space or "shm:" .. args.space
  end
  local names, err = source.names(args.dir)
  if not names then return nil, err end
  if #names == 0 then
    return nil, "there is no space: start first who opens one, or name another "
      .. "directory with --dir"
  end
  if #names == 1 then return names[1] end
  return nil, nil, names
end

--- Opens a space to look at.
-- @treturn[1] table with `read(self)`, which answers what the JSON says, or nil
-- and why; `text(self, format)`; `close(self)`
-- @treturn[2] nil
-- @treturn[2] string why not
function source.open(name, dir)
  local look, err = weir.look(name, { dir = dir })
  if not look then return nil, err end
  return {
    name = name,
    text = function(_, format) return weir.status(look, format) end,
    read = function(_)
      local text, why = weir.status(look)
      if not text then return nil, why end
      return (json.decode(text))
    end,
    close = function() look:close() end,
  }
end

--- What is missing to read what the JSON says; nil: nothing.
function source.missing()
  if found then return nil end
  return "needs dkjson, which was not found: install it with `apt install "
    .. "lua-dkjson` or `luarocks install dkjson`"
end

return source
