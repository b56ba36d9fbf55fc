/* test_adaptive.c - a limit that follows what its permits tell. What it comes
** to is the business of test_tuner.c and test_overload.c; here is what it means
** for those who ask. */
#include "world.h"

enum { ROOM = 400, LATENCY = 400000000 }; /* permits; ns */

static weir_config adaptive(weir_algorithm algorithm, uint32_t initial,
                            uint32_t max) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = 0;
  config.adaptive.algorithm = algorithm;
  config.adaptive.initial = initial;
  config.adaptive.max = max;
  return config;
}

static uint32_t limit_of(const world *w) { return world_stats(w).limit; }

/* All permits of a key are taken, and given back after a while. */
static void one_round(world *w, weir_request request, weir_outcome outcome) {
  weir_ticket held[ROOM];
  int count = 0;
  request.try_only = true;
  while (weir_acquire(w->port, w->limiter, &request, w->now, &held[count]) ==
         WEIR_ADMITTED)
    count++;
  for (int i = 0; i < count; i++) {
    w->now += LATENCY / 4;
    RELEASE_AS(w, held[i], outcome);
  }
}

static void rounds(world *w, int count, weir_outcome outcome) {
  for (int i = 0; i < count; i++) one_round(w, REQUEST(.cost = 1), outcome);
}

/* --- following ------------------------------------------------------------ */

TEST(a_limit_grows_while_all_goes_well_and_shrinks_with_drops) {
  static const weir_algorithm all[] = { WEIR_AIMD, WEIR_VEGAS, WEIR_GRADIENT2 };
  for (int i = 0; i < 3; i++) {
    world w;
    uint32_t grown;
    world_open_with(&w, adaptive(all[i], 10, 100));
    CHECK(weir_limiter_timed(w.space, w.limiter));
    CHECK_EQ(limit_of(&w), 10);
    rounds(&w, 30, WEIR_DONE);
    grown = limit_of(&w);
    CHECK(all[i] != WEIR_AIMD || grown > 10);
    CHECK(grown >= 1 && grown <= 100);
    rounds(&w, 30, WEIR_DROPPED);
    CHECK(limit_of(&w) < grown);
    CHECK(limit_of(&w) < 10);
    world_close(&w);
  }
}

TEST(what_was_never_begun_tells_nothing) {
  world w;
  world_open_with(&w, adaptive(WEIR_AIMD, 10, 100));
  rounds(&w, 50, WEIR_UNUSED);
  CHECK_EQ(limit_of(&w), 10);
  world_close(&w);
}

TEST(a_limit_stays_within_its_bounds) {
  world w;
  weir_config config = adaptive(WEIR_AIMD, 4, 6);
  config.adaptive.min = 3;
  world_open_with(&w, config);
  rounds(&w, 100, WEIR_DONE);
  CHECK_EQ(limit_of(&w), 6);
  rounds(&w, 100, WEIR_DROPPED);
  CHECK_EQ(limit_of(&w), 3);
  world_close(&w);
}

TEST(what_took_too_long_counts_as_a_drop) {
  world w;
  weir_config config = adaptive(WEIR_AIMD, 10, 100);
  config.adaptive.timeout_ns = LATENCY / 8;
  world_open_with(&w, config);
  rounds(&w, 20, WEIR_DONE);
  CHECK(limit_of(&w) < 10);
  world_close(&w);
}

TEST(concurrent_is_its_upper_bound) {
  world w;
  weir_config config = adaptive(WEIR_AIMD, 10, 100);
  config.concurrent = 12;
  world_open_with(&w, config);
  rounds(&w, 100, WEIR_DONE);
  CHECK_EQ(limit_of(&w), 12);
  REFUSED(&w, 13, WEIR_IMPOSSIBLE);
  config.concurrent = 5;
  world_set(&w, config);
  CHECK_EQ(limit_of(&w), 5);
  world_close(&w);
}

