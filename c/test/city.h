/*
** city.h - a world of several limiters, and requests that ask some of them at
** once.
**
** As in world.h the capital words check what they say; A, B and C are the first
** limiters.
*/
#ifndef WEIR_TEST_CITY_H
#define WEIR_TEST_CITY_H

#include "world.h"

enum { T0 = WORLD_START, MOST = WEIR_ALL_MAX + 1 };

/* A world with limiters a, b, ... of which requests ask some. */
typedef struct city {
  world w;
  weir_limiter limiters[MOST];
} city;

enum { A, B, C };

static inline void city_open(city *c, uint32_t count, weir_config config) {
  world_open_with(&c->w, config);
  c->limiters[0] = c->w.limiter;
  for (uint32_t i = 1; i < count; i++)
    CHECK_EQ(
        weir_limiter_open(c->w.space, NULL, &config, c->w.now, &c->limiters[i]),
        0);
}

static inline weir_config permits(uint32_t concurrent) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = concurrent;
  return config;
}

/* The one limiter that the words of world.h act on. */
static inline world *at(city *c, int which) {
  c->w.limiter = c->limiters[which];
  return &c->w;
}

static inline weir_ticket ask_all(check_place place, city *c, uint32_t count,
                                  const weir_request *requests, int verdict,
                                  int decider) {
  weir_ticket ticket = 1;
  weir_limiter who = 1;
  int peeked = weir_peek_all(c->w.port, c->limiters, requests, count, c->w.now);
  int got = weir_acquire_all(c->w.port, c->limiters, requests, count, c->w.now,
                             &ticket, &who);
  check_equal(place, "verdict", (uint64_t)got, (uint64_t)verdict);
  check_equal(place, "peeked", (uint64_t)peeked, (uint64_t)got);
  check_equal(place, "a ticket comes", ticket != 0,
              got == WEIR_ADMITTED || got == WEIR_WAITING);
  if (got > WEIR_ADMITTED)
    check_equal(place, "decider", who, c->limiters[decider]);
  return ticket;
}

/* a and b are asked, for the same. */
static inline weir_ticket ask_both(check_place place, city *c,
                                   weir_request request, int verdict,
                                   int decider) {
  weir_request requests[2] = { request, request };
  return ask_all(place, c, 2, requests, verdict, decider);
}

#define BOTH(c, verdict, decider, ...)                                         \
  ask_both(HERE, c, REQUEST(__VA_ARGS__), verdict, decider)
#define IN_USE(c, which, n) CHECK_EQ(world_stats(at(c, which)).in_use, n)

static inline void next_of(check_place place, city *c, weir_ticket ticket,
                           weir_verdict verdict, int decider) {
  weir_event event = { 0 };
  if (!check_true(place, "an event", weir_next(c->w.port, &event))) return;
  check_equal(place, "event.ticket", event.ticket, ticket);
  check_equal(place, "event.verdict", event.verdict, verdict);
  check_equal(place, "event.limiter", event.limiter, c->limiters[decider]);
}

#define NEXT_BY(c, ticket, verdict, which)                                     \
  next_of(HERE, c, ticket, verdict, which)

#endif
