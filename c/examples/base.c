/*
** base.c - the scripts of a C program wait on the program's own event_base.
**
** The program owns a base, a Lua state, a pipe with orders (a byte each) and a
** clock that ticks. The script decides how many orders are cooked at once; its
** coroutines wait and sleep on the program's base. loop.c is the same without
** Lua.
**
** require "weir" finds the C half preloaded, and the Lua half in LUA_PATH.
*/
#include <event2/event.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weir_lua.h>

static const char SCRIPT[] =
    "local weir = require 'weir'\n"
    "local running = 0\n"
    "most = 0\n"
    "served = ''\n"
    "\n"
    "local cook = weir.rate_limit(2)(function(order)\n"
    "  running = running + 1\n"
    "  most = math.max(most, running)\n"
    "  print(order .. ' is being cooked')\n"
    "  weir.sleep(0.005)\n"
    "  served = served .. order\n"
    "  running = running - 1\n"
    "end)\n"
    "\n"
    "function take(order) weir.spawn(cook, order) end\n";

static struct event *reader, *ticker;
static int ticks, failures;

/* An error that no join of the script's will see. */
static void on_error(lua_State *L, void *data) {
  (void)data;
  failures++;
  fprintf(stderr, "base: %s\n", lua_tostring(L, -1));
}

/* Hands an order to the script, as any callback of a program does. The task it
** spawns does not run inside of this call: the loop resumes it. */
static void on_order(evutil_socket_t fd, short what, void *data) {
  lua_State *L = data;
  char order;
  (void)what;
  if (read(fd, &order, 1) < 1) { /* the other end is closed: no more orders */
    event_del(reader);
    return;
  }
  lua_getglobal(L, "take");
  lua_pushlstring(L, &order, 1);
  if (lua_pcall(L, 1, 0, 0)) {
    on_error(L, NULL);
    lua_pop(L, 1);
  }
}

/* The program's own life goes on while coroutines sleep. */
static void on_tick(evutil_socket_t fd, short what, void *data) {
  (void)fd;
  (void)what;
  (void)data;
  if (++ticks == 5) event_del(ticker);
}

static int global_is(lua_State *L, const char *name, const char *value) {
  lua_getglobal(L, name);
  return !strcmp(luaL_tolstring(L, -1, NULL), value);
}

static int start(lua_State *L, struct event_base *base) {
  luaL_openlibs(L);
  luaL_requiref(L, "weir.core", luaopen_weir_core, 0);
  lua_pop(L, 1);
  if (weir_lua_attach(L, base, on_error, NULL) || luaL_dostring(L, SCRIPT)) {
    on_error(L, NULL);
    return 0;
  }
  return 1;
}

/* One turn of the program: orders come in, the loop runs until all is done. */
static void run(lua_State *L, struct event_base *base) {
  static const struct timeval tick = { 0, 1000 }; /* 1 ms */
  int ends[2];
  if (pipe(ends)) return;
  reader = event_new(base, ends[0], EV_READ | EV_PERSIST, on_order, L);
  ticker = event_new(base, -1, EV_PERSIST, on_tick, NULL);
  event_add(reader, NULL);
  event_add(ticker, &tick);
  if (write(ends[1], "abcdef", 6) == 6) {
    close(ends[1]);
    event_base_dispatch(base);
  }
  event_free(ticker);
  event_free(reader);
  close(ends[0]);
}

int main(void) {
  struct event_base *base = event_base_new();
  lua_State *L = luaL_newstate();
  int good = 0;
  if (base && L && start(L, base)) {
    run(L, base);
    good = !failures && ticks == 5 && global_is(L, "served", "abcdef") &&
           global_is(L, "most", "2");
  }
  if (L) lua_close(L); /* before the base that its tasks are waiting on */
  if (base) event_base_free(base);
  return good ? 0 : 1;
}
