/*
** record.h - what a space is made of.
**
** The records are the truth: each ticket says whose it is, in which state,
** with which cost and arrival number. Counts, queues and heaps follow from
** them. They hold indices only, so that a mapping shared between processes
** holds the very same records; and an index is checked where it is used, for a
** mapping may be damaged.
**
**   limiter --> instance (one without a key, one per key) --> queue --> lane
**                   ^-- ticket --> port
*/
#ifndef WEIR_CORE_RECORD_H
#define WEIR_CORE_RECORD_H

#include "clock.h"
#include "codel.h"
#include "heap.h"
#include "histogram.h"
#include "index.h"
#include "rate.h"
#include "slab.h"
#include "tuner.h"
#include "wheel.h"

typedef struct weir_list { /* of tickets, through record.next and prev */
  uint32_t first;          /* ticket index; 0: empty */
  uint32_t last;           /* ticket index; 0: empty */
} weir_list;

/* One request's passage. In one list at a time: its queue's or lane's while
** QUEUED (none if parked or aside), its port's ready list while READY (none of
** a follower), its instance's holders while HELD. */
typedef struct weir_ticket_record {
  weir_record record;
  uint32_t prev;        /* the one before in its list; 0: the first */
  uint32_t instance;    /* index; 0: parked */
  uint32_t cost : 31;   /* permits and tokens; 0: a drain, holding nothing */
  uint32_t free : 1;    /* it holds nothing: a dry run, or no key was left */
  uint32_t heap;        /* place in the port's deadlines, from 1; 0: none */
  uint64_t cookie;      /* the host's own */
  uint64_t since;       /* ns: arrival, then decision */
  uint64_t time;        /* ns: the deadline while QUEUED (aside: no time, but
                            what its flow hashes to), then how long it waited */
  uint32_t arrival;     /* number, over all waiters, and from READY on that
                            of its decision; compared by difference */
  uint32_t lane;        /* QUEUED: the lane it is in; 0: in none. READY: the
                            one of its group that was decided about */
  uint32_t group;       /* the next that asks together with it, in a ring; 0:
                            it asks alone */
  uint16_t port;        /* index of its owner */
  int8_t priority;      /* of PRIORITY order */
  uint8_t state : 2;    /* weir_state */
  uint8_t verdict : 4;  /* weir_verdict, once decided */
  uint8_t follower : 1; /* the handle is another's of its group */
  uint8_t aside : 1;    /* QUEUED, while another of its group is in a queue */
} weir_ticket_record;

_Static_assert(sizeof(weir_ticket_record) == 64, "a ticket is a cache line");

/* The state of one set of gates: a limiter has one for requests without a key,
** and one per key. */
typedef struct weir_instance_record {
  weir_entry entry;     /* owner: limiter; tickets: live ones in any state */
  weir_rate_state rate; /* of the limiter's meter */
  uint64_t in_use;      /* permits held or granted */
  uint32_t queue;       /* index; 0: nobody waits */
  uint32_t holders;     /* the first ticket that is HELD; 0: none */
  uint32_t control;     /* index; 0: none */
  uint32_t admitted;    /* decisions; stops at the most */
  uint32_t refused;     /* decisions; stops at the most */
  weir_spoke spoke;     /* of a key: its place in the limiter's wheel */
  char label[WEIR_LABEL_MAX + 1]; /* see weir_key_info */
} weir_instance_record;

/* With its part of a bucket in the index a key is */
_Static_assert(sizeof(weir_instance_record) +
                       sizeof(weir_bucket) / WEIR_INDEX_LOAD <=
                   128,
               "at most 128 bytes");

/* Who waits for an instance; there is one as long as somebody does. FIFO and
** LIFO queues are a list of tickets, the others have lanes of tickets. */
typedef struct weir_queue_record {
  weir_record record;
  uint32_t instance;   /* index */
  uint32_t waiting;    /* tickets */
  uint64_t demand;     /* their costs */
  weir_list tickets;   /* FIFO, LIFO: in order of arrival */
  uint32_t first_lane; /* PRIORITY: highest first; FAIR: in order of turns */
  uint32_t last_lane;
  uint32_t lanes;   /* how many */
  uint32_t armed;   /* the ticket whose place in its port's deadlines is
                          when the rate will let it go; 0: none */
  uint32_t quantum; /* FAIR: what a turn is worth: the largest cost so far */
  uint8_t order;    /* weir_order */
} weir_queue_record;

