/* rate.c - see rate.h. */
#include "rate.h"

/* What does not fit into a time is as late as can be; NEVER is no time. */
#define LATEST (WEIR_NEVER - 1)

#define ROOM_MAX ((uint64_t)1 << 62) /* ns; so that two rooms can be added */

/* --- arithmetic ----------------------------------------------------------- */

static uint64_t plus(uint64_t a, uint64_t b) {
  uint64_t sum = a + b;
  return sum < a || sum > LATEST ? LATEST : sum;
}

/* a x b, at most LATEST; in halves, where an overflow shows. */
static uint64_t times(uint64_t a, uint32_t b) {
  uint64_t high = (a >> 32) * b, low = (a & UINT32_MAX) * b;
  high += low >> 32;
  return high >> 32 ? LATEST : plus(high << 32, (uint32_t)low);
}

/* a x n / d, rounded down, for n <= d <= 2^32: the product has 96 bits. */
static uint64_t scaled(uint64_t a, uint32_t n, uint64_t d) {
  uint64_t high = (a >> 32) * n, low = (a & UINT32_MAX) * n;
  high += low >> 32;
  low = (high % d) << 32 | (uint32_t)low;
  return (high / d << 32) + low / d;
}

/* a / b for a < b <= 2^62, rounded down, in 1/2^32: its binary digits. */
static uint32_t fraction(uint64_t a, uint64_t b) {
  uint32_t digits = 0;
  for (int i = 0; i < 32; i++) {
    a <<= 1;
    digits <<= 1;
    if (a < b) continue;
    a -= b;
    digits |= 1;
  }
  return digits;
}

