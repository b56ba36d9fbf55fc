--- weir.replay: yesterday's logs through a policy.
-- @module weir.replay

local compare = require "weir.replay.compare"
local run = require "weir.replay.run"
local service = require "weir.replay.service"
local source = require "weir.replay.source"

local replay = {}

-- Options as a person gives them, made ready for run.
local function prepare(options)
  local ready = {}
  for name, value in pairs(options) do ready[name] = value end
  if options.service then
    local services, err = service.parse(options.service)
    if not services then return nil, "the service time: " .. err end
    ready.services = services
  end
  return ready
end

local function run_one(policy, ready)
  local report, err = run.run(policy, ready)
  if not report then return nil, err end
  report.service, report.capacity = ready.service, ready.capacity
  report.spread = ready.spread ~= false
  report.seed = ready.seed or 0
  return report
end

--- Runs logs through a policy, in virtual time.
-- @tparam string policy a file's name
-- @tparam table options as @{weir.replay.run}; and
-- @tparam[opt] string options.service how long serving takes: "20ms" or
-- "lognormal:p50=20ms,p99=200ms"; else as logged
-- @treturn[1] table the report
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function replay.run(policy, options)
  local ready, err = prepare(options)
  if not ready then return nil, err end
  return run_one(policy, ready)
end

-- == several times ============================================================

-- The standard input can be read once: a copy of it can be read again.
local function copy_input()
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  local function read() return io.stdin:read(65536) end
  for bytes in read do file:write(bytes) end
  assert(file:close())
  return name
end

-- Calls fn with options whose logs can be read again and again.
local function with_copies(options, fn)
  local copy
  local ready, err = prepare(options)
  if not ready then return nil, err end
  ready.logs, ready.shown = {}, {}
  for i, name in ipairs(options.logs) do
    if name == "-" then copy = copy or copy_input() end
    ready.logs[i] = name == "-" and copy or name
  end
  if copy then ready.shown[copy] = source.INPUT end
  local result = table.pack(pcall(fn, ready))
  if copy then os.remove(copy) end
  if not result[1] then error(result[2], 0) end
  return table.unpack(result, 2, result.n)
end

--- Runs the same logs through several policies.
-- @tparam table policies names of files
-- @tparam table options as @{run}
-- @treturn[1] table a list of reports
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function replay.compare(policies, options)
  return with_copies(options, function(ready)
    local reports = {}
    for i, policy in ipairs(policies) do
      local err
      ready.step, ready.steps = i, #policies
      reports[i], err = run_one(policy, ready)
      if not reports[i] then return nil, policy .. ": " .. err end
    end
    return reports
  end)
end

--- Runs the same logs through a policy again and again, with one option of one
-- limiter set to other values.
-- @tparam string policy
-- @tparam string what "backend.concurrent=4..64", or a list of values, as
-- "backend.timeout=0.5,1,2"
-- @tparam table options as @{run}
-- @treturn[1] table `limiter`, `field`, `rows`: reports, each with its `value`;
-- `knee`, the value from which on more brings little, if there is one
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function replay.sweep(policy, what, options)
  local sweep, err = compare.parse(what)
  if not sweep then return nil, err end
  return with_copies(options, function(ready)
    sweep.rows = {}
    for i, value in ipairs(sweep.values) do
      ready.step, ready.steps = i, #sweep.values
      ready.set = { [sweep.limiter] = { [sweep.field] = value } }
      local report, why = run_one(policy, ready)
      if not report then return nil, why end
      report.value = value
      sweep.rows[i] = report
    end
    sweep.knee = compare.knee(sweep.rows)
    return sweep
  end)
end

return replay
