/*
** test_event.c - the libevent host: turns, timers and bases.
**
** The clock is the real one here. Waits that come are of a few milliseconds;
** those that must not come are of an hour, so that no test has to be quick.
*/
#include <unistd.h>

#include "rig.h"

/* --- turns ---------------------------------------------------------------- */

TEST(a_loop_that_waits_for_nothing_says_so) {
  rig r;
  rig_open(&r, NULL);
  NOTHING_LEFT(&r);
  CHECK_EQ(weir_loop_once(r.loop, false), 0);
  CHECK_EQ(r.turns, 0);
  rig_close(&r);
}

TEST(a_release_resumes_nobody_and_the_loop_does) {
  rig r;
  weir_ticket held, waits;
  rig_open(&r, NULL);
  held = rig_acquire(&r, WEIR_ADMITTED);
  waits = rig_acquire(&r, WEIR_WAITING);
  rig_touch(&r);
  NOTHING_LEFT(&r);
  rig_release(&r, held);
  CHECK_EQ(r.turns, 0);
  CHECK(rig_run_until(&r, 1));
  CHECK_EQ(r.turns, 1);
  SAW(&r, 0, waits, WEIR_ADMITTED);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(one_turn_takes_all_who_were_decided) {
  rig r;
  weir_ticket tickets[3];
  rig_open(&r, NULL);
  for (int i = 0; i < 3; i++) tickets[i] = rig_park(&r, 0);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(weir_wake(r.port, tickets[i]), 0);
    rig_touch(&r);
  }
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(r.turns, 1);
  CHECK_EQ(r.got, 3);
  for (int i = 0; i < 3; i++) SAW(&r, i, tickets[i], WEIR_ADMITTED);
  rig_close(&r);
}

TEST(a_kick_gives_a_turn_that_is_not_due_and_two_give_one) {
  rig r;
  rig_open(&r, NULL);
  r.calling = true;
  weir_loop_kick(r.loop);
  weir_loop_kick(r.loop);
  r.calling = false;
  CHECK_EQ(weir_loop_once(r.loop, true), 1);
  CHECK_EQ(r.turns, 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.turns, 1);
  rig_close(&r);
}

