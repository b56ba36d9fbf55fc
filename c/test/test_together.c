/* test_together.c - what a request to several limiters asks of each of them. */
#include "commons.h"
#include "city.h"

/* --- refusals ------------------------------------------------------------- */

TEST(a_refusal_names_who_refuses_and_counts_there_once) {
  city c;
  weir_config small = permits(1);
  city_open(&c, 2, permits(3));
  small.queue = 0;
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[B], &small, c.w.now), 0);
  BOTH(&c, WEIR_IMPOSSIBLE, B, .cost = 2);
  BOTH(&c, WEIR_IMPOSSIBLE, A, .cost = 4);
  HOLD(at(&c, B), 1);
  BOTH(&c, WEIR_FULL, B, .cost = 1);
  BOTH(&c, WEIR_FULL, B, .try_only = true);
  small.queue = 1;
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[B], &small, c.w.now), 0);
  BOTH(&c, WEIR_TIMEOUT, B, .deadline = T0);
  CHECK_EQ(weir_limiter_close(c.w.space, c.limiters[B], c.w.now), 0);
  BOTH(&c, WEIR_CLOSED, B, .cost = 1);
  CHECK_EQ(world_stats(at(&c, A)).refused[WEIR_IMPOSSIBLE], 1);
  CHECK_EQ(world_stats(at(&c, A)).refused[WEIR_FULL], 0);
  CHECK_EQ(world_stats(at(&c, B)).refused[WEIR_IMPOSSIBLE], 1);
  CHECK_EQ(world_stats(at(&c, B)).refused[WEIR_FULL], 2);
  CHECK_EQ(world_stats(at(&c, B)).refused[WEIR_TIMEOUT], 1);
  CHECK_EQ(world_stats(at(&c, B)).refused[WEIR_CLOSED], 1);
  IN_USE(&c, A, 0);
  world_close(&c.w);
}

TEST(a_refusal_by_one_comes_before_a_wait_for_another) {
  city c;
  city_open(&c, 2, permits(1));
  HOLD(at(&c, A), 1);
  CHECK_EQ(weir_limiter_close(c.w.space, c.limiters[B], c.w.now), 0);
  BOTH(&c, WEIR_CLOSED, B, .cost = 1);
  CHECK_EQ(world_stats(at(&c, A)).waiting, 0);
  world_close(&c.w);
}

TEST(without_a_key_left_all_is_exhausted) {
  city c;
  weir_config config = permits(1);
  weir_request requests[2] = { { KEY("a") }, { KEY("b") } };
  config.keys = 1;
  city_open(&c, 2, config);
  ASK(at(&c, B), WEIR_ADMITTED, KEY("x"));
  ask_all(HERE, &c, 2, requests, WEIR_EXHAUSTED, B);
  CHECK_EQ(world_stats(at(&c, A)).keys, 0);
  config.pass_exhausted = true;
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[B], &config, c.w.now), 0);
  RELEASE(&c.w, ask_all(HERE, &c, 2, requests, WEIR_ADMITTED, 0));
  IN_USE(&c, B, 1);
  world_close(&c.w);
}

TEST(a_limiter_is_named_once) {
  city c;
  weir_request requests[2] = { { .cost = 1 }, { .cost = 1 } };
  city_open(&c, 1, permits(5));
  c.limiters[B] = c.limiters[A];
  ask_all(HERE, &c, 2, requests, WEIR_E_CONFIG, 0);
  requests[0] = requests[1] = REQUEST(KEY("same"));
  ask_all(HERE, &c, 2, requests, WEIR_E_CONFIG, 0);
  COUNTS(&c.w, 0, 0);
  world_close(&c.w);
}

