/*
** gate.h - a rate and its state, as the tests of rate.h use them.
*/
#ifndef WEIR_TEST_GATE_H
#define WEIR_TEST_GATE_H

#include "check.h"
#include "choices.h"
#include "core/rate.h"

#define MS ((uint64_t)1000000)
#define S (1000 * MS)
#define NEAR_THE_END (UINT64_MAX - 3000)

typedef struct gate {
  weir_meter meter;
  weir_rate_state state;
} gate;

static inline gate gate_of(weir_rate rate) {
  gate g = { .state = { 0, 0, 0 } };
  const char *wrong = weir_rate_check(&rate);
  if (wrong) CHECK_TEXT(wrong, "");
  weir_meter_init(&g.meter, &rate);
  return g;
}

static inline gate gcra(uint32_t count, uint64_t per, uint32_t burst) {
  return gate_of((weir_rate){ per, 0, count, burst, WEIR_GCRA, false });
}

static inline gate window(weir_window kind, uint32_t count, uint64_t per) {
  return gate_of((weir_rate){ per, 0, count, 0, kind, false });
}

static inline gate aligned(weir_window kind, uint32_t count, uint64_t per,
                           uint64_t phase) {
  return gate_of((weir_rate){ per, phase, count, 0, kind, true });
}

static inline uint64_t ready(const gate *g, uint32_t cost, uint64_t t) {
  return weir_meter_ready(&g->meter, &g->state, cost, t);
}

static inline uint32_t left(const gate *g, uint64_t t) {
  return weir_meter_left(&g->meter, &g->state, t);
}

static inline uint64_t idle(const gate *g, uint64_t t) {
  return weir_meter_idle(&g->meter, &g->state, t);
}

static inline void take(gate *g, uint32_t cost, uint64_t t) {
  weir_meter_take(&g->meter, &g->state, cost, t);
}

static inline void give(gate *g, uint32_t cost, uint64_t then, uint64_t t) {
  weir_meter_give(&g->meter, &g->state, cost, then, t);
}

static inline void change(gate *g, gate to, uint64_t t) {
  weir_meter_change(&g->meter, &to.meter, &g->state, t);
  g->meter = to.meter;
}

/* Takes if it may. */
static inline bool try(gate *g, uint32_t cost, uint64_t t) {
  bool may = ready(g, cost, t) == t;
  if (may) take(g, cost, t);
  return may;
}

/* Takes at once and answers from when on that is made up for. */
static inline uint64_t reserve(gate *g, uint32_t cost, uint64_t t) {
  uint64_t at = ready(g, cost, t);
  if (at != WEIR_NEVER) take(g, cost, t);
  return at;
}

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* A rate of small numbers. */
static inline weir_rate random_rate(choices *from) {
  weir_rate rate = { .per_ns = 1 + choose(from, 40) };
  rate.phase_ns = choose(from, 90);
  rate.count = 1 + choose(from, rate.per_ns < 6 ? (uint32_t)rate.per_ns : 6);
  rate.burst = 1 + choose(from, 6);
  rate.window = (weir_window)choose(from, 3);
  rate.aligned = once_in(from, 2);
  return rate;
}

/* How many tokens there can be at once. */
static inline uint32_t most(const weir_rate *rate) {
  return rate->window == WEIR_GCRA ? rate->burst : rate->count;
}

#endif
