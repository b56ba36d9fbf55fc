/*
** call.c - calls: a coroutine for each request, which is a task of weir's.
**
** The coroutine runs the handler below a C function, whose continuation sees
** what it returned or raised. req:proceed() is a wait as any other: for a
** parked ticket, which the end of the request wakes. So the permits of all
** decorators around it are held until then, and whatever ends the coroutine
** gives them back. After a request it rests until there is another one for it.
*/
#include "half.h"

/* Upvalues of run. */
enum { UP_TRACE = 1, UP_CONCLUDE, UP_HANDLERS, UP_METATABLE };

/* --- inside the coroutine ------------------------------------------------- */

/* It decided before, by proceeding or by req:refuse: errors are for the log. */
static void log_late(weir_policy_call *call, const char *why) {
  ngx_log_error(NGX_LOG_ERR, call->r->connection->log, 0, "weir: %s", why);
}

/* Its error is on top. */
static void fail(lua_State *L, weir_policy_call *call) {
  const char *why = half_push_error(
      L, call->owner.policy, lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
  if (call->settled || call->state != HALF_RUNS)
    log_late(call, why);
  else
    half_decide_failed(call, why);
}

/* The usual ends, as they would be told below. */
static bool conclude_usual(lua_State *L, weir_policy_call *call) {
  if (lua_toboolean(L, -2) || (lua_isnil(L, -2) && lua_isnil(L, -1))) {
    half_decide_pass(call);
    return true;
  }
  if (!lua_isnil(L, -2) || !bind_push_refuser(L, -1)) return false;
  lua_pop(L, 1);
  half_decide_refusal(L, call, lua_gettop(L));
  return true;
}

/* It has returned the two values on top, and has decided nothing before. */
static void conclude(lua_State *L, weir_policy_call *call) {
  if (conclude_usual(L, call)) return;
  lua_pushvalue(L, lua_upvalueindex(UP_CONCLUDE));
  lua_pushnil(L);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, -5);
  lua_pushvalue(L, -5);
  lua_call(L, 4, 2);
  half_decide(L, call);
}

static int serve(lua_State *L);

/* Whoever else resumes it finds that it goes on resting. */
static int rested(lua_State *L, int status, lua_KContext context) {
  const half_owner *owner = half_owner_of(L);
  (void)status;
  lua_settop(L, 0);
  if (!owner->call || owner->policy->W->current_co != L)
    return lua_yieldk(L, 0, context, rested);
  return serve(L);
}

static int served(lua_State *L, int status, lua_KContext context) {
  weir_policy_call *call = half_owner_of(L)->call;
  weir_policy *policy = call->owner.policy;
  half_budget_end(policy, L);
  if (status != LUA_OK && status != LUA_YIELD)
    fail(L, call);
  else if (!call->settled && call->state == HALF_RUNS)
    conclude(L, call);
  if (policy->idle == HALF_IDLE_MAX) return 0;
  bind_fiber_at(policy->W, (uint32_t)call->fiber)->state = BIND_RESTING;
  return lua_yieldk(L, 0, context, rested);
}

/* Runs the handler of the call whose coroutine this is now. */
static int serve(lua_State *L) {
  const weir_policy_call *call = half_owner_of(L)->call;
  lua_pushvalue(L, lua_upvalueindex(UP_TRACE));
  lua_rawgeti(L, lua_upvalueindex(UP_HANDLERS), call->handler);
  half_push_request(L, call, lua_upvalueindex(UP_METATABLE));
  return served(L, lua_pcallk(L, 1, 2, 1, 0, served), 0);
}

/* lua_CFunction: a coroutine's life. */
static int run(lua_State *L) { return serve(L); }

/* --- req:proceed() -------------------------------------------------------- */

