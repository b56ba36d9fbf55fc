/*
** bench_gates.c - what each gate and each order costs, from C: see bench.h.
** Time is virtual, and goes on by STEP_NS from one call to the next.
*/
#include "bench.h"

enum {
  CALLS = 2000000,
  WAITERS = 1000, /* in the queue during a hand-off, or a wait for a rate */
  LEVELS = 4,     /* of their priorities */
  FLOWS = 100,
  STEP_NS = 500,
  HELD_NS = 100, /* how long a permit is held */
  S_TO_NS = 1000000000
};

/* More than is asked for, and no whole number of ns for a token. */
#define RATE(WINDOW)                                                           \
  .rate = {                                                                    \
    .count = 3000000, .per_ns = S_TO_NS, .burst = 1000, .window = (WINDOW)     \
  }

/* --- nobody waits --------------------------------------------------------- */

static double free_permit(const weir_config *config,
                          const weir_request *request) {
  world w = new_world(config);
  uint64_t now = 0;
  clock_t start = clock();
  double ns;
  for (int i = 0; i < CALLS; i++, now += STEP_NS) {
    weir_ticket ticket;
    check(!weir_acquire(w.port, w.limiter, request, now, &ticket));
    weir_release(w.port, ticket, WEIR_DONE, now + HELD_NS);
  }
  ns = ns_since(start, CALLS);
  free_world(&w);
  return ns;
}

static double together(const weir_config *config, const weir_request *request) {
  world w = new_world(config);
  weir_limiter limiters[] = { w.limiter, open_limiter(&w, config) };
  weir_request requests[] = { *request, *request };
  uint64_t now = 0;
  clock_t start = clock();
  double ns;
  for (int i = 0; i < CALLS; i++, now += STEP_NS) {
    weir_ticket ticket;
    check(!weir_acquire_all(w.port, limiters, requests, 2, now, &ticket, NULL));
    weir_release(w.port, ticket, WEIR_DONE, now + HELD_NS);
  }
  ns = ns_since(start, CALLS);
  free_world(&w);
  return ns;
}

/* The floor of that: the same limiters, one after the other. */
static double apart(const weir_config *config, const weir_request *request) {
  world w = new_world(config);
  weir_limiter other = open_limiter(&w, config);
  uint64_t now = 0;
  clock_t start = clock();
  double ns;
  for (int i = 0; i < CALLS; i++, now += STEP_NS) {
    weir_ticket first, second;
    check(!weir_acquire(w.port, w.limiter, request, now, &first));
    check(!weir_acquire(w.port, other, request, now, &second));
    weir_release(w.port, second, WEIR_DONE, now + HELD_NS);
    weir_release(w.port, first, WEIR_DONE, now + HELD_NS);
  }
  ns = ns_since(start, CALLS);
  free_world(&w);
  return ns;
}

/* --- all others wait ------------------------------------------------------ */

/* The i-th request: of any priority, and if it is of a flow, of any of them. */
static weir_request nth(const weir_request *request, uint32_t i) {
  static uint64_t flows[FLOWS];
  weir_request one = *request;
  one.priority = (int8_t)(i % LEVELS);
  if (!one.flow) return one;
  flows[i % FLOWS] = i % FLOWS;
  one.flow = &flows[i % FLOWS];
  return one;
}

/* Takes all there is, and lets the others wait. */
static weir_ticket crowd(const world *w, const weir_request *request) {
  weir_ticket held, ticket;
  check(!weir_acquire(w->port, w->limiter, request, 0, &held));
  for (uint32_t i = 0; i < WAITERS; i++) {
    weir_request one = nth(request, i);
    check(weir_acquire(w->port, w->limiter, &one, 0, &ticket) == WEIR_WAITING);
  }
  return held;
}

static double hand_off(const weir_config *config, const weir_request *request) {
  world w = new_world(config);
  weir_event event = { .ticket = crowd(&w, request) };
  weir_ticket ticket;
  uint64_t now = 0;
  clock_t start = clock();
  double ns;
  for (uint32_t i = 0; i < CALLS; i++, now += STEP_NS) {
    weir_request one = nth(request, i);
    weir_release(w.port, event.ticket, WEIR_DONE, now);
    check(weir_next(w.port, &event));
    weir_acquire(w.port, w.limiter, &one, now, &ticket);
  }
  ns = ns_since(start, CALLS);
  free_world(&w);
  return ns;
}