/* The waiters of one priority or one flow; there is one as long as there is
** one. */
typedef struct weir_lane_record {
  weir_entry entry;  /* owner: queue; tickets: in the list; hash of the flow */
  uint32_t next;     /* lane of the same queue; 0: the last */
  uint32_t prev;     /* 0: the first */
  weir_list tickets; /* in order of arrival */
  uint64_t demand;   /* their costs */
  uint64_t deficit;  /* FAIR: permits it may still take in this turn */
  int32_t priority;
} weir_lane_record;

/* What only some limiters measure of an instance. */
typedef struct weir_control_record {
  weir_record record;
  weir_codel codel;
  weir_pace pace;
  weir_tuner tuner;
  uint8_t algorithm; /* weir_algorithm that `tuner` is of */
} weir_control_record;

/* What is asked for, how often it was, and the counts people read. */
typedef struct weir_limiter_record {
  weir_record record;
  uint64_t in_use;                 /* permits, of all instances */
  uint64_t admitted;               /* decisions */
  uint32_t tickets;                /* live, of all instances */
  uint32_t waiting;                /* tickets in queues */
  uint32_t riding;                 /* tickets that are `free`, and held */
  uint32_t keys;                   /* instances with a key */
  uint64_t held_ns;                /* shared: what a permit that others wait
                                      for is held, in the mean */
  weir_list drains;                /* tickets that wait for the end of all */
  uint32_t refs;                   /* opens not yet dropped */
  bool closed;                     /* takes no newcomers */
  bool plain;                      /* permits are all that it limits */
  bool timed;                      /* its decisions depend on the time */
  bool refusing;                   /* who waits for it is being refused */
  uint64_t dropped;                /* releases with WEIR_DROPPED */
  uint64_t unused;                 /* releases with WEIR_UNUSED */
  uint32_t instance;               /* index: for requests without a key */
  uint32_t most;                   /* what a request may cost at all */
  weir_config config;              /* `adaptive` is complete */
  weir_meter meter;                /* of config.rate */
  uint64_t metered;                /* when the rate came, on the space's clock:
                                      who was there already took no tokens; 0:
                                      nobody was */
  uint64_t changes;                /* times it was configured */
  weir_meter former;               /* the meter before, while keys are being
                                      taken over to the new one */
  uint32_t moving;                 /* the next of them; 0: none */
  weir_wheel idle;                 /* keys without a ticket, by when their rate
                                      will have recovered, or before that */
  char name[WEIR_NAME_MAX + 1];    /* "": nameless */
  uint64_t refused[WEIR_VERDICTS]; /* decisions, by verdict */
  uint64_t would[WEIR_VERDICTS];   /* decisions of a dry run */
  weir_histogram waits;            /* of the admitted */
} weir_limiter_record;

/* One attached user, as others see it. */
typedef struct weir_port_record {
  weir_record record;
  weir_list ready;     /* decided tickets, in order of decision */
  uint32_t waiting;    /* tickets that wait for a limiter */
  uint32_t turn_of;    /* the instance of `turn` */
  uint64_t turn;       /* handle of the ticket that was taken last, with which
                          the host may not have begun yet; 0: it has */
  uint32_t seat;       /* of its process; 0: the space is not shared */
  uint32_t rung;       /* its host was rung for, and has not come yet */
  weir_heap deadlines; /* of its tickets that wait or were decided and not yet
                          taken: their own, or when a rate lets them go */
} weir_port_record;

/* What a space has besides its records. */
typedef struct weir_root {
  weir_clock clock;   /* only grows: nothing is noted of it */
  uint64_t seed[2];   /* of all hashes */
  uint64_t bytes;     /* of a shared space's budget that are used */
  uint64_t patrol_at; /* ns: when to see next whether all are alive */
  uint32_t growths;   /* how often an array has grown */
  uint32_t noted;     /* bytes of notes there are; see journal.h */
  uint32_t damaged;   /* garbage was met: nobody may use it any more */
  uint32_t arrivals;  /* the newest waiter's arrival number */
  uint32_t decisions; /* the newest decision's number */
  weir_slab_head tickets;
  weir_slab_head instances;
  weir_slab_head queues;
  weir_slab_head lanes;
  weir_slab_head controls;
  weir_slab_head limiters;
  weir_slab_head ports;
  weir_index_head keys;
  weir_index_head flows;
  weir_heaps_head heaps;
} weir_root;

