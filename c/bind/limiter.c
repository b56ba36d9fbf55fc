/*
** limiter.c - limiters as Lua sees them.
*/

#include <string.h>

#include "bind.h"

/***
Limit what runs at once; the others wait their turn.
@module weir
*/

static const char LIMITER; /* tag, and registry key of the metatable */

bind_limiter *bind_to_limiter(lua_State *L, int index) {
  return bind_test(L, index, &LIMITER, sizeof(bind_limiter));
}

bind_limiter *bind_check_asked(lua_State *L, const char *who) {
  bind_limiter *self = bind_to_limiter(L, 1);
  if (!self) {
    lua_pushfstring(L, "a limiter (call it as %s(...))", who);
    bind_expected(L, who, NULL, lua_tostring(L, -1), 1);
  }
  return self;
}

bind_limiter *bind_check_limiter(lua_State *L, const char *who) {
  bind_limiter *self = bind_check_asked(L, who);
  if (self->members)
    luaL_error(L,
               "%s: weir.all{...} is no limiter of its own; ask those that "
               "it was made of",
               who);
  bind_check_open(L, self->space, who);
  return self;
}

int bind_limiter_field(lua_State *L, int index, int field) {
  int type;
  lua_getiuservalue(L, index, 1);
  type = lua_rawgeti(L, -1, field);
  lua_remove(L, -2);
  return type;
}

bool bind_push_limiter(lua_State *L, const bind_space *space,
                       weir_limiter limiter) {
  bind_push_space_table(L, space, BIND_LIMITERS);
  if (lua_rawgeti(L, -1, (lua_Integer)limiter) == LUA_TTABLE) {
    lua_pushnil(L);
    if (lua_next(L, -2)) {
      lua_replace(L, -4);
      lua_pop(L, 2);
      return true;
    }
  }
  lua_pop(L, 2);
  return false;
}

bool bind_has_key_functions(lua_State *L, int index) {
  const bind_limiter *self = lua_touserdata(L, index);
  bool all = !self->keyed || self->key_function;
  if (!self->members) return all;
  bind_limiter_field(L, index, BIND_LIMITER_MEMBERS);
  all = true;
  for (int i = 1; i <= self->members; i++) {
    lua_rawgeti(L, -1, i);
    all &= bind_has_key_functions(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return all;
}

/* --- making one ----------------------------------------------------------- */

/* Pushes what people call it: its name, or where it was made. */
static void push_label(lua_State *L, const char *name) {
  if (name)
    lua_pushstring(L, name);
  else
    bind_push_place(L, "limiter");
}

/* A line that makes limiters without end has probably put a decorator where it
** is applied anew for each call, and then it limits nothing. (Those of one name
** are one limiter.) */
static void count_made(lua_State *L) {
  enum { TOO_MANY = 1000 };
  lua_Integer made;
  bind_push_table(L, BIND_MADE);
  push_label(L, NULL);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  made = lua_tointeger(L, -1) + 1;
  lua_pop(L, 1);
  if (made == TOO_MANY) {
    lua_pushfstring(L,
                    "weir: %s has made %d limiters: a decorator that is "
                    "made for each call limits nothing; make it once, "
                    "outside the function",
                    lua_tostring(L, -1), TOO_MANY);
    lua_warning(L, lua_tostring(L, -1), 0);
    lua_pop(L, 1);
  }
  lua_pushinteger(L, made);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Sets a field of the uservalue on top to an option's value. */
static void keep_option(lua_State *L, int options, const char *name,
                        int field) {
  lua_getfield(L, options, name);
  lua_rawseti(L, -2, field);
}

/* Pushes the list of a limiter's objects, made if need be. */
static void push_objects(lua_State *L, const bind_space *space,
                         weir_limiter limiter) {
  bind_push_space_table(L, space, BIND_LIMITERS);
  if (lua_rawgeti(L, -1, (lua_Integer)limiter) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 1, 0);
    lua_getmetatable(L, -2); /* weak as well */
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)limiter);
  }
  lua_remove(L, -2);
}

/* Adds the object on top, which has its uservalue, to its limiter's list and
** holds that: the list is there as long as one of its objects is. */
static void join_objects(lua_State *L) {
  const bind_limiter *self = lua_touserdata(L, -1);
  lua_getiuservalue(L, -1, 1);
  push_objects(L, self->space, self->handle);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, BIND_LIMITER_OBJECTS);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1); /* a free place */
  lua_pop(L, 2);
}

