/*
** call.c - a call of a limited function.
**
** The permit of a call is kept by a call record in a to-be-closed slot of the
** C frame around fn: it is given back when fn returns, raises, or is closed
** while suspended, and, since only the coroutine's stack refers to it, when
** the coroutine is collected. Records are used again: nobody else sees them.
**
** The stack of the frame: 1 the record, 2 fn, then its arguments, and while it
** is asked for, the limiter's slots: what its key and flow functions returned.
*/
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

/***
@type limiter
*/

enum { RECORD = 1, FUNCTION = 2, FIRST_ARGUMENT = 3 };

/* Upvalues of a limited function. */
enum { UP_LIMITER = 1, UP_FUNCTION, UP_IDLE, UP_METATABLE };

static const char CALL; /* registry key of the metatable */

typedef struct call_record {
  weir_lua *W;
  bind_space *space;    /* the ticket's, used by it */
  weir_ticket ticket;   /* 0: none */
  weir_outcome outcome; /* DROPPED until fn has returned */
} call_record;

static int call(lua_State *L);

/* Pushes a record; the place it had among the idle ones is cleared, so that
** it is collected with the coroutine that uses it. */
static call_record *push_record(lua_State *L, weir_lua *W) {
  call_record *record;
  if (W->idle_calls) {
    lua_rawgeti(L, lua_upvalueindex(UP_IDLE), W->idle_calls);
    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(UP_IDLE), W->idle_calls--);
    return lua_touserdata(L, -1);
  }
  record = lua_newuserdatauv(L, sizeof *record, 0);
  *record = (call_record){ .W = W, .outcome = WEIR_DROPPED };
  lua_pushvalue(L, lua_upvalueindex(UP_METATABLE));
  lua_setmetatable(L, -2);
  return record;
}

static void take(call_record *record, bind_space *space, weir_ticket ticket) {
  record->space = space;
  record->ticket = ticket;
  bind_use(space);
}

/* What was held in a space that is closed came back when it was. */
static void give_back(call_record *record) {
  weir_lua *W = record->W;
  bind_space *space = record->space;
  weir_ticket ticket = record->ticket;
  if (!ticket) return;
  record->ticket = 0;
  if (space->port)
    weir_release(space->port, ticket, record->outcome,
                 bind_time(space, W->measures));
  bind_disuse(space);
  bind_touch(W);
}

/* Keeps the record at the top of L (popped) for another call; `idle` is the
** stack index of the table, which has its places already: no allocation. */
static void keep_record(lua_State *L, call_record *record, int idle) {
  weir_lua *W = record->W;
  record->outcome = WEIR_DROPPED;
  if (W->idle_calls < BIND_IDLE_CALLS)
    lua_rawseti(L, idle, ++W->idle_calls);
  else
    lua_pop(L, 1);
}

/* upvalue: the table of idle records */
static int record_close(lua_State *L) {
  call_record *record = lua_touserdata(L, 1);
  if (!record->W->home.port) return 0;
  give_back(record);
  lua_settop(L, 1);
  keep_record(L, record, lua_upvalueindex(1));
  return 0;
}

static int record_gc(lua_State *L) {
  call_record *record = lua_touserdata(L, 1);
  if (record->W->home.port) give_back(record);
  return 0;
}

/* Whether fn is a limited function itself. */
static bool is_nested(lua_State *L) {
  return lua_tocfunction(L, lua_upvalueindex(UP_FUNCTION)) == call;
}

/* What the inner one of two limiters refused has not used the outer one's. */
static int leave(lua_State *L, call_record *record) {
  weir_lua *W = record->W;
  if (W->refused) W->refused = is_nested(L);
  record->outcome = W->refused ? WEIR_UNUSED : W->outcome;
  return lua_gettop(L) - RECORD;
}

static int leave_k(lua_State *L, int status, lua_KContext record) {
  (void)status;
  return leave(L, (call_record *)record);
}

/* Calls fn under the permit that the record has. */
static int enter(lua_State *L, call_record *record) {
  lua_toclose(L, RECORD);
  lua_callk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, (lua_KContext)record,
            leave_k);
  return leave(L, record);
}

