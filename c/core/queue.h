/*
** queue.h - who waits for an instance, and in which order they go.
**
** FIFO and LIFO are one list in order of arrival, of which one end goes first.
** PRIORITY has a lane for each priority that is waited with, FAIR one for each
** flow; a lane is a list in order of arrival. Whatever the order, adding one,
** finding who goes next and taking any one out are O(1), or O(priorities).
**
** FAIR is deficit round robin (Shreedhar and Varghese 1995): the first lane
** has its turn as long as it can pay for its head; a turn is worth `quantum`,
** which is no less than any cost that is waited with, so each turn serves one
** at least. A lane that empties leaves, and loses what it had left.
*/
#ifndef WEIR_CORE_QUEUE_H
#define WEIR_CORE_QUEUE_H

#include "record.h"

/* What decides about a ticket's place. */
typedef struct weir_place {
  uint64_t since;   /* ns: its arrival */
  uint64_t flow;    /* FAIR: hash of its flow */
  uint32_t arrival; /* number */
  int8_t priority;  /* PRIORITY */
} weir_place;

/* Makes sure that a ticket of this place can be added; false: no memory. */
bool weir_queue_reserve(weir_space *space, uint32_t instance,
                        const weir_place *place);

/* Adds a ticket that is QUEUED and in no list; reserve made sure. */
void weir_queue_add(weir_space *space, uint32_t ticket,
                    const weir_place *place);

/* Takes a ticket out. `served`: it goes because its turn has come. */
void weir_queue_remove(weir_space *space, uint32_t ticket, bool served);

/* The ticket that goes next, where somebody waits. */
uint32_t weir_queue_first(const weir_space *space, uint32_t instance);

/* The ticket that goes next; 0: nobody waits. */
static inline uint32_t weir_queue_head(const weir_space *space,
                                       uint32_t index) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  const weir_queue_record *queue;
  if (!instance->queue) return 0;
  queue = weir_queue_at(space, instance->queue);
  return queue->order == WEIR_FIFO && !instance->control
             ? queue->tickets.first
             : weir_queue_first(space, index);
}

/* The ticket that has waited longest of those a control asks about: of a list
** its oldest, else the head. 0: nobody waits. */
uint32_t weir_queue_oldest(const weir_space *space, uint32_t instance);

/* Whether one with this place would go before all who wait, and somebody does.
*/
bool weir_queue_outruns(const weir_space *space, uint32_t instance,
                        const weir_place *place);

/* Whether one with this place would go next. */
static inline bool weir_queue_leads(const weir_space *space, uint32_t index,
                                    const weir_place *place) {
  return !weir_instance_at(space, index)->queue ||
         weir_queue_outruns(space, index, place);
}

/* What those ask for who go before a newcomer with this place: of all who wait,
** where turns or ageing decide. */
uint64_t weir_queue_demand(const weir_space *space, uint32_t instance,
                           const weir_place *place);

/* About how many go before a newcomer with this place. */
uint64_t weir_queue_ahead(const weir_space *space, uint32_t instance,
                          const weir_place *place);

/* Who has to go for a newcomer to a queue that has reached its bound; 0: the
** newcomer itself. */
uint32_t weir_queue_victim(const weir_space *space, uint32_t instance,
                           const weir_place *place);

/* Lets the head's entry in its port's deadlines be due at `time`, if that is
** not after its deadline; NEVER: at its deadline. Who was due so before, and is
** not the head any more, is due at its own deadline again. */
void weir_queue_arm(const weir_space *space, uint32_t instance, uint64_t time);

#endif
