/*
** test_status.c - what is told of spaces: as JSON, as OpenMetrics text and as a
** page; and who gets which of them.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir_status.h>

#include "world.h"

#define S ((uint64_t)1000000000)

/* The text of a world's space; the status' own. */
static const char *text_of(weir_status *status, const world *w,
                           const char *name, weir_status_kind kind) {
  size_t size;
  const char *text;
  weir_status_clear(status);
  CHECK_EQ(weir_status_read(status, w->space, name, w->now), 0);
  text = weir_status_text(status, kind, &size);
  CHECK(text != NULL);
  if (!text) return "";
  CHECK_EQ(strlen(text), size);
  return text;
}

static bool has(check_place place, const char *text, const char *part) {
  if (strstr(text, part)) return true;
  return check_text(place, text, part);
}

#define HAS(text, part) has(HERE, text, part)

/* --- JSON ----------------------------------------------------------------- */

TEST(nothing_read_is_an_empty_document) {
  weir_status *status = weir_status_new();
  size_t size;
  const char *text = weir_status_text(status, WEIR_STATUS_JSON, &size);
  HAS(text, "{\"version\":\"" WEIR_VERSION "\",\"now_seconds\":0.0,"
            "\"complete\":true,\"wait_bounds_seconds\":[0.00001,0.000015,");
  HAS(text, ",68.0,100.0],\"spaces\":[],\"limiters\":[]}\n");
  CHECK_TEXT(weir_status_text(status, WEIR_STATUS_METRICS, &size), "# EOF\n");
  weir_status_free(status);
}

static weir_limiter open_named(world *w, const char *name, weir_config config) {
  weir_limiter limiter;
  CHECK_EQ(weir_limiter_open(w->space, name, &config, w->now, &limiter), 0);
  return limiter;
}

TEST(a_limiter_is_told_of_in_numbers) {
  weir_status *status = weir_status_new();
  weir_config config = WEIR_CONFIG_INIT;
  weir_ticket held, waits;
  const char *text;
  world w;
  world_open(&w, 1);
  config.queue = 1;
  config.rate = (weir_rate){ .count = 10, .per_ns = S / 4, .burst = 3 };
  w.limiter = open_named(&w, "door", config);
  w.now = 5 * S;
  held = HOLD(&w, 1);
  waits = WAIT(&w, 1);
  REFUSED(&w, 1, WEIR_FULL);
  w.now = 7 * S + 5;
  text = text_of(status, &w, "shm:api", WEIR_STATUS_JSON);
  HAS(text, "\"now_seconds\":7.000000005,");
  HAS(text, "\"spaces\":[{\"name\":\"shm:api\",\"size_bytes\":null,"
            "\"used_bytes\":null,\"processes\":null}]");
  HAS(text, "{\"name\":\"door\",\"space\":\"shm:api\",\"id\":\"");
  HAS(text, "\"closed\":false,\"generation\":1,\"limit\":1,\"in_use\":1,"
            "\"waiting\":1,\"keys\":0,\"rate\":{\"count\":10,"
            "\"per_seconds\":0.25,\"burst\":3},\"queue_limit\":1,"
            "\"admitted\":1,\"dropped\":0,\"unused\":0,\"refused\":{"
            "\"full\":1,\"timeout\":0,\"closed\":0,\"canceled\":0,"
            "\"impossible\":0,\"doomed\":0,\"exhausted\":0,\"shed\":0},"
            "\"would\":null,");
  HAS(text, "\"busiest\":[],\"waiters\":[{\"key\":null,\"pid\":null,\"cost\":1,"
            "\"waited_seconds\":2.000000005,\"bound_by\":\"permits\","
            "\"holders\":[{\"pid\":null,\"permits\":1,"
            "\"held_seconds\":2.000000005}]}],\"holders\":[{\"key\":null,"
            "\"pid\":null,\"cost\":1,\"held_seconds\":2.000000005}]}]}\n");
  RELEASE(&w, held);
  NEXT(&w, waits, WEIR_ADMITTED);
  text = text_of(status, &w, NULL, WEIR_STATUS_JSON);
  HAS(text, "\"name\":\"door\",\"space\":null");
  HAS(text, "\"max_seconds\":2.000000005,\"sum_seconds\":2.000000005,"
            "\"count\":2,\"at_most\":[1,1,");
  HAS(text, ",1,1,1,2,2,2,2,2,2,2,2,2,2,2]}"); /* 2.2 s is the first above */
  weir_status_free(status);
  world_close(&w);
}

