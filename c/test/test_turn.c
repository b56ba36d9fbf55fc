/*
** test_turn.c - whoever was decided first begins first, where processes share a
** space. world_swap goes from one port to the other.
*/
#include "commons.h"
#include "world.h"

enum { MS = 1000000, HELD = 8 * MS, MOST = 5 * MS };

/* Two permits that were held for a while come back to two who wait, the first
** in the other port; the one that acts gave them back. A permit's hold counts
** for an eighth, from none on, and others wait for a quarter of that. */
typedef struct scene {
  world w;
  weir_ticket first, second;
  uint64_t until; /* ns: how long the second is withheld */
} scene;

static void begin_with(scene *s, uint64_t held_ns) {
  uint64_t once = held_ns / 8, twice = once - once / 8 + held_ns / 8;
  weir_ticket a, b;
  world_open(&s->w, 2);
  a = HOLD(&s->w, 1);
  b = HOLD(&s->w, 1);
  world_swap(&s->w);
  s->first = WAIT(&s->w, 1);
  world_swap(&s->w);
  s->second = WAIT(&s->w, 1);
  s->w.now += held_ns;
  RELEASE(&s->w, a);
  RELEASE(&s->w, b);
  s->until = s->w.now + (twice / 4 < MOST ? twice / 4 : MOST);
}

static void begin(scene *s) { begin_with(s, HELD); }

static void end(scene *s) { world_close(&s->w); }

/* The other port's host takes the first. */
static void first_begins(scene *s) {
  world_swap(&s->w);
  NEXT(&s->w, s->first, WEIR_ADMITTED);
}

#define OF_SHARED_ONES                                                         \
  do {                                                                         \
    if (!commons_shared()) return;                                             \
  } while (0)

TEST(in_a_space_of_ones_own_nobody_is_withheld) {
  scene s;
  OF_ONES_OWN("there the order is the host's");
  begin(&s);
  CHECK(weir_pending(s.w.port));
  NEXT(&s.w, s.second, WEIR_ADMITTED);
  end(&s);
}

TEST(the_second_waits_until_the_firsts_host_comes_back) {
  scene s;
  OF_SHARED_ONES;
  begin(&s);
  QUIET(&s.w);
  CHECK(!weir_pending(s.w.port));
  CHECK_EQ(weir_waiting(s.w.port), 1);
  world_swap(&s.w);
  CHECK(weir_pending(s.w.port));
  NEXT(&s.w, s.first, WEIR_ADMITTED);
  world_swap(&s.w);
  QUIET(&s.w); /* it may not have begun */
  world_swap(&s.w);
  QUIET(&s.w); /* now it has */
  world_swap(&s.w);
  CHECK(weir_pending(s.w.port));
  NEXT(&s.w, s.second, WEIR_ADMITTED);
  end(&s);
}

TEST(whoever_gives_back_at_once_has_begun) {
  scene s;
  OF_SHARED_ONES;
  begin(&s);
  first_begins(&s);
  RELEASE(&s.w, s.first);
  world_swap(&s.w);
  NEXT(&s.w, s.second, WEIR_ADMITTED);
  end(&s);
}

/* It lags: nobody waits for it longer than that, nor for the next it has. */
static void check_until(scene *s) {
  weir_ticket third, fourth;
  CHECK_EQ(weir_deadline(s->w.port), s->until);
  CHECK_EQ(world_advance(&s->w, s->until - 1), s->until);
  QUIET(&s->w);
  world_swap(&s->w);
  third = WAIT(&s->w, 1);
  world_swap(&s->w);
  fourth = WAIT(&s->w, 1);
  world_advance(&s->w, s->until);
  NEXT(&s->w, s->second, WEIR_ADMITTED);
  world_set_limit(&s->w, 4);
  NEXT(&s->w, fourth, WEIR_ADMITTED);
  world_swap(&s->w);
  NEXT(&s->w, s->first, WEIR_ADMITTED);
  NEXT(&s->w, third, WEIR_ADMITTED);
}

TEST(the_second_waits_no_longer_than_a_quarter_of_what_permits_are_held) {
  scene s;
  OF_SHARED_ONES;
  begin(&s);
  CHECK(s.until < s.w.now + MOST);
  check_until(&s);
  end(&s);
}

TEST(nor_longer_than_five_milliseconds) {
  scene s;
  OF_SHARED_ONES;
  begin_with(&s, 1000 * (uint64_t)HELD);
  CHECK_EQ(s.until, s.w.now + MOST);
  check_until(&s);
  end(&s);
}

TEST(where_permits_are_held_for_no_time_nobody_is_withheld) {
  scene s;
  OF_SHARED_ONES;
  begin_with(&s, 0);
  NEXT(&s.w, s.second, WEIR_ADMITTED);
  end(&s);
}

TEST(refusals_are_not_withheld) {
  scene s;
  weir_ticket late;
  OF_SHARED_ONES;
  begin(&s);
  CANCEL(&s.w, s.second);
  late = WAIT_UNTIL(&s.w, 2, s.w.now + 1);
  world_advance(&s.w, s.w.now + 1);
  NEXT(&s.w, late, WEIR_TIMEOUT);
  end(&s);
}

TEST(one_is_not_withheld_for_another_key) {
  scene s;
  weir_ticket held, waits;
  OF_SHARED_ONES;
  begin(&s);
  CANCEL(&s.w, s.second);
  held = ASK(&s.w, WEIR_ADMITTED, KEY("k"), .cost = 2);
  waits = ASK(&s.w, WEIR_WAITING, KEY("k"));
  RELEASE(&s.w, held);
  NEXT(&s.w, waits, WEIR_ADMITTED);
  end(&s);
}

TEST(one_that_is_claimed_goes_out_of_turn) {
  scene s;
  weir_event event;
  OF_SHARED_ONES;
  begin(&s);
  CHECK_EQ(weir_claim(s.w.port, s.second, &event), 1);
  end(&s);
}

TEST(a_port_that_left_is_not_waited_for) {
  scene s;
  OF_SHARED_ONES;
  begin(&s);
  first_begins(&s);
  world_leave(&s.w);
  NEXT(&s.w, s.second, WEIR_ADMITTED);
  end(&s);
}

/* What was decided in the future would be waited for until then. */
TEST(a_clock_that_was_set_back_withholds_nobody) {
  scene s;
  OF_SHARED_ONES;
  begin_with(&s, 1000 * (uint64_t)HELD);
  QUIET(&s.w);
  world_advance(&s.w, s.w.now - 2000 * (uint64_t)MS);
  NEXT(&s.w, s.second, WEIR_ADMITTED);
  end(&s);
}

/* Each would be looked at every time. */
TEST(with_very_many_ports_nobody_is_withheld) {
  enum { MANY = 63 }; /* and the two that there are */
  weir_port *ports[MANY];
  scene s;
  OF_SHARED_ONES;
  begin(&s);
  for (int i = 0; i < MANY; i++) {
    QUIET(&s.w); /* 64 are not so many */
    ports[i] = weir_port_attach(s.w.space);
  }
  NEXT(&s.w, s.second, WEIR_ADMITTED);
  for (int i = 0; i < MANY; i++) weir_port_detach(ports[i], s.w.now);
  end(&s);
}

CHECK_MAIN
