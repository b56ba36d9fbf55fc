/*
** test_walk.c - walks over whole spaces: all limiters, keys and tickets,
** whoever has them. In shared spaces, too, where a step reads few records.
*/
#include <stdio.h>
#include <string.h>

#include "commons.h"
#include "core/memory.h"
#include "world.h"

/* Enough that a walk takes several steps where it finds nothing. */
enum { MANY = 1000 };

static weir_limiter open_one(world *w, const char *name) {
  weir_config config = WEIR_CONFIG_INIT;
  weir_limiter limiter;
  config.concurrent = MANY;
  CHECK_EQ(weir_limiter_open(w->space, name, &config, w->now, &limiter), 0);
  return limiter;
}

static unsigned count_limiters(const world *w, weir_limiter *last) {
  uint32_t cursor = 0;
  unsigned count = 0;
  while (weir_limiter_walk(w->space, &cursor, last)) count++;
  CHECK(!weir_limiter_walk(w->space, &cursor, last));
  return count;
}

TEST(all_limiters_are_walked_whoever_opened_them) {
  world w;
  weir_limiter first, second, last = 0;
  world_open(&w, 1);
  first = open_one(&w, "first");
  second = open_one(&w, "second");
  CHECK_EQ(count_limiters(&w, &last), 3);
  CHECK_EQ(last, second);
  weir_limiter_close(w.space, first, w.now);
  CHECK_EQ(count_limiters(&w, &last), 3);
  CHECK_EQ(weir_limiter_drop(w.space, first), 0);
  CHECK_EQ(count_limiters(&w, &last), 2);
  world_close(&w);
}

TEST(one_that_was_dropped_is_walked_while_it_has_tickets) {
  world w;
  weir_limiter last = 0;
  weir_ticket held;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  weir_limiter_close(w.space, w.limiter, w.now);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0);
  CHECK_EQ(count_limiters(&w, &last), 1);
  CHECK_EQ(last, w.limiter);
  RELEASE(&w, held);
  CHECK_EQ(count_limiters(&w, &last), 0);
  world_close(&w);
}

static void hold_keys(world *w, weir_limiter limiter, int count) {
  w->limiter = limiter;
  for (int i = 0; i < count; i++)
    ASK(w, WEIR_ADMITTED, .key = &i, .key_size = sizeof i);
}

static bool walk_keys(const world *w, weir_limiter of, uint32_t *cursor,
                      weir_key_info *info) {
  return of ? weir_key_walk(w->space, of, cursor, info)
            : weir_key_walk_all(w->space, cursor, info);
}

/* Of a limiter; 0: of all. */
static unsigned count_keys(const world *w, weir_limiter of, uint64_t *in_use) {
  weir_key_info info;
  uint32_t cursor = 0;
  unsigned count = 0;
  *in_use = 0;
  while (walk_keys(w, of, &cursor, &info)) {
    CHECK(info.id != 0 && (!of || info.limiter == of));
    *in_use += info.in_use;
    count++;
  }
  CHECK(!walk_keys(w, of, &cursor, &info));
  return count;
}

TEST(a_space_that_was_never_used_has_nothing) {
  weir_space *space = commons_space(&weir_allocator_default);
  weir_port *port = weir_port_attach(space);
  weir_ticket_info ticket;
  weir_limiter limiter;
  weir_key_info key;
  uint32_t cursor = 0;
  CHECK(!weir_limiter_walk(space, &cursor, &limiter));
  CHECK(!weir_key_walk_all(space, &cursor, &key));
  CHECK(!weir_ticket_walk_all(space, &cursor, 0, &ticket));
  CHECK(!weir_ticket_walk(port, &cursor, 0, &ticket));
  CHECK_EQ(weir_release(port, 1, WEIR_DONE, 0), WEIR_E_STALE);
  weir_port_detach(port, 0);
  weir_space_free(space);
}

TEST(keys_are_walked_of_one_limiter_or_of_all) {
  world w;
  weir_limiter few, many;
  uint64_t in_use;
  world_open(&w, 1);
  few = open_one(&w, "few");
  many = open_one(&w, "many");
  hold_keys(&w, few, 3);
  hold_keys(&w, many, MANY);
  hold_keys(&w, few, 5);
  CHECK_EQ(count_keys(&w, few, &in_use), 5);
  CHECK_EQ(in_use, 8);
  CHECK_EQ(count_keys(&w, many, &in_use), MANY);
  CHECK_EQ(count_keys(&w, 0, &in_use), MANY + 5);
  CHECK_EQ(in_use, MANY + 8);
  CHECK_EQ(count_keys(&w, 99, &in_use), 0);
  world_close(&w);
}

TEST(a_key_says_whose_it_is) {
  world w;
  weir_limiter first = 0, second;
  world_open(&w, 2);
  first = w.limiter;
  ASK(&w, WEIR_ADMITTED, KEY("a"));
  CHECK_EQ(world_key(&w, "a", 1).limiter, first);
  CHECK_EQ(world_key(&w, "b", 1).limiter, first);
  CHECK_EQ(world_key(&w, NULL, 0).limiter, first);
  second = w.limiter = open_one(&w, "second");
  CHECK_EQ(world_key(&w, "a", 1).limiter, second);
  world_close(&w);
}

static unsigned count_tickets(const world *w, uint32_t port, uint64_t *cost) {
  weir_ticket_info info;
  uint32_t cursor = 0;
  unsigned count = 0;
  *cost = 0;
  while (weir_ticket_walk_all(w->space, &cursor, w->now, &info)) {
    if (port && info.port != port) continue;
    *cost += info.cost;
    count++;
  }
  CHECK(!weir_ticket_walk_all(w->space, &cursor, w->now, &info));
  return count;
}

static uint32_t number_of(const world *w, weir_ticket ticket) {
  weir_ticket_info info = { 0 };
  CHECK_EQ(weir_ticket_inspect(w->port, ticket, w->now, &info), 0);
  return info.port;
}

TEST(the_tickets_of_all_ports_are_walked) {
  world w;
  uint32_t mine, others;
  uint64_t cost;
  world_open(&w, MANY);
  mine = number_of(&w, HOLD(&w, 2));
  PARK(&w, 0);
  world_swap(&w);
  for (int i = 0; i < MANY - 2; i++) HOLD(&w, 1);
  others = number_of(&w, WAIT(&w, 1));
  CHECK(mine && others && mine != others);
  CHECK_EQ(count_tickets(&w, 0, &cost), MANY + 1);
  CHECK_EQ(cost, MANY + 1);
  CHECK_EQ(count_tickets(&w, mine, &cost), 2);
  CHECK_EQ(cost, 2);
  CHECK_EQ(count_tickets(&w, others, &cost), MANY - 1);
  world_close(&w);
}

/* Between two steps others come: those are found that lie ahead. */
TEST(a_walk_goes_on_while_others_come_and_go) {
  world w;
  weir_ticket_info info;
  uint32_t cursor = 0;
  weir_ticket first, second;
  world_open(&w, MANY);
  first = HOLD(&w, 1);
  second = HOLD(&w, 1);
  CHECK(weir_ticket_walk_all(w.space, &cursor, w.now, &info));
  CHECK_EQ(info.ticket, first);
  RELEASE(&w, first);
  RELEASE(&w, second);
  for (int i = 0; i < 4; i++) HOLD(&w, 1);
  CHECK(weir_ticket_walk_all(w.space, &cursor, w.now, &info));
  CHECK(info.ticket != second);
  world_close(&w);
}

CHECK_MAIN
