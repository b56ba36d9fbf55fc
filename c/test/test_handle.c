/*
** test_handle.c - every call on a ticket in every state, and on handles that
** name nothing: a wrong call says so and changes nothing.
**
** A forged handle with index 0 once read record 0, which does not exist.
*/
#include <string.h>

#include "world.h"

enum { STALE = WEIR_E_STALE, STATE = WEIR_E_STATE };

/* --- the calls ----------------------------------------------------------- */

static int call_release(world *w, weir_ticket ticket) {
  return weir_release(w->port, ticket, WEIR_DROPPED, w->now);
}

static int call_cancel(world *w, weir_ticket ticket) {
  return weir_cancel(w->port, ticket, w->now);
}

static int call_claim(world *w, weir_ticket ticket) {
  weir_event event;
  return weir_claim(w->port, ticket, &event);
}

static int call_wake(world *w, weir_ticket ticket) {
  return weir_wake(w->port, ticket);
}

static int call_inspect(world *w, weir_ticket ticket) {
  weir_ticket_info info;
  return weir_ticket_inspect(w->port, ticket, w->now, &info);
}

static int call_set_cookie(world *w, weir_ticket ticket) {
  return weir_set_cookie(w->port, ticket, 77);
}

typedef int call(world *w, weir_ticket ticket);

enum { CALLS = 6 };

static const struct {
  const char *name;
  call *run;
} calls[CALLS] = {
  { "release", call_release }, { "cancel", call_cancel },
  { "claim", call_claim },     { "wake", call_wake },
  { "inspect", call_inspect }, { "set_cookie", call_set_cookie },
};

/* --- the states a ticket can be in: each makes one, alone of its kind ----- */

static weir_ticket held(world *w) { return HOLD(w, 1); }

static weir_ticket queued(world *w) {
  HOLD(w, 1);
  return WAIT_UNTIL(w, 1, w->now + 10);
}

static weir_ticket granted(world *w) {
  weir_ticket first = HOLD(w, 1), second = WAIT(w, 1);
  RELEASE(w, first);
  return second;
}

static weir_ticket timed_out(world *w) {
  weir_ticket ticket = queued(w);
  world_advance(w, w->now + 10);
  return ticket;
}

static weir_ticket parked(world *w) { return PARK(w, w->now + 10); }

static weir_ticket woken(world *w) {
  weir_ticket ticket = parked(w);
  CHECK_EQ(weir_wake(w->port, ticket), 0);
  return ticket;
}

static weir_ticket draining(world *w) {
  HOLD(w, 1);
  return DRAIN(w, 0, WEIR_WAITING);
}

static weir_ticket drained(world *w) {
  weir_ticket first = HOLD(w, 1), drain = DRAIN(w, 0, WEIR_WAITING);
  RELEASE(w, first);
  return drain;
}

static weir_ticket released(world *w) {
  weir_ticket ticket = HOLD(w, 1);
  RELEASE(w, ticket);
  return ticket;
}

static weir_ticket released_and_reused(world *w) {
  weir_ticket ticket = released(w);
  HOLD(w, 1); /* takes the same record */
  return ticket;
}

static weir_ticket canceled(world *w) {
  weir_ticket ticket = queued(w);
  CANCEL(w, ticket);
  return ticket;
}

static weir_ticket taken(world *w) {
  weir_ticket ticket = timed_out(w);
  NEXT(w, ticket, WEIR_TIMEOUT);
  return ticket;
}

static weir_ticket foreign(world *w) {
  weir_ticket ticket;
  world_swap(w);
  ticket = HOLD(w, 1);
  world_swap(w);
  return ticket;
}

static weir_ticket nobody(world *w) {
  (void)w;
  return 0;
}

static weir_ticket record_zero(world *w) {
  (void)w;
  return (weir_ticket)1 << 32;
}

static weir_ticket record_zero_in_a_grown_space(world *w) {
  HOLD(w, 1);
  return (weir_ticket)0xA5A5A5A5 << 32; /* what fresh memory is filled with */
}

static weir_ticket no_generation(world *w) { return HOLD(w, 1) & UINT32_MAX; }

