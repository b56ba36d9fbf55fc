/*
** weir.h - hold calls back and let a steady stream over: the engine's C API.
**
** PURPOSE
**   Limiters that queue. A request asks a limiter for permits; it is admitted,
**   told to wait, or refused. A permit that comes back goes to the head of the
**   queue, never to a newcomer.
**
** USE
**   The engine is a state machine without a clock, a loop or callbacks. The
**   program that drives it, the host, brings the time and asks what happened:
**
**     weir_space *space = weir_space_new(NULL);
**     weir_port *port = weir_port_attach(space);
**     weir_config config = WEIR_CONFIG_INIT;
**     config.concurrent = 3;
**     weir_limiter backend;
**     weir_limiter_open(space, "backend", &config, now, &backend);
**
**     weir_request request = { .cookie = (uintptr_t)job };
**     weir_ticket ticket;
**     switch (weir_acquire(port, backend, &request, now, &ticket)) {
**     case WEIR_ADMITTED: start(job, ticket); break;
**     case WEIR_WAITING: break;                   // an event will tell
**     default: refuse(job);
**     }
**     ...
**     weir_release(port, ticket, WEIR_DONE, now); // marks the next one ready
**
**     // once a turn of the host's loop:
**     uint64_t wake_at = weir_advance(port, now);
**     weir_event event;
**     while (weir_next(port, &event)) resume(event.cookie, event.verdict);
**
**   No function calls back into its caller, so there is no re-entrancy: a
**   release only marks who goes next; the host resumes them when it likes.
**
** OWNERSHIP
**   A space owns all memory of its limiters and tickets, a port that of its
**   deadlines. Limiters and tickets are named by handles: an index and a
**   generation. A handle whose generation has passed is answered with
**   WEIR_E_STALE and changes nothing; it never reaches another's record.
**
** TIME
**   Every `now` and `deadline` is in nanoseconds of any monotonic clock; one
**   space uses one clock. Going backwards is harmless: waits count as zero.
**
** THREADS AND PROCESSES
**   A local space and its ports belong to one thread at a time.
**
** FAILURES
**   Verdicts are zero or positive and part of normal work; errors are negative
**   and mean that the call was wrong or memory ran out. A call that answers an
**   error, or WEIR_EXHAUSTED, has changed nothing but a counter.
*/
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0
#define WEIR_VERSION "0.1.0"

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

/* What became of a request; the one vocabulary of C, Lua and metrics. */
typedef enum weir_verdict {
  WEIR_ADMITTED, /* holds its permits; give them back with weir_release */
  WEIR_WAITING,  /* in the queue; weir_next will tell */
  WEIR_FULL,     /* would have to wait and may not: the queue's bound, a try */
  WEIR_TIMEOUT,  /* the deadline came first */
  WEIR_CLOSED,   /* the limiter takes no more requests */
  WEIR_CANCELED, /* withdrawn by its owner */
  WEIR_IMPOSSIBLE, /* asks for more than the limit can ever give */
  WEIR_DOOMED,     /* cannot be admitted before its deadline */
  WEIR_EXHAUSTED,  /* the space has no room for another ticket */
  WEIR_VERDICTS    /* how many verdicts there are */
} weir_verdict;

/* Why a call was wrong. */
typedef enum weir_error {
  WEIR_E_STALE = -1,  /* the handle names nothing that is still there */
  WEIR_E_STATE = -2,  /* the ticket is not in a state for this call */
  WEIR_E_CONFIG = -3, /* a config or request value is outside its range */
  WEIR_E_MEMORY = -4  /* the allocator answered NULL */
} weir_error;

/* How the work under a permit went. */
typedef enum weir_outcome {
  WEIR_DONE,   /* as it should */
  WEIR_DROPPED /* failed, or abandoned */
} weir_outcome;

#define WEIR_NEVER UINT64_MAX     /* a deadline that does not come */
#define WEIR_UNBOUNDED UINT32_MAX /* a queue without a bound */
#define WEIR_PERMITS_MAX 2147483647u
#define WEIR_NAME_MAX 63 /* bytes of a limiter's name */

typedef struct weir_space weir_space;
typedef struct weir_port weir_port;
typedef uint64_t weir_limiter; /* a handle; 0 is nobody's */
typedef uint64_t weir_ticket;  /* a handle; 0 is nobody's */

/*
** Where a space's memory comes from. `resize` behaves as realloc: `block` NULL
** asks for a new block, `size` 0 frees and answers NULL; on failure it answers
** NULL and the old block stays. `old_size` is the size asked for before.
*/
typedef struct weir_allocator {
  void *(*resize)(void *data, void *block, size_t old_size, size_t size);
  void *data;
} weir_allocator;

/* A limiter's configuration; state is kept elsewhere. */
typedef struct weir_config {
  uint32_t concurrent; /* permits, 1 to WEIR_PERMITS_MAX */
  uint32_t queue;      /* how many may wait, 0 to WEIR_UNBOUNDED */
  uint64_t timeout_ns; /* how long a request waits unless it says; or NEVER */
} weir_config;

