/* reference_queue.c - see reference.h: who waits, and who goes next. */
#include "reference_inner.h"

typedef struct crowd { /* who waits for a key */
  ref_ticket *at[REF_TICKETS + 1];
  int count;
} crowd;

static crowd crowd_at(reference *model, const ref_instance *instance) {
  crowd all;
  all.count = 0;
  for (int i = 0; i < model->high; i++)
    if (ref_is_waiting(&model->tickets[i]) &&
        ref_waits_at(model, &model->tickets[i]) == instance)
      all.at[all.count++] = &model->tickets[i];
  return all;
}

static const ref_part *part_of(const ref_ticket *ticket) {
  return &ticket->parts[ticket->waits];
}

/* What keeps its order within: a priority, a flow, or all of a queue. */
static int class_of(weir_order order, const ref_ticket *ticket) {
  if (order == WEIR_PRIORITY) return part_of(ticket)->priority;
  return order == WEIR_FAIR ? part_of(ticket)->flow : 0;
}

static ref_ticket *oldest_of(const crowd *all, weir_order order, int class) {
  ref_ticket *oldest = NULL;
  for (int i = 0; i < all->count; i++)
    if (class_of(order, all->at[i]) == class &&
        (!oldest || all->at[i]->arrival < oldest->arrival))
      oldest = all->at[i];
  return oldest;
}

/* The one of a flow that goes next; see join_flow. */
static ref_ticket *first_of(const crowd *all, int flow) {
  ref_ticket *first = NULL;
  for (int i = 0; i < all->count; i++)
    if (part_of(all->at[i])->flow == flow &&
        (!first || all->at[i]->place < first->place))
      first = all->at[i];
  return first;
}

static ref_ticket *newest_of(const crowd *all, weir_order order, int class) {
  ref_ticket *newest = NULL;
  for (int i = 0; i < all->count; i++)
    if (class_of(order, all->at[i]) == class &&
        (!newest || all->at[i]->arrival > newest->arrival))
      newest = all->at[i];
  return newest;
}

static ref_ticket *oldest(const crowd *all) {
  return oldest_of(all, WEIR_FIFO, 0);
}

static ref_ticket *newest(const crowd *all) {
  return newest_of(all, WEIR_FIFO, 0);
}

/* --- the order ----------------------------------------------------------- */

/* Whether a wait is worth more than so many steps up. */
static bool is_worth(uint64_t waited, uint64_t steps, uint64_t aging_ns) {
  return aging_ns && aging_ns <= UINT64_MAX / steps &&
         waited > steps * aging_ns;
}

/* Whether `a` goes before `b`, which is of another priority. */
static bool outranks(const ref_ticket *a, const ref_ticket *b,
                     uint64_t aging_ns) {
  int steps = part_of(a)->priority - part_of(b)->priority;
  uint64_t longer = a->arrived > b->arrived ? a->arrived - b->arrived : 0;
  if (steps < 0) return !outranks(b, a, aging_ns);
  return !is_worth(longer, (uint64_t)steps, aging_ns);
}

/* The best of those who are the first of their priority. */
static ref_ticket *best_of(const crowd *all, uint64_t aging_ns) {
  ref_ticket *best = NULL;
  for (int i = 0; i < all->count; i++) {
    ref_ticket *ticket = all->at[i];
    int priority = part_of(ticket)->priority;
    if (oldest_of(all, WEIR_PRIORITY, priority) == ticket &&
        (!best || outranks(ticket, best, aging_ns)))
      best = ticket;
  }
  return best;
}

/* Whether a FIFO queue has turned round because it is too long. */
static bool has_turned(reference *model, const ref_instance *instance) {
  return instance->controlled && instance->codel.above &&
         ref_limiter_at(model, instance)->config.shed.lifo;
}

ref_ticket *ref_head_with(reference *model, const ref_instance *instance,
                          ref_ticket *ghost) {
  crowd all = crowd_at(model, instance);
  if (ghost) all.at[all.count++] = ghost;
  if (!all.count) return NULL;
  switch (instance->order) {
  case WEIR_LIFO: return newest(&all);
  case WEIR_PRIORITY:
    return best_of(&all, ref_limiter_at(model, instance)->config.aging_ns);
  case WEIR_FAIR: return first_of(&all, instance->turns[0].flow);
  default: return has_turned(model, instance) ? newest(&all) : oldest(&all);
  }
}

ref_ticket *ref_head(reference *model, const ref_instance *instance) {
  return instance->queue ? ref_head_with(model, instance, NULL) : NULL;
}

