/* test_acquire.c - what a request is told at once. */
#include "world.h"

TEST(a_free_permit_is_admitted_at_once) {
  world w;
  weir_ticket ticket;
  world_open(&w, 1);
  ticket = HOLD(&w, 1);
  COUNTS(&w, 1, 0);
  QUIET(&w);
  RELEASE(&w, ticket);
  COUNTS(&w, 0, 0);
  world_close(&w);
}

TEST(as_many_are_admitted_as_there_are_permits_and_no_more) {
  world w;
  world_open(&w, 3);
  for (int i = 0; i < 3; i++) HOLD(&w, 1);
  WAIT(&w, 1);
  COUNTS(&w, 3, 1);
  QUIET(&w);
  world_close(&w);
}

TEST(a_request_of_zeros_asks_for_one_permit) {
  world w;
  world_open(&w, 2);
  HOLD(&w, 0);
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(a_cost_is_taken_and_given_back_whole) {
  world w;
  weir_ticket heavy;
  world_open(&w, 5);
  heavy = HOLD(&w, 4);
  COUNTS(&w, 4, 0);
  HOLD(&w, 1);
  TRY(&w, 1, WEIR_FULL);
  RELEASE(&w, heavy);
  COUNTS(&w, 1, 0);
  HOLD(&w, 4);
  COUNTS(&w, 5, 0);
  world_close(&w);
}

TEST(a_try_takes_a_free_permit_and_is_full_without_one) {
  world w;
  world_open(&w, 1);
  TRY(&w, 1, WEIR_ADMITTED);
  TRY(&w, 1, WEIR_FULL);
  COUNTS(&w, 1, 0);
  QUIET(&w);
  world_close(&w);
}

TEST(try_acquire_is_full_while_others_wait_ahead) {
  world w;
  world_open(&w, 2);
  HOLD(&w, 1);
  WAIT(&w, 2);
  TRY(&w, 1, WEIR_FULL); /* one permit is free, but not for a newcomer */
  COUNTS(&w, 1, 1);
  world_close(&w);
}

TEST(a_newcomer_never_overtakes_a_queue) {
  world w;
  weir_ticket held, first, newcomer;
  world_open(&w, 2);
  held = HOLD(&w, 1);
  first = WAIT(&w, 2);
  newcomer = WAIT(&w, 1); /* would fit */
  QUIET(&w);
  RELEASE(&w, held);
  NEXT(&w, first, WEIR_ADMITTED);
  QUIET(&w);
  RELEASE(&w, first);
  NEXT(&w, newcomer, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_newcomer_waits_while_a_hand_off_is_not_taken_yet) {
  world w;
  weir_ticket held, next;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  next = WAIT(&w, 1);
  RELEASE(&w, held);
  TRY(&w, 1, WEIR_FULL);
  WAIT(&w, 1);
  NEXT(&w, next, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(more_than_the_limit_is_impossible_at_once) {
  world w;
  world_open(&w, 3);
  REFUSED(&w, 4, WEIR_IMPOSSIBLE);
  TRY(&w, 4, WEIR_IMPOSSIBLE);
  HOLD(&w, 1);
  REFUSED(&w, WEIR_PERMITS_MAX, WEIR_IMPOSSIBLE);
  COUNTS(&w, 1, 0);
  QUIET(&w);
  CHECK_EQ(world_stats(&w).refused[WEIR_IMPOSSIBLE], 3);
  world_close(&w);
}

TEST(a_cost_out_of_range_is_an_error_and_counts_nothing) {
  world w;
  weir_stats before, after;
  world_open(&w, WEIR_PERMITS_MAX);
  before = world_stats(&w);
  REFUSED(&w, WEIR_PERMITS_MAX + 1, WEIR_E_CONFIG);
  REFUSED(&w, UINT32_MAX, WEIR_E_CONFIG);
  after = world_stats(&w);
  SAME(&after, &before);
  world_close(&w);
}

TEST(the_largest_limit_does_not_overflow) {
  world w;
  weir_ticket all;
  world_open(&w, WEIR_PERMITS_MAX);
  all = HOLD(&w, WEIR_PERMITS_MAX);
  COUNTS(&w, WEIR_PERMITS_MAX, 0);
  TRY(&w, WEIR_PERMITS_MAX, WEIR_FULL);
  TRY(&w, 1, WEIR_FULL);
  RELEASE(&w, all);
  HOLD(&w, WEIR_PERMITS_MAX - 1);
  TRY(&w, 2, WEIR_FULL);
  HOLD(&w, 1);
  COUNTS(&w, WEIR_PERMITS_MAX, 0);
  world_close(&w);
}

TEST(a_queue_without_places_makes_nobody_wait) {
  world w;
  world_open_with(
      &w,
      (weir_config){ .concurrent = 1, .queue = 0, .timeout_ns = WEIR_NEVER });
  HOLD(&w, 1);
  REFUSED(&w, 1, WEIR_FULL);
  CHECK_EQ(world_stats(&w).refused[WEIR_FULL], 1);
  world_close(&w);
}

TEST(a_queue_takes_as_many_as_it_has_places) {
  world w;
  weir_ticket held, first;
  world_open_with(
      &w,
      (weir_config){ .concurrent = 1, .queue = 2, .timeout_ns = WEIR_NEVER });
  held = HOLD(&w, 1);
  first = WAIT(&w, 1);
  WAIT(&w, 1);
  REFUSED(&w, 1, WEIR_FULL);
  RELEASE(&w, held); /* first is granted and waits no more */
  WAIT(&w, 1);
  REFUSED(&w, 1, WEIR_FULL);
  NEXT(&w, first, WEIR_ADMITTED);
  REFUSED(&w, 1, WEIR_FULL);
  COUNTS(&w, 1, 2);
  world_close(&w);
}

TEST(a_canceled_waiter_leaves_its_place_to_another) {
  world w;
  weir_ticket waits;
  world_open_with(
      &w,
      (weir_config){ .concurrent = 1, .queue = 1, .timeout_ns = WEIR_NEVER });
  HOLD(&w, 1);
  waits = WAIT(&w, 1);
  REFUSED(&w, 1, WEIR_FULL);
  CANCEL(&w, waits);
  WAIT(&w, 1);
  world_close(&w);
}

TEST(a_deadline_in_the_past_is_no_matter_to_a_free_permit) {
  world w;
  world_open(&w, 1);
  world_acquire(HERE, &w, REQUEST(.deadline = 1), WEIR_ADMITTED);
  world_close(&w);
}

/* That it foresees every verdict is checked with every acquire of the tests. */
TEST(a_peek_changes_and_counts_nothing) {
  static const uint32_t costs[] = { 0, 1, 2, 3, WEIR_PERMITS_MAX + 1 };
  world w;
  weir_stats before, after;
  world_open_with(
      &w,
      (weir_config){ .concurrent = 2, .queue = 0, .timeout_ns = WEIR_NEVER });
  HOLD(&w, 1);
  before = world_stats(&w);
  for (unsigned i = 0; i < sizeof costs / sizeof *costs; i++)
    weir_peek(w.port, w.limiter, &REQUEST(.cost = costs[i]), w.now);
  after = world_stats(&w);
  SAME(&after, &before);
  QUIET(&w);
  world_close(&w);
}

TEST(a_cookie_comes_back_in_the_event) {
  world w;
  weir_ticket held;
  weir_event event;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  world_acquire(HERE, &w, REQUEST(.cookie = UINT64_MAX), WEIR_WAITING);
  w.now += 7;
  RELEASE(&w, held);
  CHECK(weir_next(w.port, &event));
  CHECK_EQ(event.cookie, UINT64_MAX);
  CHECK_EQ(event.limiter, w.limiter);
  CHECK_EQ(event.waited_ns, 7);
  world_close(&w);
}

TEST(a_cookie_can_be_changed_while_waiting) {
  world w;
  weir_ticket held, waits;
  weir_event event;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  CHECK_EQ(weir_set_cookie(w.port, waits, 42), 0);
  RELEASE(&w, held);
  CHECK(weir_next(w.port, &event));
  CHECK_EQ(event.cookie, 42);
  RELEASE(&w, event.ticket);
  CHECK_EQ(weir_set_cookie(w.port, waits, 43), WEIR_E_STALE);
  world_close(&w);
}

CHECK_MAIN
