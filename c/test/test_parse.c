/* test_parse.c - rates and times as people write them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weir_text.h>

#include "check.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define DAY (86400 * S)

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* A literal that may hold NUL bytes. */
#define BYTES(literal) literal, sizeof(literal) - 1

typedef struct bytes {
  const char *at;
  size_t size;
} bytes;

typedef struct duration_case {
  const char *text;
  uint64_t ns;
} duration_case;

typedef struct rate_case {
  const char *text;
  uint32_t count;
  uint64_t per_ns;
} rate_case;

/* --- durations ------------------------------------------------------------ */

static void duration_is(check_place place, const char *text, size_t size,
                        uint64_t wanted) {
  uint64_t ns = 7;
  check_equal(place, text, (uint64_t)weir_parse_duration(text, size, &ns), 0);
  check_equal(place, text, ns, wanted);
}

static void duration_fails(check_place place, const char *text, size_t size) {
  uint64_t ns = 7;
  int answer = weir_parse_duration(text, size, &ns);
  check_equal(place, text, (uint64_t)answer, (uint64_t)WEIR_E_CONFIG);
  check_equal(place, text, ns, 7);
}

static void durations_are(check_place place, const duration_case *cases,
                          size_t count) {
  for (; count > 0; count--, cases++)
    duration_is(place, cases->text, strlen(cases->text), cases->ns);
}

static void durations_fail(check_place place, const char *const *texts,
                           size_t count) {
  for (; count > 0; count--, texts++)
    duration_fails(place, *texts, strlen(*texts));
}

#define DURATIONS(cases) durations_are(HERE, cases, COUNT(cases))
#define NO_DURATIONS(texts) durations_fail(HERE, texts, COUNT(texts))

TEST(a_duration_has_a_unit_or_is_in_seconds) {
  static const duration_case cases[] = {
    { "1ns", 1 },          { "250us", 250000 },
    { "250ms", 250 * MS }, { "1s", S },
    { "5m", 300 * S },     { "5min", 300 * S },
    { "2h", 7200 * S },    { "1d", DAY },
    { "3", 3 * S },        { "0", 0 },
    { "0s", 0 },           { "0.000", 0 },
    { "007s", 7 * S },     { "00000000000000000000000000000001s", S },
  };
  DURATIONS(cases);
}

TEST(a_duration_may_have_a_fraction) {
  static const duration_case cases[] = {
    { "1.5s", 1500 * MS },     { "1.5", 1500 * MS },
    { ".5s", 500 * MS },       { ".5", 500 * MS },
    { "0.5", 500 * MS },       { "1.50", 1500 * MS },
    { "1.0h", 3600 * S },      { "0.1s", 100 * MS },
    { "0.3s", 300 * MS },      { "1.1ms", 1100000 },
    { "0.25h", 900 * S },      { "0.5d", 43200 * S },
    { "1.5min", 90 * S },      { "2.0ns", 2 },
    { "0.000000001s", 1 },     { "1.000000001s", S + 1 },
    { "0.999999999s", S - 1 },
  };
  DURATIONS(cases);
}

TEST(a_duration_is_rounded_up_to_ns) {
  static const duration_case cases[] = {
    { "0.1ns", 1 },
    { "0.9ns", 1 },
    { "1.0000000000000000000000000000000000001ns", 2 },
    { "1.0000000000000000000000000000000000000ns", 1 },
    { "0.0000000001s", 1 },
    { "0.0000000010s", 1 },
    { "0.0000000011s", 2 },
    { "0.9999999999s", S },
    { "0.99999999999999999999999999d", DAY },
    { "0.00000000000000000000000001d", 1 },
    { "0.333333333333333333333333333d", DAY / 3 },
    { "0.333333333333333333333333333h", 1200 * S },
  };
  DURATIONS(cases);
}

TEST(blanks_may_stand_around_the_parts_of_a_duration) {
  static const duration_case cases[] = {
    { " 1s", S },
    { "1s ", S },
    { "1 s", S },
    { "\t 1 \t s\t ", S },
    { "2 h", 7200 * S },
    { "  3  ", 3 * S },
    { " 1.5 ms ", 1500000 },
  };
  DURATIONS(cases);
}

TEST(what_is_no_decimal_number_is_no_duration) {
  static const char *const texts[] = {
    "",    " ",     "\t",    "s",     "ms",    ".",      ".s",       "1.",
    "1.s", "1. 5s", "1 .5s", "1..5s", "1,5s",  "-1s",    "+1s",      "-0",
    "1e3", "1e3s",  "1E3s",  "1e-3s", "0x10s", "0x1p3",  "inf",      "nan",
    "1/s", "1_0s",  "1'0s",  "1 2s",  "\n1s",  "1.5.5s", "infinity",
  };
  NO_DURATIONS(texts);
}

