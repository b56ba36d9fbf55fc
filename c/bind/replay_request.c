/*
** replay_request.c - a request of a log as a policy sees it, and its task.
**
** A request is a Lua table with a handle in [1]; what its line says of it is
** read when it is asked for. A task runs one request after the other: when one
** is over it waits, without a ticket, until it is given the next one.
*/
#include <stdlib.h>
#include <string.h>

#include "replay.h"

/* Upvalues of the functions here, after the runtime. */
enum { UP_REPLAYER = 2, UP_STATE };
enum { UP_HANDLER = 4, UP_TRACE, UP_JUDGE };           /* of the task */
enum { UP_REFUSED = 4, UP_STATUS, UP_BYTES, UP_TIME }; /* of req:proceed */
enum { UP_NAMES = 3, UP_OTHERS };                      /* of __index */

/* Stack of a request's task. */
enum { REQUEST = 1, TRACE, RESULT };

static replayer *self_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(UP_REPLAYER));
}

/* Of which request a handle is; NULL: it is over. */
static replay_request *find(const replayer *R, lua_Integer handle,
                            uint32_t *id) {
  replay_request *request;
  *id = (uint32_t)handle;
  if (*id >= R->room) return NULL;
  request = &R->requests[*id];
  return request->active && request->generation == (uint32_t)(handle >> 32)
             ? request
             : NULL;
}

/* The request at stack index 1, or raises. */
static replay_request *check(lua_State *L, const replayer *R, const char *who,
                             uint32_t *id) {
  replay_request *request = NULL;
  *id = 0;
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 1);
    request = find(R, lua_tointeger(L, -1), id);
    lua_pop(L, 1);
  }
  if (!request) luaL_error(L, "%s: this request is over", who);
  return request;
}

/* --- fields --------------------------------------------------------------- */

typedef enum field_kind {
  FIELD_METHOD = 1,
  FIELD_URI,
  FIELD_VERSION,
  FIELD_STATUS,
  FIELD_BYTES,
  FIELD_REMOTE_PORT,
  FIELD_VARIABLES /* from here on: one of VARIABLES */
} field_kind;

/* Fields that are what a variable of nginx's says. */
static const char *const VARIABLES[REPLAY_VARIABLES][2] = {
  { "remote_addr", "remote_addr" }, { "user_agent", "http_user_agent" },
  { "scheme", "scheme" },           { "server_name", "server_name" },
  { "id", "request_id" },           { "remote_user", "remote_user" }
};

static void push_names(lua_State *L) {
  static const char *const first[] = { "method", "uri",   "http_version",
                                       "status", "bytes", "remote_port" };
  lua_newtable(L);
  for (int i = 0; i < FIELD_VARIABLES - 1; i++) {
    lua_pushinteger(L, i + 1);
    lua_setfield(L, -2, first[i]);
  }
  for (int i = 0; i < REPLAY_VARIABLES; i++) {
    lua_pushinteger(L, FIELD_VARIABLES + i);
    lua_setfield(L, -2, VARIABLES[i][0]);
  }
}

/* Pushes what a part of the line says; nil: nothing. */
static void push_span(lua_State *L, const replayer *R,
                      const weir_log_record *record, weir_log_span span) {
  const char *text = weir_log_text(record);
  luaL_Buffer buffer;
  char *room;
  if (weir_log_is_absent(text, span)) {
    lua_pushnil(L);
  } else if (!memchr(text + span.at, '\\', span.size)) {
    lua_pushlstring(L, text + span.at, span.size);
  } else {
    room = luaL_buffinitsize(L, &buffer, span.size);
    luaL_pushresultsize(
        &buffer, weir_log_value(weir_log_feed_format(R->feed, record->source),
                                text, span, room));
  }
}

/* Pushes what the line says of a variable; nil: nothing. */
static void push_variable(lua_State *L, const replayer *R,
                          const weir_log_record *record, const char *name,
                          size_t size) {
  const weir_log_format *format = weir_log_feed_format(R->feed, record->source);
  uint16_t field = weir_log_find(format, name, size);
  if (field >= record->count)
    lua_pushnil(L);
  else
    push_span(L, R, record, record->fields[field]);
}

/* Looks them up anew: lines of JSON may have taught the format another name. */
static void map_variables(const weir_log_format *format, replay_map *map) {
  for (int i = 0; i < REPLAY_VARIABLES; i++)
    map->fields[i] =
        weir_log_find(format, VARIABLES[i][1], strlen(VARIABLES[i][1]));
  map->count = format->count;
}

