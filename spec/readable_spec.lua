--- weir.readable, weir.writable, weir.wake: waits for descriptors.

local helper = require "spec.helper"
local socket = require "socket"
local weir = require "weir"

local SHORT, LONG = 0.002, 5 -- seconds: meant to time out, and not

describe("a wait for a descriptor", function()
  local here, there -- the ends of a connection

  before_each(function()
    local server = assert(socket.bind("127.0.0.1", 0))
    server:settimeout(LONG)
    local host, port = server:getsockname()
    here = assert(socket.connect(host, port))
    there = assert(server:accept())
    server:close()
  end)

  after_each(function()
    here:close()
    there:close()
  end)

  it("ends when it is readable", function()
    weir.run(function()
      local log = {}
      local task = weir.spawn(function()
        local result = table.pack(weir.readable(here, LONG))
        log[#log + 1] = "readable"
        return result
      end)
      weir.sleep(SHORT)
      log[#log + 1] = "send"
      there:send "x"
      assert.same({ true, n = 1 }, task:join())
      assert.same({ "send", "readable" }, log)
      assert.equal("x", here:receive(1))
    end)
  end)

  it("ends when the other end is closed", function()
    weir.run(function()
      weir.spawn(function() there:close() end)
      assert.is_true(weir.readable(here, LONG))
    end)
  end)

  it("takes a number, or an object with getfd", function()
    there:send "x"
    weir.run(function()
      assert.is_true(weir.readable(here:getfd(), LONG))
      assert.is_true(weir.readable(here, LONG))
      local object = { getfd = function() return here:getfd() end }
      assert.is_true(weir.readable(object, LONG))
      assert.is_true(weir.writable(here:getfd()))
      assert.is_true(weir.writable(here))
    end)
  end)

  it("is over at once when the object has read ahead", function()
    there:send "one\ntwo\n"
    assert.equal("one", here:receive())
    assert.is_true(here:dirty())
    assert.is_true(weir.readable(here))
    assert.equal("two", here:receive())
  end)

  it("gives up after its timeout", function()
    weir.run(function()
      local start = weir.now()
      local nothing, err = weir.readable(here, SHORT)
      assert.is_true(weir.now() - start >= SHORT)
      assert.same({ nil, "timeout" }, { nothing, err.code })
      assert.equal("the wait for a descriptor: timeout", tostring(err))
      nothing, err = weir.readable(here, 0)
      assert.same({ nil, "timeout" }, { nothing, err.code })
    end)
  end)

  it("leaves those alone who wait for others, or the other way", function()
    weir.run(function()
      local tasks = {
        weir.spawn(weir.readable, here, LONG),
        weir.spawn(weir.readable, here, LONG),
        weir.spawn(weir.writable, here, LONG),
        weir.spawn(weir.readable, there, SHORT),
      }
      weir.sleep(SHORT / 2)
      assert.equal("done", tasks[3]:status())
      assert.equal("waiting", tasks[1]:status())
      there:send "x"
      assert.is_true(tasks[1]:join())
      assert.is_true(tasks[2]:join())
      assert.equal("timeout", select(2, tasks[4]:join()).code)
    end)
  end)

  it("ends with its task", function()
    weir.run(function()
      local task = weir.spawn(weir.readable, here, LONG)
      weir.sleep(0)
      task:cancel()
      there:send "x"
      assert.is_true(weir.readable(here, LONG))
    end)
  end)

  it("may be a stranger's, closed or resumed", function()
    local ended
    weir.run(function()
      local co = helper.stranger(weir.readable, here, LONG)
      coroutine.resume(co, "nothing")
      coroutine.close(co)
      co = helper.stranger(function()
        ended = weir.readable(here, LONG) and weir.writable(here, LONG)
      end)
      coroutine.resume(co)
      assert.is_nil(ended)
      there:send "x"
    end)
    assert.is_true(ended)
  end)

  it("is no deadlock", function()
    local limiter = weir.semaphore(1)
    assert.equal("in", weir.run(function()
      weir.spawn(limiter(weir.readable), here, LONG)
      weir.spawn(function()
        weir.sleep(SHORT)
        there:send "x"
      end)
      weir.sleep(0)
      return limiter(function() return "in" end)()
    end))
  end)

  it("is seen between tasks that never wait", function()
    there:send "x"
    local turns = 0
    weir.run(function()
      local task = weir.spawn(weir.readable, here, LONG)
      while task:status() ~= "done" do
        turns = turns + 1
        coroutine.yield()
      end
    end)
    assert.is_true(turns < 100000)
  end)

  it("is ended by weir.wake, as if it were ready", function()
    weir.run(function()
      local tasks = {
        weir.spawn(weir.readable, here, LONG),
        weir.spawn(weir.readable, here:getfd(), LONG),
        weir.spawn(weir.readable, there, SHORT),
      }
      weir.sleep(0)
      assert.equal(2, weir.wake(here))
      assert.is_true(tasks[1]:join())
      assert.is_true(tasks[2]:join())
      assert.is_nil((tasks[3]:join()))
    end)
  end)

  it("is not for what cannot be watched", function()
    weir.run(function()
      helper.raises("weir.readable: descriptor 1000000 cannot be watched",
                    function() weir.readable(1000000) end)
      local dead = socket.tcp()
      dead:close()
      assert.has_error(function() weir.readable(dead) end)
      assert.has_error(function() weir.writable(dead) end)
    end)
  end)

  it("says where it cannot wait", function()
    helper.raises("weir.readable would have to wait",
                  function() weir.readable(here) end)
    helper.raises("weir.writable would have to wait",
                  function() weir.writable(here) end)
  end)
end)
