/*
** histogram.h - how long the admitted waited, in fixed memory.
**
** Log-linear buckets as in HdrHistogram: below 32 ns each value has its own,
** above that every power of two is cut into 16, so a value is known within
** 1/32 of itself. 2^48 ns (78 hours) and more share the last bucket.
*/
#ifndef WEIR_CORE_HISTOGRAM_H
#define WEIR_CORE_HISTOGRAM_H

#include "memory.h"

enum {
  WEIR_HISTOGRAM_LINEAR = 32, /* values with a bucket of their own */
  WEIR_HISTOGRAM_STEPS = 16,  /* buckets per power of two above */
  WEIR_HISTOGRAM_BITS = 48,   /* values are below 2^this */
  WEIR_HISTOGRAM_BUCKETS =    /* 32 + 16 x (48 - 5) */
  WEIR_HISTOGRAM_LINEAR + WEIR_HISTOGRAM_STEPS * (WEIR_HISTOGRAM_BITS - 5)
};

typedef struct weir_histogram {
  uint64_t zeros;                          /* waits of zero: most of them */
  uint64_t max;                            /* ns, exact */
  uint64_t sum;                            /* ns, exact; stops at the most */
  uint32_t counts[WEIR_HISTOGRAM_BUCKETS]; /* waits above zero */
} weir_histogram;

/* Counts a wait. When a bucket is full all are halved, so that percentiles
** go on meaning what they say. The histogram is in this memory. */
void weir_histogram_add(weir_histogram *histogram, const weir_memory *memory,
                        uint64_t ns);

/* The percentiles of all that was added, each within 3.2 %; all zero: none. */
void weir_histogram_read(const weir_histogram *histogram, weir_wait_stats *out);

/* counts[i]: how many waits were at most bounds_ns[i], ascending, to the
** bucket: within 3.2 %. Answers how many there were at all. */
uint64_t weir_histogram_below(const weir_histogram *histogram,
                              const uint64_t *bounds_ns, uint64_t *counts,
                              uint32_t bounds);

#endif