/* Pushes what the line says of one of VARIABLES. */
static void push_known(lua_State *L, replayer *R, const weir_log_record *record,
                       int variable) {
  const weir_log_format *format = weir_log_feed_format(R->feed, record->source);
  replay_map *map = &R->maps[record->source];
  if (map->count != format->count) map_variables(format, map);
  if (map->fields[variable] >= record->count)
    lua_pushnil(L);
  else
    push_span(L, R, record, record->fields[map->fields[variable]]);
}

/* The same as a number; nil: it is none. */
static void push_number(lua_State *L, const replayer *R,
                        const weir_log_record *record, const char *name) {
  int is_number;
  lua_Integer n;
  push_variable(L, R, record, name, strlen(name));
  n = lua_tointegerx(L, -1, &is_number);
  lua_pop(L, 1);
  if (is_number)
    lua_pushinteger(L, n);
  else
    lua_pushnil(L);
}

static void push_bytes(lua_State *L, const replayer *R,
                       const weir_log_record *record) {
  const weir_log_format *format = weir_log_feed_format(R->feed, record->source);
  uint16_t field = format->roles[WEIR_LOG_BYTES];
  uint64_t n = 0;
  weir_log_span span;
  if (field >= record->count) {
    lua_pushnil(L);
    return;
  }
  span = record->fields[field];
  if (!weir_log_is_absent(weir_log_text(record), span))
    weir_log_number(weir_log_text(record) + span.at, span.size, INT64_MAX, &n);
  lua_pushinteger(L, (lua_Integer)n);
}

static void push_status(lua_State *L, const weir_log_record *record) {
  if (record->status)
    lua_pushinteger(L, record->status);
  else
    lua_pushnil(L);
}

/* Pushes "1.1", also where the line has "HTTP/1.1" by itself. */
static void push_version(lua_State *L, const replayer *R,
                         const weir_log_record *record) {
  static const char PROTOCOL[] = "server_protocol";
  const char *text;
  push_span(L, R, record, record->version);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  push_variable(L, R, record, PROTOCOL, sizeof PROTOCOL - 1);
  text = lua_tostring(L, -1);
  if (!text || strncmp(text, "HTTP/", 5) != 0) return;
  lua_pushstring(L, text + 5);
  lua_remove(L, -2);
}

static void push_field(lua_State *L, replayer *R, const weir_log_record *record,
                       lua_Integer field) {
  switch (field) {
  case FIELD_METHOD: push_span(L, R, record, record->method); return;
  case FIELD_URI: push_span(L, R, record, record->uri); return;
  case FIELD_VERSION: push_version(L, R, record); return;
  case FIELD_STATUS: push_status(L, record); return;
  case FIELD_BYTES: push_bytes(L, R, record); return;
  case FIELD_REMOTE_PORT: push_number(L, R, record, "remote_port"); return;
  default: push_known(L, R, record, (int)field - FIELD_VARIABLES);
  }
}

/* __index of a request: what its line says, or what other hosts' requests have
** as well, which follows from that. */
static int request_index(lua_State *L) {
  replayer *R = self_of(L);
  uint32_t id;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(UP_NAMES)) != LUA_TNUMBER) {
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(UP_OTHERS));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
  }
  check(L, R, "request", &id);
  push_field(L, R, weir_log_feed_record(R->feed, id), lua_tointeger(L, 3));
  return 1;
}

/* Of the request at index 2. */
static const weir_log_record *record_of(lua_State *L, const replayer *R) {
  uint32_t id;
  lua_remove(L, 1);
  check(L, R, "request", &id);
  return weir_log_feed_record(R->feed, id);
}

int replay_field(lua_State *L) {
  const replayer *R = replay_check(L, "replayer:field");
  const weir_log_record *record = record_of(L, R);
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  push_variable(L, R, record, name, size);
  return 1;
}

