/*
** reference_laws.c - what must hold whatever the rules are: checked at each
** admission, without knowing how it came about.
*/
#include "reference_inner.h"

/* Near the end of time what does not fit into it is cut off. */
#define END_OF_TIME (UINT64_MAX - ((uint64_t)1 << 40))

void ref_break(reference *model, bool broken, const char *law) {
  if (broken && !model->broken) model->broken = law;
}

/* --- permits and tokens --------------------------------------------------- */

/* One alone may have more than an adaptive limit. */
static void check_permits(reference *model, const ref_instance *instance,
                          const ref_part *part) {
  const weir_config *config = &ref_limiter_at(model, instance)->config;
  uint32_t limit = ref_limit(model, instance);
  uint64_t used = ref_in_use(model, instance);
  bool alone = config->adaptive.algorithm != WEIR_STATIC && used == part->cost;
  ref_break(model, limit && used > limit && !alone,
            "no more are in use than the limit");
}

/* What was taken from `from` to `to`. */
static uint64_t taken_in(const ref_instance *instance, uint64_t from,
                         uint64_t to) {
  uint64_t sum = 0;
  for (int i = 0; i < instance->taken_count; i++)
    if (instance->taken[i].t >= from && instance->taken[i].t <= to)
      sum += instance->taken[i].cost;
  return sum;
}

/* burst + floor(w / step), with a token to be had in the ns it comes in. */
static void check_window(reference *model, const weir_rate *rate,
                         uint64_t taken, uint64_t w) {
  if (w > UINT32_MAX || rate->count > UINT16_MAX || rate->per_ns > UINT32_MAX)
    return;
  ref_break(model,
            taken > rate->burst && (taken - rate->burst) * rate->per_ns >
                                       w * rate->count + rate->count - 1,
            "no more tokens are taken than there are");
}

static void check_tokens(reference *model, const ref_instance *instance,
                         const weir_rate *rate) {
  uint64_t t = model->t;
  for (int i = 0; i < instance->taken_count; i++) {
    uint64_t then = instance->taken[i].t;
    uint64_t from = then < t ? then : t, to = then < t ? t : then;
    check_window(model, rate, taken_in(instance, from, to), to - from);
  }
}

static void drop_taken(ref_instance *instance, int at) {
  instance->taken_count--;
  for (; at < instance->taken_count; at++)
    instance->taken[at] = instance->taken[at + 1];
}

static void note_taken(ref_instance *instance, ref_taken taken) {
  if (instance->taken_count == REF_TAKEN) drop_taken(instance, 0);
  instance->taken[instance->taken_count++] = taken;
}

void ref_law_charge(reference *model, const ref_ticket *ticket,
                    const ref_part *part) {
  ref_instance *instance = ref_instance_at(model, part);
  const ref_limiter *limiter = ref_limiter_at(model, instance);
  ref_taken taken = { model->t, ticket->arrival, part->cost };
  if (limiter->config.dry_run) return;
  check_permits(model, instance, part);
  if (!limiter->config.rate.count || limiter->config.rate.window != WEIR_GCRA ||
      model->t > END_OF_TIME)
    return;
  note_taken(instance, taken);
  check_tokens(model, instance, &limiter->config.rate);
}

/* Tokens that come back are as if they were not taken. Those that were taken
** before the rate was what it is, or in a dry run, are not remembered: then
** nobody knows how many there are, and all is forgotten. */
void ref_law_refund(reference *model, const ref_ticket *ticket,
                    const ref_part *part) {
  ref_instance *instance = ref_instance_at(model, part);
  for (int i = 0; i < instance->taken_count; i++) {
    if (instance->taken[i].arrival != ticket->arrival) continue;
    drop_taken(instance, i);
    return;
  }
  instance->taken_count = 0;
}

void ref_law_forget(ref_limiter *limiter) {
  for (int key = 0; key < REF_KEYS; key++) limiter->keys[key].taken_count = 0;
}

/* --- the order ----------------------------------------------------------- */

static bool same_class(weir_order order, const ref_part *a, const ref_part *b) {
  if (order == WEIR_PRIORITY) return a->priority == b->priority;
  return order != WEIR_FAIR || a->flow == b->flow;
}

static bool waits_here(reference *model, const ref_ticket *ticket,
                       const ref_instance *instance) {
  return ref_is_waiting(ticket) && ref_waits_at(model, ticket) == instance;
}

/* A ticket that came before others of its flow has them wait longer. */
void ref_law_joined(reference *model, ref_ticket *ticket) {
  const ref_instance *instance = ref_waits_at(model, ticket);
  const ref_part *part = &ticket->parts[ticket->waits];
  for (int i = 0; i < REF_FLOWS; i++) ticket->passed[i] = 0;
  for (int i = 0; i < model->high; i++) {
    ref_ticket *other = &model->tickets[i];
    if (waits_here(model, other, instance) &&
        other->arrival > ticket->arrival &&
        same_class(WEIR_FAIR, part, &other->parts[other->waits]))
      other->watched = false;
  }
}

/* A turn is less than two of the largest costs: one, and what was left. */
static void check_turns(reference *model, const ref_instance *instance,
                        ref_ticket *other, const ref_part *part) {
  other->passed[part->flow] += part->cost;
  ref_break(model,
            other->watched && part->flow != other->parts[other->waits].flow &&
                other->passed[part->flow] >= 2 * (uint64_t)instance->quantum,
            "no flow has two turns before another has one");
}

/* (In a turn one that moved here may be behind those that came later.) */
void ref_law_served(reference *model, ref_instance *instance,
                    const ref_ticket *ticket, const ref_part *part) {
  const weir_config *config = &ref_limiter_at(model, instance)->config;
  bool lifo = instance->order == WEIR_LIFO, fair = instance->order == WEIR_FAIR;
  bool turned = instance->order == WEIR_FIFO && config->shed.lifo;
  for (int i = 0; i < model->high; i++) {
    ref_ticket *other = &model->tickets[i];
    bool same;
    if (!waits_here(model, other, instance)) continue;
    same = same_class(instance->order, part, &other->parts[other->waits]);
    ref_break(model,
              same && !turned && !fair &&
                  (other->arrival < ticket->arrival) != lifo,
              "who came first goes first");
    if (fair) check_turns(model, instance, other, part);
  }
}
