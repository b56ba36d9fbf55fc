/*
** group.h - tickets that ask several limiters together.
**
** A group is a ring of tickets, one for each limiter; the handle is its
** leader's. While it waits, one of them is in a queue, and in its port's
** deadlines for all; the others are `aside`. Whatever is decided about the one
** is decided about all.
*/
#ifndef WEIR_CORE_GROUP_H
#define WEIR_CORE_GROUP_H

#include "record.h"

/* The next ticket of a group after `index`; it comes round to where it began.
** 0: it is in none. `left`: see weir_along; WEIR_ALL_MAX to begin with. */
static inline uint32_t weir_group_next(const weir_space *space, uint32_t index,
                                       uint32_t *left) {
  weir_along(&space->tickets, left);
  return weir_ticket_at(space, index)->group;
}

/* The leader of a ticket's group, or the ticket itself. */
uint32_t weir_group_leader(const weir_space *space, uint32_t ticket);

/* The one of its group that is in a queue, or the ticket itself. */
uint32_t weir_group_waiter(const weir_space *space, uint32_t ticket);

/* Whether a waiter that could go is of a group that can not: then it has moved
** to the queue where it has to wait, or been refused. */
bool weir_group_moves(weir_space *space, uint32_t ticket, uint64_t now,
                      uint64_t t);

/* weir_ticket_decide of a waiter that is in a group. */
void weir_group_decide(weir_space *space, uint32_t ticket, weir_verdict verdict,
                       uint64_t now);

#endif
