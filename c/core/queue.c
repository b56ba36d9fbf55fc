/* queue.c - see queue.h. */
#include "queue.h"

#include "instance.h"

static const weir_queue_record *queue_of(const weir_space *space,
                                         uint32_t instance) {
  return weir_queue_at(space, weir_instance_at(space, instance)->queue);
}

static const weir_config *config_of(const weir_space *space,
                                    uint32_t instance) {
  return &weir_limiter_of(space, weir_instance_at(space, instance))->config;
}

static weir_queue_record *queue_edit(const weir_space *space,
                                     uint32_t instance) {
  return weir_queue_edit(space, weir_instance_at(space, instance)->queue);
}

static uint32_t cost_at(const weir_space *space, uint32_t ticket) {
  return weir_ticket_at(space, ticket)->cost;
}

/* Adds a ticket to a list in its order of arrival: at the end, but for one that
** waited elsewhere first. `behind`: not before the first, whose turn it is. */
static void insert(weir_list *list, const weir_space *space, uint32_t index,
                   bool behind) {
  uint32_t arrival = weir_ticket_at(space, index)->arrival;
  uint32_t before = 0, left = space->tickets.array.limit;
  if (list->last &&
      weir_came_before(arrival, weir_ticket_at(space, list->last)->arrival)) {
    before = list->first;
    if (behind) before = weir_ticket_at(space, before)->record.next;
    while (before &&
           weir_came_before(weir_ticket_at(space, before)->arrival, arrival)) {
      weir_along(&space->tickets, &left);
      before = weir_ticket_at(space, before)->record.next;
    }
  }
  weir_list_insert(list, space, index, before);
}

/* --- lanes --------------------------------------------------------------- */

static weir_list *list_edit(const weir_space *space,
                            const weir_ticket_record *ticket) {
  if (ticket->lane) return &weir_lane_edit(space, ticket->lane)->tickets;
  return &queue_edit(space, ticket->instance)->tickets;
}

static void link_lane(const weir_space *space, weir_queue_record *queue,
                      uint32_t index, uint32_t before) {
  weir_lane_record *lane = weir_lane_edit(space, index);
  lane->next = before;
  lane->prev = before ? weir_lane_at(space, before)->prev : queue->last_lane;
  if (lane->prev)
    weir_lane_edit(space, lane->prev)->next = index;
  else
    queue->first_lane = index;
  if (before)
    weir_lane_edit(space, before)->prev = index;
  else
    queue->last_lane = index;
}

static void unlink_lane(const weir_space *space, weir_queue_record *queue,
                        uint32_t index) {
  const weir_lane_record *lane = weir_lane_at(space, index);
  if (lane->prev)
    weir_lane_edit(space, lane->prev)->next = lane->next;
  else
    queue->first_lane = lane->next;
  if (lane->next)
    weir_lane_edit(space, lane->next)->prev = lane->prev;
  else
    queue->last_lane = lane->prev;
}

/* Gives turns until the first lane can pay for its head: one turn does it. */
static void take_turns(const weir_space *space, weir_queue_record *queue) {
  const weir_lane_record *lane;
  uint32_t first, left = space->lanes.array.limit;
  while ((first = queue->first_lane) != 0) {
    lane = weir_lane_at(space, first);
    weir_along(&space->lanes, &left);
    if (lane->deficit >= cost_at(space, lane->tickets.first)) return;
    unlink_lane(space, queue, first);
    link_lane(space, queue, first, 0);
    weir_lane_edit(space, queue->first_lane)->deficit += queue->quantum;
  }
}

/* The lane after this one. Damaged memory may have them in a circle; there is
** room for as many as `left` begins with. */
static uint32_t next_lane(const weir_space *space, uint32_t lane,
                          uint32_t *left) {
  weir_along(&space->lanes, left);
  return weir_lane_at(space, lane)->next;
}

static weir_hash hash_of_flow(uint64_t flow) {
  return (weir_hash){ { flow, 0 } };
}

