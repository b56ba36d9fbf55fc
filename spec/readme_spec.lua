-- Every Lua block of the README is a script that prints what its comments say.

local ROOT = io.popen("pwd"):read "l"
local PATH = ROOT .. "/lua/?.lua;" .. ROOT .. "/lua/?/init.lua;;"

-- The module that this spec has, whatever its directory is called.
local core = package.searchpath("weir.core", package.cpath)
local CPATH = (core:sub(1, 1) == "/" and core or ROOT .. "/" .. core)
  :gsub("weir/core%.so$", "?.so") .. ";;"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- The lines a script says it prints: what follows `-->`.
local function promised(script)
  local lines = {}
  for line in script:gmatch "%-%->%s([^\n]+)" do lines[#lines + 1] = line end
  return lines
end

-- Runs a script in an empty directory, as script.lua: by `weir run`, or by Lua
-- if it calls weir.run itself.
local function output(script)
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir " .. dir))
  local file = assert(io.open(dir .. "/script.lua", "w"))
  file:write(script)
  file:close()
  local command = script:find("weir.run(", 1, true) and "lua5.4"
    or "lua5.4 " .. ROOT .. "/lua/bin/weir run"
  local run = io.popen(("cd %s && LUA_PATH='%s' LUA_CPATH='%s' WEIR_DIR=%s "
    .. "timeout 20 %s script.lua 2>&1"):format(dir, PATH, CPATH,
                                               dir .. "/spaces", command))
  local text = run:read "a"
  local ok = run:close()
  os.execute("rm -r " .. dir)
  return ok, text
end

describe("the README", function()
  local n = 0
  for script in read "README.md":gmatch "```lua\n(.-)```" do
    n = n + 1
    it("tells the truth in its block " .. n, function()
      local ok, text = output(script)
      assert.is_true(ok, text)
      local lines = {}
      for line in text:gmatch "[^\n]+" do
        lines[#lines + 1] = line:gsub("%s+", " ")
      end
      assert.same(promised(script), lines)
    end)
  end

  it("has such blocks", function() assert.is_true(n >= 4) end)
end)
