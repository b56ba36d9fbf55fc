/*
** world.h - one space with one port and one limiter, and short words for what
** tests do with them. Time stands still unless a test moves `now`.
**
** The capital words check what they say and report the caller's line.
*/
#ifndef WEIR_TEST_WORLD_H
#define WEIR_TEST_WORLD_H

#include <weir.h>

#include "check.h"
#include "ledger.h"

typedef struct world {
  ledger memory;
  weir_space *space;
  weir_port *port;      /* who acts */
  weir_port *other;     /* who does not; NULL: not attached */
  weir_limiter limiter; /* what it acts on; a test may change it */
  uint64_t now;         /* ns */
} world;

enum { WORLD_START = 1000 }; /* ns; `now` of a new world */

void world_open(world *w, uint32_t concurrent);
void world_open_with(world *w, weir_config config);

/* Detaches the ports and frees the space; checks that all memory came back. */
void world_close(world *w);

/* The other port acts from now on; it is attached if it was not. */
void world_swap(world *w);

/* The port that acts is detached, and the other acts from now on. */
void world_leave(world *w);

weir_stats world_stats(const world *w);

/* Checks that two stats are the same in every field. */
bool world_same(check_place place, const weir_stats *got,
                const weir_stats *wanted);

/* Acquires, after a peek that must foresee it; answers the ticket. */
weir_ticket world_acquire(check_place place, world *w, weir_request request,
                          int verdict);
weir_ticket world_drain(check_place place, world *w, weir_request request,
                        int verdict);
weir_ticket world_park(check_place place, world *w, uint64_t deadline);
void world_next(check_place place, world *w, weir_ticket ticket,
                weir_verdict verdict);
void world_quiet(check_place place, world *w);
void world_counts(check_place place, world *w, uint32_t in_use,
                  uint32_t waiting);

#define REQUEST(...) ((weir_request){ __VA_ARGS__ })

/* HOLD, WAIT, WAIT_UNTIL answer the ticket that was admitted or queued. */
#define HOLD(w, n) world_acquire(HERE, w, REQUEST(.cost = (n)), WEIR_ADMITTED)
#define WAIT(w, n) world_acquire(HERE, w, REQUEST(.cost = (n)), WEIR_WAITING)
#define WAIT_UNTIL(w, n, at)                                                   \
  world_acquire(HERE, w, REQUEST(.cost = (n), .deadline = (at)), WEIR_WAITING)
#define REFUSED(w, n, verdict)                                                 \
  world_acquire(HERE, w, REQUEST(.cost = (n)), verdict)
#define TRY(w, n, verdict)                                                     \
  world_acquire(HERE, w, REQUEST(.cost = (n), .try_only = true), verdict)
#define DRAIN(w, at, verdict)                                                  \
  world_drain(HERE, w, REQUEST(.deadline = (at)), verdict)
#define PARK(w, at) world_park(HERE, w, at)

#define RELEASE(w, ticket)                                                     \
  CHECK_EQ(weir_release((w)->port, ticket, WEIR_DONE, (w)->now), 0)
#define CANCEL(w, ticket) CHECK_EQ(weir_cancel((w)->port, ticket, (w)->now), 0)

/* The next event is this ticket's, with this verdict; there is none. */
#define NEXT(w, ticket, verdict) world_next(HERE, w, ticket, verdict)
#define QUIET(w) world_quiet(HERE, w)

#define COUNTS(w, in_use, waiting) world_counts(HERE, w, in_use, waiting)
#define SAME(got, wanted) world_same(HERE, got, wanted)

/* Changes what the limit is. */
void world_set_limit(world *w, uint32_t concurrent);

/* Moves time to `now` and expires what is due; answers the next deadline. */
uint64_t world_advance(world *w, uint64_t now);

#endif
