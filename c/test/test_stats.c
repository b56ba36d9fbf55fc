/* test_stats.c - what is counted, and how long the admitted waited. */
#include <stdlib.h>

#include "core/histogram.h"
#include "world.h"

TEST(a_new_limiter_has_counted_nothing) {
  static const weir_stats wanted = { .limit = 3, .changes = 1 };
  world w;
  weir_stats stats;
  world_open(&w, 3);
  stats = world_stats(&w);
  SAME(&stats, &wanted);
  world_close(&w);
}

TEST(each_decision_is_counted_once_under_its_verdict) {
  static const weir_stats wanted = {
    .limit = 2,
    .in_use = 2,
    .changes = 1,
    .admitted = 4,
    .dropped = 1,
    .unused = 1,
    .refused = { [WEIR_FULL] = 1,
                 [WEIR_TIMEOUT] = 1,
                 [WEIR_CLOSED] = 2,
                 [WEIR_CANCELED] = 1,
                 [WEIR_IMPOSSIBLE] = 1 },
    .wait = { 0, 1000, 1000, 1000 },
    .closed = true,
  };
  world w;
  weir_stats stats;
  weir_ticket held;
  world_open_with(
      &w,
      (weir_config){ .concurrent = 2, .queue = 3, .timeout_ns = WEIR_NEVER });
  RELEASE_AS(&w, HOLD(&w, 1), WEIR_UNUSED);
  held = HOLD(&w, 2);
  CANCEL(&w, WAIT(&w, 1));
  WAIT(&w, 1);
  WAIT(&w, 1);
  WAIT_UNTIL(&w, 1, 2000);
  REFUSED(&w, 1, WEIR_FULL);
  REFUSED(&w, 3, WEIR_IMPOSSIBLE);
  world_advance(&w, 2000);
  CHECK_EQ(weir_release(w.port, held, WEIR_DROPPED, w.now), 0);
  WAIT(&w, 1);
  CHECK_EQ(weir_limiter_close(w.space, w.limiter, w.now), 0);
  REFUSED(&w, 1, WEIR_CLOSED);
  stats = world_stats(&w);
  SAME(&stats, &wanted);
  world_close(&w);
}

