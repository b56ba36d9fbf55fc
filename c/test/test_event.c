/*
** test_event.c - the libevent host: a port driven by an event_base.
**
** The clock is the real one here. Waits that come are of a few milliseconds;
** those that must not come are of an hour, so that no test has to be quick.
*/
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir_event.h>

#include "check.h"

static const uint64_t MS = 1000000;            /* ns */
static const uint64_t HOUR = 3600000000000ull; /* ns */

enum { EVENTS_MAX = 64, ENOUGH = 1000 };

/* A port on a loop, and what its turns saw. */
typedef struct rig {
  weir_space *space;
  weir_port *port;
  weir_limiter limiter;    /* of one permit */
  struct event_base *base; /* given; NULL: the loop has one of its own */
  weir_loop *loop;
  int turns;                    /* how often the turn was called */
  int got;                      /* events taken in turns */
  weir_event event[EVENTS_MAX]; /* those */
  uint64_t when[EVENTS_MAX];    /* ns: when they were taken */
  int kicks;                    /* turns that are to ask for another one */
  int break_at;                 /* the turn that breaks the loop; 0: none */
  bool asleep;                  /* turns take nothing */
  bool calling;                 /* a call is under way that must not resume */
} rig;

static void turn(void *data) {
  rig *r = data;
  r->turns++;
  CHECK(!r->calling);
  while (!r->asleep && r->got < EVENTS_MAX &&
         weir_next(r->port, &r->event[r->got])) {
    r->when[r->got] = weir_loop_now();
    r->got++;
  }
  if (r->kicks-- > 0) weir_loop_kick(r->loop);
  if (r->turns == r->break_at) weir_loop_break(r->loop);
}

static void rig_open(rig *r, struct event_base *base) {
  weir_config config = WEIR_CONFIG_INIT;
  *r = (rig){ .base = base };
  r->space = weir_space_new(NULL);
  r->port = weir_port_attach(r->space);
  r->loop = weir_loop_new(r->port, base, turn, r);
  CHECK_EQ(
      weir_limiter_open(r->space, NULL, &config, weir_loop_now(), &r->limiter),
      0);
}

static void rig_close(rig *r) {
  weir_loop_free(r->loop);
  weir_port_detach(r->port, weir_loop_now());
  weir_space_free(r->space);
  if (r->base) event_base_free(r->base);
}

/* A ticket that waits for a wake, or until `ns` from now; 0: for ever. */
static weir_ticket park(rig *r, uint64_t ns) {
  weir_request request = { .deadline = ns ? weir_loop_now() + ns : 0 };
  weir_ticket ticket;
  CHECK_EQ(weir_park(r->port, &request, &ticket), WEIR_WAITING);
  return ticket;
}

static weir_ticket acquire(rig *r, int verdict) {
  weir_request request = { 0 };
  weir_ticket ticket;
  CHECK_EQ(
      weir_acquire(r->port, r->limiter, &request, weir_loop_now(), &ticket),
      (unsigned)verdict);
  return ticket;
}

/* Calls that may not run a turn inside of them. */
static void touch(rig *r) {
  r->calling = true;
  weir_loop_touch(r->loop);
  r->calling = false;
}

static void release(rig *r, weir_ticket ticket) {
  r->calling = true;
  CHECK_EQ(weir_release(r->port, ticket, WEIR_DONE, weir_loop_now()), 0);
  r->calling = false;
  touch(r);
}

/* Runs the loop until `got` events were taken; false: it never happens. */
static bool run_until(rig *r, int got) {
  for (int i = 0; r->got < got && i < ENOUGH; i++)
    if (weir_loop_once(r->loop, true) != 1) break;
  return r->got == got;
}

/* Event `i` was this ticket's, and this is what was decided. */
#define SAW(r, i, whose, what)                                                 \
  do {                                                                         \
    CHECK_EQ((r)->event[i].ticket, whose);                                     \
    CHECK_EQ((r)->event[i].verdict, what);                                     \
  } while (0)

