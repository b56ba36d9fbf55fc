/* test_gate.c - rates, as those who acquire meet them. */
#include "world.h"

#define MS ((uint64_t)1000000)
#define S (1000 * MS)

enum { T0 = WORLD_START };

static weir_config rated(uint32_t count, uint64_t per, uint32_t burst) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = 0;
  config.rate = (weir_rate){ per, 0, count, burst, WEIR_GCRA, false };
  return config;
}

static weir_config windowed(weir_window kind, uint32_t count, uint64_t per) {
  weir_config config = rated(count, per, 0);
  config.rate.window = kind;
  return config;
}

static weir_config aligned(weir_window kind, uint32_t count, uint64_t per,
                           uint64_t phase) {
  weir_config config = windowed(kind, count, per);
  config.rate.aligned = true;
  config.rate.phase_ns = phase;
  return config;
}

/* Tries that are told at once; times are from T0 on. */
typedef struct cell {
  uint64_t after; /* ns */
  uint32_t cost;
  int verdict;
} cell;

static void run_cells(weir_config config, const cell *cells, size_t count) {
  world w;
  world_open_with(&w, config);
  for (size_t i = 0; i < count; i++) {
    w.now = T0 + cells[i].after;
    TRY(&w, cells[i].cost, cells[i].verdict);
  }
  world_close(&w);
}

#define CELLS(config, cells)                                                   \
  run_cells(config, cells, sizeof(cells) / sizeof *(cells))

/* --- cell by cell --------------------------------------------------------- */

TEST(a_bucket_admits_cell_by_cell) {
  static const cell cells[] = {
    { 0, 1, WEIR_ADMITTED },  { 0, 1, WEIR_ADMITTED },
    { 0, 1, WEIR_ADMITTED },  { 0, 1, WEIR_FULL },
    { 9, 1, WEIR_FULL },      { 10, 1, WEIR_ADMITTED },
    { 10, 1, WEIR_FULL },     { 15, 1, WEIR_FULL },
    { 20, 1, WEIR_ADMITTED }, { 49, 3, WEIR_FULL },
    { 50, 3, WEIR_ADMITTED }, { 69, 2, WEIR_FULL },
    { 70, 2, WEIR_ADMITTED }, { 1000, 3, WEIR_ADMITTED },
    { 1000, 1, WEIR_FULL },
  };
  CELLS(rated(1, 10, 3), cells);
}

TEST(a_fixed_window_begins_with_the_first_request_after_the_last_one_ended) {
  static const cell cells[] = {
    { 30, 1, WEIR_ADMITTED },  { 129, 2, WEIR_FULL },
    { 129, 1, WEIR_ADMITTED }, { 129, 1, WEIR_FULL },
    { 130, 2, WEIR_ADMITTED }, { 229, 1, WEIR_FULL },
    { 250, 2, WEIR_ADMITTED }, { 349, 1, WEIR_FULL },
    { 350, 1, WEIR_ADMITTED }, { 999, 2, WEIR_ADMITTED },
    { 1098, 1, WEIR_FULL },    { 1099, 2, WEIR_ADMITTED },
  };
  CELLS(windowed(WEIR_FIXED, 2, 100), cells);
}

TEST(aligned_windows_begin_at_their_phase) {
  static const cell cells[] = {
    /* at T0 + 30, and so on */
    { 0, 2, WEIR_ADMITTED },   { 29, 1, WEIR_FULL },  { 30, 1, WEIR_ADMITTED },
    { 129, 1, WEIR_ADMITTED }, { 129, 1, WEIR_FULL }, { 130, 2, WEIR_ADMITTED },
    { 760, 2, WEIR_ADMITTED }, { 829, 1, WEIR_FULL }, { 830, 1, WEIR_ADMITTED },
  };
  CELLS(aligned(WEIR_FIXED, 2, 100, 30), cells);
  CELLS(aligned(WEIR_FIXED, 2, 100, T0 + 700030), cells);
}

