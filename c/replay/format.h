/*
** format.h - what a line of an access log looks like.
**
** PURPOSE
**   A format is compiled once, from a string as nginx's log_format has it,
**       $remote_addr - $remote_user [$time_local] "$request" $status
**   into the texts between its fields. A line is then cut along them (line.h).
**   Two formats are no such string: "json", an object a line, whose fields are
**   its members, named as nginx's variables or as is usual; and "haproxy",
**   HAProxy's HTTP format behind whatever syslog has put before it.
**
** OWNERSHIP
**   A format is memory of the caller's and refers to nothing outside of it.
**
** FAILURES
**   weir_log_compile answers NULL, or a sentence about what is wrong.
*/
#ifndef WEIR_LOG_FORMAT_H
#define WEIR_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  WEIR_LOG_FIELDS = 48,          /* a format has at most so many */
  WEIR_LOG_TEXT = 4096,          /* bytes of a format, and of a JSON's names */
  WEIR_LOG_NAME = 64,            /* bytes of a field's name */
  WEIR_LOG_NO_FIELD = 0xFFFF,    /* no field has this number */
  WEIR_LOG_SECONDS_MAX = 1000000 /* a request that took longer is a mistake */
};

/* What replay itself wants to know of a line. Several names may say it. */
typedef enum weir_log_role {
  WEIR_LOG_TIME,       /* when it was logged, which is when the request ended */
  WEIR_LOG_BEGAN,      /* when the request began */
  WEIR_LOG_SERVICE,    /* how long it took: seconds ... */
  WEIR_LOG_SERVICE_MS, /* ... milliseconds ... */
  WEIR_LOG_SERVICE_US, /* ... microseconds */
  WEIR_LOG_HEAD_MS,    /* of that: until its head was there (HAProxy's TR) */
  WEIR_LOG_QUEUE_MS,   /* of that: in a queue (HAProxy's Tw) */
  WEIR_LOG_STATUS,
  WEIR_LOG_BYTES,
  WEIR_LOG_REQUEST, /* "GET / HTTP/1.1" */
  WEIR_LOG_METHOD,
  WEIR_LOG_URI,
  WEIR_LOG_ROLES /* how many there are; also: none of them */
} weir_log_role;

typedef enum weir_log_kind {
  WEIR_LOG_PLAIN,
  WEIR_LOG_JSON,
  WEIR_LOG_HAPROXY
} weir_log_kind;

typedef struct weir_log_field {
  uint16_t name, name_size; /* in text */
  uint16_t end, end_size;   /* in text: what comes after it */
  uint8_t role;             /* weir_log_role */
  bool quoted; /* ends at the first quote that has no backslash before it */
  bool list;   /* may be several values: "0.1, 0.2 : 0.3" */
} weir_log_field;

typedef struct weir_log_format {
  weir_log_kind kind;
  uint16_t count;                 /* of fields */
  uint16_t begin, begin_size;     /* in text: what stands before the first */
  uint16_t used;                  /* of text */
  uint16_t roles[WEIR_LOG_ROLES]; /* which field it is, or NO_FIELD */
  weir_log_field fields[WEIR_LOG_FIELDS];
  char text[WEIR_LOG_TEXT];
} weir_log_format;

/* Compiles "combined", "common", "nginx" (combined and $request_time), "json",
** "haproxy", or a string with $names in it. NULL, or what is wrong: a static
** sentence. */
const char *weir_log_compile(const char *text, size_t size,
                             weir_log_format *out);

/* The field of this name, or NO_FIELD. */
uint16_t weir_log_find(const weir_log_format *format, const char *name,
                       size_t size);

/* As above, made if need be: of a JSON line. NO_FIELD: there is no room. */
uint16_t weir_log_add(weir_log_format *format, const char *name, size_t size);

/* Whether lines say how long requests took. */
bool weir_log_has_service(const weir_log_format *format);

#endif
