/*
** half.c - the table that the module finds in this object: what policy.h says,
** by the other files.
*/
#include "half.h"

enum {
  RESUMES_PER_STEP = 256, /* then nginx looks at its descriptors */
  RESUMES_PER_LOOK = 32   /* then this half looks into shared spaces */
};

static weir_policy *load(const weir_policy_options *options, char *why) {
  if (!options->trial) half_install_filter();
  return half_state_new(options, why);
}

static int find(weir_policy *policy, const char *name) {
  lua_State *L = policy->L;
  int number = -1;
  lua_pushstring(L, name);
  if (lua_rawget(L, HALF_HANDLERS) == LUA_TNUMBER)
    number = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return number;
}

/* The list keeps it. */
static const char *warning(weir_policy *policy, ngx_uint_t i) {
  lua_State *L = policy->L;
  const char *text;
  lua_rawgeti(L, HALF_WARNINGS, (lua_Integer)i + 1);
  text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

static weir_policy_step begin(weir_policy *policy, int handler,
                              ngx_http_request_t *r, uint64_t now,
                              weir_policy_call **out) {
  weir_policy_call *call = ngx_pcalloc(r->pool, sizeof *call);
  *out = call;
  if (!call) return WEIR_POLICY_FAILS;
  call->owner = (half_owner){ policy, call };
  call->r = r;
  call->handler = handler;
  half_set_time(policy, now);
  half_begin(call);
  return half_step_of(call);
}

static const weir_policy_decision *decision(weir_policy_call *call) {
  return &call->decision;
}

static void end(weir_policy_call *call, const weir_policy_result *result,
                uint64_t now) {
  half_set_time(call->owner.policy, now);
  half_end(call, result);
}

/* Nobody waits but for the end of a request, as a rule: then there is no need
** to ask the engine. */
static bool pending(weir_policy *policy) {
  const weir_lua *W = policy->W;
  return W->run_first ||
         (W->alive != policy->proceeding + (uint32_t)policy->idle &&
          bind_pending(W));
}

/* Queues a call that has decided for next(). */
static void queue(weir_policy *policy, weir_policy_call *call) {
  if (!call->waits || half_step_of(call) == WEIR_POLICY_WAITS) return;
  call->waits = false;
  call->queued = true;
  ngx_queue_insert_tail(&policy->decided, &call->link);
}

/* With `look` whoever shared spaces have decided since comes in as well. */
static bool resume_next(weir_policy *policy, bool look) {
  weir_lua *W = policy->W;
  weir_policy_call *call;
  bind_collect(W, look || !W->run_first);
  if (!W->run_first) return false;
  call = half_owner_of(bind_fiber_at(W, W->run_first)->co)->call;
  half_resume(policy, W->run_first);
  if (call) queue(policy, call);
  return true;
}

/* Now and then: it runs the collector. Answers when it is due again. */
static uint64_t find_errors(weir_policy *policy, uint64_t now) {
  if (!policy->W->unclaimed) return WEIR_NEVER;
  if (now >= policy->errors_at) {
    policy->errors_at = now + BIND_S_TO_NS;
    bind_find_lost_errors(policy->L, policy->W);
    half_log_failure(policy);
  }
  return policy->W->unclaimed ? policy->errors_at : WEIR_NEVER;
}

/* One that others have let go is to begin before the next one is asked for: see
** bind_collect. */
static bool is_enough(const weir_policy *policy, int resumed) {
  return resumed >= RESUMES_PER_STEP ||
         (policy->W->opened && !ngx_queue_empty(&policy->decided));
}

/* Where nothing rang and nothing is due there is nothing new to see. */
static void advance(const weir_policy *policy, bool rung, uint64_t now) {
  if (rung || now >= policy->due) bind_advance(policy->W);
}

static uint64_t next_due(weir_policy *policy, uint64_t now) {
  uint64_t errors_at = find_errors(policy, now);
  policy->due = bind_next_deadline(policy->W);
  if (errors_at < policy->due) policy->due = errors_at;
  return policy->due;
}

static uint64_t step(weir_policy *policy, bool rung, uint64_t now) {
  weir_lua *W = policy->W;
  int resumed = 0;
  half_set_time(policy, now);
  advance(policy, rung, now);
  bind_wait_end_troubled(W);
  W->stepping = true;
  while (!is_enough(policy, resumed) &&
         resume_next(policy, resumed % RESUMES_PER_LOOK == 0))
    resumed++;
  bind_run_queue_end_frame(W);
  W->stepping = false;
  W->stirred |= resumed > 0;
  bind_find_lost_permits(policy->L, W);
  if (!ngx_queue_empty(&policy->decided)) return now; /* they first */
  return pending(policy) ? now : next_due(policy, now);
}

static bool next(weir_policy *policy, ngx_http_request_t **r,
                 weir_policy_step *out) {
  weir_policy_call *call;
  if (ngx_queue_empty(&policy->decided)) return false;
  call =
      ngx_queue_data(ngx_queue_head(&policy->decided), weir_policy_call, link);
  ngx_queue_remove(&call->link);
  call->queued = false;
  *r = call->r;
  *out = half_step_of(call);
  return true;
}

static int fds(weir_policy *policy, int *out, int max) {
  int count = 0;
  for (const bind_space *space = policy->W->opened; space; space = space->next)
    if (space->port && weir_fd(space->port) >= 0 && count < max)
      out[count++] = weir_fd(space->port);
  return count;
}

extern const weir_policy_half weir_policy_half_table __asm__("weir_policy_half")
    __attribute__((visibility("default")));

const weir_policy_half weir_policy_half_table = { .version =
                                                      WEIR_POLICY_VERSION,
                                                  .load = load,
                                                  .unload = half_state_free,
                                                  .find = find,
                                                  .warning = warning,
                                                  .begin = begin,
                                                  .decision = decision,
                                                  .end = end,
                                                  .pending = pending,
                                                  .step = step,
                                                  .next = next,
                                                  .fds = fds };
