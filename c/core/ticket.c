/*
** ticket.c - the end of a ticket: release and cancel; and those of no limiter's
** queue: drain and park.
*/
#include "acquire.h"
#include "group.h"
#include "instance.h"
#include "list.h"
#include "swift.h"

/* A ticket and those of its group. */
typedef struct members {
  uint32_t at[WEIR_ALL_MAX];
  uint32_t count;
} members;

static members members_of(const weir_space *space, uint32_t index) {
  members all;
  uint32_t at = index, left = WEIR_ALL_MAX;
  all.count = 0;
  do {
    if (all.count == WEIR_ALL_MAX) weir_lost(space->memory.commons);
    all.at[all.count++] = at;
    at = weir_group_next(space, at, &left);
  } while (at && at != index);
  return all;
}

static void free_all(weir_space *space, const members *all) {
  for (uint32_t i = 0; i < all->count; i++) weir_ticket_free(space, all->at[i]);
}

/* Lets go whoever can, now that these are gone from where they were. */
static void pump_all(weir_space *space, const members *all, uint64_t now) {
  for (uint32_t i = 0; i < all->count; i++) {
    uint32_t instance = weir_ticket_at(space, all->at[i])->instance;
    if (instance) weir_instance_pump(space, instance, now);
  }
}

/* --- release -------------------------------------------------------------- */

/* What an adaptive limit learns. */
static void sample(const weir_space *space, const weir_ticket_record *ticket,
                   bool dropped, uint64_t now, uint64_t t) {
  const weir_instance_record *instance =
      weir_instance_at(space, ticket->instance);
  const weir_adaptive *adaptive =
      &weir_limiter_of(space, instance)->config.adaptive;
  weir_control_record *control = weir_control_edit(space, instance->control);
  uint32_t in_use =
      instance->in_use < UINT32_MAX ? (uint32_t)instance->in_use : UINT32_MAX;
  if (ticket->free || control->algorithm != adaptive->algorithm ||
      adaptive->algorithm == WEIR_STATIC)
    return;
  weir_tuner_sample(&control->tuner, adaptive, weir_elapsed(ticket->since, now),
                    in_use, dropped, t);
}

static void count_outcome(const weir_space *space, weir_limiter_record *of,
                          weir_outcome outcome) {
  uint64_t *count = outcome == WEIR_DROPPED ? &of->dropped : &of->unused;
  weir_keep(&space->memory, count, sizeof *count);
  ++*count;
}

/* The last one changes the mean by an eighth. */
static void note_hold(const weir_space *space, weir_grip at, uint64_t now) {
  uint64_t held = at.limiter->held_ns;
  if (!space->memory.commons || !at.instance->queue) return;
  at.limiter->held_ns =
      held - held / 8 + weir_elapsed(at.ticket->since, now) / 8;
}

static void give_back(weir_space *space, uint32_t index, weir_outcome outcome,
                      uint64_t now, uint64_t t) {
  weir_grip at = weir_ticket_grip(space, index);
  if (outcome != WEIR_DONE) count_outcome(space, at.limiter, outcome);
  if (at.instance->control && outcome != WEIR_UNUSED)
    sample(space, at.ticket, outcome == WEIR_DROPPED, now, t);
  note_hold(space, at, now);
  weir_instance_refund(space, at, outcome == WEIR_UNUSED, t);
  weir_ticket_unhold(space, at);
}

/* Three rounds, since one of a group that moves up may be waiting for another
** of these limiters. */
static void release_group(weir_space *space, const members *all,
                          weir_outcome outcome, uint64_t now, uint64_t t) {
  for (uint32_t i = 0; i < all->count; i++)
    give_back(space, all->at[i], outcome, now, t);
  pump_all(space, all, now);
  free_all(space, all);
}

int weir_do_release(weir_port *port, weir_ticket handle, weir_outcome outcome,
                    uint64_t now) {
  weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  uint32_t index = (uint32_t)handle;
  members all;
  uint64_t t;
  if (weir_swift_release(port, handle, outcome, now)) return 0;
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state != WEIR_HELD) return WEIR_E_STATE;
  t = weir_space_tick(space, now);
  if (ticket->group) {
    all = members_of(space, index);
    release_group(space, &all, outcome, now, t);
    return 0;
  }
  give_back(space, index, outcome, now, t);
  weir_instance_pump(space, ticket->instance, now);
  weir_ticket_free(space, index);
  return 0;
}

/* --- cancel --------------------------------------------------------------- */

/* Takes one that waits out of where it waits. */
static void leave(weir_space *space, uint32_t index) {
  uint32_t waiter = weir_group_waiter(space, index);
  const weir_ticket_record *ticket = weir_ticket_at(space, waiter);
  if (ticket->cost) weir_ticket_refused(space, ticket, WEIR_CANCELED);
  weir_ticket_undue(space, waiter);
}

