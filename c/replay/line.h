/*
** line.h - a line of an access log, cut into the fields of its format.
**
** PURPOSE
**   weir_log_parse reads one line, without its end, and allocates nothing: what
**   it answers are places in the line. weir_log_value makes text of a place.
**
** FAILURES
**   A line that is not as the format says is BAD: `why` is a static sentence,
**   `at` the byte where it went wrong. A line may also be right and tell of no
**   request: what a server logs of a connection whose client sent none, or
**   garbage. No handler has ever seen such a one.
*/
#ifndef WEIR_LOG_LINE_H
#define WEIR_LOG_LINE_H

#include "format.h"
#include "stamp.h"

enum {
  WEIR_LOG_LINE_MAX = 65534, /* bytes; a longer line is a bad one */
  WEIR_LOG_ABSENT = 0xFFFF   /* `at` of a field that the line has not */
};

typedef struct weir_log_span {
  uint16_t at, size; /* bytes of the line */
} weir_log_span;

typedef enum weir_log_answer {
  WEIR_LOG_OK,
  WEIR_LOG_BAD,
  WEIR_LOG_NO_REQUEST
} weir_log_answer;

typedef struct weir_log_line {
  uint64_t time_ns;    /* since 1970, as logged */
  uint64_t service_ns; /* how long it took, if has_service */
  const char *why;     /* BAD */
  uint32_t at;         /* BAD */
  uint16_t status;     /* 0: not known */
  bool ended;          /* time_ns is when it ended, not when it began */
  bool exact;          /* time_ns has a fraction of a second */
  bool has_service;
  weir_log_span method, uri, version;    /* of the request */
  weir_log_span fields[WEIR_LOG_FIELDS]; /* as many as the format has */
} weir_log_line;

/* Reads a line. The format changes only by learning the names of a JSON's
** members. */
weir_log_answer weir_log_parse(weir_log_format *format, weir_log_clock *clock,
                               const char *line, size_t size,
                               weir_log_line *out);

/* Writes what a field says to `out`, of `span.size` bytes, which is never too
** small: escapes are undone. Answers how many bytes it has. */
size_t weir_log_value(const weir_log_format *format, const char *line,
                      weir_log_span span, char *out);

/* Whether a field is not there, or says "-", which means the same. */
bool weir_log_is_absent(const char *line, weir_log_span span);

/* json.c: reads the members of an object into the fields. NULL, or what is
** wrong at *at. */
const char *weir_log_parse_json(weir_log_format *format, const char *line,
                                size_t size, weir_log_span *fields, size_t *at);

/* json.c: as weir_log_value, of a JSON string's inside. */
size_t weir_log_unescape_json(const char *text, size_t size, char *out);

#endif