static uint32_t lesser(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* --- GCRA ----------------------------------------------------------------- */

typedef weir_rate_span span;

/* Whether a is longer; as times: later. */
static bool exceeds(span a, span b) {
  return a.ns != b.ns ? a.ns > b.ns : a.part > b.part;
}

static span sum(span a, span b, uint32_t count) {
  span all = { plus(a.ns, b.ns), a.part + b.part };
  if (all.part >= count) {
    all.part -= count;
    all.ns = plus(all.ns, 1);
  }
  return all;
}

/* a - b, where b does not exceed a. */
static span difference(span a, span b, uint32_t count) {
  span rest = { a.ns - b.ns, a.part - b.part };
  if (a.part < b.part) {
    rest.part += count;
    rest.ns--;
  }
  return rest;
}

/* `cost` steps; those of one token, the common case, are at hand. */
static span steps(const weir_meter *meter, uint32_t cost) {
  uint64_t parts;
  span all;
  if (cost == 1) return meter->step;
  parts = (uint64_t)meter->step.part * cost;
  all.ns = plus(times(meter->step.ns, cost), parts / meter->rate.count);
  all.part = (uint32_t)(parts % meter->rate.count);
  return all;
}

/* What has to pass until the bucket is full again. */
static span debt(const weir_rate_state *state, uint64_t t) {
  span owed = { 0, 0 };
  if (state->mark >= t) {
    owed.ns = state->mark - t;
    owed.part = state->part;
  }
  return owed;
}

static uint64_t gcra_ready(const weir_meter *meter,
                           const weir_rate_state *state, uint32_t cost,
                           uint64_t t) {
  span owed = debt(state, t);
  span spare = difference(meter->room, steps(meter, cost), meter->rate.count);
  uint64_t ns = spare.ns + (owed.part < spare.part);
  return owed.ns <= ns ? t : plus(t, owed.ns - ns);
}

/* The state whose bucket will be full at `mark`. */
static weir_rate_state full_at(span mark) {
  weir_rate_state state = { mark.ns, mark.part, 0 };
  if (mark.ns == LATEST) state.part = 0;
  return state;
}

static void gcra_take(const weir_meter *meter, weir_rate_state *state,
                      uint32_t cost, uint64_t t) {
  span from = { state->mark, state->part };
  if (state->mark < t) from = (span){ t, 0 };
  *state = full_at(sum(from, steps(meter, cost), meter->rate.count));
}

/* Had they not been taken, the bucket may have been full at once and stayed so:
** what came in since then came in for them, and is not given twice. A mark that
** comes to lie before `t` is as good as one at `t`. */
static void gcra_give(const weir_meter *meter, weir_rate_state *state,
                      uint32_t cost, uint64_t then, uint64_t t) {
  span mark = { state->mark, state->part }, back = steps(meter, cost);
  uint64_t since = t > then ? t - then : 0;
  if (state->mark < t || since >= back.ns) return;
  back.ns -= since;
  if (exceeds(back, mark)) back = mark;
  *state = full_at(difference(mark, back, meter->rate.count));
}

/* --- windows -------------------------------------------------------------- */

/* A state as it is at a time. */
typedef struct window {
  uint64_t now;   /* ns; the period's begin, for a caller whose clock is behind
                     that: from there on it is as if no time had passed */
  uint64_t age;   /* ns from the period's begin to now, less than a period */
  uint32_t taken; /* in this period; more than `count` goes on to the next */
  uint32_t last;  /* in the one before; FIXED: 0 */
} window;

/* Whether the period has begun. The first aligned one may have before time 0,
** its mark is huge then: no clock is behind by half of all time. */
static bool has_begun(const weir_rate_state *state, uint64_t t) {
  return state->mark <= t || state->mark - t > (uint64_t)1 << 63;
}

/* Of a checked rate it is not 0; one in damaged memory may be. */
static uint64_t period(const weir_rate *rate) {
  return rate->per_ns ? rate->per_ns : 1;
}

/* How old the period of `t` is if nothing was taken lately. */
static uint64_t fresh_age(const weir_rate *rate, uint64_t t) {
  uint64_t per = period(rate);
  if (!rate->aligned) return 0;
  return (t % per + per - rate->phase_ns % per) % per;
}

/* What is left of `taken` after n periods, each of which can have `count`. */
static uint32_t left_after(uint32_t taken, uint32_t count, uint64_t n) {
  return n > taken / count ? 0 : taken - (uint32_t)n * count;
}

/* Moves the tokens n >= 1 periods on. */
static void pass(const weir_rate *rate, window *at, uint64_t n) {
  uint32_t before = left_after(at->taken, rate->count, n - 1);
  at->taken = left_after(before, rate->count, 1);
  at->last = rate->window == WEIR_SLIDING ? before - at->taken : 0;
}

static window look(const weir_rate *rate, const weir_rate_state *state,
                   uint64_t t) {
  window at = { state->mark, 0, state->part, state->last };
  if (has_begun(state, t)) {
    uint64_t passed = t - state->mark, per = period(rate);
    at.now = t;
    at.age = passed % per;
    if (passed >= per) pass(rate, &at, passed / per);
  }
  if (!at.taken && !at.last) {
    at.now = t;
    at.age = fresh_age(rate, t);
  }
  return at;
}

static weir_rate_state state_of(const window *at) {
  return (weir_rate_state){ at->now - at->age, at->taken, at->last };
}

/* The age, this one or later, at which `cost` more fit into the period; per_ns:
** they do not. It is where
**   last x (per - age) <= (count - taken - cost) x per */
static uint64_t fitting_age(const weir_rate *rate, const window *at,
                            uint32_t cost) {
  uint64_t age;
  uint32_t free = rate->count - cost;
  if (at->taken > free) return rate->per_ns;
  free -= at->taken;
  if (at->last <= free) return at->age;
  age = rate->per_ns - scaled(rate->per_ns, free, at->last);
  return age > at->age ? age : at->age;
}

/* Moves to the begin of the next period that has room for `cost`, but for what
** the one before it weighs; answers how long that takes. */
static uint64_t go_on(const weir_rate *rate, window *at, uint32_t cost) {
  uint32_t bound = rate->count - cost, n = 1;
  uint64_t wait;
  if (at->taken > bound) n = (at->taken - bound - 1) / rate->count + 1;
  wait = plus(times(rate->per_ns, n - 1), rate->per_ns - at->age);
  pass(rate, at, n);
  at->age = 0;
  return wait;
}

/* Ends: the tokens of a period weigh on the next, and on no other. */
static uint64_t window_ready(const weir_meter *meter,
                             const weir_rate_state *state, uint32_t cost,
                             uint64_t t) {
  const weir_rate *rate = &meter->rate;
  window at = look(rate, state, t);
  uint64_t age, wait = 0;
  if (!rate->per_ns) return t;
  while ((age = fitting_age(rate, &at, cost)) == rate->per_ns)
    wait = plus(wait, go_on(rate, &at, cost));
  wait = plus(wait, age - at.age);
  return wait ? plus(at.now, wait) : t;
}

static void window_take(const weir_meter *meter, weir_rate_state *state,
                        uint32_t cost, uint64_t t) {
  window at = look(&meter->rate, state, t);
  at.taken += lesser(cost, UINT32_MAX - at.taken);
  *state = state_of(&at);
}

static void window_give(const weir_meter *meter, weir_rate_state *state,
                        uint32_t cost, uint64_t then, uint64_t t) {
  window at = look(&meter->rate, state, t);
  *state = state_of(&at);
  if (has_begun(state, then))
    state->part -= lesser(cost, state->part);
  else if (state->mark - then <= meter->rate.per_ns)
    state->last -= lesser(cost, state->last);
}

/* --- either --------------------------------------------------------------- */

static bool is_gcra(const weir_meter *meter) {
  return meter->rate.window == WEIR_GCRA;
}

/* How many tokens there are if none is taken. */
static uint32_t capacity(const weir_meter *meter) {
  return is_gcra(meter) ? meter->rate.burst : meter->rate.count;
}

static const char *burst_check(const weir_rate *rate) {
  weir_meter meter = { .rate = { .count = 0 } };
  if (rate->burst < 1 || rate->burst > WEIR_PERMITS_MAX)
    return "burst must be from 1 to 2147483647";
  weir_meter_init(&meter, rate);
  if (meter.room.ns >= ROOM_MAX)
    return "burst must be one that fills up within 146 years";
  return NULL;
}

const char *weir_rate_check(const weir_rate *rate) {
  if (!rate->count) return NULL;
  if (rate->count > WEIR_PERMITS_MAX)
    return "rate must be from 1 to 2147483647 tokens in its period";
  if (rate->per_ns > WEIR_PER_MAX)
    return "rate must have a period of at most 36 years";
  if (rate->per_ns < rate->count)
    return "rate must be at most one token per nanosecond";
  switch (rate->window) {
  case WEIR_GCRA: return burst_check(rate);
  case WEIR_FIXED:
  case WEIR_SLIDING: return NULL;
  }
  return "window must be gcra, fixed or sliding";
}

void weir_meter_init(weir_meter *meter, const weir_rate *rate) {
  *meter = (weir_meter){ *rate, { 0, 0 }, { 0, 0 } };
  if (!rate->count || !is_gcra(meter)) return;
  meter->step.ns = rate->per_ns / rate->count;
  meter->step.part = (uint32_t)(rate->per_ns % rate->count);
  meter->room = steps(meter, rate->burst);
}

bool weir_meter_possible(const weir_meter *meter, uint32_t cost) {
  return cost <= capacity(meter);
}

uint64_t weir_meter_ready(const weir_meter *meter, const weir_rate_state *state,
                          uint32_t cost, uint64_t t) {
  if (!weir_meter_possible(meter, cost)) return WEIR_NEVER;
  if (is_gcra(meter)) return gcra_ready(meter, state, cost, t);
  return window_ready(meter, state, cost, t);
}

void weir_meter_take(const weir_meter *meter, weir_rate_state *state,
                     uint32_t cost, uint64_t t) {
  if (is_gcra(meter))
    gcra_take(meter, state, cost, t);
  else
    window_take(meter, state, cost, t);
}

void weir_meter_give(const weir_meter *meter, weir_rate_state *state,
                     uint32_t cost, uint64_t then, uint64_t t) {
  if (is_gcra(meter))
    gcra_give(meter, state, cost, then, t);
  else
    window_give(meter, state, cost, then, t);
}

/* By halves rather than by a quotient, which has too many digits. */
uint32_t weir_meter_left(const weir_meter *meter, const weir_rate_state *state,
                         uint64_t t) {
  uint32_t fit = 0, most = capacity(meter);
  while (fit < most) {
    uint32_t middle = most - (most - fit) / 2;
    if (weir_meter_ready(meter, state, middle, t) == t)
      fit = middle;
    else
      most = middle - 1;
  }
  return fit;
}

uint64_t weir_meter_idle(const weir_meter *meter, const weir_rate_state *state,
                         uint64_t t) {
  return weir_meter_ready(meter, state, capacity(meter), t);
}

uint64_t weir_meter_span(const weir_meter *meter) {
  return meter->rate.window == WEIR_GCRA ? plus(meter->room.ns, 1)
                                         : times(meter->rate.per_ns, 2);
}

/* --- a new rate ----------------------------------------------------------- */

/* How many tokens are missing at `t`, rounded up. */
static uint32_t missing(const weir_meter *meter, const weir_rate_state *state,
                        uint64_t t) {
  return capacity(meter) - weir_meter_left(meter, state, t);
}

/* The part of a token that `missing` has rounded away, in 1/2^32. */
static uint32_t regained(const weir_meter *meter, const weir_rate_state *state,
                         uint64_t t) {
  span owed = debt(state, t), whole = steps(meter, missing(meter, state, t));
  if (!exceeds(whole, owed)) return 0;
  whole = difference(whole, owed, meter->rate.count);
  return fraction(whole.ns, meter->step.ns + (meter->step.part > 0));
}

/* As many tokens are missing as were; a fraction of one, too, or a rate that is
** changed faster than it gives tokens would never give one. */
static void to_gcra(const weir_meter *from, const weir_meter *to,
                    weir_rate_state *state, uint64_t t) {
  uint32_t tokens = missing(from, state, t);
  uint32_t part = is_gcra(from) ? regained(from, state, t) : 0;
  span back = { scaled(to->step.ns, part, (uint64_t)1 << 32), 0 };
  span owed = steps(to, lesser(tokens, to->rate.burst));
  if (tokens <= to->rate.burst && exceeds(owed, back))
    owed = difference(owed, back, to->rate.count);
  *state = full_at(sum((span){ t, 0 }, owed, to->rate.count));
}

static bool same_steps(const weir_meter *a, const weir_meter *b) {
  return is_gcra(a) && is_gcra(b) && a->rate.per_ns == b->rate.per_ns &&
         a->rate.count == b->rate.count;
}

/* Nothing has to be converted; only the room may have become smaller. */
static void gcra_cap(const weir_meter *from, const weir_meter *to,
                     weir_rate_state *state, uint64_t t) {
  if (to->rate.burst < from->rate.burst && exceeds(debt(state, t), to->room))
    *state = full_at(sum((span){ t, 0 }, to->room, to->rate.count));
}

static bool same_periods(const weir_rate *a, const weir_rate *b) {
  if (a->per_ns != b->per_ns || a->aligned != b->aligned) return false;
  return !a->aligned || a->phase_ns % period(a) == b->phase_ns % period(b);
}

/* How old the new rate's period is. One that is not aligned is as far as the
** old one was, so that changes, however many, do not keep it from ending. */
static uint64_t age_under(const weir_rate *from, const weir_rate *to,
                          const window *at) {
  if (same_periods(from, to)) return at->age;
  if (to->aligned) return fresh_age(to, at->now);
  return scaled(to->per_ns, fraction(at->age, from->per_ns), (uint64_t)1 << 32);
}

/* Whether what was taken in the last period can go on to be that. If not, it
** counts as taken in this one. */
static bool keeps_last(const weir_rate *from, const weir_rate *to) {
  return to->window == WEIR_SLIDING && (!to->aligned || same_periods(from, to));
}

static void to_window(const weir_meter *from, const weir_meter *to,
                      weir_rate_state *state, uint64_t t) {
  uint32_t tokens = missing(from, state, t);
  window at = { t, fresh_age(&to->rate, t), tokens, 0 };
  if (!is_gcra(from)) {
    at = look(&from->rate, state, t);
    at.age = age_under(&from->rate, &to->rate, &at);
    if (!keeps_last(&from->rate, &to->rate)) {
      at.taken = tokens;
      at.last = 0;
    }
  }
  at.taken = lesser(at.taken, to->rate.count);
  *state = state_of(&at);
}

void weir_meter_change(const weir_meter *from, const weir_meter *to,
                       weir_rate_state *state, uint64_t t) {
  if (!weir_meter_on(from) || !weir_meter_on(to))
    *state = (weir_rate_state){ 0, 0, 0 };
  else if (same_steps(from, to))
    gcra_cap(from, to, state, t);
  else if (is_gcra(to))
    to_gcra(from, to, state, t);
  else
    to_window(from, to, state, t);
}
