/*
** acquire.c - a request to one limiter; and acquire.h.
*/
#include "acquire.h"

#include "instance.h"
#include "keys.h"

/* --- new tickets ---------------------------------------------------------- */

bool weir_ticket_reserve(const weir_port *port, bool timed) {
  weir_space *space = port->space;
  weir_heap *deadlines = &weir_port_at(space, port->index)->deadlines;
  return weir_slab_reserve(&space->tickets, &space->allocator) &&
         (!timed || weir_heap_reserve(deadlines, &space->allocator,
                                      deadlines->count + 1));
}

uint32_t weir_ticket_new(const weir_port *port, uint32_t instance,
                         uint64_t cookie, uint64_t now) {
  weir_space *space = port->space;
  uint32_t index = weir_slab_take(&space->tickets);
  weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_record record = ticket->record;
  *ticket = (weir_ticket_record){
    .record = record,
    .instance = instance,
    .cookie = cookie,
    .since = now,
    .port = (uint16_t)port->index,
  };
  if (!instance) return index;
  weir_instance_at(space, instance)->entry.tickets++;
  weir_limiter_of(space, weir_instance_at(space, instance))->tickets++;
  return index;
}

uint32_t weir_ticket_asked(const weir_port *port, const weir_ask *ask,
                           uint64_t cookie, uint64_t now) {
  uint32_t index = weir_ticket_new(port, ask->instance, cookie, now);
  weir_ticket_record *ticket = weir_ticket_at(port->space, index);
  ticket->cost = ask->cost & WEIR_PERMITS_MAX;
  ticket->arrival = ask->place.arrival;
  ticket->priority = ask->place.priority;
  return index;
}

void weir_ticket_due(const weir_port *port, uint32_t index, uint64_t time) {
  weir_space *space = port->space;
  weir_heap_add(&weir_port_at(space, port->index)->deadlines, &space->tickets,
                index, time);
}

/* --- places --------------------------------------------------------------- */

weir_verdict weir_relent(const weir_limiter_record *limiter,
                         weir_verdict verdict, bool *free) {
  const weir_config *config = &limiter->config;
  bool dry = config->dry_run && verdict != WEIR_CLOSED;
  bool pass = config->pass_exhausted && verdict == WEIR_EXHAUSTED;
  *free = pass || (dry && verdict != WEIR_ADMITTED && verdict != WEIR_WAITING);
  return dry || pass ? WEIR_ADMITTED : verdict;
}

static bool find_place(weir_space *space, weir_ask *ask, uint64_t t) {
  const weir_request *request = ask->request;
  if (!ask->instance)
    ask->instance = weir_keys_make(space, ask->limiter, &ask->hash,
                                   request->key, request->key_size, t);
  return ask->instance && weir_control_ensure(space, ask->instance);
}

bool weir_place_settle(weir_space *space, weir_ask *ask, bool *free,
                       uint64_t t) {
  const weir_limiter_record *limiter = weir_limiter_at(space, ask->limiter);
  if (*free && !ask->instance) ask->instance = limiter->instance;
  return find_place(space, ask, t);
}

void weir_place_leave(weir_space *space, const weir_ask *ask) {
  if (ask->instance && !weir_instance_at(space, ask->instance)->entry.tickets)
    weir_keys_leave(space, ask->instance);
}

bool weir_waits_timed(const weir_space *space, const weir_ask *ask) {
  return ask->deadline != WEIR_NEVER ||
         weir_limiter_wakes(weir_limiter_at(space, ask->limiter));
}

/* --- what becomes of it --------------------------------------------------- */

int weir_refuse(weir_space *space, const weir_ask *ask, weir_verdict verdict) {
  uint32_t *refused;
  weir_limiter_at(space, ask->limiter)->refused[verdict]++;
  if (!ask->instance) return verdict;
  refused = &weir_instance_at(space, ask->instance)->refused;
  *refused += *refused < UINT32_MAX;
  return verdict;
}

void weir_ticket_admit(weir_space *space, uint32_t index, uint64_t t) {
  weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_instance_charge(space, ticket, t);
  weir_ticket_count(space, ticket, WEIR_ADMITTED);
  weir_ticket_hold(space, index);
  if (weir_instance_at(space, ticket->instance)->queue)
    weir_instance_arm(space, ticket->instance, t);
}

/* Makes room in a queue that has reached its bound. */
static void evict(weir_space *space, const weir_ask *ask, uint64_t now) {
  const weir_config *config = &weir_limiter_at(space, ask->limiter)->config;
  uint32_t queue = weir_instance_at(space, ask->instance)->queue;
  if (!queue || config->queue == WEIR_UNBOUNDED ||
      weir_queue_at(space, queue)->waiting < config->queue)
    return;
  weir_ticket_decide(space,
                     weir_queue_victim(space, ask->instance, &ask->place),
                     WEIR_FULL, now);
}

