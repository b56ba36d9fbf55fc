/* duel.c - see duel.h. */
#include "duel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the report ---------------------------------------------------------- */

static duel_entry *entry(duel *d) { return &d->log[d->step % DUEL_LOG]; }

uint64_t duel_arg(duel *d, uint64_t value) {
  duel_entry *e = entry(d);
  if (e->arg_count < DUEL_ARGS) e->args[e->arg_count++] = value;
  return value;
}

static void print_entry(const duel_entry *e) {
  printf("#   %u at %" PRIu64 ": %s(", e->step, e->now, e->name);
  for (unsigned i = 0; i < e->arg_count; i++)
    printf("%s%" PRIu64, i ? ", " : "", e->args[i]);
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

/* --- comparing ----------------------------------------------------------- */

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

void duel_same_events(duel *d, const weir_event *engine,
                      const weir_event *model) {
  duel_same(d, "event.ticket", engine->ticket, model->ticket);
  duel_same(d, "event.verdict", engine->verdict, model->verdict);
  duel_same(d, "event.cookie", engine->cookie, model->cookie);
  duel_same(d, "event.limiter", engine->limiter, model->limiter);
  duel_same(d, "event.waited_ns", engine->waited_ns, model->waited_ns);
}

static void look_at_limiter(duel *d, weir_limiter limiter) {
  const ref_limiter *known = ref_limiter_of(&d->model, limiter);
  weir_stats engine, model;
  weir_config config;
  int answer = weir_limiter_stats(d->space, limiter, &engine);
  duel_same(d, "stats", (uint64_t)answer,
            (uint64_t)ref_stats(&d->model, limiter, &model));
  answer = weir_limiter_config(d->space, limiter, &config);
  duel_same(d, "config", (uint64_t)answer, known ? 0 : (uint64_t)-1);
  if (!known || answer) return;
  duel_same(d, "config.queue", config.queue, known->config.queue);
  duel_same(d, "config.timeout", config.timeout_ns, known->config.timeout_ns);
  duel_same(d, "stats.limit", engine.limit, model.limit);
  duel_same(d, "stats.in_use", engine.in_use, model.in_use);
  duel_same(d, "stats.waiting", engine.waiting, model.waiting);
  duel_same(d, "stats.admitted", engine.admitted, model.admitted);
  duel_same(d, "stats.dropped", engine.dropped, model.dropped);
  duel_same(d, "stats.closed", engine.closed, model.closed);
  duel_same(d, "stats.wait.max", engine.wait.max, model.wait.max);
  for (int i = 0; i < WEIR_VERDICTS; i++)
    duel_same(d, weir_verdict_name(i), engine.refused[i], model.refused[i]);
}

static void same_info(duel *d, const weir_ticket_info *engine,
                      const weir_ticket_info *model) {
  duel_same(d, "info.ticket", engine->ticket, model->ticket);
  duel_same(d, "info.limiter", engine->limiter, model->limiter);
  duel_same(d, "info.cookie", engine->cookie, model->cookie);
  duel_same(d, "info.cost", engine->cost, model->cost);
  duel_same(d, "info.state", engine->state, model->state);
  duel_same(d, "info.since", engine->since, model->since);
}

static void look_at_ticket(duel *d, int port, weir_ticket ticket) {
  weir_ticket_info engine, model;
  int answer = weir_ticket_inspect(d->ports[port], ticket, d->now, &engine);
  duel_same(d, "inspect", (uint64_t)answer,
            (uint64_t)ref_inspect(&d->model, port, ticket, &model));
  if (answer == 0) same_info(d, &engine, &model);
}

/* A walk finds as many as the model has, and only such. */
static void look_at_walk(duel *d, int port) {
  weir_ticket_info info;
  uint32_t cursor = 0;
  unsigned engine = 0, model = 0;
  for (; weir_ticket_walk(d->ports[port], &cursor, d->now, &info); engine++)
    look_at_ticket(d, port, info.ticket);
  for (int i = 0; i < REF_TICKETS; i++)
    model += d->model.tickets[i].state != WEIR_FREE &&
             d->model.tickets[i].port == port;
  duel_same(d, "tickets in a walk", engine, model);
}

void duel_look(duel *d) {
  for (int i = 0; i < REF_LIMITERS; i++) look_at_limiter(d, d->limiters[i]);
  for (int port = 0; port < REF_PORTS; port++) {
    if (!d->ports[port]) continue;
    for (int i = 0; i < REF_TICKETS; i++)
      look_at_ticket(d, port, d->tickets[i]);
    look_at_walk(d, port);
  }
}

/* What is cheap enough to be compared after each step. The engine may say a
** deadline that is too early, of one whose event was not taken yet. */
static void glance(duel *d) {
  for (int port = 0; port < REF_PORTS; port++) {
    bool pending;
    uint64_t engine, model;
    if (!d->ports[port]) continue;
    pending = ref_first_ready(&d->model, port) != NULL;
    duel_same(d, "pending", weir_pending(d->ports[port]), pending);
    engine = weir_deadline(d->ports[port]);
    model = ref_deadline(&d->model, port);
    if (!pending || engine > model) duel_same(d, "deadline", engine, model);
  }
}

/* --- a life -------------------------------------------------------------- */

static void begin(duel *d, choices *from) {
  static const uint64_t starts[] = { 1000, 0, UINT64_MAX / 2,
                                     UINT64_MAX - 3000 };
  weir_allocator allocator;
  memset(d->log, 0, sizeof d->log);
  memset(d->tickets, 0, sizeof d->tickets);
  memset(d->limiters, 0, sizeof d->limiters);
  memset(d->ports, 0, sizeof d->ports);
  ref_init(&d->model);
  d->from = from;
  d->memory = (ledger){ 0 };
  d->now = starts[choose(from, 4)];
  d->step = 0;
  d->broken = false;
  allocator = ledger_allocator(&d->memory);
  d->space = weir_space_new(&allocator);
  if (!d->space) abort();
}

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

/* The engine's percentile is within 3.2 % of the nearest rank's. */
static void same_percentile(duel *d, const char *what, uint64_t engine,
                            const ref_limiter *limiter, uint64_t percent) {
  uint64_t rank = (limiter->admitted * percent + 99) / 100;
  uint64_t model = rank ? limiter->waits[rank - 1] : 0;
  uint64_t off = engine > model ? engine - model : model - engine;
  if (off > model * 32 / 1000) duel_same(d, what, engine, model);
}

static void look_at_waits(duel *d, ref_limiter *limiter) {
  weir_stats stats;
  if (weir_limiter_stats(d->space, limiter->handle, &stats)) return;
  qsort(limiter->waits, limiter->admitted, sizeof *limiter->waits, compare);
  same_percentile(d, "p50", stats.wait.p50, limiter, 50);
  same_percentile(d, "p90", stats.wait.p90, limiter, 90);
  same_percentile(d, "p99", stats.wait.p99, limiter, 99);
}

static void end(duel *d) {
  duel_look(d);
  for (int i = 0; i < REF_LIMITERS; i++)
    if (d->model.limiters[i].live) look_at_waits(d, &d->model.limiters[i]);
  for (int i = 0; i < REF_PORTS; i++)
    if (d->ports[i]) weir_port_detach(d->ports[i], d->now);
  weir_space_free(d->space);
  duel_same(d, "bytes not given back", d->memory.live, 0);
  duel_same(d, "wrong old sizes", d->memory.wrong_sizes, 0);
}

unsigned duel_run(duel *d, choices *from, unsigned steps,
                  unsigned check_every) {
  if (steps > DUEL_STEPS_MAX) steps = DUEL_STEPS_MAX;
  begin(d, from);
  while (d->step < steps && !choices_done(from) && !d->broken) {
    duel_operate(d);
    glance(d);
    if (d->step % check_every == 0) duel_look(d);
    d->step++;
  }
  end(d);
  return d->broken ? 0 : d->step + !d->step;
}
