--- weir top and weir stat: what they show of a space, in a real terminal (tmux)
-- too; weir.top.model and weir.top.view.

local helper = require "spec.helper"
local new_model = require "weir.top.model".new
local view = require "weir.top.view"
local readable = require "weir.cli.readable"

local LUA = os.getenv "LUA" or "lua5.4"
local WEIR = LUA .. " lua/bin/weir"

local dir, remove_dir
local started -- processes of a test

before_each(function()
  dir, remove_dir = helper.spaces_dir()
  started = {}
end)
after_each(function()
  for _, process in ipairs(started) do process:stop() end
  helper.collect()
  remove_dir()
end)

-- == the model ================================================================

local BOUNDS = { 0.001, 0.01, 0.1, 1 }

-- A document with one limiter; `waits`: how many waited at most each bound.
local function document(now, admitted, refused, waits, more)
  local limiter = { name = "door", id = "1", limit = 4, in_use = 2,
                    waiting = 0, keys = 0, admitted = admitted,
                    refused = { full = refused, timeout = 0 },
                    wait = { count = admitted, at_most = waits } }
  for key, value in pairs(more or {}) do limiter[key] = value end
  return { now_seconds = now, wait_bounds_seconds = BOUNDS,
           limiters = { limiter } }
end

local function row_of(model)
  return model:rows({ by = "name" }, "")[1]
end