/* A list of the variables that the request's line has. */
int replay_names(lua_State *L) {
  const replayer *R = replay_check(L, "replayer:names");
  const weir_log_record *record = record_of(L, R);
  const weir_log_format *format = weir_log_feed_format(R->feed, record->source);
  lua_createtable(L, record->count, 0);
  for (uint16_t i = 0; i < record->count; i++) {
    const weir_log_field *field = &format->fields[i];
    lua_pushlstring(L, format->text + field->name, field->name_size);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* --- the end -------------------------------------------------------------- */

static void tell_each(lua_State *L, const replayer *R,
                      const weir_log_record *record,
                      const replay_request *request) {
  static const char *const names[] = { "passed", "refused", "answered",
                                       "failed" };
  luaL_checkstack(L, 10, "weir");
  lua_getiuservalue(L, lua_upvalueindex(UP_REPLAYER), REPLAY_EACH);
  lua_pushstring(L, names[request->end]);
  if (request->end == REPLAY_REFUSED)
    lua_pushstring(L, weir_verdict_name(request->verdict));
  else
    lua_pushnil(L);
  lua_pushinteger(L, (lua_Integer)record->number);
  lua_pushinteger(L, record->source + 1);
  bind_push_seconds(L, request->arrived);
  if (request->let_through)
    bind_push_seconds(L, request->began);
  else
    lua_pushnil(L);
  bind_push_seconds(L, replay_now(R));
  lua_call(L, 7, 0);
}

/* Its handler is over, and it has been served if it was let through. */
static void finish(lua_State *L, replayer *R, uint32_t id) {
  replay_request *request = &R->requests[id];
  weir_log_record *record = weir_log_feed_record(R->feed, id);
  replay_count(R, request);
  R->active--;
  R->progress = replay_now(R);
  if (R->each) tell_each(L, R, record, request);
  R->requests[id].active = false;
  weir_log_feed_release(R->feed, record);
}

static int next_k(lua_State *L, int status, lua_KContext context);

static bool grow_idle(replayer *R) {
  uint32_t room = R->idle_room ? 2 * R->idle_room : 64;
  uint64_t *idle = realloc(R->idle, room * sizeof *idle);
  if (!idle) return false;
  R->idle = idle;
  R->idle_room = room;
  return true;
}

/* The task has no request any more. One that somebody else has resumed ends. */
static int retire(lua_State *L, replayer *R) {
  weir_lua *W = R->W;
  bind_fiber *fiber = bind_fiber_at(W, W->current);
  if (W->current_co != L) return 0;
  if (R->idle_count == R->idle_room && !grow_idle(R)) return 0;
  R->idle[R->idle_count++] = bind_fiber_renew(W, W->current);
  fiber->state = BIND_WAITING;
  fiber->ticket = 0;
  lua_settop(L, 0);
  return lua_yieldk(L, 0, 0, next_k);
}

/* --- being served --------------------------------------------------------- */

/* Waits for the end of its service. */
static int serve(lua_State *L, replayer *R, replay_request *request,
                 lua_KFunction k) {
  weir_lua *W = R->W;
  uint32_t fiber = bind_wait_prepare(L, W, "req:proceed");
  uint64_t end =
      weir_replay_serve(&R->server, replay_now(R), request->service_ns);
  weir_ticket ticket;
  if (end == WEIR_NEVER) luaL_error(L, "not enough memory");
  ticket = bind_park(L, W, fiber, end + BIND_VIRTUAL_ZERO);
  request->began = replay_now(R);
  request->let_through = true;
  R->in_service++;
  return bind_wait(L, &W->home, fiber, ticket, k);
}

static void served(replayer *R, replay_request *request) {
  request->served = true;
  R->in_service--;
}

/* A server that failed, or whose client went away, makes a limit that is found
** by itself go down. */
static void set_outcome(weir_lua *W, const weir_log_record *record) {
  bool dropped = record->status >= 500 || record->status == 499;
  W->outcome = dropped ? WEIR_DROPPED : WEIR_DONE;
}

/* Pushes what req:proceed answers. */
static void push_response(lua_State *L, const replayer *R, uint32_t id) {
  const weir_log_record *record = weir_log_feed_record(R->feed, id);
  const replay_request *request = &R->requests[id];
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, lua_upvalueindex(UP_STATUS));
  push_status(L, record);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(UP_BYTES));
  push_bytes(L, R, record);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(UP_TIME));
  bind_push_seconds(L, replay_now(R) - request->began);
  lua_rawset(L, -3);
}

static int proceed_k(lua_State *L, int status, lua_KContext wait) {
  replayer *R = self_of(L);
  replay_request *request;
  bind_result result;
  uint32_t id;
  (void)status;
  if (!bind_wait_over(L, R->W, wait, &result))
    return bind_wait_again(L, wait, proceed_k);
  request = check(L, R, "req:proceed", &id);
  served(R, request);
  set_outcome(R->W, weir_log_feed_record(R->feed, id));
  push_response(L, R, id);
  if (request->handled) finish(L, R, id);
  return 1;
}

