--- What nobody should write: arguments of directives and bytes of clients at
-- random. Nothing may crash, leak a permit or be accepted silently. SEED=...
-- repeats a run.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"
local socket = require "socket"

local with = nginx.with
local SEED = tonumber(os.getenv "SEED") or os.time()
local ROUNDS = tonumber(os.getenv "FUZZ_ROUNDS") or 60

local OPTIONS = { "concurrent", "rate", "burst", "window", "align", "queue",
  "timeout", "order", "aging", "shed", "target", "interval", "adaptive",
  "initial", "min", "max", "backoff", "smoothing", "tolerance", "long_window",
  "keys", "on_exhausted", "dry_run", "key", "flow", "cost", "priority", "space",
  "", "x", "concurrent ", "Rate" }
local VALUES = { "0", "1", "8", "-1", "2147483647", "2147483648",
  "99999999999999999999", "1e9", "0x10", "100/s", "1/0s", "0/s", "5/m", "/s",
  "1/", "on", "off", "none", "fifo", "fair", "priority", "lifo", "codel",
  "codel,lifo", "codel,,", "aimd", "vegas", "gradient2", "5s", "5ms", "0s",
  "1d", "1000000000000d", "$arg_x", "$", "${", "$nothing_at_all", "",
  "\xff\xfe", ("9"):rep(400), ("k"):rep(5000),
  "sliding", "fixed", "api", "0.5", "1.5",
  "'", "a=b=c", "\t", "\x01" }
local DIRECTIVES = { "weir_space", "weir_limit", "weir_dir", "weir_script",
  "weir_path", "weir_cpath", "weir_sandbox", "weir_budget", "weir_memory",
  "weir", "weir_refuse_status", "weir_on_error", "weir_log_level",
  "weir_dry_run" }

local function pick(list) return list[math.random(#list)] end

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

local function argument()
  if math.random(4) == 1 then return quoted(pick(VALUES)) end
  return quoted(pick(OPTIONS) .. "=" .. pick(VALUES))
end

local function directive()
  local words = { pick(DIRECTIVES) }
  if math.random(2) == 1 then
    words = { "weir_limit", "gate" .. math.random(9) }
  end
  for _ = 1, math.random(0, 4) do words[#words + 1] = argument() end
  return table.concat(words, " ") .. ";"
end

nginx.describe(_ENV, "arguments at random", function()
  it(("are taken or refused with file and line (SEED=%d)"):format(SEED),
    function()
      math.randomseed(SEED)
      local good = 0
      for _ = 1, ROUNDS do
        local lines = {}
        for i = 1, math.random(3) do lines[i] = directive() end
        local text = table.concat(lines, "\n")
        local ok, said = nginx.check { http = "weir_space api 1m;\n" .. text,
          server = "location / { weir gate1; }" }
        if ok then good = good + 1 end
        local told = ok or said:find "%[emerg%][^\n]*conf:%d+"
        assert.is_truthy(told, text .. "\n" .. said)
        assert.is_nil(said:find "Sanitizer", text .. "\n" .. said)
        assert.is_nil(said:find "core dumped", text)
      end
      assert.is_true(good < ROUNDS)
    end)

  it("make a server that serves, where they are taken", function()
    math.randomseed(SEED)
    local served = 0
    for _ = 1, ROUNDS * 4 do
      local options = {}
      for i = 1, math.random(0, 3) do options[i] = argument() end
      local text = "weir_space api 1m; weir_limit gate concurrent=2 "
        .. table.concat(options, " ") .. ";"
      local spec = { http = text, server =
        "location / { weir gate; proxy_pass http://origin; }" }
      if served < 6 and nginx.check(spec) then
        served = served + 1
        with(spec, function(server, origin)
          local load = process.load({ port = server.port, seconds = 0.3,
            clients = "all:100", timeout = 2 }):result()
          assert.is_true(load.sent > 0)
          assert.is_true(origin:tell("stats").highest <= 2
                         or text:find "concurrent=none" ~= nil
                         or text:find "dry_run=on" ~= nil
                         or text:find "key=" ~= nil
                         or text:find("concurrent=[^2]", 60) ~= nil, text)
          server:has(0)
        end)()
      end
    end
    assert.is_true(served > 0)
  end)
end)

nginx.describe(_ENV, "bytes at random", function()
  local POLICY = [[
    local weir = require "weir"
    local gate = weir.limiter { space = "shm:gate", name = "gate", queue = 100,
      concurrent = 2, timeout = 5, key = function(req)
        return (req.headers["x-key"] or "") .. (req.cookies.a or "")
          .. (req.args.a or "") .. (req.user_agent or "") .. (req.host or "")
          .. req.path .. tostring(req.var.http_x_key) end }
    return gate(function(req) return req:proceed() end)
  ]]

  local function bytes(n)
    local list = {}
    for i = 1, math.random(0, n) do
      list[i] = string.char(math.random(4) == 1 and math.random(0, 255)
                            or math.random(32, 126))
    end
    return table.concat(list)
  end

  local function request()
    local lines = { ("GET %s%s?a=%s HTTP/1.1"):format(pick { "/", "/p/" },
      math.random(3) == 1 and bytes(40) or "x", bytes(60)), "Host: t" }
    for _ = 1, math.random(0, 6) do
      lines[#lines + 1] = pick { "X-Key", "Cookie", "User-Agent", "Upgrade",
        "X-Flow", "X-Cost", "Expect", "Range", bytes(5) } .. ": "
        .. pick { bytes(200), bytes(3000), "a=" .. bytes(30), "" }
    end
    return table.concat(lines, "\r\n") .. "\r\n\r\n"
  end

  it(("cost what they are worth (SEED=%d)"):format(SEED), with({
    files = { ["p.lua"] = POLICY },
    http = [[
      weir_script {dir}/p.lua;
      weir_limit key key=$http_x_key$arg_a concurrent=2 keys=50;
      weir_limit cost cost=$http_x_cost concurrent=5 order=fair
        flow=$http_x_flow$arg_a timeout=5s;
    ]],
    server = [[
      weir_log_level info;
      location / { weir key cost; proxy_pass http://origin; }
      location /p/ { weir policy; proxy_pass http://origin; }
    ]] }, function(server)
      math.randomseed(SEED)
      for _ = 1, ROUNDS * 10 do
        local one <close> = server:open()
        one.method = "GET"
        local text = request()
        if math.random(5) == 1 then text = text:sub(1, math.random(#text)) end
        one:raw(text)
        if math.random(3) > 1 then one:answer(0.05) end
      end
      socket.sleep(0.2)
      local answer = server:get("/", { fields = { ["X-Key"] = "last" } })
      assert.equal(200, answer.status)
      assert.equal(200, server:get("/p/").status)
      for line in server:log():gmatch "[^\n]+" do
        assert.is_truthy(line:find "^%d%d%d%d/%d%d/%d%d " or line:find "^%s"
                         or line:find "^stack traceback:", line)
      end
      server:has(0)
    end))
end)
