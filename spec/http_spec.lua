--- LuaSocket's own http client on weir.tcp: unchanged, and blocking nobody.

local weir = require "weir"
local http = require "socket.http"
local ltn12 = require "ltn12"
local ends = require "spec.ends"

local SHORT = ends.SHORT
local task, listener = ends.task, ends.listener

describe("LuaSocket's http", function()
  local stop, base

  -- Answers each request with what `pages` has for its path: a function of
  -- the connection, the headers and the body, or the whole answer.
  local function serve(pages)
    local server, host, port = listener()
    base = ("http://%s:%d"):format(host, port)
    stop = function() server:close() end
    local function one(peer)
      local path = assert(peer:receive()):match "^%u+ (%S+)"
      local headers, line = {}, peer:receive()
      while line ~= "" do
        local name, value = line:match "^(.-): (.*)"
        headers[name:lower()] = value
        line = peer:receive()
      end
      local page = pages[path]
      peer:send(type(page) == "string" and page or page(peer, headers) or "")
      peer:close()
    end
    weir.spawn(function()
      while true do
        local peer = server:accept()
        if not peer then break end
        weir.spawn(one, peer)
      end
    end)
  end

  local function get(path, extra)
    local parts = {}
    local request = { url = base .. path, create = weir.tcp,
      sink = ltn12.sink.table(parts) }
    for name, value in pairs(extra or {}) do request[name] = value end
    local ok, code, headers = http.request(request)
    return ok and table.concat(parts), code, headers
  end

  local function page(body, head)
    return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s")
      :format(#body, head or "", body)
  end

  it("gets a page, its length told or not", task(function()
    serve {
      ["/told"] = page "hello",
      ["/untold"] = "HTTP/1.1 200 OK\r\n\r\nuntil the end",
      ["/gone"] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    }
    assert.equal("hello", (get "/told"))
    assert.equal(200, select(2, get "/told"))
    assert.equal("until the end", (get "/untold"))
    assert.equal(404, select(2, get "/gone"))
    stop()
  end))

  it("follows redirects", task(function()
    serve {
      ["/from"] = "HTTP/1.1 302 Found\r\nLocation: /on\r\n\r\n",
      ["/on"] = "HTTP/1.1 301 Moved\r\nLocation: /to\r\n\r\n",
      ["/to"] = page "arrived",
    }
    assert.equal("arrived", (get "/from"))
    stop()
  end))

  it("reads chunks that come slowly", task(function()
    serve {
      ["/"] = function(peer)
        peer:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _, chunk in ipairs { "5\r\nfirst\r\n", "7\r", "\n second\r\n" } do
          peer:send(chunk)
          weir.sleep(0.002)
        end
        return "0\r\nTrailer: yes\r\n\r\n"
      end,
    }
    assert.equal("first second", (get "/"))
    stop()
  end))

  it("posts from a source, with a length and in chunks", task(function()
    local body = ("0123456789"):rep(50000)
    local function read_chunks(peer)
      local parts = {}
      while true do
        local size = tonumber(peer:receive(), 16)
        parts[#parts + 1] = peer:receive(size)
        peer:receive()
        if size == 0 then return table.concat(parts) end
      end
    end
    serve {
      ["/echo"] = function(peer, headers)
        local length = headers["content-length"]
        return page(length and peer:receive(tonumber(length))
          or read_chunks(peer))
      end,
    }
    local known = get("/echo", { method = "POST",
      source = ltn12.source.string(body),
      headers = { ["content-length"] = #body } })
    assert.is_true(body == known)
    local chunked = get("/echo", { method = "POST",
      source = ltn12.source.string(body) })
    assert.is_true(body == chunked)
    stop()
  end))

  it("gives up after its timeout", task(function()
    local usual = http.TIMEOUT
    http.TIMEOUT = SHORT
    serve { ["/"] = function() weir.sleep(3 * SHORT) end }
    local ok, code = get "/"
    http.TIMEOUT = usual
    assert.is_true(not ok and code == "timeout" or code == 408)
    stop()
  end))

  it("tells a refused connection", task(function()
    serve {}
    stop()
    assert.same({ nil, "connection refused" }, { get "/" })
  end))

  it("takes turns, three at a time", task(function()
    local serving, highest, numbers = 0, 0, {}
    serve {
      ["/"] = function()
        serving = serving + 1
        highest = math.max(highest, serving)
        weir.sleep(0.005)
        serving = serving - 1
        return page "done"
      end,
    }
    for i = 1, 12 do numbers[i] = i end
    local bodies = weir.map(weir.rate_limit(3)(function()
      return (get "/")
    end), numbers)
    for i = 1, 12 do assert.equal("done", bodies[i]) end
    assert.equal(3, highest)
    stop()
  end))
end)
