/* test_order.c - who goes next, in every order there is. */
#include <stdlib.h>

#include "world.h"

enum { T0 = WORLD_START };

static weir_config ordered(weir_order order, uint32_t concurrent) {
  weir_config config = WEIR_CONFIG_INIT;
  config.order = order;
  config.concurrent = concurrent;
  return config;
}

/* Gives one permit back, which goes to `to` and to nobody else; answers it. */
static weir_ticket hand(check_place place, world *w, weir_ticket from,
                        weir_ticket to) {
  check_equal(place, "released",
              (uint64_t)weir_release(w->port, from, WEIR_DONE, w->now), 0);
  world_next(place, w, to, WEIR_ADMITTED);
  world_quiet(place, w);
  return to;
}

#define HAND(w, held, to) ((held) = hand(HERE, w, held, to))
#define WAIT_AS(w, ...) ASK(w, WEIR_WAITING, __VA_ARGS__)

static void check_bound(check_place place, world *w, weir_ticket ticket,
                        weir_bound bound) {
  weir_ticket_info info;
  if (!check_equal(
          place, "inspected",
          (uint64_t)weir_ticket_inspect(w->port, ticket, w->now, &info), 0))
    return;
  check_equal(place, "bound", info.bound, bound);
}

#define BOUND(w, ticket, bound) check_bound(HERE, w, ticket, bound)

/* --- every order ---------------------------------------------------------- */

enum { ORDERS = 4, FEW = 5 };

/* Lets FEW wait that are alike; *held is in front of them. */
static void few_waiters(world *w, weir_order order, weir_ticket *held,
                        weir_ticket *waits) {
  world_open_with(w, ordered(order, 1));
  *held = HOLD(w, 1);
  for (int i = 0; i < FEW; i++) waits[i] = WAIT(w, 1);
}

/* The n-th to go of those who are alike. */
static int place_of(weir_order order, int n) {
  return order == WEIR_LIFO ? FEW - 1 - n : n;
}

TEST(whoever_leaves_from_any_place_leaves_the_others_in_theirs) {
  for (int order = 0; order < ORDERS; order++)
    for (int gone = 0; gone < FEW; gone++) {
      world w;
      weir_ticket held, waits[FEW];
      few_waiters(&w, (weir_order)order, &held, waits);
      CANCEL(&w, waits[gone]);
      for (int n = 0; n < FEW; n++) {
        int place = place_of((weir_order)order, n);
        if (place != gone) HAND(&w, held, waits[place]);
      }
      RELEASE(&w, held);
      COUNTS(&w, 0, 0);
      world_close(&w);
    }
}

TEST(one_goes_next_and_the_others_wait_for_others) {
  for (int order = 0; order < ORDERS; order++) {
    world w;
    weir_ticket held, waits[FEW];
    few_waiters(&w, (weir_order)order, &held, waits);
    for (int n = 0; n < FEW; n++)
      BOUND(&w, waits[place_of((weir_order)order, n)],
            n ? WEIR_BY_OTHERS : WEIR_BY_PERMITS);
    world_close(&w);
  }
}

TEST(a_heavy_head_that_leaves_lets_who_fits_go_in_every_order) {
  for (int order = 0; order < ORDERS; order++) {
    world w;
    weir_ticket waits[3];
    int first = order == WEIR_LIFO ? 2 : 0;
    world_open_with(&w, ordered((weir_order)order, 3));
    HOLD(&w, 2);
    for (int i = 0; i < 3; i++) waits[i] = WAIT(&w, i == first ? 3 : 2);
    world_set_limit(&w, 4);
    QUIET(&w); /* two are free: enough, but not for the one in front */
    CANCEL(&w, waits[first]);
    NEXT(&w, waits[1], WEIR_ADMITTED);
    QUIET(&w);
    world_close(&w);
  }
}