/* Making the first key took the place of the second, which was idle. */
TEST(two_keys_of_a_limiter_are_two_limiters) {
  city c;
  weir_ticket both;
  weir_request requests[2] = { { KEY("new") }, { KEY("known") } };
  city_open(&c, 1, permits(1));
  c.limiters[B] = c.limiters[A];
  RELEASE(&c.w, ASK(&c.w, WEIR_ADMITTED, KEY("known")));
  both = ask_all(HERE, &c, 2, requests, WEIR_ADMITTED, 0);
  CHECK_EQ(world_key(&c.w, "new", 3).in_use, 1);
  CHECK_EQ(world_key(&c.w, "known", 5).in_use, 1);
  RELEASE(&c.w, both);
  CHECK_EQ(world_key(&c.w, "known", 5).in_use, 0);
  COUNTS(&c.w, 0, 0);
  world_close(&c.w);
}

TEST(from_one_to_sixteen_can_be_asked) {
  city c;
  weir_request requests[MOST] = { { .cost = 1 } };
  weir_ticket ticket;
  city_open(&c, MOST, permits(1));
  ask_all(HERE, &c, 0, requests, WEIR_E_CONFIG, 0);
  ask_all(HERE, &c, MOST, requests, WEIR_E_CONFIG, 0);
  ticket = ask_all(HERE, &c, WEIR_ALL_MAX, requests, WEIR_ADMITTED, 0);
  for (int i = 0; i < MOST; i++) IN_USE(&c, i, i < WEIR_ALL_MAX);
  RELEASE(&c.w, ticket);
  ticket = ask_all(HERE, &c, 1, requests, WEIR_ADMITTED, 0);
  ask_all(HERE, &c, 1, requests, WEIR_WAITING, A);
  ask_all(HERE, &c, WEIR_ALL_MAX, requests, WEIR_WAITING, A);
  RELEASE(&c.w, ticket);
  world_close(&c.w);
}

TEST(each_of_them_has_to_be_right) {
  city c;
  weir_request requests[2] = { { .cost = 1 }, { .priority = 99 } };
  city_open(&c, 2, permits(1));
  ask_all(HERE, &c, 2, requests, WEIR_E_CONFIG, 0);
  c.limiters[B] = 99;
  ask_all(HERE, &c, 2, requests, WEIR_E_STALE, 0);
  COUNTS(&c.w, 0, 0);
  world_close(&c.w);
}

/* --- each limiter's own --------------------------------------------------- */

TEST(keys_and_costs_are_each_limiters_own) {
  city c;
  weir_ticket held, waits;
  weir_request requests[2] = { { KEY("user"), .cost = 2 }, { KEY("host") } };
  city_open(&c, 2, permits(2));
  held = ask_all(HERE, &c, 2, requests, WEIR_ADMITTED, 0);
  CHECK_EQ(world_key(at(&c, A), "user", 4).in_use, 2);
  CHECK_EQ(world_key(at(&c, B), "host", 4).in_use, 1);
  CHECK_EQ(world_key(at(&c, B), "user", 4).in_use, 0);
  waits = ask_all(HERE, &c, 2, requests, WEIR_WAITING, A);
  RELEASE(&c.w, held);
  NEXT_BY(&c, waits, WEIR_ADMITTED, A);
  world_close(&c.w);
}

TEST(priorities_are_each_limiters_own) {
  city c;
  weir_config config = permits(1);
  weir_ticket a, b, both, other;
  weir_request requests[2] = { { .priority = 5 }, { .priority = 0 } };
  config.order = WEIR_PRIORITY;
  city_open(&c, 2, config);
  a = HOLD(at(&c, A), 1);
  b = HOLD(at(&c, B), 1);
  ASK(at(&c, A), WEIR_WAITING, .priority = 4);
  other = ASK(at(&c, B), WEIR_WAITING, .priority = 1);
  both = ask_all(HERE, &c, 2, requests, WEIR_WAITING, A);
  RELEASE(&c.w, a); /* first there; moves to b, where it is second */
  CHECK(weir_pending(c.w.port));
  RELEASE(&c.w, b);
  weir_next(c.w.port, &(weir_event){ 0 });
  NEXT_BY(&c, other, WEIR_ADMITTED, B);
  QUIET(&c.w);
  CANCEL(&c.w, both);
  world_close(&c.w);
}

