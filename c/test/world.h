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

weir_quota world_quota(const world *w, weir_request request);

/* What is known of a key; NULL: of the limiter's own queue. */
weir_key_info world_key(const world *w, const void *key, uint32_t size);

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

/* It is due exactly at `at`: one ns before nothing happens, and then it is
** admitted and nobody else. Moves time there. */
void world_due(check_place place, world *w, weir_ticket ticket, uint64_t at);

#define REQUEST(...) ((weir_request){ __VA_ARGS__ })

/* A request's key or flow, of a string literal. */
#define KEY(text) .key = (text), .key_size = sizeof(text) - 1
#define FLOW(text) .flow = (text), .flow_size = sizeof(text) - 1

/* HOLD, WAIT, WAIT_UNTIL answer the ticket that was admitted or queued. */
#define HOLD(w, n) world_acquire(HERE, w, REQUEST(.cost = (n)), WEIR_ADMITTED)
#define WAIT(w, n) world_acquire(HERE, w, REQUEST(.cost = (n)), WEIR_WAITING)
#define WAIT_UNTIL(w, n, at)                                                   \
  world_acquire(HERE, w, REQUEST(.cost = (n), .deadline = (at)), WEIR_WAITING)
#define REFUSED(w, n, verdict)                                                 \
  world_acquire(HERE, w, REQUEST(.cost = (n)), verdict)
#define TRY(w, n, verdict)                                                     \
  world_acquire(HERE, w, REQUEST(.cost = (n), .try_only = true), verdict)
#define ASK(w, verdict, ...)                                                   \
  world_acquire(HERE, w, REQUEST(__VA_ARGS__), verdict)
#define DRAIN(w, at, verdict)                                                  \
  world_drain(HERE, w, REQUEST(.deadline = (at)), verdict)
#define PARK(w, at) world_park(HERE, w, at)

#define RELEASE_AS(w, ticket, outcome)                                         \
  CHECK_EQ(weir_release((w)->port, ticket, outcome, (w)->now), 0)
#define RELEASE(w, ticket) RELEASE_AS(w, ticket, WEIR_DONE)
#define CANCEL(w, ticket) CHECK_EQ(weir_cancel((w)->port, ticket, (w)->now), 0)

/* The next event is this ticket's, with this verdict; there is none. */
#define NEXT(w, ticket, verdict) world_next(HERE, w, ticket, verdict)
#define QUIET(w) world_quiet(HERE, w)
#define DUE(w, ticket, at) world_due(HERE, w, ticket, at)

#define COUNTS(w, in_use, waiting) world_counts(HERE, w, in_use, waiting)
#define SAME(got, wanted) world_same(HERE, got, wanted)

/* Changes what the limit is, or all of the configuration. */
void world_set_limit(world *w, uint32_t concurrent);
void world_set(world *w, weir_config config);

/* The configuration, to be changed and set. */
weir_config world_config(const world *w);

/* Moves time to `now` and expires what is due; answers the next deadline. */
uint64_t world_advance(world *w, uint64_t now);

#endif
