/*
** instance.h - one set of permits and the queue before it.
**
** Invariant after every public call: the head of the queue, if there is one,
** does not fit. Whatever changes that (a permit back, a head gone, a limit
** raised) ends with weir_instance_pump.
*/
#ifndef WEIR_CORE_INSTANCE_H
#define WEIR_CORE_INSTANCE_H

#include "record.h"

/* Whether `cost` permits are free right now, the queue not considered. */
static inline bool weir_instance_fits(const weir_instance_record *instance,
                                      const weir_limiter_record *limiter,
                                      uint32_t cost) {
  uint32_t limit = limiter->config.concurrent;
  return instance->in_use < limit && limit - instance->in_use >= cost;
}

/* Appends a ticket to the queue. */
void weir_instance_enqueue(weir_space *space, uint32_t ticket);

/* Takes a QUEUED ticket out of the queue, if it is in one. */
void weir_instance_dequeue(weir_space *space, uint32_t ticket);

/* Decides a QUEUED ticket: out of the queue, counted, in its port's ready
** list. O(1), whoever owns the port. */
void weir_instance_decide(weir_space *space, uint32_t ticket,
                          weir_verdict verdict, uint64_t now);

/* Admits from the head of the queue while it fits: O(1) per admission. */
void weir_instance_pump(weir_space *space, uint32_t instance, uint64_t now);

/* Takes back a ticket's permits and pumps; the ticket stays. */
void weir_instance_return(weir_space *space, const weir_ticket_record *ticket,
                          uint64_t now);

/* Frees a ticket that is in no list and holds nothing, and its limiter if it
** was the last that kept it. */
void weir_ticket_free(weir_space *space, uint32_t ticket);

/* Takes a QUEUED ticket of this port out of queue and deadlines and frees it;
** counted as CANCELED. Whoever is behind it is not moved up. */
void weir_ticket_withdraw(weir_port *port, uint32_t ticket);

/* Frees a limiter that nobody refers to any more. */
void weir_limiter_collect(weir_space *space, uint32_t limiter);

#endif