/* The lane for a place, and *before which one it is or would be; 0: none. */
static uint32_t find_lane(const weir_space *space, uint32_t index,
                          const weir_place *place, uint32_t *before) {
  const weir_queue_record *queue = weir_queue_at(space, index);
  weir_hash hash = hash_of_flow(place->flow);
  uint32_t at = queue->first_lane, left = space->lanes.array.limit;
  *before = 0;
  if (queue->order == WEIR_FAIR)
    return weir_index_find(&space->flows, &space->lanes, index, &hash);
  while (at && weir_lane_at(space, at)->priority > place->priority)
    at = next_lane(space, at, &left);
  *before = at;
  return at && weir_lane_at(space, at)->priority == place->priority ? at : 0;
}

static uint32_t new_lane(weir_space *space, uint32_t queue_index,
                         const weir_place *place, uint32_t before) {
  uint32_t index = weir_slab_take(&space->lanes);
  weir_lane_record *lane = weir_lane_fresh(space, index);
  weir_queue_record *queue = weir_queue_edit(space, queue_index);
  weir_record record = lane->entry.record;
  uint64_t flow = queue->order == WEIR_FAIR ? place->flow : 0;
  *lane = (weir_lane_record){
    .entry = { record, hash_of_flow(flow), queue_index, 0 },
    .priority = place->priority,
  };
  link_lane(space, queue, index, before);
  queue->lanes++;
  if (queue->order == WEIR_FAIR)
    weir_index_add(&space->flows, &space->lanes, index);
  return index;
}

/* If it was its turn, it is the next one's now. */
static void free_lane(weir_space *space, weir_queue_record *queue,
                      uint32_t index) {
  bool first = queue->first_lane == index;
  unlink_lane(space, queue, index);
  if (first && queue->first_lane)
    weir_lane_edit(space, queue->first_lane)->deficit += queue->quantum;
  queue->lanes--;
  if (queue->order == WEIR_FAIR)
    weir_index_remove(&space->flows, &space->lanes, index);
  weir_slab_give(&space->lanes, index);
}

/* Whether a ticket would end the turn of its flow, for it costs more than what
** is left of it. Then others would come to the head, though nobody left. */
static bool ends_turn(const weir_queue_record *queue, uint32_t index,
                      const weir_lane_record *lane, uint32_t cost) {
  return queue->order == WEIR_FAIR && queue->first_lane == index &&
         queue->lanes > 1 && lane->deficit < cost;
}

static void add_to_lane(weir_space *space, uint32_t index,
                        const weir_place *place) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  uint32_t at = weir_instance_at(space, ticket->instance)->queue, before;
  weir_queue_record *queue = weir_queue_edit(space, at);
  uint32_t lane = find_lane(space, at, place, &before);
  weir_lane_record *to;
  if (!lane) lane = new_lane(space, at, place, before);
  ticket->lane = lane;
  to = weir_lane_edit(space, lane);
  to->entry.tickets++;
  to->demand += ticket->cost;
  insert(&to->tickets, space, index, ends_turn(queue, lane, to, ticket->cost));
  if (ticket->cost > queue->quantum) queue->quantum = ticket->cost;
  if (queue->order == WEIR_FAIR) take_turns(space, queue);
}

static void leave_lane(weir_space *space, weir_ticket_record *ticket,
                       bool served) {
  weir_queue_record *queue = queue_edit(space, ticket->instance);
  weir_lane_record *lane = weir_lane_edit(space, ticket->lane);
  bool fair = queue->order == WEIR_FAIR;
  if (fair && served)
    lane->deficit -=
        lane->deficit < ticket->cost ? lane->deficit : ticket->cost;
  lane->demand -= ticket->cost;
  if (--lane->entry.tickets == 0) free_lane(space, queue, ticket->lane);
  ticket->lane = 0;
  if (fair) take_turns(space, queue);
}

/* --- adding and taking out ------------------------------------------------ */

static bool has_lanes(uint8_t order) {
  return order == WEIR_PRIORITY || order == WEIR_FAIR;
}