TEST(a_timeout_takes_a_waiter_out_of_every_order) {
  for (int order = 0; order < ORDERS; order++) {
    world w;
    weir_ticket held, stays, late;
    world_open_with(&w, ordered((weir_order)order, 1));
    held = HOLD(&w, 1);
    late = WAIT_UNTIL(&w, 1, T0 + 50);
    stays = WAIT(&w, 1);
    world_advance(&w, T0 + 50);
    NEXT(&w, late, WEIR_TIMEOUT);
    HAND(&w, held, stays);
    world_close(&w);
  }
}

/* A queue keeps its order as long as somebody is in it. */
TEST(another_order_is_that_of_the_next_queue) {
  for (int from = 0; from < ORDERS; from++)
    for (int to = 0; to < ORDERS; to++) {
      world w;
      weir_ticket held, waits[FEW];
      few_waiters(&w, (weir_order)from, &held, waits);
      world_set(&w, ordered((weir_order)to, 1));
      for (int n = 0; n < FEW; n++)
        HAND(&w, held, waits[place_of((weir_order)from, n)]);
      for (int n = 0; n < FEW; n++) waits[n] = WAIT(&w, 1);
      for (int n = 0; n < FEW; n++)
        HAND(&w, held, waits[place_of((weir_order)to, n)]);
      world_close(&w);
    }
}

TEST(a_newcomer_keeps_to_the_order_of_those_who_wait) {
  world w;
  weir_ticket held, a, b;
  world_open_with(&w, ordered(WEIR_FIFO, 1));
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  world_set(&w, ordered(WEIR_LIFO, 1));
  b = WAIT(&w, 1);
  HAND(&w, held, a);
  HAND(&w, held, b);
  world_close(&w);
}

/* The room for a lane was not made sure of, as the queue had none before. */
TEST(the_one_place_in_a_queue_can_change_hands_and_order) {
  for (int to = 0; to < ORDERS; to++) {
    world w;
    weir_ticket held, old, young;
    weir_config config = ordered(WEIR_FIFO, 1);
    config.queue = 1;
    config.shed.victim = WEIR_OLDEST;
    world_open_with(&w, config);
    held = HOLD(&w, 1);
    old = WAIT(&w, 1);
    config.order = (weir_order)to;
    world_set(&w, config);
    young = WAIT(&w, 1);
    NEXT(&w, old, WEIR_FULL);
    HAND(&w, held, young);
    world_close(&w);
  }
}

/* --- last in, first out --------------------------------------------------- */

TEST(the_newest_goes_first) {
  world w;
  weir_ticket held, a, b, c;
  world_open_with(&w, ordered(WEIR_LIFO, 1));
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  HAND(&w, held, b);
  c = WAIT(&w, 1);
  HAND(&w, held, c);
  HAND(&w, held, a);
  world_close(&w);
}

TEST(a_newcomer_that_goes_first_and_fits_is_admitted_at_once) {
  world w;
  weir_ticket heavy, light;
  world_open_with(&w, ordered(WEIR_LIFO, 3));
  light = HOLD(&w, 1);
  HOLD(&w, 1);
  heavy = WAIT(&w, 3);
  TRY(&w, 2, WEIR_FULL);
  TRY(&w, 1, WEIR_ADMITTED);
  TRY(&w, 1, WEIR_FULL);
  RELEASE(&w, light);
  HOLD(&w, 1);
  QUIET(&w);
  BOUND(&w, heavy, WEIR_BY_PERMITS);
  world_close(&w);
}

/* --- priority ------------------------------------------------------------- */

TEST(the_highest_priority_goes_first_and_in_order_within) {
  world w;
  weir_ticket held, low, high[2], middle[2];
  world_open_with(&w, ordered(WEIR_PRIORITY, 1));
  held = HOLD(&w, 1);
  low = WAIT_AS(&w, .priority = -3);
  middle[0] = WAIT_AS(&w, .cost = 1);
  high[0] = WAIT_AS(&w, .priority = 7);
  middle[1] = WAIT_AS(&w, .cost = 1);
  high[1] = WAIT_AS(&w, .priority = 7);
  HAND(&w, held, high[0]);
  HAND(&w, held, high[1]);
  HAND(&w, held, middle[0]);
  HAND(&w, held, middle[1]);
  HAND(&w, held, low);
  world_close(&w);
}

