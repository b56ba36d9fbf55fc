/*
** together.c - a request to several limiters at once.
*/
#include "acquire.h"
#include "group.h"
#include "instance.h"
#include "keys.h"

/* Such a request, while it is asked. */
typedef struct gathering {
  weir_ask asks[WEIR_ALL_MAX];
  bool free[WEIR_ALL_MAX];
  bool pinned[WEIR_ALL_MAX]; /* its key is kept from giving way to others */
  uint32_t count;
  uint32_t blocker; /* who refuses, or is waited for */
} gathering;

static bool is_same_place(const weir_ask *a, const weir_ask *b) {
  if (a->limiter != b->limiter) return false;
  if (a->request->key && b->request->key)
    return weir_hash_equal(&a->hash, &b->hash);
  return !a->request->key && !b->request->key;
}

/* Reads them all; one that is named twice is a mistake. */
static int gather(const weir_space *space, const weir_limiter *limiters,
                  const weir_request *requests, uint32_t count, uint64_t now,
                  gathering *out) {
  uint64_t deadline = WEIR_NEVER;
  if (!count || count > WEIR_ALL_MAX) return WEIR_E_CONFIG;
  out->count = count;
  for (uint32_t i = 0; i < count; i++) {
    weir_ask *ask = &out->asks[i];
    int error = weir_ask_init(space, limiters[i], &requests[i], now, ask);
    if (error) return error;
    for (uint32_t j = 0; j < i; j++)
      if (is_same_place(ask, &out->asks[j])) return WEIR_E_CONFIG;
    if (ask->deadline < deadline) deadline = ask->deadline;
  }
  if (requests[0].deadline) deadline = requests[0].deadline;
  for (uint32_t i = 0; i < count; i++) {
    out->asks[i].deadline = deadline;
    out->asks[i].try_only = requests[0].try_only;
  }
  return 0;
}

/* How many keys of its limiter, new and idle ones, they ask for, up to this one
** of the new ones. */
static uint32_t keys_wanted(const weir_space *space, const gathering *all,
                            uint32_t at, uint64_t t) {
  uint32_t wanted = 1;
  for (uint32_t i = 0; i < all->count; i++) {
    const weir_ask *ask = &all->asks[i];
    if (i == at || ask->limiter != all->asks[at].limiter || !ask->request->key)
      continue;
    wanted += ask->instance ? weir_keys_idle(space, ask->instance, t)
                            : i < at && !all->free[i];
  }
  return wanted;
}

/* What one of them would be told; WAITING: it cannot go now. */
static weir_verdict judge_one(const weir_space *space, const gathering *all,
                              uint32_t at, uint64_t t) {
  const weir_ask *ask = &all->asks[at];
  return weir_ask_gate(space, ask,
                       ask->instance ? 0 : keys_wanted(space, all, at, t), t);
}

/* What all of them together are told: a refusal of any, else to wait where the
** first has to, if it may. */
static weir_verdict judge_all(const weir_space *space, gathering *all,
                              uint64_t now, uint64_t t) {
  uint32_t waits = all->count;
  for (uint32_t i = 0; i < all->count; i++) {
    weir_verdict verdict =
        weir_relent(weir_limiter_at(space, all->asks[i].limiter),
                    judge_one(space, all, i, t), &all->free[i]);
    all->blocker = i;
    if (verdict == WEIR_WAITING && waits == all->count) waits = i;
    if (verdict != WEIR_ADMITTED && verdict != WEIR_WAITING) return verdict;
  }
  all->blocker = waits < all->count ? waits : 0;
  if (waits == all->count) return WEIR_ADMITTED;
  return weir_ask_refusal(space, &all->asks[waits], now);
}

/* What a dry run among them would have said on its own. */
static void count_would(weir_space *space, const gathering *all, uint64_t now,
                        uint64_t t) {
  for (uint32_t i = 0; i < all->count; i++) {
    const weir_ask *ask = &all->asks[i];
    if (weir_limiter_at(space, ask->limiter)->config.dry_run)
      weir_count_would(space, ask->limiter, weir_ask_judge(space, ask, now, t));
  }
}

/* Makes the ticket of one of them; 0: no memory, nothing changed. */
static uint32_t new_member(const weir_port *port, gathering *all, uint32_t i,
                           bool timed, uint64_t now, uint64_t t) {
  weir_space *space = port->space;
  weir_ask *ask = &all->asks[i];
  uint32_t index;
  if (!weir_place_settle(space, ask, all->free[i], t)) return 0;
  if (!weir_ticket_reserve(port, timed)) {
    weir_place_leave(space, ask);
    return 0;
  }
  index = weir_ticket_asked(port, ask, all->asks[0].request->cookie,
                            all->free[i], now);
  weir_ticket_fresh(space, index)->follower = i > 0;
  return index;
}

/* Keeps the keys that are known from giving way to those that are made. */
static void pin(const weir_space *space, gathering *all) {
  for (uint32_t i = 0; i < all->count; i++) {
    const weir_ask *ask = &all->asks[i];
    all->pinned[i] = ask->request->key && ask->instance;
    if (all->pinned[i]) weir_place_pin(space, ask->instance);
  }
}

