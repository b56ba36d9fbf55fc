std = "lua54"
max_line_length = 80
exclude_files = { "build" }
-- 241: a spec keeps things alive, or drops them, by tables that nobody reads.
files["spec"] = { std = "lua54+busted", ignore = { "241" } }
files[".config.ld"] = { std = "ldoc" }
