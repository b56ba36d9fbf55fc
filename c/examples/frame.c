/*
** frame.c - a game whose scripts wait without ever holding up a frame.
**
** The game owns the Lua state and the time. Once a frame it steps weir, which
** resumes the coroutines that may go on, as many as the budget allows, and
** returns at once. The script searches paths for five units, two at a time; a
** search takes 40 ms, two and a half frames. Nothing here sleeps for real.
**
** require "weir" finds the C half preloaded, and the Lua half in LUA_PATH.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <weir_lua.h>

enum { FRAME_NS = 16000000, FRAMES_MAX = 100, BUDGET = 3 };

static const char SCRIPT[] =
    "local weir = require 'weir'\n"
    "searching, most, arrived = 0, 0, 0 -- the game looks at these\n"
    "\n"
    "local find_path = weir.rate_limit(2)(function(unit)\n"
    "  searching = searching + 1\n"
    "  most = math.max(most, searching)\n"
    "  say(unit .. ' searches')\n"
    "  weir.sleep(0.040)\n"
    "  searching = searching - 1\n"
    "end)\n"
    "\n"
    "for _, unit in ipairs { 'ant', 'bee', 'cow', 'dog', 'elk' } do\n"
    "  weir.spawn(function()\n"
    "    find_path(unit) -- waits, if two others search\n"
    "    say(unit .. ' walks')\n"
    "    arrived = arrived + 1\n"
    "  end)\n"
    "end\n";

/* say(text): what the script has the game do. */
static int say(lua_State *L) {
  printf(" %s;", luaL_checkstring(L, 1));
  return 0;
}

static long count(lua_State *L, const char *name) {
  long value;
  lua_getglobal(L, name);
  value = (long)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return value;
}

static int fail(lua_State *L) {
  fprintf(stderr, "frame: %s\n", lua_tostring(L, -1));
  return 0;
}

/* Loading the script spawns its tasks; they run in the frames to come. */
static int load(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "weir.core", luaopen_weir_core, 0);
  lua_pop(L, 1);
  lua_register(L, "say", say);
  return luaL_dostring(L, SCRIPT) ? fail(L) : 1;
}

/* One frame of the game; 0: a task has failed and nobody joined it. */
static int frame(lua_State *L, int number) {
  uint64_t now = (uint64_t)number * FRAME_NS;
  uint64_t due;
  int resumed;
  printf("frame %2d:", number);
  resumed = weir_lua_step(L, now, BUDGET);
  if (resumed < 0) return fail(L);
  printf(" (%d resumed", resumed);
  due = weir_lua_deadline(L); /* a game with nothing else to do could nap */
  if (due != WEIR_NEVER) printf(", next due at %d ms", (int)(due / 1000000));
  printf(")\n");
  return resumed <= BUDGET;
}

static int play(lua_State *L) {
  for (int number = 0; number < FRAMES_MAX; number++) {
    if (!frame(L, number)) return 0;
    if (count(L, "arrived") == 5) return count(L, "most") == 2;
  }
  return 0;
}

int main(void) {
  lua_State *L = luaL_newstate();
  int good = L && load(L) && play(L);
  if (L) lua_close(L);
  return good ? 0 : 1;
}
