/*
** look.c - what limiters say of themselves: stats, waits, keys, HTTP fields.
*/
#include <string.h>

#include <weir_text.h>

#include "../status/rank.h"
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

/***
@type limiter
*/

/* A key at `index`, which may be absent; NULL then. Raises where a key makes no
** sense. */
static const void *optional_key(lua_State *L, const bind_limiter *self,
                                int index, const char *who, uint32_t *size) {
  *size = 0;
  if (lua_isnoneornil(L, index)) return NULL;
  if (!self->keyed) luaL_error(L, "%s: this limiter has no keys", who);
  return bind_check_key(L, index, who, "the key", size);
}

/* --- stats ---------------------------------------------------------------- */

static void push_verdicts(lua_State *L, const uint64_t *counts,
                          weir_verdict first) {
  lua_createtable(L, 0, WEIR_VERDICTS);
  for (int v = (int)first; v < WEIR_VERDICTS; v++)
    bind_set_integer(L, weir_verdict_name(v), counts[v]);
}

static void push_waits(lua_State *L, const weir_wait_stats *wait) {
  lua_createtable(L, 0, 4);
  bind_set_seconds(L, "p50", wait->p50);
  bind_set_seconds(L, "p90", wait->p90);
  bind_set_seconds(L, "p99", wait->p99);
  bind_set_seconds(L, "max", wait->max);
}

static int push_stats(lua_State *L, const weir_stats *stats) {
  lua_createtable(L, 0, 18);
  if (stats->limit) bind_set_integer(L, "limit", stats->limit);
  bind_set_integer(L, "in_use", stats->in_use);
  bind_set_integer(L, "waiting", stats->waiting);
  bind_set_integer(L, "keys", stats->keys);
  bind_set_integer(L, "generation", stats->changes);
  bind_set_integer(L, "admitted", stats->admitted);
  bind_set_integer(L, "dropped", stats->dropped);
  bind_set_integer(L, "unused", stats->unused);
  lua_pushboolean(L, stats->closed);
  lua_setfield(L, -2, "closed");
  push_verdicts(L, stats->refused, WEIR_FULL);
  lua_setfield(L, -2, "refused");
  push_verdicts(L, stats->would, WEIR_ADMITTED);
  lua_setfield(L, -2, "would");
  push_waits(L, &stats->wait);
  lua_setfield(L, -2, "wait");
  return 1;
}

static void push_key(lua_State *L, const weir_key_info *info) {
  lua_createtable(L, 0, 8);
  bind_set_string(L, "key", info->label);
  if (info->limit) bind_set_integer(L, "limit", info->limit);
  bind_set_integer(L, "in_use", info->in_use);
  bind_set_integer(L, "waiting", info->waiting);
  bind_set_integer(L, "admitted", info->admitted);
  bind_set_integer(L, "refused", info->refused);
}

static void set_quota(lua_State *L, const weir_quota *quota) {
  if (quota->left <= WEIR_PERMITS_MAX) bind_set_integer(L, "left", quota->left);
  if (quota->retry_ns != WEIR_NEVER)
    bind_set_seconds(L, "retry_after", quota->retry_ns);
  bind_set_seconds(L, "reset_after", quota->reset_ns);
}

static int push_key_stats(lua_State *L, const bind_limiter *self,
                          const void *key, uint32_t size) {
  const bind_space *space = self->space;
  weir_request request = { .key = key, .key_size = size };
  weir_key_info info;
  weir_quota quota;
  bind_check(L, space, "limiter:stats",
             weir_key_inspect(space->space, self->handle, key, size, &info));
  bind_check(L, space, "limiter:stats",
             weir_limiter_quota(space->space, self->handle, &request,
                                bind_now(space->W, true), &quota));
  push_key(L, &info);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "key"); /* all of it */
  set_quota(L, &quota);
  return 1;
}

/* Who it is; handles of different spaces may be equal. */
static void set_identity(lua_State *L, const bind_limiter *self) {
  const char *url = self->space->url;
  bind_limiter_field(L, 1, BIND_LIMITER_LABEL);
  lua_setfield(L, -2, "name");
  if (!self->space->shared) {
    bind_set_integer(L, "id", self->handle);
    return;
  }
  bind_set_string(L, "space", url);
  lua_pushfstring(L, "%s %I", url, (lua_Integer)self->handle);
  lua_setfield(L, -2, "id");
}

