/*
** text.h - writing into a bounded buffer without the C library's formats.
*/
#ifndef WEIR_CORE_TEXT_H
#define WEIR_CORE_TEXT_H

#include <weir.h>

/* A text being written: `size` counts on past the end of the buffer, as
** snprintf does, so that the caller can tell how much was wanted. */
typedef struct weir_text {
  char *at;    /* the buffer; may be NULL if room is 0 */
  size_t room; /* bytes of it */
  size_t size; /* bytes written or wanted, the final NUL not counted */
} weir_text;

/* Starts a text in a buffer of this size; NULL will do for one of 0. */
void weir_text_begin(weir_text *text, char *buffer, size_t size);

void weir_text_byte(weir_text *text, char c);
void weir_text_bytes(weir_text *text, const char *bytes, size_t size);
void weir_text_string(weir_text *text, const char *string);
void weir_text_number(weir_text *text, uint64_t n);

/* Ends it with a NUL, inside the buffer; answers `size`. */
size_t weir_text_end(weir_text *text);

#endif
