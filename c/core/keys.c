/* keys.c - see keys.h. */
#include "keys.h"

#include <string.h>

enum {
  LOOKED_AT = 2, /* keys that each request looks whether they are idle */
  LOOKS = 1024   /* at most, where there is no room: nobody waits for more */
};

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
  weir_wheel_remove(space, &limiter->idle, index);
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

/* The wheel of a limiter; what its functions change they note. */
static weir_wheel *wheel_of(const weir_space *space, uint32_t limiter) {
  return &weir_limiter_fresh(space, limiter)->idle;
}

/* Gives a key that is in the wheel its place. One that has tickets comes again
** when they have left. */
static void put_right(const weir_space *space, weir_wheel *wheel,
                      uint32_t index, uint64_t t) {
  uint64_t idle = idle_at(space, index, t);
  weir_wheel_remove(space, wheel, index);
  if (weir_instance_at(space, index)->entry.tickets) return;
  if (idle > t)
    weir_wheel_add(space, wheel, index, idle);
  else
    weir_wheel_add_idle(space, wheel, index);
}

/* Nothing is ever due where there is no rate. */
static void turn_wheel(const weir_space *space, uint32_t limiter, uint64_t t) {
  if (weir_meter_on(&weir_limiter_at(space, limiter)->meter))
    weir_wheel_turn(space, wheel_of(space, limiter), t);
}

void weir_keys_tidy(weir_space *space, uint32_t limiter, uint64_t t) {
  weir_wheel *wheel = wheel_of(space, limiter);
  t = latest(space, t);
  turn_wheel(space, limiter, t);
  for (int i = 0; i < LOOKED_AT && wheel->due; i++) {
    put_right(space, wheel, wheel->due, t);
    weir_step(space);
  }
}

/* Looks at the first of those that have passed: if it is idle it gives its
** place away. */
static void reap_one(weir_space *space, weir_wheel *wheel, uint64_t t) {
  uint32_t first = wheel->idle ? wheel->idle : wheel->due;
  if (is_idle(space, first, t))
    weir_keys_free(space, first);
  else
    put_right(space, wheel, first, t);
  weir_step(space);
}

/* The next one that may be idle, after `key` in the nth of the lists; 0: there
** is none. */
static uint32_t go_on(const weir_space *space, const weir_wheel *wheel,
                      uint32_t *n, uint32_t key, uint64_t t) {
  uint32_t first = 0;
  if (key && weir_wheel_list(wheel, *n, t, &first)) {
    uint32_t next = weir_instance_at(space, key)->spoke.next;
    if (next != first) return next;
    ++*n;
  }
  for (first = 0; weir_wheel_list(wheel, *n, t, &first) && !first;) ++*n;
  return first;
}

/* An idle one; 0: there is none among those looked at. */
static uint32_t find_idle(const weir_space *space, const weir_wheel *wheel,
                          uint64_t t) {
  uint32_t n = 0, key = go_on(space, wheel, &n, 0, t), left = LOOKS;
  while (key && left-- && !is_idle(space, key, t))
    key = go_on(space, wheel, &n, key, t);
  return key && is_idle(space, key, t) ? key : 0;
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
  uint64_t bound = bound_of(limiter), keys = (uint64_t)limiter->keys + wanted;
  uint32_t n = 0, key = 0, left = LOOKS;
  if (keys <= bound) return true;
  t = latest(space, t);
  while (keys > bound && left-- &&
         (key = go_on(space, &limiter->idle, &n, key, t)) != 0)
    keys -= is_idle(space, key, t);
  return keys <= bound;
}

/* Has idle ones give their places away: a few, to become fewer in time, and as
** many as there are too many. */
static void make_room(weir_space *space, uint32_t index, uint64_t t) {
  const weir_limiter_record *limiter = weir_limiter_at(space, index);
  weir_wheel *wheel = wheel_of(space, index);
  uint32_t bound = bound_of(limiter), found;
  for (uint32_t i = 0; i < LOOKS && (wheel->idle || wheel->due); i++) {
    if (i >= LOOKED_AT && limiter->keys < bound) return;
    reap_one(space, wheel, t);
  }
  while (limiter->keys >= bound && (found = find_idle(space, wheel, t)) != 0) {
    weir_keys_free(space, found);
    weir_step(space);
  }
}

uint32_t weir_keys_make(weir_space *space, uint32_t limiter_index,
                        const weir_hash *hash, const void *key, uint32_t size,
                        uint64_t t) {
  const weir_limiter_record *limiter = weir_limiter_at(space, limiter_index);
  weir_instance_record *instance;
  uint32_t index;
  make_room(space, limiter_index, latest(space, t));
  if (limiter->keys >= bound_of(limiter) ||
      !weir_slab_reserve(&space->instances) ||
      !weir_index_reserve(&space->keys))
    return 0;
  index = take_instance(space, limiter_index);
  instance = weir_instance_fresh(space, index);
  instance->entry.hash = *hash;
  make_label(instance->label, key, size);
  weir_index_add(&space->keys, &space->instances, index);
  weir_limiter_edit(space, limiter_index)->keys++;
  return index;
}

/* --- leaving -------------------------------------------------------------- */

/* One whose time was thought to come stays where it is, for it comes no earlier
** now; one whose time has come already is put right. */
void weir_keys_leave(weir_space *space, uint32_t index) {
  const weir_instance_record *instance = weir_instance_at(space, index);
  weir_wheel *wheel = wheel_of(space, instance->entry.owner);
  uint64_t t = weir_clock_at(&space->root->clock, space->root->clock.last);
  if (instance->spoke.next &&
      (!weir_wheel_passed(wheel, &instance->spoke) || is_idle(space, index, t)))
    return;
  put_right(space, wheel, index, t);
}

void weir_keys_free_all(weir_space *space, uint32_t index) {
  const weir_wheel *wheel = wheel_of(space, index);
  uint32_t left = space->instances.array.limit, n = 0, key;
  while ((key = go_on(space, wheel, &n, 0, WEIR_NEVER)) != 0) {
    weir_along(&space->instances, &left);
    weir_keys_free(space, key);
    weir_step(space);
  }
}

void weir_keys_reorder(weir_space *space, uint32_t index, uint64_t t) {
  const weir_meter *meter = &weir_limiter_at(space, index)->meter;
  weir_wheel *wheel = wheel_of(space, index);
  weir_wheel_fit(space, wheel,
                 weir_meter_on(meter) ? weir_meter_span(meter) : 0, t);
  for (uint32_t i = 1; i < space->instances.head->used; i++) {
    const weir_instance_record *instance = weir_instance_at(space, i);
    if (!weir_slab_live(&space->instances, i) || !instance->spoke.next ||
        instance->entry.owner != index)
      continue;
    put_right(space, wheel, i, t);
    weir_step(space);
  }
}
