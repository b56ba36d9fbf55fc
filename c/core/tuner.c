/* tuner.c - see tuner.h. */
#include "tuner.h"

enum {
  WINDOW_SAMPLES = 10,   /* at least */
  SURE_SAMPLES = 50,     /* to believe in a great change */
  VEGAS_MEMORY = 100,    /* samples; long_window / 2 is that of Gradient2 */
  DIGITS_MAX = 10,       /* of a limit */
  FIRST_ROUNDS = 2,      /* rounds: samples between probes, as a multiple of */
  LAST_ROUNDS = 30,      /* the limit */
  SECOND = 1000000000,   /* ns */
  SILENCE_NS = 100000000 /* that a probe stands at least */
};

static const double WINDOW_MAX_NS = SECOND;
static const double PROBE_MAX_NS = 60.0 * SECOND; /* of each step */

/* A probe is one turn through these. */
typedef enum phase {
  TUNING,    /* no probe: windows move the limit */
  DRAINING,  /* half the limit, and more than that in use */
  SETTLING,  /* half the limit, but some began with more in use */
  MEASURING, /* half the limit: the window tells the baseline */
  REFILLING  /* the whole limit again, but some began with half of it */
} phase;

/* --- the configuration --------------------------------------------------- */

static bool is_outside(double value, double low, double high) {
  return value != 0 && !(value >= low && value <= high); /* NaN is outside */
}

static const char *check_factors(const weir_adaptive *adaptive) {
  if (is_outside(adaptive->backoff, 0.5, 1) || adaptive->backoff == 1)
    return "adaptive: backoff must be from 0.5 to below 1";
  if (is_outside(adaptive->smoothing, 0, 1))
    return "adaptive: smoothing must be above 0 and up to 1";
  if (is_outside(adaptive->tolerance, 1, 1000))
    return "adaptive: tolerance must be from 1 to 1000";
  return NULL;
}

static const char *check_counts(const weir_adaptive *adaptive) {
  if (adaptive->initial > WEIR_PERMITS_MAX)
    return "adaptive: initial must be up to 2147483647";
  if (adaptive->min > WEIR_PERMITS_MAX)
    return "adaptive: min must be up to 2147483647";
  if (adaptive->max > WEIR_PERMITS_MAX)
    return "adaptive: max must be up to 2147483647";
  if (adaptive->queue > WEIR_PERMITS_MAX)
    return "adaptive: queue must be up to 2147483647";
  if (adaptive->long_window > WEIR_PERMITS_MAX)
    return "adaptive: long_window must be up to 2147483647";
  return NULL;
}

static const char *check_order(const weir_adaptive *adaptive) {
  weir_adaptive all = weir_adaptive_complete(adaptive);
  if (all.min > all.max) return "adaptive: min must not be above max";
  if (all.initial < all.min) return "adaptive: initial must not be below min";
  if (all.initial > all.max) return "adaptive: initial must not be above max";
  return NULL;
}

const char *weir_adaptive_check(const weir_adaptive *adaptive) {
  const char *wrong;
  if (adaptive->algorithm == WEIR_STATIC) return NULL;
  if (adaptive->algorithm > WEIR_GRADIENT2)
    return "adaptive: algorithm must be aimd, vegas or gradient2";
  wrong = check_factors(adaptive);
  if (!wrong) wrong = check_counts(adaptive);
  if (!wrong) wrong = check_order(adaptive);
  return wrong;
}

static void set_count(uint32_t *field, uint32_t value) {
  if (*field == 0) *field = value;
}

static void set_factor(double *field, double value) {
  if (*field == 0) *field = value;
}

static uint32_t within(uint32_t value, uint32_t low, uint32_t high) {
  if (value > high) value = high;
  return value < low ? low : value;
}

weir_adaptive weir_adaptive_complete(const weir_adaptive *adaptive) {
  weir_adaptive all = *adaptive;
  bool vegas = all.algorithm == WEIR_VEGAS;
  set_factor(&all.backoff, 0.9);
  set_factor(&all.smoothing, vegas ? 1 : 0.2);
  set_factor(&all.tolerance, 1.5);
  if (all.timeout_ns == 0) all.timeout_ns = (uint64_t)5 * SECOND;
  set_count(&all.min, 1);
  set_count(&all.max, within(vegas ? 1000 : 200, all.min, WEIR_PERMITS_MAX));
  set_count(&all.initial, within(20, all.min, all.max));
  set_count(&all.queue, 4);
  set_count(&all.long_window, 600);
  return all;
}

