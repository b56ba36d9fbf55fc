/*
** walk.c - all limiters, keys and tickets of a space, one after the other.
**
** A walk reads records in the order they lie in, whether they are what it looks
** for or not, and its cursor is the last that it has read. In a shared space
** each step has the lock, so that a step reads few records: where it finds
** nothing among them it ends, and the next one goes on from there.
*/
#include "door.h"
#include "look.h"

enum { GLANCE = 256 }; /* records that a step reads at most */

/* Goes to the next record in use. WEIR_WALK_ON: there was none so far. */
static weir_walked go_on(const weir_slab *slab, uint32_t *cursor,
                         uint32_t *left) {
  while (*cursor + 1 < slab->head->used && *cursor + 1 < slab->array.limit) {
    if (!(*left)--) return WEIR_WALK_ON;
    ++*cursor;
    if (weir_slab_live(slab, *cursor)) return WEIR_WALK_FOUND;
  }
  return WEIR_WALK_END; /* and so it does when it is called again */
}

weir_walked weir_do_limiter_walk(const weir_space *space, uint32_t *cursor,
                                 weir_limiter *out) {
  uint32_t left = GLANCE;
  weir_walked walked = go_on(&space->limiters, cursor, &left);
  if (walked == WEIR_WALK_FOUND)
    *out = weir_slab_handle(&space->limiters, *cursor);
  return walked;
}

/* Whether an instance is a key, of this limiter or, 0, of any. */
static bool is_key_of(const weir_space *space, uint32_t index,
                      uint32_t limiter) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  return (!limiter || instance->entry.owner == limiter) &&
         weir_limiter_of(space, instance)->instance != index;
}

static weir_walked walk_keys(const weir_space *space, uint32_t limiter,
                             uint32_t *cursor, weir_key_info *out) {
  uint32_t left = GLANCE;
  weir_walked walked;
  do walked = go_on(&space->instances, cursor, &left);
  while (walked == WEIR_WALK_FOUND && !is_key_of(space, *cursor, limiter));
  if (walked == WEIR_WALK_FOUND) weir_look_key(space, *cursor, out);
  return walked;
}

weir_walked weir_do_key_walk(const weir_space *space, weir_limiter handle,
                             uint32_t *cursor, weir_key_info *out) {
  if (!weir_slab_find(&space->limiters, handle)) return WEIR_WALK_END;
  return walk_keys(space, (uint32_t)handle, cursor, out);
}

weir_walked weir_do_key_walk_all(const weir_space *space, uint32_t *cursor,
                                 weir_key_info *out) {
  return walk_keys(space, 0, cursor, out);
}

/* Whether a ticket is to be told of: a port's, 0: any port's. One that is aside
** is told of where its group waits. */
static bool is_ticket_of(const weir_space *space, uint32_t index,
                         uint32_t port) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  return !ticket->aside && (!port || ticket->port == port);
}

static weir_walked walk_tickets(const weir_space *space, uint32_t port,
                                uint32_t *cursor, uint64_t now,
                                weir_ticket_info *out) {
  uint32_t left = GLANCE;
  weir_walked walked;
  do walked = go_on(&space->tickets, cursor, &left);
  while (walked == WEIR_WALK_FOUND && !is_ticket_of(space, *cursor, port));
  if (walked == WEIR_WALK_FOUND) weir_look_ticket(space, *cursor, now, out);
  return walked;
}

weir_walked weir_do_ticket_walk(const weir_port *port, uint32_t *cursor,
                                uint64_t now, weir_ticket_info *out) {
  return walk_tickets(port->space, port->index, cursor, now, out);
}

weir_walked weir_do_ticket_walk_all(const weir_space *space, uint32_t *cursor,
                                    uint64_t now, weir_ticket_info *out) {
  return walk_tickets(space, 0, cursor, now, out);
}
