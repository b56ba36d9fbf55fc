/*
** replay_report.c - what came of a replay, as tables.
*/
#include "../core/memory.h"
#include "replay.h"

/***
Limit what runs at once.
@module weir
*/

void replay_count(replayer *R, const replay_request *request) {
  uint64_t now = replay_now(R);
  R->ended[request->end]++;
  if (request->end == REPLAY_PASSED) {
    uint64_t waited = request->began - request->arrived;
    if (waited)
      R->waited++;
    else
      R->at_once++;
    weir_histogram_add(&R->waits, &weir_memory_default, waited);
    weir_histogram_add(&R->times, &weir_memory_default, now - request->arrived);
    return;
  }
  if (request->end == REPLAY_REFUSED) R->refused[request->verdict]++;
  if (request->status < REPLAY_STATUSES) R->statuses[request->status]++;
  weir_replay_timeline_add(&R->timeline, WEIR_REPLAY_REFUSED);
}

void replay_note_error(lua_State *L, int self) {
  lua_Integer count;
  lua_getiuservalue(L, self, REPLAY_MESSAGES);
  lua_insert(L, -2);
  count = luaL_len(L, -2);
  luaL_tolstring(L, -1, NULL);
  if (count < REPLAY_ERRORS)
    lua_rawseti(L, -3, count + 1);
  else
    lua_pop(L, 1);
  lua_pop(L, 2);
}

/* --- logs ----------------------------------------------------------------- */

static void push_example(lua_State *L, const weir_log_example *example) {
  lua_createtable(L, 0, 4);
  bind_set_integer(L, "line", example->number);
  bind_set_integer(L, "column", example->at + (uint64_t)1);
  bind_set_string(L, "why", example->why);
  lua_pushlstring(L, example->text, example->size);
  lua_setfield(L, -2, "text");
}

/***
@type replayer
*/

