/* swift.c - see swift.h. */
#include "swift.h"

#include "acquire.h"
#include "instance.h"

/* A ticket, where it belongs, and those before and after it among the holders;
** NULL: there is none. */
typedef struct hands {
  weir_grip at;
  weir_ticket_record *prev, *next;
  uint32_t index;    /* of the ticket */
  uint32_t instance; /* index */
} hands;

/* The record at an index; NULL: there can be none. */
static WEIR_INLINE void *look_up(const weir_slab *slab, uint32_t index) {
  return index && index < slab->array.limit
             ? slab->array.base + (size_t)index * slab->array.size
             : NULL;
}

/* Whether the clock was not set back, which concerns others, and there is room
** for notes. */
static bool is_usual(const weir_space *space, uint64_t now) {
  const weir_commons *commons = space->memory.commons;
  uint64_t last = space->root->clock.last;
  return (last < WEIR_CLOCK_SET_NS || now > last - WEIR_CLOCK_SET_NS) &&
         !(WEIR_SELDOM(commons) && *commons->noted > WEIR_NOTES_SIZE / 2);
}

/* The limiter of an instance that nobody waits for, in no way. */
static WEIR_INLINE bool is_calm(const weir_space *space, weir_grip *at) {
  at->limiter = look_up(&space->limiters, at->instance->entry.owner);
  return at->limiter && !at->instance->queue && !at->limiter->drains.first;
}

/* --- being admitted ------------------------------------------------------- */

static bool is_bare(const weir_request *request) {
  return !request->key && !request->flow && !request->priority;
}

static WEIR_INLINE bool fits(weir_grip at, uint32_t cost) {
  uint32_t limit = at.limiter->config.concurrent;
  uint64_t in_use = at.instance->in_use;
  return cost <= at.limiter->most &&
         (limit == WEIR_NO_LIMIT || in_use == 0 ||
          (in_use < limit && limit - in_use >= cost));
}

/* A free ticket. */
static WEIR_INLINE bool find_ticket(const weir_slab *slab, hands *h) {
  const weir_slab_head *head = slab->head;
  h->index = head->free ? head->free : head->used;
  h->at.ticket = look_up(slab, h->index);
  return h->at.ticket && !(head->free && h->at.ticket->record.generation & 1);
}

static WEIR_INLINE bool find_place(const weir_space *space, weir_limiter handle,
                                   const weir_request *request, uint32_t cost,
                                   hands *h) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter || !limiter->plain || limiter->closed || !is_bare(request))
    return false;
  h->instance = limiter->instance;
  h->at.instance = look_up(&space->instances, h->instance);
  if (!h->at.instance || !is_calm(space, &h->at) || !fits(h->at, cost) ||
      !find_ticket(&space->tickets, h))
    return false;
  h->next = look_up(&space->tickets, h->at.instance->holders);
  return h->at.limiter == limiter && !h->next == !h->at.instance->holders;
}

/* Of a ticket that is free only what makes it so matters. */
static WEIR_INLINE void note_entry(weir_commons *commons,
                                   const weir_slab_head *head, const hands *h) {
  const weir_instance_record *instance = h->at.instance;
  const weir_limiter_record *limiter = h->at.limiter;
  uint32_t used = *commons->noted;
  used = weir_note_write(commons, used, &head->used, 2 * sizeof head->used);
  used = weir_note_write(commons, used, h->at.ticket, sizeof(weir_record));
  used = weir_note_write(commons, used, &instance->entry.tickets,
                         offsetof(weir_instance_record, refused) -
                             offsetof(weir_entry, tickets));
  used = weir_note_write(commons, used, &limiter->in_use,
                         offsetof(weir_limiter_record, waiting) -
                             offsetof(weir_limiter_record, in_use));
  used = weir_note_write(commons, used, &limiter->waits.zeros,
                         sizeof limiter->waits.zeros);
  if (h->next)
    used = weir_note_write(commons, used, &h->next->prev, sizeof h->next->prev);
  weir_note_upto(commons, used);
}

bool weir_swift_acquire(const weir_port *port, weir_limiter handle,
                        const weir_request *request, uint64_t now,
                        weir_ticket *out) {
  const weir_space *space = port->space;
  weir_slab_head *tickets = space->tickets.head;
  weir_clock *clock = &space->root->clock;
  uint32_t cost = request->cost ? request->cost : 1;
  hands h = { .prev = NULL };
  if (!is_usual(space, now) || !find_place(space, handle, request, cost, &h))
    return false;
  if (WEIR_SELDOM(space->memory.commons))
    note_entry(space->memory.commons, tickets, &h);
  if (now > clock->last) clock->last = now;
  weir_slab_claim(tickets, &h.at.ticket->record);
  weir_ticket_fill(h.at.ticket, port, h.instance, cost, request->cookie, now);
  h.at.instance->entry.tickets++;
  h.at.limiter->tickets++;
  weir_instance_charge(h.at, now);
  weir_count_entry(h.at);
  h.at.limiter->waits.zeros++;
  weir_holders_add(h.at, h.index, h.next);
  *out = (uint64_t)h.at.ticket->record.generation << 32 | h.index;
  return true;
}

