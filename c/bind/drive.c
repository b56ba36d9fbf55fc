/*
** drive.c - resuming whoever may go on, and what becomes of tasks.
*/
#include "bind.h"
#include "interrupt.h"

enum { GUARD = 1 }; /* a task's coroutine has one value below its own */
enum { RESUMES_PER_CLOCK = 32 }; /* the turn's time is read this often */

static const char FAILURE; /* registry key */

void bind_push_outcome(lua_State *L, uint32_t index) {
  bind_push_table(L, BIND_OUTCOMES);
  lua_rawgeti(L, -1, index);
  lua_remove(L, -2);
}

/* Sets [index] to what is on top of L (popped); most tasks end with nothing,
** and then nothing is stored. */
static void set_outcome(lua_State *L, const weir_lua *W, uint32_t index) {
  if (lua_isnil(L, -1) && !bind_fiber_at(W, index)->outcome) {
    lua_pop(L, 1);
    return;
  }
  bind_push_table(L, BIND_OUTCOMES);
  lua_insert(L, -2);
  lua_rawseti(L, -2, index);
  lua_pop(L, 1);
  bind_fiber_at(W, index)->outcome = 1;
}

void bind_fail(lua_State *L, weir_lua *W) {
  if (W->failed) {
    lua_pop(L, 1);
    return;
  }
  W->failed = true;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &FAILURE);
}

int bind_raise_failure(lua_State *L, weir_lua *W) {
  W->failed = false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURE);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &FAILURE);
  lua_rawgeti(L, -1, 1);
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_pushliteral(L, "\n");
    lua_rawgeti(L, -3, 2);
    lua_concat(L, 3);
  }
  return lua_error(L);
}

void bind_forget(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  if (fiber->state == BIND_FAILED && !fiber->claimed) {
    bind_push_outcome(L, index);
    bind_fail(L, W);
    bind_touch(W);
  }
  lua_pushnil(L);
  set_outcome(L, W, index);
  weir_slab_give(&W->fibers, index);
}

/* Wakes the joiners in the order they came; the list is newest first. */
static void wake_joiners(weir_lua *W, bind_fiber *fiber) {
  uint32_t joiner = fiber->joiners;
  fiber->joiners = 0;
  while (joiner && bind_fiber_at(W, joiner)->record.next)
    joiner = bind_fiber_at(W, joiner)->record.next;
  while (joiner) {
    bind_fiber *next = bind_fiber_at(W, joiner);
    joiner = next->prev;
    next->joins = 0;
    weir_wake(W->home.port, next->ticket);
  }
}

/* Storing the outcome may run the collector, and with it any finalizer: the
** fiber is finished only afterwards. */
void bind_finish(lua_State *L, weir_lua *W, uint32_t index, bind_state state) {
  bind_fiber *fiber;
  set_outcome(L, W, index);
  fiber = bind_fiber_at(W, index);
  fiber->state = (uint8_t)state;
  if (state == BIND_FAILED && !fiber->joiners) W->unclaimed = true;
  bind_run_queue_remove(W, index);
  wake_joiners(W, fiber);
  bind_fiber_unanchor(L, W, index);
  if (!fiber->handled) bind_forget(L, W, index);
  bind_touch(W);
}

