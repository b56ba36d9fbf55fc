/*
** reference_inner.h - what the parts of the reference have in common. They act
** at the time of the call, model->now and model->t.
*/
#ifndef WEIR_TEST_REFERENCE_INNER_H
#define WEIR_TEST_REFERENCE_INNER_H

#include "reference.h"

/* --- reference.c: finding and counting ------------------------------------ */

/* Begins a call at `now`; `tick`: one that the space's clock hears of. */
void ref_look_at(reference *model, uint64_t now);
void ref_tick(reference *model, uint64_t now);

/* What the space's clock said when the callers' said `then`; 0, long ago, if
** that was before it was set. The latest time it was told. What the callers'
** will say at `t`. */
bool ref_has_tickets(const reference *model, int limiter);
uint64_t ref_clock_then(const reference *model, uint64_t then);
uint64_t ref_clock_latest(const reference *model);
uint64_t ref_clock_back(const reference *model, uint64_t t);

int ref_number_take(ref_numbers *numbers);
void ref_number_give(ref_numbers *numbers, int number);

/* The part with this number of a live ticket, and *ticket; NULL: none. */
ref_part *ref_part_numbered(reference *model, int number, ref_ticket **ticket);

ref_limiter *ref_limiter_at(reference *model, const ref_instance *instance);
ref_instance *ref_instance_at(reference *model, const ref_part *part);

/* Whose queue a QUEUED request is in. */
ref_instance *ref_waits_at(reference *model, const ref_ticket *ticket);
bool ref_is_waiting(const ref_ticket *ticket);

/* Whether it holds what it asked for. */
bool ref_is_admitted(const ref_ticket *ticket);

uint64_t ref_in_use(const reference *model, const ref_instance *instance);

/* Tickets in its queue. */
uint32_t ref_waiting(reference *model, const ref_instance *instance);

/* Tickets that wait for a limiter, in whatever queue. */
uint32_t ref_limiter_waiting(reference *model, int limiter);

/* Whether nobody waits and everything is given back. */
bool ref_is_idle_limiter(reference *model, int limiter);

/* The port's ticket; NULL: none. */
ref_ticket *ref_own(reference *model, int port, weir_ticket handle);

/* A new ticket like this one, with numbers, arrival and label. */
ref_ticket *ref_make(reference *model, const ref_ticket *ticket);

/* Frees a ticket, and the limiters it was the last to keep; its numbers are
** given back in order of its parts, or the first one last. */
void ref_free(reference *model, ref_ticket *ticket, bool first_last);

void ref_collect(reference *model, int limiter);

/* --- reference_gate.c: permits and tokens --------------------------------- */

/* Permits that may be in use; 0: not limited. */
uint32_t ref_limit(reference *model, const ref_instance *instance);
bool ref_is_impossible(const ref_limiter *limiter, uint32_t cost);
weir_bound ref_bound(reference *model, const ref_instance *instance,
                     uint32_t cost);

/* When the time alone lets this cost go, in callers' time; NEVER. */
uint64_t ref_time_of(reference *model, const ref_instance *instance,
                     uint32_t cost);

/* Takes an admitted ticket's tokens, or gives those back that were not used. */
void ref_charge(reference *model, const ref_ticket *ticket,
                const ref_part *part);
void ref_refund(reference *model, const ref_ticket *ticket,
                const ref_part *part);

void ref_control(reference *model, ref_instance *instance);
void ref_sample(reference *model, const ref_ticket *ticket,
                const ref_part *part, bool dropped);
bool ref_is_tuned(reference *model, const ref_instance *instance);

/* Whether its rate has recovered, and nobody holds or waits. */
bool ref_is_idle(reference *model, const ref_instance *instance);

/* --- reference_queue.c: who goes next ------------------------------------- */

/* The waiter that goes next, if `ghost` waited here, too; NULL: none. */
ref_ticket *ref_head_with(reference *model, const ref_instance *instance,
                          ref_ticket *ghost);
ref_ticket *ref_head(reference *model, const ref_instance *instance);

/* Whether this one would go next here, before all who wait. */
bool ref_leads(reference *model, const ref_instance *instance,
               ref_ticket *ghost);

/* The one that CoDel asks about. */
ref_ticket *ref_longest(reference *model, const ref_instance *instance);

uint64_t ref_ahead(reference *model, const ref_instance *instance,
                   const ref_part *part);
uint64_t ref_demand(reference *model, const ref_instance *instance,
                    const ref_part *part);
ref_ticket *ref_victim(reference *model, const ref_instance *instance,
                       const ref_part *part);

/* A ticket's state or place has changed, and it waits here now, or does not
** any more; `served`: its turn has come. */
void ref_joined(reference *model, ref_ticket *ticket);
void ref_left(reference *model, ref_instance *instance,
              const ref_ticket *ticket, const ref_part *part, bool served);

/* --- reference_settle.c: decisions ---------------------------------------- */

/* Decides a waiter, on account of one of its parts. */
void ref_decide(reference *model, ref_ticket *ticket, weir_verdict verdict,
                int part);

/* Counts one that was admitted, of each limiter it asks, and takes tokens. */
void ref_admit(reference *model, ref_ticket *ticket);

/* Counts a refusal; instance NULL: its key is not known. */
void ref_refuse(ref_limiter *limiter, ref_instance *instance,
                weir_verdict verdict);

/* Lets go whoever can. */
void ref_settle(reference *model, ref_instance *instance);
void ref_settle_all(reference *model, int limiter); /* -1: of all limiters */

/* Notes when the time will let the head go. */
void ref_tell(reference *model, ref_instance *instance);

/* Wakes who waits for the end of a limiter, if it has come. */
void ref_drained(reference *model, int limiter);

/* A ticket that does not wait any more leaves the queue it is in. */
void ref_leave(reference *model, ref_ticket *ticket, bool served);

/* --- reference_laws.c: what holds whatever the rules are ------------------ */

void ref_break(reference *model, bool broken, const char *law);
void ref_law_charge(reference *model, const ref_ticket *ticket,
                    const ref_part *part);
void ref_law_refund(reference *model, const ref_ticket *ticket,
                    const ref_part *part);
void ref_law_joined(reference *model, ref_ticket *ticket);
void ref_law_served(reference *model, ref_instance *instance,
                    const ref_ticket *ticket, const ref_part *part);

/* Rates have changed, or the clock was set. */
void ref_law_forget(ref_limiter *limiter);

#endif