TEST(every_key_has_a_limit_of_its_own) {
  world w;
  world_open_with(&w, adaptive(WEIR_AIMD, 10, 100));
  ASK(&w, WEIR_ADMITTED, KEY("bad")); /* or they would be gone between rounds */
  ASK(&w, WEIR_ADMITTED, KEY("good"));
  for (int i = 0; i < 20; i++) {
    one_round(&w, REQUEST(KEY("bad")), WEIR_DROPPED);
    one_round(&w, REQUEST(KEY("good")), WEIR_DONE);
  }
  CHECK(world_key(&w, "bad", 3).limit < 10);
  CHECK(world_key(&w, "good", 4).limit > 10);
  CHECK_EQ(world_key(&w, NULL, 0).limit, 10);
  world_close(&w);
}

/* It was told what the limiter's own queue had come to. */
TEST(a_key_that_is_not_known_has_the_initial_limit) {
  world w;
  world_open_with(&w, adaptive(WEIR_AIMD, 10, 100));
  rounds(&w, 30, WEIR_DROPPED);
  CHECK(limit_of(&w) < 10);
  CHECK_EQ(world_key(&w, "new", 3).limit, 10);
  CHECK_EQ(world_quota(&w, REQUEST(KEY("new"))).left, 10);
  for (int i = 0; i < 10; i++) ASK(&w, WEIR_ADMITTED, KEY("new"));
  ASK(&w, WEIR_FULL, KEY("new"), .try_only = true);
  world_close(&w);
}

/* --- those who wait ------------------------------------------------------- */

TEST(a_limit_that_grows_admits_more_than_came_back) {
  world w;
  weir_ticket held[10];
  weir_event event;
  unsigned admitted = 0;
  world_open_with(&w, adaptive(WEIR_AIMD, 10, 100));
  for (int i = 0; i < 10; i++) held[i] = HOLD(&w, 1);
  for (int i = 0; i < 20; i++) WAIT(&w, 1);
  for (int i = 0; i < 10; i++) {
    w.now += LATENCY;
    RELEASE(&w, held[i]);
  }
  while (weir_next(w.port, &event)) admitted++;
  CHECK_EQ(limit_of(&w), 11);
  CHECK_EQ(admitted, 11);
  world_close(&w);
}

TEST(a_limit_that_shrinks_takes_nothing_away) {
  world w;
  weir_ticket held[10];
  world_open_with(&w, adaptive(WEIR_AIMD, 10, 100));
  for (int i = 0; i < 10; i++) held[i] = HOLD(&w, 1);
  for (int i = 0; i < 5; i++) WAIT(&w, 1);
  for (int i = 0; i < 9; i++) {
    w.now += LATENCY;
    RELEASE_AS(&w, held[i], WEIR_DROPPED);
  }
  CHECK_EQ(world_stats(&w).in_use, 6);
  HOLD(&w, 4);
  rounds(&w, 1, WEIR_DONE);
  world_close(&w);
}

TEST(what_costs_more_than_the_limit_goes_when_nothing_is_in_use) {
  world w;
  weir_ticket held, heavy;
  world_open_with(&w, adaptive(WEIR_AIMD, 2, 10));
  held = HOLD(&w, 5);
  TRY(&w, 1, WEIR_FULL);
  RELEASE(&w, held);
  held = HOLD(&w, 1);
  heavy = WAIT(&w, 5);
  TRY(&w, 1, WEIR_FULL);
  RELEASE(&w, held);
  NEXT(&w, heavy, WEIR_ADMITTED);
  REFUSED(&w, 11, WEIR_IMPOSSIBLE);
  world_close(&w);
}

