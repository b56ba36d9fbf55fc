/*
** port.c - ports: attaching, and a host's turn.
*/
#include "port.h"

#include <string.h>

#include "door.h"
#include "group.h"
#include "instance.h"
#include "queue.h"
#include "turn.h"

enum { PORTS_MAX = 65535, TURNS = 4 };

/* --- attaching ------------------------------------------------------------ */

static uint32_t ports_max(const weir_space *space) {
  return space->memory.commons ? WEIR_SHARED_PORTS : PORTS_MAX;
}

static bool has_room(weir_space *space) {
  if (space->ports.head->used > ports_max(space) && !space->ports.head->free)
    return false;
  return weir_slab_reserve(&space->ports);
}

bool weir_do_port_attach(weir_space *space, weir_port *port) {
  const weir_commons *commons = space->memory.commons;
  weir_port_record *record;
  if (!has_room(space)) return false;
  port->space = space;
  port->bell = -1;
  port->index = weir_slab_take(&space->ports);
  if (port->index > ports_max(space)) weir_lost(space->memory.commons);
  record = weir_port_fresh(space, port->index);
  memset(&record->ready, 0, sizeof *record - offsetof(weir_port_record, ready));
  if (!commons) return true;
  record->seat = commons->sharing->seat;
  port->bell = commons->sharing->hang_bell(commons->sharing, port->index);
  if (port->bell < 0) weir_slab_give(&space->ports, port->index);
  return port->bell >= 0;
}

static const weir_port_record *record_of(const weir_port *port) {
  return weir_port_at(port->space, port->index);
}

/* Whether it is a live ticket of the port that has a handle. */
static bool is_own(const weir_port *port, uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(port->space, index);
  return weir_slab_live(&port->space->tickets, index) &&
         ticket->port == port->index && !ticket->follower;
}

/* The newest first: mostly that is the last of the deadlines, and the others
** need not be put in order again. */
static void leave_all(weir_port *port, uint64_t now) {
  const weir_space *space = port->space;
  for (uint32_t i = space->tickets.head->used; i-- > 1;)
    if (is_own(port, i) && weir_ticket_at(space, i)->state != WEIR_HELD) {
      weir_ticket_withdraw(port, i, now);
      weir_step(space);
    }
}

static void give_all_back(weir_port *port, uint64_t now) {
  const weir_space *space = port->space;
  for (uint32_t i = 1; i < space->tickets.head->used; i++)
    if (is_own(port, i)) {
      weir_do_release(port, weir_slab_handle(&space->tickets, i), WEIR_DROPPED,
                      now);
      weir_step(space);
    }
}

/* First its waiters leave, all of them before anybody moves up, so that it is
** granted nothing more; then it gives back; then whoever can now go, goes. */
void weir_port_clear(weir_space *space, uint32_t index, uint64_t now) {
  weir_port port = { .space = space, .index = index };
  leave_all(&port, now);
  give_all_back(&port, now);
  weir_pump_all(space, 0, now);
  for (uint32_t i = 1; i < space->limiters.head->used; i++)
    if (weir_slab_live(&space->limiters, i))
      weir_limiter_drained(space, i, now);
  weir_heap_fini(weir_deadlines(space, index), &space->heaps);
  weir_slab_give(&space->ports, index);
}

void weir_do_port_detach(weir_port *port, uint64_t now) {
  weir_space_tick(port->space, now);
  weir_port_clear(port->space, port->index, now);
}

/* --- deadlines ------------------------------------------------------------ */

/* Whether a waiter is due because its rate lets it go. */
static bool is_armed(const weir_space *space,
                     const weir_ticket_record *ticket) {
  uint32_t queue;
  if (!ticket->instance || !ticket->cost) return false;
  queue = weir_instance_at(space, ticket->instance)->queue;
  return queue &&
         weir_ticket_at(space, weir_queue_at(space, queue)->armed) == ticket;
}

/* Does what is due with the first of the deadlines. */
static void expire(weir_space *space, const weir_heap *deadlines,
                   uint64_t now) {
  uint32_t index = weir_heap_first(deadlines, &space->heaps);
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  uint32_t instance = ticket->instance;
  if (ticket->state == WEIR_QUEUED && is_armed(space, ticket)) {
    weir_queue_arm(space, instance, WEIR_NEVER);
    if (is_armed(space, ticket)) weir_lost(space->memory.commons);
    weir_instance_pump(space, instance, now);
    return;
  }
  weir_ticket_undue(space, index);
  if (ticket->state != WEIR_QUEUED) return; /* decided before its deadline */
  weir_ticket_decide(space, index, WEIR_TIMEOUT, now);
  if (instance) weir_instance_pump(space, instance, now);
}

