/* test_rate.c - gates on the time, by hand and as others have published. */
#include <string.h>

#include "gate.h"

/* --- what is a rate ------------------------------------------------------- */

TEST(a_rate_that_is_wrong_is_told_why) {
  static const struct {
    weir_rate rate;
    const char *wrong;
  } cases[] = {
    { { 0, 0, 0, 0, WEIR_GCRA, false }, NULL },
    { { 1, 0, 1, 1, WEIR_GCRA, false }, NULL },
    { { WEIR_PER_MAX, 0, 1, 3, WEIR_GCRA, false }, NULL },
    { { WEIR_PER_MAX, 0, WEIR_PERMITS_MAX, WEIR_PERMITS_MAX, WEIR_GCRA, false },
      NULL },
    { { WEIR_PER_MAX, UINT64_MAX, 1, 0, WEIR_FIXED, true }, NULL },
    { { WEIR_PER_MAX, 0, WEIR_PERMITS_MAX, 0, WEIR_SLIDING, false }, NULL },
    { { 10, 0, 11, 1, WEIR_GCRA, false },
      "rate must be at most one token per nanosecond" },
    { { 0, 0, 1, 1, WEIR_FIXED, false },
      "rate must be at most one token per nanosecond" },
    { { WEIR_PER_MAX + 1, 0, 1, 1, WEIR_GCRA, false },
      "rate must have a period of at most 36 years" },
    { { S * S, 0, WEIR_PERMITS_MAX + 1, 1, WEIR_GCRA, false },
      "rate must be from 1 to 2147483647 tokens in its period" },
    { { S, 0, 1, 0, WEIR_GCRA, false }, "burst must be from 1 to 2147483647" },
    { { S, 0, 1, WEIR_PERMITS_MAX + 1, WEIR_GCRA, false },
      "burst must be from 1 to 2147483647" },
    { { WEIR_PER_MAX, 0, 1, 4, WEIR_GCRA, false },
      "burst must be one that fills up within 146 years" },
    { { WEIR_PER_MAX, 0, 2, WEIR_PERMITS_MAX, WEIR_GCRA, false },
      "burst must be one that fills up within 146 years" },
    { { S, 0, 1, 1, (weir_window)7, false },
      "window must be gcra, fixed or sliding" },
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *wrong = weir_rate_check(&cases[i].rate);
    if (wrong && cases[i].wrong)
      CHECK_TEXT(wrong, cases[i].wrong);
    else
      CHECK(wrong == cases[i].wrong);
  }
}

TEST(without_a_count_there_is_no_rate) {
  gate none = gate_of((weir_rate){ 0, 0, 0, 0, WEIR_GCRA, false });
  gate some = gcra(1, S, 1);
  CHECK(!weir_meter_on(&none.meter));
  CHECK(weir_meter_on(&some.meter));
}

TEST(more_than_there_can_be_is_never_ready) {
  gate g = gcra(5, S, 7), f = window(WEIR_FIXED, 5, S);
  CHECK(weir_meter_possible(&g.meter, 7));
  CHECK(!weir_meter_possible(&g.meter, 8));
  CHECK(weir_meter_possible(&f.meter, 5));
  CHECK(!weir_meter_possible(&f.meter, 6));
  CHECK_EQ(ready(&g, 8, 3), WEIR_NEVER);
  CHECK_EQ(ready(&f, 6, 3), WEIR_NEVER);
  CHECK_EQ(ready(&f, UINT32_MAX, 3), WEIR_NEVER);
}

/* --- GCRA by hand --------------------------------------------------------- */

TEST(thirds_of_a_second_are_rounded_and_do_not_add_up) {
  static const uint64_t wanted[] = { 0, 0, 333333333, 666666666, 1000000000 };
  gate g = gcra(3, S, 2);
  uint64_t t = 0;
  for (size_t i = 0; i < COUNT_OF(wanted); i++, take(&g, 1, t))
    CHECK_EQ(t = ready(&g, 1, t), wanted[i]);
  g = gcra(3, S, 1);
  for (int i = 0; i < 9; i++) take(&g, 1, 0);
  CHECK_EQ(ready(&g, 1, 0), 3 * S);
  CHECK_EQ(idle(&g, 0), 3 * S);
}

