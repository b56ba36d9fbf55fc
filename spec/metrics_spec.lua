--- weir.metrics: OpenMetrics text about all limiters; and what it reads,
-- weir.limiters and limiter:waits (weir_limiter_waits).

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at, collect, forget = helper.at, helper.collect, helper.forget

-- == a parser of OpenMetrics ==================================================

local SUFFIXES = { histogram = { _bucket = true, _count = true, _sum = true },
                   counter = { _total = true } }
local ESCAPED = { ["\\\\"] = "\\", ['\\"'] = '"', ["\\n"] = "\n" }

-- The labels of a sample, which start behind its "{"; and where they end.
local function parse_labels(line, from)
  local labels = {}
  repeat
    local name, start = line:match('^([%a_][%w_]*)="()', from)
    assert(name and not labels[name], "bad label: " .. line)
    local value, stop = "", start
    while line:sub(stop, stop) ~= '"' do
      local char = line:match('^[^"\\]+', stop) or line:sub(stop, stop + 1)
      value = value .. (char:sub(1, 1) == "\\"
        and assert(ESCAPED[char], "bad escape: " .. line) or char)
      stop = stop + #char
    end
    labels[name] = value
    from = stop + 2
  until line:sub(stop + 1, stop + 1) ~= ","
  return labels, from
end

local function parse_sample(line)
  local name, from = line:match "^([%a_:][%w_:]*){()"
  assert(name, "bad sample: " .. line)
  local labels, stop = parse_labels(line, from)
  local value = line:match("^} ?(%d[%d.e+-]*)$", stop - 1)
  return { name = name, labels = labels, line = line,
           value = assert(tonumber(value), "bad value: " .. line) }
end

