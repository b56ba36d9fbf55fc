/*
** look.c - what can be seen of limiters, keys and tickets.
*/
#include <string.h>

#include "ask.h"
#include "door.h"
#include "group.h"
#include "instance.h"
#include "keys.h"
#include "look.h"
#include "port.h"
#include "queue.h"

/* --- limiters ------------------------------------------------------------- */

int weir_do_limiter_stats(const weir_space *space, weir_limiter handle,
                          weir_stats *out) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter) return WEIR_E_STALE;
  out->limit = weir_instance_limit(space, limiter->instance);
  out->waiting = limiter->waiting;
  out->in_use = limiter->in_use;
  out->keys = limiter->keys;
  out->changes = limiter->changes;
  out->admitted = limiter->admitted;
  out->dropped = limiter->dropped;
  out->unused = limiter->unused;
  out->closed = limiter->closed;
  memcpy(out->refused, limiter->refused, sizeof out->refused);
  memcpy(out->would, limiter->would, sizeof out->would);
  weir_histogram_read(&limiter->waits, &out->wait);
  return 0;
}

int weir_do_limiter_waits(const weir_space *space, weir_limiter handle,
                          const uint64_t *bounds_ns, uint64_t *counts,
                          uint32_t bounds, uint64_t *sum_ns, uint64_t *count) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter) return WEIR_E_STALE;
  *count = weir_histogram_below(&limiter->waits, bounds_ns, counts, bounds);
  *sum_ns = limiter->waits.sum;
  return 0;
}

/* --- keys ----------------------------------------------------------------- */

static uint32_t waiting_for(const weir_space *space, uint32_t index) {
  uint32_t queue = weir_instance_at(space, index)->queue;
  return queue ? weir_queue_at(space, queue)->waiting : 0;
}

static uint64_t id_of_key(const weir_space *space, uint32_t index) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  return index == weir_limiter_of(space, instance)->instance
             ? 0
             : weir_slab_handle(&space->instances, index);
}

void weir_look_key(const weir_space *space, uint32_t index,
                   weir_key_info *out) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  memcpy(out->label, instance->label, WEIR_LABEL_MAX);
  out->label[WEIR_LABEL_MAX] = 0;
  out->id = id_of_key(space, index);
  out->limit = weir_instance_limit(space, index);
  out->in_use = instance->in_use;
  out->waiting = waiting_for(space, index);
  out->admitted = instance->admitted;
  out->refused = instance->refused;
  out->limiter = weir_slab_handle(&space->limiters, instance->entry.owner);
}

int weir_do_key_inspect(const weir_space *space, weir_limiter handle,
                        const void *key, uint32_t key_size,
                        weir_key_info *out) {
  weir_request request = { .key = key, .key_size = key_size };
  weir_ask ask;
  int error = weir_ask_init(space, handle, &request, 0, &ask);
  if (error) return error;
  if (ask.instance) {
    weir_look_key(space, ask.instance, out);
    return 0;
  }
  *out = (weir_key_info){
    .limit = weir_limit_initial(weir_limiter_at(space, ask.limiter)),
    .limiter = handle,
  };
  return 0;
}

/* --- quotas --------------------------------------------------------------- */

/* Whether the sum of what those who go first want tells when a rate will have
** served them: what a window lets go depends on their costs, one by one, and on
** what a sliding one will have weighed by then. */
static bool is_foreseen(const weir_space *space, const weir_ask *ask,
                        const weir_meter *meter, uint64_t demand) {
  if (!demand || meter->rate.window == WEIR_GCRA) return true;
  return meter->rate.window == WEIR_FIXED &&
         demand == weir_queue_ahead(space, ask->instance, &ask->place);
}

/* The time until a rate will have served `demand`, and then the request. */
static uint64_t rate_wait(const weir_space *space, const weir_ask *ask,
                          uint64_t demand, uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, ask->instance);
  const weir_meter *meter = &weir_limiter_of(space, instance)->meter;
  weir_rate_state state = instance->rate;
  uint64_t ready;
  if (!weir_meter_on(meter)) return 0;
  if (demand > WEIR_PERMITS_MAX || !is_foreseen(space, ask, meter, demand))
    return WEIR_NEVER;
  if (demand) weir_meter_take(meter, &state, (uint32_t)demand, t);
  ready = weir_meter_ready(meter, &state, ask->cost, t);
  return ready == WEIR_NEVER ? WEIR_NEVER : ready - t;
}

/* The time until permits will have come back, as fast as they did lately; 0:
** there are enough for all who go first, too. */
static uint64_t permits_wait(const weir_space *space, const weir_ask *ask,
                             uint64_t demand, uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, ask->instance);
  uint32_t limit = weir_instance_limit(space, ask->instance);
  uint64_t wait = 0;
  if (limit == WEIR_NO_LIMIT || instance->in_use + demand + ask->cost <= limit)
    return 0;
  if (!demand && weir_instance_bound(space, ask->instance, ask->cost, t) !=
                     WEIR_BY_PERMITS)
    return 0;
  if (instance->control)
    wait =
        weir_pace_wait(&weir_control_at(space, instance->control)->pace,
                       weir_queue_ahead(space, ask->instance, &ask->place) + 1);
  return wait ? wait : WEIR_NEVER;
}

