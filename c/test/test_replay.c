/* test_replay.c - what replays measure: servers, lines of time, tolls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <replay/server.h>
#include <replay/timeline.h>
#include <replay/toll.h>

#include "check.h"

/* --- servers -------------------------------------------------------------- */

TEST(times_come_out_sorted) {
  weir_replay_times times = { 0 };
  uint64_t state = 3, last = 0;
  int wrong = 0;
  CHECK_EQ(weir_replay_times_first(&times), UINT64_MAX);
  for (int i = 0; i < 2000; i++) {
    CHECK(weir_replay_times_add(&times, weir_replay_random(&state) % 1000));
    if (i % 3 == 2) weir_replay_times_drop(&times);
  }
  while (times.count) {
    wrong += weir_replay_times_first(&times) < last;
    last = weir_replay_times_first(&times);
    weir_replay_times_drop(&times);
  }
  CHECK_EQ(wrong, 0);
  weir_replay_times_free(&times);
}

TEST(a_server_without_a_bound) {
  weir_replay_server server = { 0 };
  CHECK_EQ(weir_replay_serve(&server, 5, 10), 15);
  CHECK_EQ(weir_replay_serve(&server, 5, 3), 8);
  weir_replay_server_free(&server);
}

TEST(a_server_of_two_places) {
  weir_replay_server server = { .capacity = 2 };
  CHECK_EQ(weir_replay_serve(&server, 0, 10), 10);
  CHECK_EQ(weir_replay_serve(&server, 1, 4), 5);
  CHECK_EQ(weir_replay_serve(&server, 2, 4), 9);   /* from 5 */
  CHECK_EQ(weir_replay_serve(&server, 3, 1), 10);  /* from 9 */
  CHECK_EQ(weir_replay_serve(&server, 20, 5), 25); /* all are free */
  CHECK_EQ(weir_replay_serve(&server, 20, 5), 25);
  CHECK_EQ(weir_replay_serve(&server, 21, 5), 30);
  weir_replay_server_free(&server);
}

/* The numbers that others publish for SplitMix64 from seed 1234567. */
TEST(random_numbers) {
  uint64_t state = 1234567;
  CHECK_EQ(weir_replay_random(&state), UINT64_C(6457827717110365317));
  CHECK_EQ(weir_replay_random(&state), UINT64_C(3203168211198807973));
  CHECK_EQ(weir_replay_random(&state), UINT64_C(9817491932198370423));
}

/* --- lines of time -------------------------------------------------------- */

TEST(a_timeline_counts_and_keeps_levels) {
  static weir_replay_timeline t;
  weir_replay_timeline_init(&t, 10);
  weir_replay_timeline_add(&t, WEIR_REPLAY_ARRIVED);
  weir_replay_timeline_set(&t, WEIR_REPLAY_WAITING, 3);
  weir_replay_timeline_set(&t, WEIR_REPLAY_WAITING, 1);
  CHECK_EQ(weir_replay_timeline_end(&t), 10);
  weir_replay_timeline_move(&t, 9);
  CHECK_EQ(t.used, 1);
  weir_replay_timeline_move(&t, 35);
  CHECK_EQ(t.used, 4);
  weir_replay_timeline_add(&t, WEIR_REPLAY_ARRIVED);
  CHECK_EQ(t.buckets[0].counts[WEIR_REPLAY_ARRIVED], 1);
  CHECK_EQ(t.buckets[0].levels[WEIR_REPLAY_WAITING], 3);
  CHECK_EQ(t.buckets[1].counts[WEIR_REPLAY_ARRIVED], 0);
  CHECK_EQ(t.buckets[1].levels[WEIR_REPLAY_WAITING], 1);
  CHECK_EQ(t.buckets[3].counts[WEIR_REPLAY_ARRIVED], 1);
  CHECK_EQ(t.highest[WEIR_REPLAY_WAITING], 3);
}

/* However far time goes, what was counted stays, and the most is the most. */
TEST(a_timeline_does_not_grow) {
  static weir_replay_timeline t;
  uint64_t now = 0, state = 9, sum = 0;
  uint32_t most = 0;
  weir_replay_timeline_init(&t, 1);
  for (int i = 1; i <= 5000; i++) {
    now += weir_replay_random(&state) % 50;
    weir_replay_timeline_move(&t, now);
    weir_replay_timeline_add(&t, WEIR_REPLAY_REFUSED);
    weir_replay_timeline_set(&t, WEIR_REPLAY_IN_FLIGHT, (uint32_t)i % 77);
  }
  weir_replay_timeline_move(&t, now * 1000);
  for (uint32_t i = 0; i < t.used; i++) {
    sum += t.buckets[i].counts[WEIR_REPLAY_REFUSED];
    if (t.buckets[i].levels[WEIR_REPLAY_IN_FLIGHT] > most)
      most = t.buckets[i].levels[WEIR_REPLAY_IN_FLIGHT];
  }
  CHECK_EQ(sum, 5000);
  CHECK_EQ(most, 76);
  CHECK(t.used <= WEIR_REPLAY_BUCKETS);
  CHECK(now * 1000 < weir_replay_timeline_end(&t));
  CHECK(now * 1000 >= weir_replay_timeline_end(&t) - t.width_ns);
}

