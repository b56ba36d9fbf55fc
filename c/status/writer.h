/*
** writer.h - a text that grows. Where memory runs out it is lost, and says so
** at the end: nobody has to ask in between.
*/
#ifndef WEIR_STATUS_WRITER_H
#define WEIR_STATUS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct weir_writer {
  char *bytes;
  size_t size; /* bytes, without a NUL */
  size_t room;
  bool lost; /* there was no memory for all of it */
} weir_writer;

void weir_write_clear(weir_writer *text);
void weir_write_free(weir_writer *text);

void weir_write_add(weir_writer *text, const char *bytes, size_t size);
void weir_write_put(weir_writer *text, const char *string);

/* A number, and ns as seconds, exactly: "2.0", "0.000000001". */
void weir_write_number(weir_writer *text, uint64_t number);
void weir_write_seconds(weir_writer *text, uint64_t ns);

/* As it stands between the quotes of a JSON string; of a metric's label. */
void weir_write_json(weir_writer *text, const char *string);
void weir_write_label(weir_writer *text, const char *string);

/* Copies a string as far as `room` goes, with U+FFFD in the place of each byte
** that is no UTF-8, no character cut. */
void weir_write_clean(char *to, size_t room, const char *string);

/* A NUL at its end; false: it is lost. */
bool weir_write_end(weir_writer *text);

#endif