TEST(a_turn_that_kicks_comes_again_in_the_next_iteration) {
  rig r;
  rig_open(&r, NULL);
  r.kicks = 3;
  weir_loop_kick(r.loop);
  for (int i = 1; i <= 4; i++) {
    CHECK_EQ(weir_loop_once(r.loop, true), 1);
    CHECK_EQ(r.turns, i);
  }
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* What a turn leaves is not forgotten, though nobody touches the loop. */
TEST(a_turn_that_takes_nothing_comes_again) {
  rig r;
  weir_ticket ticket;
  rig_open(&r, NULL);
  ticket = rig_park(&r, 0);
  CHECK_EQ(weir_wake(r.port, ticket), 0);
  rig_touch(&r);
  r.asleep = true;
  for (int i = 1; i <= 3; i++) {
    CHECK_EQ(weir_loop_once(r.loop, true), 1);
    CHECK_EQ(r.turns, i);
  }
  r.asleep = false;
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* --- time ----------------------------------------------------------------- */

TEST(the_clock_only_goes_forward) {
  uint64_t last = weir_loop_now();
  CHECK(last > 0);
  for (int i = 0; i < RIG_ENOUGH; i++) {
    uint64_t now = weir_loop_now();
    CHECK(now >= last);
    last = now;
  }
}

static void check_never_early(struct event_base *base) {
  enum { COUNT = 40 };
  rig r;
  uint64_t deadline[COUNT];
  rig_open(&r, base);
  for (uint64_t i = 0; i < COUNT; i++) {
    weir_request request = { .cookie = i };
    weir_ticket ticket;
    deadline[i] = request.deadline =
        weir_loop_now() + i * 7919 % COUNT * RIG_MS / 10 + i;
    CHECK_EQ(weir_park(r.port, &request, &ticket), WEIR_WAITING);
  }
  rig_touch(&r);
  CHECK(rig_run_until(&r, COUNT));
  for (int i = 0; i < r.got; i++) {
    CHECK_EQ(r.event[i].verdict, WEIR_TIMEOUT);
    CHECK(r.when[i] >= deadline[r.event[i].cookie]);
  }
  for (int i = 1; i < r.got; i++)
    CHECK(deadline[r.event[i - 1].cookie] <= deadline[r.event[i].cookie]);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(timeouts_never_come_early_and_come_in_order) { check_never_early(NULL); }

/* Its timers are as coarse as its clock, unless it was asked for others. */
TEST(timeouts_on_a_given_base_never_come_early) {
  check_never_early(event_base_new());
}

static void dawdle(evutil_socket_t fd, short what, void *data) {
  uint64_t until = weir_loop_now() + 2 * RIG_MS;
  (void)fd;
  (void)what;
  while (weir_loop_now() < until) {
  }
  rig_park(data, 3 * RIG_MS);
  weir_loop_touch(((rig *)data)->loop);
}

/* libevent counts a timer from when its callbacks began, which is before. */
TEST(a_timeout_that_a_slow_callback_asks_for_is_not_early) {
  rig r;
  uint64_t begin;
  rig_open(&r, event_base_new());
  event_base_once(r.base, -1, EV_TIMEOUT, dawdle, &r, NULL);
  begin = weir_loop_now();
  CHECK(rig_run_until(&r, 1));
  CHECK_EQ(r.event[0].verdict, WEIR_TIMEOUT);
  CHECK(r.when[0] >= begin + 5 * RIG_MS);
  rig_close(&r);
}

TEST(an_earlier_deadline_is_waited_for_instead) {
  rig r;
  weir_ticket late, soon;
  rig_open(&r, NULL);
  late = rig_park(&r, RIG_HOUR);
  rig_touch(&r);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  soon = rig_park(&r, 2 * RIG_MS);
  rig_touch(&r);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, soon, WEIR_TIMEOUT);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(weir_cancel(r.port, late, weir_loop_now()), 0);
  rig_touch(&r);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(when_the_earliest_is_withdrawn_the_next_one_still_comes) {
  rig r;
  weir_ticket first, second;
  rig_open(&r, NULL);
  first = rig_park(&r, 1 * RIG_MS);
  second = rig_park(&r, 3 * RIG_MS);
  rig_touch(&r);
  CHECK_EQ(weir_cancel(r.port, first, weir_loop_now()), 0);
  rig_touch(&r);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, second, WEIR_TIMEOUT);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(a_deadline_in_the_past_is_due_at_once) {
  rig r;
  weir_request request = { .deadline = 1 };
  weir_ticket ticket;
  rig_open(&r, NULL);
  CHECK_EQ(weir_park(r.port, &request, &ticket), WEIR_WAITING);
  rig_touch(&r);
  CHECK_EQ(r.turns, 0);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_TIMEOUT);
  rig_close(&r);
}

TEST(a_waiter_that_times_out_is_refused_and_the_holder_is_not_asked) {
  rig r;
  weir_ticket held, ticket;
  weir_request request = { 0 };
  rig_open(&r, NULL);
  held = rig_acquire(&r, WEIR_ADMITTED);
  request.deadline = weir_loop_now() + 5 * RIG_MS;
  CHECK_EQ(weir_acquire(r.port, r.limiter, &request, weir_loop_now(), &ticket),
           WEIR_WAITING);
  rig_touch(&r);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_TIMEOUT);
  CHECK(r.event[0].waited_ns > 0);
  rig_release(&r, held);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* --- bases ---------------------------------------------------------------- */

static void count(evutil_socket_t fd, short what, void *data) {
  (void)fd;
  (void)what;
  ++*(int *)data;
}

TEST(a_base_of_its_own_is_its_own) {
  rig r, other;
  rig_open(&r, NULL);
  rig_open(&other, NULL);
  CHECK(weir_loop_base(r.loop) != NULL);
  CHECK(weir_loop_base(r.loop) != weir_loop_base(other.loop));
  rig_close(&r);
  rig_close(&other);
}

TEST(a_given_base_stays_the_callers) {
  rig r;
  int called = 0;
  struct event_base *base = event_base_new();
  rig_open(&r, base);
  CHECK(weir_loop_base(r.loop) == base);
  rig_park(&r, 2 * RIG_MS);
  rig_touch(&r);
  CHECK_EQ(event_base_dispatch(base), 1);
  CHECK_EQ(r.got, 1);
  weir_loop_free(r.loop);
  event_base_once(base, -1, EV_TIMEOUT, count, &called, NULL);
  CHECK_EQ(event_base_dispatch(base), 1);
  CHECK_EQ(called, 1);
  r.loop = NULL;
  rig_close(&r);
}

TEST(two_ports_share_a_base) {
  rig r, other;
  weir_ticket mine, yours;
  rig_open(&r, event_base_new());
  rig_open(&other, r.base);
  mine = rig_park(&r, 2 * RIG_MS);
  yours = rig_park(&other, 1 * RIG_MS);
  rig_touch(&r);
  rig_touch(&other);
  CHECK_EQ(event_base_dispatch(r.base), 1);
  CHECK_EQ(r.got, 1);
  CHECK_EQ(other.got, 1);
  SAW(&r, 0, mine, WEIR_TIMEOUT);
  SAW(&other, 0, yours, WEIR_TIMEOUT);
  other.base = NULL;
  rig_close(&other);
  rig_close(&r);
}

TEST(a_loop_that_is_freed_leaves_nothing_on_its_base) {
  rig r;
  struct event_base *base = event_base_new();
  rig_open(&r, base);
  rig_park(&r, RIG_HOUR);
  rig_touch(&r);
  weir_loop_kick(r.loop);
  weir_loop_free(r.loop);
  r.loop = NULL;
  CHECK_EQ(event_base_dispatch(base), 1);
  CHECK_EQ(r.turns, 0);
  rig_close(&r);
  weir_loop_free(NULL);
}

TEST(a_turn_can_break_the_loop) {
  rig r;
  struct event_base *base = event_base_new();
  rig_open(&r, base);
  r.kicks = RIG_ENOUGH;
  r.break_at = 3;
  weir_loop_kick(r.loop);
  CHECK_EQ(event_base_dispatch(base), 0);
  CHECK_EQ(r.turns, 3);
  CHECK(event_base_got_break(base));
  CHECK_EQ(weir_loop_once(r.loop, true), 1);
  CHECK_EQ(r.turns, 4);
  rig_close(&r);
}

/* --- fairness ------------------------------------------------------------- */

static void stop(evutil_socket_t fd, short what, void *data) {
  rig *r = data;
  (void)fd;
  (void)what;
  r->kicks = 0;
}

TEST(a_turn_that_always_kicks_does_not_starve_a_descriptor) {
  rig r;
  int ends[2];
  rig_open(&r, event_base_new());
  rig_pair(ends);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  event_base_once(r.base, ends[0], EV_READ, stop, &r, NULL);
  r.kicks = RIG_ENOUGH;
  weir_loop_kick(r.loop);
  CHECK_EQ(event_base_dispatch(r.base), 1);
  CHECK(r.turns <= 3);
  rig_unpair(ends);
  rig_close(&r);
}

TEST(a_turn_that_always_kicks_does_not_starve_a_deadline) {
  rig r;
  rig_open(&r, NULL);
  rig_park(&r, 2 * RIG_MS);
  rig_touch(&r);
  r.kicks = INT32_MAX;
  weir_loop_kick(r.loop);
  while (!r.got && weir_loop_once(r.loop, true) == 1) {
  }
  CHECK_EQ(r.got, 1);
  rig_close(&r);
}

/* Wakes somebody, whenever a descriptor that is always writable says so. */
static void on_pulse(evutil_socket_t fd, short what, void *data) {
  rig *r = data;
  (void)fd;
  (void)what;
  CHECK_EQ(weir_wake(r->port, rig_park(r, 0)), 0);
  rig_touch(r);
}

/* The most turns that one of 20 iterations had. A kick from outside of the
** base's loop is due before the descriptor is. */
static int most_turns(bool kick_outside) {
  rig r;
  int ends[2], most = 0;
  struct event *event;
  rig_open(&r, event_base_new());
  rig_pair(ends);
  event = event_new(r.base, ends[0], EV_WRITE | EV_PERSIST, on_pulse, &r);
  event_add(event, NULL);
  for (int i = 0; i < 20; i++) {
    int before = r.turns;
    if (i % 3 == 0) r.kicks = 1;
    if (kick_outside) weir_loop_kick(r.loop);
    CHECK_EQ(weir_loop_once(r.loop, true), 1);
    if (r.turns - before > most) most = r.turns - before;
  }
  CHECK_EQ(r.got, 20);
  event_free(event);
  rig_unpair(ends);
  rig_close(&r);
  return most;
}

TEST(there_is_one_turn_in_an_iteration_at_most) {
  CHECK_EQ(most_turns(false), 1);
}

/* Those it wakes in an iteration are resumed in the same one. */
TEST(and_one_more_if_it_began_with_a_turn) { CHECK(most_turns(true) <= 2); }

CHECK_MAIN
