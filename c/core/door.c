/* door.c - see door.h. */
#include "door.h"

/* Begins a call, in the name of a port or 0; answers `trouble` from it, which
** may be `wrong`, if that cannot be. A call that meets garbage ends here. */
#define WEIR_ENTER(space, acting, trouble)                                     \
  do {                                                                         \
    int wrong;                                                                 \
    if (!(space)->memory.commons) break;                                       \
    wrong = weir_enter(space, acting);                                         \
    if (wrong) return trouble;                                                 \
    if (setjmp((space)->memory.commons->escape)) {                             \
      wrong = weir_give_up(space);                                             \
      return trouble;                                                          \
    }                                                                          \
    weir_settle(space);                                                        \
  } while (0)

static inline void leave(const weir_space *space) {
  if (space->memory.commons) weir_leave(space);
}

/* --- spaces and ports ----------------------------------------------------- */

static bool attach(weir_space *space, weir_port *port) {
  bool done;
  WEIR_ENTER(space, 0, false);
  done = weir_do_port_attach(space, port);
  leave(space);
  return done;
}

weir_port *weir_port_attach(weir_space *space) {
  const weir_allocator *allocator = &space->memory.allocator;
  weir_port *port = weir_alloc(allocator, sizeof *port);
  if (port && attach(space, port)) return port;
  weir_free(allocator, port, sizeof *port);
  return NULL;
}

static void detach(weir_port *port, uint64_t now) {
  WEIR_ENTER(port->space, port->index, );
  weir_do_port_detach(port, now);
  leave(port->space);
}

/* Its bell is its own, also where the space is damaged, or a parent's. */
void weir_port_detach(weir_port *port, uint64_t now) {
  weir_space *space = port->space;
  const weir_commons *commons = space->memory.commons;
  detach(port, now);
  if (commons)
    commons->sharing->unhang_bell(commons->sharing, port->index, port->bell);
  weir_free(&space->memory.allocator, port, sizeof *port);
}

weir_space *weir_port_space(const weir_port *port) { return port->space; }

int weir_fd(const weir_port *port) { return port->bell; }

/* --- limiters ------------------------------------------------------------- */

int weir_limiter_open(weir_space *space, const char *name,
                      const weir_config *config, uint64_t now,
                      weir_limiter *out) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_open(space, name, config, now, out);
  leave(space);
  return answer;
}

int weir_limiter_set(weir_space *space, weir_limiter limiter,
                     const weir_config *config, uint64_t now) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_set(space, limiter, config, now);
  leave(space);
  return answer;
}

int weir_limiter_config(const weir_space *space, weir_limiter limiter,
                        weir_config *out) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_config(space, limiter, out);
  leave(space);
  return answer;
}

int weir_limiter_close(weir_space *space, weir_limiter limiter, uint64_t now) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_close(space, limiter, now);
  leave(space);
  return answer;
}

int weir_limiter_drop(weir_space *space, weir_limiter limiter) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_drop(space, limiter);
  leave(space);
  return answer;
}

bool weir_limiter_timed(const weir_space *space, weir_limiter limiter) {
  bool answer;
  WEIR_ENTER(space, 0, false);
  answer = weir_do_limiter_timed(space, limiter);
  leave(space);
  return answer;
}

const char *weir_limiter_name(const weir_space *space, weir_limiter limiter) {
  const char *answer;
  WEIR_ENTER(space, 0, NULL);
  answer = weir_do_limiter_name(space, limiter);
  leave(space);
  return answer;
}

/* --- requests ------------------------------------------------------------- */

/* Who would have to wait for somebody who is dead need not: before that it is
** seen whether all are alive, if it was not lately. */
static void look_round(const weir_port *port, int verdict, uint64_t now) {
  weir_commons *commons = port->space->memory.commons;
  if (verdict == WEIR_ADMITTED || verdict < 0) return;
  weir_patrol(port->space, now);
  weir_step(port->space);
  commons->acting = port->index;
}

int weir_acquire(weir_port *port, weir_limiter limiter,
                 const weir_request *request, uint64_t now, weir_ticket *out) {
  int answer;
  *out = 0;
  WEIR_ENTER(port->space, port->index, wrong);
  if (weir_patrol_due(port->space, now))
    look_round(port, weir_do_peek(port, limiter, request, now), now);
  answer = weir_do_acquire(port, limiter, request, now, out);
  leave(port->space);
  return answer;
}

int weir_acquire_all(weir_port *port, const weir_limiter *limiters,
                     const weir_request *requests, uint32_t count, uint64_t now,
                     weir_ticket *out, weir_limiter *decider) {
  int answer;
  *out = 0;
  WEIR_ENTER(port->space, port->index, wrong);
  if (weir_patrol_due(port->space, now))
    look_round(port, weir_do_peek_all(port, limiters, requests, count, now),
               now);
  answer =
      weir_do_acquire_all(port, limiters, requests, count, now, out, decider);
  leave(port->space);
  return answer;
}

int weir_peek(const weir_port *port, weir_limiter limiter,
              const weir_request *request, uint64_t now) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_peek(port, limiter, request, now);
  leave(port->space);
  return answer;
}

int weir_peek_all(const weir_port *port, const weir_limiter *limiters,
                  const weir_request *requests, uint32_t count, uint64_t now) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_peek_all(port, limiters, requests, count, now);
  leave(port->space);
  return answer;
}