/* --- tolls ---------------------------------------------------------------- */

static weir_replay_key *key_of(weir_replay_toll *toll, int n) {
  char name[32];
  int size = snprintf(name, sizeof name, "key %d", n);
  return weir_replay_toll_key(toll, NULL, 1, name, (size_t)size);
}

TEST(a_toll_of_each_key) {
  weir_replay_toll toll = { 0 };
  const weir_replay_key *sorted[3];
  weir_replay_toll_tell(key_of(&toll, 1), WEIR_ADMITTED, 0);
  weir_replay_toll_tell(key_of(&toll, 2), WEIR_ADMITTED, 5);
  weir_replay_toll_tell(key_of(&toll, 2), WEIR_ADMITTED, 3);
  weir_replay_toll_tell(key_of(&toll, 3), WEIR_FULL, 0);
  CHECK_EQ(toll.count, 3);
  weir_replay_toll_sort(&toll, sorted);
  CHECK(!strncmp(sorted[0]->key, "key 2", sorted[0]->size));
  CHECK_EQ(sorted[0]->waited, 2);
  CHECK_EQ(sorted[0]->wait_ns, 8);
  CHECK_EQ(sorted[0]->longest_ns, 5);
  CHECK_EQ(sorted[1]->refused[WEIR_FULL], 1);
  CHECK_EQ(sorted[2]->at_once, 1);
  weir_replay_toll_free(&toll);
}

TEST(a_toll_of_limiters_and_spaces_apart) {
  weir_replay_toll toll = { 0 };
  weir_replay_key *a = weir_replay_toll_key(&toll, NULL, 1, "x", 1);
  a->at_once = 7;
  CHECK_EQ(weir_replay_toll_key(&toll, NULL, 2, "x", 1)->at_once, 0);
  CHECK_EQ(weir_replay_toll_key(&toll, &toll, 1, "x", 1)->at_once, 0);
  CHECK_EQ(weir_replay_toll_key(&toll, NULL, 1, "x", 1)->at_once, 7);
  weir_replay_toll_free(&toll);
}

TEST(a_long_key_is_cut_but_known) {
  weir_replay_toll toll = { 0 };
  char name[300];
  memset(name, 'k', sizeof name);
  weir_replay_toll_key(&toll, NULL, 1, name, sizeof name)->at_once = 1;
  CHECK_EQ(weir_replay_toll_key(&toll, NULL, 1, name, sizeof name)->at_once, 1);
  CHECK_EQ(weir_replay_toll_key(&toll, NULL, 1, name, 299)->at_once, 0);
  weir_replay_toll_free(&toll);
}

TEST(who_waits_pays_when_it_is_decided) {
  weir_replay_toll toll = { 0 };
  weir_replay_toll_wait(&toll, key_of(&toll, 1), 1000);
  weir_replay_toll_wait(&toll, key_of(&toll, 2), 7);
  weir_replay_toll_end(&toll, 7, WEIR_TIMEOUT, 9);
  weir_replay_toll_end(&toll, 7, WEIR_TIMEOUT, 9); /* nobody waits any more */
  weir_replay_toll_end(&toll, 1000, WEIR_ADMITTED, 4);
  weir_replay_toll_end(&toll, 99999, WEIR_ADMITTED, 4);
  CHECK_EQ(key_of(&toll, 1)->waited, 1);
  CHECK_EQ(key_of(&toll, 1)->longest_ns, 4);
  CHECK_EQ(key_of(&toll, 2)->refused[WEIR_TIMEOUT], 1);
  CHECK_EQ(key_of(&toll, 2)->pending, 0);
  weir_replay_toll_free(&toll);
}

/* Of more keys than there is room for those that were affected most stay, and
** those that somebody waits for. */
TEST(a_toll_does_not_grow) {
  enum { MANY = 5 * WEIR_REPLAY_KEYS };
  weir_replay_toll toll = { 0 };
  static const weir_replay_key *sorted[WEIR_REPLAY_KEYS];
  int kept = 0;
  weir_replay_toll_wait(&toll, key_of(&toll, -1), 3);
  for (int i = 0; i < MANY; i++) {
    weir_replay_key *key = key_of(&toll, i);
    CHECK(key != NULL);
    if (!key) break;
    weir_replay_toll_tell(key, WEIR_ADMITTED, 0);
    if (i % 1000 == 0)
      for (int n = 0; n < 10; n++) weir_replay_toll_tell(key, WEIR_FULL, 0);
  }
  CHECK(toll.count <= WEIR_REPLAY_KEYS);
  CHECK_EQ(toll.count + toll.forgotten, MANY + 1);
  CHECK_EQ(key_of(&toll, -1)->pending, 1);
  weir_replay_toll_sort(&toll, sorted);
  while (weir_replay_toll_of(sorted[kept]) == 10) kept++;
  CHECK_EQ(kept, (MANY + 999) / 1000);
  CHECK(!toll.no_memory);
  weir_replay_toll_free(&toll);
}

CHECK_MAIN
