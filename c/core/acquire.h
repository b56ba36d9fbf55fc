/*
** acquire.h - taking a request in: what one limiter and several have in common.
*/
#ifndef WEIR_CORE_ACQUIRE_H
#define WEIR_CORE_ACQUIRE_H

#include "ask.h"
#include "door.h"

/* Makes sure that weir_ticket_new finds a record, and that it can be `timed`,
** which is to have a place in its port's deadlines; false: no memory. */
bool weir_ticket_reserve(const weir_port *port, bool timed);

/* Fills in a ticket that was just taken. */
void weir_ticket_fill(weir_ticket_record *ticket, const weir_port *port,
                      uint32_t instance, uint32_t cost, uint64_t cookie,
                      uint64_t now);

/* A new ticket of this port, and of an instance or parked (0). */
uint32_t weir_ticket_new(const weir_port *port, uint32_t instance,
                         uint64_t cookie, uint64_t now);

/* A new ticket as it was asked for. `free`: it holds nothing. */
uint32_t weir_ticket_asked(const weir_port *port, const weir_ask *ask,
                           uint64_t cookie, bool free, uint64_t now);

/* Lets a ticket be due. */
void weir_ticket_due(const weir_port *port, uint32_t ticket, uint64_t time);

/* What a verdict comes to: a dry run admits everybody, and a limiter may pass
** those it has no key for. *free: it shall hold nothing then. */
weir_verdict weir_relent(const weir_limiter_record *limiter,
                         weir_verdict verdict, bool *free);

/* Finds or makes all that an admitted or waiting request needs besides its
** ticket. `free`: it shall hold nothing, and needs no key of its own. false: no
** memory, or no key left. */
bool weir_place_settle(weir_space *space, weir_ask *ask, bool free, uint64_t t);

/* A key that was made for nothing, and has no ticket, is as if it never was. */
void weir_place_leave(weir_space *space, const weir_ask *ask);

/* Whether a waiter has to be among its port's deadlines. */
bool weir_waits_timed(const weir_space *space, const weir_ask *ask);

/* Lets a new ticket hold what it asked for. */
void weir_ticket_admit(weir_space *space, uint32_t ticket, uint64_t t);

/* Makes room in a queue that has reached its bound; whether it was the one that
** went first that had to go. */
bool weir_place_clear(weir_space *space, const weir_ask *ask, uint64_t now);

/* Lets a new ticket wait in its queue; all that this needs is reserved.
** `cleared`: what weir_place_clear has answered. */
void weir_ticket_join(const weir_port *port, const weir_ask *ask,
                      uint32_t ticket, bool timed, bool cleared, uint64_t now,
                      uint64_t t);

/* Counts a refusal and answers it. */
int weir_refuse(weir_space *space, const weir_ask *ask, weir_verdict verdict);

#endif
