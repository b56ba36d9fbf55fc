/* turn.c - see turn.h. */
#include "turn.h"

enum {
  ORDERLY_PORTS = 64,    /* more are not all looked at */
  PATIENCE_NS = 5000000, /* with a host that has not begun with its own, */
  PATIENCE_SHARE = 4 /* and no more than a quarter of what permits are held */
};

static bool is_orderly(const weir_space *space) {
  return WEIR_SELDOM(space->memory.commons) &&
         space->ports.head->used <= ORDERLY_PORTS + 1;
}

/* A ticket that a port has to begin with before another one; NULL: none. */
static const weir_ticket_record *before_it(const weir_space *space,
                                           const weir_port_record *record,
                                           const weir_ticket_record *ticket) {
  uint32_t ready = record->ready.first;
  const weir_ticket_record *found[] = {
    weir_slab_find(&space->tickets, record->turn),
    ready ? weir_ticket_at(space, ready) : NULL,
  };
  for (int i = 0; i < 2; i++)
    if (found[i] && found[i]->instance == ticket->instance &&
        weir_came_before(found[i]->arrival, ticket->arrival))
      return found[i];
  return NULL;
}

static uint64_t patience_ns(const weir_space *space, uint32_t instance) {
  uint64_t held =
      weir_limiter_of(space, weir_instance_at(space, instance))->held_ns;
  return held / PATIENCE_SHARE < PATIENCE_NS ? held / PATIENCE_SHARE
                                             : PATIENCE_NS;
}

/* Until when one ticket has others wait; 0: it was decided in the future, which
** was before the clock was set back. */
static uint64_t patient_until(const weir_ticket_record *before, uint64_t now,
                              uint64_t patience) {
  if (before->since > now) return 0;
  return before->since < WEIR_NEVER - patience ? before->since + patience
                                               : WEIR_NEVER - 1;
}

/* Those that were refused have nothing to begin with. */
uint64_t weir_withheld_until(const weir_port *port) {
  const weir_space *space = port->space;
  uint32_t index = weir_port_at(space, port->index)->ready.first;
  uint64_t now = space->root->clock.last, patience, until = 0;
  const weir_ticket_record *ticket;
  if (!index || !is_orderly(space)) return 0;
  ticket = weir_ticket_at(space, index);
  if (!ticket->instance || ticket->verdict != WEIR_ADMITTED) return 0;
  patience = patience_ns(space, ticket->instance);
  for (uint32_t i = 1; i < space->ports.head->used; i++) {
    const weir_ticket_record *before =
        i != port->index && weir_slab_live(&space->ports, i)
            ? before_it(space, weir_port_at(space, i), ticket)
            : NULL;
    uint64_t time = before ? patient_until(before, now, patience) : 0;
    if (time > until) until = time;
  }
  return until > now ? until : 0;
}

/* Rings for whoever is the next of an instance. */
static void ring_next(const weir_space *space, uint32_t instance) {
  const weir_ticket_record *next = NULL;
  for (uint32_t i = 1; i < space->ports.head->used; i++) {
    uint32_t first = weir_port_at(space, i)->ready.first;
    const weir_ticket_record *ticket = weir_ticket_at(space, first);
    if (first && weir_slab_live(&space->ports, i) &&
        ticket->instance == instance &&
        (!next || weir_came_before(ticket->arrival, next->arrival)))
      next = ticket;
  }
  if (next) weir_ring(space, next->port);
}

void weir_turn_end(const weir_port *port) {
  const weir_port_record *record = weir_port_at(port->space, port->index);
  if (!record->turn) return;
  weir_port_edit(port->space, port->index)->turn = 0;
  ring_next(port->space, record->turn_of);
}

void weir_turn_begin(const weir_port *port, uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(port->space, index);
  weir_port_record *record;
  if (!is_orderly(port->space) || ticket->verdict != WEIR_ADMITTED) return;
  record = weir_port_edit(port->space, port->index);
  record->turn = weir_slab_handle(&port->space->tickets, index);
  record->turn_of = ticket->instance;
}
