/*
** duel_ops.c - the operations of a duel: each picks its arguments, gives them
** to the engine and to the model, and compares what they say.
*/
#include <string.h>

#include "commons.h"
#include "duel.h"

/* Tells the model what only the engine can know: whether the allocator failed
** it so that it had to give up. */
static void tell_memory(duel *d, int answer) {
  d->model.no_memory = d->memory.failed > 0 &&
                       (answer == WEIR_EXHAUSTED || answer == WEIR_E_MEMORY);
}

/* --- what was made ------------------------------------------------------- */

/* Gives what is about to be made in the model its label, and a place among
** those seen. */
static void remember_ticket(duel *d, weir_ticket handle) {
  uint32_t at = choose(d->from, REF_TICKETS);
  d->model.label = handle;
  if (!handle) return;
  for (int i = 0; i < REF_TICKETS; i++)
    duel_same(d, "a handle seen before", d->tickets[i] == handle, false);
  while (ref_ticket_of(&d->model, d->tickets[at])) at = (at + 1) % REF_TICKETS;
  d->tickets[at] = handle;
}

static void check_ticket(duel *d, weir_ticket handle) {
  if (!d->broken)
    duel_same(d, "a ticket came", handle != 0,
              handle && ref_ticket_of(&d->model, handle) != NULL);
}

static void remember_limiter(duel *d, weir_limiter handle) {
  uint32_t at = choose(d->from, REF_LIMITERS);
  d->model.label = handle;
  if (!handle || ref_limiter_of(&d->model, handle)) return;
  while (ref_limiter_of(&d->model, d->limiters[at]))
    at = (at + 1) % REF_LIMITERS;
  d->limiters[at] = handle;
}

/* --- requests ------------------------------------------------------------ */

static void op_release(duel *d);

static void forget_keys(duel *d, weir_limiter limiter) {
  ref_forget(&d->model, limiter, duel_keys(d, limiter), d->now);
}

/* The model cannot see whether the engine began to measure before its memory
** ran out. */
static void spare_memory(duel *d, weir_limiter limiter) {
  if (ref_would_measure(&d->model, limiter)) ledger_recover(&d->memory);
}

static void op_acquire(duel *d) {
  int port = duel_pick_port(d);
  weir_limiter limiter = duel_pick_limiter(d);
  weir_request request = duel_pick_request(d);
  weir_ticket ticket = 1;
  int answer, peeked;
  if (ref_tickets_full(&d->model)) {
    op_release(d);
    return;
  }
  spare_memory(d, limiter);
  peeked = weir_peek(d->ports[port], limiter, &request, d->now);
  answer = weir_acquire(d->ports[port], limiter, &request, d->now, &ticket);
  tell_memory(d, answer);
  if (!d->model.no_memory)
    duel_same(d, "peek", (uint64_t)peeked, (uint64_t)answer);
  forget_keys(d, limiter);
  remember_ticket(d, ticket);
  duel_answers(d, answer,
               ref_acquire(&d->model, port, limiter, &request, d->now));
  check_ticket(d, ticket);
}

/* Of several limiters; sometimes of none, of one, or of too many. Often it is
** one limiter with other keys, and then sometimes with the same. */
static uint32_t pick_all(duel *d, weir_limiter *limiters,
                         weir_request *requests) {
  uint32_t count = 2 + choose(d->from, REF_PARTS - 1);
  if (once_in(d->from, 32)) count = 1;
  for (uint32_t i = 0; i < count; i++) {
    limiters[i] =
        i && once_in(d->from, 4) ? limiters[i - 1] : duel_pick_limiter(d);
    requests[i] = duel_pick_request(d);
    spare_memory(d, limiters[i]);
  }
  if (once_in(d->from, 64)) count = 0;
  if (once_in(d->from, 64)) count = WEIR_ALL_MAX + 1;
  return (uint32_t)duel_arg(d, "all", count);
}

static void op_acquire_all(duel *d) {
  int port = duel_pick_port(d);
  weir_limiter limiters[REF_PARTS] = { 0 }, engine = 0, model = 0;
  weir_request requests[REF_PARTS];
  uint32_t count;
  weir_ticket ticket = 1;
  int answer, peeked;
  if (ref_tickets_full(&d->model)) return;
  count = pick_all(d, limiters, requests);
  peeked = weir_peek_all(d->ports[port], limiters, requests, count, d->now);
  answer = weir_acquire_all(d->ports[port], limiters, requests, count, d->now,
                            &ticket, &engine);
  tell_memory(d, answer);
  if (!d->model.no_memory)
    duel_same(d, "peek_all", (uint64_t)peeked, (uint64_t)answer);
  for (uint32_t i = 0; i < count && i < REF_PARTS; i++)
    forget_keys(d, limiters[i]);
  remember_ticket(d, ticket);
  duel_answers(d, answer,
               ref_acquire_all(&d->model, port, limiters, requests, count,
                               d->now, &model));
  check_ticket(d, ticket);
  if (answer > WEIR_ADMITTED) duel_same(d, "decider", engine, model);
}