TEST(it_keeps_its_flow_when_it_moves) {
  city c;
  weir_config fair = permits(1);
  weir_ticket a, b, x[2], y, both;
  weir_request requests[2] = { { .cost = 1 }, { FLOW("y") } };
  fair.order = WEIR_FAIR;
  city_open(&c, 2, fair);
  a = HOLD(at(&c, A), 1);
  b = HOLD(at(&c, B), 1);
  both = ask_all(HERE, &c, 2, requests, WEIR_WAITING, A);
  for (int i = 0; i < 2; i++) x[i] = ASK(at(&c, B), WEIR_WAITING, FLOW("x"));
  y = ASK(at(&c, B), WEIR_WAITING, FLOW("y"));
  RELEASE(&c.w, a); /* into flow y of b, before the other one */
  QUIET(&c.w);
  RELEASE(&c.w, b);
  NEXT_BY(&c, x[0], WEIR_ADMITTED, B);
  RELEASE(&c.w, x[0]);
  NEXT_BY(&c, both, WEIR_ADMITTED, B);
  RELEASE(&c.w, both);
  NEXT_BY(&c, x[1], WEIR_ADMITTED, B);
  RELEASE(&c.w, x[1]);
  NEXT_BY(&c, y, WEIR_ADMITTED, B);
  world_close(&c.w);
}

TEST(one_cookie_is_that_of_all) {
  city c;
  weir_ticket both;
  weir_ticket_info info;
  weir_request requests[2] = { { .cookie = 7 }, { .cookie = 8 } };
  weir_request mine = { .cookie = 9 };
  uint32_t cursor = 0, seen = 0;
  city_open(&c, 2, permits(1));
  both = ask_all(HERE, &c, 2, requests, WEIR_ADMITTED, 0);
  CHECK_EQ(weir_set_cookie(c.w.port, both, 9), 0);
  CHECK(weir_holds_all(c.w.port, c.limiters[A], &mine));
  CHECK(weir_holds_all(c.w.port, c.limiters[B], &mine));
  for (; weir_ticket_walk(c.w.port, &cursor, c.w.now, &info); seen++) {
    CHECK_EQ(info.ticket, both);
    CHECK_EQ(info.cookie, 9);
    CHECK_EQ(info.state, WEIR_HELD);
  }
  CHECK_EQ(seen, 2);
  world_close(&c.w);
}

TEST(a_waiting_one_is_seen_once) {
  city c;
  weir_ticket_info info;
  weir_ticket both;
  uint32_t cursor = 0;
  city_open(&c, 2, permits(1));
  world_swap(&c.w);
  HOLD(at(&c, B), 1);
  world_swap(&c.w);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  CHECK(weir_ticket_walk(c.w.port, &cursor, c.w.now, &info));
  CHECK_EQ(info.ticket, both);
  CHECK_EQ(info.limiter, c.limiters[B]);
  CHECK_EQ(info.state, WEIR_QUEUED);
  CHECK(!weir_ticket_walk(c.w.port, &cursor, c.w.now, &info));
  world_close(&c.w);
}

/* --- rates ---------------------------------------------------------------- */

static weir_config rated(uint32_t burst) {
  weir_config config = permits(0);
  config.rate = (weir_rate){ 100, 0, 1, burst, WEIR_GCRA, false };
  return config;
}

TEST(unused_tokens_come_back_to_all) {
  city c;
  city_open(&c, 2, rated(1));
  RELEASE_AS(&c.w, BOTH(&c, WEIR_ADMITTED, 0, .cost = 1), WEIR_UNUSED);
  RELEASE(&c.w, BOTH(&c, WEIR_ADMITTED, 0, .cost = 1));
  BOTH(&c, WEIR_FULL, A, .try_only = true);
  CHECK_EQ(world_stats(at(&c, A)).unused, 1);
  CHECK_EQ(world_stats(at(&c, B)).unused, 1);
  world_close(&c.w);
}

