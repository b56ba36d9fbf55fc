/*
** test_shared_crash.c - a process dies at every instruction of every operation,
** and another one finds the space as if it had died before or after it.
*/
#include <stdio.h>
#include <string.h>

#include "crash.h"

#define KEY(text) .key = (text), .key_size = sizeof(text) - 1

#define ASK(port, i, verdict, ...)                                             \
  crash_ask(c, port, i, (weir_request){ __VA_ARGS__ }, verdict)

#define DIES(name)                                                             \
  static void name##_before(crash *c);                                         \
  static void name##_act(crash *c);                                            \
  TEST(name) {                                                                 \
    if (!crash_possible()) {                                                   \
      puts("# skipped: no process can be run by single instructions here");    \
      return;                                                                  \
    }                                                                          \
    crash_everywhere(HERE, name##_before, name##_act);                         \
  }

/* DIES(name) BEFORE(name) { the space } ACT(name) { what it dies in } */
#define BEFORE(name) static void name##_before(crash *c)
#define ACT(name) static void name##_act(crash *c)

static weir_config permits(uint32_t concurrent) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = concurrent;
  return config;
}

static weir_config rate(uint32_t count, uint32_t burst) {
  weir_config config = permits(0);
  config.rate = (weir_rate){ .count = count, .per_ns = 1000, .burst = burst };
  return config;
}

static weir_config with_order(weir_config config, weir_order order) {
  config.order = order;
  return config;
}

/* One permit held by `holder`; three of S wait, and one of P among them. */
static void queue_up(crash *c, weir_port *holder, weir_config config) {
  crash_open(c, 0, config);
  c->ticket[0] = ASK(holder, 0, WEIR_ADMITTED, .cost = 1);
  ASK(c->s, 0, WEIR_WAITING, .priority = 1, .flow = "a", .flow_size = 1);
  c->ticket[1] = ASK(c->p, 0, WEIR_WAITING, .flow = "p", .flow_size = 1);
  ASK(c->s, 0, WEIR_WAITING, .priority = 2, .flow = "b", .flow_size = 1);
  ASK(c->s, 0, WEIR_WAITING, .priority = 1, .flow = "a", .flow_size = 1);
}

/* --- asking --------------------------------------------------------------- */

DIES(being_admitted)
BEFORE(being_admitted) {
  crash_open(c, 0, permits(2));
  ASK(c->s, 0, WEIR_ADMITTED, .cost = 1);
}
ACT(being_admitted) { ASK(c->p, 0, WEIR_ADMITTED, .cost = 1); }

DIES(making_a_key)
BEFORE(making_a_key) {
  crash_open(c, 0, permits(1));
  for (uint32_t i = 0; i < 39; i++)
    ASK(c->s, 0, WEIR_ADMITTED, .key = &i, .key_size = sizeof i);
}
ACT(making_a_key) { ASK(c->p, 0, WEIR_ADMITTED, KEY("new")); }

DIES(taking_tokens)
BEFORE(taking_tokens) {
  weir_config config = rate(1, 5);
  config.concurrent = 3;
  crash_open(c, 0, config);
  ASK(c->s, 0, WEIR_ADMITTED, KEY("k"));
}
ACT(taking_tokens) { ASK(c->p, 0, WEIR_ADMITTED, KEY("k"), .cost = 2); }

DIES(waiting_for_tokens)
BEFORE(waiting_for_tokens) {
  crash_open(c, 0, rate(1, 1));
  ASK(c->s, 0, WEIR_ADMITTED, .cost = 1);
}
ACT(waiting_for_tokens) { ASK(c->p, 0, WEIR_WAITING, .deadline = 90000); }

DIES(waiting_behind_others)
BEFORE(waiting_behind_others) { queue_up(c, c->s, permits(1)); }
ACT(waiting_behind_others) { ASK(c->p, 0, WEIR_WAITING, .deadline = 90000); }

DIES(waiting_by_priority)
BEFORE(waiting_by_priority) {
  queue_up(c, c->s, with_order(permits(1), WEIR_PRIORITY));
}
ACT(waiting_by_priority) { ASK(c->p, 0, WEIR_WAITING, .priority = 3); }

