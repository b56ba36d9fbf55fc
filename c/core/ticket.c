/*
** ticket.c - a request's passage: acquire, release, cancel; drain and park.
*/
#include "instance.h"
#include "port.h"

/* A free ticket of this port, with a place kept in its deadlines; 0: no
** memory, nothing changed. */
static uint32_t new_ticket(weir_port *port, const weir_request *request,
                           bool timed) {
  weir_space *space = port->space;
  weir_ticket_record *ticket;
  uint32_t index;
  if (!weir_slab_reserve(&space->tickets, &space->allocator)) return 0;
  if (timed && !weir_heap_reserve(&port->deadlines, &space->allocator))
    return 0;
  index = weir_slab_take(&space->tickets);
  ticket = weir_ticket_at(space, index);
  ticket->instance = 0;
  ticket->cost = 0;
  ticket->heap = 0;
  ticket->cookie = request->cookie;
  ticket->since = 0;
  ticket->waited = 0;
  ticket->port = port->index;
  return index;
}

/* A new ticket as one of an instance's. */
static uint32_t new_ticket_of(weir_port *port, uint32_t instance,
                              const weir_request *request, uint32_t cost,
                              uint64_t deadline, uint64_t now) {
  uint32_t index = new_ticket(port, request, deadline != WEIR_NEVER);
  weir_ticket_record *ticket;
  if (!index) return 0;
  ticket = weir_ticket_at(port->space, index);
  ticket->instance = instance;
  ticket->cost = cost;
  ticket->since = now;
  weir_instance_at(port->space, instance)->tickets++;
  return index;
}

static int wait_in_queue(weir_port *port, uint32_t index, uint64_t deadline,
                         weir_ticket *out) {
  weir_space *space = port->space;
  weir_instance_enqueue(space, index);
  if (deadline != WEIR_NEVER)
    weir_heap_add(&port->deadlines, &space->tickets, index, deadline);
  *out = weir_slab_handle(&space->tickets, index);
  return WEIR_WAITING;
}

static uint64_t deadline_of(const weir_request *request, uint64_t timeout_ns,
                            uint64_t now) {
  if (request->deadline) return request->deadline;
  return timeout_ns < WEIR_NEVER - now ? now + timeout_ns : WEIR_NEVER;
}

static uint32_t cost_of(const weir_request *request) {
  return request->cost ? request->cost : 1;
}

static bool is_due(uint64_t deadline, uint64_t now) {
  return deadline != WEIR_NEVER && deadline <= now;
}

/* Why a request that does not fit now may not wait either; WAITING: it may. */
static weir_verdict refusal_to_wait(const weir_limiter_record *limiter,
                                    const weir_instance_record *instance,
                                    const weir_request *request, uint64_t now) {
  if (request->try_only) return WEIR_FULL;
  if (limiter->config.queue != WEIR_UNBOUNDED &&
      instance->waiting >= limiter->config.queue)
    return WEIR_FULL;
  if (is_due(deadline_of(request, limiter->config.timeout_ns, now), now))
    return WEIR_TIMEOUT;
  return WEIR_WAITING;
}

static weir_verdict judge(const weir_space *space,
                          const weir_limiter_record *limiter,
                          const weir_request *request, uint64_t now) {
  const weir_instance_record *instance =
      weir_instance_at(space, limiter->instance);
  uint32_t cost = cost_of(request);
  if (limiter->closed) return WEIR_CLOSED;
  if (cost > limiter->config.concurrent) return WEIR_IMPOSSIBLE;
  if (!instance->queue.first && weir_instance_fits(instance, limiter, cost))
    return WEIR_ADMITTED;
  return refusal_to_wait(limiter, instance, request, now);
}

int weir_peek(const weir_port *port, weir_limiter handle,
              const weir_request *request, uint64_t now) {
  const weir_limiter_record *limiter =
      weir_slab_find(&port->space->limiters, handle);
  if (!limiter) return WEIR_E_STALE;
  if (request->cost > WEIR_PERMITS_MAX) return WEIR_E_CONFIG;
  return judge(port->space, limiter, request, now);
}

static int refuse(weir_limiter_record *limiter, weir_verdict verdict) {
  limiter->refused[verdict]++;
  return verdict;
}

static int admit(weir_port *port, weir_limiter_record *limiter,
                 const weir_request *request, uint64_t now, weir_ticket *out) {
  weir_space *space = port->space;
  uint32_t cost = cost_of(request);
  uint32_t index =
      new_ticket_of(port, limiter->instance, request, cost, WEIR_NEVER, now);
  if (!index) return refuse(limiter, WEIR_EXHAUSTED);
  weir_ticket_at(space, index)->state = WEIR_HELD;
  weir_instance_at(space, limiter->instance)->in_use += cost;
  limiter->admitted++;
  limiter->waits.zeros++;
  *out = weir_slab_handle(&space->tickets, index);
  return WEIR_ADMITTED;
}

