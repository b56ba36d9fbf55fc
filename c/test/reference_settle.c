/* reference_settle.c - see reference.h: who is decided, and by what. */
#include "reference_inner.h"

static uint64_t waited(const ref_ticket *ticket) {
  if (ticket->kind == REF_PARKED || ticket->decided < ticket->arrived) return 0;
  return ticket->decided - ticket->arrived;
}

/* --- deciding ------------------------------------------------------------ */

void ref_admit(reference *model, ref_ticket *ticket) {
  for (int i = 0; i < ticket->count; i++) {
    ref_instance *instance = ref_instance_at(model, &ticket->parts[i]);
    ref_limiter *limiter = ref_limiter_at(model, instance);
    limiter->waits[limiter->admitted++ % REF_WAITS] = waited(ticket);
    instance->admitted++;
    ref_charge(model, ticket, &ticket->parts[i]);
  }
}

void ref_refuse(ref_limiter *limiter, ref_instance *instance,
                weir_verdict verdict) {
  limiter->refused[verdict]++;
  if (instance) instance->refused++;
}

void ref_leave(reference *model, ref_ticket *ticket, bool served) {
  const ref_part *part = &ticket->parts[ticket->waits];
  if (ticket->kind == REF_REQUEST)
    ref_left(model, ref_instance_at(model, part), ticket, part, served);
}

/* What it takes elsewhere those who wait there have to wait for. */
static void tell_others(reference *model, const ref_ticket *ticket,
                        const ref_instance *but) {
  for (int i = 0; i < ticket->count; i++) {
    ref_instance *instance = ref_instance_at(model, &ticket->parts[i]);
    if (instance != but) ref_tell(model, instance);
  }
}

static void drained_all(reference *model, const ref_ticket *ticket) {
  for (int i = 0; ticket->count > 1 && i < ticket->count; i++)
    ref_drained(model, ticket->parts[i].limiter);
}

void ref_decide(reference *model, ref_ticket *ticket, weir_verdict verdict,
                int part) {
  ref_instance *instance;
  ticket->state = WEIR_READY;
  ticket->verdict = verdict;
  ticket->decided = model->now;
  ticket->decision = ++model->decisions;
  ref_leave(model, ticket, verdict == WEIR_ADMITTED);
  ticket->waits = part;
  if (ticket->kind != REF_REQUEST) return;
  instance = ref_instance_at(model, &ticket->parts[part]);
  if (verdict == WEIR_ADMITTED) {
    ref_admit(model, ticket);
    tell_others(model, ticket, instance);
  } else {
    ref_refuse(ref_limiter_at(model, instance), instance, verdict);
    drained_all(model, ticket);
  }
}

/* The drain of a limiter that came first; NULL: none. */
static ref_ticket *first_drain(reference *model, int limiter) {
  ref_ticket *first = NULL;
  for (int i = 0; i < model->high; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->kind != REF_DRAIN || ticket->state != WEIR_QUEUED ||
        ticket->leaving || ticket->parts[0].limiter != limiter)
      continue;
    if (!first || ticket->arrival < first->arrival) first = ticket;
  }
  return first;
}

void ref_drained(reference *model, int limiter) {
  ref_ticket *drain = first_drain(model, limiter);
  if (!drain || !ref_is_idle_limiter(model, limiter)) return;
  for (; drain; drain = first_drain(model, limiter))
    ref_decide(model, drain, WEIR_ADMITTED, 0);
}

/* --- those who ask several limiters --------------------------------------- */

/* What one of its parts is told that is in no queue. */
static weir_verdict verdict_aside(reference *model, const ref_ticket *ticket,
                                  int at) {
  const ref_part *part = &ticket->parts[at];
  const ref_instance *instance = ref_instance_at(model, part);
  const ref_limiter *limiter = ref_limiter_at(model, instance);
  ref_ticket ghost = *ticket;
  ghost.waits = at;
  if (part->free || limiter->config.dry_run) return WEIR_ADMITTED;
  if (ref_is_impossible(limiter, part->cost)) return WEIR_IMPOSSIBLE;
  return ref_leads(model, instance, &ghost) &&
                 ref_bound(model, instance, part->cost) == WEIR_BY_NOTHING
             ? WEIR_ADMITTED
             : WEIR_WAITING;
}

/* It waits elsewhere from now on. Where there are no flows its flow is not
** kept. */
static void move(reference *model, ref_ticket *ticket, int to) {
  ref_instance *left = ref_waits_at(model, ticket);
  ref_part *part = &ticket->parts[ticket->waits];
  if (model->spoilt && model->spoilt(model->data, ticket->handle)) {
    ref_decide(model, ticket, WEIR_EXHAUSTED, ticket->waits);
    return;
  }
  ticket->waits = to;
  if (left->order != WEIR_FAIR) {
    ref_left(model, left, ticket, part, false);
    part->flow = 0;
  } else {
    ref_left(model, left, ticket, part, false);
  }
  ref_joined(model, ticket);
  ref_tell(model, ref_waits_at(model, ticket));
}

/* Whether a ticket that could go where it waits can not elsewhere. */
static bool moves(reference *model, ref_ticket *ticket) {
  for (int i = 1; i < ticket->count; i++) {
    int at = (ticket->waits + i) % ticket->count;
    weir_verdict verdict = verdict_aside(model, ticket, at);
    if (verdict == WEIR_ADMITTED) continue;
    if (verdict == WEIR_WAITING)
      move(model, ticket, at);
    else
      ref_decide(model, ticket, verdict, at);
    return true;
  }
  return false;
}

/* --- settling ------------------------------------------------------------ */

