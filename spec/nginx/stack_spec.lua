--- Several limiters at once, and what a location inherits.

local nginx = require "spec.nginx.nginx"

local with = nginx.with
local PASS = "proxy_pass http://origin;"

nginx.describe(_ENV, "weir a b c", function()
  local stacked = {
    http = [[
      weir_limit outer key=$arg_user concurrent=2 queue=0;
      weir_limit middle concurrent=3 queue=10;
      weir_limit inner concurrent=1 queue=1 timeout=60s;
      log_format weir '$status $weir_verdict $weir_limiter $weir_key';
      access_log {dir}/access.log weir;
    ]],
    server = "location / { weir outer middle inner; " .. PASS .. " }",
  }

  it("asks the outermost first, and holds while it waits", with(stacked,
    function(server, origin)
      local first <close> = server:ask "/1?hold&user=ann"
      origin:serves(1)
      server:has(3) -- one permit of each
      local second <close> = server:ask "/2?user=ann"
      server:has(6) -- two permits, and waits for the third
      assert.equal(429, server:get("/?user=ann").status)
      server:logged("^429 full outer ann$", 1)
      assert.equal(1, origin:tell("stats").began)
      origin:tell "free"
      assert.same({ 200, 200 }, { first:status(), second:status() })
      server:has(0)
      server:logged("^200 admitted inner ", 1) -- the second waited there
    end))

  it("gives back what it has when a later one refuses", with(stacked,
    function(server, origin)
      local first <close> = server:ask "/1?hold&user=a"
      origin:serves(1)
      local second <close> = server:ask "/2?user=b"
      server:has(6)
      assert.equal(503, server:get("/?user=c").status)
      server:logged("^503 full inner %-$", 1)
      server:has(6)
      origin:tell "free"
      assert.same({ 200, 200 }, { first:status(), second:status() })
      server:has(0)
    end))

  it("gives tokens back that were not used", with({
    http = [[
      weir_limit tokens rate=2/h burst=2 queue=0;
      weir_limit shut concurrent=1 queue=0;
    ]],
    server = [[
      location / { weir tokens shut; proxy_pass http://origin; }
      location /shut { weir shut; proxy_pass http://origin; }
    ]] }, function(server, origin)
      local held <close> = server:ask "/shut?hold"
      origin:serves(1)
      for _ = 1, 5 do assert.equal(503, server:get("/").status) end
      origin:tell "free"
      assert.equal(200, held:status())
      server:has(0)
      local got = {}
      for i = 1, 3 do
        got[i] = server:get("/").status
        server:has(0) -- its permit may come back after its response
      end
      assert.same({ 200, 200, 503 }, got)
    end))
end)

nginx.describe(_ENV, "a location", function()
  local nested = {
    http = [[
      weir_limit web concurrent=1 queue=0;
      weir_limit api concurrent=1 queue=0;
      weir web;
      weir_refuse_status 520;
      log_format weir '$status $weir_limiter $weir_verdict $uri';
      access_log {dir}/access.log weir;
    ]],
    server = [[
      location / { proxy_pass http://origin; }
      location /api { weir api; weir_refuse_status 521;
        location /api/inner { proxy_pass http://origin; }
        location /api/off { weir off; proxy_pass http://origin; }
        proxy_pass http://origin;
      }
      location /off { weir off; proxy_pass http://origin; }
      location /default { weir_refuse_status default;
                          proxy_pass http://origin; }
    ]],
  }

  it("inherits, unless it says otherwise itself", with(nested,
    function(server, origin)
      local web <close> = server:ask "/?hold"
      origin:serves(1)
      assert.equal(520, server:get("/").status)
      assert.equal(503, server:get("/default").status)
      assert.equal(200, server:get("/off").status)
      assert.equal(200, server:get("/api").status)
      server:has(1) -- its permit is back
      local api <close> = server:ask "/api/inner?hold"
      origin:serves(2)
      assert.equal(521, server:get("/api").status) -- its own, not both
      assert.equal(521, server:get("/api/inner").status)
      assert.equal(200, server:get("/api/off").status)
      origin:tell "free"
      assert.same({ 200, 200 }, { web:status(), api:status() })
      server:logged("^200 %- %- /off$", 1) -- it met no limiter
      server:has(0)
    end))

  local wrong = {
    { "weir nothing;", 'there is no weir_limit "nothing" in .*nginx.conf:%d+' },
    { "weir off web;", "says off among others" },
    { "weir web web;", "names one of them twice" },
    { "weir web; weir off;", "is duplicate" },
    { "weir;", "invalid number of arguments" },
    { "weir policy:any;", "wants a weir_script" },
    { "weir_refuse_status 200;", "expected 400 to 599" },
    { "weir_refuse_status x;", "expected 400 to 599" },
    { "weir_dry_run maybe;", "it must be \"on\" or \"off\"" },
    { "weir_on_error perhaps;", "invalid value" },
    { "weir_log_level loud;", "invalid value" },
  }
  for _, case in ipairs(wrong) do
    it("cannot say " .. case[1], function()
      local ok, text = nginx.check {
        http = "weir_limit web concurrent=1;",
        server = "location / { " .. case[1] .. " }" }
      assert.is_false(ok)
      assert.is_truthy(text:find(case[2]), text)
      assert.is_truthy(text:find "nginx.conf:%d+", text)
    end)
  end
end)
