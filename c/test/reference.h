/*
** reference.h - what the engine should do, said as plainly as possible.
**
** Written from weir.h: arrays, and a look through all of them for whatever is
** asked. It keeps no count, no queue and no heap that could go wrong: who is
** next, how much is in use and what is due is found anew each time. What is a
** function of its state alone (rates, CoDel, pace, adaptive limits; each has
** tests of its own) is called as it is: here it matters when, and on what.
**
** Where weir.h leaves an order open, of the queues of one limiter that is
** changed or of the tickets of one port that leaves, the engine goes by the
** places of its records. They are numbers here, of which the one that was
** given back last is used first.
**
** The functions answer what the engine's of the same name should. What only
** the engine knows it tells before: see the fields of `reference`.
*/
#ifndef WEIR_TEST_REFERENCE_H
#define WEIR_TEST_REFERENCE_H

#include <weir.h>

#include "core/codel.h"
#include "core/rate.h"
#include "core/tuner.h"

enum {
  REF_TICKETS = 64,
  REF_PARTS = 4, /* limiters that one ticket asks at most */
  REF_LIMITERS = 8,
  REF_PORTS = 4,
  REF_KEYS = 7, /* that there are; 0: none */
  REF_FLOWS = 5,
  REF_TAKEN = 16,    /* takings from a rate that are remembered */
  REF_WAITS = 16384, /* admissions a limiter remembers; it may have no more */
  REF_NUMBERS = REF_TICKETS * REF_PARTS + 1
};

typedef struct ref_word { /* a key or a flow */
  const char *bytes;      /* ASCII, and zeros */
  uint32_t size;
} ref_word;

extern const ref_word ref_keys[REF_KEYS];
extern const ref_word ref_flows[REF_FLOWS];

typedef struct ref_numbers { /* places of records in the engine */
  int16_t free[REF_NUMBERS]; /* given back; the last one is used first */
  int count;                 /* of those */
  int used;                  /* the highest that was ever given out */
} ref_numbers;

typedef enum ref_kind { REF_REQUEST, REF_DRAIN, REF_PARKED } ref_kind;

typedef struct ref_part { /* what a ticket asks of one limiter */
  int limiter;            /* place in the model */
  int key;                /* of ref_keys */
  int flow;               /* of ref_flows */
  int priority;
  uint32_t cost; /* permits and tokens */
  bool free;     /* it holds nothing */
} ref_part;

typedef struct ref_ticket {
  weir_ticket handle;
  ref_kind kind;
  weir_state state;
  bool leaving;              /* it holds nothing any more, nor waits */
  weir_verdict verdict;      /* once decided */
  int port;                  /* whose it is */
  ref_part parts[REF_PARTS]; /* of a drain: whose end it waits for */
  int count;                 /* parts; 0: parked */
  int waits;                 /* the part whose queue it is in; then the one that
                               decided */
  int numbers[REF_PARTS];    /* of its records; the first is the handle's */
  uint64_t cookie;
  uint64_t arrived;           /* ns */
  uint64_t decided;           /* ns */
  uint64_t deadline;          /* ns */
  uint64_t arrival;           /* number, over all tickets */
  int place;                  /* FAIR: among those of its flow */
  uint64_t decision;          /* number, over all decisions */
  bool watched;               /* it came as the only one of its flow */
  uint64_t passed[REF_FLOWS]; /* watched: costs of each flow served before it */
} ref_ticket;

typedef struct ref_turn { /* of a flow */
  int flow;
  uint64_t deficit; /* what it may still take */
} ref_turn;

typedef struct ref_taken { /* tokens that were taken from a rate */
  uint64_t t;              /* ns, of the space's clock */
  uint64_t arrival;        /* whose they are */
  uint32_t cost;
} ref_taken;

typedef struct ref_instance { /* of a key */
  int limiter;
  int key;
  bool known; /* made, and not forgotten */
  weir_rate_state rate;
  bool controlled; /* the following four are in use */
  weir_codel codel;
  weir_pace pace;
  weir_tuner tuner;
  weir_algorithm algorithm;  /* that `tuner` is of */
  int queue;                 /* its number; 0: nobody waits */
  weir_order order;          /* of the queue */
  uint32_t quantum;          /* FAIR: the largest cost since the queue began */
  ref_turn turns[REF_FLOWS]; /* FAIR: whose turn it is, and who follows */
  int turn_count;
  const ref_ticket *told; /* the head whom the time lets go; NULL: none */
  uint64_t due;           /* ns: and when */
  uint32_t admitted;
  uint32_t refused;
  ref_taken taken[REF_TAKEN]; /* GCRA: the last, for ref_law_charge */
  int taken_count;
} ref_instance;

typedef struct ref_limiter {
  weir_limiter handle;
  bool live;
  bool closed;
  unsigned refs;
  char name[WEIR_NAME_MAX + 1];
  weir_config config;
  weir_meter meter;
  uint64_t metered; /* when the rate came while somebody was there; 0: never */
  ref_instance keys[REF_KEYS];
  uint64_t changes;
  uint64_t admitted;
  uint64_t dropped;
  uint64_t unused;
  uint64_t held_ns; /* as weir_limiter_record's */
  uint64_t refused[WEIR_VERDICTS];
  uint64_t would[WEIR_VERDICTS];
  uint64_t waits[REF_WAITS]; /* ns, of the admitted */
} ref_limiter;