TEST(all_priorities_go_in_their_order_wherever_they_came) {
  enum { ALL = WEIR_PRIORITY_MAX - WEIR_PRIORITY_MIN + 1 };
  world w;
  weir_ticket held, waits[ALL];
  world_open_with(&w, ordered(WEIR_PRIORITY, 1));
  held = HOLD(&w, 1);
  for (int i = 0, at = 0; i < ALL; i++, at = (at + 13) % ALL)
    waits[at] = WAIT_AS(&w, .priority = (int8_t)(WEIR_PRIORITY_MIN + at));
  ASK(&w, WEIR_E_CONFIG, .priority = WEIR_PRIORITY_MIN - 1);
  ASK(&w, WEIR_E_CONFIG, .priority = WEIR_PRIORITY_MAX + 1);
  CANCEL(&w, waits[20]);
  for (int i = ALL; i-- > 0;)
    if (i != 20) HAND(&w, held, waits[i]);
  world_close(&w);
}

TEST(a_higher_newcomer_that_fits_does_not_wait_and_an_equal_one_does) {
  world w;
  world_open_with(&w, ordered(WEIR_PRIORITY, 3));
  HOLD(&w, 2);
  WAIT_AS(&w, .priority = 1, .cost = 2);
  ASK(&w, WEIR_FULL, .priority = 0, .try_only = true);
  ASK(&w, WEIR_FULL, .priority = 1, .try_only = true);
  ASK(&w, WEIR_FULL, .priority = 2, .cost = 2, .try_only = true);
  ASK(&w, WEIR_ADMITTED, .priority = 2);
  COUNTS(&w, 3, 1);
  world_close(&w);
}

TEST(without_ageing_the_low_wait_for_ever) {
  world w;
  weir_ticket held, low;
  world_open_with(&w, ordered(WEIR_PRIORITY, 1));
  held = HOLD(&w, 1);
  low = WAIT(&w, 1);
  for (int i = 0; i < 50; i++) {
    weir_ticket next;
    w.now += 1000000;
    next = WAIT_AS(&w, .priority = 1);
    HAND(&w, held, next);
  }
  HAND(&w, held, low);
  world_close(&w);
}

/* The lower came `head_start` before the higher; who goes first? */
static void check_aged(int8_t low, int8_t high, uint64_t head_start,
                       bool low_first) {
  world w;
  weir_ticket held, first, second;
  weir_config config = ordered(WEIR_PRIORITY, 1);
  config.aging_ns = 100;
  world_open_with(&w, config);
  held = HOLD(&w, 1);
  first = WAIT_AS(&w, .priority = low);
  w.now += head_start;
  second = WAIT_AS(&w, .priority = high);
  w.now += 100000; /* both grow older alike */
  HAND(&w, held, low_first ? first : second);
  HAND(&w, held, low_first ? second : first);
  world_close(&w);
}

TEST(a_wait_is_worth_steps_up) {
  check_aged(0, 0, 1, true);
  check_aged(0, 1, 99, false);
  check_aged(0, 1, 101, true);
  check_aged(0, 3, 299, false);
  check_aged(0, 3, 301, true);
  check_aged(WEIR_PRIORITY_MIN, WEIR_PRIORITY_MAX, 3099, false);
  check_aged(WEIR_PRIORITY_MIN, WEIR_PRIORITY_MAX, 3101, true);
}

TEST(an_aged_head_is_not_passed_by_a_newcomer_that_fits) {
  world w;
  weir_config config = ordered(WEIR_PRIORITY, 2);
  config.aging_ns = 100;
  world_open_with(&w, config);
  HOLD(&w, 1);
  WAIT(&w, 2);
  w.now += 99;
  ASK(&w, WEIR_ADMITTED, .priority = 1, .try_only = true);
  w.now += 2;
  ASK(&w, WEIR_FULL, .priority = 1, .try_only = true);
  world_set_limit(&w, 3);
  ASK(&w, WEIR_FULL, .priority = 1, .try_only = true);
  ASK(&w, WEIR_ADMITTED, .priority = 2, .try_only = true);
  world_close(&w);
}