/* Sets the uservalue of the limiter on top; `options`: stack index, or 0. */
static void keep(lua_State *L, int options, const bind_settings *s) {
  bind_limiter *self = lua_touserdata(L, -1);
  lua_createtable(L, BIND_LIMITER_OBJECTS, 0);
  push_label(L, s->name);
  lua_rawseti(L, -2, BIND_LIMITER_LABEL);
  if (!self->cost) keep_option(L, options, "cost", BIND_LIMITER_COST);
  if (s->on_refuse)
    keep_option(L, options, "on_refuse", BIND_LIMITER_ON_REFUSE);
  if (s->key) keep_option(L, options, "key", BIND_LIMITER_KEY);
  if (s->flow) keep_option(L, options, "flow", BIND_LIMITER_FLOW);
  if (self->priority_function)
    keep_option(L, options, "priority", BIND_LIMITER_PRIORITY);
  lua_setiuservalue(L, -2, 1);
  join_objects(L);
}

bind_limiter *bind_limiter_new(lua_State *L, bind_space *space) {
  bind_limiter *self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (bind_limiter){ .tag = &LIMITER, .space = space };
  bind_use(space);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &LIMITER);
  lua_setmetatable(L, -2);
  return self;
}

/* What a call has to ask for. */
static void set_asked(bind_limiter *self, const bind_settings *s) {
  self->cost = s->cost;
  self->priority_function = s->priority == INT32_MIN;
  if (!self->priority_function) self->priority = (int8_t)s->priority;
  self->keyed = s->keyed;
  self->key_function = s->key;
  self->flow_function = s->flow;
  self->slots = (uint8_t)(s->key + s->flow);
  self->asks = !self->cost || s->key || s->flow || self->priority_function;
}

static int push_limiter(lua_State *L, weir_lua *W, const char *who, int options,
                        const bind_settings *s) {
  bind_limiter *self = bind_limiter_new(L, s->space);
  set_asked(self, s);
  if (!s->name) count_made(L);
  bind_check_open(L, s->space, who);
  bind_check(L, s->space, who,
             weir_limiter_open(s->space->space, s->name, &s->config,
                               bind_now(W, true), &self->handle));
  W->measures |= s->config.adaptive.algorithm != WEIR_STATIC;
  keep(L, options, s);
  bind_touch(W); /* a name known before: the new config may let some go */
  return 1;
}

static int from_table(lua_State *L, weir_lua *W, const char *who) {
  weir_config base = WEIR_CONFIG_INIT;
  bind_settings s;
  base.concurrent = 0;
  bind_read_settings(L, W, 1, who, &base, false, &s);
  return push_limiter(L, W, who, 1, &s);
}

static int from_count(lua_State *L, weir_lua *W, const char *who) {
  static const bind_option concurrent = {
    .name = "concurrent", .kind = BIND_COUNT, .min = 1, .max = WEIR_PERMITS_MAX
  };
  bind_settings s = { .config = WEIR_CONFIG_INIT,
                      .cost = 1,
                      .space = &W->home };
  bind_read_option(L, 1, who, &concurrent, &s.config.concurrent);
  return push_limiter(L, W, who, 0, &s);
}

/***
Makes a limiter. It is a decorator: `limiter(fn)` is `limiter:wrap(fn)`.
@function limiter
@tparam table options at least one of `concurrent`, `rate` and `adaptive`
@tparam[opt] integer options.concurrent permits: how many calls may run at once
@tparam[opt] string|number options.rate tokens: how many calls may begin in a
time, as "100/s", "5/m", "10/250ms"; or a number, per second or per `per`
@tparam[opt=1] number options.per seconds that a rate that is a number goes by
@tparam[opt=1] integer options.burst tokens that may be taken at once; 1 spaces
calls evenly
@tparam[opt] string options.window "fixed" or "sliding": count calls per period
instead of spacing them
@tparam[opt=false] boolean options.align periods begin at round times (UTC), not
with the first call
@tparam[optchain] function options.key `key(...)`: a string; each one has
permits and tokens of its own. nil: this call is not limited
@tparam[opt=65536] integer options.keys how many keys may be active at once
@tparam[opt="refuse"] string options.on_exhausted what becomes of one more:
"refuse" or "admit"
@tparam[opt=1] integer|function options.cost permits and tokens a call takes, or
a function of the call's arguments that says so
@tparam[opt] integer options.queue how many may wait (for each key); `false` or
absent: any number; 0: nobody
@tparam[opt] number options.timeout seconds a call waits at most; `false` or
absent: as long as it takes; 0: not at all
@tparam[opt="fifo"] string options.order who goes next: "fifo", "lifo",
"priority" or "fair"
@tparam[opt=0] integer|function options.priority of a call, from -16 to 15, the
higher goes first; with order = "priority"
@tparam[opt] number options.aging seconds of waiting that are worth one step of
priority, so that nobody starves
@tparam[opt] function options.flow `flow(...)`: a string; flows take turns, with
order = "fair"
@tparam[opt] string|table options.shed what a queue that is too long gives up:
"codel", "lifo", "doomed", "oldest", "lowest"; or a table of `codel`, `lifo`,
`doomed` (booleans), `target`, `interval` (seconds) and `victim` ("newest",
"oldest", "lowest")
@tparam[opt] string|table options.adaptive finds the limit by itself: "aimd",
"vegas", "gradient2"; or a table of `algorithm`, `initial`, `min`, `max`,
`backoff`, `timeout`, `smoothing`, `tolerance`, `queue`, `long_window`
@tparam[opt] string options.name what to call it; two of one name are one
limiter, with the newer options. Without: the file and line it was made at.
@tparam[opt] space|string options.space who shares the limiter: a space that
@{open} gave, or its URL ("shm:api"); it wants a `name` then. Without: this Lua
state alone
@tparam[opt] function options.on_refuse `on_refuse(err, ...)`: what a
refused call of a limited function returns instead of `nil, err`
@tparam[opt=false] boolean options.dry_run admit everybody, and count in
`stats().would` what would have become of them
@treturn limiter
*/
static int new_limiter(lua_State *L) {
  return from_table(L, bind_self(L), "weir.limiter");
}

