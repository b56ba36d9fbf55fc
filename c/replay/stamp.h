/*
** stamp.h - the times in access logs.
**
**   17/May/2015:10:05:03 +0000   $time_local, Apache's %t
**   06/Feb/2009:12:14:14.655     HAProxy's, taken as UTC
**   2015-05-17T10:05:03+00:00    $time_iso8601; also with a fraction, a "Z", a
**                                space for the T, or no zone (UTC)
**   1431857103.123               $msec
**
** The same second is not computed twice in a row: a clock remembers the last.
*/
#ifndef WEIR_LOG_STAMP_H
#define WEIR_LOG_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_LOG_SECOND UINT64_C(1000000000)

enum { WEIR_LOG_STAMP = 26 }; /* bytes of a $time_local */

typedef struct weir_log_clock {
  char last[WEIR_LOG_STAMP]; /* the $time_local that was read last ... */
  uint64_t ns;               /* ... which is this; 0: none was */
} weir_log_clock;

/* Reads a time as ns since 1970, in UTC. *exact: it has a fraction of a second.
** false: it is none, or not between 1970 and 2500. */
bool weir_log_stamp(weir_log_clock *clock, const char *text, size_t size,
                    uint64_t *ns, bool *exact);

/* Reads a number of seconds, "0.123", as ns; up to WEIR_LOG_SECONDS_MAX. */
bool weir_log_seconds(const char *text, size_t size, uint64_t *ns);

/* Reads a whole number, up to `max`. */
bool weir_log_number(const char *text, size_t size, uint64_t max,
                     uint64_t *out);

#endif
