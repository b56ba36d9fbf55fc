/*
** weir_event.h - the libevent host: drives a port from an event_base.
**
** PURPOSE
**   Gives a port what a host owes it: the time, one timer for all deadlines,
**   and one turn for all who were decided. Descriptors and names can be waited
**   for through the same tickets.
**
** USE
**   static void turn(void *data) {
**     weir_event event;
**     while (weir_next(port, &event)) resume(event.cookie, event.verdict);
**   }
**   weir_loop *loop = weir_loop_new(port, base, turn, NULL);
**   ... weir_acquire(port, limiter, &request, weir_loop_now(), &ticket);
**   weir_loop_touch(loop);
**   event_base_dispatch(base);
**
** OWNERSHIP
**   The loop owns its base only if it made it (base NULL). Free the loop before
**   the port, and watches and lookups before the loop.
**
** PROCESS RULE
**   One thread at a time. After a call of weir.h made outside `turn`, call
**   weir_loop_touch: the loop cannot know otherwise. Nobody is resumed inside
**   touch; `turn` is only called from the base's own loop.
*/
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;

typedef struct weir_loop weir_loop;
typedef struct weir_watch weir_watch;
typedef struct weir_lookup weir_lookup;

/* Called at most once a turn of the base; must not throw or longjmp. */
typedef void weir_loop_turn_fn(void *data);

/* base NULL: one of its own, with precise timers. NULL: no memory. */
WEIR_API weir_loop *weir_loop_new(weir_port *port, struct event_base *base,
                                  weir_loop_turn_fn *turn, void *data);

WEIR_API void weir_loop_free(weir_loop *loop);

WEIR_API struct event_base *weir_loop_base(const weir_loop *loop);

/* CLOCK_MONOTONIC in ns: the clock of a port driven by this host. */
WEIR_API uint64_t weir_loop_now(void);

/* Looks at the port again: rearms the timer, asks for a turn if one is due. */
WEIR_API void weir_loop_touch(weir_loop *loop);

/* Asks for a turn, due or not. */
WEIR_API void weir_loop_kick(weir_loop *loop);

/* Runs the base once, waiting for an event if `block`. 1: something may have
** happened; 0: there is nothing left to wait for; -1: the base failed. */
WEIR_API int weir_loop_once(weir_loop *loop, bool block);

/* Makes weir_loop_once return soon; safe in a turn. */
WEIR_API void weir_loop_break(weir_loop *loop);

/*
** Wakes a parked ticket of the port (weir_wake) as soon as `fd` can be read,
** or written if `write`. The watch is the caller's; free it when the ticket
** has been decided, however it was. NULL: no memory, or no such descriptor.
*/
WEIR_API weir_watch *weir_watch_new(weir_loop *loop, int fd, bool write,
                                    weir_ticket ticket);
WEIR_API void weir_watch_free(weir_watch *watch);

/* Wakes every ticket that watches `fd`, as if it were ready: for a host that
** is about to close it. Answers how many. */
WEIR_API int weir_loop_wake_fd(weir_loop *loop, int fd);

/*
** Looks a host name up without blocking, and wakes a parked ticket when the
** answer is there. Free it when the ticket has been decided. NULL: no memory.
*/
WEIR_API weir_lookup *weir_lookup_new(weir_loop *loop, const char *host,
                                      weir_ticket ticket);
WEIR_API void weir_lookup_free(weir_lookup *lookup);

/* The i-th numeric address found, from 0; NULL: no more. Owned by it. */
WEIR_API const char *weir_lookup_address(const weir_lookup *lookup, int i);

/* What went wrong, or NULL. */
WEIR_API const char *weir_lookup_error(const weir_lookup *lookup);

#ifdef __cplusplus
}
#endif
#endif
