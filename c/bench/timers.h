/*
** timers.h - the floor under a wait with a deadline: a libevent timer for each
** waiter, added in order of arrival and deleted in another order.
*/
#ifndef WEIR_BENCH_TIMERS_H
#define WEIR_BENCH_TIMERS_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline double timers_seconds(void) {
  return (double)clock() / CLOCKS_PER_SEC; /* of CPU time, as os.clock */
}

static inline void timers_ignore(evutil_socket_t fd, short what, void *data) {
  (void)fd;
  (void)what;
  (void)data;
}

static inline struct event_base *timers_base(void) {
  struct event_config *config = event_config_new();
  struct event_base *base = NULL;
  if (!config) return NULL;
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

/* Adds n timers, deletes them in the order of `order` (indices from 0);
** `delay_us` says when each is due. Seconds of CPU time, or -1. */
static inline double timers_add_delete(uint32_t n, const uint32_t *order,
                                       const uint32_t *delay_us) {
  struct event_base *base = timers_base();
  struct event *timers = calloc(n, sizeof *timers);
  double start, spent = -1;
  if (base && timers) {
    for (uint32_t i = 0; i < n; i++)
      evtimer_assign(&timers[i], base, timers_ignore, NULL);
    start = timers_seconds();
    for (uint32_t i = 0; i < n; i++) {
      struct timeval delay = { delay_us[i] / 1000000, delay_us[i] % 1000000 };
      evtimer_add(&timers[i], &delay);
    }
    for (uint32_t i = 0; i < n; i++) evtimer_del(&timers[order[i]]);
    spent = timers_seconds() - start;
  }
  free(timers);
  if (base) event_base_free(base);
  return spent;
}

#endif
