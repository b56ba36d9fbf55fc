/*
** report.c - who holds and who waits, for people.
*/
#include <stdio.h>
#include <string.h>

#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

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

void bind_push_limiter_label(lua_State *L, weir_limiter limiter) {
  if (!bind_push_limiter(L, limiter)) {
    lua_pushliteral(L, "a limiter that nobody has any more");
    return;
  }
  bind_limiter_field(L, lua_gettop(L), BIND_LIMITER_LABEL);
  lua_remove(L, -2);
}

/* Appends one line about a ticket to the string on top of L. */
static void add_ticket(lua_State *L, weir_lua *W,
                       const weir_ticket_info *info) {
  const char *verb = info->state == WEIR_HELD ? "holds" : "waits for";
  bind_push_fiber_name(L, W, info->cookie);
  add_place(L, W, info->cookie);
  if (info->limiter) {
    bind_push_limiter_label(L, info->limiter);
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

/* --- where permits are asked for ------------------------------------------ */

/* Forgets the places of tickets that are gone. */
static void forget_old_traces(lua_State *L, weir_lua *W) {
  weir_ticket_info info;
  uint32_t kept = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    weir_ticket ticket = (weir_ticket)lua_tointeger(L, -2);
    lua_pop(L, 1);
    if (weir_ticket_inspect(W->port, ticket, W->now, &info) == 0) {
      kept++;
      continue;
    }
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  W->traced = kept;
}

void bind_push_place(lua_State *L, const char *otherwise) {
  size_t length;
  const char *where;
  luaL_where(L, 1); /* "file:line: " */
  where = lua_tolstring(L, -1, &length);
  if (length)
    lua_pushlstring(L, where, length - 2);
  else
    lua_pushstring(L, otherwise);
  lua_remove(L, -2);
}

void bind_trace(lua_State *L, weir_lua *W, weir_ticket ticket) {
  enum { LOOK_AT = 1024 }; /* places, before old ones are looked for */
  bind_push_table(L, BIND_TRACES);
  if (++W->traced % LOOK_AT == 0) forget_old_traces(L, W);
  bind_push_place(L, "?");
  lua_rawseti(L, -2, (lua_Integer)ticket);
  lua_pop(L, 1);
}

/***
Notes from now on where in the source permits are asked for, for @{explain}.
@function trace
@tparam boolean on
*/
static int trace(lua_State *L) {
  weir_lua *W = bind_self(L);
  if (!lua_isboolean(L, 1))
    return bind_expected(L, "weir.trace", NULL, "true or false", 1);
  W->traces = lua_toboolean(L, 1);
  return 0;
}

/* --- explain -------------------------------------------------------------- */

static const char EXPLANATION; /* registry key of the metatable */

static const char *const BOUNDS[] = { NULL, "others", "permits", "rate" };

/* Sets a field to the string on top (popped), unless it is empty. */
static void set_text(lua_State *L, const char *key) {
  if (lua_rawlen(L, -1))
    lua_setfield(L, -2, key);
  else
    lua_pop(L, 1);
}

/* Sets `at`, where it is suspended, and `asked_at`, if that was traced. */
static void set_places(lua_State *L, const weir_lua *W,
                       const weir_ticket_info *info) {
  lua_pushliteral(L, "");
  add_place(L, W, info->cookie);
  if (lua_rawlen(L, -1)) {
    lua_pushstring(L, lua_tostring(L, -1) + strlen(" at "));
    lua_replace(L, -2);
  }
  set_text(L, "at");
  bind_push_table(L, BIND_TRACES);
  lua_rawgeti(L, -1, (lua_Integer)info->ticket);
  lua_remove(L, -2);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    lua_setfield(L, -2, "asked_at");
}

/* Pushes one holder or waiter. */
static void push_entry(lua_State *L, weir_lua *W,
                       const weir_ticket_info *info) {
  uint64_t now = bind_now(W, true);
  lua_createtable(L, 0, 10);
  bind_set_string(L, "state",
                  info->state == WEIR_QUEUED ? "waiting" : "holding");
  bind_push_limiter_label(L, info->limiter);
  lua_setfield(L, -2, "limiter");
  lua_pushstring(L, info->key);
  set_text(L, "key");
  lua_pushinteger(L, info->cost);
  lua_setfield(L, -2, "cost");
  bind_push_seconds(L, now > info->since ? now - info->since : 0);
  lua_setfield(L, -2, "seconds");
  bind_push_fiber_name(L, W, info->cookie);
  lua_setfield(L, -2, "who");
  if (BOUNDS[info->bound]) bind_set_string(L, "bound_by", BOUNDS[info->bound]);
  set_places(L, W, info);
}

/* Whether a ticket is one to tell of. */
static bool is_asked(const weir_ticket_info *info, const bind_limiter *limiter,
                     const uint64_t *key) {
  if (!info->limiter || !info->cost) return false;
  if (!limiter) return true;
  if (info->limiter != limiter->handle) return false;
  return !key || (*key && info->key_id == *key);
}

/* Pushes the list; `key`: the id of a key, or NULL for all. */
static int push_explanation(lua_State *L, weir_lua *W,
                            const bind_limiter *limiter, const uint64_t *key) {
  weir_ticket_info info;
  uint32_t cursor = 0;
  lua_Integer count = 0;
  lua_newtable(L);
  while (weir_ticket_walk(W->port, &cursor, bind_now(W, false), &info)) {
    if (!is_asked(&info, limiter, key)) continue;
    push_entry(L, W, &info);
    lua_rawseti(L, -2, ++count);
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &EXPLANATION);
  lua_setmetatable(L, -2);
  return 1;
}

/***
Who holds permits and who waits for them: a list, which tostring makes a report
of.
@function explain
@treturn table a list of `state` ("holding" or "waiting"), `limiter`, `key` (its
begin), `cost`, `seconds` since then, `who` ("task 3 (crawl.lua:12)"), `at`
(where it is suspended), `asked_at` (if @{trace} was on), and of those who wait
`bound_by`: "permits", "rate", or "others" who go first
*/
static int explain(lua_State *L) {
  return push_explanation(L, bind_self(L), NULL, NULL);
}

/***
@type limiter
*/

/***
As @{explain}, of this limiter alone.
@function limiter:explain
@tparam[opt] string key only of this one
@treturn table
*/
static int limiter_explain(lua_State *L) {
  weir_lua *W = bind_self(L);
  const bind_limiter *self = bind_check_limiter(L, "limiter:explain");
  weir_key_info info;
  uint32_t size;
  const void *key;
  if (lua_isnoneornil(L, 2)) return push_explanation(L, W, self, NULL);
  key = bind_check_key(L, 2, "limiter:explain", "the key", &size);
  weir_key_inspect(W->space, self->handle, key, size, &info);
  return push_explanation(L, W, self, &info.id);
}

/* A field of an entry as text, which stays on the stack; NULL: absent. */
static const char *text_of(lua_State *L, int entry, const char *name) {
  lua_getfield(L, entry, name);
  return lua_isnil(L, -1) ? NULL : luaL_tolstring(L, -1, NULL);
}

/* Makes one line of the entry on top. */
static void make_line(lua_State *L) {
  int entry = lua_gettop(L);
  const char *key = text_of(L, entry, "key"), *at = text_of(L, entry, "at");
  const char *asked = text_of(L, entry, "asked_at");
  const char *bound = text_of(L, entry, "bound_by");
  const char *who = text_of(L, entry, "who");
  const char *cost = text_of(L, entry, "cost");
  const char *limiter = text_of(L, entry, "limiter");
  lua_getfield(L, entry, "seconds");
  lua_pushfstring(L, "%s%s%s %s %s of '%s'%s%s%s for %f s%s%s%s%s", who,
                  at ? " at " : "", at ? at : "", bound ? "waits for" : "holds",
                  cost, limiter, key ? " (" : "", key ? key : "",
                  key ? ")" : "", lua_tonumber(L, -1),
                  bound ? ", kept by " : "", bound ? bound : "",
                  asked ? ", asked for at " : "", asked ? asked : "");
  lua_replace(L, entry);
  lua_settop(L, entry);
}

/* tostring(weir.explain()) */
static int explanation_tostring(lua_State *L) {
  luaL_Buffer buffer;
  lua_Integer count = luaL_len(L, 1);
  luaL_checkstack(L, 2 * LUA_MINSTACK, "weir");
  luaL_buffinit(L, &buffer);
  if (!count) luaL_addstring(&buffer, "nobody holds or waits");
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1) luaL_addchar(&buffer, '\n');
    lua_geti(L, 1, i);
    make_line(L);
    luaL_addvalue(&buffer);
  }
  luaL_pushresult(&buffer);
  return 1;
}

/***
@function limiters
@treturn table a list of all limiters that somebody has, in no order; of several
objects of one name, which are one limiter, any one
*/
static int limiters(lua_State *L) {
  lua_Integer count = 0;
  bind_self(L);
  lua_newtable(L);
  bind_push_table(L, BIND_LIMITERS);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lua_pop(L, 1);
    if (bind_push_limiter(L, (weir_limiter)lua_tointeger(L, -1)))
      lua_rawseti(L, 1, ++count);
  }
  lua_settop(L, 1);
  return 1;
}

void bind_open_report(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "trace", trace },
                                        { "explain", explain },
                                        { "limiters", limiters },
                                        { NULL, NULL } };
  static const luaL_Reg methods[] = { { "explain", limiter_explain },
                                      { NULL, NULL } };
  static const luaL_Reg none[] = { { NULL, NULL } };
  static const luaL_Reg metamethods[] = {
    { "__tostring", explanation_tostring }, { NULL, NULL }
  };
  bind_register(L, self, functions);
  bind_register_type(L, self, &EXPLANATION, "weir.explanation", none,
                     metamethods);
  bind_push_limiter_methods(L);
  bind_register(L, self, methods);
  lua_pop(L, 1);
}
