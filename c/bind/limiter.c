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

/* What weir.limiter{...} and limiter:set{...} may say. */
typedef struct settings {
  weir_config config;
  uint32_t cost; /* 0: a function */
  const char *name;
  bool on_refuse;
} settings;

#define AT(field) offsetof(settings, field)
#define CONCURRENT                                                             \
  { "concurrent", BIND_COUNT, 1, WEIR_PERMITS_MAX, AT(config.concurrent), 0 }
#define QUEUE                                                                  \
  { "queue", BIND_COUNT, 0, WEIR_PERMITS_MAX, AT(config.queue), WEIR_UNBOUNDED }
#define TIMEOUT                                                                \
  { "timeout", BIND_SECONDS, 0, 0, AT(config.timeout_ns), WEIR_NEVER }

static const bind_option creation[] = {
  CONCURRENT,
  QUEUE,
  TIMEOUT,
  { "cost", BIND_COUNT_OR_FUNCTION, 1, WEIR_PERMITS_MAX, AT(cost), 0 },
  { "name", BIND_TEXT, 1, WEIR_NAME_MAX, AT(name), 0 },
  { "on_refuse", BIND_FUNCTION, 0, 0, AT(on_refuse), 0 },
  { NULL, BIND_COUNT, 0, 0, 0, 0 }
};

static const bind_option changes[] = { CONCURRENT,
                                       QUEUE,
                                       TIMEOUT,
                                       { "cost", BIND_FIXED, 0, 0, 0, 0 },
                                       { "name", BIND_FIXED, 0, 0, 0, 0 },
                                       { "on_refuse", BIND_FIXED, 0, 0, 0, 0 },
                                       { NULL, BIND_COUNT, 0, 0, 0, 0 } };

static weir_space *space_of(const weir_lua *W) {
  return weir_port_space(W->port);
}

bind_limiter *bind_check_limiter(lua_State *L, const char *who) {
  bind_limiter *self = bind_test(L, 1, &LIMITER, sizeof *self);
  if (!self) {
    lua_pushfstring(L, "a limiter (call it as %s(...))", who);
    bind_expected(L, who, NULL, lua_tostring(L, -1), 1);
  }
  return self;
}

int bind_limiter_field(lua_State *L, int index, int field) {
  int type;
  lua_getiuservalue(L, index, 1);
  type = lua_rawgeti(L, -1, field);
  lua_remove(L, -2);
  return type;
}

/* --- making one ----------------------------------------------------------- */

/* Pushes what people call it: its name, or where it was made. */
static void push_label(lua_State *L, const char *name) {
  size_t length;
  const char *where;
  if (name) {
    lua_pushstring(L, name);
    return;
  }
  luaL_where(L, 1); /* "file:line: " */
  where = lua_tolstring(L, -1, &length);
  lua_pushlstring(L, length ? where : "limiter", length ? length - 2 : 7);
  lua_remove(L, -2);
}

/* Sets the uservalue of the limiter on top; `options`: stack index, or 0. */
static void keep(lua_State *L, int options, const settings *s) {
  bind_limiter *self = lua_touserdata(L, -1);
  bind_push_table(L, BIND_LIMITERS);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)self->handle);
  lua_pop(L, 1);
  lua_createtable(L, 3, 0);
  push_label(L, s->name);
  lua_rawseti(L, -2, BIND_LIMITER_LABEL);
  if (options && s->cost == 0) {
    lua_getfield(L, options, "cost");
    lua_rawseti(L, -2, BIND_LIMITER_COST);
  }
  if (options && s->on_refuse) {
    lua_getfield(L, options, "on_refuse");
    lua_rawseti(L, -2, BIND_LIMITER_ON_REFUSE);
  }
  lua_setiuservalue(L, -2, 1);
}

