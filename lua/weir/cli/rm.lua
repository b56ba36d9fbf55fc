--- weir rm: removes a shared space.
--
-- @module weir.cli.rm

local weir = require "weir"

local FAILED = 1 -- exit code

local rm = {
  summary = "Remove a space that processes share.",
  description = "Removes the files of a space that processes share; whoever "
    .. "opens it next makes a new one. One that a living process uses is left "
    .. "alone.",
}

function rm.setup(parser)
  parser:argument("name", "The space's name, as api or shm:api.")
  parser:flag("-f --force", "Remove it even so: the processes that use it "
    .. "keep it to themselves.")
  parser:option("--dir", "The directory of the spaces; else $WEIR_DIR, else "
    .. "/dev/shm/weir-UID."):argname "<dir>"
end

function rm.run(args)
  local url = args.name:find "^shm:" and args.name or "shm:" .. args.name
  local ok, err = weir.remove(url, { force = args.force or false,
                                     dir = args.dir })
  if ok then return 0 end
  io.stderr:write("weir: ", err, "\n")
  return FAILED
end

return rm
