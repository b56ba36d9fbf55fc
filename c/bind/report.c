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

void bind_push_limiter_label(lua_State *L, const bind_space *space,
                             weir_limiter limiter) {
  if (!bind_push_limiter(L, space, limiter)) {
    lua_pushliteral(L, "a limiter that nobody has any more");
    return;
  }
  bind_limiter_field(L, lua_gettop(L), BIND_LIMITER_LABEL);
  lua_remove(L, -2);
}

/* The next one that is open. */
static const bind_space *after(const bind_space *space) {
  space = space->shared ? space->next : space->W->opened;
  while (space && !space->port) space = space->next;
  return space;
}

/* Pushes a list of a space's limiters that somebody has. */
static void push_limiters(lua_State *L, const bind_space *space) {
  lua_Integer count = 0;
  lua_newtable(L);
  bind_push_space_table(L, space, BIND_LIMITERS);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    if (bind_push_limiter(L, space, (weir_limiter)lua_tointeger(L, -1)))
      lua_rawseti(L, -4, ++count);
  }
  lua_pop(L, 1);
}

/* Walks through the tickets of a space, unless it was closed meanwhile. */
static bool walk(const bind_space *space, uint32_t *cursor,
                 weir_ticket_info *out) {
  return space->port &&
         weir_ticket_walk(space->port, cursor, bind_now(space->W, true), out);
}

