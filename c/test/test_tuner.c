/* test_tuner.c - adaptive limits: the rules, one sample at a time. */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "choices.h"
#include "core/tuner.h"

_Static_assert(sizeof(weir_tuner) <= 128, "one for each key");

#define MS(n) ((uint64_t)(n)*1000000)
#define SECONDS(n) MS(1000 * (n))

/* --- the configuration --------------------------------------------------- */

static void wrong(weir_adaptive adaptive, const char *sentence) {
  if (adaptive.algorithm == WEIR_STATIC) adaptive.algorithm = WEIR_VEGAS;
  if (sentence)
    CHECK_TEXT(weir_adaptive_check(&adaptive), sentence);
  else
    CHECK(!weir_adaptive_check(&adaptive));
}

#define WRONG(sentence, ...) wrong((weir_adaptive){ __VA_ARGS__ }, sentence)

TEST(what_is_wrong_with_a_factor_is_said) {
  static const char *backoff = "adaptive: backoff must be from 0.5 to below 1";
  static const char *smoothing =
      "adaptive: smoothing must be above 0 and up to 1";
  static const char *tolerance = "adaptive: tolerance must be from 1 to 1000";
  static const double bad[] = { -1, 1.5e308, (double)INFINITY,
                                -(double)INFINITY, (double)NAN };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    WRONG(backoff, .backoff = bad[i]);
    WRONG(smoothing, .smoothing = bad[i]);
    WRONG(tolerance, .tolerance = bad[i]);
  }
  WRONG(backoff, .backoff = 1);
  WRONG(backoff, .backoff = 0.49);
  WRONG(smoothing, .smoothing = 1.01);
  WRONG(tolerance, .tolerance = 0.99);
  WRONG(NULL, .backoff = 0.5, .smoothing = 1, .tolerance = 1);
  WRONG(NULL, .backoff = 0.999, .smoothing = 1e-9, .tolerance = 1000);
}

TEST(what_is_wrong_with_a_count_is_said) {
  uint32_t much = WEIR_PERMITS_MAX + 1;
  WRONG("adaptive: initial must be up to 2147483647", .initial = much);
  WRONG("adaptive: min must be up to 2147483647", .min = much);
  WRONG("adaptive: max must be up to 2147483647", .max = much);
  WRONG("adaptive: queue must be up to 2147483647", .queue = much);
  WRONG("adaptive: long_window must be up to 2147483647", .long_window = much);
  WRONG("adaptive: min must not be above max", .min = 9, .max = 8);
  WRONG("adaptive: initial must not be below min", .initial = 4, .min = 5);
  WRONG("adaptive: initial must not be above max", .initial = 6, .max = 5);
  WRONG("adaptive: initial must not be above max", .initial = 1001);
  WRONG("adaptive: algorithm must be aimd, vegas or gradient2",
        .algorithm = (weir_algorithm)4);
  WRONG(NULL, .initial = much - 1, .min = much - 1, .max = much - 1);
}

TEST(what_is_static_is_not_checked) {
  weir_adaptive adaptive = { .backoff = 7, .min = 3, .max = 2 };
  CHECK(!weir_adaptive_check(&adaptive));
}

TEST(defaults_are_the_published_ones) {
  weir_adaptive aimd = { .algorithm = WEIR_AIMD };
  weir_adaptive vegas = { .algorithm = WEIR_VEGAS };
  weir_adaptive gradient2 = { .algorithm = WEIR_GRADIENT2 };
  aimd = weir_adaptive_complete(&aimd);
  vegas = weir_adaptive_complete(&vegas);
  gradient2 = weir_adaptive_complete(&gradient2);
  CHECK(aimd.backoff == 0.9 && aimd.timeout_ns == SECONDS(5));
  CHECK(aimd.initial == 20 && aimd.min == 1 && aimd.max == 200);
  CHECK(vegas.smoothing == 1);
  CHECK(vegas.initial == 20 && vegas.min == 1 && vegas.max == 1000);
  CHECK(gradient2.smoothing == 0.2 && gradient2.tolerance == 1.5);
  CHECK(gradient2.initial == 20 && gradient2.min == 1);
  CHECK(gradient2.max == 200 && gradient2.queue == 4);
  CHECK(gradient2.long_window == 600);
}

