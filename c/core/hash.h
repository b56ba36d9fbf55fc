/*
** hash.h - SipHash-2-4 with 128 bits of output (Aumasson and Bernstein): a
** keyed hash. Who does not know the seed can not make keys collide.
*/
#ifndef WEIR_CORE_HASH_H
#define WEIR_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct weir_hash {
  uint64_t word[2]; /* the output's bytes, little-endian */
} weir_hash;

weir_hash weir_hash_bytes(const uint64_t seed[2], const void *bytes,
                          size_t size);

static inline int weir_hash_equal(const weir_hash *a, const weir_hash *b) {
  return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

#endif
