/*
** duel_ops.c - the operations of a duel: each picks its arguments, gives them
** to the engine and to the model, and compares what they say.
*/
#include <string.h>

#include "duel.h"

/* --- picking arguments --------------------------------------------------- */

/* The clock of a duel stays below WEIR_NEVER, which is no time. */
static uint64_t later(uint64_t now, uint64_t ns) {
  return ns < WEIR_NEVER - 1 - now ? now + ns : WEIR_NEVER - 1;
}

static uint64_t earlier(uint64_t now, uint64_t ns) {
  return ns < now ? now - ns : 0;
}

/* A port that is attached; attaches it if need be. */
static int pick_port(duel *d) {
  int port = (int)choose(d->from, REF_PORTS);
  for (int i = 0; i < REF_PORTS; i++, port = (port + 1) % REF_PORTS)
    if (d->ports[port]) return port;
  ledger_recover(&d->memory); /* an operation wants one */
  d->ports[port] = weir_port_attach(d->space);
  return port;
}

/* A handle as it might be kept too long or garbled. */
static uint64_t forge(duel *d, uint64_t handle) {
  static const uint64_t generation = (uint64_t)1 << 32;
  switch (choose(d->from, 7)) {
  case 0: return 0;
  case 1: return handle & UINT32_MAX;
  case 2: return generation; /* record 0 */
  case 3: return handle + 2 * generation;
  case 4: return handle - 2 * generation;
  case 5: return handle + 1;
  default: return ~handle;
  }
}

/* A ticket that was seen, more often than not a live one. */
static weir_ticket pick_ticket(duel *d) {
  uint32_t at = choose(d->from, REF_TICKETS);
  bool live = choose(d->from, 4) > 0;
  for (int i = 0; live && i < REF_TICKETS; i++) {
    if (ref_ticket_of(&d->model, d->tickets[at])) break;
    at = (at + 1) % REF_TICKETS;
  }
  if (once_in(d->from, 32)) return forge(d, d->tickets[at]);
  return d->tickets[at];
}

/* The port that owns the ticket; sometimes, or if nobody does, another. */
static int pick_owner(duel *d, weir_ticket handle) {
  const ref_ticket *ticket = ref_ticket_of(&d->model, handle);
  if (!ticket || once_in(d->from, 32)) return pick_port(d);
  return ticket->port;
}

/* A limiter that was seen, more often than not an open one. */
static weir_limiter pick_limiter(duel *d) {
  uint32_t at = choose(d->from, REF_LIMITERS);
  bool open = choose(d->from, 8) > 0;
  for (int i = 0; open && i < REF_LIMITERS; i++) {
    const ref_limiter *limiter = ref_limiter_of(&d->model, d->limiters[at]);
    if (limiter && !limiter->closed) break;
    at = (at + 1) % REF_LIMITERS;
  }
  if (once_in(d->from, 64)) return forge(d, d->limiters[at]);
  return d->limiters[at];
}

static uint64_t pick_deadline(duel *d) {
  switch (choose(d->from, 8)) {
  case 0: return WEIR_NEVER;
  case 1: return earlier(d->now, choose(d->from, 3));
  case 2: return later(d->now, choose(d->from, 32));
  case 3: return later(d->now, choose(d->from, 256));
  case 4: return later(d->now, (uint64_t)choose(d->from, 256) * 16);
  default: return 0; /* as configured */
  }
}

static uint32_t pick_permits(duel *d) {
  if (!once_in(d->from, 32)) return choose(d->from, 6);
  return WEIR_PERMITS_MAX - 1 + choose(d->from, 4);
}

static weir_request pick_request(duel *d) {
  weir_request request = { .cookie = d->step };
  request.cost = (uint32_t)duel_arg(d, pick_permits(d));
  request.deadline = duel_arg(d, pick_deadline(d));
  request.try_only = duel_arg(d, once_in(d->from, 5));
  return request;
}

static weir_config pick_config(duel *d) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = (uint32_t)duel_arg(d, pick_permits(d));
  if (choose(d->from, 2)) config.queue = choose(d->from, 12);
  if (choose(d->from, 2))
    config.timeout_ns = (uint64_t)choose(d->from, 256) * choose(d->from, 5);
  duel_arg(d, config.queue);
  duel_arg(d, config.timeout_ns);
  return config;
}