/* Appends one line about a ticket to the string on top of L. */
static void add_ticket(lua_State *L, const bind_space *space,
                       const weir_ticket_info *info) {
  weir_lua *W = space->W;
  const char *verb = info->state == WEIR_HELD ? "holds" : "waits for";
  bind_push_fiber_name(L, W, info->cookie);
  add_place(L, W, info->cookie);
  if (info->limiter) {
    bind_push_limiter_label(L, space, info->limiter);
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

/* Nobody waits in a shared space then, but permits of one may be held. */
void bind_push_deadlock(lua_State *L, weir_lua *W) {
  enum { LINES_MAX = 40 }; /* a report is read by a person */
  weir_ticket_info info;
  uint32_t lines = 0;
  luaL_checkstack(L, 8, "weir");
  lua_pushliteral(L, "weir.run: deadlock: nothing is left to wait for but "
                     "permits, and nobody can give one back");
  W->looking = true;
  for (const bind_space *space = &W->home; space; space = after(space)) {
    uint32_t cursor = 0;
    while (walk(space, &cursor, &info))
      if (++lines <= LINES_MAX) add_ticket(L, space, &info);
  }
  W->looking = false;
  if (lines > LINES_MAX) {
    lua_pushfstring(L, "\n  and %d more", (int)(lines - LINES_MAX));
    lua_concat(L, 2);
  }
}

/* --- where permits are asked for ------------------------------------------ */

/* Forgets the places of tickets that are gone. */
static void forget_old_traces(lua_State *L, bind_space *space) {
  weir_ticket_info info;
  uint32_t kept = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    weir_ticket ticket = (weir_ticket)lua_tointeger(L, -2);
    lua_pop(L, 1);
    if (weir_ticket_inspect(space->port, ticket, space->W->now, &info) == 0) {
      kept++;
      continue;
    }
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  space->traced = kept;
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

void bind_trace(lua_State *L, bind_space *space, weir_ticket ticket) {
  enum { LOOK_AT = 1024 }; /* places, before old ones are looked for */
  bind_push_space_table(L, space, BIND_TRACES);
  if (++space->traced % LOOK_AT == 0) forget_old_traces(L, space);
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
static void set_places(lua_State *L, const bind_space *space,
                       const weir_ticket_info *info) {
  lua_pushliteral(L, "");
  add_place(L, space->W, info->cookie);
  if (lua_rawlen(L, -1)) {
    lua_pushstring(L, lua_tostring(L, -1) + strlen(" at "));
    lua_replace(L, -2);
  }
  set_text(L, "at");
  bind_push_space_table(L, space, BIND_TRACES);
  lua_rawgeti(L, -1, (lua_Integer)info->ticket);
  lua_remove(L, -2);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    lua_setfield(L, -2, "asked_at");
}

/* Which limiter it is, and in which space. */
static void set_limiter(lua_State *L, const bind_space *space,
                        weir_limiter limiter) {
  bind_push_limiter_label(L, space, limiter);
  lua_setfield(L, -2, "limiter");
  if (space->shared) bind_set_string(L, "space", space->url);
}

/* Pushes one holder or waiter. */
static void push_entry(lua_State *L, const bind_space *space,
                       const weir_ticket_info *info) {
  weir_lua *W = space->W;
  uint64_t now = bind_now(W, true);
  lua_createtable(L, 0, 10);
  bind_set_string(L, "state",
                  info->state == WEIR_QUEUED ? "waiting" : "holding");
  set_limiter(L, space, info->limiter);
  lua_pushstring(L, info->key);
  set_text(L, "key");
  lua_pushinteger(L, info->cost);
  lua_setfield(L, -2, "cost");
  bind_push_seconds(L, now > info->since ? now - info->since : 0);
  lua_setfield(L, -2, "seconds");
  bind_push_fiber_name(L, W, info->cookie);
  lua_setfield(L, -2, "who");
  if (BOUNDS[info->bound]) bind_set_string(L, "bound_by", BOUNDS[info->bound]);
  set_places(L, space, info);
}

/* What is asked to be explained, and what was found so far. */
typedef struct question {
  const bind_limiter *limiter; /* NULL: all */
  const uint64_t *key;         /* the id of one of its keys; NULL: all */
  int list;                    /* stack index of what was found ... */
  lua_Integer count;           /* ... and how many they are */
} question;

/* Whether a ticket is one to tell of. */
static bool is_asked(const weir_ticket_info *info, const question *q) {
  if (!info->limiter || !info->cost) return false;
  if (!q->limiter) return true;
  if (info->limiter != q->limiter->handle) return false;
  return !q->key || (*q->key && info->key_id == *q->key);
}

/* Adds the entry on top. */
static void add_entry(lua_State *L, question *q) {
  lua_rawseti(L, q->list, ++q->count);
}

static void explain_own(lua_State *L, const bind_space *space, question *q) {
  weir_ticket_info info;
  uint32_t cursor = 0;
  while (walk(space, &cursor, &info)) {
    if (!is_asked(&info, q)) continue;
    push_entry(L, space, &info);
    add_entry(L, q);
  }
}

/* What other processes have of a limiter is known by number only: what there is
** of it, without what this one has. */
typedef struct others {
  uint64_t holding; /* permits */
  uint64_t waiting; /* calls */
} others;

static others count_others(const bind_limiter *limiter) {
  const bind_space *space = limiter->space;
  others left = { 0, 0 };
  weir_ticket_info info;
  weir_stats stats;
  uint32_t cursor = 0;
  if (!space->port || weir_limiter_stats(space->space, limiter->handle, &stats))
    return left;
  left = (others){ stats.in_use, stats.waiting };
  while (walk(space, &cursor, &info)) {
    bool waits = info.state == WEIR_QUEUED;
    uint64_t *of = waits ? &left.waiting : &left.holding;
    uint64_t own = waits ? 1 : info.cost;
    if (info.limiter == limiter->handle) *of -= own < *of ? own : *of;
  }
  return left;
}

static void add_others(lua_State *L, const bind_limiter *limiter,
                       const char *state, const char *what, uint64_t count,
                       question *q) {
  if (!count) return;
  lua_createtable(L, 0, 5);
  bind_set_string(L, "state", state);
  set_limiter(L, limiter->space, limiter->handle);
  bind_set_string(L, "who", "other processes");
  bind_set_integer(L, what, count);
  add_entry(L, q);
}

static void explain_others(lua_State *L, const bind_limiter *limiter,
                           question *q) {
  others left = count_others(limiter);
  add_others(L, limiter, "holding", "cost", left.holding, q);
  add_others(L, limiter, "waiting", "calls", left.waiting, q);
}

/* Of all limiters that somebody has here. */
static void explain_others_of(lua_State *L, const bind_space *space,
                              question *q) {
  if (!space->shared) return;
  push_limiters(L, space);
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    explain_others(L, lua_touserdata(L, -1), q);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

static void explain_all(lua_State *L, weir_lua *W, question *q) {
  W->looking = true;
  for (const bind_space *space = &W->home; space; space = after(space)) {
    explain_own(L, space, q);
    explain_others_of(L, space, q);
  }
  W->looking = false;
}

/* Pushes the list; `key`: the id of a key, or NULL for all. */
static int push_explanation(lua_State *L, weir_lua *W,
                            const bind_limiter *limiter, const uint64_t *key) {
  question q = { limiter, key, lua_gettop(L) + 1, 0 };
  luaL_checkstack(L, LUA_MINSTACK, "weir");
  lua_newtable(L);
  if (!limiter) {
    explain_all(L, W, &q);
  } else {
    explain_own(L, limiter->space, &q);
    if (limiter->space->shared && !key) explain_others(L, limiter, &q);
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
`bound_by`: "permits", "rate", or "others" who go first. Of limiters in a shared
space also `space`, and what other processes have of them as one entry, whose
`who` is "other processes": `cost`, the permits they hold, or `calls`, how many
of theirs wait
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
  weir_key_inspect(W->home.space, self->handle, key, size, &info);
  return push_explanation(L, W, self, &info.id);
}

/* A field of an entry as text, which stays on the stack; NULL: absent. */
static const char *text_of(lua_State *L, int entry, const char *name) {
  lua_getfield(L, entry, name);
  return lua_isnil(L, -1) ? NULL : luaL_tolstring(L, -1, NULL);
}

/* Pushes " for 0.5 s", or "" where nobody knows. */
static const char *push_time(lua_State *L, int entry) {
  if (lua_getfield(L, entry, "seconds") == LUA_TNIL)
    return lua_pushliteral(L, "");
  return lua_pushfstring(L, " for %f s", lua_tonumber(L, -1));
}

/* Pushes "holds 2 of 'api'"; other processes hold. */
static const char *push_deed(lua_State *L, int entry) {
  const char *calls = text_of(L, entry, "calls");
  const char *state = text_of(L, entry, "state");
  const char *cost = text_of(L, entry, "cost");
  const char *limiter = text_of(L, entry, "limiter");
  bool waits = state && strcmp(state, "waiting") == 0;
  bool many = lua_getfield(L, entry, "seconds") == LUA_TNIL;
  if (calls)
    return lua_pushfstring(L, "wait for '%s' with %s call%s", limiter, calls,
                           strcmp(calls, "1") == 0 ? "" : "s");
  return lua_pushfstring(L, "%s%s %s of '%s'", waits ? "wait" : "hold",
                         many    ? ""
                         : waits ? "s for"
                                 : "s",
                         cost, limiter);
}

/* Makes one line of the entry on top. */
static void make_line(lua_State *L) {
  int entry = lua_gettop(L);
  const char *key = text_of(L, entry, "key"), *at = text_of(L, entry, "at");
  const char *asked = text_of(L, entry, "asked_at");
  const char *bound = text_of(L, entry, "bound_by");
  const char *who = text_of(L, entry, "who");
  const char *deed = push_deed(L, entry);
  lua_pushfstring(L, "%s%s%s %s%s%s%s%s%s%s%s%s", who, at ? " at " : "",
                  at ? at : "", deed, key ? " (" : "", key ? key : "",
                  key ? ")" : "", push_time(L, entry),
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
  weir_lua *W = bind_self(L);
  lua_Integer count = 0;
  lua_newtable(L);
  W->looking = true;
  for (const bind_space *space = &W->home; space; space = after(space)) {
    push_limiters(L, space);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++)
      lua_rawseti(L, -3, ++count);
    lua_pop(L, 2);
  }
  W->looking = false;
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