/* In a turn only one that came before others of the same flow can be first. */
bool ref_leads(reference *model, const ref_instance *instance,
               ref_ticket *ghost) {
  const ref_ticket *head = ref_head(model, instance);
  if (!head) return true;
  if (instance->order == WEIR_FAIR)
    return part_of(head)->flow == part_of(ghost)->flow &&
           ghost->arrival < head->arrival;
  return ref_head_with(model, instance, ghost) == ghost;
}

/* --- turns --------------------------------------------------------------- */

/* The flow that cannot pay for its first goes behind all others. */
static void take_turns(reference *model, ref_instance *instance) {
  crowd all = crowd_at(model, instance);
  ref_turn *turns = instance->turns;
  int count = instance->turn_count;
  while (count &&
         turns[0].deficit < part_of(first_of(&all, turns[0].flow))->cost) {
    ref_turn first = turns[0];
    for (int i = 1; i < count; i++) turns[i - 1] = turns[i];
    turns[count - 1] = first;
    turns[0].deficit += instance->quantum;
  }
}

static int turn_of(const ref_instance *instance, int flow) {
  int at = 0;
  while (at < instance->turn_count && instance->turns[at].flow != flow) at++;
  return at;
}

/* Whether it costs more than what is left of its flow's turn: then it does not
** become the first, for others would come to the head and nobody left. */
static bool ends_turn(const ref_instance *instance, const ref_ticket *ticket) {
  return instance->turn_count > 1 &&
         instance->turns[0].flow == part_of(ticket)->flow &&
         instance->turns[0].deficit < part_of(ticket)->cost;
}

/* The place of a ticket that waited elsewhere first is before those of its flow
** that came after it, unless it would end the turn. Places have gaps. */
static void join_flow(const ref_instance *instance, const crowd *all,
                      ref_ticket *ticket) {
  const ref_ticket *last = NULL, *first = NULL, *before = NULL;
  for (int i = 0; i < all->count; i++) {
    const ref_ticket *other = all->at[i];
    if (other == ticket || part_of(other)->flow != part_of(ticket)->flow)
      continue;
    if (!last || other->place > last->place) last = other;
    if (!first || other->place < first->place) first = other;
  }
  ticket->place = last ? last->place + 1 : 0;
  if (!last || last->arrival < ticket->arrival) return;
  for (int i = 0; i < all->count; i++) {
    const ref_ticket *other = all->at[i];
    if (other != ticket && part_of(other)->flow == part_of(ticket)->flow &&
        other->arrival > ticket->arrival &&
        !(other == first && ends_turn(instance, ticket)) &&
        (!before || other->place < before->place))
      before = other;
  }
  if (!before) return;
  ticket->place = before->place;
  for (int i = 0; i < all->count; i++)
    if (all->at[i] != ticket && all->at[i]->place >= ticket->place)
      all->at[i]->place++;
}

static void join_turns(reference *model, ref_instance *instance,
                       ref_ticket *ticket) {
  crowd all = crowd_at(model, instance);
  int at = turn_of(instance, part_of(ticket)->flow);
  ticket->watched = at == instance->turn_count;
  if (ticket->watched)
    instance->turns[instance->turn_count++] =
        (ref_turn){ part_of(ticket)->flow, 0 };
  join_flow(instance, &all, ticket);
  if (part_of(ticket)->cost > instance->quantum)
    instance->quantum = part_of(ticket)->cost;
  take_turns(model, instance);
}

/* A flow of which nobody waits any more has no turn: it is the next one's. */
static void leave_turns(reference *model, ref_instance *instance,
                        const ref_part *part, bool served) {
  crowd all = crowd_at(model, instance);
  int at = turn_of(instance, part->flow);
  ref_turn *turn = &instance->turns[at];
  if (served)
    turn->deficit -= turn->deficit < part->cost ? turn->deficit : part->cost;
  if (!first_of(&all, part->flow)) {
    if (at == 0 && instance->turn_count > 1)
      instance->turns[1].deficit += instance->quantum;
    instance->turn_count--;
    for (; at < instance->turn_count; at++)
      instance->turns[at] = instance->turns[at + 1];
  }
  take_turns(model, instance);
}

/* --- coming and going ----------------------------------------------------- */

static void begin_queue(reference *model, ref_instance *instance) {
  instance->queue = ref_number_take(&model->queue_numbers);
  instance->order = ref_limiter_at(model, instance)->config.order;
  instance->quantum = 0;
  instance->turn_count = 0;
  instance->told = NULL;
  instance->due = WEIR_NEVER;
}

