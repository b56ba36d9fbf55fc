/* test_http.c - what HTTP says of a limit, byte for byte. */
#include <string.h>

#include <weir_text.h>

#include "check.h"
#include "core/text.h"
#include "sfv.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define ENOUGH 512 /* bytes, as weir_text.h says */

typedef enum field { RETRY_AFTER, POLICY, RATELIMIT } field;

/* All that a field can depend on. */
typedef struct saying {
  const char *name;
  weir_config config;
  weir_key_info key;
  weir_quota quota;
} saying;

static size_t say(const saying *s, field what, char *buffer, size_t size) {
  if (what == RETRY_AFTER)
    return weir_http_retry_after(s->quota.retry_ns, buffer, size);
  if (what == POLICY)
    return weir_http_policy(s->name, &s->config, buffer, size);
  return weir_http_ratelimit(s->name, &s->config, &s->key, &s->quota, buffer,
                             size);
}

/* A limiter of these gates: `count` 0 is no rate, `concurrent` 0 no permits. */
static saying limiter(uint32_t count, uint64_t per_ns, uint32_t concurrent) {
  saying s = {
    "api", WEIR_CONFIG_INIT, { "", 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0 }
  };
  s.config.concurrent = concurrent;
  s.config.rate.count = count;
  s.config.rate.per_ns = per_ns;
  s.config.rate.burst = count;
  s.key.limit = concurrent;
  return s;
}

static saying adaptive(weir_algorithm algorithm, uint32_t max) {
  saying s = limiter(0, 0, 0);
  s.config.adaptive.algorithm = algorithm;
  s.config.adaptive.max = max;
  return s;
}

/* Checks a buffer of `size` bytes: it holds what fits of `wanted`, and nothing
** is written behind it. */
static void check_cut(check_place place, const saying *s, field what,
                      const char *wanted, size_t size) {
  char buffer[ENOUGH + 8];
  size_t length = strlen(wanted), kept = 0;
  if (size > 0) kept = length < size ? length : size - 1;
  memset(buffer, 'Z', sizeof buffer);
  check_equal(place, "answer", say(s, what, buffer, size), length);
  check_true(place, "it is a prefix", !memcmp(buffer, wanted, kept));
  if (size > 0) check_equal(place, "final NUL", (uint64_t)buffer[kept], 0);
  for (size_t i = size; i < sizeof buffer; i++)
    check_equal(place, "what lies behind", (uint64_t)buffer[i], 'Z');
}

static void check_said(check_place place, const saying *s, field what,
                       const char *wanted) {
  char buffer[ENOUGH];
  sfv_list list;
  size_t size = say(s, what, buffer, sizeof buffer);
  check_text(place, buffer, wanted);
  for (size_t cut = 0; cut <= strlen(wanted) + 2; cut++)
    check_cut(place, s, what, wanted, cut);
  check_equal(place, "without a buffer", say(s, what, NULL, 0), size);
  if (size > 0 && what != RETRY_AFTER)
    check_true(place, wanted, sfv_read(buffer, size, &list));
}

#define SAYS(s, what, wanted) check_said(HERE, &(s), what, wanted)

/* --- the bounded writer --------------------------------------------------- */

TEST(the_writer_counts_on_past_its_end) {
  char buffer[4] = "zzz";
  weir_text text;
  weir_text_begin(&text, buffer, 3);
  weir_text_string(&text, "ab");
  weir_text_byte(&text, 'c');
  weir_text_bytes(&text, "de\0f", 4);
  CHECK_EQ(weir_text_end(&text), 7);
  CHECK_TEXT(buffer, "ab");
  CHECK_EQ(buffer[3], '\0');
}

TEST(the_writer_writes_every_number) {
  static const uint64_t numbers[] = { 0, 7, 10, 999, UINT32_MAX, UINT64_MAX };
  static const char *const texts[] = { "0",          "7",
                                       "10",         "999",
                                       "4294967295", "18446744073709551615" };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    char buffer[24];
    weir_text text;
    weir_text_begin(&text, buffer, sizeof buffer);
    weir_text_number(&text, numbers[i]);
    CHECK_EQ(weir_text_end(&text), strlen(texts[i]));
    CHECK_TEXT(buffer, texts[i]);
  }
}

TEST(the_writer_can_do_without_a_buffer) {
  weir_text text;
  weir_text_begin(&text, NULL, 0);
  weir_text_number(&text, 1234);
  CHECK_EQ(weir_text_end(&text), 4);
}

/* --- the reader of the tests ---------------------------------------------- */

