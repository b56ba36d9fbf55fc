/* test_name.c - limiters that are found by name, and when they go. */
#include <string.h>

#include "commons.h"
#include "world.h"

/* Opens by name; answers the handle, 0 where `answer` is an error. */
static weir_limiter open_at(check_place place, world *w, const char *name,
                            uint32_t concurrent, int answer) {
  weir_config config = WEIR_CONFIG_INIT;
  weir_limiter limiter = 1;
  int got;
  config.concurrent = concurrent;
  got = weir_limiter_open(w->space, name, &config, w->now, &limiter);
  check_equal(place, "answer", (uint64_t)got, (uint64_t)answer);
  check_equal(place, "a limiter comes", limiter != 0, answer == 0);
  return limiter;
}

#define OPEN(w, name, concurrent) open_at(HERE, w, name, concurrent, 0)

TEST(the_same_name_is_the_same_limiter) {
  world w;
  weir_limiter a, b;
  world_open(&w, 1);
  a = OPEN(&w, "api", 2);
  b = OPEN(&w, "web", 2);
  CHECK(a != b);
  CHECK_EQ(OPEN(&w, "api", 2), a);
  CHECK_EQ(OPEN(&w, "web", 2), b);
  world_close(&w);
}

TEST(without_a_name_each_is_another) {
  world w;
  weir_limiter a, b, c;
  world_open(&w, 1);
  a = OPEN(&w, NULL, 1);
  b = OPEN(&w, "", 1);
  c = OPEN(&w, "", 1);
  CHECK(a != b && b != c && a != c && a != w.limiter);
  world_close(&w);
}

TEST(names_differ_in_their_last_byte_and_in_length) {
  world w;
  weir_limiter a;
  world_open(&w, 1);
  a = OPEN(&w, "api", 1);
  CHECK(OPEN(&w, "apj", 1) != a);
  CHECK(OPEN(&w, "ap", 1) != a);
  CHECK(OPEN(&w, "apis", 1) != a);
  CHECK(OPEN(&w, "API", 1) != a);
  world_close(&w);
}

TEST(a_name_has_at_most_63_bytes) {
  char name[WEIR_NAME_MAX + 2];
  world w;
  weir_limiter longest;
  world_open(&w, 1);
  memset(name, 'n', sizeof name);
  name[WEIR_NAME_MAX + 1] = '\0';
  open_at(HERE, &w, name, 1, WEIR_E_CONFIG);
  name[WEIR_NAME_MAX] = '\0';
  longest = OPEN(&w, name, 1);
  CHECK_EQ(OPEN(&w, name, 1), longest);
  name[WEIR_NAME_MAX - 1] = '\0';
  CHECK(OPEN(&w, name, 1) != longest);
  world_close(&w);
}

TEST(opening_again_configures_as_by_set) {
  world w;
  weir_ticket waits;
  world_open(&w, 1);
  w.limiter = OPEN(&w, "api", 1);
  HOLD(&w, 1);
  waits = WAIT(&w, 1);
  OPEN(&w, "api", 2);
  NEXT(&w, waits, WEIR_ADMITTED);
  CHECK_EQ(world_stats(&w).limit, 2);
  CHECK_EQ(world_stats(&w).admitted, 2);
  world_close(&w);
}

TEST(a_bad_config_on_opening_again_changes_nothing) {
  world w;
  weir_config config;
  world_open(&w, 1);
  w.limiter = OPEN(&w, "api", 5);
  open_at(HERE, &w, "api", 0, WEIR_E_CONFIG);
  CHECK_EQ(weir_limiter_config(w.space, w.limiter, &config), 0);
  CHECK_EQ(config.concurrent, 5);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0); /* one open, one drop */
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), WEIR_E_STALE);
  world_close(&w);
}

TEST(each_open_wants_one_drop) {
  OF_ONES_OWN("named limiters stay");
  world w;
  weir_limiter limiter;
  world_open(&w, 1);
  limiter = OPEN(&w, "api", 1);
  OPEN(&w, "api", 1);
  CHECK_EQ(weir_limiter_drop(w.space, limiter), 0);
  CHECK_EQ(OPEN(&w, "api", 1), limiter);
  CHECK_EQ(weir_limiter_drop(w.space, limiter), 0);
  CHECK_EQ(weir_limiter_drop(w.space, limiter), 0);
  CHECK_EQ(weir_limiter_drop(w.space, limiter), WEIR_E_STALE);
  CHECK(OPEN(&w, "api", 1) != limiter);
  world_close(&w);
}

