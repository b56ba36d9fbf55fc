/*
** turn.h - whose turn it is to begin, where processes share a space.
**
** Who waits in another process is woken by a bell, and runs when the system
** lets it. Meanwhile whoever was decided after it, but in the process that
** decided, would long have begun. So a ticket that is decided later than
** another one of its instance is withheld until the host of that one has come
** back from what it does with it: then it has begun.
**
** But not for long, for a host may have much else to do. A quarter of what
** permits are held is the most that one can lose by it, and only once for each
** time that a host lags: whoever it has not begun with by then is not waited
** for any more.
*/
#ifndef WEIR_CORE_TURN_H
#define WEIR_CORE_TURN_H

#include "port.h"

/* Until when the first of a port's decided tickets is withheld; 0: it is not.
** Looks at all ports, if they are few. */
uint64_t weir_withheld_until(const weir_port *port);

/* The host begins with a ticket that is decided. */
void weir_turn_begin(const weir_port *port, uint32_t ticket);

/* It has begun: rings for whoever is the next. */
void weir_turn_end(const weir_port *port);

#endif
