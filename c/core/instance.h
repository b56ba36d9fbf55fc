/*
** instance.h - one set of permits and tokens, and what becomes of those who
** wait for them.
**
** Invariant after every public call: who would go next can not: its permits
** are in use, or its tokens are not there yet, and then the port that owns it
** has the time when they will be among its deadlines. Whatever changes that (a
** permit back, a head gone, a limit raised) ends with weir_instance_pump.
*/
#ifndef WEIR_CORE_INSTANCE_H
#define WEIR_CORE_INSTANCE_H

#include "list.h"

enum { WEIR_NO_LIMIT = 0 }; /* permits are not limited */

/* --- gates: every request passes them, so they are small and in line ------ */

/* The limit of an adaptive limiter. */
uint32_t weir_limit_adapted(const weir_space *space,
                            const weir_limiter_record *limiter,
                            const weir_instance_record *instance);

/* The limit of a key that is new; WEIR_NO_LIMIT. */
uint32_t weir_limit_initial(const weir_limiter_record *limiter);

/* Permits that may be in use now; WEIR_NO_LIMIT. */
static inline uint32_t weir_limit_of(const weir_space *space,
                                     const weir_limiter_record *limiter,
                                     const weir_instance_record *instance) {
  return limiter->config.adaptive.algorithm == WEIR_STATIC
             ? limiter->config.concurrent
             : weir_limit_adapted(space, limiter, instance);
}

static inline uint32_t weir_instance_limit(const weir_space *space,
                                           uint32_t index) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  return weir_limit_of(space, weir_limiter_of(space, instance), instance);
}

/* An adaptive limit that is below a cost is no reason to wait for ever. */
static inline bool weir_permits_fit(const weir_space *space,
                                    const weir_limiter_record *limiter,
                                    const weir_instance_record *instance,
                                    uint32_t cost) {
  uint32_t limit = weir_limit_of(space, limiter, instance);
  if (limit == WEIR_NO_LIMIT || instance->in_use == 0) return true;
  return instance->in_use < limit && limit - instance->in_use >= cost;
}

/* What keeps `cost` from going now, the queue not considered: nothing, permits
** or the rate. */
static inline weir_bound weir_instance_bound(const weir_space *space,
                                             uint32_t index, uint32_t cost,
                                             uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  const weir_limiter_record *limiter = weir_limiter_of(space, instance);
  if (!weir_permits_fit(space, limiter, instance, cost)) return WEIR_BY_PERMITS;
  return weir_meter_on(&limiter->meter) &&
                 weir_meter_ready(&limiter->meter, &instance->rate, cost, t) > t
             ? WEIR_BY_RATE
             : WEIR_BY_NOTHING;
}

/* Whether the limiter can never give so much at once. */
static inline bool weir_limiter_impossible(const weir_limiter_record *limiter,
                                           uint32_t cost) {
  return cost > limiter->most;
}

/* What a request to a limiter of this config may cost at all. */
uint32_t weir_highest_cost(const weir_config *config);

/* The limiter of an instance, to be changed; see WEIR_KEPT_limiter. */
static inline weir_limiter_record *
weir_limiter_edit_of(const weir_space *space,
                     const weir_instance_record *instance) {
  return weir_limiter_edit(space, instance->entry.owner);
}

/* A ticket and where it belongs, all to be changed: what many calls do, and do
** once. Good until something grows. */
typedef struct weir_grip {
  weir_ticket_record *ticket;
  weir_instance_record *instance;
  weir_limiter_record *limiter; /* see WEIR_KEPT_limiter */
} weir_grip;

static inline weir_grip weir_ticket_grip(const weir_space *space,
                                         uint32_t index) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  weir_instance_record *instance = weir_instance_edit(space, ticket->instance);
  return (weir_grip){ ticket, instance, weir_limiter_edit_of(space, instance) };
}

/* Takes what a ticket asks for. */
static inline void weir_instance_charge(weir_grip at, uint64_t t) {
  uint32_t cost = at.ticket->cost;
  if (at.ticket->free) {
    at.limiter->riding++;
    return;
  }
  at.instance->in_use += cost;
  at.limiter->in_use += cost;
  if (weir_meter_on(&at.limiter->meter))
    weir_meter_take(&at.limiter->meter, &at.instance->rate, cost, t);
}

/* Gives tokens back that were taken when the ticket was decided, if they were:
** one that was in the same instant as the rate came may not have. */
static inline void weir_tokens_refund(const weir_space *space,
                                      const weir_limiter_record *limiter,
                                      weir_instance_record *instance,
                                      const weir_ticket_record *ticket,
                                      uint64_t t) {
  uint64_t then = weir_clock_then(&space->root->clock, ticket->since);
  if (weir_meter_on(&limiter->meter) &&
      (!limiter->metered || then > limiter->metered))
    weir_meter_give(&limiter->meter, &instance->rate, ticket->cost, then,
                    weir_clock_latest(&space->root->clock, t));
}

