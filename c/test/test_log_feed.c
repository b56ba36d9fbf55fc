/* test_log_feed.c - access logs: the order of requests, and pieces of bytes. */
#include <stdio.h>
#include <string.h>

#include <replay/feed.h>

#include "check.h"
#include "choices.h"

#define S WEIR_LOG_SECOND
#define MS (S / 1000)
#define MAY (UINT64_C(1431857103) * S) /* 2015-05-17T10:05:03Z */
#define BYTES(literal) literal, sizeof(literal) - 1

static weir_log_format format_of(const char *text) {
  weir_log_format format;
  const char *why = weir_log_compile(text, strlen(text), &format);
  check_true(HERE, why ? why : "compiles", !why);
  return format;
}

/* --- windows -------------------------------------------------------------- */

/* Times in any order come out sorted, as a window as wide as their disorder
** sees to, and of equal ones the first first. */
TEST(a_window_puts_in_order) {
  enum { COUNT = 5000, SPAN = 40 };
  choices from = choices_of_seed(5);
  weir_log_window window;
  static uint64_t times[COUNT];
  uint64_t last_time = 0;
  uint32_t last_line = 0, out = 0;
  const weir_log_entry *entry;
  int wrong = 0;
  weir_log_window_init(&window, SPAN, 1000000);
  for (uint32_t i = 0; i <= COUNT; i++) {
    if (i < COUNT) {
      times[i] = 1000 + i - choose(&from, SPAN);
      CHECK(weir_log_window_put(&window, times[i], i));
    }
    window.over = i == COUNT;
    while ((entry = weir_log_window_peek(&window)) != NULL) {
      wrong += entry->time_ns < last_time ||
               (entry->time_ns == last_time && entry->line < last_line);
      wrong += times[entry->line] != entry->time_ns;
      last_time = entry->time_ns;
      last_line = entry->line;
      weir_log_window_drop(&window);
      out++;
    }
  }
  CHECK_EQ(wrong, 0);
  CHECK_EQ(out, COUNT);
  weir_log_window_fini(&window);
}

TEST(a_window_is_bounded) {
  weir_log_window window;
  weir_log_window_init(&window, 1000000, 10);
  for (uint32_t i = 0; i < 10; i++) {
    CHECK(!weir_log_window_peek(&window));
    CHECK(weir_log_window_put(&window, 100 - i, i));
  }
  CHECK_EQ(weir_log_window_peek(&window)->line, 9);
  weir_log_window_drop(&window);
  CHECK(!weir_log_window_peek(&window));
  weir_log_window_fini(&window);
}

/* --- feeds ---------------------------------------------------------------- */

static const weir_log_options OPTIONS = { 5 * S, 60 * S, 0, true, false };

/* Feeds logs to their end, and notes what comes of them: "number@ms " of each
** request, ms since MAY. */
static void feed_all(weir_log_feed *feed, const char *const *texts,
                     char *told) {
  weir_log_record *record;
  int source;
  *told = '\0';
  for (;;) {
    weir_log_state state = weir_log_feed_next(feed, &record, &source);
    if (state == WEIR_LOG_HUNGRY) {
      weir_log_feed_bytes(feed, source, texts[source], strlen(texts[source]));
      weir_log_feed_end(feed, source);
    } else if (state == WEIR_LOG_RECORD) {
      sprintf(told + strlen(told), "%d@%d ", (int)record->number,
              (int)((record->arrival_ns - MAY + MS / 2) / MS));
      weir_log_feed_release(feed, record);
    } else {
      if (state != WEIR_LOG_OVER)
        sprintf(told + strlen(told), "state %d", state);
      return;
    }
  }
}

static void comes(check_place place, const weir_log_options *options,
                  const char *format, const char *text, const char *wanted) {
  weir_log_feed *feed = weir_log_feed_new(options);
  weir_log_format compiled = format_of(format);
  char told[4096];
  weir_log_feed_add(feed, &compiled);
  feed_all(feed, &text, told);
  check_text(place, told, wanted);
  weir_log_feed_free(feed);
}

#define A "a - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n"
#define B "b - - [17/May/2015:10:05:04 +0000] \"GET / HTTP/1.1\" 200 1\n"

TEST(a_second_is_spread) {
  weir_log_options sharp = OPTIONS;
  comes(HERE, &OPTIONS, "common", A A A A B B,
        "1@0 2@250 3@500 4@750 5@1000 6@1500 ");
  comes(HERE, &OPTIONS, "common", B A B A, "2@0 4@500 1@1000 3@1500 ");
  sharp.spread = false;
  comes(HERE, &sharp, "common", A A B A "\n" B, "1@0 2@0 4@0 3@1000 6@1000 ");
}