TEST(what_is_no_unit_is_no_duration) {
  static const char *const texts[] = {
    "1S",   "1MS",  "1Ms",    "1M",         "1mi",        "1mins", "1sec",
    "1ss",  "1msx", "1m s",   "1s1",        "1m30s",      "1s 2s", "1s;",
    "1s\n", "1\rs", "1s\xFF", "1\xC2\xB5s", "1\xC2\xA0s",
  };
  NO_DURATIONS(texts);
}

TEST(a_nul_is_a_byte_like_any_other) {
  static const bytes cases[] = {
    { NULL, 0 },
    { BYTES("\0") },
    { BYTES("1\0") },
    { BYTES("1s\0") },
    { BYTES("1\0s") },
    { BYTES("1.\0") },
    { BYTES("1.5\0s") },
    { BYTES("\0"
            "1s") },
    { BYTES("1s\0garbage") },
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    duration_fails(HERE, cases[i].at, cases[i].size);
}

/* 2^60 ns is 1152921504.606846976 s. */
TEST(a_duration_is_at_most_the_longest_period) {
  static const duration_case cases[] = {
    { "1152921504606846976ns", WEIR_PER_MAX },
    { "1152921504606846.976us", WEIR_PER_MAX },
    { "1152921504606.846976ms", WEIR_PER_MAX },
    { "1152921504.606846976", WEIR_PER_MAX },
    { "1152921504.6068469759999s", WEIR_PER_MAX },
    { "1152921504.606846975s", WEIR_PER_MAX - 1 },
    { "19215358m", 19215358 * (60 * S) },
    { "320255h", 320255 * (3600 * S) },
    { "13343d", 13343 * DAY },
  };
  DURATIONS(cases);
}

TEST(a_longer_duration_is_an_error_and_does_not_wrap) {
  static const char *const texts[] = {
    "1152921504606846977ns",
    "1152921504606846976.1ns",
    "1152921504606846.977us",
    "1152921504606847us",
    "1152921504607ms",
    "1152921505",
    "1152921504.6068469760001s",
    "19215359m",
    "320256h",
    "13344d",
    "13343.999999999999999999999999d",
    "9223372036854775807ns",
    "18446744073709551615ns",
    "18446744073709551616ns", /* 2^64, that is 0 */
    "18446744073709551617",
    "18446744074s", /* times 10^9 it wraps to less than a second */
    "99999999999999999999999999999999999999999999999999d",
  };
  NO_DURATIONS(texts);
}

/* What lies behind the text is not read: each prefix stands for itself. */
TEST(a_duration_ends_where_its_size_says) {
  static const char text[] = "12.5ms";
  duration_fails(HERE, text, 0);
  duration_is(HERE, text, 1, S);
  duration_is(HERE, text, 2, 12 * S);
  duration_fails(HERE, text, 3);
  duration_is(HERE, text, 4, 12500 * MS);
  duration_is(HERE, text, 5, 750 * S);
  duration_is(HERE, text, 6, 12500000);
}

/* --- rates ---------------------------------------------------------------- */

static void rate_is(check_place place, const char *text, size_t size,
                    const rate_case *wanted) {
  weir_rate rate = { 1, 2, 3, 4, WEIR_SLIDING, true };
  int answer = weir_parse_rate(text, size, &rate);
  check_equal(place, text, (uint64_t)answer, 0);
  check_equal(place, text, rate.count, wanted->count);
  check_equal(place, text, rate.per_ns, wanted->per_ns);
  check_true(place, "the rest is left", rate.phase_ns == 2 && rate.burst == 4);
  check_true(place, "its kind too", rate.window == WEIR_SLIDING);
  check_true(place, "and whether it is aligned", rate.aligned);
}

static void rate_fails(check_place place, const char *text, size_t size) {
  weir_rate rate = { 1, 2, 3, 4, WEIR_SLIDING, true };
  int answer = weir_parse_rate(text, size, &rate);
  check_equal(place, text, (uint64_t)answer, (uint64_t)WEIR_E_CONFIG);
  check_true(place, text, rate.per_ns == 1 && rate.count == 3);
}

static void rates_are(check_place place, const rate_case *cases, size_t count) {
  for (; count > 0; count--, cases++)
    rate_is(place, cases->text, strlen(cases->text), cases);
}

static void rates_fail(check_place place, const char *const *texts,
                       size_t count) {
  for (; count > 0; count--, texts++) rate_fails(place, *texts, strlen(*texts));
}

#define RATES(cases) rates_are(HERE, cases, COUNT(cases))
#define NO_RATES(texts) rates_fail(HERE, texts, COUNT(texts))

TEST(a_rate_is_tokens_per_time) {
  static const rate_case cases[] = {
    { "100/s", 100, S },
    { "5/m", 5, 60 * S },
    { "5/min", 5, 60 * S },
    { "7/h", 7, 3600 * S },
    { "1000/d", 1000, DAY },
    { "3/ms", 3, MS },
    { "3/us", 3, 1000 },
    { "1/ns", 1, 1 },
    { "10/250ms", 10, 250 * MS },
    { "10000/86400s", 10000, DAY },
    { "1/1s", 1, S },
    { "1/15m", 1, 900 * S },
    { "0001/01s", 1, S },
  };
  RATES(cases);
}

TEST(blanks_may_stand_around_the_parts_of_a_rate) {
  static const rate_case cases[] = {
    { " 100/s", 100, S },
    { "100 /s", 100, S },
    { "100/ s", 100, S },
    { "100/s ", 100, S },
    { "\t100\t/\t250\tms\t", 100, 250 * MS },
    { "  1  /  2  h  ", 1, 7200 * S },
  };
  RATES(cases);
}

TEST(what_is_no_rate_is_an_error) {
  static const char *const texts[] = {
    "",        " ",       "/",           "100",      "100/",   "100s",
    "/s",      "100//s",  "100/60",      "1/s/s",    "1/s s",  "1.5/s",
    ".5/s",    "1./s",    "1/1.5s",      "1/.5s",    "-1/s",   "+1/s",
    "1/-1s",   "1/+1s",   "1e3/s",       "1/1e3s",   "0x10/s", "inf/s",
    "nan/s",   "1/S",     "1/sec",       "1/second", "1/s1",   "1 0/s",
    "1/1 0s",  "1/m s",   "1/s\n",       "1 per s",  "1\\s",   "1:s",
    "1,000/s", "1/s\xFF", "1/\xC2\xB5s",
  };
  NO_RATES(texts);
}

TEST(a_nul_in_a_rate_is_an_error) {
  static const bytes cases[] = {
    { NULL, 0 },
    { BYTES("\0"
            "1/s") },
    { BYTES("1/s\0") },
    { BYTES("1\0/s") },
    { BYTES("1/\0s") },
    { BYTES("1/\0") },
    { BYTES("1/1\0s") },
    { BYTES("1/s\0garbage") },
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    rate_fails(HERE, cases[i].at, cases[i].size);
}

TEST(a_rate_reaches_to_its_bounds) {
  static const rate_case cases[] = {
    { "1/1152921504606846976ns", 1, WEIR_PER_MAX },
    { "1/13343d", 1, 13343 * DAY },
    { "2147483647/d", WEIR_PERMITS_MAX, DAY },
    { "2147483647/2147483647ns", WEIR_PERMITS_MAX, WEIR_PERMITS_MAX },
    { "1000/us", 1000, 1000 },
    { "1000000000/s", 1000000000, S },
  };
  RATES(cases);
}

TEST(a_rate_beyond_its_bounds_is_an_error) {
  static const char *const texts[] = {
    "0/s",
    "1/0s",
    "0/0s",
    "1/0ns",
    "1/1152921504606846977ns",
    "1/1152921504606847us",
    "1/13344d",
    "2147483648/d",
    "4294967296/d", /* 2^32, that is 0 */
    "4294967297/d",
    "18446744073709551617/d",
    "1/18446744073709551617ns",
    "1/18446744073709551617s",
    "2147483647/2147483646ns",
    "2/ns",
    "1001/us",
    "1000000001/s",
  };
  NO_RATES(texts);
}

TEST(a_rate_ends_where_its_size_says) {
  static const char text[] = "10/25ms";
  static const rate_case minutes = { text, 10, 25 * (60 * S) };
  static const rate_case whole = { text, 10, 25 * MS };
  for (size_t size = 0; size < 6; size++) rate_fails(HERE, text, size);
  rate_is(HERE, text, 6, &minutes);
  rate_is(HERE, text, 7, &whole);
}

/* --- there and back ------------------------------------------------------- */

TEST(what_is_printed_in_ns_reads_the_same) {
  for (uint64_t ns = 1; ns <= WEIR_PER_MAX; ns = ns * 3 + 1) {
    char text[48];
    rate_case rate = { text, 1 + (uint32_t)(ns / 2 % 1000000), ns };
    snprintf(text, sizeof text, "%" PRIu64 "ns", ns);
    duration_is(HERE, text, strlen(text), ns);
    snprintf(text, sizeof text, "%" PRIu32 "/%" PRIu64 "ns", rate.count, ns);
    rate_is(HERE, text, strlen(text), &rate);
  }
}

CHECK_MAIN
