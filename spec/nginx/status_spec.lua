--- The status location: what the spaces do, as JSON, OpenMetrics and a page.

local nginx = require "spec.nginx.nginx"

local with = nginx.with

local SPEC = {
  http = [[
    weir_limit backend concurrent=1 queue=5;
    weir_limit client key=$arg_user concurrent=9;
  ]],
  server = [[
    location / { weir backend client; proxy_pass http://origin; }
    location = /weir { weir_status; weir off; }
    location = /closed { weir_status; deny all; }
  ]],
}

local function status(server, fields)
  return server:get("/weir", { fields = fields })
end

nginx.describe(_ENV, "weir_status", function()
  it("tells of all workers, as JSON", with(SPEC, function(server, origin)
    local held <close> = server:ask "/a?hold&user=ann"
    origin:serves(1)
    local waiter <close> = server:ask "/b?user=bob"
    server:has(3)
    local answer = status(server)
    assert.equal(200, answer.status)
    assert.equal("application/json", answer.fields["content-type"])
    assert.equal("no-store", answer.fields["cache-control"])
    assert.matches('"name":"backend","space":"shm:nginx%-%x+"', answer.body)
    assert.matches('"name":"backend".-"limit":1,"in_use":1,"waiting":1',
      answer.body)
    assert.matches('"name":"client".-"limit":9,"in_use":1,"waiting":0',
      answer.body)
    assert.matches('"key":"ann"', answer.body)
    origin:tell "free"
    assert.same({ 200, 200 }, { held:status(), waiter:status() })
  end))

  it("takes part in nothing", with(SPEC, function(server)
    server:get "/?user=ann"
    server:has(0)
    for _ = 1, 3 do status(server) end
    server:has(0)
    assert.matches('"name":"backend".-"admitted":1,', status(server).body)
  end))

  it("is OpenMetrics or a page for whom that is better", with(SPEC,
    function(server)
      local metrics = server:get "/weir?format=metrics"
      assert.matches("openmetrics%-text", metrics.fields["content-type"])
      assert.matches('weir_permits_limit{limiter="backend",space="shm:nginx',
        metrics.body)
      assert.matches("\n# EOF\n$", metrics.body)
      local page = status(server, { Accept = "text/html,*/*;q=0.8" })
      assert.matches("^text/html", page.fields["content-type"])
      assert.matches("default%-src 'none'",
        page.fields["content-security-policy"])
      assert.equal("Accept", page.fields.vary)
    end))

  it("only answers who reads and may", with(SPEC, function(server)
    assert.equal(405, server:get("/weir", { method = "POST" }).status)
    assert.equal(403, server:get("/closed").status)
    local head = server:get("/weir", { method = "HEAD" })
    assert.same({ 200, "" }, { head.status, head.body or "" })
  end))

  it("shows names and does not run them", with({
    http = [[weir_limit "<script>alert(1)</script>" key=$arg_user
             concurrent=1;]],
    server = [[
      location / { weir "<script>alert(1)</script>";
                   proxy_pass http://origin; }
      location = /weir { weir_status; }
    ]],
  }, function(server, origin)
    local held <close> = server:ask "/?hold&user=<img>"
    origin:serves(1)
    local page = status(server, { Accept = "text/html" }).body
    assert.is_nil(page:find("alert(1)", 1, true))
    assert.is_nil(status(server).body:find("<script>", 1, true))
    origin:tell "free"
    held:status()
  end))
end)
