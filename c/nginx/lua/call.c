/*
** call.c - calls: a coroutine for each request, which is a task of weir's.
**
** The coroutine runs the handler below a C function, whose continuation sees
** what it returned or raised. req:proceed() is a wait as any other: for a parked
** ticket, which the end of the request wakes. So the permits of all decorators
** around it are held until then, and whatever ends the coroutine gives them
** back. A coroutine that has ended well is used again.
*/
#include "half.h"

/* Upvalues of run. */
enum { UP_TRACE = 1, UP_CONCLUDE };

/* Upvalues of call_new. */
enum { UP_HANDLERS = 1, UP_RUN, UP_THREADS, UP_METATABLE };

/* --- inside the coroutine ------------------------------------------------- */

/* It decided before, by proceeding or by req:refuse: an error is for the log. */
static void log_late(weir_policy_call *call, const char *why) {
  ngx_log_error(NGX_LOG_ERR, call->r->connection->log, 0, "weir: %s", why);
}

static int failed(lua_State *L, weir_policy_call *call) {
  const char *why = half_push_error(
      L, call->owner.policy, lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
  if (call->settled || call->state != HALF_RUNS)
    log_late(call, why);
  else
    half_decide_failed(call, why);
  return 0;
}

/* The handler has returned, or raised; two values are on top. */
static int run_k(lua_State *L, int status, lua_KContext context) {
  weir_policy_call *call = half_owner_of(L)->call;
  (void)context;
  half_budget_end(call->owner.policy, L);
  if (status != LUA_OK && status != LUA_YIELD) return failed(L, call);
  if (call->settled || call->state != HALF_RUNS) return 0;
  lua_pushvalue(L, lua_upvalueindex(UP_CONCLUDE));
  lua_pushnil(L);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, -5);
  lua_pushvalue(L, -5);
  lua_call(L, 4, 2);
  half_decide(L, call);
  return 0;
}

/* lua_CFunction: (handler, req) */
static int run(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(UP_TRACE));
  lua_insert(L, 1);
  return run_k(L, lua_pcallk(L, 1, 2, 1, 0, run_k), 0);
}

/* --- req:proceed() -------------------------------------------------------- */

static int proceed_k(lua_State *L, int status, lua_KContext id) {
  weir_policy *policy = half_owner_of(L)->policy;
  const weir_policy_result *result;
  bind_result over;
  (void)status;
  if (!bind_wait_over(L, policy->W, id, &over))
    return bind_wait_again(L, id, proceed_k);
  result = half_owner_of(L)->call->result;
  lua_createtable(L, 0, 3);
  bind_set_integer(L, "status", result->status);
  bind_set_integer(L, "bytes", (uint64_t)result->bytes);
  if (result->upstream_ns)
    bind_set_seconds(L, "upstream_time", result->upstream_ns);
  return 1;
}

int half_proceed(lua_State *L) {
  weir_policy_call *call = half_check_request(L, 1, false);
  weir_lua *W = call->owner.policy->W;
  uint32_t fiber;
  if (W->current_co != L || call->co != L)
    return luaL_error(L, "req:proceed: only the handler's own coroutine can "
                         "let its request proceed");
  if (call->state != HALF_RUNS)
    return luaL_error(L, "req:proceed: the request has proceeded already");
  if (call->settled)
    return luaL_error(L, "req:proceed: the request has been refused already");
  fiber = bind_wait_prepare(L, W, "req:proceed");
  call->ticket = bind_park(L, W, fiber, WEIR_NEVER);
  call->state = HALF_PROCEEDS;
  half_note_waited(call);
  return bind_wait(L, &W->home, fiber, call->ticket, proceed_k);
}

/* --- making the coroutine ------------------------------------------------- */

static lua_State *push_thread(lua_State *L, weir_policy *policy) {
  if (!policy->idle) return lua_newthread(L);
  lua_rawgeti(L, lua_upvalueindex(UP_THREADS), policy->idle--);
  return lua_tothread(L, -1);
}

/* lua_CFunction: (call, handler) */
static int call_new(lua_State *L) {
  weir_policy_call *call = lua_touserdata(L, 1);
  weir_policy *policy = call->owner.policy;
  lua_State *co = push_thread(L, policy);
  uint32_t fiber;
  half_link_request(L, call);
  bind_push_guard(co);
  lua_toclose(co, -1);
  lua_pushvalue(L, lua_upvalueindex(UP_RUN));
  lua_rawgeti(L, lua_upvalueindex(UP_HANDLERS), lua_tointeger(L, 2));
  half_push_request(L, call, lua_upvalueindex(UP_METATABLE));
  lua_xmove(L, co, 3);
  fiber = bind_fiber_new(L, policy->W, true);
  bind_fiber_at(policy->W, fiber)->state = BIND_RUNNABLE;
  bind_run_queue_add(policy->W, fiber);
  half_own(co, &call->owner);
  call->co = co;
  call->fiber = fiber;
  return 0;
}

void half_push_call_new(lua_State *L, int module, int handlers, int threads) {
  lua_pushvalue(L, handlers);
  lua_getfield(L, module, "trace");
  lua_getfield(L, module, "conclude");
  lua_pushcclosure(L, run, UP_CONCLUDE);
  lua_pushvalue(L, threads);
  half_push_request_metatable(L);
  lua_pushcclosure(L, call_new, UP_METATABLE);
}

/* --- resuming it ---------------------------------------------------------- */

static void log_failure(weir_policy *policy) {
  lua_State *L = policy->L;
  if (!policy->W->failed) return;
  bind_push_failure(L, policy->W);
  luaL_tolstring(L, -1, NULL);
  ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "weir: %s",
                lua_tostring(L, -1));
  lua_pop(L, 2);
}