/* Four in 100 weigh as many as are within 100 of now. */
TEST(a_sliding_window_lets_go_bit_by_bit) {
  static const cell cells[] = {
    { 0, 4, WEIR_ADMITTED },   { 99, 1, WEIR_FULL },
    { 124, 1, WEIR_FULL },     { 125, 1, WEIR_ADMITTED },
    { 149, 1, WEIR_FULL },     { 150, 1, WEIR_ADMITTED },
    { 199, 3, WEIR_FULL },     { 200, 2, WEIR_ADMITTED },
    { 200, 1, WEIR_FULL },     { 249, 1, WEIR_FULL },
    { 250, 1, WEIR_ADMITTED }, { 500, 4, WEIR_ADMITTED },
  };
  CELLS(windowed(WEIR_SLIDING, 4, 100), cells);
  CELLS(aligned(WEIR_SLIDING, 4, 100, T0), cells);
}

TEST(what_a_rate_can_never_give_is_impossible) {
  static const cell cells[] = { { 0, 4, WEIR_IMPOSSIBLE },
                                { 0, 3, WEIR_ADMITTED },
                                { 0, 4, WEIR_IMPOSSIBLE },
                                { 0, 3, WEIR_FULL } };
  CELLS(rated(9, 900, 3), cells);
  CELLS(windowed(WEIR_FIXED, 3, 900), cells);
  CELLS(aligned(WEIR_SLIDING, 3, 900, 0), cells);
}

/* Go, golang.org/x/time/rate: TestLimiterJumpBackwards, with 10 s for each of
** its 100 ms: a clock that was set back stands still until it goes on. */
TEST(a_clock_that_jumps_back_gives_no_tokens_and_takes_none) {
  static const cell cells[] = {
    { 10, 1, WEIR_ADMITTED }, { 0, 1, WEIR_ADMITTED }, { 0, 1, WEIR_ADMITTED },
    { 0, 1, WEIR_FULL },      { 0, 1, WEIR_FULL },     { 10, 1, WEIR_ADMITTED },
    { 10, 1, WEIR_FULL },     { 10, 1, WEIR_FULL },    { 20, 1, WEIR_ADMITTED },
    { 20, 1, WEIR_FULL },     { 20, 1, WEIR_FULL },
  };
  world w;
  world_open_with(&w, rated(1, 10 * S, 3));
  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
    w.now = T0 + 100 * S + cells[i].after * S;
    TRY(&w, cells[i].cost, cells[i].verdict);
  }
  world_close(&w);
}

TEST(a_clock_that_goes_back_a_little_only_lengthens_a_wait) {
  static const cell cells[] = {
    { 5000, 2, WEIR_ADMITTED }, { 4000, 1, WEIR_FULL },
    { 5999, 1, WEIR_FULL },     { 0, 1, WEIR_FULL },
    { 6000, 1, WEIR_ADMITTED }, { 5500, 1, WEIR_FULL },
    { 7000, 1, WEIR_ADMITTED },
  };
  CELLS(rated(1, 1000, 2), cells);
}

/* --- waiting -------------------------------------------------------------- */

TEST(waiters_are_admitted_one_by_one_in_order_each_exactly_in_time) {
  world w;
  weir_ticket waits[5];
  world_open_with(&w, rated(10, S, 2));
  HOLD(&w, 1);
  HOLD(&w, 1);
  for (int i = 0; i < 5; i++) waits[i] = WAIT(&w, 1);
  TRY(&w, 1, WEIR_FULL);
  for (uint64_t i = 0; i < 5; i++) DUE(&w, waits[i], T0 + (i + 1) * 100 * MS);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  COUNTS(&w, 7, 0); /* no limit, and yet they are held */
  CHECK_EQ(world_stats(&w).limit, 0);
  world_close(&w);
}

TEST(a_token_can_be_had_in_the_nanosecond_in_which_it_comes) {
  world w;
  weir_ticket a, b, c;
  world_open_with(&w, rated(3, 10, 2));
  HOLD(&w, 2);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  c = WAIT(&w, 1);
  DUE(&w, a, T0 + 3);
  DUE(&w, b, T0 + 6);
  DUE(&w, c, T0 + 10);
  world_close(&w);
}