/***
Makes a limiter of n permits and nothing else.
@function semaphore
@tparam integer n permits
@treturn limiter
*/
static int new_semaphore(lua_State *L) {
  return from_count(L, bind_self(L), "weir.semaphore");
}

/***
The decorator: `local fetch = weir.rate_limit(3)(function(url) ... end)`. One
decorator is one limiter: all functions it is given share its permits.
@function rate_limit
@tparam integer|table|limiter what permits, or the options of @{limiter}, or a
limiter there is
@treturn limiter to be called with the function to limit
*/
static int rate_limit(lua_State *L) {
  weir_lua *W = bind_self(L);
  lua_settop(L, 1);
  if (bind_to_limiter(L, 1)) return 1;
  if (lua_istable(L, 1)) return from_table(L, W, "weir.rate_limit");
  if (lua_isnumber(L, 1)) return from_count(L, W, "weir.rate_limit");
  return bind_expected(L, "weir.rate_limit", NULL,
                       "a number, a table of options or a limiter", 1);
}

/* --- the rest ------------------------------------------------------------- */

/***
Changes a limiter while it is used. A raised limit admits at once whoever fits;
a lowered one takes nothing away and admits nobody until enough has come back.
A new order is that of the next queue: those who wait stay where they are.
@function limiter:set
@tparam table options as for @{limiter}, but `cost`, `key`, `flow`, `priority`,
`name` and `on_refuse`; `false` takes back what may be absent
*/
static int limiter_set(lua_State *L) {
  static const char WHO[] = "limiter:set";
  weir_lua *W = bind_self(L);
  const bind_limiter *self = bind_check_limiter(L, WHO);
  const bind_space *space = self->space;
  weir_config config;
  bind_settings s;
  bind_check(L, space, WHO,
             weir_limiter_config(space->space, self->handle, &config));
  lua_settop(L, 2);
  bind_read_settings(L, W, 2, WHO, &config, true, &s);
  bind_check_open(L, space, WHO);
  bind_check(L, space, WHO,
             weir_limiter_set(space->space, self->handle, &s.config,
                              bind_now(W, true)));
  W->measures |= s.config.adaptive.algorithm != WEIR_STATIC;
  bind_touch(W);
  return 0;
}

/***
Refuses all who wait and all who come; who holds permits gives them back as
usual.
@function limiter:close
*/
static int limiter_close(lua_State *L) {
  weir_lua *W = bind_self(L);
  const bind_limiter *self = bind_check_limiter(L, "limiter:close");
  bind_check(
      L, self->space, "limiter:close",
      weir_limiter_close(self->space->space, self->handle, bind_now(W, true)));
  bind_touch(W);
  return 0;
}

static int drain_refused(lua_State *L, weir_verdict verdict,
                         uint64_t waited_ns) {
  bind_refusal refusal = {
    .limiter = 1, .verdict = verdict, .cost = 1, .waited_ns = waited_ns
  };
  return bind_limiter_refuse(L, &refusal);
}

static int drain(const bind_limiter *self, const weir_request *request,
                 uint64_t now, weir_ticket *ticket) {
  weir_port *port = self->space->port;
  if (!port) return BIND_E_CLOSED;
  return weir_drain(port, self->handle, request, now, ticket);
}

