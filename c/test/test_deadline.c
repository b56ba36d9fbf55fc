/* test_deadline.c - time runs out for some, and others must not notice. */
#include <stdlib.h>

#include "world.h"

TEST(a_head_that_times_out_wakes_who_fits_in_the_same_call) {
  world w;
  weir_ticket heavy, light;
  world_open(&w, 5);
  HOLD(&w, 3); /* two are free */
  heavy = WAIT_UNTIL(&w, 5, 2000);
  light = WAIT(&w, 1);
  QUIET(&w);
  CHECK_EQ(world_advance(&w, 2000), WEIR_NEVER);
  NEXT(&w, heavy, WEIR_TIMEOUT);
  NEXT(&w, light, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 4, 0);
  world_close(&w);
}

TEST(several_heads_that_time_out_wake_all_who_fit) {
  world w;
  weir_ticket heavy[2], light[3];
  world_open(&w, 5);
  HOLD(&w, 3);
  heavy[0] = WAIT_UNTIL(&w, 5, 2000);
  heavy[1] = WAIT_UNTIL(&w, 3, 2500);
  for (int i = 0; i < 3; i++) light[i] = WAIT(&w, 1);
  world_advance(&w, 3000);
  NEXT(&w, heavy[0], WEIR_TIMEOUT);
  NEXT(&w, heavy[1], WEIR_TIMEOUT);
  NEXT(&w, light[0], WEIR_ADMITTED);
  NEXT(&w, light[1], WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 5, 1);
  world_close(&w);
}

TEST(nobody_times_out_early) {
  world w;
  weir_ticket waits;
  world_open(&w, 1);
  HOLD(&w, 1);
  waits = WAIT_UNTIL(&w, 1, 2000);
  CHECK_EQ(world_advance(&w, 1999), 2000);
  QUIET(&w);
  CHECK_EQ(world_advance(&w, 2000), WEIR_NEVER);
  NEXT(&w, waits, WEIR_TIMEOUT);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  CHECK_EQ(world_stats(&w).refused[WEIR_TIMEOUT], 1);
  world_close(&w);
}

TEST(the_event_of_a_timeout_says_how_long_it_waited) {
  world w;
  weir_event event;
  world_open(&w, 1);
  HOLD(&w, 1);
  WAIT_UNTIL(&w, 1, 2000);
  world_advance(&w, 2300);
  CHECK(weir_next(w.port, &event));
  CHECK_EQ(event.waited_ns, 2300 - WORLD_START);
  CHECK_EQ(event.limiter, w.limiter);
  world_close(&w);
}

TEST(the_next_deadline_is_the_earliest_of_all_who_wait) {
  world w;
  weir_ticket early, late;
  world_open(&w, 1);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  HOLD(&w, 1);
  WAIT(&w, 1);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  late = WAIT_UNTIL(&w, 1, 3000);
  early = WAIT_UNTIL(&w, 1, 2000);
  CHECK_EQ(weir_deadline(w.port), 2000);
  CANCEL(&w, early);
  CHECK_EQ(weir_deadline(w.port), 3000);
  CANCEL(&w, late);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_close(&w);
}