TEST(a_second_of_more_lines_than_are_held) {
  weir_log_options narrow = OPTIONS;
  narrow.held = 2;
  comes(HERE, &narrow, "common", A A A A B B B,
        "1@0 2@250 3@500 4@750 5@1000 6@1333 7@1667 ");
}

TEST(requests_come_before_they_end) {
  comes(HERE, &OPTIONS, "$msec $request_time",
        "1431857103.100 0.000\n1431857103.200 0.150\n1431857103.300 0.050\n"
        "1431857104 0.5\n",
        "2@50 1@100 3@250 4@500 ");
}

TEST(what_is_too_late_comes_at_once) {
  weir_log_options narrow = OPTIONS;
  weir_log_feed *feed;
  weir_log_format format = format_of("$msec");
  const char *text = "1431857103.1\n1431857113.1\n1431857123.1\n"
                     "1431857103.05\n1431857133.1\n";
  char told[256];
  narrow.held = 3;
  feed = weir_log_feed_new(&narrow);
  weir_log_feed_add(feed, &format);
  for (const char *at = text; *at; at++) { /* byte by byte, as it may come */
    weir_log_record *record;
    int source;
    weir_log_feed_bytes(feed, 0, at, 1);
    while (weir_log_feed_next(feed, &record, &source) == WEIR_LOG_RECORD) {
      bool late = record->number == 4;
      CHECK_EQ(record->late, late);
      if (late) CHECK_EQ(record->arrival_ns, MAY + 100 * MS);
      weir_log_feed_release(feed, record);
    }
  }
  text = "";
  feed_all(feed, &text, told);
  CHECK_EQ(weir_log_feed_counts(feed, 0)->late, 1);
  CHECK_EQ(weir_log_feed_counts(feed, 0)->lines, 5);
  weir_log_feed_free(feed);
}

TEST(logs_are_merged) {
  weir_log_feed *feed = weir_log_feed_new(&OPTIONS);
  weir_log_format common = format_of("common"), msec = format_of("$msec");
  const char *texts[] = { B A, "1431857103.1\n1431857104.1" };
  char told[256];
  weir_log_feed_add(feed, &common);
  weir_log_feed_add(feed, &msec);
  feed_all(feed, texts, told);
  CHECK_TEXT(told, "2@0 1@100 1@1000 2@1100 ");
  weir_log_feed_free(feed);
}

TEST(bad_lines_are_counted_and_shown) {
  weir_log_feed *feed = weir_log_feed_new(&OPTIONS);
  weir_log_format common = format_of("common");
  const char *text = A "nonsense\n" A "\n";
  const weir_log_counts *counts;
  char told[256];
  weir_log_feed_add(feed, &common);
  feed_all(feed, &text, told);
  CHECK_TEXT(told, "1@0 3@500 ");
  counts = weir_log_feed_counts(feed, 0);
  CHECK_EQ(counts->lines, 4);
  CHECK_EQ(counts->bad, 1);
  CHECK_EQ(counts->examples, 1);
  CHECK_EQ(counts->example[0].number, 2);
  CHECK(!memcmp(counts->example[0].text, "nonsense", 8));
  weir_log_feed_free(feed);
}

TEST(strict_stops_at_a_bad_line) {
  weir_log_options strict = OPTIONS;
  strict.strict = true;
  comes(HERE, &strict, "common", A "nonsense\n" A, "state 3");
}

/* The same log in pieces of any size is the same. */
TEST(pieces_of_any_size) {
  static const char log[] = A "\r\n" B "junk\n" A B;
  choices from = choices_of_seed(7);
  char whole[256], told[256];
  const char *text = log;
  weir_log_format common = format_of("common");
  weir_log_feed *feed = weir_log_feed_new(&OPTIONS);
  weir_log_feed_add(feed, &common);
  feed_all(feed, &text, whole);
  weir_log_feed_free(feed);
  for (int i = 0; i < 200; i++) {
    size_t left = sizeof log - 1;
    const char *at = log;
    feed = weir_log_feed_new(&OPTIONS);
    weir_log_feed_add(feed, &common);
    while (left) {
      size_t size = choose(&from, 100);
      if (size > left) size = left;
      weir_log_feed_bytes(feed, 0, at, size);
      at += size;
      left -= size;
    }
    text = "";
    feed_all(feed, &text, told);
    CHECK_TEXT(told, whole);
    weir_log_feed_free(feed);
  }
}

TEST(a_line_without_an_end) {
  static char text[200000];
  const char *log = text;
  memset(text, 'x', sizeof text - 2);
  memcpy(text + sizeof text - 80, BYTES("\n" A));
  text[sizeof text - 80 + sizeof A] = '\0';
  comes(HERE, &OPTIONS, "common", log, "2@0 ");
}

CHECK_MAIN