static uint64_t retry_after(const weir_space *space, const weir_ask *ask,
                            uint64_t t) {
  const weir_limiter_record *limiter = weir_limiter_at(space, ask->limiter);
  uint64_t rate, permits, demand;
  if (limiter->closed || weir_limiter_impossible(limiter, ask->cost))
    return WEIR_NEVER;
  if (!ask->instance)
    return weir_keys_room(space, ask->limiter, 1, t) ? 0 : WEIR_NEVER;
  demand = weir_queue_demand(space, ask->instance, &ask->place);
  rate = rate_wait(space, ask, demand, t);
  permits = permits_wait(space, ask, demand, t);
  return rate > permits ? rate : permits;
}

/* Permits and tokens that are there, unless others go first. */
static uint64_t left_of(const weir_space *space, const weir_ask *ask,
                        uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, ask->instance);
  const weir_meter *meter = &weir_limiter_of(space, instance)->meter;
  uint32_t limit = weir_instance_limit(space, ask->instance);
  uint64_t left = UINT64_MAX;
  if (!weir_queue_leads(space, ask->instance, &ask->place)) return 0;
  if (limit != WEIR_NO_LIMIT)
    left = instance->in_use < limit ? limit - instance->in_use : 0;
  if (weir_meter_on(meter) && weir_meter_left(meter, &instance->rate, t) < left)
    left = weir_meter_left(meter, &instance->rate, t);
  return left;
}

/* As much as a key has that nobody uses. */
static uint64_t left_of_new(const weir_space *space, uint32_t index,
                            uint64_t t) {
  const weir_limiter_record *limiter = weir_limiter_at(space, index);
  uint32_t limit = weir_limit_initial(limiter);
  weir_rate_state fresh = { 0, 0, 0 };
  uint64_t left = limit == WEIR_NO_LIMIT ? UINT64_MAX : limit;
  if (weir_meter_on(&limiter->meter) &&
      weir_meter_left(&limiter->meter, &fresh, t) < left)
    left = weir_meter_left(&limiter->meter, &fresh, t);
  return weir_keys_room(space, index, 1, t) ? left : 0;
}

int weir_do_limiter_quota(const weir_space *space, weir_limiter handle,
                          const weir_request *request, uint64_t now,
                          weir_quota *out) {
  uint64_t t = weir_clock_at(&space->root->clock, now);
  const weir_meter *meter;
  weir_ask ask;
  bool closed;
  int error = weir_ask_init(space, handle, request, now, &ask);
  if (error) return error;
  meter = &weir_limiter_at(space, ask.limiter)->meter;
  closed = weir_limiter_at(space, ask.limiter)->closed;
  out->retry_ns = retry_after(space, &ask, t);
  out->reset_ns = 0;
  if (!ask.instance) {
    out->left = closed ? 0 : left_of_new(space, ask.limiter, t);
    return 0;
  }
  out->left = closed ? 0 : left_of(space, &ask, t);
  if (weir_meter_on(meter))
    out->reset_ns =
        weir_meter_idle(meter, &weir_instance_at(space, ask.instance)->rate,
                        t) -
        t;
  return 0;
}

/* --- tickets -------------------------------------------------------------- */

static weir_bound bound_of(const weir_space *space, uint32_t index,
                           uint64_t t) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  if (!ticket->instance || ticket->state != WEIR_QUEUED) return WEIR_BY_NOTHING;
  if (!ticket->cost || ticket->aside) return WEIR_BY_OTHERS;
  if (weir_queue_head(space, ticket->instance) != index) return WEIR_BY_OTHERS;
  return weir_instance_bound(space, ticket->instance, ticket->cost, t);
}

void weir_look_ticket(const weir_space *space, uint32_t index, uint64_t now,
                      weir_ticket_info *out) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  const weir_instance_record *instance;
  out->ticket =
      weir_slab_handle(&space->tickets, weir_group_leader(space, index));
  out->limiter = 0;
  out->key[0] = 0;
  out->key_id = 0;
  if (ticket->instance) {
    instance = weir_instance_at(space, ticket->instance);
    out->limiter = weir_slab_handle(&space->limiters, instance->entry.owner);
    memcpy(out->key, instance->label, WEIR_LABEL_MAX);
    out->key[WEIR_LABEL_MAX] = 0;
    out->key_id = id_of_key(space, ticket->instance);
  }
  out->port = ticket->port;
  out->cookie = ticket->cookie;
  out->since = ticket->since;
  out->cost = ticket->cost;
  out->state = (weir_state)ticket->state;
  out->bound = bound_of(space, index, weir_clock_at(&space->root->clock, now));
}

int weir_do_ticket_inspect(const weir_port *port, weir_ticket handle,
                           uint64_t now, weir_ticket_info *out) {
  if (!weir_port_ticket(port, handle)) return WEIR_E_STALE;
  weir_look_ticket(port->space,
                   weir_group_waiter(port->space, (uint32_t)handle), now, out);
  return 0;
}