TEST(the_deadline_of_one_who_was_admitted_is_forgotten) {
  world w;
  weir_ticket held, waits;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT_UNTIL(&w, 1, 2000);
  RELEASE(&w, held);
  NEXT(&w, waits, WEIR_ADMITTED);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  CHECK_EQ(world_advance(&w, 5000), WEIR_NEVER);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(a_permit_granted_before_its_timeout_in_the_same_instant_is_kept) {
  world w;
  weir_ticket held, waits;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT_UNTIL(&w, 1, 2000);
  w.now = 2000;
  RELEASE(&w, held);
  world_advance(&w, 2000); /* granted and not yet taken: no timeout any more */
  world_advance(&w, 9000);
  NEXT(&w, waits, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  CHECK_EQ(world_stats(&w).refused[WEIR_TIMEOUT], 0);
  RELEASE(&w, waits);
  COUNTS(&w, 0, 0);
  world_close(&w);
}

TEST(a_permit_released_after_a_timeout_in_the_same_instant_goes_on) {
  world w;
  weir_ticket held, late, next;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  late = WAIT_UNTIL(&w, 1, 2000);
  next = WAIT(&w, 1);
  world_advance(&w, 2000);
  RELEASE(&w, held); /* late is decided, its event not taken */
  NEXT(&w, late, WEIR_TIMEOUT);
  NEXT(&w, next, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(one_who_timed_out_can_be_canceled_and_has_no_event) {
  world w;
  weir_ticket waits;
  world_open(&w, 1);
  HOLD(&w, 1);
  waits = WAIT_UNTIL(&w, 1, 2000);
  world_advance(&w, 2000);
  CANCEL(&w, waits);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  CHECK_EQ(weir_cancel(w.port, waits, w.now), WEIR_E_STALE);
  world_close(&w);
}

TEST(timeouts_come_in_the_order_of_deadlines) {
  world w;
  weir_ticket third, first, second;
  world_open(&w, 1);
  HOLD(&w, 1);
  third = WAIT_UNTIL(&w, 1, 4000);
  first = WAIT_UNTIL(&w, 1, 2000);
  second = WAIT_UNTIL(&w, 1, 3000);
  world_advance(&w, 9000);
  NEXT(&w, first, WEIR_TIMEOUT);
  NEXT(&w, second, WEIR_TIMEOUT);
  NEXT(&w, third, WEIR_TIMEOUT);
  world_close(&w);
}

TEST(equal_deadlines_time_out_in_order_of_arrival) {
  enum { SOME = 50 };
  world w;
  weir_ticket waits[SOME];
  world_open(&w, 1);
  HOLD(&w, 1);
  for (int i = 0; i < SOME; i++) waits[i] = WAIT_UNTIL(&w, 1, 2000);
  world_advance(&w, 2000);
  for (int i = 0; i < SOME; i++) NEXT(&w, waits[i], WEIR_TIMEOUT);
  world_close(&w);
}

TEST(a_late_turn_decides_as_turns_in_time_would_have) {
  world w;
  weir_ticket heavy, light;
  world_open(&w, 5);
  HOLD(&w, 3);
  heavy = WAIT_UNTIL(&w, 5, 2000);
  light = WAIT_UNTIL(&w, 1, 3000); /* could have gone at 2000 */
  world_advance(&w, 9000);
  NEXT(&w, heavy, WEIR_TIMEOUT);
  NEXT(&w, light, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

static void check_timeout(weir_config config, weir_request request,
                          uint64_t wanted) {
  world w;
  world_open_with(&w, config);
  HOLD(&w, 1);
  world_acquire(HERE, &w, request, WEIR_WAITING);
  CHECK_EQ(weir_deadline(w.port), wanted);
  world_close(&w);
}

TEST(a_request_waits_as_configured_unless_it_says) {
  static const struct {
    uint64_t timeout_ns, deadline, wanted;
  } cases[] = {
    { WEIR_NEVER, 0, WEIR_NEVER },
    { WEIR_NEVER, 7000, 7000 },
    { 500, 0, WORLD_START + 500 },
    { 500, 7000, 7000 },
    { 500, WORLD_START + 1, WORLD_START + 1 },
    { 500, WEIR_NEVER, WEIR_NEVER },
    { WEIR_NEVER - 1, 0, WEIR_NEVER }, /* later than time goes */
    { WEIR_NEVER - WORLD_START - 1, 0, WEIR_NEVER - 1 },
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
    check_timeout((weir_config){ .concurrent = 1,
                                 .queue = WEIR_UNBOUNDED,
                                 .timeout_ns = cases[i].timeout_ns },
                  REQUEST(.deadline = cases[i].deadline), cases[i].wanted);
}

TEST(a_deadline_that_has_come_is_a_timeout_at_once) {
  world w;
  world_open_with(&w, (weir_config){ .concurrent = 1,
                                     .queue = WEIR_UNBOUNDED,
                                     .timeout_ns = 0 });
  HOLD(&w, 1);
  REFUSED(&w, 1, WEIR_TIMEOUT);
  world_acquire(HERE, &w, REQUEST(.deadline = WORLD_START), WEIR_TIMEOUT);
  world_acquire(HERE, &w, REQUEST(.deadline = 1), WEIR_TIMEOUT);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  CHECK_EQ(world_stats(&w).refused[WEIR_TIMEOUT], 3);
  world_close(&w);
}

TEST(time_that_goes_back_is_harmless) {
  world w;
  weir_ticket held, a, b;
  weir_event event;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  a = WAIT_UNTIL(&w, 1, 2000);
  b = WAIT_UNTIL(&w, 1, 3000);
  CHECK_EQ(world_advance(&w, 1), 2000);
  QUIET(&w);
  RELEASE(&w, held); /* at 1, and a came at 1000 */
  CHECK(weir_next(w.port, &event));
  CHECK_EQ(event.ticket, a);
  CHECK_EQ(event.waited_ns, 0);
  world_advance(&w, 3000);
  NEXT(&w, b, WEIR_TIMEOUT);
  CHECK_EQ(world_advance(&w, 0), WEIR_NEVER);
  CHECK_EQ(world_stats(&w).wait.max, 0);
  world_close(&w);
}

TEST(the_end_of_time_expires_all_but_those_who_wait_for_ever) {
  world w;
  weir_ticket waits;
  world_open(&w, 1);
  CHECK_EQ(weir_advance(w.port, WEIR_NEVER), WEIR_NEVER);
  HOLD(&w, 1);
  WAIT(&w, 1);
  waits = WAIT_UNTIL(&w, 1, WEIR_NEVER - 1);
  CHECK_EQ(weir_advance(w.port, WEIR_NEVER), WEIR_NEVER);
  NEXT(&w, waits, WEIR_TIMEOUT);
  QUIET(&w);
  COUNTS(&w, 1, 1);
  world_close(&w);
}

/* Fills `waits` with n waiters whose deadlines are n different times in a
** scattered order; the one at place i is due at WORLD_START + 1 + i. */
static void scatter(world *w, weir_ticket *waits, uint32_t n) {
  for (uint32_t i = 0, at = 0; i < n; i++, at = (at + 7919) % n)
    waits[at] = WAIT_UNTIL(w, 1, WORLD_START + 1 + at);
}

TEST(a_hundred_thousand_deadlines_come_in_order) {
  enum { MANY = 100000 };
  world w;
  weir_ticket *waits = calloc(MANY, sizeof *waits);
  if (!waits) abort();
  world_open(&w, 1);
  HOLD(&w, 1);
  scatter(&w, waits, MANY);
  for (uint32_t i = 0; i < MANY; i += 3) CANCEL(&w, waits[i]);
  for (uint32_t i = 0; i < MANY; i++) {
    world_advance(&w, WORLD_START + 1 + i);
    if (i % 3) NEXT(&w, waits[i], WEIR_TIMEOUT);
  }
  QUIET(&w);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  COUNTS(&w, 1, 0);
  free(waits);
  world_close(&w);
}

CHECK_MAIN
