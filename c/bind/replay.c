/*
** replay.c - `weir.replayer`: access logs run through a policy.
*/
#include <stdlib.h>
#include <string.h>

#include "replay.h"

/***
Limit what runs at once.
@module weir
*/

static const char REPLAYER; /* tag, and registry key of the metatable */

enum {
  SPINS = 1000, /* turns in which tasks may give way without time going on */
  WIDTH_NS = 1000000, /* of the timeline's buckets, at first */
  SERVICES_MAX = 1000000
};

/* Nothing happens to any request for so long: nothing will. */
static const uint64_t STUCK_NS = UINT64_C(3600) * BIND_S_TO_NS;

replayer *replay_check(lua_State *L, const char *who) {
  replayer *R = bind_test(L, 1, &REPLAYER, sizeof *R);
  if (!R) {
    lua_pushfstring(L, "a replayer (call it as %s(...))", who);
    bind_expected(L, who, NULL, lua_tostring(L, -1), 1);
  } else if (!R->feed) {
    luaL_error(L, "%s: this replayer is closed", who);
  }
  return R;
}

/* --- what limiters do ----------------------------------------------------- */

/* The request that the decider decided; of one that all admitted, each. */
static void tell_key(replayer *R, const bind_request *request, uint32_t i,
                     int verdict, uint32_t fiber) {
  const weir_request *one = &request->requests[i];
  weir_replay_key *key;
  if (!one->key) return;
  key = weir_replay_toll_key(&R->toll, request->space, request->limiters[i],
                             one->key, one->key_size);
  if (!key) return;
  if (verdict == WEIR_WAITING)
    weir_replay_toll_wait(&R->toll, key, fiber);
  else
    weir_replay_toll_tell(key, (weir_verdict)verdict, 0);
}

static void asked(void *data, const bind_request *request, int verdict,
                  uint32_t fiber) {
  for (uint32_t i = 0; i < request->count; i++)
    if (verdict == WEIR_ADMITTED || request->limiters[i] == request->decider)
      tell_key(data, request, i, verdict, fiber);
}

static void decided(void *data, uint32_t fiber, weir_verdict verdict,
                    uint64_t waited_ns) {
  weir_replay_toll_end(&((replayer *)data)->toll, fiber, verdict, waited_ns);
}

/* --- time ----------------------------------------------------------------- */

/* Those that would be over without a policy. */
static void end_without(replayer *R, uint64_t now) {
  if (weir_replay_times_first(&R->ends) > now) return;
  while (weir_replay_times_first(&R->ends) <= now)
    weir_replay_times_drop(&R->ends);
  weir_replay_timeline_set(&R->timeline, WEIR_REPLAY_WITHOUT, R->ends.count);
}

static void move_timeline(replayer *R, uint64_t now) {
  uint64_t end;
  while ((end = weir_replay_timeline_end(&R->timeline)) <= now) {
    end_without(R, end - 1);
    weir_replay_timeline_move(&R->timeline, end);
  }
  end_without(R, now);
}

static void set_levels(replayer *R) {
  weir_replay_timeline_set(&R->timeline, WEIR_REPLAY_IN_FLIGHT, R->in_service);
  weir_replay_timeline_set(&R->timeline, WEIR_REPLAY_WAITING,
                           R->active - R->in_service);
}

static int raise_failure(lua_State *L) {
  return bind_raise_failure(L, lua_touserdata(L, 1));
}

/* An error of a task that a handler has started and nobody joins. */
static void take_failure(lua_State *L, replayer *R) {
  lua_pushcfunction(L, raise_failure);
  lua_pushlightuserdata(L, R->W);
  lua_pcall(L, 1, 0, 0);
  R->errors++;
  replay_note_error(L, 1);
}

/* Lets all go on that can, now. */
static void settle(lua_State *L, replayer *R) {
  weir_lua *W = R->W;
  int spins = 0;
  do {
    W->stepping = true;
    W->outcome = WEIR_DONE;
    bind_drive_bare(L, W, INT32_MAX);
    bind_run_queue_end_frame(W);
    W->stepping = false;
    if (W->failed) take_failure(L, R);
  } while (W->run_first && ++spins < SPINS);
  set_levels(R);
}

