/* test_shed.c - what a queue that is too long gives up. */
#include "city.h"

enum { TARGET = 10, INTERVAL = 100 };

static weir_config bounded(uint32_t queue, weir_order order,
                           weir_victim victim) {
  weir_config config = permits(1);
  config.queue = queue;
  config.order = order;
  config.shed.victim = victim;
  return config;
}

#define WAIT_AS(w, ...) ASK(w, WEIR_WAITING, __VA_ARGS__)

/* --- the queue's bound ---------------------------------------------------- */

TEST(the_newcomer_is_refused_unless_configured_otherwise) {
  for (int order = WEIR_FIFO; order <= WEIR_FAIR; order++) {
    world w;
    world_open_with(&w, bounded(1, (weir_order)order, WEIR_NEWEST));
    HOLD(&w, 1);
    WAIT(&w, 1);
    ASK(&w, WEIR_FULL, .priority = 9, FLOW("another"));
    QUIET(&w);
    world_close(&w);
  }
}

TEST(the_oldest_gives_way_in_every_order) {
  for (int order = WEIR_FIFO; order <= WEIR_FAIR; order++) {
    world w;
    weir_ticket old, young;
    weir_event event;
    world_open_with(&w, bounded(2, (weir_order)order, WEIR_OLDEST));
    HOLD(&w, 1);
    old = WAIT_AS(&w, .priority = 3, FLOW("a"), .cookie = 5);
    young = WAIT_AS(&w, .priority = -3, FLOW("a"));
    w.now += 7;
    WAIT_AS(&w, FLOW("a"));
    CHECK(weir_next(w.port, &event));
    CHECK_EQ(event.ticket, old);
    CHECK_EQ(event.verdict, WEIR_FULL);
    CHECK_EQ(event.waited_ns, 7);
    CHECK_EQ(event.limiter, w.limiter);
    WAIT_AS(&w, .priority = 3, FLOW("a"));
    NEXT(&w, young, WEIR_FULL);
    QUIET(&w);
    COUNTS(&w, 1, 2);
    CHECK_EQ(world_stats(&w).refused[WEIR_FULL], 2);
    world_close(&w);
  }
}

/* The flow that comes once too often is to blame, not one that waits longer. */
TEST(in_fair_order_the_oldest_of_ones_own_flow_gives_way) {
  world w;
  weir_ticket a, b, next;
  world_open_with(&w, bounded(3, WEIR_FAIR, WEIR_OLDEST));
  HOLD(&w, 1);
  a = WAIT_AS(&w, FLOW("a"));
  b = WAIT_AS(&w, FLOW("b"));
  next = WAIT_AS(&w, FLOW("b"));
  WAIT_AS(&w, FLOW("b"));
  NEXT(&w, b, WEIR_FULL);
  WAIT_AS(&w, FLOW("new")); /* whoever goes next */
  NEXT(&w, a, WEIR_FULL);
  WAIT_AS(&w, FLOW("b"));
  NEXT(&w, next, WEIR_FULL);
  QUIET(&w);
  world_close(&w);
}

TEST(the_last_of_the_lowest_gives_way_to_a_higher_one_only) {
  world w;
  weir_ticket low[2], middle, newer;
  world_open_with(&w, bounded(3, WEIR_PRIORITY, WEIR_LOWEST));
  HOLD(&w, 1);
  low[0] = WAIT_AS(&w, .priority = -1);
  low[1] = WAIT_AS(&w, .priority = -1);
  middle = WAIT_AS(&w, .priority = 0);
  ASK(&w, WEIR_FULL, .priority = -1);
  ASK(&w, WEIR_FULL, .priority = -2);
  QUIET(&w);
  newer = WAIT_AS(&w, .priority = 0);
  NEXT(&w, low[1], WEIR_FULL);
  WAIT_AS(&w, .priority = 5);
  NEXT(&w, low[0], WEIR_FULL);
  WAIT_AS(&w, .priority = 5);
  NEXT(&w, newer, WEIR_FULL);
  QUIET(&w);
  CANCEL(&w, middle);
  world_close(&w);
}

TEST(a_heavy_head_that_gives_way_lets_the_others_go) {
  world w;
  weir_ticket heavy, light, newcomer;
  weir_config config = bounded(2, WEIR_FIFO, WEIR_OLDEST);
  config.concurrent = 3;
  world_open_with(&w, config);
  HOLD(&w, 1);
  heavy = WAIT(&w, 3);
  light = WAIT(&w, 1);
  newcomer = WAIT(&w, 1);
  NEXT(&w, heavy, WEIR_FULL);
  NEXT(&w, light, WEIR_ADMITTED);
  NEXT(&w, newcomer, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 3, 0);
  world_close(&w);
}