TEST(a_granted_permit_counts_as_in_use_and_admitted_before_it_is_taken) {
  world w;
  weir_ticket held;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  WAIT(&w, 1);
  RELEASE(&w, held);
  CHECK_EQ(world_stats(&w).admitted, 2);
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(only_dropped_releases_count_as_dropped) {
  world w;
  weir_ticket a, b;
  world_open(&w, 2);
  a = HOLD(&w, 1);
  b = HOLD(&w, 1);
  RELEASE(&w, a);
  CHECK_EQ(world_stats(&w).dropped, 0);
  CHECK_EQ(weir_release(w.port, b, WEIR_DROPPED, w.now), 0);
  CHECK_EQ(world_stats(&w).dropped, 1);
  world_close(&w);
}

TEST(counts_go_on_across_a_new_config) {
  world w;
  world_open(&w, 1);
  RELEASE(&w, HOLD(&w, 1));
  world_set_limit(&w, 2);
  CHECK_EQ(world_stats(&w).admitted, 1);
  CHECK_EQ(world_stats(&w).limit, 2);
  world_close(&w);
}

TEST(every_config_is_a_change) {
  world w;
  weir_config config = WEIR_CONFIG_INIT;
  weir_limiter again;
  world_open(&w, 1);
  world_set_limit(&w, 2);
  world_set_limit(&w, 2);
  CHECK_EQ(world_stats(&w).changes, 3);
  CHECK_EQ(weir_limiter_open(w.space, "api", &config, w.now, &w.limiter), 0);
  CHECK_EQ(world_stats(&w).changes, 1);
  CHECK_EQ(weir_limiter_open(w.space, "api", &config, w.now, &again), 0);
  CHECK_EQ(world_stats(&w).changes, 2);
  config.concurrent = 0;
  CHECK_EQ(weir_limiter_set(w.space, w.limiter, &config, w.now), WEIR_E_CONFIG);
  CHECK_EQ(world_stats(&w).changes, 2);
  world_close(&w);
}

TEST(counts_are_of_all_keys_and_only_the_known_ones_are_keys) {
  world w;
  weir_stats stats;
  world_open(&w, 1);
  RELEASE_AS(&w, ASK(&w, WEIR_ADMITTED, KEY("a")), WEIR_UNUSED);
  ASK(&w, WEIR_ADMITTED, KEY("b"));
  ASK(&w, WEIR_WAITING, KEY("b"));
  ASK(&w, WEIR_FULL, KEY("b"), .try_only = true);
  HOLD(&w, 1);
  stats = world_stats(&w);
  CHECK_EQ(stats.admitted, 3);
  CHECK_EQ(stats.in_use, 2);
  CHECK_EQ(stats.waiting, 1);
  CHECK_EQ(stats.unused, 1);
  CHECK_EQ(stats.refused[WEIR_FULL], 1);
  CHECK(stats.keys == 1 || stats.keys == 2); /* "a" may be known yet */
  world_close(&w);
}

TEST(a_limiter_tells_its_name) {
  static const char longest[WEIR_NAME_MAX + 2] =
      "0123456789012345678901234567890123456789012345678901234567890123";
  weir_config config = WEIR_CONFIG_INIT;
  world w;
  weir_limiter named;
  world_open(&w, 1);
  CHECK_TEXT(weir_limiter_name(w.space, w.limiter), "");
  CHECK_EQ(weir_limiter_open(w.space, longest + 1, &config, w.now, &named), 0);
  CHECK_TEXT(weir_limiter_name(w.space, named), longest + 1);
  CHECK_EQ(weir_limiter_open(w.space, longest, &config, w.now, &w.limiter),
           WEIR_E_CONFIG);
  CHECK(weir_limiter_name(w.space, w.limiter) == NULL);
  CHECK_EQ(weir_limiter_close(w.space, named, w.now), 0);
  CHECK_TEXT(weir_limiter_name(w.space, named), longest + 1);
  CHECK_EQ(weir_limiter_drop(w.space, named), 0);
  CHECK(weir_limiter_name(w.space, named) == NULL);
  world_close(&w);
}

/* --- wait times ---------------------------------------------------------- */

/* Lets one request wait for exactly `ns`. */
static void wait_for(world *w, uint64_t ns) {
  weir_ticket held = HOLD(w, 1), waits;
  if (ns == 0) {
    RELEASE(w, held);
    return;
  }
  waits = WAIT(w, 1);
  w->now += ns;
  RELEASE(w, held);
  NEXT(w, waits, WEIR_ADMITTED);
  RELEASE(w, waits);
}

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

/* Nearest rank: the smallest value that p percent do not exceed. */
static uint64_t percentile(const uint64_t *sorted, size_t n, size_t p) {
  return sorted[(n * p + 99) / 100 - 1];
}

static bool is_near(uint64_t got, uint64_t wanted) {
  uint64_t off = got > wanted ? got - wanted : wanted - got;
  return off <= wanted / 1000 * 32 + wanted % 1000 * 32 / 1000;
}

static void check_waits(const weir_wait_stats *got, uint64_t *waits, size_t n) {
  qsort(waits, n, sizeof *waits, compare);
  CHECK_EQ(got->max, waits[n - 1]);
  CHECK(is_near(got->p50, percentile(waits, n, 50)));
  CHECK(is_near(got->p90, percentile(waits, n, 90)));
  CHECK(is_near(got->p99, percentile(waits, n, 99)));
  CHECK(got->p50 <= got->p90 && got->p90 <= got->p99 && got->p99 <= got->max);
}

static uint64_t next_random(uint64_t *state) { /* Knuth's MMIX constants */
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 16;
}

/* n waits below 2^bits, of all orders of magnitude. Each adds a wait of 0, of
** the request that is waited for. */
static void check_random_waits(uint64_t seed, size_t n, unsigned bits) {
  uint64_t *waits = calloc(2 * n, sizeof *waits);
  world w;
  weir_stats stats;
  if (!waits) abort();
  world_open(&w, 1);
  for (size_t i = 0; i < n; i++) {
    uint64_t range = (uint64_t)1 << (1 + next_random(&seed) % bits);
    waits[i] = 1 + next_random(&seed) % range;
    wait_for(&w, waits[i]);
  }
  stats = world_stats(&w);
  CHECK_EQ(stats.admitted, 2 * n);
  check_waits(&stats.wait, waits, 2 * n);
  free(waits);
  world_close(&w);
}

TEST(percentiles_are_within_three_percent_and_the_maximum_exact) {
  for (uint64_t seed = 1; seed <= 40; seed++) {
    check_random_waits(seed, 1, 20);
    check_random_waits(seed, 7, 30);
    check_random_waits(seed, 500, (unsigned)seed);
  }
}

TEST(small_waits_are_exact) {
  world w;
  world_open(&w, 1);
  for (uint64_t ns = 1; ns <= 20; ns++) wait_for(&w, ns);
  /* 20 zeros, of those who were waited for, and 1 to 20 */
  CHECK_EQ(world_stats(&w).wait.p50, 0);
  CHECK_EQ(world_stats(&w).wait.p90, 16);
  CHECK_EQ(world_stats(&w).wait.p99, 20);
  CHECK_EQ(world_stats(&w).wait.max, 20);
  world_close(&w);
}

TEST(those_who_were_refused_do_not_count_as_waits) {
  world w;
  world_open(&w, 1);
  HOLD(&w, 1);
  WAIT_UNTIL(&w, 1, 5000);
  world_advance(&w, 5000);
  CHECK_EQ(world_stats(&w).wait.max, 0);
  world_close(&w);
}

TEST(waits_are_told_as_a_histogram) {
  static const uint64_t bounds[] = { 0, 9, 10, 31, 2000, UINT64_MAX };
  static const uint64_t wanted[] = { 4, 4, 5, 6, 7, 7 };
  uint64_t counts[6], sum, count;
  world w;
  world_open(&w, 1);
  wait_for(&w, 0);
  wait_for(&w, 10);
  wait_for(&w, 31);
  wait_for(&w, 1000);
  CHECK_EQ(
      weir_limiter_waits(w.space, w.limiter, bounds, counts, 6, &sum, &count),
      0);
  for (int i = 0; i < 6; i++) CHECK_EQ(counts[i], wanted[i]);
  CHECK_EQ(sum, 1041);
  CHECK_EQ(count, 7);
  CHECK_EQ(
      weir_limiter_waits(w.space, w.limiter, bounds, counts, 0, &sum, &count),
      0);
  CHECK_EQ(weir_limiter_waits(w.space, 99, bounds, counts, 6, &sum, &count),
           WEIR_E_STALE);
  world_close(&w);
}

/* The rest needs more waits than a test can make: on the histogram itself. */

TEST(every_power_of_two_and_its_neighbours_are_near) {
  for (unsigned bit = 0; bit < 48; bit++)
    for (int off = -1; off <= 1; off++) {
      static weir_histogram histogram;
      weir_wait_stats waits;
      uint64_t ns = ((uint64_t)1 << bit) + (uint64_t)off;
      if (ns >> 48) continue;
      histogram = (weir_histogram){ 0 };
      for (int i = 0; i < 9; i++)
        weir_histogram_add(&histogram, &weir_memory_default, ns);
      weir_histogram_add(&histogram, &weir_memory_default, UINT64_MAX);
      weir_histogram_read(&histogram, &waits);
      CHECK(is_near(waits.p50, ns));
      CHECK(is_near(waits.p90, ns));
      CHECK_EQ(waits.p99, UINT64_MAX);
      CHECK_EQ(waits.max, UINT64_MAX);
    }
}

TEST(a_full_bucket_keeps_the_proportions) {
  static weir_histogram histogram;
  weir_wait_stats before, after;
  histogram.zeros = 1u << 20;
  weir_histogram_add(&histogram, &weir_memory_default, 10);
  weir_histogram_add(&histogram, &weir_memory_default, 1000000);
  histogram.counts[10] = UINT32_MAX;
  for (unsigned i = 32; i < WEIR_HISTOGRAM_BUCKETS; i++)
    if (histogram.counts[i]) histogram.counts[i] = UINT32_MAX / 4;
  weir_histogram_read(&histogram, &before);
  weir_histogram_add(&histogram, &weir_memory_default, 10);
  CHECK_EQ(histogram.counts[10], UINT32_MAX / 2 + 1);
  weir_histogram_read(&histogram, &after);
  CHECK_EQ(after.p50, before.p50);
  CHECK_EQ(after.p90, before.p90);
  CHECK_EQ(after.p99, before.p99);
  CHECK_EQ(after.max, 1000000);
}

CHECK_MAIN
