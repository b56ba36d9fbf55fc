/* test_all.c - one ticket of several limiters: all or none, and nothing held
** while it waits. */
#include <string.h>

#include "choices.h"
#include "city.h"

/* --- all or none ---------------------------------------------------------- */

TEST(all_are_taken_and_given_back_together) {
  city c;
  weir_ticket both;
  city_open(&c, 2, permits(3));
  both = BOTH(&c, WEIR_ADMITTED, A, .cost = 2);
  IN_USE(&c, A, 2);
  IN_USE(&c, B, 2);
  CHECK_EQ(world_stats(at(&c, A)).admitted, 1);
  CHECK_EQ(world_stats(at(&c, B)).admitted, 1);
  RELEASE(&c.w, both);
  IN_USE(&c, A, 0);
  IN_USE(&c, B, 0);
  CHECK_EQ(weir_release(c.w.port, both, WEIR_DONE, c.w.now), WEIR_E_STALE);
  QUIET(&c.w);
  world_close(&c.w);
}

TEST(one_that_waits_holds_nothing_and_keeps_nobody) {
  city c;
  weir_ticket held, both;
  city_open(&c, 2, permits(1));
  held = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  IN_USE(&c, A, 0);
  RELEASE(&c.w, HOLD(at(&c, A), 1));
  RELEASE(&c.w, HOLD(at(&c, A), 1));
  QUIET(&c.w);
  RELEASE(&c.w, held);
  NEXT_BY(&c, both, WEIR_ADMITTED, B);
  IN_USE(&c, A, 1);
  IN_USE(&c, B, 1);
  world_close(&c.w);
}

TEST(it_moves_to_the_queue_of_the_one_that_keeps_it) {
  city c;
  weir_ticket a, b, both;
  weir_ticket_info info;
  city_open(&c, 2, permits(1));
  a = HOLD(at(&c, A), 1);
  b = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, A, .cost = 1);
  CHECK_EQ(weir_ticket_inspect(c.w.port, both, c.w.now, &info), 0);
  CHECK_EQ(info.limiter, c.limiters[A]);
  CHECK_EQ(info.bound, WEIR_BY_PERMITS);
  RELEASE(&c.w, a);
  QUIET(&c.w);
  CHECK_EQ(weir_ticket_inspect(c.w.port, both, c.w.now, &info), 0);
  CHECK_EQ(info.limiter, c.limiters[B]);
  CHECK_EQ(info.ticket, both);
  a = HOLD(at(&c, A), 1);
  RELEASE(&c.w, b);
  QUIET(&c.w); /* back to a's */
  b = HOLD(at(&c, B), 1);
  RELEASE(&c.w, b);
  RELEASE(&c.w, a);
  NEXT_BY(&c, both, WEIR_ADMITTED, A);
  QUIET(&c.w);
  world_close(&c.w);
}

TEST(it_keeps_the_place_that_its_arrival_gives_it) {
  city c;
  weir_ticket a, b, before, both, after;
  city_open(&c, 2, permits(1));
  a = HOLD(at(&c, A), 1);
  b = HOLD(at(&c, B), 1);
  before = WAIT(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, A, .cost = 1);
  after = WAIT(at(&c, B), 1);
  RELEASE(&c.w, a); /* it moves to b's queue, between those two */
  RELEASE(&c.w, b);
  NEXT_BY(&c, before, WEIR_ADMITTED, B);
  QUIET(&c.w);
  RELEASE(&c.w, before);
  NEXT_BY(&c, both, WEIR_ADMITTED, B);
  QUIET(&c.w);
  RELEASE(&c.w, both);
  NEXT_BY(&c, after, WEIR_ADMITTED, B);
  world_close(&c.w);
}

TEST(one_that_came_later_goes_where_an_earlier_one_can_not) {
  city c;
  weir_ticket b, both, later;
  city_open(&c, 2, permits(1));
  b = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  later = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  RELEASE(&c.w, b);
  NEXT_BY(&c, both, WEIR_ADMITTED, B);
  QUIET(&c.w);
  RELEASE(&c.w, both);
  NEXT(&c.w, later, WEIR_ADMITTED);
  world_close(&c.w);
}