static int push_limiter(lua_State *L, weir_lua *W, const char *who, int options,
                        const settings *s) {
  bind_limiter *self = lua_newuserdatauv(L, sizeof *self, 1);
  int error;
  *self = (bind_limiter){ .tag = &LIMITER, .W = W, .cost = s->cost };
  lua_rawgetp(L, LUA_REGISTRYINDEX, &LIMITER);
  lua_setmetatable(L, -2);
  error = weir_limiter_open(space_of(W), s->name, &s->config, bind_now(W, true),
                            &self->handle);
  if (error) luaL_error(L, "%s: %s", who, weir_error_text(error));
  keep(L, options, s);
  bind_touch(W); /* a name known before: the new config may let some go */
  return 1;
}

static int from_table(lua_State *L, weir_lua *W, const char *who) {
  settings s = { .config = WEIR_CONFIG_INIT, .cost = 1 };
  s.config.concurrent = 0;
  bind_read_options(L, 1, who, creation, &s);
  if (!s.config.concurrent)
    return luaL_error(L,
                      "%s: concurrent is missing: how many calls may run at "
                      "once?",
                      who);
  return push_limiter(L, W, who, 1, &s);
}

static int from_count(lua_State *L, weir_lua *W, const char *who) {
  settings s = { .config = WEIR_CONFIG_INIT, .cost = 1 };
  bind_read_option(L, 1, who, &creation[0], &s.config.concurrent);
  return push_limiter(L, W, who, 0, &s);
}

/***
Makes a limiter. It is a decorator: `limiter(fn)` is `limiter:wrap(fn)`.
@function limiter
@tparam table options
@tparam integer options.concurrent permits: how many calls may run at once
@tparam[opt] integer options.queue how many may wait; `false` or absent: any
number; 0: nobody
@tparam[opt] number options.timeout seconds a call waits at most; `false` or
absent: as long as it takes; 0: not at all
@tparam[opt=1] integer|function options.cost permits a call takes, or a function
of the call's arguments that says so
@tparam[optchain] string options.name what to call it; two of one name are one
limiter, with the newer options. Without: the file and line it was made at.
@tparam[optchain] function options.on_refuse `on_refuse(err, ...)`: what a
refused call of a limited function returns instead of `nil, err`
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
  if (bind_test(L, 1, &LIMITER, sizeof(bind_limiter))) return 1;
  if (lua_istable(L, 1)) return from_table(L, W, "weir.rate_limit");
  if (lua_isnumber(L, 1)) return from_count(L, W, "weir.rate_limit");
  return bind_expected(L, "weir.rate_limit", NULL,
                       "a number, a table of options or a limiter", 1);
}

/* --- requests ------------------------------------------------------------- */

/* Raises where nothing can wait; otherwise the fiber that will. */
static uint32_t prepare_to_wait(lua_State *L, weir_lua *W, int index) {
  uint32_t fiber;
  bind_limiter_field(L, index, BIND_LIMITER_LABEL);
  lua_pushfstring(L, "a call limited by '%s'", lua_tostring(L, -1));
  fiber = bind_wait_prepare(L, W, lua_tostring(L, -1));
  lua_pop(L, 2);
  return fiber;
}

/* Another limiter object of the same name may have changed that meanwhile. */
static bool needs_exact_time(const weir_lua *W, const bind_limiter *self,
                             const weir_request *request) {
  return request->deadline || weir_limiter_timed(space_of(W), self->handle);
}

/* A request from a coroutine that is no running task, or from none at all. */
static weir_verdict request_outside(lua_State *L, weir_lua *W, int index,
                                    weir_request *request, uint32_t *fiber,
                                    weir_ticket *ticket) {
  const bind_limiter *self = lua_touserdata(L, index);
  uint64_t now = bind_now(W, needs_exact_time(W, self, request));
  int verdict;
  *fiber = 0;
  if (weir_peek(W->port, self->handle, request, now) == WEIR_WAITING) {
    *fiber = prepare_to_wait(L, W, index);
    request->cookie = bind_fiber_id(W, *fiber);
    now = bind_now(W, true);
  }
  verdict = weir_acquire(W->port, self->handle, request, now, ticket);
  if (*fiber && verdict != WEIR_WAITING) bind_wait_skip(L, W, *fiber);
  if (verdict < 0) luaL_error(L, "weir: %s", weir_error_text(verdict));
  return (weir_verdict)verdict;
}

