/*
** limiter.c - limiters: opening, changing, closing, counting.
*/
#include <string.h>

#include "door.h"
#include "group.h"
#include "instance.h"
#include "keys.h"
#include "queue.h"

static const char *shed_check(const weir_config *config) {
  const weir_shed *shed = &config->shed;
  if (shed->victim > WEIR_LOWEST) return "shed: the victim is unknown";
  if (shed->victim == WEIR_LOWEST && config->order != WEIR_PRIORITY)
    return "shed: the lowest can be the victim only in order of priority";
  if (shed->lifo && config->order != WEIR_FIFO)
    return "shed: lifo turns a queue round whose order is fifo";
  if (shed->target_ns > WEIR_PER_MAX || shed->interval_ns > WEIR_PER_MAX)
    return "shed: target and interval must be shorter than 36 years";
  return NULL;
}

const char *weir_config_check(const weir_config *config) {
  const char *wrong = weir_rate_check(&config->rate);
  if (!wrong) wrong = weir_adaptive_check(&config->adaptive);
  if (wrong) return wrong;
  if (config->concurrent > WEIR_PERMITS_MAX)
    return "concurrent must be at most 2147483647";
  if (!config->concurrent && !config->rate.count &&
      config->adaptive.algorithm == WEIR_STATIC)
    return "a limiter needs concurrent, rate or adaptive: what shall it limit?";
  if (config->keys > WEIR_PERMITS_MAX) return "keys must be at most 2147483647";
  if (config->order > WEIR_FAIR) return "the order is unknown";
  return shed_check(config);
}

/* The open limiter of that name; 0: none. Reads every limiter: names are few
** and looked up when a program starts, not per request. */
static uint32_t find_name(const weir_space *space, const char *name) {
  for (uint32_t i = 1; i < space->limiters.head->used; i++) {
    const weir_limiter_record *limiter = weir_limiter_at(space, i);
    if (weir_slab_live(&space->limiters, i) && !limiter->closed &&
        strncmp(limiter->name, name, sizeof limiter->name) == 0)
      return i;
  }
  return 0;
}

/* A new limiter; 0: no memory. */
static uint32_t new_limiter(weir_space *space, const char *name) {
  weir_limiter_record *limiter;
  weir_record record;
  uint32_t index, instance;
  if (!weir_slab_reserve(&space->limiters)) return 0;
  index = weir_slab_take(&space->limiters);
  instance = weir_instance_make(space, index);
  if (!instance) {
    weir_slab_give(&space->limiters, index);
    return 0;
  }
  limiter = weir_limiter_fresh(space, index);
  record = limiter->record;
  memset(limiter, 0, sizeof *limiter);
  limiter->record = record;
  memcpy(limiter->name, name, strlen(name) + 1);
  limiter->instance = instance;
  return index;
}

/* --- configuring ---------------------------------------------------------- */

static bool is_same_rate(const weir_rate *a, const weir_rate *b) {
  return a->count == b->count && a->per_ns == b->per_ns &&
         a->burst == b->burst && a->window == b->window &&
         a->aligned == b->aligned && a->phase_ns == b->phase_ns;
}

/* Gives the waiters of a limiter a place among the deadlines, so that the time
** can let them go; false: no memory, and nothing changed that matters. */
static bool make_timed(weir_space *space, uint32_t limiter) {
  for (uint32_t i = 1; i < space->tickets.head->used; i++) {
    const weir_ticket_record *ticket = weir_ticket_at(space, i);
    const weir_instance_record *instance;
    weir_heap *deadlines;
    uint32_t waiter;
    if (!weir_slab_live(&space->tickets, i) || !ticket->instance ||
        !ticket->cost || ticket->state != WEIR_QUEUED)
      continue;
    instance = weir_instance_at(space, ticket->instance);
    waiter = weir_group_waiter(space, i);
    if (instance->entry.owner != limiter || weir_ticket_at(space, waiter)->heap)
      continue;
    deadlines = weir_deadlines(space, ticket->port);
    if (!weir_heap_reserve(deadlines, &space->heaps, deadlines->count + 1))
      return false;
    weir_heap_add(deadlines, &space->tickets, waiter,
                  weir_ticket_at(space, waiter)->time,
                  weir_ticket_at(space, waiter)->arrival);
    weir_step(space);
  }
  return true;
}

