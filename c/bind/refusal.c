/*
** refusal.c - the error object of a refusal, and the sentence it reads as.
**
** { code =, waited =, limiter =, key =, retry_after =, cost =, limit =, rate =,
**   queue = } of a limiter, { code =, waited =, what = } of another wait
*/
#include <string.h>

#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

static const char REFUSAL; /* registry key of the metatable; in that of a
                              limiter's, key of the limiter */

/* Pushes nil and an object with what every refusal has. */
static void push_object(lua_State *L, weir_verdict verdict,
                        uint64_t waited_ns) {
  lua_pushnil(L);
  lua_createtable(L, 0, 8);
  bind_set_string(L, "code", weir_verdict_name(verdict));
  bind_set_seconds(L, "waited", waited_ns);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &REFUSAL);
  lua_setmetatable(L, -2);
}

int bind_refuse(lua_State *L, weir_verdict verdict, const char *what) {
  push_object(L, verdict, 0);
  bind_set_string(L, "what", what);
  return 2;
}

/* Pushes "100 per 1.0 s". */
static void push_rate(lua_State *L, const weir_rate *rate) {
  lua_pushfstring(L, "%I per %f s", (lua_Integer)rate->count,
                  (lua_Number)rate->per_ns / BIND_S_TO_NS);
}

static void set_config(lua_State *L, const weir_config *config) {
  if (config->concurrent) bind_set_integer(L, "limit", config->concurrent);
  if (config->rate.count) {
    push_rate(L, &config->rate);
    lua_setfield(L, -2, "rate");
  }
  if (config->queue != WEIR_UNBOUNDED)
    bind_set_integer(L, "queue", config->queue);
}

static int refusal_headers(lua_State *L);

/* Pushes the metatable of a limiter's refusals: as that of all others, but it
** and a `headers` method know the limiter. It is made with the first one. */
static void push_metatable(lua_State *L, int limiter) {
  if (bind_limiter_field(L, limiter, BIND_LIMITER_REFUSAL) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 4);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &REFUSAL);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, limiter);
  lua_pushcclosure(L, refusal_headers, 1);
  lua_setfield(L, -2, "headers");
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, limiter);
  lua_rawsetp(L, -2, &REFUSAL);
  lua_getiuservalue(L, limiter, 1);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, BIND_LIMITER_REFUSAL);
  lua_pop(L, 1);
}

/* What the limiter is, and, if that can be said, when to come again. */
static void set_limiter(lua_State *L, const bind_knowledge *known) {
  set_config(L, &known->config);
  if (known->config.adaptive.algorithm != WEIR_STATIC)
    bind_set_integer(L, "limit", known->key.limit);
  if (known->quota.retry_ns != WEIR_NEVER)
    bind_set_seconds(L, "retry_after", known->quota.retry_ns);
}

/* Of a space that was closed nothing is known. */
static bool look_at(const bind_limiter *limiter, const weir_request *request,
                    bind_knowledge *out) {
  return limiter->space->space && bind_look(limiter, request, out) == 0;
}

/* The object is on top. */
static void look_back(lua_State *L, const bind_limiter *limiter,
                      const weir_request *request) {
  weir_lua *W = limiter->space->W;
  W->refusal = NULL;
  if (!look_at(limiter, request, &W->known)) return;
  set_limiter(L, &W->known);
  W->refusal = lua_topointer(L, -1);
  W->refused_at = W->now;
}

int bind_limiter_refuse(lua_State *L, const bind_refusal *refusal) {
  const bind_limiter *limiter = lua_touserdata(L, refusal->limiter);
  weir_request request = { .cost = refusal->cost ? refusal->cost : 1 };
  size_t size = 0;
  push_object(L, refusal->verdict, refusal->waited_ns);
  bind_limiter_field(L, refusal->limiter, BIND_LIMITER_LABEL);
  lua_setfield(L, -2, "limiter");
  push_metatable(L, refusal->limiter);
  lua_setmetatable(L, -2);
  if (refusal->key && limiter->keyed) {
    lua_pushvalue(L, refusal->key);
    request.key = lua_tolstring(L, -1, &size);
    request.key_size = (uint32_t)size;
    lua_setfield(L, -2, "key");
  }
  bind_set_integer(L, "cost", request.cost);
  look_back(L, limiter, &request);
  return 2;
}

