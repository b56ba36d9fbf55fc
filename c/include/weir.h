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
**   A local space and its ports belong to one thread at a time. Of a space that
**   processes share (weir_shared.h) a port does, and the space to all of them.
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
  WEIR_EXHAUSTED,  /* no room for another ticket, or for another active key */
  WEIR_SHED,       /* given up while it waited, to keep the queue short */
  WEIR_VERDICTS    /* how many verdicts there are */
} weir_verdict;

/* Why a call was wrong. */
typedef enum weir_error {
  WEIR_E_STALE = -1,  /* the handle names nothing that is still there */
  WEIR_E_STATE = -2,  /* the ticket is not in a state for this call */
  WEIR_E_CONFIG = -3, /* a config or request value is outside its range */
  WEIR_E_MEMORY = -4, /* the allocator answered NULL, or the space is full */
  WEIR_E_FORKED = -5, /* the space is the parent process': open it anew */
  WEIR_E_DAMAGED = -6 /* the memory that processes share is damaged */
} weir_error;

/* How the work under a permit went. */
typedef enum weir_outcome {
  WEIR_DONE,    /* as it should */
  WEIR_DROPPED, /* failed, or abandoned */
  WEIR_UNUSED   /* never began: the tokens of a rate come back as well */
} weir_outcome;

#define WEIR_NEVER UINT64_MAX     /* a deadline that does not come */
#define WEIR_UNBOUNDED UINT32_MAX /* a queue without a bound */
#define WEIR_PERMITS_MAX 2147483647u
#define WEIR_NAME_MAX 63   /* bytes of a limiter's name */
#define WEIR_KEY_MAX 65535 /* bytes of a key or a flow */
#define WEIR_LABEL_MAX 15  /* bytes that are kept of a key, for people */
#define WEIR_KEYS 65536    /* keys a limiter has at most, unless it says */
#define WEIR_PER_MAX ((uint64_t)1 << 60) /* ns of a rate's period, 36 years */
#define WEIR_PRIORITY_MIN (-16)
#define WEIR_PRIORITY_MAX 15
#define WEIR_ALL_MAX 16 /* limiters that one request can ask at once */

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

/* --- configuration -------------------------------------------------------- */

/* How a rate counts. */
typedef enum weir_window {
  WEIR_GCRA,   /* evenly, with a burst: the generic cell rate algorithm of
                  ITU-T I.371, which is a token bucket */
  WEIR_FIXED,  /* `count` in each period */
  WEIR_SLIDING /* `count` in any period, estimated from two: the last one
                  counts for the part of it that is within a period of now */
} weir_window;

/*
** A rate: `count` tokens per `per_ns`. The arithmetic is exact: a token may
** be had in the nanosecond in which it comes, and nothing adds up.
**
** GCRA: a bucket of `burst` tokens that starts full. FIXED and SLIDING: periods
** begin with the first request after the last one, or, `aligned`, at every
** phase_ns + k x per_ns of the space's clock.
*/
typedef struct weir_rate {
  uint64_t per_ns;    /* count (one per ns) to WEIR_PER_MAX */
  uint64_t phase_ns;  /* see above */
  uint32_t count;     /* tokens, 1 to WEIR_PERMITS_MAX; 0: no rate */
  uint32_t burst;     /* tokens, 1 to WEIR_PERMITS_MAX; GCRA only */
  weir_window window; /* GCRA unless it says */
  bool aligned;
} weir_rate;

/* Who goes next. */
typedef enum weir_order {
  WEIR_FIFO,     /* who came first */
  WEIR_LIFO,     /* who came last */
  WEIR_PRIORITY, /* the highest priority, FIFO within it */
  WEIR_FAIR      /* flows in turn (deficit round robin), FIFO within one */
} weir_order;

/* Who is refused (FULL) when the queue's bound is reached. */
typedef enum weir_victim {
  WEIR_NEWEST, /* the newcomer */
  WEIR_OLDEST, /* who waits longest; in FAIR order of the newcomer's own flow,
                  and if that is new, who goes next */
  WEIR_LOWEST  /* the last of the lowest priority, if that is below the
                  newcomer's; else the newcomer */
} weir_victim;