/* 27,000 a second are offered, of which one waits when it cannot go; and to
** buckets of one token and two, without waiting. Each ninth comes with a token,
** to the nanosecond: whoever rounds tokens up loses every other one. */
TEST(ten_seconds_of_3000_a_second_are_30000) {
  gate queue = gcra(3000, S, 1), one = queue, two = gcra(3000, S, 2);
  uint64_t next = 0;
  uint32_t taken = 0, ones = 0, twos = 0;
  for (uint64_t i = 0; i < 270000; i++) {
    uint64_t t = i * S / 27000;
    for (; next <= t; next = ready(&queue, 1, next), taken++)
      take(&queue, 1, next);
    ones += try(&one, 1, t);
    twos += try(&two, 1, t);
  }
  CHECK_EQ(taken, 30000);
  CHECK_EQ(ones, 30000);
  CHECK_EQ(twos, 30000 + 1);
}

TEST(what_is_taken_too_much_is_made_up_for) {
  gate g = gcra(10, S, 2), f = window(WEIR_FIXED, 10, S);
  gate w = window(WEIR_SLIDING, 10, S);
  take(&g, 30, S);
  CHECK_EQ(left(&g, S), 0);
  CHECK_EQ(ready(&g, 1, S), S + 2900 * MS);
  take(&f, 25, S);
  CHECK_EQ(left(&f, 2 * S), 0);
  CHECK_EQ(left(&f, 3 * S - 1), 0);
  CHECK_EQ(left(&f, 3 * S), 5);
  CHECK_EQ(ready(&f, 6, S), 4 * S);
  take(&w, 25, S);
  CHECK_EQ(ready(&w, 1, S), 3 * S + 600 * MS);
  CHECK_EQ(ready(&w, 1, 3 * S), 3 * S + 600 * MS);
  CHECK_EQ(idle(&w, S), 5 * S);
}

TEST(what_is_too_much_for_a_time_is_as_late_as_can_be) {
  gate g = gcra(1, WEIR_PER_MAX, 3), f = window(WEIR_FIXED, 1, WEIR_PER_MAX);
  take(&g, UINT32_MAX, 5);
  CHECK_EQ(ready(&g, 1, 5), WEIR_NEVER - 1 - 2 * WEIR_PER_MAX);
  CHECK_EQ(idle(&g, 5), WEIR_NEVER - 1);
  give(&g, UINT32_MAX, 5, 5);
  CHECK_EQ(ready(&g, 3, 5), 5);
  for (int i = 0; i < 3; i++) take(&f, UINT32_MAX, 5);
  CHECK_EQ(ready(&f, 1, 5), WEIR_NEVER - 1);
  f = window(WEIR_FIXED, 1, S);
  take(&f, 1, NEAR_THE_END);
  CHECK_EQ(ready(&f, 1, NEAR_THE_END), WEIR_NEVER - 1);
}

TEST(a_token_given_back_was_not_taken) {
  gate g = gcra(7, S, 3);
  weir_rate_state before;
  take(&g, 2, S);
  before = g.state;
  take(&g, 3, S);
  give(&g, 3, S, S);
  CHECK(!memcmp(&g.state, &before, sizeof before));
  give(&g, 1, S, 9 * S); /* full for long */
  CHECK_EQ(left(&g, 9 * S), 3);
  give(&g, 2, S, S); /* more than was taken by now */
  give(&g, WEIR_PERMITS_MAX, S, S);
  CHECK_EQ(left(&g, S), 3);
  CHECK_EQ(ready(&g, 3, 0), 0);
}

/* --- windows by hand ------------------------------------------------------ */

TEST(a_period_begins_with_the_first_request_after_one_has_ended) {
  gate f = window(WEIR_FIXED, 2, 100);
  CHECK(try(&f, 1, 30));
  CHECK(try(&f, 1, 129));
  CHECK_EQ(ready(&f, 1, 129), 130);
  CHECK(try(&f, 1, 250));
  CHECK(try(&f, 1, 251));
  CHECK_EQ(ready(&f, 1, 349), 350);
}

TEST(aligned_periods_begin_at_their_phase_wherever_it_is) {
  static const uint64_t phases[] = { 30, 130, 1000000000030 };
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    gate f = aligned(WEIR_FIXED, 2, 100, phases[i]);
    CHECK(try(&f, 2, 0)); /* the period began at -70 */
    CHECK_EQ(ready(&f, 1, 0), 30);
    CHECK_EQ(ready(&f, 1, 29), 30);
    CHECK(try(&f, 1, 30));
    CHECK_EQ(ready(&f, 2, 31), 130);
    CHECK(try(&f, 2, NEAR_THE_END));
    CHECK_EQ((ready(&f, 1, NEAR_THE_END) - phases[i]) % 100, 0);
    CHECK(ready(&f, 1, NEAR_THE_END) - NEAR_THE_END <= 100);
  }
}