/* Gives the permits of a ticket that holds some back. */
static inline void weir_permits_refund(weir_grip at) {
  uint32_t cost = at.ticket->cost;
  at.instance->in_use -= cost;
  at.limiter->in_use -= cost;
}

/* Gives it back; `unused`: tokens as well. */
static inline void weir_instance_refund(const weir_space *space, weir_grip at,
                                        bool unused, uint64_t t) {
  if (at.ticket->free) {
    at.limiter->riding--;
    return;
  }
  weir_permits_refund(at);
  if (unused) weir_tokens_refund(space, at.limiter, at.instance, at.ticket, t);
}

/* One ticket more of an instance, which keeps it from going. */
static inline const weir_instance_record *
weir_place_pin(const weir_space *space, uint32_t index) {
  weir_instance_record *instance = weir_instance_fresh(space, index);
  weir_keep(&space->memory, &instance->entry.tickets, sizeof(uint32_t));
  instance->entry.tickets++;
  return instance;
}

/* One less; whether it was the last. */
static inline bool weir_place_unpin(const weir_space *space, uint32_t index) {
  weir_instance_record *instance = weir_instance_fresh(space, index);
  weir_keep(&space->memory, &instance->entry.tickets, sizeof(uint32_t));
  return --instance->entry.tickets == 0;
}

/* The deadlines of a port; what the heap functions change they note. */
static inline weir_heap *weir_deadlines(const weir_space *space,
                                        uint32_t port) {
  return &weir_port_fresh(space, port)->deadlines;
}

/* --- tickets -------------------------------------------------------------- */

/* Counts that one was admitted, but for its wait. */
static inline void weir_count_entry(weir_grip at) {
  at.limiter->admitted++;
  at.instance->admitted += at.instance->admitted < UINT32_MAX;
}

/* Counts that one was admitted, after a wait of `ns`. */
static inline void weir_count_admitted(const weir_space *space, weir_grip at,
                                       uint64_t ns) {
  weir_count_entry(at);
  if (ns) {
    weir_histogram_add(&at.limiter->waits, &space->memory, ns);
    return;
  }
  weir_keep(&space->memory, &at.limiter->waits.zeros, sizeof(uint64_t));
  at.limiter->waits.zeros++;
}

/* Counts what a dry run would have said. */
static inline void weir_count_would(const weir_space *space, uint32_t limiter,
                                    weir_verdict verdict) {
  uint64_t *would = &weir_limiter_fresh(space, limiter)->would[verdict];
  weir_keep(&space->memory, would, sizeof *would);
  ++*would;
}

/* Counts a ticket more or less that waits for a limiter. */
static inline void weir_waiting_add(const weir_space *space,
                                    const weir_ticket_record *ticket,
                                    uint32_t more) {
  weir_limiter_edit_of(space, weir_instance_at(space, ticket->instance))
      ->waiting += more;
  weir_port_edit(space, ticket->port)->waiting += more;
}

/* Counts a refusal of a limiter; `instance` 0: its key is not known. */
static inline void weir_count_refused(const weir_space *space, uint32_t limiter,
                                      uint32_t instance, weir_verdict verdict) {
  uint64_t *refused = &weir_limiter_fresh(space, limiter)->refused[verdict];
  weir_instance_record *of;
  weir_keep(&space->memory, refused, sizeof *refused);
  ++*refused;
  if (!instance) return;
  of = weir_instance_fresh(space, instance);
  weir_keep(&space->memory, &of->refused, sizeof of->refused);
  of->refused += of->refused < UINT32_MAX;
}

/* Puts a ticket before the holders, the first of whom is `first`. */
static inline void weir_holders_add(weir_grip at, uint32_t index,
                                    weir_ticket_record *first) {
  at.ticket->state = WEIR_HELD;
  at.ticket->prev = 0;
  at.ticket->record.next = at.instance->holders;
  if (first) first->prev = index;
  at.instance->holders = index;
}

/* Takes one out from between two others; NULL: there is none. */
static inline void weir_holders_remove(weir_grip at, weir_ticket_record *prev,
                                       weir_ticket_record *next) {
  if (prev)
    prev->record.next = at.ticket->record.next;
  else
    at.instance->holders = at.ticket->record.next;
  if (next) next->prev = at.ticket->prev;
  at.ticket->state = WEIR_FREE;
}

/* A ticket whose permits are in somebody's hands from now on, and no more: then
** it is gone, but there until those could go who can. */
static inline void weir_ticket_hold(const weir_space *space, weir_grip at,
                                    uint32_t index) {
  uint32_t first = at.instance->holders;
  weir_holders_add(at, index, first ? weir_list_link(space, first) : NULL);
}

static inline void weir_ticket_unhold(const weir_space *space, weir_grip at) {
  uint32_t prev = at.ticket->prev, next = at.ticket->record.next;
  weir_holders_remove(at, prev ? weir_list_link(space, prev) : NULL,
                      next ? weir_list_link(space, next) : NULL);
}

