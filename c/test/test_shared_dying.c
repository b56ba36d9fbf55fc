/*
** test_shared_dying.c - a process that is killed while it is at work: whoever
** is next has its permit when its connections are closed, and not before.
*/
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir.h>
#include <weir_shared.h>

#include "check.h"
#include "crew.h"
#include "shared/seat.h"

enum {
  FILES = 3000, /* that it has open: the kernel takes a while to close them */
  ROUNDS = 5,
  PATIENCE_S = 20
};

typedef struct scene {
  char dir[CREW_PATH];
  weir_space *space;
  weir_port *port;
  weir_limiter limiter;
} scene;

static bool enter(scene *s) {
  weir_shared_options options = { .dir = s->dir, .patrol_ns = WEIR_MS / 10 };
  weir_config config = WEIR_CONFIG_INIT;
  char why[WEIR_WHY_MAX];
  config.concurrent = 1;
  s->space = weir_shared_open("dying", &options, why);
  s->port = s->space ? weir_port_attach(s->space) : NULL;
  return s->port && weir_limiter_open(s->space, "server", &config,
                                      weir_seats_now(), &s->limiter) >= 0;
}

static int ask(scene *s, weir_ticket *ticket) {
  weir_request request = { .cost = 1 };
  return weir_acquire(s->port, s->limiter, &request, weir_seats_now(), ticket);
}

static void leave(scene *s) {
  weir_port_detach(s->port, weir_seats_now());
  weir_space_free(s->space);
}

/* --- the victim ----------------------------------------------------------- */

typedef struct errand {
  scene *scene;
  int wires[2]; /* closed at the other end when the victim is gone */
} errand;

/* Connections stand before and behind all that the space has open. */
static void work(const crew_hand *boss, void *data) {
  const errand *e = data;
  struct rlimit files;
  weir_ticket ticket;
  int first = dup(e->wires[1]);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (first < 0 || !enter(e->scene) || ask(e->scene, &ticket)) return;
  for (int i = 0; i < FILES; i++)
    if (socket(AF_UNIX, SOCK_STREAM, 0) < 0) break;
  if (dup(first) < 0) return;
  close(first);
  close(e->wires[1]);
  crew_say(boss, 'h');
  crew_hear(boss);
}

/* --- whoever is next ------------------------------------------------------ */

static bool is_cut(int wire) {
  struct pollfd p = { .fd = wire, .events = POLLIN };
  return poll(&p, 1, 0) == 1;
}

static bool await(scene *s, weir_event *event) {
  uint64_t until = weir_seats_now() + (uint64_t)PATIENCE_S * 1000 * WEIR_MS;
  while (weir_seats_now() < until) {
    weir_advance(s->port, weir_seats_now());
    if (weir_next(s->port, event)) return true;
  }
  return false;
}

static void one_round(scene *s) {
  errand e = { .scene = s };
  crew_hand victim;
  weir_ticket ticket;
  weir_event event = { 0 };
  if (!CHECK(pipe(e.wires) == 0)) return;
  victim = crew_hire(work, &e);
  close(e.wires[1]);
  CHECK_EQ(crew_hear(&victim), 'h');
  if (!CHECK(enter(s))) return;
  CHECK_EQ(ask(s, &ticket), WEIR_WAITING);
  kill(victim.pid, SIGKILL);
  CHECK(await(s, &event));
  CHECK(is_cut(e.wires[0]));
  CHECK_EQ(event.verdict, WEIR_ADMITTED);
  weir_release(s->port, event.ticket, WEIR_DONE, weir_seats_now());
  leave(s);
  CHECK(crew_dismiss(&victim, 0));
  close(e.wires[0]);
}

/* The kernel takes record locks away first: a permit that came back with them
** let one more into a server than it was to have. */
TEST(a_permit_comes_back_when_its_connections_are_closed) {
  scene s;
  memset(&s, 0, sizeof s);
  crew_dir(s.dir);
  for (int i = 0; i < ROUNDS; i++) one_round(&s);
  crew_clear(s.dir);
}

CHECK_MAIN
