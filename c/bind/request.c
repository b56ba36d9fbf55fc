/*
** request.c - asking: limiter:acquire, limiter:try_acquire, and what they share
** with calls.
*/
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

/***
@type limiter
*/

/* --- whose permits -------------------------------------------------------- */

/* No fiber's id has this bit: a generation would have to be that large. */
static const uint64_t STRANGER = (uint64_t)1 << 63;

uint64_t bind_owner(lua_State *L) { return STRANGER | (uint64_t)(uintptr_t)L; }

/* Whether a request would wait without an end. */
static bool waits_for_ever(const bind_request *request) {
  uint64_t deadline = request->requests[0].deadline;
  weir_config config;
  for (uint32_t i = 0; !deadline && i < request->count; i++) {
    if (weir_limiter_config(request->space->space, request->limiters[i],
                            &config) ||
        config.timeout_ns != WEIR_NEVER)
      return false;
  }
  return !deadline || deadline == WEIR_NEVER;
}

static void set_cookie(bind_request *request, uint64_t cookie) {
  for (uint32_t i = 0; i < request->count; i++)
    request->requests[i].cookie = cookie;
}

/* The first of those asked whose permits all belong to the requests' cookie;
** 0: none. */
static weir_limiter find_own(const bind_request *request) {
  const weir_port *port = request->space->port;
  for (uint32_t i = 0; port && i < request->count; i++)
    if (weir_holds_all(port, request->limiters[i], &request->requests[i]))
      return request->limiters[i];
  return 0;
}

/* The same, after those permits that nobody can reach any more have come back;
** 0 as well for a wait that has an end. */
static weir_limiter own_limiter(lua_State *L, const bind_request *request) {
  if (!find_own(request) || !waits_for_ever(request)) return 0;
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return find_own(request);
}

static int raise_reentry(lua_State *L, const bind_space *space,
                         weir_limiter limiter) {
  bind_push_limiter_label(L, space, limiter);
  return luaL_error(L,
                    "limiter '%s': this coroutine would wait for ever: it "
                    "holds every permit there is itself; release one first, "
                    "or give a timeout if somebody else will",
                    lua_tostring(L, -1));
}

/* --- asking --------------------------------------------------------------- */

/* Raises where nothing can wait; otherwise the fiber that will. */
static uint32_t prepare_to_wait(lua_State *L, weir_lua *W, int limiter) {
  uint32_t fiber;
  bind_limiter_field(L, limiter, BIND_LIMITER_LABEL);
  lua_pushfstring(L, "a call limited by '%s'", lua_tostring(L, -1));
  fiber = bind_wait_prepare(L, W, lua_tostring(L, -1));
  lua_pop(L, 2);
  return fiber;
}

/* Another limiter object of the same name may have changed that meanwhile. */
static bool needs_exact_time(const bind_request *request) {
  if (request->space->shared || request->requests[0].deadline) return true;
  for (uint32_t i = 0; i < request->count; i++)
    if (weir_limiter_timed(request->space->space, request->limiters[i]))
      return true;
  return false;
}

/* A finalizer may have closed the space a moment ago. */
static int acquire(bind_request *request, uint64_t now, weir_ticket *ticket) {
  weir_port *port = request->space->port;
  *ticket = 0;
  if (!port) return BIND_E_CLOSED;
  return weir_acquire_all(port, request->limiters, request->requests,
                          request->count, now, ticket, &request->decider);
}

static void withdraw(const bind_request *request, weir_ticket ticket) {
  weir_cancel(request->space->port, ticket, bind_time(request->space, false));
}

/* Asks once more, in the name of a fiber that can wait. */
static int ask_to_wait(lua_State *L, int limiter, bind_request *request,
                       uint32_t *fiber, weir_ticket *ticket) {
  weir_lua *W = request->space->W;
  weir_limiter own = lua_isyieldable(L) ? own_limiter(L, request) : 0;
  int verdict;
  if (own) raise_reentry(L, request->space, own);
  *fiber = prepare_to_wait(L, W, limiter);
  set_cookie(request, bind_fiber_id(W, *fiber));
  verdict = acquire(request, bind_now(W, true), ticket);
  if (verdict == WEIR_WAITING) return verdict;
  if (*ticket) weir_set_cookie(request->space->port, *ticket, bind_owner(L));
  bind_wait_skip(L, W, *fiber);
  return verdict;
}

