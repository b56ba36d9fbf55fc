/*
** duel_foresee.c - see duel.h: whether the time that weir_limiter_quota tells
** is the time it takes. A copy of the reference lives on, and nobody comes.
*/
#include "duel.h"

/* Whether none but this limiter has a say in when its waiters go, and it lets
** them go by the time alone. (One that turns round may turn back.) */
static bool is_on_its_own(const reference *model, const ref_limiter *limiter) {
  int place = (int)(limiter - model->limiters);
  for (int i = 0; i < model->high; i++) {
    const ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_QUEUED || ticket->count < 2) continue;
    for (int j = 0; j < ticket->count; j++)
      if (ticket->parts[j].limiter == place) return false;
  }
  return !limiter->closed && !limiter->config.dry_run &&
         !limiter->config.shed.lifo && limiter->config.rate.count &&
         !limiter->config.concurrent &&
         limiter->config.adaptive.algorithm == WEIR_STATIC;
}

/* Whether some go before others that came before, or leave before their turn:
** then it may take less time. */
static bool is_in_order(const reference *model, const ref_instance *instance) {
  const weir_config *config = &model->limiters[instance->limiter].config;
  for (int i = 0; i < model->high; i++)
    if (model->tickets[i].state == WEIR_QUEUED &&
        model->tickets[i].deadline != WEIR_NEVER)
      return false;
  return instance->order != WEIR_FAIR &&
         (instance->order != WEIR_PRIORITY || !config->aging_ns);
}

static void copy_model(reference *to, const reference *from) {
  *to = *from;
  to->spoilt = NULL;
  to->no_memory = false;
  to->label = UINT64_MAX;
  for (int i = 0; i < REF_LIMITERS; i++)
    for (int key = 0; key < REF_KEYS; key++) {
      const ref_ticket **told = &to->limiters[i].keys[key].told;
      if (*told) *told = &to->tickets[*told - from->tickets];
    }
}

/* Lets a request wait as long as it takes. */
static int ask(reference *model, ref_limiter *limiter, weir_request request,
               uint64_t now) {
  request.deadline = WEIR_NEVER;
  request.try_only = false;
  limiter->config.queue = WEIR_UNBOUNDED;
  limiter->config.shed = (weir_shed){ .target_ns = 0 };
  return ref_acquire(model, 0, limiter->handle, &request, now);
}

/* The time at which the ticket is decided; NEVER: not for long. */
static uint64_t live_on(reference *model, uint64_t now) {
  const ref_ticket *ticket = ref_ticket_of(model, model->label);
  for (int i = 0; i < 16 * REF_TICKETS; i++) {
    uint64_t next = WEIR_NEVER;
    for (int port = 0; port < REF_PORTS; port++)
      if (ref_deadline(model, port) < next) next = ref_deadline(model, port);
    if (next == WEIR_NEVER) break;
    if (next > now) now = next;
    for (int port = 0; port < REF_PORTS; port++) ref_advance(model, port, now);
    if (ticket->state != WEIR_QUEUED) return now;
  }
  return WEIR_NEVER;
}

/* (Where the clock has just gone back those who wait may have to until it has
** come as far again.) */
void duel_foresee(duel *d, weir_limiter handle, const weir_request *request,
                  uint64_t retry_ns) {
  static reference copy;
  ref_limiter *limiter = ref_limiter_of(&d->model, handle);
  int key = ref_key_of(request->key, request->key_size);
  uint64_t end = d->now;
  bool exact;
  if (!is_on_its_own(&d->model, limiter) || !limiter->keys[key].known ||
      !limiter->keys[key].queue || retry_ns > UINT32_MAX ||
      d->now > UINT64_MAX / 4 * 3 || d->now < d->model.heard ||
      ref_tickets_full(&d->model))
    return;
  exact = is_in_order(&d->model, &limiter->keys[key]);
  copy_model(&copy, &d->model);
  limiter = ref_limiter_of(&copy, handle);
  if (ask(&copy, limiter, *request, d->now) != WEIR_ADMITTED)
    end = live_on(&copy, d->now);
  if (exact)
    duel_same(d, "when it would be admitted", d->now + retry_ns, end);
  else
    duel_same(d, "an early promise", d->now + retry_ns < end, false);
}