/* Whether the allocator failed the engine in this operation. */
static bool no_memory(const duel *d) { return d->memory.failed > 0; }

/* --- what was made ------------------------------------------------------- */

/* Gives what the model just made its label, and a place among those seen. */
static void remember_ticket(duel *d, weir_ticket handle) {
  uint32_t at = choose(d->from, REF_TICKETS);
  duel_same(d, "a ticket came", handle != 0, d->model.made != NULL);
  if (!handle || d->broken) return;
  for (int i = 0; i < REF_TICKETS; i++)
    duel_same(d, "a handle seen before", d->tickets[i] == handle, false);
  *d->model.made = handle;
  while (ref_ticket_of(&d->model, d->tickets[at])) at = (at + 1) % REF_TICKETS;
  d->tickets[at] = handle;
}

static void remember_limiter(duel *d, weir_limiter handle) {
  uint32_t at = choose(d->from, REF_LIMITERS);
  bool known = ref_limiter_of(&d->model, handle) != NULL;
  duel_same(d, "the limiter was there", known, d->model.made == NULL);
  if (known || d->broken) return;
  *d->model.made = handle;
  while (ref_limiter_of(&d->model, d->limiters[at]))
    at = (at + 1) % REF_LIMITERS;
  d->limiters[at] = handle;
}

/* --- requests ------------------------------------------------------------ */

static void op_release(duel *d);

static void op_acquire(duel *d) {
  int port = (int)duel_arg(d, (uint64_t)pick_port(d));
  weir_limiter limiter = duel_arg(d, pick_limiter(d));
  weir_request request = pick_request(d);
  weir_ticket ticket = 1;
  int answer, peeked;
  if (ref_tickets_full(&d->model)) {
    op_release(d);
    return;
  }
  peeked = weir_peek(d->ports[port], limiter, &request, d->now);
  answer = weir_acquire(d->ports[port], limiter, &request, d->now, &ticket);
  duel_answers(
      d, answer,
      ref_acquire(&d->model, port, limiter, &request, d->now, no_memory(d)));
  if (!no_memory(d)) duel_same(d, "peek", (uint64_t)peeked, (uint64_t)answer);
  remember_ticket(d, ticket);
}

static void op_drain(duel *d) {
  int port = (int)duel_arg(d, (uint64_t)pick_port(d));
  weir_limiter limiter = duel_arg(d, pick_limiter(d));
  weir_request request = pick_request(d);
  weir_ticket ticket = 1;
  int answer;
  if (ref_tickets_full(&d->model)) return;
  answer = weir_drain(d->ports[port], limiter, &request, d->now, &ticket);
  duel_answers(
      d, answer,
      ref_drain(&d->model, port, limiter, &request, d->now, no_memory(d)));
  remember_ticket(d, ticket);
}

static void op_park(duel *d) {
  int port = (int)duel_arg(d, (uint64_t)pick_port(d));
  weir_request request = pick_request(d);
  weir_ticket ticket = 1;
  int answer;
  if (ref_tickets_full(&d->model)) return;
  answer = weir_park(d->ports[port], &request, &ticket);
  duel_answers(d, answer, ref_park(&d->model, port, &request, no_memory(d)));
  remember_ticket(d, ticket);
}

/* --- tickets ------------------------------------------------------------- */

static void op_release(duel *d) {
  weir_ticket ticket = duel_arg(d, pick_ticket(d));
  int port = (int)duel_arg(d, (uint64_t)pick_owner(d, ticket));
  weir_outcome outcome = once_in(d->from, 4) ? WEIR_DROPPED : WEIR_DONE;
  int answer = weir_release(d->ports[port], ticket, outcome, d->now);
  duel_answers(d, answer,
               ref_release(&d->model, port, ticket, outcome, d->now));
}

