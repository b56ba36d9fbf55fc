/*
** option.c - the options of a limiter as text.
*/
#include <string.h>

#include <weir_text.h>

/* A text that is a part of another: no NUL ends it. */
typedef struct word {
  const char *text;
  size_t size;
} word;

typedef struct setting setting;

/* Reads a value into the config; false: it is not what was expected. */
typedef bool read_fn(word value, const setting *option, weir_config *config);

struct setting {
  const char *name;
  read_fn *read;
  const char *expected;
  size_t offset;     /* of the field in weir_config */
  const char *words; /* "first|second|...": what has a number by its place */
  uint32_t min, max; /* of a count */
  uint32_t none;     /* of a count: what "none" means; 0 < min: 0 */
  bool may_be_none;
};

#define DECIMAL_PLACES 1e9 /* a decimal number is read as one of seconds */

static bool is_word(word w, const char *text) {
  return strlen(text) == w.size && memcmp(text, w.text, w.size) == 0;
}

/* Takes the text up to `end` off *rest. */
static word take_word(word *rest, char end) {
  word w = { rest->text, 0 };
  while (w.size < rest->size && w.text[w.size] != end) w.size++;
  rest->text += w.size + (w.size < rest->size);
  rest->size -= w.size + (w.size < rest->size);
  return w;
}

/* The place of a word among "first|second|..."; -1: it is none of them. */
static int find_word(word w, const char *words) {
  word rest = { words, strlen(words) };
  for (int i = 0; rest.size; i++) {
    word one = take_word(&rest, '|');
    if (one.size == w.size && memcmp(one.text, w.text, w.size) == 0) return i;
  }
  return -1;
}

static void *field(const setting *option, weir_config *config) {
  return (char *)config + option->offset;
}

/* --- kinds ---------------------------------------------------------------- */

static bool to_count(word value, uint32_t *out) {
  uint64_t n = 0;
  for (size_t i = 0; i < value.size; i++) {
    if (value.text[i] < '0' || value.text[i] > '9') return false;
    n = n * 10 + (uint64_t)(value.text[i] - '0');
    if (n > WEIR_PERMITS_MAX) return false;
  }
  *out = (uint32_t)n;
  return value.size > 0;
}

static bool read_count(word value, const setting *option, weir_config *config) {
  uint32_t n = option->none;
  bool none = option->may_be_none && is_word(value, "none");
  if (!none && (!to_count(value, &n) || n < option->min || n > option->max))
    return false;
  *(uint32_t *)field(option, config) = n;
  return true;
}

static bool read_time(word value, const setting *option, weir_config *config) {
  uint64_t ns = WEIR_NEVER;
  bool none = option->may_be_none && is_word(value, "none");
  if (!none && (weir_parse_duration(value.text, value.size, &ns) < 0 ||
                ns < option->min))
    return false;
  *(uint64_t *)field(option, config) = ns;
  return true;
}

static bool ends_in_digit(word value) {
  char last;
  if (!value.size) return false;
  last = value.text[value.size - 1];
  return last >= '0' && last <= '9';
}

/* A decimal number is a time without a unit. */
static bool read_number(word value, const setting *option,
                        weir_config *config) {
  uint64_t ns;
  if (!ends_in_digit(value)) return false;
  if (weir_parse_duration(value.text, value.size, &ns) < 0 || !ns) return false;
  *(double *)field(option, config) = (double)ns / DECIMAL_PLACES;
  return true;
}

static bool read_flag(word value, const setting *option, weir_config *config) {
  int place = find_word(value, "off|on");
  if (place < 0) return false;
  *(bool *)field(option, config) = place == 1;
  return true;
}

static bool read_exhausted(word value, const setting *option,
                           weir_config *config) {
  int place = find_word(value, option->words);
  if (place < 0) return false;
  config->pass_exhausted = place == 1;
  return true;
}

/* An enumeration; all of them are of this size. */
static bool read_choice(word value, const setting *option,
                        weir_config *config) {
  int place = find_word(value, option->words);
  uint32_t number = (uint32_t)place;
  _Static_assert(sizeof(weir_order) == sizeof number &&
                     sizeof(weir_window) == sizeof number &&
                     sizeof(weir_victim) == sizeof number &&
                     sizeof(weir_algorithm) == sizeof number,
                 "an enumeration is of another size");
  if (place < 0) return false;
  memcpy(field(option, config), &number, sizeof number);
  return true;
}

static bool read_rate(word value, const setting *option, weir_config *config) {
  weir_rate *rate = field(option, config);
  if (is_word(value, "none"))
    rate->count = 0;
  else if (weir_parse_rate(value.text, value.size, rate) < 0)
    return false;
  if (!rate->burst) rate->burst = 1;
  return true;
}