static void op_drain(duel *d) {
  int port = duel_pick_port(d);
  weir_limiter limiter = duel_pick_limiter(d);
  weir_request request = duel_pick_request(d);
  weir_ticket ticket = 1;
  int answer;
  if (ref_tickets_full(&d->model)) return;
  answer = weir_drain(d->ports[port], limiter, &request, d->now, &ticket);
  tell_memory(d, answer);
  remember_ticket(d, ticket);
  duel_answers(d, answer,
               ref_drain(&d->model, port, limiter, &request, d->now));
  check_ticket(d, ticket);
}

static void op_park(duel *d) {
  int port = duel_pick_port(d);
  weir_request request = duel_pick_request(d);
  weir_ticket ticket = 1;
  int answer;
  if (ref_tickets_full(&d->model)) return;
  answer = weir_park(d->ports[port], &request, &ticket);
  tell_memory(d, answer);
  remember_ticket(d, ticket);
  duel_answers(d, answer, ref_park(&d->model, port, &request));
  check_ticket(d, ticket);
}

/* --- questions ------------------------------------------------------------ */

/* Whether a request that wants tokens only may be had exactly then. (While the
** space has not been told that its clock was set, no time passes.) */
static void check_retry(duel *d, int port, weir_limiter limiter,
                        const weir_request *request, uint64_t ns) {
  if (ns >= WEIR_NEVER - 1 - d->now ||
      ref_clock(&d->model, d->now + ns) != ref_clock(&d->model, d->now) + ns)
    return;
  duel_same(d, "in time", WEIR_ADMITTED,
            (uint64_t)weir_peek(d->ports[port], limiter, request, d->now + ns));
  if (ns)
    duel_same(d, "before its time", 0,
              weir_peek(d->ports[port], limiter, request, d->now + ns - 1) ==
                  WEIR_ADMITTED);
}

/* Whether nothing but the time keeps a request, and what keeps it is no
** refusal. */
static bool is_timely(duel *d, weir_limiter limiter,
                      const weir_request *request) {
  const ref_limiter *known = ref_limiter_of(&d->model, limiter);
  const weir_config *config = &known->config;
  int key = ref_key_of(request->key, request->key_size);
  return !known->closed && !config->dry_run && !config->pass_exhausted &&
         !config->concurrent && !config->adaptive.algorithm &&
         known->keys[key].known && !known->keys[key].queue;
}

static void op_quota(duel *d) {
  int port = duel_pick_port(d);
  weir_limiter limiter = duel_pick_limiter(d);
  weir_request request = duel_pick_request(d);
  weir_quota engine, model;
  int answer = weir_limiter_quota(d->space, limiter, &request, d->now, &engine);
  duel_answers(d, answer,
               ref_quota(&d->model, limiter, &request, d->now, &model));
  if (answer || d->broken) return;
  duel_same(d, "quota.left", engine.left, model.left);
  duel_same(d, "quota.retry_ns", engine.retry_ns, model.retry_ns);
  duel_same(d, "quota.reset_ns", engine.reset_ns, model.reset_ns);
  if (is_timely(d, limiter, &request))
    check_retry(d, port, limiter, &request, engine.retry_ns);
  duel_foresee(d, limiter, &request, engine.retry_ns);
}

static void op_holds_all(duel *d) {
  int port = duel_pick_port(d);
  weir_limiter limiter = duel_pick_limiter(d);
  weir_request request = duel_pick_request(d);
  duel_answers(d, weir_holds_all(d->ports[port], limiter, &request),
               ref_holds_all(&d->model, port, limiter, &request));
}

/* --- tickets ------------------------------------------------------------- */

static void release(duel *d, int port, weir_ticket ticket) {
  weir_outcome outcome = duel_pick_outcome(d);
  int answer = weir_release(d->ports[port], ticket, outcome, d->now);
  duel_answers(d, answer,
               ref_release(&d->model, port, ticket, outcome, d->now));
}

static void cancel(duel *d, int port, weir_ticket ticket) {
  int answer = weir_cancel(d->ports[port], ticket, d->now);
  duel_answers(d, answer, ref_cancel(&d->model, port, ticket, d->now));
}

static void claim(duel *d, int port, weir_ticket ticket) {
  weir_event engine, model;
  int answer = weir_claim(d->ports[port], ticket, &engine);
  duel_answers(d, answer, ref_claim(&d->model, port, ticket, &model));
  if (answer == 1 && !d->broken) duel_same_events(d, &engine, &model);
}