TEST(names_and_keys_are_text_whatever_they_are) {
  static const char *const names[][2] = {
    { "<script>alert(1)</script>",
      "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e" },
    { "a \"quoted\" \\ name", "a \\u0022quoted\\u0022 \\u005c name" },
    { "\x01\n\x1b[m&\x7f", "\\u0001\\u000a\\u001b[m\\u0026\\u007f" },
    { "gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F" },
    { "\xff\xc3(", "\xEF\xBF\xBD\xEF\xBF\xBD(" },
    { "\xed\xa0\x80\xe2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                              "\xEF\xBF\xBD\xEF\xBF\xBD" },
  };
  weir_config config = WEIR_CONFIG_INIT;
  weir_status *status = weir_status_new();
  char wanted[256];
  world w;
  world_open(&w, 1);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    w.limiter = open_named(&w, names[i][0], config);
    snprintf(wanted, sizeof wanted, "{\"name\":\"%s\",", names[i][1]);
    HAS(text_of(status, &w, NULL, WEIR_STATUS_JSON), wanted);
  }
  ASK(&w, WEIR_ADMITTED, KEY("<b>\"\\"));
  HAS(text_of(status, &w, NULL, WEIR_STATUS_JSON),
      "\"busiest\":[{\"key\":\"\\u003cb\\u003e\\u0022\\u005c\",");
  weir_status_free(status);
  world_close(&w);
}

/* The place of `part` in a text; it is there. */
static size_t place_of(const char *text, const char *part) {
  const char *found = strstr(text, part);
  CHECK(found != NULL);
  return found ? (size_t)(found - text) : 0;
}

TEST(the_busiest_keys_and_the_oldest_come_first_and_ten_of_them) {
  enum { KEYS = 30 };
  weir_status *status = weir_status_new();
  const char *text;
  char key[16], part[64];
  unsigned found = 0;
  world w;
  world_open(&w, 2);
  for (int i = 0; i < KEYS; i++) {
    snprintf(key, sizeof key, "key%02d", i);
    w.now += S;
    ASK(&w, WEIR_ADMITTED, .key = key, .key_size = 5);
    if (i == 17 || i == 23) ASK(&w, WEIR_ADMITTED, .key = key, .key_size = 5);
    if (i == 17) ASK(&w, WEIR_WAITING, .key = key, .key_size = 5);
  }
  text = text_of(status, &w, NULL, WEIR_STATUS_JSON);
  CHECK(place_of(text, "{\"key\":\"key17\",\"limit\":2,\"in_use\":2,"
                       "\"waiting\":1,\"admitted\":2,\"refused\":0}") <
        place_of(text, "{\"key\":\"key23\",\"limit\":2,\"in_use\":2,"));
  for (int i = 0; i < KEYS; i++) {
    snprintf(part, sizeof part,
             "{\"key\":\"key%02d\",\"pid\":null,\"cost\":1,"
             "\"held_seconds\":%d.0}",
             i, KEYS - 1 - i);
    found += strstr(text, part) != NULL;
    CHECK_EQ(strstr(text, part) != NULL, i < 10);
  }
  CHECK_EQ(found, 10);
  HAS(text, "\"waited_seconds\":12.0,\"bound_by\":\"permits\",\"holders\":["
            "{\"pid\":null,\"permits\":2,\"held_seconds\":12.0}]}]");
  weir_status_free(status);
  world_close(&w);
}

