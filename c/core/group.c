/* group.c - see group.h. */
#include "group.h"

#include "instance.h"
#include "list.h"
#include "queue.h"

uint32_t weir_group_leader(const weir_space *space, uint32_t index) {
  uint32_t left = WEIR_ALL_MAX;
  while (weir_ticket_at(space, index)->follower)
    index = weir_group_next(space, index, &left);
  return index;
}

uint32_t weir_group_waiter(const weir_space *space, uint32_t index) {
  uint32_t left = WEIR_ALL_MAX;
  while (weir_ticket_at(space, index)->aside)
    index = weir_group_next(space, index, &left);
  return index;
}

static const weir_limiter_record *limiter_of(const weir_space *space,
                                             const weir_ticket_record *ticket) {
  return weir_limiter_of(space, weir_instance_at(space, ticket->instance));
}

static weir_place place_of(const weir_ticket_record *ticket, uint64_t flow) {
  return (weir_place){ ticket->since, flow, ticket->arrival, ticket->priority };
}

/* What one that is aside would be told where it asks. */
static weir_verdict verdict_aside(const weir_space *space,
                                  const weir_ticket_record *ticket,
                                  uint64_t t) {
  weir_place place = place_of(ticket, ticket->time);
  if (ticket->free || limiter_of(space, ticket)->config.dry_run)
    return WEIR_ADMITTED;
  if (weir_limiter_impossible(limiter_of(space, ticket), ticket->cost))
    return WEIR_IMPOSSIBLE;
  if (!weir_queue_leads(space, ticket->instance, &place)) return WEIR_WAITING;
  return weir_instance_bound(space, ticket->instance, ticket->cost, t) ==
                 WEIR_BY_NOTHING
             ? WEIR_ADMITTED
             : WEIR_WAITING;
}

/* Puts a waiter aside, where it keeps what its flow hashes to; in a queue
** without turns that is not kept. */
static void put_aside(weir_space *space, uint32_t index) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  uint64_t flow =
      ticket->lane ? weir_lane_at(space, ticket->lane)->entry.hash.word[0] : 0;
  weir_queue_remove(space, index, false);
  ticket->aside = 1;
  ticket->time = flow;
}

/* Lets another of a waiter's group wait in its stead. No memory: the group is
** refused. */
static void move(weir_space *space, uint32_t from, uint32_t to, uint64_t now) {
  weir_ticket_record *next = weir_ticket_edit(space, to);
  weir_heap *deadlines = weir_deadlines(space, next->port);
  uint64_t deadline = weir_ticket_at(space, from)->time;
  bool due = weir_ticket_at(space, from)->heap != 0;
  weir_place place = place_of(next, next->time);
  if (!weir_queue_reserve(space, next->instance, &place)) {
    weir_group_decide(space, from, WEIR_EXHAUSTED, now);
    return;
  }
  put_aside(space, from);
  weir_heap_remove(deadlines, &space->tickets, from);
  next->aside = 0;
  next->time = deadline;
  weir_queue_add(space, to, &place);
  if (due)
    weir_heap_add(deadlines, &space->tickets, to, deadline, next->arrival);
  weir_instance_arm(space, next->instance,
                    weir_clock_at(&space->root->clock, now));
}

bool weir_group_moves(weir_space *space, uint32_t index, uint64_t now,
                      uint64_t t) {
  uint32_t left = WEIR_ALL_MAX, at = weir_group_next(space, index, &left);
  if (!at) return false;
  for (; at != index; at = weir_group_next(space, at, &left)) {
    weir_verdict verdict = verdict_aside(space, weir_ticket_at(space, at), t);
    if (verdict == WEIR_ADMITTED) continue;
    if (verdict == WEIR_WAITING)
      move(space, index, at, now);
    else
      weir_group_decide(space, at, verdict, now);
    return true;
  }
  return false;
}

static void decide_one(weir_space *space, uint32_t index, weir_verdict verdict,
                       uint64_t now) {
  weir_ticket_record *ticket = weir_ticket_edit(space, index);
  weir_ticket_waits(space, ticket);
  weir_ticket_leave(space, index, verdict == WEIR_ADMITTED);
  ticket->time = weir_elapsed(ticket->since, now);
  ticket->since = now;
  ticket->state = WEIR_READY;
  ticket->verdict = verdict & 15;
  if (verdict != WEIR_ADMITTED) return;
  weir_ticket_granted(space, index, now);
}

/* The others' heads may have to wait longer for what this one has taken. */
static void arm_others(const weir_space *space, uint32_t index, uint64_t now) {
  uint64_t t = weir_clock_at(&space->root->clock, now);
  uint32_t left = WEIR_ALL_MAX;
  for (uint32_t at = weir_group_next(space, index, &left); at != index;
       at = weir_group_next(space, at, &left))
    weir_instance_arm(space, weir_ticket_at(space, at)->instance, t);
}

/* Nobody of the group waits any more, and that may have been the last one. */
static void drain_all(weir_space *space, uint32_t index, uint64_t now) {
  uint32_t at = index, left = WEIR_ALL_MAX;
  do {
    uint32_t instance = weir_ticket_at(space, at)->instance;
    weir_limiter_drained(space, weir_instance_at(space, instance)->entry.owner,
                         now);
    at = weir_group_next(space, at, &left);
  } while (at != index);
}

void weir_group_decide(weir_space *space, uint32_t index, weir_verdict verdict,
                       uint64_t now) {
  uint32_t leader = weir_group_leader(space, index), at = index;
  uint32_t left = WEIR_ALL_MAX;
  weir_ticket_record *first;
  do {
    decide_one(space, at, verdict, now);
    at = weir_group_next(space, at, &left);
  } while (at != index);
  if (verdict == WEIR_ADMITTED)
    arm_others(space, index, now);
  else
    weir_ticket_refused(space, weir_ticket_at(space, index), verdict);
  first = weir_ticket_edit(space, leader);
  first->lane = index;
  weir_ticket_ready(space, leader);
  if (verdict != WEIR_ADMITTED) drain_all(space, index, now);
}