/* A queue whose last waiter gives way to this one begins anew, and in the order
** that is configured by now. */
bool weir_queue_reserve(weir_space *space, uint32_t index,
                        const weir_place *place) {
  uint32_t queue = weir_instance_at(space, index)->queue, before;
  uint8_t next = (uint8_t)config_of(space, index)->order;
  uint8_t order = queue ? weir_queue_at(space, queue)->order : next;
  if (!queue && !weir_slab_reserve(&space->queues)) return false;
  if (!has_lanes(order) && !has_lanes(next)) return true;
  if (queue && order == next && find_lane(space, queue, place, &before))
    return true;
  return weir_slab_reserve(&space->lanes) &&
         ((order != WEIR_FAIR && next != WEIR_FAIR) ||
          weir_index_reserve(&space->flows));
}

static void new_queue(weir_space *space, uint32_t instance) {
  uint32_t index = weir_slab_take(&space->queues);
  weir_queue_record *queue = weir_queue_fresh(space, index);
  weir_record record = queue->record;
  *queue = (weir_queue_record){
    .record = record,
    .instance = instance,
    .order = (uint8_t)config_of(space, instance)->order,
  };
  weir_instance_edit(space, instance)->queue = index;
}

/* What was measured of a queue says nothing about the next one. */
static void free_queue(weir_space *space, weir_instance_record *instance) {
  if (instance->control) {
    weir_control_record *control = weir_control_edit(space, instance->control);
    weir_codel_empty(&control->codel);
    weir_pace_empty(&control->pace);
  }
  weir_slab_give(&space->queues, instance->queue);
  instance->queue = 0;
}

void weir_queue_add(weir_space *space, uint32_t index,
                    const weir_place *place) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  weir_queue_record *queue;
  if (!weir_instance_at(space, ticket->instance)->queue)
    new_queue(space, ticket->instance);
  queue = queue_edit(space, ticket->instance);
  queue->waiting++;
  queue->demand += ticket->cost;
  ticket->lane = 0;
  if (has_lanes(queue->order))
    add_to_lane(space, index, place);
  else
    insert(&queue->tickets, space, index, false);
}

void weir_queue_remove(weir_space *space, uint32_t index, bool served) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  weir_queue_record *queue = queue_edit(space, ticket->instance);
  weir_list_unlink(list_edit(space, ticket), space, index);
  if (ticket->lane) leave_lane(space, ticket, served);
  queue->waiting--;
  queue->demand -= ticket->cost;
  if (queue->armed == index) queue->armed = 0;
  if (!queue->waiting)
    free_queue(space, weir_instance_edit(space, ticket->instance));
}

/* --- who is next ---------------------------------------------------------- */

/* Whether a place goes before a waiter of another priority: the higher does,
** unless the other has waited so much longer that it has aged up to it. */
static bool outranks(const weir_place *a, const weir_ticket_record *b,
                     uint64_t aging_ns) {
  bool higher = a->priority > b->priority;
  uint64_t steps = (uint64_t)(higher ? a->priority - b->priority
                                     : b->priority - a->priority);
  uint64_t longer = higher ? weir_elapsed(b->since, a->since)
                           : weir_elapsed(a->since, b->since);
  bool aged = aging_ns && steps &&
              (longer / steps > aging_ns ||
               (longer / steps == aging_ns && longer % steps));
  return higher != aged;
}

static weir_place place_of(const weir_ticket_record *ticket) {
  return (weir_place){ .since = ticket->since,
                       .arrival = ticket->arrival,
                       .priority = ticket->priority };
}

/* The best of the lanes' heads: the first lane's, if nobody ages. */
static uint32_t best_head(const weir_space *space,
                          const weir_queue_record *queue, uint64_t aging_ns) {
  uint32_t lane = queue->first_lane, left = space->lanes.array.limit;
  uint32_t best = weir_lane_at(space, lane)->tickets.first;
  while (aging_ns && (lane = next_lane(space, lane, &left)) != 0) {
    uint32_t other = weir_lane_at(space, lane)->tickets.first;
    weir_place place = place_of(weir_ticket_at(space, other));
    if (outranks(&place, weir_ticket_at(space, best), aging_ns)) best = other;
  }
  return best;
}

/* Whether a FIFO queue has turned round because it is too long. */
static bool newest_first(const weir_space *space, uint32_t index) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  return instance->control && config_of(space, index)->shed.lifo &&
         weir_control_at(space, instance->control)->codel.above;
}