/* A request from a coroutine that is no running task, or from none at all. It
** looks first, since what is needed to wait may raise; in a shared space
** another process may come in between. */
static int ask_outside(lua_State *L, int limiter, bind_request *request,
                       uint32_t *fiber, weir_ticket *ticket) {
  const bind_space *space = request->space;
  uint64_t now = bind_now(space->W, needs_exact_time(request));
  int verdict;
  set_cookie(request, bind_owner(L));
  verdict = weir_peek_all(space->port, request->limiters, request->requests,
                          request->count, now);
  if (verdict != WEIR_WAITING) {
    verdict = acquire(request, now, ticket);
    if (verdict != WEIR_WAITING) return verdict;
    withdraw(request, *ticket);
  }
  return ask_to_wait(L, limiter, request, fiber, ticket);
}

static int ask_in_task(lua_State *L, int limiter, bind_request *request,
                       uint32_t *fiber, weir_ticket *ticket) {
  weir_lua *W = request->space->W;
  weir_limiter own;
  int verdict;
  set_cookie(request, W->current_id);
  verdict = acquire(request, bind_now(W, needs_exact_time(request)), ticket);
  *fiber = W->current;
  if (verdict != WEIR_WAITING) return verdict;
  if (!lua_isyieldable(L)) {
    withdraw(request, *ticket);
    prepare_to_wait(L, W, limiter);
  }
  own = own_limiter(L, request);
  if (!request->space->port) return BIND_E_CLOSED;
  if (own) {
    withdraw(request, *ticket);
    raise_reentry(L, request->space, own);
  }
  return verdict;
}

weir_verdict bind_ask(lua_State *L, int limiter, bind_request *request,
                      uint32_t *fiber, weir_ticket *ticket) {
  bind_space *space = request->space;
  int verdict;
  bind_check_open(L, space, "weir");
  verdict = space->W->current_co == L
                ? ask_in_task(L, limiter, request, fiber, ticket)
                : ask_outside(L, limiter, request, fiber, ticket);
  bind_check(L, space, "weir", verdict);
  if (space->W->observer)
    space->W->observer->asked(space->W->observer->data, request, verdict,
                              verdict == WEIR_WAITING ? *fiber : 0);
  if (*ticket && space->W->traces) bind_trace(L, space, *ticket);
  return (weir_verdict)verdict;
}

uint32_t bind_refused_cost(const bind_request *request) {
  for (uint32_t i = 1; i < request->count; i++)
    if (request->limiters[i] == request->decider)
      return request->requests[i].cost;
  return request->requests[0].cost;
}

/* --- what functions say of a call ----------------------------------------- */

/* Pushes what a function of the limiter at `limiter` says of the arguments. */
static void ask_function(lua_State *L, int limiter, int field, int first,
                         int count) {
  luaL_checkstack(L, count + 4, "too many arguments");
  bind_limiter_field(L, limiter, field);
  for (int i = 0; i < count; i++) lua_pushvalue(L, first + i);
  lua_call(L, count, 1);
}

static void ask_cost(lua_State *L, int limiter, int first, int count,
                     weir_request *out) {
  static const bind_option option = { .name = "what the cost function returned",
                                      .kind = BIND_COUNT,
                                      .min = 1,
                                      .max = WEIR_PERMITS_MAX };
  ask_function(L, limiter, BIND_LIMITER_COST, first, count);
  bind_read_option(L, lua_gettop(L), "weir", &option, &out->cost);
  lua_pop(L, 1);
}

static void ask_priority(lua_State *L, int limiter, int first, int count,
                         weir_request *out) {
  static const bind_option option = { .name =
                                          "what the priority function returned",
                                      .kind = BIND_SIGNED,
                                      .min = (uint32_t)WEIR_PRIORITY_MIN,
                                      .max = WEIR_PRIORITY_MAX };
  int32_t priority;
  ask_function(L, limiter, BIND_LIMITER_PRIORITY, first, count);
  bind_read_option(L, lua_gettop(L), "weir", &option, &priority);
  out->priority = (int8_t)priority;
  lua_pop(L, 1);
}

const void *bind_check_key(lua_State *L, int index, const char *who,
                           const char *name, uint32_t *size) {
  size_t bytes = 0;
  const char *key = NULL;
  if (lua_type(L, index) == LUA_TSTRING) key = lua_tolstring(L, index, &bytes);
  if (!key || bytes > WEIR_KEY_MAX)
    bind_expected(L, who, name, "a string of at most 65535 bytes", index);
  *size = (uint32_t)bytes;
  return key;
}

/* Leaves a key or a flow on the stack; NULL for nil. */
static const void *ask_text(lua_State *L, int limiter, int field,
                            const char *name, int first, int count,
                            uint32_t *size) {
  ask_function(L, limiter, field, first, count);
  *size = 0;
  if (lua_isnil(L, -1)) return NULL;
  return bind_check_key(L, lua_gettop(L), "weir", name, size);
}

