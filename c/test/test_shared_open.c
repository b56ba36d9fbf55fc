/*
** test_shared_open.c - processes that share a space: opening, leaving, dying,
** forking; the list of spaces, and removing one.
*/
#include <pthread.h>
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
#include "shared/member.h"

enum { PATH = 512 };

static weir_shared_options options_of(const char *dir) {
  weir_shared_options options = { .dir = dir, .size = WEIR_SHARED_SIZE_MIN };
  return options;
}

static weir_space *open_in(const char *dir) {
  weir_shared_options options = options_of(dir);
  char why[WEIR_WHY_MAX];
  weir_space *space = weir_shared_open("s", &options, why);
  if (!space) printf("# %s\n", why);
  return space;
}

static void file_of(const char *dir, struct stat *st) {
  char path[PATH];
  snprintf(path, sizeof path, "%s/s/space", dir);
  if (stat(path, st)) memset(st, 0, sizeof *st);
}

/* What this process has of the space. */
static weir_member *member_of(const char *dir) {
  struct stat st;
  weir_member *member;
  file_of(dir, &st);
  weir_registry_lock();
  member = weir_registry_find(st.st_dev, st.st_ino);
  weir_registry_unlock();
  return member;
}

static weir_shared_info info_of(const char *dir) {
  weir_shared_info info;
  uint32_t cursor = 0;
  CHECK_EQ(weir_shared_list(dir, &cursor, &info), 1);
  return info;
}

static void open_and_wait(const crew_hand *boss, void *dir) {
  if (!open_in(dir)) return;
  crew_say(boss, 'o');
  crew_hear(boss);
}

static crew_hand hire_user(char *dir) {
  crew_hand hand = crew_hire(open_and_wait, dir);
  CHECK_EQ(crew_hear(&hand), 'o');
  return hand;
}

/* --- opening -------------------------------------------------------------- */

TEST(opened_twice_is_one) {
  char dir[CREW_PATH];
  weir_space *first, *second;
  crew_dir(dir);
  first = open_in(dir);
  second = open_in(dir);
  CHECK(first && first == second);
  weir_space_free(second);
  CHECK(member_of(dir) != NULL);
  CHECK_EQ(info_of(dir).processes, 1);
  weir_space_free(first);
  CHECK(!member_of(dir));
  CHECK_EQ(info_of(dir).processes, 0);
  crew_clear(dir);
}

TEST(what_was_there_is_there_again) {
  char dir[CREW_PATH];
  weir_space *space;
  struct stat was, is;
  crew_dir(dir);
  space = open_in(dir);
  file_of(dir, &was);
  weir_space_free(space);
  space = open_in(dir);
  file_of(dir, &is);
  CHECK_EQ(was.st_ino, is.st_ino);
  weir_space_free(space);
  crew_clear(dir);
}

/* All at once, again and again: one of them makes it, and all have that one. */
static void open_at_once(const crew_hand *boss, void *dir) {
  struct stat st;
  crew_hear(boss);
  if (!open_in(dir)) return;
  file_of(dir, &st);
  crew_say(boss, (char)(member_of(dir) ? 'o' : 'x'));
  crew_hear(boss);
}

TEST(processes_that_make_it_at_once_have_one) {
  enum { HANDS = 8, ROUNDS = 10 };
  for (int round = 0; round < ROUNDS; round++) {
    crew_hand hands[HANDS];
    char dir[CREW_PATH];
    crew_dir(dir);
    for (int i = 0; i < HANDS; i++) hands[i] = crew_hire(open_at_once, dir);
    for (int i = 0; i < HANDS; i++) crew_say(&hands[i], 'g');
    for (int i = 0; i < HANDS; i++) CHECK_EQ(crew_hear(&hands[i]), 'o');
    CHECK_EQ(info_of(dir).processes, HANDS);
    for (int i = 0; i < HANDS; i++) CHECK(crew_dismiss(&hands[i], SIGKILL));
    CHECK_EQ(info_of(dir).processes, 0);
    crew_clear(dir);
  }
}

/* Makers, users and removers, killed at random: whoever opens it has it. */
static void come_and_go(const crew_hand *boss, void *dir) {
  char why[WEIR_WHY_MAX];
  (void)boss;
  for (;;) {
    weir_space *space = open_in(dir);
    if (!space) _exit(1);
    weir_space_free(space);
    weir_shared_remove("s", dir, false, why);
  }
}

