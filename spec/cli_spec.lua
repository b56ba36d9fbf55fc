--- The weir command: what it prints where, and its exit codes; the chart.

local helper = require "spec.helper"
local weir = require "weir"

local LUA = os.getenv "LUA" or "lua5.4"
local WEIR = LUA .. " lua/bin/weir"

local files -- made by a test

local function script(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  files[#files + 1] = name
  return name
end

-- Runs a shell command: exit code, what it wrote to stdout and to stderr.
local function sh(command) return helper.sh(command, 20) end

local function run(text, args)
  local name = script(text)
  local code, out, err = sh(("%s run %s %s"):format(WEIR, name, args or ""))
  return code, out, err, name
end

local function cleanup()
  for _, name in ipairs(files) do os.remove(name) end
end

describe("weir", function()
  before_each(function() files = {} end)
  after_each(cleanup)

  it("explains itself", function()
    local code, out, err = sh(WEIR .. " --help")
    assert.same({ 0, "" }, { code, err })
    assert.matches("Usage: weir", out)
    assert.matches("run%s+Run a Lua script", out)
    assert.matches("spaces%s+List the spaces", out)
    assert.matches("rm%s+Remove a space", out)
  end)

  it("tells its version", function()
    local code, out = sh(WEIR .. " --version")
    assert.same({ 0, weir._VERSION .. "\n" }, { code, out })
  end)

  it("explains its commands", function()
    local code, out, err = sh(WEIR .. " run --help")
    assert.same({ 0, "" }, { code, err })
    assert.matches("Usage: weir run", out)
    assert.matches("<script>", out)
  end)

  it("answers a wrong command line with 2 and what is wrong", function()
    local wrong = {
      [""] = "weir: a command is required",
      ["run1"] = "unknown command 'run1'\nDid you mean 'run'",
      ["--bogus"] = "unknown option '%-%-bogus'",
      ["run"] = "Usage: weir run.-missing argument 'script'",
      ["run --bogus x.lua"] = "unknown option '%-%-bogus'",
      ["run no/such.lua"] = "weir: cannot open no/such%.lua",
      ["run /"] = "weir: cannot read /",
      ["rm"] = "Usage: weir rm.-missing argument 'name'",
      ["rm --bogus x"] = "unknown option '%-%-bogus'",
      ["spaces x"] = "too many arguments",
    }
    for line, message in pairs(wrong) do
      local code, out, err = sh(WEIR .. " " .. line)
      assert.same({ 2, "" }, { code, out }, line)
      assert.matches(message, err)
    end
  end)

  it("says what to install without argparse", function()
    local without = "package.preload.argparse = function() error() end"
    local code, out, err =
      sh(("%s -e '%s' lua/bin/weir --help"):format(LUA, without))
    assert.same({ 1, "" }, { code, out })
    assert.matches("lua%-argparse", err)
  end)

  it("finds its modules by itself in a checkout", function()
    local built = io.open "build/lua/weir/core.so"
    if not built then return pending "not built in build/" end
    built:close()
    local code = sh("env -u LUA_PATH -u LUA_CPATH " .. WEIR .. " --version")
    assert.equal(0, code)
  end)
end)

describe("weir run", function()
  before_each(function() files = {} end)
  after_each(cleanup)

  it("runs a script whose top level is a task", function()
    local code, out, err = run [[
      local weir = require "weir"
      weir.spawn(function()
        weir.sleep(0.01)
        print "the task"
      end)
      weir.sleep(0)
      print "the script"
    ]]
    assert.same({ 0, "the script\nthe task\n", "" }, { code, out, err })
  end)

  it("gives it its arguments as lua does", function()
    local code, out, _, name = run([[
      print(select("#", ...), ...)
      print(arg[0], #arg, arg[1], arg[4])
      print(arg[-1], arg[-2])
    ]], "one --help -- 'two words'")
    assert.equal(0, code)
    assert.equal("4\tone\t--help\t--\ttwo words\n"
      .. name .. "\t4\tone\ttwo words\n"
      .. "run\tlua/bin/weir\n", out)
  end)

  it("takes a script named like a command, or after --", function()
    local name = script "print(arg[0])"
    local code, out = sh(WEIR .. " run -- " .. name)
    assert.same({ 0, name .. "\n" }, { code, out })
    code, out = sh(WEIR .. " run run")
    assert.same({ 2, "" }, { code, out })
  end)

  it("exits with 1 and a traceback when the script raises", function()
    local code, out, err, name = run [[
      local function inner() error "oh no" end
      local function outer() inner() end
      outer()
    ]]
    assert.same({ 1, "" }, { code, out })
    assert.matches("weir: " .. name .. ":1: oh no", err, 1, true)
    assert.matches("stack traceback:", err)
    assert.matches(name .. ":2: in .*outer", err)
  end)

  it("exits with 1 when a task raises and nobody joins it", function()
    local code, _, err, name = run [[
      local weir = require "weir"
      weir.spawn(function() error "alone" end)
      weir.sleep(0.01)
    ]]
    assert.equal(1, code)
    assert.matches(name .. ":2: alone", err, 1, true)
    assert.matches("stack traceback:.*" .. name .. ":2:", err)
  end)

  it("tells errors that are no strings", function()
    local errors = {
      ["error({})"] = "weir: (error object is a table value)",
      ["error(nil)"] = "weir: (error object is a nil value)",
      ["error(setmetatable({}, { __tostring = function() return 'x!' end }))"] =
        "weir: x!",
    }
    for text, message in pairs(errors) do
      local code, _, err = run(text)
      assert.equal(1, code)
      assert.equal(message .. "\n", err)
    end
  end)

  it("tells a syntax error", function()
    local code, _, err, name = run "local = 1"
    assert.equal(1, code)
    assert.matches("weir: " .. name .. ":1: ", err, 1, true)
  end)

  it("tells a deadlock", function()
    local code, _, err = run [[
      local weir = require "weir"
      local lim = weir.limiter { concurrent = 1, name = "narrow" }
      local permit = lim:acquire()
      weir.spawn(lim(print)):join()
      permit:release()
    ]]
    assert.equal(1, code)
    assert.matches("deadlock", err)
    assert.matches("narrow", err)
  end)

  it("leaves the exit code to a script that exits by itself", function()
    assert.equal(7, (run "os.exit(7)"))
  end)

  -- The signal comes from inside, so that nothing has to be timed.
  local interrupt = [[
    local weir = require "weir"
    local _ <close> = setmetatable({}, { __close = function()
      print "closed"
    end })
    io.popen("kill -INT $PPID"):close()
  ]]

  it("ends with 130 on Ctrl-C while it waits", function()
    local code, out, err = run(interrupt .. "weir.sleep(10)")
    assert.same({ 130, "closed\n", "" }, { code, out, err })
  end)

  it("ends with 130 on Ctrl-C while it computes", function()
    local code, out, err = run(interrupt .. "while true do end")
    assert.same({ 130, "closed\n", "" }, { code, out, err })
  end)
end)

describe("weir spaces and weir rm", function()
  local dir, remove_dir

  before_each(function()
    files = {}
    dir, remove_dir = helper.spaces_dir()
  end)

  after_each(function()
    helper.collect()
    remove_dir()
    cleanup()
  end)

  local function cli(line)
    return sh(("env WEIR_DIR=%s %s %s"):format(dir, WEIR, line))
  end

  local function open(name, options)
    options = options or {}
    options.dir = dir
    return assert(weir.open("shm:" .. name, options))
  end

  it("explain themselves", function()
    local code, out = cli "spaces --help"
    assert.equal(0, code)
    assert.matches("Usage: weir spaces.*%-%-dir <dir>", out)
    code, out = cli "rm --help"
    assert.equal(0, code)
    assert.matches("Usage: weir rm.*%-%-force.*%-%-dir <dir>", out)
  end)

  it("show nothing where there is nothing", function()
    assert.same({ 0, "", "" }, { cli "spaces" })
    assert.same({ 0, "", "" }, { cli "spaces --dir /no/such/dir" })
  end)

  it("show a table of what there is", function()
    local api <close> = open("api", { size = "1m" })
    local other <close> = open "other"
    local users = weir.limiter { space = api, name = "users", concurrent = 1,
                                 keys = 10 }
    local ada, bob = users:acquire "ada", users:acquire "bob"
    local code, out, err = cli "spaces"
    assert.same({ 0, "" }, { code, err })
    assert.matches("^name +size +used +processes +limiters +keys +tickets\n"
      .. "shm:api +1m +%d+k +1 +1 +2 +2\n"
      .. "shm:other +16m +%d+k +1 +0 +0 +0\n$", out)
    local width = #out:match "[^\n]+"
    for line in out:gmatch "[^\n]+" do assert.equal(width, #line) end
    assert.is_true(ada ~= bob and other ~= api)
  end)

  it("say what is wrong with what is no space", function()
    os.execute(("mkdir -m 700 %s/odd; echo odd >%s/odd/space"):format(dir, dir))
    local code, out, err = cli "spaces"
    assert.same({ 0, "" }, { code, err })
    assert.matches("^shm:odd  .*/odd/space: is too short", out)
    assert.same({ 0, "", "" }, { cli "rm odd" })
    assert.same({ 0, "", "" }, { cli "spaces" })
  end)

  it("say what is wrong with the directory", function()
    os.execute("chmod 777 " .. dir)
    local code, out, err = cli "spaces"
    assert.same({ 1, "" }, { code, out })
    assert.matches("^weir: .*everybody can write to it", err)
    os.execute("chmod 700 " .. dir)
  end)

  it("remove a space, but none that is used, unless they must", function()
    local api <close> = open "api"
    local code, out, err = cli "rm api"
    assert.same({ 1, "" }, { code, out })
    assert.matches("^weir: .*/api/space: process %d+ uses it: stop it, or use "
                   .. "force", err)
    assert.same({ 0, "", "" }, { cli "rm --force shm:api" })
    assert.same({ 0, "", "" }, { cli "spaces" })
    local anew <close> = open "api"
    assert.not_equal(api, anew)
    anew:close()
    assert.same({ 0, "", "" }, { cli("rm api --dir " .. dir) })
    code, out, err = cli "rm api"
    assert.same({ 1, "" }, { code, out })
    assert.matches("^weir: .*/api: is not there", err)
  end)
end)

describe("the chart", function()
  local now = weir.now
  local chart = require "weir.cli.chart"
  after_each(function() weir.now = now end)

  -- A board of rows { asked, started, finished }, in seconds.
  local function drawn(rows)
    local board = chart.new()
    board.live = false
    for n, row in ipairs(rows) do
      for i, event in ipairs { "asked", "started", "finished" } do
        weir.now = function() return 1000 + row[i] end
        board[event](board, n)
      end
    end
    local lines = {}
    for line in board:draw():gsub("·", "."):gsub("█", "#"):gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    return lines
  end

  it("shows who waited and who ran when", function()
    assert.same({
      "      0.0        0.2        0.4        0.6        0.8 s       "
        .. " waited    ran",
      "   1  ############################" .. (" "):rep(28)
        .. "   0.00   0.50",
      "   2  ............................############################"
        .. "   0.50   0.50",
      "   3  " .. (" "):rep(28) .. "..............##############"
        .. "   0.25   0.25",
      "      ... waiting  ### running",
    }, drawn { { 0, 0, 0.5 }, { 0, 0.5, 1 }, { 0.5, 0.75, 1 } })
  end)

  it("shows even the shortest run, within 80 columns", function()
    for _, length in ipairs { 0, 1e-6, 0.003, 0.99, 1, 7, 59, 1234, 98765 } do
      local lines = drawn {
        { 0, 0, length }, { 0, length, length }, { length, length, length },
        { 0, length / 3, length / 3 },
      }
      assert.equal(6, #lines)
      for n = 2, 5 do assert.matches("#", lines[n]) end
      for _, line in ipairs(lines) do assert.is_true(#line <= 80, line) end
    end
  end)
end)
