/*
** rate.h - gates on the time: a token bucket (GCRA) and windows that count.
**
** Each is 16 bytes of state and pure functions of it and of the time. State
** that is all zero has nothing taken. Functions named `take` and `give` change
** it, the others only look.
**
** Times are those of the space's own clock (clock.h), which does not go back by
** a second or more; what remains of disorder between callers only lengthens a
** wait, by no more than the disorder.
**
** The arithmetic is exact: GCRA counts in ns and fractions of a ns with the
** rate's count as denominator, the sliding window compares products instead of
** dividing. Only a time that is answered is rounded: a token of a bucket may be
** had in the nanosecond in which it comes, and what is taken early by less than
** that is owed, so nothing adds up.
*/
#ifndef WEIR_CORE_RATE_H
#define WEIR_CORE_RATE_H

#include <weir.h>

typedef struct weir_rate_span { /* a length of time, exactly */
  uint64_t ns;
  uint32_t part; /* of a ns, in 1/count */
} weir_rate_span;

/* A rate with what follows from it, so that no request has to divide. */
typedef struct weir_meter {
  weir_rate rate;
  weir_rate_span step; /* GCRA: what one token takes: per / count */
  weir_rate_span room; /* GCRA: what a full bucket takes: burst x step */
} weir_meter;

typedef struct weir_rate_state {
  uint64_t mark; /* ns. GCRA: when the bucket will be full again (the
                    theoretical arrival time); windows: the period's begin,
                    modulo 2^64: the first aligned one may be before 0 */
  uint32_t part; /* GCRA: of the mark, in 1/count ns; windows: tokens taken in
                    this period, and too many in those before */
  uint32_t last; /* windows: tokens taken in the period before */
} weir_rate_state;

/* What is wrong with a rate, as a static sentence; NULL: nothing, also for one
** whose count is 0. burst x per / count is to be below 2^62 ns. */
const char *weir_rate_check(const weir_rate *rate);

/* The rate must have passed the check. */
void weir_meter_init(weir_meter *meter, const weir_rate *rate);

/* Whether there is a rate at all. */
static inline bool weir_meter_on(const weir_meter *meter) {
  return meter->rate.count != 0;
}

/* Whether `cost` tokens can ever be had at once. */
bool weir_meter_possible(const weir_meter *meter, uint32_t cost);

/* The earliest time, `t` or later, at which `cost` tokens can be had if nobody
** else takes any: exact, so one ns before they can not. NEVER: not possible. */
uint64_t weir_meter_ready(const weir_meter *meter, const weir_rate_state *state,
                          uint32_t cost, uint64_t t);

/* Takes `cost` tokens at `t`, whether they are there or not: what is taken too
** much has to be made up for before the next. */
void weir_meter_take(const weir_meter *meter, weir_rate_state *state,
                     uint32_t cost, uint64_t t);

/* Gives tokens back that were taken at `then` and not used: as if they had not
** been taken, as far as that still makes a difference at `t`. (GCRA gives
** as many as have not come in since `then`: without them it may have been
** full.) */
void weir_meter_give(const weir_meter *meter, weir_rate_state *state,
                     uint32_t cost, uint64_t then, uint64_t t);

/* How many tokens can be had at `t`. */
uint32_t weir_meter_left(const weir_meter *meter, const weir_rate_state *state,
                         uint64_t t);

/* From when on (`t` or later) the state is as good as zero. */
uint64_t weir_meter_idle(const weir_meter *meter, const weir_rate_state *state,
                         uint64_t t);

/* How long a state that is not touched takes at most to be as good as zero,
** ns; of a meter that is on. */
uint64_t weir_meter_span(const weir_meter *meter);

/* Makes a state of `from` one of `to`: what was taken stays taken, as far as
** both can express it: as many tokens are missing as were, or all of them if
** `to` has less. A bucket keeps fractions of one, rounded up; a period that is
** not aligned is as far through the new one as it was through the old. */
void weir_meter_change(const weir_meter *from, const weir_meter *to,
                       weir_rate_state *state, uint64_t t);

#endif
