/* test_key.c - keys: made by use, independent, and gone when nobody needs
** them, and only then. */
#include "choices.h"
#include "commons.h"
#include "world.h"

enum { T0 = WORLD_START, PER = 100 };

/* One permit for a key, and so many keys. */
static weir_config keyed(uint32_t keys) {
  weir_config config = WEIR_CONFIG_INIT;
  config.keys = keys;
  return config;
}

static weir_config keyed_rate(uint32_t keys, uint32_t burst) {
  weir_config config = keyed(keys);
  config.concurrent = 0;
  config.rate = (weir_rate){ PER, 0, 1, burst, WEIR_GCRA, false };
  return config;
}

#define HOLD_KEY(w, key) ASK(w, WEIR_ADMITTED, KEY(key))
#define WAIT_KEY(w, key) ASK(w, WEIR_WAITING, KEY(key))
#define KEYS(w, n) CHECK_EQ(world_stats(w).keys, n)

/* A request for the i-th of many keys; its key is the caller's. */
static weir_request numbered(const uint32_t *i) {
  return (weir_request){ .key = i, .key_size = sizeof *i };
}

/* --- made and used -------------------------------------------------------- */

TEST(keys_are_made_by_use_and_have_permits_of_their_own) {
  world w;
  weir_ticket a, waits;
  world_open(&w, 1);
  a = HOLD_KEY(&w, "a");
  HOLD_KEY(&w, "b");
  HOLD(&w, 1); /* without a key is another one */
  waits = WAIT_KEY(&w, "a");
  ASK(&w, WEIR_FULL, KEY("b"), .try_only = true);
  COUNTS(&w, 3, 1);
  KEYS(&w, 2);
  RELEASE(&w, a);
  NEXT(&w, waits, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(a_key_of_one_limiter_is_not_that_of_another) {
  weir_config one = WEIR_CONFIG_INIT;
  world w;
  world_open(&w, 1);
  HOLD_KEY(&w, "a");
  CHECK_EQ(weir_limiter_open(w.space, NULL, &one, w.now, &w.limiter), 0);
  HOLD_KEY(&w, "a");
  KEYS(&w, 1);
  world_close(&w);
}

TEST(keys_differ_in_every_byte_and_in_length) {
  world w;
  world_open(&w, 1);
  ASK(&w, WEIR_ADMITTED, KEY(""));
  ASK(&w, WEIR_ADMITTED, .key = NULL);
  ASK(&w, WEIR_ADMITTED, KEY("\0"));
  ASK(&w, WEIR_ADMITTED, KEY("\0\0"));
  ASK(&w, WEIR_ADMITTED, KEY("a\0b"));
  ASK(&w, WEIR_ADMITTED, KEY("a\0c"));
  ASK(&w, WEIR_ADMITTED, KEY("a"));
  ASK(&w, WEIR_FULL, KEY(""), .try_only = true);
  ASK(&w, WEIR_FULL, KEY("a\0b"), .try_only = true);
  KEYS(&w, 6);
  world_close(&w);
}

TEST(a_key_is_as_long_as_it_may_be_and_no_longer) {
  static char longest[WEIR_KEY_MAX + 1];
  world w;
  world_open(&w, 1);
  ASK(&w, WEIR_ADMITTED, .key = longest, .key_size = WEIR_KEY_MAX);
  longest[WEIR_KEY_MAX - 1] = 1;
  ASK(&w, WEIR_ADMITTED, .key = longest, .key_size = WEIR_KEY_MAX);
  ASK(&w, WEIR_E_CONFIG, .key = longest, .key_size = WEIR_KEY_MAX + 1);
  KEYS(&w, 2);
  world_close(&w);
}

TEST(a_refusal_makes_no_key) {
  world w;
  world_open(&w, 1);
  ASK(&w, WEIR_IMPOSSIBLE, KEY("a"), .cost = 2);
  ASK(&w, WEIR_E_CONFIG, KEY("a"), .priority = WEIR_PRIORITY_MAX + 1);
  CHECK_EQ(weir_limiter_close(w.space, w.limiter, w.now), 0);
  ASK(&w, WEIR_CLOSED, KEY("a"));
  KEYS(&w, 0);
  world_close(&w);
}

TEST(rates_are_each_keys_own) {
  world w;
  weir_ticket a, b;
  world_open_with(&w, keyed_rate(0, 1));
  HOLD_KEY(&w, "a");
  w.now += 40;
  HOLD_KEY(&w, "b");
  b = WAIT_KEY(&w, "b");
  a = WAIT_KEY(&w, "a");
  DUE(&w, a, T0 + PER);
  DUE(&w, b, T0 + PER + 40);
  world_close(&w);
}

/* --- recycled ------------------------------------------------------------- */

TEST(a_key_that_is_held_or_waited_for_stays) {
  world w;
  weir_ticket held, waits;
  world_open_with(&w, keyed(1));
  held = HOLD_KEY(&w, "a");
  waits = WAIT_KEY(&w, "a");
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  RELEASE(&w, held); /* granted, not taken */
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  NEXT(&w, waits, WEIR_ADMITTED);
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  RELEASE(&w, waits);
  HOLD_KEY(&w, "b");
  KEYS(&w, 1);
  CHECK_EQ(world_key(&w, "a", 1).admitted, 0); /* as if never used */
  CHECK_EQ(world_stats(&w).refused[WEIR_EXHAUSTED], 3);
  world_close(&w);
}

TEST(a_key_stays_until_its_bucket_is_full_again) {
  world w;
  world_open_with(&w, keyed_rate(1, 3));
  RELEASE(&w, HOLD_KEY(&w, "a"));
  RELEASE(&w, HOLD_KEY(&w, "a"));
  w.now = T0 + 2 * PER - 1;
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  RELEASE(&w, HOLD_KEY(&w, "a")); /* used again before it was idle */
  w.now = T0 + 3 * PER - 1;
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  w.now = T0 + 3 * PER;
  HOLD_KEY(&w, "b");
  world_close(&w);
}

TEST(a_key_whose_tokens_came_back_unused_is_idle_at_once) {
  world w;
  world_open_with(&w, keyed_rate(1, 2));
  RELEASE_AS(&w, HOLD_KEY(&w, "a"), WEIR_UNUSED);
  HOLD_KEY(&w, "b");
  world_close(&w);
}

/* It was idle by then, and yet its place said otherwise. */
TEST(a_key_whose_rate_changed_while_it_was_held_goes_when_it_is_idle) {
  world w;
  weir_ticket held;
  weir_config config = keyed_rate(1, 2);
  world_open_with(&w, config);
  RELEASE(&w, HOLD_KEY(&w, "a"));
  held = HOLD_KEY(&w, "a");
  config.rate.per_ns = 10 * PER;
  world_set(&w, config);
  RELEASE_AS(&w, held, WEIR_UNUSED);
  w.now = T0 + 10 * PER - 1;
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  w.now = T0 + 10 * PER;
  HOLD_KEY(&w, "b");
  world_close(&w);
}

TEST(a_new_rate_counts_for_idle_keys) {
  world w;
  weir_config config = keyed_rate(1, 1);
  world_open_with(&w, config);
  RELEASE(&w, HOLD_KEY(&w, "a"));
  config.rate.per_ns = 50;
  world_set(&w, config);
  w.now = T0 + 49;
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  w.now = T0 + 50;
  HOLD_KEY(&w, "b");
  world_close(&w);
}

enum { CROWD = 600 };

static void hold_crowd(world *w, weir_ticket *tickets, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    tickets[i] = world_acquire(HERE, w, numbered(&i), WEIR_ADMITTED);
}

/* Only the first 256 that had ever been idle were looked at. */
TEST(one_idle_key_among_many_that_are_used_again_is_found) {
  static weir_ticket tickets[CROWD];
  world w;
  world_open_with(&w, keyed(CROWD));
  hold_crowd(&w, tickets, CROWD);
  for (int i = 0; i < CROWD; i++) RELEASE(&w, tickets[i]);
  hold_crowd(&w, tickets, CROWD - 1);
  HOLD_KEY(&w, "new");
  ASK(&w, WEIR_EXHAUSTED, KEY("newer"));
  KEYS(&w, CROWD);
  world_close(&w);
}

TEST(many_idle_keys_are_recycled_one_for_one) {
  static weir_ticket tickets[CROWD];
  world w;
  world_open_with(&w, keyed(CROWD));
  hold_crowd(&w, tickets, CROWD);
  for (int i = 0; i < CROWD; i++) RELEASE(&w, tickets[i]);
  for (uint32_t i = CROWD; i < 2 * CROWD; i++)
    world_acquire(HERE, &w, numbered(&i), WEIR_ADMITTED);
  ASK(&w, WEIR_EXHAUSTED, KEY("another"));
  KEYS(&w, CROWD);
  world_close(&w);
}

TEST(without_a_key_left_some_are_passed_and_hold_nothing) {
  world w;
  weir_ticket passed;
  weir_config config = keyed(1);
  config.pass_exhausted = true;
  world_open_with(&w, config);
  RELEASE(&w, HOLD(&w, 1));
  HOLD_KEY(&w, "a");
  passed = HOLD_KEY(&w, "b");
  RELEASE(&w, HOLD_KEY(&w, "b"));
  COUNTS(&w, 1, 0);
  KEYS(&w, 1);
  HOLD(&w, 1); /* nobody else's permit was taken */
  RELEASE_AS(&w, passed, WEIR_DROPPED);
  COUNTS(&w, 2, 0);
  CHECK_EQ(world_stats(&w).admitted, 5);
  CHECK_EQ(world_stats(&w).refused[WEIR_EXHAUSTED], 0);
  world_close(&w);
}

TEST(a_drain_waits_for_those_who_were_passed) {
  world w;
  weir_ticket held, passed, drain;
  weir_config config = keyed(1);
  config.pass_exhausted = true;
  world_open_with(&w, config);
  held = HOLD_KEY(&w, "a");
  passed = HOLD_KEY(&w, "b");
  drain = DRAIN(&w, 0, WEIR_WAITING);
  RELEASE(&w, held);
  QUIET(&w);
  RELEASE(&w, passed);
  NEXT(&w, drain, WEIR_ADMITTED);
  world_close(&w);
}

TEST(the_number_of_keys_is_raised_and_lowered) {
  world w;
  weir_ticket a, b;
  world_open_with(&w, keyed(1));
  a = HOLD_KEY(&w, "a");
  ASK(&w, WEIR_EXHAUSTED, KEY("b"));
  world_set(&w, keyed(3));
  b = HOLD_KEY(&w, "b");
  HOLD_KEY(&w, "c");
  ASK(&w, WEIR_EXHAUSTED, KEY("d"));
  world_set(&w, keyed(2));
  COUNTS(&w, 3, 0); /* nobody loses its key */
  RELEASE(&w, a);
  ASK(&w, WEIR_EXHAUSTED, KEY("d"));
  RELEASE(&w, b);
  HOLD_KEY(&w, "d");
  ASK(&w, WEIR_EXHAUSTED, KEY("e"));
  KEYS(&w, 2);
  world_close(&w);
}

TEST(a_lower_number_of_keys_holds_as_soon_as_there_are_idle_ones) {
  static weir_ticket tickets[CROWD];
  world w;
  world_open_with(&w, keyed(CROWD));
  hold_crowd(&w, tickets, CROWD);
  world_set(&w, keyed(5));
  for (int i = 0; i < CROWD - 5; i++) RELEASE(&w, tickets[i]);
  ASK(&w, WEIR_EXHAUSTED, KEY("new"));
  RELEASE(&w, tickets[CROWD - 1]);
  HOLD_KEY(&w, "new");
  KEYS(&w, 5);
  world_close(&w);
}

TEST(as_many_keys_as_one_likes_pass_through_a_bounded_table) {
  enum { MANY = 100000, BOUND = 1000 };
  world w;
  size_t live = 0;
  world_open_with(&w, keyed(BOUND));
  for (uint32_t i = 0; i < MANY; i++) {
    weir_request request = numbered(&i);
    weir_ticket ticket;
    CHECK_EQ(weir_acquire(w.port, w.limiter, &request, w.now, &ticket), 0);
    RELEASE(&w, ticket);
    if (i == BOUND) live = w.memory.live;
  }
  CHECK(world_stats(&w).keys <= BOUND);
  CHECK_EQ(w.memory.live, live);
  world_close(&w);
}

TEST(a_flood_of_new_keys_takes_no_more_than_their_number) {
  enum { MANY = 20000, BOUND = 1000 };
  world w;
  world_open_with(&w, keyed_rate(BOUND, 1)); /* a key is idle after 100 ns */
  for (uint32_t i = 0; i < MANY; i++, w.now += i % 25 == 0) {
    weir_request request = numbered(&i);
    weir_ticket ticket;
    if (weir_acquire(w.port, w.limiter, &request, w.now, &ticket) == 0)
      RELEASE(&w, ticket);
  }
  CHECK_EQ(world_stats(&w).keys, BOUND);
  CHECK(world_stats(&w).admitted >= MANY / 25 / PER * BOUND);
  CHECK_EQ(world_stats(&w).refused[WEIR_EXHAUSTED] + world_stats(&w).admitted,
           MANY);
  world_close(&w);
}

/* Blocks grow by half, so the last growth may not be used yet. */
TEST(a_key_takes_128_bytes_at_most) {
  enum { MANY = 100000 };
  world w;
  size_t before;
  world_open_with(&w, keyed_rate(MANY, 1));
  RELEASE(&w, HOLD(&w, 1));
  before = w.memory.live;
  for (uint32_t i = 0; i < MANY; i++) {
    weir_request request = numbered(&i);
    weir_ticket ticket;
    CHECK_EQ(weir_acquire(w.port, w.limiter, &request, w.now, &ticket), 0);
    RELEASE(&w, ticket);
  }
  KEYS(&w, MANY);
  CHECK(w.memory.live - before <= (size_t)MANY * 128 * 3 / 2 + 4096);
  world_close(&w);
}

/* --- the seed ------------------------------------------------------------- */

/* What a random run shows to the outside, mixed into a number. */
static uint64_t run_seeded(const char *seed) {
  choices from = choices_of_seed(11);
  weir_ticket tickets[64] = { 0 };
  uint64_t shown = 0;
  world w;
  world_open_with(&w, keyed_rate(20, 2));
  if (seed) weir_space_seed(w.space, seed);
  for (int i = 0; i < 3000; i++) {
    uint32_t key = choose(&from, 40), slot = choose(&from, 64);
    weir_request request = numbered(&key);
    weir_event event = { .cookie = 0 };
    weir_release(w.port, tickets[slot], WEIR_DONE, w.now);
    shown = shown * 31 + (uint64_t)weir_acquire(w.port, w.limiter, &request,
                                                w.now, &tickets[slot]);
    shown = shown * 31 + world_advance(&w, w.now + choose(&from, 9));
    while (weir_next(w.port, &event)) shown = shown * 31 + event.ticket;
  }
  world_close(&w);
  return shown;
}

TEST(the_seed_changes_nothing_that_is_seen) {
  uint64_t without = run_seeded(NULL);
  CHECK_EQ(run_seeded("sixteen bytes...\0"), without);
  CHECK_EQ(run_seeded("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF another"), without);
}

/* --- the end -------------------------------------------------------------- */

TEST(closing_refuses_the_waiters_of_every_key) {
  world w;
  weir_ticket held, a, b;
  world_open(&w, 1);
  held = HOLD_KEY(&w, "a");
  HOLD_KEY(&w, "b");
  a = WAIT_KEY(&w, "a");
  b = WAIT_KEY(&w, "b");
  CHECK_EQ(weir_limiter_close(w.space, w.limiter, w.now), 0);
  NEXT(&w, a, WEIR_CLOSED);
  NEXT(&w, b, WEIR_CLOSED);
  QUIET(&w);
  RELEASE(&w, held);
  ASK(&w, WEIR_CLOSED, KEY("a"));
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(a_drain_waits_for_every_key) {
  world w;
  weir_ticket a, b, waits, drain;
  world_open(&w, 1);
  a = HOLD_KEY(&w, "a");
  b = HOLD_KEY(&w, "b");
  waits = WAIT_KEY(&w, "b");
  drain = DRAIN(&w, 0, WEIR_WAITING);
  RELEASE(&w, a);
  RELEASE(&w, b);
  NEXT(&w, waits, WEIR_ADMITTED);
  QUIET(&w);
  RELEASE(&w, waits);
  NEXT(&w, drain, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_port_that_leaves_gives_back_what_it_had_of_every_key) {
  world w;
  weir_ticket a, b;
  world_open(&w, 1);
  HOLD_KEY(&w, "a");
  HOLD_KEY(&w, "b");
  WAIT_KEY(&w, "b");
  world_swap(&w);
  a = WAIT_KEY(&w, "a");
  b = WAIT_KEY(&w, "b");
  world_swap(&w);
  world_leave(&w);
  NEXT(&w, a, WEIR_ADMITTED);
  NEXT(&w, b, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 2, 0);
  CHECK_EQ(world_stats(&w).dropped, 2);
  world_close(&w);
}

/* A limiter that is used with keys and dropped, as in each of many tests. */
static void use_and_drop(world *w) {
  weir_config config = keyed_rate(0, 5);
  weir_ticket held;
  config.order = WEIR_FAIR;
  config.shed.codel = true;
  CHECK_EQ(weir_limiter_open(w->space, "again", &config, w->now, &w->limiter),
           0);
  KEYS(w, 0);
  for (uint32_t i = 0; i < 50; i++)
    RELEASE(w, world_acquire(HERE, w, numbered(&i), WEIR_ADMITTED));
  held = HOLD_KEY(w, "held");
  CHECK_EQ(weir_limiter_drop(w->space, w->limiter), 0);
  KEYS(w, 51);
  RELEASE(w, held);
  CHECK(weir_limiter_name(w->space, w->limiter) == NULL);
}

TEST(a_limiter_that_is_dropped_leaves_no_keys_behind) {
  OF_ONES_OWN("named limiters stay");
  world w;
  size_t live;
  world_open(&w, 1);
  use_and_drop(&w);
  live = w.memory.live;
  for (int i = 0; i < 20; i++) use_and_drop(&w);
  CHECK_EQ(w.memory.live, live);
  world_close(&w);
}

CHECK_MAIN
