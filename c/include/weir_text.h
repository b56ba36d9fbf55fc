/*
** weir_text.h - the words around limits: rates, times and options as people
** write them, and what HTTP says of a limit.
**
** Part of the engine (-lweir), and as pure: no memory is allocated, nothing is
** kept.
*/
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
** Reads "100/s", "5/m", "10/250ms": a whole number of tokens, "/", and a time:
** ns, us, ms, s, m (or min), h or d, with a whole number before it or none for
** 1. Blanks and tabs may stand around each. Sets count and per_ns, within what
** weir_rate says of them, and leaves the rest. 0; WEIR_E_CONFIG: it says
** something else, or something out of range; *out is as it was.
*/
WEIR_API int weir_parse_rate(const char *text, size_t size, weir_rate *out);

/*
** Reads "250ms", "1.5s", ".5 h": a decimal number and a unit as above; without
** a unit it is in seconds. Exact, then rounded up to ns; 0 to WEIR_PER_MAX.
** Neither signs nor exponents; a point wants a digit after it. 0;
** WEIR_E_CONFIG, and *ns is as it was.
*/
WEIR_API int weir_parse_duration(const char *text, size_t size, uint64_t *ns);

/*
** Reads one option of a limiter as people write it where there is no Lua:
** "concurrent" and "8", "rate" and "100/s", "shed" and "codel,oldest". Names
** and words are those of weir.rate_limit; what that has in a table of its own
** (shed, adaptive) are options like the others here: "target", "interval",
** "initial", "min", "max", "backoff", "smoothing", "tolerance", "long_window".
** Flags are "on" and "off"; "none" takes concurrent, queue, timeout, rate, shed
** and adaptive back.
**
** Starts from any config and changes what the option says; a rate brings a
** burst of 1 along where there was none. 0; WEIR_E_CONFIG: *expected is what
** was expected, as the end of a sentence, or NULL if there is no such option,
** and *config is as it was. weir_config_check has the last word on the whole.
*/
WEIR_API int weir_parse_option(const char *name, size_t name_size,
                               const char *value, size_t value_size,
                               weir_config *config, const char **expected);

/* The i-th option's name, from 0; NULL: there are no more. Static. */
WEIR_API const char *weir_option_name(size_t i);

/*
** HTTP field values (RFC 9110; draft-ietf-httpapi-ratelimit-headers-11;
** structured fields of RFC 9651). They write at most `size` bytes with a final
** NUL and answer how many there are without it, as snprintf does: an answer of
** `size` or more is a value that was cut off, and not to be sent. 0: there is
** nothing to say. 512 bytes are enough for every limiter's name.
**
** `name` is any text, and "default" for NULL or ""; each byte that a structured
** string cannot hold is written as "?". The config must have passed
** weir_config_check. Numbers beyond what a structured field can hold
** (999,999,999,999,999) are written as that.
**
** A rate is an item of that name. Permits are one, too, and the second one,
** named "<name>-concurrent", where there is a rate.
*/

/* Retry-After: whole seconds, rounded up, at least 1. 0 for NEVER. */
WEIR_API size_t weir_http_retry_after(uint64_t retry_ns, char *buffer,
                                      size_t size);

/*
** RateLimit-Policy, which is the same for every response until the config
** changes:
**
**   "api";q=100;w=60, "api-concurrent";q=8;qu="concurrent-requests"
**
** Of a rate, q is `count` and w its period in seconds. A period that is no
** whole number of seconds is multiplied until it is, and q with it, if that
** takes no more than a minute (10/250ms is q=40;w=1); if it takes more, w is
** the period rounded up and q what the rate gives in that time, rounded down.
** `burst` is not told: it is how much of q can be had at once, or how much more
** than q. Of permits, q is `concurrent`; without it, an adaptive limit's
** maximum.
*/
WEIR_API size_t weir_http_policy(const char *name, const weir_config *config,
                                 char *buffer, size_t size);

/*
** RateLimit: the same items, with what is left (r) and the seconds, rounded up,
** until there is more (t):
**
**   "api";r=0;t=3, "api-concurrent";r=5
**
** Of a rate, r is quota->left, which looks at the permits as well, and t is
** quota->retry_ns or, if that is 0 or not known, quota->reset_ns. Of permits, r
** is key->limit less key->in_use, and t is quota->retry_ns, but with a rate
** beside them only if r is 0. There is no t where nothing is to be waited for
** or it is not known how long, and no item for permits if key->limit is 0.
*/
WEIR_API size_t weir_http_ratelimit(const char *name, const weir_config *config,
                                    const weir_key_info *key,
                                    const weir_quota *quota, char *buffer,
                                    size_t size);

#ifdef __cplusplus
}
#endif
#endif