weir_verdict bind_limiter_request(lua_State *L, weir_lua *W,
                                  const bind_limiter *self, int index,
                                  weir_request *request, uint32_t *fiber,
                                  weir_ticket *ticket) {
  int verdict;
  if (W->current_co != L)
    return request_outside(L, W, index, request, fiber, ticket);
  *fiber = W->current;
  request->cookie = W->current_id;
  verdict =
      weir_acquire(W->port, self->handle, request,
                   bind_now(W, needs_exact_time(W, self, request)), ticket);
  if (verdict == WEIR_WAITING && !lua_isyieldable(L)) {
    weir_cancel(W->port, *ticket, W->now);
    prepare_to_wait(L, W, index);
  }
  if (verdict < 0) luaL_error(L, "weir: %s", weir_error_text(verdict));
  return (weir_verdict)verdict;
}

int bind_limiter_refuse(lua_State *L, weir_lua *W, int index,
                        weir_verdict verdict, uint32_t cost, uint64_t waited) {
  const bind_limiter *self = lua_touserdata(L, index);
  bind_refusal refusal = { .verdict = verdict,
                           .cost = cost ? cost : 1,
                           .waited_ns = waited };
  weir_config config = WEIR_CONFIG_INIT;
  weir_limiter_config(space_of(W), self->handle, &config);
  refusal.limit = config.concurrent;
  refusal.queue = config.queue;
  bind_limiter_field(L, index, BIND_LIMITER_LABEL);
  refusal.label = lua_tostring(L, -1);
  bind_refuse(L, &refusal);
  lua_remove(L, -3); /* the label */
  return 2;
}

/* What limiter:acquire{...} may say. */
typedef struct wishes {
  uint64_t timeout_ns;
  uint32_t cost;
} wishes;

static void read_wishes(lua_State *L, weir_lua *W, const char *who,
                        weir_request *request) {
  static const bind_option options[] = {
    { "timeout", BIND_SECONDS, 0, 0, offsetof(wishes, timeout_ns),
      WEIR_NEVER - 1 },
    { "cost", BIND_COUNT, 1, WEIR_PERMITS_MAX, offsetof(wishes, cost), 0 },
    { NULL, BIND_COUNT, 0, 0, 0, 0 }
  };
  wishes w = { .timeout_ns = WEIR_NEVER, .cost = request->cost };
  bind_read_options(L, 2, who, options, &w);
  request->cost = w.cost;
  if (w.timeout_ns == WEIR_NEVER - 1)
    request->deadline = WEIR_NEVER; /* `false`: without the limiter's own */
  else if (w.timeout_ns != WEIR_NEVER)
    request->deadline = bind_now(W, true) + w.timeout_ns;
}

static int acquire_k(lua_State *L, int status, lua_KContext id) {
  weir_lua *W = bind_self(L);
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result))
    return bind_wait_again(L, id, acquire_k);
  if (result.verdict == WEIR_ADMITTED) {
    lua_pushvalue(L, 2); /* the permit; there may be a guard above it */
    bind_hold(L, lua_touserdata(L, -1), result.ticket, lua_upvalueindex(3));
    return 1;
  }
  return bind_limiter_refuse(L, W, 1, result.verdict, result.cost,
                             result.waited_ns);
}

static int request_permit(lua_State *L, const char *who, bool try_only) {
  const bind_limiter *self = bind_check_limiter(L, who);
  weir_lua *W = bind_check_open(L, self->W);
  weir_request request = { .cost = self->cost, .try_only = try_only };
  bind_permit *permit;
  weir_ticket ticket;
  weir_verdict verdict;
  uint32_t fiber;
  if (!lua_isnoneornil(L, 2)) read_wishes(L, W, who, &request);
  lua_settop(L, 1);
  permit = bind_permit_new(L, W, lua_upvalueindex(2));
  verdict = bind_limiter_request(L, W, self, 1, &request, &fiber, &ticket);
  if (verdict == WEIR_WAITING) return bind_wait(L, W, fiber, ticket, acquire_k);
  if (verdict != WEIR_ADMITTED)
    return bind_limiter_refuse(L, W, 1, verdict, request.cost, 0);
  bind_hold(L, permit, ticket, lua_upvalueindex(3));
  return 1;
}

