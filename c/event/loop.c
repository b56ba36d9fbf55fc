/*
** loop.c - one timer for all deadlines, one turn for all who were decided.
*/
#include "loop.h"

#include <event2/dns.h>
#include <stdlib.h>
#include <time.h>

enum { NS_PER_S = 1000000000, NS_PER_US = 1000, US_PER_S = 1000000 };

uint64_t weir_loop_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A base of our own: without locks, since one thread runs it, and with timers
** finer than epoll's milliseconds, since limits are often finer. */
static struct event_base *new_base(void) {
  struct event_config *config = event_config_new();
  struct event_base *base;
  if (!config) return NULL;
  event_config_set_flag(config,
                        EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
  base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

static void on_turn(evutil_socket_t fd, short what, void *data) {
  weir_loop *loop = data;
  (void)fd;
  (void)what;
  loop->kicked = false;
  loop->in_turn = true;
  loop->turn(loop->data);
  weir_loop_touch(loop);
  loop->in_turn = false;
}

static void on_bell(evutil_socket_t fd, short what, void *data) {
  weir_loop *loop = data;
  (void)fd;
  (void)what;
  weir_advance(loop->port, weir_loop_now());
  weir_loop_touch(loop);
}

/* libevent's timers start from its cached time and may come early against
** ours; advance expires nothing early, and touch waits for the rest. */
static void on_timer(evutil_socket_t fd, short what, void *data) {
  weir_loop *loop = data;
  (void)fd;
  (void)what;
  loop->armed = WEIR_NEVER;
  weir_advance(loop->port, weir_loop_now());
  weir_loop_touch(loop);
}

weir_loop *weir_loop_new(weir_port *port, struct event_base *base,
                         weir_loop_turn_fn *turn, void *data) {
  weir_loop *loop = calloc(1, sizeof *loop);
  if (!loop) return NULL;
  loop->port = port;
  loop->turn = turn;
  loop->data = data;
  loop->armed = WEIR_NEVER;
  loop->owns_base = !base;
  loop->base = base ? base : new_base();
  if (loop->base) {
    loop->timer = evtimer_new(loop->base, on_timer, loop);
    loop->turn_due = event_new(loop->base, -1, 0, on_turn, loop);
    if (weir_fd(port) >= 0)
      loop->bell = event_new(loop->base, weir_fd(port), EV_READ | EV_PERSIST,
                             on_bell, loop);
  }
  if (loop->timer && loop->turn_due && !loop->bell == (weir_fd(port) < 0))
    return loop;
  weir_loop_free(loop);
  return NULL;
}

static void on_dns_idle(evutil_socket_t fd, short what, void *dns) {
  (void)fd;
  (void)what;
  evdns_base_free(dns, 0);
}

/* A lookup that was freed under way is told by the resolver in the base's next
** turns, and the resolver must last until then: a base of our own takes a turn
** for it; on another's a timer frees it behind what is active already. */
static void free_dns(weir_loop *loop) {
  static const struct timeval at_once = { 0, 0 };
  if (!loop->dns) return;
  if (loop->canceled && loop->owns_base) {
    event_base_loop(loop->base, EVLOOP_NONBLOCK);
  } else if (loop->canceled) {
    event_base_once(loop->base, -1, EV_TIMEOUT, on_dns_idle, loop->dns,
                    &at_once);
    return;
  }
  evdns_base_free(loop->dns, 0);
}

void weir_loop_free(weir_loop *loop) {
  if (!loop) return;
  if (loop->timer) event_free(loop->timer);
  if (loop->turn_due) event_free(loop->turn_due);
  if (loop->bell) event_free(loop->bell);
  free_dns(loop);
  if (loop->owns_base && loop->base) event_base_free(loop->base);
  free(loop);
}

struct event_base *weir_loop_base(const weir_loop *loop) {
  return loop->base;
}

/* From now until a deadline, rounded up so that it is not asked for early. */
static struct timeval time_left(uint64_t deadline) {
  uint64_t now = weir_loop_now();
  uint64_t us = deadline > now ? (deadline - now - 1) / NS_PER_US + 1 : 0;
  struct timeval left;
  left.tv_sec = (time_t)(us / US_PER_S);
  left.tv_usec = (suseconds_t)(us % US_PER_S);
  return left;
}

static void arm(weir_loop *loop) {
  uint64_t deadline = weir_deadline(loop->port);
  struct timeval left;
  if (deadline == loop->armed) return;
  loop->armed = deadline;
  if (deadline == WEIR_NEVER) {
    evtimer_del(loop->timer);
    return;
  }
  left = time_left(deadline);
  evtimer_add(loop->timer, &left);
}

/* An event that is made active in its own callback runs again before the base
** looks at its descriptors: from within a turn the next one is asked for as a
** timer that is due, so that input is never starved. */
void weir_loop_kick(weir_loop *loop) {
  static const struct timeval at_once = { 0, 0 };
  if (loop->kicked) return;
  loop->kicked = true;
  if (loop->in_turn)
    evtimer_add(loop->turn_due, &at_once);
  else
    event_active(loop->turn_due, EV_TIMEOUT, 0);
}

/* Others can only decide those who wait; so that a loop ends that nobody waits
** in, the bell is heard just as long. */
static void heed(weir_loop *loop) {
  bool waiting = loop->bell && weir_waiting(loop->port);
  if (waiting == loop->listening) return;
  loop->listening = waiting;
  if (waiting)
    event_add(loop->bell, NULL);
  else
    event_del(loop->bell);
}

void weir_loop_touch(weir_loop *loop) {
  if (weir_pending(loop->port)) weir_loop_kick(loop);
  heed(loop);
  arm(loop);
}

int weir_loop_once(weir_loop *loop, bool block) {
  int left =
      event_base_loop(loop->base, EVLOOP_ONCE | (block ? 0 : EVLOOP_NONBLOCK));
  return left < 0 ? -1 : left == 0;
}

void weir_loop_break(weir_loop *loop) { event_base_loopbreak(loop->base); }