TEST(what_comes_back_after_its_period_is_gone) {
  gate f = window(WEIR_FIXED, 2, 100), w = window(WEIR_SLIDING, 4, 100);
  CHECK(try(&f, 2, 10));
  give(&f, 1, 10, 60);
  CHECK_EQ(left(&f, 60), 1);
  CHECK(try(&f, 1, 60) && try(&f, 2, 110));
  give(&f, 2, 10, 120);
  CHECK_EQ(left(&f, 120), 0);
  CHECK(try(&w, 4, 0));
  CHECK_EQ(left(&w, 150), 2);
  give(&w, 2, 0, 150); /* half of them have gone by themselves */
  CHECK_EQ(left(&w, 150), 3);
  CHECK(try(&w, 3, 150));
  give(&w, 4, 0, 250);
  CHECK_EQ(left(&w, 250), 2);
}

/* Cloudflare's example of 2017 ("How we built rate limiting capable of scaling
** to millions of domains"): 50 a minute, 42 in the last one, 18 in the first 15
** seconds of this: an estimate of 49.5. */
TEST(a_sliding_window_estimates_as_cloudflare_does) {
  gate w = aligned(WEIR_SLIDING, 50, 60 * S, 0);
  CHECK(try(&w, 42, 30 * S));
  CHECK_EQ(left(&w, 75 * S), 18);
  CHECK(try(&w, 18, 75 * S));
  CHECK_EQ(left(&w, 75 * S), 0);
  /* one more fits when 42 x (1 - age) is 31: 11/42 of a minute, rounded up */
  CHECK_EQ(ready(&w, 1, 75 * S), 60 * S + 15714285715);
}

TEST(a_sliding_window_looks_across_the_next_begin) {
  gate w = window(WEIR_SLIDING, 4, 100);
  CHECK(try(&w, 4, 1000));
  CHECK_EQ(ready(&w, 1, 1000), 1125);
  CHECK_EQ(ready(&w, 3, 1000), 1175);
  CHECK_EQ(ready(&w, 4, 1000), 1200);
  CHECK_EQ(idle(&w, 1000), 1200);
  CHECK(try(&w, 1, 1125));
  CHECK_EQ(ready(&w, 4, 1125), 1300);
}

/* --- as others have it ---------------------------------------------------- */

typedef struct go_step { /* times are in tenths of a second */
  uint64_t t;
  uint32_t n;
  bool ok;
} go_step;

static void run_go(gate g, const go_step *step, size_t steps) {
  for (size_t i = 0; i < steps; i++)
    CHECK_EQ(try(&g, step[i].n, S + step[i].t * 100 * MS), step[i].ok);
}

/* golang.org/x/time/rate, rate_test.go: TestLimiterBurst1 and Burst3. */
TEST(tokens_come_as_in_gos_limiter) {
  static const go_step burst1[] = {
    { 0, 1, true },  { 0, 1, false }, { 0, 1, false },
    { 1, 1, true },  { 1, 1, false }, { 1, 1, false },
    { 2, 2, false }, { 2, 1, true },  { 2, 1, false },
  };
  static const go_step burst3[] = {
    { 0, 2, true },  { 0, 2, false }, { 0, 1, true },  { 0, 1, false },
    { 1, 4, false }, { 2, 1, true },  { 3, 1, true },  { 4, 1, true },
    { 4, 1, true },  { 4, 1, false }, { 4, 1, false }, { 9, 3, true },
    { 9, 0, true },
  };
  run_go(gcra(10, S, 1), burst1, COUNT_OF(burst1));
  run_go(gcra(10, S, 3), burst3, COUNT_OF(burst3));
}

typedef struct go_request {
  uint64_t t;
  uint32_t n;
  uint64_t act; /* UINT64_MAX: never */
} go_request;

static void run_reserve(gate g, const go_request *request, size_t requests) {
  for (size_t i = 0; i < requests; i++) {
    uint64_t act = reserve(&g, request[i].n, request[i].t * 100 * MS);
    CHECK_EQ(act / (100 * MS), request[i].act == UINT64_MAX
                                   ? UINT64_MAX / (100 * MS)
                                   : request[i].act);
  }
}

