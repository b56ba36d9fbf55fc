/*
** rig.h - a port on a libevent loop, and what its turns saw.
**
** The clock is the real one: use RIG_MS for waits that shall come and RIG_HOUR
** for those that shall not.
*/
#ifndef WEIR_TEST_RIG_H
#define WEIR_TEST_RIG_H

#include <event2/event.h>
#include <weir_event.h>

#include "check.h"

#define RIG_MS 1000000ull         /* ns */
#define RIG_HOUR 3600000000000ull /* ns */

enum {
  RIG_EVENTS = 64,  /* that a rig remembers */
  RIG_ENOUGH = 1000 /* turns of a base, for whatever must come */
};

typedef struct rig {
  weir_space *space;
  weir_port *port;
  weir_limiter limiter;    /* of one permit */
  struct event_base *base; /* given, freed by rig_close; NULL: the loop's own */
  weir_loop *loop;
  int turns;                    /* how often the turn was called */
  int got;                      /* events taken in turns */
  weir_event event[RIG_EVENTS]; /* those */
  uint64_t when[RIG_EVENTS];    /* ns: when each was taken */
  int kicks;                    /* how many turns more ask for another one */
  int break_at;                 /* the turn that breaks the loop; 0: none */
  bool asleep;                  /* turns take nothing */
  bool calling;                 /* a call goes on in which no turn may come */
} rig;

void rig_open(rig *r, struct event_base *base);
void rig_close(rig *r);

/* A ticket that waits for a wake, or until `ns` from now; 0: for ever. */
weir_ticket rig_park(rig *r, uint64_t ns);

/* Asks the limiter for its permit; checks the verdict. */
weir_ticket rig_acquire(rig *r, weir_verdict verdict);

/* Gives it back and tells the loop; checks that no turn comes meanwhile. */
void rig_release(rig *r, weir_ticket ticket);
void rig_touch(rig *r);

/* Runs the base until `got` events were taken; false: they do not come. */
bool rig_run_until(rig *r, int got);

/* Event `i` was this ticket's, and this is what was decided. */
void rig_saw(check_place place, const rig *r, int i, weir_ticket ticket,
             weir_verdict verdict);
#define SAW(r, i, ticket, verdict) rig_saw(HERE, r, i, ticket, verdict)

/* The base has nothing to wait for. */
#define NOTHING_LEFT(r) CHECK_EQ(weir_loop_once((r)->loop, false), 0)

/* The two ends of a connection. */
void rig_pair(int ends[2]);
void rig_unpair(const int ends[2]);

#endif