/* What was measured of a queue says nothing about the next one. */
static void end_queue(reference *model, ref_instance *instance) {
  ref_number_give(&model->queue_numbers, instance->queue);
  instance->queue = 0;
  if (!instance->controlled) return;
  weir_codel_empty(&instance->codel);
  weir_pace_empty(&instance->pace);
}

void ref_joined(reference *model, ref_ticket *ticket) {
  ref_instance *instance = ref_waits_at(model, ticket);
  if (!instance->queue) begin_queue(model, instance);
  ticket->watched = false;
  if (instance->order == WEIR_FAIR) join_turns(model, instance, ticket);
  ref_law_joined(model, ticket);
}

void ref_left(reference *model, ref_instance *instance,
              const ref_ticket *ticket, const ref_part *part, bool served) {
  if (instance->told == ticket) instance->told = NULL;
  if (served) ref_law_served(model, instance, ticket, part);
  if (instance->order == WEIR_FAIR) leave_turns(model, instance, part, served);
  if (!ref_waiting(model, instance)) end_queue(model, instance);
}

/* --- too many ------------------------------------------------------------ */

ref_ticket *ref_longest(reference *model, const ref_instance *instance) {
  crowd all = crowd_at(model, instance);
  if (instance->order == WEIR_FIFO || instance->order == WEIR_LIFO)
    return oldest(&all);
  return ref_head(model, instance);
}

static uint64_t with_priority(const crowd *all, int priority) {
  uint64_t count = 0;
  for (int i = 0; i < all->count; i++)
    count += part_of(all->at[i])->priority >= priority;
  return count;
}

static uint64_t of_flow(const crowd *all, int flow) {
  uint64_t count = 0;
  for (int i = 0; i < all->count; i++)
    count += part_of(all->at[i])->flow == flow;
  return count;
}

/* Of flows: a turn of each for each one of the own. */
uint64_t ref_ahead(reference *model, const ref_instance *instance,
                   const ref_part *part) {
  crowd all = crowd_at(model, instance);
  uint64_t count = (uint64_t)all.count, turns;
  if (!instance->queue) return 0;
  switch (instance->order) {
  case WEIR_LIFO: return 0;
  case WEIR_PRIORITY: return with_priority(&all, part->priority);
  case WEIR_FAIR:
    turns = (of_flow(&all, part->flow) + 1) * (uint64_t)instance->turn_count;
    return turns < count ? turns : count;
  default: return has_turned(model, instance) ? 0 : count;
  }
}

/* What those ask for who go before a newcomer. Where turns or ageing decide it
** is all of it. */
uint64_t ref_demand(reference *model, const ref_instance *instance,
                    const ref_part *part) {
  crowd all = crowd_at(model, instance);
  uint64_t sum = 0;
  bool ranked = instance->order == WEIR_PRIORITY &&
                !ref_limiter_at(model, instance)->config.aging_ns;
  if (!instance->queue || instance->order == WEIR_LIFO ||
      (instance->order == WEIR_FIFO && has_turned(model, instance)))
    return 0;
  for (int i = 0; i < all.count; i++)
    if (!ranked || part_of(all.at[i])->priority >= part->priority)
      sum += part_of(all.at[i])->cost;
  return sum;
}

static ref_ticket *lowest_below(const crowd *all, int priority) {
  int lowest = priority;
  for (int i = 0; i < all->count; i++)
    if (part_of(all->at[i])->priority < lowest)
      lowest = part_of(all->at[i])->priority;
  return lowest < priority ? newest_of(all, WEIR_PRIORITY, lowest) : NULL;
}

/* Among flows it is the own one that has too many, or else whose turn it is. */
static ref_ticket *first_in_turn(const ref_instance *instance, const crowd *all,
                                 int flow) {
  ref_ticket *own = first_of(all, flow);
  return own ? own : first_of(all, instance->turns[0].flow);
}

ref_ticket *ref_victim(reference *model, const ref_instance *instance,
                       const ref_part *part) {
  crowd all = crowd_at(model, instance);
  if (!all.count) return NULL;
  switch (ref_limiter_at(model, instance)->config.shed.victim) {
  case WEIR_NEWEST: return NULL;
  case WEIR_LOWEST:
    return instance->order == WEIR_PRIORITY ? lowest_below(&all, part->priority)
                                            : NULL;
  case WEIR_OLDEST: break;
  }
  return instance->order == WEIR_FAIR
             ? first_in_turn(instance, &all, part->flow)
             : oldest(&all);
}