static weir_ticket next_generation(world *w) {
  return HOLD(w, 1) + ((weir_ticket)1 << 32);
}

static weir_ticket generation_to_come(world *w) {
  return HOLD(w, 1) + ((weir_ticket)2 << 32);
}

static weir_ticket record_never_used(world *w) { return HOLD(w, 1) + 1; }

static weir_ticket last_of_all(world *w) {
  (void)w;
  return UINT64_MAX;
}

/* --- what each call answers in each state -------------------------------- */

static const struct {
  const char *name;
  weir_ticket (*make)(world *w);
  int answers[CALLS];
} states[] = {
  /*                   release cancel  claim  wake   inspect set_cookie */
  { "held", held, { 0, STATE, STATE, STATE, 0, 0 } },
  { "queued", queued, { STATE, 0, 0, STATE, 0, 0 } },
  { "granted", granted, { STATE, 0, 1, STATE, 0, 0 } },
  { "timed out", timed_out, { STATE, 0, 1, STATE, 0, 0 } },
  { "parked", parked, { STATE, 0, 0, 0, 0, 0 } },
  { "woken", woken, { STATE, 0, 1, STATE, 0, 0 } },
  { "draining", draining, { STATE, 0, 0, STATE, 0, 0 } },
  { "drained", drained, { STATE, 0, 1, STATE, 0, 0 } },
#define ALL_STALE                                                              \
  { STALE, STALE, STALE, STALE, STALE, STALE }
  { "released", released, ALL_STALE },
  { "released and reused", released_and_reused, ALL_STALE },
  { "canceled", canceled, ALL_STALE },
  { "taken", taken, ALL_STALE },
  { "another port's", foreign, ALL_STALE },
  { "0", nobody, ALL_STALE },
  { "record 0", record_zero, ALL_STALE },
  { "record 0, grown", record_zero_in_a_grown_space, ALL_STALE },
  { "no generation", no_generation, ALL_STALE },
  { "next generation", next_generation, ALL_STALE },
  { "generation to come", generation_to_come, ALL_STALE },
  { "record never used", record_never_used, ALL_STALE },
  { "the last handle", last_of_all, ALL_STALE },
};

enum { STATES = sizeof states / sizeof *states };

static void check_call(unsigned state, unsigned c) {
  weir_ticket_info info = { 0 }, info_after = { 0 };
  weir_stats stats, stats_after;
  weir_ticket ticket;
  bool pending;
  int answer;
  world w;
  world_open(&w, 1);
  ticket = states[state].make(&w);
  stats = world_stats(&w);
  pending = weir_pending(w.port);
  weir_ticket_inspect(w.port, ticket, w.now, &info);
  answer = calls[c].run(&w, ticket);
  if (!CHECK_EQ(answer, states[state].answers[c]))
    CHECK_TEXT(calls[c].name, states[state].name);
  if (answer < 0) {
    stats_after = world_stats(&w);
    weir_ticket_inspect(w.port, ticket, w.now, &info_after);
    SAME(&stats_after, &stats);
    CHECK_EQ(weir_pending(w.port), pending);
    CHECK_EQ(info_after.cookie, info.cookie);
    CHECK_EQ(info_after.since, info.since);
    CHECK_EQ(info_after.state, info.state);
  }
  world_close(&w);
}

TEST(every_call_in_every_state_answers_as_it_should_and_a_wrong_one_nothing) {
  for (unsigned state = 0; state < STATES; state++)
    for (unsigned c = 0; c < CALLS; c++) check_call(state, c);
}

TEST(releasing_twice_changes_nothing_for_those_who_wait) {
  world w;
  weir_ticket held_ticket, a, b;
  weir_stats before, after;
  world_open(&w, 1);
  held_ticket = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  RELEASE(&w, held_ticket);
  before = world_stats(&w);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(call_release(&w, held_ticket), WEIR_E_STALE);
  after = world_stats(&w);
  SAME(&after, &before);
  NEXT(&w, a, WEIR_ADMITTED);
  QUIET(&w);
  RELEASE(&w, a);
  CHECK_EQ(call_release(&w, a), WEIR_E_STALE);
  NEXT(&w, b, WEIR_ADMITTED);
  world_close(&w);
}

