/*
** test_watch.c - the libevent host: tickets that wait for descriptors.
*/
#include <fcntl.h>
#include <unistd.h>

#include "rig.h"

TEST(a_watch_wakes_when_there_is_something_to_read) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  weir_watch *watch;
  rig_open(&r, NULL);
  rig_pair(ends);
  ticket = rig_park(&r, 0);
  watch = weir_watch_new(r.loop, ends[0], false, ticket);
  CHECK(watch != NULL);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(r.turns, 0);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK(rig_run_until(&r, 1));
  CHECK_EQ(r.turns, 1);
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  weir_watch_free(watch);
  NOTHING_LEFT(&r);
  rig_unpair(ends);
  rig_close(&r);
}

TEST(a_watch_wakes_when_the_other_end_closes) {
  rig r;
  int ends[2];
  weir_watch *watch;
  rig_open(&r, NULL);
  rig_pair(ends);
  watch = weir_watch_new(r.loop, ends[0], false, rig_park(&r, 0));
  close(ends[1]);
  CHECK(rig_run_until(&r, 1));
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
  rig_pair(ends);
  fill(ends[0]);
  ticket = rig_park(&r, 0);
  watch = weir_watch_new(r.loop, ends[0], true, ticket);
  CHECK_EQ(weir_loop_once(r.loop, false), 1);
  CHECK_EQ(r.got, 0);
  empty(ends[1]);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  weir_watch_free(watch);
  rig_unpair(ends);
  rig_close(&r);
}

TEST(a_reader_and_a_writer_of_one_descriptor_are_two) {
  rig r;
  int ends[2];
  weir_ticket reads, writes;
  weir_watch *reader, *writer;
  rig_open(&r, NULL);
  rig_pair(ends);
  reads = rig_park(&r, 0);
  writes = rig_park(&r, 0);
  reader = weir_watch_new(r.loop, ends[0], false, reads);
  writer = weir_watch_new(r.loop, ends[0], true, writes);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, writes, WEIR_ADMITTED);
  weir_watch_free(writer);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK(rig_run_until(&r, 2));
  SAW(&r, 1, reads, WEIR_ADMITTED);
  weir_watch_free(reader);
  rig_unpair(ends);
  rig_close(&r);
}

TEST(a_watched_ticket_may_time_out_before) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  weir_watch *watch;
  rig_open(&r, NULL);
  rig_pair(ends);
  ticket = rig_park(&r, 2 * RIG_MS);
  watch = weir_watch_new(r.loop, ends[0], false, ticket);
  rig_touch(&r);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_TIMEOUT);
  weir_watch_free(watch);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.got, 1);
  rig_unpair(ends);
  rig_close(&r);
}

/* The caller was late: its ticket is gone, and the watch wakes nobody. */
TEST(a_watch_of_a_stale_ticket_is_harmless) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  weir_watch *watch;
  rig_open(&r, NULL);
  rig_pair(ends);
  ticket = rig_park(&r, 0);
  watch = weir_watch_new(r.loop, ends[0], false, ticket);
  CHECK_EQ(weir_cancel(r.port, ticket, weir_loop_now()), 0);
  rig_park(&r, 0); /* in the same record */
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(weir_loop_once(r.loop, true), 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.turns, 0);
  weir_watch_free(watch);
  rig_unpair(ends);
  rig_close(&r);
}

TEST(a_watch_freed_before_it_fires_wakes_nobody) {
  rig r;
  int ends[2];
  rig_open(&r, NULL);
  rig_pair(ends);
  weir_watch_free(weir_watch_new(r.loop, ends[0], false, rig_park(&r, 0)));
  CHECK_EQ(write(ends[1], "x", 1), 1);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.turns, 0);
  weir_watch_free(NULL);
  rig_unpair(ends);
  rig_close(&r);
}

TEST(a_descriptor_that_cannot_be_watched_is_refused) {
  rig r;
  int ends[2];
  weir_ticket ticket;
  rig_open(&r, NULL);
  rig_pair(ends);
  rig_unpair(ends);
  ticket = rig_park(&r, 0);
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
  rig_pair(ends);
  fill(ends[0]);
  first = rig_park(&r, 0);
  second = rig_park(&r, 0);
  other = rig_park(&r, 0);
  watch[0] = weir_watch_new(r.loop, ends[0], false, first);
  watch[1] = weir_watch_new(r.loop, ends[0], true, second);
  watch[2] = weir_watch_new(r.loop, ends[1], true, other);
  r.calling = true;
  CHECK_EQ(weir_loop_wake_fd(r.loop, ends[0]), 2);
  r.calling = false;
  CHECK_EQ(r.turns, 0);
  close(ends[0]);
  CHECK(rig_run_until(&r, 3)); /* the third: its peer is gone */
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
  rig_pair(ends);
  watch = weir_watch_new(r.loop, ends[0], true, rig_park(&r, 0));
  CHECK(rig_run_until(&r, 1));
  CHECK_EQ(weir_loop_wake_fd(r.loop, ends[0]), 0);
  NOTHING_LEFT(&r);
  CHECK_EQ(r.got, 1);
  weir_watch_free(watch);
  rig_unpair(ends);
  rig_close(&r);
}

CHECK_MAIN