TEST(a_default_gives_way_to_what_was_said) {
  weir_adaptive low = { .algorithm = WEIR_AIMD, .max = 5 };
  weir_adaptive high = { .algorithm = WEIR_AIMD, .min = 300 };
  CHECK(!weir_adaptive_check(&low) && !weir_adaptive_check(&high));
  CHECK_EQ(weir_adaptive_complete(&low).initial, 5);
  CHECK_EQ(weir_adaptive_complete(&high).initial, 300);
  CHECK_EQ(weir_adaptive_complete(&high).max, 300);
}

/* --- the rules, one window at a time ------------------------------------- */

typedef struct bench { /* a tuner that is fed by hand */
  weir_adaptive adaptive;
  weir_tuner tuner;
  uint64_t now; /* ns */
} bench;

static bench bench_of(weir_adaptive adaptive) {
  bench b = { .now = SECONDS(1) };
  b.adaptive = weir_adaptive_complete(&adaptive);
  weir_tuner_init(&b.tuner, &b.adaptive);
  return b;
}

#define BENCH(...) bench_of((weir_adaptive){ __VA_ARGS__ })

/* As if probes had found a baseline, and no other were due. */
static bench measured(bench b, uint64_t baseline) {
  b.tuner.baseline = (double)baseline;
  b.tuner.latency = (double)baseline;
  b.tuner.known = 600;
  b.tuner.left = UINT32_MAX;
  return b;
}

static void sample(bench *b, uint64_t latency, uint32_t in_use, bool dropped) {
  weir_tuner_sample(&b->tuner, &b->adaptive, latency, in_use, dropped, b->now);
}

/* A window: ten samples in two latencies, the last of which closes it. */
static double window(bench *b, uint64_t latency, uint32_t in_use,
                     uint32_t drops) {
  for (uint32_t i = 0; i < 10; i++) {
    sample(b, latency, in_use, i < drops);
    if (i < 9) b->now += latency * 2 / 9 + 1;
  }
  return b->tuner.limit;
}

static bool is_about(double got, double wanted) {
  return got > wanted - 1e-6 && got < wanted + 1e-6;
}

/* The limit after one window of a tuner that begins at `initial`, with a
** baseline of 100 ms. */
static void rule(weir_adaptive adaptive, uint64_t latency, uint32_t in_use,
                 uint32_t drops, double wanted) {
  bench b = measured(bench_of(adaptive), MS(100));
  double got = window(&b, latency, in_use, drops);
  if (!CHECK(is_about(got, wanted))) printf("# %g, not %g\n", got, wanted);
}

TEST(aimd_goes_up_by_one_while_half_is_used) {
  weir_adaptive at20 = { .algorithm = WEIR_AIMD };
  weir_adaptive at200 = { .algorithm = WEIR_AIMD, .initial = 200 };
  rule(at20, MS(100), 20, 0, 21);
  rule(at20, MS(100), 10, 0, 21);
  rule(at20, MS(100), 9, 0, 20);
  rule(at200, MS(100), 200, 0, 200);
}

TEST(aimd_goes_down_by_a_tenth_and_at_least_one) {
  weir_adaptive at20 = { .algorithm = WEIR_AIMD };
  weir_adaptive at25 = { .algorithm = WEIR_AIMD, .initial = 25 };
  weir_adaptive at5 = { .algorithm = WEIR_AIMD, .initial = 5 };
  weir_adaptive at1 = { .algorithm = WEIR_AIMD, .initial = 1 };
  weir_adaptive half = { .algorithm = WEIR_AIMD, .backoff = 0.5 };
  rule(at20, MS(100), 20, 1, 18);
  rule(at20, MS(100), 1, 10, 18); /* not used much, but dropping */
  rule(at25, MS(100), 25, 1, 22);
  rule(at5, MS(100), 5, 1, 4);
  rule(at1, MS(100), 1, 1, 1);
  rule(half, MS(100), 20, 1, 10);
}

TEST(aimd_takes_what_is_late_for_a_drop) {
  bench b = BENCH(.algorithm = WEIR_AIMD, .timeout_ns = MS(100));
  CHECK(window(&b, MS(100), 20, 0) == 21);
  CHECK(window(&b, MS(100) + 1, 20, 0) == 18);
}

