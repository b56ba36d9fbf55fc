/*
** clock.h - the space's own clock, by which rates and controls are kept.
**
** The callers' clock may go back. By less than a second it is disorder among
** callers that read it at about the same time, and nothing is done about it. By
** more, the clock was set: then no time has passed, and the space's clock goes
** on from where it was.
*/
#ifndef WEIR_CORE_CLOCK_H
#define WEIR_CORE_CLOCK_H

#include <weir.h>

enum { WEIR_CLOCK_SET_NS = 1000000000 }; /* to go back by so much */

typedef struct weir_clock {
  uint64_t last;  /* ns: the latest time a caller told since it was set */
  uint64_t ahead; /* ns: by how much this clock is ahead of the callers' */
} weir_clock;

/* What this clock says when a caller's says `now`. */
static inline uint64_t weir_clock_at(const weir_clock *clock, uint64_t now) {
  uint64_t ahead = clock->ahead;
  if (clock->last >= WEIR_CLOCK_SET_NS &&
      now <= clock->last - WEIR_CLOCK_SET_NS)
    ahead += clock->last - now;
  return now < WEIR_NEVER - 1 - ahead ? now + ahead : WEIR_NEVER - 1;
}

/* The same, and remembers it. */
static inline uint64_t weir_clock_tick(weir_clock *clock, uint64_t now) {
  uint64_t t = weir_clock_at(clock, now);
  if (t - now > clock->ahead) {
    clock->ahead = t - now;
    clock->last = now;
  }
  if (now > clock->last) clock->last = now;
  return t;
}

/* What this clock said when a caller's said `then`, which is past; 0, which is
** long ago, if a caller's did so before it was set. */
static inline uint64_t weir_clock_then(const weir_clock *clock, uint64_t then) {
  if (then > clock->last) return 0;
  return then < WEIR_NEVER - 1 - clock->ahead ? then + clock->ahead
                                              : WEIR_NEVER - 1;
}

/* The later of `t` and the latest time this clock was told: what has happened
** by then has happened, though a caller is a little behind. */
static inline uint64_t weir_clock_latest(const weir_clock *clock, uint64_t t) {
  uint64_t last = weir_clock_at(clock, clock->last);
  return last > t ? last : t;
}

/* When a caller's clock will say what this one says at `t`. */
static inline uint64_t weir_clock_back(const weir_clock *clock, uint64_t t) {
  if (t == WEIR_NEVER) return t;
  return t > clock->ahead ? t - clock->ahead : 0;
}

#endif
