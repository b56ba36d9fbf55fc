/* histogram.c - see histogram.h. */
#include "histogram.h"

/* The position of the highest set bit; value is not 0. */
static unsigned log2_floor(uint64_t value) {
#if defined(__GNUC__)
  return 63u - (unsigned)__builtin_clzll(value);
#else
  unsigned bit = 0;
  for (unsigned half = 32; half; half /= 2)
    if (value >> half) {
      value >>= half;
      bit += half;
    }
  return bit;
#endif
}

static unsigned bucket_of(uint64_t ns) {
  unsigned power, step;
  if (ns < WEIR_HISTOGRAM_LINEAR) return (unsigned)ns;
  if (ns >> WEIR_HISTOGRAM_BITS) return WEIR_HISTOGRAM_BUCKETS - 1;
  power = log2_floor(ns);
  step = (unsigned)(ns >> (power - 4)) & (WEIR_HISTOGRAM_STEPS - 1);
  return WEIR_HISTOGRAM_LINEAR + (power - 5) * WEIR_HISTOGRAM_STEPS + step;
}

/* The middle of a bucket: at most 1/32 from everything in it. */
static uint64_t value_of(unsigned bucket) {
  unsigned power, step;
  if (bucket < WEIR_HISTOGRAM_LINEAR) return bucket;
  power = (bucket - WEIR_HISTOGRAM_LINEAR) / WEIR_HISTOGRAM_STEPS + 5;
  step = (bucket - WEIR_HISTOGRAM_LINEAR) % WEIR_HISTOGRAM_STEPS;
  return (uint64_t)(2 * (WEIR_HISTOGRAM_STEPS + step) + 1) << (power - 5);
}

static void halve(weir_histogram *histogram, const weir_memory *memory) {
  weir_keep(memory, histogram, sizeof *histogram);
  histogram->zeros /= 2;
  histogram->sum /= 2;
  for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++)
    histogram->counts[i] /= 2;
}

void weir_histogram_add(weir_histogram *histogram, const weir_memory *memory,
                        uint64_t ns) {
  uint32_t *count = &histogram->counts[bucket_of(ns)];
  if (ns == 0) {
    weir_keep(memory, &histogram->zeros, sizeof histogram->zeros);
    histogram->zeros++;
    return;
  }
  weir_keep(memory, &histogram->max, 2 * sizeof histogram->max);
  weir_keep(memory, count, sizeof *count);
  if (ns > histogram->max) histogram->max = ns;
  histogram->sum +=
      ns < UINT64_MAX - histogram->sum ? ns : UINT64_MAX - histogram->sum;
  if (*count == UINT32_MAX) halve(histogram, memory);
  ++*count;
}

/* The smallest value that at least `rank` of the waits do not exceed. */
static uint64_t value_at(const weir_histogram *histogram, uint64_t rank) {
  uint64_t seen = histogram->zeros;
  unsigned bucket = 0;
  while (seen < rank && ++bucket < WEIR_HISTOGRAM_BUCKETS)
    seen += histogram->counts[bucket];
  if (bucket >= WEIR_HISTOGRAM_BUCKETS - 1) return histogram->max;
  return value_of(bucket) < histogram->max ? value_of(bucket) : histogram->max;
}

/* ceil(total x percent / 100) without overflow. */
static uint64_t rank_of(uint64_t total, uint64_t percent) {
  return total / 100 * percent + (total % 100 * percent + 99) / 100;
}

void weir_histogram_read(const weir_histogram *histogram,
                         weir_wait_stats *out) {
  uint64_t total = histogram->zeros;
  for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++)
    total += histogram->counts[i];
  out->p50 = value_at(histogram, rank_of(total, 50));
  out->p90 = value_at(histogram, rank_of(total, 90));
  out->p99 = value_at(histogram, rank_of(total, 99));
  out->max = histogram->max;
}

uint64_t weir_histogram_below(const weir_histogram *histogram,
                              const uint64_t *bounds_ns, uint64_t *counts,
                              uint32_t bounds) {
  uint64_t sum = histogram->zeros;
  uint32_t at = 0;
  for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
    while (at < bounds && bounds_ns[at] < value_of(i)) counts[at++] = sum;
    sum += histogram->counts[i];
  }
  while (at < bounds) counts[at++] = sum;
  return sum;
}