describe("the model of weir top", function()
  it("knows rates from the second document on", function()
    local model = new_model()
    model:add(document(10, 100, 5, { 100, 100, 100, 100 }))
    local row = row_of(model)
    assert.same({ nil, nil, nil, nil },
                { row.admitted, row.refused, row.p50, row.p99 })
    model:add(document(12, 110, 6, { 108, 108, 108, 110 }))
    row = row_of(model)
    assert.same({ 5, 0.5 }, { row.admitted, row.refused })
  end)

  it("has percentiles of the waits of the last minute only", function()
    local model = new_model()
    model:add(document(0, 1000, 0, { 0, 0, 0, 1000 })) -- long ago: long waits
    model:add(document(1, 1010, 0, { 4, 10, 10, 1010 }))
    local row = row_of(model)
    -- of ten, four waited at most 1 ms, six up to 10 ms: the fifth is the first
    -- of those six, and the tenth the last
    assert.near(0.001 + 0.009 / 6, row.p50, 1e-9)
    assert.near(0.01, row.p99, 1e-9)
    for second = 2, 70 do
      model:add(document(second, 1010, 0, { 4, 10, 10, 1010 }))
    end
    row = row_of(model)
    assert.same({ nil, nil }, { row.p50, row.p99 }) -- nobody since
    assert.equal(0, row.admitted)
  end)

  it("counts a wait in the first bound as none, beyond the last as it",
     function()
    local model = new_model()
    model:add(document(0, 0, 0, { 0, 0, 0, 0 }))
    model:add(document(1, 4, 0, { 2, 2, 2, 2 }))
    assert.same({ 0, 1 }, { row_of(model).p50, row_of(model).p99 })
  end)

  it("begins anew where a counter goes back", function()
    local model = new_model()
    model:add(document(0, 100, 0, { 100, 100, 100, 100 }))
    model:add(document(1, 3, 0, { 3, 3, 3, 3 }))
    assert.is_nil(row_of(model).admitted)
    model:add(document(2, 5, 0, { 5, 5, 5, 5 }))
    assert.equal(2, row_of(model).admitted)
  end)

  it("forgets limiters that are gone", function()
    local model = new_model()
    model:add(document(0, 1, 0, { 1, 1, 1, 1 }))
    model:add({ now_seconds = 1, wait_bounds_seconds = BOUNDS, limiters = {} })
    assert.same({}, model:rows({ by = "name" }, ""))
    assert.is_nil(next(model.past))
  end)

  it("draws a minute in as many parts as there is room for", function()
    local model = new_model()
    for second = 0, 60 do -- 10 a second, and 20 in the second half
      local count = 10 * second + math.max(0, second - 30) * 10
      model:add(document(second, count, 0, { count, count, count, count }))
    end
    local limiter = row_of(model).limiter
    assert.same({ 10, 10, 20, 20 }, model:line(limiter, 4))
    assert.equal("▄▄██", view.blocks(model:line(limiter, 4), true))
    assert.equal("-=##", view.blocks({ 10, 11, 19, 20 }, false))
    local young = new_model()
    young:add(document(0, 0, 0, { 0, 0, 0, 0 }))
    young:add(document(15, 30, 0, { 30, 30, 30, 30 }))
    assert.same({ -1, -1, -1, 2 }, young:line(limiter, 4))
    assert.equal("   █", view.blocks(young:line(limiter, 4), true))
    assert.equal("____", view.blocks({ 0, 0, 0, 0 }, false))
  end)

  it("sorts by every column, and filters by a part of the name", function()
    local model = new_model()
    local list = document(0, 0, 0, { 0, 0, 0, 0 })
    for i, name in ipairs { "Beta", "alpha", "gamma" } do
      local other = document(0, i, 4 - i, { i, i, i, i },
                             { name = name, id = name, waiting = i % 3,
                               in_use = i }).limiters[1]
      list.limiters[i] = other
    end
    model:add(list)
    local function names(by, down, filter)
      local found = {}
      for i, row in ipairs(model:rows({ by = by, down = down },
                                      filter or "")) do
        found[i] = row.limiter.name
      end
      return table.concat(found, " ")
    end
    assert.equal("Beta alpha gamma", names("name", false))
    assert.equal("gamma alpha Beta", names("use", true))
    assert.equal("alpha Beta gamma", names("waiting", true))
    assert.equal("gamma Beta alpha", names("waiting", false))
    assert.equal("Beta", names("name", false, "BET"))
    assert.equal("", names("name", false, "%a"))
    for _, column in ipairs(view.COLUMNS) do
      assert.equal(3, #model:rows({ by = column.by, down = true }, ""))
    end
  end)
end)

describe("what people read", function()
  it("has few digits", function()
    for value, text in pairs {
      [0] = "0", [7] = "7", [1.25] = "1.2", [99.96] = "100.0", [150.4] = "150",
      [9999] = "9999", [12345] = "12.3k", [4500000] = "4.5M" } do
      assert.equal(text, readable.number(value))
    end
    for value, text in pairs {
      [0] = "0", [1e-9] = "1us", [15e-6] = "15us", [2.5e-3] = "2.5ms",
      [0.15] = "150ms", [1.25] = "1.2s", [600] = "10m", [9000] = "2.5h" } do
      assert.equal(text, readable.duration(value))
    end
    assert.same({ "-", "-" }, { readable.number(nil), readable.duration(nil) })
    assert.equal("100/s", readable.rate { count = 100, per_seconds = 1 })
    assert.equal("10/250ms", readable.rate { count = 10, per_seconds = 0.25 })
    assert.equal("5/m", readable.rate { count = 5, per_seconds = 60 })
  end)

  it("cannot steer a terminal", function()
    assert.equal("a?[31m?b?", readable.plain "a\27[31m\nb\u{9b}")
  end)
end)

-- == a space to look at =======================================================

-- Holds three permits of "door", of which there are three, and waits for one
-- more of "keys"; others go in and out of "busy". Prints "ready".
local function user(where)
  local weir = require "weir"
  local space = assert(weir.open("shm:api", { dir = where }))
  local door = weir.limiter { space = space, name = "door", concurrent = 3,
                              queue = 2 }
  local keys = weir.limiter { space = space, name = "keys", concurrent = 1,
                              key = function(key) return key end }
  local busy = weir.limiter { space = space, name = "busy <\27[31m>",
                              concurrent = 5, rate = "1000/s" }
  weir.run(function()
    _G.held = { door:acquire(), door:acquire(), door:acquire(),
                keys:acquire "10.0.0.1" }
    weir.spawn(function() door:acquire() end)
    weir.spawn(function() keys:acquire "10.0.0.1" end)
    for _ = 1, 4 do weir.spawn(function() door:try_acquire() end) end
    weir.sleep(0.05)
    print "ready"
    io.stdout:flush()
    while true do
      busy:acquire():release()
      weir.sleep(0.02)
    end
  end)
end

local function start_user()
  local process = helper.start(user, dir)
  started[#started + 1] = process
  assert(process:line() == "ready", "the user of the space does not run")
  return process
end

-- Runs a command line: its exit code, what it wrote, and what to stderr.
local function sh(command) return helper.sh(command, 20) end

local function stat(arguments)
  return sh(("%s stat --dir %s %s"):format(WEIR, dir, arguments or ""))
end

describe("weir stat", function()
  it("tells what limiters do in a table", function()
    start_user()
    local code, out, err = stat()
    assert.same({ 0, "" }, { code, err })
    assert.matches("^shm:api  1 process  %d+k of 16m\nlimiter +in use/limit ",
                   out)
    assert.matches("\ndoor +3/3 +1 +0 +3 +4 +0 ", out)
    assert.matches("\nkeys +1/1%* +1 +1 +1 +0 +0 ", out)
    assert.matches("busy <?[31m>", out, 1, true)
    assert.is_nil(out:find("\27", 1, true))
  end)

  it("is JSON or OpenMetrics for scripts, and takes no part", function()
    start_user()
    local code, out, err = stat "shm:api --json"
    assert.same({ 0, "" }, { code, err })
    local json = assert(require "dkjson".decode(out))
    assert.equal("shm:api", json.spaces[1].name)
    assert.equal(3, #json.limiters)
    code, out = stat "api --metrics"
    assert.equal(0, code)
    assert.matches('weir_permits_in_use{limiter="door",space="shm:api"} 3\n',
                   out, 1, true)
    assert.matches("# EOF\n$", out)
    assert.equal(1, require "weir".spaces(dir)[1].ports)
  end)

  it("says what is wrong and what to do", function()
    local code, out, err = stat()
    assert.same({ 1, "" }, { code, out })
    assert.matches("^weir: there is no space: start first who opens one", err)
    code, out, err = stat "none"
    assert.same({ 1, "" }, { code, out })
    assert.matches("^weir: .*none: is not there: ", err)
    local weir = require "weir"
    local one <close> = assert(weir.open("shm:one", { dir = dir }))
    local two <close> = assert(weir.open("shm:two", { dir = dir }))
    code, out, err = stat()
    assert.same({ 2, "", "weir: there are several spaces, name one: shm:one, "
                  .. "shm:two\n" }, { code, out, err })
    assert.equal(2, (stat "--json --metrics one"))
    assert.is_truthy(one and two)
  end)
end)

-- == in a terminal ============================================================

local function has(command)
  local pipe = io.popen("command -v " .. command)
  local found = pipe:read "a" ~= ""
  pipe:close()
  return found
end

local has_screen = package.searchpath("weir.screen", package.cpath) ~= nil

describe("weir top", function()
  it("wants a terminal, and says so", function()
    if not has_screen then return end
    start_user()
    local code, out, err = sh(WEIR .. " top --dir " .. dir .. " </dev/null")
    assert.same({ 1, "", "weir: weir top: this is no terminal: run it in one\n"
                }, { code, out, err })
  end)

  it("names what is missing where it was built without ncurses", function()
    local code, out, err = sh(("env LUA_CPATH='%s' %s -e "
      .. "'package.preload[\"weir.screen\"] = nil; "
      .. "package.searchers[3] = (function(find) return function(name) "
      .. "if name == \"weir.screen\" then return \"not there\" end "
      .. "return find(name) end end)(package.searchers[3])' "
      .. "lua/bin/weir top --dir %s"):format(package.cpath, LUA, dir))
    assert.same({ 1, "" }, { code, out })
    assert.matches("weir top needs the module weir.screen", err, 1, true)
    assert.matches("libncurses-dev", err, 1, true)
  end)

  if not has "tmux" or not has_screen then
    pending "needs tmux and ncurses (Debian: tmux, libncurses-dev)"
    return
  end

  -- A server of its own for each terminal: one may still be about to end.
  local servers, socket = 0, nil

  local function tmux(arguments)
    local pipe = assert(io.popen(("env LD_PRELOAD= LC_ALL=C.UTF-8 tmux -f "
      .. "/dev/null -S %s %s 2>&1"):format(socket, arguments)))
    local out = pipe:read "a"
    pipe:close()
    return out
  end

  local function screen() return tmux "capture-pane -p" end

  -- Waits for a text on the screen, in which it may be a pattern; answers it.
  local function shows(pattern)
    local seen
    for _ = 1, 150 do
      seen = screen()
      if seen:find(pattern) then return seen end
      os.execute "sleep 0.1"
    end
    error(("%s is not shown:\n%s"):format(pattern, seen), 2)
  end

  local function press(...)
    tmux("send-keys '" .. table.concat({ ... }, "' '") .. "'")
  end

  -- Types a command line into a shell on a terminal of that size.
  local function terminal(command, columns, rows)
    servers = servers + 1
    socket = ("%s.tmux%d"):format(dir, servers)
    tmux(("new-session -d -x %d -y %d 'PS1=\"$ \" exec sh'"):format(
      columns, rows))
    tmux(("send-keys -l '%s'"):format(command))
    press "Enter"
  end

  local function top(arguments, columns, rows, more)
    terminal(("%s LUA_PATH=\"%s\" LUA_CPATH=\"%s\" LD_PRELOAD=%s %s top "
      .. "--dir %s -d 0.2 %s"):format(more or "", package.path, package.cpath,
      os.getenv "LD_PRELOAD" or "", WEIR, dir, arguments or ""), columns or 80,
      rows or 24)
  end

  after_each(function()
    tmux "kill-server"
    os.execute("rm -f " .. dir .. ".tmux*")
  end)

  -- The shell has its terminal back as it was: it shows what is typed.
  local function is_restored()
    shows "\n%$"
    tmux("send-keys -l 'echo $((1000+1)) $(stty -a | tr \" \" \"\\n\" "
      .. "| grep -xE \"echo|icanon|isig\")'")
    press "Enter"
    return shows "\n1001 isig icanon echo"
  end

  it("shows limiters in 80 columns and 24 rows", function()
    start_user()
    top()
    local seen = shows "busy.*█"
    assert.matches("^weir top  shm:api  1 process  %d+k of 16m\n", seen)
    assert.matches("\n3 limiters  %d+ in use  2 waiting  %S+ admitted/s", seen)
    assert.matches("\nNAME +USE/LIMIT +WAITv +ADM/s +REF/s +p50 +p99 LAST "
                   .. "MINUTE", seen)
    assert.matches("\ndoor +3/3 +1 ", seen)
    assert.matches("\nkeys +1/1%* +1 ", seen)
    assert.matches("busy <?[31m>", seen, 1, true)
    assert.matches("q quit%s*$", seen)
    for line in seen:gmatch "[^\n]+" do
      assert.is_true(utf8.len(line) <= 80, line)
    end
    press "q"
    is_restored()
  end)

  it("shows who waits for whom, and the busiest keys", function()
    local process = start_user()
    top "api"
    shows "\nkeys "
    press("/", "k", "e", "y")
    local seen = shows "filter: key_"
    assert.is_nil(seen:find("\ndoor", 1, true))
    press "Enter"
    shows "filter: key  "
    press "Enter"
    seen = shows "Oldest waiters"
    assert.matches("10%.0%.0%.1 +1 +1 +1 +1 +0\n", seen)
    assert.matches(("\n  %d +10%%.0%%.0%%.1 +1 +%%S+s  permits  %d x1 %%S+s\n")
      :format(process.pid, process.pid), seen)
    press "Escape"
    shows "filter: key  "
    press "Escape"
    shows "\ndoor"
  end)

  it("sorts, pauses, explains itself and resizes", function()
    start_user()
    top "-d 0.2"
    shows "WAITv"
    press "n"
    assert.matches("\nbusy.*\ndoor.*\nkeys", shows "NAME%^")
    press "n"
    assert.matches("\nkeys.*\ndoor.*\nbusy", shows "NAMEv")
    press ">"
    shows "USE/LIMITv"
    press "p"
    shows "PAUSED"
    press "Space"
    shows "weir top [^\n]+16m\n"
    press "?"
    shows "any key: back"
    press "x"
    shows "USE/LIMITv"
    tmux "resize-window -x 120 -y 10"
    local seen = shows "MINUTE\n"
    for _ = 1, 20 do
      seen = screen()
      if #seen:match "\nNAME[^\n]*" > 90 then break end
      os.execute "sleep 0.1"
    end
    assert.is_true(#seen:match "\nNAME[^\n]*" > 90, seen)
    tmux "resize-window -x 30 -y 6"
    shows "^weir top"
    press "q"
    is_restored()
  end)

  it("leaves the terminal as it was, whatever ends it", function()
    start_user()
    for _, ending in ipairs { "C-c", "TERM", "HUP" } do
      top()
      shows "\ndoor"
      if ending == "C-c" then
        press "C-c"
      else
        local shell = tmux "display-message -p '#{pane_pid}'":match "%d+"
        local file <close> = assert(io.open(("/proc/%s/task/%s/children")
          :format(shell, shell)))
        os.execute(("kill -%s %d"):format(ending, file:read "n"))
      end
      is_restored()
      tmux "kill-server"
    end
  end)

  it("says what is wrong on the terminal that it found", function()
    top()
    shows "there is no space: start first who opens one"
    tmux "kill-server"
    start_user()
    top("", 80, 24, "TERM=nonsense")
    shows "the terminal 'nonsense' is not known"
  end)

  it("lets one choose where there are several spaces", function()
    local weir = require "weir"
    start_user()
    local other <close> = assert(weir.open("shm:other", { dir = dir }))
    top()
    assert.matches("  shm:api\n  shm:other", shows "which space")
    press "Down"
    press "Enter"
    shows "no limiter is there"
    assert.is_truthy(other)
    press "q"
    is_restored()
  end)
end)
