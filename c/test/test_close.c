/* test_close.c - a limiter that takes no more: close and drain. */
#include "world.h"

static void close_limiter(world *w) {
  CHECK_EQ(weir_limiter_close(w->space, w->limiter, w->now), 0);
}

TEST(closing_refuses_all_who_wait_in_order_and_all_who_come) {
  world w;
  weir_ticket a, b;
  world_open(&w, 1);
  HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT_UNTIL(&w, 1, 5000);
  close_limiter(&w);
  NEXT(&w, a, WEIR_CLOSED);
  NEXT(&w, b, WEIR_CLOSED);
  QUIET(&w);
  REFUSED(&w, 1, WEIR_CLOSED);
  TRY(&w, 1, WEIR_CLOSED);
  CHECK_EQ(world_stats(&w).refused[WEIR_CLOSED], 4);
  CHECK(world_stats(&w).closed);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_close(&w);
}

TEST(holders_of_a_closed_limiter_release_as_usual) {
  world w;
  weir_ticket held;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  close_limiter(&w);
  COUNTS(&w, 1, 0);
  RELEASE(&w, held);
  COUNTS(&w, 0, 0);
  REFUSED(&w, 1, WEIR_CLOSED);
  world_close(&w);
}

TEST(a_grant_not_yet_taken_survives_closing) {
  world w;
  weir_ticket held, granted, waits;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  granted = WAIT(&w, 1);
  waits = WAIT(&w, 1);
  RELEASE(&w, held);
  close_limiter(&w);
  NEXT(&w, granted, WEIR_ADMITTED);
  NEXT(&w, waits, WEIR_CLOSED);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(closing_twice_is_closing_once) {
  world w;
  weir_stats before, after;
  world_open(&w, 1);
  HOLD(&w, 1);
  WAIT(&w, 1);
  close_limiter(&w);
  before = world_stats(&w);
  close_limiter(&w);
  after = world_stats(&w);
  SAME(&after, &before);
  world_close(&w);
}

TEST(a_closed_limiter_is_not_opened_by_setting_it) {
  world w;
  world_open(&w, 1);
  close_limiter(&w);
  world_set_limit(&w, 5);
  REFUSED(&w, 1, WEIR_CLOSED);
  world_close(&w);
}

TEST(closed_comes_before_impossible) {
  world w;
  world_open(&w, 1);
  close_limiter(&w);
  REFUSED(&w, 2, WEIR_CLOSED);
  world_close(&w);
}

TEST(a_drain_at_rest_is_done_at_once) {
  world w;
  world_open(&w, 1);
  DRAIN(&w, 0, WEIR_ADMITTED);
  REFUSED(&w, 1, WEIR_CLOSED);
  DRAIN(&w, 0, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(a_drain_waits_for_the_queue_and_for_the_holders) {
  world w;
  weir_ticket held, waits, drain;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  drain = DRAIN(&w, 0, WEIR_WAITING);
  COUNTS(&w, 1, 1); /* a drain is not one who waits for a permit */
  REFUSED(&w, 1, WEIR_CLOSED);
  RELEASE(&w, held);
  NEXT(&w, waits, WEIR_ADMITTED);
  QUIET(&w);
  RELEASE(&w, waits);
  NEXT(&w, drain, WEIR_ADMITTED);
  QUIET(&w);
  CHECK_EQ(weir_release(w.port, drain, WEIR_DONE, w.now), WEIR_E_STALE);
  CHECK_EQ(world_stats(&w).admitted, 2);
  world_close(&w);
}

TEST(a_drain_goes_when_the_last_grant_is_canceled) {
  world w;
  weir_ticket held, waits, drain;
  world_open(&w, 2);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 2);
  drain = DRAIN(&w, 0, WEIR_WAITING);
  RELEASE(&w, held);
  CANCEL(&w, waits); /* granted, not taken */
  NEXT(&w, drain, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 0, 0);
  world_close(&w);
}

TEST(a_drain_goes_when_all_that_waits_has_become_impossible) {
  world w;
  weir_ticket held, heavy, drain;
  world_open(&w, 2);
  held = HOLD(&w, 1);
  heavy = WAIT(&w, 2);
  drain = DRAIN(&w, 0, WEIR_WAITING);
  world_set_limit(&w, 1);
  NEXT(&w, heavy, WEIR_IMPOSSIBLE);
  QUIET(&w);
  RELEASE(&w, held);
  NEXT(&w, drain, WEIR_ADMITTED);
  world_close(&w);
}

TEST(every_drain_that_waits_is_told) {
  world w;
  weir_ticket held, first, second;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  first = DRAIN(&w, 0, WEIR_WAITING);
  second = DRAIN(&w, 0, WEIR_WAITING);
  RELEASE(&w, held);
  NEXT(&w, first, WEIR_ADMITTED);
  NEXT(&w, second, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(a_drain_times_out_and_the_limiter_stays_closed) {
  world w;
  weir_ticket drain;
  world_open(&w, 1);
  HOLD(&w, 1);
  drain = DRAIN(&w, 2000, WEIR_WAITING);
  CHECK_EQ(weir_deadline(w.port), 2000);
  world_advance(&w, 2000);
  NEXT(&w, drain, WEIR_TIMEOUT);
  QUIET(&w);
  CHECK_EQ(world_stats(&w).refused[WEIR_TIMEOUT], 0); /* it asked for none */
  REFUSED(&w, 1, WEIR_CLOSED);
  world_close(&w);
}

TEST(a_drain_that_times_out_leaves_another_in_place) {
  world w;
  weir_ticket held, impatient, patient;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  impatient = DRAIN(&w, 2000, WEIR_WAITING);
  patient = DRAIN(&w, 0, WEIR_WAITING);
  world_advance(&w, 2000);
  NEXT(&w, impatient, WEIR_TIMEOUT);
  QUIET(&w);
  RELEASE(&w, held);
  NEXT(&w, patient, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_drain_that_may_not_wait_is_refused) {
  world w;
  world_open(&w, 1);
  HOLD(&w, 1);
  world_drain(HERE, &w, REQUEST(.try_only = true), WEIR_FULL);
  DRAIN(&w, WORLD_START, WEIR_TIMEOUT);
  DRAIN(&w, 1, WEIR_TIMEOUT);
  QUIET(&w);
  world_close(&w);
}

TEST(a_drain_ignores_the_limiters_timeout) {
  world w;
  world_open_with(
      &w, (weir_config){ .concurrent = 1, .queue = 0, .timeout_ns = 100 });
  HOLD(&w, 1);
  DRAIN(&w, 0, WEIR_WAITING);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_close(&w);
}

TEST(a_drain_is_canceled_waiting_or_decided) {
  world w;
  weir_ticket held, early, late;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  early = DRAIN(&w, 0, WEIR_WAITING);
  late = DRAIN(&w, 0, WEIR_WAITING);
  CANCEL(&w, early);
  RELEASE(&w, held);
  CANCEL(&w, late);
  QUIET(&w);
  CHECK_EQ(world_stats(&w).refused[WEIR_CANCELED], 0);
  CHECK_EQ(weir_cancel(w.port, late, w.now), WEIR_E_STALE);
  world_close(&w);
}

TEST(closing_leaves_a_drain_waiting_for_the_holders) {
  world w;
  weir_ticket held, waits, drain;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  drain = DRAIN(&w, 0, WEIR_WAITING);
  close_limiter(&w);
  NEXT(&w, waits, WEIR_CLOSED);
  QUIET(&w);
  RELEASE(&w, held);
  NEXT(&w, drain, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_drain_carries_a_cookie_and_its_limiter) {
  world w;
  weir_ticket held;
  weir_event event;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  world_drain(HERE, &w, REQUEST(.cookie = 99), WEIR_WAITING);
  w.now += 5;
  RELEASE(&w, held);
  CHECK(weir_next(w.port, &event));
  CHECK_EQ(event.cookie, 99);
  CHECK_EQ(event.limiter, w.limiter);
  CHECK_EQ(event.waited_ns, 5);
  world_close(&w);
}

CHECK_MAIN
