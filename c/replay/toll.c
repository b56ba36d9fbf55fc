/* toll.c - see toll.h. */
#include <stdlib.h>
#include <string.h>

#include "../core/hash.h"
#include "toll.h"

#define NOBODY UINT32_MAX /* the end of those that are free */

enum { FIRST = 256 }; /* keys at first; a power of two, as all of them are */

void weir_replay_toll_free(weir_replay_toll *toll) {
  free(toll->keys);
  free(toll->index);
  free(toll->waiting);
  *toll = (weir_replay_toll){ 0 };
}

uint64_t weir_replay_toll_of(const weir_replay_key *key) {
  uint64_t sum = key->waited;
  for (int i = 0; i < WEIR_VERDICTS; i++) sum += key->refused[i];
  return sum;
}

/* --- the table ------------------------------------------------------------ */

static void enter(weir_replay_toll *toll, uint32_t place) {
  uint32_t mask = toll->index_room - 1;
  uint32_t at = (uint32_t)toll->keys[place].hash[0] & mask;
  while (toll->index[at]) at = (at + 1) & mask;
  toll->index[at] = place + 1;
}

static void enter_all(weir_replay_toll *toll) {
  memset(toll->index, 0, toll->index_room * sizeof *toll->index);
  for (uint32_t i = 0; i < toll->used; i++)
    if (toll->keys[i].limiter) enter(toll, i);
}

static bool grow(weir_replay_toll *toll) {
  uint32_t room = toll->room ? toll->room * 2 : FIRST;
  weir_replay_key *keys = realloc(toll->keys, room * sizeof *keys);
  uint32_t *index;
  if (!keys) return false;
  toll->keys = keys;
  index = realloc(toll->index, (size_t)2 * room * sizeof *index);
  if (!index) return false;
  toll->index = index;
  toll->room = room;
  toll->index_room = 2 * room;
  enter_all(toll);
  return true;
}

static int descending(const void *left, const void *right) {
  const uint64_t *a = left, *b = right;
  return *a < *b ? 1 : *a > *b ? -1 : 0;
}

/* How much the key in the middle was affected; UINT64_MAX: no memory. */
static uint64_t median(const weir_replay_toll *toll) {
  uint64_t *tolls = malloc(toll->used * sizeof *tolls), found;
  if (!tolls) return UINT64_MAX;
  for (uint32_t i = 0; i < toll->used; i++)
    tolls[i] = weir_replay_toll_of(&toll->keys[i]);
  qsort(tolls, toll->used, sizeof *tolls, descending);
  found = tolls[toll->used / 2];
  free(tolls);
  return found;
}

static void forget(weir_replay_toll *toll, uint32_t place) {
  weir_replay_key *key = &toll->keys[place];
  key->limiter = 0;
  key->next = toll->idle;
  toll->idle = place;
  toll->count--;
  toll->forgotten++;
}

/* Forgets half of them. */
static void forget_half(weir_replay_toll *toll) {
  uint64_t most = median(toll);
  uint32_t left = toll->used / 2;
  if (most == UINT64_MAX) return;
  toll->idle = NOBODY;
  for (uint32_t i = 0; i < toll->used && left; i++) {
    const weir_replay_key *key = &toll->keys[i];
    if (key->pending || weir_replay_toll_of(key) > most) continue;
    forget(toll, i);
    left--;
  }
  enter_all(toll);
}

/* A place for another key; NOBODY: there is none. */
static uint32_t take_place(weir_replay_toll *toll) {
  uint32_t place;
  if (!toll->room) toll->idle = NOBODY;
  if (toll->idle == NOBODY && toll->used == WEIR_REPLAY_KEYS) forget_half(toll);
  if (toll->idle == NOBODY) {
    if (toll->used == WEIR_REPLAY_KEYS) return NOBODY;
    if (toll->used == toll->room && !grow(toll)) return NOBODY;
    return toll->used++;
  }
  place = toll->idle;
  toll->idle = toll->keys[place].next;
  return place;
}

static bool is_same(const weir_replay_key *a, const void *space,
                    weir_limiter limiter, const weir_hash *hash) {
  return a->hash[0] == hash->word[0] && a->hash[1] == hash->word[1] &&
         a->limiter == limiter && a->space == space;
}