TEST(it_is_due_when_the_last_of_its_tokens_comes) {
  city c;
  weir_ticket both;
  city_open(&c, 2, rated(1));
  HOLD(at(&c, A), 1);
  c.w.now += 40;
  HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, A, .cost = 1);
  CHECK_EQ(world_advance(&c.w, T0 + 100), T0 + 140);
  QUIET(&c.w);
  TRY(at(&c, A), 1, WEIR_ADMITTED); /* it did not take that */
  CHECK_EQ(world_advance(&c.w, T0 + 140), T0 + 200);
  QUIET(&c.w);
  DUE(&c.w, both, T0 + 200);
  world_close(&c.w);
}

TEST(tokens_and_permits_are_waited_for_in_turn) {
  city c;
  weir_config rate = rated(1);
  weir_ticket b, both;
  city_open(&c, 2, permits(1));
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[A], &rate, c.w.now), 0);
  HOLD(at(&c, A), 1);
  b = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, A, .cost = 1);
  CHECK_EQ(world_advance(&c.w, T0 + 100), WEIR_NEVER);
  QUIET(&c.w);
  HOLD(at(&c, A), 1);
  RELEASE(&c.w, b); /* and the next token is due at 200 */
  QUIET(&c.w);
  DUE(&c.w, both, T0 + 200);
  world_close(&c.w);
}

TEST(what_it_takes_makes_others_wait_longer) {
  city c;
  weir_ticket b, both, heavy;
  city_open(&c, 2, rated(3));
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[B],
                            &(weir_config){ .concurrent = 1,
                                            .queue = WEIR_UNBOUNDED,
                                            .timeout_ns = WEIR_NEVER },
                            c.w.now),
           0);
  b = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  HOLD(at(&c, A), 1);
  heavy = WAIT(at(&c, A), 3);
  CHECK_EQ(weir_deadline(c.w.port), T0 + 100);
  RELEASE(&c.w, b); /* it came before, and leads */
  NEXT_BY(&c, both, WEIR_ADMITTED, B);
  DUE(&c.w, heavy, T0 + 200);
  world_close(&c.w);
}

TEST(a_rate_that_comes_counts_for_those_who_wait_elsewhere) {
  city c;
  weir_config rate = rated(1);
  weir_ticket b, both;
  city_open(&c, 2, permits(1));
  b = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, B, .cost = 1);
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[A], &rate, c.w.now), 0);
  HOLD(at(&c, A), 1);
  RELEASE(&c.w, b);
  QUIET(&c.w);
  DUE(&c.w, both, T0 + 100);
  world_close(&c.w);
}

/* --- a dry run among them ------------------------------------------------- */

TEST(a_dry_run_keeps_nobody_and_counts_what_it_would_have_said) {
  city c;
  weir_config dry = permits(1);
  weir_ticket a, both;
  city_open(&c, 2, permits(2));
  dry.dry_run = true;
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[A], &dry, c.w.now), 0);
  a = HOLD(at(&c, A), 1);
  RELEASE(&c.w, BOTH(&c, WEIR_ADMITTED, 0, .cost = 2)); /* impossible in a */
  both = BOTH(&c, WEIR_ADMITTED, 0, .cost = 1);
  BOTH(&c, WEIR_WAITING, B, .cost = 2);
  CHECK_EQ(world_stats(at(&c, A)).would[WEIR_ADMITTED], 1);
  CHECK_EQ(world_stats(at(&c, A)).would[WEIR_WAITING], 1);
  CHECK_EQ(world_stats(at(&c, A)).would[WEIR_IMPOSSIBLE], 2);
  CHECK_EQ(world_stats(at(&c, B)).would[WEIR_ADMITTED], 0);
  RELEASE(&c.w, a);
  RELEASE(&c.w, both);
  CHECK(weir_pending(c.w.port));
  world_close(&c.w);
}