TEST(who_may_not_wait_makes_nobody_give_way) {
  world w;
  weir_config config = bounded(1, WEIR_FIFO, WEIR_OLDEST);
  world_open_with(&w, config);
  HOLD(&w, 1);
  WAIT(&w, 1);
  TRY(&w, 1, WEIR_FULL);
  ASK(&w, WEIR_TIMEOUT, .deadline = T0);
  REFUSED(&w, 2, WEIR_IMPOSSIBLE);
  QUIET(&w);
  COUNTS(&w, 1, 1);
  config.queue = 0;
  world_set(&w, config);
  REFUSED(&w, 1, WEIR_FULL); /* where nobody may wait, nobody gives way */
  QUIET(&w);
  world_close(&w);
}

TEST(each_key_has_a_bound_of_its_own) {
  world w;
  weir_ticket a;
  world_open_with(&w, bounded(1, WEIR_FIFO, WEIR_OLDEST));
  ASK(&w, WEIR_ADMITTED, KEY("a"));
  ASK(&w, WEIR_ADMITTED, KEY("b"));
  a = WAIT_AS(&w, KEY("a"));
  WAIT_AS(&w, KEY("b"));
  WAIT_AS(&w, KEY("a"));
  NEXT(&w, a, WEIR_FULL);
  QUIET(&w);
  COUNTS(&w, 2, 2);
  CHECK_EQ(world_key(&w, "a", 1).refused, 1);
  world_close(&w);
}

TEST(one_that_asks_several_gives_way_as_a_whole) {
  city c;
  weir_ticket both, newcomer, drain;
  city_open(&c, 2, bounded(1, WEIR_FIFO, WEIR_OLDEST));
  HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  drain = DRAIN(at(&c, A), 0, WEIR_WAITING);
  newcomer = WAIT(at(&c, B), 1);
  NEXT_BY(&c, both, WEIR_FULL, B);
  NEXT_BY(&c, drain, WEIR_ADMITTED, A);
  QUIET(&c.w);
  CANCEL(&c.w, newcomer);
  world_close(&c.w);
}