/* Gives back what a decided ticket was granted this instant. */
static void give_up(weir_port *port, uint32_t index, const members *all,
                    uint64_t t) {
  weir_space *space = port->space;
  weir_port_unready(port, index);
  for (uint32_t i = 0; i < all->count; i++) {
    const weir_ticket_record *ticket = weir_ticket_at(space, all->at[i]);
    weir_ticket_undue(space, all->at[i]);
    if (ticket->cost && ticket->verdict == WEIR_ADMITTED)
      weir_instance_refund(space, weir_ticket_grip(space, all->at[i]), true, t);
    weir_ticket_gone(space, all->at[i]);
  }
}

/* Takes a ticket that is not held away, nobody moved up and nothing freed. */
static void take_away(weir_port *port, uint32_t index, const members *all,
                      uint64_t t) {
  weir_space *space = port->space;
  if (weir_ticket_at(space, index)->state == WEIR_READY) {
    give_up(port, index, all, t);
    return;
  }
  leave(space, index);
  for (uint32_t i = 0; i < all->count; i++) {
    weir_ticket_leave(space, all->at[i], false);
    weir_ticket_gone(space, all->at[i]);
  }
}

void weir_ticket_withdraw(weir_port *port, uint32_t index, uint64_t now) {
  members all = members_of(port->space, index);
  take_away(port, index, &all, weir_clock_at(&port->space->root->clock, now));
  free_all(port->space, &all);
}

int weir_do_cancel(weir_port *port, weir_ticket handle, uint64_t now) {
  weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  members all;
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  all = members_of(space, (uint32_t)handle);
  take_away(port, (uint32_t)handle, &all, weir_space_tick(space, now));
  pump_all(space, &all, now);
  free_all(space, &all);
  return 0;
}

/* --- drain and park ------------------------------------------------------- */

/* Lets a new ticket wait for something that is in no queue. */
static int wait_for(const weir_port *port, uint32_t index, uint64_t deadline,
                    weir_ticket *out) {
  weir_ticket_record *ticket = weir_ticket_edit(port->space, index);
  weir_keep(&port->space->memory, &port->space->root->arrivals,
            sizeof(uint32_t));
  ticket->state = WEIR_QUEUED;
  ticket->time = deadline;
  ticket->arrival = ++port->space->root->arrivals;
  if (deadline != WEIR_NEVER) weir_ticket_due(port, index, deadline);
  *out = weir_slab_handle(&port->space->tickets, index);
  return WEIR_WAITING;
}

int weir_do_drain(weir_port *port, weir_limiter handle,
                  const weir_request *request, uint64_t now, weir_ticket *out) {
  weir_space *space = port->space;
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  uint64_t deadline = weir_deadline_of(request, WEIR_NEVER, now);
  uint32_t index;
  bool busy, waits;
  *out = 0;
  if (!limiter) return WEIR_E_STALE;
  busy = limiter->in_use || limiter->waiting || limiter->riding;
  waits = busy && !request->try_only && !weir_is_due(deadline, now);
  if (waits && !weir_ticket_reserve(port, deadline != WEIR_NEVER))
    return WEIR_EXHAUSTED;
  weir_limiter_edit(space, (uint32_t)handle)->closed = true;
  if (!busy) return WEIR_ADMITTED;
  if (!waits) return request->try_only ? WEIR_FULL : WEIR_TIMEOUT;
  index = weir_ticket_new(port, limiter->instance, request->cookie, now);
  weir_list_append(&weir_limiter_edit(space, (uint32_t)handle)->drains, space,
                   index);
  weir_port_edit(space, port->index)->waiting++;
  return wait_for(port, index, deadline, out);
}

int weir_do_park(weir_port *port, const weir_request *request,
                 weir_ticket *out) {
  uint64_t deadline = weir_deadline_of(request, WEIR_NEVER, 0);
  *out = 0;
  if (!weir_ticket_reserve(port, deadline != WEIR_NEVER)) return WEIR_EXHAUSTED;
  return wait_for(port, weir_ticket_new(port, 0, request->cookie, 0), deadline,
                  out);
}

int weir_do_wake(weir_port *port, weir_ticket handle) {
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->instance || ticket->state != WEIR_QUEUED) return WEIR_E_STATE;
  weir_ticket_decide(port->space, (uint32_t)handle, WEIR_ADMITTED, 0);
  return 0;
}

int weir_do_set_cookie(weir_port *port, weir_ticket handle, uint64_t cookie) {
  weir_space *space = port->space;
  members all;
  if (!weir_port_ticket(port, handle)) return WEIR_E_STALE;
  all = members_of(space, (uint32_t)handle);
  for (uint32_t i = 0; i < all.count; i++)
    weir_ticket_edit(space, all.at[i])->cookie = cookie;
  return 0;
}