/***
@type limiter
*/

/***
Waits for permits.
@function limiter:acquire
@tparam[opt] table options
@tparam[opt] number options.timeout seconds, instead of the limiter's; `false`:
as long as it takes
@tparam[opt] integer options.cost permits, instead of the limiter's
@treturn[1] permit
@treturn[2] nil
@treturn[2] table the refusal: `code` is full, timeout, closed, canceled,
impossible or exhausted; `limiter` its name, `waited` seconds, `cost` and
`limit` permits; tostring makes a sentence of it
*/
static int limiter_acquire(lua_State *L) {
  return request_permit(L, "limiter:acquire", false);
}

/***
Takes permits if they are free and nobody waits for them; never waits itself.
@function limiter:try_acquire
@tparam[opt] table options `cost`, as for @{limiter:acquire}
@treturn[1] permit
@treturn[2] nil
@treturn[2] table the refusal
*/
static int limiter_try_acquire(lua_State *L) {
  return request_permit(L, "limiter:try_acquire", true);
}

/* --- the rest ------------------------------------------------------------- */

/***
Changes a limiter while it is used. A raised limit admits at once whoever fits;
a lowered one takes nothing away and admits nobody until enough has come back.
@function limiter:set
@tparam table options `concurrent`, `queue` and `timeout`, as for @{limiter}
*/
static int limiter_set(lua_State *L) {
  weir_lua *W = bind_self(L);
  bind_limiter *self = bind_check_limiter(L, "limiter:set");
  settings s = { .cost = 1 };
  weir_limiter_config(space_of(W), self->handle, &s.config);
  lua_settop(L, 2);
  bind_read_options(L, 2, "limiter:set", changes, &s);
  weir_limiter_set(space_of(W), self->handle, &s.config, bind_now(W, true));
  bind_touch(W);
  return 0;
}

static void set_integer(lua_State *L, const char *key, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, key);
}

static void set_seconds(lua_State *L, const char *key, uint64_t ns) {
  bind_push_seconds(L, ns);
  lua_setfield(L, -2, key);
}

static void push_refused(lua_State *L, const weir_stats *stats) {
  lua_createtable(L, 0, WEIR_VERDICTS - WEIR_FULL);
  for (int v = WEIR_FULL; v < WEIR_VERDICTS; v++)
    set_integer(L, weir_verdict_name(v), stats->refused[v]);
}

static void push_waits(lua_State *L, const weir_wait_stats *wait) {
  lua_createtable(L, 0, 4);
  set_seconds(L, "p50", wait->p50);
  set_seconds(L, "p90", wait->p90);
  set_seconds(L, "p99", wait->p99);
  set_seconds(L, "max", wait->max);
}

/***
What a limiter does and has done.
@function limiter:stats
@treturn table `limit`, `in_use` and `waiting` now; `admitted` and `dropped`
(gave back by an error or by being dropped) since it was made; `refused`, a
table by code; `closed`; `wait`, a table of `p50`, `p90`, `p99` and `max`
seconds over all admitted
*/
static int limiter_stats(lua_State *L) {
  weir_lua *W = bind_self(L);
  const bind_limiter *self = bind_check_limiter(L, "limiter:stats");
  weir_stats stats;
  weir_limiter_stats(space_of(W), self->handle, &stats);
  lua_createtable(L, 0, 8);
  set_integer(L, "limit", stats.limit);
  set_integer(L, "in_use", stats.in_use);
  set_integer(L, "waiting", stats.waiting);
  set_integer(L, "admitted", stats.admitted);
  set_integer(L, "dropped", stats.dropped);
  lua_pushboolean(L, stats.closed);
  lua_setfield(L, -2, "closed");
  push_refused(L, &stats);
  lua_setfield(L, -2, "refused");
  push_waits(L, &stats.wait);
  lua_setfield(L, -2, "wait");
  return 1;
}

