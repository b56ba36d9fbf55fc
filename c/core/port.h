/*
** port.h - one attached user of a space.
*/
#ifndef WEIR_CORE_PORT_H
#define WEIR_CORE_PORT_H

#include "record.h"

struct weir_port {
  weir_space *space; /* not owned */
  uint32_t index;    /* of its record */
  int bell;          /* descriptor; -1: the space is not shared */
};

/* The port's own ticket in a handle; NULL: stale, another port's, or one that
** only stands for its group's leader. */
static inline const weir_ticket_record *weir_port_ticket(const weir_port *port,
                                                         weir_ticket handle) {
  const weir_ticket_record *ticket =
      weir_slab_find(&port->space->tickets, handle);
  return ticket && ticket->port == port->index && !ticket->follower ? ticket
                                                                    : NULL;
}

/* Withdraws and gives back all that a port has, and frees its record. */
void weir_port_clear(weir_space *space, uint32_t port, uint64_t now);

/* Does what is due of a port. */
void weir_port_expire(weir_space *space, uint32_t port, uint64_t now);

/* The port's host has come. */
void weir_port_hushed(const weir_port *port);

/* Takes a READY ticket out of its port's ready list. */
void weir_port_unready(weir_port *port, uint32_t ticket);

#endif