/* What a queue that is too long gives up. */
typedef struct weir_shed {
  uint64_t target_ns;   /* a wait that is short enough; 0: 5 ms */
  uint64_t interval_ns; /* how long waits may be longer; 0: 100 ms */
  weir_victim victim;
  bool codel;  /* refuse (SHED) from the head while waits stay above target:
                  CoDel, RFC 8289 */
  bool lifo;   /* while they do, the newest goes first; with FIFO order */
  bool doomed; /* refuse on arrival (DOOMED) who by the measured pace of the
                  queue cannot be admitted before its deadline */
} weir_shed;

/* How a limit is found; the rules are those of Netflix's concurrency-limits. */
typedef enum weir_algorithm {
  WEIR_STATIC, /* it is `concurrent` */
  WEIR_AIMD,
  WEIR_VEGAS,
  WEIR_GRADIENT2
} weir_algorithm;

/* Of an adaptive limit; a field that is 0 has the default in parentheses. */
typedef struct weir_adaptive {
  double backoff;       /* AIMD: factor after a drop, 0.5 to below 1 (0.9) */
  double smoothing;     /* VEGAS (1), GRADIENT2 (0.2): part of the new value */
  double tolerance;     /* GRADIENT2: 1 or more (1.5) */
  uint64_t timeout_ns;  /* AIMD: a latency above counts as a drop (5 s) */
  uint32_t initial;     /* permits (20) */
  uint32_t min;         /* permits (1) */
  uint32_t max;         /* permits (200; VEGAS: 1000) */
  uint32_t queue;       /* GRADIENT2: permits that may queue (4) */
  uint32_t long_window; /* GRADIENT2: samples of its long average (600) */
  weir_algorithm algorithm;
} weir_adaptive;

/* A limiter's configuration; state is kept elsewhere. It wants one of the
** gates at least: concurrent, rate, adaptive. */
typedef struct weir_config {
  uint32_t concurrent; /* permits, 1 to WEIR_PERMITS_MAX; 0: not limited */
  uint32_t queue;      /* how many may wait for a key, 0 to WEIR_UNBOUNDED */
  uint64_t timeout_ns; /* how long a request waits unless it says; or NEVER */
  weir_rate rate;
  uint64_t aging_ns; /* PRIORITY: a wait that is worth one step up; 0: none */
  weir_shed shed;
  weir_adaptive adaptive; /* `concurrent`, if given, is its upper bound */
  uint32_t keys;          /* that may be active at once; 0: WEIR_KEYS */
  weir_order order;       /* of a queue that is new: those who wait stay put */
  bool pass_exhausted;    /* instead of EXHAUSTED for want of a key: ADMITTED,
                             holding nothing */
  bool dry_run;           /* admit everybody, and count what would have been */
} weir_config;

#define WEIR_CONFIG_INIT                                                       \
  {                                                                            \
    1, WEIR_UNBOUNDED, WEIR_NEVER, { 0, 0, 0, 0, WEIR_GCRA, 0 }, 0,            \
        { 0, 0, WEIR_NEWEST, 0, 0, 0 },                                        \
        { 0, 0, 0, 0, 0, 0, 0, 0, 0, WEIR_STATIC }, 0, WEIR_FIFO, 0, 0         \
  }

/* One request; all zero is a request for one permit, waiting as configured.
** `key` and `flow` are read during the call and not kept. */
typedef struct weir_request {
  uint64_t cookie;    /* the host's own; comes back in the event */
  uint64_t deadline;  /* ns; 0: now + the limiter's timeout; or WEIR_NEVER */
  const void *key;    /* whose permits and tokens; NULL: everybody's */
  const void *flow;   /* FAIR: in whose turn; NULL: one flow for all such */
  uint32_t key_size;  /* bytes, up to WEIR_KEY_MAX; 0 is a key, too */
  uint32_t flow_size; /* bytes, up to WEIR_KEY_MAX */
  uint32_t cost; /* permits and tokens, up to WEIR_PERMITS_MAX; 0 counts as 1 */
  int8_t priority; /* WEIR_PRIORITY_MIN to _MAX; the higher goes first */
  bool try_only;   /* do not wait: WEIR_FULL instead of WEIR_WAITING */
} weir_request;