static void wake(duel *d, int port, weir_ticket ticket) {
  int answer = weir_wake(d->ports[port], ticket);
  duel_answers(d, answer, ref_wake(&d->model, port, ticket));
}

static void op_release(duel *d) {
  weir_ticket ticket = duel_pick_ticket(d);
  release(d, duel_pick_owner(d, ticket), ticket);
}

static void op_cancel(duel *d) {
  weir_ticket ticket = duel_pick_ticket(d);
  cancel(d, duel_pick_owner(d, ticket), ticket);
}

static void op_claim(duel *d) {
  weir_ticket ticket = duel_pick_ticket(d);
  claim(d, duel_pick_owner(d, ticket), ticket);
}

static void op_wake(duel *d) {
  weir_ticket ticket = duel_pick_ticket(d);
  wake(d, duel_pick_owner(d, ticket), ticket);
}

static void op_set_cookie(duel *d) {
  weir_ticket ticket = duel_pick_ticket(d);
  int port = duel_pick_owner(d, ticket);
  int answer = weir_set_cookie(d->ports[port], ticket, d->step);
  duel_answers(d, answer, ref_set_cookie(&d->model, port, ticket, d->step));
}

/* --- turns --------------------------------------------------------------- */

static void op_next(duel *d) {
  int port = duel_pick_port(d);
  weir_event engine, model;
  bool answer = weir_next(d->ports[port], &engine);
  duel_answers(d, answer, ref_next(&d->model, port, &model));
  if (!answer || d->broken) return;
  duel_same_events(d, &engine, &model);
}

/* Mostly a little later; sometimes so much that a clock was set. */
static void op_time(duel *d) {
  static const uint64_t steps[] = { 0, 1, 2, 5, 20, 60, 300, 1000 };
  static const uint64_t leaps[] = { 100000000, 999999999, 1000000000,
                                    1500000000 };
  uint64_t ns = once_in(d->from, 48) ? leaps[choose(d->from, 4)]
                                     : steps[choose(d->from, 8)];
  d->now =
      once_in(d->from, 6) ? duel_earlier(d->now, ns) : duel_later(d->now, ns);
  duel_arg(d, "now", d->now);
}

static void advance(duel *d, int port) {
  uint64_t deadline = weir_advance(d->ports[port], duel_arg(d, "now", d->now));
  ref_advance(&d->model, port, d->now);
  duel_answers(d, (int64_t)deadline, (int64_t)weir_deadline(d->ports[port]));
  duel_same(d, "a deadline that is due", deadline <= d->now, false);
}

/* Expires at the present, or exactly at the next deadline, or just before. */
static void op_advance(duel *d) {
  int port = duel_pick_port(d);
  uint64_t deadline = ref_deadline(&d->model, port);
  uint32_t how = choose(d->from, 4);
  if (how < 2 && deadline > d->now && deadline < WEIR_NEVER)
    d->now = deadline - how;
  advance(d, port);
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
  uint32_t at = (uint32_t)duel_arg(d, "name", choose(d->from, 6));
  if (commons_shared()) at = 0; /* where named ones stay */
  weir_config config = duel_pick_config(d);
  weir_limiter limiter = 1;
  int answer;
  if (ref_limiters_full(&d->model)) return;
  answer = weir_limiter_open(d->space, names[at], &config, d->now, &limiter);
  duel_same(d, "a limiter came", limiter != 0, answer == 0);
  tell_memory(d, answer);
  remember_limiter(d, limiter);
  duel_answers(d, answer, ref_open(&d->model, names[at], &config, d->now));
  if (answer == 0)
    duel_same(d, "the model knows it", true,
              ref_limiter_of(&d->model, limiter) != NULL);
}

static void op_set(duel *d) {
  weir_limiter limiter = duel_pick_limiter(d);
  weir_config config = duel_pick_config(d);
  int answer = weir_limiter_set(d->space, limiter, &config, d->now);
  tell_memory(d, answer);
  duel_answers(d, answer, ref_set(&d->model, limiter, &config, d->now));
}

static void op_close(duel *d) {
  weir_limiter limiter = duel_pick_limiter(d);
  int answer = weir_limiter_close(d->space, limiter, d->now);
  duel_answers(d, answer, ref_close(&d->model, limiter, d->now));
}

static void op_drop(duel *d) {
  uint32_t at = choose(d->from, REF_LIMITERS); /* closed ones want it, too */
  weir_limiter limiter = duel_arg(d, "limiter", d->limiters[at]);
  int answer = weir_limiter_drop(d->space, limiter);
  duel_answers(d, answer, ref_drop(&d->model, limiter));
}

/* --- ports --------------------------------------------------------------- */

static void op_attach(duel *d) {
  uint32_t port = (uint32_t)duel_arg(d, "port", choose(d->from, REF_PORTS));
  if (d->ports[port]) return;
  d->ports[port] = weir_port_attach(d->space);
  duel_answers(d, d->ports[port] != NULL, !d->memory.failed);
}

