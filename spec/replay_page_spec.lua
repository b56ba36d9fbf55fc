--- The page that `weir replay --html` writes: what is in it, and what a browser
-- makes of it.

local replaying = require "spec.replaying"

local LUA = os.getenv "LUA" or "lua5.4"
local REPLAY = LUA .. " lua/bin/weir replay "

-- A sanitizer that the specs are preloaded with is not for it.
local CHROMIUM = "env LD_PRELOAD= chromium --headless --no-sandbox "
  .. "--disable-gpu --no-first-run --disable-background-networking "
  .. "--disable-component-update --disable-sync --hide-scrollbars "
  .. "--enable-logging=stderr"

local function slurp(name)
  local handle <close> = assert(io.open(name, "rb"))
  return handle:read "a"
end

local function sh(command)
  local pipe = assert(io.popen(("timeout 60 %s 2>&1"):format(command)))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  return code, out
end

local function has(command)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(command)) == true
end

local function need_gnuplot()
  if not has "gnuplot" then pending "there is no gnuplot here" end
end

local POLICY = [[
local client = weir.rate_limit { name = "<script>x()</script>", rate = "5/s",
  burst = 3, queue = 2, timeout = 1,
  key = function(req) return req.remote_addr .. "<b>'\"&" end }
local backend = weir.rate_limit { name = "backend", concurrent = 2, queue = 5,
  timeout = 1 }
return weir.stack { client, backend }(proceed)
]]

local function requests()
  local list, time = {}, 0
  for i = 1, 400 do
    time = time + (i % 40 < 20 and 0.02 or 0.2)
    list[i] = { time, "10.0.0." .. i % 3, "/" .. i }
  end
  return list
end

-- Writes a page; its name.
local function page_of(args)
  local page = replaying.file ""
  local log = replaying.file(replaying.lines(requests()) .. "<i>nonsense</i>\n")
  local code, out = sh(("%s%s --format '%s' --service 90ms --html %s %s")
    :format(REPLAY, log, replaying.FORMAT, page, args))
  assert.same({ 0 }, { code, code ~= 0 and out or nil })
  return page
end

local function one_page()
  return page_of("--policy " .. replaying.policy(POLICY))
end

local function compare_page()
  return page_of(("--compare %s %s"):format(replaying.policy(POLICY),
    replaying.policy "return proceed"))
end

local function sweep_page()
  return page_of(("--policy %s --sweep backend.concurrent=1..8 --capacity 4")
    :format(replaying.policy(POLICY)))
end

-- What a page of its own is asked by this script it writes into its own text,
-- from where --dump-dom takes it.
local PROBE = [[
<script>
(function () {
  function luminance(colour) {
    var c = colour.match(/[\d.]+/g).slice(0, 3).map(function (v) {
      v = v / 255;
      return v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
    });
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
  }
  function contrast(a, b) {
    var x = luminance(a), y = luminance(b);
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  }
  var body = getComputedStyle(document.body), ground = body.backgroundColor;
  var charts = [].slice.call(document.querySelectorAll("svg"));
  var curves = 0, outside = 0, smallest = 99, faintest = 99;
  charts.forEach(function (svg) {
    var frame = svg.getBoundingClientRect();
    [].forEach.call(svg.querySelectorAll("[id*=_plot_] path"), function (path) {
      var box = path.getBoundingClientRect();
      if (box.width > 20) curves++;
    });
    [].forEach.call(svg.querySelectorAll("text"), function (text) {
      var box = text.getBoundingClientRect();
      var style = getComputedStyle(text);
      if (box.width === 0) return;
      smallest = Math.min(smallest, box.height);
      faintest = Math.min(faintest, contrast(style.fill, ground));
      if (box.left < frame.left - 1 || box.right > frame.right + 1 ||
          box.top < frame.top - 1 || box.bottom > frame.bottom + 1) outside++;
    });
  });
  [].forEach.call(document.querySelectorAll("h1,h2,li,td,th,pre,figcaption"),
    function (element) {
      var style = getComputedStyle(element);
      faintest = Math.min(faintest, contrast(style.color, ground));
    });
  window.parent.document.body.setAttribute("data-probe", [
    "width=" + window.innerWidth,
    "page=" + document.documentElement.scrollWidth,
    "charts=" + charts.length, "curves=" + curves, "outside=" + outside,
    "smallest=" + smallest.toFixed(1), "faintest=" + faintest.toFixed(1),
    "dark=" + (luminance(ground) < 0.2 ? 1 : 0),
    "requests=" + performance.getEntriesByType("resource").length,
    "scripts=" + (document.scripts.length - 1),
    "bold=" + document.querySelectorAll("b,i").length
  ].join(" "));
})();
</script>
</body>]]

-- A page in a frame of this width: a browser's window has a least one, which is
-- wider than a telephone.
local function framed(html, width)
  return ('<!DOCTYPE html><html style="color-scheme: light dark">'
    .. '<link rel="icon" href="data:,"><body style="margin: 0">'
    .. '<iframe style="border: 0; width: %dpx; height: 900px" srcdoc="%s">'
    .. "</iframe></body></html>"):format(width,
      (html:gsub("&", "&amp;"):gsub('"', "&quot;")))