TEST(each_window_admits_as_many_waiters_as_it_has_room_for) {
  world w;
  weir_ticket waits[5];
  world_open_with(&w, windowed(WEIR_FIXED, 2, 100));
  HOLD(&w, 2);
  for (int i = 0; i < 5; i++) waits[i] = WAIT(&w, 1);
  for (uint64_t i = 0; i < 4; i += 2) {
    uint64_t begin = T0 + 100 + 50 * i;
    CHECK_EQ(world_advance(&w, begin - 1), begin);
    QUIET(&w);
    CHECK_EQ(world_advance(&w, begin), begin + 100);
    NEXT(&w, waits[i], WEIR_ADMITTED);
    NEXT(&w, waits[i + 1], WEIR_ADMITTED);
    QUIET(&w);
  }
  DUE(&w, waits[4], T0 + 300);
  world_close(&w);
}

TEST(waiters_of_a_sliding_window_go_as_it_slides) {
  world w;
  weir_ticket waits[4];
  world_open_with(&w, aligned(WEIR_SLIDING, 4, 100, T0));
  HOLD(&w, 4);
  for (int i = 0; i < 4; i++) waits[i] = WAIT(&w, 1);
  for (uint64_t i = 0; i < 4; i++) DUE(&w, waits[i], T0 + 125 + 25 * i);
  world_close(&w);
}

TEST(a_heavy_head_waits_for_all_its_tokens_and_is_not_overtaken) {
  world w;
  weir_ticket heavy, light;
  world_open_with(&w, rated(1, 10, 5));
  HOLD(&w, 3);
  heavy = WAIT(&w, 5);
  light = WAIT(&w, 1);
  TRY(&w, 1, WEIR_FULL); /* two tokens are there */
  DUE(&w, heavy, T0 + 30);
  DUE(&w, light, T0 + 40);
  world_close(&w);
}

TEST(a_late_turn_does_not_let_through_what_was_missed) {
  world w;
  weir_ticket waits[6];
  world_open_with(&w, rated(1, 10, 1));
  HOLD(&w, 1);
  for (int i = 0; i < 6; i++) waits[i] = WAIT(&w, 1);
  CHECK_EQ(world_advance(&w, T0 + 1000), T0 + 1010);
  NEXT(&w, waits[0], WEIR_ADMITTED);
  QUIET(&w);
  DUE(&w, waits[1], T0 + 1010);
  world_close(&w);
}

TEST(a_late_turn_lets_through_a_burst_at_most) {
  world w;
  weir_ticket waits[6];
  world_open_with(&w, rated(1, 10, 3));
  HOLD(&w, 3);
  for (int i = 0; i < 6; i++) waits[i] = WAIT(&w, 1);
  world_advance(&w, T0 + 9000);
  for (int i = 0; i < 3; i++) NEXT(&w, waits[i], WEIR_ADMITTED);
  QUIET(&w);
  DUE(&w, waits[3], T0 + 9010);
  world_close(&w);
}

TEST(a_waiter_that_gives_up_has_taken_no_tokens) {
  world w;
  weir_ticket impatient, canceled, patient;
  world_open_with(&w, rated(1, 100, 1));
  HOLD(&w, 1);
  impatient = WAIT_UNTIL(&w, 1, T0 + 99);
  canceled = WAIT(&w, 1);
  patient = WAIT(&w, 1);
  world_advance(&w, T0 + 99);
  NEXT(&w, impatient, WEIR_TIMEOUT);
  QUIET(&w);
  CANCEL(&w, canceled);
  DUE(&w, patient, T0 + 100);
  world_close(&w);
}

TEST(tokens_that_come_at_the_deadline_come_in_time) {
  world w;
  weir_ticket waits;
  world_open_with(&w, rated(1, 100, 1));
  HOLD(&w, 1);
  waits = WAIT_UNTIL(&w, 1, T0 + 100);
  DUE(&w, waits, T0 + 100);
  world_close(&w);
}

TEST(a_late_turn_admits_whose_tokens_came_before_its_deadline) {
  world w;
  weir_ticket first, late;
  world_open_with(&w, rated(1, 100, 1));
  HOLD(&w, 1);
  first = WAIT_UNTIL(&w, 1, T0 + 150);
  late = WAIT_UNTIL(&w, 1, T0 + 199);
  world_advance(&w, T0 + 5000);
  NEXT(&w, first, WEIR_ADMITTED);
  NEXT(&w, late, WEIR_TIMEOUT);
  QUIET(&w);
  world_close(&w);
}

