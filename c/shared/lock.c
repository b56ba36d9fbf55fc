/*
** lock.c - see lock.h. Linux only, as all of this folder.
*/
#include "lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
  LOOKS = 12,          /* at the word, before it sleeps on it */
  LONGEST_PAUSE = 256, /* between two; all of them take about as long as to be
                          put to sleep and woken on another core */
  GENERATION_SHIFT = 16,
  SEAT_BITS = 0xffff,
  GENERATION_BITS = 0x7fff
};

/* How long to sleep before a look at the owner. */
static const uint64_t first_sleep = 2 * WEIR_MS, last_sleep = 50 * WEIR_MS;

/* The seat's number plus one, so that no word of an owner is 0. */
uint32_t weir_lock_word(uint32_t seat, uint32_t generation) {
  return (generation & GENERATION_BITS) << GENERATION_SHIFT | (seat + 1);
}

/* A page that is zero in every child. */
static unsigned char *new_mark(void) {
  unsigned char *page = mmap(NULL, WEIR_PAGE, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return NULL;
  if (madvise(page, WEIR_PAGE, MADV_WIPEONFORK)) {
    munmap(page, WEIR_PAGE);
    return NULL;
  }
  *page = 1;
  return page;
}

bool weir_lock_init(weir_lock *lock, const weir_seats *seats) {
  lock->word = &seats->file->header->lock;
  lock->seats = seats;
  lock->mine = 0;
  lock->ours = new_mark();
  return lock->ours != NULL;
}

void weir_lock_fini(weir_lock *lock) {
  if (lock->ours) munmap((void *)(uintptr_t)lock->ours, WEIR_PAGE);
  lock->ours = NULL;
}

/* --- the owner ------------------------------------------------------------ */

static bool is_owned_by_dead(const weir_lock *lock, uint32_t word) {
  const weir_seats *seats = lock->seats;
  uint32_t seat = (word & SEAT_BITS) - 1; /* of no seat: a large number */
  if (seat >= WEIR_SEATS) return true;
  if (weir_lock_word(seat, weir_seats_generation(seats, seat)) !=
      (word & ~WEIR_LOCK_WAITED_FOR))
    return true;
  if (seat && seat == seats->own) return false; /* another thread of ours */
  return !weir_seats_is_held(seats, seat);
}

uint32_t weir_lock_owner(const weir_lock *lock) {
  uint32_t seat = (atomic_load(lock->word) & SEAT_BITS) - 1;
  return weir_seats_pid(lock->seats, seat);
}

/* --- sleeping ------------------------------------------------------------- */

/* Until it is woken, the word is another one, or the time is over; whether it
** was the time. */
static bool sleep_on(const weir_lock *lock, uint32_t word, uint64_t ns) {
  struct timespec t = { 0, (long)ns };
  return syscall(SYS_futex, lock->word, FUTEX_WAIT, word, &t, NULL, 0) &&
         errno == ETIMEDOUT;
}

static void wake_one(const weir_lock *lock) {
  syscall(SYS_futex, lock->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void pause_a_little(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Each look takes the word's cache line away from who has the lock, so they
** become fewer: who has it is served best if others leave it alone. */
static bool spin(const weir_lock *lock) {
  int pauses = 1;
  for (int i = 0; i < LOOKS; i++) {
    for (int j = 0; j < pauses; j++) pause_a_little();
    if (pauses < LONGEST_PAUSE) pauses *= 2;
    if (!atomic_load_explicit(lock->word, memory_order_relaxed) &&
        weir_lock_try(lock))
      return true;
  }
  return false;
}

static bool swap(const weir_lock *lock, uint32_t from, uint32_t to) {
  return atomic_compare_exchange_strong_explicit(
      lock->word, &from, to, memory_order_acq_rel, memory_order_relaxed);
}

/* --- waiting -------------------------------------------------------------- */

/* Who has slept does not know who sleeps still, and so takes the lock as one
** that others wait for. */
int weir_lock_wait(const weir_lock *lock, uint64_t wait_ns) {
  uint32_t mine = lock->mine | WEIR_LOCK_WAITED_FOR, word, awaited;
  uint64_t nap = first_sleep, since = weir_seats_now();
  if (spin(lock)) return 0;
  for (;;) {
    word = atomic_load_explicit(lock->word, memory_order_acquire);
    awaited = word | WEIR_LOCK_WAITED_FOR;
    if (word == 0) {
      if (swap(lock, 0, mine)) return 0;
      continue;
    }
    if (word != awaited && !swap(lock, word, awaited)) continue;
    if (wait_ns != WEIR_NEVER && weir_seats_now() - since >= wait_ns)
      return WEIR_LOCK_BUSY;
    if (!sleep_on(lock, awaited, nap)) continue;
    if (is_owned_by_dead(lock, awaited) && swap(lock, awaited, mine)) return 1;
    nap = 2 * nap < last_sleep ? 2 * nap : last_sleep;
  }
}

/* Either somebody waits by now, or it is not ours any more. */
void weir_lock_give_slowly(const weir_lock *lock) {
  uint32_t word = lock->mine | WEIR_LOCK_WAITED_FOR;
  if (atomic_compare_exchange_strong_explicit(
          lock->word, &word, 0, memory_order_release, memory_order_relaxed))
    wake_one(lock);
}
