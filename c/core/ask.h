/*
** ask.h - what a request is told when it comes, without changing anything.
*/
#ifndef WEIR_CORE_ASK_H
#define WEIR_CORE_ASK_H

#include "queue.h"

typedef struct weir_ask {
  const weir_request *request;
  weir_hash hash;    /* of its key */
  weir_place place;  /* where it would wait */
  uint64_t deadline; /* ns; or NEVER */
  uint32_t limiter;  /* index */
  uint32_t instance; /* index; 0: its key is not known */
  uint32_t cost;     /* permits and tokens */
  bool fresh;        /* its key was made for it */
  bool try_only;     /* it may not wait */
} weir_ask;

/* Reads a request to a limiter. 0; WEIR_E_STALE, WEIR_E_CONFIG. */
int weir_ask_init(const weir_space *space, weir_limiter limiter,
                  const weir_request *request, uint64_t now, weir_ask *out);

/* What its limiter alone says: a refusal that no wait can mend, or ADMITTED, or
** WAITING where it cannot go now. `keys`: of that limiter it may need so many
** new ones, this one included. */
weir_verdict weir_ask_gate(const weir_space *space, const weir_ask *ask,
                           uint32_t keys, uint64_t t);

/* What it is told, if there is memory; in a dry run, what it would be. */
weir_verdict weir_ask_judge(const weir_space *space, const weir_ask *ask,
                            uint64_t now, uint64_t t);

/* What keeps it from being admitted; BY_NOTHING: it would be. */
weir_bound weir_ask_bound(const weir_space *space, const weir_ask *ask,
                          uint64_t t);

/* Why one that does not fit now may not wait either; WAITING: it may. */
weir_verdict weir_ask_refusal(const weir_space *space, const weir_ask *ask,
                              uint64_t now);

static inline bool weir_is_due(uint64_t deadline, uint64_t now) {
  return deadline != WEIR_NEVER && deadline <= now;
}

/* When a request with this timeout has to be decided. */
static inline uint64_t weir_deadline_of(const weir_request *request,
                                        uint64_t timeout_ns, uint64_t now) {
  if (request->deadline) return request->deadline;
  return timeout_ns < WEIR_NEVER - now ? now + timeout_ns : WEIR_NEVER;
}

#endif
