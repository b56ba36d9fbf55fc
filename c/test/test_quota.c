/* test_quota.c - what is left of a key: for people, and never too early. */
#include "choices.h"
#include "world.h"

enum { T0 = WORLD_START, PER = 100 };

static weir_config rated(uint32_t count, uint64_t per, uint32_t burst) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = 0;
  config.rate = (weir_rate){ per, 0, count, burst, WEIR_GCRA, false };
  return config;
}

static void check_quota(check_place place, const world *w, weir_request request,
                        uint64_t left, uint64_t retry, uint64_t reset) {
  weir_quota quota = world_quota(w, request);
  check_equal(place, "left", quota.left, left);
  check_equal(place, "retry_ns", quota.retry_ns, retry);
  check_equal(place, "reset_ns", quota.reset_ns, reset);
}

#define QUOTA(w, request, ...) check_quota(HERE, w, request, __VA_ARGS__)

/* --- rates ---------------------------------------------------------------- */

TEST(a_bucket_tells_what_is_left_and_when_there_is_more) {
  world w;
  world_open_with(&w, rated(1, PER, 5));
  QUOTA(&w, REQUEST(.cost = 5), 5, 0, 0);
  HOLD(&w, 2);
  QUOTA(&w, REQUEST(.cost = 3), 3, 0, 2 * PER);
  QUOTA(&w, REQUEST(.cost = 4), 3, PER, 2 * PER);
  QUOTA(&w, REQUEST(.cost = 6), 3, WEIR_NEVER, 2 * PER);
  w.now += 150;
  QUOTA(&w, REQUEST(.cost = 5), 4, 50, 50);
  w.now += 50;
  QUOTA(&w, REQUEST(.cost = 5), 5, 0, 0);
  world_close(&w);
}

TEST(a_window_tells_what_is_left_and_when_there_is_more) {
  world w;
  weir_config config = rated(3, PER, 0);
  config.rate.window = WEIR_FIXED;
  world_open_with(&w, config);
  HOLD(&w, 2);
  w.now += 30;
  QUOTA(&w, REQUEST(.cost = 1), 1, 0, 70);
  QUOTA(&w, REQUEST(.cost = 2), 1, 70, 70);
  QUOTA(&w, REQUEST(.cost = 4), 1, WEIR_NEVER, 70);
  world_close(&w);
}

TEST(a_sliding_window_has_recovered_after_two_periods) {
  world w;
  weir_config config = rated(4, PER, 0);
  config.rate.window = WEIR_SLIDING;
  world_open_with(&w, config);
  HOLD(&w, 4);
  QUOTA(&w, REQUEST(.cost = 1), 0, 125, 200);
  w.now += 150;
  QUOTA(&w, REQUEST(.cost = 3), 2, 25, 50);
  world_close(&w);
}

static weir_rate random_rate(choices *from) {
  weir_rate rate = { .per_ns = 1 + choose(from, 60) };
  rate.phase_ns = choose(from, 90);
  rate.count = 1 + choose(from, rate.per_ns < 7 ? (uint32_t)rate.per_ns : 7);
  rate.burst = 1 + choose(from, 7);
  rate.window = (weir_window)choose(from, 3);
  rate.aligned = once_in(from, 2);
  return rate;
}

static int peek_at(const world *w, uint32_t cost, uint64_t now) {
  weir_request request = { .cost = cost, .try_only = true };
  return weir_peek(w->port, w->limiter, &request, now);
}

/* A quota against what would be answered then, one ns before it and after. */
static void check_exact(world *w, uint32_t cost) {
  weir_quota quota = world_quota(w, REQUEST(.cost = cost));
  uint64_t then = w->now + quota.retry_ns;
  uint32_t left = (uint32_t)quota.left;
  if (left) CHECK_EQ(peek_at(w, left, w->now), WEIR_ADMITTED);
  CHECK(peek_at(w, left + 1, w->now) != WEIR_ADMITTED);
  if (quota.retry_ns == WEIR_NEVER) {
    CHECK_EQ(peek_at(w, cost, w->now), WEIR_IMPOSSIBLE);
    return;
  }
  CHECK_EQ(peek_at(w, cost, then), WEIR_ADMITTED);
  if (quota.retry_ns) CHECK_EQ(peek_at(w, cost, then - 1), WEIR_FULL);
}

static void check_recovery(world *w) {
  uint64_t reset = world_quota(w, REQUEST(.cost = 1)).reset_ns;
  uint64_t now = w->now;
  if (reset) {
    w->now = now + reset - 1;
    CHECK(world_quota(w, REQUEST(.cost = 1)).reset_ns == 1);
  }
  w->now = now + reset;
  CHECK_EQ(world_quota(w, REQUEST(.cost = 1)).reset_ns, 0);
  w->now = now;
}

