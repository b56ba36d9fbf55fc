/*
** lock.h - the lock of a space, which a dead process cannot keep.
**
** THE WORD
**   0: free. Else who has it, seat and generation, and whether others wait. So
**   a word tells by itself whose it is, and one that was left behind cannot be
**   mistaken for a later owner's.
**
** COST
**   One compare-and-swap to take it, one to give it, if nobody else is there.
**
** DEATH
**   Who waits looks now and then whether the owner lives. If not, it swaps the
**   very word it has seen for its own: of several who try it, one wins. Who was
**   woken and died instead of going on is no matter: others look by themselves.
**
** WHY NOT A ROBUST MUTEX OF THE C LIBRARY
**   It keeps addresses in the memory that is shared, so that damage there is a
**   wild write here, and an owner that is garbage is waited for forever.
*/
#ifndef WEIR_SHARED_LOCK_H
#define WEIR_SHARED_LOCK_H

#include "seat.h"

#define WEIR_LOCK_WAITED_FOR ((uint32_t)1 << 31)

enum { WEIR_LOCK_BUSY = -100 }; /* the time is over */

/* One for all threads of the process. */
typedef struct weir_lock {
  _Atomic uint32_t *word;
  uint32_t mine;                      /* what it is while we have it */
  const volatile unsigned char *ours; /* 0 in a forked child */
  const weir_seats *seats;
} weir_lock;

/* Prepares it for the janitor, or whoever has the own seat. False: there is no
** memory. */
bool weir_lock_init(weir_lock *lock, const weir_seats *seats);
void weir_lock_fini(weir_lock *lock);

/* What the word is while a seat has it. */
uint32_t weir_lock_word(uint32_t seat, uint32_t generation);

/* Waits. 0; 1: from a dead process; WEIR_LOCK_BUSY. */
int weir_lock_wait(const weir_lock *lock, uint64_t wait_ns);

/* The pid of who has it, as that one has noted it; 0: not known. */
uint32_t weir_lock_owner(const weir_lock *lock);

void weir_lock_give_slowly(const weir_lock *lock);

/* Whether this is the process that made it, and not a child of it. */
static inline bool weir_lock_is_ours(const weir_lock *lock) {
  return *lock->ours != 0;
}

/* Released, too: whoever sees this word sees the generation that it is of. */
static inline bool weir_lock_try(const weir_lock *lock) {
  uint32_t free_word = 0;
  return atomic_compare_exchange_strong_explicit(
      lock->word, &free_word, lock->mine, memory_order_acq_rel,
      memory_order_relaxed);
}

/* 0; 1: from a dead process; WEIR_E_FORKED: not taken. */
static inline int weir_lock_take(const weir_lock *lock) {
  if (!weir_lock_is_ours(lock)) return WEIR_E_FORKED;
  if (weir_lock_try(lock)) return 0;
  return weir_lock_wait(lock, WEIR_NEVER);
}

/* Who is not the owner, as it was taken for dead, changes nothing. */
static inline void weir_lock_give(const weir_lock *lock) {
  uint32_t word = lock->mine;
  if (!atomic_compare_exchange_strong_explicit(
          lock->word, &word, 0, memory_order_release, memory_order_relaxed))
    weir_lock_give_slowly(lock);
}

#endif
