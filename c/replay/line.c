/* line.c - see line.h. */
#include <string.h>

#include "line.h"

/* What is read of a line from its front. */
typedef struct cutter {
  const char *line;
  size_t at, size;
} cutter;

static const weir_log_span NOTHING = { WEIR_LOG_ABSENT, 0 };

static weir_log_span span_of(size_t from, size_t to) {
  return (weir_log_span){ (uint16_t)from, (uint16_t)(to - from) };
}

bool weir_log_is_absent(const char *line, weir_log_span span) {
  return span.at == WEIR_LOG_ABSENT || span.size == 0 ||
         (span.size == 1 && line[span.at] == '-');
}

/* --- plain lines ---------------------------------------------------------- */

/* Whether the text stands at `at`. */
static bool stands(const cutter *c, size_t at, const char *text, size_t size) {
  return c->size - at >= size && memcmp(c->line + at, text, size) == 0;
}

/* The next place of a text, not before `from`; c->size: none. */
static size_t find(const cutter *c, size_t from, const char *text,
                   size_t size) {
  while (from < c->size) {
    const char *found = memchr(c->line + from, text[0], c->size - from);
    if (!found) break;
    from = (size_t)(found - c->line);
    if (stands(c, from, text, size)) return from;
    from++;
  }
  return c->size;
}

/* The same, of a text that begins with a quote: one behind a backslash is not
** meant. */
static size_t find_quote(const cutter *c, size_t from, const char *text,
                         size_t size) {
  for (size_t at = from; (at = find(c, at, text, size)) < c->size; at++) {
    size_t slashes = 0;
    while (at - slashes > from && c->line[at - slashes - 1] == '\\') slashes++;
    if (slashes % 2 == 0) return at;
  }
  return c->size;
}

/* The same, of a list: a space behind a comma, and around a colon, is in it. */
static size_t find_end_of_list(const cutter *c, size_t from, const char *text,
                               size_t size) {
  for (size_t at = from; (at = find(c, at, text, size)) < c->size; at++) {
    bool goes_on =
        at > from && (c->line[at - 1] == ',' || c->line[at - 1] == ':');
    bool colon = at + 1 < c->size && c->line[at + 1] == ':';
    if (*text != ' ' || (!goes_on && !colon)) return at;
  }
  return c->size;
}

/* An address may have colons itself: it ends at the last one of its word. */
static size_t find_last_colon(const cutter *c, size_t from) {
  size_t colon = c->size;
  for (size_t at = from; at < c->size && c->line[at] != ' '; at++)
    if (c->line[at] == ':') colon = at;
  return colon;
}

static size_t find_end(const cutter *c, const weir_log_format *format,
                       const weir_log_field *field) {
  const char *end = format->text + field->end;
  if (!field->end_size) return c->size;
  if (field->quoted) return find_quote(c, c->at, end, field->end_size);
  if (field->list) return find_end_of_list(c, c->at, end, field->end_size);
  if (format->kind == WEIR_LOG_HAPROXY && *end == ':')
    return find_last_colon(c, c->at);
  return find(c, c->at, end, field->end_size);
}

/* Cuts the line into fields; NULL, or what is wrong at c->at. HAProxy ends a
** line that is too long inside of the request. */
static const char *cut(const weir_log_format *format, cutter *c,
                       weir_log_span *fields) {
  if (!stands(c, c->at, format->text + format->begin, format->begin_size))
    return "it does not begin as the format says";
  c->at += format->begin_size;
  for (uint16_t i = 0; i < format->count; i++) {
    const weir_log_field *field = &format->fields[i];
    size_t end = find_end(c, format, field);
    bool torn = format->kind == WEIR_LOG_HAPROXY && i + 1 == format->count;
    if (end == c->size && field->end_size && !torn)
      return "the end of a field is missing";
    fields[i] = span_of(c->at, end);
    c->at = end == c->size ? end : end + field->end_size;
  }
  return c->at == c->size ? NULL : "there is more than the format says";
}

/* What syslog has put before HAProxy's line ends with "]: ", in which nothing
** of HAProxy's own can end. */
static size_t after_syslog(const char *line, size_t size) {
  const char *at = line, *end = line + size, *quote = memchr(line, '"', size);
  if (quote) end = quote;
  while ((at = memchr(at, ']', (size_t)(end - at))) != NULL) {
    if (end - at >= 3 && at[1] == ':' && at[2] == ' ')
      return (size_t)(at + 3 - line);
    at++;
  }
  return 0;
}