DIES(waiting_in_turn)
BEFORE(waiting_in_turn) {
  crash_open(c, 0, with_order(permits(3), WEIR_FAIR));
  ASK(c->s, 0, WEIR_ADMITTED, .cost = 3);
  ASK(c->s, 0, WEIR_WAITING, .flow = "a", .flow_size = 1);
  ASK(c->s, 0, WEIR_WAITING, .flow = "b", .flow_size = 1);
}
ACT(waiting_in_turn) {
  ASK(c->p, 0, WEIR_WAITING, .flow = "c", .flow_size = 1, .cost = 3);
}

DIES(being_refused)
BEFORE(being_refused) { queue_up(c, c->s, permits(1)); }
ACT(being_refused) { ASK(c->p, 0, WEIR_FULL, .try_only = true); }

DIES(driving_the_oldest_out)
BEFORE(driving_the_oldest_out) {
  weir_config config = permits(1);
  config.queue = 4;
  config.shed.victim = WEIR_OLDEST;
  queue_up(c, c->s, config);
}
ACT(driving_the_oldest_out) { ASK(c->p, 0, WEIR_WAITING, .cost = 1); }

DIES(being_admitted_by_what_adapts)
BEFORE(being_admitted_by_what_adapts) {
  weir_config config = permits(0);
  config.adaptive.algorithm = WEIR_VEGAS;
  config.shed.codel = config.shed.doomed = true;
  crash_open(c, 0, config);
  ASK(c->s, 0, WEIR_ADMITTED, .cost = 1);
}
ACT(being_admitted_by_what_adapts) {
  weir_ticket ticket = ASK(c->p, 0, WEIR_ADMITTED, KEY("k"));
  CHECK_EQ(weir_release(c->p, ticket, WEIR_DONE, c->now + 5), 0);
}

/* --- asking several ------------------------------------------------------- */

static void three(crash *c) {
  for (int i = 0; i < 3; i++) crash_open(c, i, permits(1));
}

static weir_ticket ask_all(crash *c, weir_port *port, int count, int verdict) {
  weir_request requests[3] = { { .cookie = ++c->cookie }, { 0 }, { KEY("k") } };
  weir_ticket ticket;
  CHECK_EQ(weir_acquire_all(port, c->limiter, requests, (uint32_t)count, c->now,
                            &ticket, NULL),
           verdict);
  return ticket;
}

DIES(being_admitted_by_all)
BEFORE(being_admitted_by_all) { three(c); }
ACT(being_admitted_by_all) { ask_all(c, c->p, 3, WEIR_ADMITTED); }

DIES(waiting_for_all)
BEFORE(waiting_for_all) {
  three(c);
  ASK(c->s, 1, WEIR_ADMITTED, .cost = 1);
}
ACT(waiting_for_all) { ask_all(c, c->p, 3, WEIR_WAITING); }

DIES(giving_back_to_one_that_needs_more)
BEFORE(giving_back_to_one_that_needs_more) {
  three(c);
  c->ticket[0] = ASK(c->p, 0, WEIR_ADMITTED, .cost = 1);
  ASK(c->s, 1, WEIR_ADMITTED, .cost = 1);
  ask_all(c, c->s, 3, WEIR_WAITING);
  ASK(c->s, 0, WEIR_WAITING, .cost = 1);
}
ACT(giving_back_to_one_that_needs_more) {
  CHECK_EQ(weir_release(c->p, c->ticket[0], WEIR_DONE, c->now), 0);
}

DIES(giving_all_back)
BEFORE(giving_all_back) {
  three(c);
  c->ticket[0] = ask_all(c, c->p, 3, WEIR_ADMITTED);
  ASK(c->s, 0, WEIR_WAITING, .cost = 1);
  ask_all(c, c->s, 2, WEIR_WAITING);
  ASK(c->s, 1, WEIR_WAITING, .cost = 1);
}
ACT(giving_all_back) {
  CHECK_EQ(weir_release(c->p, c->ticket[0], WEIR_UNUSED, c->now), 0);
}

