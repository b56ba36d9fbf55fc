/* reference.c - see reference.h. */
#include "reference.h"

#include <string.h>

void ref_init(reference *model) {
  for (int i = 0; i < REF_TICKETS; i++) model->tickets[i].state = WEIR_FREE;
  for (int i = 0; i < REF_LIMITERS; i++) model->limiters[i].live = false;
  model->arrivals = model->decisions = 0;
  model->made = NULL;
}

/* --- finding ------------------------------------------------------------- */

ref_ticket *ref_ticket_of(reference *model, weir_ticket handle) {
  for (int i = 0; i < REF_TICKETS; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_FREE && ticket->handle == handle) return ticket;
  }
  return NULL;
}

ref_limiter *ref_limiter_of(reference *model, weir_limiter handle) {
  for (int i = 0; i < REF_LIMITERS; i++) {
    ref_limiter *limiter = &model->limiters[i];
    if (limiter->live && limiter->handle == handle) return limiter;
  }
  return NULL;
}

static ref_ticket *own_ticket(reference *model, int port, weir_ticket handle) {
  ref_ticket *ticket = ref_ticket_of(model, handle);
  return ticket && ticket->port == port ? ticket : NULL;
}

static int place_of(const reference *model, const ref_limiter *limiter) {
  return (int)(limiter - model->limiters);
}

/* The limiter's waiter that came first; NULL: none. */
static ref_ticket *head_of(reference *model, int limiter) {
  ref_ticket *head = NULL;
  for (int i = 0; i < REF_TICKETS; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_QUEUED || ticket->limiter != limiter) continue;
    if (!head || ticket->arrival < head->arrival) head = ticket;
  }
  return head;
}

ref_ticket *ref_first_ready(reference *model, int port) {
  ref_ticket *first = NULL;
  for (int i = 0; i < REF_TICKETS; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_READY || ticket->port != port) continue;
    if (!first || ticket->decision < first->decision) first = ticket;
  }
  return first;
}

/* The port's waiter that times out first; NULL: none ever. */
static ref_ticket *first_due(reference *model, int port) {
  ref_ticket *first = NULL;
  for (int i = 0; i < REF_TICKETS; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_QUEUED || ticket->port != port ||
        ticket->deadline == WEIR_NEVER)
      continue;
    if (!first || ticket->deadline < first->deadline ||
        (ticket->deadline == first->deadline &&
         ticket->arrival < first->arrival))
      first = ticket;
  }
  return first;
}

uint64_t ref_deadline(reference *model, int port) {
  const ref_ticket *first = first_due(model, port);
  return first ? first->deadline : WEIR_NEVER;
}

/* --- counting ------------------------------------------------------------ */

static bool uses_permits(const ref_ticket *ticket) {
  return ticket->kind == REF_REQUEST &&
         (ticket->state == WEIR_HELD ||
          (ticket->state == WEIR_READY && ticket->verdict == WEIR_ADMITTED));
}

static uint64_t in_use(const reference *model, int limiter) {
  uint64_t sum = 0;
  for (int i = 0; i < REF_TICKETS; i++)
    if (model->tickets[i].limiter == limiter &&
        uses_permits(&model->tickets[i]))
      sum += model->tickets[i].cost;
  return sum;
}

static uint32_t waiting(const reference *model, int limiter) {
  uint32_t count = 0;
  for (int i = 0; i < REF_TICKETS; i++)
    count += model->tickets[i].state == WEIR_QUEUED &&
             model->tickets[i].kind == REF_REQUEST &&
             model->tickets[i].limiter == limiter;
  return count;
}

static bool has_tickets(const reference *model, int limiter) {
  for (int i = 0; i < REF_TICKETS; i++)
    if (model->tickets[i].state != WEIR_FREE &&
        model->tickets[i].limiter == limiter)
      return true;
  return false;
}

bool ref_tickets_full(const reference *model) {
  for (int i = 0; i < REF_TICKETS; i++)
    if (model->tickets[i].state == WEIR_FREE) return false;
  return true;
}

bool ref_limiters_full(const reference *model) {
  for (int i = 0; i < REF_LIMITERS; i++)
    if (!model->limiters[i].live) return false;
  return true;
}

static uint64_t waited(const ref_ticket *ticket) {
  if (ticket->kind == REF_PARKED || ticket->decided < ticket->arrived) return 0;
  return ticket->decided - ticket->arrived;
}

/* --- changing ------------------------------------------------------------ */

static void collect(reference *model, int limiter) {
  if (limiter >= 0 && !model->limiters[limiter].refs &&
      !has_tickets(model, limiter))
    model->limiters[limiter].live = false;
}

