/* reference_ticket.c - see reference.h: events, and the end of tickets. */
#include "reference_inner.h"

/* --- events -------------------------------------------------------------- */

ref_ticket *ref_first_decided(reference *model, int port) {
  ref_ticket *first = NULL;
  for (int i = 0; i < model->high; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_READY || ticket->port != port) continue;
    if (!first || ticket->decision < first->decision) first = ticket;
  }
  return first;
}

/* Whose the first permits or tokens are that a ticket asks for. */
static ref_instance *asks_first(reference *model, const ref_ticket *ticket) {
  return ticket->count ? ref_instance_at(model, &ticket->parts[0]) : NULL;
}

/* A ticket that a port has to begin with before another one; NULL: none. */
static ref_ticket *before_it(reference *model, int port,
                             const ref_ticket *ticket) {
  ref_ticket *found[] = { ref_ticket_of(model, model->turns[port]),
                          ref_first_decided(model, port) };
  for (int i = 0; i < 2; i++)
    if (found[i] && asks_first(model, found[i]) == asks_first(model, ticket) &&
        found[i]->decision < ticket->decision)
      return found[i];
  return NULL;
}

static uint64_t patience(reference *model, const ref_ticket *ticket) {
  uint64_t held = model->limiters[ticket->parts[0].limiter].held_ns;
  return held / 4 < 5000000 ? held / 4 : 5000000;
}

uint64_t ref_withheld_until(reference *model, int port) {
  const ref_ticket *ticket = ref_first_decided(model, port);
  uint64_t until = 0;
  if (!model->orderly || !ticket || !ticket->count ||
      ticket->verdict != WEIR_ADMITTED)
    return 0;
  for (int i = 0; i < REF_PORTS; i++) {
    const ref_ticket *before = i == port ? NULL : before_it(model, i, ticket);
    uint64_t wait = patience(model, ticket);
    if (!before || before->decided > model->heard) continue;
    if (before->decided > WEIR_NEVER - 1 - wait)
      until = WEIR_NEVER - 1;
    else if (before->decided + wait > until)
      until = before->decided + wait;
  }
  return until > model->heard ? until : 0;
}

ref_ticket *ref_first_ready(reference *model, int port) {
  return ref_withheld_until(model, port) ? NULL
                                         : ref_first_decided(model, port);
}

static uint64_t waited(const ref_ticket *ticket) {
  if (ticket->kind == REF_PARKED || ticket->decided < ticket->arrived) return 0;
  return ticket->decided - ticket->arrived;
}

void ref_take(reference *model, ref_ticket *ticket, weir_event *out) {
  out->ticket = ticket->handle;
  out->cookie = ticket->cookie;
  out->waited_ns = waited(ticket);
  out->limiter = 0;
  out->cost = 0;
  if (ticket->kind == REF_REQUEST)
    out->cost = ticket->parts[ticket->waits].cost;
  if (ticket->count)
    out->limiter = model->limiters[ticket->parts[ticket->waits].limiter].handle;
  out->verdict = ticket->verdict;
  if (ref_is_admitted(ticket))
    ticket->state = WEIR_HELD;
  else
    ref_free(model, ticket, true);
}

bool ref_next(reference *model, int port, weir_event *out) {
  ref_ticket *first = ref_first_ready(model, port);
  model->turns[port] = 0;
  if (!first) return false;
  if (model->orderly && first->verdict == WEIR_ADMITTED)
    model->turns[port] = first->handle;
  ref_take(model, first, out);
  return true;
}

