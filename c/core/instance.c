/* instance.c - see instance.h. */
#include "instance.h"

#include "list.h"

static bool is_drain(const weir_ticket_record *ticket) {
  return ticket->instance && ticket->cost == 0;
}

void weir_instance_enqueue(weir_space *space, uint32_t index) {
  weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_instance_record *instance = weir_instance_at(space, ticket->instance);
  ticket->state = WEIR_QUEUED;
  ticket->arrival = ++instance->arrivals;
  instance->waiting += !is_drain(ticket);
  weir_list_append(&instance->queue, space, index);
}

void weir_instance_dequeue(weir_space *space, uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_instance_record *instance;
  if (!ticket->instance) return;
  instance = weir_instance_at(space, ticket->instance);
  instance->waiting -= !is_drain(ticket);
  weir_list_unlink(&instance->queue, space, index);
}

static void count(weir_space *space, const weir_ticket_record *ticket,
                  weir_verdict verdict) {
  weir_instance_record *instance = weir_instance_at(space, ticket->instance);
  weir_limiter_record *limiter = weir_limiter_at(space, instance->limiter);
  if (verdict == WEIR_ADMITTED) {
    instance->in_use += ticket->cost;
    limiter->admitted++;
    weir_histogram_add(&limiter->waits, ticket->waited);
  } else {
    limiter->refused[verdict]++;
  }
}

void weir_instance_decide(weir_space *space, uint32_t index,
                          weir_verdict verdict, uint64_t now) {
  weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_instance_dequeue(space, index);
  ticket->waited = ticket->instance ? weir_elapsed(ticket->since, now) : 0;
  ticket->since = now;
  ticket->state = WEIR_READY;
  ticket->verdict = (uint8_t)verdict;
  if (ticket->cost) count(space, ticket, verdict);
  weir_list_append(&weir_port_at(space, ticket->port)->ready, space, index);
}

/* What the head of a queue is due now; WAITING: nothing yet. */
static weir_verdict verdict_of_head(const weir_instance_record *instance,
                                    const weir_limiter_record *limiter,
                                    const weir_ticket_record *head) {
  if (is_drain(head)) return instance->in_use ? WEIR_WAITING : WEIR_ADMITTED;
  if (head->cost > limiter->config.concurrent) return WEIR_IMPOSSIBLE;
  return weir_instance_fits(instance, limiter, head->cost) ? WEIR_ADMITTED
                                                           : WEIR_WAITING;
}

void weir_instance_pump(weir_space *space, uint32_t index, uint64_t now) {
  weir_instance_record *instance = weir_instance_at(space, index);
  weir_limiter_record *limiter = weir_limiter_at(space, instance->limiter);
  while (instance->queue.first) {
    uint32_t head = instance->queue.first;
    weir_verdict verdict =
        verdict_of_head(instance, limiter, weir_ticket_at(space, head));
    if (verdict == WEIR_WAITING) break;
    weir_instance_decide(space, head, verdict, now);
  }
}

void weir_instance_return(weir_space *space, const weir_ticket_record *ticket,
                          uint64_t now) {
  weir_instance_record *instance = weir_instance_at(space, ticket->instance);
  instance->in_use -= ticket->cost;
  if (instance->queue.first) weir_instance_pump(space, ticket->instance, now);
}

void weir_ticket_free(weir_space *space, uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_slab_give(&space->tickets, index);
  if (ticket->instance) {
    weir_instance_record *instance = weir_instance_at(space, ticket->instance);
    if (--instance->tickets == 0)
      weir_limiter_collect(space, instance->limiter);
  }
}
