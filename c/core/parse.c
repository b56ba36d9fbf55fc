/*
** parse.c - rates and times as people write them.
**
** Integers only: a decimal number is multiplied out digit by digit, so that
** "0.1s" is what it says and not the double next to it.
*/
#include <string.h>

#include <weir_text.h>

/* A text and how far it has been read. */
typedef struct scanner {
  const char *text; /* without a final NUL; may be NULL if size is 0 */
  size_t size;      /* bytes */
  size_t at;        /* bytes read */
} scanner;

/* A decimal number. Its fraction stays in the text until the unit is known. */
typedef struct decimal {
  uint64_t whole; /* up to WEIR_PER_MAX */
  size_t begin;   /* where the digits after the point are; none: == end */
  size_t end;
} decimal;

typedef struct unit {
  const char *name;
  uint64_t ns;
} unit;

#define SECOND ((uint64_t)1000000000)

static const unit units[] = {
  { "ns", 1 },
  { "us", 1000 },
  { "ms", 1000000 },
  { "s", SECOND },
  { "m", 60 * SECOND },
  { "min", 60 * SECOND },
  { "h", 3600 * SECOND },
  { "d", 86400 * SECOND },
};

static bool at_end(const scanner *s) { return s->at == s->size; }

/* The next byte. At the end it is a NUL, which nothing here takes: one that is
** in the text is rubbish like any other. */
static char next(const scanner *s) {
  if (at_end(s)) return '\0';
  return s->text[s->at];
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

static void skip_blanks(scanner *s) {
  while (next(s) == ' ' || next(s) == '\t') s->at++;
}

static bool take(scanner *s, char c) {
  if (next(s) != c) return false;
  s->at++;
  return true;
}

/* One digit or more. `max` is at most WEIR_PER_MAX, so that nothing wraps
** before it is seen to be too much. */
static bool take_whole(scanner *s, uint64_t max, uint64_t *out) {
  uint64_t n = 0;
  if (!is_digit(next(s))) return false;
  for (; is_digit(next(s)); s->at++) {
    n = n * 10 + (uint64_t)(next(s) - '0');
    if (n > max) return false;
  }
  *out = n;
  return true;
}

/* Digits, a point and digits. Those before the point may be missing, and the
** point with those after it; a point at the end is a number cut short. */
static bool take_decimal(scanner *s, decimal *out) {
  bool starts = is_digit(next(s));
  *out = (decimal){ 0, 0, 0 };
  if (starts && !take_whole(s, WEIR_PER_MAX, &out->whole)) return false;
  if (!take(s, '.')) return starts;
  out->begin = s->at;
  while (is_digit(next(s))) s->at++;
  out->end = s->at;
  return out->end > out->begin;
}

/* A unit's name, and no letter after it. */
static bool take_unit(scanner *s, uint64_t *ns) {
  size_t begin = s->at, size;
  while (is_letter(next(s))) s->at++;
  size = s->at - begin;
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
    if (strlen(units[i].name) != size) continue;
    if (memcmp(units[i].name, s->text + begin, size) != 0) continue;
    *ns = units[i].ns;
    return true;
  }
  return false;
}

/* The part after the point, in units, rounded up to ns: Horner's rule from the
** last digit on. What a division drops only matters as being there at all. */
static uint64_t fraction_ns(const scanner *s, const decimal *number,
                            uint64_t unit_ns) {
  uint64_t ns = 0;
  bool dropped = false;
  for (size_t i = number->end; i > number->begin; i--) {
    ns += (uint64_t)(s->text[i - 1] - '0') * unit_ns;
    dropped = dropped || ns % 10 != 0;
    ns /= 10;
  }
  return ns + dropped;
}

/* What stands after the slash: "s", "250ms", "2 h". */
static bool take_period(scanner *s, uint64_t *ns) {
  uint64_t times = 1, unit_ns;
  if (is_digit(next(s)) && !take_whole(s, WEIR_PER_MAX, &times)) return false;
  skip_blanks(s);
  if (!take_unit(s, &unit_ns) || times > WEIR_PER_MAX / unit_ns) return false;
  *ns = times * unit_ns;
  return true;
}

static bool take_rate(scanner *s, uint64_t *count, uint64_t *per_ns) {
  skip_blanks(s);
  if (!take_whole(s, WEIR_PERMITS_MAX, count)) return false;
  skip_blanks(s);
  if (!take(s, '/')) return false;
  skip_blanks(s);
  if (!take_period(s, per_ns)) return false;
  skip_blanks(s);
  return at_end(s);
}

int weir_parse_rate(const char *text, size_t size, weir_rate *out) {
  scanner s = { text, size, 0 };
  uint64_t count, per_ns;
  if (!take_rate(&s, &count, &per_ns)) return WEIR_E_CONFIG;
  /* More than one per ns: the time between two would be none. */
  if (count == 0 || count > per_ns) return WEIR_E_CONFIG;
  out->count = (uint32_t)count;
  out->per_ns = per_ns;
  return 0;
}

static bool take_duration(scanner *s, decimal *number, uint64_t *unit_ns) {
  skip_blanks(s);
  if (!take_decimal(s, number)) return false;
  skip_blanks(s);
  if (!at_end(s) && !take_unit(s, unit_ns)) return false;
  skip_blanks(s);
  return at_end(s);
}

int weir_parse_duration(const char *text, size_t size, uint64_t *ns) {
  scanner s = { text, size, 0 };
  uint64_t unit_ns = SECOND, sum;
  decimal number;
  if (!take_duration(&s, &number, &unit_ns)) return WEIR_E_CONFIG;
  if (number.whole > WEIR_PER_MAX / unit_ns) return WEIR_E_CONFIG;
  sum = number.whole * unit_ns + fraction_ns(&s, &number, unit_ns);
  if (sum > WEIR_PER_MAX) return WEIR_E_CONFIG;
  *ns = sum;
  return 0;
}