bool bind_ask_functions(lua_State *L, int limiter, int first, int count,
                        weir_request *out) {
  const bind_limiter *self = lua_touserdata(L, limiter);
  if (!self->cost) ask_cost(L, limiter, first, count, out);
  if (self->priority_function) ask_priority(L, limiter, first, count, out);
  if (self->key_function)
    out->key =
        ask_text(L, limiter, BIND_LIMITER_KEY, "what the key function returned",
                 first, count, &out->key_size);
  if (self->flow_function)
    out->flow = ask_text(L, limiter, BIND_LIMITER_FLOW,
                         "what the flow function returned", first, count,
                         &out->flow_size);
  return !self->key_function || out->key;
}

/* --- limiter:acquire ------------------------------------------------------ */

enum { LIMITER = 1, KEY, FLOW, PERMIT }; /* stack of acquire, while it waits */

/* What limiter:acquire{...} may say. */
typedef struct wishes {
  uint64_t timeout_ns;
  uint32_t cost;
  int32_t priority;
  const char *flow;
} wishes;

static void read_flow(lua_State *L, int index, const char *who,
                      const bind_option *option, void *out) {
  uint32_t size;
  bind_check_key(L, index, who, option->name, &size);
  ((wishes *)out)->flow = lua_tostring(L, index);
  lua_pushvalue(L, index);
  lua_replace(L, FLOW);
}

static const bind_option WISHES[] = {
  { .name = "timeout",
    .kind = BIND_SECONDS,
    .offset = offsetof(wishes, timeout_ns),
    .may_be_none = true,
    .none = WEIR_NEVER - 1 },
  { .name = "cost",
    .kind = BIND_COUNT,
    .min = 1,
    .max = WEIR_PERMITS_MAX,
    .offset = offsetof(wishes, cost) },
  { .name = "priority",
    .kind = BIND_SIGNED,
    .min = (uint32_t)WEIR_PRIORITY_MIN,
    .max = WEIR_PRIORITY_MAX,
    .offset = offsetof(wishes, priority) },
  { .name = "flow", .kind = BIND_OTHER, .read = read_flow },
  { .name = NULL }
};

/* Reads the options at `index`. */
static void read_wishes(lua_State *L, weir_lua *W, int index, const char *who,
                        weir_request *request) {
  wishes w = { .timeout_ns = WEIR_NEVER,
               .cost = request->cost,
               .priority = request->priority };
  bind_read_options(L, index, who, WISHES, &w);
  request->cost = w.cost;
  request->priority = (int8_t)w.priority;
  if (w.timeout_ns == WEIR_NEVER - 1)
    request->deadline = WEIR_NEVER; /* `false`: without the limiter's own */
  else if (w.timeout_ns != WEIR_NEVER)
    request->deadline = bind_now(W, true) + w.timeout_ns;
}

/* Puts ([key,] [options]) where they are kept: KEY and FLOW, the options last.
** A key stands where the limiter has keys, and nowhere else. */
static void read_arguments(lua_State *L, weir_lua *W, const bind_limiter *self,
                           const char *who, weir_request *request) {
  bool has_key = lua_type(L, KEY) == LUA_TSTRING;
  lua_settop(L, 3);
  if (!has_key) {
    if (!lua_isnil(L, 2) && !lua_istable(L, 2))
      bind_expected(
          L, who, NULL,
          self->keyed ? "a key (a string) and perhaps a table" : "a table", 2);
    if (self->keyed)
      luaL_error(L,
                 "%s: this limiter has keys: whose permit shall it be? Call "
                 "%s(key)",
                 who, who);
    lua_insert(L, 2); /* nil, for the key */
  } else if (!self->keyed) {
    luaL_error(L,
               "%s: this limiter has no keys: make it with keys = n or with "
               "a key function",
               who);
  } else {
    request->key = bind_check_key(L, KEY, who, "the key", &request->key_size);
  }
  lua_pushnil(L);
  lua_insert(L, FLOW); /* 1 limiter, 2 key, 3 flow, 4 options */
  if (!lua_isnil(L, 4)) read_wishes(L, W, 4, who, request);
  lua_settop(L, FLOW);
  if (!lua_isnil(L, FLOW))
    request->flow = bind_check_key(L, FLOW, who, "flow", &request->flow_size);
}

static int refused(lua_State *L, weir_verdict verdict, weir_limiter decider,
                   uint32_t cost, uint64_t waited_ns) {
  bind_refusal refusal = { .limiter = LIMITER,
                           .key = lua_isnil(L, KEY) ? 0 : KEY,
                           .verdict = verdict,
                           .cost = cost,
                           .waited_ns = waited_ns };
  if (bind_to_limiter(L, LIMITER)->members) {
    bind_push_member(L, LIMITER, decider);
    refusal.limiter = lua_gettop(L);
  }
  return bind_limiter_refuse(L, &refusal);
}