/* Pushes {results, n=} with what a coroutine returned, or nil for nothing. */
static void push_results(lua_State *L, lua_State *co, int n) {
  if (n == 0) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, n, 1);
  for (int i = n; i >= 1; i--) {
    lua_xmove(co, L, 1);
    lua_rawseti(L, -2, i);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

/* Pushes {error, traceback} of a coroutine that raised, and closes it. */
static void push_failure(lua_State *L, lua_State *co) {
  lua_createtable(L, 2, 0);
  luaL_traceback(L, co, NULL, 0);
  lua_rawseti(L, -2, 2);
  compat_close_thread(co, L); /* a closing method may replace the error */
  lua_xmove(co, L, 1);
  lua_rawseti(L, -2, 1);
}

static void returned(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  lua_State *co = fiber->co;
  int n = lua_gettop(co) - GUARD; /* less if a stranger has taken them */
  push_results(L, co, fiber->handled && n > 0 ? n : 0);
  bind_finish(L, W, index, BIND_DONE);
  W->ended = co;
  lua_settop(co, 0); /* with the guard */
  W->ended = NULL;
}

static void raised(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  fiber->state = BIND_ENDING;
  push_failure(L, fiber->co);
  bind_finish(L, W, index, BIND_FAILED);
}

void bind_cancel(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  lua_State *co = fiber->co;
  bind_wait_abort(W, index);
  fiber->state = BIND_ENDING;
  bind_interrupt_forget(co);
  if (compat_close_thread(co, L) == LUA_OK) {
    lua_pushnil(L);
    bind_finish(L, W, index, BIND_CANCELED);
  } else {
    lua_createtable(L, 2, 0);
    lua_xmove(co, L, 1);
    lua_rawseti(L, -2, 1);
    lua_pushliteral(L, "(raised while the task was closed)");
    lua_rawseti(L, -2, 2);
    bind_finish(L, W, index, BIND_FAILED);
  }
}

/* A stranger is not ours to close: its wait ends, and it finds out when its
** own scheduler resumes it. */
static void dismiss_stranger(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  if (fiber->state != BIND_WAITING) return;
  bind_wait_abort(W, index);
  fiber->verdict = WEIR_CANCELED;
  fiber->limiter = 0;
  fiber->waited = 0;
  fiber->state = BIND_DECIDED;
  bind_fiber_unanchor(L, W, index);
}

/* Whether it was a task. Closing one may spawn others, and move the fibers. */
static bool end_one(lua_State *L, weir_lua *W, uint32_t index) {
  const bind_fiber *fiber = bind_fiber_at(W, index);
  bool task = fiber->task;
  if (!weir_slab_live(&W->fibers, index) || fiber->state >= BIND_ENDING)
    return false;
  if (!task)
    dismiss_stranger(L, W, index);
  else
    bind_cancel(L, W, index);
  return task;
}

/* A variable that is closed may spawn another task; that one has none yet, so
** there is an end to it. */
void bind_cancel_all(lua_State *L, weir_lua *W) {
  bool again = true;
  while (again) {
    again = false;
    for (uint32_t i = 1; i < W->fibers.head->used; i++)
      again |= end_one(L, W, i);
  }
}

void bind_claim_all(weir_lua *W) {
  W->failed = false;
  W->unclaimed = false;
  for (uint32_t i = 1; i < W->fibers.head->used; i++)
    bind_fiber_at(W, i)->claimed = 1;
}

/* Brings in what the next resume will touch while this one runs. */
static void prefetch(const weir_lua *W) {
  if (W->run_first) WEIR_PREFETCH(bind_fiber_at(W, W->run_first)->co);
}

/* How many values to resume a fiber with: a new one has the guard, the function
** and its arguments on its stack. */
static int arguments(const bind_fiber *fiber) {
  if (fiber->state != BIND_RUNNABLE || lua_status(fiber->co) == LUA_YIELD)
    return 0;
  return lua_gettop(fiber->co) - GUARD - 1;
}

/* Whether somebody else ran a task to its end (they resumed it when it had
** given way): then it has returned nothing, or raised to them. */
static bool is_over(const bind_fiber *fiber) {
  int status = lua_status(fiber->co);
  return status == LUA_OK ? lua_gettop(fiber->co) <= GUARD
                          : status != LUA_YIELD;
}

/* The current fiber is a task's: that of a stranger ends with its wait, while
** the coroutine runs on. */
static void set_current(weir_lua *W, uint32_t index) {
  W->current = index;
  W->current_co = index ? bind_fiber_at(W, index)->co : NULL;
  W->current_id = index ? bind_fiber_id(W, index) : 0;
}

/* Answers how many values the coroutine has left, or -1 if it raised. */
static int resume(lua_State *L, weir_lua *W, uint32_t index, int n) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  int status;
  if (fiber->task) set_current(W, index);
  if (fiber->state == BIND_RUNNABLE) fiber->state = BIND_RUNNING;
  status = lua_resume(fiber->co, L, n, &n);
  set_current(W, 0);
  return status == LUA_OK || status == LUA_YIELD ? n : -1;
}

/* After a resume of a coroutine that is no task: its values are nobody's, its
** error must be somebody's. */
static void leave_stranger(lua_State *L, weir_lua *W, lua_State *co, int n) {
  if (n >= 0) {
    lua_pop(co, n);
  } else {
    push_failure(L, co);
    bind_fail(L, W);
  }
}