/* --- memory --------------------------------------------------------------- */

/* All that such a request can need. */
static weir_config greedy(void) {
  weir_config config = permits(1);
  config.order = WEIR_FAIR;
  config.rate = (weir_rate){ 100, 0, 1, 9, WEIR_GCRA, false };
  config.shed.doomed = true;
  config.timeout_ns = 500;
  return config;
}

static void check_same(city *c, const weir_stats *before) {
  unsigned exhausted = 0;
  for (int i = 0; i < 3; i++) {
    weir_stats after = world_stats(at(c, i)), wanted = before[i];
    exhausted +=
        after.refused[WEIR_EXHAUSTED] > before[i].refused[WEIR_EXHAUSTED];
    wanted.refused[WEIR_EXHAUSTED] = after.refused[WEIR_EXHAUSTED];
    SAME(&after, &wanted);
  }
  CHECK_EQ(exhausted, 1);
}

/* Asks again until no allocation fails. */
static weir_ticket ask_again(city *c, const weir_request *requests,
                             int verdict) {
  weir_ticket ticket;
  weir_stats before[3];
  for (;;) {
    unsigned failed = c->w.memory.failed;
    int got;
    for (int i = 0; i < 3; i++) before[i] = world_stats(at(c, i));
    got = weir_acquire_all(c->w.port, c->limiters, requests, 3, c->w.now,
                           &ticket, NULL);
    if (c->w.memory.failed == failed) {
      CHECK_EQ(got, verdict);
      return ticket;
    }
    CHECK_EQ(got, WEIR_EXHAUSTED);
    CHECK_EQ(ticket, 0);
    check_same(c, before);
  }
}

/* One script, whose n-th allocation fails; false: it has not so many. */
static bool run_short(unsigned n) {
  city c;
  weir_ticket held;
  city_open(&c, 3, greedy());
  c.w.memory.fail_first = c.w.memory.fail_last = c.w.memory.calls + n;
  for (uint32_t i = 0; i < 9; i++) {
    weir_request requests[3] = { { .key = &i, .key_size = 4 },
                                 { .key = &i, .key_size = 3, FLOW("f") },
                                 { .key = &i, .key_size = 2 } };
    weir_ticket waits;
    held = ask_again(&c, requests, WEIR_ADMITTED);
    waits = ask_again(&c, requests, WEIR_WAITING);
    ask_again(&c, requests, WEIR_WAITING);
    RELEASE(&c.w, held);
    NEXT(&c.w, waits, WEIR_ADMITTED);
    QUIET(&c.w);
  }
  world_close(&c.w);
  return c.w.memory.failed > 0;
}

TEST(without_memory_all_is_as_it_was) {
  unsigned n = 1;
  while (run_short(n)) n++;
  CHECK(n > (commons_shared() ? 3 : 15));
}

/* The first needs memory; the others are found. */
TEST(without_memory_keys_that_are_known_and_idle_stay_so) {
  OF_ONES_OWN("memory comes in pages");
  city c;
  weir_stats before[3];
  weir_request requests[3] = { { KEY("k") }, { KEY("k") }, { KEY("k") } };
  weir_ticket ticket;
  city_open(&c, 3, permits(1));
  ASK(at(&c, B), WEIR_ADMITTED, KEY("x")); /* that the first places are taken */
  ASK(at(&c, B), WEIR_ADMITTED, KEY("y"));
  for (int i = B; i <= C; i++)
    RELEASE(at(&c, i), ASK(at(&c, i), WEIR_ADMITTED, KEY("k")));
  for (int i = A; i <= C; i++) before[i] = world_stats(at(&c, i));
  ledger_fail(&c.w.memory, 1);
  CHECK_EQ(weir_acquire_all(c.w.port, c.limiters, requests, 3, c.w.now, &ticket,
                            NULL),
           WEIR_EXHAUSTED);
  check_same(&c, before);
  CHECK_EQ(world_key(at(&c, B), "k", 1).admitted, 1);
  RELEASE(&c.w, ask_all(HERE, &c, 3, requests, WEIR_ADMITTED, 0));
  world_close(&c.w);
}