/* Whether a request keeps something for its host: req:refuse was called. */
static bool has_state(lua_State *L) {
  bool has;
  lua_pushvalue(L, lua_upvalueindex(UP_STATE));
  has = lua_rawget(L, 1) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

/* req:proceed() */
static int proceed(lua_State *L) {
  replayer *R = self_of(L);
  uint32_t id;
  replay_request *request = check(L, R, "req:proceed", &id);
  lua_settop(L, 1);
  if (has_state(L)) {
    lua_pushvalue(L, lua_upvalueindex(UP_REFUSED)); /* raises if it was */
    lua_pushvalue(L, 1);
    lua_call(L, 1, 0);
  }
  if (request->let_through)
    return luaL_error(L, "req:proceed: the request has proceeded already");
  return serve(L, R, request, proceed_k);
}

/* Whether a request has proceeded. */
static int proceeded(lua_State *L) {
  uint32_t id;
  lua_pushboolean(L, check(L, self_of(L), "request", &id)->let_through);
  return 1;
}

/* --- its task ------------------------------------------------------------- */

static int pass_k(lua_State *L, int status, lua_KContext wait) {
  replayer *R = self_of(L);
  bind_result result;
  uint32_t id;
  (void)status;
  if (!bind_wait_over(L, R->W, wait, &result))
    return bind_wait_again(L, wait, pass_k);
  served(R, check(L, R, "request", &id));
  finish(L, R, id);
  return retire(L, R);
}

static bool is_ok(int status) {
  return status == LUA_OK || status == LUA_YIELD;
}

/* Whether a handler that returned lets its request pass, without asking. */
static bool passes(lua_State *L, int status) {
  return is_ok(status) && lua_toboolean(L, RESULT) && !has_state(L);
}

static weir_verdict verdict_of(const char *code) {
  int v = WEIR_FULL;
  while (v < WEIR_VERDICTS - 1 && strcmp(code, weir_verdict_name(v)) != 0) v++;
  return (weir_verdict)v;
}

/* Asks the judge, who answers "pass", "refuse" with code and status, "answer"
** with a status, or "fail" with a message. */
static void judge(lua_State *L, bool ok, replay_request *request) {
  const char *said;
  lua_settop(L, RESULT + 1);
  lua_pushvalue(L, lua_upvalueindex(UP_JUDGE));
  lua_pushvalue(L, REQUEST);
  lua_pushboolean(L, ok);
  lua_pushvalue(L, RESULT);
  lua_pushvalue(L, RESULT + 1);
  lua_call(L, 4, 3);
  said = lua_tostring(L, -3);
  request->end = REPLAY_PASSED;
  if (strcmp(said, "refuse") == 0) {
    request->end = REPLAY_REFUSED;
    request->verdict = (uint8_t)verdict_of(lua_tostring(L, -2));
    request->status = (uint16_t)lua_tointeger(L, -1);
  } else if (strcmp(said, "answer") == 0) {
    request->end = REPLAY_ANSWERED;
    request->status = (uint16_t)lua_tointeger(L, -2);
  } else if (strcmp(said, "fail") == 0) {
    request->end = REPLAY_FAILED;
    lua_pop(L, 1);
    replay_note_error(L, lua_upvalueindex(UP_REPLAYER));
  }
}

/* What was let through stays so, whatever its handler says thereafter. */
static void conclude(lua_State *L, replayer *R, int status,
                     replay_request *request) {
  bool let_through = request->let_through;
  if (passes(L, status)) {
    request->end = REPLAY_PASSED;
  } else {
    judge(L, is_ok(status), request);
    if (let_through && request->end == REPLAY_FAILED) R->errors++;
  }
  if (let_through) request->end = REPLAY_PASSED;
  request->handled = true;
}

static int handled_k(lua_State *L, int status, lua_KContext context) {
  replayer *R = self_of(L);
  uint32_t id;
  replay_request *request = check(L, R, "request", &id);
  (void)context;
  R->W->outcome = WEIR_DONE;
  conclude(L, R, status, request);
  lua_settop(L, REQUEST);
  if (request->end == REPLAY_PASSED && !request->let_through)
    return serve(L, R, request, pass_k);
  if (!request->let_through || request->served) finish(L, R, id);
  return retire(L, R);
}

/* Pushes the table of a request that begins. */
static void push_request(lua_State *L, const replayer *R, uint32_t id) {
  uint64_t handle = (uint64_t)R->requests[id].generation << 32 | id;
  lua_createtable(L, 1, 0);
  lua_pushinteger(L, (lua_Integer)handle);
  lua_rawseti(L, -2, 1);
  lua_getiuservalue(L, lua_upvalueindex(UP_REPLAYER), REPLAY_KIND);
  lua_setmetatable(L, -2);
}

/* The task is given a request, or somebody else has resumed it. */
static int next_k(lua_State *L, int status, lua_KContext context) {
  replayer *R = self_of(L);
  (void)status;
  (void)context;
  lua_settop(L, 0);
  if (R->W->current_co != L || !R->starting) return lua_yieldk(L, 0, 0, next_k);
  push_request(L, R, R->starting - 1);
  R->starting = 0;
  lua_pushvalue(L, lua_upvalueindex(UP_TRACE));
  lua_pushvalue(L, lua_upvalueindex(UP_HANDLER));
  lua_pushvalue(L, REQUEST);
  return handled_k(L, lua_pcallk(L, 1, 2, TRACE, 0, handled_k), 0);
}

/* The function of a task. */
static int request_main(lua_State *L) { return next_k(L, LUA_OK, 0); }

/* A task that has no request; 0: there is none. Somebody may have closed it. */
static uint32_t take_idle(replayer *R) {
  while (R->idle_count) {
    uint64_t id = R->idle[--R->idle_count];
    if (weir_slab_find(&R->W->fibers, id)) return (uint32_t)id;
  }
  return 0;
}

void replay_start(lua_State *L, int self, replayer *R,
                  const weir_log_record *record) {
  uint32_t fiber = take_idle(R);
  R->starting = record->id + 1;
  if (fiber) {
    bind_fiber_at(R->W, fiber)->state = BIND_RUNNABLE;
    bind_run_queue_add(R->W, fiber);
    return;
  }
  lua_getiuservalue(L, self, REPLAY_MAIN);
  bind_spawn(L, R->W, lua_gettop(L));
  lua_pop(L, 1);
}

/* --- before the first ----------------------------------------------------- */

/* Pushes a field of the options at `index`. */
static void push_option(lua_State *L, int index, const char *name, int type) {
  if (lua_getfield(L, index, name) != type)
    luaL_error(L, "replayer:run: %s must be a %s", name, lua_typename(L, type));
}

/* Pushes a function of these upvalues: the runtime, the replayer, the state's
** key, and `count` more that are on the stack. */
static void push_closure(lua_State *L, int self, int index, lua_CFunction fn,
                         int count) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, self);
  lua_getfield(L, index, "state");
  lua_rotate(L, -3 - count, 3);
  lua_pushcclosure(L, fn, 3 + count);
}

