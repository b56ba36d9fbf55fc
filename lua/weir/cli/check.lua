--- weir check: tries a policy file before a host runs it.
--
-- @module weir.cli.check

local FAILED = 1 -- exit code

local check = {
  summary = "Try a policy file: what it defines, and what is suspicious.",
  description = "Loads a policy file as a host would, with made-up spaces, and "
    .. "lets a handful of made-up requests through it, in virtual time. Tells "
    .. "which handlers and limiters it defines and, with file and line, what "
    .. "is wrong or suspicious. Nothing live is touched. The exit code is 1 if "
    .. "there is an error or, with --strict, a warning; else 0.",
}

local function to_seconds(text)
  local number, unit = text:match "^([%d.]+)(m?s?)$"
  number = tonumber(number)
  if not number or number <= 0 or unit == "m" then
    return nil, ("expected seconds above 0, as 60, 60s or 500ms, got '%s'")
      :format(text)
  end
  return unit == "ms" and number / 1000 or number
end

function check.setup(parser)
  parser:argument("policy", "The policy's file name.")
  parser:flag("--strict", "A warning is a failure, too.")
  parser:option("--proxy-timeout", "How long somebody waits for an answer "
    .. "before it is given up, as 60s.", "60s"):argname "<time>"
    :convert(to_seconds)
  parser:option("--path", "Where the policy's `require` looks for files, as "
    .. "nginx's weir_path; else in the directory it is in.")
    :argname "<directory>"
  parser:flag("--no-sandbox", "As with nginx's `weir_sandbox off`.")
end

-- == what it defines ==========================================================

-- In this order, then the others by name.
local ORDER = { "concurrent", "rate", "per", "burst", "key", "keys", "queue",
                "timeout", "order" }

local UNTOLD = { name = true, space = true }

local function one_option(name, value)
  local kind = type(value)
  if kind == "function" or kind == "table" or kind == "userdata" then
    return name .. "=" .. kind
  end
  return name .. "=" .. tostring(value)
end

local function options_of(limiter)
  local options, words, told = limiter.options, {}, {}
  if type(options) ~= "table" then return "concurrent=" .. tostring(options) end
  for _, name in ipairs(ORDER) do
    if options[name] ~= nil then
      words[#words + 1] = one_option(name, options[name])
    end
    told[name] = true
  end
  local others = {}
  for name, value in pairs(options) do
    if not told[name] and not UNTOLD[name] then
      others[#others + 1] = one_option(name, value)
    end
  end
  table.sort(others)
  return table.concat(table.move(others, 1, #others, #words + 1, words), " ")
end

local function print_limiters(report)
  for _, limiter in ipairs(report.limiters) do
    print(("%s:%d: limiter '%s'%s: %s"):format(limiter.file, limiter.line,
      limiter.name, limiter.space and " in " .. limiter.space or "",
      options_of(limiter)))
  end
end

-- == what became of the requests ==============================================

local CLASSES = { "passed", "refused", "answered by the policy", "failed" }

local function class_of(trial)
  if trial.stuck or trial.outcome == "fail" then return "failed" end
  if trial.outcome == "refuse" then return "refused" end
  return trial.outcome == "answer" and "answered by the policy" or "passed"
end

local function print_handler(report, name)
  local counts, words, sum = {}, {}, 0
  for _, trial in ipairs(report.trials) do
    if trial.handler == name then
      local class = class_of(trial)
      counts[class], sum = (counts[class] or 0) + 1, sum + 1
    end
  end
  for _, class in ipairs(CLASSES) do
    if counts[class] then words[#words + 1] = counts[class] .. " " .. class end
  end
  print(("%s: of %d requests %s"):format(
    name == "" and "the handler" or ("handler '%s'"):format(name), sum,
    table.concat(words, ", ")))
end

-- == findings =================================================================

local function print_finding(finding)
  print(("%s%s: %s: %s%s"):format(finding.file,
    finding.line and ":" .. finding.line or "", finding.level, finding.text,
    finding.request and (" (%s)"):format(finding.request) or ""))
end

local function plural(count, what)
  return ("%d %s%s"):format(count, what, count == 1 and "" or "s")
end

local function count(findings)
  local counts = { error = 0, warning = 0 }
  for _, finding in ipairs(findings) do
    counts[finding.level] = counts[finding.level] + 1
  end
  return counts
end

local function search_path(args)
  local dir = args.path or args.policy:match "^(.*)/[^/]*$" or "."
  return dir .. "/?.lua;" .. dir .. "/?/init.lua"
end

function check.run(args)
  local report = require("weir.check").policy(args.policy, {
    proxy_timeout = args.proxy_timeout, path = search_path(args),
    sandbox = not args.no_sandbox })
  local counts = count(report.findings)
  print_limiters(report)
  for _, name in ipairs(report.names) do print_handler(report, name) end
  for _, finding in ipairs(report.findings) do print_finding(finding) end
  print(("%s, %s"):format(plural(counts.error, "error"),
                          plural(counts.warning, "warning")))
  local failed = counts.error > 0 or args.strict and counts.warning > 0
  return failed and FAILED or 0
end

return check