/* Something is due. */
static void turn(lua_State *L, replayer *R, uint64_t now) {
  bind_set_time(R->W, now);
  move_timeline(R, now);
  settle(L, R);
}

/* When something is due next, at most `until`; else WEIR_NEVER. */
static uint64_t next_due(const replayer *R, uint64_t until) {
  uint64_t due = bind_next_deadline(R->W);
  if (due == WEIR_NEVER || due - BIND_VIRTUAL_ZERO > until) return WEIR_NEVER;
  due -= BIND_VIRTUAL_ZERO;
  return due < replay_now(R) ? replay_now(R) : due;
}

/* Goes through all that is due until a time. */
static void pass_time(lua_State *L, replayer *R, uint64_t until) {
  uint64_t due;
  while ((due = next_due(R, until)) != WEIR_NEVER) turn(L, R, due);
}

/* The log is over: what is there comes to its end. */
static void drain(lua_State *L, replayer *R) {
  uint64_t due;
  while (R->active && (due = next_due(R, R->progress + STUCK_NS)) != WEIR_NEVER)
    turn(L, R, due);
}

/* --- requests ------------------------------------------------------------- */

static uint64_t draw_service(replayer *R, const weir_log_record *record) {
  if (R->services_count)
    return R->services[weir_replay_random(&R->random) % R->services_count];
  return record->has_service ? record->service_ns : 0;
}

/* As if there were no policy. */
static bool come_without(replayer *R, uint64_t now, uint64_t service_ns) {
  uint64_t end = weir_replay_serve(&R->without, now, service_ns);
  if (end == WEIR_NEVER || !weir_replay_times_add(&R->ends, end)) return false;
  weir_replay_timeline_set(&R->timeline, WEIR_REPLAY_WITHOUT, R->ends.count);
  return true;
}

static bool make_room(replayer *R, uint32_t id) {
  uint32_t room = R->room ? R->room : 64;
  replay_request *requests;
  if (id < R->room) return true;
  while (id >= room) room *= 2;
  requests = realloc(R->requests, room * sizeof *requests);
  if (!requests) return false;
  memset(requests + R->room, 0, (room - R->room) * sizeof *requests);
  R->requests = requests;
  R->room = room;
  return true;
}

static void set_request(replayer *R, const weir_log_record *record,
                        uint64_t now, uint64_t service_ns) {
  replay_request *request = &R->requests[record->id];
  uint32_t generation = request->generation + 1;
  *request = (replay_request){ .arrived = now,
                               .service_ns = service_ns,
                               .generation = generation,
                               .active = true };
  R->arrived++;
  R->active++;
  R->progress = R->last = now;
}

static void arrive(lua_State *L, replayer *R, weir_log_record *record) {
  uint64_t now = record->arrival_ns - R->base;
  uint64_t service_ns = draw_service(R, record);
  pass_time(L, R, now);
  R->W->now = now + BIND_VIRTUAL_ZERO;
  move_timeline(R, now);
  weir_replay_timeline_add(&R->timeline, WEIR_REPLAY_ARRIVED);
  if (!make_room(R, record->id) || !come_without(R, now, service_ns))
    luaL_error(L, "not enough memory");
  set_request(R, record, now, service_ns);
  replay_start(L, 1, R, record);
  settle(L, R);
}

/* --- methods -------------------------------------------------------------- */

static int check_source(lua_State *L, const replayer *R, const char *who) {
  bind_option option = { .name = "the log's number",
                         .kind = BIND_COUNT,
                         .min = 1 };
  uint32_t source;
  option.max = (uint32_t)R->sources;
  bind_read_option(L, 2, who, &option, &source);
  return (int)source - 1;
}

/***
@type replayer
*/

