/*
** sfv.h - reads the part of HTTP's structured fields (RFC 9651) that our fields
** are made of: a list of strings whose parameters are integers and strings.
**
** Written from the RFC and apart from the code that it checks. Whatever else
** the RFC allows (tokens, decimals, inner lists...) is not ours, and false.
*/
#ifndef WEIR_TEST_SFV_H
#define WEIR_TEST_SFV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SFV_ITEMS = 4,      /* of a list */
  SFV_PARAMETERS = 4, /* of an item */
  SFV_KEY = 16,       /* bytes of a parameter's key, with a NUL */
  SFV_STRING = 320    /* bytes of a string, with a NUL */
};

typedef struct sfv_value {
  bool is_string;
  int64_t integer;         /* if it is none */
  char string[SFV_STRING]; /* unescaped, if it is one */
} sfv_value;

typedef struct sfv_parameter {
  char key[SFV_KEY];
  sfv_value value;
} sfv_parameter;

typedef struct sfv_item {
  char name[SFV_STRING];                    /* the string itself, unescaped */
  sfv_parameter parameters[SFV_PARAMETERS]; /* no key comes twice */
  unsigned count;                           /* parameters */
} sfv_item;

typedef struct sfv_list {
  sfv_item items[SFV_ITEMS];
  unsigned count; /* items, at least 1 */
} sfv_list;

/* Whether the text is such a list, and small enough for *out. */
bool sfv_read(const char *text, size_t size, sfv_list *out);

/* An item's parameter; NULL: it has none of that key. */
const sfv_value *sfv_parameter_of(const sfv_item *item, const char *key);

/* Whether an item has this integer; `wanted` negative: whether it has none. */
bool sfv_integer_is(const sfv_item *item, const char *key, int64_t wanted);

#endif