static void op_detach(duel *d) {
  int leaver = duel_pick_port(d);
  weir_port_detach(d->ports[leaver], d->now);
  d->ports[leaver] = NULL;
  ref_detach(&d->model, leaver, d->now);
}

/* --- choosing ------------------------------------------------------------ */

static const struct {
  const char *name;
  void (*run)(duel *d);
  uint8_t weight;
  bool upsets; /* it changes what a limiter is */
} operations[] = {
  { "acquire", op_acquire, 70, false },
  { "acquire_all", op_acquire_all, 20, false },
  { "release", op_release, 40, false },
  { "next", op_next, 30, false },
  { "advance", op_advance, 18, false },
  { "time", op_time, 18, false },
  { "cancel", op_cancel, 8, false },
  { "claim", op_claim, 6, false },
  { "quota", op_quota, 6, false },
  { "set", op_set, 6, true },
  { "open", op_open, 6, true },
  { "wake", op_wake, 4, false },
  { "holds_all", op_holds_all, 3, false },
  { "park", op_park, 3, false },
  { "drop", op_drop, 3, true },
  { "set_cookie", op_set_cookie, 2, false },
  { "attach", op_attach, 3, false },
  { "drain", op_drain, 1, true },
  { "close", op_close, 1, true },
  { "detach", op_detach, 1, true },
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

/* One that a calm duel can do without is left out, mostly. */
static unsigned pick_calmly(duel *d) {
  unsigned operation = pick_operation(d), limiters = 0;
  if (!d->calm || !operations[operation].upsets) return operation;
  for (int i = 0; i < REF_LIMITERS; i++)
    limiters += d->model.limiters[i].live && !d->model.limiters[i].closed;
  return limiters < 2 || once_in(d->from, 32) ? operation : 0;
}

static void tighten(duel *d) {
  d->memory.failed = 0;
  if (once_in(d->from, d->tight ? 4 : 24))
    ledger_fail(&d->memory, 1 + choose(d->from, d->tight ? 6 : 2));
}

void duel_operate(duel *d) {
  unsigned operation = pick_calmly(d);
  duel_begin(d, operations[operation].name);
  tighten(d);
  operations[operation].run(d);
  ledger_recover(&d->memory);
}

/* --- the end ------------------------------------------------------------- */

/* A ticket that does not wait for others, from a random place on. */
static ref_ticket *pick_decided(duel *d) {
  uint32_t at = choose(d->from, REF_TICKETS);
  for (int i = 0; i < REF_TICKETS; i++, at = (at + 1) % REF_TICKETS) {
    ref_ticket *ticket = &d->model.tickets[at];
    bool waits = ticket->state == WEIR_QUEUED && ticket->kind != REF_PARKED;
    if (ticket->state != WEIR_FREE && (!waits || once_in(d->from, 16)))
      return ticket;
  }
  return NULL;
}

static void finish(duel *d, const ref_ticket *ticket) {
  duel_begin(d, "unwind");
  duel_arg(d, "ticket", ticket->handle);
  if (ticket->state == WEIR_HELD)
    release(d, ticket->port, ticket->handle);
  else if (ticket->state == WEIR_READY)
    claim(d, ticket->port, ticket->handle);
  else if (ticket->kind == REF_PARKED)
    wake(d, ticket->port, ticket->handle);
  else
    cancel(d, ticket->port, ticket->handle);
}

/* Those that are left wait for the time. */
static void pass_time(duel *d) {
  uint64_t next = WEIR_NEVER;
  duel_begin(d, "unwind");
  for (int i = 0; i < REF_PORTS; i++)
    if (d->ports[i] && weir_deadline(d->ports[i]) < next)
      next = weir_deadline(d->ports[i]);
  duel_same(d, "somebody waits for nothing", next == WEIR_NEVER, false);
  if (next > d->now && next != WEIR_NEVER) d->now = next;
  for (int i = 0; i < REF_PORTS && !d->broken; i++)
    if (d->ports[i]) advance(d, i);
}

static bool is_over(const duel *d) {
  for (int i = 0; i < REF_TICKETS; i++)
    if (d->model.tickets[i].state != WEIR_FREE) return false;
  return true;
}

void duel_unwind(duel *d) {
  unsigned rounds = 50 * REF_TICKETS;
  d->memory.failed = 0;
  while (!d->broken && !is_over(d) && d->now < WEIR_NEVER - 1 - UINT32_MAX) {
    const ref_ticket *ticket = pick_decided(d);
    d->step++;
    if (ticket)
      finish(d, ticket);
    else
      pass_time(d);
    duel_glance(d);
    if (!rounds--) duel_same(d, "somebody waits for ever", true, false);
  }
}
