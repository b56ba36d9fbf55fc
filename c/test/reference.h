/*
** reference.h - what the engine should do, said as plainly as possible.
**
** Written from weir.h: arrays, and a look through all of them for whatever is
** asked. It keeps no count, no queue and no heap that could go wrong: who is
** next, how much is in use and what is due is found anew each time.
**
** The functions answer what the engine's of the same name should. Handles are
** labels that come from the engine: after a call that made a ticket or a
** limiter, its label is to be set in `made`.
*/
#ifndef WEIR_TEST_REFERENCE_H
#define WEIR_TEST_REFERENCE_H

#include <weir.h>

enum {
  REF_TICKETS = 64,
  REF_LIMITERS = 8,
  REF_PORTS = 4,
  REF_WAITS = 4096 /* admissions a limiter remembers; it may have no more */
};

typedef enum ref_kind { REF_REQUEST, REF_DRAIN, REF_PARKED } ref_kind;

typedef struct ref_ticket {
  weir_ticket handle;
  ref_kind kind;
  weir_state state;
  weir_verdict verdict; /* once decided */
  int port;             /* whose it is */
  int limiter;          /* place in the model; -1: parked */
  uint32_t cost;        /* permits */
  uint64_t cookie;
  uint64_t arrived;  /* ns */
  uint64_t decided;  /* ns */
  uint64_t deadline; /* ns */
  uint64_t arrival;  /* number, over all tickets */
  uint64_t decision; /* number, over all decisions */
} ref_ticket;

typedef struct ref_limiter {
  weir_limiter handle;
  bool live;
  bool closed;
  unsigned refs;
  char name[WEIR_NAME_MAX + 1];
  weir_config config;
  uint64_t admitted;
  uint64_t dropped;
  uint64_t refused[WEIR_VERDICTS];
  uint64_t waits[REF_WAITS]; /* ns, of the admitted */
} ref_limiter;

typedef struct reference {
  ref_ticket tickets[REF_TICKETS];
  ref_limiter limiters[REF_LIMITERS];
  uint64_t arrivals;
  uint64_t decisions;
  uint64_t *made; /* the handle of what the last call made; NULL: nothing */
} reference;

void ref_init(reference *model);

/* The live ticket or limiter with this label; NULL: none. */
ref_ticket *ref_ticket_of(reference *model, weir_ticket handle);
ref_limiter *ref_limiter_of(reference *model, weir_limiter handle);

/* Whether there is no place for another one. */
bool ref_tickets_full(const reference *model);
bool ref_limiters_full(const reference *model);

/* The port's decided ticket that weir_next should give; NULL: none. */
ref_ticket *ref_first_ready(reference *model, int port);

/* The earliest deadline of those who wait. */
uint64_t ref_deadline(reference *model, int port);

/* Frees the ticket or makes it held, as taking its event does. */
void ref_take(reference *model, ref_ticket *ticket, weir_event *out);

/* `no_memory`: the allocator failed the engine in this call. */
int ref_acquire(reference *model, int port, weir_limiter handle,
                const weir_request *request, uint64_t now, bool no_memory);
int ref_drain(reference *model, int port, weir_limiter handle,
              const weir_request *request, uint64_t now, bool no_memory);
int ref_park(reference *model, int port, const weir_request *request,
             bool no_memory);
int ref_open(reference *model, const char *name, const weir_config *config,
             uint64_t now, bool no_memory);

int ref_release(reference *model, int port, weir_ticket handle,
                weir_outcome outcome, uint64_t now);
int ref_cancel(reference *model, int port, weir_ticket handle, uint64_t now);
int ref_claim(reference *model, int port, weir_ticket handle, weir_event *out);
int ref_wake(reference *model, int port, weir_ticket handle);
int ref_set_cookie(reference *model, int port, weir_ticket handle,
                   uint64_t cookie);
int ref_inspect(reference *model, int port, weir_ticket handle,
                weir_ticket_info *out);
void ref_advance(reference *model, int port, uint64_t now);
void ref_detach(reference *model, int port, uint64_t now);

int ref_set(reference *model, weir_limiter handle, const weir_config *config,
            uint64_t now);
int ref_close(reference *model, weir_limiter handle, uint64_t now);
int ref_drop(reference *model, weir_limiter handle);

/* All but the percentiles. */
int ref_stats(reference *model, weir_limiter handle, weir_stats *out);

#endif
