--- weir.replay.run: one policy over logs.
-- @module weir.replay.run

local formats = require "weir.replay.formats"
local policy = require "weir.policy"
local request = require "weir.request"
local source = require "weir.replay.source"
local weir = require "weir"

local run = {}

-- == requests =================================================================

-- What of a request is not in its line as it is, by this replayer.
local function derived_fields(replayer)
  local fields = {}

  function fields.headers(req)
    local headers = {}
    for _, name in ipairs(replayer:names(req)) do
      local header = name:match "^http_(.+)$" or name == "host" and name
      if header then headers[header] = replayer:field(req, name) end
    end
    return request.headers(headers)
  end

  function fields.var(req)
    return setmetatable({}, {
      __index = function(_, name) return replayer:field(req, name) end,
      __metatable = "weir.variables",
    })
  end

  return fields
end

-- What the replayer is told of a handler that has returned.
local function judge(...)
  local kind, detail = policy.conclude(...)
  if kind == "refuse" then return kind, detail.code, policy.status(detail) end
  if kind == "answer" then return kind, detail.status or 503 end
  return kind, detail
end

local function refused(req)
  if request.answer(req) then
    error("req:proceed: the request has been refused already", 3)
  end
end

local function run_options(replayer, handler, each)
  return {
    handler = handler, each = each, judge = judge, trace = policy.trace,
    state = request.STATE, refused = refused,
    kind = function(proceed, proceeded)
      return request.kind { proceed = proceed, proceeded = proceeded,
                            fields = derived_fields(replayer) }
    end,
  }
end

-- == logs =====================================================================

local function open_logs(self, options)
  self.sources = {}
  for i, name in ipairs(options.logs) do
    local log, err = source.open(name)
    if not log then error(err, 0) end
    self.sources[i] = log
    local format = options.format or formats.guess(log)
    local number, why = self.replayer:add(format)
    if not number then error(("the format: %s"):format(why), 0) end
    log.format = format
  end
end

