/*
** test_shared_lock.c - the lock between processes and threads, and owners who
** die, stand still or never were.
*/
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"
#include "choices.h"
#include "crew.h"
#include "desk.h"

enum { HANDS = 4, ROUNDS = 20000 };

/* The two are told apart by whoever finds them different. */
static void count_up(const desk *d) {
  volatile uint64_t *numbers = desk_numbers(d);
  numbers[0]++;
  numbers[1]++;
}

TEST(one_at_a_time_without_others) {
  char dir[CREW_PATH];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  for (int i = 0; i < 1000; i++) {
    CHECK_EQ(weir_lock_take(&d.lock), 0);
    CHECK_EQ(atomic_load(d.lock.word), d.lock.mine);
    weir_lock_give(&d.lock);
    CHECK_EQ(atomic_load(d.lock.word), 0);
  }
  desk_close(&d);
  crew_clear(dir);
}

/* --- threads and processes ------------------------------------------------ */

static void *count_rounds(void *data) {
  const desk *d = data;
  for (int i = 0; i < ROUNDS; i++) {
    if (weir_lock_take(&d->lock) < 0) return NULL;
    count_up(d);
    weir_lock_give(&d->lock);
  }
  return NULL;
}

TEST(threads_exclude_each_other) {
  char dir[CREW_PATH];
  pthread_t threads[HANDS];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  for (int i = 0; i < HANDS; i++)
    pthread_create(&threads[i], NULL, count_rounds, &d);
  for (int i = 0; i < HANDS; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(desk_numbers(&d)[0], HANDS * ROUNDS);
  desk_close(&d);
  crew_clear(dir);
}

static void count_there(const crew_hand *boss, void *dir) {
  desk d;
  (void)boss;
  if (desk_open(&d, dir)) count_rounds(&d);
}

TEST(processes_exclude_each_other) {
  char dir[CREW_PATH];
  crew_hand hands[HANDS];
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  for (int i = 0; i < HANDS; i++) hands[i] = crew_hire(count_there, dir);
  for (int i = 0; i < HANDS; i++) CHECK(crew_dismiss(&hands[i], 0));
  CHECK_EQ(desk_numbers(&d)[0], HANDS * ROUNDS);
  CHECK_EQ(desk_numbers(&d)[1], HANDS * ROUNDS);
  desk_close(&d);
  crew_clear(dir);
}

/* --- death ---------------------------------------------------------------- */

static void die_with_it(const crew_hand *boss, void *dir) {
  desk d;
  if (!desk_open(&d, dir) || weir_lock_take(&d.lock)) return;
  crew_say(boss, 'x');
  crew_hear(boss);
}

TEST(a_lock_of_the_dead_is_taken_and_says_so) {
  char dir[CREW_PATH];
  crew_hand hand;
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  hand = crew_hire(die_with_it, dir);
  CHECK_EQ(crew_hear(&hand), 'x');
  CHECK_EQ(weir_lock_wait(&d.lock, 30 * WEIR_MS), WEIR_LOCK_BUSY);
  crew_dismiss(&hand, SIGKILL);
  CHECK_EQ(weir_lock_take(&d.lock), 1);
  weir_lock_give(&d.lock);
  CHECK_EQ(weir_lock_take(&d.lock), 0);
  weir_lock_give(&d.lock);
  desk_close(&d);
  crew_clear(dir);
}

/* A child of the dead has its descriptors still. */
static void die_with_child(const crew_hand *boss, void *dir) {
  desk d;
  if (!desk_open(&d, dir) || weir_lock_take(&d.lock)) return;
  if (fork() == 0) {
    crew_say(boss, 'x');
    crew_hear(boss);
    raise(SIGKILL);
  }
  crew_hear(boss);
}

TEST(a_child_does_not_keep_its_parent_alive) {
  char dir[CREW_PATH];
  crew_hand hand;
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  hand = crew_hire(die_with_child, dir);
  CHECK_EQ(crew_hear(&hand), 'x');
  CHECK(weir_seats_lives(&d.seats, 2));
  crew_dismiss(&hand, SIGKILL);
  CHECK(!weir_seats_lives(&d.seats, 2));
  CHECK_EQ(weir_lock_take(&d.lock), 1);
  weir_lock_give(&d.lock);
  desk_close(&d);
  crew_clear(dir);
}

TEST(who_is_stopped_is_waited_for) {
  char dir[CREW_PATH];
  crew_hand hand;
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  hand = crew_hire(die_with_it, dir);
  CHECK_EQ(crew_hear(&hand), 'x');
  kill(hand.pid, SIGSTOP);
  CHECK_EQ(weir_lock_wait(&d.lock, 150 * WEIR_MS), WEIR_LOCK_BUSY);
  CHECK(weir_seats_lives(&d.seats, 2));
  CHECK_EQ(weir_lock_owner(&d.lock), hand.pid);
  crew_dismiss(&hand, SIGKILL);
  CHECK_EQ(weir_lock_take(&d.lock), 1);
  desk_close(&d);
  crew_clear(dir);
}

/* They die wherever they are; the first number is written before the second, so
** who died between them has left one more. Whoever is told so puts it right. */
static void count_for_ever(const crew_hand *boss, void *dir) {
  volatile uint64_t *numbers;
  desk d;
  (void)boss;
  if (!desk_open(&d, dir)) return;
  numbers = desk_numbers(&d);
  for (;;) {
    int got = weir_lock_take(&d.lock);
    if (got == 1) desk_mend(&d);
    if (numbers[0] != numbers[1]) numbers[2]++;
    count_up(&d);
    weir_lock_give(&d.lock);
  }
}

TEST(killed_at_any_instant) {
  enum { KILLS = 60 };
  char dir[CREW_PATH];
  crew_hand hands[HANDS];
  choices from = choices_of_seed(1);
  volatile uint64_t *numbers;
  desk d;
  int got;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  numbers = desk_numbers(&d);
  for (int i = 0; i < HANDS; i++) hands[i] = crew_hire(count_for_ever, dir);
  for (int i = 0; i < KILLS; i++) {
    weir_seats_nap(choose(&from, 2000000));
    CHECK(crew_dismiss(&hands[i % HANDS], SIGKILL));
    hands[i % HANDS] = crew_hire(count_for_ever, dir);
  }
  for (int i = 0; i < HANDS; i++) CHECK(crew_dismiss(&hands[i], SIGKILL));
  got = weir_lock_take(&d.lock);
  CHECK(got == 1 || numbers[0] == numbers[1]);
  CHECK_EQ(numbers[2], 0);
  CHECK(numbers[0] > 0);
  desk_close(&d);
  crew_clear(dir);
}

/* --- garbage -------------------------------------------------------------- */

TEST(a_garbage_owner_is_a_dead_one) {
  char dir[CREW_PATH];
  choices from = choices_of_seed(7);
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  for (int i = 0; i < 50; i++) {
    uint32_t word = choose(&from, UINT32_MAX) | 1;
    if ((word & 0xffff) - 1 == d.seats.own) continue;
    atomic_store(d.lock.word, word);
    CHECK_EQ(weir_lock_take(&d.lock), 1);
    weir_lock_give(&d.lock);
    CHECK_EQ(atomic_load(d.lock.word), 0);
  }
  desk_close(&d);
  crew_clear(dir);
}

/* Who was taken for dead and is not must not open the lock of another. */
TEST(giving_what_one_has_not_changes_nothing) {
  char dir[CREW_PATH];
  desk d;
  uint32_t other = weir_lock_word(9, 9);
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  CHECK_EQ(weir_lock_take(&d.lock), 0);
  atomic_store(d.lock.word, other);
  weir_lock_give(&d.lock);
  CHECK_EQ(atomic_load(d.lock.word), other);
  desk_close(&d);
  crew_clear(dir);
}

TEST(no_owner_has_the_word_of_a_free_lock) {
  for (uint32_t seat = 0; seat < WEIR_SEATS; seat++)
    for (uint32_t generation = 0; generation < 1 << 17; generation += 4096) {
      uint32_t word = weir_lock_word(seat, generation);
      CHECK(word != 0 && !(word & WEIR_LOCK_WAITED_FOR));
    }
}

/* --- fork ----------------------------------------------------------------- */

static void take_in_child(const crew_hand *boss, void *data) {
  const desk *d = data;
  crew_say(boss, weir_lock_take(&d->lock) == WEIR_E_FORKED ? 'f' : 't');
}

TEST(a_child_is_refused_the_lock_of_its_parent) {
  char dir[CREW_PATH];
  crew_hand hand;
  desk d;
  crew_dir(dir);
  if (!CHECK(desk_open(&d, dir))) return;
  hand = crew_hire(take_in_child, &d);
  CHECK_EQ(crew_hear(&hand), 'f');
  CHECK(crew_dismiss(&hand, 0));
  CHECK_EQ(weir_lock_take(&d.lock), 0);
  hand = crew_hire(take_in_child, &d);
  CHECK_EQ(crew_hear(&hand), 'f');
  CHECK(crew_dismiss(&hand, 0));
  CHECK_EQ(atomic_load(d.lock.word), d.lock.mine);
  desk_close(&d);
  crew_clear(dir);
}

CHECK_MAIN