TEST(quotas_of_random_rates_are_exact) {
  for (uint64_t seed = 1; seed <= 300; seed++) {
    choices from = choices_of_seed(seed);
    world w;
    weir_config config = rated(1, 1, 1);
    config.rate = random_rate(&from);
    world_open_with(&w, config);
    for (int i = 0; i < 20; i++) {
      weir_request request = { .cost = 1 + choose(&from, 4), .try_only = true };
      weir_ticket ticket;
      check_exact(&w, 1 + choose(&from, 8));
      check_recovery(&w);
      weir_acquire(w.port, w.limiter, &request, w.now, &ticket);
      w.now += choose(&from, 30);
    }
    world_close(&w);
  }
}

/* Lets time pass until all who wait are through, the last of them `ticket`;
** answers when that was. */
static uint64_t time_of(world *w, weir_ticket ticket) {
  weir_event event = { .ticket = 0 };
  while (weir_deadline(w->port) != WEIR_NEVER && event.ticket != ticket) {
    world_advance(w, weir_deadline(w->port));
    while (weir_next(w->port, &event)) {
    }
  }
  CHECK_EQ(event.ticket, ticket);
  return w->now;
}

TEST(those_who_wait_for_a_bucket_are_counted_exactly) {
  for (uint64_t seed = 1; seed <= 300; seed++) {
    choices from = choices_of_seed(seed);
    world w;
    uint64_t wanted;
    uint32_t burst = 1 + choose(&from, 5);
    world_open_with(&w,
                    rated(1 + choose(&from, 7), 7 + choose(&from, 50), burst));
    HOLD(&w, burst);
    for (uint32_t i = choose(&from, 6) + 1; i; i--)
      WAIT(&w, 1 + choose(&from, burst));
    wanted = w.now + world_quota(&w, REQUEST(.cost = 1)).retry_ns;
    CHECK_EQ(world_quota(&w, REQUEST(.cost = 1)).left, 0);
    CHECK_EQ(time_of(&w, WAIT(&w, 1)), wanted);
    world_close(&w);
  }
}

TEST(those_who_wait_for_a_fixed_window_are_counted) {
  world w;
  weir_config config = rated(3, PER, 0);
  config.rate.window = WEIR_FIXED;
  world_open_with(&w, config);
  HOLD(&w, 3);
  for (int i = 0; i < 5; i++) WAIT(&w, 1);
  QUOTA(&w, REQUEST(.cost = 1), 0, 2 * PER, 3 * PER - PER * 2);
  WAIT(&w, 1);
  QUOTA(&w, REQUEST(.cost = 1), 0, 3 * PER, PER);
  world_close(&w);
}

/* --- permits -------------------------------------------------------------- */

TEST(permits_come_back_nobody_knows_when) {
  world w;
  world_open(&w, 3);
  QUOTA(&w, REQUEST(.cost = 2), 3, 0, 0);
  HOLD(&w, 2);
  QUOTA(&w, REQUEST(.cost = 1), 1, 0, 0);
  QUOTA(&w, REQUEST(.cost = 2), 1, WEIR_NEVER, 0);
  WAIT(&w, 3);
  QUOTA(&w, REQUEST(.cost = 1), 0, WEIR_NEVER, 0); /* behind it */
  world_close(&w);
}

TEST(the_scarcer_of_permits_and_tokens_is_left) {
  world w;
  weir_config config = rated(1, PER, 5);
  config.concurrent = 3;
  world_open_with(&w, config);
  QUOTA(&w, REQUEST(.cost = 1), 3, 0, 0);
  RELEASE(&w, HOLD(&w, 3));
  QUOTA(&w, REQUEST(.cost = 3), 2, PER, 3 * PER);
  world_close(&w);
}

TEST(a_queue_that_waits_for_tokens_only_can_be_told_when) {
  world w;
  weir_config config = rated(1, PER, 1);
  config.concurrent = 4;
  world_open_with(&w, config);
  HOLD(&w, 1);
  WAIT(&w, 1);
  WAIT(&w, 1);
  QUOTA(&w, REQUEST(.cost = 1), 0, 3 * PER, PER);
  WAIT(&w, 1);
  QUOTA(&w, REQUEST(.cost = 1), 0, WEIR_NEVER, PER);
  world_close(&w);
}

TEST(the_pace_of_permits_is_measured_where_shedding_asks_for_it) {
  world w;
  weir_ticket held;
  weir_event event;
  weir_config config = WEIR_CONFIG_INIT;
  config.shed.doomed = true;
  world_open_with(&w, config);
  held = HOLD(&w, 1);
  for (int i = 0; i < 20; i++) WAIT(&w, 1);
  CHECK_EQ(world_quota(&w, REQUEST(.cost = 1)).retry_ns, WEIR_NEVER);
  for (int i = 0; i < 12; i++) {
    w.now += 50;
    RELEASE(&w, held);
    CHECK(weir_next(w.port, &event));
    held = event.ticket;
  }
  CHECK_EQ(world_quota(&w, REQUEST(.cost = 1)).retry_ns, 9 * 50);
  world_close(&w);
}

/* --- who asks ------------------------------------------------------------- */

