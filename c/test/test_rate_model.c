/* test_rate_model.c - gates on the time, beside naive models and exact ones. */
#include "gate.h"

__extension__ typedef __int128 wide;

/* --- beside a model ------------------------------------------------------- */

enum { TAKES_MAX = 48 };

/* Everything that was taken, one by one; numbers small enough to try every
** instant. */
typedef struct model {
  weir_rate rate;
  struct {
    uint64_t t;
    uint32_t cost;
  } takes[TAKES_MAX];
  size_t count;
  wide origin; /* of the grid, if it is not aligned */
} model;

/* The tokens taken in the nth period before the one of `t`. */
static uint32_t in_period(const model *m, wide t, int n) {
  wide per = (wide)m->rate.per_ns, since = t - m->origin;
  wide begin = m->origin + (since - (since % per + per) % per) - n * per;
  uint32_t sum = 0;
  for (size_t i = 0; i < m->count; i++)
    if ((wide)m->takes[i].t >= begin && (wide)m->takes[i].t < begin + per)
      sum += m->takes[i].cost;
  return sum;
}

static bool model_is_fresh(const model *m, wide t) {
  return !in_period(m, t, 0) &&
         (m->rate.window == WEIR_FIXED || !in_period(m, t, 1));
}

static wide model_debt(const model *m, wide t) { /* in 1/count ns */
  wide full = 0, count = m->rate.count;
  for (size_t i = 0; i < m->count; i++) {
    wide at = (wide)m->takes[i].t * count;
    full = (full > at ? full : at) + m->takes[i].cost * (wide)m->rate.per_ns;
  }
  return full > t * count ? full - t * count : 0;
}

static bool model_admits(const model *m, uint32_t cost, wide t) {
  wide per = (wide)m->rate.per_ns, count = m->rate.count, age;
  if (m->rate.window == WEIR_GCRA)
    return model_debt(m, t) + cost * per < m->rate.burst * per + count;
  if (model_is_fresh(m, t)) return cost <= m->rate.count;
  if (m->rate.window == WEIR_FIXED)
    return in_period(m, t, 0) + cost <= m->rate.count;
  age = ((t - m->origin) % per + per) % per;
  return in_period(m, t, 1) * (per - age) + (in_period(m, t, 0) + cost) * per <=
         count * per;
}

static uint64_t model_ready(const model *m, uint32_t cost, uint64_t t) {
  while (!model_admits(m, cost, t)) t++;
  return t;
}

static void model_take(model *m, uint32_t cost, uint64_t t) {
  if (!m->rate.aligned && m->rate.window != WEIR_GCRA && model_is_fresh(m, t))
    m->origin = t;
  m->takes[m->count].t = t;
  m->takes[m->count++].cost = cost;
}

static uint32_t model_left(const model *m, uint64_t t) {
  uint32_t n = 0;
  while (model_admits(m, n + 1, t)) n++;
  return n;
}

static void check_against(const gate *g, const model *m, uint64_t t) {
  uint32_t cap = most(&m->rate);
  for (uint32_t cost = 1; cost <= cap; cost++)
    CHECK_EQ(ready(g, cost, t), model_ready(m, cost, t));
  CHECK_EQ(left(g, t), model_left(m, t));
  CHECK_EQ(idle(g, t), model_ready(m, cap, t));
}

/* No more than a bucket and what comes in between, from any to any other; where
** clocks are apart by `skew`, that is time as well. */
static void check_bound(const model *m, uint64_t skew) {
  for (size_t i = 0; i < m->count; i++) {
    uint32_t sum = 0;
    for (size_t j = i; j < m->count; j++) {
      uint64_t passed = m->takes[j].t - m->takes[i].t + skew;
      sum += m->takes[j].cost;
      CHECK(sum * m->rate.per_ns <
            m->rate.burst * m->rate.per_ns + (passed + 1) * m->rate.count);
    }
  }
}

