/*
** test_shared_threads.c - many threads of one process in one shared space, each
** with a port of its own: there are never more in than the limit, nobody is
** forgotten, and everything comes back.
**
** It is built with ThreadSanitizer as well, for which it is here: what it says
** about a data race is the failure.
*/
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <weir_shared.h>

#include "check.h"
#include "choices.h"
#include "crew.h"

enum {
  THREADS = 8,
  GATES = 4, /* what has a counter beside: three limiters, one of two keys */
  LOOK_EVERY = 8, /* rounds */
  WORK_MS = 1500, /* how long they do it */
  LOST_MS = 10000 /* who hears nothing for so long is stranded */
};

#define MS ((uint64_t)1000000)

static const uint32_t limits[GATES] = { 3, 2, 2, 4 };

typedef struct hall { /* what all have */
  weir_space *space;
  weir_limiter plain, keyed, changing;
  _Atomic uint32_t inside[GATES];
  _Atomic uint32_t crowded, stranded, wrong, admitted;
  uint64_t end; /* ns */
} hall;

typedef struct guest {
  hall *in;
  weir_port *port;
  choices from;
  uint32_t gate;
} guest;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static weir_limiter limiter_of(const guest *g) {
  const hall *h = g->in;
  if (g->gate == 0) return h->plain;
  return g->gate == 3 ? h->changing : h->keyed;
}

static void expect(guest *g, bool holds) {
  if (!holds) atomic_fetch_add(&g->in->wrong, 1);
}

static void use(guest *g, weir_ticket ticket) {
  _Atomic uint32_t *inside = &g->in->inside[g->gate];
  if (atomic_fetch_add(inside, 1) >= limits[g->gate])
    atomic_fetch_add(&g->in->crowded, 1);
  if (once_in(&g->from, 2)) sched_yield();
  atomic_fetch_add(&g->in->admitted, 1);
  atomic_fetch_sub(inside, 1);
  expect(g, !weir_release(g->port, ticket, WEIR_DONE, now()));
}

/* Sleeps until the bell rings or something is due. */
static void sleep_a_while(const guest *g) {
  struct pollfd bell = { weir_fd(g->port), POLLIN, 0 };
  uint64_t at = weir_deadline(g->port), t = now();
  uint64_t ms = at <= t ? 0 : (at - t) / MS + 1;
  poll(&bell, 1, ms < LOST_MS ? (int)ms : LOST_MS);
}

static void wait_for(guest *g, weir_ticket ticket) {
  uint64_t since = now();
  weir_event event;
  for (;;) {
    weir_advance(g->port, now());
    if (weir_next(g->port, &event)) break;
    if (now() - since >= LOST_MS * MS) {
      atomic_fetch_add(&g->in->stranded, 1);
      return;
    }
    sleep_a_while(g);
  }
  if (event.verdict == WEIR_ADMITTED)
    use(g, ticket);
  else
    expect(g, event.verdict == WEIR_TIMEOUT);
}

static void ask(guest *g) {
  weir_request request = { .cookie = 1 };
  weir_ticket ticket;
  int answer;
  if (g->gate == 1 || g->gate == 2) {
    request.key = g->gate == 1 ? "a" : "b";
    request.key_size = 1;
  }
  if (once_in(&g->from, 3)) request.deadline = now() + MS;
  answer = weir_acquire(g->port, limiter_of(g), &request, now(), &ticket);
  if (answer == WEIR_ADMITTED)
    use(g, ticket);
  else if (answer == WEIR_WAITING && once_in(&g->from, 4))
    expect(g, !weir_cancel(g->port, ticket, now()));
  else if (answer == WEIR_WAITING)
    wait_for(g, ticket);
  else
    expect(g, answer == WEIR_TIMEOUT);
}

static void look(guest *g) {
  const hall *h = g->in;
  weir_config config = WEIR_CONFIG_INIT;
  weir_ticket_info ticket;
  weir_key_info key;
  weir_stats stats;
  uint32_t cursor = 0;
  expect(g, !weir_limiter_stats(h->space, h->plain, &stats));
  expect(g, stats.in_use <= limits[0]);
  while (weir_key_walk(h->space, h->keyed, &cursor, &key)) {
  }
  cursor = 0;
  while (weir_ticket_walk(g->port, &cursor, now(), &ticket)) {
  }
  config.concurrent = 1 + choose(&g->from, limits[3]);
  expect(g, !weir_limiter_set(h->space, h->changing, &config, now()));
  expect(g, weir_limiter_name(h->space, h->plain)[0] == 'p');
}

static void *live(void *data) {
  guest *g = data;
  g->port = weir_port_attach(g->in->space);
  if (!g->port) return NULL;
  for (uint32_t i = 0; now() < g->in->end; i++) {
    g->gate = choose(&g->from, GATES);
    ask(g);
    if (i % LOOK_EVERY == 0) look(g);
  }
  weir_port_detach(g->port, now());
  return NULL;
}

static void open_limiters(hall *h) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = limits[0];
  CHECK_EQ(weir_limiter_open(h->space, "plain", &config, now(), &h->plain), 0);
  config.concurrent = limits[1];
  CHECK_EQ(weir_limiter_open(h->space, "keyed", &config, now(), &h->keyed), 0);
  config.concurrent = limits[3];
  CHECK_EQ(
      weir_limiter_open(h->space, "changing", &config, now(), &h->changing), 0);
}

static void check_empty(const hall *h, weir_limiter limiter) {
  weir_stats stats;
  CHECK_EQ(weir_limiter_stats(h->space, limiter, &stats), 0);
  CHECK_EQ(stats.in_use, 0);
  CHECK_EQ(stats.waiting, 0);
}

static void run_all(hall *h) {
  static guest guests[THREADS];
  pthread_t threads[THREADS];
  h->end = now() + WORK_MS * MS;
  for (uint32_t i = 0; i < THREADS; i++) {
    guests[i] = (guest){ .in = h, .from = choices_of_seed(i) };
    if (pthread_create(&threads[i], NULL, live, &guests[i])) return;
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

TEST(threads_share_a_space) {
  static hall h;
  char dir[CREW_PATH], why[WEIR_WHY_MAX] = "";
  weir_shared_options options = { .dir = dir, .patrol_ns = 5 * MS };
  crew_dir(dir);
  h.space = weir_shared_open("s", &options, why);
  CHECK_TEXT(why, "");
  if (!h.space) return;
  open_limiters(&h);
  run_all(&h);
  CHECK_EQ(h.crowded, 0);
  CHECK_EQ(h.stranded, 0);
  CHECK_EQ(h.wrong, 0);
  CHECK(h.admitted > THREADS);
  check_empty(&h, h.plain);
  check_empty(&h, h.keyed);
  check_empty(&h, h.changing);
  printf("# %u admitted\n", (unsigned)h.admitted);
  weir_space_free(h.space);
  crew_clear(dir);
}

CHECK_MAIN
