/* test_park.c - tickets without a limiter: the host's own waits. */
#include "world.h"

TEST(a_parked_ticket_waits_until_it_is_woken) {
  world w;
  weir_ticket ticket;
  world_open(&w, 1);
  ticket = PARK(&w, 0);
  CHECK_EQ(world_advance(&w, 1 << 30), WEIR_NEVER);
  QUIET(&w);
  CHECK_EQ(weir_wake(w.port, ticket), 0);
  NEXT(&w, ticket, WEIR_ADMITTED);
  QUIET(&w);
  CHECK_EQ(weir_release(w.port, ticket, WEIR_DONE, w.now), WEIR_E_STALE);
  world_close(&w);
}

TEST(a_parked_ticket_times_out_at_its_deadline) {
  world w;
  weir_ticket ticket;
  world_open(&w, 1);
  ticket = PARK(&w, 2000);
  CHECK_EQ(world_advance(&w, 1999), 2000);
  QUIET(&w);
  CHECK_EQ(world_advance(&w, 2000), WEIR_NEVER);
  NEXT(&w, ticket, WEIR_TIMEOUT);
  CHECK_EQ(weir_wake(w.port, ticket), WEIR_E_STALE);
  world_close(&w);
}

/* The event of a parked TIMEOUT once carried the time of day as its wait. */
TEST(a_parked_ticket_brings_its_cookie_and_no_limiter_and_no_wait) {
  world w;
  weir_event event;
  weir_request request = { .cookie = 5, .deadline = 2000, .cost = 9 };
  weir_ticket ticket;
  world_open(&w, 1);
  for (int woken = 0; woken < 2; woken++) {
    CHECK_EQ(weir_park(w.port, &request, &ticket), WEIR_WAITING);
    if (woken) CHECK_EQ(weir_wake(w.port, ticket), 0);
    world_advance(&w, 2500);
    CHECK(weir_next(w.port, &event));
    CHECK_EQ(event.verdict, woken ? WEIR_ADMITTED : WEIR_TIMEOUT);
    CHECK_EQ(event.cookie, 5);
    CHECK_EQ(event.limiter, 0);
    CHECK_EQ(event.waited_ns, 0);
  }
  world_close(&w);
}

TEST(a_wake_in_the_instant_of_the_timeout_is_one_event) {
  world w;
  weir_ticket woken, late;
  world_open(&w, 1);
  woken = PARK(&w, 2000);
  late = PARK(&w, 2000);
  CHECK_EQ(weir_wake(w.port, woken), 0);
  world_advance(&w, 2000);
  CHECK_EQ(weir_wake(w.port, late), WEIR_E_STATE);
  NEXT(&w, woken, WEIR_ADMITTED);
  NEXT(&w, late, WEIR_TIMEOUT);
  QUIET(&w);
  world_close(&w);
}

TEST(a_canceled_parked_ticket_has_no_event_and_no_deadline) {
  world w;
  weir_ticket waits, woken, late;
  world_open(&w, 1);
  waits = PARK(&w, 2000);
  woken = PARK(&w, 2000);
  late = PARK(&w, 1500);
  CHECK_EQ(weir_wake(w.port, woken), 0);
  world_advance(&w, 1500);
  CANCEL(&w, waits);
  CANCEL(&w, woken);
  CANCEL(&w, late);
  QUIET(&w);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_close(&w);
}

TEST(parked_tickets_and_waiters_share_one_order_of_events) {
  world w;
  weir_ticket held, waits, parked, sleeps;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  sleeps = PARK(&w, 2000);
  parked = PARK(&w, 0);
  CHECK_EQ(weir_wake(w.port, parked), 0);
  RELEASE(&w, held);
  world_advance(&w, 2000);
  NEXT(&w, parked, WEIR_ADMITTED);
  NEXT(&w, waits, WEIR_ADMITTED);
  NEXT(&w, sleeps, WEIR_TIMEOUT);
  world_close(&w);
}

TEST(a_deadline_in_the_past_is_due_at_the_next_turn) {
  world w;
  weir_ticket ticket;
  world_open(&w, 1);
  ticket = PARK(&w, 1);
  QUIET(&w);
  world_advance(&w, w.now);
  NEXT(&w, ticket, WEIR_TIMEOUT);
  world_close(&w);
}

TEST(parked_tickets_do_not_count_for_any_limiter) {
  world w;
  weir_stats before, after;
  weir_ticket ticket;
  world_open(&w, 1);
  before = world_stats(&w);
  ticket = PARK(&w, 0);
  CHECK_EQ(weir_wake(w.port, ticket), 0);
  NEXT(&w, ticket, WEIR_ADMITTED);
  CANCEL(&w, PARK(&w, 0));
  PARK(&w, w.now);
  world_advance(&w, w.now);
  after = world_stats(&w);
  SAME(&after, &before);
  world_close(&w);
}

CHECK_MAIN