TEST(making_and_removing_at_random) {
  enum { HANDS = 4, KILLS = 30 };
  crew_hand hands[HANDS];
  char dir[CREW_PATH];
  weir_space *space;
  crew_dir(dir);
  for (int i = 0; i < HANDS; i++) hands[i] = crew_hire(come_and_go, dir);
  for (int i = 0; i < KILLS; i++) {
    int status = 0;
    weir_seats_nap(3 * WEIR_MS);
    CHECK_EQ(waitpid(hands[i % HANDS].pid, &status, WNOHANG), 0);
    CHECK(crew_dismiss(&hands[i % HANDS], SIGKILL));
    hands[i % HANDS] = crew_hire(come_and_go, dir);
  }
  for (int i = 0; i < HANDS; i++) CHECK(crew_dismiss(&hands[i], SIGKILL));
  space = open_in(dir);
  CHECK(space != NULL);
  CHECK_EQ(info_of(dir).processes, 1);
  weir_space_free(space);
  crew_clear(dir);
}

static void *open_often(void *dir) {
  for (int i = 0; i < 200; i++) {
    weir_space *space = open_in(dir);
    if (!CHECK(space != NULL)) return NULL;
    weir_space_free(space);
  }
  return NULL;
}

TEST(threads_open_and_free_it) {
  enum { THREADS = 3 };
  pthread_t threads[THREADS];
  char dir[CREW_PATH];
  crew_dir(dir);
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, open_often, dir);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK(!member_of(dir));
  crew_clear(dir);
}

/* --- seats ---------------------------------------------------------------- */

TEST(the_seat_of_the_dead_is_had_again) {
  char dir[CREW_PATH];
  weir_space *space;
  weir_member *member;
  uint32_t seat = 0;
  crew_dir(dir);
  space = open_in(dir);
  member = member_of(dir);
  CHECK_EQ(member->sharing.seat, 1);
  for (int i = 0; i < 5; i++) {
    crew_hand hand = hire_user(dir);
    for (seat = 2; !weir_seats_lives(&member->seats, seat); seat++) {
    }
    CHECK(seat <= 3);
    CHECK_EQ(info_of(dir).processes, 2);
    kill(hand.pid, SIGSTOP);
    CHECK_EQ(info_of(dir).processes, 2);
    crew_dismiss(&hand, SIGKILL);
    CHECK(!weir_seats_lives(&member->seats, seat));
  }
  weir_space_free(space);
  crew_clear(dir);
}

/* All seats are somebody's who is dead. */
TEST(a_table_of_dead_is_cleared) {
  char dir[CREW_PATH];
  weir_space *space;
  crew_dir(dir);
  space = open_in(dir);
  for (uint32_t i = 1; i < WEIR_SEATS; i++)
    atomic_store(&member_of(dir)->file.header->seats[i].used, 1);
  weir_space_free(space);
  space = open_in(dir);
  if (CHECK(space != NULL)) {
    CHECK(member_of(dir)->sharing.seat != 0);
    CHECK_EQ(info_of(dir).processes, 1);
    weir_space_free(space);
  }
  crew_clear(dir);
}

static void open_and_say(const crew_hand *boss, void *dir) {
  weir_shared_options options = options_of(dir);
  char why[WEIR_WHY_MAX] = "";
  bool opened = weir_shared_open("s", &options, why) != NULL;
  if (!opened && strstr(why, "1023 processes"))
    crew_say(boss, 'f');
  else
    crew_say(boss, 'x');
}

TEST(a_table_that_is_full_is_a_sentence) {
  char dir[CREW_PATH];
  weir_member *member;
  weir_space *space;
  crew_hand hand;
  weir_seats more;
  crew_dir(dir);
  space = open_in(dir);
  member = member_of(dir);
  more = member->seats;
  while (weir_seats_take(&more)) {
  }
  hand = crew_hire(open_and_say, dir);
  CHECK_EQ(crew_hear(&hand), 'f');
  crew_dismiss(&hand, 0);
  CHECK(member_of(dir) == member);
  CHECK_EQ(weir_lock_take(&member->lock), 0);
  weir_lock_give(&member->lock);
  weir_space_free(space);
  crew_clear(dir);
}

/* --- the lock ------------------------------------------------------------- */

