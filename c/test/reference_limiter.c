/* reference_limiter.c - see reference.h: limiters, and what is seen of them. */
#include <string.h>

#include "reference_inner.h"

/* --- configurations ------------------------------------------------------- */

static bool is_good_shed(const weir_config *config) {
  const weir_shed *shed = &config->shed;
  return (unsigned)shed->victim <= WEIR_LOWEST &&
         (shed->victim != WEIR_LOWEST || config->order == WEIR_PRIORITY) &&
         (!shed->lifo || config->order == WEIR_FIFO) &&
         shed->target_ns <= WEIR_PER_MAX && shed->interval_ns <= WEIR_PER_MAX;
}

static bool is_good(const weir_config *config) {
  return !weir_rate_check(&config->rate) &&
         !weir_adaptive_check(&config->adaptive) &&
         config->concurrent <= WEIR_PERMITS_MAX &&
         (config->concurrent || config->rate.count ||
          config->adaptive.algorithm != WEIR_STATIC) &&
         config->keys <= WEIR_PERMITS_MAX &&
         (unsigned)config->order <= WEIR_FAIR && is_good_shed(config);
}

static bool is_same_rate(const weir_rate *a, const weir_rate *b) {
  return a->count == b->count && a->per_ns == b->per_ns &&
         a->burst == b->burst && a->window == b->window &&
         a->aligned == b->aligned && a->phase_ns == b->phase_ns;
}

/* What was taken from the old rate is taken from the new one. */
static void change_rate(reference *model, ref_limiter *limiter,
                        const weir_rate *rate) {
  weir_meter before = limiter->meter;
  if (is_same_rate(&before.rate, rate)) return;
  weir_meter_init(&limiter->meter, rate);
  if (!before.rate.count)
    limiter->metered =
        ref_has_tickets(model, (int)(limiter - model->limiters)) ? model->t : 0;
  for (int key = 0; key < REF_KEYS; key++)
    if (limiter->keys[key].known)
      weir_meter_change(&before, &limiter->meter, &limiter->keys[key].rate,
                        model->t);
  ref_law_forget(limiter);
}

static void configure(reference *model, ref_limiter *limiter,
                      const weir_config *config) {
  limiter->config = *config;
  limiter->config.adaptive = weir_adaptive_complete(&config->adaptive);
  limiter->changes++;
  change_rate(model, limiter, &config->rate);
  ref_settle_all(model, (int)(limiter - model->limiters));
}

static bool is_timed(const weir_config *config) {
  return config->rate.count || config->adaptive.algorithm != WEIR_STATIC;
}

/* Whether it takes memory: those who wait come to wait for the time. */
static bool takes_memory(reference *model, const ref_limiter *limiter,
                         const weir_config *config) {
  return is_timed(config) && !is_timed(&limiter->config) &&
         ref_limiter_waiting(model, (int)(limiter - model->limiters));
}

/* --- a life -------------------------------------------------------------- */

static ref_limiter *named(reference *model, const char *name) {
  for (int i = 0; i < REF_LIMITERS; i++) {
    ref_limiter *limiter = &model->limiters[i];
    if (*name && limiter->live && !limiter->closed &&
        !strcmp(limiter->name, name))
      return limiter;
  }
  return NULL;
}

static ref_limiter *make_limiter(reference *model, const char *name) {
  ref_limiter *limiter = model->limiters;
  while (limiter->live) limiter++;
  memset(limiter, 0, offsetof(ref_limiter, waits));
  limiter->handle = model->label;
  limiter->live = true;
  limiter->metered = 0;
  memcpy(limiter->name, name, strlen(name) + 1);
  for (int key = 0; key < REF_KEYS; key++) {
    limiter->keys[key].limiter = (int)(limiter - model->limiters);
    limiter->keys[key].key = key;
  }
  limiter->keys[0].known = true;
  return limiter;
}

int ref_open(reference *model, const char *name, const weir_config *config,
             uint64_t now) {
  ref_limiter *limiter;
  if (!name) name = "";
  if (!is_good(config) || strlen(name) > WEIR_NAME_MAX) return WEIR_E_CONFIG;
  limiter = named(model, name);
  if (limiter || !model->no_memory) ref_tick(model, now);
  if (model->no_memory && (!limiter || takes_memory(model, limiter, config)))
    return WEIR_E_MEMORY;
  if (!limiter) limiter = make_limiter(model, name);
  limiter->refs++;
  configure(model, limiter, config);
  return 0;
}

int ref_set(reference *model, weir_limiter handle, const weir_config *config,
            uint64_t now) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  if (!limiter) return WEIR_E_STALE;
  if (!is_good(config)) return WEIR_E_CONFIG;
  ref_tick(model, now);
  if (model->no_memory && takes_memory(model, limiter, config))
    return WEIR_E_MEMORY;
  configure(model, limiter, config);
  return 0;
}

/* --- the end ------------------------------------------------------------- */

/* Refuses all who wait in its queues, in the order of those. */
static void refuse_queues(reference *model, int place) {
  for (int number = 1; number <= model->queue_numbers.used; number++)
    for (int key = 0; key < REF_KEYS; key++) {
      ref_instance *instance = &model->limiters[place].keys[key];
      ref_ticket *head;
      if (instance->queue != number) continue;
      while ((head = ref_head(model, instance)) != NULL)
        ref_decide(model, head, WEIR_CLOSED, head->waits);
    }
}

/* Refuses those who wait for it elsewhere, before anybody is let go there. */
static void refuse_others(reference *model, int place) {
  for (int number = 1; number <= model->ticket_numbers.used; number++) {
    ref_ticket *ticket;
    const ref_part *part = ref_part_numbered(model, number, &ticket);
    if (part && part->limiter == place && ref_is_waiting(ticket))
      ref_decide(model, ticket, WEIR_CLOSED, (int)(part - ticket->parts));
  }
  ref_settle_all(model, -1);
}

