/*
** loop.h - what the files of the libevent host share.
*/
#ifndef WEIR_EVENT_LOOP_H
#define WEIR_EVENT_LOOP_H

#include <event2/event.h>
#include <weir_event.h>

struct evdns_base;

struct weir_loop {
  weir_port *port;         /* not owned */
  struct event_base *base; /* owned if `owns_base` */
  struct event *timer;     /* the earliest deadline */
  struct event *turn_due;  /* runs the turn; see weir_loop_kick */
  struct event *bell;      /* watches weir_fd; NULL: there is none */
  weir_loop_turn_fn *turn;
  void *data;     /* the turn's */
  uint64_t armed; /* ns: what `timer` is set to; WEIR_NEVER: not set */
  struct weir_watch *watches; /* all that are not freed */
  struct evdns_base *dns;     /* NULL until a name is looked up */
  bool canceled;              /* a lookup was, under way */
  bool owns_base;
  bool kicked;    /* turn_due is active, or due at once */
  bool in_turn;   /* `turn` is running */
  bool listening; /* `bell` is pending */
};

#endif
