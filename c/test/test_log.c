/* test_log.c - access logs: times, formats and lines. */
#include <stdio.h>
#include <string.h>

#include <replay/feed.h>

#include "check.h"

#define S WEIR_LOG_SECOND
#define MS (S / 1000)
#define MAY (UINT64_C(1431857103) * S) /* 2015-05-17T10:05:03Z */
#define BYTES(literal) literal, sizeof(literal) - 1

static const char COMBINED[] =
    "83.149.9.216 - ada [17/May/2015:10:05:03 +0000] \"GET /a?b=1 HTTP/1.1\" "
    "200 203 \"http://x.example/\" \"Mozilla \\\"5\\x22\"";

/* --- times ---------------------------------------------------------------- */

static bool stamp(const char *text, uint64_t *ns, bool *exact) {
  weir_log_clock clock = { "", 0 };
  return weir_log_stamp(&clock, text, strlen(text), ns, exact);
}

static void stamp_is(check_place place, const char *text, uint64_t wanted,
                     bool fraction) {
  uint64_t ns = 0;
  bool exact = !fraction;
  check_true(place, text, stamp(text, &ns, &exact));
  check_equal(place, text, ns, wanted);
  check_true(place, text, exact == fraction);
}

TEST(times_of_all_shapes) {
  stamp_is(HERE, "17/May/2015:10:05:03 +0000", MAY, false);
  stamp_is(HERE, "17/May/2015:12:05:03 +0200", MAY, false);
  stamp_is(HERE, "17/May/2015:06:35:03 -0330", MAY, false);
  stamp_is(HERE, "17/May/2015:10:05:03.655", MAY + 655 * MS, true);
  stamp_is(HERE, "2015-05-17T10:05:03+00:00", MAY, false);
  stamp_is(HERE, "2015-05-17T12:05:03+02:00", MAY, false);
  stamp_is(HERE, "2015-05-17 10:05:03", MAY, false);
  stamp_is(HERE, "2015-05-17T10:05:03.25Z", MAY + S / 4, true);
  stamp_is(HERE, "2015-05-17T10:05:03.1234567891Z", MAY + 123456789, true);
  stamp_is(HERE, "1431857103", MAY, false);
  stamp_is(HERE, "1431857103.001", MAY + MS, true);
  stamp_is(HERE, "01/Jan/1970:00:00:00 +0000", 0, false);
  stamp_is(HERE, "29/Feb/2000:00:00:00 +0000", UINT64_C(951782400) * S, false);
  stamp_is(HERE, "01/Mar/2100:00:00:00 +0000", UINT64_C(4107542400) * S, false);
  stamp_is(HERE, "31/Dec/2016:23:59:60 +0000", UINT64_C(1483228800) * S, false);
}

TEST(what_is_no_time) {
  static const char *const texts[] = {
    "",
    "-",
    "17/May/2015:10:05:03 +00",
    "17/May/2015:10:05:03 +00000",
    "17/May/2015:10:05:03 0000",
    "17/May/2015:24:05:03 +0000",
    "31/Apr/2015:10:05:03 +0000",
    "29/Feb/2015:10:05:03 +0000",
    "00/May/2015:10:05:03 +0000",
    "17/Mai/2015:10:05:03 +0000",
    "17/May/1969:10:05:03 +0000",
    "01/Jan/1970:00:00:00 +0100",
    "17/May/2500:10:05:03 +0000",
    "2015-13-17T10:05:03Z",
    "2015-05-17T10:05:03.Z",
    "2015-05-17T10:05",
    "1431857103.",
    "1431857103.1x",
    "99999999999999999999",
    "16725225600",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    uint64_t ns;
    bool exact;
    check_true(HERE, texts[i], !stamp(texts[i], &ns, &exact));
  }
}

TEST(a_second_is_remembered) {
  weir_log_clock clock = { "", 0 };
  uint64_t ns;
  bool exact;
  for (int i = 0; i < 3; i++) {
    CHECK(weir_log_stamp(&clock, BYTES("17/May/2015:10:05:03 +0000"), &ns,
                         &exact));
    CHECK_EQ(ns, MAY);
  }
  CHECK(
      weir_log_stamp(&clock, BYTES("17/May/2015:10:05:04 +0000"), &ns, &exact));
  CHECK_EQ(ns, MAY + S);
}

/* The same by counting days one by one. */
TEST(every_day_of_five_centuries) {
  static const char *const months[] = { "Jan", "Feb", "Mar", "Apr",
                                        "May", "Jun", "Jul", "Aug",
                                        "Sep", "Oct", "Nov", "Dec" };
  static const int lengths[] = {
    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
  };
  uint64_t day = 0;
  int wrong = 0;
  for (int year = 1970; year < 2500; year++) {
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    for (int month = 0; month < 12; month++) {
      int length = lengths[month] + (month == 1 && leap);
      for (int d = 1; d <= length; d++, day++) {
        char text[64];
        uint64_t ns = 1;
        bool exact;
        snprintf(text, sizeof text, "%02d/%s/%d:00:00:00 +0000", d,
                 months[month], year);
        wrong += !stamp(text, &ns, &exact) || ns != day * 86400 * S;
      }
    }
  }
  CHECK_EQ(wrong, 0);
}

