--- What the README says in nginx.conf's language is such.

local nginx = require "spec.nginx.nginx"
local process = require "spec.nginx.process"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- A block is a whole file, or what stands in http { }.
local function config_of(block)
  block = block:gsub("load_module[^\n]*\n", "")
  local inner = block:match "http {\n(.*)}" or block
  return ("load_module %s; pid nginx.pid; events {} http { %s\n"
    .. "upstream app { server 127.0.0.1:1; } access_log off; }")
    :format(nginx.module, inner)
end

local function try(config)
  local dir = process.directory()
  local file = assert(io.open(dir .. "/nginx.conf", "w"))
  file:write(config)
  file:close()
  local code, text = process.run(("LD_PRELOAD='%s' "
    .. "ASAN_OPTIONS=detect_leaks=0 %s -t -p %s -c %s/nginx.conf -e stderr")
    :format(nginx.preload or "", nginx.binary, dir, dir))
  process.run("rm -r " .. dir)
  return code, text
end

nginx.describe(_ENV, "the README's nginx.conf", function()
  local count = 0
  for block in read "README.md":gmatch "```nginx\n(.-)```" do
    count = count + 1
    it("is right in its block " .. count, function()
      local code, text = try(config_of(block))
      assert.equal(0, code, text)
    end)
  end

  it("has such blocks", function() assert.is_true(count >= 2) end)

  it("names every directive", function()
    local said, there = {}, {}
    for name in read "README.md":gmatch "`(weir[%l_]*)[ `;]" do
      said[name] = true
    end
    for name in read "c/nginx/directives.c":gmatch 'ngx_string%("(weir[%l_]*)"'
    do
      there[name] = true
    end
    for name in pairs(there) do assert.is_true(said[name], name) end
  end)
end)