struct weir_space {
  weir_memory memory;
  weir_root *root;
  weir_slab tickets;
  weir_slab instances;
  weir_slab queues;
  weir_slab lanes;
  weir_slab controls;
  weir_slab limiters;
  weir_slab ports;
  weir_index keys;  /* of instances */
  weir_index flows; /* of lanes */
  weir_heaps heaps;
  weir_root own; /* of a space of one's own */
};

/* weir_ticket_at(space, index) and its like: the record at an index, to look
** at; weir_ticket_edit: to change, as it is noted what was there;
** weir_ticket_fresh: to fill, for it has just been taken. */
#define WEIR_RECORD_AT(type, slab)                                             \
  static inline weir_##type##_record *weir_##type##_fresh(                     \
      const weir_space *space, uint32_t index) {                               \
    if (WEIR_SELDOM(space->memory.commons) &&                                  \
        index >= space->slab.array.limit)                                      \
      weir_lost(space->memory.commons);                                        \
    return (weir_##type##_record *)(void *)space->slab.array.base + index;     \
  }                                                                            \
  static inline const weir_##type##_record *weir_##type##_at(                  \
      const weir_space *space, uint32_t index) {                               \
    return weir_##type##_fresh(space, index);                                  \
  }                                                                            \
  static inline weir_##type##_record *weir_##type##_edit(                      \
      const weir_space *space, uint32_t index) {                               \
    weir_##type##_record *record =                                             \
        (weir_##type##_record *)(void *)space->slab.array.base + index;        \
    if (WEIR_SELDOM(space->memory.commons)) {                                  \
      record = weir_##type##_fresh(space, index);                              \
      weir_note(space->memory.commons, record, WEIR_KEPT_##type);              \
    }                                                                          \
    return record;                                                             \
  }
/* Of a limiter and a port, what changes often; whoever changes the rest of them
** has to weir_keep it. */
#define WEIR_KEPT_ticket sizeof(weir_ticket_record)
#define WEIR_KEPT_instance sizeof(weir_instance_record)
#define WEIR_KEPT_queue sizeof(weir_queue_record)
#define WEIR_KEPT_lane sizeof(weir_lane_record)
#define WEIR_KEPT_control sizeof(weir_control_record)
#define WEIR_KEPT_limiter offsetof(weir_limiter_record, dropped)
#define WEIR_KEPT_port offsetof(weir_port_record, seat)
WEIR_RECORD_AT(ticket, tickets)
WEIR_RECORD_AT(instance, instances)
WEIR_RECORD_AT(queue, queues)
WEIR_RECORD_AT(lane, lanes)
WEIR_RECORD_AT(control, controls)
WEIR_RECORD_AT(limiter, limiters)
WEIR_RECORD_AT(port, ports)
#undef WEIR_RECORD_AT

static inline const weir_limiter_record *
weir_limiter_of(const weir_space *space, const weir_instance_record *instance) {
  return weir_limiter_at(space, instance->entry.owner);
}

/* The end of a step: the records agree with one another. */
static inline void weir_step(const weir_space *space) {
  if (WEIR_SELDOM(space->memory.commons)) weir_commit(space->memory.commons);
}

/* Has the host of another's port woken when the call is done. */
void weir_ring_port(const weir_space *space, uint32_t port);

static inline void weir_ring(const weir_space *space, uint32_t port) {
  if (WEIR_SELDOM(space->memory.commons)) weir_ring_port(space, port);
}

/* Counts the steps along a list that damaged memory may have made a circle, of
** records of this slab; it begins with no less than there can be, a number that
** is not from that memory. */
static inline void weir_along(const weir_slab *slab, uint32_t *left) {
  if (!(*left)--) weir_lost(slab->array.memory->commons);
}

/* Whether an arrival or a decision was before another one, by number. */
static inline bool weir_came_before(uint32_t a, uint32_t b) {
  return (int32_t)(a - b) < 0;
}

/* Time spent from `then` to `now`; a clock that went back counts as none. */
static inline uint64_t weir_elapsed(uint64_t then, uint64_t now) {
  return now > then ? now - then : 0;
}

#endif
