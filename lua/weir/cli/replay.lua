--- weir replay: logs through a policy.
--
-- @module weir.cli.replay

local terminal = require "weir.cli.terminal"

local FAILED, USAGE, INTERRUPTED = 1, 2, 130 -- exit codes

local replay = {
  summary = "Run access logs through a policy, in virtual time.",
  description = "Reads access logs and says what a policy would have done to "
    .. "their requests: the same policy file that nginx runs, by the same "
    .. "engine, in virtual time.",
}

local function number(text)
  return math.tointeger(tonumber(text))
end

local function declare_input(parser)
  parser:argument("log", "Logs, packed by gzip or not; - is the standard "
    .. "input."):args "+"
  parser:option("--format", "combined, common, nginx (combined and "
    .. "$request_time), json, haproxy, or a string as nginx's log_format; else "
    .. "it is found out."):argname "<format>"
  parser:option("--window", "Time that lines may be out of order (1m).")
    :argname "<time>"
  parser:flag("--no-spread", "Leave requests of one second where they are, "
    .. "instead of spreading them over it.")
  parser:flag("--strict", "Stop at the first line that is not as the format "
    .. "says.")
end

local function declare_policy(parser)
  parser:option("-p --policy", "The policy's file."):argname "<file>"
  parser:option("--handler", "Which of its handlers, if it has several.")
    :argname "<name>"
  parser:option("--path", "Where its `require` looks for files, as "
    .. "package.path."):argname "<path>"
  parser:option("--compare", "Two policies instead, side by side."):args(2)
    :argname { "<file>", "<file>" }
  parser:option("--sweep", "Set an option of a limiter to several values, as "
    .. "backend.concurrent=4..64."):argname "<name.option=values>"
end

local function declare_server(parser)
  parser:option("--service", "How long serving a request takes, as 20ms or "
    .. "lognormal:p50=20ms,p99=200ms; else as long as the log says.")
    :argname "<model>"
  parser:option("--capacity", "How many requests the server serves at once; "
    .. "the others wait in it."):argname "<n>":convert(number)
  parser:option("--seed", "Of the model's random numbers (0).")
    :argname "<n>":convert(number)
end

local function declare_output(parser)
  parser:option("--html", "Write a page with charts, for which it takes "
    .. "gnuplot."):argname "<file>"
  parser:flag("--json", "Write the report as JSON.")
  parser:option("--keys", "How many of the most affected keys to tell of (10).")
    :argname "<n>":convert(number):default(10)
end

function replay.setup(parser)
  declare_input(parser)
  declare_policy(parser)
  declare_server(parser)
  declare_output(parser)
end

-- == progress =================================================================

local function eta_of(sources, seconds)
  local sum = 0
  for _, log in ipairs(sources) do
    local part = log:part()
    if not part then return nil end
    sum = sum + part
  end
  local part = sum / #sources
  return part > 0 and seconds * (1 - part) / part, part
end

-- What is drawn of a replay now; `begin` is when it began.
local function progress_line(self, options, begin)
  local figures = require "weir.replay.figures"
  local lines, _, now = self.replayer:progress()
  local seconds = now - begin
  local eta, part = eta_of(self.sources, seconds)
  local text = ("%s lines, %s a second"):format(figures.count(lines),
    figures.count(seconds > 0 and lines // seconds or 0))
  if options.steps then
    text = ("%d of %d: %s"):format(options.step, options.steps, text)
  end
  if eta then
    text = text .. (", %d %%, %s left"):format(100 * part // 1,
      figures.time(math.ceil(eta)))
  end
  return text
end

-- A function that is called now and then, and draws sometimes.
local function progress_of(options)
  if not terminal.is_one(io.stderr) then return nil end
  local begin, drawn = {}, 0
  return function(self)
    local _, _, now = self.replayer:progress()
    begin[self] = begin[self] or now
    if now - drawn < 0.1 then return end
    drawn = now
    io.stderr:write("\r\27[K", progress_line(self, options, begin[self]))
    io.stderr:flush()
  end
end

local function end_progress(options)
  if options.progress then io.stderr:write "\r\27[K" end
end

-- == output ===================================================================

local function complain(message)
  io.stderr:write("weir: ", message, "\n")
end

local function print_result(args, result)
  local text = require "weir.replay.text"
  if args.json then
    print(require("weir.json").encode(text.plain(result)))
    return
  end
  io.stdout:write(text.result(result, { blocks = terminal.has_blocks(),
                                        keys = args.keys }))
end

local function write_page(args, result)
  local page, err = require("weir.replay.page").page(result)
  if not page then return nil, err end
  local file
  file, err = io.open(args.html, "w")
  if not file then return nil, err end
  file:write(page)
  return file:close()
end

-- == running ==================================================================

local function mistake_in(args)
  local ways = (args.policy and 1 or 0) + (args.compare and 1 or 0)
  if ways ~= 1 then
    return "expected --policy FILE, or --compare FILE FILE"
  elseif args.sweep and args.compare then
    return "--sweep goes with --policy, not with --compare"
  elseif args.html and not require("weir.replay.plot").found() then
    return require("weir.replay.plot").MISSING
  end
end

local function seconds_of(text)
  return text and require("weir.replay.service").seconds(text)
end

local function options_of(args)
  local options = {
    logs = args.log, format = args.format, handler = args.handler,
    path = args.path, service = args.service, capacity = args.capacity,
    seed = args.seed, strict = args.strict, keys = math.max(args.keys, 20),
    window = seconds_of(args.window),
    print = function(...) -- what a policy prints is no part of a report
      io.stderr:write(table.concat(table.pack(...), "\t"), "\n")
    end,
  }
  if args.no_spread then options.spread = false end
  options.progress = progress_of(options)
  return options
end

local function run(args, options)
  local engine = require "weir.replay"
  if args.compare then
    local reports, err = engine.compare(args.compare, options)
    return reports and { compare = reports }, err
  elseif args.sweep then
    local sweep, err = engine.sweep(args.policy, args.sweep, options)
    return sweep and { sweep = sweep, policy = args.policy }, err
  end
  local report, err = engine.run(args.policy, options)
  return report and { report = report }, err
end

function replay.run(args)
  local mistake = mistake_in(args)
  if args.window and not seconds_of(args.window) then
    mistake = "--window wants a time, as 1m"
  end
  if mistake then
    complain(mistake)
    return USAGE
  end
  local options = options_of(args)
  local result, err = run(args, options)
  end_progress(options)
  if not result then
    if err:find "interrupted!$" then return INTERRUPTED end -- so Lua says it
    complain(err)
    return FAILED
  end
  if args.html then
    local ok, why = write_page(args, result)
    if not ok then
      complain(why)
      return FAILED
    end
  end
  print_result(args, result)
  return 0
end

return replay