/* --- what a line means ---------------------------------------------------- */

/* Everything that the meaning of a line is made of. */
typedef struct reading {
  const weir_log_format *format;
  weir_log_clock *clock;
  const char *line;
  weir_log_line *out;
} reading;

static weir_log_span role(const reading *r, weir_log_role role) {
  uint16_t field = r->format->roles[role];
  return field == WEIR_LOG_NO_FIELD ? NOTHING : r->out->fields[field];
}

/* Notes what is wrong with a field. */
static bool wrong(const reading *r, weir_log_span span, const char *why) {
  r->out->why = why;
  r->out->at = span.at == WEIR_LOG_ABSENT ? 0 : span.at;
  return false;
}

static bool read_time(const reading *r) {
  weir_log_span span = role(r, WEIR_LOG_TIME);
  r->out->ended = !weir_log_is_absent(r->line, span);
  if (!r->out->ended) span = role(r, WEIR_LOG_BEGAN);
  if (span.at == WEIR_LOG_ABSENT) return wrong(r, span, "it has no time");
  if (weir_log_stamp(r->clock, r->line + span.at, span.size, &r->out->time_ns,
                     &r->out->exact))
    return true;
  return wrong(r, span, "this is no time");
}

/* HAProxy says -1 of what was not reached, and + of what went on. */
static bool read_ms(const reading *r, weir_log_role which, uint64_t *ms) {
  weir_log_span span = role(r, which);
  const char *text = r->line + span.at;
  *ms = 0;
  if (weir_log_is_absent(r->line, span)) return false;
  if (span.size == 2 && memcmp(text, "-1", 2) == 0) return true;
  if (*text == '+')
    return weir_log_number(text + 1, span.size - 1u,
                           WEIR_LOG_SECONDS_MAX * 1000u, ms);
  return weir_log_number(text, span.size, WEIR_LOG_SECONDS_MAX * 1000u, ms);
}

/* Without the time until its head was there, and the time in queues, which are
** what the policy replaces. The request begins after the former. */
static bool read_haproxy_service(const reading *r) {
  uint64_t all, head, queued;
  if (!read_ms(r, WEIR_LOG_SERVICE_MS, &all) ||
      !read_ms(r, WEIR_LOG_HEAD_MS, &head) ||
      !read_ms(r, WEIR_LOG_QUEUE_MS, &queued))
    return wrong(r, role(r, WEIR_LOG_SERVICE_MS), "this is no time it took");
  r->out->has_service = true;
  r->out->service_ns =
      (all > head + queued ? all - head - queued : 0) * 1000000;
  r->out->time_ns += head * 1000000;
  return true;
}

static bool read_unit(const reading *r, weir_log_role which, uint64_t unit_ns) {
  weir_log_span span = role(r, which);
  uint64_t n;
  r->out->has_service = true;
  if (!weir_log_number(r->line + span.at, span.size,
                       WEIR_LOG_SECONDS_MAX * (WEIR_LOG_SECOND / unit_ns), &n))
    return wrong(r, span, "this is no time it took");
  r->out->service_ns = n * unit_ns;
  return true;
}

static bool read_service(const reading *r) {
  weir_log_span span = role(r, WEIR_LOG_SERVICE);
  if (r->format->kind == WEIR_LOG_HAPROXY) return read_haproxy_service(r);
  if (!weir_log_is_absent(r->line, span)) {
    r->out->has_service = true;
    return weir_log_seconds(r->line + span.at, span.size,
                            &r->out->service_ns) ||
           wrong(r, span, "this is no time it took");
  }
  if (!weir_log_is_absent(r->line, role(r, WEIR_LOG_SERVICE_MS)))
    return read_unit(r, WEIR_LOG_SERVICE_MS, 1000000);
  if (!weir_log_is_absent(r->line, role(r, WEIR_LOG_SERVICE_US)))
    return read_unit(r, WEIR_LOG_SERVICE_US, 1000);
  return true;
}

static bool read_status(const reading *r) {
  weir_log_span span = role(r, WEIR_LOG_STATUS);
  uint64_t status;
  bool unknown = weir_log_is_absent(r->line, span) ||
                 (span.size == 2 && memcmp(r->line + span.at, "-1", 2) == 0);
  r->out->status = 0;
  if (unknown) return true;
  if (!weir_log_number(r->line + span.at, span.size, 999, &status))
    return wrong(r, span, "this is no status");
  r->out->status = (uint16_t)status;
  return true;
}

