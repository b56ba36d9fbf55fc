/*
** door.h - the one way into the engine.
**
** Every public function that touches a space is in door.c: it enters, calls the
** function of the same name here, and leaves. For a space of one's own that is
** nothing; for a shared one it is the lock, the notes, and the way out.
*/
#ifndef WEIR_CORE_DOOR_H
#define WEIR_CORE_DOOR_H

#include "port.h"

/* Gives a space, whose memory and root are set, its arrays. */
void weir_space_init(weir_space *space);

/* Ends a process' part in a shared space and frees what it has of it. */
void weir_sharing_leave(weir_space *space);

/* When to see who is alive; NEVER. */
uint64_t weir_patrol_at(const weir_space *space);

/* Whether it is time to see who is alive; if so, it will be again later. */
bool weir_patrol_due(const weir_space *space, uint64_t now);

/* Takes back what dead processes had, and does for those that are stopped what
** has been due for long; how many seats were dead. */
uint32_t weir_patrol(weir_space *space, uint64_t now);

/* Takes the lock, in the name of a port or 0. 0, or why it cannot. */
int weir_enter(const weir_space *space, uint32_t acting);

/* Makes good what one who died within a call has left, the notes apart. */
void weir_mend(weir_space *space);

/* The arrays of a space, in the order of their regions. */
void weir_space_arrays(weir_space *space, weir_array *arrays[WEIR_REGIONS]);

/* Learns how far others have grown the arrays. */
void weir_space_refresh(const weir_space *space);

/* The first thing after that: undoes what a dead process had half done. */
void weir_settle(const weir_space *space);

/* Whether there is nothing for weir_settle to do. */
static inline bool weir_is_settled(const weir_space *space) {
  const weir_commons *commons = space->memory.commons;
  return !commons->halved && *commons->growths == commons->known;
}

/* Ends a call that has met garbage; WEIR_E_DAMAGED. */
int weir_give_up(const weir_space *space);

/* Ends a call: wakes who is to be woken. */
void weir_leave(const weir_space *space);

/* The same, for a call that woke nobody. */
static inline void weir_leave_swiftly(const weir_space *space) {
  weir_commons *commons = space->memory.commons;
  weir_commit(commons);
  commons->sharing->unlock(commons->sharing);
}

bool weir_do_port_attach(weir_space *space, weir_port *port);
void weir_do_port_detach(weir_port *port, uint64_t now);
int weir_do_limiter_open(weir_space *space, const char *name,
                         const weir_config *config, uint64_t now,
                         weir_limiter *out);
int weir_do_limiter_set(weir_space *space, weir_limiter limiter,
                        const weir_config *config, uint64_t now);
int weir_do_limiter_config(const weir_space *space, weir_limiter limiter,
                           weir_config *out);
int weir_do_limiter_close(weir_space *space, weir_limiter limiter,
                          uint64_t now);
int weir_do_limiter_drop(weir_space *space, weir_limiter limiter);
bool weir_do_limiter_timed(const weir_space *space, weir_limiter limiter);
const char *weir_do_limiter_name(const weir_space *space, weir_limiter limiter);
int weir_do_acquire(weir_port *port, weir_limiter limiter,
                    const weir_request *request, uint64_t now,
                    weir_ticket *out);
int weir_do_acquire_all(weir_port *port, const weir_limiter *limiters,
                        const weir_request *requests, uint32_t count,
                        uint64_t now, weir_ticket *out, weir_limiter *decider);
int weir_do_peek(const weir_port *port, weir_limiter limiter,
                 const weir_request *request, uint64_t now);
int weir_do_peek_all(const weir_port *port, const weir_limiter *limiters,
                     const weir_request *requests, uint32_t count,
                     uint64_t now);
bool weir_do_holds_all(const weir_port *port, weir_limiter limiter,
                       const weir_request *request);
int weir_do_set_cookie(weir_port *port, weir_ticket ticket, uint64_t cookie);
int weir_do_release(weir_port *port, weir_ticket ticket, weir_outcome outcome,
                    uint64_t now);
int weir_do_cancel(weir_port *port, weir_ticket ticket, uint64_t now);
int weir_do_drain(weir_port *port, weir_limiter limiter,
                  const weir_request *request, uint64_t now, weir_ticket *out);
int weir_do_park(weir_port *port, const weir_request *request,
                 weir_ticket *out);
int weir_do_wake(weir_port *port, weir_ticket ticket);
uint64_t weir_do_advance(weir_port *port, uint64_t now);
uint32_t weir_do_waiting(const weir_port *port);
uint64_t weir_do_deadline(const weir_port *port);
bool weir_do_pending(const weir_port *port);
bool weir_do_next(weir_port *port, weir_event *out);
int weir_do_claim(weir_port *port, weir_ticket ticket, weir_event *out);
int weir_do_limiter_stats(const weir_space *space, weir_limiter limiter,
                          weir_stats *out);
int weir_do_limiter_waits(const weir_space *space, weir_limiter limiter,
                          const uint64_t *bounds_ns, uint64_t *counts,
                          uint32_t bounds, uint64_t *sum_ns, uint64_t *count);
int weir_do_key_inspect(const weir_space *space, weir_limiter limiter,
                        const void *key, uint32_t key_size, weir_key_info *out);
int weir_do_limiter_quota(const weir_space *space, weir_limiter limiter,
                          const weir_request *request, uint64_t now,
                          weir_quota *out);
int weir_do_ticket_inspect(const weir_port *port, weir_ticket ticket,
                           uint64_t now, weir_ticket_info *out);

/* What a step of a walk has come to; see walk.c. */
typedef enum weir_walked {
  WEIR_WALK_END,   /* there is nothing more */
  WEIR_WALK_FOUND, /* *out is the next */
  WEIR_WALK_ON     /* nothing so far, but another step may find something */
} weir_walked;

weir_walked weir_do_limiter_walk(const weir_space *space, uint32_t *cursor,
                                 weir_limiter *out);
weir_walked weir_do_key_walk(const weir_space *space, weir_limiter limiter,
                             uint32_t *cursor, weir_key_info *out);
weir_walked weir_do_key_walk_all(const weir_space *space, uint32_t *cursor,
                                 weir_key_info *out);
weir_walked weir_do_ticket_walk(const weir_port *port, uint32_t *cursor,
                                uint64_t now, weir_ticket_info *out);
weir_walked weir_do_ticket_walk_all(const weir_space *space, uint32_t *cursor,
                                    uint64_t now, weir_ticket_info *out);

uint32_t weir_do_port_seat(const weir_space *space, uint32_t port);
uint64_t weir_do_space_bytes(const weir_space *space);

#endif
