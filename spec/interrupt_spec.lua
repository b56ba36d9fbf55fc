--- Ctrl-C: a run ends, its tasks are closed, the script may go on.

local helper = require "spec.helper"

-- What a child writes that interrupts itself while it does `what`.
local function interrupted(what)
  return helper.child(function(kind)
    local weir = require "weir"
    local pid = io.open("/proc/self/stat"):read "n"
    local limiter = weir.limiter { concurrent = 1, name = "busy" }
    local function at_end(name)
      return setmetatable({}, { __close = function() print(name) end })
    end
    local ways = {
      sleeping = function() weir.sleep(20) end,
      waiting = function() limiter:acquire() end,
      computing = function() while true do end end,
      calling = function() while true do math.max(1) end end,
      yielding = function() while true do coroutine.yield() end end,
      nested = function() limiter:wrap(pcall)(weir.sleep, 20) end,
    }
    local function main()
      local _ <close> = at_end "main closed"
      weir.spawn(function()
        local _ <close> = at_end "task closed"
        local _ <close> = kind ~= "nested" and limiter:acquire() or nil
        weir.sleep(20)
      end)
      weir.sleep(0)
      os.execute("{ sleep 0.05; kill -INT " .. pid .. "; } >/dev/null 2>&1 &")
      ways[kind]()
    end
    local ok, err = pcall(weir.run, main)
    print(ok, rawequal(err, weir.interrupted), tostring(err))
    print(limiter:stats().in_use, limiter:stats().waiting)
    print(pcall(weir.run, function() weir.sleep(0.001) return "again" end))
  end, what)
end

describe("Ctrl-C", function()
  for _, what in ipairs { "sleeping", "waiting", "yielding", "nested",
                          "computing", "calling" } do
    it("ends a run that is " .. what, function()
      local out, code = interrupted(what)
      assert.matches("main closed\n", out)
      assert.matches("task closed\n", out)
      assert.matches("\nfalse\ttrue\tinterrupted\n0\t0\n", out)
      if what ~= "computing" and what ~= "calling" then
        assert.matches("\ntrue\tagain\n$", out)
      end
      assert.equal(0, code)
    end)
  end

  it("is the shell's again when no run is going", function()
    local out, code = helper.child(function()
      local weir = require "weir"
      weir.run(weir.sleep, 0)
      local pid = io.open("/proc/self/stat"):read "n"
      os.execute("{ sleep 0.05; kill -INT " .. pid .. "; } >/dev/null 2>&1 &")
      local start = os.clock()
      while os.clock() - start < 5 do end
      print "went on"
    end)
    assert.not_matches("went on", out)
    assert.is_true(code ~= 0)
  end)
end)
