/*
** codel.h - what a queue says about itself: whether it is too long (CoDel), and
** how fast it goes.
**
** Pure functions of their state and the time; all zero is a new state.
*/
#ifndef WEIR_CORE_CODEL_H
#define WEIR_CORE_CODEL_H

#include <weir.h>

enum {
  WEIR_CODEL_TARGET_NS = 5000000,    /* 5 ms */
  WEIR_CODEL_INTERVAL_NS = 100000000 /* 100 ms */
};

/* Controlled delay, after RFC 8289: its names, its rules. The square root is an
** integer one. */
typedef struct weir_codel {
  uint64_t first_above; /* ns: when waits will have been above target for an
                           interval; 0: the last one was not */
  uint64_t drop_next;   /* ns: when to drop again, while dropping */
  uint32_t count;       /* dropped since dropping began */
  uint32_t last_count;  /* `count` when it began */
  bool dropping;
  bool above; /* waits have been above target for an interval */
} weir_codel;

/* To be asked about each waiter that could go now, in turn: true if it is to be
** refused instead, and the next one to be asked about. `waited` is how long it
** has waited; `last`: nobody waits behind it. A target or interval of 0 has the
** default. */
bool weir_codel_drops(weir_codel *codel, const weir_shed *shed, uint64_t waited,
                      bool last, uint64_t t);

/* The queue has become empty: nothing is too long. */
void weir_codel_empty(weir_codel *codel);

/* The pace of a queue: the time from one that goes to the next, averaged over
** the last few (exponentially, one eighth). */
typedef struct weir_pace {
  uint64_t last_ns; /* when the last one went; 0: the queue was empty since */
  uint64_t step_ns; /* average */
  uint32_t steps;   /* that were measured, up to a few */
} weir_pace;

/* `count` permits' worth went at `t`. */
void weir_pace_note(weir_pace *pace, uint32_t count, uint64_t t);

/* The queue has become empty: the time until it is used again says nothing. */
void weir_pace_empty(weir_pace *pace);

/* How long `count` permits' worth will take to go, ns; 0 while too little was
** measured to say; at most NEVER - 1. */
uint64_t weir_pace_wait(const weir_pace *pace, uint64_t count);

#endif