static void op_cancel(duel *d) {
  weir_ticket ticket = duel_arg(d, pick_ticket(d));
  int port = (int)duel_arg(d, (uint64_t)pick_owner(d, ticket));
  int answer = weir_cancel(d->ports[port], ticket, d->now);
  duel_answers(d, answer, ref_cancel(&d->model, port, ticket, d->now));
}

static void op_claim(duel *d) {
  weir_ticket ticket = duel_arg(d, pick_ticket(d));
  int port = (int)duel_arg(d, (uint64_t)pick_owner(d, ticket));
  weir_event engine, model;
  int answer = weir_claim(d->ports[port], ticket, &engine);
  duel_answers(d, answer, ref_claim(&d->model, port, ticket, &model));
  if (answer == 1 && !d->broken) duel_same_events(d, &engine, &model);
}

static void op_wake(duel *d) {
  weir_ticket ticket = duel_arg(d, pick_ticket(d));
  int port = (int)duel_arg(d, (uint64_t)pick_owner(d, ticket));
  int answer = weir_wake(d->ports[port], ticket);
  duel_answers(d, answer, ref_wake(&d->model, port, ticket));
}

static void op_set_cookie(duel *d) {
  weir_ticket ticket = duel_arg(d, pick_ticket(d));
  int port = (int)duel_arg(d, (uint64_t)pick_owner(d, ticket));
  int answer = weir_set_cookie(d->ports[port], ticket, d->step);
  duel_answers(d, answer, ref_set_cookie(&d->model, port, ticket, d->step));
}

/* --- turns --------------------------------------------------------------- */

static void op_next(duel *d) {
  int port = (int)duel_arg(d, (uint64_t)pick_port(d));
  ref_ticket *first = ref_first_ready(&d->model, port);
  weir_event engine, model;
  bool answer = weir_next(d->ports[port], &engine);
  duel_answers(d, answer, first != NULL);
  if (!answer || d->broken) return;
  ref_take(&d->model, first, &model);
  duel_same_events(d, &engine, &model);
}

static void op_time(duel *d) {
  static const uint16_t steps[] = { 0, 1, 5, 20, 300 };
  uint64_t ns = steps[choose(d->from, 5)];
  d->now = once_in(d->from, 8) ? earlier(d->now, ns) : later(d->now, ns);
  duel_arg(d, d->now);
}

/* Expires at the present, or exactly at the next deadline, or just before. */
static void op_advance(duel *d) {
  int port = (int)duel_arg(d, (uint64_t)pick_port(d));
  uint64_t deadline = ref_deadline(&d->model, port);
  uint32_t how = choose(d->from, 4);
  if (how < 2 && deadline > d->now && deadline < WEIR_NEVER)
    d->now = deadline - how;
  ref_advance(&d->model, port, duel_arg(d, d->now));
  deadline = weir_advance(d->ports[port], d->now);
  duel_answers(d, (int64_t)deadline, (int64_t)weir_deadline(d->ports[port]));
  duel_same(d, "a deadline that is due", deadline <= d->now, false);
}

/* --- limiters ------------------------------------------------------------ */

static void op_open(duel *d) {
  static const char *const names[] = {
    NULL,
    "",
    "a",
    "b", /* and of 63 and 64 bytes: */
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
  };
  uint32_t at = (uint32_t)duel_arg(d, choose(d->from, 6));
  weir_config config = pick_config(d);
  weir_limiter limiter = 1;
  int answer;
  if (ref_limiters_full(&d->model)) return;
  answer = weir_limiter_open(d->space, names[at], &config, d->now, &limiter);
  duel_answers(d, answer,
               ref_open(&d->model, names[at], &config, d->now, no_memory(d)));
  duel_same(d, "a limiter came", limiter != 0, answer == 0);
  if (answer == 0 && !d->broken) remember_limiter(d, limiter);
}

static void op_set(duel *d) {
  weir_limiter limiter = duel_arg(d, pick_limiter(d));
  weir_config config = pick_config(d);
  int answer = weir_limiter_set(d->space, limiter, &config, d->now);
  duel_answers(d, answer, ref_set(&d->model, limiter, &config, d->now));
}

static void op_close(duel *d) {
  weir_limiter limiter = duel_arg(d, pick_limiter(d));
  int answer = weir_limiter_close(d->space, limiter, d->now);
  duel_answers(d, answer, ref_close(&d->model, limiter, d->now));
}