static void leave_task(lua_State *L, weir_lua *W, uint32_t index, int n) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  if (n < 0) {
    raised(L, W, index);
  } else if (lua_status(fiber->co) != LUA_YIELD) {
    returned(L, W, index);
  } else {
    lua_pop(fiber->co, n);
    if (fiber->state != BIND_RUNNING) return;
    fiber->state = BIND_RUNNABLE; /* it gave way */
    bind_run_queue_again(W, index);
  }
}

static void end_elsewhere(lua_State *L, weir_lua *W, uint32_t index) {
  lua_State *co = bind_fiber_at(W, index)->co;
  if (lua_status(co) == LUA_OK) {
    returned(L, W, index);
  } else {
    raised(L, W, index);
  }
}

static void run_one(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  lua_State *co = fiber->co;
  bool task = fiber->task;
  int n = arguments(fiber);
  bool over = fiber->state == BIND_RUNNABLE && is_over(fiber);
  bind_run_queue_remove(W, index);
  prefetch(W);
  if (over) {
    end_elsewhere(L, W, index);
    return;
  }
  if (task) {
    leave_task(L, W, index, resume(L, W, index, n));
  } else {
    lua_pushthread(co); /* anchored here once its wait is over */
    lua_xmove(co, L, 1);
    leave_stranger(L, W, co, resume(L, W, index, n));
    lua_pop(L, 1);
  }
}

int bind_drive_bare(lua_State *L, weir_lua *W, int budget) {
  int resumed = 0;
  for (; resumed < budget && !W->failed && !bind_interrupted(); resumed++) {
    bool look = resumed % RESUMES_PER_CLOCK == 0;
    bind_collect(W, look || !W->run_first);
    if (!W->run_first) break;
    if (look) bind_now(W, true);
    run_one(L, W, W->run_first);
  }
  W->stirred |= resumed > 0;
  return resumed;
}

/* lua_CFunction: (runtime, budget) -> resumed */
static int drive(lua_State *L) {
  lua_pushinteger(
      L, bind_drive_bare(L, lua_touserdata(L, 1), (int)lua_tointeger(L, 2)));
  return 1;
}

/* Calls one of these two. */
static int protect(lua_State *L, weir_lua *W, lua_CFunction fn,
                   lua_Integer argument) {
  int status, resumed = -1;
  if (!lua_checkstack(L, 3)) return 0;
  W->driving = true;
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, W);
  lua_pushinteger(L, argument);
  status = lua_pcall(L, 2, 1, 0);
  W->driving = false;
  set_current(W, 0);
  if (status != LUA_OK) return -1;
  resumed = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return resumed;
}

int bind_drive(lua_State *L, weir_lua *W, int budget) {
  return protect(L, W, drive, budget);
}

/* lua_CFunction: (runtime, fiber) -> 1. The coroutine was resumed, and has not
** yielded to wait. */
static int leave_one(lua_State *L) {
  weir_lua *W = lua_touserdata(L, 1);
  uint32_t index = (uint32_t)lua_tointeger(L, 2);
  lua_State *co = bind_fiber_at(W, index)->co;
  int status = lua_status(co);
  leave_task(L, W, index, status == LUA_OK || status == LUA_YIELD ? 0 : -1);
  lua_pushinteger(L, 1);
  return 1;
}

/* lua_CFunction: (runtime, fiber) -> 1 */
static int drive_one(lua_State *L) {
  run_one(L, lua_touserdata(L, 1), (uint32_t)lua_tointeger(L, 2));
  lua_pushinteger(L, 1);
  return 1;
}

/* A task that goes on to wait needs no protected call: nothing of Lua's is made
** for it. */
int bind_drive_one(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  lua_State *co = fiber->co;
  int n;
  if (!fiber->task || (fiber->state == BIND_RUNNABLE && is_over(fiber)))
    return protect(L, W, drive_one, index);
  n = arguments(fiber);
  bind_run_queue_remove(W, index);
  W->driving = true;
  n = resume(L, W, index, n);
  W->driving = false;
  if (n < 0 || lua_status(co) != LUA_YIELD) /* it may return many values */
    return protect(L, W, leave_one, index);
  lua_pop(co, n);
  if (bind_fiber_at(W, index)->state != BIND_RUNNING) return 1;
  return protect(L, W, leave_one, index);
}
