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
  DUEL_STEPS_MAX = 4000, /* below REF_WAITS */
  DUEL_LOG = 24,         /* operations that are remembered for the report */
  DUEL_ARGS = 6
};

typedef struct duel_entry { /* one operation, as it is reported */
  const char *name;
  unsigned step;
  uint64_t args[DUEL_ARGS];
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
  bool broken; /* they disagreed; the report has been printed */
  duel_entry log[DUEL_LOG];
} duel;

/* Fights for at most `steps` steps; answers how many, or 0 when they came to
** disagree. `check_every`: how many steps between looks at everything. */
unsigned duel_run(duel *d, choices *from, unsigned steps, unsigned check_every);

/* --- for the operations (duel_ops.c) ------------------------------------- */

/* One random operation on both. */
void duel_operate(duel *d);

/* Adds an argument to the report of this operation; answers it. */
uint64_t duel_arg(duel *d, uint64_t value);

/* Notes the engine's answer to this operation and compares it. */
bool duel_answers(duel *d, int64_t engine, int64_t model);

/* Compares; false, with a report, if they differ. */
bool duel_same(duel *d, const char *what, uint64_t engine, uint64_t model);

void duel_same_events(duel *d, const weir_event *engine,
                      const weir_event *model);

/* Compares everything that both can be asked about. */
void duel_look(duel *d);

#endif