/* What has a whole number to do, whatever it is in damaged memory. */
static uint32_t whole(double value) {
  if (!(value >= 0)) return 0;
  return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* --- windows ------------------------------------------------------------- */

static double least(double a, double b) { return a < b ? a : b; }

/* How long this phase has lasted; it starts again when the time went back. */
static double elapsed(weir_tuner *tuner, uint64_t t) {
  if (t < tuner->since) tuner->since = t;
  return (double)(t - tuner->since);
}

static void enter(weir_tuner *tuner, phase next, uint64_t t) {
  tuner->phase = (uint8_t)next;
  tuner->since = t;
  tuner->sum = 0;
  tuner->finished = 0;
  tuner->dropped = 0;
  tuner->in_use = 0;
}

/* No latency is 0, so that one can be divided by. */
static void gather(weir_tuner *tuner, uint64_t latency_ns, uint32_t in_use,
                   bool dropped, uint64_t t) {
  if (tuner->finished + tuner->dropped == 0) tuner->since = t;
  if (in_use > tuner->in_use) tuner->in_use = in_use;
  if (dropped) {
    tuner->dropped++;
    return;
  }
  tuner->finished++;
  tuner->sum += latency_ns ? (double)latency_ns : 1;
}

/* Of this window, or of the last that can tell; 0: there was none. */
static double average(const weir_tuner *tuner) {
  return tuner->finished ? tuner->sum / tuner->finished : tuner->latency;
}

static uint32_t gathered(const weir_tuner *tuner) {
  return tuner->finished + tuner->dropped;
}

/* Whether there are samples enough, and the time is: two of their latencies, or
** the most if all drop and no latency is known. */
static bool is_over(weir_tuner *tuner, uint64_t t) {
  double latency = average(tuner);
  double span = latency > 0 ? least(2 * latency, WINDOW_MAX_NS) : WINDOW_MAX_NS;
  return gathered(tuner) >= WINDOW_SAMPLES && elapsed(tuner, t) >= span;
}

/* --- the rules ----------------------------------------------------------- */

static bool is_light(const weir_tuner *tuner) {
  return 2.0 * tuner->in_use < tuner->limit;
}

/* The limit after this window; AIMD's is always a whole number. */
static double aimd(const weir_tuner *tuner, const weir_adaptive *adaptive) {
  double limit = tuner->limit;
  if (tuner->dropped) return least(limit - 1, whole(limit * adaptive->backoff));
  return is_light(tuner) ? limit : limit + 1;
}

/* The whole part of log10, and at least 1. */
static uint32_t magnitude(double limit) {
  uint32_t digits = 1;
  while (limit >= 100 && digits < DIGITS_MAX) {
    limit /= 10;
    digits++;
  }
  return digits;
}

/* Where Vegas would go, unless it is smoothed. */
static double vegas_goal(const weir_tuner *tuner) {
  double limit = tuner->limit, queue;
  uint32_t step = magnitude(limit);
  if (tuner->dropped) return limit - step;
  if (is_light(tuner)) return limit;
  queue = limit * (1 - tuner->baseline / average(tuner));
  if (queue <= step) return limit + 6.0 * step;
  if (queue <= 3.0 * step - 1) return limit + step; /* ceil(queue) < alpha */
  return queue > 6.0 * step ? limit - step : limit;
}

static double vegas(const weir_tuner *tuner, const weir_adaptive *adaptive) {
  double goal = least(vegas_goal(tuner), adaptive->max);
  if (goal < adaptive->min) goal = adaptive->min;
  return tuner->limit + adaptive->smoothing * (goal - tuner->limit);
}

static double gradient(const weir_tuner *tuner, const weir_adaptive *adaptive) {
  double value = adaptive->tolerance * tuner->baseline / average(tuner);
  return value < 0.5 ? 0.5 : least(value, 1);
}

static double gradient2(const weir_tuner *tuner,
                        const weir_adaptive *adaptive) {
  double limit = tuner->limit, goal = limit;
  if (tuner->dropped)
    goal = limit * 0.5;
  else if (!is_light(tuner))
    goal = limit * gradient(tuner, adaptive) + adaptive->queue;
  return limit + adaptive->smoothing * (goal - limit);
}

static double moved(const weir_tuner *tuner, const weir_adaptive *adaptive) {
  switch (adaptive->algorithm) {
  case WEIR_AIMD: return aimd(tuner, adaptive);
  case WEIR_VEGAS: return vegas(tuner, adaptive);
  default: return gradient2(tuner, adaptive);
  }
}

static void move(weir_tuner *tuner, const weir_adaptive *adaptive) {
  double limit = moved(tuner, adaptive);
  if (limit < adaptive->min) limit = adaptive->min;
  tuner->limit = least(limit, adaptive->max);
}

/* --- the baseline -------------------------------------------------------- */

/* Whether this window tells of another baseline than the one that is known. */
static bool is_far(const weir_tuner *tuner) {
  double change = average(tuner) / tuner->baseline;
  return change < 0.67 || change > 1.5;
}

/* Learns the baseline from a window without a queue: the mean of what was found
** lately, or since it became another. The least of them would not do: where
** latencies differ much it is a matter of luck. */
static void learn(weir_tuner *tuner, const weir_adaptive *adaptive) {
  bool vegas = adaptive->algorithm == WEIR_VEGAS;
  double memory = vegas ? VEGAS_MEMORY : adaptive->long_window / 2.0;
  double count = tuner->finished, found = average(tuner);
  if (count == 0) return;
  if (is_far(tuner) && count >= SURE_SAMPLES) tuner->known = 0;
  if (tuner->known > memory) tuner->known = (uint32_t)memory;
  tuner->known += tuner->finished;
  tuner->baseline += count / tuner->known * (found - tuner->baseline);
}

/* Half to all of rounds x limit, by the time's last bits; without this, tuners
** would probe a common server in step. */
static void plan_probe(weir_tuner *tuner) {
  uint32_t dice = (uint32_t)tuner->last * 2654435769u; /* 2^32 / golden ratio */
  double jitter = 0.5 + 0.5 * dice / UINT32_MAX;
  double left = jitter * tuner->rounds * tuner->limit;
  tuner->left = whole(left);
}

static void finish_probe(weir_tuner *tuner, phase next, uint64_t t) {
  plan_probe(tuner);
  tuner->rounds = (uint8_t)least(2.0 * tuner->rounds, LAST_ROUNDS);
  enter(tuner, next, t);
}

/* Whether half of the limit gets as much done as all of it: it takes half of
** the latency, or little more. */
static bool half_will_do(const weir_tuner *tuner) {
  double latency = least(tuner->latency, tuner->before);
  return tuner->finished && average(tuner) < 0.525 * latency;
}

static void halve(weir_tuner *tuner, const weir_adaptive *adaptive) {
  tuner->limit /= 2;
  if (tuner->limit < adaptive->min) tuner->limit = adaptive->min;
  tuner->rounds = FIRST_ROUNDS;
  tuner->known = 0;
}

/* --- phases -------------------------------------------------------------- */

static bool wants_probe(const weir_tuner *tuner,
                        const weir_adaptive *adaptive) {
  return tuner->left == 0 && tuner->baseline > 0 &&
         adaptive->algorithm != WEIR_AIMD;
}

/* A window is over. The first latency of all is its own baseline, and grows
** nothing. */
static void tune(weir_tuner *tuner, const weir_adaptive *adaptive, uint64_t t) {
  bool light = is_light(tuner);
  phase next = TUNING;
  if (tuner->baseline > 0 || tuner->dropped || adaptive->algorithm == WEIR_AIMD)
    move(tuner, adaptive);
  if (tuner->baseline == 0) tuner->baseline = average(tuner);
  tuner->before = tuner->latency > 0 ? tuner->latency : average(tuner);
  tuner->latency = average(tuner);
  /* Those of the first light window may have begun in a crowd. */
  if (light && tuner->light) {
    learn(tuner, adaptive);
    plan_probe(tuner);
  } else if (wants_probe(tuner, adaptive)) {
    next = DRAINING;
  }
  tuner->light = light;
  enter(tuner, next, t);
}

static bool has_lasted(weir_tuner *tuner, double latencies, uint64_t t) {
  double span = least(latencies * tuner->latency, PROBE_MAX_NS);
  return elapsed(tuner, t) >= span;
}

/* Whoever holds its permits for longer than that is not waited for. */
static void drain(weir_tuner *tuner, const weir_adaptive *adaptive,
                  uint32_t in_use, uint64_t t) {
  if (in_use > weir_tuner_limit(tuner, adaptive) && !has_lasted(tuner, 2, t))
    return;
  tuner->awaited = in_use ? in_use - 1 : 0;
  enter(tuner, SETTLING, t);
}

/* Those who began before are to leave; a fixed time would not do, as latencies
** may differ much. */
static void settle(weir_tuner *tuner, uint64_t latency_ns, uint64_t t) {
  bool began_before = (double)latency_ns > elapsed(tuner, t);
  if (tuner->awaited && began_before) tuner->awaited--;
  if (tuner->awaited && !has_lasted(tuner, 6, t)) return;
  tuner->awaited = WINDOW_SAMPLES;
  enter(tuner, MEASURING, t);
}

/* What would change much is measured more closely. When to stop must not depend
** on what is found later, or it would be found. */
static void measure(weir_tuner *tuner, const weir_adaptive *adaptive,
                    uint64_t t) {
  bool half = half_will_do(tuner);
  if (gathered(tuner) < tuner->awaited || !has_lasted(tuner, 1, t)) return;
  if ((half || is_far(tuner)) && tuner->awaited < SURE_SAMPLES) {
    tuner->awaited = SURE_SAMPLES;
    if (gathered(tuner) < tuner->awaited) return;
  }
  if (half) halve(tuner, adaptive);
  learn(tuner, adaptive);
  finish_probe(tuner, REFILLING, t);
}

static void step(weir_tuner *tuner, const weir_adaptive *adaptive,
                 uint64_t latency_ns, uint32_t in_use, uint64_t t) {
  switch (tuner->phase) {
  case DRAINING: drain(tuner, adaptive, in_use, t); break;
  case SETTLING: settle(tuner, latency_ns, t); break;
  case MEASURING: measure(tuner, adaptive, t); break;
  case REFILLING:
    if (has_lasted(tuner, 1, t)) enter(tuner, TUNING, t);
    break;
  default:
    if (is_over(tuner, t)) tune(tuner, adaptive, t);
    break;
  }
}

/* --- the tuner ----------------------------------------------------------- */

void weir_tuner_init(weir_tuner *tuner, const weir_adaptive *adaptive) {
  *tuner = (weir_tuner){ .limit = adaptive->initial, .rounds = FIRST_ROUNDS };
}

static bool is_probing(const weir_tuner *tuner) {
  return tuner->phase != TUNING && tuner->phase != REFILLING;
}

uint32_t weir_tuner_limit(const weir_tuner *tuner,
                          const weir_adaptive *adaptive) {
  double limit = is_probing(tuner) ? tuner->limit / 2 : tuner->limit;
  return within(whole(limit), adaptive->min, adaptive->max);
}

void weir_tuner_sample(weir_tuner *tuner, const weir_adaptive *adaptive,
                       uint64_t latency_ns, uint32_t in_use, bool dropped,
                       uint64_t t) {
  bool late =
      adaptive->algorithm == WEIR_AIMD && latency_ns > adaptive->timeout_ns;
  tuner->last = t;
  if (tuner->left) tuner->left--;
  if (tuner->phase == TUNING || tuner->phase == MEASURING)
    gather(tuner, latency_ns, in_use, dropped || late, t);
  step(tuner, adaptive, latency_ns, in_use, t);
}

uint64_t weir_tuner_due(const weir_tuner *tuner) {
  double silence = least(4 * tuner->latency, PROBE_MAX_NS);
  if (!is_probing(tuner)) return WEIR_NEVER;
  if (silence < SILENCE_NS) silence = SILENCE_NS;
  if (tuner->last > WEIR_NEVER - (uint64_t)silence) return WEIR_NEVER;
  return tuner->last + (uint64_t)silence;
}

void weir_tuner_advance(weir_tuner *tuner, uint64_t t) {
  if (t >= weir_tuner_due(tuner)) finish_probe(tuner, TUNING, t);
}
