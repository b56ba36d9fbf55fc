/*
** test_wheel.c - when the places of keys are given to others: as soon as they
** are idle, whatever the times, and without a look at all the others.
*/
#include <string.h>

#include "choices.h"
#include "commons.h"
#include "core/record.h"
#include "world.h"

/* --- beside a plain list -------------------------------------------------- */

enum { KEYS = 24, BOUND = 16, STEPS = 20000 };

/* What is known of a key: it is active while it has tickets or `full` is to
** come. */
typedef struct plain_key {
  weir_ticket held[4];
  int count;
  uint64_t full; /* ns: when its bucket is full again */
} plain_key;

typedef struct plain {
  world w;
  uint64_t step; /* ns that a token takes */
  plain_key keys[KEYS];
  choices from;
} plain;

static bool is_active(const plain *p, int key) {
  return p->keys[key].count || p->keys[key].full > p->w.now;
}

static bool has_room(const plain *p, int key) {
  int active = 0;
  for (int i = 0; i < KEYS; i++) active += is_active(p, i);
  return is_active(p, key) || active < BOUND;
}

static void ask(plain *p, int key) {
  plain_key *k = &p->keys[key];
  char name = (char)('a' + key);
  weir_request request = { .key = &name, .key_size = 1, .try_only = true };
  weir_ticket ticket;
  int verdict =
      weir_acquire(p->w.port, p->w.limiter, &request, p->w.now, &ticket);
  CHECK_EQ(verdict == WEIR_EXHAUSTED, !has_room(p, key));
  if (verdict != WEIR_ADMITTED) return;
  k->held[k->count++] = ticket;
  if (!p->step) return;
  k->full = (k->full > p->w.now ? k->full : p->w.now) + p->step;
}

static void give_back(plain *p, int key) {
  plain_key *k = &p->keys[key];
  if (k->count) RELEASE(&p->w, k->held[--k->count]);
}

/* Mostly a part of what a bucket takes, sometimes many times that. */
static void pass_time(plain *p) {
  uint64_t most = 1 + (p->step >> choose(&p->from, 6));
  if (once_in(&p->from, 200)) most = 1000 * (p->step + 1);
  world_advance(&p->w, p->w.now + most * choose(&p->from, 1000) / 999);
}

static void run(uint64_t per_ns, uint32_t burst, uint64_t seed) {
  weir_config config = WEIR_CONFIG_INIT;
  plain p;
  memset(&p, 0, sizeof p);
  config.concurrent = 4;
  config.keys = BOUND;
  if (per_ns) config.rate = (weir_rate){ per_ns, 0, 1, burst, 0, false };
  world_open_with(&p.w, config);
  p.step = per_ns;
  p.from = choices_of_seed(seed);
  for (int i = 0; i < STEPS; i++) {
    int key = (int)choose(&p.from, KEYS);
    switch (choose(&p.from, 4)) {
    case 0: pass_time(&p); break;
    case 1: give_back(&p, key); break;
    default: ask(&p, key); break;
    }
  }
  CHECK(world_stats(&p.w).keys <= BOUND);
  world_close(&p.w);
}

TEST(without_a_rate_a_key_is_idle_when_nobody_holds_it) { run(0, 1, 1); }
TEST(a_key_is_idle_to_the_nanosecond) { run(7, 1, 2); }
TEST(of_rates_that_recover_within_a_tick) { run(1000, 1, 3); }
TEST(of_rates_that_recover_over_all_ticks) { run(100000, 9, 4); }
TEST(of_rates_of_days) { run(86400000000000, 3, 5); }

/* --- the work of one request ---------------------------------------------- */

enum { CROWD = 5000 };

static unsigned steps; /* of the calls since it was set to 0 */

static void count_step(void *data) {
  (void)data;
  steps++;
}

typedef struct crowd {
  weir_space *space;
  weir_port *port;
  weir_limiter limiter;
  uint64_t now;
} crowd;

static int touch(crowd *c, uint32_t key) {
  weir_request request = { .key = &key, .key_size = sizeof key };
  weir_ticket ticket;
  int verdict = weir_acquire(c->port, c->limiter, &request, c->now, &ticket);
  if (verdict == WEIR_ADMITTED)
    weir_release(c->port, ticket, WEIR_DONE, c->now);
  return verdict;
}

static void touch_all(crowd *c) {
  for (uint32_t i = 0; i < CROWD; i++) CHECK_EQ(touch(c, i), WEIR_ADMITTED);
}

/* As many keys as there may be and some more, in a space whose steps are
** counted; a token takes 1,000 ns, and a full bucket ten times that. */
static void open_crowd(crowd *c, uint32_t more) {
  weir_config config = WEIR_CONFIG_INIT;
  commons_memory memory;
  config.concurrent = 1;
  config.rate = (weir_rate){ 1000, 0, 1, 10, WEIR_GCRA, false };
  config.keys = CROWD + more;
  c->space = commons_unchecked((size_t)1 << 24, &memory);
  memory.sharing->patrol_ns = WEIR_NEVER;
  c->now = 1000;
  c->port = weir_port_attach(c->space);
  CHECK_EQ(weir_limiter_open(c->space, NULL, &config, c->now, &c->limiter), 0);
  c->space->memory.commons->audit = count_step;
  touch_all(c);
}

/* All keys are used again before they would be idle, and then come due. */
static void use_again(crowd *c) {
  c->now += 500;
  touch_all(c);
  c->now += 1000;
  steps = 0;
}

static void close_crowd(crowd *c) {
  weir_port_detach(c->port, c->now);
  weir_space_free(c->space);
}

/* All keys that were used again are looked at when they would have been idle.
** A new one did all of that by itself: with a million keys that took a third of
** a second. */
TEST(a_new_key_looks_at_few_others) {
  crowd c;
  open_crowd(&c, 10);
  use_again(&c);
  CHECK_EQ(touch(&c, CROWD), WEIR_ADMITTED);
  CHECK(steps < 300); /* as many ticks as there are */
  steps = 0;
  CHECK_EQ(touch(&c, CROWD + 1), WEIR_ADMITTED);
  CHECK(steps < 16);
  close_crowd(&c);
}

TEST(one_that_finds_no_room_looks_at_a_thousand) {
  crowd c;
  open_crowd(&c, 0);
  use_again(&c);
  CHECK_EQ(touch(&c, CROWD), WEIR_EXHAUSTED);
  CHECK(steps < 1400);
  c.now += 1000;
  CHECK_EQ(touch(&c, CROWD), WEIR_ADMITTED);
  close_crowd(&c);
}

/* What is not looked at by one request is by those that follow. */
TEST(requests_for_known_keys_look_at_two) {
  crowd c;
  open_crowd(&c, 0);
  c.now += 500;
  touch_all(&c);
  c.now += 500; /* all are due now that have 1,000 ns to go */
  touch_all(&c);
  steps = 0;
  CHECK_EQ(touch(&c, CROWD), WEIR_EXHAUSTED);
  CHECK(steps < 16);
  close_crowd(&c);
}

CHECK_MAIN