TEST(one_that_asks_several_takes_the_place_of_another) {
  city c;
  weir_ticket b, old, both;
  city_open(&c, 2, bounded(1, WEIR_FIFO, WEIR_OLDEST));
  b = HOLD(at(&c, B), 1);
  old = WAIT(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  NEXT_BY(&c, old, WEIR_FULL, B);
  RELEASE(&c.w, b);
  NEXT_BY(&c, both, WEIR_ADMITTED, B);
  world_close(&c.w);
}

TEST(some_ways_to_shed_want_an_order) {
  weir_config config = permits(1);
  CHECK(!weir_config_check(&config));
  config.shed.victim = WEIR_LOWEST;
  CHECK(weir_config_check(&config));
  config.order = WEIR_PRIORITY;
  CHECK(!weir_config_check(&config));
  config.shed.victim = (weir_victim)(WEIR_LOWEST + 1);
  CHECK(weir_config_check(&config));
  config.shed.victim = WEIR_NEWEST;
  config.shed.lifo = true;
  CHECK(weir_config_check(&config));
  config.order = WEIR_FIFO;
  CHECK(!weir_config_check(&config));
  config.shed.target_ns = WEIR_PER_MAX + 1;
  CHECK(weir_config_check(&config));
  config.shed.target_ns = 1;
  config.shed.interval_ns = WEIR_PER_MAX + 1;
  CHECK(weir_config_check(&config));
}

/* --- CoDel ---------------------------------------------------------------- */

static weir_config controlled(bool codel, bool lifo) {
  weir_config config = permits(1);
  config.shed.target_ns = TARGET;
  config.shed.interval_ns = INTERVAL;
  config.shed.codel = codel;
  config.shed.lifo = lifo;
  return config;
}

/* `count` wait behind one that holds. */
static weir_ticket fill(world *w, weir_ticket *waits, int count) {
  weir_ticket held = HOLD(w, 1);
  for (int i = 0; i < count; i++) waits[i] = WAIT(w, 1);
  return held;
}

static weir_ticket pass_at(check_place place, world *w, uint64_t now,
                           weir_ticket held, weir_ticket to) {
  w->now = now;
  check_equal(place, "released",
              (uint64_t)weir_release(w->port, held, WEIR_DONE, now), 0);
  world_next(place, w, to, WEIR_ADMITTED);
  world_quiet(place, w);
  return to;
}

#define PASS(w, at, held, to) ((held) = pass_at(HERE, w, at, held, to))

TEST(the_head_is_shed_when_waits_have_been_long_for_an_interval) {
  world w;
  weir_ticket held, waits[20];
  world_open_with(&w, controlled(true, false));
  CHECK(weir_limiter_timed(w.space, w.limiter));
  held = fill(&w, waits, 20);
  PASS(&w, T0 + 9, held, waits[0]);
  PASS(&w, T0 + 10, held, waits[1]); /* the first that is long */
  PASS(&w, T0 + 109, held, waits[2]);
  w.now = T0 + 110;
  RELEASE(&w, held);
  NEXT(&w, waits[3], WEIR_SHED);
  NEXT(&w, waits[4], WEIR_ADMITTED);
  QUIET(&w);
  held = waits[4];
  PASS(&w, T0 + 209, held, waits[5]);
  w.now = T0 + 210; /* an interval later; then 1/sqrt(2) of one */
  RELEASE(&w, held);
  NEXT(&w, waits[6], WEIR_SHED);
  NEXT(&w, waits[7], WEIR_ADMITTED);
  held = waits[7];
  PASS(&w, T0 + 279, held, waits[8]);
  w.now = T0 + 281;
  RELEASE(&w, held);
  NEXT(&w, waits[9], WEIR_SHED);
  CHECK_EQ(world_stats(&w).refused[WEIR_SHED], 3);
  world_close(&w);
}

TEST(shedding_stops_when_waits_are_short_again) {
  world w;
  weir_ticket held, old[6], young[2];
  world_open_with(&w, controlled(true, false));
  held = fill(&w, old, 6);
  PASS(&w, T0 + 10, held, old[0]);
  w.now = T0 + 110;
  RELEASE(&w, held);
  NEXT(&w, old[1], WEIR_SHED);
  NEXT(&w, old[2], WEIR_ADMITTED);
  held = old[2];
  for (int i = 3; i < 6; i++) CANCEL(&w, old[i]);
  w.now = T0 + 400;
  for (int i = 0; i < 2; i++) young[i] = WAIT(&w, 1);
  PASS(&w, T0 + 405, held, young[0]);
  PASS(&w, T0 + 900, held, young[1]); /* nobody is behind the last one */
  CHECK_EQ(world_stats(&w).refused[WEIR_SHED], 1);
  world_close(&w);
}

TEST(short_waits_are_never_shed) {
  world w;
  weir_ticket held, next;
  world_open_with(&w, controlled(true, true));
  held = HOLD(&w, 1);
  next = WAIT(&w, 1);
  for (uint64_t i = 1; i < 1000; i++) {
    weir_ticket behind = WAIT(&w, 1);
    PASS(&w, T0 + 4 * i, held, next);
    next = behind;
  }
  CHECK_EQ(world_stats(&w).refused[WEIR_SHED], 0);
  world_close(&w);
}

TEST(each_key_is_shed_by_its_own_waits) {
  world w;
  weir_ticket held, waits[3], other;
  world_open_with(&w, controlled(true, false));
  held = ASK(&w, WEIR_ADMITTED, KEY("long"));
  for (int i = 0; i < 3; i++) waits[i] = WAIT_AS(&w, KEY("long"));
  PASS(&w, T0 + 10, held, waits[0]);
  w.now = T0 + 110;
  other = ASK(&w, WEIR_ADMITTED, KEY("short"));
  WAIT_AS(&w, KEY("short"));
  RELEASE(&w, other);
  RELEASE(&w, held);
  CHECK_EQ(world_key(&w, "long", 4).refused, 1);
  CHECK_EQ(world_key(&w, "short", 5).refused, 0);
  world_close(&w);
}

/* --- the newest first ----------------------------------------------------- */

TEST(while_waits_are_long_the_newest_goes_first) {
  world w;
  weir_ticket held, old[6], young[3];
  world_open_with(&w, controlled(false, true));
  held = fill(&w, old, 6);
  PASS(&w, T0 + 10, held, old[0]);
  PASS(&w, T0 + 109, held, old[1]);
  PASS(&w, T0 + 110, held, old[5]);
  young[0] = WAIT(&w, 1);
  PASS(&w, T0 + 115, held, young[0]);
  PASS(&w, T0 + 120, held, old[4]);
  young[1] = WAIT(&w, 1);
  young[2] = WAIT(&w, 1);
  CANCEL(&w, old[2]);
  CANCEL(&w, old[3]); /* those who are left have not waited long */
  PASS(&w, T0 + 125, held, young[1]);
  PASS(&w, T0 + 126, held, young[2]);
  CHECK_EQ(world_stats(&w).refused[WEIR_SHED], 0);
  world_close(&w);
}

TEST(a_newcomer_goes_first_in_a_queue_that_turned_round) {
  world w;
  weir_ticket held, heavy, waits[3];
  weir_config config = controlled(false, true);
  config.concurrent = 2;
  world_open_with(&w, config);
  held = HOLD(&w, 2);
  for (int i = 0; i < 3; i++) waits[i] = WAIT(&w, 2);
  PASS(&w, T0 + 10, held, waits[0]);
  PASS(&w, T0 + 110, held, waits[2]);
  world_set_limit(&w, 3);
  QUIET(&w);
  TRY(&w, 1, WEIR_ADMITTED);
  heavy = WAIT(&w, 2);
  RELEASE(&w, held);
  NEXT(&w, heavy, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(the_oldest_is_shed_while_the_newest_goes_first) {
  world w;
  weir_ticket held, waits[6];
  world_open_with(&w, controlled(true, true));
  held = fill(&w, waits, 6);
  PASS(&w, T0 + 10, held, waits[0]);
  w.now = T0 + 110;
  RELEASE(&w, held);
  NEXT(&w, waits[1], WEIR_SHED);
  NEXT(&w, waits[5], WEIR_ADMITTED);
  QUIET(&w);
  held = waits[5];
  PASS(&w, T0 + 120, held, waits[4]);
  world_close(&w);
}

/* --- doomed --------------------------------------------------------------- */

/* Lets the queue go at one permit each 50 ns, until eight are left. */
static weir_ticket measure_pace(world *w, weir_config config) {
  weir_ticket held;
  weir_event event = { .ticket = 0 };
  config.shed.doomed = true;
  world_open_with(w, config);
  held = HOLD(w, 1);
  for (int i = 0; i < 20; i++) WAIT(w, 1);
  ASK(w, WEIR_WAITING, .deadline = T0 + 1); /* nothing was measured yet */
  CHECK(world_advance(w, T0 + 1) == WEIR_NEVER && weir_next(w->port, &event));
  for (int i = 0; i < 12; i++) {
    w->now += 50;
    RELEASE(w, held);
    CHECK(weir_next(w->port, &event));
    held = event.ticket;
  }
  COUNTS(w, 1, 8);
  return held;
}

TEST(who_cannot_be_admitted_in_time_is_doomed_on_arrival) {
  world w;
  measure_pace(&w, permits(1));
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 449);
  ASK(&w, WEIR_FULL, .deadline = w.now + 449, .try_only = true);
  ASK(&w, WEIR_TIMEOUT, .deadline = w.now);
  WAIT(&w, 1);
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 499);
  ASK(&w, WEIR_WAITING, .deadline = w.now + 500);
  CHECK_EQ(world_stats(&w).refused[WEIR_DOOMED], 2);
  world_close(&w);
}

TEST(who_goes_first_is_not_doomed) {
  world w;
  weir_config config = permits(1);
  config.order = WEIR_LIFO;
  measure_pace(&w, config);
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 49);
  ASK(&w, WEIR_WAITING, .deadline = w.now + 50);
  world_close(&w);
  config.order = WEIR_PRIORITY;
  measure_pace(&w, config);
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 449);
  ASK(&w, WEIR_WAITING, .deadline = w.now + 60, .priority = 1);
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 99, .priority = 1);
  world_close(&w);
}

TEST(a_new_flow_is_as_far_from_its_turn_as_there_are_flows) {
  world w;
  weir_config config = permits(1);
  config.order = WEIR_FAIR;
  measure_pace(&w, config); /* eight of one flow */
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 449);
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 99, FLOW("new"));
  ASK(&w, WEIR_WAITING, .deadline = w.now + 100, FLOW("new"));
  world_close(&w);
}

TEST(the_doomed_make_nobody_give_way) {
  world w;
  weir_config config = bounded(100, WEIR_FIFO, WEIR_OLDEST);
  measure_pace(&w, config);
  config.queue = 8;
  config.shed.doomed = true;
  world_set(&w, config);
  ASK(&w, WEIR_DOOMED, .deadline = w.now + 100);
  QUIET(&w);
  COUNTS(&w, 1, 8);
  world_close(&w);
}

CHECK_MAIN