#define WEIR_CONFIG_INIT                                                       \
  { 1, WEIR_UNBOUNDED, WEIR_NEVER }

/* One request; all zero is a request for one permit, waiting as configured. */
typedef struct weir_request {
  uint64_t cookie;   /* the host's own; comes back in the event */
  uint64_t deadline; /* ns; 0: now + the limiter's timeout; or WEIR_NEVER */
  uint32_t cost;     /* permits, up to WEIR_PERMITS_MAX; 0 counts as 1 */
  bool try_only;     /* do not wait: WEIR_FULL instead of WEIR_WAITING */
} weir_request;

/* A decided waiter. */
typedef struct weir_event {
  weir_ticket ticket; /* held if ADMITTED by a limiter, stale otherwise */
  uint64_t cookie;
  uint64_t waited_ns;   /* from arrival to decision */
  weir_limiter limiter; /* 0 for a parked ticket */
  uint32_t cost;        /* permits asked for; 0 for a parked one or a drain */
  weir_verdict verdict;
} weir_event;

/* --- spaces and ports ---------------------------------------------------- */

/* A new local space; NULL allocator: the C library's. NULL: no memory. */
WEIR_API weir_space *weir_space_new(const weir_allocator *allocator);

/* Frees the space with all it holds. Its ports must be detached first. */
WEIR_API void weir_space_free(weir_space *space);

/* Attaches one user of the space: a Lua state, a worker. NULL: no memory, or
** 65,535 ports are attached. */
WEIR_API weir_port *weir_port_attach(weir_space *space);

/* Withdraws what the port waits for, gives back what it holds (as DROPPED),
** frees it. */
WEIR_API void weir_port_detach(weir_port *port, uint64_t now);

WEIR_API weir_space *weir_port_space(const weir_port *port);

/* A descriptor that is readable when another process decided one of this
** port's tickets; -1 where that cannot happen, as in a local space. */
WEIR_API int weir_fd(const weir_port *port);

/* --- limiters ------------------------------------------------------------ */

/*
** Opens a limiter. `name` NULL or "": a new one. Otherwise the limiter of that
** name, made if need be; an existing one takes the new config, as by set at
** time `now`. A closed limiter has lost its name: opening it makes a new one.
** Each open wants one weir_limiter_drop.
** 0, WEIR_E_CONFIG (a value out of range, a name too long), WEIR_E_MEMORY.
*/
WEIR_API int weir_limiter_open(weir_space *space, const char *name,
                               const weir_config *config, uint64_t now,
                               weir_limiter *out);

/*
** Changes a limiter while it is used. Raising the limit admits as many as now
** fit; lowering it takes nothing away and admits nobody until enough came
** back. Waiters that can never be admitted any more are refused (IMPOSSIBLE)
** when they reach the head. 0, WEIR_E_STALE, WEIR_E_CONFIG.
*/
WEIR_API int weir_limiter_set(weir_space *space, weir_limiter limiter,
                              const weir_config *config, uint64_t now);

WEIR_API int weir_limiter_config(const weir_space *space, weir_limiter limiter,
                                 weir_config *out);

/* Refuses all who wait and all who come (CLOSED); holders keep their permits
** and release as usual. 0, also when closed before; WEIR_E_STALE. */
WEIR_API int weir_limiter_close(weir_space *space, weir_limiter limiter,
                                uint64_t now);

/* Gives one open's handle up. The record goes when the last one did and no
** ticket of it is left; until then the handle stays good. 0, WEIR_E_STALE. */
WEIR_API int weir_limiter_drop(weir_space *space, weir_limiter limiter);

/* Whether this limiter's decisions depend on the time: if not, a `now` that is
** as old as the host's last turn only blurs its statistics. */
WEIR_API bool weir_limiter_timed(const weir_space *space, weir_limiter limiter);

/* --- requests ------------------------------------------------------------ */

/*
** Asks for permits. ADMITTED: *out is held. WAITING: *out is in the queue and
** an event will come. Every other verdict is a refusal, *out is 0. With others
** in the queue a newcomer waits behind them even if it would fit. A deadline
** that has passed matters only to a request that would have to wait: TIMEOUT,
** or FULL if it might not wait anyway.
** WEIR_E_STALE: no such limiter; WEIR_E_CONFIG: the cost is out of range.
*/
WEIR_API int weir_acquire(weir_port *port, weir_limiter limiter,
                          const weir_request *request, uint64_t now,
                          weir_ticket *out);

/* What weir_acquire would answer now, if there is memory for a ticket; changes
** and counts nothing. */
WEIR_API int weir_peek(const weir_port *port, weir_limiter limiter,
                       const weir_request *request, uint64_t now);

/* Changes the cookie a ticket was made with. 0, WEIR_E_STALE. */
WEIR_API int weir_set_cookie(weir_port *port, weir_ticket ticket,
                             uint64_t cookie);

/* Gives a held ticket's permits back and marks ready whoever can now go.
** 0; WEIR_E_STALE (released before, or another port's), WEIR_E_STATE (not
** held): no change. */
WEIR_API int weir_release(weir_port *port, weir_ticket ticket,
                          weir_outcome outcome, uint64_t now);