/* Vegas halves its limit now and then, to measure. Where nothing comes back it
** must not stand. */
TEST(a_probe_that_nothing_comes_back_to_is_given_up_in_time) {
  world w;
  weir_ticket held[ROOM], waits;
  weir_event event;
  uint32_t whole = 0, half;
  uint64_t due;
  int count = 0;
  world_open_with(&w, adaptive(WEIR_VEGAS, 40, 40));
  do {
    CHECK(count < 300);
    whole = limit_of(&w);
    for (count = 0;
         weir_acquire(w.port, w.limiter, &(weir_request){ .try_only = true },
                      w.now, &held[count]) == WEIR_ADMITTED;)
      count++;
    for (half = whole; count && half > whole / 2; half = limit_of(&w)) {
      w.now += LATENCY;
      RELEASE(&w, held[--count]);
    }
  } while (half > whole / 2);
  while (world_stats(&w).in_use < half) HOLD(&w, 1);
  waits = WAIT(&w, 1);
  due = weir_deadline(w.port);
  CHECK(due != WEIR_NEVER && due > w.now);
  world_advance(&w, due - 1);
  QUIET(&w);
  world_advance(&w, due);
  CHECK(weir_next(w.port, &event));
  CHECK_EQ(event.ticket, waits);
  CHECK(limit_of(&w) > half);
  world_close(&w);
}

/* --- another algorithm ---------------------------------------------------- */

TEST(another_algorithm_begins_anew) {
  world w;
  world_open_with(&w, adaptive(WEIR_AIMD, 10, 100));
  rounds(&w, 30, WEIR_DROPPED);
  CHECK(limit_of(&w) < 10);
  world_set(&w, adaptive(WEIR_VEGAS, 30, 100));
  CHECK_EQ(limit_of(&w), 30);
  for (int i = 0; i < 30; i++) HOLD(&w, 1);
  TRY(&w, 1, WEIR_FULL);
  world_close(&w);
}

TEST(a_limit_can_become_adaptive_and_fixed_again) {
  world w;
  weir_ticket held, waits[8];
  weir_config config = adaptive(WEIR_AIMD, 5, 100);
  world_open(&w, 1);
  held = HOLD(&w, 1);
  for (int i = 0; i < 8; i++) waits[i] = WAIT(&w, 1);
  world_set(&w, config);
  for (int i = 0; i < 4; i++) NEXT(&w, waits[i], WEIR_ADMITTED);
  QUIET(&w);
  RELEASE(&w, held);
  NEXT(&w, waits[4], WEIR_ADMITTED);
  config = (weir_config)WEIR_CONFIG_INIT;
  config.concurrent = 7;
  world_set(&w, config);
  NEXT(&w, waits[5], WEIR_ADMITTED);
  NEXT(&w, waits[6], WEIR_ADMITTED);
  QUIET(&w);
  CHECK_EQ(limit_of(&w), 7);
  rounds(&w, 30, WEIR_DROPPED);
  CHECK_EQ(limit_of(&w), 7);
  world_close(&w);
}

TEST(the_same_algorithm_keeps_what_it_found_within_new_bounds) {
  world w;
  weir_config config = adaptive(WEIR_AIMD, 10, 100);
  uint32_t found;
  world_open_with(&w, config);
  rounds(&w, 60, WEIR_DONE);
  found = limit_of(&w);
  CHECK(found > 15);
  world_set(&w, config);
  CHECK_EQ(limit_of(&w), found);
  config.adaptive.max = 12;
  world_set(&w, config);
  CHECK_EQ(limit_of(&w), 12);
  world_close(&w);
}

TEST(a_config_tells_its_defaults) {
  world w;
  weir_config config = WEIR_CONFIG_INIT;
  config.adaptive.algorithm = WEIR_VEGAS;
  world_open_with(&w, config);
  config = world_config(&w);
  CHECK_EQ(config.adaptive.initial, 20);
  CHECK_EQ(config.adaptive.min, 1);
  CHECK_EQ(config.adaptive.max, 1000);
  CHECK(config.adaptive.smoothing > 0.99 && config.adaptive.smoothing < 1.01);
  CHECK_EQ(limit_of(&w), 1); /* concurrent is above it all */
  world_close(&w);
}

CHECK_MAIN