static int proceed_k(lua_State *L, int status, lua_KContext id) {
  weir_policy *policy = half_owner_of(L)->policy;
  bind_result over;
  (void)status;
  if (!bind_wait_over(L, policy->W, id, &over))
    return bind_wait_again(L, id, proceed_k);
  half_push_response(L, half_owner_of(L)->call->result);
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
  call->state = HALF_PROCEEDS;
  call->owner.policy->proceeding++;
  half_note_waited(call);
  return bind_wait(L, &W->home, fiber, BIND_NO_TICKET, proceed_k);
}

/* --- making the coroutine ------------------------------------------------- */

/* lua_CFunction, upvalue: run. () -> fiber */
static int make(lua_State *L) {
  weir_lua *W = half_owner_of(L)->policy->W;
  lua_State *co = lua_newthread(L);
  bind_push_guard(co);
  lua_toclose(co, -1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_xmove(L, co, 1);
  lua_pushinteger(L, bind_fiber_new(L, W, true));
  return 1;
}

void half_push_make(lua_State *L, int module, int handlers) {
  lua_getfield(L, module, "trace");
  lua_getfield(L, module, "conclude");
  lua_pushvalue(L, handlers);
  half_push_request_metatable(L);
  lua_pushcclosure(L, run, UP_METATABLE);
  lua_pushcclosure(L, make, 1);
}

/* A coroutine that rests, or a new one; 0: there can be none, and an error is
** on the stack. */
static uint32_t take_fiber(weir_policy *policy) {
  lua_State *L = policy->L;
  uint32_t fiber;
  while (policy->idle) {
    uint64_t id = policy->resting[--policy->idle];
    if (weir_slab_find(&policy->W->fibers, id)) return (uint32_t)id;
  }
  lua_pushvalue(L, HALF_MAKE);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 0;
  fiber = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return fiber;
}

/* Gives a call its coroutine, which is ready to run. */
static bool give_fiber(weir_policy *policy, weir_policy_call *call) {
  uint32_t index = take_fiber(policy);
  bind_fiber *fiber;
  if (!index || !half_link_request(call)) return false;
  fiber = bind_fiber_at(policy->W, index);
  fiber->state = BIND_RUNNABLE;
  bind_run_queue_add(policy->W, index);
  half_own(fiber->co, &call->owner);
  call->co = fiber->co;
  call->fiber = bind_fiber_id(policy->W, index);
  return true;
}

/* --- resuming it ---------------------------------------------------------- */

void half_log_failure(weir_policy *policy) {
  lua_State *L = policy->L;
  if (!policy->W->failed) return;
  bind_push_failure(L, policy->W);
  luaL_tolstring(L, -1, NULL);
  ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "weir: %s",
                lua_tostring(L, -1));
  lua_pop(L, 2);
}

/* lua_CFunction: (policy, fiber) */
static int cancel(lua_State *L) {
  weir_policy *policy = lua_touserdata(L, 1);
  bind_cancel(L, policy->W, (uint32_t)lua_tointeger(L, 2));
  return 0;
}

static void returned(weir_policy *policy, weir_policy_call *call) {
  if (call->state == HALF_PROCEEDS) policy->proceeding--;
  call->state = HALF_RETURNED;
  call->co = NULL;
}

/* Closes the coroutine of a call. */
static void close_call(weir_policy *policy, weir_policy_call *call) {
  lua_State *L = policy->L, *co = call->co;
  lua_pushthread(co); /* it may be collected once it is closed */
  lua_xmove(co, L, 1);
  half_budget_begin(policy, co);
  lua_pushcfunction(L, cancel);
  lua_pushlightuserdata(L, policy);
  lua_pushinteger(L, (uint32_t)call->fiber);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    log_late(call, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
  }
  half_budget_end(policy, co);
  half_own(co, &policy->nobody);
  lua_pop(L, 1);
  half_log_failure(policy);
  returned(policy, call);
}