/* Takes what was taken from a limiter's former rate over to the new one, key by
** key; how far it has come stands in the record, so that another can go on. */
void weir_limiter_move(weir_space *space, uint32_t index, uint64_t t) {
  weir_limiter_record *limiter = weir_limiter_fresh(space, index);
  while (limiter->moving && limiter->moving < space->instances.head->used) {
    uint32_t i = limiter->moving;
    weir_keep(&space->memory, &limiter->moving, sizeof limiter->moving);
    limiter->moving++;
    if (weir_slab_live(&space->instances, i) &&
        weir_instance_at(space, i)->entry.owner == index)
      weir_meter_change(&limiter->former, &limiter->meter,
                        &weir_instance_edit(space, i)->rate, t);
    weir_step(space);
  }
  weir_keys_reorder(space, index, t);
  weir_keep(&space->memory, &limiter->moving, sizeof limiter->moving);
  limiter->moving = 0;
}

/* What follows from a config, so that no request has to find it out. */
static void derive(weir_limiter_record *limiter) {
  const weir_config *config = &limiter->config;
  const weir_shed *shed = &config->shed;
  bool sheds = shed->codel || shed->lifo || shed->doomed;
  bool wakes = config->rate.count || config->adaptive.algorithm != WEIR_STATIC;
  limiter->most = weir_highest_cost(config);
  limiter->plain = !wakes && !sheds && !config->dry_run;
  limiter->timed =
      wakes || sheds || config->aging_ns || config->timeout_ns != WEIR_NEVER;
}

/* Gives a limiter its config. */
static void apply(weir_space *space, uint32_t index, const weir_config *config,
                  uint64_t t) {
  weir_limiter_record *limiter = weir_limiter_edit(space, index);
  bool same = is_same_rate(&limiter->meter.rate, &config->rate);
  weir_keep(&space->memory, &limiter->dropped,
            offsetof(weir_limiter_record, idle) -
                offsetof(weir_limiter_record, dropped));
  limiter->config = *config;
  limiter->config.adaptive = weir_adaptive_complete(&config->adaptive);
  derive(limiter);
  limiter->changes++;
  if (same) return;
  limiter->former = limiter->meter;
  limiter->moving = 1;
  weir_meter_init(&limiter->meter, &config->rate);
  if (!limiter->former.rate.count) limiter->metered = limiter->tickets ? t : 0;
}

/* false: no memory, nothing changed. */
static bool configure(weir_space *space, uint32_t index,
                      const weir_config *config, uint64_t now) {
  const weir_limiter_record *limiter = weir_limiter_at(space, index);
  uint64_t t = weir_space_tick(space, now);
  if (limiter->waiting && !weir_limiter_wakes(limiter) &&
      (config->rate.count || config->adaptive.algorithm != WEIR_STATIC) &&
      !make_timed(space, index))
    return false;
  apply(space, index, config, t);
  if (limiter->moving) weir_limiter_move(space, index, t);
  if (limiter->waiting) weir_pump_all(space, index, now);
  return true;
}

/* Where others are to find it, a limiter needs a name. */
static bool wants_names(const weir_space *space) {
  return space->memory.commons && !space->memory.commons->sharing->nameless;
}

int weir_do_limiter_open(weir_space *space, const char *name,
                         const weir_config *config, uint64_t now,
                         weir_limiter *out) {
  uint32_t index;
  *out = 0;
  if (!name) name = "";
  if (weir_config_check(config) || strlen(name) > WEIR_NAME_MAX ||
      (!*name && wants_names(space)))
    return WEIR_E_CONFIG;
  index = *name ? find_name(space, name) : 0;
  if (!index) index = new_limiter(space, name);
  if (!index || !configure(space, index, config, now)) return WEIR_E_MEMORY;
  weir_limiter_edit(space, index)->refs++;
  *out = weir_slab_handle(&space->limiters, index);
  return 0;
}