static int drain_k(lua_State *L, int status, lua_KContext id) {
  weir_lua *W = bind_self(L);
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result))
    return bind_wait_again(L, id, drain_k);
  if (result.verdict != WEIR_ADMITTED)
    return drain_refused(L, result.verdict, result.waited_ns);
  lua_pushboolean(L, 1);
  return 1;
}

/***
Refuses newcomers, then waits until all others have been served and everything
has been given back.
@function limiter:drain
@tparam[opt] number timeout seconds
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] table the refusal
*/
static int limiter_drain(lua_State *L) {
  weir_lua *W = bind_self(L);
  const bind_limiter *self = bind_check_limiter(L, "limiter:drain");
  weir_request request = { .try_only = true };
  weir_ticket ticket;
  uint32_t fiber;
  int verdict;
  request.deadline = bind_deadline(L, W, 2, "limiter:drain");
  lua_settop(L, 1);
  verdict = drain(self, &request, bind_time(self->space, false), &ticket);
  if (verdict == WEIR_FULL) { /* it will take a wait */
    fiber = bind_wait_prepare(L, W, "limiter:drain");
    request.try_only = false;
    request.cookie = bind_fiber_id(W, fiber);
    verdict = drain(self, &request, bind_now(W, true), &ticket);
    if (verdict == WEIR_WAITING)
      return bind_wait(L, self->space, fiber, ticket, drain_k);
    bind_wait_skip(L, W, fiber);
  }
  bind_check(L, self->space, "limiter:drain", verdict);
  if (verdict != WEIR_ADMITTED)
    return drain_refused(L, (weir_verdict)verdict, 0);
  lua_pushboolean(L, 1);
  return 1;
}

/* Pushes "0 of 3 permits in use", or without a limit "2 in use". */
static const char *push_usage(lua_State *L, const weir_stats *stats) {
  if (stats->limit)
    return lua_pushfstring(L, "%I of %I permits in use",
                           (lua_Integer)stats->in_use,
                           (lua_Integer)stats->limit);
  return lua_pushfstring(L, "%I in use", (lua_Integer)stats->in_use);
}

/* Pushes what it does: "0 of 3 permits in use, 1 waiting". */
static void push_load(lua_State *L, const bind_limiter *self) {
  const bind_space *space = self->space;
  weir_stats stats;
  int error = space->space
                  ? weir_limiter_stats(space->space, self->handle, &stats)
                  : BIND_E_CLOSED;
  if (error)
    bind_push_trouble(L, space, error);
  else if (self->keyed)
    lua_pushfstring(L, "%d keys, %I in use, %I waiting", (int)stats.keys,
                    (lua_Integer)stats.in_use, (lua_Integer)stats.waiting);
  else
    lua_pushfstring(L, "%s, %I waiting", push_usage(L, &stats),
                    (lua_Integer)stats.waiting);
}

/* tostring(limiter) */
static int limiter_tostring(lua_State *L) {
  const bind_limiter *self = bind_check_asked(L, "tostring");
  const char *label, *url = self->space->url;
  bind_self(L);
  bind_limiter_field(L, 1, BIND_LIMITER_LABEL);
  label = lua_tostring(L, -1);
  if (self->members) {
    lua_pushfstring(L, "weir.all '%s'", label);
    return 1;
  }
  push_load(L, self);
  lua_pushfstring(L, "weir.limiter '%s'%s%s: %s", label, *url ? " in " : "",
                  url, lua_tostring(L, -1));
  return 1;
}

/* Whoever holds or waits goes on; the record goes with the last of them. */
static int limiter_gc(lua_State *L) {
  const weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  bind_limiter *self = lua_touserdata(L, 1);
  bind_space *space = self->space;
  if (!W->home.port || self->gone) return 0;
  self->gone = true;
  if (space->space && self->handle)
    weir_limiter_drop(space->space, self->handle);
  self->handle = 0;
  bind_disuse(space);
  return 0;
}

void bind_push_limiter_methods(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &LIMITER);
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
}

void bind_open_limiter(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "limiter", new_limiter },
                                        { "semaphore", new_semaphore },
                                        { "rate_limit", rate_limit },
                                        { NULL, NULL } };
  static const luaL_Reg methods[] = { { "wrap", bind_wrap },
                                      { "set", limiter_set },
                                      { "close", limiter_close },
                                      { "drain", limiter_drain },
                                      { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__call", bind_wrap },
                                          { "__tostring", limiter_tostring },
                                          { "__gc", limiter_gc },
                                          { NULL, NULL } };
  bind_register(L, self, functions);
  bind_register_type(L, self, &LIMITER, "weir.limiter", methods, metamethods);
}
