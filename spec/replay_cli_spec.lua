--- weir replay: what it reads, what it prints where, and its exit codes.

local helper = require "spec.helper"
local replaying = require "spec.replaying"

local LUA = os.getenv "LUA" or "lua5.4"
local REPLAY = LUA .. " lua/bin/weir replay "

local files

local function file(text)
  local name = os.tmpname()
  local handle <close> = assert(io.open(name, "wb"))
  handle:write(text)
  files[#files + 1] = name
  return name
end

local function slurp(name)
  local handle <close> = assert(io.open(name, "rb"))
  return handle:read "a"
end

-- Runs a shell command: exit code, what it wrote to stdout and to stderr.
local function sh(command) return helper.sh(command, 50) end

local function replay(args)
  return sh(REPLAY .. args)
end

local function has(module)
  return os.execute(("%s -e 'require \"%s\"' 2>/dev/null"):format(LUA, module))
    == true
end

local ONE_AT_A_TIME = [[
local weir = require "weir"
return weir.rate_limit { name = "door", concurrent = 1, queue = 1 }(
  function(req) return req:proceed() end)
]]

local COMMON = '10.0.0.%d - - [17/May/2015:10:05:%02d +0000] '
  .. '"GET /%d HTTP/1.1" 200 100'

local function common(seconds)
  local lines = {}
  for i, second in ipairs(seconds) do
    lines[i] = COMMON:format(i % 3, second, i) .. "\n"
  end
  return table.concat(lines)
end

describe("weir replay", function()
  before_each(function() files = {} end)
  after_each(function()
    for _, name in ipairs(files) do os.remove(name) end
  end)

  it("prints a report, to the letter", function()
    local log, policy = file(common { 0, 0, 0, 2, 5 } .. "nonsense\n"),
      file(ONE_AT_A_TIME)
    local code, out, err = replay(("%s --policy %s --service 1s"):format(log,
      policy))
    assert.same({ 0, "" }, { code, err })
    -- The three of one second come at 0, 1/3 and 2/3: the first until 1, the
    -- second waits 2/3 and is served until 2, the third finds the queue full.
    -- Percentiles are known within 3.2 %.
    assert.equal(([[
weir replay: POLICY
  5 requests in 6 lines of LOG (common)
  from 2015-05-17 10:05:00 to 2015-05-17 10:05:05 UTC, 5 s
  serving a request takes 1s
  5 lines have whole seconds: requests were spread evenly in theirs
  1 line skipped: not as the format says

  at once  3  60.00 %
  waited   1  20.00 %
  refused  1  20.00 %  1 full

                       p50     p90     p99     max
  wait                   0  654 ms  654 ms  667 ms
  wait and service  990 ms  1.64 s  1.64 s  1.67 s

  at most 1 at once with the policy, 3 without; at most 1 waiting

  limiter  at once  waited  refused  p50     p90     p99     max
  door           3       1        1    0  654 ms  654 ms  667 ms  1 full
]]):gsub("POLICY", policy):gsub("LOG", log), out:match "^(.-\n)\n  arrivals")
    assert.matches("\n  arrivals  |", out)
    assert.matches("Lines that were skipped:\n" .. log:gsub("%p", "%%%0")
      .. ":6:1: the end of a field is missing: nonsense\n", out)
  end)

  it("knows formats by their lines", function()
    local policy = file(ONE_AT_A_TIME)
    local line = COMMON:format(1, 3, 1)
    for name, text in pairs {
      common = line,
      combined = line .. ' "-" "Moz"',
      nginx = line .. ' "-" "Moz" 0.250',
      json = '{"time_iso8601":"2015-05-17T10:05:03+00:00","status":200,'
        .. '"request_method":"GET","request_uri":"/1","request_time":0.25}',
      haproxy = "h haproxy[1]: 10.0.1.2:33317 [17/May/2015:10:05:03.655] in "
        .. "be/srv 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "
        .. '"GET /1 HTTP/1.1"',
    } do
      local code, out, err = replay(("%s --policy %s --service 1s"):format(
        file(text .. "\n"), policy))
      assert.same({ 0, "" }, { code, err })
      assert.matches("1 request in 1 line of [^ ]+ %(" .. name .. "%)", out)
    end
  end)

  it("takes a format, as nginx has it", function()
    local code, out = replay(("%s --policy %s --format %q"):format(
      file "1431857103.5|0.250|GET /x HTTP/1.1\n", file(ONE_AT_A_TIME),
      "$msec|$request_time|$request"):gsub("%$", "\\$"))
    assert.equal(0, code)
    assert.matches("1 request", out)
    assert.matches("takes as long as the log says", out)
  end)

  it("reads the standard input, again and again if need be", function()
    local log, policy = file(common { 0, 1, 2 }), file(ONE_AT_A_TIME)
    for _, args in ipairs { "--policy " .. policy,
        ("--compare %s %s"):format(policy, policy),
        ("--policy %s --sweep door.concurrent=1,2"):format(policy) } do
      local code, out, err = replay(("- --service 1s %s <%s"):format(args, log))
      assert.same({ 0, "" }, { code, err })
      assert.matches("3 requests in 3 lines of standard input ", out)
    end
  end)

  it("reads what gzip packed, also several in one", function()
    if not has "zlib" then pending "there is no lua-zlib here" end
    local policy = file(ONE_AT_A_TIME)
    local packed = file ""
    assert(os.execute(("(gzip -c %s; gzip -c %s) >%s"):format(
      file(common { 0, 1 }), file(common { 2, 3, 4 }), packed)))
    local code, out, err = replay(("%s --policy %s --service 1s"):format(packed,
      policy))
    assert.same({ 0, "" }, { code, err })
    assert.matches("5 requests in 5 lines", out)
    code, out = replay(("- --policy %s --service 1s <%s"):format(policy,
      packed))
    assert.equal(0, code)
    assert.matches("5 requests in 5 lines of standard input", out)
    local bytes = slurp(packed)
    for text, wanted in pairs {
      [bytes:sub(1, -9)] = "it is damaged: it ends in the middle",
      [bytes:sub(1, 30) .. "\255\255\255\255" .. bytes:sub(35)] =
        "it is damaged",
    } do
      code, out, err = replay(("%s --policy %s --service 1s"):format(file(text),
        policy))
      assert.same({ 1, "" }, { code, out })
      assert.matches(wanted, err)
    end
  end)

  it("says what unpacks, where there is nothing to unpack with", function()
    local packed = file "\31\139\8"
    local code, out, err = sh(
      ("env LUA_CPATH='%s' %s %s --policy %s --service 1s"):format(
        package.searchpath("weir.core", package.cpath)
          :gsub("weir/core%.so$", "?.so"), REPLAY, packed,
        file(ONE_AT_A_TIME)))
    if has "zlib" and code ~= 1 then pending "lua-zlib is everywhere here" end
    assert.same({ 1, "" }, { code, out })
    assert.matches("gzip", err)
  end)

  it("merges logs", function()
    local code, out = replay(("%s %s --policy %s --service 1ms"):format(
      file(common { 5, 6, 7 }), file(common { 1, 2, 6 }), file(ONE_AT_A_TIME)))
    assert.equal(0, code)
    assert.matches("6 requests in 6 lines", out)
    assert.matches("from 2015%-05%-17 10:05:01 to 2015%-05%-17 10:05:07", out)
    assert.is_nil(out:find "too late")
  end)

  it("stops at a bad line, if it is to be strict", function()
    local log = file(common { 0, 1 } .. "nonsense\n" .. common { 2 })
    local code, out, err = replay(("%s --policy %s --service 1s --strict")
      :format(log, file(ONE_AT_A_TIME)))
    assert.same({ 1, "" }, { code, out })
    assert.equal(("weir: %s:3:1: the end of a field is missing: nonsense\n")
      :format(log), err)
  end)

  it("counts lines that come too late, unless the window has room", function()
    local log = file(common { 0, 30, 31 } .. common { 40 }:rep(2000)
      .. common { 1, 50 })
    local policy = file(ONE_AT_A_TIME)
    local _, out = replay(("%s --policy %s --service 1us --window 5s"):format(
      log, policy))
    assert.matches("1 line came too late", out)
    _, out = replay(("%s --policy %s --service 1us"):format(log, policy))
    assert.is_nil(out:find "too late")
  end)

  it("puts policies side by side", function()
    local a = file(ONE_AT_A_TIME)
    local b = file((ONE_AT_A_TIME:gsub("concurrent = 1", "concurrent = 2")))
    local code, out = replay(("%s --compare %s %s --service 1s"):format(
      file(common { 0, 0, 0 }), a, b))
    assert.equal(0, code)
    assert.matches("\n  at once +1 +2\n", out)
    assert.matches("\n  waited +1 +1\n", out)
    assert.matches("\n  refused +1 +0\n", out)
    assert.matches("\n  most in flight +1 +2\n", out)
  end)

  it("sweeps", function()
    local code, out = replay(
      ("%s --policy %s --service 1s --sweep door.concurrent=1..4"):format(
        file(common { 0, 0, 0, 0, 0, 0 }), file(ONE_AT_A_TIME)))
    assert.equal(0, code)
    assert.matches("\n  1 +1 +1 +4 ", out)
    assert.matches("\n  2 +2 +1 +3 ", out)
    assert.matches("\n  4 +4 +1 +1 ", out)
    assert.matches("knee", out)
  end)

  it("writes JSON", function()
    local code, out = replay(("%s --policy %s --service 1s --json"):format(
      file(common { 0, 0, 0 }), file(ONE_AT_A_TIME)))
    assert.equal(0, code)
    local report = replaying.decode(out)
    assert.same({ 3, 1, 1, 1 }, { report.requests, report.at_once,
                                  report.waited, report.codes.full })
    assert.equal("door", report.limiters[1].name)
    assert.equal("common", report.logs[1].format)
    assert.same({}, report.logs[1].examples)
    assert.near(2 / 3, report.wait.max, 1e-6)
    local arrived = 0
    for _, count in ipairs(report.timeline.arrived) do
      arrived = arrived + count
    end
    assert.equal(3, arrived)
  end)

  it("leaves what a policy prints out of the report", function()
    local code, out, err = replay(("%s --policy %s --service 1s --json"):format(
      file(common { 0 }), file('print "from the policy"\n' .. ONE_AT_A_TIME)))
    assert.equal(0, code)
    assert.matches("^{", out)
    assert.equal("from the policy\n", err)
  end)

  it("is silent about its progress where there is no terminal", function()
    local _, _, err = replay(("%s --policy %s --service 1s"):format(
      file(common { 0 }), file(ONE_AT_A_TIME)))
    assert.equal("", err)
  end)

  it("tells a terminal how far it is", function()
    if not has "term" or os.execute "command -v script >/dev/null 2>&1" ~= true
    then
      pending "there is no lua-term here, or no script(1)"
    end
    local lines = {}
    for i = 0, 59 do lines[i + 1] = common { i }:rep(1000) end
    local log, policy = file(table.concat(lines)), file(ONE_AT_A_TIME)
    local typescript = file ""
    os.execute(("env TERM=xterm script -qec %q %s >/dev/null 2>&1"):format(
      ("%s%s --policy %s --service 1ms"):format(REPLAY, log, policy),
      typescript))
    local text = slurp(typescript)
    assert.matches("\r\27%[K[%d,]+ lines, [%d,]+ a second, %d+ %%, "
      .. "[%d.]+ ?%a* left", text)
    assert.matches("\r\27%[Kweir replay", text)
  end)

  it("stops at Ctrl-C", function()
    -- where SIGPIPE is ignored, yes says that it could not go on
    local code, out, err = sh(("sh -c 'yes %q 2>/dev/null | timeout -s "
      .. "INT 1 %s - --policy %s --service 1ms --format common'"):format(
        COMMON:format(1, 1, 1):gsub('"', '\\"'), REPLAY, file(ONE_AT_A_TIME)))
    assert.same({ "", "" }, { out, err })
    assert.is_true(code == 130 or code == 124) -- what timeout makes of it
  end)

  it("says what is wrong, and with which exit code", function()
    local log, policy = file(common { 0 }), file(ONE_AT_A_TIME)
    local both = log .. " --policy " .. policy
    for args, wanted in pairs {
      [log] = { 2, "expected %-%-policy FILE, or %-%-compare" },
      [log .. " --policy a --compare a b"] = { 2, "expected %-%-policy FILE" },
      [log .. " --compare a b --sweep x.y=1"] = { 2, "%-%-sweep goes with" },
      [""] = { 2, "Usage" },
      [both .. " --capacity x"] = { 2, "x" },
      [both .. " --window x"] = { 2, "%-%-window wants" },
      [both] = { 1, "does not say how long requests took" },
      [log .. " --policy /no/such --service 1s"] = { 1, "/no/such" },
      ["/no/such --policy " .. policy .. " --service 1s"] =
        { 1, "/no/such: No such" },
      [both .. " --service x"] = { 1, "the service time" },
      [both .. " --service 1s --sweep x"] =
        { 1, "expected it as backend.concurrent=4..64" },
      [both .. " --service 1s --sweep x.concurrent=1"] =
        { 1, "no limiter 'x', but door" },
      [both .. " --service 1s --sweep door.colour=1"] =
        { 1, "colour" },
      [file "what\nis\nthis\n" .. " --policy " .. policy .. " --service 1s"] =
        { 1, "no format that is known: what" },
      [both .. " --service 1s --format '$x'"] =
        { 1, "no time: it wants %$time_local" },
    } do
      local code, out, err = replay(args)
      assert.same({ args, wanted[1], "" }, { args, code, out })
      assert.matches(wanted[2], err)
    end
  end)

  -- Of the lines of a log it keeps no more than it holds to put them in order.
  it("needs no more memory for more lines #once", function()
    local policy = file(ONE_AT_A_TIME)
    local maker = file [[
      for i = 0, tonumber(arg[1]) - 1 do
        io.write(("%.3f 10.0.%d.%d GET /\n"):format(1431857103 + i / 1000,
          i // 250 % 9, i % 250))
      end
    ]]
    local runner = file [[
      local exit = os.exit
      function os.exit(...)
        local status = io.open "/proc/self/status":read "a"
        io.stderr:write(status:match "VmHWM:%s*(%d+)")
        exit(...)
      end
      arg[0] = "lua/bin/weir"
      dofile(arg[0])
    ]]
    local function peak(lines)
      local code, out, err = sh(("sh -c '%s %s %d | %s %s replay - --json "
        .. "--service 1us --policy %s --format \"%s\"'"):format(LUA, maker,
          lines, LUA, runner, policy, "\\$msec \\$remote_addr "
          .. "\\$request_method \\$request_uri"))
      assert.same({ 0, lines }, { code, replaying.decode(out).requests })
      return tonumber(err)
    end
    local few, many = peak(70000), peak(350000)
    assert.is_true(many < few * 1.2 + 4000, many .. " kB after " .. few)
  end)

  it("reads what nginx logged of its demo, for its policy", function()
    if not has "zlib" then pending "there is no lua-zlib here" end
    local code, out, err = replay("lua/examples/overload.log.gz --service 20ms "
      .. "--capacity 8 --json --policy lua/examples/share.lua")
    assert.same({ 0, "" }, { code, err })
    local report = replaying.decode(out)
    assert.same({ "json", 1209, 1209, 0 }, { report.logs[1].format,
      report.logs[1].lines, report.requests, report.logs[1].bad })
    -- 400 a second are served: in the 0.992 s of the log, and the half second
    -- that is waited after it, of 1,209.
    assert.same({ 8, 592, 609 }, { report.at_once, report.waited,
                                   report.codes.timeout })
    assert.equal(8, report.in_flight)
    assert.is_true(report.wait.max <= 0.5)
    assert.equal("shm:share", report.limiters[1].space)
  end)

  it("reads a real log", function()
    local sample = "../shared/data/access-sample.log.gz"
    local there = io.open(sample)
    if not there then pending("there is no " .. sample) end
    if there then there:close() end
    if not has "zlib" then pending "there is no lua-zlib here" end
    local code, out, err = replay(sample .. " --service 20ms --json --policy "
      .. file(ONE_AT_A_TIME))
    assert.same({ 0, "" }, { code, err })
    local report = replaying.decode(out)
    assert.equal(10000, report.logs[1].lines)
    assert.equal(1, report.logs[1].bad)
    assert.equal(9999, report.requests)
  end)
end)
