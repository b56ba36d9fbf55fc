/* instance.c - see instance.h. */
#include "instance.h"

#include "group.h"
#include "keys.h"
#include "list.h"
#include "queue.h"

/* --- gates ---------------------------------------------------------------- */

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* The upper bound of two, either of which may be WEIR_NO_LIMIT. */
static uint32_t both_limits(uint32_t a, uint32_t b) {
  if (a == WEIR_NO_LIMIT || b == WEIR_NO_LIMIT) return a | b;
  return least(a, b);
}

static const weir_control_record *
control_of(const weir_space *space, const weir_instance_record *instance) {
  return instance->control ? weir_control_at(space, instance->control) : NULL;
}

uint32_t weir_limit_initial(const weir_limiter_record *limiter) {
  const weir_config *config = &limiter->config;
  return config->adaptive.algorithm == WEIR_STATIC
             ? config->concurrent
             : both_limits(config->concurrent, config->adaptive.initial);
}

uint32_t weir_limit_adapted(const weir_space *space,
                            const weir_limiter_record *limiter,
                            const weir_instance_record *instance) {
  const weir_control_record *control = control_of(space, instance);
  const weir_adaptive *adaptive = &limiter->config.adaptive;
  uint32_t found = control && control->algorithm == adaptive->algorithm
                       ? weir_tuner_limit(&control->tuner, adaptive)
                       : adaptive->initial;
  return both_limits(limiter->config.concurrent, found);
}

uint32_t weir_highest_cost(const weir_config *config) {
  const weir_rate *rate = &config->rate;
  uint32_t most = config->concurrent, tokens = 0;
  if (config->adaptive.algorithm != WEIR_STATIC)
    most = both_limits(most, config->adaptive.max);
  if (rate->count)
    tokens = rate->window == WEIR_GCRA ? rate->burst : rate->count;
  most = both_limits(most, tokens);
  return most ? most : WEIR_PERMITS_MAX;
}

bool weir_control_ensure(weir_space *space, uint32_t index) {
  weir_instance_record *instance = weir_instance_fresh(space, index);
  const weir_config *config = &weir_limiter_of(space, instance)->config;
  const weir_shed *shed = &config->shed;
  weir_control_record *control;
  weir_record record;
  if (config->adaptive.algorithm == WEIR_STATIC && !shed->codel &&
      !shed->lifo && !shed->doomed)
    return true;
  if (!instance->control) {
    if (!weir_slab_reserve(&space->controls)) return false;
    weir_keep(&space->memory, &instance->control, sizeof(uint32_t));
    instance->control = weir_slab_take(&space->controls);
    control = weir_control_fresh(space, instance->control);
    record = control->record;
    *control = (weir_control_record){ .record = record };
  }
  if (weir_control_at(space, instance->control)->algorithm ==
      config->adaptive.algorithm)
    return true;
  control = weir_control_edit(space, instance->control);
  weir_tuner_init(&control->tuner, &config->adaptive);
  control->algorithm = (uint8_t)config->adaptive.algorithm;
  return true;
}

/* --- decisions ------------------------------------------------------------ */

/* How fast a queue goes is measured where somebody asks for it. */
static void note_pace(const weir_space *space,
                      const weir_instance_record *instance, uint64_t t) {
  if (!instance->control) return;
  weir_pace_note(&weir_control_edit(space, instance->control)->pace, 1, t);
}

void weir_ticket_leave(weir_space *space, uint32_t index, bool served) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  const weir_instance_record *instance;
  bool aside = ticket->aside;
  if (!ticket->instance) return;
  instance = weir_instance_at(space, ticket->instance);
  ticket->aside = 0;
  if (!ticket->cost) {
    weir_list_unlink(&weir_limiter_edit_of(space, instance)->drains, space,
                     index);
    weir_port_edit(space, ticket->port)->waiting--;
    return;
  }
  weir_waiting_add(space, ticket, UINT32_MAX);
  if (!aside) weir_queue_remove(space, index, served);
}