/* --- calls without a permit ----------------------------------------------- */

/* Another call may use the record from now on. */
static void drop_record(lua_State *L) {
  lua_pushvalue(L, RECORD);
  keep_record(L, lua_touserdata(L, RECORD), lua_upvalueindex(UP_IDLE));
  lua_pushnil(L);
  lua_replace(L, RECORD);
}

/* What an inner limiter refused is refused to an outer one as well. */
static int pass_k(lua_State *L, int status, lua_KContext W) {
  (void)status;
  if (!is_nested(L)) ((weir_lua *)W)->refused = false;
  return lua_gettop(L) - RECORD;
}

/* A call that has no key is not limited. */
static int pass(lua_State *L, weir_lua *W) {
  drop_record(L);
  lua_callk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, (lua_KContext)W, pass_k);
  return pass_k(L, LUA_OK, (lua_KContext)W);
}

static int refused_k(lua_State *L, int status, lua_KContext W) {
  (void)status;
  ((weir_lua *)W)->refused = true;
  return lua_gettop(L) - RECORD;
}

/* The call was refused: nil, err, or what on_refuse(err, ...) returns. The
** slots are on top of the arguments. */
static int refuse(lua_State *L, weir_lua *W, const bind_limiter *self,
                  weir_limiter decider, weir_verdict verdict, uint32_t cost,
                  uint64_t waited_ns) {
  int key = lua_gettop(L) - self->slots + 1;
  bind_refusal refusal = { .limiter = lua_upvalueindex(UP_LIMITER),
                           .key = key,
                           .verdict = verdict,
                           .cost = cost,
                           .waited_ns = waited_ns };
  int handler;
  drop_record(L);
  if (self->members) {
    refusal.key = key + bind_push_member(L, refusal.limiter, decider);
    refusal.limiter = lua_gettop(L);
    self = lua_touserdata(L, refusal.limiter);
  }
  if (!self->key_function) refusal.key = 0;
  bind_limiter_refuse(L, &refusal);
  handler = bind_limiter_field(L, refusal.limiter, BIND_LIMITER_ON_REFUSE);
  if (handler == LUA_TNIL) {
    W->refused = true;
    lua_pop(L, 1);
    return 2;
  }
  lua_replace(L, FUNCTION);
  lua_insert(L, FIRST_ARGUMENT); /* err, before the arguments */
  lua_settop(L, key);            /* where err has pushed the last argument to */
  lua_callk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, (lua_KContext)W,
            refused_k);
  return refused_k(L, LUA_OK, (lua_KContext)W);
}

/* --- calls ---------------------------------------------------------------- */

static int wait_k(lua_State *L, int status, lua_KContext id) {
  const bind_limiter *self = lua_touserdata(L, lua_upvalueindex(UP_LIMITER));
  weir_lua *W = self->space->W;
  call_record *record;
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result)) return bind_wait_again(L, id, wait_k);
  record = lua_touserdata(L, RECORD);
  if (result.ticket) /* first, since closing the guard may raise */
    take(record, self->space, result.ticket);
  if (result.guarded) lua_pop(L, 1);
  if (result.verdict != WEIR_ADMITTED)
    return refuse(L, W, self, result.limiter, result.verdict, result.cost,
                  result.waited_ns);
  lua_pop(L, self->slots);
  return enter(L, record);
}

/* Asks, and goes on with fn or a refusal, or waits. */
static int ask(lua_State *L, weir_lua *W, const bind_limiter *self,
               bind_request *request) {
  call_record *record = lua_touserdata(L, RECORD);
  weir_ticket ticket;
  uint32_t fiber;
  weir_verdict verdict =
      bind_ask(L, lua_upvalueindex(UP_LIMITER), request, &fiber, &ticket);
  if (verdict == WEIR_WAITING)
    return bind_wait(L, request->space, fiber, ticket, wait_k);
  if (verdict != WEIR_ADMITTED)
    return refuse(L, W, self, request->decider, verdict,
                  bind_refused_cost(request), 0);
  if (ticket) take(record, request->space, ticket);
  lua_pop(L, self->slots);
  return enter(L, record);
}

