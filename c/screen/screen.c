/*
** screen.c - the Lua module weir.screen: a terminal's screen, by ncurses; for
** `weir top`. A module of its own, so that nobody needs ncurses for the rest.
**
**   local screen = assert(require "weir.screen".open())
**   screen:clear()
**   screen:put(1, 1, "a name", 20, "bold")
**   screen:draw()
**   local key = screen:key(0.5)
**   screen:close()
**
** THE TERMINAL
**   is as it was when the screen is closed or collected, when the program ends
**   by an error, and when SIGINT, SIGTERM, SIGHUP or SIGQUIT ends it.
**
** WHAT IS PUT THERE
**   is what can be printed: anything else, escape sequences too, becomes "?".
*/
#define NCURSES_WIDECHAR 1

#include <curses.h>
#include <langinfo.h>
#include <lauxlib.h>
#include <locale.h>
#include <lua.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <weir.h>

WEIR_API int luaopen_weir_screen(lua_State *L);

static const char TYPE[] = "weir.screen";

enum { ESCAPE_MS = 25, CELLS = 512, ESCAPE = 27, DELETE = 127 };

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

enum { DEADLY = sizeof deadly / sizeof *deadly };

static struct sigaction former[DEADLY];
static SCREEN *the_screen; /* of the process; NULL: none */

/* --- the end -------------------------------------------------------------- */

/* As ncurses' own does for some of them; and the program ends by the signal, as
** its parent wants to see. */
static void on_signal(int number) {
  endwin();
  signal(number, SIG_DFL);
  raise(number);
}

/* What is ignored stays so. */
static void catch_signals(void) {
  struct sigaction ours = { .sa_handler = on_signal };
  sigemptyset(&ours.sa_mask);
  for (int i = 0; i < DEADLY; i++) {
    sigaction(deadly[i], NULL, &former[i]);
    if (former[i].sa_handler != SIG_IGN) sigaction(deadly[i], &ours, NULL);
  }
}

static void let_signals_be(void) {
  for (int i = 0; i < DEADLY; i++) sigaction(deadly[i], &former[i], NULL);
}

static void close_screen(void) {
  if (!the_screen) return;
  endwin();
  delscreen(the_screen);
  the_screen = NULL;
  let_signals_be();
}

/* screen:close(), and at the end of a block, and when it is collected */
static int screen_close(lua_State *L) {
  bool *is_open = luaL_checkudata(L, 1, TYPE);
  if (*is_open) close_screen();
  *is_open = false;
  return 0;
}

/* --- the begin ------------------------------------------------------------ */

static const struct {
  const char *name;
  chtype attributes;
  short colour; /* -1: the terminal's own */
} styles[] = {
  { "normal", A_NORMAL, -1 },
  { "bold", A_BOLD, -1 },
  { "dim", A_DIM, -1 },
  { "head", A_REVERSE, -1 },
  { "chosen", A_REVERSE | A_BOLD, -1 },
  { "good", A_NORMAL, COLOR_GREEN },
  { "warn", A_BOLD, COLOR_YELLOW },
  { "bad", A_BOLD, COLOR_RED },
  { "mark", A_NORMAL, COLOR_CYAN },
};

enum { STYLES = sizeof styles / sizeof *styles };

static void start_colours(void) {
  if (!has_colors() || getenv("NO_COLOR")) return;
  start_color();
  use_default_colors();
  for (int i = 0; i < STYLES; i++)
    if (styles[i].colour >= 0) init_pair((short)(i + 1), styles[i].colour, -1);
}

static void prepare(void) {
  set_term(the_screen);
  cbreak();
  noecho();
  nonl();
  keypad(stdscr, TRUE);
  set_escdelay(ESCAPE_MS);
  curs_set(0);
  start_colours();
}

/* nil and what is wrong, where there is no terminal. */
static int refuse(lua_State *L, const char *what) {
  const char *term = getenv("TERM");
  lua_pushnil(L);
  lua_pushfstring(L, what, term ? term : "");
  return 2;
}

/* screen, or nil and why = open() */
static int open(lua_State *L) {
  bool *is_open;
  if (the_screen) return luaL_error(L, "weir.screen: it is open already");
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
    return refuse(L, "this is no terminal: run it in one");
  is_open = lua_newuserdatauv(L, sizeof *is_open, 0);
  *is_open = false;
  luaL_setmetatable(L, TYPE);
  setlocale(LC_CTYPE, "");
  catch_signals();
  the_screen = newterm(NULL, stdout, stdin);
  if (!the_screen) {
    let_signals_be();
    return refuse(L, "the terminal '%s' is not known: set TERM, as to xterm, "
                     "or install its description (Debian: ncurses-term)");
  }
  *is_open = true;
  prepare();
  return 1;
}

static void check_open(lua_State *L) {
  const bool *is_open = luaL_checkudata(L, 1, TYPE);
  if (!*is_open) luaL_error(L, "weir.screen: it is closed");
}

/* --- drawing -------------------------------------------------------------- */

/* rows, columns = screen:size() */
static int screen_size(lua_State *L) {
  check_open(L);
  lua_pushinteger(L, getmaxy(stdscr));
  lua_pushinteger(L, getmaxx(stdscr));
  return 2;
}