/* A decided waiter. */
typedef struct weir_event {
  weir_ticket ticket; /* held if ADMITTED by a limiter, stale otherwise */
  uint64_t cookie;
  uint64_t waited_ns;   /* from arrival to decision */
  weir_limiter limiter; /* who decided; 0 for a parked ticket */
  uint32_t cost;        /* permits asked of it; 0 for a parked one or a drain */
  weir_verdict verdict;
} weir_event;

/* --- spaces and ports ---------------------------------------------------- */

/* A new local space; NULL allocator: the C library's. NULL: no memory. */
WEIR_API weir_space *weir_space_new(const weir_allocator *allocator);

/* Sets the seed of the hash that finds keys and flows: 16 random bytes that
** nobody outside knows, so that nobody can choose keys that collide. To be
** called before the first key is used; without it the seed is zero. */
WEIR_API void weir_space_seed(weir_space *space, const void *bytes16);

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
** In a shared space it needs a name.
** Each open wants one weir_limiter_drop.
** 0, WEIR_E_CONFIG (a value out of range, a name too long), WEIR_E_MEMORY.
** weir_config_check says which value it was.
*/
WEIR_API int weir_limiter_open(weir_space *space, const char *name,
                               const weir_config *config, uint64_t now,
                               weir_limiter *out);

/*
** Changes a limiter while it is used. Raising the limit admits as many as now
** fit; lowering it takes nothing away and admits nobody until enough came
** back. Waiters that can never be admitted any more are refused (IMPOSSIBLE)
** when they reach the head. A new rate keeps what was taken from the old one.
** 0, WEIR_E_STALE, WEIR_E_CONFIG; WEIR_E_MEMORY, only where waiters of a
** limiter without a rate come to wait for one: nothing has changed then.
*/
WEIR_API int weir_limiter_set(weir_space *space, weir_limiter limiter,
                              const weir_config *config, uint64_t now);

WEIR_API int weir_limiter_config(const weir_space *space, weir_limiter limiter,
                                 weir_config *out);

/* Refuses all who wait and all who come (CLOSED), of every key; holders keep
** their permits and release as usual. 0, also when closed before;
** WEIR_E_STALE. */
WEIR_API int weir_limiter_close(weir_space *space, weir_limiter limiter,
                                uint64_t now);

/* Gives one open's handle up. The record goes when the last one did and no
** ticket of it is left; until then the handle stays good. In a shared space it
** stays unless it is closed: it is found by its name again. 0; WEIR_E_STALE. */
WEIR_API int weir_limiter_drop(weir_space *space, weir_limiter limiter);

/* Whether this limiter's decisions depend on the time: if not, a `now` that is
** as old as the host's last turn only blurs its statistics. */
WEIR_API bool weir_limiter_timed(const weir_space *space, weir_limiter limiter);

/* --- requests ------------------------------------------------------------ */

/*
** Asks for permits and tokens. ADMITTED: *out is held. WAITING: *out is in the
** queue and an event will come. Every other verdict is a refusal, *out is 0,
** and has taken nothing. A newcomer waits behind all who go before it in the
** limiter's order, even if it would fit. A deadline that has passed matters
** only to a request that would have to wait: TIMEOUT, or FULL if it might not
** wait anyway.
** A key is made with its first request and goes when nobody holds or waits and
** its rate has recovered. IMPOSSIBLE: `cost` is more than the limit or the rate
** can ever give. EXHAUSTED: no memory, or all keys are active.
** WEIR_E_STALE: no such limiter; WEIR_E_CONFIG: a value is out of range.
*/
WEIR_API int weir_acquire(weir_port *port, weir_limiter limiter,
                          const weir_request *request, uint64_t now,
                          weir_ticket *out);

/*
** Asks several limiters at once, in one ticket: admitted when every one can, in
** the same instant, and holding nothing while it waits. It waits in the queue
** of one limiter that can not, in the place its arrival gives it there; when it
** could go there and another can not, it moves on to that one's queue. So it
** cannot block others, nor be part of a deadlock, in whatever order limiters
** are named; where all of them are always taken by others it may wait for long.
** `count` is 1 to WEIR_ALL_MAX; one limiter may be asked for several keys, but
** not twice for the same (WEIR_E_CONFIG). Of the requests, key, flow, priority
** and cost are each limiter's own; cookie, deadline and try_only are the first
** one's, and without a deadline the earliest of the limiters' timeouts counts.
** *decider, if not NULL, is the limiter that refuses or is waited for.
** weir_release, weir_cancel and the others act on all of it.
** Answers as weir_acquire does.
*/
WEIR_API int weir_acquire_all(weir_port *port, const weir_limiter *limiters,
                              const weir_request *requests, uint32_t count,
                              uint64_t now, weir_ticket *out,
                              weir_limiter *decider);

