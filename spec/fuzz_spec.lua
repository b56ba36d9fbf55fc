--- Random sequences of API calls, see spec/fuzz_api.lua: some that are the same
-- each time, and some that never were before. SEED= repeats one, and
-- WEIR_FUZZ_STEPS= is how long each is, where that takes long.

local STEPS = tonumber(os.getenv "WEIR_FUZZ_STEPS") or 20000

local function fuzz(steps, seed)
  local pipe = io.popen(("LUA_PATH='%s' LUA_CPATH='%s' timeout 300 lua5.4 "
    .. "spec/fuzz_api.lua %d %d 2>&1"):format(package.path, package.cpath,
    steps, seed))
  local text = pipe:read "a"
  assert.is_true(pipe:close(), text)
  assert.truthy(text:find("nothing is left", 1, true), text)
end

describe("any sequence of calls", function()
  for seed = 1, 4 do
    it("leaves nothing behind, from seed " .. seed, function()
      fuzz(STEPS, seed)
    end)
  end

  it("leaves nothing behind, from a seed of its own", function()
    fuzz(2 * STEPS, tonumber(os.getenv "SEED") or os.time())
  end)
end)