static void op_drop(duel *d) {
  uint32_t at = choose(d->from, REF_LIMITERS); /* closed ones want it, too */
  weir_limiter limiter = duel_arg(d, d->limiters[at]);
  int answer = weir_limiter_drop(d->space, limiter);
  duel_answers(d, answer, ref_drop(&d->model, limiter));
}

/* --- ports --------------------------------------------------------------- */

static void op_attach(duel *d) {
  uint32_t port = (uint32_t)duel_arg(d, choose(d->from, REF_PORTS));
  if (d->ports[port]) return;
  d->ports[port] = weir_port_attach(d->space);
  duel_answers(d, d->ports[port] != NULL, !no_memory(d));
}

/* Whether the model decided this ticket before all others of its limiter and
** port that are still ready. */
static bool is_first_of_limiter(duel *d, const ref_ticket *ticket) {
  for (int i = 0; i < REF_TICKETS; i++) {
    const ref_ticket *other = &d->model.tickets[i];
    if (other->state == WEIR_READY && other->port == ticket->port &&
        other->limiter == ticket->limiter && other->decision < ticket->decision)
      return false;
  }
  return true;
}

/* Takes all events of a port. A detach that wakes others in several limiters
** may do so in any order of limiters, so only the order in each is compared. */
static void take_all(duel *d, int port) {
  weir_event engine, model;
  while (!d->broken && weir_next(d->ports[port], &engine)) {
    ref_ticket *ticket = ref_ticket_of(&d->model, engine.ticket);
    bool ready = ticket && ticket->state == WEIR_READY && ticket->port == port;
    duel_same(d, "an event of a ready ticket", true, ready);
    if (!ready) return;
    duel_same(d, "its turn", true, is_first_of_limiter(d, ticket));
    ref_take(&d->model, ticket, &model);
    duel_same_events(d, &engine, &model);
  }
  duel_same(d, "more events", false, ref_first_ready(&d->model, port) != NULL);
}

static void op_detach(duel *d) {
  int leaver = (int)duel_arg(d, (uint64_t)pick_port(d));
  weir_port_detach(d->ports[leaver], d->now);
  d->ports[leaver] = NULL;
  ref_detach(&d->model, leaver, d->now);
  for (int port = 0; port < REF_PORTS; port++)
    if (d->ports[port]) take_all(d, port);
}

/* --- choosing ------------------------------------------------------------ */

static const struct {
  const char *name;
  void (*run)(duel *d);
  uint8_t weight;
} operations[] = {
  { "acquire", op_acquire, 80 },
  { "release", op_release, 30 },
  { "next", op_next, 30 },
  { "advance", op_advance, 12 },
  { "time", op_time, 12 },
  { "cancel", op_cancel, 8 },
  { "claim", op_claim, 6 },
  { "set", op_set, 6 },
  { "park", op_park, 5 },
  { "wake", op_wake, 6 },
  { "open", op_open, 8 },
  { "drop", op_drop, 4 },
  { "set_cookie", op_set_cookie, 2 },
  { "attach", op_attach, 3 },
  { "drain", op_drain, 1 },
  { "close", op_close, 1 },
  { "detach", op_detach, 1 },
};

enum { OPERATIONS = sizeof operations / sizeof *operations };

static unsigned pick_operation(duel *d) {
  uint32_t sum = 0, at;
  unsigned i = 0;
  for (unsigned j = 0; j < OPERATIONS; j++) sum += operations[j].weight;
  at = choose(d->from, sum);
  while (at >= operations[i].weight) at -= operations[i++].weight;
  return i;
}

void duel_operate(duel *d) {
  unsigned operation = pick_operation(d);
  d->log[d->step % DUEL_LOG] =
      (duel_entry){ operations[operation].name, d->step, { 0 }, 0, 0, d->now };
  d->memory.failed = 0;
  if (once_in(d->from, 24)) ledger_fail(&d->memory, 1 + choose(d->from, 2));
  operations[operation].run(d);
  ledger_recover(&d->memory);
}
