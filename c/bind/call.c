/*
** call.c - a call of a limited function.
**
** The permit of a call is kept by a call record in a to-be-closed slot of the
** C frame around fn: it is given back when fn returns, raises, or is closed
** while suspended, and, since only the coroutine's stack refers to it, when
** the coroutine is collected. Records are used again: nobody else sees them.
**
** The stack of the frame: 1 the record, 2 fn, then its arguments.
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
  weir_ticket ticket; /* 0: none */
  bool returned;      /* fn did, and did not raise */
} call_record;

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
  *record = (call_record){ .W = W };
  lua_pushvalue(L, lua_upvalueindex(UP_METATABLE));
  lua_setmetatable(L, -2);
  return record;
}

static void give_back(call_record *record) {
  weir_lua *W = record->W;
  weir_ticket ticket = record->ticket;
  if (!ticket) return;
  record->ticket = 0;
  weir_release(W->port, ticket, record->returned ? WEIR_DONE : WEIR_DROPPED,
               bind_now(W, false));
  bind_touch(W);
}

/* Keeps the record at the top of L (popped) for another call; `idle` is the
** stack index of the table, which has its places already: no allocation. */
static void keep_record(lua_State *L, call_record *record, int idle) {
  weir_lua *W = record->W;
  record->returned = false;
  if (W->idle_calls < BIND_IDLE_CALLS)
    lua_rawseti(L, idle, ++W->idle_calls);
  else
    lua_pop(L, 1);
}

/* upvalue: the table of idle records */
static int record_close(lua_State *L) {
  call_record *record = lua_touserdata(L, 1);
  if (!record->W->port) return 0;
  give_back(record);
  lua_settop(L, 1);
  keep_record(L, record, lua_upvalueindex(1));
  return 0;
}

static int record_gc(lua_State *L) {
  call_record *record = lua_touserdata(L, 1);
  if (record->W->port) give_back(record);
  return 0;
}

static int leave(lua_State *L, call_record *record) {
  record->returned = true;
  return lua_gettop(L) - RECORD;
}

static int leave_k(lua_State *L, int status, lua_KContext record) {
  (void)status;
  return leave(L, (call_record *)record);
}

static int enter(lua_State *L, call_record *record) {
  lua_toclose(L, RECORD);
  lua_callk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, (lua_KContext)record,
            leave_k);
  return leave(L, record);
}

static int all_k(lua_State *L, int status, lua_KContext base) {
  (void)status;
  return lua_gettop(L) - (int)base;
}

/* The call was refused: nil, err, or what on_refuse(err, ...) returns. */
static int refuse(lua_State *L, weir_lua *W, weir_verdict verdict,
                  uint32_t cost, uint64_t waited_ns) {
  int handler;
  lua_pushvalue(L, RECORD);
  keep_record(L, lua_touserdata(L, RECORD), lua_upvalueindex(UP_IDLE));
  lua_pushnil(L); /* another call's from now on, while on_refuse may wait */
  lua_replace(L, RECORD);
  handler = bind_limiter_field(L, lua_upvalueindex(UP_LIMITER),
                               BIND_LIMITER_ON_REFUSE);
  lua_replace(L, FUNCTION);
  bind_limiter_refuse(L, W, lua_upvalueindex(UP_LIMITER), verdict, cost,
                      waited_ns);
  if (handler == LUA_TNIL) return 2;
  lua_insert(L, FIRST_ARGUMENT); /* err, before the arguments */
  lua_pop(L, 1);                 /* nil */
  lua_callk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, RECORD, all_k);
  return lua_gettop(L) - RECORD;
}

static int wait_k(lua_State *L, int status, lua_KContext id) {
  const bind_limiter *limiter = lua_touserdata(L, lua_upvalueindex(UP_LIMITER));
  weir_lua *W = limiter->W;
  call_record *record;
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result)) return bind_wait_again(L, id, wait_k);
  record = lua_touserdata(L, RECORD);
  record->ticket = result.ticket; /* first, since closing the guard may raise */
  if (result.guarded) lua_pop(L, 1);
  if (result.verdict == WEIR_ADMITTED) return enter(L, record);
  return refuse(L, W, result.verdict, result.cost, result.waited_ns);
}

/* cost(...) of this call */
static uint32_t ask_cost(lua_State *L) {
  static const bind_option option = {
    "what the cost function returned", BIND_COUNT, 1, WEIR_PERMITS_MAX, 0, 0
  };
  int arguments = lua_gettop(L) - FUNCTION;
  uint32_t cost;
  luaL_checkstack(L, arguments + 4, "too many arguments");
  bind_limiter_field(L, lua_upvalueindex(UP_LIMITER), BIND_LIMITER_COST);
  for (int i = 0; i < arguments; i++) lua_pushvalue(L, FIRST_ARGUMENT + i);
  lua_call(L, arguments, 1);
  bind_read_option(L, lua_gettop(L), "weir", &option, &cost);
  lua_pop(L, 1);
  return cost;
}

/* limited(...) */
static int call(lua_State *L) {
  const bind_limiter *limiter = lua_touserdata(L, lua_upvalueindex(UP_LIMITER));
  weir_lua *W = bind_check_open(L, limiter->W);
  weir_request request = { .cost = limiter->cost };
  call_record *record = push_record(L, W);
  weir_ticket ticket;
  uint32_t fiber;
  weir_verdict verdict;
  lua_pushvalue(L, lua_upvalueindex(UP_FUNCTION));
  lua_rotate(L, 1, 2);
  if (!request.cost) request.cost = ask_cost(L);
  verdict = bind_limiter_request(L, W, limiter, lua_upvalueindex(UP_LIMITER),
                                 &request, &fiber, &ticket);
  if (verdict == WEIR_ADMITTED) {
    record->ticket = ticket;
    return enter(L, record);
  }
  if (verdict == WEIR_WAITING) return bind_wait(L, W, fiber, ticket, wait_k);
  return refuse(L, W, verdict, request.cost, 0);
}

/***
Limits a function. A call of the limited function waits for its permit, calls
fn, gives the permit back however fn ends, and returns what fn returned; or, if
it is refused, `nil` and the refusal, or what `on_refuse` returns.
@function limiter:wrap
@tparam function fn
@treturn function
*/
int bind_wrap(lua_State *L) {
  bind_check_limiter(L, "limiter:wrap");
  bind_check_callable(L, 2, "limiter:wrap", "the function to limit");
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
