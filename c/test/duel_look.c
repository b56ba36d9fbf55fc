/* duel_look.c - see duel.h: comparing what can be seen. */
#include <stdlib.h>
#include <string.h>

#include "duel.h"

void duel_same_events(duel *d, const weir_event *engine,
                      const weir_event *model) {
  duel_same(d, "event.ticket", engine->ticket, model->ticket);
  duel_same(d, "event.verdict", engine->verdict, model->verdict);
  duel_same(d, "event.cookie", engine->cookie, model->cookie);
  duel_same(d, "event.limiter", engine->limiter, model->limiter);
  duel_same(d, "event.cost", engine->cost, model->cost);
  duel_same(d, "event.waited_ns", engine->waited_ns, model->waited_ns);
}

/* --- limiters ------------------------------------------------------------ */

static void same_stats(duel *d, const weir_stats *engine,
                       const weir_stats *model) {
  duel_same(d, "stats.limit", engine->limit, model->limit);
  duel_same(d, "stats.in_use", engine->in_use, model->in_use);
  duel_same(d, "stats.waiting", engine->waiting, model->waiting);
  duel_same(d, "stats.keys", engine->keys, model->keys);
  duel_same(d, "stats.changes", engine->changes, model->changes);
  duel_same(d, "stats.admitted", engine->admitted, model->admitted);
  duel_same(d, "stats.dropped", engine->dropped, model->dropped);
  duel_same(d, "stats.unused", engine->unused, model->unused);
  duel_same(d, "stats.closed", engine->closed, model->closed);
  duel_same(d, "stats.wait.max", engine->wait.max, model->wait.max);
  for (int i = 0; i < WEIR_VERDICTS; i++) {
    duel_same(d, weir_verdict_name(i), engine->refused[i], model->refused[i]);
    duel_same(d, "stats.would", engine->would[i], model->would[i]);
  }
}

static void same_config(duel *d, const weir_config *engine,
                        const weir_config *model) {
  duel_same(d, "config.concurrent", engine->concurrent, model->concurrent);
  duel_same(d, "config.queue", engine->queue, model->queue);
  duel_same(d, "config.timeout", engine->timeout_ns, model->timeout_ns);
  duel_same(d, "config.count", engine->rate.count, model->rate.count);
  duel_same(d, "config.order", engine->order, model->order);
  duel_same(d, "config.keys", engine->keys, model->keys);
  duel_same(d, "config.max", engine->adaptive.max, model->adaptive.max);
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
  duel_same(d, "timed", weir_limiter_timed(d->space, limiter),
            ref_timed(&d->model, limiter));
  if (!known || answer) return;
  same_config(d, &config, &known->config);
  same_stats(d, &engine, &model);
  duel_same(
      d, "name", 0,
      (uint64_t)strcmp(weir_limiter_name(d->space, limiter), known->name));
}

/* --- keys ---------------------------------------------------------------- */

static int key_labelled(const char *label) {
  char own[WEIR_LABEL_MAX + 1];
  for (int key = 1; key < REF_KEYS; key++) {
    ref_label(key, own);
    if (!strcmp(own, label)) return key;
  }
  return 0;
}

unsigned duel_keys(duel *d, weir_limiter limiter) {
  weir_key_info info;
  uint32_t cursor = 0;
  unsigned seen = 0;
  while (weir_key_walk(d->space, limiter, &cursor, &info)) {
    unsigned bit = 1u << key_labelled(info.label);
    duel_same(d, "a key that is one of ours, once", 0, bit < 2 || seen & bit);
    seen |= bit;
  }
  return seen;
}

static void same_key(duel *d, const weir_key_info *engine,
                     const weir_key_info *model) {
  duel_same(d, "key.limit", engine->limit, model->limit);
  duel_same(d, "key.in_use", engine->in_use, model->in_use);
  duel_same(d, "key.waiting", engine->waiting, model->waiting);
  duel_same(d, "key.admitted", engine->admitted, model->admitted);
  duel_same(d, "key.refused", engine->refused, model->refused);
  duel_same(d, "key.label", 0, (uint64_t)strcmp(engine->label, model->label));
}