TEST(a_read_may_be_bounded_and_says_so) {
  weir_status *status = weir_status_new();
  world w;
  world_open(&w, 1);
  for (int i = 0; i < 20; i++)
    ASK(&w, WEIR_ADMITTED, .key = &i, .key_size = sizeof i);
  HAS(text_of(status, &w, NULL, WEIR_STATUS_JSON), "\"complete\":true");
  weir_status_bound(status, 20);
  HAS(text_of(status, &w, NULL, WEIR_STATUS_JSON), "\"complete\":true");
  weir_status_bound(status, 19);
  HAS(text_of(status, &w, NULL, WEIR_STATUS_JSON), "\"complete\":false");
  HAS(text_of(status, &w, NULL, WEIR_STATUS_JSON), "\"in_use\":20,");
  weir_status_bound(status, 0);
  HAS(text_of(status, &w, NULL, WEIR_STATUS_JSON), "\"complete\":true");
  weir_status_free(status);
  world_close(&w);
}

TEST(a_limiter_without_a_name_can_be_given_one) {
  weir_status *status = weir_status_new();
  weir_limiter limiter = 0;
  uint32_t cursor = 0;
  size_t size;
  world w;
  world_open(&w, 1);
  open_named(&w, "named", world_config(&w));
  text_of(status, &w, NULL, WEIR_STATUS_JSON);
  while (weir_status_nameless(status, &cursor, &limiter)) {
    CHECK_EQ(limiter, w.limiter);
    weir_status_name(status, cursor, "main.lua:7 \xff");
  }
  weir_status_name(status, 99, "nobody");
  HAS(weir_status_text(status, WEIR_STATUS_JSON, &size),
      "\"name\":\"main.lua:7 \xEF\xBF\xBD\"");
  HAS(weir_status_text(status, WEIR_STATUS_METRICS, &size),
      "weir_permits_limit{limiter=\"main.lua:7 \xEF\xBF\xBD\"} 1\n");
  weir_status_free(status);
  world_close(&w);
}

/* --- metrics -------------------------------------------------------------- */

static const char *metrics_of(weir_status *status, const world *w) {
  return text_of(status, w, "shm:\"x\"", WEIR_STATUS_METRICS);
}

TEST(counters_go_on_while_a_name_is_there) {
  weir_config config = WEIR_CONFIG_INIT;
  weir_status *status = weir_status_new();
  weir_limiter old;
  weir_ticket held;
  world w;
  world_open(&w, 1);
  config.concurrent = 5;
  old = w.limiter = open_named(&w, "door", config);
  RELEASE(&w, HOLD(&w, 1));
  HAS(metrics_of(status, &w), "weir_admitted_total{limiter=\"door\","
                              "space=\"shm:\\\"x\\\"\"} 1\n");
  weir_limiter_close(w.space, old, w.now);
  w.limiter = open_named(&w, "door", config);
  held = HOLD(&w, 3);
  HAS(metrics_of(status, &w), "weir_admitted_total{limiter=\"door\","
                              "space=\"shm:\\\"x\\\"\"} 2\n");
  CHECK_EQ(weir_limiter_drop(w.space, old), 0);
  for (int i = 0; i < 2; i++) {
    const char *text = metrics_of(status, &w);
    HAS(text, "weir_admitted_total{limiter=\"door\","
              "space=\"shm:\\\"x\\\"\"} 2\n");
    HAS(text, "weir_permits_limit{limiter=\"door\","
              "space=\"shm:\\\"x\\\"\"} 5\n");
    HAS(text_of(status, &w, "shm:\"x\"", WEIR_STATUS_JSON), "\"admitted\":1,");
  }
  RELEASE(&w, held);
  weir_limiter_close(w.space, w.limiter, w.now);
  CHECK_EQ(weir_limiter_drop(w.space, w.limiter), 0);
  CHECK(!strstr(metrics_of(status, &w), "door"));
  w.limiter = open_named(&w, "door", config);
  HAS(metrics_of(status, &w), "weir_admitted_total{limiter=\"door\","
                              "space=\"shm:\\\"x\\\"\"} 0\n");
  weir_status_free(status);
  world_close(&w);
}

/* --- the page ------------------------------------------------------------- */

TEST(the_page_has_no_names_and_loads_nothing) {
  weir_status *status = weir_status_new();
  const char *text;
  world w;
  world_open(&w, 1);
  open_named(&w, "secret", world_config(&w));
  text = text_of(status, &w, NULL, WEIR_STATUS_HTML);
  CHECK_EQ(strncmp(text, "<!doctype html>\n", 16), 0);
  HAS(text, "</html>\n");
  CHECK(!strstr(text, "secret"));
  CHECK(!strstr(text, "innerHTML"));
  CHECK(!strstr(text, "src="));
  CHECK(!strstr(text, "@import"));
  weir_status_free(status);
  world_close(&w);
}