DIES(leaving_all)
BEFORE(leaving_all) {
  three(c);
  ASK(c->s, 1, WEIR_ADMITTED, .cost = 1);
  c->ticket[0] = ask_all(c, c->p, 3, WEIR_WAITING);
  ask_all(c, c->s, 2, WEIR_WAITING);
}
ACT(leaving_all) { CHECK_EQ(weir_cancel(c->p, c->ticket[0], c->now), 0); }

/* --- giving back ---------------------------------------------------------- */

#define GIVES_BACK(name, config)                                               \
  DIES(name)                                                                   \
  BEFORE(name) { queue_up(c, c->p, config); }                                  \
  ACT(name) {                                                                  \
    CHECK_EQ(weir_release(c->p, c->ticket[0], WEIR_DONE, c->now + 9), 0);      \
  }

GIVES_BACK(giving_back, permits(1))
GIVES_BACK(giving_back_to_the_last, with_order(permits(1), WEIR_LIFO))
GIVES_BACK(giving_back_by_priority, with_order(permits(1), WEIR_PRIORITY))
GIVES_BACK(giving_back_in_turn, with_order(permits(1), WEIR_FAIR))

DIES(giving_back_to_several)
BEFORE(giving_back_to_several) {
  crash_open(c, 0, permits(3));
  c->ticket[0] = ASK(c->p, 0, WEIR_ADMITTED, .cost = 3);
  for (int i = 0; i < 4; i++) ASK(c->s, 0, WEIR_WAITING, .cost = 1);
}
ACT(giving_back_to_several) {
  CHECK_EQ(weir_release(c->p, c->ticket[0], WEIR_DONE, c->now), 0);
}

DIES(giving_the_last_of_a_key_back)
BEFORE(giving_the_last_of_a_key_back) {
  crash_open(c, 0, permits(1));
  ASK(c->s, 0, WEIR_ADMITTED, KEY("other"));
  c->ticket[0] = ASK(c->p, 0, WEIR_ADMITTED, KEY("k"));
}
ACT(giving_the_last_of_a_key_back) {
  CHECK_EQ(weir_release(c->p, c->ticket[0], WEIR_DONE, c->now), 0);
}

DIES(giving_tokens_back_that_were_not_used)
BEFORE(giving_tokens_back_that_were_not_used) {
  crash_open(c, 0, rate(1, 2));
  c->ticket[0] = ASK(c->p, 0, WEIR_ADMITTED, .cost = 2);
  ASK(c->s, 0, WEIR_WAITING, .cost = 2);
}
ACT(giving_tokens_back_that_were_not_used) {
  CHECK_EQ(weir_release(c->p, c->ticket[0], WEIR_UNUSED, c->now), 0);
}

DIES(giving_up_waiting)
BEFORE(giving_up_waiting) {
  queue_up(c, c->s, with_order(permits(1), WEIR_FAIR));
}
ACT(giving_up_waiting) { CHECK_EQ(weir_cancel(c->p, c->ticket[1], c->now), 0); }

/* P is granted the permit, and gives it up before it has taken it. */
DIES(giving_up_what_was_granted)
BEFORE(giving_up_what_was_granted) {
  crash_open(c, 0, permits(1));
  c->ticket[0] = ASK(c->s, 0, WEIR_ADMITTED, .cost = 1);
  c->ticket[1] = ASK(c->p, 0, WEIR_WAITING, .cost = 1);
  ASK(c->s, 0, WEIR_WAITING, .cost = 1);
  CHECK_EQ(weir_release(c->s, c->ticket[0], WEIR_DONE, c->now), 0);
}
ACT(giving_up_what_was_granted) {
  CHECK_EQ(weir_cancel(c->p, c->ticket[1], c->now), 0);
}

DIES(taking_what_was_granted)
BEFORE(taking_what_was_granted) { giving_up_what_was_granted_before(c); }
ACT(taking_what_was_granted) {
  weir_event event;
  CHECK(weir_next(c->p, &event));
}

/* --- time ----------------------------------------------------------------- */

DIES(a_deadline_that_comes)
BEFORE(a_deadline_that_comes) {
  crash_open(c, 0, permits(2));
  ASK(c->s, 0, WEIR_ADMITTED, .cost = 1);
  ASK(c->p, 0, WEIR_WAITING, .cost = 2, .deadline = c->now + 10);
  ASK(c->s, 0, WEIR_WAITING, .cost = 1);
}
ACT(a_deadline_that_comes) { weir_advance(c->p, c->now + 10); }