static weir_verdict verdict_of(reference *model, const ref_ticket *head) {
  const ref_part *part = &head->parts[head->waits];
  const ref_instance *instance = ref_instance_at(model, part);
  const ref_limiter *limiter = ref_limiter_at(model, instance);
  if (limiter->config.dry_run) return WEIR_ADMITTED;
  if (ref_is_impossible(limiter, part->cost)) return WEIR_IMPOSSIBLE;
  return ref_bound(model, instance, part->cost) == WEIR_BY_NOTHING
             ? WEIR_ADMITTED
             : WEIR_WAITING;
}

/* Whether one is given up instead of the one that could go. */
static bool sheds(reference *model, ref_instance *instance) {
  const weir_config *config = &ref_limiter_at(model, instance)->config;
  ref_ticket *longest = ref_longest(model, instance);
  bool last = ref_waiting(model, instance) == 1, drops;
  uint64_t wait =
      model->now > longest->arrived ? model->now - longest->arrived : 0;
  if (!instance->controlled || config->dry_run ||
      (!config->shed.codel && !config->shed.lifo))
    return false;
  drops =
      weir_codel_drops(&instance->codel, &config->shed, wait, last, model->t);
  if (!drops || !config->shed.codel) return false;
  ref_decide(model, longest, WEIR_SHED, longest->waits);
  return true;
}

/* Decides about the one that goes next; false: it has to wait. */
static bool settle_one(reference *model, ref_instance *instance) {
  ref_ticket *head = ref_head(model, instance);
  weir_verdict verdict = verdict_of(model, head);
  if (verdict == WEIR_ADMITTED) {
    if (sheds(model, instance)) return true;
    head = ref_head(model, instance); /* the queue may have turned round */
    verdict = verdict_of(model, head);
  }
  if (verdict == WEIR_WAITING) return false;
  if (verdict == WEIR_ADMITTED) {
    if (moves(model, head)) return true;
    if (instance->controlled) weir_pace_note(&instance->pace, 1, model->t);
  }
  ref_decide(model, head, verdict, head->waits);
  return true;
}

void ref_tell(reference *model, ref_instance *instance) {
  const ref_ticket *head = ref_head(model, instance);
  instance->told = NULL;
  instance->due = WEIR_NEVER;
  if (!head) return;
  instance->due = ref_time_of(model, instance, head->parts[head->waits].cost);
  if (instance->due != WEIR_NEVER && instance->due <= head->deadline)
    instance->told = head;
}

void ref_settle(reference *model, ref_instance *instance) {
  bool more = true;
  if (instance->queue && ref_is_tuned(model, instance))
    weir_tuner_advance(&instance->tuner, model->t);
  while (more) more = instance->queue && settle_one(model, instance);
  if (instance->queue) ref_tell(model, instance);
  ref_drained(model, instance->limiter);
}

static ref_instance *queue_numbered(reference *model, int number) {
  for (int i = 0; i < REF_LIMITERS; i++)
    for (int key = 0; model->limiters[i].live && key < REF_KEYS; key++)
      if (model->limiters[i].keys[key].queue == number)
        return &model->limiters[i].keys[key];
  return NULL;
}

void ref_settle_all(reference *model, int limiter) {
  for (int number = 1; number <= model->queue_numbers.used; number++) {
    ref_instance *instance = queue_numbered(model, number);
    if (instance && (limiter < 0 || instance->limiter == limiter))
      ref_settle(model, instance);
  }
}

/* --- the time ------------------------------------------------------------ */

/* When a waiter is due; *told: because the time lets it go. */
static uint64_t due_time(reference *model, const ref_ticket *ticket,
                         bool *told) {
  const ref_instance *instance;
  *told = false;
  if (ticket->kind != REF_REQUEST) return ticket->deadline;
  instance = ref_waits_at(model, ticket);
  *told = instance->told == ticket;
  return *told ? instance->due : ticket->deadline;
}

/* The port's waiter that is due first; NULL: none ever. */
static ref_ticket *first_due(reference *model, int port, uint64_t *time,
                             bool *told) {
  ref_ticket *first = NULL;
  *time = WEIR_NEVER;
  for (int i = 0; i < model->high; i++) {
    ref_ticket *ticket = &model->tickets[i];
    bool is_told;
    uint64_t due;
    if (ticket->state != WEIR_QUEUED || ticket->port != port) continue;
    due = due_time(model, ticket, &is_told);
    if (due > *time || due == WEIR_NEVER ||
        (due == *time && ticket->arrival > first->arrival))
      continue;
    first = ticket;
    *time = due;
    *told = is_told;
  }
  return first;
}

uint64_t ref_deadline(reference *model, int port) {
  uint64_t time, until = ref_withheld_until(model, port);
  bool told;
  first_due(model, port, &time, &told);
  return until && until < time ? until : time;
}

static void expire(reference *model, ref_ticket *ticket, bool told) {
  ref_instance *instance = ticket->count ? ref_waits_at(model, ticket) : NULL;
  if (!told) ref_decide(model, ticket, WEIR_TIMEOUT, ticket->waits);
  if (!instance) return;
  if (told) instance->told = NULL;
  ref_settle(model, instance);
}

void ref_advance(reference *model, int port, uint64_t now) {
  ref_ticket *first;
  uint64_t time;
  bool told;
  ref_tick(model, now);
  for (int i = 0; i < 4 * REF_TICKETS; i++) {
    first = first_due(model, port, &time, &told);
    if (!first || time > now) return;
    expire(model, first, told);
  }
  ref_break(model, true, "what is due is done");
}
