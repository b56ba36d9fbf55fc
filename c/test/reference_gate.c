/* reference_gate.c - see reference.h: permits, tokens and what is measured. */
#include "reference_inner.h"

/* --- permits ------------------------------------------------------------- */

static uint32_t with_concurrent(const weir_config *config, uint32_t limit) {
  return config->concurrent && config->concurrent < limit ? config->concurrent
                                                          : limit;
}

bool ref_is_tuned(reference *model, const ref_instance *instance) {
  const weir_config *config = &ref_limiter_at(model, instance)->config;
  return instance->controlled && config->adaptive.algorithm != WEIR_STATIC &&
         instance->algorithm == config->adaptive.algorithm;
}

uint32_t ref_limit(reference *model, const ref_instance *instance) {
  const weir_config *config = &ref_limiter_at(model, instance)->config;
  if (config->adaptive.algorithm == WEIR_STATIC) return config->concurrent;
  if (!ref_is_tuned(model, instance))
    return with_concurrent(config, config->adaptive.initial);
  return with_concurrent(config,
                         weir_tuner_limit(&instance->tuner, &config->adaptive));
}

/* One that asks for more than an adaptive limit is now goes alone. */
static bool has_permits(reference *model, const ref_instance *instance,
                        uint32_t cost) {
  uint32_t limit = ref_limit(model, instance);
  uint64_t used = limit ? ref_in_use(model, instance) : 0;
  return used == 0 || used + cost <= limit;
}

bool ref_is_impossible(const ref_limiter *limiter, uint32_t cost) {
  const weir_config *config = &limiter->config;
  uint32_t most = config->adaptive.algorithm == WEIR_STATIC
                      ? config->concurrent
                      : with_concurrent(config, config->adaptive.max);
  uint32_t tokens = config->rate.window == WEIR_GCRA ? config->rate.burst
                                                     : config->rate.count;
  return (most && cost > most) || (config->rate.count && cost > tokens);
}

/* --- tokens -------------------------------------------------------------- */

static uint64_t ready_at(reference *model, const ref_instance *instance,
                         uint32_t cost) {
  const weir_meter *meter = &ref_limiter_at(model, instance)->meter;
  if (!meter->rate.count) return model->t;
  return weir_meter_ready(meter, &instance->rate, cost, model->t);
}

weir_bound ref_bound(reference *model, const ref_instance *instance,
                     uint32_t cost) {
  if (!has_permits(model, instance, cost)) return WEIR_BY_PERMITS;
  return ready_at(model, instance, cost) > model->t ? WEIR_BY_RATE
                                                    : WEIR_BY_NOTHING;
}

uint64_t ref_time_of(reference *model, const ref_instance *instance,
                     uint32_t cost) {
  uint64_t time = WEIR_NEVER;
  if (has_permits(model, instance, cost)) {
    if (ref_limiter_at(model, instance)->meter.rate.count)
      time = ready_at(model, instance, cost);
  } else if (ref_is_tuned(model, instance)) {
    time = weir_tuner_due(&instance->tuner);
  }
  return ref_clock_back(model, time);
}

void ref_charge(reference *model, const ref_ticket *ticket,
                const ref_part *part) {
  ref_instance *instance = ref_instance_at(model, part);
  const weir_meter *meter = &ref_limiter_at(model, instance)->meter;
  if (part->free) return;
  ref_law_charge(model, ticket, part);
  if (meter->rate.count)
    weir_meter_take(meter, &instance->rate, part->cost, model->t);
}

void ref_refund(reference *model, const ref_ticket *ticket,
                const ref_part *part) {
  ref_instance *instance = ref_instance_at(model, part);
  const ref_limiter *limiter = ref_limiter_at(model, instance);
  uint64_t then = ref_clock_then(model, ticket->decided);
  if (part->free || !limiter->meter.rate.count ||
      (limiter->metered && then <= limiter->metered))
    return;
  ref_law_refund(model, ticket, part);
  weir_meter_give(&limiter->meter, &instance->rate, part->cost, then,
                  ref_clock_latest(model));
}

/* --- what is measured ----------------------------------------------------- */

static bool wants_control(const weir_config *config) {
  return config->adaptive.algorithm != WEIR_STATIC || config->shed.codel ||
         config->shed.lifo || config->shed.doomed;
}

/* A request begins to measure what has not been measured so far. */
void ref_control(reference *model, ref_instance *instance) {
  const weir_config *config = &ref_limiter_at(model, instance)->config;
  if (!wants_control(config)) return;
  if (!instance->controlled) {
    instance->codel = (weir_codel){ 0 };
    instance->pace = (weir_pace){ 0 };
    instance->tuner = (weir_tuner){ 0 };
    instance->algorithm = WEIR_STATIC;
  }
  instance->controlled = true;
  if (instance->algorithm == config->adaptive.algorithm) return;
  instance->algorithm = config->adaptive.algorithm;
  weir_tuner_init(&instance->tuner, &config->adaptive);
}

/* Whether any ticket is of this key, in whatever state. */
static bool has_tickets(reference *model, const ref_instance *instance) {
  for (int i = 0; i < model->high; i++) {
    const ref_ticket *ticket = &model->tickets[i];
    for (int j = 0; ticket->state != WEIR_FREE && j < ticket->count; j++)
      if (ref_instance_at(model, &ticket->parts[j]) == instance) return true;
  }
  return false;
}

bool ref_would_measure(reference *model, weir_limiter handle) {
  const ref_limiter *limiter = ref_limiter_of(model, handle);
  if (!limiter || !wants_control(&limiter->config)) return false;
  for (int key = 0; key < REF_KEYS; key++) {
    const ref_instance *instance = &limiter->keys[key];
    if (instance->known &&
        (!instance->controlled ||
         instance->algorithm != limiter->config.adaptive.algorithm))
      return true;
  }
  return false;
}

void ref_sample(reference *model, const ref_ticket *ticket,
                const ref_part *part, bool dropped) {
  ref_instance *instance = ref_instance_at(model, part);
  const weir_config *config = &ref_limiter_at(model, instance)->config;
  uint64_t held =
      model->now > ticket->decided ? model->now - ticket->decided : 0;
  uint64_t used = ref_in_use(model, instance);
  if (part->free || !ref_is_tuned(model, instance)) return;
  if (used > UINT32_MAX) used = UINT32_MAX;
  weir_tuner_sample(&instance->tuner, &config->adaptive, held, (uint32_t)used,
                    dropped, model->t);
}

/* --- keys ---------------------------------------------------------------- */

/* By the latest time that was told, even if this caller's is earlier. */
bool ref_is_idle(reference *model, const ref_instance *instance) {
  const weir_meter *meter = &ref_limiter_at(model, instance)->meter;
  uint64_t t = ref_clock_latest(model);
  if (has_tickets(model, instance)) return false;
  return !meter->rate.count || weir_meter_idle(meter, &instance->rate, t) <= t;
}

void ref_forget(reference *model, weir_limiter handle, unsigned seen,
                uint64_t now) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  ref_tick(model, now);
  if (!limiter) return;
  for (int key = 1; key < REF_KEYS; key++) {
    ref_instance *instance = &limiter->keys[key];
    if (!instance->known || seen >> key & 1) continue;
    ref_break(model, !ref_is_idle(model, instance),
              "a key is forgotten only when it is idle");
    instance->known = false;
  }
}