/* Counts the refusal of a ticket. */
static inline void weir_ticket_refused(const weir_space *space,
                                       const weir_ticket_record *ticket,
                                       weir_verdict verdict) {
  uint32_t limiter = weir_instance_at(space, ticket->instance)->entry.owner;
  weir_count_refused(space, limiter, ticket->instance, verdict);
}

/* One that waited was admitted. */
static inline void weir_ticket_granted(const weir_space *space, uint32_t index,
                                       uint64_t now) {
  weir_grip at = weir_ticket_grip(space, index);
  weir_count_admitted(space, at, at.ticket->time);
  weir_instance_charge(at, weir_clock_at(&space->root->clock, now));
}

/* Nobody is decided about twice, or who waits would never come to an end. */
static inline void weir_ticket_waits(const weir_space *space,
                                     const weir_ticket_record *ticket) {
  if (ticket->state != WEIR_QUEUED) weir_lost(space->memory.commons);
}

/* Puts a decided ticket in its port's ready list. */
void weir_ticket_ready(const weir_space *space, uint32_t ticket);

/* Decides a QUEUED ticket: out of the queue, counted, in its port's ready
** list. O(1), whoever owns the port. */
void weir_ticket_decide(weir_space *space, uint32_t ticket,
                        weir_verdict verdict, uint64_t now);

/* Whether its waiters may be let go by the time alone: by a rate, or by an
** adaptive limit that gives a measurement up. */
static inline bool weir_limiter_wakes(const weir_limiter_record *limiter) {
  return weir_meter_on(&limiter->meter) ||
         limiter->config.adaptive.algorithm != WEIR_STATIC;
}

/* Lets the head's port know when the time will let it go. */
void weir_head_arm(const weir_space *space, uint32_t instance, uint64_t t);

/* The same, where there is a head, and the time matters to it or did before. */
static inline void weir_instance_arm(const weir_space *space, uint32_t index,
                                     uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  if (instance->queue && (!weir_limiter_of(space, instance)->plain ||
                          weir_queue_at(space, instance->queue)->armed))
    weir_head_arm(space, index, t);
}

/* The callers' clock was set back: whoever waits for a time waits for an
** earlier one. */
void weir_arm_all(const weir_space *space, uint64_t t);

/* Tells the space the time, which answers what its own clock says. */
static inline uint64_t weir_space_tick(weir_space *space, uint64_t now) {
  uint64_t ahead = space->root->clock.ahead;
  uint64_t t = weir_clock_tick(&space->root->clock, now);
  if (space->root->clock.ahead != ahead) weir_arm_all(space, t);
  return t;
}

/* Wakes those who wait for the end of a limiter, if it has come. */
void weir_limiter_drained(weir_space *space, uint32_t limiter, uint64_t now);

/* Admits whoever waits and can go, one after the other: O(1) per admission. */
void weir_queue_pump(weir_space *space, uint32_t instance, uint64_t now);

static inline void weir_instance_pump(weir_space *space, uint32_t index,
                                      uint64_t now) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  if (instance->queue) weir_queue_pump(space, index, now);
  if (weir_limiter_of(space, instance)->drains.first)
    weir_limiter_drained(space, instance->entry.owner, now);
}

/* Pumps all instances of a limiter that somebody waits for; 0: of all. */
void weir_pump_all(weir_space *space, uint32_t limiter, uint64_t now);

/* Frees a ticket that is in no list and holds nothing, and its limiter if it
** was the last that kept it. */
void weir_ticket_free(weir_space *space, uint32_t ticket);

/* Of one that has given back what it held, and left where it waited, but is
** there until those could go who can. */
static inline void weir_ticket_gone(const weir_space *space, uint32_t index) {
  weir_ticket_edit(space, index)->state = WEIR_FREE;
}

/* Takes a QUEUED ticket out of what it waits in. `served`: its turn has
** come. */
void weir_ticket_leave(weir_space *space, uint32_t ticket, bool served);

/* Takes a ticket out of its port's deadlines, if it is among them. */
void weir_ticket_undue(const weir_space *space, uint32_t ticket);

/* Frees a ticket of this port that is not held, with those of its group; what
** it was granted goes back, but nobody is moved up. */
void weir_ticket_withdraw(weir_port *port, uint32_t ticket, uint64_t now);

/* Takes what was taken from a limiter's former rate over to its new one, from
** where that has come to. */
void weir_limiter_move(weir_space *space, uint32_t limiter, uint64_t t);

/* Refuses all who wait for a limiter that is closed. */
void weir_limiter_refuse(weir_space *space, uint32_t limiter, uint64_t now);

/* Frees a limiter that nobody refers to any more. */
void weir_limiter_collect(weir_space *space, uint32_t limiter);

/* The control record of an instance, made if its limiter wants one; false: no
** memory. */
bool weir_control_ensure(weir_space *space, uint32_t instance);

#endif
