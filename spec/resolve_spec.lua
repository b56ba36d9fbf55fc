--- weir.resolve: names without a name server.

local helper = require "spec.helper"
local weir = require "weir"

-- The set of a list's values.
local function set(list)
  local found = {}
  for _, value in ipairs(list) do found[value] = true end
  return found
end

describe("weir.resolve", function()
  it("knows the hosts file", function()
    local found = set(weir.run(weir.resolve, "localhost"))
    assert.is_true(found["127.0.0.1"] or found["::1"])
  end)

  it("takes numeric addresses of both kinds", function()
    assert.same({ "127.0.0.7" }, weir.run(weir.resolve, "127.0.0.7"))
    assert.same({ "::1" }, weir.run(weir.resolve, "::1"))
    assert.same({ "2001:db8::5" }, weir.run(weir.resolve, "2001:DB8:0::5"))
  end)

  it("answers nil and a message for what is no name", function()
    for _, name in ipairs { ("x"):rep(64) .. ".test", ("x"):rep(255) } do
      local addresses, message = weir.run(weir.resolve, name)
      assert.is_nil(addresses)
      assert.is_string(message)
    end
  end)

  it("answers several at once, each its own", function()
    weir.run(function()
      local names = { "127.0.0.1", "localhost", "127.0.0.2", "::1" }
      local found = weir.map(weir.resolve, names)
      assert.same({ "127.0.0.1" }, found[1])
      assert.same({ "127.0.0.2" }, found[3])
      assert.same({ "::1" }, found[4])
      assert.equal(4, #found)
    end)
  end)

  it("may be canceled", function()
    weir.run(function()
      local tasks = {}
      for i = 1, 3 do tasks[i] = weir.spawn(weir.resolve, "localhost") end
      weir.sleep(0)
      for _, task in ipairs(tasks) do task:cancel() end
    end)
    assert.same({ "127.0.0.1" }, weir.run(weir.resolve, "127.0.0.1"))
  end)

  it("says where it cannot wait", function()
    helper.raises("weir.resolve would have to wait",
                  function() weir.resolve "localhost" end)
  end)
end)
