/*
** bench_core.c - the engine alone, from C, with nothing but permits: see
** bench.h. And the floors of all that is no table.
*/
#include "bench.h"
#include "timers.h"

enum {
  CALLS = 5000000,
  WAITERS = 1000, /* in the queue during a hand-off */
  CROWD = 100000,
  S_TO_NS = 1000000000
};

/* A limiter of so many permits, of which the first is taken. */
static world permits(uint32_t count, weir_ticket *held) {
  weir_config config = WEIR_CONFIG_INIT;
  weir_request request = { .cookie = 0 };
  world w;
  config.concurrent = count;
  w = new_world(&config);
  check(!weir_acquire(w.port, w.limiter, &request, 0, held));
  return w;
}

static double free_permit(void) {
  weir_request request = { .cookie = 1 };
  weir_ticket ticket;
  world w = permits(10, &ticket);
  clock_t start = clock();
  double ns;
  for (uint64_t now = 0; now < CALLS; now++) {
    weir_acquire(w.port, w.limiter, &request, now, &ticket);
    weir_release(w.port, ticket, WEIR_DONE, now);
  }
  ns = ns_since(start, CALLS);
  free_world(&w);
  return ns;
}

static double hand_off(void) {
  weir_request request = { .cookie = 1 };
  weir_event event;
  weir_ticket ticket;
  world w = permits(1, &event.ticket);
  clock_t start;
  double ns;
  for (int i = 0; i < WAITERS; i++)
    weir_acquire(w.port, w.limiter, &request, 0, &ticket);
  start = clock();
  for (uint64_t now = 0; now < CALLS; now++) {
    weir_release(w.port, event.ticket, WEIR_DONE, now);
    check(weir_next(w.port, &event));
    weir_acquire(w.port, w.limiter, &request, now, &ticket);
  }
  ns = ns_since(start, CALLS);
  free_world(&w);
  return ns;
}

/* Each i-th waiter's delay, and the waiter that goes as the i-th; rand is not
** seeded, so they are the same in every run. */
static timers_case *new_cases(void) {
  timers_case *cases = calloc(CROWD, sizeof *cases);
  check(cases);
  for (uint32_t i = 0; i < CROWD; i++) {
    uint32_t j = (uint32_t)rand() % (i + 1);
    cases[i].delay = timers_interval(1000 + rand() * (1000.0 / RAND_MAX));
    cases[i].deleted = cases[j].deleted;
    cases[j].deleted = i;
  }
  return cases;
}

static double cancel(void) {
  weir_ticket held;
  world w = permits(1, &held);
  timers_case *cases = new_cases();
  weir_ticket *tickets = calloc(CROWD, sizeof *tickets);
  clock_t start = clock();
  double ns;
  check(tickets);
  for (uint32_t i = 0; i < CROWD; i++) {
    weir_request request = { .cookie = i };
    request.deadline = (uint64_t)cases[i].delay.tv_sec * S_TO_NS +
                       (uint64_t)cases[i].delay.tv_usec * 1000;
    weir_acquire(w.port, w.limiter, &request, i, &tickets[i]);
  }
  for (uint32_t i = 0; i < CROWD; i++)
    check(!weir_cancel(w.port, tickets[cases[i].deleted], CROWD));
  ns = ns_since(start, CROWD);
  free(tickets);
  free(cases);
  free_world(&w);
  return ns;
}

/* --- floors --------------------------------------------------------------- */

#if defined(__GNUC__)
#define CALLED __attribute__((noinline))
#else
#define CALLED
#endif

typedef struct counter {
  volatile unsigned in_use; /* permits */
  unsigned limit;
} counter;

static CALLED bool counter_take(counter *c) {
  if (c->in_use >= c->limit) return false;
  c->in_use++;
  return true;
}

static CALLED void counter_give(counter *c) { c->in_use--; }

static double count(void) {
  counter c = { 0, 10 };
  clock_t start = clock();
  for (int i = 0; i < CALLS; i++)
    if (counter_take(&c)) counter_give(&c);
  return ns_since(start, CALLS);
}

typedef struct node {
  struct node *next;
} node;

typedef struct list {
  node *first, *last; /* never empty here */
} list;

static CALLED void list_push(list *l, node *n) {
  n->next = NULL;
  l->last->next = n;
  l->last = n;
}

static CALLED node *list_pop(list *l) {
  node *n = l->first;
  l->first = n->next;
  return n;
}

static double push_pop(void) {
  static node nodes[WAITERS];
  list l = { nodes, nodes };
  clock_t start;
  for (int i = 1; i < WAITERS; i++) list_push(&l, &nodes[i]);
  start = clock();
  for (int i = 0; i < CALLS; i++) list_push(&l, list_pop(&l));
  return ns_since(start, CALLS);
}

static double timers(void) {
  timers_case *cases = new_cases();
  double ns = timers_add_delete(cases, CROWD) * 1e9 / CROWD;
  free(cases);
  return ns;
}

int main(int argc, char **argv) {
  static const bench benches[] = {
    { "free_permit", free_permit }, { "count", count },
    { "hand_off", hand_off },       { "push_pop", push_pop },
    { "cancel", cancel },           { "timers", timers },
  };
  return bench_main(argc, argv, benches, sizeof benches / sizeof *benches);
}
