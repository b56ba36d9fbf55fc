/*
** test_shared_damage.c - what users see of a space whose memory is damaged:
** the sentence, from every function, in every process; and that it can be
** removed.
*/
#include <stdio.h>
#include <string.h>
#include <weir_shared.h>

#include "check.h"
#include "core/record.h"
#include "crew.h"

enum { NOW = 1000, PATH = 512 };

typedef struct user {
  char dir[CREW_PATH];
  weir_space *space;
  weir_port *port;
  weir_limiter limiter;
  weir_ticket ticket; /* held */
} user;

static weir_space *open_space(const char *dir, char *why) {
  weir_shared_options options = { .dir = dir, .size = WEIR_SHARED_SIZE_MIN };
  return weir_shared_open("s", &options, why);
}

static bool open_user(user *u) {
  const weir_config permit = WEIR_CONFIG_INIT;
  const weir_request one = { 0 };
  char why[WEIR_WHY_MAX];
  u->space = open_space(u->dir, why);
  u->port = u->space ? weir_port_attach(u->space) : NULL;
  return u->port &&
         !weir_limiter_open(u->space, "l", &permit, NOW, &u->limiter) &&
         weir_acquire(u->port, u->limiter, &one, NOW, &u->ticket) >= 0;
}

static void close_user(user *u) {
  weir_port_detach(u->port, NOW);
  weir_space_free(u->space);
}

/* An index that leads nowhere; the call that meets it. */
static int damage(const user *u) {
  weir_stats stats;
  weir_limiter_fresh(u->space, (uint32_t)u->limiter)->instance = 0x7FFFFFFF;
  return weir_limiter_stats(u->space, u->limiter, &stats);
}

/* --- every function ------------------------------------------------------- */

static weir_config config = WEIR_CONFIG_INIT;
static weir_request request;
static weir_event event;

static int do_open(user *u) {
  weir_limiter limiter;
  return weir_limiter_open(u->space, "m", &config, NOW, &limiter);
}

static int do_set(user *u) {
  return weir_limiter_set(u->space, u->limiter, &config, NOW);
}

static int do_config(user *u) {
  weir_config is;
  return weir_limiter_config(u->space, u->limiter, &is);
}

static int do_close(user *u) {
  return weir_limiter_close(u->space, u->limiter, NOW);
}

static int do_drop(user *u) { return weir_limiter_drop(u->space, u->limiter); }

static int do_acquire(user *u) {
  weir_ticket ticket = 1;
  int answer = weir_acquire(u->port, u->limiter, &request, NOW, &ticket);
  CHECK_EQ(ticket, 0);
  return answer;
}

static int do_acquire_all(user *u) {
  weir_ticket ticket = 1;
  int answer =
      weir_acquire_all(u->port, &u->limiter, &request, 1, NOW, &ticket, NULL);
  CHECK_EQ(ticket, 0);
  return answer;
}

static int do_peek(user *u) {
  return weir_peek(u->port, u->limiter, &request, NOW);
}

static int do_peek_all(user *u) {
  return weir_peek_all(u->port, &u->limiter, &request, 1, NOW);
}

static int do_set_cookie(user *u) {
  return weir_set_cookie(u->port, u->ticket, 1);
}

static int do_release(user *u) {
  return weir_release(u->port, u->ticket, WEIR_DONE, NOW);
}

static int do_cancel(user *u) { return weir_cancel(u->port, u->ticket, NOW); }

static int do_drain(user *u) {
  weir_ticket ticket;
  return weir_drain(u->port, u->limiter, &request, NOW, &ticket);
}

static int do_park(user *u) {
  weir_ticket ticket;
  return weir_park(u->port, &request, &ticket);
}

static int do_wake(user *u) { return weir_wake(u->port, u->ticket); }

static int do_claim(user *u) { return weir_claim(u->port, u->ticket, &event); }

