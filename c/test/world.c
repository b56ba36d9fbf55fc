/* world.c - see world.h. */
#include "world.h"

#include <string.h>

#include "commons.h"

void world_open_with(world *w, weir_config config) {
  weir_allocator allocator;
  *w = (world){ .now = WORLD_START };
  allocator = ledger_allocator(&w->memory);
  w->space = commons_space(&allocator);
  w->port = weir_port_attach(w->space);
  CHECK(w->port != NULL);
  CHECK_EQ(weir_limiter_open(w->space, NULL, &config, w->now, &w->limiter), 0);
}

void world_open(world *w, uint32_t concurrent) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = concurrent;
  world_open_with(w, config);
}

void world_swap(world *w) {
  weir_port *port = w->port;
  if (!w->other) w->other = weir_port_attach(w->space);
  CHECK(w->other != NULL);
  w->port = w->other;
  w->other = port;
}

void world_leave(world *w) {
  world_swap(w);
  weir_port_detach(w->other, w->now);
  w->other = NULL;
}

void world_close(world *w) {
  if (w->other) weir_port_detach(w->other, w->now);
  weir_port_detach(w->port, w->now);
  weir_space_free(w->space);
  CHECK_EQ(w->memory.live, 0);
  CHECK_EQ(w->memory.wrong_sizes, 0);
}

weir_stats world_stats(const world *w) {
  weir_stats stats;
  memset(&stats, 0, sizeof stats);
  CHECK_EQ(weir_limiter_stats(w->space, w->limiter, &stats), 0);
  return stats;
}

bool world_same(check_place place, const weir_stats *got,
                const weir_stats *wanted) {
  bool same = check_equal(place, "limit", got->limit, wanted->limit);
  same &= check_equal(place, "in_use", got->in_use, wanted->in_use);
  same &= check_equal(place, "waiting", got->waiting, wanted->waiting);
  same &= check_equal(place, "admitted", got->admitted, wanted->admitted);
  same &= check_equal(place, "dropped", got->dropped, wanted->dropped);
  same &= check_equal(place, "unused", got->unused, wanted->unused);
  same &= check_equal(place, "keys", got->keys, wanted->keys);
  same &= check_equal(place, "changes", got->changes, wanted->changes);
  same &= check_equal(place, "closed", got->closed, wanted->closed);
  for (int i = 0; i < WEIR_VERDICTS; i++) {
    const char *name = weir_verdict_name(i);
    same &= check_equal(place, name, got->refused[i], wanted->refused[i]);
    same &= check_equal(place, name, got->would[i], wanted->would[i]);
  }
  same &= check_equal(place, "p50", got->wait.p50, wanted->wait.p50);
  same &= check_equal(place, "p90", got->wait.p90, wanted->wait.p90);
  same &= check_equal(place, "p99", got->wait.p99, wanted->wait.p99);
  same &= check_equal(place, "max", got->wait.max, wanted->wait.max);
  return same;
}

weir_quota world_quota(const world *w, weir_request request) {
  weir_quota quota = { 0, 0, 0 };
  CHECK_EQ(weir_limiter_quota(w->space, w->limiter, &request, w->now, &quota),
           0);
  return quota;
}

weir_key_info world_key(const world *w, const void *key, uint32_t size) {
  weir_key_info info;
  memset(&info, 0, sizeof info);
  CHECK_EQ(weir_key_inspect(w->space, w->limiter, key, size, &info), 0);
  return info;
}

/* A ticket comes exactly with these two verdicts; a drain at rest has none. */
static void check_ticket(check_place place, int verdict, weir_ticket ticket,
                         bool holds) {
  bool wanted = verdict == WEIR_WAITING || (verdict == WEIR_ADMITTED && holds);
  check_equal(place, "a ticket comes", ticket != 0, wanted);
}

weir_ticket world_acquire(check_place place, world *w, weir_request request,
                          int verdict) {
  weir_ticket ticket = 1;
  int peeked = weir_peek(w->port, w->limiter, &request, w->now);
  int got = weir_acquire(w->port, w->limiter, &request, w->now, &ticket);
  check_equal(place, "peeked", (uint64_t)peeked, (uint64_t)got);
  check_equal(place, "verdict", (uint64_t)got, (uint64_t)verdict);
  check_ticket(place, got, ticket, true);
  return ticket;
}

weir_ticket world_drain(check_place place, world *w, weir_request request,
                        int verdict) {
  weir_ticket ticket = 1;
  int got = weir_drain(w->port, w->limiter, &request, w->now, &ticket);
  check_equal(place, "verdict", (uint64_t)got, (uint64_t)verdict);
  check_ticket(place, got, ticket, false);
  return ticket;
}

weir_ticket world_park(check_place place, world *w, uint64_t deadline) {
  weir_request request = { .deadline = deadline };
  weir_ticket ticket = 0;
  int got = weir_park(w->port, &request, &ticket);
  check_equal(place, "verdict", (uint64_t)got, WEIR_WAITING);
  check_ticket(place, got, ticket, false);
  return ticket;
}

void world_next(check_place place, world *w, weir_ticket ticket,
                weir_verdict verdict) {
  weir_event event = { 0 };
  if (!check_true(place, "an event", weir_next(w->port, &event))) return;
  check_equal(place, "event.ticket", event.ticket, ticket);
  check_equal(place, "event.verdict", event.verdict, verdict);
}

void world_quiet(check_place place, world *w) {
  weir_event event;
  check_true(place, "nobody is pending", !weir_pending(w->port));
  check_true(place, "no event", !weir_next(w->port, &event));
}

void world_due(check_place place, world *w, weir_ticket ticket, uint64_t at) {
  check_equal(place, "deadline", weir_deadline(w->port), at);
  check_equal(place, "next", world_advance(w, at - 1), at);
  check_true(place, "nobody is early", !weir_pending(w->port));
  world_advance(w, at);
  world_next(place, w, ticket, WEIR_ADMITTED);
  world_quiet(place, w);
}

void world_counts(check_place place, world *w, uint32_t in_use,
                  uint32_t waiting) {
  weir_stats stats = world_stats(w);
  check_equal(place, "in_use", stats.in_use, in_use);
  check_equal(place, "waiting", stats.waiting, waiting);
}

weir_config world_config(const world *w) {
  weir_config config = WEIR_CONFIG_INIT;
  CHECK_EQ(weir_limiter_config(w->space, w->limiter, &config), 0);
  return config;
}

void world_set(world *w, weir_config config) {
  CHECK_EQ(weir_limiter_set(w->space, w->limiter, &config, w->now), 0);
}

void world_set_limit(world *w, uint32_t concurrent) {
  weir_config config = world_config(w);
  config.concurrent = concurrent;
  world_set(w, config);
}

uint64_t world_advance(world *w, uint64_t now) {
  w->now = now;
  return weir_advance(w->port, now);
}
