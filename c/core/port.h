/*
** port.h - one attached user of a space: its deadlines and its ready list.
*/
#ifndef WEIR_CORE_PORT_H
#define WEIR_CORE_PORT_H

#include "heap.h"

struct weir_port {
  weir_space *space;   /* not owned */
  weir_heap deadlines; /* of this port's tickets that wait or were decided and
                          not yet taken */
  uint32_t index;      /* of its record */
};

/* The port's own ticket in a handle; NULL: stale, or another port's. */
static inline weir_ticket_record *weir_port_ticket(const weir_port *port,
                                                   weir_ticket handle) {
  weir_ticket_record *ticket = weir_slab_find(&port->space->tickets, handle);
  return ticket && ticket->port == port->index ? ticket : NULL;
}

/* Takes a READY ticket out of its port's ready list. */
void weir_port_unready(weir_port *port, uint32_t ticket);

#endif
