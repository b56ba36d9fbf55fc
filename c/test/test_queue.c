/* test_queue.c - who goes next, and that nobody is forgotten or doubled. */
#include <stdlib.h>

#include "world.h"

enum { MANY = 100000 };

TEST(waiters_go_in_order_of_arrival) {
  world w;
  weir_ticket held, waits[10];
  world_open(&w, 1);
  held = HOLD(&w, 1);
  for (int i = 0; i < 10; i++) waits[i] = WAIT(&w, 1);
  for (int i = 0; i < 10; i++) {
    RELEASE(&w, held);
    held = waits[i];
    NEXT(&w, held, WEIR_ADMITTED);
    QUIET(&w);
  }
  world_close(&w);
}

TEST(a_permit_is_handed_over_and_never_free_in_between) {
  world w;
  weir_ticket held, waits;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  RELEASE(&w, held);
  COUNTS(&w, 1, 0);
  CHECK(weir_pending(w.port));
  NEXT(&w, waits, WEIR_ADMITTED);
  COUNTS(&w, 1, 0);
  RELEASE(&w, waits);
  COUNTS(&w, 0, 0);
  world_close(&w);
}

TEST(a_heavy_head_is_not_overtaken_by_light_followers) {
  world w;
  weir_ticket held[3], heavy, light;
  world_open(&w, 3);
  for (int i = 0; i < 3; i++) held[i] = HOLD(&w, 1);
  heavy = WAIT(&w, 3);
  light = WAIT(&w, 1);
  RELEASE(&w, held[1]);
  QUIET(&w);
  RELEASE(&w, held[0]);
  QUIET(&w);
  COUNTS(&w, 1, 2);
  RELEASE(&w, held[2]);
  NEXT(&w, heavy, WEIR_ADMITTED);
  QUIET(&w);
  RELEASE(&w, heavy);
  NEXT(&w, light, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_heavy_release_admits_all_who_fit_up_to_the_first_who_does_not) {
  world w;
  weir_ticket held, a, b, heavy, light;
  world_open(&w, 5);
  held = HOLD(&w, 5);
  a = WAIT(&w, 1);
  b = WAIT(&w, 2);
  heavy = WAIT(&w, 3);
  light = WAIT(&w, 1);
  RELEASE(&w, held);
  NEXT(&w, a, WEIR_ADMITTED);
  NEXT(&w, b, WEIR_ADMITTED);
  QUIET(&w); /* light would fit, heavy is before it */
  COUNTS(&w, 3, 2);
  RELEASE(&w, a);
  NEXT(&w, heavy, WEIR_ADMITTED);
  QUIET(&w);
  RELEASE(&w, b);
  NEXT(&w, light, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_head_that_is_canceled_wakes_who_fits_in_the_same_call) {
  world w;
  weir_ticket heavy, a, b;
  world_open(&w, 5);
  HOLD(&w, 3);
  heavy = WAIT(&w, 5);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  WAIT(&w, 1);
  QUIET(&w);
  CANCEL(&w, heavy);
  NEXT(&w, a, WEIR_ADMITTED);
  NEXT(&w, b, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 5, 1);
  world_close(&w);
}

TEST(a_waiter_in_the_middle_leaves_without_a_trace) {
  world w;
  weir_ticket held, a, b, c;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  c = WAIT(&w, 1);
  CANCEL(&w, b);
  COUNTS(&w, 1, 2);
  QUIET(&w);
  RELEASE(&w, held);
  NEXT(&w, a, WEIR_ADMITTED);
  RELEASE(&w, a);
  NEXT(&w, c, WEIR_ADMITTED);
  RELEASE(&w, c);
  QUIET(&w);
  COUNTS(&w, 0, 0);
  CHECK_EQ(world_stats(&w).refused[WEIR_CANCELED], 1);
  world_close(&w);
}

TEST(the_last_waiter_leaves_and_another_comes) {
  world w;
  weir_ticket held, a, b, c;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  CANCEL(&w, b);
  c = WAIT(&w, 1);
  RELEASE(&w, held);
  NEXT(&w, a, WEIR_ADMITTED);
  RELEASE(&w, a);
  NEXT(&w, c, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_grant_canceled_in_the_same_instant_goes_to_the_next) {
  world w;
  weir_ticket held, a, b;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  RELEASE(&w, held); /* a is granted, its event is not taken */
  CANCEL(&w, a);
  NEXT(&w, b, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 1, 0);
  RELEASE(&w, b);
  COUNTS(&w, 0, 0);
  world_close(&w);
}

TEST(a_grant_canceled_in_the_same_instant_is_free_when_nobody_waits) {
  world w;
  weir_ticket held, a;
  world_open(&w, 2);
  held = HOLD(&w, 2);
  a = WAIT(&w, 2);
  RELEASE(&w, held);
  CANCEL(&w, a);
  QUIET(&w);
  COUNTS(&w, 0, 0);
  HOLD(&w, 2);
  world_close(&w);
}

TEST(a_ready_waiter_in_the_middle_can_be_canceled) {
  world w;
  weir_ticket held, a, b, c;
  world_open(&w, 3);
  held = HOLD(&w, 3);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  c = WAIT(&w, 1);
  RELEASE(&w, held);
  CANCEL(&w, b);
  NEXT(&w, a, WEIR_ADMITTED);
  NEXT(&w, c, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 2, 0);
  world_close(&w);
}

TEST(a_claim_takes_one_out_of_turn_and_leaves_the_others_in_theirs) {
  world w;
  weir_ticket held, a, b, c, late;
  weir_event event;
  world_open(&w, 3);
  held = HOLD(&w, 3);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  c = WAIT(&w, 1);
  late = WAIT(&w, 1);
  RELEASE(&w, held);
  CHECK_EQ(weir_claim(w.port, late, &event), 0);
  CHECK_EQ(weir_claim(w.port, b, &event), 1);
  CHECK_EQ(event.ticket, b);
  CHECK_EQ(event.verdict, WEIR_ADMITTED);
  CHECK_EQ(weir_claim(w.port, b, &event), WEIR_E_STATE);
  NEXT(&w, a, WEIR_ADMITTED);
  NEXT(&w, c, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(events_come_in_the_order_of_decision_across_limiters) {
  weir_config one = WEIR_CONFIG_INIT;
  world w;
  weir_limiter first, second;
  weir_ticket held[2], waits[2];
  world_open(&w, 1);
  first = w.limiter;
  held[0] = HOLD(&w, 1);
  waits[0] = WAIT(&w, 1);
  CHECK_EQ(weir_limiter_open(w.space, NULL, &one, w.now, &second), 0);
  w.limiter = second;
  held[1] = HOLD(&w, 1);
  waits[1] = WAIT(&w, 1);
  RELEASE(&w, held[1]);
  RELEASE(&w, held[0]);
  NEXT(&w, waits[1], WEIR_ADMITTED);
  w.limiter = first;
  NEXT(&w, waits[0], WEIR_ADMITTED);
  world_close(&w);
}

TEST(no_two_live_tickets_share_a_handle) {
  enum { SOME = 200 };
  world w;
  weir_ticket tickets[SOME];
  world_open(&w, SOME);
  for (int i = 0; i < SOME; i++) {
    tickets[i] = HOLD(&w, 1);
    for (int j = 0; j < i; j++) CHECK(tickets[i] != tickets[j]);
  }
  world_close(&w);
}

/* MANY tickets behind one that holds; the caller frees the array. */
static weir_ticket *many_waiters(world *w, weir_ticket *held) {
  weir_ticket *waits = calloc(MANY, sizeof *waits);
  if (!waits) abort();
  *held = HOLD(w, 1);
  for (int i = 0; i < MANY; i++) waits[i] = WAIT(w, 1);
  return waits;
}

/* Hands the permit through all of `waits` that are not 0, in order. */
static void pass_through(world *w, weir_ticket held, const weir_ticket *waits) {
  weir_event event;
  for (int i = 0; i < MANY; i++) {
    if (!waits[i]) continue;
    RELEASE(w, held);
    if (!CHECK(weir_next(w->port, &event))) return;
    CHECK_EQ(event.ticket, waits[i]);
    held = waits[i];
  }
  RELEASE(w, held);
  QUIET(w);
  COUNTS(w, 0, 0);
}

TEST(a_hundred_thousand_waiters_pass_one_by_one) {
  world w;
  weir_ticket held, *waits;
  world_open(&w, 1);
  waits = many_waiters(&w, &held);
  COUNTS(&w, 1, MANY);
  pass_through(&w, held, waits);
  free(waits);
  world_close(&w);
}

TEST(a_hundred_thousand_waiters_pass_after_most_were_canceled_out_of_order) {
  enum { STRIDE = 7919 }; /* prime: visits every place in a scattered order */
  world w;
  weir_ticket held, *waits;
  world_open(&w, 1);
  waits = many_waiters(&w, &held);
  for (uint32_t i = 0, at = 0; i < MANY; i++, at = (at + STRIDE) % MANY) {
    if (i % 10 == 0) continue;
    CANCEL(&w, waits[at]);
    waits[at] = 0;
  }
  COUNTS(&w, 1, MANY / 10);
  pass_through(&w, held, waits);
  free(waits);
  world_close(&w);
}

TEST(a_hundred_thousand_waiters_go_in_one_burst) {
  world w;
  weir_ticket held, *waits;
  world_open(&w, 1);
  waits = many_waiters(&w, &held);
  world_set_limit(&w, MANY);
  COUNTS(&w, MANY, 1);
  RELEASE(&w, held);
  for (int i = 0; i < MANY; i++) NEXT(&w, waits[i], WEIR_ADMITTED);
  for (int i = MANY; i-- > 0;) RELEASE(&w, waits[i]);
  COUNTS(&w, 0, 0);
  free(waits);
  world_close(&w);
}

CHECK_MAIN