/* There it needs a queue, and the room for those is used up. */
TEST(without_memory_to_move_it_is_refused) {
  OF_ONES_OWN("memory comes in pages");
  enum { QUEUES = 6 };
  city c;
  weir_ticket a, b, both, behind;
  city_open(&c, 2, permits(1));
  a = HOLD(at(&c, A), 1);
  b = HOLD(at(&c, B), 1);
  both = BOTH(&c, WEIR_WAITING, A, .cost = 1);
  behind = WAIT(at(&c, A), 1);
  for (uint32_t i = 0; i < QUEUES; i++) {
    ASK(&c.w, WEIR_ADMITTED, .key = &i, .key_size = sizeof i);
    ASK(&c.w, WEIR_WAITING, .key = &i, .key_size = sizeof i);
  }
  ledger_fail(&c.w.memory, 1);
  RELEASE(&c.w, a);
  CHECK_EQ(c.w.memory.failed, 1);
  NEXT_BY(&c, both, WEIR_EXHAUSTED, A);
  NEXT_BY(&c, behind, WEIR_ADMITTED, A);
  QUIET(&c.w);
  RELEASE(&c.w, b);
  IN_USE(&c, B, 0);
  world_close(&c.w);
}

/* In its flow it is before a heavy one, and was left there when it could go. */
TEST(it_goes_when_it_comes_to_the_head_of_its_flow_and_fits) {
  city c;
  weir_config fair = permits(2);
  weir_ticket a, b, both, heavy;
  weir_request requests[2] = { { .cost = 1 }, { FLOW("f") } };
  city_open(&c, 2, permits(1));
  fair.order = WEIR_FAIR;
  CHECK_EQ(weir_limiter_set(c.w.space, c.limiters[B], &fair, c.w.now), 0);
  a = HOLD(at(&c, A), 1);
  b = HOLD(at(&c, B), 1);
  both = ask_all(HERE, &c, 2, requests, WEIR_WAITING, A);
  heavy = ASK(at(&c, B), WEIR_WAITING, FLOW("f"), .cost = 2);
  RELEASE(&c.w, a);
  NEXT(&c.w, both, WEIR_ADMITTED);
  QUIET(&c.w);
  RELEASE(&c.w, both);
  RELEASE(&c.w, b);
  NEXT(&c.w, heavy, WEIR_ADMITTED);
  world_close(&c.w);
}

/* What takes most notes in a shared space, which must be enough. */
TEST(the_most_that_one_request_can_ask_for) {
  city c;
  weir_request requests[WEIR_ALL_MAX];
  weir_config config = permits(1);
  weir_ticket held, waits;
  config.adaptive.algorithm = WEIR_VEGAS;
  config.shed.codel = config.shed.doomed = true;
  config.order = WEIR_FAIR;
  config.rate = (weir_rate){ .count = 5, .per_ns = 1000, .burst = 50 };
  city_open(&c, WEIR_ALL_MAX, config);
  for (int i = 0; i < WEIR_ALL_MAX; i++)
    requests[i] = (weir_request){ KEY("key"), .flow = "f", .flow_size = 1 };
  held = ask_all(HERE, &c, WEIR_ALL_MAX, requests, WEIR_ADMITTED, 0);
  waits = ask_all(HERE, &c, WEIR_ALL_MAX, requests, WEIR_WAITING, A);
  RELEASE(&c.w, held);
  NEXT(&c.w, waits, WEIR_ADMITTED);
  held = ask_all(HERE, &c, WEIR_ALL_MAX, requests, WEIR_WAITING, A);
  CANCEL(&c.w, held);
  RELEASE(&c.w, waits);
  QUIET(&c.w);
  world_close(&c.w);
}

CHECK_MAIN