TEST(only_the_page_has_a_policy) {
  HAS(weir_status_policy(WEIR_STATUS_HTML), "default-src 'none'; ");
  HAS(weir_status_policy(WEIR_STATUS_HTML), "script-src 'sha256-");
  CHECK(!weir_status_policy(WEIR_STATUS_JSON));
  CHECK(!weir_status_policy(WEIR_STATUS_METRICS));
  CHECK_TEXT(weir_status_type(WEIR_STATUS_JSON), "application/json");
  CHECK_TEXT(weir_status_type(WEIR_STATUS_HTML), "text/html; charset=utf-8");
  HAS(weir_status_type(WEIR_STATUS_METRICS), "application/openmetrics-text; ");
}

/* --- what a request wants ------------------------------------------------- */

static void wants(check_place place, const char *query, const char *accept,
                  weir_status_kind wanted) {
  weir_status_kind got = weir_status_format(
      query, query ? strlen(query) : 0, accept, accept ? strlen(accept) : 0);
  if (got != wanted)
    printf("# %s %s\n", query ? query : "", accept ? accept : "");
  check_equal(place, "kind", (uint64_t)got, (uint64_t)wanted);
}

#define ASKS(query, wanted)                                                    \
  wants(HERE, query, "text/html", WEIR_STATUS_##wanted)
#define LIKES(accept, wanted) wants(HERE, NULL, accept, WEIR_STATUS_##wanted)

TEST(a_query_says_what_is_wanted) {
  ASKS("format=json", JSON);
  ASKS("format=metrics", METRICS);
  ASKS("a=b&format=json&c", JSON);
  ASKS("format=json&format=metrics", METRICS);
  ASKS("format=json&format=", JSON);
  ASKS("FORMAT=Json", JSON);
  ASKS("format=jsonx", HTML);
  ASKS("xformat=json", HTML);
  ASKS("format", HTML);
  ASKS("&&=&", HTML);
  ASKS("", HTML);
  wants(HERE, "format=html", "application/json", WEIR_STATUS_HTML);
}

TEST(else_the_accept_field_does) {
  LIKES(NULL, JSON);
  LIKES("", JSON);
  LIKES("*/*", JSON);
  LIKES("image/png", JSON);
  LIKES("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        HTML);
  LIKES("application/openmetrics-text;version=1.0.0;q=0.5,"
        "text/plain;version=0.0.4;q=0.4,*/*;q=0.2",
        METRICS);
  LIKES("text/plain", METRICS);
  LIKES("application/json", JSON);
  LIKES("text/html;q=0.5, application/json", JSON);
  LIKES("text/html ; q=0.5 , application/json;q=0.4", HTML);
  LIKES("application/json;q=0, */*", METRICS);
  LIKES("application/json;q=0, text/html;q=0, */*;q=0.1", METRICS);
  LIKES("TEXT/HTML", HTML);
  LIKES("text/*", HTML);
  LIKES("text/*;q=0.3, text/plain", METRICS);
  LIKES("text/html;q=0.001,application/json;q=0", HTML);
  LIKES("text/html;q=x", HTML);
  LIKES("text/html;q=0.9999;x=y", HTML);
  LIKES(",,;,=;q=,", JSON);
}

/* Fields from outside may be anything. */
TEST(no_request_is_too_strange) {
  unsigned seed = 7;
  for (int round = 0; round < 20000; round++) {
    static const char bytes[] = "format=jsonhtml&*/*,;q=0.159 \t\x80";
    char text[40];
    size_t size = (size_t)rand_r(&seed) % sizeof text;
    for (size_t i = 0; i < size; i++)
      text[i] = bytes[(size_t)rand_r(&seed) % sizeof bytes];
    CHECK(weir_status_format(text, size, text, size) <= WEIR_STATUS_HTML);
  }
}

CHECK_MAIN
