/* sfv.c - see sfv.h. */
#include "sfv.h"

#include <string.h>

enum { DIGITS_MAX = 15 }; /* of an integer */

typedef struct reader {
  const char *at;
  const char *end;
} reader;

static bool is_one_of(char c, char first, char last) {
  return c >= first && c <= last;
}

static bool starts_with(const reader *r, char c) {
  return r->at < r->end && *r->at == c;
}

static bool take(reader *r, char c) {
  if (!starts_with(r, c)) return false;
  r->at++;
  return true;
}

static void skip_spaces(reader *r, bool tabs) {
  while (starts_with(r, ' ') || (tabs && starts_with(r, '\t'))) r->at++;
}

/* One character inside of a string, unescaped. */
static bool read_character(reader *r, char *out) {
  bool escaped = take(r, '\\');
  if (r->at == r->end || !is_one_of(*r->at, ' ', '~')) return false;
  *out = *r->at++;
  return !escaped || *out == '"' || *out == '\\';
}

static bool read_string(reader *r, char out[SFV_STRING]) {
  size_t size = 0;
  if (!take(r, '"')) return false;
  while (!take(r, '"')) {
    if (size == SFV_STRING - 1 || !read_character(r, &out[size])) return false;
    size++;
  }
  out[size] = '\0';
  return true;
}

static bool read_integer(reader *r, int64_t *out) {
  bool negative = take(r, '-');
  int digits = 0;
  for (*out = 0; r->at < r->end && is_one_of(*r->at, '0', '9'); r->at++) {
    if (++digits > DIGITS_MAX) return false;
    *out = *out * 10 + (*r->at - '0');
  }
  if (negative) *out = -*out;
  return digits > 0 && !starts_with(r, '.'); /* that would be a decimal */
}

static bool read_value(reader *r, sfv_value *out) {
  out->is_string = starts_with(r, '"');
  if (out->is_string) return read_string(r, out->string);
  return read_integer(r, &out->integer);
}

static bool in_key(char c, bool first) {
  if (is_one_of(c, 'a', 'z') || c == '*') return true;
  return !first && (is_one_of(c, '0', '9') || c == '_' || c == '-' || c == '.');
}

static bool read_key(reader *r, char out[SFV_KEY]) {
  size_t size = 0;
  for (; r->at < r->end && in_key(*r->at, size == 0); r->at++) {
    if (size == SFV_KEY - 1) return false;
    out[size++] = *r->at;
  }
  out[size] = '\0';
  return size > 0;
}

static bool read_parameter(reader *r, sfv_item *item) {
  sfv_parameter *slot = &item->parameters[item->count];
  if (item->count == SFV_PARAMETERS) return false;
  skip_spaces(r, false);
  if (!read_key(r, slot->key) || sfv_parameter_of(item, slot->key))
    return false;
  item->count++;
  return take(r, '=') && read_value(r, &slot->value);
}

static bool read_item(reader *r, sfv_list *list) {
  sfv_item *item = &list->items[list->count];
  if (list->count == SFV_ITEMS) return false;
  list->count++;
  item->count = 0;
  if (!read_string(r, item->name)) return false;
  while (take(r, ';'))
    if (!read_parameter(r, item)) return false;
  return true;
}

bool sfv_read(const char *text, size_t size, sfv_list *out) {
  reader r = { text, text + size };
  out->count = 0;
  skip_spaces(&r, false);
  do {
    if (out->count > 0) skip_spaces(&r, true);
    if (!read_item(&r, out)) return false;
    skip_spaces(&r, true);
  } while (take(&r, ','));
  return r.at == r.end;
}

const sfv_value *sfv_parameter_of(const sfv_item *item, const char *key) {
  for (unsigned i = 0; i < item->count; i++)
    if (!strcmp(item->parameters[i].key, key))
      return &item->parameters[i].value;
  return NULL;
}

bool sfv_integer_is(const sfv_item *item, const char *key, int64_t wanted) {
  const sfv_value *value = sfv_parameter_of(item, key);
  if (!value) return wanted < 0;
  return !value->is_string && wanted >= 0 && value->integer == wanted;
}