#define NOTHING_LEFT(r) CHECK_EQ(weir_loop_once((r)->loop, true), 0)

/* --- turns ---------------------------------------------------------------- */

TEST(a_loop_that_waits_for_nothing_says_so) {
  rig r;
  rig_open(&r, NULL);
  NOTHING_LEFT(&r);
  CHECK_EQ(weir_loop_once(r.loop, false), 0);
  CHECK_EQ(r.turns, 0);
  rig_close(&r);
}

TEST(a_release_resumes_nobody_and_the_loop_does) {
  rig r;
  weir_ticket held, waits;
  rig_open(&r, NULL);
  held = acquire(&r, WEIR_ADMITTED);
  waits = acquire(&r, WEIR_WAITING);
  touch(&r);
  NOTHING_LEFT(&r);
  release(&r, held);
  CHECK_EQ(r.turns, 0);
  CHECK(run_until(&r, 1));
  CHECK_EQ(r.turns, 1);
  SAW(&r, 0, waits, WEIR_ADMITTED);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(one_turn_takes_all_who_were_decided) {
  rig r;
  weir_ticket tickets[3];
  rig_open(&r, NULL);
  for (int i = 0; i < 3; i++) tickets[i] = park(&r, 0);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(weir_wake(r.port, tickets[i]), 0);
    touch(&r);
  }
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(r.turns, 1);
  CHECK_EQ(r.got, 3);
  for (int i = 0; i < 3; i++) SAW(&r, i, tickets[i], WEIR_ADMITTED);
  rig_close(&r);
}

TEST(a_kick_gives_a_turn_that_is_not_due_and_two_give_one) {
  rig r;
  rig_open(&r, NULL);
  r.calling = true;
  weir_loop_kick(r.loop);
  weir_loop_kick(r.loop);
  r.calling = false;
  CHECK_EQ(weir_loop_once(r.loop, true), 1);
  CHECK_EQ(r.turns, 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.turns, 1);
  rig_close(&r);
}

