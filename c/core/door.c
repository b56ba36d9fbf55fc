/* door.c - see door.h. */
#include "door.h"

#include "swift.h"

/* What a call answers that cannot be: why, or nothing. */
#define WHY(wrong) (wrong)
#define FALSE(wrong) ((void)(wrong), false)
#define ZERO(wrong) ((void)(wrong), 0)
#define NEVER(wrong) ((void)(wrong), WEIR_NEVER)
#define NOBODY(wrong) ((void)(wrong), NULL)

/* Begins a call on a shared space, in the name of a port or 0. If that cannot
** be it ends here, and so does one that meets garbage. */
#define WEIR_ENTER(space, acting, trouble)                                     \
  do {                                                                         \
    int wrong = weir_enter(space, acting);                                     \
    if (wrong) return trouble(wrong);                                          \
    WEIR_SETTLE(space, trouble);                                               \
  } while (0)
#define WEIR_SETTLE(space, trouble)                                            \
  do {                                                                         \
    if (setjmp((space)->memory.commons->escape))                               \
      return trouble(weir_give_up(space));                                     \
    weir_settle(space);                                                        \
  } while (0)

/* weir_NAME, which is weir_do_NAME in a space of one's own. What is done around
** that in a shared one is in a function of its own, for what setjmp does to a
** function is no good to it. */
#define WEIR_DOOR(type, name, trouble, space, acting, parameters, arguments)   \
  static type shared_##name parameters {                                       \
    type answer;                                                               \
    WEIR_ENTER(space, acting, trouble);                                        \
    answer = weir_do_##name arguments;                                         \
    weir_leave(space);                                                         \
    return answer;                                                             \
  }                                                                            \
  type weir_##name parameters {                                                \
    return is_shared(space) ? shared_##name arguments                          \
                            : weir_do_##name arguments;                        \
  }

static inline bool is_shared(const weir_space *space) {
  return WEIR_SELDOM(space->memory.commons);
}

/* --- spaces and ports ----------------------------------------------------- */

static bool attach(weir_space *space, weir_port *port) {
  bool done;
  WEIR_ENTER(space, 0, FALSE);
  done = weir_do_port_attach(space, port);
  weir_leave(space);
  return done;
}

weir_port *weir_port_attach(weir_space *space) {
  const weir_allocator *allocator = &space->memory.allocator;
  weir_port *port = weir_alloc(allocator, sizeof *port);
  if (port && (is_shared(space) ? attach(space, port)
                                : weir_do_port_attach(space, port)))
    return port;
  weir_free(allocator, port, sizeof *port);
  return NULL;
}

static bool detach(weir_port *port, uint64_t now) {
  WEIR_ENTER(port->space, port->index, FALSE);
  weir_do_port_detach(port, now);
  weir_leave(port->space);
  return true;
}

/* Its bell is its own, also where the space is damaged, or a parent's. */
void weir_port_detach(weir_port *port, uint64_t now) {
  weir_space *space = port->space;
  const weir_commons *commons = space->memory.commons;
  if (commons) {
    detach(port, now);
    commons->sharing->unhang_bell(commons->sharing, port->index, port->bell);
  } else {
    weir_do_port_detach(port, now);
  }
  weir_free(&space->memory.allocator, port, sizeof *port);
}

weir_space *weir_port_space(const weir_port *port) { return port->space; }

int weir_fd(const weir_port *port) { return port->bell; }

/* --- limiters ------------------------------------------------------------- */

WEIR_DOOR(int, limiter_open, WHY, space, 0,
          (weir_space * space, const char *name, const weir_config *config,
           uint64_t now, weir_limiter *out),
          (space, name, config, now, out))
WEIR_DOOR(int, limiter_set, WHY, space, 0,
          (weir_space * space, weir_limiter limiter, const weir_config *config,
           uint64_t now),
          (space, limiter, config, now))
WEIR_DOOR(int, limiter_config, WHY, space, 0,
          (const weir_space *space, weir_limiter limiter, weir_config *out),
          (space, limiter, out))
WEIR_DOOR(int, limiter_close, WHY, space, 0,
          (weir_space * space, weir_limiter limiter, uint64_t now),
          (space, limiter, now))
WEIR_DOOR(int, limiter_drop, WHY, space, 0,
          (weir_space * space, weir_limiter limiter), (space, limiter))
WEIR_DOOR(bool, limiter_timed, FALSE, space, 0,
          (const weir_space *space, weir_limiter limiter), (space, limiter))
WEIR_DOOR(const char *, limiter_name, NOBODY, space, 0,
          (const weir_space *space, weir_limiter limiter), (space, limiter))

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