static void set_main(lua_State *L, int self, int index) {
  lua_getfield(L, index, "handler");
  bind_check_callable(L, lua_gettop(L), "replayer:run", "the handler");
  push_option(L, index, "trace", LUA_TFUNCTION);
  push_option(L, index, "judge", LUA_TFUNCTION);
  push_closure(L, self, index, request_main, 3);
  lua_setiuservalue(L, self, REPLAY_MAIN);
}

/* The metatable of requests: that of other hosts' ones, which is told how to
** proceed, and asked for what is in no line. */
static void set_kind(lua_State *L, int self, int index) {
  push_option(L, index, "kind", LUA_TFUNCTION);
  push_option(L, index, "refused", LUA_TFUNCTION);
  lua_pushliteral(L, "status");
  lua_pushliteral(L, "bytes");
  lua_pushliteral(L, "upstream_time");
  push_closure(L, self, index, proceed, 4);
  push_closure(L, self, index, proceeded, 0);
  lua_call(L, 2, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, self);
  push_names(L);
  lua_getfield(L, -4, "__index");
  lua_pushcclosure(L, request_index, 4);
  lua_setfield(L, -2, "__index");
  lua_setiuservalue(L, self, REPLAY_KIND);
}

void replay_prepare(lua_State *L, int self, int index) {
  replayer *R = lua_touserdata(L, self);
  luaL_checktype(L, index, LUA_TTABLE);
  set_main(L, self, index);
  set_kind(L, self, index);
  lua_getfield(L, index, "each");
  R->each = !lua_isnil(L, -1);
  lua_setiuservalue(L, self, REPLAY_EACH);
  lua_newtable(L);
  lua_setiuservalue(L, self, REPLAY_MESSAGES);
}