TEST(a_grant_that_is_canceled_gives_its_tokens_to_the_next) {
  world w;
  weir_ticket a, b;
  world_open_with(&w, rated(1, 100, 1));
  HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  world_advance(&w, T0 + 100);
  CANCEL(&w, a);
  NEXT(&w, b, WEIR_ADMITTED);
  QUIET(&w);
  world_close(&w);
}

TEST(only_unused_tokens_come_back) {
  world w;
  weir_ticket done, dropped, unused, waits;
  world_open_with(&w, rated(1, 100, 3));
  done = HOLD(&w, 1);
  dropped = HOLD(&w, 1);
  unused = HOLD(&w, 1);
  RELEASE(&w, done);
  RELEASE_AS(&w, dropped, WEIR_DROPPED);
  TRY(&w, 1, WEIR_FULL);
  waits = WAIT(&w, 1);
  QUIET(&w);
  RELEASE_AS(&w, unused, WEIR_UNUSED);
  NEXT(&w, waits, WEIR_ADMITTED);
  CHECK_EQ(world_stats(&w).unused, 1);
  CHECK_EQ(world_stats(&w).dropped, 1);
  world_close(&w);
}

TEST(unused_tokens_of_a_window_that_is_over_are_gone) {
  world w;
  weir_ticket early, late;
  world_open_with(&w, windowed(WEIR_FIXED, 2, 100));
  early = HOLD(&w, 2);
  w.now += 100;
  late = HOLD(&w, 2);
  RELEASE_AS(&w, early, WEIR_UNUSED);
  TRY(&w, 1, WEIR_FULL);
  RELEASE_AS(&w, late, WEIR_UNUSED);
  TRY(&w, 2, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_refusal_changes_nothing) {
  world w;
  weir_quota before, after;
  weir_config config = rated(1, 100, 2);
  config.queue = 1;
  world_open_with(&w, config);
  HOLD(&w, 1);
  before = world_quota(&w, REQUEST(.cost = 2));
  TRY(&w, 2, WEIR_FULL);
  ASK(&w, WEIR_TIMEOUT, .cost = 2, .deadline = T0);
  REFUSED(&w, 3, WEIR_IMPOSSIBLE);
  after = world_quota(&w, REQUEST(.cost = 2));
  CHECK_EQ(after.left, before.left);
  CHECK_EQ(after.retry_ns, before.retry_ns);
  CHECK_EQ(after.reset_ns, before.reset_ns);
  WAIT(&w, 2);
  REFUSED(&w, 1, WEIR_FULL); /* the queue's bound */
  CHECK_EQ(weir_deadline(w.port), T0 + 100);
  world_close(&w);
}

TEST(a_fast_crowd_passes_at_the_rate_and_in_order) {
  enum { OFFERED = 27000, RATE = 3000 };
  static uint64_t next;
  world w;
  weir_event event;
  world_open_with(&w, rated(RATE, S, 1));
  next = 0;
  for (uint64_t i = 0; i < OFFERED; i++) {
    weir_request request = { .cookie = i };
    weir_ticket ticket;
    world_advance(&w, T0 + i * S / OFFERED);
    while (weir_next(w.port, &event)) CHECK_EQ(event.cookie, ++next);
    weir_acquire(w.port, w.limiter, &request, w.now, &ticket);
  }
  CHECK_EQ(world_stats(&w).admitted, RATE);
  CHECK_EQ(world_stats(&w).waiting, OFFERED - RATE);
  world_close(&w);
}

/* --- permits and tokens --------------------------------------------------- */

TEST(permits_and_tokens_are_both_needed) {
  world w;
  weir_config config = rated(1, 100, 2);
  config.concurrent = 3;
  world_open_with(&w, config);
  RELEASE(&w, HOLD(&w, 2));
  TRY(&w, 1, WEIR_FULL); /* three permits, no token */
  w.now += 200;
  HOLD(&w, 2);
  w.now += 200;
  TRY(&w, 2, WEIR_FULL); /* one permit, two tokens */
  TRY(&w, 1, WEIR_ADMITTED);
  REFUSED(&w, 3, WEIR_IMPOSSIBLE); /* permits enough, too small a bucket */
  world_close(&w);
}

TEST(a_head_waits_for_its_permits_and_then_for_its_tokens) {
  world w;
  weir_ticket held, a, b;
  weir_config config = rated(1, 100, 1);
  config.concurrent = 1;
  world_open_with(&w, config);
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER); /* permits come unannounced */
  w.now += 50;
  RELEASE(&w, held);
  DUE(&w, a, T0 + 100);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  CHECK_EQ(world_advance(&w, T0 + 900), WEIR_NEVER);
  QUIET(&w);
  RELEASE(&w, a);
  NEXT(&w, b, WEIR_ADMITTED);
  world_close(&w);
}

