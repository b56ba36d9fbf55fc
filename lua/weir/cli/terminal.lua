--- What a terminal can show.
-- @module weir.cli.terminal

local has_term, term = pcall(require, "term")

local terminal = {}

--- Whether a file is a terminal that can be drawn on.
function terminal.is_one(file)
  return has_term and term.isatty(file) and os.getenv "TERM" ~= "dumb"
end

--- Whether the language that the terminal speaks has block characters.
function terminal.has_blocks()
  local locale = os.getenv "LC_ALL" or os.getenv "LC_CTYPE"
    or os.getenv "LANG" or ""
  return locale:lower():find "utf%-?8" ~= nil
end

local function plain(_, text)
  return text
end

local function coloured(colour, text)
  return tostring(term.colors[colour]) .. text .. tostring(term.colors.reset)
end

--- A function (colour, text) -> text in that colour, if this file shows any.
function terminal.painter(file)
  local wanted = terminal.is_one(file) and (os.getenv "NO_COLOR" or "") == ""
  return wanted and coloured or plain
end

return terminal