static void free_ticket(reference *model, ref_ticket *ticket) {
  ticket->state = WEIR_FREE;
  collect(model, ticket->limiter);
}

static void admit(ref_limiter *limiter, uint64_t wait) {
  limiter->waits[limiter->admitted++ % REF_WAITS] = wait;
}

static void decide(reference *model, ref_ticket *ticket, weir_verdict verdict,
                   uint64_t now) {
  ticket->state = WEIR_READY;
  ticket->verdict = verdict;
  ticket->decided = now;
  ticket->decision = ++model->decisions;
  if (ticket->kind != REF_REQUEST) return;
  if (verdict == WEIR_ADMITTED)
    admit(&model->limiters[ticket->limiter], waited(ticket));
  else
    model->limiters[ticket->limiter].refused[verdict]++;
}

/* What the head of the queue is to be told; WAITING: nothing yet. */
static weir_verdict verdict_for(const reference *model,
                                const ref_ticket *head) {
  uint32_t limit = model->limiters[head->limiter].config.concurrent;
  uint64_t used = in_use(model, head->limiter);
  if (head->kind == REF_DRAIN) return used ? WEIR_WAITING : WEIR_ADMITTED;
  if (head->cost > limit) return WEIR_IMPOSSIBLE;
  return used + head->cost <= limit ? WEIR_ADMITTED : WEIR_WAITING;
}

/* Decides from the head on until one has to wait. */
static void settle(reference *model, int limiter, uint64_t now) {
  ref_ticket *head;
  while (limiter >= 0 && (head = head_of(model, limiter)) != NULL) {
    weir_verdict verdict = verdict_for(model, head);
    if (verdict == WEIR_WAITING) return;
    decide(model, head, verdict, now);
  }
}

void ref_take(reference *model, ref_ticket *ticket, weir_event *out) {
  out->ticket = ticket->handle;
  out->cookie = ticket->cookie;
  out->waited_ns = waited(ticket);
  out->limiter =
      ticket->limiter < 0 ? 0 : model->limiters[ticket->limiter].handle;
  out->verdict = ticket->verdict;
  if (uses_permits(ticket))
    ticket->state = WEIR_HELD;
  else
    free_ticket(model, ticket);
}

/* --- asking -------------------------------------------------------------- */

static void make_ticket(reference *model, ref_ticket ticket) {
  for (int i = 0; i < REF_TICKETS; i++) {
    if (model->tickets[i].state != WEIR_FREE) continue;
    model->tickets[i] = ticket;
    model->tickets[i].arrival = ++model->arrivals;
    model->made = &model->tickets[i].handle;
    return;
  }
}

static uint64_t deadline_of(const weir_request *request, uint64_t timeout_ns,
                            uint64_t now) {
  if (request->deadline) return request->deadline;
  return timeout_ns > WEIR_NEVER - now ? WEIR_NEVER : now + timeout_ns;
}

/* What a request is told if memory is no matter. */
static weir_verdict verdict_now(reference *model, const ref_ticket *ticket,
                                bool try_only, uint64_t now) {
  const ref_limiter *limiter = &model->limiters[ticket->limiter];
  uint32_t limit = limiter->config.concurrent, queue = limiter->config.queue;
  if (limiter->closed) return WEIR_CLOSED;
  if (ticket->cost > limit) return WEIR_IMPOSSIBLE;
  if (!head_of(model, ticket->limiter) &&
      in_use(model, ticket->limiter) + ticket->cost <= limit)
    return WEIR_ADMITTED;
  if (try_only) return WEIR_FULL;
  if (queue != WEIR_UNBOUNDED && waiting(model, ticket->limiter) >= queue)
    return WEIR_FULL;
  return ticket->deadline <= now ? WEIR_TIMEOUT : WEIR_WAITING;
}

int ref_acquire(reference *model, int port, weir_limiter handle,
                const weir_request *request, uint64_t now, bool no_memory) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  ref_ticket ticket = { .kind = REF_REQUEST, .port = port };
  weir_verdict verdict;
  model->made = NULL;
  if (!limiter) return WEIR_E_STALE;
  if (request->cost > WEIR_PERMITS_MAX) return WEIR_E_CONFIG;
  ticket.limiter = place_of(model, limiter);
  ticket.cost = request->cost ? request->cost : 1;
  ticket.cookie = request->cookie;
  ticket.arrived = ticket.decided = now;
  ticket.deadline = deadline_of(request, limiter->config.timeout_ns, now);
  verdict = verdict_now(model, &ticket, request->try_only, now);
  if (no_memory && (verdict == WEIR_ADMITTED || verdict == WEIR_WAITING))
    verdict = WEIR_EXHAUSTED;
  if (verdict == WEIR_ADMITTED || verdict == WEIR_WAITING) {
    ticket.state = verdict == WEIR_ADMITTED ? WEIR_HELD : WEIR_QUEUED;
    if (verdict == WEIR_ADMITTED) admit(limiter, 0);
    make_ticket(model, ticket);
  } else {
    limiter->refused[verdict]++;
  }
  return (int)verdict;
}

