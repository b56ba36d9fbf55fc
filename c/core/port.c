/*
** port.c - ports: attaching, and a host's turn.
*/
#include "port.h"

#include "instance.h"
#include "list.h"
#include "memory.h"

enum { PORTS_MAX = 65535 };

weir_port *weir_port_attach(weir_space *space) {
  weir_port *port;
  if (space->ports.used > PORTS_MAX && !space->ports.free) return NULL;
  if (!weir_slab_reserve(&space->ports, &space->allocator)) return NULL;
  port = weir_alloc(&space->allocator, sizeof *port);
  if (!port) return NULL;
  port->space = space;
  port->index = weir_slab_take(&space->ports);
  weir_port_at(space, port->index)->ready = (weir_list){ 0, 0 };
  return port;
}

/* The index of the next live ticket of this port after `index`; 0: none. */
static uint32_t next_own(const weir_port *port, uint32_t index) {
  const weir_space *space = port->space;
  while (++index < space->tickets.used)
    if (weir_slab_live(&space->tickets, index) &&
        weir_ticket_at(space, index)->port == port->index)
      return index;
  return 0;
}

/* Calls `what` for each live ticket of the port. */
static void each_own(weir_port *port, uint64_t now,
                     void (*what)(weir_port *, uint32_t, uint64_t)) {
  for (uint32_t i = 0; (i = next_own(port, i)) != 0;) what(port, i, now);
}

static void leave(weir_port *port, uint32_t index, uint64_t now) {
  (void)now;
  if (weir_ticket_at(port->space, index)->state == WEIR_QUEUED)
    weir_ticket_withdraw(port, index);
}

static void give_back(weir_port *port, uint32_t index, uint64_t now) {
  weir_ticket handle = weir_slab_handle(&port->space->tickets, index);
  if (weir_release(port, handle, WEIR_DROPPED, now) == WEIR_E_STATE)
    weir_cancel(port, handle, now);
}

/* First its waiters leave, all of them before anybody moves up, so that it is
** granted nothing more; then it gives back; then whoever can now go, goes. */
void weir_port_detach(weir_port *port, uint64_t now) {
  weir_space *space = port->space;
  each_own(port, now, leave);
  each_own(port, now, give_back);
  for (uint32_t i = 1; i < space->instances.used; i++)
    if (weir_slab_live(&space->instances, i)) weir_instance_pump(space, i, now);
  weir_heap_fini(&port->deadlines, &space->allocator);
  weir_slab_give(&space->ports, port->index);
  weir_free(&space->allocator, port, sizeof *port);
}

weir_space *weir_port_space(const weir_port *port) { return port->space; }

int weir_fd(const weir_port *port) {
  (void)port;
  return -1;
}

static void expire(weir_port *port, uint32_t index, uint64_t now) {
  const weir_ticket_record *ticket = weir_ticket_at(port->space, index);
  uint32_t instance = ticket->instance;
  weir_heap_remove(&port->deadlines, &port->space->tickets, index);
  if (ticket->state != WEIR_QUEUED) return; /* decided before its deadline */
  weir_instance_decide(port->space, index, WEIR_TIMEOUT, now);
  if (instance) weir_instance_pump(port->space, instance, now);
}

uint64_t weir_deadline(const weir_port *port) {
  const weir_heap *heap = &port->deadlines;
  return heap->count ? heap->entries[0].deadline : WEIR_NEVER;
}

uint64_t weir_advance(weir_port *port, uint64_t now) {
  const weir_heap *heap = &port->deadlines;
  while (heap->count && heap->entries[0].deadline <= now)
    expire(port, heap->entries[0].ticket, now);
  return weir_deadline(port);
}

void weir_port_unready(weir_port *port, uint32_t index) {
  weir_list_unlink(&weir_port_at(port->space, port->index)->ready, port->space,
                   index);
}

/* Hands a READY ticket to its owner: held from now on if it holds anything,
** free otherwise. */
static void take(weir_port *port, uint32_t index, weir_event *out) {
  weir_space *space = port->space;
  weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_port_unready(port, index);
  weir_heap_remove(&port->deadlines, &space->tickets, index);
  out->ticket = weir_slab_handle(&space->tickets, index);
  out->cookie = ticket->cookie;
  out->waited_ns = ticket->waited;
  out->cost = ticket->cost;
  out->verdict = (weir_verdict)ticket->verdict;
  out->limiter = 0;
  if (ticket->instance)
    out->limiter = weir_slab_handle(
        &space->limiters, weir_instance_at(space, ticket->instance)->limiter);
  if (ticket->cost && ticket->verdict == WEIR_ADMITTED)
    ticket->state = WEIR_HELD;
  else
    weir_ticket_free(space, index);
}

bool weir_next(weir_port *port, weir_event *out) {
  uint32_t first = weir_port_at(port->space, port->index)->ready.first;
  if (!first) return false;
  take(port, first, out);
  return true;
}

bool weir_pending(const weir_port *port) {
  return weir_port_at(port->space, port->index)->ready.first != 0;
}

int weir_claim(weir_port *port, weir_ticket handle, weir_event *out) {
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  if (ticket->state == WEIR_QUEUED) return 0;
  take(port, (uint32_t)handle, out);
  return 1;
}

static void inspect(const weir_space *space, uint32_t index,
                    weir_ticket_info *out) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  out->ticket = weir_slab_handle(&space->tickets, index);
  out->limiter = 0;
  if (ticket->instance)
    out->limiter = weir_slab_handle(
        &space->limiters, weir_instance_at(space, ticket->instance)->limiter);
  out->cookie = ticket->cookie;
  out->since = ticket->since;
  out->cost = ticket->cost;
  out->state = (weir_state)ticket->state;
}

int weir_ticket_inspect(const weir_port *port, weir_ticket handle,
                        weir_ticket_info *out) {
  if (!weir_port_ticket(port, handle)) return WEIR_E_STALE;
  inspect(port->space, (uint32_t)handle, out);
  return 0;
}

bool weir_ticket_walk(const weir_port *port, uint32_t *cursor,
                      weir_ticket_info *out) {
  uint32_t index = next_own(port, *cursor);
  if (!index) return false;
  *cursor = index;
  inspect(port->space, index, out);
  return true;
}
