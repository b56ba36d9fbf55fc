/*
** fuzz_log.c - access logs of any bytes, in formats of any bytes.
**
** The first byte chooses a format that is known, or that the input brings along
** up to its first line's end; the rest is a log, fed in pieces whose sizes the
** second byte decides. Whatever comes out: each field is inside of its line, a
** value is no longer than its field, requests come in order of time, every line
** is counted once, and the same log in one piece is the same.
*/
#include <stdlib.h>
#include <string.h>

#include <replay/feed.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
  if (!holds) abort();
}

/* What came of a log, to be compared. */
typedef struct outcome {
  uint64_t requests, bad, none, late, lines, last_ns, sum;
} outcome;

static void check_span(const weir_log_format *format,
                       const weir_log_record *record, weir_log_span span,
                       outcome *out) {
  static char value[WEIR_LOG_LINE_MAX];
  size_t used;
  if (span.at == WEIR_LOG_ABSENT) return;
  must(span.at + span.size <= record->size);
  used = weir_log_value(format, weir_log_text(record), span, value);
  must(used <= span.size);
  for (size_t i = 0; i < used; i++)
    out->sum = out->sum * 31 + (unsigned char)value[i];
}

static void check_record(weir_log_feed *feed, const weir_log_record *record,
                         outcome *out) {
  const weir_log_format *format = weir_log_feed_format(feed, record->source);
  must(record->count <= format->count);
  must(record->arrival_ns >= out->last_ns);
  must(weir_log_feed_record(feed, record->id) == record);
  check_span(format, record, record->method, out);
  check_span(format, record, record->uri, out);
  check_span(format, record, record->version, out);
  for (uint16_t i = 0; i < record->count; i++)
    check_span(format, record, record->fields[i], out);
  out->last_ns = record->arrival_ns;
  out->sum = out->sum * 31 + record->arrival_ns + record->service_ns;
  out->requests++;
}

/* Takes all requests that there are; answers whether more may come. */
static bool take(weir_log_feed *feed, outcome *out) {
  weir_log_record *record;
  weir_log_state state;
  int source;
  while ((state = weir_log_feed_next(feed, &record, &source)) ==
         WEIR_LOG_RECORD) {
    check_record(feed, record, out);
    weir_log_feed_release(feed, record);
  }
  must(state == WEIR_LOG_HUNGRY || state == WEIR_LOG_OVER);
  return state == WEIR_LOG_HUNGRY;
}

static void count(const weir_log_feed *feed, outcome *out) {
  const weir_log_counts *counts = weir_log_feed_counts(feed, 0);
  out->bad = counts->bad;
  out->none = counts->none;
  out->late = counts->late;
  out->lines = counts->lines;
  must(out->requests + out->bad + out->none <= out->lines);
  must(counts->examples ==
       (out->bad < WEIR_LOG_EXAMPLES ? out->bad : WEIR_LOG_EXAMPLES));
}

/* `lazily`: requests are taken when all bytes are there, not in between. */
static outcome replay(const weir_log_format *format,
                      const weir_log_options *options, const uint8_t *data,
                      size_t size, size_t piece, bool lazily) {
  weir_log_feed *feed = weir_log_feed_new(options);
  outcome out = { 0 };
  must(feed && weir_log_feed_add(feed, format) == 0);
  while (size) {
    size_t next = piece < size ? piece : size;
    must(weir_log_feed_bytes(feed, 0, (const char *)data, next));
    if (!lazily) must(take(feed, &out));
    data += next;
    size -= next;
  }
  must(weir_log_feed_end(feed, 0));
  must(!take(feed, &out));
  count(feed, &out);
  weir_log_feed_free(feed);
  return out;
}

/* The format that the input asks for; answers how many bytes that took. */
static size_t choose_format(const uint8_t *data, size_t size, uint8_t choice,
                            weir_log_format *out) {
  static const char *const known[] = { "combined", "common", "nginx", "json",
                                       "haproxy" };
  const uint8_t *end = memchr(data, '\n', size);
  size_t length = end ? (size_t)(end - data) : size;
  if (choice % 6 < 5) {
    const char *name = known[choice % 6];
    must(!weir_log_compile(name, strlen(name), out));
    return 0;
  }
  if (weir_log_compile((const char *)data, length, out)) return SIZE_MAX;
  return end ? length + 1 : length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static weir_log_format format;
  weir_log_options options = { WEIR_LOG_SECOND, WEIR_LOG_SECOND, 0, true,
                               false };
  size_t used, piece;
  outcome whole, pieces;
  if (size < 2) return 0;
  options.spread = data[0] < 128;
  piece = data[1] + 1u;
  used = choose_format(data + 2, size - 2, data[0], &format);
  if (used == SIZE_MAX) return 0;
  data += 2 + used;
  size -= 2 + used;
  pieces = replay(&format, &options, data, size, piece, true);
  whole = replay(&format, &options, data, size, size + 1, true);
  must(memcmp(&whole, &pieces, sizeof whole) == 0);
  options.held = 3;
  pieces = replay(&format, &options, data, size, piece, false);
  must(pieces.requests == whole.requests && pieces.bad == whole.bad &&
       pieces.none == whole.none && pieces.lines == whole.lines);
  return 0;
}