TEST(a_dropped_limiter_lives_as_long_as_its_tickets) {
  world w;
  weir_ticket held, waits;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), WEIR_E_STALE);
  COUNTS(&w, 1, 1);
  RELEASE(&w, held);
  NEXT(&w, waits, WEIR_ADMITTED);
  COUNTS(&w, 1, 0);
  RELEASE(&w, waits);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), WEIR_E_STALE);
  world_close(&w);
}

/* Each way in which a ticket can end must let go of the limiter. */
TEST(any_end_of_the_last_ticket_frees_a_dropped_limiter) {
  enum { CANCELED, GRANT_CANCELED, TIMED_OUT, CLOSED, ENDS };
  for (int end = 0; end < ENDS; end++) {
    world w;
    weir_ticket held, waits;
    weir_stats stats;
    world_open(&w, 1);
    held = HOLD(&w, 1);
    waits = WAIT_UNTIL(&w, 1, 2000);
    CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0);
    if (end == TIMED_OUT) world_advance(&w, 2000);
    if (end == CLOSED) weir_limiter_close(w.space, w.limiter, w.now);
    if (end == CANCELED) CANCEL(&w, waits);
    RELEASE(&w, held);
    if (end == GRANT_CANCELED) CANCEL(&w, waits);
    if (end == TIMED_OUT) NEXT(&w, waits, WEIR_TIMEOUT);
    if (end == CLOSED) NEXT(&w, waits, WEIR_CLOSED);
    CHECK_EQ(weir_limiter_stats(w.space, w.limiter, &stats), WEIR_E_STALE);
    world_close(&w);
  }
}

TEST(a_name_can_be_opened_again_while_tickets_keep_its_limiter) {
  world w;
  weir_ticket held;
  world_open(&w, 1);
  w.limiter = OPEN(&w, "api", 1);
  held = HOLD(&w, 1);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0);
  CHECK_EQ(OPEN(&w, "api", 1), w.limiter);
  RELEASE(&w, held);
  COUNTS(&w, 0, 0);
  world_close(&w);
}

TEST(a_closed_limiter_has_lost_its_name) {
  world w;
  weir_limiter closed;
  world_open(&w, 1);
  w.limiter = closed = OPEN(&w, "api", 1);
  CHECK_EQ(weir_limiter_close(w.space, closed, w.now), 0);
  w.limiter = OPEN(&w, "api", 1);
  CHECK(w.limiter != closed);
  HOLD(&w, 1);
  CHECK_EQ(OPEN(&w, "api", 1), w.limiter);
  CHECK_EQ(weir_limiter_drop(w.space, closed), 0);
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(a_drained_limiter_has_lost_its_name) {
  world w;
  weir_limiter drained;
  world_open(&w, 1);
  w.limiter = drained = OPEN(&w, "api", 1);
  DRAIN(&w, 0, WEIR_ADMITTED);
  CHECK(OPEN(&w, "api", 1) != drained);
  world_close(&w);
}

TEST(limiters_do_not_feel_each_other) {
  world w;
  weir_limiter a, b;
  world_open(&w, 1);
  a = OPEN(&w, "a", 1);
  b = OPEN(&w, "b", 1);
  w.limiter = a;
  HOLD(&w, 1);
  WAIT(&w, 1);
  w.limiter = b;
  HOLD(&w, 1);
  CHECK_EQ(weir_limiter_close(w.space, b, w.now), 0);
  w.limiter = a;
  COUNTS(&w, 1, 1);
  CHECK(!world_stats(&w).closed);
  world_close(&w);
}

TEST(a_space_holds_many_limiters) {
  enum { MANY = 1000 };
  static weir_limiter limiters[MANY];
  world w;
  world_open(&w, 1);
  for (uint32_t i = 0; i < MANY; i++) limiters[i] = OPEN(&w, NULL, i + 1);
  for (uint32_t i = 0; i < MANY; i++) {
    w.limiter = limiters[i];
    CHECK_EQ(world_stats(&w).limit, i + 1);
    HOLD(&w, i + 1);
    TRY(&w, 1, WEIR_FULL);
  }
  world_close(&w);
}

CHECK_MAIN
