/*
** json.c - lines that are JSON objects.
**
** Only what replay needs: the members of the object are its fields, a string's
** inside or the text of a number, true or false. null is no value. What is
** nested is looked over and counts for nothing.
*/
#include <string.h>

#include "line.h"

enum { DEPTH_MAX = 32 }; /* of nested values */

typedef struct json {
  const char *text;
  size_t at, size;
} json;

static int peek(const json *j) {
  return j->at < j->size ? (unsigned char)j->text[j->at] : -1;
}

static bool is_space(int c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(json *j) {
  while (is_space(peek(j))) j->at++;
}

static bool take(json *j, char c) {
  skip_space(j);
  if (peek(j) != c) return false;
  j->at++;
  return true;
}

/* Reads a string; the span is its inside. */
static bool string(json *j, weir_log_span *out) {
  size_t from;
  if (!take(j, '"')) return false;
  from = j->at;
  for (; j->at < j->size; j->at++) {
    if (j->text[j->at] == '\\') {
      j->at++;
    } else if (j->text[j->at] == '"') {
      *out = (weir_log_span){ (uint16_t)from, (uint16_t)(j->at - from) };
      j->at++;
      return true;
    }
  }
  j->at = j->size;
  return false;
}

/* Reads a number, true, false or null. */
static bool word(json *j, weir_log_span *out) {
  size_t from = j->at;
  for (; j->at < j->size; j->at++) {
    char c = j->text[j->at];
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' ||
          c == '+' || c == '.' || c == 'E'))
      break;
  }
  *out = (weir_log_span){ (uint16_t)from, (uint16_t)(j->at - from) };
  if (out->size == 4 && memcmp(j->text + from, "null", 4) == 0)
    *out = (weir_log_span){ WEIR_LOG_ABSENT, 0 };
  return j->at > from;
}

/* Looks over an object or a list, whatever is in it. */
static bool skip_nested(json *j) {
  weir_log_span ignored;
  int depth = 0;
  do {
    int c = peek(j);
    if (c < 0) return false;
    if (c == '"') {
      if (!string(j, &ignored)) return false;
      continue;
    }
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (depth > DEPTH_MAX) return false;
    j->at++;
  } while (depth > 0);
  return true;
}

static bool value(json *j, weir_log_span *out) {
  int c;
  skip_space(j);
  c = peek(j);
  if (c == '"') return string(j, out);
  if (c != '{' && c != '[') return word(j, out);
  *out = (weir_log_span){ WEIR_LOG_ABSENT, 0 };
  return skip_nested(j);
}

/* The field of a member. Lines have mostly the same members in the same order:
** `guess` is where it was last time. */
static uint16_t field_of(weir_log_format *format, const char *name, size_t size,
                         uint16_t guess) {
  if (guess < format->count) {
    const weir_log_field *f = &format->fields[guess];
    if (f->name_size == size && memcmp(format->text + f->name, name, size) == 0)
      return guess;
  }
  return weir_log_add(format, name, size);
}

static const char *member(weir_log_format *format, json *j,
                          weir_log_span *fields, uint16_t *guess) {
  weir_log_span name, content;
  uint16_t before = format->count, field;
  skip_space(j);
  if (!string(j, &name)) return "a member's name is missing";
  if (!take(j, ':')) return "a colon is missing";
  if (!value(j, &content)) return "a member's value is missing";
  field = field_of(format, j->text + name.at, name.size, *guess);
  if (field == WEIR_LOG_NO_FIELD) return NULL; /* one too many */
  if (field >= before) fields[field] = (weir_log_span){ WEIR_LOG_ABSENT, 0 };
  if (content.at != WEIR_LOG_ABSENT) fields[field] = content;
  *guess = (uint16_t)(field + 1);
  return NULL;
}

static const char *object(weir_log_format *format, json *j,
                          weir_log_span *fields) {
  const char *why;
  uint16_t guess = 0;
  if (!take(j, '{')) return "it is no JSON object";
  if (take(j, '}')) return NULL;
  do {
    why = member(format, j, fields, &guess);
    if (why) return why;
  } while (take(j, ','));
  return take(j, '}') ? NULL : "the end of the object is missing";
}

const char *weir_log_parse_json(weir_log_format *format, const char *line,
                                size_t size, weir_log_span *fields,
                                size_t *at) {
  json j = { line, 0, size };
  const char *why;
  for (uint16_t i = 0; i < format->count; i++)
    fields[i] = (weir_log_span){ WEIR_LOG_ABSENT, 0 };
  why = object(format, &j, fields);
  skip_space(&j);
  *at = j.at;
  if (!why && j.at < j.size) return "there is more than one JSON object";
  return why;
}

/* --- strings -------------------------------------------------------------- */

/* Four digits behind "\u"; -1: they are none. */
static int32_t unit(const char *text, size_t left) {
  int32_t n = 0;
  if (left < 6 || text[0] != '\\' || text[1] != 'u') return -1;
  for (int i = 2; i < 6; i++) {
    char c = text[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    n = n * 16 + digit;
  }
  return n;
}

/* Writes a code point as UTF-8; never more bytes than its escape has. */
static size_t utf8(uint32_t code, char *out) {
  static const unsigned char LEADS[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
  size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = size; i-- > 1; code >>= 6)
    out[i] = (char)(unsigned char)(0x80 | (code & 0x3F));
  out[0] = (char)(unsigned char)(LEADS[size] | code);
  return size;
}

/* An escaped code point at text[0]; *size: of its escapes. A half of a pair
** alone is U+FFFD. */
static size_t code_point(const char *text, size_t left, size_t *size,
                         char *out) {
  int32_t first = unit(text, left), second;
  *size = 6;
  if (first < 0) {
    *size = 1;
    *out = *text;
    return 1;
  }
  if (first < 0xD800 || first >= 0xE000) return utf8((uint32_t)first, out);
  second = unit(text + 6, left - 6);
  if (first >= 0xDC00 || second < 0xDC00 || second >= 0xE000)
    return utf8(0xFFFD, out);
  *size = 12;
  return utf8(0x10000u + ((uint32_t)(first - 0xD800) << 10) +
                  (uint32_t)(second - 0xDC00),
              out);
}

/* As code_point, of any escape. */
static size_t escape(const char *text, size_t left, size_t *size, char *out) {
  static const char NAMES[] = "btnfr\"\\/", BYTES[] = "\b\t\n\f\r\"\\/";
  const char *name = left > 1 ? memchr(NAMES, text[1], sizeof NAMES - 1) : NULL;
  if (!name) return code_point(text, left, size, out);
  *size = 2;
  *out = BYTES[name - NAMES];
  return 1;
}

size_t weir_log_unescape_json(const char *text, size_t size, char *out) {
  size_t used = 0, step;
  for (size_t at = 0; at < size; at += step) {
    step = 1;
    if (text[at] == '\\')
      used += escape(text + at, size - at, &step, out + used);
    else
      out[used++] = text[at];
  }
  return used;
}