int ref_drain(reference *model, int port, weir_limiter handle,
              const weir_request *request, uint64_t now, bool no_memory) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  ref_ticket ticket = { .kind = REF_DRAIN, .state = WEIR_QUEUED };
  model->made = NULL;
  if (!limiter) return WEIR_E_STALE;
  if (no_memory) return WEIR_EXHAUSTED;
  limiter->closed = true;
  ticket.limiter = place_of(model, limiter);
  ticket.port = port;
  ticket.cookie = request->cookie;
  ticket.arrived = now;
  ticket.deadline = request->deadline ? request->deadline : WEIR_NEVER;
  if (!head_of(model, ticket.limiter) && !in_use(model, ticket.limiter))
    return WEIR_ADMITTED;
  if (request->try_only) return WEIR_FULL;
  if (ticket.deadline <= now) return WEIR_TIMEOUT;
  make_ticket(model, ticket);
  return WEIR_WAITING;
}

int ref_park(reference *model, int port, const weir_request *request,
             bool no_memory) {
  ref_ticket ticket = { .kind = REF_PARKED, .state = WEIR_QUEUED };
  model->made = NULL;
  if (no_memory) return WEIR_EXHAUSTED;
  ticket.limiter = -1;
  ticket.port = port;
  ticket.cookie = request->cookie;
  ticket.deadline = request->deadline ? request->deadline : WEIR_NEVER;
  make_ticket(model, ticket);
  return WEIR_WAITING;
}

/* --- tickets ------------------------------------------------------------- */

int ref_release(reference *model, int port, weir_ticket handle,
                weir_outcome outcome, uint64_t now) {
  ref_ticket *ticket = own_ticket(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state != WEIR_HELD) return WEIR_E_STATE;
  if (outcome == WEIR_DROPPED) model->limiters[ticket->limiter].dropped++;
  free_ticket(model, ticket);
  settle(model, ticket->limiter, now);
  return 0;
}

/* Takes a ticket whose event was not taken away, those behind it not told. */
static void withdraw(reference *model, ref_ticket *ticket) {
  if (ticket->state == WEIR_QUEUED && ticket->kind == REF_REQUEST)
    model->limiters[ticket->limiter].refused[WEIR_CANCELED]++;
  free_ticket(model, ticket);
}

