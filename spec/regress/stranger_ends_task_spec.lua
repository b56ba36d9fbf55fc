--- A task that had given way with coroutine.yield and was then resumed to its
-- end by somebody else: -1 results were kept, and join asked for 64 GB. If it
-- raised, join told "cannot resume dead coroutine". (Weir's guard at the bottom
-- of the task's stack still comes out before its results; it is of no use.)

local helper = require "spec.helper"
if helper.elsewhere(_ENV) then return end

local weir = require "weir"
local at = helper.at

describe("a task that a stranger resumes to its end", function()
  before_each(function() at(0) end)

  -- A task that gives way, and what another coroutine's resume of it answers.
  local function resumed(last, ...)
    local co
    local task = weir.spawn(function(...)
      co = coroutine.running()
      coroutine.yield()
      return last(...)
    end, ...)
    weir.step(0, 1)
    return task, table.pack(coroutine.resume(co))
  end

  it("gives the stranger its results, and join none or the same", function()
    local task, seen = resumed(math.max, 3)
    assert.is_true(seen[1])
    assert.equal(3, seen[seen.n])
    at()
    assert.equal("done", task:status())
    local result = table.pack(task:join())
    assert.is_true(result.n == 0 or result.n == 1 and result[1] == 3)
  end)

  it("gives the stranger its error, and fails with it", function()
    local value = {}
    local task, seen = resumed(error, value)
    assert.is_false(seen[1])
    assert.equal(value, seen[2])
    at()
    assert.equal("failed", task:status())
    local ok, err = pcall(task.join, task)
    assert.is_false(ok)
    assert.equal(value, err)
  end)

  it("gives nothing away that can do harm", function()
    local _, seen = resumed(function() end)
    local guard = seen[2]
    assert.is_string(getmetatable(guard))
    local task = weir.spawn(function()
      do local _ <close> = guard end
      coroutine.yield()
      return "unharmed"
    end)
    at()
    at()
    assert.equal("unharmed", task:join())
  end)
end)
