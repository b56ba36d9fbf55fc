/*
** test_hash.c - SipHash-2-4-128 beside what OpenSSL answers, and what a table
** needs of it.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/hash.h"

enum { SIZE_MAX_TESTED = 1000, HEX = 2 * sizeof(weir_hash) + 1 };

/* Keys, as the numbers that their sixteen bytes are, little-endian. */
enum { COUNTING, MIXED, ZEROS, ONES, SEEDS };
static const uint64_t seeds[SEEDS][2] = {
  [COUNTING] = { 0x0706050403020100u, 0x0F0E0D0C0B0A0908u },
  [MIXED] = { 0x8796A5B4C3D2E1F0u, 0x0F1E2D3C4B5A6978u },
  [ZEROS] = { 0, 0 },
  [ONES] = { UINT64_MAX, UINT64_MAX },
};

/* The output of `openssl mac -macopt hexkey:KEY -macopt size:16 -in FILE
** SIPHASH` (3.0), where byte i of the file is i modulo 256. */
static const struct vector {
  int seed;
  size_t size;
  const char *output;
} vectors[] = {
  { COUNTING, 0, "a3817f04ba25a8e66df67214c7550293" },
  { COUNTING, 1, "da87c1d86b99af44347659119b22fc45" },
  { COUNTING, 2, "8177228da4a45dc7fca38bdef60affe4" },
  { COUNTING, 3, "9c70b60c5267a94e5f33b6b02985ed51" },
  { COUNTING, 4, "f88164c12d9c8faf7d0f6e7c7bcd5579" },
  { COUNTING, 5, "1368875980776f8854527a07690e9627" },
  { COUNTING, 6, "14eeca338b208613485ea0308fd7a15e" },
  { COUNTING, 7, "a1f1ebbed8dbc153c0b84aa61ff08239" },
  { COUNTING, 8, "3b62a9ba6258f5610f83e264f31497b4" },
  { COUNTING, 9, "264499060ad9baabc47f8b02bb6d71ed" },
  { COUNTING, 11, "0151c568386b6677a2b4dc6f81e5dc18" },
  { COUNTING, 12, "d626b266905ef35882634df68532c125" },
  { COUNTING, 13, "9869e247e9c08b10d029934fc4b952f7" },
  { COUNTING, 15, "5493e99933b0a8117e08ec0f97cfc3d9" },
  { COUNTING, 16, "6ee2a4ca67b054bbfd3315bf85230577" },
  { COUNTING, 17, "473d06e8738db89854c066c47ae47740" },
  { COUNTING, 23, "c9d184ddd5a9f5e0cf8ce29a9abf691c" },
  { COUNTING, 24, "2db479ae78bd50d8882a8a178a6132ad" },
  { COUNTING, 31, "2939b0183223fafc1723de4f52c43d35" },
  { COUNTING, 32, "7c3956ca5eeafc3e363e9d556546eb68" },
  { COUNTING, 33, "77c6077146f01c32b6b69d5f4ea9ffcf" },
  { COUNTING, 63, "5150d1772f50834a503e069a973fbd7c" },
  { COUNTING, 64, "1eaf077dc0d4cd3f8cad4d383658a74b" },
  { COUNTING, 65, "02233e98fe91e1c8220dca0d285261ef" },
  { COUNTING, 255, "1c9bb67528165f8e468248e3799b0eab" },
  { COUNTING, 256, "67a00304d3834c4612eaee7b5f579acb" },
  { COUNTING, 1000, "24dafa789ae03d86536a4b57372f0ba6" },
  { MIXED, 0, "279aeda436ffb6ebec8f77d004724775" },
  { MIXED, 3, "fd9c510503caf81ca60223e2d0309f94" },
  { MIXED, 8, "fb9dea12778c7e97118c82a3f28d380c" },
  { MIXED, 15, "c7280fb55b9a07ad8e7cb88e50558471" },
  { MIXED, 1000, "1dc8f0a44ac9421d008a12acac7d3646" },
  { ZEROS, 0, "5049d74780a3e07d4202ab47d4cef2f4" },
  { ZEROS, 8, "4b6534f901eb440ee95540294a75af84" },
  { ZEROS, 1000, "4cd462fbb10d94bd543f4b667d652461" },
  { ONES, 0, "ff4d7a2447d655330efebd413c5afb70" },
  { ONES, 8, "53356f5cd841283c1931c0ebac315975" },
  { ONES, 1000, "365c2be294a2d2ee1ae79df2496e3625" },
};
enum { VECTORS = sizeof vectors / sizeof vectors[0] };

static void fill(unsigned char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)i;
}