static uint64_t first_of(const weir_space *space, const weir_heap *deadlines) {
  return deadlines->count ? weir_heap_time(deadlines, &space->heaps)
                          : WEIR_NEVER;
}

/* As long as somebody waits, others may die that it waits for; as long as one
** is ready that was not taken, whoever decided it may have died before it rang.
*/
static bool is_concerned(const weir_port_record *record) {
  return record->waiting || record->ready.first;
}

uint32_t weir_do_waiting(const weir_port *port) {
  const weir_port_record *record = record_of(port);
  return record->waiting + (record->ready.first != 0);
}

uint64_t weir_do_deadline(const weir_port *port) {
  const weir_space *space = port->space;
  const weir_port_record *record = record_of(port);
  uint64_t first = first_of(space, &record->deadlines);
  uint64_t patrol = weir_patrol_at(space), until = weir_withheld_until(port);
  if (until && until < first) first = until;
  return is_concerned(record) && patrol < first ? patrol : first;
}

/* Each is armed, and then due, a few times at most, but for damaged memory. */
void weir_port_expire(weir_space *space, uint32_t index, uint64_t now) {
  const weir_heap *deadlines = weir_deadlines(space, index);
  uint64_t left = (uint64_t)space->tickets.array.limit * TURNS;
  while (first_of(space, deadlines) <= now && deadlines->count) {
    if (!left--) weir_lost(space->memory.commons);
    expire(space, deadlines, now);
    weir_step(space);
  }
}

void weir_port_hushed(const weir_port *port) {
  weir_port_record *record = weir_port_fresh(port->space, port->index);
  if (!record->rung) return;
  weir_keep(&port->space->memory, &record->rung, sizeof record->rung);
  record->rung = 0;
}

uint64_t weir_do_advance(weir_port *port, uint64_t now) {
  weir_space *space = port->space;
  weir_space_tick(space, now);
  weir_port_expire(space, port->index, now);
  if (is_concerned(record_of(port)) && weir_patrol_due(space, now))
    weir_patrol(space, now);
  return weir_do_deadline(port);
}

/* --- events --------------------------------------------------------------- */

void weir_port_unready(weir_port *port, uint32_t index) {
  weir_list_unlink(&weir_port_edit(port->space, port->index)->ready,
                   port->space, index);
}

/* The one of a decided ticket's group that was decided about. */
static const weir_ticket_record *decider_of(const weir_space *space,
                                            const weir_ticket_record *ticket) {
  return ticket->group ? weir_ticket_at(space, ticket->lane) : ticket;
}

/* The limiter of a ticket; 0: parked. */
static weir_limiter limiter_of(const weir_space *space,
                               const weir_ticket_record *ticket) {
  if (!ticket->instance) return 0;
  return weir_slab_handle(
      &space->limiters, weir_instance_at(space, ticket->instance)->entry.owner);
}

/* A decided ticket is held from now on if it holds anything, else freed. */
static void take_one(weir_space *space, uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_ticket_undue(space, index);
  if (ticket->cost && ticket->verdict == WEIR_ADMITTED)
    weir_ticket_hold(space, weir_ticket_grip(space, index), index);
  else
    weir_ticket_free(space, index);
}

/* Hands a READY ticket to its owner. */
static void take(weir_port *port, uint32_t index, weir_event *out) {
  weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  uint32_t at = ticket->group, next, left = WEIR_ALL_MAX;
  if (ticket->state != WEIR_READY || ticket->verdict >= WEIR_VERDICTS)
    weir_lost(space->memory.commons);
  weir_port_unready(port, index);
  out->ticket = weir_slab_handle(&space->tickets, index);
  out->cookie = ticket->cookie;
  out->waited_ns = ticket->time;
  out->cost = decider_of(space, ticket)->cost;
  out->verdict = (weir_verdict)ticket->verdict;
  out->limiter = limiter_of(space, decider_of(space, ticket));
  for (; at && at != index; at = next) {
    next = weir_group_next(space, at, &left);
    take_one(space, at);
  }
  take_one(space, index);
}

bool weir_do_next(weir_port *port, weir_event *out) {
  uint32_t first = record_of(port)->ready.first;
  weir_turn_end(port);
  if (!first || weir_withheld_until(port)) return false;
  weir_turn_begin(port, first);
  take(port, first, out);
  return true;
}

bool weir_do_pending(const weir_port *port) {
  return record_of(port)->ready.first && !weir_withheld_until(port);
}

int weir_do_claim(weir_port *port, weir_ticket handle, weir_event *out) {
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  if (ticket->state == WEIR_QUEUED) return 0;
  take(port, (uint32_t)handle, out);
  return 1;
}
