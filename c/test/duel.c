/* duel.c - see duel.h: the report, and a life. */
#include "duel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "commons.h"

/* --- the report ---------------------------------------------------------- */

static duel_entry *entry(duel *d) { return &d->log[d->step % DUEL_LOG]; }

void duel_begin(duel *d, const char *name) {
  *entry(d) = (duel_entry){ .name = name, .step = d->step, .now = d->now };
}

uint64_t duel_arg(duel *d, const char *name, uint64_t value) {
  duel_entry *e = entry(d);
  if (e->arg_count == DUEL_ARGS || !value) return value;
  e->args[e->arg_count].name = name;
  e->args[e->arg_count++].value = value;
  return value;
}

/* A handle as its index and generation, a time near the end as what is left. */
static void print_argument(const char *name, uint64_t value) {
  if (!strcmp(name, "ticket") || !strcmp(name, "limiter"))
    printf("%s=%u/%u", name, (unsigned)value, (unsigned)(value >> 32));
  else if (value > UINT64_MAX - UINT32_MAX)
    printf("%s=%" PRId64, name, (int64_t)value);
  else
    printf("%s=%" PRIu64, name, value);
}

static void print_entry(const duel_entry *e) {
  printf("#   %u at %" PRIu64 ": %s(", e->step, e->now, e->name);
  for (unsigned i = 0; i < e->arg_count; i++) {
    if (i) printf(", ");
    print_argument(e->args[i].name, e->args[i].value);
  }
  printf(") = %" PRId64 "\n", e->answer);
}

static void report(const duel *d, const char *what, uint64_t engine,
                   uint64_t model) {
  unsigned first = d->step < DUEL_LOG ? 0 : d->step - DUEL_LOG + 1;
  printf("# step %u: %s: the engine says %" PRId64 ", the model %" PRId64 "\n",
         d->step, what, (int64_t)engine, (int64_t)model);
  for (unsigned step = first; step <= d->step; step++)
    if (d->log[step % DUEL_LOG].step == step && d->log[step % DUEL_LOG].name)
      print_entry(&d->log[step % DUEL_LOG]);
}

bool duel_same(duel *d, const char *what, uint64_t engine, uint64_t model) {
  if (engine == model || d->broken) return engine == model;
  d->broken = true;
  report(d, what, engine, model);
  return false;
}

bool duel_answers(duel *d, int64_t engine, int64_t model) {
  entry(d)->answer = engine;
  return duel_same(d, entry(d)->name, (uint64_t)engine, (uint64_t)model);
}

/* --- a life -------------------------------------------------------------- */

/* Whether the engine refused a group for want of memory where it was to move
** to another queue. That is the engine's business, until the event comes. */
static bool was_spoilt(void *data, weir_ticket group) {
  const duel *d = data;
  const weir_ticket_record *ticket;
  if (!d->memory.failed) return false;
  ticket = weir_slab_find(&d->space->tickets, group);
  return ticket && ticket->state == WEIR_READY &&
         ticket->verdict == WEIR_EXHAUSTED;
}

static void begin(duel *d, choices *from) {
  static const uint64_t starts[] = { 1000, 5000000000, UINT64_MAX / 2, 0,
                                     UINT64_MAX - 3000 };
  weir_allocator allocator;
  memset(d->log, 0, sizeof d->log);
  memset(d->tickets, 0, sizeof d->tickets);
  memset(d->limiters, 0, sizeof d->limiters);
  memset(d->ports, 0, sizeof d->ports);
  ref_init(&d->model);
  d->model.spoilt = was_spoilt;
  d->model.data = d;
  d->model.orderly = commons_shared();
  d->from = from;
  d->memory = (ledger){ 0 };
  d->now = starts[choose(from, 10) * choose(from, 10) / 18];
  d->step = 0;
  d->calm = once_in(from, 3);
  d->plain = once_in(from, 4);
  d->tight = once_in(from, 6);
  d->broken = false;
  allocator = ledger_allocator(&d->memory);
  d->space = commons_space(&allocator);
  if (!d->space) abort();
}

static void end(duel *d) {
  duel_look(d);
  duel_unwind(d);
  duel_look(d);
  duel_look_at_waits(d);
  for (int i = 0; i < REF_PORTS; i++)
    if (d->ports[i]) weir_port_detach(d->ports[i], d->now);
  weir_space_free(d->space);
  duel_same(d, "bytes not given back", d->memory.live, 0);
  duel_same(d, "wrong old sizes", d->memory.wrong_sizes, 0);
}

unsigned duel_run(duel *d, choices *from, unsigned steps,
                  unsigned check_every) {
  unsigned done;
  if (steps > DUEL_STEPS_MAX) steps = DUEL_STEPS_MAX;
  begin(d, from);
  while (d->step < steps && !choices_done(from) && !d->broken) {
    duel_operate(d);
    duel_glance(d);
    if (d->step % check_every == 0) duel_look(d);
    d->step++;
  }
  done = d->step + !d->step;
  end(d);
  return d->broken ? 0 : done;
}
