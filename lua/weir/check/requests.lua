--- weir.check.requests: a handful of requests, made up.
--
-- Between them they have what a policy may look at, and lack what it may not
-- rely on. The first two are one client's and differ in what differs always.
-- @module weir.check.requests

local BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
  .. "Firefox/128.0"

local TLS = { protocol = "TLSv1.3", cipher = "TLS_AES_256_GCM_SHA384",
              server_name = "www.example", client_verify = "NONE" }

return {
  { what = "GET / of a browser",
    method = "GET", uri = "/", scheme = "https", http_version = "2.0",
    remote_addr = "192.0.2.1", remote_port = 40001, ssl = TLS,
    headers = { host = "www.example", ["user-agent"] = BROWSER,
                accept = "text/html", cookie = "session=a1b2; theme=dark" } },

  { what = "GET / of the same browser", repeats = 1,
    method = "GET", uri = "/", scheme = "https", http_version = "2.0",
    remote_addr = "192.0.2.1", remote_port = 40002, ssl = TLS,
    headers = { host = "www.example", ["user-agent"] = BROWSER,
                accept = "text/html", cookie = "session=a1b2; theme=dark" } },

  { what = "GET /search with arguments, of a crawler",
    method = "GET", uri = "/search?q=weir&page=2&q=again", scheme = "http",
    http_version = "1.1", remote_addr = "198.51.100.7", remote_port = 50010,
    headers = { host = "www.example:8080", referer = "http://www.example/",
                ["user-agent"] = "Examplebot/1.0 (+http://bot.example/)",
                ["x-forwarded-for"] = "203.0.113.77, 198.51.100.7" } },

  { what = "POST /api/login with a body and a token",
    method = "POST", uri = "/api/login", scheme = "https",
    http_version = "1.1", remote_addr = "2001:db8::1", remote_port = 50020,
    ssl = TLS,
    headers = { host = "api.example", ["user-agent"] = "curl/8.5.0",
                ["content-type"] = "application/json",
                ["content-length"] = "27",
                authorization = "Bearer 0123456789abcdef" } },

  { what = "GET /%2e%2e/a%20b of HTTP/1.0, without a single header",
    method = "GET", uri = "/%2e%2e/a%20b?x&=y", scheme = "http",
    http_version = "1.0", remote_addr = "203.0.113.9", remote_port = 50030,
    headers = {} },
}