TEST(vegas_moves_by_the_queue_it_sees) {
  weir_adaptive at20 = { .algorithm = WEIR_VEGAS };
  /* queue = 20 x (1 - 100/latency), of which the ceiling counts */
  rule(at20, MS(100), 20, 0, 26); /* none: beta more */
  rule(at20, MS(105), 20, 0, 26); /* 0.95, up to the threshold of 1 */
  rule(at20, MS(106), 20, 0, 21); /* 1.13, below alpha: a step */
  rule(at20, MS(111), 20, 0, 21); /* 1.98 */
  rule(at20, MS(112), 20, 0, 20); /* 2.14: 3, as it should be */
  rule(at20, MS(142), 20, 0, 20); /* 5.92: 6 */
  rule(at20, MS(143), 20, 0, 19); /* 6.01: 7, above beta */
  rule(at20, MS(50), 20, 0, 26);  /* quicker than the baseline */
}

TEST(vegas_steps_by_the_magnitude_of_the_limit) {
  weir_adaptive at99 = { .algorithm = WEIR_VEGAS, .initial = 99 };
  weir_adaptive at100 = { .algorithm = WEIR_VEGAS, .initial = 100 };
  weir_adaptive at1000 = { .algorithm = WEIR_VEGAS, .initial = 1000 };
  rule(at99, MS(100), 99, 0, 105);
  rule(at100, MS(100), 100, 0, 112);
  rule(at100, MS(105), 100, 0, 102); /* 4.76: below alpha, 6 */
  rule(at100, MS(110), 100, 0, 100); /* 9.09: to beta, 12 */
  rule(at100, MS(115), 100, 0, 98);  /* 13.04 */
  rule(at1000, MS(100), 1000, 0, 1000);
  rule(at1000, MS(200), 1000, 0, 997);
}

TEST(vegas_holds_what_is_not_used_and_goes_down_for_drops) {
  weir_adaptive at20 = { .algorithm = WEIR_VEGAS };
  weir_adaptive at2 = { .algorithm = WEIR_VEGAS, .initial = 2, .min = 2 };
  weir_adaptive smooth = { .algorithm = WEIR_VEGAS, .smoothing = 0.5 };
  rule(at20, MS(100), 9, 0, 20);
  rule(at20, MS(100), 10, 0, 26);
  rule(at20, MS(100), 9, 1, 19);
  rule(at2, MS(100), 2, 10, 2);
  rule(smooth, MS(100), 20, 0, 23);
}

TEST(gradient2_moves_by_the_slope_of_latencies) {
  weir_adaptive at20 = { .algorithm = WEIR_GRADIENT2 };
  /* 0.8 x limit + 0.2 x (limit x gradient + 4) */
  rule(at20, MS(100), 20, 0, 20.8);
  rule(at20, MS(150), 20, 0, 20.8);          /* within tolerance */
  rule(at20, MS(200), 20, 0, 19.8);          /* 0.75 */
  rule(at20, MS(250), 20, 0, 16 + 0.2 * 16); /* 0.6 */
  rule(at20, MS(300), 20, 0, 18.8);          /* 0.5 */
  rule(at20, MS(9000), 20, 0, 18.8);         /* no less */
  rule(at20, MS(10), 20, 0, 20.8);           /* no more than 1 */
}

TEST(gradient2_holds_what_is_not_used_and_goes_down_for_drops) {
  weir_adaptive at20 = { .algorithm = WEIR_GRADIENT2 };
  weir_adaptive at200 = { .algorithm = WEIR_GRADIENT2, .initial = 200 };
  weir_adaptive other = {
    .algorithm = WEIR_GRADIENT2, .tolerance = 1, .smoothing = 1, .queue = 1
  };
  rule(at20, MS(100), 9, 0, 20);
  rule(at20, MS(100), 10, 0, 20.8);
  rule(at20, MS(100), 9, 1, 18);
  rule(at20, MS(100), 20, 10, 18);
  rule(at200, MS(100), 200, 0, 200);
  rule(other, MS(200), 20, 0, 11);
}

/* --- windows ------------------------------------------------------------- */

TEST(a_window_takes_ten_samples_and_two_latencies) {
  bench b = BENCH(.algorithm = WEIR_AIMD);
  for (int i = 0; i < 9; i++) sample(&b, MS(10), 20, false);
  b.now += SECONDS(9);
  CHECK_EQ(b.tuner.limit, 20);
  sample(&b, MS(10), 20, false);
  CHECK_EQ(b.tuner.limit, 21);
  for (int i = 0; i < 1000; i++) sample(&b, MS(10), 20, false);
  b.now += MS(20) - 1;
  sample(&b, MS(10), 20, false);
  CHECK_EQ(b.tuner.limit, 21);
  b.now++;
  sample(&b, MS(10), 20, false);
  CHECK_EQ(b.tuner.limit, 22);
}

