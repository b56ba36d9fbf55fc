/*
** test_port.c - several users of one space. world_swap goes from one to the
** other, world_leave detaches the one that acts.
*/
#include <stdlib.h>

#include "commons.h"
#include "world.h"

TEST(a_port_knows_its_space_and_has_no_descriptor_in_a_local_one) {
  world w;
  world_open(&w, 1);
  CHECK(weir_port_space(w.port) == w.space);
  if (!commons_shared()) CHECK_EQ(weir_fd(w.port), -1);
  world_close(&w);
}

TEST(ports_share_a_limit_and_one_order_of_arrival) {
  world w;
  weir_ticket held, first, second;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  world_swap(&w);
  first = WAIT(&w, 1);
  world_swap(&w);
  second = WAIT(&w, 1);
  RELEASE(&w, held);
  QUIET(&w); /* the permit went to the other port's waiter */
  world_swap(&w);
  NEXT(&w, first, WEIR_ADMITTED);
  RELEASE(&w, first);
  QUIET(&w);
  world_leave(&w);
  NEXT(&w, second, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_port_expires_only_its_own_deadlines) {
  world w;
  weir_ticket mine, theirs;
  world_open(&w, 1);
  HOLD(&w, 1);
  mine = WAIT_UNTIL(&w, 1, 3000);
  world_swap(&w);
  theirs = WAIT_UNTIL(&w, 1, 2000);
  world_swap(&w);
  CHECK_EQ(weir_deadline(w.port), 3000);
  CHECK_EQ(world_advance(&w, 2500), 3000);
  world_swap(&w);
  QUIET(&w);
  CHECK_EQ(world_advance(&w, 2500), WEIR_NEVER);
  NEXT(&w, theirs, WEIR_TIMEOUT);
  world_leave(&w);
  world_advance(&w, 3000);
  NEXT(&w, mine, WEIR_TIMEOUT);
  world_close(&w);
}

TEST(a_timeout_in_one_port_wakes_who_fits_in_another) {
  world w;
  weir_ticket light;
  world_open(&w, 5);
  HOLD(&w, 3);
  WAIT_UNTIL(&w, 5, 2000);
  world_swap(&w);
  light = WAIT(&w, 1);
  world_swap(&w);
  world_advance(&w, 2000);
  world_swap(&w);
  NEXT(&w, light, WEIR_ADMITTED);
  world_leave(&w);
  world_close(&w);
}

TEST(detaching_gives_back_what_was_held_and_wakes_the_others) {
  world w;
  weir_ticket a, b;
  world_open(&w, 2);
  world_swap(&w);
  HOLD(&w, 1);
  HOLD(&w, 1);
  world_swap(&w);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  world_swap(&w);
  world_leave(&w);
  NEXT(&w, a, WEIR_ADMITTED);
  NEXT(&w, b, WEIR_ADMITTED);
  QUIET(&w);
  CHECK_EQ(world_stats(&w).dropped, 2);
  COUNTS(&w, 2, 0);
  world_close(&w);
}

TEST(detaching_withdraws_those_who_wait_and_wakes_who_is_behind_them) {
  world w;
  weir_ticket light;
  world_open(&w, 3);
  HOLD(&w, 1);
  world_swap(&w);
  WAIT_UNTIL(&w, 3, 5000);
  world_swap(&w);
  light = WAIT(&w, 1);
  world_swap(&w);
  world_leave(&w);
  NEXT(&w, light, WEIR_ADMITTED);
  QUIET(&w);
  COUNTS(&w, 2, 0);
  world_close(&w);
}

TEST(detaching_gives_back_a_grant_that_was_not_taken) {
  world w;
  weir_ticket held, mine;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  world_swap(&w);
  WAIT(&w, 1);
  world_swap(&w);
  mine = WAIT(&w, 1);
  RELEASE(&w, held); /* to the other port, which never takes it */
  world_swap(&w);
  world_leave(&w);
  NEXT(&w, mine, WEIR_ADMITTED);
  COUNTS(&w, 1, 0);
  world_close(&w);
}

TEST(a_port_that_holds_and_waits_hands_nothing_to_itself_on_its_way_out) {
  world w;
  world_open(&w, 1);
  world_swap(&w);
  HOLD(&w, 1);
  WAIT(&w, 1);
  WAIT_UNTIL(&w, 1, 5000);
  PARK(&w, 0);
  PARK(&w, 5000);
  DRAIN(&w, 0, WEIR_WAITING);
  world_leave(&w);
  COUNTS(&w, 0, 0);
  CHECK_EQ(world_stats(&w).admitted, 1);
  CHECK_EQ(world_stats(&w).refused[WEIR_CANCELED], 2);
  QUIET(&w);
  world_close(&w);
}

/* Its first waiter cannot go, and once the port is leaving, the second one
** must not be handed what nobody will take: it would be counted as admitted. */
TEST(a_detaching_port_admits_none_of_its_own_waiters) {
  world w;
  world_open(&w, 3);
  HOLD(&w, 1);
  world_swap(&w);
  WAIT(&w, 3);
  WAIT(&w, 1);
  WAIT(&w, 1);
  world_leave(&w);
  COUNTS(&w, 1, 0);
  CHECK_EQ(world_stats(&w).admitted, 1);
  CHECK_EQ(world_stats(&w).refused[WEIR_CANCELED], 3);
  world_close(&w);
}

TEST(tickets_of_a_detached_port_are_stale_for_its_successor) {
  world w;
  weir_ticket held, waits;
  world_open(&w, 1);
  world_swap(&w);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  world_leave(&w);
  world_swap(&w); /* attaches anew and takes the same record */
  CHECK_EQ(weir_release(w.port, held, WEIR_DONE, w.now), WEIR_E_STALE);
  CHECK_EQ(weir_cancel(w.port, waits, w.now), WEIR_E_STALE);
  QUIET(&w);
  world_leave(&w);
  world_close(&w);
}

TEST(a_limiter_outlives_the_port_that_used_it) {
  world w;
  world_open(&w, 1);
  world_swap(&w);
  HOLD(&w, 1);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0);
  COUNTS(&w, 1, 0); /* kept by its ticket */
  world_leave(&w);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), WEIR_E_STALE);
  world_close(&w);
}

