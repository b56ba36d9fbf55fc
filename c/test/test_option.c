/* test_option.c - the options of a limiter as text. */
#include <string.h>

#include <weir_text.h>

#include "check.h"

#define MS UINT64_C(1000000)

static weir_config config; /* what the tests read into */
static const char *expected;

static int parse(const char *name, const char *value) {
  return weir_parse_option(name, strlen(name), value, strlen(value), &config,
                           &expected);
}

static void start(void) {
  config = (weir_config)WEIR_CONFIG_INIT;
  expected = NULL;
}

static void takes(check_place place, const char *name, const char *value) {
  check_equal(place, value, (uint64_t)parse(name, value), 0);
}

/* Refused, and nothing has changed. */
static void refuses(check_place place, const char *name, const char *value) {
  weir_config before;
  bool changed;
  memcpy(&before, &config, sizeof before); /* with what is between members */
  check_equal(place, value, (uint64_t)parse(name, value),
              (uint64_t)WEIR_E_CONFIG);
  check_true(place, "it says what was expected", expected && *expected);
  /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*): see above */
  changed = memcmp(&before, &config, sizeof config) != 0;
  check_true(place, "nothing has changed", !changed);
}

#define TAKES(name, value) takes(HERE, name, value)
#define REFUSES(name, value) refuses(HERE, name, value)

TEST(counts_are_whole_numbers_in_their_range) {
  start();
  TAKES("concurrent", "8");
  CHECK_EQ(config.concurrent, 8);
  TAKES("concurrent", "2147483647");
  TAKES("concurrent", "none");
  CHECK_EQ(config.concurrent, 0);
  TAKES("queue", "0");
  CHECK_EQ(config.queue, 0);
  TAKES("queue", "none");
  CHECK_EQ(config.queue, WEIR_UNBOUNDED);
  TAKES("keys", "1000");
  CHECK_EQ(config.keys, 1000);
}

TEST(what_is_no_such_count_is_refused) {
  static const char *const wrong[] = { "",
                                       "0",
                                       "-1",
                                       "1.5",
                                       " 1",
                                       "1 ",
                                       "2147483648",
                                       "0x1",
                                       "a",
                                       "NONE",
                                       "99999999999999999999999" };
  start();
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    REFUSES("concurrent", wrong[i]);
  REFUSES("burst", "none");
  REFUSES("queue", "-1");
}

TEST(times_have_units) {
  start();
  TAKES("timeout", "250ms");
  CHECK_EQ(config.timeout_ns, 250 * MS);
  TAKES("timeout", "5");
  CHECK_EQ(config.timeout_ns, 5000 * MS);
  TAKES("timeout", "none");
  CHECK_EQ(config.timeout_ns, WEIR_NEVER);
  TAKES("aging", "1s");
  TAKES("target", "5ms");
  TAKES("interval", "100ms");
  CHECK_EQ(config.shed.target_ns, 5 * MS);
  CHECK_EQ(config.shed.interval_ns, 100 * MS);
  REFUSES("timeout", "soon");
  REFUSES("target", "0");
  REFUSES("aging", "none");
}

TEST(a_rate_brings_a_burst_of_one) {
  start();
  TAKES("rate", "100/s");
  CHECK_EQ(config.rate.count, 100);
  CHECK_EQ(config.rate.per_ns, 1000 * MS);
  CHECK_EQ(config.rate.burst, 1);
  TAKES("burst", "20");
  TAKES("rate", "5/m");
  CHECK_EQ(config.rate.burst, 20);
  TAKES("rate", "none");
  CHECK_EQ(config.rate.count, 0);
  REFUSES("rate", "100");
  REFUSES("rate", "100r/s");
}

TEST(words_are_those_of_lua) {
  start();
  TAKES("order", "priority");
  CHECK_EQ(config.order, WEIR_PRIORITY);
  TAKES("order", "fair");
  CHECK_EQ(config.order, WEIR_FAIR);
  TAKES("window", "sliding");
  CHECK_EQ(config.rate.window, WEIR_SLIDING);
  TAKES("on_exhausted", "admit");
  CHECK(config.pass_exhausted);
  TAKES("on_exhausted", "refuse");
  CHECK(!config.pass_exhausted);
  REFUSES("order", "fif");
  REFUSES("order", "fifo|lifo");
  REFUSES("order", "");
  REFUSES("window", "gcra ");
}

TEST(flags_are_on_or_off) {
  start();
  TAKES("dry_run", "on");
  CHECK(config.dry_run);
  TAKES("dry_run", "off");
  CHECK(!config.dry_run);
  TAKES("align", "on");
  CHECK(config.rate.aligned);
  REFUSES("dry_run", "yes");
}

TEST(shedding_is_a_list_of_words) {
  start();
  TAKES("shed", "codel");
  CHECK(config.shed.codel && !config.shed.doomed && !config.shed.lifo);
  TAKES("shed", "codel,doomed,oldest");
  CHECK(config.shed.codel && config.shed.doomed);
  CHECK_EQ(config.shed.victim, WEIR_OLDEST);
  TAKES("target", "10ms");
  TAKES("shed", "lifo,lowest");
  CHECK(config.shed.lifo && !config.shed.codel && !config.shed.doomed);
  CHECK_EQ(config.shed.victim, WEIR_LOWEST);
  CHECK_EQ(config.shed.target_ns, 10 * MS);
  TAKES("shed", "none");
  CHECK(!config.shed.lifo);
  CHECK_EQ(config.shed.victim, WEIR_NEWEST);
  REFUSES("shed", "codel, doomed");
  REFUSES("shed", "codel,,doomed");
  REFUSES("shed", ",codel");
  REFUSES("shed", "codel,none");
  REFUSES("shed", "");
}

TEST(an_adaptive_limit_has_its_numbers) {
  start();
  TAKES("adaptive", "gradient2");
  CHECK_EQ(config.adaptive.algorithm, WEIR_GRADIENT2);
  TAKES("initial", "10");
  TAKES("min", "2");
  TAKES("max", "100");
  TAKES("long_window", "300");
  TAKES("backoff", "0.9");
  TAKES("smoothing", ".25");
  TAKES("tolerance", "2");
  CHECK(config.adaptive.initial == 10 && config.adaptive.min == 2);
  CHECK(config.adaptive.max == 100 && config.adaptive.long_window == 300);
  CHECK(config.adaptive.backoff == 0.9 && config.adaptive.smoothing == 0.25);
  CHECK(config.adaptive.tolerance == 2);
  TAKES("adaptive", "none");
  CHECK_EQ(config.adaptive.algorithm, WEIR_STATIC);
  REFUSES("backoff", "0");
  REFUSES("backoff", "0.9s");
  REFUSES("backoff", "-1");
  REFUSES("smoothing", "");
}

TEST(an_unknown_option_is_nobodys) {
  start();
  CHECK_EQ(parse("concurren", "8"), WEIR_E_CONFIG);
  CHECK(!expected);
  CHECK_EQ(parse("", "8"), WEIR_E_CONFIG);
  CHECK(!expected);
}

TEST(every_option_can_be_named) {
  size_t count = 0;
  start();
  for (; weir_option_name(count); count++) {
    CHECK_EQ(parse(weir_option_name(count), "?"), WEIR_E_CONFIG);
    CHECK(expected);
  }
  CHECK(count > 20);
  CHECK(!weir_option_name(count + 1));
}

TEST(a_value_ends_where_it_says) {
  start();
  CHECK_EQ(weir_parse_option("concurrent=88", 10, "88", 1, &config, &expected),
           0);
  CHECK_EQ(config.concurrent, 8);
}

CHECK_MAIN