static void die_inside(const crew_hand *boss, void *dir) {
  weir_member *member;
  if (!open_in(dir)) return;
  member = member_of(dir);
  if (member->sharing.lock(&member->sharing)) return;
  crew_say(boss, 'l');
  crew_hear(boss);
}

TEST(who_comes_after_one_who_died_inside_mends) {
  char dir[CREW_PATH];
  crew_hand hand;
  weir_space *space;
  weir_sharing *sharing;
  crew_dir(dir);
  hand = crew_hire(die_inside, dir);
  CHECK_EQ(crew_hear(&hand), 'l');
  CHECK_EQ(info_of(dir).processes, 1); /* it has the lock: a look goes on */
  crew_dismiss(&hand, SIGKILL);
  space = open_in(dir);
  sharing = &member_of(dir)->sharing;
  CHECK_EQ(sharing->lock(sharing), 0);
  sharing->unlock(sharing);
  hand = crew_hire(die_inside, dir);
  CHECK_EQ(crew_hear(&hand), 'l');
  crew_dismiss(&hand, SIGKILL);
  CHECK_EQ(sharing->lock(sharing), 1);
  sharing->unlock(sharing);
  weir_space_free(space);
  crew_clear(dir);
}

TEST(memory_comes_where_it_is_committed) {
  char dir[CREW_PATH];
  weir_space *space;
  weir_sharing *sharing;
  unsigned char *at;
  crew_dir(dir);
  space = open_in(dir);
  sharing = &member_of(dir)->sharing;
  CHECK_EQ((uintptr_t)sharing->state % 64, 0);
  CHECK_EQ((uintptr_t)sharing->regions % 4096, 0);
  CHECK_EQ(sharing->region_size, WEIR_SHARED_SIZE_MIN);
  CHECK_EQ(sharing->budget, WEIR_SHARED_SIZE_MIN);
  at = sharing->regions + (WEIR_REGIONS - 1) * sharing->region_size;
  CHECK(sharing->commit(sharing, at, sharing->region_size));
  at[sharing->region_size - 1] = 1;
  CHECK(!sharing->commit(sharing, at, sharing->region_size + 1));
  CHECK(!sharing->commit(sharing, at - (1ull << 40), 1));
  CHECK(!sharing->commit(sharing, at, SIZE_MAX));
  weir_space_free(space);
  crew_clear(dir);
}

/* --- fork ----------------------------------------------------------------- */

static weir_space *inherited;
static weir_member *inherited_member;

static void use_inherited(const crew_hand *boss, void *dir) {
  weir_member *old = member_of(dir), *own;
  weir_space *space;
  if (old) _exit(4); /* it is none of the child's */
  old = inherited_member;
  if (old->sharing.lock(&old->sharing) != WEIR_E_FORKED) _exit(5);
  space = open_in(dir);
  own = member_of(dir);
  if (space == inherited || !own || own->sharing.seat == 1) _exit(1);
  if (own->sharing.lock(&own->sharing)) _exit(2);
  own->sharing.unlock(&own->sharing);
  weir_space_free(inherited); /* and the own seat stays */
  crew_say(boss, 'o');
  crew_hear(boss);
  if (own->sharing.lock(&own->sharing)) _exit(3);
  own->sharing.unlock(&own->sharing);
  weir_space_free(space);
  crew_say(boss, 'c');
  crew_hear(boss);
}

TEST(a_child_has_a_seat_of_its_own) {
  char dir[CREW_PATH];
  weir_member *member;
  crew_hand hand;
  crew_dir(dir);
  inherited = open_in(dir);
  member = inherited_member = member_of(dir);
  hand = crew_hire(use_inherited, dir);
  CHECK_EQ(crew_hear(&hand), 'o');
  CHECK_EQ(info_of(dir).processes, 2);
  CHECK(weir_seats_lives(&member->seats, 2));
  crew_say(&hand, 'g');
  CHECK_EQ(crew_hear(&hand), 'c');
  CHECK(!weir_seats_lives(&member->seats, 2));
  crew_say(&hand, 'g');
  CHECK(crew_dismiss(&hand, 0));
  CHECK_EQ(member->sharing.lock(&member->sharing), 0);
  member->sharing.unlock(&member->sharing);
  weir_space_free(inherited);
  crew_clear(dir);
}

