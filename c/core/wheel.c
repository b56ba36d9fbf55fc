/* wheel.c - see wheel.h. */
#include "wheel.h"

#include "record.h"

static const weir_spoke *spoke_at(const weir_space *space, uint32_t key) {
  return &weir_instance_at(space, key)->spoke;
}

static weir_spoke *spoke_edit(const weir_space *space, uint32_t key) {
  weir_spoke *spoke = &weir_instance_fresh(space, key)->spoke;
  weir_keep(&space->memory, spoke, sizeof *spoke);
  return spoke;
}

static void set(const weir_space *space, uint32_t *field, uint32_t value) {
  weir_keep(&space->memory, field, sizeof *field);
  *field = value;
}

static uint32_t *slot_of(weir_wheel *wheel, uint64_t tick) {
  return &wheel->slots[tick % WEIR_WHEEL_SLOTS];
}

/* --- rings ---------------------------------------------------------------- */

static void connect(const weir_space *space, uint32_t from, uint32_t to) {
  spoke_edit(space, from)->next = to;
  spoke_edit(space, to)->prev = from;
}

/* Puts a ring that begins with a key behind all of another. */
static void append(const weir_space *space, uint32_t *list, uint32_t key) {
  uint32_t first = *list, last = spoke_at(space, key)->prev;
  if (!first) {
    set(space, list, key);
    return;
  }
  connect(space, spoke_at(space, first)->prev, key);
  connect(space, last, first);
}

static void append_one(const weir_space *space, uint32_t *list, uint32_t key,
                       uint64_t tick) {
  weir_spoke *spoke = spoke_edit(space, key);
  *spoke = (weir_spoke){ key, key, (uint32_t)tick };
  append(space, list, key);
}

/* Those of a slot are due. */
static void pass(const weir_space *space, weir_wheel *wheel, uint32_t *slot) {
  uint32_t first = *slot;
  if (!first) return;
  set(space, slot, 0);
  append(space, &wheel->due, first);
  weir_step(space);
}

/* --- the wheel ------------------------------------------------------------ */

static void go_to(const weir_space *space, weir_wheel *wheel, uint64_t tick) {
  weir_keep(&space->memory, &wheel->tick, sizeof wheel->tick);
  wheel->tick = tick;
}

void weir_wheel_turn(const weir_space *space, weir_wheel *wheel, uint64_t t) {
  uint64_t to = t >> wheel->shift, from = wheel->tick;
  if (to <= from) return;
  if (to - from > WEIR_WHEEL_SLOTS) from = to - WEIR_WHEEL_SLOTS;
  for (; from < to; from++) pass(space, wheel, slot_of(wheel, from));
  go_to(space, wheel, to);
}

void weir_wheel_fit(const weir_space *space, weir_wheel *wheel,
                    uint64_t span_ns, uint64_t t) {
  uint32_t shift = 0;
  for (int i = 0; i < WEIR_WHEEL_SLOTS; i++)
    pass(space, wheel, &wheel->slots[i]);
  while (span_ns >> shift >= WEIR_WHEEL_SLOTS - 1) shift++;
  set(space, &wheel->shift, shift);
  go_to(space, wheel, t >> shift);
}

/* Beyond the last slot is the last one: a key is looked at again. */
void weir_wheel_add(const weir_space *space, weir_wheel *wheel, uint32_t key,
                    uint64_t idle_at) {
  uint64_t tick = idle_at >> wheel->shift;
  uint64_t last = wheel->tick + WEIR_WHEEL_SLOTS - 1;
  if (tick > last) tick = last;
  if (tick < wheel->tick) tick = wheel->tick;
  append_one(space, slot_of(wheel, tick), key, tick);
}

void weir_wheel_add_idle(const weir_space *space, weir_wheel *wheel,
                         uint32_t key) {
  append_one(space, &wheel->idle, key, wheel->tick - 1);
}

/* The list that a key is the first of; NULL: none. */
static uint32_t *led_by(weir_wheel *wheel, uint32_t key, uint32_t tick) {
  uint32_t *lists[] = { &wheel->due, &wheel->idle, slot_of(wheel, tick) };
  for (int i = 0; i < 3; i++)
    if (*lists[i] == key) return lists[i];
  return NULL;
}

void weir_wheel_remove(const weir_space *space, weir_wheel *wheel,
                       uint32_t key) {
  weir_spoke was = *spoke_at(space, key);
  uint32_t *list;
  if (!was.next) return;
  list = led_by(wheel, key, was.tick);
  if (list) set(space, list, was.next == key ? 0 : was.next);
  connect(space, was.prev, was.next);
  *spoke_edit(space, key) = (weir_spoke){ 0, 0, 0 };
}

bool weir_wheel_list(const weir_wheel *wheel, uint32_t n, uint64_t t,
                     uint32_t *first) {
  uint64_t tick = wheel->tick + n - 2;
  if (n >= 2 && (tick > t >> wheel->shift || n - 2 >= WEIR_WHEEL_SLOTS))
    return false;
  *first = n == 0   ? wheel->idle
           : n == 1 ? wheel->due
                    : wheel->slots[tick % WEIR_WHEEL_SLOTS];
  return true;
}