/* The same, but the time lets them go. */
static double passing(const weir_config *config, const weir_request *request) {
  world w = new_world(config);
  weir_event event = { .ticket = crowd(&w, request) };
  weir_ticket ticket;
  clock_t start = clock();
  double ns;
  for (uint32_t i = 0; i < CALLS; i++) {
    uint64_t now = weir_deadline(w.port);
    weir_advance(w.port, now);
    weir_release(w.port, event.ticket, WEIR_DONE, now);
    check(weir_next(w.port, &event));
    weir_acquire(w.port, w.limiter, request, now, &ticket);
  }
  ns = ns_since(start, CALLS);
  free_world(&w);
  return ns;
}

/* --- what there is -------------------------------------------------------- */

typedef struct gate {
  const char *name;
  double (*run)(const weir_config *config, const weir_request *request);
  weir_config config; /* whose queue has no bound, and waits no timeout */
  weir_request request;
} gate;

#define NOTHING                                                                \
  { .cookie = 0 }
#define FLOW                                                                   \
  { .flow = "a flow", .flow_size = 6 }
#define KEY                                                                    \
  { .key = "user:123456", .key_size = 11 }
#define PERMITS .concurrent = 10
#define SHED .shed = { .codel = true, .doomed = true }
#define TUNED(ALGORITHM) .adaptive = { .algorithm = (ALGORITHM) }
#define ONE(ORDER) .concurrent = 1, .order = (ORDER)
#define SLOW .rate = { .count = 1000, .per_ns = S_TO_NS, .burst = 1 }

static const gate gates[] = {
  { "permits", free_permit, { PERMITS }, NOTHING },
  { "rate", free_permit, { RATE(WEIR_GCRA) }, NOTHING },
  { "both", free_permit, { PERMITS, RATE(WEIR_GCRA) }, NOTHING },
  { "fixed", free_permit, { PERMITS, RATE(WEIR_FIXED) }, NOTHING },
  { "sliding", free_permit, { PERMITS, RATE(WEIR_SLIDING) }, NOTHING },
  { "shed", free_permit, { PERMITS, SHED }, NOTHING },
  { "aimd", free_permit, { TUNED(WEIR_AIMD) }, NOTHING },
  { "vegas", free_permit, { TUNED(WEIR_VEGAS) }, NOTHING },
  { "gradient2", free_permit, { TUNED(WEIR_GRADIENT2) }, NOTHING },
  { "priority", free_permit, { PERMITS, .order = WEIR_PRIORITY }, NOTHING },
  { "fair", free_permit, { PERMITS, .order = WEIR_FAIR }, FLOW },
  { "dry_run", free_permit, { PERMITS, .dry_run = true }, NOTHING },
  { "key", free_permit, { PERMITS, RATE(WEIR_GCRA) }, KEY },
  { "together", together, { PERMITS }, NOTHING },
  { "apart", apart, { PERMITS }, NOTHING },
  { "hand_off_fifo", hand_off, { ONE(WEIR_FIFO) }, NOTHING },
  { "hand_off_lifo", hand_off, { ONE(WEIR_LIFO) }, NOTHING },
  { "hand_off_priority", hand_off, { ONE(WEIR_PRIORITY) }, NOTHING },
  { "hand_off_fair", hand_off, { ONE(WEIR_FAIR) }, FLOW },
  { "passing", passing, { SLOW }, NOTHING },
};

static double run(const gate *g) {
  weir_config config = g->config;
  config.queue = WEIR_UNBOUNDED;
  config.timeout_ns = WEIR_NEVER;
  return g->run(&config, &g->request);
}

int main(int argc, char **argv) {
  for (size_t i = 0; i < sizeof gates / sizeof *gates; i++)
    if (argc == 2 && strcmp(argv[1], gates[i].name) == 0)
      return printf("%f\n", run(&gates[i])) < 0;
  fputs("usage: bench_gates NAME\n", stderr);
  return 2;
}