static void look_at_keys(duel *d, weir_limiter limiter) {
  const ref_limiter *known = ref_limiter_of(&d->model, limiter);
  unsigned seen = duel_keys(d, limiter);
  weir_key_info engine, model;
  for (int key = 0; known && key < REF_KEYS; key++) {
    int answer = weir_key_inspect(d->space, limiter, ref_keys[key].bytes,
                                  ref_keys[key].size, &engine);
    duel_same(d, "key_inspect", (uint64_t)answer,
              (uint64_t)ref_key_inspect(&d->model, limiter, key, &model));
    if (answer == 0) same_key(d, &engine, &model);
    if (key) duel_same(d, "known", seen >> key & 1, known->keys[key].known);
  }
}

/* --- tickets ------------------------------------------------------------- */

static void same_info(duel *d, const weir_ticket_info *engine,
                      const weir_ticket_info *model) {
  duel_same(d, "info.ticket", engine->ticket, model->ticket);
  duel_same(d, "info.limiter", engine->limiter, model->limiter);
  duel_same(d, "info.cookie", engine->cookie, model->cookie);
  duel_same(d, "info.cost", engine->cost, model->cost);
  duel_same(d, "info.state", engine->state, model->state);
  duel_same(d, "info.bound", engine->bound, model->bound);
  duel_same(d, "info.since", engine->since, model->since);
  duel_same(d, "info.key", 0, (uint64_t)strcmp(engine->key, model->key));
}

static void look_at_ticket(duel *d, int port, weir_ticket ticket) {
  weir_ticket_info engine, model;
  int answer = weir_ticket_inspect(d->ports[port], ticket, d->now, &engine);
  duel_same(d, "inspect", (uint64_t)answer,
            (uint64_t)ref_inspect(&d->model, port, ticket, d->now, &model));
  if (answer == 0) same_info(d, &engine, &model);
}

static void look_at_walk(duel *d, int port) {
  weir_ticket_info engine, model;
  uint32_t engine_at = 0, model_at = 0;
  while (!d->broken) {
    bool more = weir_ticket_walk(d->ports[port], &engine_at, d->now, &engine);
    duel_same(d, "more tickets in a walk", more,
              ref_walk(&d->model, port, &model_at, d->now, &model));
    if (!more || d->broken) return;
    same_info(d, &engine, &model);
  }
}

void duel_look(duel *d) {
  for (int i = 0; i < REF_LIMITERS; i++) {
    look_at_limiter(d, d->limiters[i]);
    look_at_keys(d, d->limiters[i]);
  }
  for (int port = 0; port < REF_PORTS; port++) {
    if (!d->ports[port]) continue;
    for (int i = 0; i < REF_TICKETS; i++)
      look_at_ticket(d, port, d->tickets[i]);
    look_at_walk(d, port);
  }
}

/* The engine may say a deadline that is too early, of one whose event was not
** taken yet. */
void duel_glance(duel *d) {
  for (int port = 0; port < REF_PORTS; port++) {
    bool decided;
    uint64_t engine, model;
    if (!d->ports[port]) continue;
    decided = ref_first_decided(&d->model, port) != NULL;
    duel_same(d, "pending", weir_pending(d->ports[port]),
              ref_first_ready(&d->model, port) != NULL);
    engine = weir_deadline(d->ports[port]);
    model = ref_deadline(&d->model, port);
    if (!decided || engine > model) duel_same(d, "deadline", engine, model);
  }
  if (d->model.broken) duel_same(d, d->model.broken, 0, 1);
}

/* --- waits --------------------------------------------------------------- */

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
  uint64_t sum = 0, engine_sum, count;
  weir_stats stats;
  if (weir_limiter_stats(d->space, limiter->handle, &stats)) return;
  qsort(limiter->waits, limiter->admitted, sizeof *limiter->waits, compare);
  same_percentile(d, "p50", stats.wait.p50, limiter, 50);
  same_percentile(d, "p90", stats.wait.p90, limiter, 90);
  same_percentile(d, "p99", stats.wait.p99, limiter, 99);
  weir_limiter_waits(d->space, limiter->handle, NULL, NULL, 0, &engine_sum,
                     &count);
  for (uint64_t i = 0; i < limiter->admitted; i++) sum += limiter->waits[i];
  duel_same(d, "sum of waits", engine_sum, sum);
  duel_same(d, "count of waits", count, limiter->admitted);
}

void duel_look_at_waits(duel *d) {
  for (int i = 0; i < REF_LIMITERS; i++)
    if (d->model.limiters[i].live) look_at_waits(d, &d->model.limiters[i]);
}