/***
Adds a log.
@function replayer:add
@tparam string format "combined", "common", "nginx", "json", "haproxy", or a
string as nginx's log_format has it
@treturn[1] integer the log's number, from 1
@treturn[2] nil
@treturn[2] string what is wrong with the format
*/
static int add(lua_State *L) {
  replayer *R = replay_check(L, "replayer:add");
  weir_log_format *format = lua_newuserdatauv(L, sizeof *format, 0);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  const char *why = weir_log_compile(text, size, format);
  int number = why ? -1 : weir_log_feed_add(R->feed, format);
  if (number >= 0) {
    R->sources = number + 1;
    lua_pushinteger(L, number + 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, why ? why : "there are too many logs");
  return 2;
}

/***
The next bytes of a log.
@function replayer:feed
@tparam integer log its number
@tparam ?string bytes nil: it is over
*/
static int feed(lua_State *L) {
  replayer *R = replay_check(L, "replayer:feed");
  int source = check_source(L, R, "replayer:feed");
  size_t size;
  const char *bytes = luaL_optlstring(L, 3, NULL, &size);
  bool fed = bytes ? weir_log_feed_bytes(R->feed, source, bytes, size)
                   : weir_log_feed_end(R->feed, source);
  if (!fed) return luaL_error(L, "not enough memory");
  return 0;
}

/* Pushes why no request is there. */
static int push_state(lua_State *L, weir_log_state state, int source) {
  static const char *const names[] = { "ready", "hungry", "over", "stopped" };
  if (state == WEIR_LOG_NO_MEMORY) return luaL_error(L, "not enough memory");
  lua_pushstring(L, names[state]);
  lua_pushinteger(L, source + 1);
  return 2;
}

/* Virtual time is to begin with the first request. */
static weir_log_state find_begin(replayer *R, int *source) {
  weir_log_state state = WEIR_LOG_RECORD;
  if (!R->first) state = weir_log_feed_next(R->feed, &R->first, source);
  if (state != WEIR_LOG_RECORD) return state;
  R->base = R->first->arrival_ns;
  R->W->epoch = R->base;
  return state;
}

/***
Finds out when the first request comes: virtual time begins there, and
@{now} is 0. To be called before a policy is loaded.
@function replayer:start
@treturn string "ready"; "hungry": `feed` it first; "over": there is none;
"stopped": of a strict one, a line is bad
@treturn number seconds since 1970; or of which log
*/
static int start(lua_State *L) {
  replayer *R = replay_check(L, "replayer:start");
  int source = -1;
  weir_log_state state = find_begin(R, &source);
  if (state != WEIR_LOG_RECORD) return push_state(L, state, source);
  bind_set_time(R->W, 0);
  push_state(L, state, source);
  lua_pop(L, 1);
  bind_push_seconds(L, R->base);
  return 2;
}

static void begin(lua_State *L, replayer *R) {
  weir_lua *W = R->W;
  if (!R->first)
    luaL_error(L, "replayer:run: call replayer:start first, until it is ready");
  if (W->observer) luaL_error(L, "replayer:run: another replayer is running");
  replay_prepare(L, 1, 2);
  R->begun = true;
  R->observer = (bind_observer){ R, asked, decided };
  W->observer = &R->observer;
  weir_replay_timeline_init(&R->timeline, WIDTH_NS);
}

static weir_log_state next(replayer *R, weir_log_record **record, int *source) {
  *record = R->first;
  R->first = NULL;
  if (*record) return WEIR_LOG_RECORD;
  return weir_log_feed_next(R->feed, record, source);
}

/* lua_CFunction: (replayer) -> state, log */
static int run_on(lua_State *L) {
  replayer *R = lua_touserdata(L, 1);
  weir_log_record *record;
  weir_log_state state;
  int source = -1;
  while ((state = next(R, &record, &source)) == WEIR_LOG_RECORD)
    arrive(L, R, record);
  if (state == WEIR_LOG_OVER && !R->over) {
    drain(L, R);
    R->over = true;
  }
  return push_state(L, state, source);
}

/***
Runs requests through a handler, as far as there are some. In the first call the
options are given.
@function replayer:run
@tparam[opt] table options
@tparam function options.handler of a policy
@tparam function options.trace makes what is told of an error of it
@tparam function options.judge (request, ok, ...) says what became of it
@tparam table options.kind of requests, see `weir.request`
@tparam table options.state the key of what a request keeps for its host
@tparam[opt] function options.each is told of each request that is over: what
became of it ("passed", "refused", "answered", "failed"), the code of a refusal
or nil, the line's number, the log's, and the seconds at which it came, began to
be served (or nil) and was over
@treturn string "hungry", "over" or "stopped"
@treturn integer which log
*/
static int run(lua_State *L) {
  replayer *R = replay_check(L, "replayer:run");
  int status;
  lua_settop(L, 2);
  if (R->W->running || R->W->driving)
    return luaL_error(L, "replayer:run: tasks are being run already");
  if (!R->begun) begin(L, R);
  R->W->driving = true;
  lua_pushcfunction(L, run_on);
  lua_pushvalue(L, 1);
  status = lua_pcall(L, 1, 2, 0);
  R->W->driving = false;
  return status == LUA_OK ? 2 : lua_error(L);
}

/* How far it is: lines, virtual time and, by which it can be told how fast, the
** machine's, both in seconds. */
static int progress(lua_State *L) {
  const replayer *R = replay_check(L, "replayer:progress");
  uint64_t lines = 0;
  for (int i = 0; i < R->sources; i++)
    lines += weir_log_feed_counts(R->feed, i)->lines;
  lua_pushinteger(L, (lua_Integer)lines);
  bind_push_seconds(L, replay_now(R));
  bind_push_seconds(L, weir_loop_now());
  return 3;
}

static void free_all(replayer *R) {
  weir_log_feed_free(R->feed);
  R->feed = NULL;
  free(R->requests);
  free(R->idle);
  R->requests = NULL;
  R->idle = NULL;
  R->room = 0;
  weir_replay_server_free(&R->server);
  weir_replay_server_free(&R->without);
  weir_replay_times_free(&R->ends);
  weir_replay_toll_free(&R->toll);
  if (R->W->observer == &R->observer) R->W->observer = NULL;
}

/***
Frees it, and ends all tasks.
@function replayer:close
*/
static int replayer_close(lua_State *L) {
  replayer *R = bind_test(L, 1, &REPLAYER, sizeof *R);
  if (!R || !R->feed) return 0;
  if (R->begun && !R->W->driving) bind_cancel_all(L, R->W);
  bind_claim_all(R->W);
  free_all(R);
  for (int i = 1; i <= REPLAY_VALUES; i++) {
    lua_pushnil(L);
    lua_setiuservalue(L, 1, i);
  }
  return 0;
}

static int replayer_gc(lua_State *L) {
  replayer *R = lua_touserdata(L, 1);
  if (R->feed) free_all(R);
  return 0;
}

/* --- making one ----------------------------------------------------------- */

typedef struct settings {
  uint64_t window_ns, lookback_ns;
  uint32_t held, capacity, seed;
  bool spread, strict;
} settings;

static void ignore(lua_State *L, int index, const char *who,
                   const bind_option *option, void *out) {
  (void)who;
  (void)option;
  (void)out;
  luaL_checktype(L, index, LUA_TTABLE);
}

#define AT(field) offsetof(settings, field)

static const bind_option OPTIONS[] = {
  { .name = "window", .kind = BIND_SECONDS, .offset = AT(window_ns) },
  { .name = "lookback", .kind = BIND_SECONDS, .offset = AT(lookback_ns) },
  { .name = "held",
    .kind = BIND_COUNT,
    .min = 1,
    .max = 100000000,
    .offset = AT(held) },
  { .name = "capacity",
    .kind = BIND_COUNT,
    .min = 1,
    .max = WEIR_PERMITS_MAX,
    .offset = AT(capacity) },
  { .name = "seed", .kind = BIND_COUNT, .max = UINT32_MAX, .offset = AT(seed) },
  { .name = "spread", .kind = BIND_FLAG, .offset = AT(spread) },
  { .name = "strict", .kind = BIND_FLAG, .offset = AT(strict) },
  { .name = "services", .kind = BIND_OTHER, .read = ignore },
  { .name = NULL }
};

#undef AT

/* Reads the list of seconds at the top of the stack (popped) into memory that
** the replayer keeps. */
static void read_services(lua_State *L, int self, replayer *R) {
  lua_Integer count = luaL_len(L, -1);
  bind_option option = { .name = "a service time", .kind = BIND_SECONDS };
  uint64_t *services;
  if (count < 1 || count > SERVICES_MAX)
    luaL_error(L, "weir.replayer: services must be a list of seconds");
  services = lua_newuserdatauv(L, (size_t)count * sizeof *services, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, -2, i + 1);
    bind_read_option(L, lua_gettop(L), "weir.replayer", &option, &services[i]);
    lua_pop(L, 1);
  }
  lua_setiuservalue(L, self, REPLAY_SERVICES);
  R->services = services;
  R->services_count = (uint32_t)count;
  lua_pop(L, 1);
}