int ref_cancel(reference *model, int port, weir_ticket handle, uint64_t now) {
  ref_ticket *ticket = own_ticket(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  withdraw(model, ticket);
  settle(model, ticket->limiter, now);
  return 0;
}

int ref_claim(reference *model, int port, weir_ticket handle, weir_event *out) {
  ref_ticket *ticket = own_ticket(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->state == WEIR_HELD) return WEIR_E_STATE;
  if (ticket->state == WEIR_QUEUED) return 0;
  ref_take(model, ticket, out);
  return 1;
}

int ref_wake(reference *model, int port, weir_ticket handle) {
  ref_ticket *ticket = own_ticket(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  if (ticket->kind != REF_PARKED || ticket->state != WEIR_QUEUED)
    return WEIR_E_STATE;
  decide(model, ticket, WEIR_ADMITTED, 0);
  return 0;
}

int ref_set_cookie(reference *model, int port, weir_ticket handle,
                   uint64_t cookie) {
  ref_ticket *ticket = own_ticket(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  ticket->cookie = cookie;
  return 0;
}

int ref_inspect(reference *model, int port, weir_ticket handle,
                weir_ticket_info *out) {
  const ref_ticket *ticket = own_ticket(model, port, handle);
  if (!ticket) return WEIR_E_STALE;
  *out = (weir_ticket_info){ .ticket = handle };
  if (ticket->limiter >= 0)
    out->limiter = model->limiters[ticket->limiter].handle;
  out->cookie = ticket->cookie;
  out->since = ticket->state == WEIR_QUEUED ? ticket->arrived : ticket->decided;
  out->cost = ticket->cost;
  out->state = ticket->state;
  return 0;
}

void ref_advance(reference *model, int port, uint64_t now) {
  ref_ticket *due;
  while ((due = first_due(model, port)) != NULL && due->deadline <= now) {
    decide(model, due, WEIR_TIMEOUT, now);
    settle(model, due->limiter, now);
  }
}

/* All at once: the port is not given on its way out what it had asked for. */
void ref_detach(reference *model, int port, uint64_t now) {
  for (int i = 0; i < REF_TICKETS; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state == WEIR_FREE || ticket->port != port) continue;
    if (ticket->state == WEIR_HELD) model->limiters[ticket->limiter].dropped++;
    withdraw(model, ticket);
  }
  for (int i = 0; i < REF_LIMITERS; i++)
    if (model->limiters[i].live) settle(model, i, now);
}

/* --- limiters ------------------------------------------------------------ */

static bool is_good(const weir_config *config) {
  return config->concurrent >= 1 && config->concurrent <= WEIR_PERMITS_MAX;
}

static ref_limiter *named(reference *model, const char *name) {
  for (int i = 0; i < REF_LIMITERS; i++) {
    ref_limiter *limiter = &model->limiters[i];
    if (*name && limiter->live && !limiter->closed &&
        !strcmp(limiter->name, name))
      return limiter;
  }
  return NULL;
}

static ref_limiter *make_limiter(reference *model, const char *name) {
  ref_limiter *limiter = model->limiters;
  while (limiter->live) limiter++;
  limiter->handle = 0; /* until it is told */
  limiter->live = true;
  limiter->closed = false;
  limiter->refs = 0;
  limiter->admitted = limiter->dropped = 0;
  memset(limiter->refused, 0, sizeof limiter->refused);
  memcpy(limiter->name, name, strlen(name) + 1);
  model->made = &limiter->handle;
  return limiter;
}

int ref_open(reference *model, const char *name, const weir_config *config,
             uint64_t now, bool no_memory) {
  ref_limiter *limiter;
  model->made = NULL;
  if (!name) name = "";
  if (!is_good(config) || strlen(name) > WEIR_NAME_MAX) return WEIR_E_CONFIG;
  limiter = named(model, name);
  if (!limiter && no_memory) return WEIR_E_MEMORY;
  if (!limiter) limiter = make_limiter(model, name);
  limiter->refs++;
  limiter->config = *config;
  settle(model, place_of(model, limiter), now);
  return 0;
}

int ref_set(reference *model, weir_limiter handle, const weir_config *config,
            uint64_t now) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  if (!limiter) return WEIR_E_STALE;
  if (!is_good(config)) return WEIR_E_CONFIG;
  limiter->config = *config;
  settle(model, place_of(model, limiter), now);
  return 0;
}

/* The waiter of a limiter that came first and is no drain; NULL: none. */
static ref_ticket *first_request(reference *model, int limiter) {
  ref_ticket *first = NULL;
  for (int i = 0; i < REF_TICKETS; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_QUEUED || ticket->limiter != limiter ||
        ticket->kind != REF_REQUEST)
      continue;
    if (!first || ticket->arrival < first->arrival) first = ticket;
  }
  return first;
}

int ref_close(reference *model, weir_limiter handle, uint64_t now) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  ref_ticket *waiter;
  if (!limiter) return WEIR_E_STALE;
  limiter->closed = true;
  while ((waiter = first_request(model, place_of(model, limiter))) != NULL)
    decide(model, waiter, WEIR_CLOSED, now);
  settle(model, place_of(model, limiter), now);
  return 0;
}

int ref_drop(reference *model, weir_limiter handle) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  if (!limiter || !limiter->refs) return WEIR_E_STALE;
  limiter->refs--;
  collect(model, place_of(model, limiter));
  return 0;
}

int ref_stats(reference *model, weir_limiter handle, weir_stats *out) {
  const ref_limiter *limiter = ref_limiter_of(model, handle);
  int place;
  if (!limiter) return WEIR_E_STALE;
  place = place_of(model, limiter);
  *out = (weir_stats){ .limit = limiter->config.concurrent };
  out->in_use = (uint32_t)in_use(model, place);
  out->waiting = waiting(model, place);
  out->admitted = limiter->admitted;
  out->dropped = limiter->dropped;
  out->closed = limiter->closed;
  memcpy(out->refused, limiter->refused, sizeof out->refused);
  for (uint64_t i = 0; i < limiter->admitted; i++)
    if (limiter->waits[i] > out->wait.max) out->wait.max = limiter->waits[i];
  return 0;
}