/***
What was read of a log.
@function replayer:counts
@tparam integer log its number
@treturn table `lines`, `bytes`; of the lines `bad` and `none` (of no request)
were skipped, `late` came too late to be put in order, `timeless` do not say how
long the request took, `spread` had no fraction of a second; `examples` of bad
ones: `line`, `column`, `why`, `text`
*/
int replay_counts(lua_State *L) {
  const replayer *R = replay_check(L, "replayer:counts");
  lua_Integer source = luaL_checkinteger(L, 2);
  const weir_log_counts *counts;
  luaL_argcheck(L, source >= 1 && source <= R->sources, 2, "no such log");
  counts = weir_log_feed_counts(R->feed, (int)source - 1);
  lua_createtable(L, 0, 8);
  bind_set_integer(L, "lines", counts->lines);
  bind_set_integer(L, "bytes", counts->bytes);
  bind_set_integer(L, "bad", counts->bad);
  bind_set_integer(L, "none", counts->none);
  bind_set_integer(L, "late", counts->late);
  bind_set_integer(L, "timeless", counts->timeless);
  bind_set_integer(L, "spread", counts->spread);
  lua_createtable(L, (int)counts->examples, 0);
  for (uint32_t i = 0; i < counts->examples; i++) {
    push_example(L, &counts->example[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "examples");
  return 1;
}

/* --- requests ------------------------------------------------------------- */

static void set_counts(lua_State *L, const replayer *R) {
  bind_set_integer(L, "requests", R->arrived);
  bind_set_integer(L, "at_once", R->at_once);
  bind_set_integer(L, "waited", R->waited);
  bind_set_integer(L, "refused", R->ended[REPLAY_REFUSED]);
  bind_set_integer(L, "answered", R->ended[REPLAY_ANSWERED]);
  bind_set_integer(L, "failed", R->ended[REPLAY_FAILED]);
  bind_set_integer(L, "unfinished", R->active);
  bind_set_integer(L, "errors", R->errors);
}

/* Those that are not zero, by their names. */
static void set_verdicts(lua_State *L, const char *key,
                         const uint64_t *counts) {
  lua_newtable(L);
  for (int v = WEIR_FULL; v < WEIR_VERDICTS; v++)
    if (counts[v]) bind_set_integer(L, weir_verdict_name(v), counts[v]);
  lua_setfield(L, -2, key);
}

static void set_statuses(lua_State *L, const replayer *R) {
  lua_newtable(L);
  for (int i = 0; i < REPLAY_STATUSES; i++) {
    if (!R->statuses[i]) continue;
    lua_pushinteger(L, R->statuses[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setfield(L, -2, "statuses");
}

static void set_histogram(lua_State *L, const char *key,
                          const weir_histogram *histogram, uint64_t count) {
  weir_wait_stats stats;
  weir_histogram_read(histogram, &stats);
  lua_createtable(L, 0, 5);
  bind_set_seconds(L, "p50", stats.p50);
  bind_set_seconds(L, "p90", stats.p90);
  bind_set_seconds(L, "p99", stats.p99);
  bind_set_seconds(L, "max", stats.max);
  bind_set_seconds(L, "mean", count ? histogram->sum / count : 0);
  lua_setfield(L, -2, key);
}

static void set_times(lua_State *L, const replayer *R) {
  set_histogram(L, "wait", &R->waits, R->ended[REPLAY_PASSED]);
  set_histogram(L, "time", &R->times, R->ended[REPLAY_PASSED]);
  bind_set_seconds(L, "first", R->base);
  bind_set_seconds(L, "last", R->base + R->last);
  bind_set_seconds(L, "span", R->last);
}

static void set_highest(lua_State *L, const replayer *R) {
  const uint32_t *highest = R->timeline.highest;
  bind_set_integer(L, "in_flight", highest[WEIR_REPLAY_IN_FLIGHT]);
  bind_set_integer(L, "waiting", highest[WEIR_REPLAY_WAITING]);
  bind_set_integer(L, "without", highest[WEIR_REPLAY_WITHOUT]);
}

/* --- the timeline --------------------------------------------------------- */

static void set_list(lua_State *L, const weir_replay_timeline *timeline,
                     const char *key, int count, int level) {
  lua_createtable(L, (int)timeline->used, 0);
  for (uint32_t i = 0; i < timeline->used; i++) {
    const weir_replay_bucket *bucket = &timeline->buckets[i];
    lua_pushinteger(L, count >= 0 ? (lua_Integer)bucket->counts[count]
                                  : (lua_Integer)bucket->levels[level]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, key);
}

static void set_timeline(lua_State *L, const weir_replay_timeline *timeline) {
  lua_createtable(L, 0, 6);
  bind_set_seconds(L, "width", timeline->width_ns);
  set_list(L, timeline, "arrived", WEIR_REPLAY_ARRIVED, -1);
  set_list(L, timeline, "refused", WEIR_REPLAY_REFUSED, -1);
  set_list(L, timeline, "in_flight", -1, WEIR_REPLAY_IN_FLIGHT);
  set_list(L, timeline, "waiting", -1, WEIR_REPLAY_WAITING);
  set_list(L, timeline, "without", -1, WEIR_REPLAY_WITHOUT);
  lua_setfield(L, -2, "timeline");
}

/* --- keys ----------------------------------------------------------------- */

/* Pushes what a key's limiter is called; the policy may have closed its
** space. */
static void push_limiter(lua_State *L, const weir_lua *W,
                         const weir_replay_key *key) {
  const bind_space *space = &W->home;
  if (space != key->space) space = W->opened;
  while (space && space != key->space) space = space->next;
  if (space && space->port)
    bind_push_limiter_label(L, space, key->limiter);
  else
    lua_pushliteral(L, "a limiter of a closed space");
}

/* Pushes what became of a key; "~" stands for the part of it that was not
** kept. */
static void push_key(lua_State *L, const weir_lua *W,
                     const weir_replay_key *key) {
  bool cut = key->size > WEIR_REPLAY_KEY;
  uint64_t waited = key->at_once + key->waited;
  lua_createtable(L, 0, 9);
  lua_pushlstring(L, key->key, cut ? (size_t)WEIR_REPLAY_KEY : key->size);
  if (cut) {
    lua_pushliteral(L, "~");
    lua_concat(L, 2);
  }
  lua_setfield(L, -2, "key");
  push_limiter(L, W, key);
  lua_setfield(L, -2, "limiter");
  bind_set_integer(L, "at_once", key->at_once);
  bind_set_integer(L, "waited", key->waited);
  bind_set_integer(L, "affected", weir_replay_toll_of(key));
  set_verdicts(L, "refused", key->refused);
  bind_set_seconds(L, "wait_max", key->longest_ns);
  bind_set_seconds(L, "wait_mean", waited ? key->wait_ns / waited : 0);
}

/* Pushes a list of the keys that were affected most. */
static void push_keys(lua_State *L, const replayer *R, lua_Integer most) {
  const weir_replay_key **keys =
      lua_newuserdatauv(L, (R->toll.count + (size_t)1) * sizeof *keys, 0);
  weir_replay_toll_sort(&R->toll, keys);
  lua_newtable(L);
  for (lua_Integer i = 0; i < most && i < R->toll.count; i++) {
    push_key(L, R->W, keys[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_remove(L, -2);
}

/***
What came of it.
@function replayer:results
@tparam[opt=20] integer keys how many of the most affected keys to tell of
@treturn table `requests`, which is the sum of `at_once`, `waited` (both were
let through), `refused` by limiters, `answered` by the policy, `failed` and
`unfinished`; `codes` and `statuses` of refusals and answers; `errors` beside
those; `wait` and `time` (until it is over) as `p50`, `p90`, `p99`, `max` and
`mean`; `in_flight`, `waiting` and `without` a policy, the highest of each;
`timeline`; `keys`, and how many were `forgotten`; `messages` of errors;
`first`, `last` (seconds since 1970) and `span`
*/
int replay_results(lua_State *L) {
  const replayer *R = replay_check(L, "replayer:results");
  lua_Integer keys = luaL_optinteger(L, 2, 20);
  luaL_checkstack(L, LUA_MINSTACK, "weir");
  lua_createtable(L, 0, 24);
  set_counts(L, R);
  set_verdicts(L, "codes", R->refused);
  set_statuses(L, R);
  set_times(L, R);
  set_highest(L, R);
  set_timeline(L, &R->timeline);
  push_keys(L, R, keys);
  lua_setfield(L, -2, "keys");
  bind_set_integer(L, "forgotten", R->toll.forgotten);
  lua_getiuservalue(L, 1, REPLAY_MESSAGES);
  lua_setfield(L, -2, "messages");
  return 1;
}
