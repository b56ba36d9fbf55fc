/*
** record.h - what a space is made of.
**
** The records are the truth: each ticket says whose it is, in which state,
** with which cost and arrival number. Counts, queues and heaps follow from
** them. They hold indices only, so that a mapping shared between processes
** can hold the very same records.
*/
#ifndef WEIR_CORE_RECORD_H
#define WEIR_CORE_RECORD_H

#include "histogram.h"
#include "slab.h"

typedef struct weir_list { /* of tickets, through record.next and prev */
  uint32_t first;          /* ticket index; 0: empty */
  uint32_t last;           /* ticket index; 0: empty */
} weir_list;

/* One request's passage. In one list at a time: its instance's queue while
** QUEUED (none if parked), its port's ready list while READY. */
typedef struct weir_ticket_record {
  weir_record record;
  uint32_t prev;     /* the one before in its list; 0: the first */
  uint32_t instance; /* index; 0: parked */
  uint32_t cost;     /* permits; 0: a drain, which holds nothing */
  uint32_t heap;     /* place in the port's deadlines, from 1; 0: none */
  uint64_t cookie;   /* the host's own */
  uint64_t since;    /* ns: arrival, then decision */
  uint64_t waited;   /* ns, once decided */
  uint64_t arrival;  /* number in the instance's order of arrival */
  uint32_t port;     /* index of its owner */
  uint8_t state;     /* weir_state */
  uint8_t verdict;   /* weir_verdict, once decided */
} weir_ticket_record;

_Static_assert(sizeof(weir_ticket_record) == 64, "a ticket is a cache line");

/* The state of one set of gates: a limiter has one (later: one per key). */
typedef struct weir_instance_record {
  weir_record record;
  uint32_t limiter;  /* index */
  uint32_t in_use;   /* permits held or granted */
  uint32_t waiting;  /* tickets in the queue, drains not counted */
  uint32_t tickets;  /* live tickets in any state, drains counted */
  weir_list queue;   /* in order of arrival */
  uint64_t arrivals; /* so far: the newest ticket's arrival number */
} weir_instance_record;

/* What is asked for, how often it was, and the counts people read. */
typedef struct weir_limiter_record {
  weir_record record;
  weir_config config;
  uint32_t instance;               /* index */
  uint32_t refs;                   /* opens not yet dropped */
  bool closed;                     /* takes no newcomers */
  char name[WEIR_NAME_MAX + 1];    /* "": nameless */
  uint64_t admitted;               /* decisions */
  uint64_t dropped;                /* releases with WEIR_DROPPED */
  uint64_t refused[WEIR_VERDICTS]; /* decisions, by verdict */
  weir_histogram waits;            /* of the admitted */
} weir_limiter_record;

/* The part of a port that others write: who may go on. */
typedef struct weir_port_record {
  weir_record record;
  weir_list ready; /* decided tickets, in order of decision */
} weir_port_record;

struct weir_space {
  weir_allocator allocator;
  weir_slab tickets;
  weir_slab instances;
  weir_slab limiters;
  weir_slab ports;
};

static inline weir_ticket_record *weir_ticket_at(const weir_space *space,
                                                 uint32_t index) {
  return (weir_ticket_record *)(void *)space->tickets.base + index;
}

static inline weir_instance_record *weir_instance_at(const weir_space *space,
                                                     uint32_t index) {
  return (weir_instance_record *)(void *)space->instances.base + index;
}

static inline weir_limiter_record *weir_limiter_at(const weir_space *space,
                                                   uint32_t index) {
  return (weir_limiter_record *)(void *)space->limiters.base + index;
}

static inline weir_port_record *weir_port_at(const weir_space *space,
                                             uint32_t index) {
  return (weir_port_record *)(void *)space->ports.base + index;
}

/* Time spent from `then` to `now`; a clock that went back counts as none. */
static inline uint64_t weir_elapsed(uint64_t then, uint64_t now) {
  return now > then ? now - then : 0;
}

#endif
