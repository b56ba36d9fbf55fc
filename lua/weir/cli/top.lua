--- weir top: what the limiters of a space do, live, in a terminal.
--
-- @module weir.cli.top

local source = require "weir.cli.source"

local FAILED = 1 -- exit code
local SHORTEST = 0.1 -- seconds between two looks

local top = {
  summary = "Show what the limiters of a space do, live.",
  description = "Shows the limiters of a space that processes share, their "
    .. "busiest keys, and who waits for whom, in a terminal. It takes no part "
    .. "in the space. Press ? for its keys.",
}

local function to_delay(text)
  local seconds = tonumber(text)
  if seconds and seconds >= SHORTEST and seconds <= 3600 then return seconds end
  return nil, ("the delay must be %g to 3600 seconds, got '%s'"):format(
    SHORTEST, text)
end

function top.setup(parser)
  source.setup(parser)
  parser:option("-d --delay", "Seconds between two looks; 1 unless it says.")
    :argname "<seconds>":convert(to_delay):default "1"
end

local function complain(message)
  io.stderr:write("weir: ", message, "\n")
  return FAILED
end

-- The module, or nil and what to do for it.
local function load_screen()
  local found, screen = pcall(require, "weir.screen")
  if found then return screen end
  if tostring(screen):find("not found", 1, true)
    and not tostring(screen):find("libncurses", 1, true) then
    return nil, "weir top needs the module weir.screen, which is built where "
      .. "ncurses is: install it (Debian: libncurses-dev), and build weir "
      .. "again with `make install`"
  end
  return nil, "weir top needs ncurses (Debian: libncursesw6): "
    .. tostring(screen)
end

-- What to show, once there is a screen: the name, or one of several.
local function show(screen, args, name, names)
  local app = require "weir.top.app"
  name = name or app.choose(screen, names)
  if not name then return true end
  local space, err = source.open(name, args.dir)
  if not space then return nil, err end
  app.run(screen, space, args.delay)
  space:close()
  return true
end

function top.run(args)
  local module, why = load_screen()
  if not module then return complain(why) end
  if source.missing() then return complain("weir top " .. source.missing()) end
  local name, err, names = source.choose(args)
  if err then return complain(err) end
  local screen
  screen, err = module.open()
  if not screen then return complain("weir top: " .. err) end
  local ok, shown, trouble = xpcall(show, debug.traceback, screen, args, name,
                                    names)
  screen:close()
  if not ok then return complain(shown) end
  return shown and 0 or complain(trouble)
end

return top
