/*
** test_oom.c - every allocation fails in turn.
**
** One script uses everything that can need memory. It runs once for each
** allocation it makes, which fails then, and with up to two more after it.
** What fails must say so and leave all as it was; tried again, it works.
*/
#include <limits.h>

#include "commons.h"
#include "world.h"

enum { PORTS = 10, LIMITERS = 10, TICKETS = 30, PARKED = 5, KEYED = 20 };

typedef struct script {
  world w;
  weir_port *ports[PORTS];
  weir_limiter limiters[LIMITERS];
  weir_ticket tickets[TICKETS];
  unsigned failed; /* of the ledger, when the present step began */
} script;

/* Whether the step that just ran met a failure; if so it is tried again. */
static bool met_failure(script *s) {
  bool met = s->w.memory.failed > s->failed;
  s->failed = s->w.memory.failed;
  return met;
}

static void open_space(script *s) {
  weir_allocator allocator = ledger_allocator(&s->w.memory);
  for (;;) {
    s->w.space = commons_space(&allocator);
    if (!met_failure(s)) break;
    CHECK(s->w.space == NULL);
    CHECK_EQ(s->w.memory.live, 0);
  }
  CHECK(s->w.space != NULL);
}

static void attach(script *s, weir_port **port) {
  for (;;) {
    *port = weir_port_attach(s->w.space);
    if (!met_failure(s)) break;
    CHECK(*port == NULL);
  }
  CHECK(*port != NULL);
}

static void open_limiter(script *s, const char *name, weir_config config,
                         weir_limiter *limiter) {
  int answer;
  for (;;) {
    *limiter = 1;
    answer = weir_limiter_open(s->w.space, name, &config, s->w.now, limiter);
    if (!met_failure(s)) break;
    CHECK_EQ(answer, WEIR_E_MEMORY);
    CHECK_EQ(*limiter, 0);
  }
  CHECK_EQ(answer, 0);
}

/* What a failed request may have changed: one counter, or nothing. */
static void check_exhausted(script *s, weir_stats before, unsigned counted) {
  weir_stats after = world_stats(&s->w);
  before.refused[WEIR_EXHAUSTED] += counted;
  SAME(&after, &before);
  CHECK(!weir_pending(s->w.port));
}

/* weir_acquire, weir_drain or weir_park, again until memory is there. */
typedef enum request_kind { ACQUIRE, DRAIN_IT, PARK_IT } request_kind;

static int request(script *s, request_kind kind, const weir_request *what,
                   weir_ticket *out) {
  world *w = &s->w;
  *out = 1;
  switch (kind) {
  case ACQUIRE: return weir_acquire(w->port, w->limiter, what, w->now, out);
  case DRAIN_IT: return weir_drain(w->port, w->limiter, what, w->now, out);
  default: return weir_park(w->port, what, out);
  }
}

static weir_ticket ask(script *s, request_kind kind, weir_request what,
                       int verdict) {
  weir_ticket ticket;
  int answer;
  for (;;) {
    weir_stats before = world_stats(&s->w);
    answer = request(s, kind, &what, &ticket);
    if (!met_failure(s)) break;
    CHECK_EQ(answer, WEIR_EXHAUSTED);
    CHECK_EQ(ticket, 0);
    check_exhausted(s, before, kind == ACQUIRE);
  }
  CHECK_EQ(answer, verdict);
  return ticket;
}

static void open_all(script *s) {
  weir_config one = WEIR_CONFIG_INIT;
  open_space(s);
  for (int i = 0; i < PORTS; i++) attach(s, &s->ports[i]);
  s->w.port = s->ports[0];
  for (int i = 0; i < LIMITERS; i++)
    open_limiter(s, NULL, one, &s->limiters[i]);
  open_limiter(s, "api", one, &s->w.limiter);
  open_limiter(s, "api", one, &s->w.limiter);
}

/* One holds, the others wait; one waits for the end of it all. */
static void ask_all(script *s) {
  s->tickets[0] = ask(s, ACQUIRE, REQUEST(.cost = 1), WEIR_ADMITTED);
  for (uint64_t i = 1; i < TICKETS; i++)
    s->tickets[i] =
        ask(s, ACQUIRE, REQUEST(.deadline = i % 3 ? 2000 + i : WEIR_NEVER),
            WEIR_WAITING);
  for (uint64_t i = 0; i < PARKED; i++)
    ask(s, PARK_IT, REQUEST(.deadline = 2000 + i), WEIR_WAITING);
  ask(s, DRAIN_IT, REQUEST(.deadline = 3000), WEIR_WAITING);
}

/* Sets a config, again until memory is there. */
static void set_again(script *s, weir_config config) {
  for (;;) {
    weir_stats before = world_stats(&s->w), after;
    int answer = weir_limiter_set(s->w.space, s->w.limiter, &config, s->w.now);
    if (!met_failure(s)) {
      CHECK_EQ(answer, 0);
      return;
    }
    CHECK_EQ(answer, WEIR_E_MEMORY);
    after = world_stats(&s->w);
    SAME(&after, &before);
    CHECK_EQ(world_config(&s->w).rate.count, 0);
  }
}

