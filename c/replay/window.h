/*
** window.h - lines on their way into order of time.
**
** PURPOSE
**   A log is nearly in order: servers write several processes' lines, and lines
**   are written when a request ends. A window holds lines until nothing earlier
**   can come any more: until one has come that is `span_ns` later, or there are
**   too many of them.
**
**   Those that come in order, which is nearly all, are a queue; the others a
**   heap. Lines of the same time stay in the order in which they came.
**
** OWNERSHIP
**   Lines are the caller's: a window knows their numbers alone.
*/
#ifndef WEIR_LOG_WINDOW_H
#define WEIR_LOG_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct weir_log_entry {
  uint64_t time_ns;
  uint64_t number; /* in order of coming */
  uint32_t line;
} weir_log_entry;

typedef struct weir_log_window {
  uint64_t span_ns;
  uint64_t newest_ns;    /* the latest time that has come */
  uint64_t comes;        /* how many have come */
  uint32_t most;         /* how many it holds at most */
  bool over;             /* nothing more comes: all may go */
  weir_log_entry *queue; /* a ring: */
  uint32_t queue_size, queue_first, queue_count;
  weir_log_entry *heap;
  uint32_t heap_size, heap_count;
} weir_log_window;

void weir_log_window_init(weir_log_window *window, uint64_t span_ns,
                          uint32_t most);
void weir_log_window_fini(weir_log_window *window);

/* Takes a line. false: no memory. */
bool weir_log_window_put(weir_log_window *window, uint64_t time_ns,
                         uint32_t line);

/* The earliest line, if it may go; NULL: none, or something earlier may yet
** come. Until the next put or drop. */
const weir_log_entry *weir_log_window_peek(const weir_log_window *window);

/* The earliest line, whether it may go or not; NULL: none. */
const weir_log_entry *weir_log_window_first(const weir_log_window *window);

/* A line that will be the earliest soon; NULL: nobody knows one. */
const weir_log_entry *weir_log_window_ahead(const weir_log_window *window,
                                            uint32_t lines);

/* Takes the earliest line off. */
void weir_log_window_drop(weir_log_window *window);

static inline uint32_t weir_log_window_count(const weir_log_window *window) {
  return window->queue_count + window->heap_count;
}

#endif
