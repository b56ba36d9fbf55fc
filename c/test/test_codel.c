/* test_codel.c - queues that are too long, and how fast they go. */
#include "check.h"
#include "choices.h"
#include "core/codel.h"

#define US ((uint64_t)1000)
#define MS ((uint64_t)1000000)
#define LATE (5 * MS) /* a wait that is just too long */
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const weir_shed usual = { .codel = true };

/* One of many waiters. */
static bool drops(weir_codel *codel, uint64_t waited, uint64_t t) {
  return weir_codel_drops(codel, &usual, waited, false, t);
}

/* Asks every 100 us, from `t` to before `end`, about waiters that are late;
** answers how many are dropped. */
static uint32_t stay_late(weir_codel *codel, uint64_t t, uint64_t end) {
  uint32_t dropped = 0;
  for (; t < end; t += 100 * US)
    while (drops(codel, LATE, t)) dropped++;
  return dropped;
}

/* --- the schedule of RFC 8289 --------------------------------------------- */

TEST(waits_below_the_target_are_never_dropped) {
  weir_codel codel = { .count = 0 };
  for (uint64_t t = 0; t < 1000 * MS; t += MS) {
    CHECK(!drops(&codel, LATE - 1, t));
    CHECK(!codel.above && !codel.dropping);
  }
}

TEST(the_first_is_dropped_after_an_interval_above_the_target) {
  weir_codel codel = { .count = 0 };
  CHECK(!drops(&codel, LATE, 7 * MS));
  CHECK(!drops(&codel, LATE, 107 * MS - 1));
  CHECK(!codel.above);
  CHECK(drops(&codel, LATE, 107 * MS));
  CHECK(codel.above);
  CHECK(!drops(&codel, LATE, 107 * MS)); /* one is enough for now */
  CHECK(codel.above && codel.dropping);
}

TEST(one_short_wait_starts_the_interval_anew) {
  weir_codel codel = { .count = 0 };
  CHECK(!drops(&codel, LATE, 7 * MS));
  CHECK(!drops(&codel, LATE - 1, 100 * MS));
  CHECK(!drops(&codel, LATE, 101 * MS));
  CHECK(!drops(&codel, LATE, 201 * MS - 1));
  CHECK(drops(&codel, LATE, 201 * MS));
}

/* 100 ms divided by the roots of 1 to 10: the first drop at 100 ms, the others
** after what is above, which is rounded down to a ns. */
TEST(drops_come_faster_by_the_root_of_their_number) {
  static const uint64_t gaps[] = { 100000000, 70710678, 57735026, 50000000,
                                   44721359,  40824829, 37796447, 35355339,
                                   33333333,  31622776 };
  weir_codel codel = { .count = 0 };
  uint64_t t = 100 * MS;
  CHECK(!drops(&codel, LATE, 0));
  CHECK(drops(&codel, LATE, t));
  for (size_t i = 0; i < COUNT_OF(gaps); i++) {
    CHECK(!drops(&codel, LATE, t + gaps[i] - 2));
    t = codel.drop_next;
    CHECK(drops(&codel, LATE, t));
    CHECK(!drops(&codel, LATE, t));
    if (i + 1 < COUNT_OF(gaps)) CHECK_EQ(codel.drop_next - t, gaps[i + 1]);
  }
  CHECK_EQ(codel.count, 11);
}

TEST(drops_that_are_overdue_come_at_once) {
  weir_codel codel = { .count = 0 };
  unsigned dropped = 0;
  CHECK(!drops(&codel, LATE, 0));
  CHECK(drops(&codel, LATE, 100 * MS));
  /* due at 200, 270.7, 328.4 and 378.45 ms */
  while (drops(&codel, LATE, 378446 * US)) dropped++;
  CHECK_EQ(dropped, 4);
}

TEST(the_last_one_is_not_dropped) {
  weir_codel codel = { .count = 0 };
  CHECK(!drops(&codel, LATE, 0));
  CHECK(drops(&codel, LATE, 100 * MS));
  CHECK(!weir_codel_drops(&codel, &usual, 900 * MS, true, 300 * MS));
  CHECK(!codel.above && !codel.dropping);
  CHECK_EQ(codel.first_above, 0);
}

