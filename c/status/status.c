/* status.c - see weir_status.h. */
#include "status.h"

#include <stdlib.h>
#include <string.h>

weir_status *weir_status_new(void) {
  weir_status *status = calloc(1, sizeof *status);
  if (status) status->records = WEIR_STATUS_RECORDS;
  return status;
}

void weir_status_free(weir_status *status) {
  if (!status) return;
  free(status->spaces);
  free(status->rows);
  free(status->last.list);
  free(status->gone.list);
  weir_write_free(&status->text);
  free(status);
}

void weir_status_bound(weir_status *status, uint32_t records) {
  status->records = records;
}

void weir_status_clear(weir_status *status) {
  weir_status_remember(status);
  status->space_count = 0;
  status->row_count = 0;
  status->cut = false;
}

/* The room doubles whenever the count comes to a power of two. */
void *weir_status_grow(void *list, uint32_t count, size_t size) {
  if (count & (count - 1)) return list;
  return realloc(list, (count ? 2 * (size_t)count : 1) * size);
}

/* --- names ---------------------------------------------------------------- */

bool weir_status_nameless(const weir_status *status, uint32_t *cursor,
                          weir_limiter *limiter) {
  while (*cursor < status->row_count) {
    const weir_status_row *row = &status->rows[(*cursor)++];
    if (*row->name || *status->spaces[row->space].name) continue;
    *limiter = row->limiter;
    return true;
  }
  return false;
}

void weir_status_name(weir_status *status, uint32_t cursor, const char *name) {
  weir_status_row *row;
  if (!cursor || cursor > status->row_count) return;
  row = &status->rows[cursor - 1];
  weir_write_clean(row->name, sizeof row->name, name);
}

/* --- the text ------------------------------------------------------------- */

const char *weir_status_text(weir_status *status, weir_status_kind kind,
                             size_t *size) {
  weir_writer *text = &status->text;
  weir_write_clear(text);
  switch (kind) {
  case WEIR_STATUS_METRICS: weir_status_metrics(status, text); break;
  case WEIR_STATUS_HTML: weir_status_page(text); break;
  case WEIR_STATUS_JSON:
  default: weir_status_json(status, text);
  }
  *size = 0;
  if (!weir_write_end(text)) return NULL;
  *size = text->size;
  return text->bytes;
}
