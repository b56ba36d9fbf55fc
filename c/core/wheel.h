/*
** wheel.h - the keys of a limiter by the time when they will be idle.
**
** A timing wheel (Varghese and Lauck 1987): a slot is a tick long, and there
** are as many as a rate takes to recover. A key is in the slot of the tick in
** which it will be idle, or an earlier one; nothing of it is touched while it
** is used before that. When its slot has passed it is due, as one of many, and
** looked at again; those found idle are kept apart. Each of these steps takes
** the same time, however many keys there are.
**
** Slots and the others are lists in a ring: what is first knows what is last.
*/
#ifndef WEIR_CORE_WHEEL_H
#define WEIR_CORE_WHEEL_H

#include <weir.h>

enum { WEIR_WHEEL_SLOTS = 256 };

/* All zero it is empty. */
typedef struct weir_wheel {
  uint64_t tick;  /* the one that passes; slots before it are empty */
  uint32_t shift; /* log2 of a tick, ns */
  uint32_t due;   /* the first key whose slot has passed; 0: none */
  uint32_t idle;  /* the first that was found idle; 0: none */
  uint32_t slots[WEIR_WHEEL_SLOTS]; /* the first of each; 0: none */
} weir_wheel;

/* A key's place; all zero it is in no wheel. */
typedef struct weir_spoke {
  uint32_t next; /* in a ring */
  uint32_t prev;
  uint32_t tick; /* whose slot it was put in; compared by difference */
} weir_spoke;

/* Makes the ticks so long that a time of `span_ns` fits. All are due then. */
void weir_wheel_fit(const weir_space *space, weir_wheel *wheel,
                    uint64_t span_ns, uint64_t t);

/* Time goes on: the keys whose slots pass are due. */
void weir_wheel_turn(const weir_space *space, weir_wheel *wheel, uint64_t t);

/* Adds a key that is in no wheel: it will be idle at a time, or it is. */
void weir_wheel_add(const weir_space *space, weir_wheel *wheel, uint32_t key,
                    uint64_t idle_at);
void weir_wheel_add_idle(const weir_space *space, weir_wheel *wheel,
                         uint32_t key);

/* Removes a key; nothing happens if it is in no wheel. */
void weir_wheel_remove(const weir_space *space, weir_wheel *wheel,
                       uint32_t key);

/* Whether the slot of a key, which is in the wheel, has passed. */
static inline bool weir_wheel_passed(const weir_wheel *wheel,
                                     const weir_spoke *spoke) {
  return (int32_t)(spoke->tick - (uint32_t)wheel->tick) < 0;
}

/* The lists of those who may be idle at `t`, in the order in which they should
** be looked at: who is first in the nth. false: there is no nth. */
bool weir_wheel_list(const weir_wheel *wheel, uint32_t n, uint64_t t,
                     uint32_t *first);

#endif