/* The hash's bytes as text, by its own words: little-endian. */
static void to_hex(const weir_hash *hash, char text[HEX]) {
  for (unsigned i = 0; i < sizeof *hash; i++) {
    unsigned byte = hash->word[i / 8] >> 8 * (i % 8) & 0xFF;
    snprintf(text + 2 * (size_t)i, 3, "%02x", byte);
  }
}

static void matches(check_place place, const struct vector *wanted,
                    const unsigned char *bytes) {
  weir_hash hash = weir_hash_bytes(seeds[wanted->seed], bytes, wanted->size);
  char text[HEX];
  to_hex(&hash, text);
  check_text(place, text, wanted->output);
}

TEST(it_is_what_openssl_computes) {
  static unsigned char bytes[SIZE_MAX_TESTED];
  fill(bytes, sizeof bytes);
  for (int i = 0; i < VECTORS; i++) matches(HERE, &vectors[i], bytes);
}

TEST(bytes_may_lie_anywhere) {
  static unsigned char room[SIZE_MAX_TESTED + 8];
  for (size_t shift = 0; shift <= 8; shift++) {
    fill(room + shift, SIZE_MAX_TESTED);
    for (int i = 0; i < VECTORS; i++) matches(HERE, &vectors[i], room + shift);
  }
}

/* Blocks of just this size: a sanitizer sees any look beyond. */
TEST(only_the_bytes_themselves_are_read) {
  for (int i = 0; i < VECTORS; i++) {
    unsigned char *bytes = malloc(vectors[i].size + !vectors[i].size);
    if (!bytes) abort(); /* no failure of the hash */
    fill(bytes, vectors[i].size);
    matches(HERE, &vectors[i], bytes);
    free(bytes);
  }
}

TEST(what_lies_around_does_not_count) {
  unsigned char room[3 * 80];
  for (size_t size = 0; size <= 80; size++) {
    weir_hash among_zeros, among_ones;
    memset(room, 0, sizeof room);
    fill(room + 80, size);
    among_zeros = weir_hash_bytes(seeds[MIXED], room + 80, size);
    memset(room, 0xFF, sizeof room);
    fill(room + 80, size);
    among_ones = weir_hash_bytes(seeds[MIXED], room + 80, size);
    CHECK(weir_hash_equal(&among_zeros, &among_ones));
  }
}

TEST(no_bytes_need_no_pointer) {
  weir_hash hash = weir_hash_bytes(seeds[ZEROS], NULL, 0);
  weir_hash same = weir_hash_bytes(seeds[ZEROS], "", 0);
  CHECK(weir_hash_equal(&hash, &same));
}

static bool halves_differ(const weir_hash *a, const weir_hash *b) {
  return a->word[0] != b->word[0] && a->word[1] != b->word[1];
}

TEST(each_bit_of_a_key_changes_both_words) {
  unsigned char key[40];
  fill(key, sizeof key);
  for (size_t size = 1; size <= sizeof key; size++) {
    weir_hash was = weir_hash_bytes(seeds[MIXED], key, size), is;
    for (size_t bit = 0; bit < 8 * size; bit++) {
      key[bit / 8] ^= (unsigned char)(1u << bit % 8);
      is = weir_hash_bytes(seeds[MIXED], key, size);
      key[bit / 8] ^= (unsigned char)(1u << bit % 8);
      CHECK(halves_differ(&was, &is));
    }
  }
}

TEST(each_bit_of_the_seed_changes_both_words) {
  weir_hash was = weir_hash_bytes(seeds[MIXED], "key", 3);
  for (unsigned bit = 0; bit < 128; bit++) {
    uint64_t seed[2] = { seeds[MIXED][0], seeds[MIXED][1] };
    weir_hash is;
    seed[bit / 64] ^= (uint64_t)1 << bit % 64;
    is = weir_hash_bytes(seed, "key", 3);
    CHECK(halves_differ(&was, &is));
  }
}

/* A key of zero bytes is not a shorter one. */
TEST(the_size_is_a_part_of_the_key) {
  static const unsigned char zeros[64];
  for (size_t size = 1; size <= sizeof zeros; size++) {
    weir_hash shorter = weir_hash_bytes(seeds[ZEROS], zeros, size - 1);
    weir_hash longer = weir_hash_bytes(seeds[ZEROS], zeros, size);
    CHECK(halves_differ(&shorter, &longer));
  }
}

TEST(two_hashes_are_equal_when_both_words_are) {
  weir_hash a = { { 1, 2 } }, b = a;
  CHECK(weir_hash_equal(&a, &b));
  b.word[1] = 3;
  CHECK(!weir_hash_equal(&a, &b));
  b = (weir_hash){ { 3, 2 } };
  CHECK(!weir_hash_equal(&a, &b));
}

CHECK_MAIN