/* Asks the members of weir.all{...} that have a key for this call. */
static int ask_members(lua_State *L, weir_lua *W, const bind_limiter *self) {
  weir_limiter limiters[WEIR_ALL_MAX];
  weir_request requests[WEIR_ALL_MAX];
  bind_request request = { self->space, 0, limiters, requests, 0 };
  int arguments = lua_gettop(L) - FUNCTION;
  luaL_checkstack(L, self->slots + LUA_MINSTACK, "too many arguments");
  bind_limiter_field(L, lua_upvalueindex(UP_LIMITER), BIND_LIMITER_MEMBERS);
  lua_insert(L, FIRST_ARGUMENT);
  for (int i = 1; i <= self->members; i++) {
    const bind_limiter *member;
    weir_request *one = &requests[request.count];
    lua_rawgeti(L, FIRST_ARGUMENT, i);
    lua_insert(L, FIRST_ARGUMENT); /* the member, while it is asked */
    member = lua_touserdata(L, FIRST_ARGUMENT);
    *one = (weir_request){ .cost = member->cost, .priority = member->priority };
    limiters[request.count] = member->handle;
    request.count += bind_ask_functions(L, FIRST_ARGUMENT, FIRST_ARGUMENT + 2,
                                        arguments, one);
    lua_remove(L, FIRST_ARGUMENT);
  }
  lua_remove(L, FIRST_ARGUMENT);
  if (request.count) return ask(L, W, self, &request);
  lua_pop(L, self->slots);
  return pass(L, W);
}

static int ask_functions(lua_State *L, weir_lua *W, const bind_limiter *self) {
  weir_request one = { .cost = self->cost, .priority = self->priority };
  bind_request request = { self->space, 1, &self->handle, &one, 0 };
  int arguments = lua_gettop(L) - FUNCTION;
  if (self->members) return ask_members(L, W, self);
  if (bind_ask_functions(L, lua_upvalueindex(UP_LIMITER), FIRST_ARGUMENT,
                         arguments, &one))
    return ask(L, W, self, &request);
  lua_pop(L, self->slots);
  return pass(L, W);
}

/* limited(...) */
static int call(lua_State *L) {
  const bind_limiter *self = lua_touserdata(L, lua_upvalueindex(UP_LIMITER));
  weir_lua *W = self->space->W;
  weir_request one = { .cost = self->cost, .priority = self->priority };
  bind_request request = { self->space, 1, &self->handle, &one, 0 };
  push_record(L, W);
  lua_pushvalue(L, lua_upvalueindex(UP_FUNCTION));
  lua_rotate(L, 1, 2);
  if (self->asks) return ask_functions(L, W, self);
  return ask(L, W, self, &request);
}

/***
Limits a function. A call of the limited function waits for its permit, calls
fn, gives the permit back however fn ends, and returns what fn returned; or, if
it is refused, `nil` and the refusal, or what `on_refuse` returns. A call for
which the key function says nil is not limited.
@function limiter:wrap
@tparam function fn
@treturn function
*/
int bind_wrap(lua_State *L) {
  bind_check_asked(L, "limiter:wrap");
  bind_check_callable(L, 2, "limiter:wrap", "the function to limit");
  if (bind_to_limiter(L, 1)->keyed && !bind_has_key_functions(L, 1))
    return luaL_error(L, "limiter:wrap: this limiter has keys, but no key "
                         "function that could say whose a call is");
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  bind_push_table(L, BIND_IDLE);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &CALL);
  lua_pushcclosure(L, call, UP_METATABLE);
  return 1;
}

void bind_open_call(lua_State *L, int self) {
  (void)self;
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, record_gc);
  lua_setfield(L, -2, "__gc");
  bind_push_table(L, BIND_IDLE);
  lua_pushcclosure(L, record_close, 1);
  lua_setfield(L, -2, "__close");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CALL);
}