/***
Refuses all who wait and all who come; who holds permits gives them back as
usual.
@function limiter:close
*/
static int limiter_close(lua_State *L) {
  weir_lua *W = bind_self(L);
  const bind_limiter *self = bind_check_limiter(L, "limiter:close");
  weir_limiter_close(space_of(W), self->handle, bind_now(W, true));
  bind_touch(W);
  return 0;
}

static int drain_k(lua_State *L, int status, lua_KContext id) {
  weir_lua *W = bind_self(L);
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result))
    return bind_wait_again(L, id, drain_k);
  if (result.verdict != WEIR_ADMITTED)
    return bind_limiter_refuse(L, W, 1, result.verdict, 1, result.waited_ns);
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
  verdict = weir_drain(W->port, self->handle, &request, W->now, &ticket);
  if (verdict == WEIR_FULL) { /* it will take a wait */
    fiber = bind_wait_prepare(L, W, "limiter:drain");
    request.try_only = false;
    request.cookie = bind_fiber_id(W, fiber);
    verdict =
        weir_drain(W->port, self->handle, &request, bind_now(W, true), &ticket);
    if (verdict == WEIR_WAITING) return bind_wait(L, W, fiber, ticket, drain_k);
    bind_wait_skip(L, W, fiber);
  }
  if (verdict != WEIR_ADMITTED)
    return bind_limiter_refuse(L, W, 1, (weir_verdict)verdict, 1, 0);
  lua_pushboolean(L, 1);
  return 1;
}

/* tostring(limiter) */
static int limiter_tostring(lua_State *L) {
  weir_lua *W = bind_self(L);
  const bind_limiter *self = bind_check_limiter(L, "tostring");
  weir_stats stats;
  weir_limiter_stats(space_of(W), self->handle, &stats);
  bind_limiter_field(L, 1, BIND_LIMITER_LABEL);
  lua_pushfstring(L, "weir.limiter '%s': %d of %d permits in use, %d waiting",
                  lua_tostring(L, -1), (int)stats.in_use, (int)stats.limit,
                  (int)stats.waiting);
  return 1;
}

/* Whoever holds or waits goes on; the record goes with the last of them. */
static int limiter_gc(lua_State *L) {
  weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  const bind_limiter *self = lua_touserdata(L, 1);
  if (W->port && self->handle) weir_limiter_drop(space_of(W), self->handle);
  return 0;
}

/* The two that make permits have what they need for it at hand. */
static void register_requests(lua_State *L, int self) {
  static const luaL_Reg requests[] = { { "acquire", limiter_acquire },
                                       { "try_acquire", limiter_try_acquire },
                                       { NULL, NULL } };
  lua_rawgetp(L, LUA_REGISTRYINDEX, &LIMITER);
  lua_getfield(L, -1, "__index");
  lua_pushvalue(L, self);
  bind_push_permit_metatable(L);
  bind_push_table(L, BIND_HELD);
  luaL_setfuncs(L, requests, 3);
  lua_pop(L, 2);
}

void bind_open_limiter(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "limiter", new_limiter },
                                        { "semaphore", new_semaphore },
                                        { "rate_limit", rate_limit },
                                        { NULL, NULL } };
  static const luaL_Reg methods[] = {
    { "wrap", bind_wrap },      { "set", limiter_set },
    { "stats", limiter_stats }, { "close", limiter_close },
    { "drain", limiter_drain }, { NULL, NULL }
  };
  static const luaL_Reg metamethods[] = { { "__call", bind_wrap },
                                          { "__tostring", limiter_tostring },
                                          { "__gc", limiter_gc },
                                          { NULL, NULL } };
  bind_register(L, self, functions);
  bind_register_type(L, self, &LIMITER, "weir.limiter", methods, metamethods);
  register_requests(L, self);
}