uint32_t weir_queue_first(const weir_space *space, uint32_t index) {
  const weir_queue_record *queue = queue_of(space, index);
  switch (queue->order) {
  case WEIR_LIFO: return queue->tickets.last;
  case WEIR_PRIORITY:
    return best_head(space, queue, config_of(space, index)->aging_ns);
  case WEIR_FAIR: return weir_lane_at(space, queue->first_lane)->tickets.first;
  default:
    return newest_first(space, index) ? queue->tickets.last
                                      : queue->tickets.first;
  }
}

uint32_t weir_queue_oldest(const weir_space *space, uint32_t index) {
  const weir_queue_record *queue;
  if (!weir_instance_at(space, index)->queue) return 0;
  queue = queue_of(space, index);
  return has_lanes(queue->order) ? weir_queue_head(space, index)
                                 : queue->tickets.first;
}

/* Whether a place goes before the first of each priority; without ageing that
** is before the first of the highest. */
static bool outranks_all(const weir_space *space,
                         const weir_queue_record *queue,
                         const weir_place *place, uint64_t aging_ns) {
  uint32_t at = queue->first_lane, left = space->lanes.array.limit;
  do {
    const weir_lane_record *lane = weir_lane_at(space, at);
    const weir_ticket_record *head = weir_ticket_at(space, lane->tickets.first);
    if (lane->priority == place->priority
            ? !weir_came_before(place->arrival, head->arrival)
            : !outranks(place, head, aging_ns))
      return false;
    at = next_lane(space, at, &left);
  } while (at && aging_ns);
  return true;
}

bool weir_queue_outruns(const weir_space *space, uint32_t index,
                        const weir_place *place) {
  const weir_ticket_record *head =
      weir_ticket_at(space, weir_queue_head(space, index));
  switch (queue_of(space, index)->order) {
  case WEIR_FAIR:
    return weir_lane_at(space, head->lane)->entry.hash.word[0] == place->flow &&
           weir_came_before(place->arrival, head->arrival);
  case WEIR_LIFO: return weir_came_before(head->arrival, place->arrival);
  case WEIR_PRIORITY:
    return outranks_all(space, queue_of(space, index), place,
                        config_of(space, index)->aging_ns);
  default:
    return newest_first(space, index)
               ? weir_came_before(head->arrival, place->arrival)
               : weir_came_before(place->arrival, head->arrival);
  }
}

/* --- how long it is ------------------------------------------------------- */

/* What is asked for with this priority and above. */
static uint64_t demand_above(const weir_space *space,
                             const weir_queue_record *queue, int8_t priority) {
  uint64_t sum = 0;
  uint32_t at = queue->first_lane, left = space->lanes.array.limit;
  for (; at && weir_lane_at(space, at)->priority >= priority;
       at = next_lane(space, at, &left))
    sum += weir_lane_at(space, at)->demand;
  return sum;
}

uint64_t weir_queue_demand(const weir_space *space, uint32_t index,
                           const weir_place *place) {
  const weir_queue_record *queue;
  if (!weir_instance_at(space, index)->queue) return 0;
  queue = queue_of(space, index);
  switch (queue->order) {
  case WEIR_LIFO: return 0;
  case WEIR_PRIORITY:
    return config_of(space, index)->aging_ns
               ? queue->demand
               : demand_above(space, queue, place->priority);
  case WEIR_FAIR: return queue->demand;
  default: return newest_first(space, index) ? 0 : queue->demand;
  }
}

/* Waiters of this priority and above. */
static uint64_t above(const weir_space *space, const weir_queue_record *queue,
                      int8_t priority) {
  uint64_t sum = 0;
  uint32_t at = queue->first_lane, left = space->lanes.array.limit;
  for (; at && weir_lane_at(space, at)->priority >= priority;
       at = next_lane(space, at, &left))
    sum += weir_lane_at(space, at)->entry.tickets;
  return sum;
}

/* A turn of every flow for each one of the own flow, and no more than all. */
static uint64_t turns(const weir_space *space, uint32_t index,
                      const weir_place *place) {
  const weir_queue_record *queue = weir_queue_at(space, index);
  uint32_t before;
  uint32_t lane = find_lane(space, index, place, &before);
  uint64_t own = lane ? weir_lane_at(space, lane)->entry.tickets : 0;
  uint64_t sum = (own + 1) * queue->lanes;
  return sum < queue->waiting ? sum : queue->waiting;
}