TEST(a_walk_visits_every_live_ticket_of_its_port_once) {
  enum { SOME = 30 };
  world w;
  weir_ticket_info info;
  uint32_t cursor = 0;
  unsigned seen = 0;
  world_open(&w, SOME);
  world_swap(&w);
  for (int i = 0; i < SOME / 2; i++) {
    HOLD(&w, 1);
    world_swap(&w);
    HOLD(&w, 1);
    world_swap(&w);
  }
  while (weir_ticket_walk(w.port, &cursor, w.now, &info)) {
    CHECK_EQ(weir_ticket_inspect(w.port, info.ticket, w.now, &info), 0);
    seen++;
  }
  CHECK_EQ(seen, SOME / 2);
  world_leave(&w);
  world_close(&w);
}

static void check_info(world *w, weir_ticket ticket, weir_ticket_info wanted) {
  weir_ticket_info got = { 0 };
  CHECK_EQ(weir_ticket_inspect(w->port, ticket, w->now, &got), 0);
  CHECK_EQ(got.ticket, ticket);
  CHECK_EQ(got.limiter, wanted.limiter);
  CHECK_EQ(got.cookie, wanted.cookie);
  CHECK_EQ(got.since, wanted.since);
  CHECK_EQ(got.cost, wanted.cost);
  CHECK_EQ(got.state, wanted.state);
  CHECK_EQ(got.bound, wanted.bound);
  CHECK_TEXT(got.key, wanted.key);
}

TEST(a_ticket_says_whose_it_is_and_since_when) {
  world w;
  weir_ticket held, waits;
  weir_event event;
  world_open(&w, 2);
  held = world_acquire(HERE, &w, REQUEST(.cost = 2, .cookie = 8), 0);
  check_info(&w, held,
             (weir_ticket_info){ 0, w.limiter, 8, WORLD_START, 2, WEIR_HELD,
                                 WEIR_BY_NOTHING, "", 0, 0 });
  w.now = 1100;
  waits = WAIT(&w, 1);
  w.now = 1200;
  check_info(&w, waits,
             (weir_ticket_info){ 0, w.limiter, 0, 1100, 1, WEIR_QUEUED,
                                 WEIR_BY_PERMITS, "", 0, 0 });
  RELEASE(&w, held);
  check_info(&w, waits,
             (weir_ticket_info){ 0, w.limiter, 0, 1200, 1, WEIR_READY,
                                 WEIR_BY_NOTHING, "", 0, 0 });
  w.now = 1300;
  CHECK_EQ(weir_claim(w.port, waits, &event), 1);
  check_info(&w, waits,
             (weir_ticket_info){ 0, w.limiter, 0, 1200, 1, WEIR_HELD,
                                 WEIR_BY_NOTHING, "", 0, 0 });
  check_info(&w, PARK(&w, 0),
             (weir_ticket_info){ 0, 0, 0, 0, 0, WEIR_QUEUED, WEIR_BY_NOTHING,
                                 "", 0, 0 });
  world_close(&w);
}

TEST(a_space_takes_65535_ports_and_a_shared_one_4095) {
  const int PORTS = commons_shared() ? 4095 : 65535;
  weir_port **ports = calloc((size_t)PORTS, sizeof *ports);
  world w;
  if (!ports) abort();
  world_open(&w, 1);
  for (int i = 1; i < PORTS; i++) {
    ports[i] = weir_port_attach(w.space);
    CHECK(ports[i] != NULL);
  }
  CHECK(weir_port_attach(w.space) == NULL);
  weir_port_detach(ports[77], w.now);
  ports[77] = weir_port_attach(w.space);
  CHECK(ports[77] != NULL);
  for (int i = 1; i < PORTS; i++) weir_port_detach(ports[i], w.now);
  free(ports);
  world_close(&w);
}

CHECK_MAIN
