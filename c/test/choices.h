/*
** choices.h - where a random test takes its decisions from: a generator, or
** the bytes a fuzzer wants to see.
*/
#ifndef WEIR_TEST_CHOICES_H
#define WEIR_TEST_CHOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct choices {
  const uint8_t *bytes; /* NULL: from the generator */
  size_t count;         /* bytes left */
  uint64_t state;       /* of the generator */
} choices;

static inline choices choices_of_seed(uint64_t seed) {
  return (choices){ NULL, 0, seed };
}

static inline choices choices_of_bytes(const uint8_t *bytes, size_t count) {
  return (choices){ bytes, count, 0 };
}

/* Whether there is nothing more to decide. */
static inline bool choices_done(const choices *from) {
  return from->bytes && from->count == 0;
}

static inline uint32_t choices_byte(choices *from) {
  if (from->count == 0) return 0;
  from->count--;
  return *from->bytes++;
}

/* A number below `below`, which is from 1 to 256. */
static inline uint32_t choose(choices *from, uint32_t below) {
  uint64_t mixed;
  if (from->bytes) return choices_byte(from) % below;
  mixed = from->state += 0x9E3779B97F4A7C15u; /* SplitMix64, by its formula */
  mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
  return (uint32_t)((mixed >> 32) * below >> 32);
}

/* Whether something happens that happens once in `n` times. */
static inline bool once_in(choices *from, uint32_t n) {
  return choose(from, n) == n - 1;
}

#endif