/***
What a limiter does and has done.
@function limiter:stats
@tparam[opt] string key of a limiter that has keys: only this one's `key`,
`limit`, `in_use`, `waiting`, `admitted`, `refused`, and `left` (calls that
would be admitted now), `retry_after` and `reset_after` in seconds
@treturn table `name` (or the file and line it was made at), `space` ("shm:api",
if it is in one) and `id`, a number or a string that all objects of one limiter
have; `generation`, how many times it was configured, in whichever process;
`limit` (nil: not limited), `in_use`,
`waiting` and `keys` now; `admitted`, `dropped` (gave back by an error or by
being dropped) and `unused` since it was made; `refused`, a table by code;
`would`, the same for a dry run; `closed`; `wait`, a table of `p50`, `p90`,
`p99` and `max` seconds over all admitted
*/
static int limiter_stats(lua_State *L) {
  const bind_limiter *self = bind_check_limiter(L, "limiter:stats");
  const bind_space *space = self->space;
  weir_stats stats;
  uint32_t size;
  const void *key = optional_key(L, self, 2, "limiter:stats", &size);
  if (key) return push_key_stats(L, self, key, size);
  bind_check(L, space, "limiter:stats",
             weir_limiter_stats(space->space, self->handle, &stats));
  push_stats(L, &stats);
  set_identity(L, self);
  return 1;
}

/* --- waits ---------------------------------------------------------------- */

enum { BOUNDS_MAX = 64 };

static const char WAITS[] = "limiter:waits";

/* Reads bound `i` of the list at `index`, from 1. */
static void read_bound(lua_State *L, int index, lua_Integer i,
                       uint64_t *bounds) {
  bind_option option = { .kind = BIND_SECONDS };
  uint64_t *bound = &bounds[i - 1];
  option.name = lua_pushfstring(L, "bound %I", i);
  lua_geti(L, index, i);
  bind_read_option(L, lua_gettop(L), WAITS, &option, bound);
  if (i > 1 && *bound <= bounds[i - 2])
    luaL_error(L, "%s: %s must be more than the one before", WAITS,
               option.name);
  lua_pop(L, 2);
}

/* Reads the list of bounds at `index`; answers how many there are. Raises. */
static uint32_t read_bounds(lua_State *L, int index, uint64_t *bounds) {
  lua_Integer count = lua_istable(L, index) ? luaL_len(L, index) : -1;
  if (count < 0 || count > BOUNDS_MAX)
    bind_expected(L, WAITS, NULL, "a list of at most 64 numbers of seconds",
                  index);
  for (lua_Integer i = 1; i <= count; i++) read_bound(L, index, i, bounds);
  return (uint32_t)count;
}