DIES(a_token_that_comes)
BEFORE(a_token_that_comes) {
  crash_open(c, 0, rate(1, 1));
  ASK(c->s, 0, WEIR_ADMITTED, .cost = 1);
  ASK(c->p, 0, WEIR_WAITING, .cost = 1);
  ASK(c->s, 0, WEIR_WAITING, .cost = 1);
}
ACT(a_token_that_comes) { weir_advance(c->p, c->now + 1000); }

/* --- limiters ------------------------------------------------------------- */

static void set(crash *c, weir_config config) {
  CHECK_EQ(weir_limiter_set(c->space, c->limiter[0], &config, c->now), 0);
}

DIES(raising_a_limit)
BEFORE(raising_a_limit) { queue_up(c, c->s, permits(1)); }
ACT(raising_a_limit) { set(c, permits(3)); }

DIES(changing_a_rate_with_keys)
BEFORE(changing_a_rate_with_keys) {
  crash_open(c, 0, rate(1, 4));
  for (uint32_t i = 0; i < 5; i++)
    CHECK_EQ(weir_release(c->s,
                          ASK(c->s, 0, WEIR_ADMITTED, .key = &i,
                              .key_size = sizeof i, .cost = 3),
                          WEIR_DONE, c->now),
             0);
}
ACT(changing_a_rate_with_keys) { set(c, rate(3, 7)); }

DIES(a_rate_that_comes_later)
BEFORE(a_rate_that_comes_later) { queue_up(c, c->s, permits(1)); }
ACT(a_rate_that_comes_later) { set(c, rate(1, 2)); }

DIES(closing)
BEFORE(closing) { queue_up(c, c->s, with_order(permits(1), WEIR_PRIORITY)); }
ACT(closing) {
  CHECK_EQ(weir_limiter_close(c->space, c->limiter[0], c->now), 0);
}

DIES(closing_what_groups_wait_for)
BEFORE(closing_what_groups_wait_for) {
  three(c);
  ASK(c->s, 0, WEIR_ADMITTED, .cost = 1);
  ask_all(c, c->s, 3, WEIR_WAITING);
  ASK(c->s, 0, WEIR_WAITING, .cost = 1);
  ask_all(c, c->s, 2, WEIR_WAITING);
}
ACT(closing_what_groups_wait_for) {
  CHECK_EQ(weir_limiter_close(c->space, c->limiter[1], c->now), 0);
}

DIES(draining)
BEFORE(draining) { queue_up(c, c->s, permits(1)); }
ACT(draining) {
  weir_request request = { .cookie = ++c->cookie };
  weir_ticket ticket;
  CHECK_EQ(weir_drain(c->p, c->limiter[0], &request, c->now, &ticket),
           WEIR_WAITING);
}

DIES(opening)
BEFORE(opening) { crash_open(c, 1, permits(1)); }
ACT(opening) {
  weir_config config = rate(5, 5);
  weir_limiter limiter;
  CHECK_EQ(weir_limiter_open(c->space, "new", &config, c->now, &limiter), 0);
}

/* --- ports ---------------------------------------------------------------- */

DIES(attaching)
BEFORE(attaching) { queue_up(c, c->s, permits(1)); }
ACT(attaching) { CHECK(weir_port_attach(c->space) != NULL); }

DIES(detaching)
BEFORE(detaching) { queue_up(c, c->p, permits(1)); }
ACT(detaching) { weir_port_detach(c->p, c->now); }

DIES(parking_and_waking)
BEFORE(parking_and_waking) { queue_up(c, c->s, permits(1)); }
ACT(parking_and_waking) {
  weir_request request = { .cookie = ++c->cookie, .deadline = 99999 };
  weir_ticket ticket;
  weir_event event;
  CHECK_EQ(weir_park(c->p, &request, &ticket), WEIR_WAITING);
  CHECK_EQ(weir_set_cookie(c->p, ticket, 77), 0);
  CHECK_EQ(weir_wake(c->p, ticket), 0);
  CHECK_EQ(weir_claim(c->p, ticket, &event), 1);
}

CHECK_MAIN