/* A limiter that needs all there is: keys, queues, lanes of priorities or of
** flows, controls; and then a rate, which its waiters become due by. */
static void ask_keyed(script *s, weir_order order) {
  weir_limiter plain = s->w.limiter;
  weir_config config = WEIR_CONFIG_INIT;
  config.order = order;
  config.shed.doomed = true;
  open_limiter(s, NULL, config, &s->w.limiter);
  for (uint32_t i = 0; i < KEYED; i++) {
    weir_request what = { .key = &i,
                          .key_size = sizeof i,
                          .flow = &i,
                          .flow_size = sizeof i,
                          .priority = (int8_t)(i % 16) };
    ask(s, ACQUIRE, what, WEIR_ADMITTED);
    ask(s, ACQUIRE, what, WEIR_WAITING);
    what.key = NULL;
    ask(s, ACQUIRE, what, i ? WEIR_WAITING : WEIR_ADMITTED);
  }
  config.rate = (weir_rate){ 100, 0, 1, 9, WEIR_GCRA, false };
  set_again(s, config);
  COUNTS(&s->w, KEYED + 1, 2 * KEYED - 1);
  CHECK_EQ(world_stats(&s->w).keys, KEYED);
  s->w.limiter = plain;
}

/* Everything is as if nothing had failed. */
static void check_all(script *s) {
  world *w = &s->w;
  COUNTS(w, 1, TICKETS - 1);
  for (int i = 1; i < TICKETS; i++) {
    RELEASE(w, s->tickets[i - 1]);
    NEXT(w, s->tickets[i], WEIR_ADMITTED);
  }
  QUIET(w);
  CHECK_EQ(weir_deadline(w->port), 2000);
  CHECK_EQ(world_advance(w, 2999), 3000);
}

/* Runs the script; answers whether a failure was left to be met. */
static bool run(unsigned fail_first, unsigned fail_count) {
  static script s;
  s = (script){ .w.now = WORLD_START };
  s.w.memory.fail_first = fail_first;
  s.w.memory.fail_last = fail_first + fail_count - 1;
  open_all(&s);
  ask_keyed(&s, WEIR_PRIORITY);
  ask_keyed(&s, WEIR_FAIR);
  ask_all(&s);
  check_all(&s);
  for (int i = 1; i < PORTS; i++) weir_port_detach(s.ports[i], s.w.now);
  world_close(&s.w);
  return s.w.memory.failed > 0;
}

TEST(every_allocation_that_fails_is_told_and_changes_nothing) {
  OF_ONES_OWN("memory comes in pages");
  for (unsigned count = 1; count <= 3; count++) {
    unsigned first = 1;
    while (run(first, count)) first++;
    CHECK(first > 60); /* or the script does not grow what it should */
  }
}

/* Lets requests wait until there is no room for another ticket. The first one
** makes the queue. */
static unsigned fill(world *w) {
  weir_request request = { 0 };
  weir_ticket ticket = WAIT(w, 1);
  unsigned waiting = 1;
  ledger_fail(&w->memory, UINT_MAX / 2);
  while (weir_acquire(w->port, w->limiter, &request, w->now, &ticket) ==
         WEIR_WAITING)
    waiting++;
  return waiting;
}

TEST(memory_that_is_gone_for_good_leaves_a_space_that_can_be_used_and_freed) {
  world w;
  weir_ticket held, parked;
  unsigned waiting;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  parked = PARK(&w, 0);
  waiting = fill(&w);
  CHECK_EQ(world_stats(&w).refused[WEIR_EXHAUSTED], 1);
  COUNTS(&w, 1, waiting);
  RELEASE(&w, held);
  COUNTS(&w, 1, waiting - 1);
  CHECK_EQ(weir_wake(w.port, parked), 0);
  CHECK(weir_pending(w.port));
  world_close(&w);
}

/* A drain that is told EXHAUSTED once had closed the limiter all the same. */
TEST(a_drain_without_memory_has_not_closed_the_limiter) {
  world w;
  weir_stats before, after;
  weir_ticket ticket;
  weir_request request = { 0 };
  world_open(&w, 1);
  HOLD(&w, 1);
  fill(&w);
  before = world_stats(&w);
  CHECK_EQ(weir_drain(w.port, w.limiter, &request, w.now, &ticket),
           WEIR_EXHAUSTED);
  CHECK_EQ(weir_park(w.port, &request, &ticket), WEIR_EXHAUSTED);
  after = world_stats(&w);
  SAME(&after, &before);
  world_close(&w);
}

TEST(only_asking_opening_and_attaching_need_memory) {
  OF_ONES_OWN("memory comes in pages");
  weir_config config = { .concurrent = 2, .queue = 9, .timeout_ns = 100 };
  world w;
  weir_ticket held, waits, parked;
  weir_event event;
  unsigned calls;
  world_open(&w, 1);
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  WAIT_UNTIL(&w, 1, 2000);
  parked = PARK(&w, 0);
  calls = w.memory.calls;
  CHECK_EQ(weir_wake(w.port, parked), 0);
  CANCEL(&w, parked);
  world_advance(&w, 2000);
  CHECK(weir_next(w.port, &event));
  RELEASE(&w, held);
  CHECK_EQ(weir_claim(w.port, waits, &event), 1);
  CHECK_EQ(weir_limiter_set(w.space, w.limiter, &config, w.now), 0);
  CHECK_EQ(weir_limiter_close(w.space, w.limiter, w.now), 0);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0);
  RELEASE(&w, waits);
  world_swap(&w);
  calls++; /* the other port */
  world_leave(&w);
  CHECK_EQ(w.memory.calls, calls);
  world_close(&w);
}

TEST(the_allocator_is_copied_and_null_is_the_c_librarys) {
  world w;
  weir_space *space;
  weir_port *port;
  world_open(&w, 1); /* whose allocator was on the stack */
  HOLD(&w, 1);
  world_close(&w);
  space = weir_space_new(NULL);
  port = weir_port_attach(space);
  CHECK(port != NULL);
  weir_port_detach(port, 0);
  weir_space_free(space);
  weir_space_free(NULL);
}

CHECK_MAIN
