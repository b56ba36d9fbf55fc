/*
** swift.h - what nearly all calls are: a permit is free, and nobody waits for
** it; and it is given back, and nobody waits for it.
**
** It is what all the rules come to then, in a fifth of the time. Nothing is
** changed unless the call can be done here, all that is changed is noted at
** once, and no index is followed before it was looked at, so that a call needs
** no way out of here: what is odd is left to those who have one.
*/
#ifndef WEIR_CORE_SWIFT_H
#define WEIR_CORE_SWIFT_H

#include "port.h"

/* Admits a request that says nothing but what it costs, to a limiter that
** limits nothing but permits; false: nothing was done. */
bool weir_swift_acquire(const weir_port *port, weir_limiter limiter,
                        const weir_request *request, uint64_t now,
                        weir_ticket *out);

/* Gives a ticket back; false: nothing was done. */
bool weir_swift_release(const weir_port *port, weir_ticket ticket,
                        weir_outcome outcome, uint64_t now);

#endif