TEST(an_empty_queue_is_not_too_long) {
  weir_codel codel = { .count = 0 };
  stay_late(&codel, 0, 150 * MS);
  CHECK(codel.above);
  weir_codel_empty(&codel);
  CHECK(!codel.above && !codel.dropping);
  CHECK(!drops(&codel, LATE, 500 * MS));
  CHECK(!drops(&codel, LATE, 600 * MS - 1));
  CHECK(drops(&codel, LATE, 600 * MS));
}

TEST(a_queue_that_has_recovered_is_left_alone) {
  weir_codel codel = { .count = 0 };
  CHECK(stay_late(&codel, 0, 500 * MS) > 3);
  for (uint64_t t = 500 * MS; t < 5000 * MS; t += MS)
    CHECK(!drops(&codel, LATE - 1, t));
}

/* 1 at 100 ms, then at 200, 270.7, 328.4, 378.4, 423.2, 464.0 ms: 7 by 500 ms;
** dropping that is resumed within 16 intervals goes on with the 6 that were
** dropped beyond the 1 it began with. */
TEST(dropping_that_is_resumed_soon_keeps_its_pace) {
  weir_codel codel = { .count = 0 };
  CHECK_EQ(stay_late(&codel, 0, 500 * MS), 7);
  CHECK_EQ(codel.count, 7);
  CHECK(!drops(&codel, 0, 500 * MS));
  CHECK(!drops(&codel, LATE, 600 * MS));
  CHECK(drops(&codel, LATE, 700 * MS));
  CHECK_EQ(codel.count, 6);
  CHECK_EQ(codel.last_count, 6);
  CHECK_EQ(codel.drop_next, 700 * MS + 40824829);
  CHECK(!drops(&codel, 0, 701 * MS));
  CHECK(!drops(&codel, LATE, 702 * MS));
  CHECK(drops(&codel, LATE, 802 * MS)); /* none were beyond it this time */
  CHECK_EQ(codel.count, 1);
}

TEST(dropping_that_is_resumed_late_begins_anew) {
  weir_codel codel = { .count = 0 };
  uint64_t late;
  stay_late(&codel, 0, 500 * MS);
  CHECK(!drops(&codel, 0, 500 * MS));
  late = codel.drop_next + 1600 * MS;
  CHECK(!drops(&codel, LATE, late - 100 * MS));
  CHECK(drops(&codel, LATE, late));
  CHECK_EQ(codel.count, 1);
  CHECK_EQ(codel.drop_next, late + 100 * MS);
}

TEST(target_and_interval_may_be_set) {
  const weir_shed shed = { .target_ns = MS, .interval_ns = 10 * MS };
  weir_codel codel = { .count = 0 };
  CHECK(!weir_codel_drops(&codel, &shed, MS, false, 0));
  CHECK(!weir_codel_drops(&codel, &shed, MS, false, 10 * MS - 1));
  CHECK(weir_codel_drops(&codel, &shed, MS, false, 10 * MS));
  CHECK_EQ(codel.drop_next, 20 * MS);
}

TEST(no_interval_is_too_long_and_no_time_too_late) {
  const weir_shed shed = { .target_ns = 1, .interval_ns = UINT64_MAX };
  weir_codel codel = { .count = 0 };
  CHECK(!weir_codel_drops(&codel, &shed, 1, false, UINT64_MAX - 3000));
  CHECK(weir_codel_drops(&codel, &shed, 1, false, WEIR_NEVER - 1));
  CHECK(weir_codel_drops(&codel, &shed, 1, false, WEIR_NEVER - 1));
  codel = (weir_codel){ .dropping = true, .count = UINT32_MAX, .drop_next = 5 };
  codel.first_above = 1;
  CHECK(drops(&codel, LATE, 10));
  CHECK_EQ(codel.count, UINT32_MAX);
  CHECK_EQ(codel.drop_next, 5 + 1525); /* 100 ms / 65536 */
}

/* gap = interval / root(n) rounded down: gap^2 n <= interval^2 < (gap+1)^2 n,
** but for a 2^32th of the interval. */
TEST(the_root_is_within_a_nanosecond) {
  for (uint32_t n = 2; n < 60000; n += 1 + n / 50) {
    weir_codel codel = { .dropping = true, .count = n - 1, .drop_next = 1 };
    uint64_t gap, square = 100 * MS * (100 * MS);
    codel.first_above = 1;
    CHECK(drops(&codel, LATE, 1));
    gap = codel.drop_next - 1;
    CHECK(gap * gap * n <= square);
    CHECK((gap + 2) * (gap + 2) * n > square);
  }
}

