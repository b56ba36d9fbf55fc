--- The signal handler sets a hook that raises in the running task. If the task
-- yielded before the hook was called, it was called in the task's to-be-closed
-- variables instead, and ended these at their first instruction.

local helper = require "spec.helper"

describe("Ctrl-C in a task that always yields", function()
  it("lets its to-be-closed variables run", function()
    local out = helper.child(function()
      local weir = require "weir"
      local pid = io.open("/proc/self/stat"):read "n"
      local closed = 0
      for i = 1, 8 do -- whether it hits is a matter of where the signal does
        os.execute("{ sleep 0.02; kill -INT " .. pid .. "; } >/dev/null 2>&1 &")
        pcall(weir.run, function()
          local _ <close> = setmetatable({}, { __close = function()
            closed = closed + 1
          end })
          while closed < i do coroutine.yield() end
        end)
      end
      print(closed)
    end)
    assert.equal("8\n", out)
  end)
end)
