/* hash.c - see hash.h. */
#include "hash.h"

#include <stdbool.h>
#include <string.h>

enum { WORD = sizeof(uint64_t), HALF = sizeof(uint32_t) };

typedef struct sip { /* the state, by the names of the definition */
  uint64_t v0, v1, v2, v3;
} sip;

/* Known to the compiler, so it costs nothing and both ways always compile. */
static inline bool is_little_endian(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, sizeof first);
  return first == 1;
}

static inline uint64_t swap(uint64_t word) {
  word = (word & 0x00FF00FF00FF00FFu) << 8 | (word >> 8 & 0x00FF00FF00FF00FFu);
  word =
      (word & 0x0000FFFF0000FFFFu) << 16 | (word >> 16 & 0x0000FFFF0000FFFFu);
  return word << 32 | word >> 32;
}

/* The number that `size` bytes are, up to a word of them, little-endian. */
static inline uint64_t load(const unsigned char *bytes, size_t size) {
  uint64_t word = 0;
  memcpy(&word, bytes, size);
  return is_little_endian() ? word : swap(word);
}

/* The same for any size below half a word. */
static inline uint64_t load_tiny(const unsigned char *bytes, size_t size) {
  size_t middle = size / 2, last = size - 1;
  if (!size) return 0;
  return bytes[0] | (uint64_t)bytes[middle] << 8 * middle |
         (uint64_t)bytes[last] << 8 * last;
}

/* The same for any size below a word. Bytes are read twice rather than one by
** one, and never by a copy whose size is not constant: that would be a call. */
static inline uint64_t load_short(const unsigned char *bytes, size_t size) {
  size_t last = size - HALF;
  if (size >= HALF)
    return load(bytes, HALF) | load(bytes + last, HALF) << 8 * last;
  return load_tiny(bytes, size);
}

/* The bytes at the end that are not a whole word. */
static inline uint64_t load_rest(const unsigned char *bytes, size_t size) {
  size_t left = size % WORD;
  if (size < WORD) return load_short(bytes, size);
  if (!left) return 0;
  return load(bytes + size - WORD, WORD) >> 8 * (WORD - left);
}

static inline uint64_t rotate(uint64_t word, int bits) {
  return word << bits | word >> (64 - bits);
}

static inline void two_rounds(sip *s) {
  for (int i = 0; i < 2; i++) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
  }
}

static inline void absorb(sip *s, uint64_t word) {
  s->v3 ^= word;
  two_rounds(s);
  s->v0 ^= word;
}

static inline uint64_t squeeze(sip *s) {
  two_rounds(s);
  two_rounds(s);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* The text in the constants is the definition's; 0xEE and 0xDD are what makes
** 128 bits of output another function than 64. */
weir_hash weir_hash_bytes(const uint64_t seed[2], const void *bytes,
                          size_t size) {
  const unsigned char *at = bytes;
  weir_hash hash;
  sip s = { seed[0] ^ 0x736F6D6570736575u, seed[1] ^ 0x646F72616E646F6Du ^ 0xEE,
            seed[0] ^ 0x6C7967656E657261u, seed[1] ^ 0x7465646279746573u };
  for (size_t left = size; left >= WORD; left -= WORD, at += WORD)
    absorb(&s, load(at, WORD));
  absorb(&s, (uint64_t)size << 56 | load_rest(bytes, size));
  s.v2 ^= 0xEE;
  hash.word[0] = squeeze(&s);
  s.v1 ^= 0xDD;
  hash.word[1] = squeeze(&s);
  return hash;
}