/* --- no deadlock ---------------------------------------------------------- */

enum { TASKS = 24, PLACES = 6, TURNS = 4000 };

typedef struct crowd {
  city c;
  choices from;
  weir_ticket waits[TASKS]; /* 0: none */
  weir_ticket held[TASKS];
  uint32_t costs[TASKS][PLACES];
  unsigned served[TASKS];
} crowd;

/* A task asks some limiters, in an order of its own. */
static void ask_some(crowd *all, uint32_t task) {
  weir_limiter some[PLACES];
  weir_request requests[PLACES];
  uint32_t first = choose(&all->from, PLACES),
           step = 1 + 4 * choose(&all->from, 2);
  uint32_t count = 2 + choose(&all->from, PLACES - 1);
  int verdict;
  memset(all->costs[task], 0, sizeof all->costs[task]);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t which = (first + i * step) % PLACES;
    some[i] = all->c.limiters[which];
    requests[i] = REQUEST(.cost = 1 + choose(&all->from, 3), .cookie = task);
    all->costs[task][which] = requests[i].cost;
  }
  verdict = weir_acquire_all(all->c.w.port, some, requests, count, all->c.w.now,
                             &all->waits[task], NULL);
  CHECK(verdict == WEIR_WAITING || verdict == WEIR_ADMITTED);
  if (verdict == WEIR_WAITING) return;
  all->held[task] = all->waits[task];
  all->waits[task] = 0;
}

static void take_events(crowd *all) {
  weir_event event;
  while (weir_next(all->c.w.port, &event)) {
    CHECK_EQ(event.verdict, WEIR_ADMITTED);
    CHECK_EQ(event.ticket, all->waits[event.cookie]);
    all->held[event.cookie] = event.ticket;
    all->waits[event.cookie] = 0;
  }
}

/* What is in use is what those hold who hold, and they are within the limit. */
static void check_use(crowd *all) {
  uint32_t holding = 0;
  for (int which = 0; which < PLACES; which++) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < TASKS; i++)
      if (all->held[i]) sum += all->costs[i][which];
    IN_USE(&all->c, which, sum);
    CHECK(sum <= 3);
  }
  for (uint32_t i = 0; i < TASKS; i++) holding += all->held[i] != 0;
  CHECK(holding > 0); /* if all can wait at once, that is a deadlock */
}

static void take_turn(crowd *all) {
  uint32_t task = choose(&all->from, TASKS);
  if (all->held[task]) {
    weir_ticket held = all->held[task];
    all->held[task] = 0;
    all->served[task]++;
    RELEASE(&all->c.w, held);
  } else if (!all->waits[task]) {
    ask_some(all, task);
  } else if (once_in(&all->from, 20)) {
    CANCEL(&all->c.w, all->waits[task]);
    all->waits[task] = 0;
  }
  take_events(all);
  check_use(all);
}

TEST(many_who_ask_in_any_order_never_all_wait) {
  for (int order = WEIR_FIFO; order <= WEIR_FAIR; order++) {
    static crowd all;
    weir_config config = permits(3);
    all = (crowd){ .from = choices_of_seed((uint64_t)order) };
    config.order = (weir_order)order;
    city_open(&all.c, PLACES, config);
    for (int i = 0; i < TURNS; i++) take_turn(&all);
    for (int i = 0; i < TASKS; i++) CHECK(all.served[i] > 0);
    world_close(&all.c.w);
  }
}

/* --- the end of a wait ---------------------------------------------------- */

TEST(it_times_out_wherever_it_waits_and_lets_the_next_go) {
  city c;
  weir_ticket both, light;
  weir_request requests[2] = { { .cost = 1, .deadline = T0 + 50 },
                               { .cost = 3 } };
  city_open(&c, 2, permits(3));
  HOLD(at(&c, B), 1);
  both = ask_all(HERE, &c, 2, requests, WEIR_WAITING, B);
  light = WAIT(at(&c, B), 1);
  CHECK_EQ(weir_deadline(c.w.port), T0 + 50);
  world_advance(&c.w, T0 + 50);
  NEXT_BY(&c, both, WEIR_TIMEOUT, B);
  NEXT_BY(&c, light, WEIR_ADMITTED, B);
  QUIET(&c.w);
  CHECK_EQ(world_stats(at(&c, A)).refused[WEIR_TIMEOUT], 0);
  CHECK_EQ(world_stats(at(&c, B)).refused[WEIR_TIMEOUT], 1);
  CHECK_EQ(weir_deadline(c.w.port), WEIR_NEVER);
  world_close(&c.w);
}