void weir_ticket_ready(const weir_space *space, uint32_t index) {
  uint32_t port = weir_ticket_at(space, index)->port;
  weir_keep(&space->memory, &space->root->decisions, sizeof(uint32_t));
  weir_ticket_fresh(space, index)->arrival = ++space->root->decisions;
  weir_list_append(&weir_port_edit(space, port)->ready, space, index);
  weir_ring(space, port);
}

void weir_ticket_decide(weir_space *space, uint32_t index, weir_verdict verdict,
                        uint64_t now) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  bool admitted = verdict == WEIR_ADMITTED;
  weir_ticket_waits(space, ticket);
  if (ticket->group) {
    weir_group_decide(space, index, verdict, now);
    return;
  }
  weir_ticket_leave(space, index, admitted);
  ticket->time = ticket->instance ? weir_elapsed(ticket->since, now) : 0;
  ticket->since = now;
  ticket->state = WEIR_READY;
  ticket->verdict = verdict & 15;
  if (ticket->cost && admitted)
    weir_ticket_granted(space, index, now);
  else if (ticket->cost)
    weir_ticket_refused(space, ticket, verdict);
  weir_ticket_ready(space, index);
}

/* --- pumping -------------------------------------------------------------- */

/* What the one that goes next is due now; WAITING: nothing yet. */
static weir_verdict verdict_of_head(const weir_space *space, uint32_t index,
                                    uint32_t head, uint64_t t) {
  const weir_ticket_record *ticket = weir_ticket_at(space, head);
  const weir_limiter_record *limiter =
      weir_limiter_of(space, weir_instance_at(space, index));
  if (ticket->instance != index) weir_lost(space->memory.commons);
  if (limiter->config.dry_run) return WEIR_ADMITTED;
  if (weir_limiter_impossible(limiter, ticket->cost)) return WEIR_IMPOSSIBLE;
  return weir_instance_bound(space, index, ticket->cost, t) == WEIR_BY_NOTHING
             ? WEIR_ADMITTED
             : WEIR_WAITING;
}

/* Asks CoDel, if the limiter wants it, about one that could go. true: it was
** given up instead. */
static bool sheds(weir_space *space, uint32_t index, uint64_t now, uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  const weir_config *config = &weir_limiter_of(space, instance)->config;
  const weir_shed *shed = &config->shed;
  uint32_t oldest;
  uint64_t waited;
  bool last;
  if (!instance->control || config->dry_run || (!shed->codel && !shed->lifo))
    return false;
  oldest = weir_queue_oldest(space, index);
  waited = weir_elapsed(weir_ticket_at(space, oldest)->since, now);
  last = weir_queue_at(space, instance->queue)->waiting == 1;
  if (!weir_codel_drops(&weir_control_edit(space, instance->control)->codel,
                        shed, waited, last, t) ||
      !shed->codel)
    return false;
  weir_ticket_decide(space, oldest, WEIR_SHED, now);
  return true;
}

/* Decides about the one that goes next; false: it has to wait. CoDel may turn
** the queue round, and then the next is another. */
static bool pump_one(weir_space *space, uint32_t index, uint64_t now,
                     uint64_t t) {
  uint32_t head = weir_queue_head(space, index), next;
  weir_verdict verdict = verdict_of_head(space, index, head, t);
  if (verdict == WEIR_ADMITTED && weir_instance_at(space, index)->control) {
    if (sheds(space, index, now, t)) return true;
    next = weir_queue_head(space, index);
    if (next != head) verdict = verdict_of_head(space, index, next, t);
    head = next;
  }
  if (verdict == WEIR_WAITING) return false;
  if (verdict == WEIR_ADMITTED && weir_group_moves(space, head, now, t))
    return true;
  if (verdict == WEIR_ADMITTED)
    note_pace(space, weir_instance_at(space, index), t);
  weir_ticket_decide(space, head, verdict, now);
  return true;
}