/* If the one that went first is gone, others may go now. */
void weir_ticket_join(const weir_port *port, const weir_ask *ask,
                      uint32_t index, bool timed, uint64_t now, uint64_t t) {
  weir_space *space = port->space;
  weir_ticket_record *ticket = weir_ticket_at(space, index);
  uint32_t head = weir_queue_head(space, ask->instance);
  bool evicted;
  evict(space, ask, now);
  evicted = head && weir_ticket_at(space, head)->state != WEIR_QUEUED;
  ticket->state = WEIR_QUEUED;
  ticket->time = ask->deadline;
  space->arrivals = ask->place.arrival;
  weir_queue_add(space, index, &ask->place);
  weir_limiter_at(space, ask->limiter)->waiting++;
  if (timed) weir_ticket_due(port, index, ask->deadline);
  if (evicted)
    weir_instance_pump(space, ask->instance, now);
  else
    weir_instance_arm(space, ask->instance, t);
}

static int admit(const weir_port *port, const weir_ask *ask, bool free,
                 uint64_t now, uint64_t t, weir_ticket *out) {
  weir_space *space = port->space;
  uint32_t index;
  if (!weir_ticket_reserve(port, false)) {
    weir_place_leave(space, ask);
    return weir_refuse(space, ask, WEIR_EXHAUSTED);
  }
  index = weir_ticket_asked(port, ask, ask->request->cookie, now);
  weir_ticket_at(space, index)->free = free;
  weir_ticket_admit(space, index, t);
  *out = weir_slab_handle(&space->tickets, index);
  return WEIR_ADMITTED;
}

static int enqueue(const weir_port *port, const weir_ask *ask, uint64_t now,
                   uint64_t t, weir_ticket *out) {
  weir_space *space = port->space;
  bool timed = weir_waits_timed(space, ask);
  uint32_t index;
  if (!weir_ticket_reserve(port, timed) ||
      !weir_queue_reserve(space, ask->instance, &ask->place))
    return weir_refuse(space, ask, WEIR_EXHAUSTED);
  index = weir_ticket_asked(port, ask, ask->request->cookie, now);
  *out = weir_slab_handle(&space->tickets, index);
  weir_ticket_join(port, ask, index, timed, now, t);
  return WEIR_WAITING;
}

int weir_acquire(weir_port *port, weir_limiter handle,
                 const weir_request *request, uint64_t now, weir_ticket *out) {
  weir_space *space = port->space;
  uint64_t t = weir_clock_tick(&space->clock, now);
  weir_limiter_record *limiter;
  weir_verdict verdict;
  weir_ask ask;
  bool free;
  int error = weir_ask_init(space, handle, request, now, &ask);
  *out = 0;
  if (error) return error;
  limiter = weir_limiter_at(space, ask.limiter);
  verdict = weir_ask_judge(space, &ask, now, t);
  if (limiter->config.dry_run) limiter->would[verdict]++;
  verdict = weir_relent(limiter, verdict, &free);
  if (verdict != WEIR_ADMITTED && verdict != WEIR_WAITING)
    return weir_refuse(space, &ask, verdict);
  if (!weir_place_settle(space, &ask, &free, t))
    return weir_refuse(space, &ask, WEIR_EXHAUSTED);
  return verdict == WEIR_WAITING ? enqueue(port, &ask, now, t, out)
                                 : admit(port, &ask, free, now, t, out);
}

int weir_peek(const weir_port *port, weir_limiter handle,
              const weir_request *request, uint64_t now) {
  const weir_space *space = port->space;
  uint64_t t = weir_clock_at(&space->clock, now);
  weir_ask ask;
  bool free;
  int error = weir_ask_init(space, handle, request, now, &ask);
  if (error) return error;
  return weir_relent(weir_limiter_at(space, ask.limiter),
                     weir_ask_judge(space, &ask, now, t), &free);
}

bool weir_holds_all(const weir_port *port, weir_limiter handle,
                    const weir_request *request) {
  const weir_space *space = port->space;
  uint64_t held = 0;
  weir_ask ask;
  if (weir_ask_init(space, handle, request, 0, &ask) || !ask.instance ||
      weir_instance_limit(space, ask.instance) == WEIR_NO_LIMIT)
    return false;
  for (uint32_t at = weir_instance_at(space, ask.instance)->holders; at;
       at = weir_ticket_at(space, at)->record.next) {
    const weir_ticket_record *ticket = weir_ticket_at(space, at);
    if (ticket->free) continue;
    if (ticket->port != port->index || ticket->cookie != request->cookie)
      return false;
    held += ticket->cost;
  }
  return held && held == weir_instance_at(space, ask.instance)->in_use;
}
