--- What `make install`, `make rock` and `luarocks make` give, in trees of their
-- own, away from the checkout.

local ROOT = io.popen("pwd"):read "l"

-- Runs a shell command in an empty environment for Lua; true and its output.
local function sh(command, ...)
  local pipe = io.popen(("{ unset LUA_PATH LUA_CPATH MAKEFLAGS; cd / && "
    .. "timeout 120 %s; } 2>&1"):format(command:format(...)))
  local text = pipe:read "a"
  return pipe:close() == true, text
end

local function ok(...)
  local succeeded, text = sh(...)
  assert.is_true(succeeded, text)
  return text
end

local function has(tool)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(tool)) == true
end

-- A script that limits, and what it prints, run by Lua and by the command that
-- are found in a tree.
local SCRIPT = [[
local weir = require "weir"
local double = weir.rate_limit(2)(function(n)
  weir.sleep(0.001)
  return 2 * n
end)
print(table.concat((weir.map(double, { 1, 2, 3 })), " "))
]]

local function works_from(tree)
  local script = tree .. "/script.lua"
  local file = assert(io.open(script, "w"))
  file:write(SCRIPT)
  file:close()
  local paths = ("LUA_PATH='%s/?.lua;%s/?/init.lua;;' LUA_CPATH='%s/?.so;;'")
    :format(tree .. "/share/lua/5.4", tree .. "/share/lua/5.4",
      tree .. "/lib/lua/5.4")
  assert.equal("2 4 6\n", ok("env %s lua5.4 -e 'require \"weir\".run(loadfile"
    .. " \"%s\")'", paths, script))
  assert.equal("2 4 6\n", ok("env %s %s/bin/weir run %s", paths, tree, script))
end

describe("a tree of its own #once", function()
  local tree

  before_each(function()
    tree = os.tmpname()
    os.remove(tree)
    ok("mkdir %s", tree)
  end)

  after_each(function() ok("rm -rf %s", tree) end)

  it("takes make install, with headers, libraries and pkg-config", function()
    ok("make -C %s install PREFIX=%s", ROOT, tree)
    works_from(tree)
    local config = ("PKG_CONFIG_PATH=%s/lib/pkgconfig pkg-config"):format(tree)
    for _, flags in ipairs { "", "--static" } do
      ok("cc -o %s/jobs %s/c/examples/jobs.c $(%s %s --cflags --libs weir) "
        .. "%s -Wl,-rpath,%s/lib", tree, ROOT, config, flags,
        flags == "" and "" or "-static", tree)
      ok("%s/jobs", tree)
    end
    ok("make -C %s uninstall PREFIX=%s", ROOT, tree)
    assert.equal("", (ok("find %s -name '*weir*'", tree)))
  end)

  if not has "luarocks" or not has "zip" then
    pending "takes the rock (luarocks or zip is not here)"
    return
  end

  it("takes the rock, without a network", function()
    ok("make -C %s rock", ROOT)
    ok("luarocks --lua-version=5.4 --tree %s install "
      .. "%s/build/weir-0.1.0-1.src.rock", tree, ROOT)
    works_from(tree)
  end)

  it("takes luarocks make, in a copy of the checkout", function()
    local copy = tree .. "/copy"
    ok("mkdir %s", copy)
    ok("tar -C %s -cf - c lua rockspec README.md LICENSE | tar -C %s -xf -",
      ROOT, copy)
    ok("sh -c 'cd %s && luarocks --lua-version=5.4 --tree %s make'", copy, tree)
    works_from(tree)
  end)
end)