bool weir_holds_all(const weir_port *port, weir_limiter limiter,
                    const weir_request *request) {
  bool answer;
  WEIR_ENTER(port->space, port->index, false);
  answer = weir_do_holds_all(port, limiter, request);
  leave(port->space);
  return answer;
}

int weir_set_cookie(weir_port *port, weir_ticket ticket, uint64_t cookie) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_set_cookie(port, ticket, cookie);
  leave(port->space);
  return answer;
}

int weir_release(weir_port *port, weir_ticket ticket, weir_outcome outcome,
                 uint64_t now) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_release(port, ticket, outcome, now);
  leave(port->space);
  return answer;
}

int weir_cancel(weir_port *port, weir_ticket ticket, uint64_t now) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_cancel(port, ticket, now);
  leave(port->space);
  return answer;
}

int weir_drain(weir_port *port, weir_limiter limiter,
               const weir_request *request, uint64_t now, weir_ticket *out) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_drain(port, limiter, request, now, out);
  leave(port->space);
  return answer;
}

int weir_park(weir_port *port, const weir_request *request, weir_ticket *out) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_park(port, request, out);
  leave(port->space);
  return answer;
}

int weir_wake(weir_port *port, weir_ticket ticket) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_wake(port, ticket);
  leave(port->space);
  return answer;
}

/* --- a host's turn -------------------------------------------------------- */

/* The bell is made silent before it is noted that it is: whoever rings in
** between is heard the next time. (The other way round, one could be rung for,
** silenced and never know.) Who rings notes it first, so that a bell may sound
** after it was listened to: that is owed, and listened for until it comes. */
static bool hush(weir_port *port) {
  const weir_commons *commons = port->space->memory.commons;
  bool rung = commons && atomic_load_explicit(port->rung, memory_order_acquire);
  uint32_t heard;
  if (!rung && !port->owed) return false;
  heard = commons->sharing->hush(commons->sharing, port->bell);
  port->owed += rung;
  port->owed -= heard < port->owed ? heard : port->owed;
  return rung;
}

static uint64_t advance(weir_port *port, bool hushed, uint64_t now) {
  uint64_t answer;
  WEIR_ENTER(port->space, port->index, WEIR_NEVER);
  if (hushed) weir_port_hushed(port);
  answer = weir_do_advance(port, now);
  leave(port->space);
  return answer;
}

uint64_t weir_advance(weir_port *port, uint64_t now) {
  return advance(port, hush(port), now);
}

uint32_t weir_waiting(const weir_port *port) {
  uint32_t answer;
  WEIR_ENTER(port->space, port->index, 0);
  answer = weir_do_waiting(port);
  leave(port->space);
  return answer;
}

uint64_t weir_deadline(const weir_port *port) {
  uint64_t answer;
  WEIR_ENTER(port->space, port->index, WEIR_NEVER);
  answer = weir_do_deadline(port);
  leave(port->space);
  return answer;
}

bool weir_pending(const weir_port *port) {
  bool answer;
  WEIR_ENTER(port->space, port->index, false);
  answer = weir_do_pending(port);
  leave(port->space);
  return answer;
}

bool weir_next(weir_port *port, weir_event *out) {
  bool answer;
  WEIR_ENTER(port->space, port->index, false);
  answer = weir_do_next(port, out);
  leave(port->space);
  return answer;
}

int weir_claim(weir_port *port, weir_ticket ticket, weir_event *out) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_claim(port, ticket, out);
  leave(port->space);
  return answer;
}

/* --- looking -------------------------------------------------------------- */

int weir_limiter_stats(const weir_space *space, weir_limiter limiter,
                       weir_stats *out) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_stats(space, limiter, out);
  leave(space);
  return answer;
}

int weir_limiter_waits(const weir_space *space, weir_limiter limiter,
                       const uint64_t *bounds_ns, uint64_t *counts,
                       uint32_t bounds, uint64_t *sum_ns, uint64_t *count) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_waits(space, limiter, bounds_ns, counts, bounds,
                                 sum_ns, count);
  leave(space);
  return answer;
}

int weir_key_inspect(const weir_space *space, weir_limiter limiter,
                     const void *key, uint32_t key_size, weir_key_info *out) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_key_inspect(space, limiter, key, key_size, out);
  leave(space);
  return answer;
}

bool weir_key_walk(const weir_space *space, weir_limiter limiter,
                   uint32_t *cursor, weir_key_info *out) {
  bool answer;
  WEIR_ENTER(space, 0, false);
  answer = weir_do_key_walk(space, limiter, cursor, out);
  leave(space);
  return answer;
}

int weir_limiter_quota(const weir_space *space, weir_limiter limiter,
                       const weir_request *request, uint64_t now,
                       weir_quota *out) {
  int answer;
  WEIR_ENTER(space, 0, wrong);
  answer = weir_do_limiter_quota(space, limiter, request, now, out);
  leave(space);
  return answer;
}

int weir_ticket_inspect(const weir_port *port, weir_ticket ticket, uint64_t now,
                        weir_ticket_info *out) {
  int answer;
  WEIR_ENTER(port->space, port->index, wrong);
  answer = weir_do_ticket_inspect(port, ticket, now, out);
  leave(port->space);
  return answer;
}

bool weir_ticket_walk(const weir_port *port, uint32_t *cursor, uint64_t now,
                      weir_ticket_info *out) {
  bool answer;
  WEIR_ENTER(port->space, port->index, false);
  answer = weir_do_ticket_walk(port, cursor, now, out);
  leave(port->space);
  return answer;
}