static void run_beside_model(uint64_t seed, uint64_t start) {
  choices from = choices_of_seed(seed);
  weir_rate rate = random_rate(&from);
  model m = { .rate = rate, .origin = rate.aligned ? (wide)rate.phase_ns : 0 };
  gate g = gate_of(rate);
  uint64_t t = start + choose(&from, 60);
  while (m.count < TAKES_MAX) {
    uint32_t cost = 1 + choose(&from, most(&rate));
    check_against(&g, &m, t);
    if (once_in(&from, 3)) t = ready(&g, cost, t);
    if (try(&g, cost, t)) model_take(&m, cost, t);
    t += choose(&from, 4) ? choose(&from, 8) : choose(&from, 100);
  }
  if (rate.window == WEIR_GCRA) check_bound(&m, 0);
}

TEST(every_instant_is_as_in_a_model_that_keeps_a_list) {
  for (uint64_t seed = 1; seed <= 120; seed++) run_beside_model(seed, 0);
  for (uint64_t seed = 1; seed <= 60; seed++)
    run_beside_model(seed, ((uint64_t)1 << 63) - 500);
}

TEST(time_may_be_almost_over) {
  for (uint64_t seed = 500; seed <= 530; seed++)
    run_beside_model(seed, UINT64_MAX - 12000);
}

/* A token that comes back is struck from the list; of a bucket, only the last
** one is given: it does not know what came after an earlier one. */
static void run_giving(uint64_t seed) {
  choices from = choices_of_seed(seed);
  weir_rate rate = random_rate(&from);
  model m = { .rate = rate, .origin = rate.aligned ? (wide)rate.phase_ns : 0 };
  gate g = gate_of(rate);
  uint64_t t = choose(&from, 60);
  while (m.count < TAKES_MAX) {
    uint32_t cost = 1 + choose(&from, most(&rate));
    t = ready(&g, cost, t);
    take(&g, cost, t);
    model_take(&m, cost, t);
    if (rate.window != WEIR_GCRA) t += choose(&from, 12);
    if (once_in(&from, 2)) {
      size_t back = m.count - 1;
      if (rate.window != WEIR_GCRA) back -= choose(&from, (uint32_t)m.count);
      give(&g, m.takes[back].cost, m.takes[back].t, t);
      m.takes[back].cost = 0;
    }
    check_against(&g, &m, t);
  }
}

TEST(what_is_given_back_is_struck_from_the_list) {
  for (uint64_t seed = 1; seed <= 150; seed++) run_giving(seed);
}

/* Tokens that come back late are lost in part, but never had twice: once all
** was given back that was, what is left on the list keeps the bound. */
static void run_giving_late(uint64_t seed) {
  choices from = choices_of_seed(seed);
  model m = { .rate = random_rate(&from) };
  gate g;
  uint64_t t = choose(&from, 60);
  m.rate.window = WEIR_GCRA;
  m.rate.aligned = false;
  g = gate_of(m.rate);
  for (int i = 0; i < 200 && m.count < TAKES_MAX; i++) {
    uint32_t cost = 1 + choose(&from, m.rate.burst);
    if (try(&g, cost, t)) model_take(&m, cost, t);
    t += choose(&from, 40);
    if (m.count && once_in(&from, 3)) {
      size_t back = choose(&from, (uint32_t)m.count);
      give(&g, m.takes[back].cost, m.takes[back].t, t);
      m.takes[back].cost = 0;
    }
  }
  check_bound(&m, 0);
}

TEST(what_is_given_back_late_is_not_had_twice) {
  for (uint64_t seed = 1; seed <= 300; seed++) run_giving_late(seed);
}

/* Whoever comes with an earlier time waits until the same instant. */
static void run_disorder(uint64_t seed) {
  choices from = choices_of_seed(seed);
  gate g = gate_of(random_rate(&from));
  uint64_t now = 200;
  for (int i = 0; i < 60; i++) {
    uint32_t cost = 1 + choose(&from, most(&g.meter.rate));
    uint64_t t = now - choose(&from, 100);
    for (uint64_t later = t; later < now + 100; later += 7) {
      uint64_t at = ready(&g, cost, t);
      CHECK_EQ(ready(&g, cost, later), at > later ? at : later);
      CHECK(left(&g, later) >= left(&g, t));
    }
    if (choose(&from, 4)) try(&g, cost, t);
    now += choose(&from, 30);
  }
}

TEST(a_clock_that_is_behind_only_waits_longer) {
  for (uint64_t seed = 1; seed <= 150; seed++) run_disorder(seed);
}

