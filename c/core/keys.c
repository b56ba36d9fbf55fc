/* keys.c - see keys.h. */
#include "keys.h"

#include <string.h>

enum { LOOKED_AT = 2 }; /* keys that a new one looks whether they are idle */

uint32_t weir_keys_find(const weir_space *space, uint32_t limiter,
                        const weir_hash *hash) {
  return weir_index_find(&space->keys, &space->instances, limiter, hash);
}

/* --- labels --------------------------------------------------------------- */

/* The length of the UTF-8 sequence that a byte begins; 0: none. */
static size_t sequence_length(unsigned char byte) {
  if (byte >= 0x20 && byte < 0x7F) return 1;
  if (byte >= 0xC2 && byte < 0xE0) return 2;
  if (byte >= 0xE0 && byte < 0xF0) return 3;
  return byte >= 0xF0 && byte < 0xF5 ? 4 : 0;
}

/* Whether the bytes that follow a first one make a character with it: neither
** overlong, nor a surrogate, nor beyond Unicode, nor a C1 control. */
static bool is_sequence(const unsigned char *at, size_t length) {
  static const unsigned char lows[] = { 0xE0, 0xF0, 0xC2 };
  static const unsigned char least[] = { 0xA0, 0x90, 0xA0 };
  static const unsigned char highs[] = { 0xED, 0xF4 };
  static const unsigned char most[] = { 0x9F, 0x8F };
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xC0) != 0x80) return false;
  for (size_t i = 0; length > 1 && i < sizeof lows; i++)
    if (at[0] == lows[i] && at[1] < least[i]) return false;
  for (size_t i = 0; length > 1 && i < sizeof highs; i++)
    if (at[0] == highs[i] && at[1] > most[i]) return false;
  return length > 0;
}

static void make_label(char *label, const unsigned char *key, size_t size) {
  size_t written = 0, at = 0;
  while (at < size) {
    size_t length = sequence_length(key[at]);
    bool good = length <= size - at && is_sequence(key + at, length);
    size_t wanted = good ? length : 1;
    if (written + wanted + (at + wanted < size) > WEIR_LABEL_MAX) break;
    if (good)
      memcpy(label + written, key + at, length);
    else
      label[written] = '?';
    written += wanted;
    at += wanted;
  }
  if (at < size) label[written++] = '~';
  label[written] = 0;
}

/* --- making --------------------------------------------------------------- */

static uint32_t take_instance(weir_space *space, uint32_t limiter) {
  uint32_t index = weir_slab_take(&space->instances);
  weir_instance_record *instance = weir_instance_fresh(space, index);
  weir_record record = instance->entry.record;
  memset(instance, 0, sizeof *instance);
  instance->entry.record = record;
  instance->entry.owner = limiter;
  return index;
}

uint32_t weir_instance_make(weir_space *space, uint32_t limiter) {
  if (!weir_slab_reserve(&space->instances)) return 0;
  return take_instance(space, limiter);
}

void weir_keys_free(weir_space *space, uint32_t index) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  weir_limiter_record *limiter =
      weir_limiter_edit(space, instance->entry.owner);
  weir_heap_remove(&limiter->idle, &space->instances, index);
  weir_index_remove(&space->keys, &space->instances, index);
  if (instance->control) weir_slab_give(&space->controls, instance->control);
  weir_slab_give(&space->instances, index);
  limiter->keys--;
}

/* Keys go by the latest time that was told: by that of a caller whose clock is
** a little behind, those that were left just now would not be idle yet. */
static uint64_t latest(const weir_space *space, uint64_t t) {
  return weir_clock_latest(&space->root->clock, t);
}

static uint64_t idle_at(const weir_space *space, uint32_t index, uint64_t t) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  const weir_meter *meter = &weir_limiter_of(space, instance)->meter;
  return weir_meter_on(meter) ? weir_meter_idle(meter, &instance->rate, t) : t;
}

static bool is_idle(const weir_space *space, uint32_t index, uint64_t t) {
  return !weir_instance_at(space, index)->entry.tickets &&
         idle_at(space, index, t) <= t;
}

/* The heap of a limiter; what the heap functions change they note. */
static weir_heap *idle_of(const weir_space *space, uint32_t limiter) {
  return &weir_limiter_fresh(space, limiter)->idle;
}

/* Whether the first key of a heap can be idle by its time. */
static bool is_due(const weir_space *space, const weir_heap *heap, uint64_t t) {
  return heap->count && weir_heap_time(heap, &space->heaps) <= t;
}

/* Gives the first key of a heap, which is not idle, its place: it was used
** since it came, so this happens no more often than that. */
static void put_right(weir_space *space, weir_heap *heap, uint64_t t) {
  uint32_t index = weir_heap_first(heap, &space->heaps);
  if (weir_instance_at(space, index)->entry.tickets)
    weir_heap_remove(heap, &space->instances, index);
  else
    weir_heap_move(heap, &space->instances, index, idle_at(space, index, t));
}