typedef struct reference {
  ref_ticket tickets[REF_TICKETS];
  int high; /* tickets from here on were never used */
  ref_limiter limiters[REF_LIMITERS];
  ref_numbers ticket_numbers;
  ref_numbers queue_numbers;
  uint64_t arrivals;
  uint64_t decisions;
  uint64_t heard; /* ns: the latest time told since the clock was set */
  uint64_t ahead; /* ns: by how much the space's clock is ahead since then */
  weir_ticket turns[REF_PORTS]; /* what each port's host took last, if it has
                                   not come back since; 0: it has */
  bool orderly; /* shared: whoever was decided first begins first */
  uint64_t now; /* ns: of this call */
  uint64_t t;   /* ns: the same, of the space's clock */

  /* To be set before a call: */
  uint64_t label; /* the handle of what it makes, in the engine */
  bool no_memory; /* the engine answers so, and the allocator failed it */
  bool (*spoilt)(void *data, weir_ticket group); /* whether the engine refused
                                                    it for want of memory */
  void *data;

  const char *broken; /* the law that was; NULL: none */
} reference;

void ref_init(reference *model);

/* What the space's clock says when the callers' says `now`. */
uint64_t ref_clock(const reference *model, uint64_t now);

/* The live ticket or limiter with this label; NULL: none. */
ref_ticket *ref_ticket_of(reference *model, weir_ticket handle);
ref_limiter *ref_limiter_of(reference *model, weir_limiter handle);

/* Whether there is no place for another one. */
bool ref_tickets_full(const reference *model);
bool ref_limiters_full(const reference *model);

/* Which one of the words a request means. */
int ref_key_of(const void *key, uint32_t size);
int ref_flow_of(const void *flow, uint32_t size);

/* What a key is called in reports. */
void ref_label(int key, char out[WEIR_LABEL_MAX + 1]);

/* The keys of a limiter that the engine knows after the call that the model is
** to follow: those that are missing were idle. */
void ref_forget(reference *model, weir_limiter handle, unsigned seen,
                uint64_t now);

/* Whether a request to this limiter may begin to measure a key that is
** known. */
bool ref_would_measure(reference *model, weir_limiter handle);

/* --- asking -------------------------------------------------------------- */

int ref_acquire(reference *model, int port, weir_limiter handle,
                const weir_request *request, uint64_t now);
int ref_acquire_all(reference *model, int port, const weir_limiter *handles,
                    const weir_request *requests, uint32_t count, uint64_t now,
                    weir_limiter *decider);
int ref_drain(reference *model, int port, weir_limiter handle,
              const weir_request *request, uint64_t now);
int ref_park(reference *model, int port, const weir_request *request);
int ref_quota(reference *model, weir_limiter handle,
              const weir_request *request, uint64_t now, weir_quota *out);
bool ref_holds_all(reference *model, int port, weir_limiter handle,
                   const weir_request *request);

/* --- tickets ------------------------------------------------------------- */

int ref_release(reference *model, int port, weir_ticket handle,
                weir_outcome outcome, uint64_t now);
int ref_cancel(reference *model, int port, weir_ticket handle, uint64_t now);
int ref_claim(reference *model, int port, weir_ticket handle, weir_event *out);
int ref_wake(reference *model, int port, weir_ticket handle);
int ref_set_cookie(reference *model, int port, weir_ticket handle,
                   uint64_t cookie);

/* The port's ticket that was decided first, and the same where weir_next should
** give it; NULL: none. */
ref_ticket *ref_first_decided(reference *model, int port);
ref_ticket *ref_first_ready(reference *model, int port);

/* Until when it is withheld, by the model's clock; 0: it is not. */
uint64_t ref_withheld_until(reference *model, int port);

bool ref_next(reference *model, int port, weir_event *out);

/* Frees the ticket or makes it held, as taking its event does. */
void ref_take(reference *model, ref_ticket *ticket, weir_event *out);

uint64_t ref_deadline(reference *model, int port);
void ref_advance(reference *model, int port, uint64_t now);
void ref_detach(reference *model, int port, uint64_t now);

/* --- limiters ------------------------------------------------------------ */

int ref_open(reference *model, const char *name, const weir_config *config,
             uint64_t now);
int ref_set(reference *model, weir_limiter handle, const weir_config *config,
            uint64_t now);
int ref_close(reference *model, weir_limiter handle, uint64_t now);
int ref_drop(reference *model, weir_limiter handle);
bool ref_timed(reference *model, weir_limiter handle);

/* --- looking ------------------------------------------------------------- */

/* All but the percentiles. */
int ref_stats(reference *model, weir_limiter handle, weir_stats *out);

int ref_key_inspect(reference *model, weir_limiter handle, int key,
                    weir_key_info *out);

int ref_inspect(reference *model, int port, weir_ticket handle, uint64_t now,
                weir_ticket_info *out);

/* The next of a port's tickets, as weir_ticket_walk; *cursor is a number. */
bool ref_walk(reference *model, int port, uint32_t *cursor, uint64_t now,
              weir_ticket_info *out);

#endif
