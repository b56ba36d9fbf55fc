/* stamp.c - see stamp.h. */
#include <string.h>

#include "format.h"
#include "stamp.h"

enum {
  YEAR_MIN = 1970,
  YEAR_MAX = 2500, /* ns since 1970 fit in 63 bits until then */
  FRACTION = 9     /* digits that ns have */
};

/* What is read of a text from its front. */
typedef struct reader {
  const char *at, *end;
} reader;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool skip(reader *r, char c) {
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

/* Exactly so many digits. */
static bool digits(reader *r, int count, uint32_t *out) {
  *out = 0;
  if (r->end - r->at < count) return false;
  for (; count > 0; count--, r->at++) {
    if (!is_digit(*r->at)) return false;
    *out = *out * 10 + (uint32_t)(*r->at - '0');
  }
  return true;
}

/* Digits behind a point, as ns; those beyond the ninth count for nothing. */
static bool fraction(reader *r, uint64_t *ns) {
  uint64_t unit = WEIR_LOG_SECOND;
  *ns = 0;
  if (r->at == r->end || !is_digit(*r->at)) return false;
  for (; r->at < r->end && is_digit(*r->at); r->at++) {
    unit /= 10;
    *ns += unit * (uint64_t)(*r->at - '0');
  }
  return true;
}

bool weir_log_number(const char *text, size_t size, uint64_t max,
                     uint64_t *out) {
  uint64_t n = 0;
  if (size == 0 || size > 19) return false; /* fits in 64 bits */
  for (size_t i = 0; i < size; i++) {
    if (!is_digit(text[i])) return false;
    n = n * 10 + (uint64_t)(text[i] - '0');
  }
  *out = n;
  return n <= max;
}

bool weir_log_seconds(const char *text, size_t size, uint64_t *ns) {
  const char *point = memchr(text, '.', size);
  reader r = { point ? point + 1 : text + size, text + size };
  uint64_t whole, part = 0;
  size_t before = point ? (size_t)(point - text) : size;
  if (!weir_log_number(text, before, WEIR_LOG_SECONDS_MAX, &whole))
    return false;
  if (point && (!fraction(&r, &part) || r.at != r.end)) return false;
  *ns = whole * WEIR_LOG_SECOND + part;
  return true;
}

/* --- the calendar --------------------------------------------------------- */

typedef struct civil {
  uint32_t year, month, day, hour, minute, second; /* month and day from 1 */
} civil;

static bool is_leap(uint32_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static const uint16_t BEFORE_MONTH[] = { 0,   31,  59,  90,  120, 151, 181,
                                         212, 243, 273, 304, 334, 365 };

static uint32_t days_in(uint32_t year, uint32_t month) {
  uint32_t days = (uint32_t)BEFORE_MONTH[month] - BEFORE_MONTH[month - 1];
  return days + (month == 2 && is_leap(year));
}

/* A second of 60 is a leap second; it counts as the next one. */
static bool is_valid(const civil *c) {
  return c->year >= YEAR_MIN && c->year < YEAR_MAX && c->month >= 1 &&
         c->month <= 12 && c->day >= 1 &&
         c->day <= days_in(c->year, c->month) && c->hour < 24 &&
         c->minute < 60 && c->second <= 60;
}

static int64_t seconds_of(const civil *c) {
  uint32_t y = c->year - 1;
  int64_t days = (int64_t)365 * (c->year - YEAR_MIN) +
                 (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 4);
  days += BEFORE_MONTH[c->month - 1] + (c->month > 2 && is_leap(c->year));
  days += c->day - 1;
  return ((days * 24 + c->hour) * 60 + c->minute) * 60 + c->second;
}

/* --- shapes --------------------------------------------------------------- */

static bool month(reader *r, uint32_t *out) {
  static const char NAMES[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (r->end - r->at < 3) return false;
  for (uint32_t i = 0; i < 12; i++) {
    if (memcmp(r->at, NAMES + (size_t)3 * i, 3) != 0) continue;
    *out = i + 1;
    r->at += 3;
    return true;
  }
  return false;
}

static bool time_of_day(reader *r, civil *c) {
  return digits(r, 2, &c->hour) && skip(r, ':') && digits(r, 2, &c->minute) &&
         skip(r, ':') && digits(r, 2, &c->second);
}

/* 17/May/2015:10:05:03 */
static bool local(reader *r, civil *c) {
  return digits(r, 2, &c->day) && skip(r, '/') && month(r, &c->month) &&
         skip(r, '/') && digits(r, 4, &c->year) && skip(r, ':') &&
         time_of_day(r, c);
}

/* 2015-05-17T10:05:03 */
static bool iso(reader *r, civil *c) {
  return digits(r, 4, &c->year) && skip(r, '-') && digits(r, 2, &c->month) &&
         skip(r, '-') && digits(r, 2, &c->day) &&
         (skip(r, 'T') || skip(r, ' ')) && time_of_day(r, c);
}

/* "+0200", "+02:00", "Z" or nothing, in seconds ahead of UTC. */
static bool zone(reader *r, int64_t *ahead) {
  uint32_t hours, minutes;
  bool west;
  *ahead = 0;
  skip(r, ' ');
  if (r->at == r->end || skip(r, 'Z')) return true;
  west = *r->at == '-';
  if (!west && *r->at != '+') return false;
  r->at++;
  if (!digits(r, 2, &hours)) return false;
  skip(r, ':');
  if (!digits(r, 2, &minutes) || hours > 23 || minutes > 59) return false;
  *ahead = (west ? -1 : 1) * (int64_t)(hours * 60 + minutes) * 60;
  return true;
}

/* What comes behind the seconds, and all of it. */
static bool finish(reader *r, const civil *c, uint64_t *ns, bool *exact) {
  uint64_t part = 0;
  int64_t ahead, seconds;
  *exact = skip(r, '.') || skip(r, ',');
  if (*exact && !fraction(r, &part)) return false;
  if (!zone(r, &ahead) || r->at != r->end || !is_valid(c)) return false;
  seconds = seconds_of(c) - ahead;
  if (seconds < 0) return false;
  *ns = (uint64_t)seconds * WEIR_LOG_SECOND + part;
  return true;
}

static bool read_local(weir_log_clock *clock, const char *text, size_t size,
                       uint64_t *ns, bool *exact) {
  reader r = { text, text + size };
  civil c;
  if (clock->ns && size == WEIR_LOG_STAMP &&
      memcmp(text, clock->last, WEIR_LOG_STAMP) == 0) {
    *ns = clock->ns;
    *exact = false;
    return true;
  }
  if (!local(&r, &c) || !finish(&r, &c, ns, exact)) return false;
  if (size != WEIR_LOG_STAMP || *exact) return true;
  memcpy(clock->last, text, WEIR_LOG_STAMP);
  clock->ns = *ns;
  return true;
}

/* 1431857103.123 */
static bool read_epoch(const char *text, size_t size, uint64_t *ns,
                       bool *exact) {
  static const uint64_t MAX = UINT64_C(16725225600); /* the year 2500 */
  const char *point = memchr(text, '.', size);
  reader r = { point ? point + 1 : text + size, text + size };
  uint64_t whole, part = 0;
  if (!weir_log_number(text, point ? (size_t)(point - text) : size, MAX - 1,
                       &whole))
    return false;
  *exact = point != NULL;
  if (point && (!fraction(&r, &part) || r.at != r.end)) return false;
  *ns = whole * WEIR_LOG_SECOND + part;
  return true;
}

bool weir_log_stamp(weir_log_clock *clock, const char *text, size_t size,
                    uint64_t *ns, bool *exact) {
  reader r = { text, text + size };
  civil c;
  if (size > 2 && text[2] == '/')
    return read_local(clock, text, size, ns, exact);
  if (size > 4 && text[4] == '-')
    return iso(&r, &c) && finish(&r, &c, ns, exact);
  return read_epoch(text, size, ns, exact);
}