static int entered_acquire(weir_port *port, weir_limiter limiter,
                           const weir_request *request, uint64_t now,
                           weir_ticket *out) {
  int answer;
  WEIR_SETTLE(port->space, WHY);
  if (weir_patrol_due(port->space, now))
    look_round(port, weir_do_peek(port, limiter, request, now), now);
  answer = weir_do_acquire(port, limiter, request, now, out);
  weir_leave(port->space);
  return answer;
}

/* What can be done swiftly needs no way out. */
static int shared_acquire(weir_port *port, weir_limiter limiter,
                          const weir_request *request, uint64_t now,
                          weir_ticket *out) {
  int wrong = weir_enter(port->space, port->index);
  *out = 0;
  if (wrong) return wrong;
  if (!weir_is_settled(port->space) ||
      !weir_swift_acquire(port, limiter, request, now, out))
    return entered_acquire(port, limiter, request, now, out);
  weir_leave_swiftly(port->space);
  return WEIR_ADMITTED;
}

int weir_acquire(weir_port *port, weir_limiter limiter,
                 const weir_request *request, uint64_t now, weir_ticket *out) {
  return is_shared(port->space)
             ? shared_acquire(port, limiter, request, now, out)
             : weir_do_acquire(port, limiter, request, now, out);
}

static int shared_acquire_all(weir_port *port, const weir_limiter *limiters,
                              const weir_request *requests, uint32_t count,
                              uint64_t now, weir_ticket *out,
                              weir_limiter *decider) {
  int answer;
  *out = 0;
  WEIR_ENTER(port->space, port->index, WHY);
  if (weir_patrol_due(port->space, now))
    look_round(port, weir_do_peek_all(port, limiters, requests, count, now),
               now);
  answer =
      weir_do_acquire_all(port, limiters, requests, count, now, out, decider);
  weir_leave(port->space);
  return answer;
}

int weir_acquire_all(weir_port *port, const weir_limiter *limiters,
                     const weir_request *requests, uint32_t count, uint64_t now,
                     weir_ticket *out, weir_limiter *decider) {
  return is_shared(port->space) ? shared_acquire_all(port, limiters, requests,
                                                     count, now, out, decider)
                                : weir_do_acquire_all(port, limiters, requests,
                                                      count, now, out, decider);
}

WEIR_DOOR(int, peek, WHY, port->space, port->index,
          (const weir_port *port, weir_limiter limiter,
           const weir_request *request, uint64_t now),
          (port, limiter, request, now))
WEIR_DOOR(int, peek_all, WHY, port->space, port->index,
          (const weir_port *port, const weir_limiter *limiters,
           const weir_request *requests, uint32_t count, uint64_t now),
          (port, limiters, requests, count, now))
WEIR_DOOR(bool, holds_all, FALSE, port->space, port->index,
          (const weir_port *port, weir_limiter limiter,
           const weir_request *request),
          (port, limiter, request))
WEIR_DOOR(int, set_cookie, WHY, port->space, port->index,
          (weir_port * port, weir_ticket ticket, uint64_t cookie),
          (port, ticket, cookie))

static int entered_release(weir_port *port, weir_ticket ticket,
                           weir_outcome outcome, uint64_t now) {
  int answer;
  WEIR_SETTLE(port->space, WHY);
  answer = weir_do_release(port, ticket, outcome, now);
  weir_leave(port->space);
  return answer;
}

static int shared_release(weir_port *port, weir_ticket ticket,
                          weir_outcome outcome, uint64_t now) {
  int wrong = weir_enter(port->space, port->index);
  if (wrong) return wrong;
  if (!weir_is_settled(port->space) ||
      !weir_swift_release(port, ticket, outcome, now))
    return entered_release(port, ticket, outcome, now);
  weir_leave_swiftly(port->space);
  return 0;
}

int weir_release(weir_port *port, weir_ticket ticket, weir_outcome outcome,
                 uint64_t now) {
  return is_shared(port->space) ? shared_release(port, ticket, outcome, now)
                                : weir_do_release(port, ticket, outcome, now);
}

WEIR_DOOR(int, cancel, WHY, port->space, port->index,
          (weir_port * port, weir_ticket ticket, uint64_t now),
          (port, ticket, now))
WEIR_DOOR(int, drain, WHY, port->space, port->index,
          (weir_port * port, weir_limiter limiter, const weir_request *request,
           uint64_t now, weir_ticket *out),
          (port, limiter, request, now, out))
WEIR_DOOR(int, park, WHY, port->space, port->index,
          (weir_port * port, const weir_request *request, weir_ticket *out),
          (port, request, out))
WEIR_DOOR(int, wake, WHY, port->space, port->index,
          (weir_port * port, weir_ticket ticket), (port, ticket))

/* --- a host's turn -------------------------------------------------------- */