TEST(a_bucket_keeps_its_bound_when_clocks_disagree) {
  for (uint64_t seed = 1; seed <= 150; seed++) {
    choices from = choices_of_seed(seed);
    model m = { .rate = random_rate(&from) };
    gate g;
    m.rate.window = WEIR_GCRA;
    g = gate_of(m.rate);
    for (uint64_t now = 100; m.count < TAKES_MAX; now += choose(&from, 9))
      if (try(&g, 1, now - choose(&from, 50))) model_take(&m, 1, now);
    check_bound(&m, 50);
  }
}

/* --- large numbers -------------------------------------------------------- */

static uint64_t choose_wide(choices *from, unsigned bits) {
  uint64_t all = 0;
  for (int i = 0; i < 8; i++) all = all << 8 | choose(from, 256);
  return all >> (64 - (1 + all % 997 % bits));
}

static weir_rate large_rate(choices *from, weir_window kind) {
  weir_rate rate = { 0, 0, 0, 0, kind, false };
  do {
    rate.per_ns = choose_wide(from, 60);
    rate.count = (uint32_t)choose_wide(from, 31);
    rate.burst = (uint32_t)choose_wide(from, 31);
  } while (!rate.count || weir_rate_check(&rate));
  return rate;
}

static void run_large_bucket(uint64_t seed) {
  choices from = choices_of_seed(seed);
  weir_rate rate = large_rate(&from, WEIR_GCRA);
  gate g = gate_of(rate);
  wide per = (wide)rate.per_ns, room = rate.burst * per, full = 0;
  uint64_t t = choose_wide(&from, 62);
  for (int i = 0; i < 20 && !(t >> 62); i++) {
    uint32_t cost = 1 + (uint32_t)choose_wide(&from, 31) % rate.burst;
    wide now = (wide)t * rate.count;
    wide debt = full > now ? full - now : 0, over = debt + cost * per - room;
    wide wait = over > 0 ? over / rate.count : 0;
    CHECK_EQ(ready(&g, cost, t), t + (uint64_t)wait);
    CHECK_EQ(left(&g, t), (uint64_t)((room - debt + rate.count - 1) / per));
    CHECK_EQ(idle(&g, t), t + (uint64_t)(debt / rate.count));
    t += (uint64_t)wait;
    now = (wide)t * rate.count;
    full = (full > now ? full : now) + cost * per;
    take(&g, cost, t);
    t += once_in(&from, 2) ? 0 : choose_wide(&from, 55);
  }
}

TEST(large_buckets_are_exact) {
  for (uint64_t seed = 1; seed <= 1000; seed++) run_large_bucket(seed);
}

/* Whether the estimate of a state admits `cost`, `passed` ns after its mark. */
static bool estimated(const gate *g, uint32_t cost, wide passed) {
  wide per = (wide)g->meter.rate.per_ns, count = g->meter.rate.count;
  wide taken = g->state.part, last = g->state.last;
  for (; passed >= per && (taken || last); passed -= per) {
    last = taken;
    taken = 0;
  }
  return last * (per - passed) + (taken + cost) * per <= count * per ||
         (!last && !taken);
}

TEST(large_windows_are_exact) {
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    choices from = choices_of_seed(seed);
    weir_rate rate = large_rate(&from, WEIR_SLIDING);
    gate g = gate_of(rate);
    uint32_t cost = 1 + (uint32_t)choose_wide(&from, 31) % rate.count;
    uint64_t t = choose_wide(&from, 60) % rate.per_ns, at, mark = t + 77;
    g.state.mark = mark;
    g.state.part = (uint32_t)choose_wide(&from, 31) % (rate.count + 1);
    g.state.last = (uint32_t)choose_wide(&from, 31) % (rate.count + 1);
    at = ready(&g, cost, mark + t);
    CHECK(estimated(&g, cost, (wide)(at - mark)));
    CHECK(at == mark + t || !estimated(&g, cost, (wide)(at - mark) - 1));
    CHECK(!left(&g, mark + t) || estimated(&g, left(&g, mark + t), t));
    CHECK(!estimated(&g, left(&g, mark + t) + 1, t) ||
          left(&g, mark + t) == rate.count);
  }
}

CHECK_MAIN
