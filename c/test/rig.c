/* rig.c - see rig.h. */
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

static void turn(void *data) {
  rig *r = data;
  r->turns++;
  CHECK(!r->calling);
  while (!r->asleep && r->got < RIG_EVENTS &&
         weir_next(r->port, &r->event[r->got])) {
    r->when[r->got] = weir_loop_now();
    r->got++;
  }
  if (r->kicks-- > 0) weir_loop_kick(r->loop);
  if (r->turns == r->break_at) weir_loop_break(r->loop);
}

void rig_open(rig *r, struct event_base *base) {
  weir_config config = WEIR_CONFIG_INIT;
  *r = (rig){ .base = base };
  r->space = weir_space_new(NULL);
  r->port = weir_port_attach(r->space);
  r->loop = weir_loop_new(r->port, base, turn, r);
  CHECK_EQ(
      weir_limiter_open(r->space, NULL, &config, weir_loop_now(), &r->limiter),
      0);
}

void rig_close(rig *r) {
  weir_loop_free(r->loop);
  weir_port_detach(r->port, weir_loop_now());
  weir_space_free(r->space);
  if (r->base) event_base_free(r->base);
}

weir_ticket rig_park(rig *r, uint64_t ns) {
  weir_request request = { .deadline = ns ? weir_loop_now() + ns : 0 };
  weir_ticket ticket;
  CHECK_EQ(weir_park(r->port, &request, &ticket), WEIR_WAITING);
  return ticket;
}

weir_ticket rig_acquire(rig *r, weir_verdict verdict) {
  weir_request request = { 0 };
  weir_ticket ticket;
  CHECK_EQ(
      weir_acquire(r->port, r->limiter, &request, weir_loop_now(), &ticket),
      verdict);
  return ticket;
}

void rig_touch(rig *r) {
  r->calling = true;
  weir_loop_touch(r->loop);
  r->calling = false;
}

void rig_release(rig *r, weir_ticket ticket) {
  r->calling = true;
  CHECK_EQ(weir_release(r->port, ticket, WEIR_DONE, weir_loop_now()), 0);
  r->calling = false;
  rig_touch(r);
}

bool rig_run_until(rig *r, int got) {
  for (int i = 0; r->got < got && i < RIG_ENOUGH; i++)
    if (weir_loop_once(r->loop, true) != 1) break;
  return r->got == got;
}

void rig_saw(check_place place, const rig *r, int i, weir_ticket ticket,
             weir_verdict verdict) {
  if (!check_true(place, "the event came", i < r->got)) return;
  check_equal(place, "its ticket", r->event[i].ticket, ticket);
  check_equal(place, "its verdict", r->event[i].verdict, verdict);
}

void rig_pair(int ends[2]) {
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

void rig_unpair(const int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}