/* Whether an adaptive limit is in force that was measured. */
static bool is_tuned(const weir_space *space,
                     const weir_instance_record *instance) {
  const weir_control_record *control = control_of(space, instance);
  uint8_t algorithm =
      (uint8_t)weir_limiter_of(space, instance)->config.adaptive.algorithm;
  return control && algorithm != WEIR_STATIC && control->algorithm == algorithm;
}

/* When the time alone will let a head go; NEVER: something else has to. */
static uint64_t time_of_head(const weir_space *space,
                             const weir_limiter_record *limiter,
                             const weir_instance_record *instance,
                             uint32_t cost, uint64_t t) {
  if (!weir_permits_fit(space, limiter, instance, cost))
    return is_tuned(space, instance)
               ? weir_tuner_due(
                     &weir_control_at(space, instance->control)->tuner)
               : WEIR_NEVER;
  return weir_meter_on(&limiter->meter)
             ? weir_meter_ready(&limiter->meter, &instance->rate, cost, t)
             : WEIR_NEVER;
}

void weir_head_arm(const weir_space *space, uint32_t index, uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  const weir_limiter_record *limiter = weir_limiter_of(space, instance);
  uint32_t head = weir_queue_head(space, index);
  uint64_t time = time_of_head(space, limiter, instance,
                               weir_ticket_at(space, head)->cost, t);
  weir_queue_arm(space, index, weir_clock_back(&space->root->clock, time));
}

void weir_arm_all(const weir_space *space, uint64_t t) {
  for (uint32_t i = 1; i < space->queues.head->used; i++)
    if (weir_slab_live(&space->queues, i)) {
      weir_instance_arm(space, weir_queue_at(space, i)->instance, t);
      weir_step(space);
    }
}

void weir_limiter_drained(weir_space *space, uint32_t index, uint64_t now) {
  const weir_limiter_record *limiter = weir_limiter_at(space, index);
  if (!limiter->drains.first || limiter->in_use || limiter->waiting ||
      limiter->riding)
    return;
  while (limiter->drains.first) {
    weir_ticket_decide(space, limiter->drains.first, WEIR_ADMITTED, now);
    weir_step(space);
  }
}

void weir_queue_pump(weir_space *space, uint32_t index, uint64_t now) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  uint64_t t = weir_clock_at(&space->root->clock, now);
  uint32_t left = space->tickets.array.limit;
  if (instance->control && is_tuned(space, instance))
    weir_tuner_advance(&weir_control_edit(space, instance->control)->tuner, t);
  while (instance->queue) {
    weir_along(&space->tickets, &left);
    if (!pump_one(space, index, now, t)) break;
    weir_step(space);
  }
  weir_instance_arm(space, index, t);
}

void weir_pump_all(weir_space *space, uint32_t limiter, uint64_t now) {
  for (uint32_t i = 1; i < space->queues.head->used; i++) {
    uint32_t instance = weir_queue_at(space, i)->instance;
    if (weir_slab_live(&space->queues, i) &&
        (!limiter || weir_instance_at(space, instance)->entry.owner == limiter))
      weir_instance_pump(space, instance, now);
  }
}

/* --- tickets -------------------------------------------------------------- */

void weir_ticket_undue(const weir_space *space, uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_heap_remove(weir_deadlines(space, ticket->port), &space->tickets, index);
}

void weir_ticket_free(weir_space *space, uint32_t index) {
  uint32_t at = weir_ticket_at(space, index)->instance;
  const weir_instance_record *instance;
  weir_limiter_record *limiter;
  weir_slab_give(&space->tickets, index);
  if (!at) return;
  instance = weir_instance_at(space, at);
  limiter = weir_limiter_edit_of(space, instance);
  if (weir_place_unpin(space, at) && at != limiter->instance)
    weir_keys_leave(space, at);
  if (--limiter->tickets == 0 && !limiter->refs)
    weir_limiter_collect(space, instance->entry.owner);
}