/* The same: TestSimpleReserve, TestMix, TestCancelInvalid, TestReserveMax,
** TestCancelLast. (Its other tests of cancelling are about a rule of its own:
** what was reserved later is not given back.) */
TEST(reservations_act_as_in_gos_limiter) {
  static const go_request simple[] = { { 0, 2, 0 }, { 0, 2, 2 }, { 3, 2, 4 } };
  static const go_request mix[] = { { 0, 3, UINT64_MAX },
                                    { 0, 2, 0 },
                                    { 1, 2, 2 } };
  static const go_request invalid[] = { { 0, 2, 0 },
                                        { 0, 3, UINT64_MAX },
                                        { 0, 2, 2 } };
  static const go_request max[] = { { 0, 2, 0 }, { 0, 1, 1 }, { 0, 1, 2 } };
  gate g = gcra(10, S, 2);
  run_reserve(g, simple, COUNT_OF(simple));
  run_reserve(g, mix, COUNT_OF(mix));
  run_reserve(g, invalid, COUNT_OF(invalid));
  run_reserve(g, max, COUNT_OF(max));
  CHECK_EQ(reserve(&g, 2, 0), 0);
  CHECK_EQ(reserve(&g, 2, 0), 200 * MS);
  give(&g, 2, 200 * MS, 100 * MS); /* before it acts */
  CHECK_EQ(reserve(&g, 2, 100 * MS), 200 * MS);
}

/* Giving all of them back, as long as the bucket was never full, let three go
** at 31 from a bucket of two: without the first two it would have been full. */
TEST(tokens_that_come_back_late_are_not_had_twice) {
  gate g = gcra(1, 24, 2);
  CHECK(try(&g, 2, 0));
  CHECK(try(&g, 1, 31));
  give(&g, 2, 0, 31);
  CHECK(try(&g, 1, 31));
  CHECK(!try(&g, 1, 31));
  CHECK_EQ(ready(&g, 1, 31), 55);
}

/* The same: TestLimiter_noTruncationErrors (10/13 a second),
** TestSimultaneousRequests, TestLongRunningQPS. */
TEST(counts_are_those_of_gos_limiter) {
  gate tiny = gcra(10, 13 * S, 1), slow = gcra(1, S, 5);
  gate fast = gcra(100, S, 100);
  unsigned ok = 0;
  CHECK(try(&tiny, 1, 0));
  for (int i = 0; i < 15; i++) ok += try(&slow, 1, 7);
  CHECK_EQ(ok, 5);
  ok = 0;
  for (uint64_t t = 0; t <= 5 * S; t += 2 * MS) ok += try(&fast, 1, t);
  CHECK_EQ(ok, 100 + 500);
}

/* nginx, ngx_http_limit_req_module: its `burst` is what may be in excess of
** the first, so burst=b-1 with nodelay is a bucket of b. The excess it logs is
** the debt after a request, in tokens, less one. */
TEST(a_bucket_is_nginxs_limit_req_with_nodelay) {
  static const struct {
    uint64_t ms;
    uint32_t excess; /* thousandths of a request */
    bool ok;
  } steps[] = {
    { 0, 0, true },      { 0, 1000, true },    { 0, 2000, true },
    { 0, 3000, true },   { 0, 4000, false },   { 250, 3500, false },
    { 500, 3000, true }, { 501, 3998, false }, { 1300, 2400, true },
    { 4000, 0, true },   { 4100, 800, true },  { 4100, 1800, true },
    { 100000, 0, true },
  };
  gate g = gcra(2, S, 4);
  for (size_t i = 0; i < COUNT_OF(steps); i++) {
    uint64_t t = S + steps[i].ms * MS;
    gate after = g;
    take(&after, 1, t);
    CHECK_EQ((after.state.mark - t) / 500000 - 1000, steps[i].excess);
    CHECK_EQ(try(&g, 1, t), steps[i].ok);
  }
}

