/*
** fuzz_text.c - texts to parse, and limits to tell HTTP about.
**
** The whole input is a rate and a duration to parse; then it is cut up into a
** limiter with any values at all, also ones that no check would let through.
** What comes out must be what weir_text.h says, by ways of its own.
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir_text.h>

#include "test/choices.h"
#include "test/sfv.h"

#define SECOND UINT64_C(1000000000)

enum {
  NAME_MAX = 130,   /* bytes; all of them may be escaped */
  BUFFER = 1024,    /* enough for two items of such a name */
  GUARD = 8,        /* bytes behind a buffer that must stay */
  WINDOW_EXACT = 60 /* seconds to which a window grows to be exact */
};

typedef struct limit {
  char name[NAME_MAX + 1];
  weir_config config;
  weir_key_info key;
  weir_quota quota;
} limit;

typedef enum field { RETRY_AFTER, POLICY, RATELIMIT, FIELDS } field;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
  if (!holds) abort();
}

/* --- parsing -------------------------------------------------------------- */

static void parse_duration(const char *text, size_t size) {
  uint64_t ns = 1, again = 2;
  char printed[32];
  int answer = weir_parse_duration(text, size, &ns);
  must(answer == 0 || (answer == WEIR_E_CONFIG && ns == 1));
  if (answer != 0) return;
  must(ns <= WEIR_PER_MAX);
  snprintf(printed, sizeof printed, "%" PRIu64 "ns", ns);
  must(weir_parse_duration(printed, strlen(printed), &again) == 0);
  must(again == ns);
}

static bool same_but_for_size(const weir_rate *a, const weir_rate *b) {
  return a->phase_ns == b->phase_ns && a->burst == b->burst &&
         a->window == b->window && a->aligned == b->aligned;
}

static void parse_rate(const char *text, size_t size) {
  weir_rate before = { 7, 6, 5, 4, WEIR_FIXED, true }, rate = before, again;
  char printed[48];
  int answer = weir_parse_rate(text, size, &rate);
  must(answer == 0 || answer == WEIR_E_CONFIG);
  must(same_but_for_size(&rate, &before));
  if (answer != 0) {
    must(rate.per_ns == 7 && rate.count == 5);
    return;
  }
  must(rate.count >= 1 && rate.count <= WEIR_PERMITS_MAX);
  must(rate.per_ns >= rate.count && rate.per_ns <= WEIR_PER_MAX);
  snprintf(printed, sizeof printed, "%" PRIu32 "/%" PRIu64 "ns", rate.count,
           rate.per_ns);
  must(weir_parse_rate(printed, strlen(printed), &again) == 0);
  must(again.count == rate.count && again.per_ns == rate.per_ns);
}

/* --- a limiter ------------------------------------------------------------ */

/* Up to eight bytes, so that small numbers are as likely as great ones. */
static uint64_t number(choices *from) {
  uint64_t n = 0;
  for (uint32_t bytes = choose(from, 9); bytes > 0; bytes--)
    n = n << 8 | choose(from, 256);
  return n;
}

/* A time: any, or a multiple of 1 ms, of 1 s, or the greatest ones. */
static uint64_t time_of(choices *from) {
  static const uint64_t units[] = { 1, 1000000, SECOND };
  uint32_t kind = choose(from, 4);
  return kind == 3 ? UINT64_MAX - choose(from, 3) : number(from) * units[kind];
}

static void choose_name(choices *from, char name[NAME_MAX + 1]) {
  uint32_t size = choose(from, NAME_MAX + 1);
  for (uint32_t i = 0; i < size; i++) name[i] = (char)choose(from, 256);
  name[size] = '\0';
}

static void choose_limit(choices *from, limit *out) {
  memset(out, 0, sizeof *out);
  out->config.rate.count = (uint32_t)number(from);
  out->config.rate.per_ns = time_of(from);
  out->config.concurrent = (uint32_t)number(from);
  out->config.adaptive.algorithm = (weir_algorithm)choose(from, 4);
  out->config.adaptive.max = (uint32_t)number(from);
  out->key.limit = (uint32_t)number(from);
  out->key.in_use = (uint32_t)number(from);
  out->quota.left = number(from);
  out->quota.retry_ns = time_of(from);
  out->quota.reset_ns = time_of(from);
  choose_name(from, out->name);
}

/* --- fields --------------------------------------------------------------- */

static size_t say(const limit *l, field what, char *buffer, size_t size) {
  if (what == RETRY_AFTER)
    return weir_http_retry_after(l->quota.retry_ns, buffer, size);
  if (what == POLICY)
    return weir_http_policy(l->name, &l->config, buffer, size);
  return weir_http_ratelimit(l->name, &l->config, &l->key, &l->quota, buffer,
                             size);
}

/* The same into a buffer of any size: nothing behind it changes. */
static void check_cut(const limit *l, field what, const char *whole,
                      size_t length, size_t size) {
  char buffer[BUFFER + GUARD], guard[BUFFER + GUARD];
  size_t kept = length < size ? length : size - 1;
  memset(buffer, 'Z', sizeof buffer);
  memset(guard, 'Z', sizeof guard);
  must(say(l, what, buffer, size) == length);
  must(!memcmp(buffer + size, guard, sizeof buffer - size));
  if (size == 0) return;
  must(!memcmp(buffer, whole, kept) && buffer[kept] == '\0');
}