TEST(a_key_that_is_new_has_all_that_a_key_can_have) {
  world w;
  weir_config config = rated(1, PER, 5);
  config.concurrent = 4;
  config.keys = 1;
  world_open_with(&w, config);
  QUOTA(&w, REQUEST(KEY("a")), 4, 0, 0);
  QUOTA(&w, REQUEST(KEY("a"), .cost = 5), 4, WEIR_NEVER, 0);
  ASK(&w, WEIR_ADMITTED, KEY("a"), .cost = 3);
  QUOTA(&w, REQUEST(KEY("a")), 1, 0, 3 * PER);
  QUOTA(&w, REQUEST(KEY("b")), 0, WEIR_NEVER, 0); /* no key is free */
  QUOTA(&w, REQUEST(.cost = 1), 4, 0, 0);
  CHECK_EQ(world_stats(&w).keys, 1);
  config.concurrent = 9;
  config.keys = 2;
  world_set(&w, config);
  QUOTA(&w, REQUEST(KEY("b")), 5, 0, 0); /* the bucket is smaller now */
  world_close(&w);
}

TEST(a_closed_limiter_has_nothing_left) {
  world w;
  world_open_with(&w, rated(1, PER, 5));
  ASK(&w, WEIR_ADMITTED, KEY("a"));
  CHECK_EQ(weir_limiter_close(w.space, w.limiter, w.now), 0);
  QUOTA(&w, REQUEST(.cost = 1), 0, WEIR_NEVER, 0);
  QUOTA(&w, REQUEST(KEY("a")), 0, WEIR_NEVER, PER);
  QUOTA(&w, REQUEST(KEY("b")), 0, WEIR_NEVER, 0);
  world_close(&w);
}

/* LIFO: whoever comes now goes before them all. */
TEST(who_goes_first_does_not_wait_for_those_behind) {
  world w;
  weir_config config = rated(1, PER, 3);
  config.order = WEIR_LIFO;
  world_open_with(&w, config);
  HOLD(&w, 2);
  WAIT(&w, 3);
  QUOTA(&w, REQUEST(.cost = 1), 1, 0, 2 * PER);
  QUOTA(&w, REQUEST(.cost = 2), 1, PER, 2 * PER);
  world_close(&w);
}

TEST(the_higher_priority_waits_for_its_like_only) {
  world w;
  weir_config config = rated(1, PER, 1);
  config.order = WEIR_PRIORITY;
  world_open_with(&w, config);
  HOLD(&w, 1);
  for (int i = 0; i < 3; i++) WAIT(&w, 1);
  ASK(&w, WEIR_WAITING, .priority = 2);
  QUOTA(&w, REQUEST(.priority = 3), 0, PER, PER);
  QUOTA(&w, REQUEST(.priority = 2), 0, 2 * PER, PER);
  QUOTA(&w, REQUEST(.priority = 0), 0, 5 * PER, PER);
  world_close(&w);
}

/* What turns come to is not known: it is at the latest when all are through. */
TEST(in_fair_order_all_who_wait_are_counted) {
  world w;
  weir_config config = rated(1, PER, 1);
  config.order = WEIR_FAIR;
  world_open_with(&w, config);
  HOLD(&w, 1);
  for (int i = 0; i < 3; i++) ASK(&w, WEIR_WAITING, FLOW("a"));
  QUOTA(&w, REQUEST(FLOW("b")), 0, 4 * PER, PER);
  world_close(&w);
}

TEST(an_adaptive_limit_below_the_cost_is_none_when_nothing_is_in_use) {
  world w;
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = 0;
  config.adaptive.algorithm = WEIR_AIMD;
  config.adaptive.initial = 2;
  world_open_with(&w, config);
  QUOTA(&w, REQUEST(.cost = 5), 2, 0, 0);
  HOLD(&w, 1);
  QUOTA(&w, REQUEST(.cost = 5), 1, WEIR_NEVER, 0);
  world_close(&w);
}

TEST(a_quota_is_asked_for_what_there_is) {
  world w;
  weir_quota quota;
  weir_request wrong = { .priority = WEIR_PRIORITY_MAX + 1 }, fine = { 0 };
  world_open(&w, 1);
  CHECK_EQ(weir_limiter_quota(w.space, w.limiter, &wrong, w.now, &quota),
           WEIR_E_CONFIG);
  CHECK_EQ(weir_limiter_quota(w.space, 99, &fine, w.now, &quota), WEIR_E_STALE);
  world_close(&w);
}

TEST(the_end_of_time_is_reached_and_not_passed) {
  world w;
  world_open_with(&w, rated(1, WEIR_PER_MAX, 1));
  w.now = WEIR_NEVER - 10;
  HOLD(&w, 1);
  WAIT(&w, 1);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER - 1);
  CHECK_EQ(world_advance(&w, WEIR_NEVER - 2), WEIR_NEVER - 1);
  QUIET(&w);
  world_close(&w);
}

CHECK_MAIN