/* lua-resty-limit-traffic, t/req.t: the delay it tells is what a bucket of one
** has to wait for, and it rejects what is delayed for more than burst / rate.
** (Test 7 is its own: uncommitting the first request changes nothing there.) */
TEST(delays_are_those_of_lua_resty_limit_req) {
  gate g = gcra(40, S, 1);
  uint64_t t = S;
  for (int i = 0; i < 80; i++) t = reserve(&g, 1, t);
  CHECK_EQ(t, S + 1975 * MS); /* test 1: 1.96 to 1.99 s */
  g = gcra(2, S, 1);          /* tests 2 and 4: the last is not committed */
  CHECK_EQ(reserve(&g, 1, S) - S, 0);
  CHECK_EQ(reserve(&g, 1, S) - S, 500 * MS);
  CHECK_EQ(ready(&g, 1, S) - S, S);
  CHECK_EQ(ready(&g, 1, S) - S, S);
  for (uint32_t burst = 0; burst <= 2; burst++) { /* test 3 */
    uint32_t n = 0;
    for (g = gcra(2, S, 1 + burst); try(&g, 1, 0);) n++;
    CHECK_EQ(n + 1, 2 + burst);
  }
  g = gcra(1, 10 * S, 1); /* test 8 */
  CHECK(try(&g, 1, 0));
  CHECK(!try(&g, 1, 0));
  CHECK(!try(&g, 1, 0));
}

/* The same, t/count.t: tests 1, 3, 4, 5. */
TEST(remaining_counts_are_those_of_lua_resty_limit_count) {
  gate f = window(WEIR_FIXED, 10, 100 * S);
  for (uint32_t i = 10; i-- > 0;) {
    CHECK(try(&f, 1, S));
    CHECK_EQ(left(&f, S), i);
  }
  CHECK(!try(&f, 1, S) && !try(&f, 1, S));
  f = window(WEIR_FIXED, 1, S);
  for (uint64_t t = 0; t <= S; t += S) {
    CHECK(try(&f, 1, t));
    CHECK(!try(&f, 1, t));
  }
  f = window(WEIR_FIXED, 5, 10 * S);
  CHECK(try(&f, 1, 0) && try(&f, 1, 0));
  CHECK_EQ(left(&f, 0), 3);
  f = window(WEIR_FIXED, 2, 10 * S);
  for (int i = 0; i < 3; i++, give(&f, 1, S, S)) {
    CHECK(try(&f, 1, S));
    CHECK_EQ(left(&f, S), 1);
  }
}

/* redis-cell: the cases of its own test (5 in the bucket, 1 a second), and its
** README's CL.THROTTLE user123 15 30 60. -1: no time to retry. */
TEST(replies_are_those_of_redis_cell) {
  static const struct {
    uint64_t ms;
    uint32_t quantity, remaining;
    uint64_t reset_ms;
    int64_t retry_ms;
    bool limited;
  } cases[] = {
    { 0, 6, 5, 0, -1, true },         { 0, 1, 4, 1000, -1, false },
    { 0, 1, 3, 2000, -1, false },     { 0, 1, 2, 3000, -1, false },
    { 0, 1, 1, 4000, -1, false },     { 0, 1, 0, 5000, -1, false },
    { 0, 1, 0, 5000, 1000, true },    { 3000, 1, 2, 3000, -1, false },
    { 3100, 1, 1, 3900, -1, false },  { 4000, 1, 1, 4000, -1, false },
    { 8000, 1, 4, 1000, -1, false },  { 9500, 1, 4, 1000, -1, false },
    { 9500, 0, 4, 1000, -1, false },  { 9500, 2, 2, 3000, -1, false },
    { 9500, 5, 2, 3000, 3000, true },
  };
  gate g = gcra(1, S, 5);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    uint64_t t = S + cases[i].ms * MS, at = ready(&g, cases[i].quantity, t);
    CHECK_EQ(!try(&g, cases[i].quantity, t), cases[i].limited);
    CHECK_EQ(left(&g, t), cases[i].remaining);
    CHECK_EQ(idle(&g, t) - t, cases[i].reset_ms * MS);
    if (cases[i].retry_ms >= 0)
      CHECK_EQ(at - t, (uint64_t)cases[i].retry_ms * MS);
    else
      CHECK(at == t || at == WEIR_NEVER);
  }
  g = gcra(30, 60 * S, 15 + 1);
  CHECK(try(&g, 1, S));
  CHECK_EQ(left(&g, S), 15);
  CHECK_EQ(idle(&g, S) - S, 2 * S);
}

/* --- another rate --------------------------------------------------------- */