TEST(seconds_as_decimals) {
  uint64_t ns;
  CHECK(weir_log_seconds(BYTES("0.123"), &ns));
  CHECK_EQ(ns, 123 * MS);
  CHECK(weir_log_seconds(BYTES("12"), &ns));
  CHECK_EQ(ns, 12 * S);
  CHECK(!weir_log_seconds(BYTES("-1"), &ns));
  CHECK(!weir_log_seconds(BYTES("1."), &ns));
  CHECK(!weir_log_seconds(BYTES(".5"), &ns));
  CHECK(!weir_log_seconds(BYTES("1000001"), &ns));
  CHECK(!weir_log_seconds(BYTES("1e3"), &ns));
}

/* --- formats -------------------------------------------------------------- */

static weir_log_format format_of(const char *text) {
  weir_log_format format;
  const char *why = weir_log_compile(text, strlen(text), &format);
  check_true(HERE, why ? why : "compiles", !why);
  return format;
}

static void does_not_compile(check_place place, const char *text,
                             const char *wanted) {
  weir_log_format format;
  const char *why = weir_log_compile(text, strlen(text), &format);
  check_text(place, why ? why : "it compiles", wanted);
}

TEST(formats_that_are_none) {
  does_not_compile(HERE, "",
                   "no time: it wants $time_local, $time_iso8601 or "
                   "$msec");
  does_not_compile(HERE, "$time_local $", "a $ without a name behind it");
  does_not_compile(HERE, "${time_local", "a ${ without its }");
  does_not_compile(HERE, "$time_local$status",
                   "two fields with nothing between them");
}

TEST(formats_that_are_too_large) {
  char text[WEIR_LOG_TEXT + 64] = "$time_local";
  memset(text + 11, ' ', sizeof text - 12);
  text[sizeof text - 1] = '\0';
  does_not_compile(HERE, text, "more than 4096 bytes");
  strcpy(text, "$time_local");
  for (size_t i = 0; i < WEIR_LOG_FIELDS; i++)
    memcpy(text + 11 + 8 * i, " $status", 9);
  does_not_compile(HERE, text, "more than 48 fields");
  strcpy(text, "$time_local $");
  memset(text + 13, 'x', 65);
  text[13 + 65] = '\0';
  does_not_compile(HERE, text, "a name of more than 64 bytes");
}

/* --- lines ---------------------------------------------------------------- */

/* A line that was read. */
typedef struct read {
  weir_log_format format;
  weir_log_line line;
  weir_log_answer answer;
  const char *text;
  char value[512];
} read;

static read parse(const char *format, const char *text) {
  read r;
  weir_log_clock clock = { "", 0 };
  memset(&r, 0, sizeof r);
  r.format = format_of(format);
  r.text = text;
  r.answer = weir_log_parse(&r.format, &clock, text, strlen(text), &r.line);
  return r;
}

/* What a part of the line says; "(absent)". */
static const char *value(read *r, weir_log_span span) {
  if (weir_log_is_absent(r->text, span)) return "(absent)";
  r->value[weir_log_value(&r->format, r->text, span, r->value)] = '\0';
  return r->value;
}

static const char *field(read *r, const char *name) {
  uint16_t i = weir_log_find(&r->format, name, strlen(name));
  return i == WEIR_LOG_NO_FIELD ? "(no field)" : value(r, r->line.fields[i]);
}

static void is_bad(check_place place, const char *format, const char *text,
                   const char *why) {
  read r = parse(format, text);
  check_equal(place, text, r.answer, WEIR_LOG_BAD);
  check_text(place, r.answer == WEIR_LOG_BAD ? r.line.why : "it is not bad",
             why);
}

TEST(combined) {
  read r = parse("combined", COMBINED);
  CHECK_EQ(r.answer, WEIR_LOG_OK);
  CHECK_EQ(r.line.time_ns, MAY);
  CHECK(r.line.ended && !r.line.exact && !r.line.has_service);
  CHECK_EQ(r.line.status, 200);
  CHECK_TEXT(value(&r, r.line.method), "GET");
  CHECK_TEXT(value(&r, r.line.uri), "/a?b=1");
  CHECK_TEXT(value(&r, r.line.version), "1.1");
  CHECK_TEXT(field(&r, "remote_addr"), "83.149.9.216");
  CHECK_TEXT(field(&r, "remote_user"), "ada");
  CHECK_TEXT(field(&r, "body_bytes_sent"), "203");
  CHECK_TEXT(field(&r, "http_referer"), "http://x.example/");
  CHECK_TEXT(field(&r, "http_user_agent"), "Mozilla \"5\"");
}

