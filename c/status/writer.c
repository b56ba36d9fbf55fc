/* writer.c - see writer.h. */
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NS_PER_S = 1000000000, FIRST = 4096 };

void weir_write_clear(weir_writer *text) {
  text->size = 0;
  text->lost = false;
}

void weir_write_free(weir_writer *text) {
  free(text->bytes);
  *text = (weir_writer){ NULL, 0, 0, false };
}

/* --- growing -------------------------------------------------------------- */

static bool make_room(weir_writer *text, size_t more) {
  size_t room = text->room ? text->room : FIRST;
  char *bytes;
  if (text->lost) return false;
  if (more <= text->room - text->size) return true;
  while (room - text->size < more) room *= 2;
  bytes = realloc(text->bytes, room);
  text->lost = !bytes;
  if (!bytes) return false;
  text->bytes = bytes;
  text->room = room;
  return true;
}

void weir_write_add(weir_writer *text, const char *bytes, size_t size) {
  if (!make_room(text, size)) return;
  memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
}

void weir_write_put(weir_writer *text, const char *string) {
  weir_write_add(text, string, strlen(string));
}

bool weir_write_end(weir_writer *text) {
  weir_write_add(text, "", 1);
  if (!text->lost) text->size--;
  return !text->lost;
}

/* --- numbers -------------------------------------------------------------- */

void weir_write_number(weir_writer *text, uint64_t number) {
  char digits[24];
  snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
  weir_write_put(text, digits);
}

void weir_write_seconds(weir_writer *text, uint64_t ns) {
  char digits[40];
  int size = snprintf(digits, sizeof digits, "%llu.%09llu",
                      (unsigned long long)(ns / NS_PER_S),
                      (unsigned long long)(ns % NS_PER_S));
  while (digits[size - 1] == '0' && digits[size - 2] != '.') size--;
  weir_write_add(text, digits, (size_t)size);
}

/* --- strings -------------------------------------------------------------- */

/* Puts what is special in place of bytes that must not stand there. */
static void escape(weir_writer *text, const char *string,
                   const char *(*special)(unsigned char c, char *room)) {
  const char *from = string;
  char room[8];
  for (; *string; string++) {
    const char *instead = special((unsigned char)*string, room);
    if (!instead) continue;
    weir_write_add(text, from, (size_t)(string - from));
    weir_write_put(text, instead);
    from = string + 1;
  }
  weir_write_add(text, from, (size_t)(string - from));
}

/* "<" and its like are no matter to JSON, but to whoever puts it in a page. */
static const char *in_json(unsigned char c, char *room) {
  if (c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' &&
      c != 0x7f)
    return NULL;
  snprintf(room, 8, "\\u%04x", c);
  return room;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): of a type with in_json */
static const char *in_label(unsigned char c, char *room) {
  (void)room;
  switch (c) {
  case '\\': return "\\\\";
  case '"': return "\\\"";
  case '\n': return "\\n";
  default: return NULL;
  }
}

void weir_write_json(weir_writer *text, const char *string) {
  escape(text, string, in_json);
}

void weir_write_label(weir_writer *text, const char *string) {
  escape(text, string, in_label);
}

/* --- UTF-8 ---------------------------------------------------------------- */

/* How many bytes the character at `s` has; 0: it is none. The first byte says
** how many, and with the second that it is the shortest form and no surrogate.
*/
static size_t character(const unsigned char *s) {
  static const struct {
    unsigned char first, last, low, high, size;
  } kinds[] = {
    { 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
    { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
    { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
    { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
    { 0xf4, 0xf4, 0x80, 0x8f, 4 },
  };
  size_t i = 0, size = 1;
  while (i < sizeof kinds / sizeof *kinds &&
         !(*s >= kinds[i].first && *s <= kinds[i].last))
    i++;
  if (i == sizeof kinds / sizeof *kinds) return 0;
  if (kinds[i].size == 1) return 1;
  if (s[1] < kinds[i].low || s[1] > kinds[i].high) return 0;
  for (size = 2; size < kinds[i].size; size++)
    if ((s[size] & 0xc0) != 0x80) return 0;
  return size;
}

void weir_write_clean(char *to, size_t room, const char *string) {
  static const char instead[] = "\xEF\xBF\xBD";
  const unsigned char *s = (const unsigned char *)string;
  while (*s) {
    size_t size = character(s);
    const void *from = size ? (const void *)s : (const void *)instead;
    size_t put = size ? size : sizeof instead - 1;
    if (put >= room) break;
    memcpy(to, from, put);
    to += put;
    room -= put;
    s += size ? size : 1;
  }
  *to = '\0';
}
