/*
** bench_shared.c - spaces that processes share, and what the least is that
** processes could do to have something in common: see bench.h. Of what several
** processes do at once it is real time that is measured.
*/
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir_shared.h>

#include "bench.h"

enum {
  CALLS = 3000000,
  EIGHT = 8,
  HANDS = 64,
  ROUNDS = 20000, /* there and back */
  CROWD = 100000,
  RUNNING = 1000, /* of the crowd, who hold a permit */
  IDLE_S = 10,
  LINE = 64
};

static const uint64_t large = (uint64_t)64 << 20, second = 1000000000;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * second + (uint64_t)t.tv_nsec;
}

/* --- a space in a directory of its own ------------------------------------ */

static char dir[] = "/dev/shm/weir-bench-XXXXXX";

static void make_dir(void) { check(mkdtemp(dir)); }

static void remove_dir(void) {
  char why[WEIR_WHY_MAX];
  check(weir_shared_remove("bench", dir, true, why));
  check(!rmdir(dir));
}

static world join(uint32_t permits) {
  weir_shared_options options = { .dir = dir, .size = large };
  weir_config config = WEIR_CONFIG_INIT;
  char why[WEIR_WHY_MAX];
  world w;
  config.concurrent = permits;
  options.patrol_ns = second / 100;
  w.space = weir_shared_open("bench", &options, why);
  check(w.space);
  w.port = weir_port_attach(w.space);
  check(w.port);
  check(!weir_limiter_open(w.space, "bench", &config, 0, &w.limiter));
  return w;
}

/* --- other processes ------------------------------------------------------ */

/* What they have in common besides the space. */
typedef struct common {
  _Atomic int ready; /* how many are */
  _Atomic int go;
  _Atomic int stop;
  int bell[2]; /* of the ping-pong */
  pthread_mutex_t mutex;
  volatile uint64_t count; /* what it guards */
  struct {
    uint64_t calls;
    unsigned char apart[LINE - sizeof(uint64_t)];
  } of[HANDS];
} common;

typedef void work(common *c, int number);

static common *new_common(void) {
  common *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  check(c != MAP_FAILED);
  return c;
}

static void nap(void) {
  struct timespec t = { 0, 1000000 };
  nanosleep(&t, NULL);
}

static void get_ready(common *c) {
  c->ready++;
  while (!c->go) nap();
}

/* All of them are ready when it returns. */
static void hire(common *c, int count, work *what, pid_t *pids) {
  for (int i = 0; i < count; i++) {
    pids[i] = fork();
    check(pids[i] >= 0);
    if (pids[i]) continue;
    what(c, i);
    _exit(0);
  }
  while (c->ready < count) nap();
}

static void await_end(const pid_t *pids, int count) {
  for (int i = 0; i < count; i++) {
    int status;
    check(waitpid(pids[i], &status, 0) == pids[i]);
    check(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  }
}

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
  c->of[number].calls = calls;
}

static void hammer_mutex(common *c, int number) {
  uint64_t calls = 0;
  get_ready(c);
  for (; !c->stop; calls++) {
    check(!pthread_mutex_lock(&c->mutex));
    c->count++;
    pthread_mutex_unlock(&c->mutex);
  }
  c->of[number].calls = calls;
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
  for (int i = 0; i < EIGHT; i++) calls += c->of[i].calls;
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

static int watch(int fd) {
  struct epoll_event event = { .events = EPOLLIN };
  int loop = epoll_create1(0);
  check(loop >= 0 && !epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event));
  return loop;
}

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
    c->of[number].calls++;
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
    c->of[number].calls++;
  }
}

/* How often a process has slept and been woken. */
static uint64_t switches(pid_t pid) {
  char path[64], line[256];
  unsigned long count = 0, sum = 0;
  FILE *file;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  file = fopen(path, "r");
  check(file);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1 ||
        sscanf(line, "nonvoluntary_ctxt_switches: %lu", &count) == 1)
      sum += count;
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
  for (int i = 0; i < HANDS; i++) sum += c->of[i].calls;
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
    { "alone", alone },         { "local", local },
    { "eight", eight },         { "eight_pairs", eight_pairs },
    { "mutex", mutex },         { "hand_off", hand_off },
    { "eventfds", eventfds },   { "recovery", recovery },
    { "give_back", give_back }, { "idle", idle },
    { "asleep", asleep },
  };
  return bench_main(argc, argv, benches, sizeof benches / sizeof *benches);
}
