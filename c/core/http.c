/*
** http.c - what HTTP says of a limit.
**
** Field values are lists of structured fields (RFC 9651): strings, each with
** integers as its parameters. Everything that is rounded is rounded to the
** client's disadvantage: times up, quotas down.
*/
#include <weir_text.h>

#include "text.h"
#include "tuner.h"

#define SECOND ((uint64_t)1000000000)      /* ns */
#define INTEGER_MAX 999999999999999u       /* of a structured field */
#define CONCURRENT "-concurrent"           /* told from the rate by its name */
#define UNIT ";qu=\"concurrent-requests\"" /* its quota is not requests */

enum { EXACT_MAX = 60 }; /* seconds a window grows to, to be exact */

/* A rate as HTTP can put it: so much in so many whole seconds. */
typedef struct quota_window {
  uint64_t quota;
  uint64_t seconds;
} quota_window;

static uint64_t seconds_up(uint64_t ns) {
  return ns / SECOND + (ns % SECOND != 0);
}

/* A period of 0 passes no check; it must not divide anything either. */
static bool has_rate(const weir_config *config) {
  return config->rate.count != 0 && config->rate.per_ns != 0;
}

static bool has_permits(const weir_config *config) {
  return config->concurrent != 0 || config->adaptive.algorithm != WEIR_STATIC;
}

/* The most permits there can be. */
static uint32_t permits_max(const weir_config *config) {
  return config->concurrent ? config->concurrent
                            : weir_adaptive_complete(&config->adaptive).max;
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/*
** The shortest window of whole seconds that is a whole number of periods, if a
** minute is enough for it. If not, the period rounded up, with as many whole
** tokens as the rate gives in that time: count x window / per, taken apart so
** that it fits 64 bits.
*/
static quota_window window_of(const weir_rate *rate) {
  uint64_t per = rate->per_ns, divisor = common_divisor(per, SECOND);
  uint64_t longer = seconds_up(per), added = (SECOND - per % SECOND) % SECOND;
  if (per / divisor <= EXACT_MAX)
    return (quota_window){ rate->count * (SECOND / divisor), per / divisor };
  return (quota_window){ rate->count + rate->count * added / per, longer };
}

/* A structured string holds printable ASCII only. */
static void put_character(weir_text *text, char c) {
  if (c == '"' || c == '\\') weir_text_byte(text, '\\');
  if (c < ' ' || c > '~') c = '?';
  weir_text_byte(text, c);
}

static void put_name(weir_text *text, const char *name, const char *suffix) {
  if (!name || !*name) name = "default";
  weir_text_byte(text, '"');
  for (; *name; name++) put_character(text, *name);
  weir_text_string(text, suffix);
  weir_text_byte(text, '"');
}

/* `key` is ";q=" or the like. */
static void put_parameter(weir_text *text, const char *key, uint64_t n) {
  weir_text_string(text, key);
  weir_text_number(text, n < INTEGER_MAX ? n : INTEGER_MAX);
}

/* Nothing if there is nothing to wait for, or nobody knows how long. */
static void put_wait(weir_text *text, uint64_t ns) {
  if (ns != 0 && ns != WEIR_NEVER) put_parameter(text, ";t=", seconds_up(ns));
}

/* The item of the permits comes second and is named after what is first. */
static void put_permits_name(weir_text *text, const char *name,
                             const weir_config *config) {
  bool second = has_rate(config);
  if (second) weir_text_string(text, ", ");
  put_name(text, name, second ? CONCURRENT : "");
}

size_t weir_http_retry_after(uint64_t retry_ns, char *buffer, size_t size) {
  weir_text text;
  uint64_t seconds = seconds_up(retry_ns);
  weir_text_begin(&text, buffer, size);
  if (retry_ns != WEIR_NEVER)
    weir_text_number(&text, seconds != 0 ? seconds : 1);
  return weir_text_end(&text);
}

static void put_rate_policy(weir_text *text, const char *name,
                            const weir_config *config) {
  quota_window window = window_of(&config->rate);
  put_name(text, name, "");
  put_parameter(text, ";q=", window.quota);
  put_parameter(text, ";w=", window.seconds);
}

size_t weir_http_policy(const char *name, const weir_config *config,
                        char *buffer, size_t size) {
  weir_text text;
  weir_text_begin(&text, buffer, size);
  if (has_rate(config)) put_rate_policy(&text, name, config);
  if (has_permits(config)) {
    put_permits_name(&text, name, config);
    put_parameter(&text, ";q=", permits_max(config));
    weir_text_string(&text, UNIT);
  }
  return weir_text_end(&text);
}

static void put_rate_left(weir_text *text, const char *name,
                          const weir_quota *quota) {
  bool waits = quota->retry_ns != 0 && quota->retry_ns != WEIR_NEVER;
  put_name(text, name, "");
  put_parameter(text, ";r=", quota->left);
  put_wait(text, waits ? quota->retry_ns : quota->reset_ns);
}

/* With a rate beside it, a wait is the permits' own only if none is left. */
static void put_permits_left(weir_text *text, const char *name,
                             const weir_config *config,
                             const weir_key_info *key,
                             const weir_quota *quota) {
  uint64_t left = key->limit > key->in_use ? key->limit - key->in_use : 0;
  put_permits_name(text, name, config);
  put_parameter(text, ";r=", left);
  if (left == 0 || !has_rate(config)) put_wait(text, quota->retry_ns);
}

size_t weir_http_ratelimit(const char *name, const weir_config *config,
                           const weir_key_info *key, const weir_quota *quota,
                           char *buffer, size_t size) {
  weir_text text;
  weir_text_begin(&text, buffer, size);
  if (has_rate(config)) put_rate_left(&text, name, quota);
  if (has_permits(config) && key->limit != 0)
    put_permits_left(&text, name, config, key, quota);
  return weir_text_end(&text);
}