TEST(its_deadline_goes_with_it_to_another_queue) {
  city c;
  weir_ticket a, both;
  city_open(&c, 2, permits(1));
  a = HOLD(at(&c, A), 1);
  HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, A, .deadline = T0 + 50);
  RELEASE(&c.w, a);
  CHECK_EQ(world_advance(&c.w, T0 + 49), T0 + 50);
  QUIET(&c.w);
  world_advance(&c.w, T0 + 50);
  NEXT_BY(&c, both, WEIR_TIMEOUT, B);
  world_close(&c.w);
}

TEST(the_earliest_timeout_counts_unless_the_request_says) {
  city c;
  weir_config hasty = permits(1);
  city_open(&c, 2, permits(1));
  hasty.timeout_ns = 70;
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[A], &hasty, c.w.now), 0);
  HOLD(at(&c, B), 1);
  CANCEL(&c.w, BOTH(&c, WEIR_WAITING, B, .cost = 1));
  BOTH(&c, WEIR_WAITING, B, .deadline = WEIR_NEVER);
  CHECK_EQ(weir_deadline(c.w.port), WEIR_NEVER);
  BOTH(&c, WEIR_WAITING, B, .deadline = 0);
  CHECK_EQ(weir_deadline(c.w.port), T0 + 70);
  world_close(&c.w);
}

TEST(it_is_canceled_while_it_waits_and_when_it_was_granted) {
  city c;
  weir_ticket b, first, second, light;
  city_open(&c, 2, permits(1));
  b = HOLD(at(&c, B), 1);
  CANCEL(&c.w, BOTH(&c, WEIR_WAITING, B, .cost = 1));
  CHECK_EQ(world_stats(at(&c, B)).refused[WEIR_CANCELED], 1);
  first = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  second = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  RELEASE(&c.w, b);
  light = WAIT(at(&c, A), 1);
  CANCEL(&c.w, first);
  NEXT_BY(&c, light, WEIR_ADMITTED, A);
  QUIET(&c.w);
  RELEASE(&c.w, light);
  NEXT(&c.w, second, WEIR_ADMITTED);
  QUIET(&c.w);
  CHECK_EQ(weir_cancel(c.w.port, second, c.w.now), WEIR_E_STATE);
  world_close(&c.w);
}

TEST(closing_any_of_them_refuses_it) {
  for (int which = A; which <= B; which++) {
    city c;
    weir_ticket both, behind;
    city_open(&c, 2, permits(1));
    HOLD(at(&c, B), 1);
    both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
    behind = WAIT(at(&c, B), 1);
    CHECK_EQ(weir_limiter_close(c.w.space, c.limiters[which], c.w.now), 0);
    NEXT_BY(&c, both, WEIR_CLOSED, which);
    if (which == B) NEXT_BY(&c, behind, WEIR_CLOSED, B);
    QUIET(&c.w);
    CHECK_EQ(world_stats(at(&c, which)).refused[WEIR_CLOSED], 1 + which);
    BOTH(&c, WEIR_CLOSED, which, .cost = 1);
    world_close(&c.w);
  }
}

TEST(a_heavy_one_that_is_closed_elsewhere_lets_the_next_go) {
  city c;
  weir_ticket both, light;
  weir_request requests[2] = { { .cost = 1 }, { .cost = 3 } };
  city_open(&c, 2, permits(3));
  HOLD(at(&c, B), 1);
  both = ask_all(HERE, &c, 2, requests, WEIR_WAITING, B);
  light = WAIT(at(&c, B), 1);
  CHECK_EQ(weir_limiter_close(c.w.space, c.limiters[A], c.w.now), 0);
  NEXT_BY(&c, both, WEIR_CLOSED, A);
  NEXT_BY(&c, light, WEIR_ADMITTED, B);
  world_close(&c.w);
}

