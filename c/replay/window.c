/* window.c - see window.h. */
#include <stdlib.h>
#include <string.h>

#include "window.h"

enum { FIRST = 64 }; /* places at first */

void weir_log_window_init(weir_log_window *window, uint64_t span_ns,
                          uint32_t most) {
  memset(window, 0, sizeof *window);
  window->span_ns = span_ns;
  window->most = most;
}

void weir_log_window_fini(weir_log_window *window) {
  free(window->queue);
  free(window->heap);
  window->queue = window->heap = NULL;
}

static bool earlier(const weir_log_entry *a, const weir_log_entry *b) {
  return a->time_ns != b->time_ns ? a->time_ns < b->time_ns
                                  : a->number < b->number;
}

/* --- the queue ------------------------------------------------------------ */

static weir_log_entry *queue_at(const weir_log_window *w, uint32_t i) {
  return &w->queue[(w->queue_first + i) & (w->queue_size - 1)];
}

static bool grow_queue(weir_log_window *w) {
  uint32_t size = w->queue_size ? w->queue_size * 2 : FIRST;
  weir_log_entry *queue = malloc(size * sizeof *queue);
  if (!queue) return false;
  for (uint32_t i = 0; i < w->queue_count; i++) queue[i] = *queue_at(w, i);
  free(w->queue);
  w->queue = queue;
  w->queue_size = size;
  w->queue_first = 0;
  return true;
}

static bool put_last(weir_log_window *w, const weir_log_entry *entry) {
  if (w->queue_count == w->queue_size && !grow_queue(w)) return false;
  *queue_at(w, w->queue_count++) = *entry;
  return true;
}

/* --- the heap ------------------------------------------------------------- */

static bool grow_heap(weir_log_window *w) {
  uint32_t size = w->heap_size ? w->heap_size * 2 : FIRST;
  weir_log_entry *heap = realloc(w->heap, size * sizeof *heap);
  if (!heap) return false;
  w->heap = heap;
  w->heap_size = size;
  return true;
}

static bool push(weir_log_window *w, const weir_log_entry *entry) {
  uint32_t at = w->heap_count;
  if (at == w->heap_size && !grow_heap(w)) return false;
  w->heap_count++;
  for (; at > 0 && earlier(entry, &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
    w->heap[at] = w->heap[(at - 1) / 2];
  w->heap[at] = *entry;
  return true;
}

static void pop(weir_log_window *w) {
  const weir_log_entry last = w->heap[--w->heap_count];
  uint32_t at = 0, child;
  for (; (child = 2 * at + 1) < w->heap_count; at = child) {
    if (child + 1 < w->heap_count &&
        earlier(&w->heap[child + 1], &w->heap[child]))
      child++;
    if (!earlier(&w->heap[child], &last)) break;
    w->heap[at] = w->heap[child];
  }
  w->heap[at] = last;
}

/* --- both ----------------------------------------------------------------- */

bool weir_log_window_put(weir_log_window *w, uint64_t time_ns, uint32_t line) {
  weir_log_entry entry = { time_ns, w->comes++, line };
  if (time_ns > w->newest_ns) w->newest_ns = time_ns;
  if (!w->queue_count || time_ns >= queue_at(w, w->queue_count - 1)->time_ns)
    return put_last(w, &entry);
  return push(w, &entry);
}

static bool heap_is_first(const weir_log_window *w) {
  return w->heap_count &&
         (!w->queue_count || earlier(&w->heap[0], queue_at(w, 0)));
}

const weir_log_entry *weir_log_window_first(const weir_log_window *w) {
  if (!weir_log_window_count(w)) return NULL;
  return heap_is_first(w) ? &w->heap[0] : queue_at(w, 0);
}

const weir_log_entry *weir_log_window_peek(const weir_log_window *w) {
  const weir_log_entry *first = weir_log_window_first(w);
  if (!first) return NULL;
  if (w->over || weir_log_window_count(w) >= w->most ||
      (w->newest_ns >= w->span_ns &&
       first->time_ns < w->newest_ns - w->span_ns))
    return first;
  return NULL;
}

const weir_log_entry *weir_log_window_ahead(const weir_log_window *w,
                                            uint32_t lines) {
  return lines < w->queue_count ? queue_at(w, lines) : NULL;
}

void weir_log_window_drop(weir_log_window *w) {
  if (heap_is_first(w)) {
    pop(w);
    return;
  }
  w->queue_first = (w->queue_first + 1) & (w->queue_size - 1);
  w->queue_count--;
}
