/*
** timers.h - the floor under waits with a deadline: a libevent timer for each,
** added in one order and deleted in another.
*/
#ifndef WEIR_BENCH_TIMERS_H
#define WEIR_BENCH_TIMERS_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef struct timers_case {
  struct timeval delay; /* of the i-th timer to be added */
  uint32_t deleted;     /* index of the i-th timer to be deleted */
} timers_case;

static inline struct timeval timers_interval(double seconds) {
  struct timeval t;
  t.tv_sec = (time_t)seconds;
  t.tv_usec = (suseconds_t)((seconds - (double)t.tv_sec) * 1e6);
  return t;
}

static inline void timers_ignore(evutil_socket_t fd, short what, void *data) {
  (void)fd;
  (void)what;
  (void)data;
}

/* What n timers take, seconds of CPU time; -1: no memory. */
static inline double timers_add_delete(const timers_case *cases, size_t n) {
  struct event_base *base = event_base_new();
  struct event *timers = calloc(n, sizeof *timers);
  clock_t start, spent = -CLOCKS_PER_SEC;
  if (base && timers) {
    for (size_t i = 0; i < n; i++)
      evtimer_assign(&timers[i], base, timers_ignore, NULL);
    start = clock();
    for (size_t i = 0; i < n; i++) evtimer_add(&timers[i], &cases[i].delay);
    for (size_t i = 0; i < n; i++) evtimer_del(&timers[cases[i].deleted]);
    spent = clock() - start;
  }
  free(timers);
  if (base) event_base_free(base);
  return (double)spent / CLOCKS_PER_SEC;
}

#endif