static void say_life_of_parent(const crew_hand *boss, void *dir) {
  CHECK(!member_of(dir));
  if (info_of(dir).processes != 1) _exit(1);
  weir_space_free(inherited);
  crew_say(boss, info_of(dir).processes == 1 ? 'a' : 'd');
}

TEST(what_a_child_does_with_its_heritage_is_nothing_to_its_parent) {
  char dir[CREW_PATH];
  crew_hand hand;
  crew_dir(dir);
  inherited = open_in(dir);
  hand = crew_hire(say_life_of_parent, dir);
  CHECK_EQ(crew_hear(&hand), 'a');
  CHECK(crew_dismiss(&hand, 0));
  hand = hire_user(dir);
  CHECK_EQ(info_of(dir).processes, 2);
  crew_dismiss(&hand, SIGKILL);
  weir_space_free(inherited);
  crew_clear(dir);
}

static void open_once(const crew_hand *boss, void *dir) {
  weir_space *space = open_in(dir);
  (void)boss;
  if (!space) _exit(1);
  weir_space_free(space);
}

/* A child does not inherit a registry that another thread has locked. */
TEST(children_of_a_process_whose_threads_open) {
  enum { CHILDREN = 40 };
  char dir[CREW_PATH];
  pthread_t thread;
  crew_dir(dir);
  pthread_create(&thread, NULL, open_often, dir);
  for (int i = 0; i < CHILDREN; i++) {
    crew_hand hand = crew_hire(open_once, dir);
    CHECK(crew_dismiss(&hand, 0));
  }
  pthread_join(thread, NULL);
  CHECK(!member_of(dir));
  crew_clear(dir);
}

/* --- list ----------------------------------------------------------------- */

TEST(a_directory_that_is_not_there_has_no_spaces) {
  weir_shared_info info;
  uint32_t cursor = 0;
  char dir[CREW_PATH], path[PATH];
  crew_dir(dir);
  CHECK_EQ(weir_shared_list(dir, &cursor, &info), 0);
  snprintf(path, sizeof path, "%s/none", dir);
  CHECK_EQ(weir_shared_list(path, &cursor, &info), 0);
  chmod(dir, 0777);
  CHECK_EQ(weir_shared_list(dir, &cursor, &info), -1);
  CHECK(strstr(info.why, "everybody can write") != NULL);
  crew_clear(dir);
}

TEST(spaces_are_listed_by_name) {
  static const char *const names[] = { "b", "a-1", "C", "z.z" };
  static const char *const sorted[] = { "C", "a-1", "b", "junk", "z.z" };
  char dir[CREW_PATH], path[PATH], why[WEIR_WHY_MAX];
  weir_shared_options options;
  weir_space *spaces[4];
  weir_shared_info info;
  uint32_t cursor = 0;
  crew_dir(dir);
  options = options_of(dir);
  for (int i = 0; i < 4; i++) {
    options.size = WEIR_SHARED_SIZE_MIN << i;
    spaces[i] = weir_shared_open(names[i], &options, why);
    CHECK(spaces[i] != NULL);
  }
  weir_space_free(spaces[1]);
  snprintf(path, sizeof path, "%s/junk", dir);
  mkdir(path, 0700);
  for (int i = 0; i < 5; i++) {
    bool is_junk = i == 3;
    CHECK_EQ(weir_shared_list(dir, &cursor, &info), 1);
    CHECK_TEXT(info.name, sorted[i]);
    CHECK_EQ(info.size != 0, !is_junk);
    CHECK_EQ(*info.why != 0, is_junk);
    CHECK_EQ(info.processes, !is_junk && i != 1);
  }
  CHECK_EQ(weir_shared_list(dir, &cursor, &info), 0);
  for (int i = 0; i < 4; i++)
    if (i != 1) weir_space_free(spaces[i]);
  crew_clear(dir);
}

static void stop_at_the_door(const crew_hand *boss, void *dir) {
  weir_space *space = open_in(dir);
  if (!space || !weir_door_take(&member_of(dir)->file, 0)) _exit(1);
  crew_say(boss, 'd');
  crew_hear(boss);
}