TEST(a_deadline_is_kept_while_the_head_waits_for_permits_or_for_tokens) {
  world w;
  weir_ticket held, a;
  weir_config config = rated(1, 100, 1);
  config.concurrent = 1;
  world_open_with(&w, config);
  held = HOLD(&w, 1);
  a = WAIT_UNTIL(&w, 1, T0 + 80);
  CHECK_EQ(weir_deadline(w.port), T0 + 80);
  RELEASE(&w, held);
  CHECK_EQ(weir_deadline(w.port), T0 + 80); /* the token comes later */
  world_advance(&w, T0 + 80);
  NEXT(&w, a, WEIR_TIMEOUT);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_close(&w);
}

TEST(a_ticket_says_what_it_waits_for) {
  world w;
  weir_ticket held, a, b;
  weir_ticket_info info;
  weir_config config = rated(1, 100, 1);
  config.concurrent = 1;
  world_open_with(&w, config);
  held = HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  CHECK_EQ(weir_ticket_inspect(w.port, a, w.now, &info), 0);
  CHECK_EQ(info.bound, WEIR_BY_PERMITS);
  RELEASE(&w, held);
  CHECK_EQ(weir_ticket_inspect(w.port, a, w.now, &info), 0);
  CHECK_EQ(info.bound, WEIR_BY_RATE);
  CHECK_EQ(weir_ticket_inspect(w.port, b, w.now, &info), 0);
  CHECK_EQ(info.bound, WEIR_BY_OTHERS);
  world_close(&w);
}

/* --- another rate --------------------------------------------------------- */

TEST(a_new_rate_counts_for_those_who_wait) {
  world w;
  weir_ticket a, b, c;
  world_open_with(&w, rated(1, 100, 1));
  HOLD(&w, 1);
  a = WAIT(&w, 1);
  b = WAIT(&w, 1);
  c = WAIT(&w, 1);
  world_set(&w, rated(1, 50, 1)); /* one token is missing, as it was */
  DUE(&w, a, T0 + 50);
  world_set(&w, rated(1, 1000, 1));
  CHECK_EQ(weir_deadline(w.port), T0 + 1050);
  world_advance(&w, T0 + 550); /* half of it */
  world_set(&w, rated(1, 10, 1));
  DUE(&w, b, T0 + 555);
  world_set(&w, windowed(WEIR_FIXED, 5, 100));
  NEXT(&w, c, WEIR_ADMITTED); /* one of five is missing */
  world_close(&w);
}

TEST(waiters_go_when_their_rate_goes) {
  world w;
  weir_ticket waits[3];
  weir_config config = rated(1, 100, 1);
  world_open_with(&w, config);
  HOLD(&w, 1);
  for (int i = 0; i < 3; i++) waits[i] = WAIT_UNTIL(&w, 1, 5000);
  config.concurrent = 3;
  config.rate.count = 0;
  world_set(&w, config);
  NEXT(&w, waits[0], WEIR_ADMITTED);
  NEXT(&w, waits[1], WEIR_ADMITTED);
  QUIET(&w);
  CHECK(weir_deadline(w.port) <= 5000);
  world_advance(&w, 5000);
  NEXT(&w, waits[2], WEIR_TIMEOUT);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_close(&w);
}

