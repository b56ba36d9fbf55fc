/*
** loop.c - weir joins the event_base of a C program.
**
** The program has a loop: it reads orders, a byte each, from a pipe, and works
** on each for a few milliseconds (here: a timer). weir lets two orders be
** worked on at once; the others wait for their turn in the same loop.
**
**   cc loop.c $(pkg-config --cflags --libs weir-event libevent_core)
*/
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weir_event.h>

enum { PERMITS = 2 };
static const char ORDERS[] = "abcdef";
static const struct timeval WORK = { 0, 2000 }; /* 2 ms */

static struct event_base *base; /* the program's own */
static struct event *reader;
static weir_port *port;
static weir_limiter kitchen;
static weir_loop *loop; /* drives the port on that base */

static weir_ticket held[128]; /* by order */
static int running, most, done;
static char started[sizeof ORDERS];

/* The work on one order is done. weir cannot know of a release outside of its
** turn: it is told by a touch, and the next order starts from the loop. */
static void on_done(evutil_socket_t fd, short what, void *data) {
  const char *order = data;
  (void)fd;
  (void)what;
  running--;
  done++;
  printf("%c is done\n", *order);
  weir_release(port, held[(int)*order], WEIR_DONE, weir_loop_now());
  weir_loop_touch(loop);
}

static void start(int order, weir_ticket ticket) {
  void *name = strchr(ORDERS, order);
  held[order] = ticket;
  started[strlen(started)] = (char)order;
  if (++running > most) most = running;
  printf("%c starts\n", order);
  event_base_once(base, -1, EV_TIMEOUT, on_done, name, &WORK);
}

/* Called by the loop, once for all who were decided since the last time. */
static void turn(void *data) {
  weir_event event;
  (void)data;
  while (weir_next(port, &event)) start((int)event.cookie, event.ticket);
}

static void on_order(evutil_socket_t fd, short what, void *data) {
  weir_request request = { 0 };
  weir_ticket ticket;
  char order;
  (void)what;
  (void)data;
  if (read(fd, &order, 1) < 1) { /* the other end is closed: no more orders */
    event_del(reader);
    return;
  }
  request.cookie = (uint64_t)order;
  if (weir_acquire(port, kitchen, &request, weir_loop_now(), &ticket) ==
      WEIR_ADMITTED)
    start(order, ticket);
  weir_loop_touch(loop);
}

/* Whether weir could be set up on the program's base. */
static int join(weir_space *space) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = PERMITS;
  port = space ? weir_port_attach(space) : NULL;
  loop = port ? weir_loop_new(port, base, turn, NULL) : NULL;
  return loop && !weir_limiter_open(space, "kitchen", &config, weir_loop_now(),
                                    &kitchen);
}

int main(void) {
  weir_space *space = weir_space_new(NULL);
  int ends[2];
  base = event_base_new();
  if (!base || !join(space) || pipe(ends)) {
    fprintf(stderr, "loop: could not be set up\n");
    return 1;
  }
  reader = event_new(base, ends[0], EV_READ | EV_PERSIST, on_order, NULL);
  event_add(reader, NULL);
  if (write(ends[1], ORDERS, strlen(ORDERS)) < 0) return 1;
  close(ends[1]);

  event_base_dispatch(base); /* ends when nobody has anything to wait for */

  weir_loop_free(loop); /* first the loop, then the port, then the space */
  weir_port_detach(port, weir_loop_now());
  weir_space_free(space);
  event_free(reader);
  event_base_free(base);
  close(ends[0]);
  return most == PERMITS && done == 6 && !strcmp(started, ORDERS) ? 0 : 1;
}
