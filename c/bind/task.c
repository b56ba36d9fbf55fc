/*
** task.c - tasks: coroutines that weir made and resumes.
*/
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

static const char TASK; /* tag, and registry key of the metatable */

typedef struct task {
  const void *tag;
  uint64_t id; /* of its fiber, which lives as long as this object */
} task;

/* Pushes a task object for a fiber. */
static void push_task(lua_State *L, weir_lua *W, uint32_t fiber) {
  task *self = lua_newuserdatauv(L, sizeof *self, 0);
  self->tag = &TASK;
  self->id = bind_fiber_id(W, fiber);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &TASK);
  lua_setmetatable(L, -2);
  bind_fiber_at(W, fiber)->handled = 1;
}

static uint32_t check_task(lua_State *L, weir_lua *W, const char *who) {
  const task *self = bind_test(L, 1, &TASK, sizeof *self);
  if (!self) {
    lua_pushfstring(L, "a task (call it as %s(...))", who);
    bind_expected(L, who, NULL, lua_tostring(L, -1), 1);
  }
  if (!weir_slab_find(&W->fibers, self->id)) /* in another's finalizer */
    luaL_error(L, "%s: this task has been collected", who);
  return (uint32_t)self->id;
}

/* Moves a function and its arguments, all that is on L's stack from `first`,
** to a new coroutine with a guard at its bottom; pushes that. */
static void push_coroutine(lua_State *L, int first) {
  int n = lua_gettop(L) - first + 1;
  lua_State *co = lua_newthread(L);
  lua_insert(L, first);
  if (!lua_checkstack(co, n + LUA_MINSTACK))
    luaL_error(L, "weir.spawn: too many arguments");
  bind_push_guard(co);
  lua_toclose(co, -1);
  lua_xmove(L, co, n);
}

uint32_t bind_spawn(lua_State *L, weir_lua *W, int first) {
  uint32_t fiber;
  push_coroutine(L, first);
  fiber = bind_fiber_new(L, W, true);
  bind_fiber_at(W, fiber)->state = BIND_RUNNABLE;
  bind_run_queue_add(W, fiber);
  push_task(L, W, fiber);
  bind_touch(W);
  return fiber;
}

/***
Starts a task: a coroutine that weir resumes. It first runs at the loop's next
turn.
@function spawn
@tparam function fn
@param ... its arguments
@treturn task
*/
static int spawn(lua_State *L) {
  weir_lua *W = bind_self(L);
  bind_check_callable(L, 1, "weir.spawn", "the function to run");
  bind_spawn(L, W, 1);
  return 1;
}

static int push_canceled(lua_State *L) {
  return bind_refuse(L, WEIR_CANCELED, "the task");
}

static int push_values(lua_State *L) {
  int n;
  if (lua_isnil(L, -1)) return 0;
  lua_getfield(L, -1, "n");
  n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, n, "too many results");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, -i, i);
  return n;
}

int bind_push_result(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  if (fiber->state == BIND_CANCELED) return push_canceled(L);
  bind_push_outcome(L, index);
  if (fiber->state == BIND_DONE) return push_values(L);
  fiber->claimed = 1;
  lua_rawgeti(L, -1, 1);
  return lua_error(L);
}

static int join_k(lua_State *L, int status, lua_KContext id) {
  weir_lua *W = bind_self(L);
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result)) return bind_wait_again(L, id, join_k);
  if (result.verdict == WEIR_TIMEOUT)
    return bind_refuse(L, WEIR_TIMEOUT, "the wait for a task");
  return bind_push_result(L, W, check_task(L, W, "task:join"));
}

/***
@type task
*/