static bool reads(const char *text) {
  sfv_list list;
  return sfv_read(text, strlen(text), &list);
}

TEST(the_reader_of_structured_fields_reads) {
  static const char text[] = " \"a\\\"\\\\\";q=-5; w=\"x\" ,\t\"b\"";
  sfv_list list;
  CHECK(sfv_read(text, strlen(text), &list));
  CHECK_EQ(list.count, 2);
  CHECK_TEXT(list.items[0].name, "a\"\\");
  CHECK_EQ(sfv_parameter_of(&list.items[0], "q")->integer, -5);
  CHECK_TEXT(sfv_parameter_of(&list.items[0], "w")->string, "x");
  CHECK_TEXT(list.items[1].name, "b");
  CHECK(sfv_integer_is(&list.items[1], "q", -1));
  CHECK(reads("\"a\";q=999999999999999"));
}

TEST(the_reader_of_structured_fields_is_strict) {
  static const char *const bad[] = {
    "",
    "\"",
    "a",
    "\"a",
    "\"a\",",
    ",\"a\"",
    "\"a\"\"b\"",
    "\"a\";",
    "\"a\";q=",
    "\"a\";q",
    "\"a\";Q=1",
    "\"a\";1=1",
    "\"a\";q=1.5",
    "\"a\";q=-",
    "\"a\" ;q=1",
    "\"a\";q =1",
    "\"a\";q= 1",
    "\"\\a\"",
    "\"a\nb\"",
    "\"\x7F\"",
    "\"\xC3\xA9\"",
    "\"a\";q=1;q=2",
    "\"a\";q=1000000000000000",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    check_true(HERE, bad[i], !reads(bad[i]));
}

/* --- Retry-After ---------------------------------------------------------- */

TEST(retry_after_is_whole_seconds_and_at_least_one) {
  static const struct {
    uint64_t ns;
    const char *wanted;
  } cases[] = {
    { 0, "1" },
    { 1, "1" },
    { S - 1, "1" },
    { S, "1" },
    { S + 1, "2" },
    { 2 * S, "2" },
    { 3599 * S + 1, "3600" },
    { WEIR_PER_MAX, "1152921505" },
    { WEIR_NEVER - 1, "18446744074" },
    { WEIR_NEVER, "" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    saying s = limiter(1, S, 0);
    s.quota.retry_ns = cases[i].ns;
    SAYS(s, RETRY_AFTER, cases[i].wanted);
  }
}

/* --- RateLimit-Policy ----------------------------------------------------- */

TEST(a_policy_tells_the_gates_there_are) {
  saying s = limiter(100, S, 0);
  s.config.rate.burst = 20;
  SAYS(s, POLICY, "\"api\";q=100;w=1");
  s = limiter(10000, 86400 * S, 0);
  s.config.rate.window = WEIR_FIXED;
  SAYS(s, POLICY, "\"api\";q=10000;w=86400");
  s = limiter(0, 0, 8);
  SAYS(s, POLICY, "\"api\";q=8;qu=\"concurrent-requests\"");
  s = limiter(50, S, 2);
  SAYS(s, POLICY,
       "\"api\";q=50;w=1, \"api-concurrent\";q=2;qu=\"concurrent-requests\"");
  s = limiter(0, 0, 0);
  SAYS(s, POLICY, "");
}

TEST(a_policy_has_whole_seconds) {
  static const struct {
    uint32_t count;
    uint64_t per_ns;
    const char *wanted;
  } cases[] = {
    { 10, 250 * MS, "\"api\";q=40;w=1" }, /* four times */
    { 1, MS, "\"api\";q=1000;w=1" },
    { 1, 1, "\"api\";q=1000000000;w=1" },
    { 3, 400 * MS, "\"api\";q=15;w=2" }, /* five times is 2 s */
    { 3, 1500 * MS, "\"api\";q=6;w=3" },
    { 1, 1200 * MS, "\"api\";q=5;w=6" },
    { 7, 59 * S / 2, "\"api\";q=14;w=59" },
    { 7, 30500 * MS, "\"api\";q=7;w=31" },     /* 61 s are too long */
    { 7, 59500 * MS, "\"api\";q=7;w=60" },     /* 119 s, too */
    { 300, 59500 * MS, "\"api\";q=302;w=60" }, /* 302.5 */
    { 7, 60 * S, "\"api\";q=7;w=60" },
    { 7, 61 * S, "\"api\";q=7;w=61" },
    { 10, 333 * MS, "\"api\";q=30;w=1" }, /* 30.03 */
    { 1, 999999999, "\"api\";q=1;w=1" },
    { 1, S + 1, "\"api\";q=1;w=2" }, /* 1.999999998 */
    { 2147483647, S + 1, "\"api\";q=4294967289;w=2" },
    { 2147483647, 2147483647, "\"api\";q=3000000000;w=3" },
    { 2147483647, 86400 * S, "\"api\";q=2147483647;w=86400" },
    { 1, WEIR_PER_MAX, "\"api\";q=1;w=1152921505" },
    { 2147483647, WEIR_PER_MAX, "\"api\";q=2147483647;w=1152921505" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    saying s = limiter(cases[i].count, cases[i].per_ns, 0);
    SAYS(s, POLICY, cases[i].wanted);
  }
}

TEST(the_policy_of_an_adaptive_limit_is_its_maximum) {
  saying s = adaptive(WEIR_AIMD, 0);
  SAYS(s, POLICY, "\"api\";q=200;qu=\"concurrent-requests\"");
  s = adaptive(WEIR_GRADIENT2, 0);
  SAYS(s, POLICY, "\"api\";q=200;qu=\"concurrent-requests\"");
  s = adaptive(WEIR_VEGAS, 0);
  SAYS(s, POLICY, "\"api\";q=1000;qu=\"concurrent-requests\"");
  s = adaptive(WEIR_VEGAS, 30);
  SAYS(s, POLICY, "\"api\";q=30;qu=\"concurrent-requests\"");
  s.config.concurrent = 16;
  SAYS(s, POLICY, "\"api\";q=16;qu=\"concurrent-requests\"");
  s.config.concurrent = WEIR_PERMITS_MAX;
  SAYS(s, POLICY, "\"api\";q=2147483647;qu=\"concurrent-requests\"");
}

/* No check lets it through; all the same nothing may be divided by it. */
TEST(a_rate_without_a_period_is_no_rate) {
  saying s = limiter(5, 0, 0);
  SAYS(s, POLICY, "");
  SAYS(s, RATELIMIT, "");
}

/* --- RateLimit ------------------------------------------------------------ */

TEST(what_is_left_of_a_rate) {
  static const struct {
    weir_quota quota;
    const char *wanted;
  } cases[] = {
    { { 20, 0, 0 }, "\"api\";r=20" },
    { { 19, 0, 1 }, "\"api\";r=19;t=1" },
    { { 5, 0, 12 * S + 1 }, "\"api\";r=5;t=13" },
    { { 0, 10 * MS, 60 * S }, "\"api\";r=0;t=1" },
    { { 0, 2 * S + 1, 60 * S }, "\"api\";r=0;t=3" },
    { { 3, 2 * S, 60 * S }, "\"api\";r=3;t=2" }, /* it asked for more than 3 */
    { { 0, WEIR_NEVER, 60 * S }, "\"api\";r=0;t=60" },
    { { 0, WEIR_NEVER, 0 }, "\"api\";r=0" },
    { { 0, 0, WEIR_NEVER }, "\"api\";r=0" },
    { { 999999999999999, 0, 0 }, "\"api\";r=999999999999999" },
    { { 1000000000000000, 0, 0 }, "\"api\";r=999999999999999" },
    { { UINT64_MAX, WEIR_NEVER - 1, 0 },
      "\"api\";r=999999999999999;t=18446744074" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    saying s = limiter(100, S, 0);
    s.quota = cases[i].quota;
    SAYS(s, RATELIMIT, cases[i].wanted);
  }
}

TEST(what_is_left_of_permits) {
  static const struct {
    uint32_t limit, in_use;
    uint64_t retry_ns;
    const char *wanted;
  } cases[] = {
    { 8, 0, 0, "\"api\";r=8" },
    { 8, 5, 0, "\"api\";r=3" },
    { 8, 8, 1500 * MS, "\"api\";r=0;t=2" },
    { 8, 8, WEIR_NEVER, "\"api\";r=0" },
    { 8, 6, 3 * S, "\"api\";r=2;t=3" }, /* it asked for more than 2 */
    { 5, 8, 1, "\"api\";r=0;t=1" },     /* the limit was lowered */
    { 1, UINT32_MAX, 0, "\"api\";r=0" },
    { UINT32_MAX, 0, 0, "\"api\";r=4294967295" },
    { 0, 3, S, "" }, /* not limited, says the key */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    saying s = limiter(0, 0, 8);
    s.key.limit = cases[i].limit;
    s.key.in_use = cases[i].in_use;
    s.quota = (weir_quota){ 77, cases[i].retry_ns, 88 * S };
    SAYS(s, RATELIMIT, cases[i].wanted);
  }
}

TEST(what_is_left_of_an_adaptive_limit_is_of_the_one_it_has_now) {
  saying s = adaptive(WEIR_VEGAS, 0);
  s.key.limit = 17;
  s.key.in_use = 10;
  SAYS(s, RATELIMIT, "\"api\";r=7");
}

TEST(what_is_left_of_both_gates) {
  saying s = limiter(50, S, 8);
  s.quota.left = 8;
  SAYS(s, RATELIMIT, "\"api\";r=8, \"api-concurrent\";r=8");
  s.key.in_use = 3;
  s.quota = (weir_quota){ 5, 0, 60 * MS };
  SAYS(s, RATELIMIT, "\"api\";r=5;t=1, \"api-concurrent\";r=5");
  s.quota = (weir_quota){ 0, 20 * MS, S }; /* the rate keeps it */
  SAYS(s, RATELIMIT, "\"api\";r=0;t=1, \"api-concurrent\";r=5");
  s.key.in_use = 8;
  s.quota = (weir_quota){ 0, 4 * S, S }; /* the permits keep it */
  SAYS(s, RATELIMIT, "\"api\";r=0;t=4, \"api-concurrent\";r=0;t=4");
  s.key.limit = 0;
  SAYS(s, RATELIMIT, "\"api\";r=0;t=4");
}

/* --- names ---------------------------------------------------------------- */

TEST(a_name_becomes_a_structured_string) {
  static const struct {
    const char *name, *wanted;
  } cases[] = {
    { NULL, "\"default\";q=1;w=1" },
    { "", "\"default\";q=1;w=1" },
    { "a b", "\"a b\";q=1;w=1" },
    { " a ", "\" a \";q=1;w=1" },
    { "say \"hi\"", "\"say \\\"hi\\\"\";q=1;w=1" },
    { "c:\\weir", "\"c:\\\\weir\";q=1;w=1" },
    { "\\", "\"\\\\\";q=1;w=1" },
    { "\"", "\"\\\"\";q=1;w=1" },
    { "a;q=9,\"b", "\"a;q=9,\\\"b\";q=1;w=1" },
    { "a\r\nSet-Cookie: b", "\"a??Set-Cookie: b\";q=1;w=1" },
    { "\x01\t\x1F \x7E\x7F\x80\xFF", "\"??? ~???\";q=1;w=1" },
    { "caf\xC3\xA9", "\"caf??\";q=1;w=1" },
    { "\xE2\x82\xAC", "\"???\";q=1;w=1" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    saying s = limiter(1, S, 0);
    s.name = cases[i].name;
    SAYS(s, POLICY, cases[i].wanted);
  }
}

TEST(the_permits_of_a_rate_have_a_name_of_their_own) {
  saying s = limiter(1, S, 1);
  s.name = "";
  SAYS(s, RATELIMIT, "\"default\";r=0, \"default-concurrent\";r=1");
  s.name = "\"";
  SAYS(s, RATELIMIT, "\"\\\"\";r=0, \"\\\"-concurrent\";r=1");
}

static bool is_named(const char *buffer, size_t size, const char *name) {
  sfv_list list;
  size_t length = strlen(name);
  return sfv_read(buffer, size, &list) && list.count == 2 &&
         !strcmp(list.items[0].name, name) &&
         !memcmp(list.items[1].name, name, length) &&
         !strcmp(list.items[1].name + length, "-concurrent");
}

/* The longest there is: a name of escapes, and every number at its end. */
TEST(a_buffer_of_512_bytes_is_enough_for_any_limiter) {
  static const char bytes[] = "\"\\n";
  for (size_t i = 0; i < sizeof bytes - 1; i++) {
    char name[WEIR_NAME_MAX + 1] = "", buffer[ENOUGH];
    saying s = limiter(2147483647, WEIR_PER_MAX, WEIR_PERMITS_MAX);
    size_t size;
    memset(name, bytes[i], WEIR_NAME_MAX);
    s.name = name;
    s.key.limit = UINT32_MAX;
    s.quota = (weir_quota){ UINT64_MAX, WEIR_NEVER - 1, 0 };
    size = say(&s, POLICY, buffer, sizeof buffer);
    CHECK(size < ENOUGH && is_named(buffer, size, name));
    size = say(&s, RATELIMIT, buffer, sizeof buffer);
    CHECK(size < ENOUGH && is_named(buffer, size, name));
  }
}

CHECK_MAIN