/* Whether the terminal is known to show more than ASCII: screen:wide() */
static int screen_wide(lua_State *L) {
  check_open(L);
  lua_pushboolean(L, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
  return 1;
}

static int screen_clear(lua_State *L) {
  check_open(L);
  erase();
  return 0;
}

/* screen:draw(); `whole`: whatever the terminal shows */
static int screen_draw(lua_State *L) {
  check_open(L);
  if (lua_toboolean(L, 2)) clearok(stdscr, TRUE);
  refresh();
  return 0;
}

/* The next character of a text, "?" for what cannot be printed. */
static wchar_t next_character(const char **text, const char *end,
                              mbstate_t *state) {
  wchar_t c;
  size_t size = mbrtowc(&c, *text, (size_t)(end - *text), state);
  if (size == 0 || size > (size_t)(end - *text)) { /* NUL, or no character */
    memset(state, 0, sizeof *state);
    ++*text;
    return L'?';
  }
  *text += size;
  return wcwidth(c) > 0 ? c : L'?';
}

/* As many of a text's characters as have room in so many columns; answers how
** many columns they take. */
static int fit(const char *text, size_t size, int columns, wchar_t *out) {
  const char *end = text + size;
  mbstate_t state;
  int used = 0, count = 0;
  memset(&state, 0, sizeof state);
  while (text < end && count < CELLS - 1) {
    wchar_t c = next_character(&text, end, &state);
    if (used + wcwidth(c) > columns) break;
    used += wcwidth(c);
    out[count++] = c;
  }
  out[count] = L'\0';
  return used;
}

static int check_style(lua_State *L, int index) {
  const char *name = luaL_optstring(L, index, "normal");
  for (int i = 0; i < STYLES; i++)
    if (strcmp(styles[i].name, name) == 0) return i;
  return luaL_error(L, "weir.screen: there is no style '%s'", name);
}

static void set_style(int style) {
  short pair =
      (short)(styles[style].colour >= 0 && has_colors() ? style + 1 : 0);
  attr_set(styles[style].attributes, pair, NULL);
}

/* columns = screen:put(row, column, text, width [, style]): from 1; cut off, or
** filled up with blanks, to `width` columns and what the screen has. */
static int screen_put(lua_State *L) {
  wchar_t cells[CELLS];
  size_t size;
  lua_Integer row = luaL_checkinteger(L, 2), column = luaL_checkinteger(L, 3);
  const char *text = luaL_checklstring(L, 4, &size);
  lua_Integer width = luaL_checkinteger(L, 5), room;
  int style = check_style(L, 6), used;
  check_open(L);
  room = getmaxx(stdscr) - column + 1;
  if (width > room) width = room;
  if (width > CELLS - 1) width = CELLS - 1;
  if (row < 1 || row > getmaxy(stdscr) || column < 1 || width < 1) return 0;
  used = fit(text, size, (int)width, cells);
  set_style(style);
  mvaddwstr((int)row - 1, (int)column - 1, cells);
  for (int i = used; i < (int)width; i++) addch(' ');
  attr_set(A_NORMAL, 0, NULL);
  lua_pushinteger(L, used);
  return 1;
}

/* --- keys ----------------------------------------------------------------- */

static const struct {
  int code;
  const char *name;
} keys[] = {
  { KEY_UP, "up" },         { KEY_DOWN, "down" },
  { KEY_LEFT, "left" },     { KEY_RIGHT, "right" },
  { KEY_PPAGE, "pageup" },  { KEY_NPAGE, "pagedown" },
  { KEY_HOME, "home" },     { KEY_END, "end" },
  { KEY_ENTER, "enter" },   { KEY_BACKSPACE, "backspace" },
  { KEY_RESIZE, "resize" }, { '\r', "enter" },
  { '\n', "enter" },        { '\b', "backspace" },
  { DELETE, "backspace" },  { ESCAPE, "escape" },
};

static const char *name_of_key(int code) {
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (keys[i].code == code) return keys[i].name;
  return NULL;
}

/* Pushes a character that was typed, as text. */
static void push_character(lua_State *L, wchar_t c) {
  char bytes[64];
  mbstate_t state;
  size_t size;
  memset(&state, 0, sizeof state);
  size = wcrtomb(bytes, c, &state);
  lua_pushlstring(L, bytes, size == (size_t)-1 ? 0 : size);
}

static int milliseconds(double seconds) {
  const double most = 1e6;
  if (!(seconds > 0)) return 0;
  return (int)ceil((seconds < most ? seconds : most) * 1e3);
}

/* key = screen:key(seconds): a name as "up", or what was typed; nil: nothing
** was in that time. */
static int screen_key(lua_State *L) {
  double seconds = luaL_checknumber(L, 2);
  wint_t code;
  int got;
  check_open(L);
  timeout(milliseconds(seconds));
  got = get_wch(&code);
  if (got == ERR) return 0;
  if (name_of_key((int)code) &&
      (got == KEY_CODE_YES || code < ' ' || code == 127))
    lua_pushstring(L, name_of_key((int)code));
  else if (got == OK && code >= ' ')
    push_character(L, (wchar_t)code);
  else
    lua_pushliteral(L, "other");
  return 1;
}

int luaopen_weir_screen(lua_State *L) {
  static const luaL_Reg functions[] = { { "open", open }, { NULL, NULL } };
  static const luaL_Reg methods[] = {
    { "size", screen_size },   { "wide", screen_wide },
    { "clear", screen_clear }, { "draw", screen_draw },
    { "put", screen_put },     { "key", screen_key },
    { "close", screen_close }, { NULL, NULL },
  };
  static const luaL_Reg metamethods[] = { { "__gc", screen_close },
                                          { "__close", screen_close },
                                          { NULL, NULL } };
  luaL_newmetatable(L, TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
