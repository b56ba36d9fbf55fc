/*
** hands.h - benches of what several processes do: a space in a directory of its
** own, and child processes that begin together. Linux only.
*/
#ifndef WEIR_BENCH_HANDS_H
#define WEIR_BENCH_HANDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir_shared.h>

#include "bench.h"

enum { HANDS = 64, APART = 8 };

static const uint64_t large = (uint64_t)64 << 20, second = 1000000000;

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * second + (uint64_t)t.tv_nsec;
}

/* --- a space in a directory of its own ------------------------------------ */

static char dir[] = "/dev/shm/weir-bench-XXXXXX";

static inline void make_dir(void) { check(mkdtemp(dir)); }

static inline void remove_dir(void) {
  char why[WEIR_WHY_MAX];
  check(weir_shared_remove("bench", dir, true, why));
  check(!rmdir(dir));
}

static inline world join(uint32_t permits) {
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
  volatile uint64_t count;       /* what it guards */
  uint64_t calls[HANDS * APART]; /* of each, in a cache line of its own */
} common;

typedef void work(common *c, int number);

static inline common *new_common(void) {
  common *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  check(c != MAP_FAILED);
  return c;
}

static inline void nap(void) {
  struct timespec t = { 0, 1000000 };
  nanosleep(&t, NULL);
}

static inline void get_ready(common *c) {
  c->ready++;
  while (!c->go) nap();
}

/* All of them are ready when it returns. */
static inline void hire(common *c, int count, work *what, pid_t *pids) {
  for (int i = 0; i < count; i++) {
    pids[i] = fork();
    check(pids[i] >= 0);
    if (pids[i]) continue;
    what(c, i);
    _exit(0);
  }
  while (c->ready < count) nap();
}

static inline void await_end(const pid_t *pids, int count) {
  for (int i = 0; i < count; i++) {
    int status;
    check(waitpid(pids[i], &status, 0) == pids[i]);
    check(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  }
}

static inline int watch(int fd) {
  struct epoll_event event = { .events = EPOLLIN };
  int loop = epoll_create1(0);
  check(loop >= 0 && !epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event));
  return loop;
}

#endif
