/*
** test_shared_bell.c - bells that wake the ports of other processes.
*/
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <weir_shared.h>

#include "check.h"
#include "crew.h"
#include "desk.h"

static bool is_rung(int fd) {
  struct pollfd p = { fd, POLLIN, 0 };
  return poll(&p, 1, 0) == 1;
}

static bool is_rung_soon(int fd) {
  struct pollfd p = { fd, POLLIN, 0 };
  return poll(&p, 1, 20000) == 1; /* on a slow machine, too */
}

TEST(a_bell_is_readable_from_ring_to_hush) {
  char dir[CREW_PATH];
  desk d;
  int fd;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  fd = weir_bells_hang(&d.bells, 3);
  CHECK(fd >= 0);
  CHECK(!is_rung(fd));
  for (int i = 0; i < 3; i++) {
    weir_bells_ring(&d.bells, 3);
    CHECK(is_rung(fd));
    weir_bells_hush(fd);
    CHECK(!is_rung(fd));
  }
  close(fd);
  desk_close(&d);
  crew_clear(dir);
}

/* More than a pipe holds: the ringer does not wait. */
TEST(many_rings_are_one) {
  char dir[CREW_PATH];
  desk d;
  int fd;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  fd = weir_bells_hang(&d.bells, 1);
  for (int i = 0; i < 100000; i++) weir_bells_ring(&d.bells, 1);
  CHECK(is_rung(fd));
  weir_bells_hush(fd);
  CHECK(!is_rung(fd));
  close(fd);
  desk_close(&d);
  crew_clear(dir);
}

TEST(a_port_that_is_gone_or_never_was_hears_nothing) {
  char dir[CREW_PATH];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  weir_bells_ring(&d.bells, 7);
  weir_bells_ring(&d.bells, WEIR_SHARED_PORTS + 1);
  weir_bells_ring(&d.bells, UINT32_MAX);
  CHECK_EQ(weir_bells_hang(&d.bells, WEIR_SHARED_PORTS + 1), -1);
  close(weir_bells_hang(&d.bells, 7));
  for (int i = 0; i < 3; i++) weir_bells_ring(&d.bells, 7);
  desk_close(&d);
  crew_clear(dir);
}

static void hang_and_wait(const crew_hand *boss, void *dir) {
  desk d;
  int fd = desk_open(&d, dir) ? weir_bells_hang(&d.bells, 5) : -1;
  if (fd < 0) return;
  crew_say(boss, 'h');
  crew_say(boss, is_rung_soon(fd) ? 'r' : 'n');
  crew_hear(boss);
}

/* The ringer keeps its rope all the time; SIGPIPE would end the test. */
TEST(a_number_is_used_by_one_process_after_the_other) {
  char dir[CREW_PATH];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  signal(SIGPIPE, SIG_DFL);
  for (int i = 0; i < 3; i++) {
    crew_hand hand = crew_hire(hang_and_wait, dir);
    CHECK_EQ(crew_hear(&hand), 'h');
    weir_bells_ring(&d.bells, 5);
    CHECK_EQ(crew_hear(&hand), 'r');
    crew_dismiss(&hand, SIGKILL);
    weir_bells_ring(&d.bells, 5);
  }
  CHECK_EQ(d.bells.kept, 1);
  desk_close(&d);
  crew_clear(dir);
}

/* Somebody takes the file away; what is made instead is rung all the same. */
TEST(a_bell_that_is_made_anew_is_heard) {
  char dir[CREW_PATH];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  for (int i = 0; i < 3; i++) {
    int fd = weir_bells_hang(&d.bells, 5);
    weir_bells_ring(&d.bells, 5);
    CHECK(is_rung(fd));
    close(fd);
    CHECK_EQ(unlinkat(d.place.home, "bell.5", 0), 0);
  }
  CHECK_EQ(d.bells.kept, 1);
  desk_close(&d);
  crew_clear(dir);
}

TEST(what_is_no_bell_is_replaced_and_never_rung) {
  char dir[CREW_PATH];
  struct stat st;
  desk d;
  int fd;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  close(openat(d.place.home, "victim", O_CREAT | O_RDWR, 0600));
  CHECK_EQ(symlinkat("victim", d.place.home, "bell.5"), 0);
  weir_bells_ring(&d.bells, 5);
  CHECK_EQ(fstatat(d.place.home, "victim", &st, 0), 0);
  CHECK_EQ(st.st_size, 0);
  fd = weir_bells_hang(&d.bells, 5);
  CHECK_EQ(fstat(fd, &st), 0);
  CHECK(S_ISFIFO(st.st_mode));
  CHECK_EQ(st.st_mode & 0777, 0600);
  weir_bells_ring(&d.bells, 5);
  CHECK(is_rung(fd));
  close(fd);
  desk_close(&d);
  crew_clear(dir);
}

