/*
** watch.c - a parked ticket that waits for a descriptor.
*/
#include <stdlib.h>

#include "loop.h"

struct weir_watch {
  weir_loop *loop;     /* not owned */
  weir_ticket ticket;  /* to be woken */
  struct event *event; /* one-shot */
  weir_watch *next;    /* in loop->watches */
  weir_watch **link;   /* what points here */
};

/* Whether the ticket was still to be decided. */
static bool wake(weir_watch *watch) {
  if (weir_wake(watch->loop->port, watch->ticket)) return false;
  weir_loop_touch(watch->loop);
  return true;
}

static void on_ready(evutil_socket_t fd, short what, void *data) {
  (void)fd;
  (void)what;
  wake(data);
}

static void link_in(weir_loop *loop, weir_watch *watch) {
  watch->next = loop->watches;
  watch->link = &loop->watches;
  if (watch->next) watch->next->link = &watch->next;
  loop->watches = watch;
}

weir_watch *weir_watch_new(weir_loop *loop, int fd, bool write,
                           weir_ticket ticket) {
  weir_watch *watch = fd < 0 ? NULL : calloc(1, sizeof *watch);
  if (!watch) return NULL;
  watch->loop = loop;
  watch->ticket = ticket;
  link_in(loop, watch);
  watch->event =
      event_new(loop->base, fd, write ? EV_WRITE : EV_READ, on_ready, watch);
  if (watch->event && event_add(watch->event, NULL) == 0) return watch;
  weir_watch_free(watch);
  return NULL;
}

void weir_watch_free(weir_watch *watch) {
  if (!watch) return;
  if (watch->event) event_free(watch->event);
  *watch->link = watch->next;
  if (watch->next) watch->next->link = watch->link;
  free(watch);
}

int weir_loop_wake_fd(weir_loop *loop, int fd) {
  int woken = 0;
  for (weir_watch *watch = loop->watches; watch; watch = watch->next)
    if (event_get_fd(watch->event) == fd) {
      event_del(watch->event); /* before the descriptor is gone */
      woken += wake(watch);
    }
  return woken;
}
