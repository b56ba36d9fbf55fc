/*
** instance.h - one set of permits and tokens, and what becomes of those who
** wait for them.
**
** Invariant after every public call: who would go next can not: its permits
** are in use, or its tokens are not there yet, and then the port that owns it
** has the time when they will be among its deadlines. Whatever changes that (a
** permit back, a head gone, a limit raised) ends with weir_instance_pump.
*/
#ifndef WEIR_CORE_INSTANCE_H
#define WEIR_CORE_INSTANCE_H

#include "record.h"

enum { WEIR_NO_LIMIT = 0 }; /* permits are not limited */

/* Permits that may be in use now; WEIR_NO_LIMIT. */
uint32_t weir_instance_limit(const weir_space *space, uint32_t instance);

/* Whether the limiter can never give so much at once. */
bool weir_limiter_impossible(const weir_limiter_record *limiter, uint32_t cost);

/* What keeps `cost` from going now, the queue not considered: nothing, permits
** or the rate. */
weir_bound weir_instance_bound(const weir_space *space, uint32_t instance,
                               uint32_t cost, uint64_t t);

/* Takes what a ticket asks for, or gives it back; `unused`: tokens as well. */
void weir_instance_charge(weir_space *space, const weir_ticket_record *ticket,
                          uint64_t t);
void weir_instance_refund(weir_space *space, const weir_ticket_record *ticket,
                          bool unused, uint64_t t);

/* Counts a decision about a ticket. */
void weir_ticket_count(weir_space *space, const weir_ticket_record *ticket,
                       weir_verdict verdict);

/* Decides a QUEUED ticket: out of the queue, counted, in its port's ready
** list. O(1), whoever owns the port. */
void weir_ticket_decide(weir_space *space, uint32_t ticket,
                        weir_verdict verdict, uint64_t now);

/* Whether its waiters may be let go by the time alone: by a rate, or by an
** adaptive limit that gives a measurement up. */
static inline bool weir_limiter_wakes(const weir_limiter_record *limiter) {
  return weir_meter_on(&limiter->meter) ||
         limiter->config.adaptive.algorithm != WEIR_STATIC;
}

/* Lets the head's port know when the time will let it go. */
void weir_instance_arm(const weir_space *space, uint32_t instance, uint64_t t);

/* Admits whoever can go, one after the other: O(1) per admission. */
void weir_instance_pump(weir_space *space, uint32_t instance, uint64_t now);

/* Pumps all instances of a limiter that somebody waits for; 0: of all. */
void weir_pump_all(weir_space *space, uint32_t limiter, uint64_t now);

/* A ticket that the permits of are in somebody's hands. */
void weir_ticket_hold(weir_space *space, uint32_t ticket);
void weir_ticket_unhold(weir_space *space, uint32_t ticket);

/* Frees a ticket that is in no list and holds nothing, and its limiter if it
** was the last that kept it. */
void weir_ticket_free(weir_space *space, uint32_t ticket);

/* Takes a QUEUED ticket out of what it waits in. `served`: its turn has come. */
void weir_ticket_leave(weir_space *space, uint32_t ticket, bool served);

/* Takes a ticket out of its port's deadlines, if it is among them. */
void weir_ticket_undue(const weir_space *space, uint32_t ticket);

/* Frees a ticket of this port that is not held, with those of its group; what
** it was granted goes back, but nobody is moved up. */
void weir_ticket_withdraw(weir_port *port, uint32_t ticket, uint64_t now);

/* Frees a limiter that nobody refers to any more. */
void weir_limiter_collect(weir_space *space, uint32_t limiter);

/* Wakes those who wait for the end of a limiter, if it has come. */
void weir_limiter_drained(weir_space *space, uint32_t limiter, uint64_t now);

/* The control record of an instance, made if its limiter wants one; false: no
** memory. */
bool weir_control_ensure(weir_space *space, uint32_t instance);

#endif
