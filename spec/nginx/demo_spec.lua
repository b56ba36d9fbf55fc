--- The demo: lua/examples/overload.lua, with the policy of
-- lua/examples/share.lua.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

nginx.describe(_ENV, "make demo-nginx", function()
  it("shows the same load with and without weir, and leaves nothing #time",
    function()
      local dir = process.directory() -- where it puts its own
      local code, text = process.run(("TMPDIR=%s LUA_PATH=%s LUA_CPATH=%s "
        .. "timeout -k 1 100 %s lua/examples/overload.lua 2"):format(dir,
          process.quote(package.path), process.quote(package.cpath),
          os.getenv "LUA" or "lua5.4"))
      assert.equal(0, code, text)
      local highest = {}
      for a, b in text:gmatch "highest concurrency +(%d+) +(%d+)" do
        highest[#highest + 1] = { tonumber(a), tonumber(b) }
      end
      assert.is_true(highest[1][1] > 100, text)
      assert.same({ 8, { 8, 8 } }, { highest[1][2], highest[2] })
      local without, with = text:match "goodput +(%d+) / s +(%d+) / s"
      assert.is_true(tonumber(with) > 2 * tonumber(without), text)
      local fifo, fair = text:match "30 / s each +(%d+) / s each +(%d+)"
      assert.is_true(tonumber(fair) > tonumber(fifo), text)
      assert.same({ 0, "" }, { process.run("ls -A " .. dir) })
      process.run("rmdir " .. dir)
    end)
end)
