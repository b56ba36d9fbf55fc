/*
** weir_look.h - what can be seen of limiters, keys and tickets; a part of
** weir.h, which includes it.
**
** PURPOSE
**   For people and their tools: numbers of one limiter, key or ticket, and
**   walks over all of them. Nothing here changes anything that a request
**   depends on.
**
** USE
**   weir_limiter limiter;
**   uint32_t cursor = 0;
**   while (weir_limiter_walk(space, &cursor, &limiter))
**     if (weir_limiter_stats(space, limiter, &stats) == 0) show(&stats);
**
** WALKS
**   Start with *cursor = 0; false: no more. They read every record, so they are
**   for reports, not for hot paths. What comes or goes meanwhile may be left
**   out. A shared space is locked for a short time at each step only, however
**   much there is in it. A walk takes no port.
*/
#ifndef WEIR_LOOK_H
#define WEIR_LOOK_H

#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Waits of all admitted, also of those who were at once; nearest-rank
** percentiles within 3.2 % up to 75 hours, max exact; ns. */
typedef struct weir_wait_stats {
  uint64_t p50, p90, p99, max;
} weir_wait_stats;

/* Of a limiter, over all its keys. */
typedef struct weir_stats {
  uint32_t limit;    /* permits now, of each key; 0: not limited */
  uint32_t waiting;  /* tickets in its queues; and those in others' queues that
                        ask it as well */
  uint64_t in_use;   /* permits held or granted */
  uint32_t keys;     /* keys known, some of them idle */
  uint64_t changes;  /* how often it was configured */
  uint64_t admitted; /* since the limiter was made */
  uint64_t dropped;  /* releases with WEIR_DROPPED */
  uint64_t unused;   /* releases with WEIR_UNUSED */
  uint64_t refused[WEIR_VERDICTS]; /* by verdict; a request counts once, by
                                       its first decision: CANCELED is one
                                       withdrawn while it was in the queue */
  uint64_t would[WEIR_VERDICTS];   /* dry run: what it would have been told */
  weir_wait_stats wait;
  bool closed;
} weir_stats;

WEIR_API int weir_limiter_stats(const weir_space *space, weir_limiter limiter,
                                weir_stats *out);

/* Waits of the admitted, for a histogram: counts[i] is how many were at most
** bounds_ns[i], ascending, within 3.2 %; *sum_ns their sum, *count how many.
** 0; WEIR_E_STALE. */
WEIR_API int weir_limiter_waits(const weir_space *space, weir_limiter limiter,
                                const uint64_t *bounds_ns, uint64_t *counts,
                                uint32_t bounds, uint64_t *sum_ns,
                                uint64_t *count);

/* The name it was opened by, "" if it has none; NULL: stale. Valid until the
** next call that changes the space; of a shared one until the same thread asks
** for another. */
WEIR_API const char *weir_limiter_name(const weir_space *space,
                                       weir_limiter limiter);

/* Walks all limiters of the space, whoever opened them. */
WEIR_API bool weir_limiter_walk(const weir_space *space, uint32_t *cursor,
                                weir_limiter *out);

/* Of one key. */
typedef struct weir_key_info {
  char label[WEIR_LABEL_MAX + 1]; /* the key's begin, fit to be read: what is
                                     no UTF-8 or a control is "?", and what was
                                     cut off ends in "~" */
  uint64_t id;                    /* of the key, while it is known; 0: it is
                                     not, or is none */
  uint32_t limit;                 /* permits now; 0: not limited */
  uint64_t in_use;                /* permits held or granted */
  uint32_t waiting;               /* tickets in its queue */
  uint32_t admitted;              /* since the key was made; may stop */
  uint32_t refused;               /* likewise */
  weir_limiter limiter;           /* whose key it is */
} weir_key_info;

/* What is known of a key; of the limiter's own queue, for key NULL. A key that
** is not known is as one that was never used. 0; WEIR_E_STALE;
** WEIR_E_CONFIG. */
WEIR_API int weir_key_inspect(const weir_space *space, weir_limiter limiter,
                              const void *key, uint32_t key_size,
                              weir_key_info *out);

/* Walks a limiter's keys, in no order. */
WEIR_API bool weir_key_walk(const weir_space *space, weir_limiter limiter,
                            uint32_t *cursor, weir_key_info *out);

/* The same for all limiters' keys. */
WEIR_API bool weir_key_walk_all(const weir_space *space, uint32_t *cursor,
                                weir_key_info *out);

/* What is left for one key, for people and HTTP headers. */
typedef struct weir_quota {
  uint64_t left;     /* of `cost` 1: how many would be admitted now */
  uint64_t retry_ns; /* until `cost` would be admitted if nobody else came; 0:
                        now. Never early, and exact, for a rate; for permits
                        by the pace at which they came back lately. NEVER: not
                        known, as for a sliding window that others wait
                        for */
  uint64_t reset_ns; /* until the rate has recovered wholly; 0: it has */
} weir_quota;

/* 0; WEIR_E_STALE; WEIR_E_CONFIG. `request` gives key, cost and what else
** decides about its place. */
WEIR_API int weir_limiter_quota(const weir_space *space, weir_limiter limiter,
                                const weir_request *request, uint64_t now,
                                weir_quota *out);

/* Of a ticket. */
typedef enum weir_state {
  WEIR_FREE,
  WEIR_QUEUED, /* waits for its limiter or, parked, for weir_wake */
  WEIR_READY,  /* decided; its event is not taken yet */
  WEIR_HELD
} weir_state;

/* What keeps a waiter. */
typedef enum weir_bound {
  WEIR_BY_NOTHING, /* it does not wait, or is parked */
  WEIR_BY_OTHERS,  /* others go first */
  WEIR_BY_PERMITS, /* they are in use */
  WEIR_BY_RATE     /* its tokens are not there yet */
} weir_bound;

typedef struct weir_ticket_info {
  weir_ticket ticket;
  weir_limiter limiter; /* 0: parked */
  uint64_t cookie;
  uint64_t since; /* ns: arrival while queued, then decision; 0 if parked */
  uint32_t cost;
  weir_state state;
  weir_bound bound;
  char key[WEIR_LABEL_MAX + 1]; /* its label; "": none */
  uint64_t key_id;              /* as in weir_key_info */
  uint32_t port;                /* number of the port whose it is, from 1 */
} weir_ticket_info;

/* 0 and *out; WEIR_E_STALE. Of a ticket for several limiters: the one it waits
** for, or the first. */
WEIR_API int weir_ticket_inspect(const weir_port *port, weir_ticket ticket,
                                 uint64_t now, weir_ticket_info *out);

/* Walks all live tickets of the port. One that holds of several limiters comes
** once for each. */
WEIR_API bool weir_ticket_walk(const weir_port *port, uint32_t *cursor,
                               uint64_t now, weir_ticket_info *out);

/* The same for all ports of the space, whoever attached them. */
WEIR_API bool weir_ticket_walk_all(const weir_space *space, uint32_t *cursor,
                                   uint64_t now, weir_ticket_info *out);

#ifdef __cplusplus
}
#endif
#endif
