/*
** port.c - ports: attaching, and a host's turn.
*/
#include "port.h"

#include "group.h"
#include "instance.h"
#include "list.h"
#include "memory.h"
#include "queue.h"

enum { PORTS_MAX = 65535 };

weir_port *weir_port_attach(weir_space *space) {
  weir_port_record *record;
  weir_port *port;
  if (space->ports.used > PORTS_MAX && !space->ports.free) return NULL;
  if (!weir_slab_reserve(&space->ports, &space->allocator)) return NULL;
  port = weir_alloc(&space->allocator, sizeof *port);
  if (!port) return NULL;
  port->space = space;
  port->index = weir_slab_take(&space->ports);
  record = weir_port_at(space, port->index);
  record->ready = (weir_list){ 0, 0 };
  weir_heap_init(&record->deadlines, offsetof(weir_ticket_record, heap));
  return port;
}

static weir_port_record *record_of(const weir_port *port) {
  return weir_port_at(port->space, port->index);
}

/* Calls `what` for each live ticket of the port that has a handle. */
static void each_own(weir_port *port, uint64_t now,
                     void (*what)(weir_port *, uint32_t, uint64_t)) {
  const weir_space *space = port->space;
  for (uint32_t i = 1; i < space->tickets.used; i++) {
    const weir_ticket_record *ticket = weir_ticket_at(space, i);
    if (weir_slab_live(&space->tickets, i) && ticket->port == port->index &&
        !ticket->follower)
      what(port, i, now);
  }
}

static void leave(weir_port *port, uint32_t index, uint64_t now) {
  if (weir_ticket_at(port->space, index)->state != WEIR_HELD)
    weir_ticket_withdraw(port, index, now);
}

static void give_back(weir_port *port, uint32_t index, uint64_t now) {
  weir_release(port, weir_slab_handle(&port->space->tickets, index),
               WEIR_DROPPED, now);
}

/* First its waiters leave, all of them before anybody moves up, so that it is
** granted nothing more; then it gives back; then whoever can now go, goes. */
void weir_port_detach(weir_port *port, uint64_t now) {
  weir_space *space = port->space;
  weir_space_tick(space, now);
  each_own(port, now, leave);
  each_own(port, now, give_back);
  weir_pump_all(space, 0, now);
  for (uint32_t i = 1; i < space->limiters.used; i++)
    if (weir_slab_live(&space->limiters, i))
      weir_limiter_drained(space, i, now);
  weir_heap_fini(&record_of(port)->deadlines, &space->allocator);
  weir_slab_give(&space->ports, port->index);
  weir_free(&space->allocator, port, sizeof *port);
}

weir_space *weir_port_space(const weir_port *port) { return port->space; }

int weir_fd(const weir_port *port) {
  (void)port;
  return -1;
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
static void expire(weir_port *port, uint64_t now) {
  weir_space *space = port->space;
  uint32_t index = record_of(port)->deadlines.entries[0].record;
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  uint32_t instance = ticket->instance;
  if (ticket->state == WEIR_QUEUED && is_armed(space, ticket)) {
    weir_queue_arm(space, instance, WEIR_NEVER);
    weir_instance_pump(space, instance, now);
    return;
  }
  weir_ticket_undue(space, index);
  if (ticket->state != WEIR_QUEUED) return; /* decided before its deadline */
  weir_ticket_decide(space, index, WEIR_TIMEOUT, now);
  if (instance) weir_instance_pump(space, instance, now);
}

uint64_t weir_deadline(const weir_port *port) {
  const weir_heap *heap = &record_of(port)->deadlines;
  return heap->count ? heap->entries[0].time : WEIR_NEVER;
}

uint64_t weir_advance(weir_port *port, uint64_t now) {
  weir_space_tick(port->space, now);
  while (weir_deadline(port) <= now && weir_deadline(port) != WEIR_NEVER)
    expire(port, now);
  return weir_deadline(port);
}

/* --- events --------------------------------------------------------------- */

void weir_port_unready(weir_port *port, uint32_t index) {
  weir_list_unlink(&record_of(port)->ready, port->space, index);
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
    weir_ticket_hold(space, index);
  else
    weir_ticket_free(space, index);
}

/* Hands a READY ticket to its owner. */
static void take(weir_port *port, uint32_t index, weir_event *out) {
  weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  uint32_t at = ticket->group, next;
  weir_port_unready(port, index);
  out->ticket = weir_slab_handle(&space->tickets, index);
  out->cookie = ticket->cookie;
  out->waited_ns = ticket->time;
  out->cost = decider_of(space, ticket)->cost;
  out->verdict = (weir_verdict)ticket->verdict;
  out->limiter = limiter_of(space, decider_of(space, ticket));
  for (; at && at != index; at = next) {
    next = weir_group_next(space, at);
    take_one(space, at);
  }
  take_one(space, index);
}

bool weir_next(weir_port *port, weir_event *out) {
  uint32_t first = record_of(port)->ready.first;
  if (!first) return false;
  take(port, first, out);
  return true;
}

bool weir_pending(const weir_port *port) {
  return record_of(port)->ready.first != 0;
}

int weir_claim(weir_port *port, weir_ticket handle, weir_event *out) {
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  if (ticket->state == WEIR_QUEUED) return 0;
  take(port, (uint32_t)handle, out);
  return 1;
}