static bool read_shed(word value, const setting *option, weir_config *config) {
  weir_shed shed = { .target_ns = config->shed.target_ns,
                     .interval_ns = config->shed.interval_ns };
  bool none = is_word(value, "none");
  (void)option;
  if (!value.size) return false;
  while (!none && value.size) {
    switch (find_word(take_word(&value, ','),
                      "codel|lifo|doomed|newest|oldest|lowest")) {
    case 0: shed.codel = true; break;
    case 1: shed.lifo = true; break;
    case 2: shed.doomed = true; break;
    case 3: shed.victim = WEIR_NEWEST; break;
    case 4: shed.victim = WEIR_OLDEST; break;
    case 5: shed.victim = WEIR_LOWEST; break;
    default: return false;
    }
  }
  config->shed = shed;
  return true;
}

/* --- the options ---------------------------------------------------------- */

#define AT(member) .offset = offsetof(weir_config, member)
#define PERMITS                                                                \
  .min = 1, .max = WEIR_PERMITS_MAX,                                           \
  .expected = "a whole number from 1 to 2147483647"
#define TIME .read = read_time, .expected = "a time such as '250ms' or '5s'"

static const setting OPTIONS[] = {
  { .name = "concurrent",
    .read = read_count,
    AT(concurrent),
    .min = 1,
    .max = WEIR_PERMITS_MAX,
    .may_be_none = true,
    .expected = "a whole number from 1 to 2147483647, or 'none'" },
  { .name = "rate",
    .read = read_rate,
    AT(rate),
    .expected = "a rate such as '100/s', '5/m' or '10/250ms', or 'none'" },
  { .name = "burst", .read = read_count, AT(rate.burst), PERMITS },
  { .name = "window",
    .read = read_choice,
    AT(rate.window),
    .words = "gcra|fixed|sliding",
    .expected = "'gcra', 'fixed' or 'sliding'" },
  { .name = "align",
    .read = read_flag,
    AT(rate.aligned),
    .expected = "'on' or 'off'" },
  { .name = "queue",
    .read = read_count,
    AT(queue),
    .max = WEIR_PERMITS_MAX,
    .none = WEIR_UNBOUNDED,
    .may_be_none = true,
    .expected = "a whole number from 0 to 2147483647, or 'none'" },
  { .name = "timeout",
    .read = read_time,
    AT(timeout_ns),
    .may_be_none = true,
    .expected = "a time such as '250ms' or '5s', or 'none'" },
  { .name = "keys", .read = read_count, AT(keys), PERMITS },
  { .name = "on_exhausted",
    .read = read_exhausted,
    .words = "refuse|admit",
    .expected = "'refuse' or 'admit'" },
  { .name = "order",
    .read = read_choice,
    AT(order),
    .words = "fifo|lifo|priority|fair",
    .expected = "'fifo', 'lifo', 'priority' or 'fair'" },
  { .name = "aging", TIME, AT(aging_ns), .min = 1 },
  { .name = "shed",
    .read = read_shed,
    .expected = "'none', or some of 'codel', 'lifo', 'doomed', 'newest', "
                "'oldest' and 'lowest' with commas between them" },
  { .name = "target", TIME, AT(shed.target_ns), .min = 1 },
  { .name = "interval", TIME, AT(shed.interval_ns), .min = 1 },
  { .name = "adaptive",
    .read = read_choice,
    AT(adaptive.algorithm),
    .words = "none|aimd|vegas|gradient2",
    .expected = "'aimd', 'vegas', 'gradient2' or 'none'" },
  { .name = "initial", .read = read_count, AT(adaptive.initial), PERMITS },
  { .name = "min", .read = read_count, AT(adaptive.min), PERMITS },
  { .name = "max", .read = read_count, AT(adaptive.max), PERMITS },
  { .name = "long_window",
    .read = read_count,
    AT(adaptive.long_window),
    PERMITS },
  { .name = "backoff",
    .read = read_number,
    AT(adaptive.backoff),
    .expected = "a number such as 0.9" },
  { .name = "smoothing",
    .read = read_number,
    AT(adaptive.smoothing),
    .expected = "a number such as 0.2" },
  { .name = "tolerance",
    .read = read_number,
    AT(adaptive.tolerance),
    .expected = "a number such as 1.5" },
  { .name = "dry_run",
    .read = read_flag,
    AT(dry_run),
    .expected = "'on' or 'off'" },
};
enum { OPTIONS_COUNT = sizeof OPTIONS / sizeof OPTIONS[0] };

const char *weir_option_name(size_t i) {
  return i < OPTIONS_COUNT ? OPTIONS[i].name : NULL;
}

int weir_parse_option(const char *name, size_t name_size, const char *value,
                      size_t value_size, weir_config *config,
                      const char **expected) {
  word wanted = { name, name_size }, given = { value, value_size };
  *expected = NULL;
  for (size_t i = 0; i < OPTIONS_COUNT; i++) {
    if (!is_word(wanted, OPTIONS[i].name)) continue;
    if (OPTIONS[i].read(given, &OPTIONS[i], config)) return 0;
    *expected = OPTIONS[i].expected;
    return WEIR_E_CONFIG;
  }
  return WEIR_E_CONFIG;
}