static void check_retry_after(const char *text, uint64_t retry_ns) {
  unsigned long long seconds = strtoull(text, NULL, 10);
  must(strspn(text, "0123456789") == strlen(text));
  must((*text == '\0') == (retry_ns == WEIR_NEVER));
  if (*text == '\0') return;
  must(seconds >= 1 && seconds - 1 <= retry_ns / SECOND);
  must(seconds > retry_ns / SECOND || seconds * SECOND >= retry_ns);
}

/* A name as a structured string can hold it. */
static bool is_name(const char *got, const char *name, const char *suffix) {
  const char *c = *name ? name : "default";
  for (; *c; c++, got++)
    if (*got != (*c >= ' ' && *c <= '~' ? *c : '?')) return false;
  return !strcmp(got, suffix);
}

static int64_t integer_of(const sfv_item *item, const char *key) {
  const sfv_value *value = sfv_parameter_of(item, key);
  must(value && !value->is_string && value->integer >= 0);
  return value->integer;
}

/* `count` x `seconds` / `per`, rounded down: what a rate gives in a time that
** is a number of periods, or less than a second more than some. */
static uint64_t given_in(const weir_rate *rate, uint64_t ns) {
  uint64_t rest = ns % rate->per_ns;
  return rate->count * (ns / rate->per_ns) + rate->count * rest / rate->per_ns;
}

/* The quota is what the rate gives in that time, and the time is the period
** rounded up, or a number of periods. */
static void check_rate_policy(const sfv_item *item, const weir_rate *rate) {
  uint64_t quota = (uint64_t)integer_of(item, "q");
  uint64_t window = (uint64_t)integer_of(item, "w");
  uint64_t ns = window * SECOND;
  must(window >= 1 && item->count == 2);
  if (rate->count > rate->per_ns || rate->per_ns > WEIR_PER_MAX) return;
  must(quota == given_in(rate, ns));
  if (ns - rate->per_ns < SECOND && ns >= rate->per_ns) return;
  must(ns % rate->per_ns == 0 && window <= WINDOW_EXACT);
}

static void check_permits_policy(const sfv_item *item) {
  const sfv_value *unit = sfv_parameter_of(item, "qu");
  must(integer_of(item, "q") >= 1 && item->count == 2);
  must(unit && unit->is_string && !strcmp(unit->string, "concurrent-requests"));
}

/* The parameters of RateLimit: r, and perhaps t. */
static void check_left(const sfv_item *item, uint64_t left) {
  bool waits = sfv_parameter_of(item, "t") != NULL;
  if (left > 999999999999999) left = 999999999999999;
  must((uint64_t)integer_of(item, "r") == left);
  must(item->count == 1u + waits);
  if (waits) must(integer_of(item, "t") >= 1);
}

static void check_rate(const limit *l, field what, const sfv_item *item) {
  must(is_name(item->name, l->name, ""));
  if (what == POLICY)
    check_rate_policy(item, &l->config.rate);
  else
    check_left(item, l->quota.left);
}

static void check_permits(const limit *l, field what, const sfv_item *item,
                          bool second) {
  uint64_t most = l->key.limit, in_use = l->key.in_use;
  must(is_name(item->name, l->name, second ? "-concurrent" : ""));
  if (what == POLICY)
    check_permits_policy(item);
  else
    check_left(item, most > in_use ? most - in_use : 0);
}

static void check_list(const limit *l, field what, const char *text,
                       size_t size) {
  bool rate = l->config.rate.count != 0 && l->config.rate.per_ns != 0;
  bool permits =
      l->config.concurrent != 0 || l->config.adaptive.algorithm != WEIR_STATIC;
  static sfv_list list;
  if (what == RATELIMIT && l->key.limit == 0) permits = false;
  must((size > 0) == (rate || permits));
  if (size == 0) return;
  must(sfv_read(text, size, &list) && list.count == 0u + rate + permits);
  if (rate) check_rate(l, what, &list.items[0]);
  if (permits) check_permits(l, what, &list.items[rate], rate);
}

static void check_field(const limit *l, field what, size_t cut) {
  char buffer[BUFFER];
  size_t size = say(l, what, buffer, sizeof buffer);
  must(size < sizeof buffer && strlen(buffer) == size);
  if (what == RETRY_AFTER)
    check_retry_after(buffer, l->quota.retry_ns);
  else
    check_list(l, what, buffer, size);
  check_cut(l, what, buffer, size, cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  choices from = choices_of_bytes(data, size);
  limit l;
  size_t cut;
  parse_duration((const char *)data, size);
  parse_rate((const char *)data, size);
  cut = (size_t)choose(&from, 256) * 2;
  choose_limit(&from, &l);
  for (field what = RETRY_AFTER; what < FIELDS; what++)
    check_field(&l, what, cut);
  return 0;
}
