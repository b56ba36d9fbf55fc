/* codel.c - see codel.h. */
#include "codel.h"

/* What does not fit into a time is as late as can be; NEVER is no time. */
#define LATEST (WEIR_NEVER - 1)

enum {
  SOON = 16,       /* intervals within which dropping is resumed, not begun */
  STEPS_FEW = 4,   /* steps that say nothing about the pace yet */
  STEPS_ENOUGH = 8 /* steps that an average is over */
};

static uint64_t plus(uint64_t a, uint64_t b) {
  uint64_t sum = a + b;
  return sum < a || sum > LATEST ? LATEST : sum;
}

/* The whole part of a square root: its binary digits, from the first. */
static uint32_t square_root(uint64_t n) {
  uint64_t root = 0;
  for (uint64_t bit = (uint64_t)1 << 31; bit; bit >>= 1)
    if ((root | bit) * (root | bit) <= n) root |= bit;
  return (uint32_t)root;
}

/* ns / sqrt(count). 1 / sqrt(count) is the root of 2^64 / count, in 1/2^32. */
static uint64_t by_root(uint64_t ns, uint32_t count) {
  uint64_t inverse;
  if (count < 2) return ns;
  inverse = square_root((0 - (uint64_t)count) / count + 1);
  return (ns >> 32) * inverse + ((ns & UINT32_MAX) * inverse >> 32);
}

static uint64_t target_of(const weir_shed *shed) {
  return shed->target_ns ? shed->target_ns : WEIR_CODEL_TARGET_NS;
}

static uint64_t interval_of(const weir_shed *shed) {
  return shed->interval_ns ? shed->interval_ns : WEIR_CODEL_INTERVAL_NS;
}

/* Whether waits have been above target for an interval. */
static bool is_above(weir_codel *codel, const weir_shed *shed, uint64_t waited,
                     bool last, uint64_t t) {
  if (waited < target_of(shed) || last) {
    codel->first_above = 0;
    return false;
  }
  if (codel->first_above) return t >= codel->first_above;
  codel->first_above = plus(t, interval_of(shed));
  return false;
}

/* Dropping goes on at the rate that was found before, if that was lately. */
static void begin(weir_codel *codel, uint64_t interval, uint64_t t) {
  uint32_t found = codel->count - codel->last_count;
  uint64_t soon = interval > LATEST / SOON ? LATEST : interval * SOON;
  codel->count = found > 1 && t < plus(codel->drop_next, soon) ? found : 1;
  codel->last_count = codel->count;
  codel->drop_next = plus(t, by_root(interval, codel->count));
  codel->dropping = true;
}

/* (The RFC sets drop_next when it has seen that the next one is late as well;
** here that one comes with the next call. It differs only in how long dropping
** counts as lately.) */
static void go_on(weir_codel *codel, uint64_t interval) {
  if (codel->count < UINT32_MAX) codel->count++;
  codel->drop_next = plus(codel->drop_next, by_root(interval, codel->count));
}

bool weir_codel_drops(weir_codel *codel, const weir_shed *shed, uint64_t waited,
                      bool last, uint64_t t) {
  codel->above = is_above(codel, shed, waited, last, t);
  if (!codel->above) {
    codel->dropping = false;
    return false;
  }
  if (!codel->dropping) {
    begin(codel, interval_of(shed), t);
    return true;
  }
  if (t < codel->drop_next) return false;
  go_on(codel, interval_of(shed));
  return true;
}

void weir_codel_empty(weir_codel *codel) {
  codel->first_above = 0;
  codel->dropping = codel->above = false;
}

/* The first few steps weigh alike, later ones an eighth. */
static void average(weir_pace *pace, uint64_t step) {
  if (pace->steps < STEPS_ENOUGH) pace->steps++;
  if (step >= pace->step_ns)
    pace->step_ns += (step - pace->step_ns) / pace->steps;
  else
    pace->step_ns -= (pace->step_ns - step) / pace->steps;
}

void weir_pace_note(weir_pace *pace, uint32_t count, uint64_t t) {
  uint64_t passed = t > pace->last_ns ? t - pace->last_ns : 0;
  if (pace->last_ns) average(pace, passed / (count ? count : 1));
  if (passed) pace->last_ns = t;
}

void weir_pace_empty(weir_pace *pace) { pace->last_ns = 0; }

uint64_t weir_pace_wait(const weir_pace *pace, uint64_t count) {
  if (pace->steps < STEPS_FEW || !pace->step_ns) return 0;
  return count > LATEST / pace->step_ns ? LATEST : count * pace->step_ns;
}