/* The bell is made silent before it is noted that it is: whoever rings in
** between is heard the next time. (The other way round, one could be rung for,
** silenced and never know.) And it is made silent in any case: who rings notes
** it first, so that a bell may sound long after it was answered. */
static uint64_t shared_advance(weir_port *port, uint64_t now) {
  weir_sharing *sharing = port->space->memory.commons->sharing;
  uint64_t answer;
  sharing->hush(sharing, port->bell);
  WEIR_ENTER(port->space, port->index, NEVER);
  weir_port_hushed(port);
  answer = weir_do_advance(port, now);
  weir_leave(port->space);
  return answer;
}

uint64_t weir_advance(weir_port *port, uint64_t now) {
  return is_shared(port->space) ? shared_advance(port, now)
                                : weir_do_advance(port, now);
}

WEIR_DOOR(uint32_t, waiting, ZERO, port->space, port->index,
          (const weir_port *port), (port))
WEIR_DOOR(uint64_t, deadline, NEVER, port->space, port->index,
          (const weir_port *port), (port))
WEIR_DOOR(bool, pending, FALSE, port->space, port->index,
          (const weir_port *port), (port))
WEIR_DOOR(bool, next, FALSE, port->space, port->index,
          (weir_port * port, weir_event *out), (port, out))
WEIR_DOOR(int, claim, WHY, port->space, port->index,
          (weir_port * port, weir_ticket ticket, weir_event *out),
          (port, ticket, out))

/* --- looking -------------------------------------------------------------- */

WEIR_DOOR(int, limiter_stats, WHY, space, 0,
          (const weir_space *space, weir_limiter limiter, weir_stats *out),
          (space, limiter, out))
WEIR_DOOR(int, limiter_waits, WHY, space, 0,
          (const weir_space *space, weir_limiter limiter,
           const uint64_t *bounds_ns, uint64_t *counts, uint32_t bounds,
           uint64_t *sum_ns, uint64_t *count),
          (space, limiter, bounds_ns, counts, bounds, sum_ns, count))
WEIR_DOOR(int, key_inspect, WHY, space, 0,
          (const weir_space *space, weir_limiter limiter, const void *key,
           uint32_t key_size, weir_key_info *out),
          (space, limiter, key, key_size, out))
WEIR_DOOR(int, limiter_quota, WHY, space, 0,
          (const weir_space *space, weir_limiter limiter,
           const weir_request *request, uint64_t now, weir_quota *out),
          (space, limiter, request, now, out))
WEIR_DOOR(int, ticket_inspect, WHY, port->space, port->index,
          (const weir_port *port, weir_ticket ticket, uint64_t now,
           weir_ticket_info *out),
          (port, ticket, now, out))

/* A walk, step by step: others may have the lock between them. */
#define WEIR_WALK(name, space, acting, parameters, arguments)                  \
  static weir_walked step_##name parameters {                                  \
    weir_walked walked;                                                        \
    WEIR_ENTER(space, acting, END);                                            \
    walked = weir_do_##name arguments;                                         \
    weir_leave(space);                                                         \
    return walked;                                                             \
  }                                                                            \
  bool weir_##name parameters {                                                \
    weir_walked walked;                                                        \
    do                                                                         \
      walked =                                                                 \
          is_shared(space) ? step_##name arguments : weir_do_##name arguments; \
    while (walked == WEIR_WALK_ON);                                            \
    return walked == WEIR_WALK_FOUND;                                          \
  }
#define END(wrong) ((void)(wrong), WEIR_WALK_END)

WEIR_WALK(limiter_walk, space, 0,
          (const weir_space *space, uint32_t *cursor, weir_limiter *out),
          (space, cursor, out))
WEIR_WALK(key_walk, space, 0,
          (const weir_space *space, weir_limiter limiter, uint32_t *cursor,
           weir_key_info *out),
          (space, limiter, cursor, out))
WEIR_WALK(key_walk_all, space, 0,
          (const weir_space *space, uint32_t *cursor, weir_key_info *out),
          (space, cursor, out))
WEIR_WALK(ticket_walk, port->space, port->index,
          (const weir_port *port, uint32_t *cursor, uint64_t now,
           weir_ticket_info *out),
          (port, cursor, now, out))
WEIR_WALK(ticket_walk_all, space, 0,
          (const weir_space *space, uint32_t *cursor, uint64_t now,
           weir_ticket_info *out),
          (space, cursor, now, out))

/* --- for c/shared --------------------------------------------------------- */

WEIR_DOOR(uint32_t, port_seat, ZERO, space, 0,
          (const weir_space *space, uint32_t port), (space, port))
WEIR_DOOR(uint64_t, space_bytes, ZERO, space, 0, (const weir_space *space),
          (space))
