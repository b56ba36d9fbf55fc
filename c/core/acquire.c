/*
** acquire.c - a request to one limiter; and acquire.h.
*/
#include "acquire.h"

#include <string.h>

#include "instance.h"
#include "keys.h"
#include "swift.h"

/* --- new tickets ---------------------------------------------------------- */

bool weir_ticket_reserve(const weir_port *port, bool timed) {
  weir_space *space = port->space;
  weir_heap *deadlines = weir_deadlines(space, port->index);
  return weir_slab_reserve(&space->tickets) &&
         (!timed ||
          weir_heap_reserve(deadlines, &space->heaps, deadlines->count + 1));
}

/* Field by field: a record that is copied whole is read in other pieces than it
** was written in, for which a processor has to wait. */
void weir_ticket_fill(weir_ticket_record *ticket, const weir_port *port,
                      uint32_t instance, uint32_t cost, uint64_t cookie,
                      uint64_t now) {
  ticket->prev = ticket->heap = ticket->arrival = 0;
  ticket->lane = ticket->group = 0;
  ticket->instance = instance;
  ticket->cost = cost & WEIR_PERMITS_MAX;
  ticket->free = 0;
  ticket->cookie = cookie;
  ticket->since = now;
  ticket->time = 0;
  ticket->port = (uint16_t)port->index;
  ticket->priority = 0;
  ticket->state = WEIR_FREE;
  ticket->verdict = WEIR_ADMITTED;
  ticket->follower = ticket->aside = 0;
}

uint32_t weir_ticket_new(const weir_port *port, uint32_t instance,
                         uint64_t cookie, uint64_t now) {
  weir_space *space = port->space;
  uint32_t index = weir_slab_take(&space->tickets);
  weir_ticket_fill(weir_ticket_fresh(space, index), port, instance, 0, cookie,
                   now);
  if (!instance) return index;
  weir_limiter_edit_of(space, weir_place_pin(space, instance))->tickets++;
  return index;
}

uint32_t weir_ticket_asked(const weir_port *port, const weir_ask *ask,
                           uint64_t cookie, bool free, uint64_t now) {
  uint32_t index = weir_ticket_new(port, ask->instance, cookie, now);
  weir_ticket_record *ticket = weir_ticket_fresh(port->space, index);
  ticket->cost = ask->cost & WEIR_PERMITS_MAX;
  ticket->free = free;
  ticket->arrival = ask->place.arrival;
  ticket->priority = ask->place.priority;
  return index;
}

