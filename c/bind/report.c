/*
** report.c - who holds and who waits, for people.
*/
#include <stdio.h>

#include "bind.h"

/* Pushes where a coroutine's main function is defined, or "?". */
static void push_source(lua_State *L, lua_State *co) {
  lua_Debug frame;
  int level = 0;
  while (lua_getstack(co, level, &frame)) level++;
  if (level && lua_getstack(co, level - 1, &frame) &&
      lua_getinfo(co, "S", &frame) && frame.linedefined > 0)
    lua_pushfstring(L, "%s:%d", frame.short_src, frame.linedefined);
  else if (level) /* a whole file */
    lua_pushstring(L, frame.short_src);
  else
    lua_pushliteral(L, "?");
}

void bind_push_fiber_name(lua_State *L, weir_lua *W, uint64_t id) {
  const bind_fiber *fiber = weir_slab_find(&W->fibers, id);
  if (!fiber) {
    lua_pushliteral(L, "code outside any task");
  } else if (!fiber->co) {
    lua_pushfstring(L, "task %d", (int)(uint32_t)id);
  } else {
    push_source(L, fiber->co);
    lua_pushfstring(L, "%s %d (%s)", fiber->task ? "task" : "coroutine",
                    (int)(uint32_t)id, lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}

/* Appends " at file:line", the line of Lua code a fiber is suspended in. */
static void add_place(lua_State *L, const weir_lua *W, uint64_t id) {
  const bind_fiber *fiber = weir_slab_find(&W->fibers, id);
  lua_Debug frame;
  if (!fiber || !fiber->co) return;
  for (int level = 0; lua_getstack(fiber->co, level, &frame); level++)
    if (lua_getinfo(fiber->co, "Sl", &frame) && frame.currentline > 0) {
      lua_pushfstring(L, " at %s:%d", frame.short_src, frame.currentline);
      lua_concat(L, 2);
      return;
    }
}

static void push_label(lua_State *L, weir_limiter limiter) {
  bind_push_table(L, BIND_LIMITERS);
  if (lua_rawgeti(L, -1, (lua_Integer)limiter) == LUA_TNIL)
    lua_pushliteral(L, "a limiter that nobody has any more");
  else
    bind_limiter_field(L, lua_gettop(L), BIND_LIMITER_LABEL);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Appends one line about a ticket to the string on top of L. */
static void add_ticket(lua_State *L, weir_lua *W,
                       const weir_ticket_info *info) {
  const char *verb = info->state == WEIR_HELD ? "holds" : "waits for";
  bind_push_fiber_name(L, W, info->cookie);
  add_place(L, W, info->cookie);
  if (info->limiter) {
    push_label(L, info->limiter);
    lua_pushfstring(L, "\n  %s %s %d of '%s'", lua_tostring(L, -2), verb,
                    (int)info->cost, lua_tostring(L, -1));
    lua_insert(L, -3);
    lua_pop(L, 2);
  } else {
    lua_pushfstring(L, "\n  %s waits for something else", lua_tostring(L, -1));
    lua_remove(L, -2);
  }
  lua_concat(L, 2);
}

void bind_push_deadlock(lua_State *L, weir_lua *W) {
  enum { LINES_MAX = 40 }; /* a report is read by a person */
  weir_ticket_info info;
  uint32_t cursor = 0, lines = 0;
  luaL_checkstack(L, 8, "weir");
  lua_pushliteral(L, "weir.run: deadlock: nothing is left to wait for but "
                     "permits, and nobody can give one back");
  while (weir_ticket_walk(W->port, &cursor, bind_now(W, true), &info))
    if (++lines <= LINES_MAX) add_ticket(L, W, &info);
  if (lines > LINES_MAX) {
    lua_pushfstring(L, "\n  and %d more", (int)(lines - LINES_MAX));
    lua_concat(L, 2);
  }
}