/* A queue that is served at 1,000 a second and offered 1,500, by people who do
** not slow down: a second at the worst, where it would be 20 without CoDel. */
TEST(a_queue_that_is_offered_too_much_stays_short) {
  weir_codel codel = { .count = 0 };
  uint64_t longest = 0, arrival = 0, waited = 0;
  uint32_t dropped = 0;
  for (uint64_t t = 0; t < 60000 * MS; t += MS) {
    for (;; dropped++) { /* one arrives every 2/3 ms */
      bool last = (arrival + 1) * 2 * MS / 3 > t;
      waited = t - arrival * 2 * MS / 3;
      if (last || !weir_codel_drops(&codel, &usual, waited, last, t)) break;
      arrival++;
    }
    if (waited > longest && t > 30000 * MS) longest = waited;
    arrival += arrival * 2 * MS / 3 <= t;
  }
  CHECK(dropped > 15000);
  CHECK(longest < 1200 * MS);
}

/* --- pace ----------------------------------------------------------------- */

TEST(a_pace_is_not_known_before_four_steps) {
  weir_pace pace = { .steps = 0 };
  for (uint64_t i = 0; i < 4; i++) {
    weir_pace_note(&pace, 1, 1000 + i * 10);
    CHECK_EQ(weir_pace_wait(&pace, 5), 0);
  }
  weir_pace_note(&pace, 1, 1040);
  CHECK_EQ(weir_pace_wait(&pace, 5), 50);
  CHECK_EQ(weir_pace_wait(&pace, 0), 0);
}

TEST(a_pace_is_that_of_one_permit) {
  weir_pace pace = { .steps = 0 };
  for (uint64_t i = 0; i < 20; i++) weir_pace_note(&pace, 4, 7 + i * 100);
  CHECK_EQ(weir_pace_wait(&pace, 1), 25);
  CHECK_EQ(weir_pace_wait(&pace, 3), 75);
}

TEST(the_time_without_a_queue_is_no_step) {
  weir_pace pace = { .steps = 0 };
  for (uint64_t i = 0; i < 10; i++) {
    weir_pace_note(&pace, 1, 1 + i * 100000);
    weir_pace_note(&pace, 1, 1 + i * 100000 + 10);
    weir_pace_empty(&pace);
  }
  CHECK_EQ(weir_pace_wait(&pace, 1), 10);
}

TEST(a_pace_follows_by_an_eighth) {
  weir_pace pace = { .steps = 0 };
  uint64_t t = 1000;
  for (int i = 0; i <= 8; i++) weir_pace_note(&pace, 1, t += 800);
  CHECK_EQ(weir_pace_wait(&pace, 1), 800);
  weir_pace_note(&pace, 1, t += 1600);
  CHECK_EQ(weir_pace_wait(&pace, 1), 900);
  weir_pace_note(&pace, 1, t += 100);
  CHECK_EQ(weir_pace_wait(&pace, 1), 800);
  weir_pace_note(&pace, 1, t - 50); /* behind: as if at the same time */
  CHECK_EQ(weir_pace_wait(&pace, 1), 700);
  weir_pace_note(&pace, 1, t + 700);
  CHECK_EQ(weir_pace_wait(&pace, 1), 700);
}

/* Steps of 1 to 199, at random: an average near 100 and never far from it. */
TEST(a_pace_is_an_average) {
  choices from = choices_of_seed(1);
  weir_pace pace = { .steps = 0 };
  uint64_t t = 1000, sum = 0;
  for (int i = 0; i < 2000; i++) {
    weir_pace_note(&pace, 1, t += 1 + choose(&from, 199));
    if (i < 8) continue;
    sum += weir_pace_wait(&pace, 1);
    CHECK(pace.step_ns > 30 && pace.step_ns < 170);
  }
  CHECK(sum / 1992 > 90 && sum / 1992 < 110);
}

TEST(a_wait_is_never_never) {
  weir_pace pace = { .step_ns = UINT64_MAX / 3, .steps = 8 };
  CHECK_EQ(weir_pace_wait(&pace, 3), WEIR_NEVER - 1);
  CHECK_EQ(weir_pace_wait(&pace, 2), UINT64_MAX / 3 * 2);
  CHECK_EQ(weir_pace_wait(&pace, UINT64_MAX), WEIR_NEVER - 1);
}

CHECK_MAIN
