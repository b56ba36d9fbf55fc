/*
** bench_shared.c - spaces that processes share, and what the least is that
** processes could do to have something in common: see bench.h. Of what several
** processes do at once it is real time that is measured. Linux only.
*/
#include <sys/eventfd.h>

#include "hands.h"

enum {
  CALLS = 3000000,
  EIGHT = 8,
  ROUNDS = 20000 /* there and back */
};

/* --- alone ---------------------------------------------------------------- */

static double pairs(const world *w) {
  weir_request request = { .cookie = 1 };
  weir_ticket ticket;
  clock_t start = clock();
  for (uint64_t now = 0; now < CALLS; now++) {
    weir_acquire(w->port, w->limiter, &request, now, &ticket);
    weir_release(w->port, ticket, WEIR_DONE, now);
  }
  return ns_since(start, CALLS);
}

static double alone(void) {
  world w;
  double ns;
  make_dir();
  w = join(10);
  ns = pairs(&w);
  free_world(&w);
  remove_dir();
  return ns;
}

static double local(void) {
  weir_config config = WEIR_CONFIG_INIT;
  world w;
  double ns;
  config.concurrent = 10;
  w = new_world(&config);
  ns = pairs(&w);
  free_world(&w);
  return ns;
}

/* --- eight at once -------------------------------------------------------- */

static void hammer_limiter(common *c, int number) {
  world w = join(EIGHT);
  weir_request request = { .cookie = 1 };
  weir_ticket ticket;
  uint64_t calls = 0, now = 0;
  get_ready(c);
  for (; !c->stop; calls += 2, now++) {
    check(weir_acquire(w.port, w.limiter, &request, now, &ticket) == 0);
    weir_release(w.port, ticket, WEIR_DONE, now);
  }
  c->calls[number * APART] = calls;
}

static void hammer_mutex(common *c, int number) {
  uint64_t calls = 0;
  get_ready(c);
  for (; !c->stop; calls++) {
    check(!pthread_mutex_lock(&c->mutex));
    c->count++;
    pthread_mutex_unlock(&c->mutex);
  }
  c->calls[number * APART] = calls;
}

/* Real time for a call of any of them. */
static double hammer(common *c, work *what) {
  pid_t pids[EIGHT];
  struct timespec t = { 1, 0 };
  uint64_t since, ns, calls = 0;
  hire(c, EIGHT, what, pids);
  c->go = 1;
  since = now_ns();
  nanosleep(&t, NULL);
  c->stop = 1;
  ns = now_ns() - since;
  await_end(pids, EIGHT);
  for (int i = 0; i < EIGHT; i++) calls += c->calls[i * APART];
  return (double)ns / (double)calls;
}

static double eight(void) {
  double ns;
  make_dir();
  ns = hammer(new_common(), hammer_limiter);
  remove_dir();
  return ns;
}

static double eight_pairs(void) { return 2 * eight(); }

static double mutex(void) {
  common *c = new_common();
  pthread_mutexattr_t robust;
  pthread_mutexattr_init(&robust);
  pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
  check(!pthread_mutex_init(&c->mutex, &robust));
  return hammer(c, hammer_mutex);
}

/* --- there and back ------------------------------------------------------- */

static void await(int loop) {
  struct epoll_event event;
  check(epoll_wait(loop, &event, 1, -1) == 1);
}

/* The next turn is asked for before this one is given away, so that the other
** is woken by every release. */
static void take_turns(common *c, int number) {
  world w = join(1);
  int loop = watch(weir_fd(w.port));
  weir_request request = { .cookie = 1 };
  weir_ticket next;
  weir_event event = { .ticket = 0 };
  if (number) get_ready(c);
  weir_acquire(w.port, w.limiter, &request, now_ns(), &event.ticket);
  c->ready++;
  if (number) await(loop);
  for (int i = 0; i < ROUNDS; i++) {
    if (i || number) {
      weir_advance(w.port, now_ns());
      check(weir_next(w.port, &event));
    } else
      while (!c->go || c->ready < 3) nap();
    weir_acquire(w.port, w.limiter, &request, now_ns(), &next);
    weir_release(w.port, event.ticket, WEIR_DONE, now_ns());
    if (i < ROUNDS - 1) await(loop);
  }
}

static void ping_pong(common *c, int number) {
  int loop = watch(c->bell[number]);
  uint64_t count = 1;
  get_ready(c);
  for (int i = 0; i < ROUNDS; i++) {
    if (i || number) {
      await(loop);
      check(read(c->bell[number], &count, sizeof count) > 0);
    }
    check(write(c->bell[!number], &count, sizeof count) > 0);
  }
}

/* Of one way. */
static double there_and_back(common *c, work *what) {
  pid_t pids[2];
  uint64_t since;
  hire(c, 2, what, pids);
  since = now_ns();
  c->go = 1;
  await_end(pids, 2);
  return (double)(now_ns() - since) / (2.0 * ROUNDS);
}

static double hand_off(void) {
  double ns;
  make_dir();
  ns = there_and_back(new_common(), take_turns);
  remove_dir();
  return ns;
}

static double eventfds(void) {
  common *c = new_common();
  for (int i = 0; i < 2; i++) {
    c->bell[i] = eventfd(0, EFD_NONBLOCK);
    check(c->bell[i] >= 0);
  }
  return there_and_back(c, ping_pong);
}

int main(int argc, char **argv) {
  static const bench benches[] = {
    { "alone", alone },       { "local", local },
    { "eight", eight },       { "eight_pairs", eight_pairs },
    { "mutex", mutex },       { "hand_off", hand_off },
    { "eventfds", eventfds },
  };
  return bench_main(argc, argv, benches, sizeof benches / sizeof *benches);
}
