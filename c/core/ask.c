/* ask.c - see ask.h. */
#include "ask.h"

#include "instance.h"
#include "keys.h"

static const weir_limiter_record *limiter_of(const weir_space *space,
                                             const weir_ask *ask) {
  return weir_limiter_at(space, ask->limiter);
}

static bool is_sound(const weir_request *request) {
  return request->cost <= WEIR_PERMITS_MAX &&
         (!request->key || request->key_size <= WEIR_KEY_MAX) &&
         (!request->flow || request->flow_size <= WEIR_KEY_MAX) &&
         request->priority >= WEIR_PRIORITY_MIN &&
         request->priority <= WEIR_PRIORITY_MAX;
}

static uint64_t hash_of_flow(const weir_space *space,
                             const weir_request *request) {
  return request->flow ? weir_hash_bytes(space->root->seed, request->flow,
                                         request->flow_size)
                             .word[0]
                       : 0;
}

int weir_ask_init(const weir_space *space, weir_limiter handle,
                  const weir_request *request, uint64_t now, weir_ask *out) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter) return WEIR_E_STALE;
  if (!is_sound(request)) return WEIR_E_CONFIG;
  out->request = request;
  out->place.since = now;
  out->place.flow = hash_of_flow(space, request);
  out->place.arrival = space->root->arrivals + 1;
  out->place.priority = request->priority;
  out->deadline = weir_deadline_of(request, limiter->config.timeout_ns, now);
  out->limiter = (uint32_t)handle;
  out->instance = limiter->instance;
  out->fresh = false;
  out->try_only = request->try_only;
  out->cost = request->cost ? request->cost : 1;
  if (!out->instance) weir_lost(space->memory.commons);
  if (!request->key) return 0;
  out->hash =
      weir_hash_bytes(space->root->seed, request->key, request->key_size);
  out->instance = weir_keys_find(space, out->limiter, &out->hash);
  return 0;
}

weir_bound weir_ask_bound(const weir_space *space, const weir_ask *ask,
                          uint64_t t) {
  if (!ask->instance) return WEIR_BY_NOTHING;
  if (!weir_queue_leads(space, ask->instance, &ask->place))
    return WEIR_BY_OTHERS;
  return weir_instance_bound(space, ask->instance, ask->cost, t);
}

/* How many wait; in a dry run, how many go who would. */
static uint64_t waiting(const weir_space *space, const weir_ask *ask) {
  const weir_instance_record *instance = weir_instance_at(space, ask->instance);
  uint32_t limit = weir_instance_limit(space, ask->instance);
  if (instance->queue) return weir_queue_at(space, instance->queue)->waiting;
  if (!limiter_of(space, ask)->config.dry_run || limit == WEIR_NO_LIMIT)
    return 0;
  return instance->in_use > limit ? instance->in_use - limit : 0;
}

static bool is_full(const weir_space *space, const weir_ask *ask) {
  const weir_config *config = &limiter_of(space, ask)->config;
  if (config->queue == WEIR_UNBOUNDED || waiting(space, ask) < config->queue)
    return false;
  return !config->queue ||
         !weir_queue_victim(space, ask->instance, &ask->place);
}

/* Whether, as fast as the queue goes, its turn comes after its deadline. */
static bool is_doomed(const weir_space *space, const weir_ask *ask,
                      uint64_t now) {
  const weir_instance_record *instance = weir_instance_at(space, ask->instance);
  const weir_control_record *control;
  uint64_t ahead, wait;
  if (!limiter_of(space, ask)->config.shed.doomed || !instance->control ||
      ask->deadline == WEIR_NEVER)
    return false;
  control = weir_control_at(space, instance->control);
  ahead = weir_queue_ahead(space, ask->instance, &ask->place);
  wait = weir_pace_wait(&control->pace, ahead + 1);
  return wait > ask->deadline - now;
}

weir_verdict weir_ask_refusal(const weir_space *space, const weir_ask *ask,
                              uint64_t now) {
  if (ask->try_only || is_full(space, ask)) return WEIR_FULL;
  if (weir_is_due(ask->deadline, now)) return WEIR_TIMEOUT;
  return is_doomed(space, ask, now) ? WEIR_DOOMED : WEIR_WAITING;
}

weir_verdict weir_ask_gate(const weir_space *space, const weir_ask *ask,
                           uint32_t keys, uint64_t t) {
  const weir_limiter_record *limiter = limiter_of(space, ask);
  if (limiter->closed) return WEIR_CLOSED;
  if (weir_limiter_impossible(limiter, ask->cost)) return WEIR_IMPOSSIBLE;
  if (!ask->instance && !weir_keys_room(space, ask->limiter, keys, t))
    return WEIR_EXHAUSTED;
  return weir_ask_bound(space, ask, t) == WEIR_BY_NOTHING ? WEIR_ADMITTED
                                                          : WEIR_WAITING;
}

weir_verdict weir_ask_judge(const weir_space *space, const weir_ask *ask,
                            uint64_t now, uint64_t t) {
  weir_verdict verdict = weir_ask_gate(space, ask, 1, t);
  return verdict == WEIR_WAITING ? weir_ask_refusal(space, ask, now) : verdict;
}