TEST(the_oldest_of_many_ages_first) {
  world w;
  weir_ticket held, waits[4];
  weir_config config = ordered(WEIR_PRIORITY, 1);
  config.aging_ns = 100;
  world_open_with(&w, config);
  held = HOLD(&w, 1);
  for (int8_t i = 0; i < 4; i++, w.now += 150)
    waits[i] = WAIT_AS(&w, .priority = i);
  for (int i = 0; i < 4; i++) HAND(&w, held, waits[i]);
  world_close(&w);
}

/* --- fair ----------------------------------------------------------------- */

TEST(flows_take_turns_and_keep_their_own_order) {
  world w;
  weir_ticket held, a[3], b[2], none[2];
  world_open_with(&w, ordered(WEIR_FAIR, 1));
  held = HOLD(&w, 1);
  for (int i = 0; i < 3; i++) a[i] = WAIT_AS(&w, FLOW("a"));
  for (int i = 0; i < 2; i++) b[i] = WAIT_AS(&w, FLOW("b"));
  for (int i = 0; i < 2; i++) none[i] = WAIT_AS(&w, .flow = NULL);
  HAND(&w, held, a[0]);
  HAND(&w, held, b[0]);
  HAND(&w, held, none[0]);
  HAND(&w, held, a[1]);
  HAND(&w, held, b[1]);
  HAND(&w, held, none[1]);
  HAND(&w, held, a[2]);
  world_close(&w);
}

TEST(a_flow_of_no_bytes_is_a_flow_and_flows_differ_in_every_byte) {
  world w;
  weir_ticket held, old[4], young[4];
  world_open_with(&w, ordered(WEIR_FAIR, 1));
  held = HOLD(&w, 1);
  for (int i = 0; i < 2; i++) {
    weir_ticket *waits = i ? young : old;
    waits[0] = WAIT_AS(&w, FLOW(""));
    waits[1] = WAIT_AS(&w, .flow = NULL);
    waits[2] = WAIT_AS(&w, FLOW("a\0b"));
    waits[3] = WAIT_AS(&w, FLOW("a\0c"));
  }
  for (int i = 0; i < 4; i++) HAND(&w, held, old[i]);
  for (int i = 0; i < 4; i++) HAND(&w, held, young[i]);
  ASK(&w, WEIR_E_CONFIG, .flow = "", .flow_size = WEIR_KEY_MAX + 1);
  world_close(&w);
}

TEST(ten_thousand_of_one_flow_do_not_hold_up_another) {
  enum { NOISY = 10000 };
  world w;
  weir_ticket held, noisy, quiet;
  world_open_with(&w, ordered(WEIR_FAIR, 1));
  held = HOLD(&w, 1);
  noisy = WAIT_AS(&w, FLOW("noisy"));
  for (int i = 1; i < NOISY; i++) {
    weir_request request = { FLOW("noisy") };
    weir_ticket ticket;
    CHECK_EQ(weir_acquire(w.port, w.limiter, &request, w.now, &ticket),
             WEIR_WAITING);
  }
  quiet = WAIT_AS(&w, FLOW("quiet"));
  HAND(&w, held, noisy);
  HAND(&w, held, quiet);
  COUNTS(&w, 1, NOISY - 1);
  world_close(&w);
}

TEST(a_newcomer_of_a_new_flow_waits_for_its_turn) {
  world w;
  weir_ticket held, heavy, light;
  world_open_with(&w, ordered(WEIR_FAIR, 3));
  held = HOLD(&w, 2);
  heavy = WAIT_AS(&w, FLOW("a"), .cost = 3);
  ASK(&w, WEIR_FULL, FLOW("b"), .try_only = true);
  light = WAIT_AS(&w, FLOW("b"));
  RELEASE(&w, held);
  NEXT(&w, heavy, WEIR_ADMITTED);
  QUIET(&w);
  HAND(&w, heavy, light);
  world_close(&w);
}