static bool is_method(const char *text, size_t size) {
  if (size == 0) return false;
  for (size_t i = 0; i < size; i++)
    if (!(text[i] >= 'A' && text[i] <= 'Z') && text[i] != '-' && text[i] != '_')
      return false;
  return true;
}

/* Cuts "GET /path HTTP/1.1"; an HTTP/0.9 has no version. */
static bool cut_request(const reading *r, weir_log_span span) {
  const char *text = r->line + span.at, *end = text + span.size;
  const char *space = memchr(text, ' ', span.size), *last = end;
  if (!space || !is_method(text, (size_t)(space - text))) return false;
  while (last > space && *--last != ' ') {
  }
  if (last == space || (size_t)(end - last) < sizeof " HTTP/" ||
      memcmp(last, " HTTP/", 6) != 0)
    last = end;
  if (last - space < 2) return false;
  r->out->method = span_of(span.at, (size_t)(space - r->line));
  r->out->uri =
      span_of((size_t)(space + 1 - r->line), (size_t)(last - r->line));
  if (last < end)
    r->out->version =
        span_of((size_t)(last + 6 - r->line), (size_t)(end - r->line));
  return true;
}

static bool has_request(const reading *r) {
  weir_log_span whole = role(r, WEIR_LOG_REQUEST);
  r->out->version = NOTHING;
  if (whole.at != WEIR_LOG_ABSENT) return cut_request(r, whole);
  r->out->method = role(r, WEIR_LOG_METHOD);
  r->out->uri = role(r, WEIR_LOG_URI);
  if (r->format->roles[WEIR_LOG_METHOD] == WEIR_LOG_NO_FIELD) return true;
  return !weir_log_is_absent(r->line, r->out->method);
}

static weir_log_answer make_sense(const reading *r) {
  r->out->has_service = false;
  if (!read_time(r) || !read_service(r) || !read_status(r)) return WEIR_LOG_BAD;
  return has_request(r) ? WEIR_LOG_OK : WEIR_LOG_NO_REQUEST;
}

static weir_log_answer bad(weir_log_line *out, const char *why, size_t at) {
  out->why = why;
  out->at = (uint32_t)at;
  return WEIR_LOG_BAD;
}

weir_log_answer weir_log_parse(weir_log_format *format, weir_log_clock *clock,
                               const char *line, size_t size,
                               weir_log_line *out) {
  cutter c = { line, 0, size };
  reading r = { format, clock, line, out };
  const char *why;
  if (size > WEIR_LOG_LINE_MAX)
    return bad(out, "it is longer than 65534 bytes", WEIR_LOG_LINE_MAX);
  if (format->kind == WEIR_LOG_JSON) {
    why = weir_log_parse_json(format, line, size, out->fields, &c.at);
  } else {
    if (format->kind == WEIR_LOG_HAPROXY) c.at = after_syslog(line, size);
    why = cut(format, &c, out->fields);
  }
  return why ? bad(out, why, c.at) : make_sense(&r);
}

/* --- values --------------------------------------------------------------- */

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The byte that an escape stands for, *size the escape's length; one that is
** none stands for itself. */
static char unescape(const char *text, size_t left, size_t *size) {
  static const char NAMES[] = "btnvfr", BYTES[] = "\b\t\n\v\f\r";
  const char *name;
  *size = 1;
  if (left < 2) return *text;
  if (text[1] == 'x' && left >= 4 && hex(text[2]) >= 0 && hex(text[3]) >= 0) {
    *size = 4;
    return (char)(unsigned char)(hex(text[2]) * 16 + hex(text[3]));
  }
  name = memchr(NAMES, text[1], sizeof NAMES - 1);
  if (!name && text[1] != '"' && text[1] != '\\') return *text;
  *size = 2;
  if (!name) return text[1];
  return BYTES[name - NAMES];
}

static size_t unescape_plain(const char *text, size_t size, char *out) {
  size_t used = 0, step;
  for (size_t at = 0; at < size; at += step) {
    step = 1;
    out[used] = text[at];
    if (text[at] == '\\') out[used] = unescape(text + at, size - at, &step);
    used++;
  }
  return used;
}

size_t weir_log_value(const weir_log_format *format, const char *line,
                      weir_log_span span, char *out) {
  const char *text = line + span.at;
  if (format->kind == WEIR_LOG_JSON)
    return weir_log_unescape_json(text, span.size, out);
  return unescape_plain(text, span.size, out);
}