/* The seed is always the same, so that what is forgotten, and the order of the
** others, is, too. */
static weir_hash hash_of(const void *key, size_t size) {
  static const uint64_t seed[2] = { 0, 0 };
  return weir_hash_bytes(seed, key, size);
}

weir_replay_key *weir_replay_toll_key(weir_replay_toll *toll, const void *space,
                                      weir_limiter limiter, const void *key,
                                      size_t size) {
  weir_hash hash = hash_of(key, size);
  uint32_t mask = toll->index_room - 1, place;
  uint32_t at = (uint32_t)hash.word[0] & mask;
  weir_replay_key *new_key;
  for (; toll->room && toll->index[at]; at = (at + 1) & mask)
    if (is_same(&toll->keys[toll->index[at] - 1], space, limiter, &hash))
      return &toll->keys[toll->index[at] - 1];
  place = take_place(toll);
  if (place == NOBODY) {
    toll->no_memory = true;
    return NULL;
  }
  new_key = &toll->keys[place];
  *new_key = (weir_replay_key){ .hash = { hash.word[0], hash.word[1] },
                                .space = space,
                                .limiter = limiter,
                                .size = (uint16_t)size };
  memcpy(new_key->key, key, size < WEIR_REPLAY_KEY ? size : WEIR_REPLAY_KEY);
  toll->count++;
  enter(toll, place);
  return new_key;
}

/* --- telling -------------------------------------------------------------- */

void weir_replay_toll_tell(weir_replay_key *key, weir_verdict verdict,
                           uint64_t waited_ns) {
  if (verdict != WEIR_ADMITTED) {
    key->refused[verdict]++;
    return;
  }
  if (waited_ns)
    key->waited++;
  else
    key->at_once++;
  key->wait_ns += waited_ns;
  if (waited_ns > key->longest_ns) key->longest_ns = waited_ns;
}

static bool grow_waiting(weir_replay_toll *toll, uint32_t who) {
  uint32_t room = 2 * who + FIRST;
  uint32_t *waiting = realloc(toll->waiting, room * sizeof *waiting);
  if (!waiting) return false;
  memset(waiting + toll->waiting_room, 0,
         (room - toll->waiting_room) * sizeof *waiting);
  toll->waiting = waiting;
  toll->waiting_room = room;
  return true;
}

void weir_replay_toll_wait(weir_replay_toll *toll, weir_replay_key *key,
                           uint32_t who) {
  if (who >= toll->waiting_room && !grow_waiting(toll, who)) {
    toll->no_memory = true;
    return;
  }
  toll->waiting[who] = (uint32_t)(key - toll->keys) + 1;
  key->pending++;
}

void weir_replay_toll_end(weir_replay_toll *toll, uint32_t who,
                          weir_verdict verdict, uint64_t waited_ns) {
  weir_replay_key *key;
  if (who >= toll->waiting_room || !toll->waiting[who]) return;
  key = &toll->keys[toll->waiting[who] - 1];
  toll->waiting[who] = 0;
  key->pending--;
  weir_replay_toll_tell(key, verdict, waited_ns);
}

/* --- looking -------------------------------------------------------------- */

/* Those affected most first; of equal ones those that asked most, and then in
** an order that is the same each time. */
static int compare(const void *left, const void *right) {
  const weir_replay_key *a = *(const weir_replay_key *const *)left;
  const weir_replay_key *b = *(const weir_replay_key *const *)right;
  uint64_t toll_a = weir_replay_toll_of(a), toll_b = weir_replay_toll_of(b);
  if (toll_a != toll_b) return toll_a < toll_b ? 1 : -1;
  if (a->at_once != b->at_once) return a->at_once < b->at_once ? 1 : -1;
  if (a->hash[0] != b->hash[0]) return a->hash[0] < b->hash[0] ? -1 : 1;
  return a < b ? -1 : a > b; /* of several limiters: who came first */
}

void weir_replay_toll_sort(const weir_replay_toll *toll,
                           const weir_replay_key **out) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < toll->used; i++)
    if (toll->keys[i].limiter) out[count++] = &toll->keys[i];
  qsort(out, count, sizeof *out, compare);
}
