/*
** test_shared_look.c - a look at what other processes do in a space: by whom,
** without taking part, and whose one may look at.
*/
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir_shared.h>

#include "check.h"
#include "crew.h"
#include "shared/seat.h"

enum { PATH = 256, NOBODY = 12345 };

static weir_space *open_with(const char *dir, bool look, char *why) {
  weir_shared_options options = { .dir = dir, .look = look };
  return weir_shared_open("s", &options, why);
}

/* Holds one permit until it is told to go. */
static void hold_one(const crew_hand *boss, void *dir) {
  char why[WEIR_WHY_MAX];
  weir_config config = WEIR_CONFIG_INIT;
  weir_space *space = open_with(dir, false, why);
  weir_port *port = space ? weir_port_attach(space) : NULL;
  weir_request request = { 0 };
  weir_limiter limiter;
  weir_ticket ticket;
  if (!port ||
      weir_limiter_open(space, "door", &config, weir_seats_now(), &limiter))
    return;
  weir_acquire(port, limiter, &request, weir_seats_now(), &ticket);
  crew_say(boss, 'h');
  crew_hear(boss);
}

static crew_hand hire_holder(char *dir) {
  crew_hand hand = crew_hire(hold_one, dir);
  CHECK_EQ(crew_hear(&hand), 'h');
  return hand;
}

/* The pids of a space's tickets, by their state: 0, or the last one's. */
static uint32_t pid_of(const weir_space *space, weir_state state) {
  weir_ticket_info info;
  uint32_t cursor = 0, pid = 0;
  while (weir_ticket_walk_all(space, &cursor, weir_seats_now(), &info))
    if (info.state == state) pid = weir_shared_pid(space, info.port);
  return pid;
}

TEST(who_looks_sees_whose_tickets_there_are_and_has_no_port) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX];
  crew_hand holder, waiter;
  weir_shared_use use;
  weir_space *space;
  crew_dir(dir);
  holder = hire_holder(dir);
  waiter = hire_holder(dir);
  space = open_with(dir, true, why);
  if (!CHECK(space)) return;
  CHECK(!weir_port_attach(space));
  CHECK_EQ(pid_of(space, WEIR_HELD), (uint32_t)holder.pid);
  CHECK_EQ(pid_of(space, WEIR_QUEUED), (uint32_t)waiter.pid);
  CHECK_EQ(weir_shared_inspect(space, &use), 0);
  CHECK_EQ(use.size, WEIR_SHARED_SIZE);
  CHECK(use.used > 0 && use.used < use.size);
  CHECK_EQ(use.processes, 3);
  CHECK(crew_dismiss(&holder, SIGKILL));
  CHECK(crew_dismiss(&waiter, SIGKILL));
  weir_space_free(space);
  crew_clear(dir);
}

TEST(who_looks_first_may_take_part_later) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX];
  weir_space *space, *again;
  weir_port *port;
  crew_dir(dir);
  space = open_with(dir, false, why);
  weir_space_free(space);
  space = open_with(dir, true, why);
  CHECK(!weir_port_attach(space));
  again = open_with(dir, false, why);
  CHECK_EQ(again == space, 1);
  port = weir_port_attach(again);
  if (CHECK(port)) weir_port_detach(port, 0);
  weir_space_free(again);
  weir_space_free(space);
  crew_clear(dir);
}

TEST(a_look_makes_nothing) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX], home[PATH];
  crew_dir(dir);
  CHECK(!open_with(dir, true, why));
  CHECK(strstr(why, "is not there") != NULL);
  snprintf(home, sizeof home, "%s/s", dir);
  CHECK_EQ(access(home, F_OK), -1);
  crew_clear(dir);
}

TEST(a_space_of_ones_own_has_no_processes) {
  weir_space *space = weir_space_new(NULL);
  weir_port *port = weir_port_attach(space);
  weir_shared_use use;
  CHECK_EQ(weir_shared_pid(space, 1), 0);
  CHECK_EQ(weir_shared_inspect(space, &use), WEIR_E_STALE);
  weir_port_detach(port, 0);
  weir_space_free(space);
}

TEST(a_port_that_is_none_is_nobodys) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX];
  weir_space *space;
  weir_port *port;
  crew_dir(dir);
  space = open_with(dir, false, why);
  port = weir_port_attach(space);
  CHECK_EQ(weir_shared_pid(space, 0), 0);
  CHECK_EQ(weir_shared_pid(space, 1), (uint32_t)getpid());
  CHECK_EQ(weir_shared_pid(space, 2), 0);
  CHECK_EQ(weir_shared_pid(space, UINT32_MAX), 0);
  weir_port_detach(port, 0);
  CHECK_EQ(weir_shared_pid(space, 1), 0);
  weir_space_free(space);
  crew_clear(dir);
}

/* --- whose one may look at ------------------------------------------------ */

/* In a child of another user: 0, it opens it. */
static int open_as(uid_t user, const char *dir, bool look, bool list) {
  pid_t pid = fork();
  int status = -1;
  if (pid == 0) {
    char why[WEIR_WHY_MAX] = "";
    weir_shared_info info = { .size = 0 };
    uint32_t cursor = 0;
    weir_space *space;
    if (setgid(user) || setuid(user)) _exit(2);
    if (list) {
      weir_shared_list(dir, &cursor, &info);
      _exit(!info.size);
    }
    space = open_with(dir, look, why);
    if (space) weir_space_free(space);
    _exit(!space + (strstr(why, "belongs to user") ? 2 : 0));
  }
  waitpid(pid, &status, 0);
  return status;
}

static int exited(int code) { return code << 8; }

TEST(root_may_look_at_what_is_another_users) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX];
  weir_space *space;
  if (geteuid() != 0) return;
  crew_dir(dir);
  CHECK_EQ(chown(dir, NOBODY, NOBODY), 0);
  CHECK_EQ(open_as(NOBODY, dir, false, false), 0);
  CHECK_EQ(open_as(0, dir, false, false), exited(3));
  CHECK_EQ(open_as(0, dir, true, false), 0);
  CHECK_EQ(open_as(0, dir, false, true), 0);
  space = open_with(dir, true, why);
  CHECK(space && !weir_port_attach(space));
  CHECK(!open_with(dir, false, why));
  weir_space_free(space);
  CHECK_EQ(open_as(NOBODY, dir, false, false), 0);
  crew_clear(dir);
}

TEST(others_may_not) {
  char dir[CREW_PATH];
  if (geteuid() != 0) return;
  crew_dir(dir);
  CHECK_EQ(chown(dir, NOBODY, NOBODY), 0);
  CHECK_EQ(open_as(NOBODY, dir, false, false), 0);
  CHECK_EQ(chmod(dir, 0755), 0);
  CHECK_EQ(open_as(NOBODY + 1, dir, true, false), exited(3));
  CHECK_EQ(open_as(NOBODY + 1, dir, false, true), exited(1));
  crew_clear(dir);
}

CHECK_MAIN
