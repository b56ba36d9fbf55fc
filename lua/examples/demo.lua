--- Shows lua/examples/fetch.lua against a server of its own, with and without
-- its limit.
--
--    weir run lua/examples/demo.lua

local LIFE = 60 -- seconds after which the server goes whatever happens here

-- For the shell: a word that means itself.
local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The command line that runs another example as this one is run.
local function example(name, ...)
  local words, first = {}, 0
  while arg[first - 1] do first = first - 1 end
  for i = first, -1 do words[#words + 1] = quote(arg[i]) end
  words[#words + 1] = quote((arg[0]:gsub("demo%.lua$", name)))
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  return table.concat(words, " ")
end

-- A server that ends with the block it is declared in, or by itself.
-- The shell tells its process id before it becomes the server.
local function start_server()
  local pipe = assert(io.popen(("echo $$; exec timeout --foreground %d %s")
    :format(LIFE, example "server.lua")))
  local pid, url = pipe:read "l", pipe:read "l"
  if not url then
    pipe:close()
    error("the server did not start", 0)
  end
  return setmetatable({ url = url }, { __close = function()
    os.execute("kill " .. pid)
    pipe:close()
  end })
end

-- What a shell calls the end of a command.
local function exit_code(_, how, code)
  return how == "signal" and 128 + code or code
end

-- Answers the exit code of what failed, or 0.
local function show(url)
  print "Forty pages, three at a time: weir.rate_limit(3)(fetch)\n"
  local code = exit_code(os.execute(example("fetch.lua", url)))
  if code ~= 0 then return code end
  print "\nThe same script without that line:\n"
  local pipe = assert(io.popen(example("fetch.lua", url, "--unlimited")))
  local last = ""
  for line in pipe:lines() do last = line end
  print(last)
  return exit_code(pipe:close())
end

local code
do
  local server <close> = start_server()
  code = show(server.url)
end
os.exit(code, true)
