-- embed.lua - writes the Lua modules that it is given as a C file: what a
-- policy can require is in the object itself.
--   lua5.4 embed.lua lua/weir/init.lua ... >files.c

local function module_of(path)
  local name = path:match "lua/(weir.*)%.lua$":gsub("/init$", "")
  return (name:gsub("/", "."))
end

local PER_LINE = 16

local function bytes_of(path)
  local file <close> = assert(io.open(path, "rb"))
  local text, lines = file:read "a", {}
  for from = 1, #text, PER_LINE do
    lines[#lines + 1] = "  " .. table.concat(
      { text:byte(from, from + PER_LINE - 1) }, ",") .. ","
  end
  return table.concat(lines, "\n")
end

print '#include "nginx/lua/half.h"\n'
for i, path in ipairs(arg) do
  print(("static const unsigned char text_%d[] = {\n%s\n};"):format(
    i, bytes_of(path)))
end
print "\nconst half_file half_files[] = {"
for i, path in ipairs(arg) do
  print(('  { "%s", text_%d, sizeof text_%d },'):format(
    module_of(path), i, i))
end
print "  { NULL, NULL, 0 }\n};"