/* Withdraws a ticket whose event was not taken yet: it leaves the queue, or
** gives back what it was granted this instant; whoever can now go is marked
** ready. No event will come for it. 0; WEIR_E_STALE; WEIR_E_STATE (held). */
WEIR_API int weir_cancel(weir_port *port, weir_ticket ticket, uint64_t now);

/*
** Refuses newcomers (CLOSED) and waits until the queue is empty and everything
** is given back. As weir_acquire, for a ticket that holds nothing and is in no
** statistics: ADMITTED (*out is 0) when idle already, WAITING, FULL, TIMEOUT;
** or EXHAUSTED, and the limiter is not closed then. `request` may carry a
** cookie, a deadline (0: none) and try_only.
*/
WEIR_API int weir_drain(weir_port *port, weir_limiter limiter,
                        const weir_request *request, uint64_t now,
                        weir_ticket *out);

/*
** A ticket without a limiter: the host's own waits (sleeping, a descriptor,
** another task) pass through the same deadlines, events and cancelling.
** WAITING until weir_wake (event ADMITTED) or its deadline (event TIMEOUT; 0:
** none); EXHAUSTED. `cost` and `try_only` mean nothing here, and parked tickets
** do not measure their wait.
*/
WEIR_API int weir_park(weir_port *port, const weir_request *request,
                       weir_ticket *out);

/* Decides a parked ticket. 0; WEIR_E_STALE; WEIR_E_STATE (not a parked one,
** or decided before). */
WEIR_API int weir_wake(weir_port *port, weir_ticket ticket);

/* --- a host's turn ------------------------------------------------------- */

/* Expires what is due, by deadline and then by arrival; answers the next
** deadline, or WEIR_NEVER. Nothing else expires anything: whoever was granted
** before this call is granted. */
WEIR_API uint64_t weir_advance(weir_port *port, uint64_t now);

/* The next deadline, without expiring anything. Never too late; too early
** while its ticket is decided and not taken yet. */
WEIR_API uint64_t weir_deadline(const weir_port *port);

/* Whether weir_next has something to give: the host's cue to take a turn. */
WEIR_API bool weir_pending(const weir_port *port);

/* Takes the longest decided waiter; false: nobody is left. */
WEIR_API bool weir_next(weir_port *port, weir_event *out);

/* Takes one particular waiter out of turn. 1: *out is its event; 0: still
** waiting; WEIR_E_STALE; WEIR_E_STATE (held: its event was taken before). */
WEIR_API int weir_claim(weir_port *port, weir_ticket ticket, weir_event *out);

/* --- looking ------------------------------------------------------------- */

/* Waits of all admitted, also of those who were at once; nearest-rank
** percentiles within 3.2 % up to 75 hours, max exact; ns. */
typedef struct weir_wait_stats {
  uint64_t p50, p90, p99, max;
} weir_wait_stats;

typedef struct weir_stats {
  uint32_t limit;                  /* permits */
  uint32_t in_use;                 /* permits held or granted */
  uint32_t waiting;                /* tickets in the queue */
  uint64_t admitted;               /* since the limiter was made */
  uint64_t dropped;                /* releases with WEIR_DROPPED */
  uint64_t refused[WEIR_VERDICTS]; /* by verdict; a request counts once, by
                                       its first decision: CANCELED is one
                                       withdrawn while it was in the queue */
  weir_wait_stats wait;
  bool closed;
} weir_stats;

WEIR_API int weir_limiter_stats(const weir_space *space, weir_limiter limiter,
                                weir_stats *out);

/* Of a ticket. */
typedef enum weir_state {
  WEIR_FREE,
  WEIR_QUEUED, /* waits for its limiter or, parked, for weir_wake */
  WEIR_READY,  /* decided; its event is not taken yet */
  WEIR_HELD
} weir_state;

typedef struct weir_ticket_info {
  weir_ticket ticket;
  weir_limiter limiter; /* 0: parked */
  uint64_t cookie;
  uint64_t since; /* ns: arrival while queued, then decision; 0 if parked */
  uint32_t cost;
  weir_state state;
} weir_ticket_info;

/* 0 and *out; WEIR_E_STALE. */
WEIR_API int weir_ticket_inspect(const weir_port *port, weir_ticket ticket,
                                 weir_ticket_info *out);

/* Walks all live tickets of the port: start with *cursor = 0; false: no more.
** Reads every record; for reports, not for hot paths. */
WEIR_API bool weir_ticket_walk(const weir_port *port, uint32_t *cursor,
                               weir_ticket_info *out);

/* "admitted", "full", ...; a static string, never NULL. */
WEIR_API const char *weir_verdict_name(int verdict);

/* One English sentence about a negative answer; static, never NULL. */
WEIR_API const char *weir_error_text(int error);

/* Which config value is wrong, as a static sentence; NULL: none. */
WEIR_API const char *weir_config_check(const weir_config *config);

#ifdef __cplusplus
}
#endif
#endif