/***
Waits for the end of a task. If its function raised, join raises the same value.
An error that nobody joins is raised by @{run}.
@function task:join
@tparam[opt] number timeout seconds
@return[1] what its function returned
@treturn[2] nil
@treturn[2] table `code` is timeout, or canceled if the task was
*/
static int task_join(lua_State *L) {
  weir_lua *W = bind_self(L);
  uint32_t target = check_task(L, W, "task:join"), fiber;
  uint64_t deadline = bind_deadline(L, W, 2, "task:join");
  weir_ticket ticket;
  if (bind_fiber_at(W, target)->state >= BIND_DONE)
    return bind_push_result(L, W, target);
  fiber = bind_wait_prepare(L, W, "task:join");
  if (fiber == target)
    return luaL_error(L, "task:join: a task cannot wait for its own end");
  ticket = bind_park(L, W, fiber, deadline);
  bind_join(W, fiber, target);
  return bind_wait(L, &W->home, fiber, ticket, join_k);
}

/* Whether a task's coroutine is active: running, or it resumed who runs. */
static bool active(const weir_lua *W, uint32_t index) {
  const bind_fiber *fiber = bind_fiber_at(W, index);
  lua_Debug frame;
  if (W->current == index) return true;
  return lua_status(fiber->co) != LUA_YIELD &&
         lua_getstack(fiber->co, 0, &frame);
}

/***
Closes a task where it is suspended: it leaves whatever it waits for, its
to-be-closed variables are closed, its permits come back, all before this
returns. No pcall inside the task sees it.
@function task:cancel
@treturn boolean whether it was still going
*/
static int task_cancel(lua_State *L) {
  weir_lua *W = bind_self(L);
  uint32_t index = check_task(L, W, "task:cancel");
  bool going = bind_fiber_at(W, index)->state < BIND_ENDING;
  if (going && active(W, index))
    return luaL_error(L, "task:cancel: a task cannot cancel itself; return or "
                         "raise an error instead");
  if (going) bind_cancel(L, W, index);
  lua_pushboolean(L, going);
  return 1;
}

static const char *status_of(const bind_fiber *fiber) {
  static const char *const names[] = { "running",  "runnable", "waiting",
                                       "runnable", "waiting",  "running",
                                       "done",     "failed",   "canceled" };
  return names[fiber->state];
}

/***
@function task:status
@treturn string "running", "runnable", "waiting", "done", "failed" or "canceled"
*/
static int task_status(lua_State *L) {
  weir_lua *W = bind_self(L);
  uint32_t index = check_task(L, W, "task:status");
  lua_pushstring(L, status_of(bind_fiber_at(W, index)));
  return 1;
}

/***
@function task:traceback
@treturn string where the task is, or where it failed; nil once it is over
*/
static int task_traceback(lua_State *L) {
  weir_lua *W = bind_self(L);
  uint32_t index = check_task(L, W, "task:traceback");
  const bind_fiber *fiber = bind_fiber_at(W, index);
  if (fiber->state == BIND_FAILED) {
    bind_push_outcome(L, index);
    lua_rawgeti(L, -1, 2);
  } else if (fiber->co) {
    luaL_traceback(L, fiber->co, NULL, 0);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* tostring(task) */
static int task_tostring(lua_State *L) {
  weir_lua *W = bind_self(L);
  uint32_t index = check_task(L, W, "tostring");
  bind_push_fiber_name(L, W, bind_fiber_id(W, index));
  lua_pushfstring(L, "weir.%s: %s", lua_tostring(L, -1),
                  status_of(bind_fiber_at(W, index)));
  return 1;
}

/* Nobody can join it any more. */
static int task_gc(lua_State *L) {
  weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  const task *self = lua_touserdata(L, 1);
  bind_fiber *fiber;
  if (!W->home.port) return 0;
  fiber = bind_fiber_at(W, (uint32_t)self->id);
  fiber->handled = 0; /* finished: nobody can join it; else it goes on */
  if (fiber->state >= BIND_DONE) bind_forget(L, W, (uint32_t)self->id);
  return 0;
}

void bind_open_task(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "spawn", spawn }, { NULL, NULL } };
  static const luaL_Reg methods[] = { { "join", task_join },
                                      { "cancel", task_cancel },
                                      { "status", task_status },
                                      { "traceback", task_traceback },
                                      { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__tostring", task_tostring },
                                          { "__gc", task_gc },
                                          { NULL, NULL } };
  bind_register(L, self, functions);
  bind_register_type(L, self, &TASK, "weir.task", methods, metamethods);
}