bool bind_push_refuser(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  if (lua_rawgetp(L, -1, &REFUSAL) == LUA_TNIL) {
    lua_pop(L, 2);
    return false;
  }
  lua_remove(L, -2);
  return true;
}

/* What was asked for, as a refusal says. Pushes one value. */
static weir_request request_of(lua_State *L, int refusal, bool keyed) {
  weir_request request = { .cost = 1 };
  lua_Integer cost;
  size_t size = 0;
  lua_getfield(L, refusal, "cost");
  cost = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (cost >= 1 && cost <= WEIR_PERMITS_MAX) request.cost = (uint32_t)cost;
  lua_getfield(L, refusal, "key");
  if (!keyed || lua_type(L, -1) != LUA_TSTRING) return request;
  request.key = lua_tolstring(L, -1, &size);
  request.key_size = size < WEIR_KEY_MAX ? (uint32_t)size : WEIR_KEY_MAX;
  return request;
}

/* Finds out what is known of a refusal. Mostly it is the one that was made
** last, in this very moment. Pushes a value, or none. */
static bool look_again(lua_State *L, int refusal, const bind_limiter *limiter) {
  weir_lua *W = limiter->space->W;
  weir_request request;
  if (W->refusal == lua_topointer(L, refusal) && W->refused_at == W->now)
    return true;
  request = request_of(L, refusal, limiter->keyed);
  W->refusal = NULL;
  return look_at(limiter, &request, &W->known);
}

bool bind_refusal_http(lua_State *L, int index, bind_http *out) {
  int top = lua_gettop(L);
  const bind_limiter *limiter;
  bool known;
  if (!bind_push_refuser(L, index)) return false;
  limiter = bind_to_limiter(L, -1);
  known = limiter && !limiter->members && look_again(L, index, limiter);
  if (known) bind_write_http(L, top + 1, &limiter->space->W->known, out);
  lua_settop(L, top);
  return known;
}

weir_verdict bind_refusal_verdict(lua_State *L, int index) {
  int verdict = 0;
  lua_getfield(L, index, "code");
  if (!lua_isstring(L, -1)) verdict = WEIR_VERDICTS;
  while (verdict < WEIR_VERDICTS &&
         strcmp(lua_tostring(L, -1), weir_verdict_name(verdict)) != 0)
    verdict++;
  lua_pop(L, 1);
  return (weir_verdict)verdict;
}

/* --- sentences ------------------------------------------------------------ */

/* A field as text, "?" if somebody changed it; pushes one value. */
static const char *text(lua_State *L, const char *field) {
  lua_getfield(L, 1, field);
  return lua_isstring(L, -1) ? lua_tostring(L, -1) : "?";
}

static bool has(lua_State *L, const char *field) {
  bool present = lua_getfield(L, 1, field) != LUA_TNIL;
  lua_pop(L, 1);
  return present;
}

static const char *push_waited(lua_State *L) {
  lua_getfield(L, 1, "waited");
  return lua_pushfstring(L, "%f s", lua_tonumber(L, -1));
}

/* Pushes "its 3 permits are taken or waited for", "its rate is used up". */
static const char *push_reason(lua_State *L) {
  bool permits = has(L, "limit"), rate = has(L, "rate");
  const char *limit = permits ? text(L, "limit") : "";
  const char *tokens = rate ? text(L, "rate") : "";
  if (permits && rate)
    return lua_pushfstring(L,
                           "its %s permits are taken or waited for, or its "
                           "rate of %s is used up",
                           limit, tokens);
  if (rate) return lua_pushfstring(L, "its rate of %s is used up", tokens);
  return lua_pushfstring(L, "its %s permits are taken or waited for", limit);
}

/* Pushes "; try again in 0.25 s", or "". */
static const char *push_advice(lua_State *L) {
  if (lua_getfield(L, 1, "retry_after") != LUA_TNUMBER ||
      lua_tonumber(L, -1) <= 0)
    return lua_pushliteral(L, "");
  return lua_pushfstring(L, "; try again in %f s", lua_tonumber(L, -1));
}