TEST(waiters_come_to_wait_for_a_rate_that_was_not_there) {
  world w;
  weir_ticket held, waits[3];
  weir_config config = rated(1, 100, 1);
  world_open(&w, 2);
  held = HOLD(&w, 2);
  for (int i = 0; i < 3; i++) waits[i] = WAIT(&w, 1);
  CHECK(!weir_limiter_timed(w.space, w.limiter));
  config.concurrent = 2;
  world_set(&w, config);
  CHECK(weir_limiter_timed(w.space, w.limiter));
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  RELEASE(&w, held);
  NEXT(&w, waits[0], WEIR_ADMITTED);
  QUIET(&w);
  DUE(&w, waits[1], T0 + 100);
  RELEASE(&w, waits[0]);
  DUE(&w, waits[2], T0 + 200);
  world_close(&w);
}

TEST(a_smaller_bucket_makes_a_heavy_waiter_impossible) {
  world w;
  weir_ticket heavy, light;
  world_open_with(&w, rated(1, 100, 3));
  HOLD(&w, 3);
  heavy = WAIT(&w, 3);
  light = WAIT(&w, 1);
  world_set(&w, rated(1, 100, 2));
  NEXT(&w, heavy, WEIR_IMPOSSIBLE);
  QUIET(&w);
  DUE(&w, light, T0 + 100);
  world_close(&w);
}

/* --- several ports and limiters ------------------------------------------- */

TEST(the_port_of_the_head_has_its_time_and_then_the_next_ones) {
  world w;
  weir_ticket a, b;
  world_open_with(&w, rated(1, 100, 1));
  HOLD(&w, 1);
  a = WAIT(&w, 1);
  world_swap(&w);
  b = WAIT(&w, 1);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  CHECK_EQ(weir_deadline(w.other), T0 + 100);
  CHECK_EQ(world_advance(&w, T0 + 100), WEIR_NEVER); /* a's port decides */
  QUIET(&w);
  world_swap(&w);
  world_advance(&w, T0 + 110);
  NEXT(&w, a, WEIR_ADMITTED);
  CHECK_EQ(weir_deadline(w.port), WEIR_NEVER);
  world_swap(&w);
  DUE(&w, b, T0 + 210);
  world_close(&w);
}

TEST(a_head_that_leaves_with_its_port_hands_its_time_on) {
  world w;
  weir_ticket b;
  world_open_with(&w, rated(1, 100, 1));
  HOLD(&w, 1);
  WAIT(&w, 1);
  world_swap(&w);
  b = WAIT(&w, 1);
  world_swap(&w);
  world_leave(&w);
  DUE(&w, b, T0 + 100);
  world_close(&w);
}

TEST(limiters_are_due_in_order_of_time) {
  weir_config slow = rated(1, 300, 1), fast = rated(1, 100, 1);
  world w;
  weir_ticket waits[3];
  weir_limiter other;
  world_open_with(&w, slow);
  CHECK_EQ(weir_limiter_open(w.space, NULL, &fast, w.now, &other), 0);
  HOLD(&w, 1);
  waits[0] = WAIT(&w, 1);
  w.limiter = other;
  HOLD(&w, 1);
  waits[1] = WAIT(&w, 1);
  waits[2] = PARK(&w, T0 + 200);
  world_advance(&w, T0 + 1000);
  NEXT(&w, waits[1], WEIR_ADMITTED);
  NEXT(&w, waits[2], WEIR_TIMEOUT);
  NEXT(&w, waits[0], WEIR_ADMITTED);
  world_close(&w);
}

/* A waiter once went on waiting for the time that its clock had been ahead. */
TEST(a_clock_that_jumps_back_does_not_lengthen_a_wait) {
  world w;
  weir_ticket waits;
  world_open_with(&w, rated(1, 10 * S, 1));
  world_advance(&w, 100 * S);
  HOLD(&w, 1);
  waits = WAIT(&w, 1);
  CHECK_EQ(weir_deadline(w.port), 110 * S);
  CHECK_EQ(world_advance(&w, 104 * S), 110 * S);
  CHECK_EQ(world_advance(&w, 50 * S), 56 * S);
  DUE(&w, waits, 56 * S);
  world_close(&w);
}

CHECK_MAIN
