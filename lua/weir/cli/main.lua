--- The weir command: its commands are the files named here.
--
-- A command is a table: `summary`, a line for the help; `setup(parser)`, which
-- declares its arguments; `run(args, line, rest)`, which answers the exit code.
-- Where `rest` is set, the words after the first argument are not weir's to
-- understand: they are `rest`, the end of the whole `line`.
--
-- @module weir.cli.main

local COMMANDS = { "run", "check", "replay", "top", "stat", "spaces", "rm" }

local USAGE = 2 -- the exit code for a wrong command line

local found, argparse = pcall(require, "argparse")

local function complain(message)
  io.stderr:write("weir: ", message, "\n")
end

-- argparse would exit with 255 and without saying who speaks.
local function on_error(parser, message)
  io.stderr:write(parser:get_usage(), "\n")
  complain(message)
  os.exit(USAGE)
end

local function show_version()
  print(require "weir"._VERSION)
  os.exit(0)
end

local function make_parser(commands)
  local parser = argparse("weir", "Takes turns: limits for Lua functions.")
  parser.error = on_error
  parser:command_target "command"
  parser:flag("-V --version", "Show the version and exit.")
    :action(show_version)
  for _, name in ipairs(COMMANDS) do
    commands[name] = require("weir.cli." .. name)
    local command = parser:command(name)
    command:summary(commands[name].summary)
    command:description(commands[name].description)
    commands[name].setup(command)
  end
  return parser
end

-- Cuts the line behind the first argument of a command that takes a rest.
local function cut(line, commands)
  local command, options = commands[line[1]], true
  for i = 2, command and command.rest and #line or 0 do
    if options and line[i] == "--" then
      options = false
    elseif not options or line[i]:sub(1, 1) ~= "-" then
      return { table.unpack(line, 1, i) }, { table.unpack(line, i + 1) }
    end
  end
  return line, {}
end

--- Runs a command line.
-- @tparam table line as the global `arg`
-- @treturn number the exit code: 0 it went well, 1 it failed, 2 the command
-- line is wrong, 130 Ctrl-C
return function(line)
  if not found then
    complain("needs argparse, which was not found: install it with "
      .. "`apt install lua-argparse` or `luarocks install argparse`")
    return 1
  end
  local commands = {}
  local parser = make_parser(commands)
  local words, rest = cut(line, commands)
  local args = parser:parse(words)
  return commands[args.command].run(args, line, rest)
end
