/*
** text.h - a text that grows. Where memory runs out it is lost, and says so at
** the end: nobody has to ask in between.
*/
#ifndef WEIR_STATUS_TEXT_H
#define WEIR_STATUS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct weir_text {
  char *bytes;
  size_t size; /* bytes, without a NUL */
  size_t room;
  bool lost; /* there was no memory for all of it */
} weir_text;

void weir_text_clear(weir_text *text);
void weir_text_free(weir_text *text);

void weir_text_add(weir_text *text, const char *bytes, size_t size);
void weir_text_put(weir_text *text, const char *string);

/* A number, and ns as seconds, exactly: "2.0", "0.000000001". */
void weir_text_number(weir_text *text, uint64_t number);
void weir_text_seconds(weir_text *text, uint64_t ns);

/* As it stands between the quotes of a JSON string; of a metric's label. */
void weir_text_json(weir_text *text, const char *string);
void weir_text_label(weir_text *text, const char *string);

/* Copies a string as far as `room` goes, with U+FFFD in the place of each byte
** that is no UTF-8, no character cut. */
void weir_text_clean(char *to, size_t room, const char *string);

/* A NUL at its end; false: it is lost. */
bool weir_text_end(weir_text *text);

#endif