/***
How long the admitted waited, for a histogram.
@function limiter:waits
@tparam table bounds a list of at most 64 numbers of seconds, ascending
@treturn table for each bound, how many waited at most that long, within 3.2 %
@treturn number the sum of all waits in seconds
@treturn integer how many there are
*/
static int limiter_waits(lua_State *L) {
  const bind_limiter *self = bind_check_limiter(L, WAITS);
  uint64_t bounds[BOUNDS_MAX], counts[BOUNDS_MAX], sum = 0, count = 0;
  uint32_t n = read_bounds(L, 2, bounds);
  bind_check_open(L, self->space, WAITS);
  bind_check(L, self->space, WAITS,
             weir_limiter_waits(self->space->space, self->handle, bounds,
                                counts, n, &sum, &count));
  lua_createtable(L, (int)n, 0);
  for (uint32_t i = 0; i < n; i++) {
    lua_pushinteger(L, (lua_Integer)counts[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  bind_push_seconds(L, sum);
  lua_pushinteger(L, (lua_Integer)count);
  return 3;
}

/* --- the busiest keys ----------------------------------------------------- */

enum { TOP_MAX = 1000 };

/***
The busiest keys: those that use and wait for most now, then those that asked
most often since they were made.
@function limiter:top
@tparam[opt=10] integer n how many, up to 1000
@treturn table a list of `key` (its begin, fit to be read), `limit`, `in_use`,
`waiting`, `admitted` and `refused`
*/
static int limiter_top(lua_State *L) {
  static const bind_option option = {
    .name = "n", .kind = BIND_COUNT, .min = 1, .max = TOP_MAX
  };
  const bind_limiter *self = bind_check_limiter(L, "limiter:top");
  uint32_t most = 10, count = 0, cursor = 0;
  weir_key_info info, *top;
  if (!lua_isnoneornil(L, 2))
    bind_read_option(L, 2, "limiter:top", &option, &most);
  top = lua_newuserdatauv(L, most * sizeof *top, 0);
  bind_check_open(L, self->space, "limiter:top");
  while (weir_key_walk(self->space->space, self->handle, &cursor, &info))
    count = weir_rank_key(top, count, most, &info);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    push_key(L, &top[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* --- HTTP fields ---------------------------------------------------------- */

/* One that was cut off must not be sent. */
static void end_field(char *field, size_t written, size_t size) {
  if (!written || written >= size) *field = '\0';
}

void bind_write_http(lua_State *L, int limiter, const bind_knowledge *known,
                     bind_http *out) {
  const weir_quota *quota = &known->quota;
  const char *name;
  bind_limiter_field(L, limiter, BIND_LIMITER_LABEL);
  name = lua_tostring(L, -1);
  end_field(
      out->policy,
      weir_http_policy(name, &known->config, out->policy, sizeof out->policy),
      sizeof out->policy);
  end_field(out->limit,
            weir_http_ratelimit(name, &known->config, &known->key, quota,
                                out->limit, sizeof out->limit),
            sizeof out->limit);
  *out->retry = '\0';
  if (quota->retry_ns)
    end_field(
        out->retry,
        weir_http_retry_after(quota->retry_ns, out->retry, sizeof out->retry),
        sizeof out->retry);
  lua_pop(L, 1);
}

int bind_look(const bind_limiter *limiter, const weir_request *request,
              bind_knowledge *out) {
  const weir_space *space = limiter->space->space;
  bool timed = limiter->space->shared;
  int error = weir_limiter_config(space, limiter->handle, &out->config);
  if (!error)
    error = weir_key_inspect(space, limiter->handle, request->key,
                             request->key_size, &out->key);
  if (error) return error;
  timed = timed || weir_limiter_timed(space, limiter->handle);
  return weir_limiter_quota(space, limiter->handle, request,
                            bind_now(limiter->space->W, timed), &out->quota);
}

static void set_field(lua_State *L, const char *name, const char *value) {
  if (*value) bind_set_string(L, name, value);
}

/***
What HTTP says of a limiter: its policy, what is left of it, and, if a call
would not be admitted now, when to come again.
@function limiter:headers
@tparam[opt] string key whose, if the limiter has keys
@tparam[opt=1] integer cost of the call
@treturn table `RateLimit-Policy`, `RateLimit` and `Retry-After`, those that
there is something to say by
*/
static int limiter_headers(lua_State *L) {
  static const bind_option cost = {
    .name = "cost", .kind = BIND_COUNT, .min = 1, .max = WEIR_PERMITS_MAX
  };
  static const char WHO[] = "limiter:headers";
  const bind_limiter *self = bind_check_limiter(L, WHO);
  weir_request request = { .cost = 1 };
  bind_knowledge known;
  bind_http http;
  request.key = optional_key(L, self, 2, WHO, &request.key_size);
  if (!lua_isnoneornil(L, 3)) bind_read_option(L, 3, WHO, &cost, &request.cost);
  bind_check(L, self->space, WHO, bind_look(self, &request, &known));
  bind_write_http(L, 1, &known, &http);
  lua_createtable(L, 0, 3);
  set_field(L, "RateLimit-Policy", http.policy);
  set_field(L, "RateLimit", http.limit);
  set_field(L, "Retry-After", http.retry);
  return 1;
}

void bind_open_look(lua_State *L, int self) {
  static const luaL_Reg methods[] = { { "stats", limiter_stats },
                                      { "waits", limiter_waits },
                                      { "top", limiter_top },
                                      { "headers", limiter_headers },
                                      { NULL, NULL } };
  bind_push_limiter_methods(L);
  bind_register(L, self, methods);
  lua_pop(L, 1);
}