void weir_keys_tidy(weir_space *space, uint32_t limiter, uint64_t t) {
  weir_heap *heap = idle_of(space, limiter);
  uint32_t left = space->instances.array.limit;
  t = latest(space, t);
  while (is_due(space, heap, t) &&
         !is_idle(space, weir_heap_first(heap, &space->heaps), t)) {
    weir_along(&space->instances, &left);
    put_right(space, heap, t);
    weir_step(space);
  }
}

/* Looks at so many, and at no more once it is enough that `wanted` are gone.
** There are no more than records: garbage could go on for ever. */
static void reap(weir_space *space, uint32_t limiter, uint32_t most,
                 uint32_t wanted, uint64_t t) {
  weir_heap *heap = idle_of(space, limiter);
  while (most-- && wanted && is_due(space, heap, t)) {
    uint32_t first = weir_heap_first(heap, &space->heaps);
    if (is_idle(space, first, t)) {
      weir_keys_free(space, first);
      wanted--;
      weir_step(space);
    } else {
      put_right(space, heap, t);
    }
  }
}

static uint32_t bound_of(const weir_limiter_record *limiter) {
  return limiter->config.keys ? limiter->config.keys : WEIR_KEYS;
}

bool weir_keys_idle(const weir_space *space, uint32_t index, uint64_t t) {
  return is_idle(space, index, latest(space, t));
}

bool weir_keys_room(const weir_space *space, uint32_t index, uint32_t wanted,
                    uint64_t t) {
  const weir_limiter_record *limiter = weir_limiter_at(space, index);
  const weir_heap *heap = &limiter->idle;
  uint64_t bound = bound_of(limiter), keys = (uint64_t)limiter->keys + wanted;
  t = latest(space, t);
  if (!is_due(space, heap, t)) return keys <= bound;
  for (uint32_t i = 0; i < heap->count && keys > bound; i++)
    keys -= is_idle(space, weir_heap_at(heap, &space->heaps, i), t);
  return keys <= bound;
}

/* Room for one more in all that a key is in. */
static bool reserve(weir_space *space, weir_limiter_record *limiter) {
  return weir_slab_reserve(&space->instances) &&
         weir_index_reserve(&space->keys) &&
         weir_heap_reserve(&limiter->idle, &space->heaps, limiter->keys + 1);
}

uint32_t weir_keys_make(weir_space *space, uint32_t limiter_index,
                        const weir_hash *hash, const void *key, uint32_t size,
                        uint64_t t) {
  weir_limiter_record *limiter = weir_limiter_fresh(space, limiter_index);
  weir_instance_record *instance;
  uint32_t index;
  t = latest(space, t);
  reap(space, limiter_index, LOOKED_AT, LOOKED_AT, t);
  if (limiter->keys >= bound_of(limiter))
    reap(space, limiter_index, space->instances.array.limit,
         limiter->keys - bound_of(limiter) + 1, t);
  if (limiter->keys >= bound_of(limiter) || !reserve(space, limiter)) return 0;
  index = take_instance(space, limiter_index);
  instance = weir_instance_fresh(space, index);
  instance->entry.hash = *hash;
  make_label(instance->label, key, size);
  weir_index_add(&space->keys, &space->instances, index);
  weir_limiter_edit(space, limiter_index)->keys++;
  return index;
}

/* --- leaving -------------------------------------------------------------- */

void weir_keys_leave(weir_space *space, uint32_t index) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  uint64_t t = weir_clock_at(&space->root->clock, space->root->clock.last);
  if (instance->idle) return;
  weir_heap_add(idle_of(space, instance->entry.owner), &space->instances, index,
                idle_at(space, index, t), 0);
}

void weir_keys_free_all(weir_space *space, uint32_t index) {
  const weir_heap *idle = idle_of(space, index);
  uint32_t left = space->instances.array.limit;
  while (idle->count) {
    weir_along(&space->instances, &left);
    weir_keys_free(space, weir_heap_at(idle, &space->heaps, idle->count - 1));
    weir_step(space);
  }
}

void weir_keys_reorder(weir_space *space, uint32_t index, uint64_t t) {
  weir_heap *heap = idle_of(space, index);
  for (uint32_t i = 0; i < space->instances.head->used; i++) {
    const weir_instance_record *instance = weir_instance_at(space, i);
    if (!i || !weir_slab_live(&space->instances, i) || !instance->idle ||
        instance->entry.owner != index)
      continue;
    if (instance->entry.tickets) /* it comes again, and may be idle earlier */
      weir_heap_remove(heap, &space->instances, i);
    else
      weir_heap_move(heap, &space->instances, i, idle_at(space, i, t));
    weir_step(space);
  }
}