/* The coroutine on top of L (popped) has ended: it may be used again. */
static void keep_thread(weir_policy *policy, lua_State *co) {
  lua_State *L = policy->L;
  half_own(co, &policy->nobody);
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0 &&
      policy->idle < HALF_IDLE_MAX)
    lua_rawseti(L, HALF_THREADS, ++policy->idle);
  else
    lua_pop(L, 1);
}

static bool has_ended(const weir_policy *policy, uint32_t fiber,
                      const lua_State *co) {
  return !weir_slab_live(&policy->W->fibers, fiber) ||
         bind_fiber_at(policy->W, fiber)->co != co;
}

/* lua_CFunction: (policy, fiber) */
static int cancel(lua_State *L) {
  weir_policy *policy = lua_touserdata(L, 1);
  bind_cancel(L, policy->W, (uint32_t)lua_tointeger(L, 2));
  return 0;
}

/* Closes the coroutine of a call. */
static void close_call(weir_policy *policy, weir_policy_call *call) {
  lua_State *L = policy->L, *co = call->co;
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  half_budget_begin(policy, co);
  lua_pushcfunction(L, cancel);
  lua_pushlightuserdata(L, policy);
  lua_pushinteger(L, call->fiber);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    log_late(call, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
  }
  half_budget_end(policy, co);
  log_failure(policy);
  call->co = NULL;
  call->state = HALF_RETURNED;
  keep_thread(policy, co);
}

/* Whether it gave way by something else than weir.sleep(0). */
static bool yields_to_nobody(const weir_policy *policy, uint32_t fiber,
                             lua_State *co) {
  lua_Debug frame;
  bool foreign;
  if (bind_fiber_at(policy->W, fiber)->state != BIND_RUNNABLE ||
      !lua_getstack(co, 0, &frame) || !lua_getinfo(co, "f", &frame))
    return false;
  foreign = lua_tocfunction(co, -1) == policy->yield;
  lua_pop(co, 1);
  return foreign;
}

static void fail_yield(weir_policy *policy, weir_policy_call *call) {
  lua_State *L = policy->L;
  luaL_traceback(L, call->co,
                 "the handler yielded to nobody: to wait, use weir.sleep or a "
                 "limiter",
                 0);
  if (call->state == HALF_RUNS && !call->settled)
    half_decide_failed(call, lua_tostring(L, -1));
  else
    log_late(call, lua_tostring(L, -1));
  lua_pop(L, 1);
  close_call(policy, call);
}

/* What has become of a call that was resumed; its coroutine is on top of L
** (popped). */
static void look_after(weir_policy *policy, weir_policy_call *call,
                       uint32_t fiber) {
  lua_State *co = call->co;
  if (!has_ended(policy, fiber, co)) {
    lua_pop(policy->L, 1);
    if (yields_to_nobody(policy, fiber, co)) fail_yield(policy, call);
    return;
  }
  call->co = NULL;
  if (!call->settled && call->state == HALF_RUNS)
    half_decide_failed(call, "the handler could not be run: not enough memory");
  call->state = HALF_RETURNED;
  keep_thread(policy, co);
}

/* A limiter let it wait, and has decided. */
static void note_wait(weir_policy_call *call, const bind_fiber *fiber) {
  lua_State *L = call->owner.policy->L;
  if (fiber->state != BIND_DECIDED || !fiber->limiter ||
      fiber->waited < call->longest)
    return;
  call->longest = fiber->waited;
  bind_push_limiter_label(L, fiber->space, fiber->limiter);
  call->decision.limiter = half_copy(call->r->pool, L, -1);
  lua_pop(L, 1);
}

void half_resume(weir_policy *policy, uint32_t index) {
  const bind_fiber *fiber = bind_fiber_at(policy->W, index);
  lua_State *L = policy->L, *co = fiber->co;
  weir_policy_call *call = half_owner_of(co)->call;
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  if (call && call->state == HALF_RUNS) note_wait(call, fiber);
  half_budget_begin(policy, co);
  if (bind_drive_one(L, policy->W, index) < 0) {
    half_budget_end(policy, co);
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "weir: %s",
                  luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
  }
  policy->limited = false;
  log_failure(policy);
  if (call)
    look_after(policy, call, index);
  else
    lua_pop(L, 1);
}

/* --- a call's life -------------------------------------------------------- */

weir_policy_step half_step_of(const weir_policy_call *call) {
  if (call->settled) return call->step;
  return call->state == HALF_PROCEEDS ? WEIR_POLICY_PASSES : WEIR_POLICY_WAITS;
}

void half_begin(weir_policy_call *call, int handler) {
  weir_policy *policy = call->owner.policy;
  lua_State *L = policy->L;
  call->since = policy->W->now;
  lua_pushvalue(L, HALF_BEGIN);
  lua_pushlightuserdata(L, call);
  lua_pushinteger(L, handler);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    half_decide_failed(call, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
    return;
  }
  half_resume(policy, call->fiber);
  call->waits = half_step_of(call) == WEIR_POLICY_WAITS;
}

/* Lets a handler go on behind req:proceed(). */
static void finish(weir_policy_call *call, const weir_policy_result *result) {
  weir_policy *policy = call->owner.policy;
  weir_lua *W = policy->W;
  call->result = result;
  W->outcome = result->outcome;
  weir_wake(W->home.port, call->ticket);
  bind_collect(W, false);
  half_resume(policy, call->fiber);
  W->outcome = WEIR_DONE;
}

void half_end(weir_policy_call *call, const weir_policy_result *result) {
  if (call->queued) {
    ngx_queue_remove(&call->link);
  }
  call->queued = false;
  if (call->state == HALF_PROCEEDS && result) finish(call, result);
  if (call->co) close_call(call->owner.policy, call);
  call->over = true;
  half_unlink_request(call);
}
