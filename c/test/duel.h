/*
** duel.h - the engine and the reference side by side.
**
** Both get the same random operations; after each their answers, events and
** all that can be looked at must agree. A duel is one life of a space, from
** weir_space_new to weir_space_free.
*/
#ifndef WEIR_TEST_DUEL_H
#define WEIR_TEST_DUEL_H

#include "choices.h"
#include "ledger.h"
#include "reference.h"

enum {
  DUEL_STEPS_MAX = 4000, /* x REF_PARTS is below REF_WAITS */
  DUEL_LOG = 24,         /* operations that are remembered for the report */
  DUEL_ARGS = 24
};

typedef struct duel_entry { /* one operation, as it is reported */
  const char *name;
  unsigned step;
  struct {
    const char *name;
    uint64_t value;
  } args[DUEL_ARGS];
  unsigned arg_count;
  int64_t answer; /* the engine's */
  uint64_t now;   /* ns */
} duel_entry;

typedef struct duel {
  choices *from;
  ledger memory;
  reference model;
  weir_space *space;
  weir_port *ports[REF_PORTS];         /* NULL: not attached */
  weir_ticket tickets[REF_TICKETS];    /* handles seen, stale ones too */
  weir_limiter limiters[REF_LIMITERS]; /* handles seen, stale ones too */
  uint64_t now;                        /* ns */
  unsigned step;
  bool calm;   /* limiters are few and seldom changed, so that what is measured
                  of them comes to something */
  bool plain;  /* most limiters have nothing to do with the time */
  bool tight;  /* the allocator fails often */
  bool broken; /* they disagreed; the report has been printed */
  duel_entry log[DUEL_LOG];
} duel;

/* Fights for at most `steps` steps; answers how many, or 0 when they came to
** disagree. `check_every`: how many steps between looks at everything. */
unsigned duel_run(duel *d, choices *from, unsigned steps, unsigned check_every);

/* --- duel.c: the report --------------------------------------------------- */

/* Begins the report of an operation. */
void duel_begin(duel *d, const char *name);

/* Adds an argument to it, if it is not zero; answers it. */
uint64_t duel_arg(duel *d, const char *name, uint64_t value);

/* Notes the engine's answer to this operation and compares it. */
bool duel_answers(duel *d, int64_t engine, int64_t model);

/* Compares; false, with a report, if they differ. */
bool duel_same(duel *d, const char *what, uint64_t engine, uint64_t model);

/* --- duel_pick.c: random arguments, which are in the report --------------- */

uint64_t duel_later(uint64_t now, uint64_t ns);
uint64_t duel_earlier(uint64_t now, uint64_t ns);

/* A port that is attached; attaches it if need be. */
int duel_pick_port(duel *d);

/* A ticket that was seen, more often than not a live one. */
weir_ticket duel_pick_ticket(duel *d);

/* The port that owns the ticket; sometimes, or if nobody does, another. */
int duel_pick_owner(duel *d, weir_ticket ticket);

/* A limiter that was seen, more often than not an open one. */
weir_limiter duel_pick_limiter(duel *d);

weir_request duel_pick_request(duel *d);
weir_config duel_pick_config(duel *d);
weir_outcome duel_pick_outcome(duel *d);

/* --- duel_ops.c: the operations ------------------------------------------- */

/* One random operation on both. */
void duel_operate(duel *d);

/* Lets everything come to its end, in random order: nobody may be left. */
void duel_unwind(duel *d);

/* --- duel_foresee.c: quotas ----------------------------------------------- */

/* Whether a request would be admitted after `retry_ns`, if nobody came. */
void duel_foresee(duel *d, weir_limiter limiter, const weir_request *request,
                  uint64_t retry_ns);

/* --- duel_look.c: what can be seen ---------------------------------------- */

void duel_same_events(duel *d, const weir_event *engine,
                      const weir_event *model);

/* The keys of a limiter that the engine knows, a bit each. */
unsigned duel_keys(duel *d, weir_limiter limiter);

/* Compares everything that both can be asked about. */
void duel_look(duel *d);

/* Compares what is cheap enough to be after each step. */
void duel_glance(duel *d);

/* Compares percentiles. Sorts the waits of the reference. */
void duel_look_at_waits(duel *d);

#endif