static int acquire_k(lua_State *L, int status, lua_KContext id) {
  const bind_limiter *self = lua_touserdata(L, LIMITER);
  weir_lua *W = bind_self(L);
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result))
    return bind_wait_again(L, id, acquire_k);
  if (result.verdict == WEIR_ADMITTED) {
    lua_pushvalue(L, PERMIT); /* there may be a guard above it */
    bind_hold(L, lua_touserdata(L, -1), self->space, result.ticket,
              lua_upvalueindex(3));
    return 1;
  }
  return refused(L, result.verdict, result.limiter, result.cost,
                 result.waited_ns);
}

/* Asks, and answers with a permit or a refusal, or waits. */
static int finish(lua_State *L, bind_request *request) {
  bind_space *space = request->space;
  bind_permit *permit = bind_permit_new(L, space->W, lua_upvalueindex(2));
  weir_ticket ticket;
  uint32_t fiber;
  weir_verdict verdict = bind_ask(L, LIMITER, request, &fiber, &ticket);
  if (verdict == WEIR_WAITING)
    return bind_wait(L, space, fiber, ticket, acquire_k);
  if (verdict != WEIR_ADMITTED)
    return refused(L, verdict, request->decider, bind_refused_cost(request), 0);
  bind_hold(L, permit, space, ticket, lua_upvalueindex(3));
  return 1;
}

/* Asks all members for the same. */
static int request_all(lua_State *L, const bind_limiter *self,
                       const weir_request *one) {
  weir_limiter limiters[WEIR_ALL_MAX];
  weir_request requests[WEIR_ALL_MAX];
  bind_request request = { self->space, self->members, limiters, requests, 0 };
  bind_limiter_field(L, LIMITER, BIND_LIMITER_MEMBERS);
  for (uint32_t i = 0; i < request.count; i++) {
    const bind_limiter *member;
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    member = lua_touserdata(L, -1);
    limiters[i] = member->handle;
    requests[i] = *one;
    if (!member->keyed) requests[i].key = NULL;
    if (!one->cost) requests[i].cost = member->cost;
    if (one->priority == BIND_THEIR_OWN)
      requests[i].priority = member->priority;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return finish(L, &request);
}

static int request_permit(lua_State *L, const char *who, bool try_only) {
  const bind_limiter *self = bind_check_asked(L, who);
  weir_request one = { .cost = self->cost,
                       .priority = self->priority,
                       .try_only = try_only };
  bind_request request = { self->space, 1, &self->handle, &one, 0 };
  if (lua_gettop(L) == 1 && !self->keyed)
    lua_settop(L, FLOW); /* nothing said: the common case */
  else
    read_arguments(L, self->space->W, self, who, &one);
  if (self->members) return request_all(L, self, &one);
  return finish(L, &request);
}

/***
Waits for permits, and for tokens of the rate.
@function limiter:acquire
@tparam[opt] string key whose, if the limiter has keys
@tparam[opt] table options
@tparam[opt] number options.timeout seconds, instead of the limiter's; `false`:
as long as it takes
@tparam[opt] integer options.cost permits, instead of the limiter's
@tparam[opt] integer options.priority from -16 to 15; the higher goes first
@tparam[opt] string options.flow whose turn it takes in order = "fair"
@treturn[1] permit
@treturn[2] nil
@treturn[2] table the refusal: `code` is full, timeout, closed, canceled,
impossible, doomed, exhausted or shed; `limiter` its name, `key`, `waited`
seconds, `retry_after` seconds if that is known, `cost` and `limit` permits;
tostring makes a sentence of it, `err:headers()` the HTTP fields
*/
static int limiter_acquire(lua_State *L) {
  return request_permit(L, "limiter:acquire", false);
}

/***
Takes permits if they are free and nobody goes first; never waits itself.
@function limiter:try_acquire
@tparam[opt] string key whose, if the limiter has keys
@tparam[opt] table options `cost`, `priority` and `flow`, as for
@{limiter:acquire}
@treturn[1] permit
@treturn[2] nil
@treturn[2] table the refusal
*/
static int limiter_try_acquire(lua_State *L) {
  return request_permit(L, "limiter:try_acquire", true);
}

/* The two that make permits have what they need for it at hand. */
void bind_open_request(lua_State *L, int self) {
  static const luaL_Reg requests[] = { { "acquire", limiter_acquire },
                                       { "try_acquire", limiter_try_acquire },
                                       { NULL, NULL } };
  bind_push_limiter_methods(L);
  lua_pushvalue(L, self);
  bind_push_permit_metatable(L);
  bind_push_table(L, BIND_HELD);
  luaL_setfuncs(L, requests, 3);
  lua_pop(L, 1);
}
