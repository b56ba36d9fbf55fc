--- First come, first served, whichever worker one comes to.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local with = nginx.with

nginx.describe(_ENV, "the queue of all workers", function()
  for _, workers in ipairs { 1, 2, 4 } do
    it(("is served in the order of arrival, of %d"):format(workers), with({
      http = "weir_limit gate concurrent=1 timeout=60s;"
        .. "log_format weir '$pid $uri'; access_log {dir}/access.log weir;",
      server = "location / { weir gate; proxy_pass http://origin; }",
      workers = workers,
    }, function(server, origin)
      local held = server:ask "/0?hold"
      origin:serves(1)
      local waiting, expected = {}, { "/0?hold" }
      for i = 1, 60 do
        waiting[i] = server:ask("/" .. i)
        server:has(1 + i)
        expected[1 + i] = "/" .. i
      end
      origin:tell "free"
      assert.equal(200, held:status())
      for _, one in ipairs(waiting) do assert.equal(200, one:status()) end
      assert.same(expected, origin:tell "seen")
      local pids, count = {}, 0
      for _, line in ipairs(server:accesses()) do
        local pid = line:match "%d+"
        if not pids[pid] then count = count + 1 end
        pids[pid] = true
      end
      assert.equal(workers, count) -- all of them had some
    end))

    it(("lets nobody wait for much longer, of %d #time"):format(workers),
      with({
        http = "weir_limit gate concurrent=8 timeout=500ms;",
        server = "location / { weir gate; proxy_pass http://origin; }",
        workers = workers,
      }, function(server, origin)
        local result = process.load({ port = server.port, seconds = 3, warm = 1,
          clients = "all:800", arrivals = "fixed" }):result()
        -- The backend's 20 ms are a service time: a few of them.
        assert.is_true(result.wait_max <= result.wait_p50 + 0.1 * nginx.slow,
          ("median %.3f, longest %.3f"):format(result.wait_p50,
                                               result.wait_max))
        assert.is_true(result.far_out_of_order < 0.1, result.far_out_of_order)
        assert.equal(8, origin:tell("stats").highest)
      end))
  end
end)
