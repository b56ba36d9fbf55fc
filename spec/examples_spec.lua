--- Every example runs, and prints what is written here.

local LUA = os.getenv "LUA" or "lua5.4"
local RUN = LUA .. " lua/bin/weir run "
local EXAMPLES = "lua/examples/"

-- What the small ones print.
local PRINTED = {
  semaphore = [[
worker 1 is in
worker 2 is in
worker 3 is in
worker 4 is in
worker 5 is in
5 were let in, 0 are still in
]],
  close = [[
returned	a result
in use	0
raised	false	an error
in use	0
while it runs	1
canceled	0
]],
  cancel = [[
3 wait
2 wait
first is printed
third is printed
nil	the task: canceled
]],
  refuse = [[
Ada was served
Bob was refused: timeout
Cy was refused: full
]],
  rate = [[
12 pages in more than 0.2 s: true
and in less than it takes one host for all: true
]],
  fair = [[
noisy noisy quiet noisy quiet noisy noisy noisy noisy noisy
]],
  retry = [[
answer 1, answer 2, answer 3, answer 4
12 tries in 4 permits, 2 at once
]],
  crawl = [[
found about, home, news, today
loaded at once, at most: 2
]],
}

-- Runs a shell command; what it wrote to both, and its exit code. Ends only
-- when no process it left behind can write any more.
local function sh(command)
  local pipe = assert(io.popen("timeout 40 " .. command .. " 2>&1"))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  return out, code
end

describe("the example", function()
  for name, printed in pairs(PRINTED) do
    it(name .. " prints what it should", function()
      assert.same({ printed, 0 }, { sh(RUN .. EXAMPLES .. name .. ".lua") })
    end)
  end
end)

-- In which order its workers come is theirs to say.
describe("the example shared", function()
  it("shows three at once, and that a killed one leaves no gap", function()
    local out, code = sh(RUN .. EXAMPLES .. "shared.lua")
    assert.equal(0, code)
    assert.matches("\n7 ended, 1 was killed, at most 3 ran at once\n$", out)
    assert.equal(8, select(2, out:gsub("begins", "")))
    assert.is_nil(out:find("####", 1, true))
  end)
end)

describe("the examples", function()
  it("are all run here", function()
    local run = { server = true, fetch = true, demo = true, shared = true,
                  status = true, -- served in status_spec.lua
                  share = true, overload = true } -- these two with nginx
    for name in pairs(PRINTED) do run[name] = true end
    local found = {}
    for name in (sh("ls " .. EXAMPLES)):gmatch "([^\n]+)%.lua" do
      found[name] = true
    end
    assert.same(run, found)
  end)
end)

-- `make demo`: runs server.lua and, twice, fetch.lua.
describe("the demo", function()
  -- Columns, where a character takes one.
  local function width(line)
    return utf8.len(line) or #line
  end

  it("shows 3 at once with the limit and more without", function()
    local out, code = sh(RUN .. EXAMPLES .. "demo.lua")
    assert.equal(0, code, out)
    local most = {}
    for count in out:gmatch "simultaneous requests: (%d+)" do
      most[#most + 1] = tonumber(count)
    end
    assert.equal(2, #most)
    assert.equal(3, most[1])
    assert.is_true(most[2] > 3 and most[2] <= 40, out) -- 40, if it is quick
    assert.matches("\n  40  ", out)
    assert.is_nil(out:find "[\r\27]") -- this is no terminal
    for line in out:gmatch "[^\n]+" do assert.is_true(width(line) <= 80) end
  end)

  it("has colours and a progress line on a terminal", function()
    if sh "script --version" == "" then return pending "no script command" end
    local out, code = sh(("env TERM=xterm NO_COLOR= script -qec '%s' /dev/null")
      :format(RUN .. EXAMPLES .. "demo.lua"))
    assert.equal(0, code, out)
    assert.matches("\r 37 waiting   3 running   0 done", out, 1, true)
    assert.matches("\27%[32m", out)
  end)

  it("says what is wrong when there is no server", function()
    local out, code = sh(RUN .. EXAMPLES .. "fetch.lua http://127.0.0.1:1/")
    assert.equal(1, code)
    assert.matches("connection refused", out)
    out, code = sh(RUN .. EXAMPLES .. "fetch.lua")
    assert.equal(1, code)
    assert.matches("which URL?", out, 1, true)
  end)
end)