TEST(common) {
  read r = parse("common", "::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" - "
                           "-");
  CHECK_EQ(r.answer, WEIR_LOG_OK);
  CHECK_EQ(r.line.status, 0);
  CHECK_TEXT(field(&r, "remote_addr"), "::1");
  CHECK_TEXT(field(&r, "remote_user"), "(absent)");
  CHECK_TEXT(value(&r, r.line.uri), "/");
  CHECK_TEXT(value(&r, r.line.version), "(absent)");
}

TEST(nginx_with_its_request_time) {
  char line[512];
  read r;
  snprintf(line, sizeof line, "%s 0.250", COMBINED);
  r = parse("nginx", line);
  CHECK_EQ(r.answer, WEIR_LOG_OK);
  CHECK(r.line.has_service);
  CHECK_EQ(r.line.service_ns, 250 * MS);
  snprintf(line, sizeof line, "%s -", COMBINED);
  r = parse("nginx", line);
  CHECK(r.answer == WEIR_LOG_OK && !r.line.has_service);
  snprintf(line, sizeof line, "%s soon", COMBINED);
  is_bad(HERE, "nginx", line, "this is no time it took");
}

TEST(a_format_of_ones_own) {
  read r = parse("<$msec> ${request_time_us}us m=$request_method "
                 "u=$request_uri s=$status up=$upstream_response_time "
                 "x=\"$http_x_forwarded_for\";",
                 "<1431857103.5> 1500us m=POST u=/x s=502 up=0.001, 0.002 : "
                 "0.003 x=\"1.2.3.4, ::1\";");
  CHECK_EQ(r.answer, WEIR_LOG_OK);
  CHECK_EQ(r.line.time_ns, MAY + S / 2);
  CHECK(r.line.exact);
  CHECK_EQ(r.line.service_ns, 1500000);
  CHECK_EQ(r.line.status, 502);
  CHECK_TEXT(value(&r, r.line.method), "POST");
  CHECK_TEXT(value(&r, r.line.uri), "/x");
  CHECK_TEXT(field(&r, "upstream_response_time"), "0.001, 0.002 : 0.003");
  CHECK_TEXT(field(&r, "http_x_forwarded_for"), "1.2.3.4, ::1");
  CHECK_TEXT(field(&r, "http_cookie"), "(no field)");
}

TEST(json_as_nginx_writes_it) {
  read r =
      parse("json", "{ \"time\": \"2015-05-17T10:05:03+00:00\", \"remote_ip\": "
                    "\"10.0.0.1\", \"request\": \"GET /\\u00e4?\\\"q\\\" "
                    "HTTP/2.0\", \"status\": 404, \"request_time\": 0.5, "
                    "\"nested\": {\"a\": [1, \"}\"]}, \"none\": null, "
                    "\"agent\": \"\\ud83d\\ude00 \\ud83d\\n\\q\" }");
  CHECK_EQ(r.answer, WEIR_LOG_OK);
  CHECK_EQ(r.line.time_ns, MAY);
  CHECK_EQ(r.line.status, 404);
  CHECK_EQ(r.line.service_ns, 500 * MS);
  CHECK_TEXT(field(&r, "remote_addr"), "10.0.0.1");
  CHECK_TEXT(value(&r, r.line.uri), "/\xc3\xa4?\"q\"");
  CHECK_TEXT(field(&r, "nested"), "(absent)");
  CHECK_TEXT(field(&r, "none"), "(absent)");
  CHECK_TEXT(field(&r, "http_user_agent"),
             "\xf0\x9f\x98\x80 \xef\xbf\xbd\n\\q");
}

TEST(json_that_is_none) {
  is_bad(HERE, "json", "", "it is no JSON object");
  is_bad(HERE, "json", "[]", "it is no JSON object");
  is_bad(HERE, "json", "{}", "it has no time");
  is_bad(HERE, "json", "{\"a\":1", "the end of the object is missing");
  is_bad(HERE, "json", "{\"a\" 1}", "a colon is missing");
  is_bad(HERE, "json", "{\"a\":}", "a member's value is missing");
  is_bad(HERE, "json", "{\"a\":\"}", "a member's value is missing");
  is_bad(HERE, "json", "{a:1}", "a member's name is missing");
  is_bad(HERE, "json", "{\"a\":1}{}", "there is more than one JSON object");
  is_bad(HERE, "json", "{\"a\":[1]}", "it has no time");
  is_bad(HERE, "json", "{\"a\":[1}", "the end of the object is missing");
  is_bad(HERE, "json", "{\"a\":[[1}", "a member's value is missing");
}