TEST(a_window_takes_no_more_than_a_second) {
  bench b = BENCH(.algorithm = WEIR_AIMD);
  for (int i = 0; i < 10; i++) sample(&b, SECONDS(3), 20, false);
  b.now += SECONDS(1) - 1;
  sample(&b, SECONDS(3), 20, false);
  CHECK_EQ(b.tuner.limit, 20);
  b.now++;
  sample(&b, SECONDS(3), 20, false);
  CHECK_EQ(b.tuner.limit, 21);
}

TEST(a_burst_of_drops_is_one_step_back) {
  bench b = BENCH(.algorithm = WEIR_AIMD, .initial = 100);
  window(&b, MS(100), 100, 0);
  for (int i = 0; i < 100; i++) sample(&b, MS(1), 100, true);
  CHECK_EQ(b.tuner.limit, 101);
  b.now += MS(200);
  sample(&b, MS(100), 100, false);
  CHECK_EQ(b.tuner.limit, 90);
}

TEST(drops_alone_are_a_step_back_a_second_and_never_nonsense) {
  for (int a = WEIR_AIMD; a <= WEIR_GRADIENT2; a++) {
    bench b = BENCH(.algorithm = (weir_algorithm)a);
    double last = b.tuner.limit;
    for (int second = 0; second < 100; second++) {
      for (int i = 0; i < 50; i++) sample(&b, 0, 20, true);
      CHECK(b.tuner.limit == last || second > 0);
      b.now += SECONDS(1);
      CHECK(b.tuner.limit <= last && b.tuner.limit >= 1);
      last = b.tuner.limit;
    }
    CHECK(last < 2);
    CHECK(b.tuner.baseline == 0);
  }
}

TEST(a_time_that_goes_back_begins_the_window_anew) {
  bench b = BENCH(.algorithm = WEIR_AIMD);
  for (int i = 0; i < 10; i++) sample(&b, MS(10), 20, false);
  b.now = 5;
  sample(&b, MS(10), 20, false);
  CHECK_EQ(b.tuner.limit, 20);
  b.now += MS(20);
  sample(&b, MS(10), 20, false);
  CHECK_EQ(b.tuner.limit, 21);
}

/* --- probes -------------------------------------------------------------- */

static uint32_t limit_of(const bench *b) {
  return weir_tuner_limit(&b->tuner, &b->adaptive);
}

/* A tuner in its first probe, 20 in use. */
static bench probing(weir_algorithm algorithm) {
  bench b = BENCH(.algorithm = algorithm);
  window(&b, MS(100), 20, 0);
  return b;
}

/* `n` samples one after the other in the time of one latency. */
static void flow(bench *b, uint32_t n, uint64_t latency, uint32_t in_use) {
  for (uint32_t i = 0; i < n; i++) {
    b->now += latency / n;
    sample(b, latency, in_use, false);
  }
}

TEST(a_probe_halves_the_limit_until_it_has_measured) {
  bench b = probing(WEIR_VEGAS);
  CHECK_EQ(limit_of(&b), 10);
  CHECK_EQ(b.tuner.baseline, MS(100));
  for (uint32_t n = 20; n > 9; n--) sample(&b, MS(140), n, false); /* drains */
  flow(&b, 9, MS(130), 10); /* those who began with more in use */
  CHECK_EQ(limit_of(&b), 10);
  flow(&b, 10, MS(80), 10); /* measures */
  flow(&b, 10, MS(80), 10);
  CHECK_EQ(limit_of(&b), 20); /* refills */
  CHECK(is_about(b.tuner.baseline, MS(80)));
  b.tuner.left = UINT32_MAX;
  for (int i = 0; i < 4; i++) flow(&b, 20, MS(80), 20);
  CHECK_EQ(limit_of(&b), 26); /* and moves on */
}

TEST(no_probe_lowers_the_limit_below_its_least) {
  bench b = BENCH(.algorithm = WEIR_VEGAS, .min = 15);
  window(&b, MS(100), 20, 0);
  CHECK(weir_tuner_due(&b.tuner) != WEIR_NEVER);
  CHECK_EQ(limit_of(&b), 15);
}

TEST(aimd_does_not_probe) {
  bench b = BENCH(.algorithm = WEIR_AIMD);
  for (int i = 0; i < 100; i++) {
    window(&b, MS(100), 200, 0);
    CHECK_EQ(weir_tuner_due(&b.tuner), WEIR_NEVER);
  }
}