static int do_stats(user *u) {
  weir_stats stats;
  return weir_limiter_stats(u->space, u->limiter, &stats);
}

static int do_waits(user *u) {
  uint64_t bound = 1, counted, sum, all;
  return weir_limiter_waits(u->space, u->limiter, &bound, &counted, 1, &sum,
                            &all);
}

static int do_inspect_key(user *u) {
  weir_key_info info;
  return weir_key_inspect(u->space, u->limiter, NULL, 0, &info);
}

static int do_quota(user *u) {
  weir_quota quota;
  return weir_limiter_quota(u->space, u->limiter, &request, NOW, &quota);
}

static int do_inspect_ticket(user *u) {
  weir_ticket_info info;
  return weir_ticket_inspect(u->port, u->ticket, NOW, &info);
}

typedef struct call {
  const char *name;
  int (*of)(user *);
} call;

static const call calls[] = {
  { "weir_limiter_open", do_open },
  { "weir_limiter_set", do_set },
  { "weir_limiter_config", do_config },
  { "weir_limiter_close", do_close },
  { "weir_limiter_drop", do_drop },
  { "weir_acquire", do_acquire },
  { "weir_acquire_all", do_acquire_all },
  { "weir_peek", do_peek },
  { "weir_peek_all", do_peek_all },
  { "weir_set_cookie", do_set_cookie },
  { "weir_release", do_release },
  { "weir_cancel", do_cancel },
  { "weir_drain", do_drain },
  { "weir_park", do_park },
  { "weir_wake", do_wake },
  { "weir_claim", do_claim },
  { "weir_limiter_stats", do_stats },
  { "weir_limiter_waits", do_waits },
  { "weir_key_inspect", do_inspect_key },
  { "weir_limiter_quota", do_quota },
  { "weir_ticket_inspect", do_inspect_ticket },
};

enum { CALLS = sizeof calls / sizeof *calls };

static int answered_otherwise(user *u) {
  int others = 0;
  for (int i = 0; i < CALLS; i++)
    if (!CHECK_EQ(calls[i].of(u), WEIR_E_DAMAGED)) {
      printf("# %s\n", calls[i].name);
      others++;
    }
  return others;
}

/* Those that cannot say it say that there is nothing. */
static void check_nothing(const user *u) {
  weir_ticket_info ticket = { .port = 1 };
  weir_limiter limiter;
  weir_key_info key;
  uint32_t cursor = 0;
  CHECK_EQ(weir_advance(u->port, NOW), WEIR_NEVER);
  CHECK_EQ(weir_deadline(u->port), WEIR_NEVER);
  CHECK(!weir_pending(u->port));
  CHECK(!weir_next(u->port, &event));
  CHECK(!weir_holds_all(u->port, u->limiter, &request));
  CHECK(!weir_limiter_timed(u->space, u->limiter));
  CHECK(!weir_limiter_name(u->space, u->limiter));
  CHECK(!weir_key_walk(u->space, u->limiter, &cursor, &key));
  CHECK(!weir_key_walk_all(u->space, &cursor, &key));
  CHECK(!weir_ticket_walk(u->port, &cursor, NOW, &ticket));
  CHECK(!weir_ticket_walk_all(u->space, &cursor, NOW, &ticket));
  CHECK(!weir_limiter_walk(u->space, &cursor, &limiter));
  CHECK_EQ(weir_shared_pid(u->space, ticket.port), 0);
  CHECK(!weir_port_attach(u->space));
}

TEST(every_function_says_so) {
  static user u;
  crew_dir(u.dir);
  if (!CHECK(open_user(&u))) return;
  CHECK_EQ(damage(&u), WEIR_E_DAMAGED);
  CHECK_EQ(answered_otherwise(&u), 0);
  check_nothing(&u);
  CHECK(weir_port_space(u.port) == u.space);
  CHECK(weir_fd(u.port) >= 0);
  close_user(&u);
  crew_clear(u.dir);
}