/* Whether it gave way by something else than weir.sleep(0). */
static bool yields_to_nobody(const bind_fiber *fiber, lua_CFunction yield) {
  lua_State *co = fiber->co;
  lua_Debug frame;
  bool foreign;
  if (fiber->state != BIND_RUNNABLE || !lua_getstack(co, 0, &frame) ||
      !lua_getinfo(co, "f", &frame))
    return false;
  foreign = lua_tocfunction(co, -1) == yield;
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

/* Its coroutine is another call's from here on, or is no more. */
static void let_go(weir_policy *policy, weir_policy_call *call,
                   const bind_fiber *fiber) {
  if (fiber) {
    half_own(call->co, &policy->nobody);
    policy->resting[policy->idle++] = call->fiber;
  } else if (!call->settled && call->state == HALF_RUNS) {
    half_decide_failed(call, "the handler could not be run: not enough memory");
  }
  returned(policy, call);
}

/* What has become of a call that was resumed. */
static void look_after(weir_policy *policy, weir_policy_call *call) {
  const bind_fiber *fiber = weir_slab_find(&policy->W->fibers, call->fiber);
  if (!fiber || fiber->state == BIND_RESTING)
    let_go(policy, call, fiber);
  else if (yields_to_nobody(fiber, policy->yield))
    fail_yield(policy, call);
}

/* The key of a permit that was waited for. */
static ngx_str_t key_of(const weir_policy_call *call, const bind_fiber *fiber) {
  const weir_port *port = fiber->ticket ? fiber->space->port : NULL;
  weir_ticket_info info;
  ngx_str_t none = ngx_null_string;
  if (!port || weir_ticket_inspect(port, fiber->ticket,
                                   call->owner.policy->W->now, &info))
    return none;
  return half_copy_text(call->r->pool, info.key, ngx_strlen(info.key));
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
  call->decision.key = key_of(call, fiber);
  lua_pop(L, 1);
}

void half_resume(weir_policy *policy, uint32_t index) {
  const bind_fiber *fiber = bind_fiber_at(policy->W, index);
  lua_State *L = policy->L, *co = fiber->co;
  weir_policy_call *call = half_owner_of(co)->call;
  if (call && call->state == HALF_RUNS) note_wait(call, fiber);
  half_budget_begin(policy, co);
  if (bind_drive_one(L, policy->W, index) < 0) {
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "weir: %s",
                  luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
  }
  policy->limited = false;
  half_log_failure(policy);
  if (call) look_after(policy, call);
}

/* --- a call's life -------------------------------------------------------- */

weir_policy_step half_step_of(const weir_policy_call *call) {
  if (call->settled) return call->step;
  return call->state == HALF_PROCEEDS ? WEIR_POLICY_PASSES : WEIR_POLICY_WAITS;
}

void half_begin(weir_policy_call *call) {
  weir_policy *policy = call->owner.policy;
  lua_State *L = policy->L;
  call->since = policy->W->now;
  if (!give_fiber(policy, call)) {
    half_decide_failed(call, "not enough memory for a coroutine");
    lua_settop(L, HALF_FIXED);
    return;
  }
  half_resume(policy, (uint32_t)call->fiber);
  call->waits = half_step_of(call) == WEIR_POLICY_WAITS;
}

/* Lets a handler go on behind req:proceed(). */
static void finish(weir_policy_call *call, const weir_policy_result *result) {
  weir_policy *policy = call->owner.policy;
  weir_lua *W = policy->W;
  call->result = result;
  W->outcome = result->outcome;
  bind_wait_end(W, (uint32_t)call->fiber);
  half_resume(policy, (uint32_t)call->fiber);
  W->outcome = WEIR_DONE;
}

void half_end(weir_policy_call *call, const weir_policy_result *result) {
  if (call->queued) {
    ngx_queue_remove(&call->link);
  }
  call->queued = false;
  /* Another coroutine of the script's may have closed this one. */
  if (call->co && !weir_slab_find(&call->owner.policy->W->fibers, call->fiber))
    returned(call->owner.policy, call);
  if (call->co && call->state == HALF_PROCEEDS && result) finish(call, result);
  if (call->co) close_call(call->owner.policy, call);
  call->over = true;
  half_unlink_request(call);
}