static replayer *push_replayer(lua_State *L, weir_lua *W, const settings *s) {
  replayer *R = lua_newuserdatauv(L, sizeof *R, REPLAY_VALUES);
  weir_log_options options = { s->window_ns, s->lookback_ns, s->held, s->spread,
                               s->strict };
  memset(R, 0, sizeof *R);
  R->tag = &REPLAYER;
  R->W = W;
  R->random = s->seed;
  R->server.capacity = R->without.capacity = s->capacity;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &REPLAYER);
  lua_setmetatable(L, -2);
  R->feed = weir_log_feed_new(&options);
  if (!R->feed) luaL_error(L, "not enough memory");
  return R;
}

/***
@section weir
*/

/***
Makes what runs access logs through a policy, in virtual time: `weir replay` is
made of it. Where there is an event loop it cannot be.
@function replayer
@tparam[opt] table options
@tparam[opt=60] number options.window seconds that lines may be out of order
@tparam[opt=60] number options.lookback seconds that a request may take and
still be put in order, where lines are written at its end
@tparam[opt=32768] integer options.held lines at most that are held for that
@tparam[opt=true] boolean options.spread times without a fraction over their
second
@tparam[opt=false] boolean options.strict stop at the first bad line
@tparam[opt] table options.services seconds that serving a request takes, each
as likely; else it is as logged
@tparam[opt] integer options.capacity how many the server serves at once
@tparam[opt=0] integer options.seed of what is random
@treturn replayer
*/
static int new_replayer(lua_State *L) {
  weir_lua *W = bind_self(L);
  settings s = { .window_ns = (uint64_t)60 * BIND_S_TO_NS,
                 .lookback_ns = (uint64_t)60 * BIND_S_TO_NS,
                 .spread = true };
  replayer *R;
  int self;
  lua_settop(L, 1);
  if (W->home.loop)
    return luaL_error(L, "weir.replayer: the time belongs to the event loop");
  if (!lua_isnil(L, 1)) bind_read_options(L, 1, "weir.replayer", OPTIONS, &s);
  R = push_replayer(L, W, &s);
  self = lua_gettop(L);
  if (lua_isnil(L, 1)) return 1;
  if (lua_getfield(L, 1, "services") == LUA_TTABLE) read_services(L, self, R);
  lua_settop(L, self);
  return 1;
}

void bind_open_replay(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "replayer", new_replayer },
                                        { NULL, NULL } };
  static const luaL_Reg methods[] = { { "add", add },
                                      { "feed", feed },
                                      { "start", start },
                                      { "run", run },
                                      { "field", replay_field },
                                      { "names", replay_names },
                                      { "progress", progress },
                                      { "counts", replay_counts },
                                      { "results", replay_results },
                                      { "close", replayer_close },
                                      { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__gc", replayer_gc },
                                          { "__close", replayer_close },
                                          { NULL, NULL } };
  bind_register(L, self, functions);
  bind_register_type(L, self, &REPLAYER, "weir.replayer", methods, metamethods);
}
