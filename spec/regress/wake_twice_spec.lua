--- weir.wake counted those it had woken before again, until they were resumed.

local socket = require "socket"
local weir = require "weir"

describe("weir.wake", function()
  it("counts each wait once", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    weir.run(function()
      weir.spawn(weir.readable, server, 5)
      weir.sleep(0)
      assert.equal(1, weir.wake(server))
      assert.equal(0, weir.wake(server))
    end)
    server:close()
  end)
end)