/* Beyond the ropes that are kept, ringing works all the same. */
TEST(more_ports_than_ropes) {
  enum { PORTS = WEIR_ROPES_MAX + 20 };
  char dir[CREW_PATH];
  int fds[PORTS];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  for (uint32_t i = 0; i < PORTS; i++) fds[i] = weir_bells_hang(&d.bells, i);
  for (int turn = 0; turn < 2; turn++)
    for (uint32_t i = 0; i < PORTS; i++) {
      weir_bells_ring(&d.bells, i);
      CHECK(is_rung(fds[i]));
      weir_bells_hush(fds[i]);
    }
  CHECK_EQ(d.bells.kept, WEIR_ROPES_MAX);
  for (uint32_t i = 0; i < PORTS; i++) close(fds[i]);
  desk_close(&d);
  crew_clear(dir);
}

static void *ring_often(void *bells) {
  for (int i = 0; i < 5000; i++) weir_bells_ring(bells, (uint32_t)i % 4);
  return NULL;
}

/* While threads ring, bells are made anew under them. */
TEST(threads_ring_together) {
  enum { THREADS = 3 };
  char dir[CREW_PATH], name[16];
  pthread_t threads[THREADS];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, ring_often, &d.bells);
  for (uint32_t i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "bell.%u", i % 4);
    unlinkat(d.place.home, name, 0);
    close(weir_bells_hang(&d.bells, i % 4));
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (uint32_t port = 0; port < 4; port++) {
    int fd = weir_bells_hang(&d.bells, port);
    weir_bells_ring(&d.bells, port);
    CHECK(is_rung(fd));
    close(fd);
  }
  desk_close(&d);
  crew_clear(dir);
}

/* --- turns ---------------------------------------------------------------- */

typedef struct two {
  weir_space *space;
  weir_port *ports[2]; /* each has one that was granted and not taken */
  uint64_t now;        /* ns */
} two;

static void ask(const two *t, int port, weir_limiter limiter, int verdict,
                weir_ticket *out) {
  const weir_request one = { 0 };
  CHECK_EQ(weir_acquire(t->ports[port], limiter, &one, t->now, out), verdict);
}

static bool two_open(two *t, const char *dir) {
  weir_shared_options options = { .dir = dir, .patrol_ns = WEIR_NEVER };
  weir_config config = WEIR_CONFIG_INIT;
  char why[WEIR_WHY_MAX];
  weir_limiter limiter;
  weir_ticket held[2], waits;
  t->space = weir_shared_open("s", &options, why);
  if (!CHECK(t->space)) return false;
  for (int i = 0; i < 2; i++) t->ports[i] = weir_port_attach(t->space);
  t->now = 1000;
  config.concurrent = 2;
  weir_limiter_open(t->space, "l", &config, t->now, &limiter);
  for (int i = 0; i < 2; i++) ask(t, 0, limiter, WEIR_ADMITTED, &held[i]);
  for (int i = 0; i < 2; i++) ask(t, i, limiter, WEIR_WAITING, &waits);
  t->now += 10000000;
  for (int i = 0; i < 2; i++)
    weir_release(t->ports[0], held[i], WEIR_DONE, t->now);
  return true;
}

static bool rings(const two *t, int port) {
  bool rung = is_rung(weir_fd(t->ports[port]));
  weir_advance(t->ports[port], t->now);
  return rung;
}

static void two_close(two *t) {
  for (int i = 0; i < 2; i++) weir_port_detach(t->ports[i], t->now);
  weir_space_free(t->space);
}

/* The first of the two has waited in port 0, whose host lets the second wait:
** its bell rings when it was granted, and again when it may begin. */
TEST(whoever_may_begin_hears_the_bell) {
  char dir[CREW_PATH];
  weir_event event;
  two t;
  crew_dir(dir);
  if (!two_open(&t, dir)) return;
  CHECK(rings(&t, 1));
  CHECK(!weir_next(t.ports[1], &event));
  CHECK(weir_next(t.ports[0], &event));
  CHECK(!rings(&t, 1));
  CHECK(!weir_next(t.ports[1], &event));
  CHECK(!weir_next(t.ports[0], &event)); /* it has begun */
  CHECK(rings(&t, 1));
  CHECK(weir_next(t.ports[1], &event));
  CHECK(!rings(&t, 0)); /* nobody is left there */
  two_close(&t);
  crew_clear(dir);
}

CHECK_MAIN