TEST(a_drain_of_any_lets_it_pass_and_waits_for_it) {
  for (int which = A; which <= B; which++) {
    city c;
    weir_ticket b, both, drain;
    city_open(&c, 2, permits(1));
    b = HOLD(at(&c, B), 1);
    both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
    drain = DRAIN(at(&c, which), 0, WEIR_WAITING);
    RELEASE(&c.w, b);
    NEXT(&c.w, both, WEIR_ADMITTED);
    QUIET(&c.w);
    RELEASE(&c.w, both);
    NEXT_BY(&c, drain, WEIR_ADMITTED, which);
    world_close(&c.w);
  }
}

/* The drain was told only if it was of the limiter that was waited for. */
TEST(a_drain_of_any_goes_when_it_was_refused) {
  city c;
  weir_ticket both, drain;
  city_open(&c, 3, permits(1));
  HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .deadline = T0 + 50);
  drain = DRAIN(at(&c, A), 0, WEIR_WAITING);
  world_advance(&c.w, T0 + 50);
  NEXT_BY(&c, both, WEIR_TIMEOUT, B);
  NEXT_BY(&c, drain, WEIR_ADMITTED, A);
  at(&c, C);
  c.limiters[A] = c.limiters[C];
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  drain = DRAIN(at(&c, A), 0, WEIR_WAITING);
  CHECK_EQ(weir_limiter_close(c.w.space, c.limiters[B], c.w.now), 0);
  NEXT_BY(&c, both, WEIR_CLOSED, B);
  NEXT_BY(&c, drain, WEIR_ADMITTED, A);
  world_close(&c.w);
}

TEST(a_port_that_leaves_takes_what_it_asked_and_gives_what_it_held) {
  city c;
  weir_ticket other;
  city_open(&c, 2, permits(1));
  BOTH(&c, WEIR_ADMITTED, A, .cost = 1);
  BOTH(&c, WEIR_WAITING, A, .cost = 1);
  world_swap(&c.w);
  other = BOTH(&c, WEIR_WAITING, A, .cost = 1);
  world_swap(&c.w);
  world_leave(&c.w);
  NEXT(&c.w, other, WEIR_ADMITTED);
  QUIET(&c.w);
  CHECK_EQ(world_stats(at(&c, A)).dropped, 1);
  CHECK_EQ(world_stats(at(&c, B)).dropped, 1);
  IN_USE(&c, A, 1);
  IN_USE(&c, B, 1);
  world_close(&c.w);
}

TEST(what_has_become_impossible_for_one_is_refused_by_it) {
  for (int which = A; which <= B; which++) {
    city c;
    weir_ticket b, both;
    city_open(&c, 2, permits(3));
    b = HOLD(at(&c, B), 2);
    both = BOTH(&c, WEIR_WAITING, B, .cost = 2);
    world_set_limit(at(&c, which), 1);
    if (which == A) RELEASE(&c.w, b);
    NEXT_BY(&c, both, WEIR_IMPOSSIBLE, which);
    QUIET(&c.w);
    CHECK_EQ(world_stats(at(&c, which)).refused[WEIR_IMPOSSIBLE], 1);
    world_close(&c.w);
  }
}

TEST(a_limiter_that_was_dropped_is_kept_by_those_who_wait) {
  city c;
  weir_ticket b, both;
  city_open(&c, 2, permits(1));
  b = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  CHECK_EQ(weir_limiter_drop(c.w.space, c.limiters[A]), 0);
  CHECK_EQ(weir_limiter_drop(c.w.space, c.limiters[B]), 0);
  RELEASE(&c.w, b);
  NEXT_BY(&c, both, WEIR_ADMITTED, B);
  RELEASE(&c.w, both);
  CHECK(weir_limiter_name(c.w.space, c.limiters[A]) == NULL);
  CHECK(weir_limiter_name(c.w.space, c.limiters[B]) == NULL);
  world_close(&c.w);
}

CHECK_MAIN