TEST(a_probe_that_nothing_comes_back_to_is_given_up) {
  bench b = probing(WEIR_GRADIENT2);
  uint64_t due = weir_tuner_due(&b.tuner);
  CHECK_EQ(due, b.now + MS(400));
  weir_tuner_advance(&b.tuner, due - 1);
  CHECK_EQ(limit_of(&b), 10);
  weir_tuner_advance(&b.tuner, due);
  CHECK_EQ(limit_of(&b), 20);
  CHECK_EQ(weir_tuner_due(&b.tuner), WEIR_NEVER);
  weir_tuner_advance(&b.tuner, due + 1);
  CHECK(b.tuner.left >= 20 && b.tuner.left <= 40); /* 2 x 20 x 0.5..1 */
}

TEST(permits_that_are_held_for_long_do_not_keep_a_probe) {
  bench b = probing(WEIR_GRADIENT2);
  for (int i = 0; i < 10; i++) flow(&b, 10, MS(100), 15);
  CHECK_EQ(limit_of(&b), 20);
}

/* Runs until the next probe; how many samples came before. */
static uint32_t until_probe(bench *b) {
  uint32_t n = 0;
  while (weir_tuner_due(&b->tuner) != WEIR_NEVER) flow(b, 1, MS(10), 10);
  for (; weir_tuner_due(&b->tuner) == WEIR_NEVER && n < 10000; n++)
    flow(b, 1, MS(10), 11);
  return n;
}

TEST(probes_become_rarer_and_come_by_chance) {
  bench b = BENCH(.algorithm = WEIR_VEGAS, .initial = 20, .max = 20);
  uint32_t least = UINT32_MAX, most = 0;
  CHECK(until_probe(&b) < 60);
  CHECK(until_probe(&b) < 60);
  for (int i = 0; i < 3; i++) until_probe(&b);
  for (int i = 0; i < 50; i++) {
    uint32_t n = until_probe(&b);
    if (n < least) least = n;
    if (n > most) most = n;
  }
  CHECK(least >= 300 && least < 380); /* 30 x 20 x 0.5 */
  CHECK(most <= 640 && most > 540);   /* 30 x 20, and a window */
}

TEST(what_is_not_used_is_measured_without_probes) {
  bench b = measured(BENCH(.algorithm = WEIR_VEGAS), MS(100));
  for (int i = 0; i < 1000; i++) {
    window(&b, MS(20), 9, 0);
    CHECK_EQ(weir_tuner_due(&b.tuner), WEIR_NEVER);
  }
  CHECK(b.tuner.baseline < MS(21));
  CHECK_EQ(b.tuner.limit, 20);
}

/* --- anything ------------------------------------------------------------ */

static uint64_t any_number(choices *from) { /* of any magnitude */
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++) bits = bits << 8 | choose(from, 256);
  return bits >> choose(from, 64);
}

static void check_any(weir_adaptive adaptive, choices *from) {
  bench b = bench_of(adaptive);
  for (int i = 0; i < 5000; i++) {
    uint32_t limit;
    b.now = once_in(from, 50) ? any_number(from) : b.now + choose(from, 256);
    sample(&b, any_number(from), (uint32_t)any_number(from), once_in(from, 9));
    if (once_in(from, 99)) weir_tuner_advance(&b.tuner, any_number(from));
    limit = limit_of(&b);
    CHECK(limit >= b.adaptive.min && limit <= b.adaptive.max);
    CHECK(b.tuner.limit >= b.adaptive.min && b.tuner.limit <= b.adaptive.max);
    CHECK(b.tuner.baseline >= 0 && b.tuner.baseline < 2e19);
    CHECK(b.tuner.latency >= 0 && b.tuner.latency < 2e19);
  }
}

TEST(whatever_comes_the_limit_stays_in_its_bounds) {
  choices from = choices_of_seed(5);
  for (int a = WEIR_AIMD; a <= WEIR_GRADIENT2; a++) {
    weir_algorithm algorithm = (weir_algorithm)a;
    check_any((weir_adaptive){ .algorithm = algorithm }, &from);
    check_any((weir_adaptive){ .algorithm = algorithm, .min = 20 }, &from);
    check_any((weir_adaptive){ .algorithm = algorithm, .max = 1 }, &from);
    check_any((weir_adaptive){ .algorithm = algorithm,
                               .initial = WEIR_PERMITS_MAX,
                               .max = WEIR_PERMITS_MAX,
                               .queue = WEIR_PERMITS_MAX },
              &from);
  }
}

CHECK_MAIN