uint64_t weir_queue_ahead(const weir_space *space, uint32_t index,
                          const weir_place *place) {
  uint32_t queue = weir_instance_at(space, index)->queue;
  if (!queue) return 0;
  switch (weir_queue_at(space, queue)->order) {
  case WEIR_LIFO: return 0;
  case WEIR_PRIORITY:
    return above(space, weir_queue_at(space, queue), place->priority);
  case WEIR_FAIR: return turns(space, queue, place);
  default:
    return newest_first(space, index) ? 0
                                      : weir_queue_at(space, queue)->waiting;
  }
}

static uint32_t lowest(const weir_space *space, const weir_queue_record *queue,
                       int8_t priority) {
  const weir_lane_record *lane;
  if (queue->order != WEIR_PRIORITY) return 0;
  lane = weir_lane_at(space, queue->last_lane);
  return lane->priority < priority ? lane->tickets.last : 0;
}

/* The oldest of the newcomer's own flow, which is the one to blame; or, of a
** flow that does not wait yet, who would go next. */
static uint32_t oldest_of_flow(const weir_space *space, uint32_t queue,
                               const weir_place *place) {
  uint32_t before;
  uint32_t lane = find_lane(space, queue, place, &before);
  if (!lane) lane = weir_queue_at(space, queue)->first_lane;
  return weir_lane_at(space, lane)->tickets.first;
}

static uint32_t oldest_of_lanes(const weir_space *space,
                                const weir_queue_record *queue) {
  uint32_t at = queue->first_lane, left = space->lanes.array.limit;
  uint32_t oldest = weir_lane_at(space, at)->tickets.first;
  while ((at = next_lane(space, at, &left)) != 0) {
    uint32_t first = weir_lane_at(space, at)->tickets.first;
    if (weir_came_before(weir_ticket_at(space, first)->arrival,
                         weir_ticket_at(space, oldest)->arrival))
      oldest = first;
  }
  return oldest;
}

uint32_t weir_queue_victim(const weir_space *space, uint32_t index,
                           const weir_place *place) {
  uint32_t queue = weir_instance_at(space, index)->queue;
  weir_victim victim = config_of(space, index)->shed.victim;
  if (!queue || victim == WEIR_NEWEST) return 0;
  if (victim == WEIR_LOWEST)
    return lowest(space, weir_queue_at(space, queue), place->priority);
  switch (weir_queue_at(space, queue)->order) {
  case WEIR_PRIORITY:
    return oldest_of_lanes(space, weir_queue_at(space, queue));
  case WEIR_FAIR: return oldest_of_flow(space, queue, place);
  default: return weir_queue_at(space, queue)->tickets.first;
  }
}

/* --- the time of the head ------------------------------------------------- */

static void set_due(const weir_space *space, uint32_t index, uint64_t time) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  weir_heap *deadlines = weir_deadlines(space, ticket->port);
  uint64_t first = weir_heap_time(deadlines, &space->heaps);
  weir_heap_move(deadlines, &space->tickets, index, time);
  if (weir_heap_time(deadlines, &space->heaps) < first)
    weir_ring(space, ticket->port);
}

void weir_queue_arm(const weir_space *space, uint32_t index, uint64_t time) {
  uint32_t head = weir_queue_head(space, index);
  weir_queue_record *queue;
  if (!head) return;
  queue = weir_queue_fresh(space, weir_instance_at(space, index)->queue);
  if (time > weir_ticket_at(space, head)->time ||
      !weir_ticket_at(space, head)->heap)
    time = WEIR_NEVER;
  if (queue->armed && (queue->armed != head || time == WEIR_NEVER)) {
    set_due(space, queue->armed, weir_ticket_at(space, queue->armed)->time);
    weir_keep(&space->memory, &queue->armed, sizeof queue->armed);
    queue->armed = 0;
  }
  if (time == WEIR_NEVER) return;
  set_due(space, head, time);
  if (queue->armed == head) return;
  weir_keep(&space->memory, &queue->armed, sizeof queue->armed);
  queue->armed = head;
}