int ref_close(reference *model, weir_limiter handle, uint64_t now) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  int place;
  if (!limiter) return WEIR_E_STALE;
  place = (int)(limiter - model->limiters);
  ref_tick(model, now);
  limiter->closed = true;
  refuse_queues(model, place);
  if (ref_limiter_waiting(model, place)) refuse_others(model, place);
  ref_drained(model, place);
  return 0;
}

int ref_drop(reference *model, weir_limiter handle) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  if (!limiter || !limiter->refs) return WEIR_E_STALE;
  limiter->refs--;
  ref_collect(model, (int)(limiter - model->limiters));
  return 0;
}

/* --- looking ------------------------------------------------------------- */

bool ref_timed(reference *model, weir_limiter handle) {
  const ref_limiter *limiter = ref_limiter_of(model, handle);
  const weir_config *config;
  if (!limiter) return false;
  config = &limiter->config;
  return is_timed(config) || config->timeout_ns != WEIR_NEVER ||
         config->shed.codel || config->shed.lifo || config->shed.doomed ||
         config->aging_ns;
}

int ref_stats(reference *model, weir_limiter handle, weir_stats *out) {
  const ref_limiter *limiter = ref_limiter_of(model, handle);
  if (!limiter) return WEIR_E_STALE;
  *out = (weir_stats){ .limit = ref_limit(model, &limiter->keys[0]) };
  for (int key = 0; key < REF_KEYS; key++) {
    out->in_use += ref_in_use(model, &limiter->keys[key]);
    out->keys += key && limiter->keys[key].known;
  }
  out->waiting = ref_limiter_waiting(model, (int)(limiter - model->limiters));
  out->changes = limiter->changes;
  out->admitted = limiter->admitted;
  out->dropped = limiter->dropped;
  out->unused = limiter->unused;
  out->closed = limiter->closed;
  memcpy(out->refused, limiter->refused, sizeof out->refused);
  memcpy(out->would, limiter->would, sizeof out->would);
  for (uint64_t i = 0; i < limiter->admitted; i++)
    if (limiter->waits[i] > out->wait.max) out->wait.max = limiter->waits[i];
  return 0;
}

int ref_key_inspect(reference *model, weir_limiter handle, int key,
                    weir_key_info *out) {
  const ref_limiter *limiter = ref_limiter_of(model, handle);
  ref_instance instance;
  if (!limiter) return WEIR_E_STALE;
  instance = limiter->keys[key];
  if (!instance.known) instance.controlled = false;
  *out = (weir_key_info){ .limit = ref_limit(model, &instance) };
  if (!instance.known) return 0;
  ref_label(key, out->label);
  out->in_use = ref_in_use(model, &instance);
  out->waiting = ref_waiting(model, &limiter->keys[key]);
  out->admitted = instance.admitted;
  out->refused = instance.refused;
  return 0;
}

/* What keeps a part of a ticket. */
static weir_bound bound_of(reference *model, const ref_ticket *ticket, int at) {
  const ref_part *part = &ticket->parts[at];
  const ref_instance *instance = ref_instance_at(model, part);
  if (ticket->kind == REF_PARKED || ticket->state != WEIR_QUEUED)
    return WEIR_BY_NOTHING;
  if (ticket->kind == REF_DRAIN || ref_head(model, instance) != ticket)
    return WEIR_BY_OTHERS;
  return ref_bound(model, instance, part->cost);
}

static void inspect(reference *model, const ref_ticket *ticket, int at,
                    weir_ticket_info *out) {
  const ref_part *part = &ticket->parts[at];
  *out = (weir_ticket_info){ .ticket = ticket->handle };
  if (ticket->count) {
    out->limiter = model->limiters[part->limiter].handle;
    ref_label(part->key, out->key);
  }
  out->cookie = ticket->cookie;
  out->since = ticket->state == WEIR_QUEUED ? ticket->arrived : ticket->decided;
  out->cost = ticket->kind == REF_REQUEST ? part->cost : 0;
  out->state = ticket->state;
  out->bound = bound_of(model, ticket, at);
}

int ref_inspect(reference *model, int port, weir_ticket handle, uint64_t now,
                weir_ticket_info *out) {
  const ref_ticket *ticket = ref_own(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  ref_look_at(model, now);
  inspect(model, ticket, ticket->state == WEIR_QUEUED ? ticket->waits : 0, out);
  return 0;
}

/* The port's ticket that has this number, *at: of which part. */
static const ref_ticket *numbered(const reference *model, int port,
                                  uint32_t number, int *at) {
  for (int i = 0; i < model->high; i++) {
    const ref_ticket *ticket = &model->tickets[i];
    if (ticket->state == WEIR_FREE || ticket->port != port) continue;
    for (*at = 0; *at == 0 || *at < ticket->count; ++*at)
      if ((uint32_t)ticket->numbers[*at] == number) return ticket;
  }
  return NULL;
}

/* A part that is in no queue while another is is not seen. */
bool ref_walk(reference *model, int port, uint32_t *cursor, uint64_t now,
              weir_ticket_info *out) {
  uint32_t last = (uint32_t)model->ticket_numbers.used;
  ref_look_at(model, now);
  while (++*cursor <= last) {
    int at;
    const ref_ticket *ticket = numbered(model, port, *cursor, &at);
    if (!ticket || (ticket->state == WEIR_QUEUED && at != ticket->waits))
      continue;
    inspect(model, ticket, at, out);
    return true;
  }
  return false;
}
