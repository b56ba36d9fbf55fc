/*
** floor.c - the Lua module benchfloor: the least that what weir does could
** cost, for run.lua to set beside what it does cost.
*/
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "timers.h"

int luaopen_benchfloor(lua_State *L);

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define EXPORT
#define ALWAYS_INLINE inline
#endif

#define OBJECT "benchfloor.object"

/* object:take() -> object: a checked method call */
static int object_take(lua_State *L) {
  luaL_checkudata(L, 1, OBJECT);
  lua_settop(L, 1);
  return 1;
}

/* object:give(): another one */
static int object_give(lua_State *L) {
  luaL_checkudata(L, 1, OBJECT);
  return 0;
}

/* benchfloor.object() */
static int object(lua_State *L) {
  static const luaL_Reg methods[] = { { "take", object_take },
                                      { "give", object_give },
                                      { NULL, NULL } };
  lua_newuserdatauv(L, sizeof(int), 0);
  if (luaL_newmetatable(L, OBJECT)) {
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  return 1;
}

/* --- coroutines, driven by a bare ready list ------------------------------ */

typedef struct node { /* a coroutine in a list */
  struct node *next;
  lua_State *co;
  int resumed; /* in this round */
} node;

typedef struct list { /* first in, first out */
  node *first, *last;
} list;

static void append(list *to, node *n) {
  n->next = NULL;
  if (to->first)
    to->last->next = n;
  else
    to->first = n;
  to->last = n;
}

static node *pop(list *from) {
  node *n = from->first;
  if (n) from->first = n->next;
  return n;
}

/* A list of the threads in the table at stack index 1; pushes its memory. */
static list take_threads(lua_State *L) {
  lua_Integer n = luaL_len(L, 1);
  node *nodes = lua_newuserdatauv(L, (size_t)n * sizeof *nodes, 0);
  list all = { NULL, NULL };
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    nodes[i] = (node){ .co = lua_tothread(L, -1) };
    append(&all, &nodes[i]);
    lua_pop(L, 1);
  }
  return all;
}

/* Whether the coroutine goes on; raises its error. Inline, since the processor
** mispredicts every return after a yield's longjmp. */
static ALWAYS_INLINE int resume(lua_State *L, lua_State *co) {
  int results, status = lua_resume(co, L, 0, &results);
  if (status == LUA_YIELD) {
    if (results) lua_pop(co, results);
    return 1;
  }
  lua_xmove(co, L, 1);
  if (status != LUA_OK) lua_error(L);
  return 0;
}

/*
** benchfloor.rounds({thread, ...}, abreast) -> what the first to end returned
** Resumes each coroutine twice in a round, `abreast` of them at a time taking
** turns: the order in which a limiter with as many permits lets them run, and
** nothing but that order.
*/
static int rounds(lua_State *L) {
  list rest = take_threads(L), ready = { NULL, NULL };
  lua_Integer abreast = luaL_checkinteger(L, 2);
  node *n;
  while (abreast-- > 0) append(&ready, pop(&rest));
  while ((n = pop(&ready)) != NULL && resume(L, n->co)) {
    if (n->resumed++) {
      n->resumed = 0;
      append(&rest, n);
      n = pop(&rest);
    }
    append(&ready, n);
  }
  return 1;
}

/* benchfloor.resume({thread, ...}): each once */
static int resume_all(lua_State *L) {
  list all = take_threads(L);
  int top = lua_gettop(L);
  for (node *n; (n = pop(&all)) != NULL; lua_settop(L, top)) resume(L, n->co);
  return 0;
}

/* --- what a limiter's calls cost without a limiter ------------------------ */

static int ignore(lua_State *L) {
  (void)L;
  return 0;
}

/* Makes the function on top of L the one method or metamethod of a new
** metatable, which takes its place. */
static void set_method(lua_State *L, const char *key) {
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_insert(L, -2);
  lua_setfield(L, -2, key);
}

static int acquired(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 1;
}

/* semaphore:acquire() -> permit, after a yield; upvalue: its metatable */
static int acquire(lua_State *L) {
  lua_newuserdatauv(L, sizeof(void *), 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return lua_yieldk(L, 0, 0, acquired);
}

/* benchfloor.semaphore() */
static int semaphore(lua_State *L) {
  lua_newuserdatauv(L, sizeof(void *), 0);
  lua_pushcfunction(L, ignore);
  set_method(L, "release");
  lua_pushcclosure(L, acquire, 1);
  set_method(L, "acquire");
  lua_setmetatable(L, -2);
  return 1;
}

static int left(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

static int entered(lua_State *L, int status, lua_KContext context) {
  lua_toclose(L, 1);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, context, left);
  return left(L, status, context);
}

/* upvalues: a value to be closed, the function to call after a yield */
static int limited(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_rotate(L, 1, 2);
  return lua_yieldk(L, 0, 0, entered);
}

/* benchfloor.limit(fn) */
static int limit(lua_State *L) {
  lua_newuserdatauv(L, sizeof(void *), 0);
  lua_pushcfunction(L, ignore);
  set_method(L, "__close");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, limited, 2);
  return 1;
}

/* --- timers --------------------------------------------------------------- */

/* benchfloor.timers(order, delays in seconds) -> seconds of CPU time */
static int timers(lua_State *L) {
  lua_Integer n = luaL_len(L, 1);
  timers_case *cases = lua_newuserdatauv(L, (size_t)n * sizeof *cases, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    lua_rawgeti(L, 2, i + 1);
    cases[i].deleted = (uint32_t)lua_tointeger(L, -2) - 1;
    cases[i].delay = timers_interval(lua_tonumber(L, -1));
    lua_pop(L, 2);
  }
  lua_pushnumber(L, timers_add_delete(cases, (size_t)n));
  return 1;
}

/* --- lines ---------------------------------------------------------------- */

/* benchfloor.lines(bytes) -> how many ends of lines there are */
static int lines(lua_State *L) {
  size_t size;
  const char *at = luaL_checklstring(L, 1, &size), *end = at + size;
  lua_Integer count = 0;
  for (; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) count++;
  lua_pushinteger(L, count);
  return 1;
}

EXPORT int luaopen_benchfloor(lua_State *L) {
  static const luaL_Reg functions[] = {
    { "object", object },       { "rounds", rounds }, { "resume", resume_all },
    { "semaphore", semaphore }, { "limit", limit },   { "timers", timers },
    { "lines", lines },         { NULL, NULL }
  };
  luaL_newlib(L, functions);
  return 1;
}