local function add_metadata(families, line)
  local what, name, text = line:match "^# (%u+) ([%w_]+) (.+)$"
  local family = families[#families]
  assert(what == "TYPE" or what == "UNIT" or what == "HELP", line)
  if not family or family.name ~= name then
    assert(not families[name], "a family that comes twice: " .. line)
    family = { name = name, samples = {} }
    families[#families + 1], families[name] = family, family
  end
  assert(not family[what] and #family.samples == 0, "out of order: " .. line)
  assert(not text:find '["\\]', "the formats escape it differently: " .. line)
  family[what] = text
end

local function add_sample(families, line, seen)
  local sample, family = parse_sample(line), families[#families]
  local suffix = family and sample.name:sub(1, #family.name) == family.name
    and sample.name:sub(#family.name + 1)
  local suffixes = SUFFIXES[family.TYPE] or { [""] = true }
  assert(suffixes[suffix], "not of this family: " .. line)
  local series = line:match "^(.*) "
  assert(not seen[series], "a series that comes twice: " .. line)
  seen[series] = true
  table.insert(family.samples, sample)
end

-- Its buckets come in order and are cumulative; the last is all of them.
local function check_histogram(family)
  local le, count = -1, 0
  for _, sample in ipairs(family.samples) do
    if sample.name:find "_bucket$" then
      local bound = tonumber((sample.labels.le:gsub("+Inf", "1e999")))
      assert(sample.labels.le:find "[.I]", "not canonical: " .. sample.line)
      assert(bound > le and sample.value >= count, sample.line)
      le, count = bound, sample.value
    elseif sample.name:find "_count$" then
      assert(le == math.huge and sample.value == count, sample.line)
      le, count = -1, 0
    end
  end
end

-- The families of a text, in order and by name. Raises if it is not valid.
local function parse(text)
  assert(utf8.len(text), "not UTF-8")
  local families, seen = {}, {}
  local body = assert(text:match "^(.*)# EOF\n$", "no EOF at the end")
  for line in body:gmatch "([^\n]*)\n" do
    if line:sub(1, 1) == "#" then
      add_metadata(families, line)
    else
      add_sample(families, line, seen)
    end
  end
  for _, family in ipairs(families) do
    assert(family.HELP and #family.samples > 0, family.name)
    if family.UNIT then assert(family.name:find("_" .. family.UNIT .. "$")) end
    if family.TYPE == "histogram" then check_histogram(family) end
  end
  return families
end

-- The value of a limiter's sample now; `of`: its second label.
local function value(name, limiter, of)
  local families = parse(weir.metrics())
  local family = families[name] or families[name:gsub("_%l+$", "")]
  for _, sample in ipairs(family and family.samples or {}) do
    local labels = sample.labels
    if sample.name == name and labels.limiter == limiter
       and (labels.code or labels.verdict or labels.le) == of then
      return sample.value
    end
  end
end

-- == tests ====================================================================

local function use(limiter, times)
  for _ = 1, times do limiter:acquire():release() end
end

-- Two limiters made at one line; and its label.
local function twins()
  local line = debug.getinfo(1, "l").currentline + 2
  local list = {}
  for i = 1, 2 do list[i] = weir.semaphore(i) end
  return list, "spec/metrics_spec.lua:" .. line
end

describe("weir.metrics", function()
  before_each(function() at(0) end)

  it("says it all of one limiter", function()
    local text = helper.child(function()
      local weir = require "weir" -- luacheck: ignore 431
      weir.step(0)
      local door = weir.limiter { concurrent = 1, queue = 1, name = "door" }
      local permit = door:acquire()
      weir.spawn(function() door:acquire():release() end)
      weir.step(0)
      door:try_acquire()
      weir.step(2)
      permit:release "dropped"
      weir.step(2)
      io.write(weir.metrics())
    end)
    assert.equal([[
# TYPE weir_permits_limit gauge
# HELP weir_permits_limit Permits there are now, per key; absent: not limited.
weir_permits_limit{limiter="door"} 1
# TYPE weir_permits_in_use gauge
# HELP weir_permits_in_use Permits in use now.
weir_permits_in_use{limiter="door"} 0
# TYPE weir_waiting gauge
# HELP weir_waiting Requests that wait now.
weir_waiting{limiter="door"} 0
# TYPE weir_keys gauge
# HELP weir_keys Keys known now, some of them idle.
weir_keys{limiter="door"} 0
# HELP weir_admitted_total Requests admitted.
weir_admitted_total{limiter="door"} 2
# HELP weir_refused_total Requests refused, by code.
weir_refused_total{limiter="door",code="canceled"} 0
weir_refused_total{limiter="door",code="closed"} 0
weir_refused_total{limiter="door",code="doomed"} 0
weir_refused_total{limiter="door",code="exhausted"} 0
weir_refused_total{limiter="door",code="full"} 1
weir_refused_total{limiter="door",code="impossible"} 0
weir_refused_total{limiter="door",code="shed"} 0
weir_refused_total{limiter="door",code="timeout"} 0
# HELP weir_dropped_total Permits given back by an error or by being dropped.
weir_dropped_total{limiter="door"} 1
# HELP weir_unused_total Permits given back before the work began.
weir_unused_total{limiter="door"} 0
# TYPE weir_wait_seconds histogram
# UNIT weir_wait_seconds seconds
# HELP weir_wait_seconds How long the admitted waited, within 3.2 %.
weir_wait_seconds_bucket{limiter="door",le="0.0001"} 1
weir_wait_seconds_bucket{limiter="door",le="0.0005"} 1
weir_wait_seconds_bucket{limiter="door",le="0.001"} 1
weir_wait_seconds_bucket{limiter="door",le="0.005"} 1
weir_wait_seconds_bucket{limiter="door",le="0.01"} 1
weir_wait_seconds_bucket{limiter="door",le="0.05"} 1
weir_wait_seconds_bucket{limiter="door",le="0.1"} 1
weir_wait_seconds_bucket{limiter="door",le="0.25"} 1
weir_wait_seconds_bucket{limiter="door",le="0.5"} 1
weir_wait_seconds_bucket{limiter="door",le="1.0"} 1
weir_wait_seconds_bucket{limiter="door",le="2.5"} 2
weir_wait_seconds_bucket{limiter="door",le="5.0"} 2
weir_wait_seconds_bucket{limiter="door",le="10.0"} 2
weir_wait_seconds_bucket{limiter="door",le="30.0"} 2
weir_wait_seconds_bucket{limiter="door",le="60.0"} 2
weir_wait_seconds_bucket{limiter="door",le="+Inf"} 2
weir_wait_seconds_count{limiter="door"} 2
weir_wait_seconds_sum{limiter="door"} 2.0
# EOF
]], text)
  end)

  it("is empty where no limiter is", function()
    assert.equal("# EOF\n", (helper.child(function()
      io.write(require "weir".metrics())
    end)))
  end)

  it("has a limit only of what has permits", function()
    local kept = { weir.limiter { rate = "5/s", name = "paced" },
                   weir.limiter { concurrent = 5, name = "counted" } }
    assert.is_nil(value("weir_permits_limit", "paced"))
    assert.equal(5, value("weir_permits_limit", "counted"))
    kept[2]:set { concurrent = 7 }
    assert.equal(7, value("weir_permits_limit", "counted"))
  end)

  it("tells who holds, who waits and how many keys there are", function()
    local limiter = weir.limiter { concurrent = 1, name = "keyed",
                                   key = function(key) return key end }
    local permits = { limiter:acquire "a", limiter:acquire "b" }
    local task = weir.spawn(function() limiter:acquire("a"):release() end)
    at(0)
    assert.same({ 1, 2, 1, 2 }, {
      value("weir_permits_limit", "keyed"),
      value("weir_permits_in_use", "keyed"), value("weir_waiting", "keyed"),
      value("weir_keys", "keyed") })
    for _, permit in ipairs(permits) do permit:release() end
    task:cancel()
  end)

  it("has dry runs only of those that had some", function()
    local dry = weir.limiter { concurrent = 1, dry_run = true, name = "dry" }
    local wet = weir.limiter { concurrent = 1, name = "wet" }
    assert.is_nil(value("weir_dry_run_total", "dry", "admitted"))
    local permits = { dry:acquire(), dry:acquire(), wet:acquire() }
    assert.same({ 1, 1, nil }, { value("weir_dry_run_total", "dry", "admitted"),
                                 value("weir_dry_run_total", "dry", "waiting"),
                                 value("weir_dry_run_total", "wet", "admitted")
                               })
    for _, permit in ipairs(permits) do permit:release() end
  end)
end)

describe("the label of a limiter", function()
  before_each(function() at(0) end)

  it("is its name, whatever that is", function()
    for _, name in ipairs { 'a "quoted" name', [[C:\new\table\]], [[\"]], "\n",
                            "two\nlines\r\n", "<script>alert('1')</script>",
                            "}", '"} 1\n# EOF\n', ("n"):rep(63), " ",
                            "\u{10FFFF}\u{FFFD}", ("ü"):rep(31), "\1\27\127",
                            "{{limiter}}", "%s%d%" } do
      local limiter = weir.limiter { concurrent = 1, name = name }
      use(limiter, 3)
      assert.equal(3, value("weir_admitted_total", name))
      assert.equal(name, limiter:stats().name)
    end
  end)

  it("has U+FFFD in the place of what is no UTF-8", function()
    for name, label in pairs {
      ["\xff"] = "\u{FFFD}", ["a\xc3"] = "a\u{FFFD}",
      ["\xe2\x82z"] = "\u{FFFD}\u{FFFD}z", ["\x80ü"] = "\u{FFFD}ü",
      ["\xed\xa0\x80"] = ("\u{FFFD}"):rep(3), -- a surrogate
      ["\xc0\xaf"] = "\u{FFFD}\u{FFFD}", -- not the shortest
      ["\xf4\x90\x80\x80!"] = ("\u{FFFD}"):rep(4) .. "!", -- above U+10FFFF
      ["\xfe" .. ("x"):rep(62)] = "\u{FFFD}" .. ("x"):rep(62),
    } do
      local limiter = weir.limiter { concurrent = 1, name = name }
      use(limiter, 2)
      assert.equal(2, value("weir_admitted_total", label))
    end
  end)

  it("is the line that made it; two of one line are summed", function()
    local list, label = twins()
    use(list[1], 2)
    use(list[2], 3)
    assert.equal(5, value("weir_admitted_total", label))
    assert.equal(3, value("weir_permits_limit", label))
    assert.equal(5, value("weir_wait_seconds_count", label))
  end)

  it("may be that of two names that differ in what is no UTF-8", function()
    local kept = { weir.limiter { concurrent = 1, name = "dark \xff" },
                   weir.limiter { concurrent = 2, name = "dark \xfe" } }
    assert.equal(3, value("weir_permits_limit", "dark \u{FFFD}"))
    assert.equal(2, #kept)
  end)
end)

describe("a counter", function()
  before_each(function() at(0) end)

  it("counts once what two objects of one name are", function()
    local one = weir.limiter { concurrent = 2, name = "one" }
    local other = weir.limiter { concurrent = 2, name = "one" }
    use(one, 1)
    use(other, 2)
    assert.equal(3, value("weir_admitted_total", "one"))
    assert.equal(2, value("weir_permits_limit", "one"))
  end)

  it("stays when one object of a name is collected", function()
    for keep = 1, 3 do
      local objects = {}
      for i = 1, 3 do
        objects[i] = weir.limiter { concurrent = 2, name = "many" .. keep }
      end
      use(objects[keep], 4)
      objects = { objects[keep] }
      collect()
      assert.equal(4, value("weir_admitted_total", "many" .. keep))
      use(objects[1], 1)
      assert.equal(5, value("weir_admitted_total", "many" .. keep))
    end
  end)

  it("never goes down when one of two of one label is collected", function()
    local list, label = twins()
    use(list[1], 2)
    use(list[2], 3)
    list[1]:close()
    list[1]:try_acquire()
    assert.equal(5, value("weir_admitted_total", label))
    list[1] = false
    collect()
    for _ = 1, 2 do
      assert.equal(5, value("weir_admitted_total", label))
      assert.equal(5, value("weir_wait_seconds_bucket", label, "0.0001"))
      assert.equal(1, value("weir_refused_total", label, "closed"))
      assert.equal(2, value("weir_permits_limit", label))
    end
    use(list[2], 1)
    assert.equal(6, value("weir_admitted_total", label))
  end)

  it("goes on when a name is closed and made anew", function()
    local list = { weir.limiter { concurrent = 1, name = "reborn" } }
    use(list[1], 2)
    list[1]:close()
    list[2] = weir.limiter { concurrent = 1, name = "reborn" }
    use(list[2], 1)
    assert.equal(3, value("weir_admitted_total", "reborn"))
    list[1] = false
    collect()
    assert.equal(3, value("weir_admitted_total", "reborn"))
  end)

  it("goes with the last that had its label, and starts at 0", function()
    local list = { weir.limiter { concurrent = 1, name = "last" } }
    use(list[1], 2)
    assert.equal(2, value("weir_admitted_total", "last"))
    forget(list)
    assert.is_nil(value("weir_admitted_total", "last"))
    list[1] = weir.limiter { concurrent = 1, name = "last" }
    assert.equal(0, value("weir_admitted_total", "last"))
  end)
end)

describe("promtool", function()
  before_each(function() at(0) end)

  local which = io.popen "command -v promtool"
  local found = which:read "a" ~= ""
  which:close()

  -- What promtool says to a text in a file, and its exit code. It is not to
  -- have the sanitizer that this process may run under.
  local function promtool(command, text, after)
    local name = os.tmpname()
    local file = assert(io.open(name, "wb"))
    file:write(text)
    file:close()
    local pipe = assert(io.popen(("LD_PRELOAD= promtool %s %s %s 2>&1"):format(
      command, name, after or "")))
    local out = pipe:read "a"
    local _, _, code = pipe:close()
    os.remove(name)
    return out, code
  end

  -- Limiters of all kinds, used in all ways.
  local function limiters()
    local door = weir.limiter { concurrent = 1, name = "a \"\\\n\xff" }
    local list = { door, weir.limiter { rate = "5/s", name = "<script>" },
                   weir.limiter { concurrent = 3, dry_run = true },
                   weir.limiter { adaptive = "vegas", name = "é" } }
    for i = 2, #list do list[i]:acquire() end
    local permit = door:acquire()
    weir.spawn(function() door:acquire():release() end)
    at(0)
    at(0.3)
    permit:release()
    at(0.3)
    return list
  end

  if not found then
    pending "is not installed (Debian: prometheus)"
    return
  end

  it("finds nothing to say against the text", function()
    local kept = limiters()
    assert.same({ "", 0 }, { promtool("check metrics <", weir.metrics()) })
    forget(kept)
  end)

  it("takes all of it in as OpenMetrics", function()
    local kept = limiters()
    local text, samples = weir.metrics():gsub("(weir[^\n]*})( %S+)\n",
                                              "%1%2 1\n") -- a time for each
    local dir = os.tmpname()
    os.remove(dir)
    local out, code = promtool("tsdb create-blocks-from openmetrics", text, dir)
    os.execute("rm -r " .. dir)
    assert.equal(0, code, out)
    assert.truthy(out:find((" %d "):format(samples), 1, true), out)
    forget(kept)
  end)
end)

describe("weir.limiters", function()
  local function objects_of(id)
    local list = {}
    for _, limiter in ipairs(weir.limiters()) do
      if limiter:stats().id == id then list[#list + 1] = limiter end
    end
    return list
  end

  it("has one object of each limiter", function()
    local one = weir.limiter { concurrent = 1, name = "listed" }
    local other = weir.limiter { concurrent = 1, name = "listed" }
    local third = weir.semaphore(1)
    local id = one:stats().id
    assert.equal(id, other:stats().id)
    assert.are_not.equal(id, third:stats().id)
    assert.equal(1, #objects_of(id))
    assert.same({ third }, objects_of(third:stats().id))
  end)

  it("has it as long as any of its objects is there", function()
    local list = { weir.limiter { concurrent = 1, name = "stays" },
                   weir.limiter { concurrent = 1, name = "stays" } }
    local permit = list[1]:acquire()
    list[2] = nil
    collect()
    assert.same(list, objects_of(list[1]:stats().id))
    assert.equal("stays", list[1]:explain()[1].limiter)
    permit:release()
  end)
end)

describe("limiter:waits", function()
  before_each(function() at(0) end)

  it("counts those who waited at most that long, and sums up", function()
    local limiter = weir.semaphore(1)
    for _, seconds in ipairs { 0.5, 2, 8 } do
      at(0)
      local permit = limiter:acquire()
      weir.spawn(function() limiter:acquire():release() end)
      at(0)
      at(seconds)
      permit:release()
      at(seconds)
    end
    local counts, sum, count = limiter:waits { 0, 0.4, 0.6, 2.1, 10 }
    assert.same({ 3, 3, 4, 5, 6 }, counts)
    assert.same({ 10.5, 6 }, { sum, count })
    assert.equal("integer", math.type(count))
    assert.same({ {}, 10.5, 6 }, { limiter:waits {} })
  end)

  it("wants an ascending list of at most 64 seconds", function()
    local limiter = weir.semaphore(1)
    local bounds = {}
    for i = 1, 64 do bounds[i] = i end
    assert.equal(64, #limiter:waits(bounds))
    bounds[65] = 65
    local list = "limiter:waits: expected a list of at most 64 numbers of "
      .. "seconds, got "
    helper.raises(list .. "a table", function() limiter:waits(bounds) end)
    helper.raises(list .. "nothing", function() limiter:waits() end)
    helper.raises(list .. "3", function() limiter:waits(3) end)
    local number = " must be a number of seconds from 0 to 1000000000, got "
    helper.raises("limiter:waits: bound 1" .. number .. "the string '1'",
                  function() limiter:waits { "1" } end)
    helper.raises("limiter:waits: bound 2" .. number .. "inf",
                  function() limiter:waits { 1, math.huge } end)
    helper.raises("limiter:waits: bound 1" .. number .. "nan",
                  function() limiter:waits { 0/0 } end)
    for _, second in ipairs { 1, 0.5 } do
      helper.raises("limiter:waits: bound 2 must be more than the one before",
                    function() limiter:waits { 1, second } end)
    end
    helper.raises("limiter:waits: expected a limiter (call it as "
                  .. "limiter:waits(...)), got a table",
                  function() limiter.waits {} end)
  end)
end)