static void unpin(weir_space *space, const gathering *all) {
  for (uint32_t i = 0; i < all->count; i++) {
    uint32_t instance = all->asks[i].instance;
    if (all->pinned[i] && weir_place_unpin(space, instance))
      weir_keys_leave(space, instance);
  }
}

/* Makes all tickets, in a ring from the leader on, and what a wait needs;
** 0: no memory, nothing changed. */
static uint32_t new_group(const weir_port *port, gathering *all, bool waits,
                          bool timed, uint64_t now, uint64_t t) {
  weir_space *space = port->space;
  const weir_ask *blocker = &all->asks[all->blocker];
  uint32_t made[WEIR_ALL_MAX] = { 0 }, i;
  pin(space, all);
  for (i = 0; i < all->count; i++)
    if (!(made[i] = new_member(port, all, i, timed, now, t))) break;
  unpin(space, all);
  if (i < all->count || (waits && !weir_queue_reserve(space, blocker->instance,
                                                      &blocker->place))) {
    while (i--) {
      weir_ticket_free(space, made[i]);
      weir_place_leave(space, &all->asks[i]);
    }
    return 0;
  }
  for (i = 0; i < all->count; i++)
    weir_ticket_edit(space, made[i])->group = made[(i + 1) % all->count];
  return made[0];
}

static void admit_group(weir_space *space, uint32_t leader, uint64_t t) {
  uint32_t at = leader, left = WEIR_ALL_MAX;
  do {
    weir_ticket_admit(space, at, t);
    at = weir_group_next(space, at, &left);
  } while (at != leader);
}

static void enqueue_group(const weir_port *port, const gathering *all,
                          uint32_t leader, bool timed, uint64_t now,
                          uint64_t t) {
  weir_space *space = port->space;
  uint32_t at = leader, waiter = leader, left = WEIR_ALL_MAX;
  bool cleared = weir_place_clear(space, &all->asks[all->blocker], now);
  for (uint32_t i = 0; i < all->count; i++) {
    weir_ticket_record *ticket = weir_ticket_edit(space, at);
    bool aside = i != all->blocker;
    if (!aside) waiter = at;
    ticket->state = WEIR_QUEUED;
    ticket->aside = aside;
    ticket->time = all->asks[i].place.flow;
    if (aside) weir_waiting_add(space, ticket, 1);
    at = weir_group_next(space, at, &left);
  }
  weir_ticket_join(port, &all->asks[all->blocker], waiter, timed, cleared, now,
                   t);
}

static bool any_timed(const weir_space *space, const gathering *all) {
  for (uint32_t i = 0; i < all->count; i++)
    if (weir_waits_timed(space, &all->asks[i])) return true;
  return false;
}

static int take_in(const weir_port *port, gathering *all, weir_verdict verdict,
                   uint64_t now, uint64_t t, weir_ticket *out) {
  weir_space *space = port->space;
  bool waits = verdict == WEIR_WAITING;
  bool timed = waits && any_timed(space, all);
  uint32_t leader = new_group(port, all, waits, timed, now, t);
  if (!leader)
    return weir_refuse(space, &all->asks[all->blocker], WEIR_EXHAUSTED);
  *out = weir_slab_handle(&space->tickets, leader);
  if (waits)
    enqueue_group(port, all, leader, timed, now, t);
  else
    admit_group(space, leader, t);
  return verdict;
}

static int acquire_several(const weir_port *port, const weir_limiter *limiters,
                           const weir_request *requests, uint32_t count,
                           uint64_t now, weir_ticket *out,
                           weir_limiter *decider) {
  weir_space *space = port->space;
  uint64_t t = weir_space_tick(space, now);
  weir_verdict verdict;
  gathering all;
  int error = gather(space, limiters, requests, count, now, &all);
  if (error) return error;
  for (uint32_t i = 0; i < count; i++)
    if (requests[i].key) weir_keys_tidy(space, all.asks[i].limiter, t);
  verdict = judge_all(space, &all, now, t);
  if (decider) *decider = limiters[all.blocker];
  count_would(space, &all, now, t);
  if (verdict != WEIR_ADMITTED && verdict != WEIR_WAITING)
    return weir_refuse(space, &all.asks[all.blocker], verdict);
  return take_in(port, &all, verdict, now, t, out);
}

int weir_do_acquire_all(weir_port *port, const weir_limiter *limiters,
                        const weir_request *requests, uint32_t count,
                        uint64_t now, weir_ticket *out, weir_limiter *decider) {
  *out = 0;
  if (decider && count) *decider = limiters[0];
  if (count == 1) return weir_do_acquire(port, limiters[0], requests, now, out);
  return acquire_several(port, limiters, requests, count, now, out, decider);
}

int weir_do_peek_all(const weir_port *port, const weir_limiter *limiters,
                     const weir_request *requests, uint32_t count,
                     uint64_t now) {
  const weir_space *space = port->space;
  gathering all;
  int error;
  if (count == 1) return weir_do_peek(port, limiters[0], requests, now);
  error = gather(space, limiters, requests, count, now, &all);
  if (error) return error;
  return judge_all(space, &all, now, weir_clock_at(&space->root->clock, now));
}