TEST(a_turn_that_kicks_comes_again_in_the_next_iteration) {
  rig r;
  rig_open(&r, NULL);
  r.kicks = 3;
  weir_loop_kick(r.loop);
  for (int i = 1; i <= 4; i++) {
    CHECK_EQ(weir_loop_once(r.loop, true), 1);
    CHECK_EQ(r.turns, i);
  }
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* What a turn leaves is not forgotten, though nobody touches the loop. */
TEST(a_turn_that_takes_nothing_comes_again) {
  rig r;
  weir_ticket ticket;
  rig_open(&r, NULL);
  ticket = park(&r, 0);
  CHECK_EQ(weir_wake(r.port, ticket), 0);
  touch(&r);
  r.asleep = true;
  for (int i = 1; i <= 3; i++) {
    CHECK_EQ(weir_loop_once(r.loop, true), 1);
    CHECK_EQ(r.turns, i);
  }
  r.asleep = false;
  CHECK(run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* --- time ----------------------------------------------------------------- */

TEST(the_clock_only_goes_forward) {
  uint64_t last = weir_loop_now();
  CHECK(last > 0);
  for (int i = 0; i < ENOUGH; i++) {
    uint64_t now = weir_loop_now();
    CHECK(now >= last);
    last = now;
  }
}

static void check_never_early(struct event_base *base) {
  enum { COUNT = 40 };
  rig r;
  uint64_t deadline[COUNT];
  rig_open(&r, base);
  for (uint64_t i = 0; i < COUNT; i++) {
    weir_request request = { .cookie = i };
    weir_ticket ticket;
    deadline[i] = request.deadline =
        weir_loop_now() + i * 7919 % COUNT * MS / 10 + i;
    CHECK_EQ(weir_park(r.port, &request, &ticket), WEIR_WAITING);
  }
  touch(&r);
  CHECK(run_until(&r, COUNT));
  for (int i = 0; i < r.got; i++) {
    CHECK_EQ(r.event[i].verdict, WEIR_TIMEOUT);
    CHECK(r.when[i] >= deadline[r.event[i].cookie]);
  }
  for (int i = 1; i < r.got; i++)
    CHECK(deadline[r.event[i - 1].cookie] <= deadline[r.event[i].cookie]);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(timeouts_never_come_early_and_come_in_order) { check_never_early(NULL); }

/* Its timers are as coarse as its clock, unless it was asked for others. */
TEST(timeouts_on_a_given_base_never_come_early) {
  check_never_early(event_base_new());
}

static void dawdle(evutil_socket_t fd, short what, void *data) {
  uint64_t until = weir_loop_now() + 2 * MS;
  (void)fd;
  (void)what;
  while (weir_loop_now() < until) {
  }
  park(data, 3 * MS);
  weir_loop_touch(((rig *)data)->loop);
}

/* libevent counts a timer from when its callbacks began, which is before. */
TEST(a_timeout_that_a_slow_callback_asks_for_is_not_early) {
  rig r;
  uint64_t begin;
  rig_open(&r, event_base_new());
  event_base_once(r.base, -1, EV_TIMEOUT, dawdle, &r, NULL);
  begin = weir_loop_now();
  CHECK(run_until(&r, 1));
  CHECK_EQ(r.event[0].verdict, WEIR_TIMEOUT);
  CHECK(r.when[0] >= begin + 5 * MS);
  rig_close(&r);
}

TEST(an_earlier_deadline_is_waited_for_instead) {
  rig r;
  weir_ticket late, soon;
  rig_open(&r, NULL);
  late = park(&r, HOUR);
  touch(&r);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  soon = park(&r, 2 * MS);
  touch(&r);
  CHECK(run_until(&r, 1));
  SAW(&r, 0, soon, WEIR_TIMEOUT);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(weir_cancel(r.port, late, weir_loop_now()), 0);
  touch(&r);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(when_the_earliest_is_withdrawn_the_next_one_still_comes) {
  rig r;
  weir_ticket first, second;
  rig_open(&r, NULL);
  first = park(&r, 1 * MS);
  second = park(&r, 3 * MS);
  touch(&r);
  CHECK_EQ(weir_cancel(r.port, first, weir_loop_now()), 0);
  touch(&r);
  CHECK(run_until(&r, 1));
  SAW(&r, 0, second, WEIR_TIMEOUT);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(a_deadline_in_the_past_is_due_at_once) {
  rig r;
  weir_request request = { .deadline = 1 };
  weir_ticket ticket;
  rig_open(&r, NULL);
  CHECK_EQ(weir_park(r.port, &request, &ticket), WEIR_WAITING);
  touch(&r);
  CHECK_EQ(r.turns, 0);
  CHECK(run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_TIMEOUT);
  rig_close(&r);
}

TEST(a_waiter_that_times_out_is_refused_and_the_holder_is_not_asked) {
  rig r;
  weir_ticket held, ticket;
  weir_request request = { .deadline = weir_loop_now() + 2 * MS };
  rig_open(&r, NULL);
  held = acquire(&r, WEIR_ADMITTED);
  CHECK_EQ(weir_acquire(r.port, r.limiter, &request, weir_loop_now(), &ticket),
           WEIR_WAITING);
  touch(&r);
  CHECK(run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_TIMEOUT);
  CHECK(r.event[0].waited_ns > 0);
  release(&r, held);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* --- bases ---------------------------------------------------------------- */

static void count(evutil_socket_t fd, short what, void *data) {
  (void)fd;
  (void)what;
  ++*(int *)data;
}

TEST(a_base_of_its_own_is_its_own) {
  rig r, other;
  rig_open(&r, NULL);
  rig_open(&other, NULL);
  CHECK(weir_loop_base(r.loop) != NULL);
  CHECK(weir_loop_base(r.loop) != weir_loop_base(other.loop));
  rig_close(&r);
  rig_close(&other);
}

TEST(a_given_base_stays_the_callers) {
  rig r;
  int called = 0;
  struct event_base *base = event_base_new();
  rig_open(&r, base);
  CHECK(weir_loop_base(r.loop) == base);
  park(&r, 2 * MS);
  touch(&r);
  CHECK_EQ(event_base_dispatch(base), 1);
  CHECK_EQ(r.got, 1);
  weir_loop_free(r.loop);
  event_base_once(base, -1, EV_TIMEOUT, count, &called, NULL);
  CHECK_EQ(event_base_dispatch(base), 1);
  CHECK_EQ(called, 1);
  r.loop = NULL;
  rig_close(&r);
}

TEST(two_ports_share_a_base) {
  rig r, other;
  weir_ticket mine, yours;
  rig_open(&r, event_base_new());
  rig_open(&other, r.base);
  mine = park(&r, 2 * MS);
  yours = park(&other, 1 * MS);
  touch(&r);
  touch(&other);
  CHECK_EQ(event_base_dispatch(r.base), 1);
  CHECK_EQ(r.got, 1);
  CHECK_EQ(other.got, 1);
  SAW(&r, 0, mine, WEIR_TIMEOUT);
  SAW(&other, 0, yours, WEIR_TIMEOUT);
  other.base = NULL;
  rig_close(&other);
  rig_close(&r);
}

TEST(a_loop_that_is_freed_leaves_nothing_on_its_base) {
  rig r;
  struct event_base *base = event_base_new();
  rig_open(&r, base);
  park(&r, HOUR);
  touch(&r);
  weir_loop_kick(r.loop);
  weir_loop_free(r.loop);
  r.loop = NULL;
  CHECK_EQ(event_base_dispatch(base), 1);
  CHECK_EQ(r.turns, 0);
  rig_close(&r);
  weir_loop_free(NULL);
}

TEST(a_turn_can_break_the_loop) {
  rig r;
  struct event_base *base = event_base_new();
  rig_open(&r, base);
  r.kicks = ENOUGH;
  r.break_at = 3;
  weir_loop_kick(r.loop);
  CHECK_EQ(event_base_dispatch(base), 0);
  CHECK_EQ(r.turns, 3);
  CHECK(event_base_got_break(base));
  CHECK_EQ(weir_loop_once(r.loop, true), 1);
  CHECK_EQ(r.turns, 4);
  rig_close(&r);
}

/* --- descriptors ---------------------------------------------------------- */

static void open_pair(int ends[2]) {
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void close_pair(const int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

TEST(a_watch_wakes_when_there_is_something_to_read) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  weir_watch *watch;
  rig_open(&r, NULL);
  open_pair(ends);
  ticket = park(&r, 0);
  watch = weir_watch_new(r.loop, ends[0], false, ticket);
  CHECK(watch != NULL);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(r.turns, 0);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK(run_until(&r, 1));
  CHECK_EQ(r.turns, 1);
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  weir_watch_free(watch);
  NOTHING_LEFT(&r);
  close_pair(ends);
  rig_close(&r);
}

TEST(a_watch_wakes_when_the_other_end_closes) {
  rig r;
  int ends[2];
  weir_watch *watch;
  rig_open(&r, NULL);
  open_pair(ends);
  watch = weir_watch_new(r.loop, ends[0], false, park(&r, 0));
  close(ends[1]);
  CHECK(run_until(&r, 1));
  weir_watch_free(watch);
  close(ends[0]);
  rig_close(&r);
}

/* Fills what the other end has not read. */
static void fill(int fd) {
  static const char rubbish[4096];
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  while (write(fd, rubbish, sizeof rubbish) > 0) {
  }
}

static void empty(int fd) {
  char rubbish[4096];
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  while (read(fd, rubbish, sizeof rubbish) > 0) {
  }
}

TEST(a_watch_wakes_when_there_is_room_to_write) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  weir_watch *watch;
  rig_open(&r, NULL);
  open_pair(ends);
  fill(ends[0]);
  ticket = park(&r, 0);
  watch = weir_watch_new(r.loop, ends[0], true, ticket);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(r.got, 0);
  empty(ends[1]);
  CHECK(run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  weir_watch_free(watch);
  close_pair(ends);
  rig_close(&r);
}

TEST(a_reader_and_a_writer_of_one_descriptor_are_two) {
  rig r;
  int ends[2];
  weir_ticket reads, writes;
  weir_watch *reader, *writer;
  rig_open(&r, NULL);
  open_pair(ends);
  reads = park(&r, 0);
  writes = park(&r, 0);
  reader = weir_watch_new(r.loop, ends[0], false, reads);
  writer = weir_watch_new(r.loop, ends[0], true, writes);
  CHECK(run_until(&r, 1));
  SAW(&r, 0, writes, WEIR_ADMITTED);
  weir_watch_free(writer);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK(run_until(&r, 2));
  SAW(&r, 1, reads, WEIR_ADMITTED);
  weir_watch_free(reader);
  close_pair(ends);
  rig_close(&r);
}

TEST(a_watched_ticket_may_time_out_before) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  weir_watch *watch;
  rig_open(&r, NULL);
  open_pair(ends);
  ticket = park(&r, 2 * MS);
  watch = weir_watch_new(r.loop, ends[0], false, ticket);
  touch(&r);
  CHECK(run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_TIMEOUT);
  weir_watch_free(watch);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.got, 1);
  close_pair(ends);
  rig_close(&r);
}

/* The caller was late: its ticket is gone, and the watch wakes nobody. */
TEST(a_watch_of_a_stale_ticket_is_harmless) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  weir_watch *watch;
  rig_open(&r, NULL);
  open_pair(ends);
  ticket = park(&r, 0);
  watch = weir_watch_new(r.loop, ends[0], false, ticket);
  CHECK_EQ(weir_cancel(r.port, ticket, weir_loop_now()), 0);
  park(&r, 0); /* in the same record */
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(weir_loop_once(r.loop, true), 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.turns, 0);
  weir_watch_free(watch);
  close_pair(ends);
  rig_close(&r);
}

TEST(a_watch_freed_before_it_fires_wakes_nobody) {
  rig r;
  int ends[2];
  rig_open(&r, NULL);
  open_pair(ends);
  weir_watch_free(weir_watch_new(r.loop, ends[0], false, park(&r, 0)));
  CHECK_EQ(write(ends[1], "x", 1), 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.turns, 0);
  weir_watch_free(NULL);
  close_pair(ends);
  rig_close(&r);
}

TEST(a_descriptor_that_cannot_be_watched_is_refused) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  rig_open(&r, NULL);
  open_pair(ends);
  close_pair(ends);
  event_enable_debug_logging(0);
  ticket = park(&r, 0);
  CHECK(weir_watch_new(r.loop, ends[0], false, ticket) == NULL);
  CHECK(weir_watch_new(r.loop, ends[0], true, ticket) == NULL);
  CHECK(weir_watch_new(r.loop, -1, false, ticket) == NULL);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(waking_a_descriptor_wakes_all_who_watch_it_and_nobody_else) {
  rig r;
  int ends[2];
  weir_ticket first, second, other;
  weir_watch *watch[3];
  rig_open(&r, NULL);
  open_pair(ends);
  fill(ends[0]);
  first = park(&r, 0);
  second = park(&r, 0);
  other = park(&r, 0);
  watch[0] = weir_watch_new(r.loop, ends[0], false, first);
  watch[1] = weir_watch_new(r.loop, ends[0], true, second);
  watch[2] = weir_watch_new(r.loop, ends[1], true, other);
  r.calling = true;
  CHECK_EQ(weir_loop_wake_fd(r.loop, ends[0]), 2);
  r.calling = false;
  CHECK_EQ(r.turns, 0);
  close(ends[0]);
  CHECK(run_until(&r, 3)); /* the third: its peer is gone */
  CHECK_EQ(r.event[0].ticket == first || r.event[1].ticket == first, 1);
  CHECK_EQ(r.event[0].ticket == second || r.event[1].ticket == second, 1);
  SAW(&r, 2, other, WEIR_ADMITTED);
  for (int i = 0; i < 3; i++) weir_watch_free(watch[i]);
  CHECK_EQ(weir_loop_wake_fd(r.loop, ends[1]), 0);
  close(ends[1]);
  rig_close(&r);
}

TEST(waking_a_descriptor_does_not_count_who_was_woken_before) {
  rig r;
  int ends[2];
  weir_watch *watch;
  rig_open(&r, NULL);
  open_pair(ends);
  watch = weir_watch_new(r.loop, ends[0], true, park(&r, 0));
  CHECK(run_until(&r, 1));
  CHECK_EQ(weir_loop_wake_fd(r.loop, ends[0]), 0);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.got, 1);
  weir_watch_free(watch);
  close_pair(ends);
  rig_close(&r);
}

/* --- fairness ------------------------------------------------------------- */

static void stop(evutil_socket_t fd, short what, void *data) {
  rig *r = data;
  (void)fd;
  (void)what;
  r->kicks = 0;
}

TEST(a_turn_that_always_kicks_does_not_starve_a_descriptor) {
  rig r;
  int ends[2];
  rig_open(&r, event_base_new());
  open_pair(ends);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  event_base_once(r.base, ends[0], EV_READ, stop, &r, NULL);
  r.kicks = ENOUGH;
  weir_loop_kick(r.loop);
  CHECK_EQ(event_base_dispatch(r.base), 1);
  CHECK(r.turns <= 3);
  close_pair(ends);
  rig_close(&r);
}

TEST(a_turn_that_always_kicks_does_not_starve_a_deadline) {
  rig r;
  rig_open(&r, NULL);
  park(&r, 2 * MS);
  touch(&r);
  r.kicks = INT32_MAX;
  weir_loop_kick(r.loop);
  while (!r.got && weir_loop_once(r.loop, true) == 1) {
  }
  CHECK_EQ(r.got, 1);
  rig_close(&r);
}

typedef struct pulse {
  rig *rig;
  int iterations; /* of the base */
  int last;       /* turns there were at the last one */
  int most;       /* turns in one iteration */
} pulse;

/* A descriptor that is always writable is called in every iteration, and
** wakes somebody there. */
static void on_pulse(evutil_socket_t fd, short what, void *data) {
  pulse *p = data;
  rig *r = p->rig;
  (void)fd;
  (void)what;
  if (r->turns - p->last > p->most) p->most = r->turns - p->last;
  p->last = r->turns;
  CHECK_EQ(weir_wake(r->port, park(r, 0)), 0);
  weir_loop_touch(r->loop);
  if (++p->iterations == 20) weir_loop_break(r->loop);
}

TEST(there_is_one_turn_in_an_iteration_at_most) {
  rig r;
  int ends[2];
  pulse p = { .rig = &r };
  struct event *event;
  rig_open(&r, event_base_new());
  open_pair(ends);
  event = event_new(r.base, ends[0], EV_WRITE | EV_PERSIST, on_pulse, &p);
  event_add(event, NULL);
  r.kicks = ENOUGH;
  weir_loop_kick(r.loop);
  event_base_dispatch(r.base);
  CHECK_EQ(p.iterations, 20);
  CHECK_EQ(p.most, 1);
  event_free(event);
  close_pair(ends);
  rig_close(&r);
}

CHECK_MAIN