/* What weir_acquire would answer now, if there is memory for it; changes and
** counts nothing. */
WEIR_API int weir_peek(const weir_port *port, weir_limiter limiter,
                       const weir_request *request, uint64_t now);

/* What weir_acquire_all would answer now, likewise. */
WEIR_API int weir_peek_all(const weir_port *port, const weir_limiter *limiters,
                           const weir_request *requests, uint32_t count,
                           uint64_t now);

/* Whether all permits in use of the request's key are held, not waited for, by
** tickets of this port with the request's cookie: then it would wait for its
** own. false if none is in use or the limiter does not count permits. */
WEIR_API bool weir_holds_all(const weir_port *port, weir_limiter limiter,
                             const weir_request *request);

/* Changes the cookie a ticket was made with. 0, WEIR_E_STALE. */
WEIR_API int weir_set_cookie(weir_port *port, weir_ticket ticket,
                             uint64_t cookie);

/* Gives a held ticket's permits back and marks ready whoever can now go.
** 0; WEIR_E_STALE (released before, or another port's), WEIR_E_STATE (not
** held): no change. The time it was held and the outcome are a sample for an
** adaptive limit; an UNUSED one is none. */
WEIR_API int weir_release(weir_port *port, weir_ticket ticket,
                          weir_outcome outcome, uint64_t now);

/* Withdraws a ticket whose event was not taken yet: it leaves the queue, or
** gives back what it was granted this instant; whoever can now go is marked
** ready. No event will come for it. 0; WEIR_E_STALE; WEIR_E_STATE (held). */
WEIR_API int weir_cancel(weir_port *port, weir_ticket ticket, uint64_t now);

/*
** Refuses newcomers (CLOSED) and waits until nobody waits and everything is
** given back, of every key. As weir_acquire, for a ticket that holds nothing
** and is in no statistics: ADMITTED (*out is 0) when idle already, WAITING,
** FULL, TIMEOUT; or EXHAUSTED, and the limiter is not closed then. `request`
** may carry a cookie, a deadline (0: none) and try_only.
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

/* Expires what is due and admits whom a rate allows by now, in order of time
** and then of arrival; answers the next time something is due, or WEIR_NEVER.
** Nothing else expires anything: whoever was granted before this call is
** granted. */
WEIR_API uint64_t weir_advance(weir_port *port, uint64_t now);

/* The next time something is due, without doing anything about it. Never too
** late; too early while its ticket is decided and not taken yet. */
WEIR_API uint64_t weir_deadline(const weir_port *port);

/* How many of the port's tickets wait for limiters, and one more if weir_next
** has something to give: unless it is 0, weir_fd is worth being watched. */
WEIR_API uint32_t weir_waiting(const weir_port *port);

/* Whether weir_next has something to give: the host's cue to take a turn. */
WEIR_API bool weir_pending(const weir_port *port);

/* Takes the longest decided waiter; false: nobody is left, or, in a shared
** space, it is not its turn yet: see weir_shared.h. */
WEIR_API bool weir_next(weir_port *port, weir_event *out);

/* Takes one particular waiter out of turn. 1: *out is its event; 0: still
** waiting; WEIR_E_STALE; WEIR_E_STATE (held: its event was taken before). */
WEIR_API int weir_claim(weir_port *port, weir_ticket ticket, weir_event *out);

/* --- words --------------------------------------------------------------- */

/* "admitted", "full", ...; a static string, never NULL. */
WEIR_API const char *weir_verdict_name(int verdict);

/* One English sentence about a negative answer; static, never NULL. */
WEIR_API const char *weir_error_text(int error);

/* Which config value is wrong, as a static sentence; NULL: none. */
WEIR_API const char *weir_config_check(const weir_config *config);

#ifdef __cplusplus
}
#endif
#include <weir_look.h>

#endif
