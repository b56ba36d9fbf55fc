--- Busy: one call runs, one may wait for a moment, the others hear no.

local weir = require "weir"

local serve = weir.rate_limit {
  concurrent = 1,
  queue = 1,
  timeout = 0.02, -- seconds
  on_refuse = function(err, name)
    return name .. " was refused: " .. err.code
  end,
}(function(name)
  weir.sleep(0.04)
  return name .. " was served"
end)

local answers = weir.map(serve, { "Ada", "Bob", "Cy" })
print(table.concat(answers, "\n"))
