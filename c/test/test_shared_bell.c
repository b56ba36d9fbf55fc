/*
** test_shared_bell.c - bells that wake the ports of other processes.
*/
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

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

CHECK_MAIN