/* Who stands still at the door keeps nobody from looking and removing: this
** would not come to its end. */
TEST(a_process_that_stands_still_is_looked_past) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX];
  weir_shared_info info;
  crew_hand hand;
  crew_dir(dir);
  hand = crew_hire(stop_at_the_door, dir);
  CHECK_EQ(crew_hear(&hand), 'd');
  kill(hand.pid, SIGSTOP);
  info = info_of(dir);
  CHECK_EQ(info.size, WEIR_SHARED_SIZE_MIN);
  CHECK_EQ(info.processes, 1);
  CHECK_EQ(info.used, 0);
  CHECK_TEXT(info.why, "");
  CHECK(weir_shared_remove("s", dir, true, why));
  crew_dismiss(&hand, SIGKILL);
  crew_clear(dir);
}

/* --- removing ------------------------------------------------------------- */

static bool is_empty(const char *dir) {
  return rmdir(dir) == 0 && mkdir(dir, 0700) == 0;
}

TEST(a_space_that_nobody_uses_is_removed) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX];
  weir_space *space;
  weir_sharing *sharing;
  crew_dir(dir);
  CHECK(!weir_shared_remove("s", dir, false, why));
  CHECK(strstr(why, "is not there") != NULL);
  space = open_in(dir);
  sharing = &member_of(dir)->sharing;
  sharing->unhang_bell(sharing, 1, sharing->hang_bell(sharing, 1));
  weir_space_free(space);
  CHECK(weir_shared_remove("s", dir, false, why));
  CHECK(is_empty(dir));
  crew_clear(dir);
}

TEST(a_space_that_is_used_wants_force) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX], pid[32];
  crew_hand hand;
  crew_dir(dir);
  hand = hire_user(dir);
  CHECK(!weir_shared_remove("s", dir, false, why));
  snprintf(pid, sizeof pid, "process %d uses it", (int)hand.pid);
  CHECK(strstr(why, pid) != NULL);
  CHECK_EQ(info_of(dir).processes, 1);
  CHECK(weir_shared_remove("s", dir, true, why));
  CHECK(!weir_shared_remove("s", dir, true, why));
  crew_dismiss(&hand, SIGKILL);
  CHECK(!is_empty(dir)); /* until somebody comes by */
  weir_space_free(open_in(dir));
  CHECK(weir_shared_remove("s", dir, false, why));
  CHECK(is_empty(dir));
  crew_clear(dir);
}

/* Both keep what they have, bells and all, and none hears the other's. */
TEST(who_has_a_removed_space_keeps_it) {
  char dir[CREW_PATH], why[WEIR_WHY_MAX], byte;
  weir_space *old, *new;
  weir_sharing *was, *is;
  int old_bell, new_bell, later_bell;
  crew_dir(dir);
  old = open_in(dir);
  was = &member_of(dir)->sharing;
  old_bell = was->hang_bell(was, 1);
  CHECK(weir_shared_remove("s", dir, false, why));
  new = open_in(dir);
  CHECK(new &&new != old);
  is = &member_of(dir)->sharing;
  new_bell = is->hang_bell(is, 1);
  later_bell = was->hang_bell(was, 2);
  CHECK(later_bell >= 0);
  was->ring(was, 1);
  was->ring(was, 2);
  CHECK_EQ(read(old_bell, &byte, 1), 1);
  CHECK_EQ(read(later_bell, &byte, 1), 1);
  CHECK_EQ(read(new_bell, &byte, 1), -1);
  is->ring(is, 1);
  CHECK_EQ(read(new_bell, &byte, 1), 1);
  CHECK_EQ(read(old_bell, &byte, 1), -1);
  CHECK_EQ(was->lock(was), 0);
  was->unlock(was);
  was->unhang_bell(was, 1, old_bell);
  was->unhang_bell(was, 2, later_bell);
  is->unhang_bell(is, 1, new_bell);
  weir_space_free(old);
  weir_space_free(new);
  CHECK(weir_shared_remove("s", dir, false, why));
  CHECK(is_empty(dir));
  crew_clear(dir);
}

/* A creator that was killed before its file had its name. */
TEST(what_killed_makers_left_is_cleared_away) {
  char dir[CREW_PATH], path[PATH];
  crew_dir(dir);
  snprintf(path, sizeof path, "%s/s", dir);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/s/new.0123456789abcdef", dir);
  fclose(fopen(path, "w"));
  weir_space_free(open_in(dir));
  CHECK_EQ(access(path, F_OK), -1);
  fclose(fopen(path, "w"));
  weir_space_free(open_in(dir));
  CHECK_EQ(access(path, F_OK), -1);
  crew_clear(dir);
}

CHECK_MAIN