TEST(the_sentence_says_what_to_do) {
  CHECK_TEXT(weir_error_text(WEIR_E_DAMAGED),
             "the memory of the shared space is damaged: stop who uses it and "
             "remove it");
}

/* --- others --------------------------------------------------------------- */

static void see_it(const crew_hand *boss, void *dir) {
  static user u;
  memcpy(u.dir, dir, sizeof u.dir);
  if (!open_user(&u)) return;
  crew_say(boss, 'o');
  crew_hear(boss);
  crew_say(boss, answered_otherwise(&u) ? 'x' : 'd');
  close_user(&u);
  crew_say(boss, 'c');
}

TEST(other_processes_see_it) {
  static user u;
  crew_hand hand;
  crew_dir(u.dir);
  if (!CHECK(open_user(&u))) return;
  hand = crew_hire(see_it, u.dir);
  CHECK_EQ(crew_hear(&hand), 'o');
  CHECK_EQ(damage(&u), WEIR_E_DAMAGED);
  crew_say(&hand, 'g');
  CHECK_EQ(crew_hear(&hand), 'd');
  CHECK_EQ(crew_hear(&hand), 'c');
  CHECK(crew_dismiss(&hand, 0));
  close_user(&u);
  crew_clear(u.dir);
}

static void check_refused(const char *dir) {
  char why[WEIR_WHY_MAX] = "", wanted[PATH];
  CHECK(!open_space(dir, why));
  snprintf(wanted, sizeof wanted,
           "%s/s/space: is damaged: stop who uses it and remove it", dir);
  CHECK_TEXT(why, wanted);
}

TEST(it_cannot_be_opened_but_removed) {
  static user u;
  char why[WEIR_WHY_MAX] = "";
  crew_dir(u.dir);
  if (!CHECK(open_user(&u))) return;
  CHECK_EQ(damage(&u), WEIR_E_DAMAGED);
  close_user(&u);
  check_refused(u.dir);
  check_refused(u.dir);
  CHECK(weir_shared_remove("s", u.dir, false, why));
  CHECK_TEXT(why, "");
  if (CHECK(open_user(&u))) close_user(&u);
  crew_clear(u.dir);
}

/* Garbage that nobody has met is met by who comes, if it is in the way. */
static void damage_and_die(const crew_hand *boss, void *dir) {
  static user u;
  memcpy(u.dir, dir, sizeof u.dir);
  if (!open_user(&u)) return;
  weir_ticket_fresh(u.space, (uint32_t)u.ticket)->instance = 0x7FFFFFFF;
  crew_say(boss, 'd');
}

TEST(what_a_dead_process_has_damaged_is_refused) {
  static user u;
  crew_hand hand;
  crew_dir(u.dir);
  hand = crew_hire(damage_and_die, u.dir);
  CHECK_EQ(crew_hear(&hand), 'd');
  CHECK(crew_dismiss(&hand, 0));
  check_refused(u.dir);
  check_refused(u.dir);
  crew_clear(u.dir);
}

/* While it is used, it is listed and removed as any other. */
TEST(it_can_be_removed_while_it_is_used) {
  static user u;
  static weir_shared_info info;
  uint32_t cursor = 0;
  char why[WEIR_WHY_MAX] = "";
  weir_space *anew;
  crew_dir(u.dir);
  if (!CHECK(open_user(&u))) return;
  CHECK_EQ(damage(&u), WEIR_E_DAMAGED);
  CHECK_EQ(weir_shared_list(u.dir, &cursor, &info), 1);
  CHECK_EQ(info.processes, 1);
  CHECK(weir_shared_remove("s", u.dir, true, why));
  anew = open_space(u.dir, why);
  CHECK(anew && anew != u.space);
  CHECK_EQ(answered_otherwise(&u), 0);
  weir_space_free(anew);
  close_user(&u);
  crew_clear(u.dir);
}

CHECK_MAIN