-- A bad line of a strict replay.
local function stop(self, number)
  local counts = self.replayer:counts(number)
  local bad = counts.examples[#counts.examples]
  error(("%s:%d:%d: %s: %s"):format(self.sources[number].name, bad.line,
    bad.column, bad.why, formats.shown(bad.text)), 0)
end

-- Does something until it is hungry no more; answers its last state.
local function feed(self, step, options)
  local state, number = step()
  while state == "hungry" do
    self.replayer:feed(number, self.sources[number]:read())
    if options.progress then options.progress(self) end
    state, number = step()
  end
  if state == "stopped" then stop(self, number) end
  return state, number
end

-- == a policy =================================================================

local function names_of(loaded)
  return "'" .. table.concat(loaded.names, "', '") .. "'"
end

local function choose_handler(loaded, name)
  local handlers = loaded.handlers
  if not name and handlers[""] then return handlers[""] end
  if not name and #loaded.names == 1 then return handlers[loaded.names[1]] end
  if name and handlers[name] then return handlers[name] end
  error(name
    and ("the policy has no handler '%s', but %s"):format(name,
      handlers[""] and "one without a name" or names_of(loaded))
    or ("the policy has several handlers: say which with --handler: %s")
      :format(names_of(loaded)), 0)
end

local function load_policy(file, options, start)
  local loaded, err, stack = policy.load(file, {
    trial = true, path = options.path, sandbox = options.sandbox,
    clock = function() return start + weir.now() end,
    print = options.print, warn = options.warn,
  })
  if not loaded then error(err .. (stack or ""), 0) end
  return loaded
end

-- Those that the policy has, by their names.
local function limiters_of()
  local list = weir.limiters()
  table.sort(list, function(a, b)
    local x, y = a:stats(), b:stats()
    if x.name ~= y.name then return x.name < y.name end
    return tostring(x.id) < tostring(y.id)
  end)
  return list
end

local function set_limiters(limiters, settings)
  for name, values in pairs(settings or {}) do
    local found = false
    for _, limiter in ipairs(limiters) do
      if limiter:stats().name == name then
        limiter:set(values)
        found = true
      end
    end
    if not found then
      local names = {}
      for i, limiter in ipairs(limiters) do names[i] = limiter:stats().name end
      error(("the policy has no limiter '%s', but %s"):format(name,
        #names > 0 and table.concat(names, ", ") or "none"), 0)
    end
  end
end

-- Made-up spaces outlive the policy: another one must not find its limiters.
local function close_spaces()
  for _, url in ipairs(weir.pretended()) do
    local space = weir.open(url)
    if space then space:close() end
  end
end

-- == what came of it ==========================================================

local function sum_of(verdicts)
  local sum = 0
  for _, count in pairs(verdicts) do sum = sum + count end
  return sum
end

local function report_limiter(limiter)
  local stats = limiter:stats()
  local at_once, sum = limiter:waits { 0 }
  local refused_all = sum_of(stats.refused)
  if stats.admitted + refused_all == 0 and sum_of(stats.would) == 0 then
    return nil
  end
  local wait = stats.wait
  wait.mean = stats.admitted > 0 and sum / stats.admitted or 0
  return { name = stats.name, space = stats.space, limit = stats.limit,
           keys = stats.keys, admitted = stats.admitted,
           at_once = at_once[1], waited = stats.admitted - at_once[1],
           refused = refused_all, codes = stats.refused, would = stats.would,
           dropped = stats.dropped, wait = wait }
end

local function report_limiters()
  local list = {}
  for _, limiter in ipairs(limiters_of()) do
    list[#list + 1] = report_limiter(limiter)
  end
  return list
end

local function report_logs(self)
  local list = {}
  for i, log in ipairs(self.sources) do
    local counts = self.replayer:counts(i)
    counts.name, counts.format = log.name, log.format
    list[i] = counts
  end
  return list
end

-- == all of it ================================================================

local function check_service(self, options)
  if options.services then return end
  for i, log in ipairs(self.sources) do
    local counts = self.replayer:counts(i)
    if counts.timeless == counts.lines - counts.bad - counts.none
       and counts.timeless > 0 then
      error(("%s does not say how long requests took: say it yourself, as "
        .. "--service 20ms or --service lognormal:p50=20ms,p99=200ms"):format(
          log.name), 0)
    end
  end
end

local function replay(self, file, options)
  local replayer = self.replayer
  open_logs(self, options)
  local state, start = feed(self, function() return replayer:start() end,
                            options)
  if state == "over" then error("the logs have no requests", 0) end
  check_service(self, options)
  math.randomseed(options.seed or 0)
  local loaded = load_policy(file, options, start)
  local handler = choose_handler(loaded, options.handler)
  set_limiters(limiters_of(), options.set)
  local first = run_options(replayer, handler, options.each)
  feed(self, function() return replayer:run(first) end, options)
  local results = replayer:results(options.keys or 20)
  results.limiters = report_limiters()
  results.logs = report_logs(self)
  results.policy = file
  results.warnings = loaded.warnings
  return results
end

local function clean_up(self)
  self.replayer:close()
  for _, log in ipairs(self.sources or {}) do log:close() end
  close_spaces()
  collectgarbage()
  collectgarbage()
end

--- Runs logs through a policy.
-- @tparam string file the policy's
-- @tparam table options
-- @tparam table options.logs names of files, "-" for the standard input
-- @tparam[opt] string options.format as @{weir.replayer:add}; else it is found
-- out
-- @tparam[opt] string options.handler which, if the policy has several
-- @tparam[opt] table options.services see @{weir.replayer}; and `capacity`,
-- `seed`, `window`, `spread`, `strict`
-- @tparam[opt] table options.set { [limiter's name] = options to set }
-- @tparam[opt=20] number options.keys how many of the most affected keys to
-- tell of
-- @tparam[opt] function options.progress is called now and then
-- @tparam[opt] function options.each see @{weir.replayer:run}
-- @treturn[1] table as @{weir.replayer:results}, and `limiters`, `logs`,
-- `policy`
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function run.run(file, options)
  local self = {
    replayer = weir.replayer {
      services = options.services, capacity = options.capacity,
      seed = options.seed, window = options.window, spread = options.spread,
      strict = options.strict,
    },
  }
  local ok, results = xpcall(replay, function(err)
    return type(err) == "string" and err or debug.traceback(tostring(err))
  end, self, file, options)
  clean_up(self)
  if not ok then return nil, results end
  return results
end

return run