TEST(a_new_rate_keeps_the_tokens_that_are_missing) {
  gate g = gcra(10, S, 10);
  take(&g, 8, S);
  change(&g, gcra(1, S, 10), S + 50 * MS); /* 7.5 are missing */
  CHECK_EQ(left(&g, S + 50 * MS), 2);
  CHECK_EQ(ready(&g, 3, S + 50 * MS), S + 550 * MS);
  change(&g, gcra(1, S, 20), S + 50 * MS);
  CHECK_EQ(left(&g, S + 50 * MS), 12);
  change(&g, gcra(1, S, 5), S + 50 * MS);
  CHECK_EQ(left(&g, S + 50 * MS), 0);
  CHECK_EQ(ready(&g, 1, S + 50 * MS), 2 * S + 50 * MS);
  change(&g, window(WEIR_FIXED, 100, S), S + 50 * MS);
  CHECK_EQ(left(&g, S + 50 * MS), 95);
  CHECK_EQ(idle(&g, S + 50 * MS), 2 * S + 50 * MS);
  change(&g, aligned(WEIR_SLIDING, 50, S, 0), S + 60 * MS);
  CHECK_EQ(left(&g, S + 60 * MS), 45);
  CHECK_EQ(idle(&g, S + 60 * MS), 3 * S);
  change(&g, gcra(100, S, 50), 2 * S + 500 * MS);
  CHECK_EQ(left(&g, 2 * S + 500 * MS), 47);
}

TEST(the_same_rate_again_forgives_nothing) {
  gate g = gcra(3, S, 2);
  take(&g, 5, S);
  change(&g, gcra(3, S, 2), S + 1);
  CHECK_EQ(ready(&g, 2, S + 1), 2 * S + 666666666);
  change(&g, gcra(3, S, 1), S + 1);
  CHECK_EQ(ready(&g, 1, S + 1), S + 333333334);
}

TEST(a_smaller_window_does_not_make_the_last_one_lighter) {
  gate w = window(WEIR_SLIDING, 6, 100);
  CHECK(try(&w, 6, 0));
  CHECK_EQ(left(&w, 140), 2);
  change(&w, window(WEIR_SLIDING, 3, 100), 140);
  CHECK_EQ(left(&w, 140), 0);
  CHECK_EQ(ready(&w, 1, 140), 167); /* the 6 weigh 2 */
}

TEST(a_rate_that_comes_or_goes_starts_anew) {
  static const weir_rate_state fresh = { 0, 0, 0 };
  gate none = gate_of((weir_rate){ 0, 0, 0, 0, WEIR_GCRA, false });
  gate g = gcra(10, S, 10);
  take(&g, 8, S);
  change(&g, none, S);
  CHECK(!memcmp(&g.state, &fresh, sizeof fresh));
  change(&g, gcra(10, S, 10), S);
  CHECK_EQ(left(&g, S), 10);
}

/* What is a whole number of tokens stays that; the same rate is no change. */
TEST(no_change_gives_tokens) {
  for (uint64_t seed = 1; seed <= 4000; seed++) {
    choices from = choices_of_seed(seed);
    gate g = gate_of(random_rate(&from)), to = gate_of(random_rate(&from));
    uint64_t t = choose(&from, 99);
    uint32_t missing, cap = most(&to.meter.rate), limit;
    for (int i = 0; i < 5; i++, t += choose(&from, 25)) try(&g, 1, t);
    missing = most(&g.meter.rate) - left(&g, t);
    limit = missing < cap ? missing : cap;
    if (once_in(&from, 2)) {
      uint64_t at = ready(&g, 1, t);
      change(&g, gate_of(g.meter.rate), t);
      CHECK_EQ(ready(&g, 1, t), at);
      CHECK_EQ(most(&g.meter.rate) - left(&g, t), missing);
    }
    change(&g, to, t);
    CHECK(cap - left(&g, t) >= limit && cap - left(&g, t) <= limit + 1);
  }
}

/* Each change of a rate may round, none may start the wait anew. */
TEST(a_rate_that_always_changes_still_gives_its_tokens) {
  static const weir_window kinds[] = { WEIR_GCRA, WEIR_FIXED, WEIR_SLIDING };
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    weir_rate rate = { 60 * S, 0, 1, 1, kinds[i], false };
    gate g = gate_of(rate);
    uint64_t t = S, wanted = S + (i == 2 ? 120 : 60) * S;
    take(&g, 1, t);
    while (ready(&g, 1, t) != t && t < 200 * S) {
      rate.per_ns = 60 * S + (t / S % 2);
      change(&g, gate_of(rate), t);
      t += S;
    }
    CHECK(t >= wanted && t <= wanted + S);
  }
}

CHECK_MAIN
