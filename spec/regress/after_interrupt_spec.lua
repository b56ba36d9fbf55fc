--- After a run that Ctrl-C had ended, weir.step resumed nobody any more, and a
-- task that was interrupted while it computed made the next run fail.

local helper = require "spec.helper"

-- What a child prints that interrupts itself in a run of `what`.
local function child(what)
  return helper.child(function(kind)
    local weir = require "weir"
    local pid = io.open("/proc/self/stat"):read "n"
    os.execute("{ sleep 0.05; kill -INT " .. pid .. "; } >/dev/null 2>&1 &")
    print(pcall(weir.run, function()
      while kind == "computing" do end
      weir.sleep(20)
    end))
    collectgarbage()
    collectgarbage()
    local task = weir.spawn(function() return "stepped" end)
    weir.step()
    print(task:status())
    print(pcall(weir.run, function() return "again" end))
  end, what)
end

describe("after a Ctrl-C", function()
  for _, what in ipairs { "sleeping", "computing" } do
    it("while " .. what .. ", everything works again", function()
      assert.equal("false\tinterrupted\ndone\ntrue\tagain\n", (child(what)))
    end)
  end
end)