int ref_claim(reference *model, int port, weir_ticket handle, weir_event *out) {
  ref_ticket *ticket = ref_own(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  if (ticket->state == WEIR_QUEUED) return 0;
  ref_take(model, ticket, out);
  return 1;
}

int ref_wake(reference *model, int port, weir_ticket handle) {
  ref_ticket *ticket = ref_own(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->kind != REF_PARKED || ticket->state != WEIR_QUEUED)
    return WEIR_E_STATE;
  ref_look_at(model, 0);
  ref_decide(model, ticket, WEIR_ADMITTED, 0);
  return 0;
}

int ref_set_cookie(reference *model, int port, weir_ticket handle,
                   uint64_t cookie) {
  ref_ticket *ticket = ref_own(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  ticket->cookie = cookie;
  return 0;
}

/* --- the end ------------------------------------------------------------- */

static void note_hold(reference *model, const ref_ticket *ticket,
                      const ref_part *part) {
  uint64_t *held = &model->limiters[part->limiter].held_ns;
  uint64_t took =
      model->now > ticket->decided ? model->now - ticket->decided : 0;
  if (model->orderly && ref_instance_at(model, part)->queue)
    *held = *held - *held / 8 + took / 8;
}

/* Gives everything back; nobody is told. */
static void give_back(reference *model, ref_ticket *ticket,
                      weir_outcome outcome) {
  for (int i = 0; i < ticket->count; i++) {
    const ref_part *part = &ticket->parts[i];
    model->limiters[part->limiter].dropped += outcome == WEIR_DROPPED;
    model->limiters[part->limiter].unused += outcome == WEIR_UNUSED;
    note_hold(model, ticket, part);
    if (outcome == WEIR_UNUSED)
      ref_refund(model, ticket, part);
    else
      ref_sample(model, ticket, part, outcome == WEIR_DROPPED);
  }
  ticket->leaving = true;
}

/* Takes one whose event was not taken away; nobody is told. */
static void withdraw(reference *model, ref_ticket *ticket) {
  if (ref_is_admitted(ticket)) {
    for (int i = 0; i < ticket->count; i++)
      ref_refund(model, ticket, &ticket->parts[i]);
  } else if (ref_is_waiting(ticket)) {
    ref_instance *instance = ref_waits_at(model, ticket);
    ref_refuse(ref_limiter_at(model, instance), instance, WEIR_CANCELED);
    ticket->leaving = true;
    ref_leave(model, ticket, false);
  }
  ticket->leaving = true;
}

/* Lets go whoever can now that it has left, and frees it. */
static void settle_and_free(reference *model, ref_ticket *ticket) {
  for (int i = 0; i < ticket->count; i++)
    ref_settle(model, ref_instance_at(model, &ticket->parts[i]));
  ref_free(model, ticket, false);
}

int ref_release(reference *model, int port, weir_ticket handle,
                weir_outcome outcome, uint64_t now) {
  ref_ticket *ticket = ref_own(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state != WEIR_HELD) return WEIR_E_STATE;
  ref_tick(model, now);
  give_back(model, ticket, outcome);
  settle_and_free(model, ticket);
  return 0;
}

int ref_cancel(reference *model, int port, weir_ticket handle, uint64_t now) {
  ref_ticket *ticket = ref_own(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  ref_tick(model, now);
  withdraw(model, ticket);
  settle_and_free(model, ticket);
  return 0;
}

/* The port's ticket whose handle has this number; NULL: none. */
static ref_ticket *numbered(reference *model, int port, int number) {
  for (int i = 0; i < model->high; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_FREE && ticket->port == port &&
        ticket->numbers[0] == number)
      return ticket;
  }
  return NULL;
}

/* All leave before anybody is told, so that the port is not given on its way
** out what it had asked for. */
void ref_detach(reference *model, int port, uint64_t now) {
  int last = model->ticket_numbers.used;
  ref_ticket *ticket;
  ref_tick(model, now);
  model->turns[port] = 0;
  for (int i = last; i > 0; i--) {
    ticket = numbered(model, port, i);
    if (!ticket || ticket->state == WEIR_HELD) continue;
    withdraw(model, ticket);
    ref_free(model, ticket, false);
  }
  for (int i = 1; i <= last; i++)
    if ((ticket = numbered(model, port, i)) != NULL)
      ref_release(model, port, ticket->handle, WEIR_DROPPED, now);
  ref_settle_all(model, -1);
  for (int i = 1; i <= REF_LIMITERS; i++)
    for (int j = 0; j < REF_LIMITERS; j++)
      if (model->limiters[j].live && (int)model->limiters[j].handle == i)
        ref_drained(model, j);
}