void weir_ticket_due(const weir_port *port, uint32_t index, uint64_t time) {
  weir_space *space = port->space;
  weir_heap_add(weir_deadlines(space, port->index), &space->tickets, index,
                time, weir_ticket_at(space, index)->arrival);
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

void weir_place_leave(weir_space *space, const weir_ask *ask) {
  if (ask->fresh) weir_keys_free(space, ask->instance);
}

static bool find_place(weir_space *space, weir_ask *ask, uint64_t t) {
  const weir_request *request = ask->request;
  if (!ask->instance) {
    ask->instance = weir_keys_make(space, ask->limiter, &ask->hash,
                                   request->key, request->key_size, t);
    ask->fresh = ask->instance != 0;
  }
  if (!ask->instance) return false;
  if (weir_control_ensure(space, ask->instance)) return true;
  weir_place_leave(space, ask);
  return false;
}

bool weir_place_settle(weir_space *space, weir_ask *ask, bool free,
                       uint64_t t) {
  const weir_limiter_record *limiter = weir_limiter_at(space, ask->limiter);
  if (free && !ask->instance) ask->instance = limiter->instance;
  return find_place(space, ask, t);
}

bool weir_waits_timed(const weir_space *space, const weir_ask *ask) {
  return ask->deadline != WEIR_NEVER ||
         weir_limiter_wakes(weir_limiter_at(space, ask->limiter));
}

/* --- what becomes of it --------------------------------------------------- */

int weir_refuse(weir_space *space, const weir_ask *ask, weir_verdict verdict) {
  weir_count_refused(space, ask->limiter, ask->instance, verdict);
  return verdict;
}

void weir_ticket_admit(weir_space *space, uint32_t index, uint64_t t) {
  weir_grip at = weir_ticket_grip(space, index);
  weir_instance_charge(at, t);
  weir_count_admitted(space, at, 0);
  weir_ticket_hold(space, at, index);
  if (at.instance->queue) weir_instance_arm(space, at.ticket->instance, t);
}

bool weir_place_clear(weir_space *space, const weir_ask *ask, uint64_t now) {
  const weir_config *config = &weir_limiter_at(space, ask->limiter)->config;
  uint32_t queue = weir_instance_at(space, ask->instance)->queue, head, victim;
  if (!queue || config->queue == WEIR_UNBOUNDED ||
      weir_queue_at(space, queue)->waiting < config->queue)
    return false;
  head = weir_queue_head(space, ask->instance);
  victim = weir_queue_victim(space, ask->instance, &ask->place);
  weir_ticket_decide(space, victim, WEIR_FULL, now);
  return victim == head;
}

/* If the one that went first is gone, others may go now. */
void weir_ticket_join(const weir_port *port, const weir_ask *ask,
                      uint32_t index, bool timed, bool cleared, uint64_t now,
                      uint64_t t) {
  weir_space *space = port->space;
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  ticket->state = WEIR_QUEUED;
  ticket->time = ask->deadline;
  weir_keep(&space->memory, &space->root->arrivals, sizeof(uint32_t));
  space->root->arrivals = ask->place.arrival;
  weir_queue_add(space, index, &ask->place);
  weir_waiting_add(space, ticket, 1);
  if (timed) weir_ticket_due(port, index, ask->deadline);
  if (cleared)
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
  index = weir_ticket_asked(port, ask, ask->request->cookie, free, now);
  weir_ticket_admit(space, index, t);
  *out = weir_slab_handle(&space->tickets, index);
  return WEIR_ADMITTED;
}

static int enqueue(const weir_port *port, const weir_ask *ask, uint64_t now,
                   uint64_t t, weir_ticket *out) {
  weir_space *space = port->space;
  bool timed = weir_waits_timed(space, ask), cleared;
  uint32_t index;
  if (!weir_ticket_reserve(port, timed) ||
      !weir_queue_reserve(space, ask->instance, &ask->place))
    return weir_refuse(space, ask, WEIR_EXHAUSTED);
  index = weir_ticket_asked(port, ask, ask->request->cookie, false, now);
  *out = weir_slab_handle(&space->tickets, index);
  cleared = weir_place_clear(space, ask, now);
  weir_ticket_join(port, ask, index, timed, cleared, now, t);
  return WEIR_WAITING;
}

int weir_do_acquire(weir_port *port, weir_limiter handle,
                    const weir_request *request, uint64_t now,
                    weir_ticket *out) {
  weir_space *space = port->space;
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  weir_verdict verdict;
  weir_ask ask;
  uint64_t t;
  bool free;
  int error;
  if (weir_swift_acquire(port, handle, request, now, out)) return WEIR_ADMITTED;
  t = weir_space_tick(space, now);
  *out = 0;
  error = weir_ask_init(space, handle, request, now, &ask);
  if (error) return error;
  if (request->key) weir_keys_tidy(space, ask.limiter, t);
  verdict = weir_ask_judge(space, &ask, now, t);
  if (limiter->config.dry_run) weir_count_would(space, ask.limiter, verdict);
  verdict = weir_relent(limiter, verdict, &free);
  if (verdict != WEIR_ADMITTED && verdict != WEIR_WAITING)
    return weir_refuse(space, &ask, verdict);
  if (!weir_place_settle(space, &ask, free, t))
    return weir_refuse(space, &ask, WEIR_EXHAUSTED);
  return verdict == WEIR_WAITING ? enqueue(port, &ask, now, t, out)
                                 : admit(port, &ask, free, now, t, out);
}

int weir_do_peek(const weir_port *port, weir_limiter handle,
                 const weir_request *request, uint64_t now) {
  const weir_space *space = port->space;
  uint64_t t = weir_clock_at(&space->root->clock, now);
  weir_ask ask;
  bool free;
  int error = weir_ask_init(space, handle, request, now, &ask);
  if (error) return error;
  return weir_relent(weir_limiter_at(space, ask.limiter),
                     weir_ask_judge(space, &ask, now, t), &free);
}

/* The instance a request is for; 0: there is none. */
static uint32_t instance_of(const weir_space *space, weir_limiter handle,
                            const weir_request *request) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  weir_hash hash;
  if (!limiter || !request->key) return limiter ? limiter->instance : 0;
  if (request->key_size > WEIR_KEY_MAX) return 0;
  hash = weir_hash_bytes(space->root->seed, request->key, request->key_size);
  return weir_keys_find(space, (uint32_t)handle, &hash);
}

bool weir_do_holds_all(const weir_port *port, weir_limiter handle,
                       const weir_request *request) {
  const weir_space *space = port->space;
  uint32_t index = instance_of(space, handle, request), at;
  uint64_t held = 0;
  uint32_t left = space->tickets.array.limit;
  if (!index || weir_instance_limit(space, index) == WEIR_NO_LIMIT)
    return false;
  for (at = weir_instance_at(space, index)->holders; at;
       at = weir_ticket_at(space, at)->record.next) {
    const weir_ticket_record *ticket = weir_ticket_at(space, at);
    weir_along(&space->tickets, &left);
    if (ticket->free) continue;
    if (ticket->port != port->index || ticket->cookie != request->cookie)
      return false;
    held += ticket->cost;
  }
  return held && held == weir_instance_at(space, index)->in_use;
}
