/* test_dry.c - a dry run admits everybody and counts what it would say. */
#include "world.h"

static weir_config dry(uint32_t concurrent, uint32_t queue) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = concurrent;
  config.queue = queue;
  config.dry_run = true;
  return config;
}

#define WOULD(w, verdict, n) CHECK_EQ(world_stats(w).would[verdict], n)

TEST(everybody_is_admitted_and_counted_as_it_would_have_been) {
  world w;
  world_open_with(&w, dry(2, 1));
  HOLD(&w, 1);
  HOLD(&w, 1);
  HOLD(&w, 1); /* would wait */
  HOLD(&w, 1); /* would be refused */
  HOLD(&w, 3);
  TRY(&w, 1, WEIR_ADMITTED);
  ASK(&w, WEIR_ADMITTED, .deadline = WORLD_START);
  WOULD(&w, WEIR_ADMITTED, 2);
  WOULD(&w, WEIR_WAITING, 1);
  WOULD(&w, WEIR_FULL, 3);
  WOULD(&w, WEIR_IMPOSSIBLE, 1);
  CHECK_EQ(world_stats(&w).admitted, 7);
  CHECK_EQ(world_stats(&w).refused[WEIR_FULL], 0);
  CHECK_EQ(world_stats(&w).waiting, 0);
  world_close(&w);
}

TEST(a_deadline_that_has_passed_would_be_a_timeout) {
  world w;
  world_open_with(&w, dry(1, 5));
  HOLD(&w, 1);
  ASK(&w, WEIR_ADMITTED, .deadline = WORLD_START);
  WOULD(&w, WEIR_TIMEOUT, 1);
  world_close(&w);
}

TEST(who_would_be_refused_holds_nothing_and_who_would_wait_does) {
  world w;
  weir_ticket would_wait, refused;
  world_open_with(&w, dry(1, 1));
  RELEASE(&w, HOLD(&w, 1));
  HOLD(&w, 1);
  would_wait = HOLD(&w, 1);
  refused = HOLD(&w, 1);
  COUNTS(&w, 2, 0);
  RELEASE_AS(&w, refused, WEIR_DROPPED);
  COUNTS(&w, 2, 0);
  RELEASE(&w, would_wait);
  COUNTS(&w, 1, 0);
  CHECK_EQ(world_stats(&w).dropped, 1);
  world_close(&w);
}

TEST(tokens_are_taken_as_if_those_who_wait_had_waited) {
  world w;
  weir_config config = dry(0, WEIR_UNBOUNDED);
  config.rate = (weir_rate){ 100, 0, 1, 1, WEIR_GCRA, false };
  world_open_with(&w, config);
  for (int i = 0; i < 3; i++) HOLD(&w, 1);
  TRY(&w, 1, WEIR_ADMITTED); /* takes none */
  w.now += 299;
  TRY(&w, 1, WEIR_ADMITTED);
  w.now += 1;
  TRY(&w, 1, WEIR_ADMITTED);
  WOULD(&w, WEIR_ADMITTED, 2);
  WOULD(&w, WEIR_WAITING, 2);
  WOULD(&w, WEIR_FULL, 2);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_close(&w);
}

TEST(without_a_key_left_it_would_be_exhausted) {
  world w;
  weir_config config = dry(1, 0);
  config.keys = 1;
  world_open_with(&w, config);
  ASK(&w, WEIR_ADMITTED, KEY("a"));
  RELEASE(&w, ASK(&w, WEIR_ADMITTED, KEY("b")));
  WOULD(&w, WEIR_EXHAUSTED, 1);
  COUNTS(&w, 1, 0);
  CHECK_EQ(world_stats(&w).keys, 1);
  world_close(&w);
}

TEST(a_closed_limiter_is_closed) {
  world w;
  weir_ticket held, free, drain;
  world_open_with(&w, dry(1, 0));
  held = HOLD(&w, 1);
  free = HOLD(&w, 1);
  drain = DRAIN(&w, 0, WEIR_WAITING);
  REFUSED(&w, 1, WEIR_CLOSED);
  WOULD(&w, WEIR_CLOSED, 1);
  CHECK_EQ(world_stats(&w).refused[WEIR_CLOSED], 1);
  RELEASE(&w, held);
  QUIET(&w);
  RELEASE(&w, free);
  NEXT(&w, drain, WEIR_ADMITTED);
  world_close(&w);
}

TEST(those_who_wait_go_when_a_dry_run_begins) {
  world w;
  weir_ticket waits[3];
  world_open(&w, 1);
  HOLD(&w, 1);
  for (int i = 0; i < 3; i++) waits[i] = WAIT_UNTIL(&w, 1, 5000);
  world_set(&w, dry(1, 0));
  for (int i = 0; i < 3; i++) NEXT(&w, waits[i], WEIR_ADMITTED);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  WOULD(&w, WEIR_ADMITTED, 0); /* it was asked before */
  COUNTS(&w, 4, 0);
  world_close(&w);
}

TEST(what_was_admitted_too_much_is_made_up_for_when_it_ends) {
  world w;
  weir_ticket held[3], waits;
  weir_config config = dry(1, 5);
  world_open_with(&w, config);
  for (int i = 0; i < 3; i++) held[i] = HOLD(&w, 1);
  config.dry_run = false;
  world_set(&w, config);
  waits = WAIT(&w, 1);
  RELEASE(&w, held[0]);
  RELEASE(&w, held[1]);
  QUIET(&w);
  RELEASE(&w, held[2]);
  NEXT(&w, waits, WEIR_ADMITTED);
  WOULD(&w, WEIR_WAITING, 2);
  world_close(&w);
}

TEST(the_port_gives_back_what_holds_nothing) {
  world w;
  world_open_with(&w, dry(1, 0));
  world_swap(&w);
  HOLD(&w, 1);
  HOLD(&w, 1);
  world_leave(&w);
  COUNTS(&w, 0, 0);
  CHECK_EQ(world_stats(&w).dropped, 2);
  DRAIN(&w, 0, WEIR_ADMITTED);
  world_close(&w);
}

CHECK_MAIN
