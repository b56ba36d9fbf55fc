/*
** weir_status.h - what spaces do and have done, for people and machines: as
** JSON, as OpenMetrics text, and as a page that shows it live.
**
** PURPOSE
**   What a host serves under an address of its own. It reads whole spaces,
**   whoever takes part in them, changes nothing there and takes no port.
**
** USE
**   weir_status *status = weir_status_new();
**   weir_status_read(status, space, "shm:api", now);    // for each space
**   weir_status_kind kind =
**     weir_status_format(query, strlen(query), accept, strlen(accept));
**   const char *text = weir_status_text(status, kind, &size);
**   respond(200, weir_status_type(kind), weir_status_policy(kind), text, size);
**   weir_status_free(status);
**
**   To be sent with it: Content-Type, Content-Security-Policy where there is a
**   policy, Cache-Control: no-store, Vary: Accept.
**
** OWNERSHIP
**   A status owns all that it has read and the text; a space it only reads
**   during the call. It can be used for one answer, or kept and cleared: what
**   is kept then is what its counters need to go up only.
**
** THE JSON
**   {"version", "now_seconds" (of the space's clock), "wait_bounds_seconds",
**    "complete" (false: see weir_status_bound),
**    "spaces": [{"name" (null: of one's own), "size_bytes", "used_bytes",
**                "processes"}],
**    "limiters": [{"name", "space", "id", "closed", "generation",
**      "limit" (permits of each key; null: not limited), "in_use", "waiting",
**      "keys", "rate" (null, or {"count", "per_seconds", "burst"}),
**      "queue_limit" (null: none), "admitted", "dropped", "unused",
**      "refused": {code: n}, "would": {verdict: n} (null: no dry run),
**      "wait": {"p50_seconds", "p90_seconds", "p99_seconds", "max_seconds",
**               "sum_seconds", "count",
**               "at_most": [n for each of wait_bounds_seconds]},
**      "busiest": [{"key", "limit", "in_use", "waiting", "admitted",
**                   "refused"}],
**      "waiters": [{"key", "pid", "cost", "waited_seconds", "bound_by",
**                   "holders": [{"pid", "permits", "held_seconds"}]}],
**      "holders": [{"key", "pid", "cost", "held_seconds"}]}]}
**   Counts are of all since the limiter was made. The lists have the first ten:
**   the busiest keys, who waits and who holds longest; a waiter's holders are
**   the processes that hold its key, at most 16. "key" is its begin, null:
**   none. "pid" is null where it is not known.
**
** FAILURES
**   Names may hold any bytes: what is no UTF-8 is shown as U+FFFD, and nothing
**   that a name holds is taken for JSON, for a metric or for HTML.
*/
#ifndef WEIR_STATUS_H
#define WEIR_STATUS_H

#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_status weir_status;

typedef enum weir_status_kind {
  WEIR_STATUS_JSON,
  WEIR_STATUS_METRICS, /* OpenMetrics 1.0; valid in Prometheus's older format */
  WEIR_STATUS_HTML     /* a page that asks its own address for the JSON */
} weir_status_kind;

#define WEIR_STATUS_RECORDS 100000u /* unless it says */

/* An empty one; NULL: no memory. */
WEIR_API weir_status *weir_status_new(void);
WEIR_API void weir_status_free(weir_status *status);

/* How many keys, and how many tickets, a read looks at; 0: all of them. A host
** that must not stand still for long leaves it at WEIR_STATUS_RECORDS. The
** counts of limiters are whole in any case. */
WEIR_API void weir_status_bound(weir_status *status, uint32_t records);

/* Forgets what was read, to read anew. The counters of limiters that are no
** more go on in the metrics as long as another one has their name. */
WEIR_API void weir_status_clear(weir_status *status);

/*
** Adds all that is to be told of a space: its limiters, their busiest keys, who
** waits and who holds. `name`: what it is called, as "shm:api"; NULL or "": it
** is the process' own. A shared space is locked for a short time again and
** again, so that what is read is of slightly different moments.
** 0; WEIR_E_MEMORY; WEIR_E_DAMAGED, WEIR_E_FORKED: what was read before stays.
*/
WEIR_API int weir_status_read(weir_status *status, const weir_space *space,
                              const char *name, uint64_t now);

/* Limiters without a name, of spaces of one's own, can be given one before the
** text is asked for. Walks them: start with *cursor = 0; false: no more. */
WEIR_API bool weir_status_nameless(const weir_status *status, uint32_t *cursor,
                                   weir_limiter *limiter);

/* Names the limiter that the cursor is at. */
WEIR_API void weir_status_name(weir_status *status, uint32_t cursor,
                               const char *name);

/* The text, of *size bytes and a NUL; the status', until it is asked for
** another one, cleared or freed. NULL: no memory. */
WEIR_API const char *weir_status_text(weir_status *status,
                                      weir_status_kind kind, size_t *size);

/* The values of Content-Type and, NULL: none is needed, of
** Content-Security-Policy. Static. */
WEIR_API const char *weir_status_type(weir_status_kind kind);
WEIR_API const char *weir_status_policy(weir_status_kind kind);

/*
** What a request wants: `format=` json, metrics or html in the query (without
** its "?"), else what its Accept field (RFC 9110) likes most; JSON where it
** likes all alike, or nothing that there is. Either may be NULL with size 0.
*/
WEIR_API weir_status_kind weir_status_format(const char *query,
                                             size_t query_size,
                                             const char *accept,
                                             size_t accept_size);

#ifdef __cplusplus
}
#endif
#endif
