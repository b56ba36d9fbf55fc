/* text.c - see text.h. */
#include "text.h"

#include <string.h>

void weir_text_begin(weir_text *text, char *buffer, size_t size) {
  text->at = buffer;
  text->room = size;
  text->size = 0;
}

void weir_text_byte(weir_text *text, char c) {
  if (text->size < text->room) text->at[text->size] = c;
  text->size++;
}

void weir_text_bytes(weir_text *text, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) weir_text_byte(text, bytes[i]);
}

void weir_text_string(weir_text *text, const char *string) {
  weir_text_bytes(text, string, strlen(string));
}

void weir_text_number(weir_text *text, uint64_t n) {
  char digits[20]; /* what UINT64_MAX has */
  size_t first = sizeof digits;
  do digits[--first] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  weir_text_bytes(text, digits + first, sizeof digits - first);
}

size_t weir_text_end(weir_text *text) {
  size_t last = text->size;
  if (text->room == 0) return text->size;
  if (last >= text->room) last = text->room - 1;
  text->at[last] = '\0';
  return text->size;
}