/* --- giving back ---------------------------------------------------------- */

/* Whether it is the port's own, holds what it asked for, and is alone. */
static bool is_held(const weir_ticket_record *ticket, const weir_port *port) {
  return ticket->port == port->index && ticket->state == WEIR_HELD &&
         !ticket->follower && !ticket->free && !ticket->group;
}

/* Whether a key stays where it is when it has no ticket any more. */
static WEIR_INLINE bool stays(const weir_instance_record *instance,
                              const weir_limiter_record *limiter) {
  return instance->spoke.next &&
         (!weir_meter_on(&limiter->meter) ||
          !weir_wheel_passed(&limiter->idle, &instance->spoke));
}

/* Whether there is nothing to be done when it has left. */
static WEIR_INLINE bool leaves_quietly(const hands *h) {
  const weir_instance_record *instance = h->at.instance;
  const weir_limiter_record *limiter = h->at.limiter;
  bool quietly = instance->entry.tickets > 1 ||
                 h->instance == limiter->instance || stays(instance, limiter);
  return quietly && !instance->control &&
         (limiter->tickets > 1 || limiter->refs);
}

static WEIR_INLINE bool find_held(const weir_port *port, weir_ticket handle,
                                  hands *h) {
  const weir_space *space = port->space;
  const weir_ticket_record *ticket = weir_slab_find(&space->tickets, handle);
  if (!ticket || !is_held(ticket, port)) return false;
  h->index = (uint32_t)handle;
  h->at.ticket = look_up(&space->tickets, h->index);
  h->instance = ticket->instance;
  h->at.instance = look_up(&space->instances, h->instance);
  if (!h->at.instance || !is_calm(space, &h->at) || !leaves_quietly(h))
    return false;
  h->prev = look_up(&space->tickets, ticket->prev);
  h->next = look_up(&space->tickets, ticket->record.next);
  return !h->prev == !ticket->prev && !h->next == !ticket->record.next;
}

/* The last bytes of a ticket are its port, its state and its like. */
static WEIR_INLINE void note_leaving(weir_commons *commons,
                                     const weir_slab_head *head,
                                     const hands *h) {
  const weir_ticket_record *ticket = h->at.ticket;
  const weir_instance_record *instance = h->at.instance;
  const weir_limiter_record *limiter = h->at.limiter;
  uint32_t used = *commons->noted;
  used = weir_note_write(commons, used, &head->free, sizeof head->free);
  used = weir_note_write(commons, used, ticket, sizeof ticket->record);
  used = weir_note_write(commons, used, &ticket->port,
                         sizeof *ticket - offsetof(weir_ticket_record, port));
  used = weir_note_write(commons, used, &instance->entry.tickets,
                         offsetof(weir_instance_record, control) -
                             offsetof(weir_entry, tickets));
  used = weir_note_write(commons, used, &limiter->in_use,
                         offsetof(weir_limiter_record, waiting) -
                             offsetof(weir_limiter_record, in_use));
  if (h->prev)
    used = weir_note_write(commons, used, h->prev, sizeof(weir_record));
  if (h->next)
    used = weir_note_write(commons, used, &h->next->prev, sizeof h->next->prev);
  weir_note_upto(commons, used);
}

bool weir_swift_release(const weir_port *port, weir_ticket handle,
                        weir_outcome outcome, uint64_t now) {
  const weir_space *space = port->space;
  weir_slab_head *tickets = space->tickets.head;
  weir_clock *clock = &space->root->clock;
  hands h;
  if (outcome != WEIR_DONE || !is_usual(space, now) ||
      !find_held(port, handle, &h))
    return false;
  if (WEIR_SELDOM(space->memory.commons))
    note_leaving(space->memory.commons, tickets, &h);
  if (now > clock->last) clock->last = now;
  weir_permits_refund(h.at);
  weir_holders_remove(h.at, h.prev, h.next);
  weir_slab_yield(tickets, &h.at.ticket->record, h.index);
  h.at.instance->entry.tickets--;
  h.at.limiter->tickets--;
  return true;
}