TEST(json_whose_members_come_and_go) {
  weir_log_format format = format_of("json");
  weir_log_clock clock = { "", 0 };
  weir_log_line line = { 0 };
  const char *first = "{\"msec\":1431857103.5,\"status\":200}";
  const char *second = "{\"host\":\"b\",\"msec\":1431857104.5}";
  CHECK_EQ(weir_log_parse(&format, &clock, first, strlen(first), &line),
           WEIR_LOG_OK);
  CHECK_EQ(line.status, 200);
  CHECK_EQ(weir_log_parse(&format, &clock, second, strlen(second), &line),
           WEIR_LOG_OK);
  CHECK_EQ(line.status, 0);
  CHECK_EQ(line.time_ns, MAY + 3 * S / 2);
  CHECK_EQ(line.fields[weir_log_find(&format, "host", 4)].size, 1);
}

TEST(haproxy) {
  read r = parse(
      "haproxy",
      "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 "
      "[17/May/2015:10:05:03.655] http-in static/srv1 10/20/30/69/139 200 "
      "2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html HTTP/1.1\"");
  CHECK_EQ(r.answer, WEIR_LOG_OK);
  CHECK(!r.line.ended && r.line.exact);
  CHECK_EQ(r.line.time_ns, MAY + 665 * MS);
  CHECK_EQ(r.line.service_ns, 109 * MS);
  CHECK_EQ(r.line.status, 200);
  CHECK_TEXT(field(&r, "remote_addr"), "10.0.1.2");
  CHECK_TEXT(field(&r, "remote_port"), "33317");
  CHECK_TEXT(field(&r, "backend"), "static");
  CHECK_TEXT(field(&r, "server"), "srv1");
  CHECK_TEXT(field(&r, "captured"), "{1wt.eu} {} ");
  CHECK_TEXT(value(&r, r.line.uri), "/index.html");
}

TEST(haproxy_of_what_went_wrong) {
  read r =
      parse("haproxy", "::1:33317 [17/May/2015:10:05:03.655] in~ in/<NOSRV> "
                       "-1/-1/-1/-1/+50000 503 +212 - - SC-- 0/0/0/0/3 0/0 "
                       "\"GET /long");
  CHECK_EQ(r.answer, WEIR_LOG_OK);
  CHECK_TEXT(field(&r, "remote_addr"), "::1");
  CHECK_EQ(r.line.service_ns, 50 * S);
  CHECK_TEXT(value(&r, r.line.uri), "/long");
  r = parse("haproxy",
            "10.0.1.2:1 [17/May/2015:10:05:03.655] in in/<NOSRV> "
            "-1/-1/-1/-1/0 400 187 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"");
  CHECK_EQ(r.answer, WEIR_LOG_NO_REQUEST);
}

TEST(lines_that_are_bad) {
  is_bad(HERE, "combined", "", "the end of a field is missing");
  is_bad(HERE, "combined", "hello", "the end of a field is missing");
  is_bad(HERE, "common",
         "a - b [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" x 1",
         "this is no status");
  is_bad(HERE, "common", "a - b [today] \"GET / HTTP/1.1\" 200 1",
         "this is no time");
  is_bad(HERE, "common", "a - b [17/May/2015:10:05:03 +0000] \"GET / 200 1",
         "the end of a field is missing");
  is_bad(HERE, "<$msec>", "1431857103", "it does not begin as the format says");
  is_bad(HERE, "<$msec>", "<1431857103>1",
         "there is more than the format says");
}

TEST(lines_of_no_request) {
  static const char *const requests[] = {
    "-", "", "GET", "GET ", "\\x16\\x03\\x01", "get / HTTP/1.1"
  };
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    char line[256];
    snprintf(line, sizeof line,
             "a - b [17/May/2015:10:05:03 +0000] \"%s\" 400 0", requests[i]);
    check_equal(HERE, line, parse("common", line).answer, WEIR_LOG_NO_REQUEST);
  }
}

TEST(a_line_that_is_too_long) {
  static char line[WEIR_LOG_LINE_MAX + 2];
  weir_log_format format = format_of("$msec $request");
  weir_log_clock clock = { "", 0 };
  weir_log_line out = { 0 };
  memset(line, 'x', sizeof line);
  memcpy(line, BYTES("1431857103 GET /"));
  CHECK_EQ(weir_log_parse(&format, &clock, line, WEIR_LOG_LINE_MAX, &out),
           WEIR_LOG_OK);
  CHECK_EQ(out.uri.size, WEIR_LOG_LINE_MAX - 15);
  CHECK_EQ(weir_log_parse(&format, &clock, line, WEIR_LOG_LINE_MAX + 1, &out),
           WEIR_LOG_BAD);
}

CHECK_MAIN
