--- A policy for nginx: a queue in which every client has its turn, however many
-- requests another one sends.
--
--    weir_script share.lua;
--    location / { weir policy; proxy_pass http://app; }

local weir = require "weir"

local backend = weir.rate_limit {
  space = "shm:share", name = "backend", -- one for all workers
  concurrent = 8, queue = 1000, timeout = 0.5,
  order = "fair", flow = function(req) return req.headers["x-client"] end,
}

return backend(function(req) return req:proceed() end)