int weir_do_limiter_set(weir_space *space, weir_limiter handle,
                        const weir_config *config, uint64_t now) {
  if (!weir_slab_find(&space->limiters, handle)) return WEIR_E_STALE;
  if (weir_config_check(config)) return WEIR_E_CONFIG;
  return configure(space, (uint32_t)handle, config, now) ? 0 : WEIR_E_MEMORY;
}

int weir_do_limiter_config(const weir_space *space, weir_limiter handle,
                           weir_config *out) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter) return WEIR_E_STALE;
  if (weir_config_check(&limiter->config)) weir_lost(space->memory.commons);
  *out = limiter->config;
  return 0;
}

/* --- the end -------------------------------------------------------------- */

/* Refuses who waits in a limiter's queues, in their order. */
static void refuse_queues(weir_space *space, uint32_t limiter, uint64_t now) {
  for (uint32_t i = 1; i < space->queues.head->used; i++) {
    uint32_t instance, head;
    if (!weir_slab_live(&space->queues, i)) continue;
    instance = weir_queue_at(space, i)->instance;
    if (weir_instance_at(space, instance)->entry.owner != limiter) continue;
    while ((head = weir_queue_head(space, instance)) != 0) {
      weir_ticket_decide(space, head, WEIR_CLOSED, now);
      weir_step(space);
    }
  }
}

/* Refuses who waits for a limiter in other queues, and then, for one of those
** that are left might move to this one's, lets go there who was behind. */
static void refuse_asides(weir_space *space, uint32_t limiter, uint64_t now) {
  for (uint32_t i = 1; i < space->tickets.head->used; i++) {
    const weir_ticket_record *ticket = weir_ticket_at(space, i);
    if (weir_slab_live(&space->tickets, i) && ticket->aside &&
        weir_instance_at(space, ticket->instance)->entry.owner == limiter) {
      weir_ticket_decide(space, i, WEIR_CLOSED, now);
      weir_step(space);
    }
  }
  weir_pump_all(space, 0, now);
}

void weir_limiter_refuse(weir_space *space, uint32_t index, uint64_t now) {
  refuse_queues(space, index, now);
  if (weir_limiter_at(space, index)->waiting) refuse_asides(space, index, now);
  weir_limiter_drained(space, index, now);
}

int weir_do_limiter_close(weir_space *space, weir_limiter handle,
                          uint64_t now) {
  weir_limiter_record *limiter;
  if (!weir_slab_find(&space->limiters, handle)) return WEIR_E_STALE;
  weir_space_tick(space, now);
  limiter = weir_limiter_edit(space, (uint32_t)handle);
  limiter->closed = limiter->refusing = true;
  weir_limiter_refuse(space, (uint32_t)handle, now);
  return 0;
}

/* In a shared space an open one stays: it is found by its name again. */
void weir_limiter_collect(weir_space *space, uint32_t index) {
  weir_limiter_record *limiter = weir_limiter_fresh(space, index);
  const weir_instance_record *instance =
      weir_instance_at(space, limiter->instance);
  if (limiter->refs || limiter->tickets) return;
  if (space->memory.commons && *limiter->name && !limiter->closed) return;
  weir_keys_free_all(space, index);
  if (instance->control) weir_slab_give(&space->controls, instance->control);
  weir_slab_give(&space->instances, limiter->instance);
  weir_slab_give(&space->limiters, index);
}

int weir_do_limiter_drop(weir_space *space, weir_limiter handle) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter || !limiter->refs) return WEIR_E_STALE;
  weir_limiter_edit(space, (uint32_t)handle)->refs--;
  weir_limiter_collect(space, (uint32_t)handle);
  return 0;
}

bool weir_do_limiter_timed(const weir_space *space, weir_limiter handle) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  return limiter && limiter->timed;
}

/* Of a shared space a copy, which is the thread's own: another one may have the
** limiter collected. */
const char *weir_do_limiter_name(const weir_space *space, weir_limiter handle) {
  static _Thread_local char name[WEIR_NAME_MAX + 1];
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter) return NULL;
  if (!space->memory.commons) return limiter->name;
  memcpy(name, limiter->name, WEIR_NAME_MAX);
  return name;
}