static void push_full(lua_State *L, const char *label) {
  const char *reason = push_reason(L), *advice = push_advice(L);
  if (has(L, "queue"))
    lua_pushfstring(L, "%s is full: %s, and at most %s may wait%s", label,
                    reason, text(L, "queue"), advice);
  else
    lua_pushfstring(L, "%s is full: %s%s", label, reason, advice);
}

static void push_impossible(lua_State *L, const char *label) {
  const char *cost = text(L, "cost");
  if (!has(L, "rate"))
    lua_pushfstring(L,
                    "%s can never admit this call: it costs %s permits and "
                    "there are only %s",
                    label, cost, text(L, "limit"));
  else
    lua_pushfstring(L,
                    "%s can never admit this call: it costs %s, which is more "
                    "than its permits or the burst of its rate",
                    label, cost);
}

static void push_exhausted(lua_State *L, const char *label) {
  if (has(L, "key"))
    lua_pushfstring(L, "%s has no place for another key: all are active",
                    label);
  else
    lua_pushfstring(L, "%s has no memory for another call", label);
}

static int push_sentence(lua_State *L, weir_verdict verdict,
                         const char *label) {
  switch (verdict) {
  case WEIR_FULL: push_full(L, label); break;
  case WEIR_TIMEOUT:
    lua_pushfstring(L, "%s gave no permit in time, after %s", label,
                    push_waited(L));
    break;
  case WEIR_CLOSED:
    lua_pushfstring(L, "%s is closed and takes no more calls", label);
    break;
  case WEIR_CANCELED:
    lua_pushfstring(L, "the wait for %s was canceled after %s", label,
                    push_waited(L));
    break;
  case WEIR_IMPOSSIBLE: push_impossible(L, label); break;
  case WEIR_DOOMED:
    lua_pushfstring(L,
                    "%s cannot admit this call before its deadline, as fast "
                    "as its queue goes%s",
                    label, push_advice(L));
    break;
  case WEIR_EXHAUSTED: push_exhausted(L, label); break;
  case WEIR_SHED:
    lua_pushfstring(L,
                    "%s gave this call up after %s, since its queue is too "
                    "long",
                    label, push_waited(L));
    break;
  default: lua_pushfstring(L, "%s refused (%s)", label, text(L, "code"));
  }
  return 1;
}

/* Pushes "limiter 'api'", with the key it was asked for. */
static const char *push_name(lua_State *L) {
  const char *label = text(L, "limiter");
  if (has(L, "key"))
    return lua_pushfstring(L, "limiter '%s' for '%s'", label, text(L, "key"));
  return lua_pushfstring(L, "limiter '%s'", label);
}

/* tostring(err) */
static int refusal_tostring(lua_State *L) {
  weir_verdict verdict = bind_refusal_verdict(L, 1);
  luaL_checkstack(L, LUA_MINSTACK, "weir");
  if (has(L, "limiter")) return push_sentence(L, verdict, push_name(L));
  lua_pushfstring(L, "%s: %s", text(L, "what"), text(L, "code"));
  return 1;
}

/***
What a refused request is told.
@type refusal
*/

/***
What HTTP would say of it: a table of `Retry-After`, `RateLimit` and
`RateLimit-Policy`, those that there is something to say by; see
@{limiter:headers}.
@function refusal:headers
@treturn table
*/
static int refusal_headers(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (!bind_to_limiter(L, lua_upvalueindex(1))) { /* another wait's */
    lua_newtable(L);
    return 1;
  }
  lua_getfield(L, lua_upvalueindex(1), "headers");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_getfield(L, 1, "key");
  lua_getfield(L, 1, "cost");
  lua_call(L, 3, 1);
  return 1;
}

void bind_open_refusal(lua_State *L, int self) {
  static const luaL_Reg methods[] = { { "headers", refusal_headers },
                                      { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__tostring", refusal_tostring },
                                          { NULL, NULL } };
  bind_register_type(L, self, &REFUSAL, "weir.refusal", methods, metamethods);
}