end

-- Opens a page as wide as this; what the probe found, and what the browser
-- logged.
local function look(page, width, options)
  local html = slurp(page):gsub("</body>", function() return PROBE end)
  if width < 500 then html = framed(html, width) end
  local probed = replaying.file(html)
  os.rename(probed, probed .. ".html")
  local dir = os.tmpname()
  os.remove(dir)
  local _, out = sh(("%s --user-data-dir=%s --window-size=%d,900 %s --dump-dom "
    .. "file://%s.html"):format(CHROMIUM, dir, width, options or "", probed))
  os.execute("rm -rf " .. dir)
  os.rename(probed .. ".html", probed)
  local found = {}
  local probe = out:match 'data%-probe="([^"]*)"'
  assert(probe, "the browser said: " .. out:sub(1, 2000))
  for name, value in probe:gmatch "(%w+)=([%d.]+)" do
    found[name] = tonumber(value)
  end
  return found, out
end

local function check(page, charts)
  for _, case in ipairs { { 1200 }, { 360 },
      { 1200, "--blink-settings=preferredColorScheme=0", 1 },
      { 360, "--blink-settings=preferredColorScheme=0", 1 } } do
    local found, out = look(page, case[1], case[2])
    assert.is_nil(out:match "CONSOLE[^\n]*")
    assert.equal(case[1], found.width)
    assert.equal(charts, found.charts)
    assert.is_true(found.curves >= charts)
    assert.equal(0, found.outside)
    assert.is_true(found.page <= found.width)
    assert.is_true(found.smallest >= 9)
    assert.is_true(found.faintest >= 4.5)
    assert.equal(case[3] or 0, found.dark)
    assert.same({ 0, 0, 0 }, { found.requests, found.scripts, found.bold })
  end
end

describe("the page of weir replay", function()
  after_each(replaying.clean)

  it("stands alone, and shows names as they are", function()
    need_gnuplot()
    local html = slurp(one_page())
    assert.matches("^<!DOCTYPE html>", html)
    assert.is_nil(html:find "<script")
    assert.is_nil(html:find("https?://[^w]"))
    assert.is_nil(html:find "@import")
    assert.matches("&lt;script&gt;x%(%)&lt;/script&gt;", html)
    assert.matches("10.0.0.1&lt;b&gt;&#39;&quot;&amp;", html)
    assert.matches("&lt;i&gt;nonsense&lt;/i&gt;", html)
    assert.is_nil(html:find "<i>nonsense")
    local ids, twice = {}, {}
    for id in html:gmatch " id=['\"]([^'\"]+)" do
      if ids[id] then twice[#twice + 1] = id end
      ids[id] = true
    end
    assert.same({}, twice)
    for id in html:gmatch "href=['\"]#([^'\"]+)" do assert.is_true(ids[id]) end
  end)

  it("says what is missing where there is no gnuplot", function()
    local dir = os.tmpname()
    os.remove(dir)
    os.execute("mkdir " .. dir)
    for _, command in ipairs { LUA, "timeout", "env", "sh", "rm" } do
      os.execute(("ln -s \"$(command -v %s)\" %s"):format(command, dir))
    end
    local code, out = sh(("env PATH=%s %s%s --policy %s --service 1s --html "
      .. "/dev/null"):format(dir, REPLAY, replaying.file(replaying.lines { 0 }),
      replaying.policy "return proceed"))
    os.execute("rm -rf " .. dir)
    assert.equal(2, code)
    assert.matches("gnuplot, which was not found: install it, as by "
      .. "`apt install gnuplot%-nox`", out)
  end)

  it("is drawn by a browser, wide and narrow, light and dark #once", function()
    need_gnuplot()
    if not has "chromium" then pending "there is no chromium here" end
    check(one_page(), 4)
  end)

  it("is drawn of two policies #once", function()
    need_gnuplot()
    if not has "chromium" then pending "there is no chromium here" end
    check(compare_page(), 3 + 4 + 4)
  end)

  it("is drawn of a sweep #once", function()
    need_gnuplot()
    if not has "chromium" then pending "there is no chromium here" end
    check(sweep_page(), 4)
  end)

  it("is of short and long logs", function()
    need_gnuplot()
    local policy = replaying.policy(POLICY)
    for _, times in ipairs { { 0 }, { 0, 0.001 }, { 0, 3 }, { 0, 700 },
                             { 0, 90000 }, { 0, 4e7 } } do
      local page = replaying.file ""
      local code, out = sh(("%s%s --format '%s' --service 1ms --html %s "
        .. "--policy %s"):format(REPLAY, replaying.file(replaying.lines(times)),
          replaying.FORMAT, page, policy))
      assert.same({ 0 }, { code, code ~= 0 and out or nil })
      assert.matches("<svg", slurp(page))
    end
  end)
end)
