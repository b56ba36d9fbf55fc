/*
** table.h - a lower floor under keys: the least that could do, a rate for each
** hash, and no keys.
**
** GCRA in a hash table with open addressing and linear probing. Its size is a
** power of two, and doubles as soon as seven tenths are in use. A slot is 16
** bytes, so four share a cache line: the hash, which stands for the key, and
** the theoretical arrival time. A key that is idle stays until it is removed.
*/
#ifndef WEIR_BENCH_TABLE_H
#define WEIR_BENCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct table_slot {
  uint64_t hash; /* of the key */
  uint64_t tat;  /* ns; 0: an empty slot */
} table_slot;

typedef struct table {
  table_slot *slots;
  size_t mask;    /* slots - 1 */
  size_t count;   /* keys */
  uint64_t step;  /* ns that a token takes */
  uint64_t spare; /* ns that a tat may be ahead, and leave room for one */
} table;

enum { TABLE_FIRST = 16 }; /* slots */

static inline bool table_init(table *t, uint64_t step, uint32_t burst) {
  t->slots = calloc(TABLE_FIRST, sizeof *t->slots);
  t->mask = TABLE_FIRST - 1;
  t->count = 0;
  t->step = step;
  t->spare = step * (burst - 1);
  return t->slots != NULL;
}

static inline void table_fini(table *t) { free(t->slots); }

/* The slot of a hash, or the empty one where it would be. */
static inline table_slot *table_find(const table *t, uint64_t hash) {
  size_t at = hash & t->mask;
  while (t->slots[at].tat && t->slots[at].hash != hash) at = (at + 1) & t->mask;
  return &t->slots[at];
}

static inline bool table_double(table *t) {
  table old = *t;
  t->mask = old.mask * 2 + 1;
  t->slots = calloc(t->mask + 1, sizeof *t->slots);
  if (!t->slots) {
    *t = old;
    return false;
  }
  for (size_t i = 0; i <= old.mask; i++)
    if (old.slots[i].tat) *table_find(t, old.slots[i].hash) = old.slots[i];
  free(old.slots);
  return true;
}

/* Takes a token of the key with this hash; false: there is none, or no memory
** for a new key. */
static inline bool table_take(table *t, uint64_t hash, uint64_t now) {
  table_slot *slot = table_find(t, hash);
  if (!slot->tat) {
    if (++t->count * 10 > (t->mask + 1) * 7) {
      if (!table_double(t)) return false;
      slot = table_find(t, hash);
    }
    slot->hash = hash;
  }
  if (slot->tat < now) slot->tat = now;
  if (slot->tat - now > t->spare) return false;
  slot->tat += t->step;
  return true;
}

/* Removes a key, and moves those that its slot had kept from theirs. */
static inline void table_remove(table *t, uint64_t hash) {
  table_slot *hole = table_find(t, hash);
  size_t at = (size_t)(hole - t->slots), next = at;
  if (!hole->tat) return;
  t->count--;
  for (;;) {
    next = (next + 1) & t->mask;
    if (!t->slots[next].tat) break;
    if (((next - t->slots[next].hash) & t->mask) < ((next - at) & t->mask))
      continue;
    t->slots[at] = t->slots[next];
    at = next;
  }
  t->slots[at].tat = 0;
}

#endif
