/*
** port.h - one attached user of a space.
*/
#ifndef WEIR_CORE_PORT_H
#define WEIR_CORE_PORT_H

#include "record.h"

struct weir_port {
  weir_space *space; /* not owned */
  uint32_t index;    /* of its record */
};

/* The port's own ticket in a handle; NULL: stale, another port's, or one that
** only stands for its group's leader. */
static inline weir_ticket_record *weir_port_ticket(const weir_port *port,
                                                   weir_ticket handle) {
  weir_ticket_record *ticket = weir_slab_find(&port->space->tickets, handle);
  return ticket && ticket->port == port->index && !ticket->follower ? ticket
                                                                    : NULL;
}

/* Takes a READY ticket out of its port's ready list. */
void weir_port_unready(weir_port *port, uint32_t ticket);

#endif