/* Two flows that always wait: how much each was served. */
typedef struct shares {
  uint64_t heavy, light; /* permits */
} shares;

static void serve(world *w, shares *served) {
  weir_event event;
  CHECK(weir_next(w->port, &event));
  *(event.cookie ? &served->heavy : &served->light) += event.cost;
  RELEASE(w, event.ticket);
}

TEST(flows_get_the_same_permits_whatever_their_requests_cost) {
  enum { HEAVY = 7, EACH = 700 };
  world w;
  weir_ticket held;
  shares served = { 0, 0 };
  world_open_with(&w, ordered(WEIR_FAIR, HEAVY));
  held = HOLD(&w, HEAVY);
  for (int i = 0; i < EACH; i++) WAIT_AS(&w, FLOW("light"));
  for (int i = 0; i < EACH / HEAVY; i++)
    WAIT_AS(&w, FLOW("heavy"), .cost = HEAVY, .cookie = 1);
  RELEASE(&w, held);
  while (served.heavy + served.light < EACH) {
    serve(&w, &served);
    CHECK(served.heavy <= served.light + 2 * HEAVY);
    CHECK(served.light <= served.heavy + 2 * HEAVY);
  }
  world_close(&w);
}

TEST(a_flow_saves_nothing_while_nobody_of_it_waits) {
  world w;
  weir_ticket held, a[4], b;
  world_open_with(&w, ordered(WEIR_FAIR, 2));
  held = HOLD(&w, 2);
  a[0] = WAIT_AS(&w, FLOW("a"), .cost = 1);
  b = WAIT_AS(&w, FLOW("b"), .cost = 2);
  HAND(&w, held, a[0]); /* it is worth two, and took one */
  for (int i = 1; i < 4; i++) a[i] = WAIT_AS(&w, FLOW("a"), .cost = 2);
  HAND(&w, held, b);
  HAND(&w, held, a[1]);
  world_close(&w);
}

TEST(flows_are_of_one_key) {
  world w;
  weir_ticket one, two, x, y;
  world_open_with(&w, ordered(WEIR_FAIR, 1));
  one = ASK(&w, WEIR_ADMITTED, KEY("1"));
  two = ASK(&w, WEIR_ADMITTED, KEY("2"));
  x = WAIT_AS(&w, KEY("1"), FLOW("f"));
  WAIT_AS(&w, KEY("1"), FLOW("f"));
  y = WAIT_AS(&w, KEY("2"), FLOW("f"));
  HAND(&w, two, y);
  HAND(&w, one, x);
  world_close(&w);
}

TEST(many_flows_take_turns) {
  enum { FLOWS = 1000, ROUNDS = 3 };
  world w;
  weir_ticket held, *waits = calloc(FLOWS * ROUNDS, sizeof *waits);
  if (!waits) abort();
  world_open_with(&w, ordered(WEIR_FAIR, 1));
  held = HOLD(&w, 1);
  for (uint32_t i = 0; i < FLOWS * ROUNDS; i++) {
    uint32_t flow = i / ROUNDS;
    waits[i] = WAIT_AS(&w, .flow = &flow, .flow_size = sizeof flow);
  }
  for (uint32_t i = 0; i < FLOWS * ROUNDS; i++)
    HAND(&w, held, waits[i % FLOWS * ROUNDS + i / FLOWS]);
  free(waits);
  world_close(&w);
}

TEST(without_fair_order_flows_mean_nothing) {
  world w;
  weir_ticket held, a, b, c;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  a = WAIT_AS(&w, FLOW("a"), .priority = 0);
  b = WAIT_AS(&w, FLOW("a"), .priority = 5);
  c = WAIT_AS(&w, FLOW("b"), .priority = 9);
  HAND(&w, held, a);
  HAND(&w, held, b);
  HAND(&w, held, c);
  world_close(&w);
}

CHECK_MAIN
