/*
** bench_crowd.c - a process that dies with 100,000 tickets of a shared space,
** in ms, and the wake-ups of 64 processes that share one in which nothing
** happens: see bench.h. Linux only.
*/
#include <signal.h>
#include <sys/eventfd.h>

#include "hands.h"

enum {
  CROWD = 100000,
  RUNNING = 1000, /* of the crowd, who hold a permit */
  IDLE_S = 10
};

/* --- a crowd that dies ---------------------------------------------------- */

static void crowd(common *c, int number) {
  world w = join(RUNNING);
  weir_request request = { .deadline = WEIR_NEVER - 1 };
  weir_ticket ticket;
  (void)number;
  for (int i = 0; i < CROWD; i++)
    check(weir_acquire(w.port, w.limiter, &request, now_ns(), &ticket) >= 0);
  get_ready(c);
}

static double ms_since(uint64_t since) {
  return (double)(now_ns() - since) / 1e6;
}

/* From the first call after its death until one who stood behind all of them
** has a permit, and nobody of them is left. */
static double recover(const world *w) {
  weir_request request = { .cookie = 1 };
  weir_ticket ticket;
  weir_event event;
  weir_stats stats;
  uint64_t since;
  nap();
  for (int i = 0; i < 20; i++) nap();
  since = now_ns();
  if (weir_acquire(w->port, w->limiter, &request, since, &ticket) ==
      WEIR_WAITING) {
    weir_advance(w->port, now_ns());
    check(weir_next(w->port, &event));
  }
  check(!weir_limiter_stats(w->space, w->limiter, &stats));
  check(stats.waiting == 0 && stats.in_use == 1);
  return ms_since(since);
}

static double recovery(void) {
  common *c = new_common();
  pid_t pid;
  world w;
  double ms;
  make_dir();
  hire(c, 1, crowd, &pid);
  w = join(RUNNING);
  kill(pid, SIGKILL);
  await_end(&pid, 1);
  ms = recover(&w);
  free_world(&w);
  remove_dir();
  return ms;
}

/* As many, given back and withdrawn one by one by who has them. */
static double give_back(void) {
  static weir_ticket tickets[CROWD];
  weir_request request = { .deadline = WEIR_NEVER - 1 };
  weir_config config = WEIR_CONFIG_INIT;
  world w;
  uint64_t since;
  double ms;
  config.concurrent = RUNNING;
  w = new_world(&config);
  for (int i = 0; i < CROWD; i++)
    weir_acquire(w.port, w.limiter, &request, 0, &tickets[i]);
  since = now_ns();
  for (int i = CROWD; i--;)
    check(!(i < RUNNING ? weir_release(w.port, tickets[i], WEIR_DROPPED, 0)
                        : weir_cancel(w.port, tickets[i], 0)));
  ms = ms_since(since);
  free_world(&w);
  return ms;
}

/* --- idle ----------------------------------------------------------------- */

static int timeout_ms(uint64_t at) {
  uint64_t now = now_ns();
  if (at == WEIR_NEVER) return -1;
  return at > now ? (int)((at - now) / 1000000 + 1) : 0;
}

/* Half of them hold a permit; nobody waits for one. */
static void idle_host(common *c, int number) {
  world w = join(HANDS);
  weir_request request = { .cookie = 1 };
  weir_event event;
  weir_ticket ticket;
  int loop = watch(weir_fd(w.port));
  struct epoll_event ready;
  weir_acquire(w.port, w.limiter, &request, now_ns(), &ticket);
  if (number % 2) weir_release(w.port, ticket, WEIR_DONE, now_ns());
  c->ready++;
  for (;;) {
    epoll_wait(loop, &ready, 1, timeout_ms(weir_deadline(w.port)));
    c->calls[number * APART]++;
    weir_advance(w.port, now_ns());
    while (weir_next(w.port, &event)) {
    }
  }
}

static void idle_loop(common *c, int number) {
  struct epoll_event ready;
  int loop = watch(c->bell[0]);
  c->ready++;
  for (;;) {
    epoll_wait(loop, &ready, 1, -1);
    c->calls[number * APART]++;
  }
}

/* How often a process was switched away from: because it slept, or because it
** did not (the name of that ends alike). */
static uint64_t switches(pid_t pid) {
  static const char name[] = "voluntary_ctxt_switches:";
  char path[64], line[256];
  const char *found;
  uint64_t sum = 0;
  FILE *file;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  file = fopen(path, "r");
  check(file);
  while (fgets(line, sizeof line, file))
    if ((found = strstr(line, name)) != NULL)
      sum += strtoul(found + strlen(name), NULL, 10);
  fclose(file);
  return sum;
}

static uint64_t all_switches(const pid_t *pids) {
  uint64_t sum = 0;
  for (int i = 0; i < HANDS; i++) sum += switches(pids[i]);
  return sum;
}

static double wake_ups(common *c, work *what) {
  pid_t pids[HANDS];
  struct timespec settling = { 0, 500000000 }, t = { IDLE_S, 0 };
  uint64_t before, sum;
  hire(c, HANDS, what, pids);
  nanosleep(&settling, NULL);
  before = all_switches(pids);
  nanosleep(&t, NULL);
  sum = all_switches(pids) - before;
  for (int i = 0; i < HANDS; i++) sum += c->calls[i * APART];
  for (int i = 0; i < HANDS; i++) kill(pids[i], SIGKILL);
  await_end(pids, HANDS);
  return (double)sum;
}

static double idle(void) {
  double count;
  make_dir();
  count = wake_ups(new_common(), idle_host);
  remove_dir();
  return count;
}

static double asleep(void) {
  common *c = new_common();
  c->bell[0] = eventfd(0, EFD_NONBLOCK);
  check(c->bell[0] >= 0);
  return wake_ups(c, idle_loop);
}

int main(int argc, char **argv) {
  static const bench benches[] = {
    { "recovery", recovery },
    { "give_back", give_back },
    { "idle", idle },
    { "asleep", asleep },
  };
  return bench_main(argc, argv, benches, sizeof benches / sizeof *benches);
}
