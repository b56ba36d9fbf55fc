--- What HTTP says of a limit: limiter:headers and err:headers, as the fields'
-- own grammar has it (RFC 9651, lists of strings with parameters).

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

-- == a reader of structured fields ============================================

-- A list of strings, each with integers and strings as parameters, or nil.
-- Strict: what RFC 9651 does not allow, and what it allows and we do not write.
local function read(field)
  local position = 1

  local function take(pattern)
    local from, to, found = field:find("^" .. pattern, position)
    if not from then return nil end
    position = to + 1
    return found or field:sub(from, to)
  end

  local function text()
    if not take '"' then return nil end
    local parts = {}
    while true do
      local part = take '[^"\\%c\128-\255]+' or take '\\(["\\])'
      if not part then break end
      parts[#parts + 1] = part
    end
    return take '"' and table.concat(parts)
  end

  local function integer()
    local digits = take "-?%d+"
    return digits and #digits <= 15 and math.tointeger(digits)
  end

  local list = {}
  repeat
    local item = { name = text() }
    if not item.name then return nil end
    while take ";" do
      local key = take " *([a-z*][a-z0-9_.*-]*)"
      if not key or item[key] ~= nil or not take "=" then return nil end
      item[key] = text() or integer()
      if not item[key] then return nil end
    end
    list[#list + 1] = item
  until not take "[ \t]*,[ \t]*"
  return position == #field + 1 and list or nil
end

-- All fields of a table, read; nothing else may be in it.
local function read_all(headers)
  local all, known = {}, { ["RateLimit-Policy"] = "policy", RateLimit = "limit",
                           ["Retry-After"] = "retry" }
  for name, value in pairs(headers) do
    assert(known[name], "an unknown field: " .. name)
    assert(type(value) == "string" and not value:find "[^ -~]", value)
    local is_text = known[name] ~= "retry"
    all[known[name]] = is_text and assert(read(value), value)
                       or not is_text and assert(math.tointeger(value), value)
  end
  return all
end

describe("the reader of these specs", function()
  it("takes what is right and nothing else", function()
    assert.same({ { name = 'a"\\', q = 5, qu = "x" }, { name = "" } },
                read [["a\"\\";q=5; qu="x", ""]])
    for _, wrong in ipairs {
      "", "a", '"a', '"a";', '"a";q', '"a";Q=1', '"a";q=1;q=2', '"a",', '"\\x"',
      '"a";q=1.5', '"a";q=1234567890123456', '"a" ;q=1', '"\127"', '"\195"',
    } do
      assert.is_nil(read(wrong), wrong)
    end
  end)
end)

-- == the fields ===============================================================

describe("limiter:headers", function()
  before_each(function() at(0) end)

  it("tells a rate by its count and period, and what is left", function()
    local limiter = weir.limiter { rate = "100/m", burst = 5, name = "api" }
    assert.same({ policy = { { name = "api", q = 100, w = 60 } },
                  limit = { { name = "api", r = 5 } } },
                read_all(limiter:headers()))
    for _ = 1, 4 do limiter:acquire() end
    assert.same({ { name = "api", r = 1, t = 3 } }, -- 2.4 s
                read_all(limiter:headers()).limit)
    limiter:acquire()
    local all = read_all(limiter:headers())
    assert.same({ { name = "api", r = 0, t = 1 } }, all.limit) -- 0.6 s
    assert.equal(1, all.retry)
  end)

  it("tells windows, too", function()
    for _, window in ipairs { "fixed", "sliding" } do
      local limiter = weir.limiter { rate = "3/h", window = window,
                                     name = window }
      for left = 3, 1, -1 do
        local all = read_all(limiter:headers())
        assert.same({ { name = window, q = 3, w = 3600 } }, all.policy)
        assert.equal(left, all.limit[1].r)
        assert.is_nil(all.retry)
        limiter:acquire()
      end
      local all = read_all(limiter:headers())
      assert.equal(0, all.limit[1].r)
      assert.equal(all.retry, all.limit[1].t)
      assert.is_true(all.retry >= 3600)
    end
  end)

  it("tells periods that are no whole seconds", function()
    for text, expected in pairs {
      ["10/250ms"] = { 40, 1 }, ["3/1500ms"] = { 6, 3 }, ["1/s"] = { 1, 1 },
      ["5/2m"] = { 5, 120 }, ["1/d"] = { 1, 86400 },
    } do
      local policy = read_all(weir.limiter { rate = text }:headers()).policy
      assert.same(expected, { policy[1].q, policy[1].w })
    end
    local item = read_all(weir.limiter { rate = "7/3333ms" }:headers())
      .policy[1] -- rounded to the client's disadvantage
    assert.is_true(item.q / item.w <= 7 / 3.333)
  end)

  it("tells permits as a quota of another unit", function()
    local limiter = weir.limiter { concurrent = 8, name = "backend" }
    local permit = limiter:acquire { cost = 3 }
    assert.same({ policy = { { name = "backend", q = 8,
                               qu = "concurrent-requests" } },
                  limit = { { name = "backend", r = 5 } } },
                read_all(limiter:headers()))
    permit:release()
    permit = limiter:acquire { cost = 8 }
    assert.equal(0, read_all(limiter:headers()).limit[1].r)
    permit:release()
  end)

  it("tells both, the permits second and by another name", function()
    local limiter = weir.limiter { concurrent = 8, rate = "5/s", burst = 5,
                                   name = "api" }
    local permit = limiter:acquire()
    assert.same({ policy = { { name = "api", q = 5, w = 1 },
                             { name = "api-concurrent", q = 8,
                               qu = "concurrent-requests" } },
                  limit = { { name = "api", r = 4, t = 1 },
                            { name = "api-concurrent", r = 7 } } },
                read_all(limiter:headers()))
    permit:release()
  end)

  it("tells an adaptive limit by its most", function()
    local limiter = weir.limiter { name = "found",
                                   adaptive = { algorithm = "aimd",
                                                initial = 10, max = 50 } }
    assert.same({ policy = { { name = "found", q = 50,
                               qu = "concurrent-requests" } },
                  limit = { { name = "found", r = 10 } } },
                read_all(limiter:headers()))
  end)

  it("writes any name so that it can be read", function()
    for name, written in pairs {
      ['a "quoted" one'] = 'a "quoted" one', ["back\\slash"] = "back\\slash",
      ["h\195\182he"] = "h??he", ["a\nb\r\n\tc"] = "a?b???c", ["\127"] = "?",
      [";q=1, x"] = ";q=1, x", [("n"):rep(63)] = ("n"):rep(63),
      [('"'):rep(63)] = ('"'):rep(63),
    } do
      local limiter = weir.limiter { concurrent = 1, rate = "1/s", name = name }
      local all = read_all(limiter:headers())
      assert.same({ written, written .. "-concurrent" },
                  { all.policy[1].name, all.policy[2].name })
      assert.equal(written, all.limit[1].name)
    end
    local line = debug.getinfo(1, "l").currentline + 1
    local unnamed = weir.semaphore(1)
    assert.equal("spec/headers_spec.lua:" .. line,
                 read_all(unnamed:headers()).policy[1].name)
  end)

  it("is of one key", function()
    local limiter = weir.limiter { rate = "1/m", burst = 2, keys = 9 }
    limiter:acquire "a"
    limiter:acquire "a"
    assert.equal(60, read_all(limiter:headers "a").retry)
    assert.equal(0, read_all(limiter:headers "a").limit[1].r)
    local all = read_all(limiter:headers "b")
    assert.equal(2, all.limit[1].r)
    assert.is_nil(all.retry)
    assert.equal(1, limiter:stats().keys)
  end)

  it("is of a cost", function()
    local limiter = weir.limiter { rate = "1/s", burst = 5 }
    limiter:acquire()
    assert.is_nil(read_all(limiter:headers(nil, 4)).retry)
    assert.equal(1, read_all(limiter:headers(nil, 5)).retry)
    at(0.5)
    assert.equal(1, read_all(limiter:headers(nil, 5)).retry)
    at(1)
    assert.is_nil(read_all(limiter:headers(nil, 5)).retry)
    assert.is_nil(read_all(limiter:headers(nil, 6)).retry) -- never
  end)

  it("has times that are enough, in whole seconds", function()
    local limiter = weir.limiter { rate = "7/33s" }
    for _ = 1, 20 do
      assert.truthy(limiter:try_acquire())
      assert.is_nil(limiter:try_acquire())
      local retry = read_all(limiter:headers()).retry
      local exact = select(2, limiter:try_acquire()).retry_after
      assert.equal(math.ceil(exact), retry)
      at(weir.now() + retry)
    end
  end)
end)

describe("err:headers", function()
  before_each(function() at(0) end)

  it("is of the limiter and key that refused", function()
    local limiter = weir.rate_limit { rate = "1/m", queue = 0, name = "user",
                                      key = function(key) return key end }
    local call = limiter(print)
    limiter:acquire "a"
    local _, err = call "a"
    assert.same({ policy = { { name = "user", q = 1, w = 60 } },
                  limit = { { name = "user", r = 0, t = 60 } }, retry = 60 },
                read_all(err:headers()))
    at(30) -- they are those of the answer, not of the refusal
    assert.equal(30, read_all(err:headers()).retry)
  end)

  it("is of its cost", function()
    local limiter = weir.limiter { rate = "1/s", burst = 10 }
    limiter:acquire { cost = 9 }
    local _, err = limiter:try_acquire { cost = 8 }
    assert.equal(7, read_all(err:headers()).retry)
    assert.equal(7, err.retry_after)
  end)

  it("says nothing of when to come again if nobody knows", function()
    local limiter = weir.limiter { concurrent = 2, name = "two" }
    local permit = limiter:acquire { cost = 2 }
    local _, err = limiter:try_acquire()
    assert.same({ policy = { { name = "two", q = 2,
                               qu = "concurrent-requests" } },
                  limit = { { name = "two", r = 0 } } },
                read_all(err:headers()))
    _, err = limiter:acquire { cost = 3 }
    assert.is_nil(read_all(err:headers()).retry)
    permit:release()
  end)

  it("is of the one of weir.all that refused", function()
    local door = weir.limiter { concurrent = 9, name = "door" }
    local user = weir.limiter { rate = "1/m", name = "user", keys = 9 }
    local all = weir.all { door, user }
    all:acquire "u"
    local _, err = all:try_acquire "u"
    local headers = read_all(err:headers())
    assert.same({ "user", 60 }, { headers.limit[1].name, headers.retry })
  end)

  it("is empty for what no limiter refused", function()
    local task = weir.spawn(weir.sleep, 10)
    at()
    task:cancel()
    assert.same({}, select(2, task:join()):headers())
  end)

  it("outlives all but the error", function()
    local err
    do
      local limiter = weir.limiter { rate = "1/m", name = "gone" }
      limiter:acquire()
      err = select(2, limiter:try_acquire())
    end
    helper.collect()
    assert.equal("gone", read_all(err:headers()).limit[1].name)
  end)

  it("wants an error to be called on", function()
    local limiter = weir.limiter { concurrent = 1, queue = 0 }
    local permit = limiter:acquire()
    local _, err = limiter:acquire()
    for _, value in ipairs { 1, "x", true } do
      assert.has_error(function() err.headers(value) end)
    end
    permit:release()
  end)
end)