static int enqueue(weir_port *port, weir_limiter_record *limiter,
                   const weir_request *request, uint64_t now,
                   weir_ticket *out) {
  uint64_t deadline = deadline_of(request, limiter->config.timeout_ns, now);
  uint32_t index = new_ticket_of(port, limiter->instance, request,
                                 cost_of(request), deadline, now);
  if (!index) return refuse(limiter, WEIR_EXHAUSTED);
  return wait_in_queue(port, index, deadline, out);
}

int weir_acquire(weir_port *port, weir_limiter handle,
                 const weir_request *request, uint64_t now, weir_ticket *out) {
  weir_limiter_record *limiter = weir_slab_find(&port->space->limiters, handle);
  weir_verdict verdict;
  *out = 0;
  if (!limiter) return WEIR_E_STALE;
  if (request->cost > WEIR_PERMITS_MAX) return WEIR_E_CONFIG;
  verdict = judge(port->space, limiter, request, now);
  switch (verdict) {
  case WEIR_ADMITTED: return admit(port, limiter, request, now, out);
  case WEIR_WAITING: return enqueue(port, limiter, request, now, out);
  default: return refuse(limiter, verdict);
  }
}

int weir_release(weir_port *port, weir_ticket handle, weir_outcome outcome,
                 uint64_t now) {
  weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state != WEIR_HELD) return WEIR_E_STATE;
  if (outcome == WEIR_DROPPED)
    weir_limiter_at(space, weir_instance_at(space, ticket->instance)->limiter)
        ->dropped++;
  weir_instance_return(space, ticket, now);
  weir_ticket_free(space, (uint32_t)handle);
  return 0;
}

void weir_ticket_withdraw(weir_port *port, uint32_t index) {
  weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  if (ticket->cost)
    weir_limiter_at(space, weir_instance_at(space, ticket->instance)->limiter)
        ->refused[WEIR_CANCELED]++;
  weir_instance_dequeue(space, index);
  weir_heap_remove(&port->deadlines, &space->tickets, index);
  weir_ticket_free(space, index);
}

/* Gives back what a decided ticket was granted this instant. */
static void withdraw_decided(weir_port *port, uint32_t index, uint64_t now) {
  weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_port_unready(port, index);
  if (ticket->instance && ticket->verdict == WEIR_ADMITTED)
    weir_instance_return(space, ticket, now);
  weir_heap_remove(&port->deadlines, &space->tickets, index);
  weir_ticket_free(space, index);
}

int weir_cancel(weir_port *port, weir_ticket handle, uint64_t now) {
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  uint32_t instance;
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  if (ticket->state == WEIR_READY) {
    withdraw_decided(port, (uint32_t)handle, now);
    return 0;
  }
  instance = ticket->instance;
  weir_ticket_withdraw(port, (uint32_t)handle);
  if (instance && weir_slab_live(&port->space->instances, instance))
    weir_instance_pump(port->space, instance, now);
  return 0;
}

int weir_drain(weir_port *port, weir_limiter handle,
               const weir_request *request, uint64_t now, weir_ticket *out) {
  weir_limiter_record *limiter = weir_slab_find(&port->space->limiters, handle);
  const weir_instance_record *instance;
  uint64_t deadline = deadline_of(request, WEIR_NEVER, now);
  bool waits;
  uint32_t index = 0;
  *out = 0;
  if (!limiter) return WEIR_E_STALE;
  instance = weir_instance_at(port->space, limiter->instance);
  waits = instance->in_use || instance->queue.first;
  if (waits && !request->try_only && !is_due(deadline, now)) {
    index = new_ticket_of(port, limiter->instance, request, 0, deadline, now);
    if (!index) return WEIR_EXHAUSTED;
  }
  limiter->closed = true;
  if (index) return wait_in_queue(port, index, deadline, out);
  if (!waits) return WEIR_ADMITTED;
  return request->try_only ? WEIR_FULL : WEIR_TIMEOUT;
}

int weir_park(weir_port *port, const weir_request *request, weir_ticket *out) {
  weir_space *space = port->space;
  uint64_t deadline = deadline_of(request, WEIR_NEVER, 0);
  uint32_t index = new_ticket(port, request, deadline != WEIR_NEVER);
  *out = 0;
  if (!index) return WEIR_EXHAUSTED;
  weir_ticket_at(space, index)->state = WEIR_QUEUED;
  if (deadline != WEIR_NEVER)
    weir_heap_add(&port->deadlines, &space->tickets, index, deadline);
  *out = weir_slab_handle(&space->tickets, index);
  return WEIR_WAITING;
}

int weir_wake(weir_port *port, weir_ticket handle) {
  const weir_ticket_record *ticket = weir_port_ticket(port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->instance || ticket->state != WEIR_QUEUED) return WEIR_E_STATE;
  weir_instance_decide(port->space, (uint32_t)handle, WEIR_ADMITTED, 0);
  return 0;
}

int weir_set_cookie(weir_port *port, weir_ticket handle, uint64_t cookie) {
  weir_ticket_record *ticket = weir_port_ticket(port, handle);
  if (!ticket) return WEIR_E_STALE;
  ticket->cookie = cookie;
  return 0;
}