/* --- limiters ------------------------------------------------------------ */

static void check_no_limiter(world *w, weir_limiter limiter) {
  weir_config config = WEIR_CONFIG_INIT;
  weir_request request = { 0 };
  weir_ticket ticket = 1;
  weir_stats stats;
  CHECK_EQ(weir_limiter_set(w->space, limiter, &config, w->now), STALE);
  CHECK_EQ(weir_limiter_config(w->space, limiter, &config), STALE);
  CHECK_EQ(weir_limiter_close(w->space, limiter, w->now), STALE);
  CHECK_EQ(weir_limiter_drop(w->space, limiter), STALE);
  CHECK_EQ(weir_limiter_stats(w->space, limiter, &stats), STALE);
  CHECK(!weir_limiter_timed(w->space, limiter));
  CHECK_EQ(weir_peek(w->port, limiter, &request, w->now), STALE);
  CHECK_EQ(weir_acquire(w->port, limiter, &request, w->now, &ticket), STALE);
  CHECK_EQ(ticket, 0);
  ticket = 1;
  CHECK_EQ(weir_drain(w->port, limiter, &request, w->now, &ticket), STALE);
  CHECK_EQ(ticket, 0);
}

TEST(every_call_on_a_limiter_that_is_not_there_is_stale) {
  weir_config config = WEIR_CONFIG_INIT;
  weir_limiter dropped;
  world w;
  world_open(&w, 1);
  CHECK_EQ(weir_limiter_open(w.space, NULL, &config, w.now, &dropped), 0);
  CHECK_EQ(weir_limiter_drop(w.space, dropped), 0);
  check_no_limiter(&w, 0);
  check_no_limiter(&w, dropped);
  check_no_limiter(&w, (weir_limiter)1 << 32);
  check_no_limiter(&w, (weir_limiter)0xA5A5A5A5 << 32);
  check_no_limiter(&w, w.limiter + 7);
  check_no_limiter(&w, w.limiter + ((weir_limiter)2 << 32));
  check_no_limiter(&w, UINT64_MAX);
  COUNTS(&w, 0, 0);
  world_close(&w);
}

TEST(a_ticket_is_not_a_limiter_and_a_limiter_not_a_ticket) {
  world w;
  weir_ticket ticket = 0;
  world_open(&w, 9);
  for (int i = 0; i < 9; i++) ticket = HOLD(&w, 1);
  CHECK_EQ(weir_limiter_drop(w.space, ticket), WEIR_E_STALE);
  world_close(&w);
}

TEST(every_answer_has_a_word) {
  for (int i = 0; i < WEIR_VERDICTS; i++)
    CHECK(weir_verdict_name(i) && *weir_verdict_name(i));
  CHECK_TEXT(weir_verdict_name(WEIR_ADMITTED), "admitted");
  CHECK_TEXT(weir_verdict_name(WEIR_WAITING), "waiting");
  CHECK_TEXT(weir_verdict_name(WEIR_FULL), "full");
  CHECK_TEXT(weir_verdict_name(WEIR_TIMEOUT), "timeout");
  CHECK_TEXT(weir_verdict_name(WEIR_CLOSED), "closed");
  CHECK_TEXT(weir_verdict_name(WEIR_CANCELED), "canceled");
  CHECK_TEXT(weir_verdict_name(WEIR_IMPOSSIBLE), "impossible");
  CHECK_TEXT(weir_verdict_name(WEIR_DOOMED), "doomed");
  CHECK_TEXT(weir_verdict_name(WEIR_EXHAUSTED), "exhausted");
  for (int i = WEIR_E_MEMORY - 2; i <= 1; i++)
    CHECK(weir_error_text(i) && *weir_error_text(i));
  CHECK(weir_verdict_name(-1) != NULL);
  CHECK(weir_verdict_name(WEIR_VERDICTS) != NULL);
}

CHECK_MAIN
