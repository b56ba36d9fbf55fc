/* test_resize.c - a limit that changes while it is used. */
#include "world.h"

TEST(raising_the_limit_admits_exactly_as_many_as_now_fit) {
  world w;
  weir_ticket waits[5];
  world_open(&w, 1);
  HOLD(&w, 1);
  for (int i = 0; i < 5; i++) waits[i] = WAIT(&w, 1);
  world_set_limit(&w, 4);
  for (int i = 0; i < 3; i++) NEXT(&w, waits[i], WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 4, 2);
  world_close(&w);
}

TEST(raising_the_limit_stops_at_a_head_that_does_not_fit) {
  world w;
  weir_ticket a, heavy;
  world_open(&w, 4);
  HOLD(&w, 4);
  a = WAIT(&w, 1);
  heavy = WAIT(&w, 3);
  WAIT(&w, 1);
  world_set_limit(&w, 7);
  NEXT(&w, a, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 5, 2);
  world_set_limit(&w, 8);
  NEXT(&w, heavy, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(lowering_the_limit_takes_none_away_and_admits_none_until_enough_return) {
  world w;
  weir_ticket held[4], waits;
  world_open(&w, 4);
  for (int i = 0; i < 4; i++) held[i] = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  world_set_limit(&w, 2);
  CHECK_EQ(world_stats(&w).limit, 2);
  COUNTS(&w, 4, 1);
  RELEASE(&w, held[0]);
  RELEASE(&w, held[1]);
  QUIET(&w);
  COUNTS(&w, 2, 1);
  RELEASE(&w, held[2]);
  NEXT(&w, waits, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 2, 0);
  world_close(&w);
}

TEST(a_lowered_limit_counts_for_newcomers_too) {
  world w;
  weir_ticket held;
  world_open(&w, 4);
  held = HOLD(&w, 3);
  world_set_limit(&w, 2);
  REFUSED(&w, 3, WEIR_IMPOSSIBLE);
  TRY(&w, 1, WEIR_FULL);
  RELEASE(&w, held);
  HOLD(&w, 2);
  world_close(&w);
}

TEST(lowering_below_a_waiters_cost_refuses_it_when_it_is_at_the_head) {
  world w;
  weir_ticket heavy, light;
  world_open(&w, 4);
  HOLD(&w, 1);
  heavy = WAIT(&w, 4);
  light = WAIT(&w, 1);
  world_set_limit(&w, 3);
  NEXT(&w, heavy, WEIR_IMPOSSIBLE);
  NEXT(&w, light, WEIR_ADMITTED);
  QUIET(&w);
  CHECK_EQ(world_stats(&w).refused[WEIR_IMPOSSIBLE], 1);
  COUNTS(&w, 2, 0);
  world_close(&w);
}

TEST(lowering_below_a_waiters_cost_refuses_it_when_it_gets_to_the_head) {
  world w;
  weir_ticket held, before, heavy, after;
  world_open(&w, 4);
  held = HOLD(&w, 4);
  before = WAIT(&w, 1);
  heavy = WAIT(&w, 4);
  after = WAIT(&w, 1);
  world_set_limit(&w, 2);
  QUIET(&w);
  COUNTS(&w, 4, 3);
  RELEASE(&w, held);
  NEXT(&w, before, WEIR_ADMITTED);
  NEXT(&w, heavy, WEIR_IMPOSSIBLE);
  NEXT(&w, after, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 2, 0);
  world_close(&w);
}

TEST(a_limit_raised_again_in_time_spares_a_waiter) {
  world w;
  weir_ticket held, before, heavy;
  world_open(&w, 4);
  held = HOLD(&w, 4);
  before = WAIT(&w, 1);
  heavy = WAIT(&w, 4);
  world_set_limit(&w, 2);
  world_set_limit(&w, 5);
  NEXT(&w, before, WEIR_ADMITTED);
  RELEASE(&w, held);
  NEXT(&w, heavy, WEIR_ADMITTED);
  COUNTS(&w, 5, 0);
  world_close(&w);
}

TEST(a_smaller_queue_sends_nobody_away_and_takes_nobody_in) {
  weir_config config = { .concurrent = 1,
                         .queue = 1,
                         .timeout_ns = WEIR_NEVER };
  world w;
  weir_ticket held, a, b;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  CHECK_EQ(weir_limiter_set(w.space, w.limiter, &config, w.now), 0);
  COUNTS(&w, 1, 2);
  REFUSED(&w, 1, WEIR_FULL);
  RELEASE(&w, held);
  NEXT(&w, a, WEIR_ADMITTED);
  REFUSED(&w, 1, WEIR_FULL);
  CANCEL(&w, b);
  WAIT(&w, 1);
  world_close(&w);
}

TEST(another_timeout_counts_for_newcomers_only) {
  weir_config config = { .concurrent = 1,
                         .queue = WEIR_UNBOUNDED,
                         .timeout_ns = 100 };
  world w;
  weir_ticket held, old, newcomer;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  old = WAIT(&w, 1);
  CHECK(!weir_limiter_timed(w.space, w.limiter));
  CHECK_EQ(weir_limiter_set(w.space, w.limiter, &config, w.now), 0);
  CHECK(weir_limiter_timed(w.space, w.limiter));
  newcomer = WAIT(&w, 1);
  world_advance(&w, w.now + 100);
  NEXT(&w, newcomer, WEIR_TIMEOUT);
  RELEASE(&w, held);
  NEXT(&w, old, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_config_is_read_back_as_it_was_set) {
  weir_config set = { .concurrent = 7, .queue = 8, .timeout_ns = 9 },
              got = { 0 };
  world w;
  world_open(&w, 1);
  CHECK_EQ(weir_limiter_set(w.space, w.limiter, &set, w.now), 0);
  CHECK_EQ(weir_limiter_config(w.space, w.limiter, &got), 0);
  CHECK_EQ(got.concurrent, 7);
  CHECK_EQ(got.queue, 8);
  CHECK_EQ(got.timeout_ns, 9);
  world_close(&w);
}

TEST(a_bad_config_is_named_and_changes_nothing) {
  static const uint32_t bad[] = { 0, WEIR_PERMITS_MAX + 1, UINT32_MAX };
  weir_config got = { 0 };
  weir_limiter limiter;
  world w;
  world_open(&w, 3);
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
    weir_config config = { .concurrent = bad[i], .queue = 0, .timeout_ns = 0 };
    CHECK(weir_config_check(&config) != NULL);
    CHECK_EQ(weir_limiter_set(w.space, w.limiter, &config, w.now),
             WEIR_E_CONFIG);
    CHECK_EQ(weir_limiter_open(w.space, NULL, &config, w.now, &limiter),
             WEIR_E_CONFIG);
  }
  CHECK_EQ(weir_limiter_config(w.space, w.limiter, &got), 0);
  CHECK_EQ(got.concurrent, 3);
  CHECK_EQ(got.queue, WEIR_UNBOUNDED);
  CHECK_EQ(got.timeout_ns, WEIR_NEVER);
  world_close(&w);
}

TEST(the_ends_of_every_config_range_are_good) {
  static const weir_config good[] = {
    WEIR_CONFIG_INIT,
    { .concurrent = 1 },
    { .concurrent = WEIR_PERMITS_MAX,
      .queue = WEIR_UNBOUNDED,
      .timeout_ns = WEIR_NEVER },
    { .concurrent = 1,
      .queue = WEIR_UNBOUNDED - 1,
      .timeout_ns = WEIR_NEVER - 1 },
  };
  for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
    CHECK(weir_config_check(&good[i]) == NULL);
}

/* What was taken before there was a rate took no tokens, and gave some back all
** the same when it had not been used. */
TEST(a_rate_that_comes_later_gets_nothing_back_from_who_was_there) {
  weir_config config = WEIR_CONFIG_INIT;
  world w;
  weir_ticket early;
  config.concurrent = 9;
  world_open_with(&w, config);
  early = HOLD(&w, 2);
  w.now += 10;
  config.rate = (weir_rate){ .count = 1, .per_ns = 100, .burst = 2 };
  world_set(&w, config);
  w.now += 10;
  HOLD(&w, 2);
  CHECK_EQ(weir_release(w.port, early, WEIR_UNUSED, w.now), 0);
  TRY(&w, 1, WEIR_FULL);
  world_close(&w);
}

CHECK_MAIN
