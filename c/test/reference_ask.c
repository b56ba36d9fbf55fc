/* reference_ask.c - see reference.h: what a request is told. */
#include "reference_inner.h"

#include <string.h>

typedef struct asking { /* a request, to one limiter or several */
  ref_ticket ticket;    /* that it would be */
  ref_limiter *limiters[REF_PARTS];
  bool known[REF_PARTS]; /* whether the key is */
  bool try_only;
} asking;

/* --- reading a request ---------------------------------------------------- */

static bool is_sound(const weir_request *request) {
  return request->cost <= WEIR_PERMITS_MAX &&
         (!request->key || request->key_size <= WEIR_KEY_MAX) &&
         (!request->flow || request->flow_size <= WEIR_KEY_MAX) &&
         request->priority >= WEIR_PRIORITY_MIN &&
         request->priority <= WEIR_PRIORITY_MAX;
}

static uint64_t deadline_of(const reference *model, uint64_t timeout_ns) {
  return timeout_ns > WEIR_NEVER - model->now ? WEIR_NEVER
                                              : model->now + timeout_ns;
}

static ref_instance *instance_of(reference *model, const asking *all, int i) {
  return ref_instance_at(model, &all->ticket.parts[i]);
}

/* Reads the part at the end. 0, or what is wrong with it. */
static int read_part(reference *model, asking *all, weir_limiter handle,
                     const weir_request *request) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  int at = all->ticket.count;
  ref_part *part = &all->ticket.parts[at];
  if (!limiter) return WEIR_E_STALE;
  if (!is_sound(request)) return WEIR_E_CONFIG;
  all->limiters[at] = limiter;
  part->limiter = (int)(limiter - model->limiters);
  part->key = ref_key_of(request->key, request->key_size);
  part->flow = ref_flow_of(request->flow, request->flow_size);
  part->priority = (int)request->priority;
  part->cost = request->cost ? request->cost : 1;
  part->free = false;
  all->known[at] = instance_of(model, all, at)->known;
  for (int i = 0; i < at; i++)
    if (instance_of(model, all, i) == instance_of(model, all, at))
      return WEIR_E_CONFIG;
  all->ticket.count++;
  return 0;
}

/* The first request's deadline counts, or else the earliest timeout. */
static int read_all(reference *model, asking *all, int port,
                    const weir_limiter *handles, const weir_request *requests,
                    uint32_t count) {
  uint64_t deadline = WEIR_NEVER;
  memset(&all->ticket, 0, sizeof all->ticket);
  for (uint32_t i = 0; i < count; i++) {
    int error = read_part(model, all, handles[i], &requests[i]);
    uint64_t own;
    if (error) return error;
    own = deadline_of(model, all->limiters[i]->config.timeout_ns);
    if (requests[i].deadline) own = requests[i].deadline;
    if (own < deadline) deadline = own;
  }
  all->ticket.kind = REF_REQUEST;
  all->ticket.port = port;
  all->ticket.cookie = requests[0].cookie;
  all->ticket.arrived = all->ticket.decided = model->now;
  all->ticket.arrival = model->arrivals + 1;
  all->ticket.deadline = requests[0].deadline ? requests[0].deadline : deadline;
  all->try_only = requests[0].try_only;
  return 0;
}

/* --- judging ------------------------------------------------------------- */

/* Whether another part of the request needs its key, as far as is known when
** this one is asked. */
static bool needs_key(const asking *all, int i, int at) {
  /* cppcheck-suppress negativeIndex ; nobody passes one */
  return all->known[i] || (i < at && !all->ticket.parts[i].free);
}

/* How many keys of its limiter are active or asked for by this request. */
static uint32_t keys_wanted(reference *model, const asking *all, int at,
                            bool alone) {
  const ref_limiter *limiter = all->limiters[at];
  bool wanted[REF_KEYS];
  uint32_t count = 0;
  for (int key = 0; key < REF_KEYS; key++)
    wanted[key] =
        limiter->keys[key].known && !ref_is_idle(model, &limiter->keys[key]);
  wanted[all->ticket.parts[at].key] = true;
  for (int i = 0; !alone && i < all->ticket.count; i++)
    if (all->limiters[i] == limiter && needs_key(all, i, at))
      wanted[all->ticket.parts[i].key] = true;
  for (int key = 1; key < REF_KEYS; key++) count += wanted[key];
  return count;
}

static bool has_room(reference *model, const asking *all, int at, bool alone) {
  uint32_t bound = all->limiters[at]->config.keys;
  return all->known[at] ||
         keys_wanted(model, all, at, alone) <= (bound ? bound : WEIR_KEYS);
}

/* What one part is told; WAITING: it can not go now. */
static weir_verdict judge_part(reference *model, asking *all, int at,
                               bool alone) {
  const ref_part *part = &all->ticket.parts[at];
  const ref_instance *instance = instance_of(model, all, at);
  if (all->limiters[at]->closed) return WEIR_CLOSED;
  if (ref_is_impossible(all->limiters[at], part->cost)) return WEIR_IMPOSSIBLE;
  if (!has_room(model, all, at, alone)) return WEIR_EXHAUSTED;
  all->ticket.waits = at;
  if (!all->known[at] ||
      (ref_leads(model, instance, &all->ticket) &&
       ref_bound(model, instance, part->cost) == WEIR_BY_NOTHING))
    return WEIR_ADMITTED;
  return WEIR_WAITING;
}

/* How many wait; in a dry run those who would have to are in use. */
static uint64_t would_wait(reference *model, const asking *all, int at) {
  const ref_instance *instance = instance_of(model, all, at);
  uint32_t limit = ref_limit(model, instance);
  uint64_t used = ref_in_use(model, instance);
  if (instance->queue) return ref_waiting(model, instance);
  if (!all->limiters[at]->config.dry_run || !limit) return 0;
  return used > limit ? used - limit : 0;
}

static bool is_full(reference *model, const asking *all, int at) {
  uint32_t bound = all->limiters[at]->config.queue;
  if (bound == WEIR_UNBOUNDED || would_wait(model, all, at) < bound)
    return false;
  return !bound || !ref_victim(model, instance_of(model, all, at),
                               &all->ticket.parts[at]);
}

static bool is_doomed(reference *model, const asking *all, int at) {
  const ref_instance *instance = instance_of(model, all, at);
  uint64_t ahead = ref_ahead(model, instance, &all->ticket.parts[at]);
  return all->limiters[at]->config.shed.doomed && instance->controlled &&
         all->ticket.deadline != WEIR_NEVER &&
         weir_pace_wait(&instance->pace, ahead + 1) >
             all->ticket.deadline - model->now;
}

/* What a part is told that can not go now. */
static weir_verdict judge_wait(reference *model, const asking *all, int at) {
  if (all->try_only || is_full(model, all, at)) return WEIR_FULL;
  if (all->ticket.deadline <= model->now) return WEIR_TIMEOUT;
  return is_doomed(model, all, at) ? WEIR_DOOMED : WEIR_WAITING;
}

/* What dry runs would have said, each on its own. */
static void count_would(reference *model, asking *all) {
  for (int i = 0; i < all->ticket.count; i++) {
    weir_verdict verdict;
    if (!all->limiters[i]->config.dry_run) continue;
    verdict = judge_part(model, all, i, true);
    if (verdict == WEIR_WAITING) verdict = judge_wait(model, all, i);
    all->limiters[i]->would[verdict]++;
  }
}

/* What a verdict comes to: a dry run admits, and so does a limiter that passes
** those it has no key for. They hold nothing then. */
static weir_verdict relent(const asking *all, ref_part *part, int at,
                           weir_verdict verdict) {
  const weir_config *config = &all->limiters[at]->config;
  bool dry = config->dry_run && verdict != WEIR_CLOSED;
  bool pass = config->pass_exhausted && verdict == WEIR_EXHAUSTED;
  if (!dry && !pass) return verdict;
  part->free = pass || (verdict != WEIR_ADMITTED && verdict != WEIR_WAITING);
  return WEIR_ADMITTED;
}

/* Of one alone a refusal to wait is a verdict that a dry run relents on. */
static weir_verdict judge(reference *model, asking *all, int at) {
  weir_verdict verdict = judge_part(model, all, at, false);
  if (verdict == WEIR_WAITING && all->ticket.count == 1)
    verdict = judge_wait(model, all, at);
  return relent(all, &all->ticket.parts[at], at, verdict);
}

/* What all are told together, and *who decides. */
static weir_verdict judge_all(reference *model, asking *all, int *who) {
  int count = all->ticket.count, waits = count;
  for (*who = 0; *who < count; ++*who) {
    weir_verdict verdict = judge(model, all, *who);
    if (verdict == WEIR_WAITING && waits == count) waits = *who;
    if (verdict != WEIR_ADMITTED && verdict != WEIR_WAITING) return verdict;
  }
  *who = waits < count ? waits : 0;
  return waits < count ? judge_wait(model, all, waits) : WEIR_ADMITTED;
}

/* --- taking in ------------------------------------------------------------ */

static void make_key(ref_instance *instance) {
  weir_rate_state fresh = { 0, 0, 0 };
  instance->known = true;
  instance->rate = fresh;
  instance->controlled = false;
  instance->queue = 0;
  instance->told = NULL;
  instance->admitted = instance->refused = 0;
  instance->taken_count = 0;
}

/* Those that hold nothing for want of a key are of none. */
static void settle_keys(reference *model, asking *all) {
  for (int i = 0; i < all->ticket.count; i++) {
    ref_part *part = &all->ticket.parts[i];
    if (part->free && !all->known[i]) part->key = 0;
    if (!instance_of(model, all, i)->known)
      make_key(instance_of(model, all, i));
    ref_control(model, instance_of(model, all, i));
  }
}

/* Makes room in a queue whose bound is reached. */
static void evict(reference *model, const ref_ticket *ticket) {
  ref_instance *instance = ref_waits_at(model, ticket);
  uint32_t bound = ref_limiter_at(model, instance)->config.queue;
  ref_ticket *victim;
  if (bound == WEIR_UNBOUNDED || ref_waiting(model, instance) < bound) return;
  victim = ref_victim(model, instance, &ticket->parts[ticket->waits]);
  ref_break(model, !victim, "a full queue has a victim");
  if (victim) ref_decide(model, victim, WEIR_FULL, victim->waits);
}

/* If the one that went first is gone, others may go now. */
static void join(reference *model, const ref_ticket *like) {
  ref_ticket *ticket = ref_make(model, like);
  ref_instance *instance = ref_waits_at(model, ticket);
  ref_ticket *head = ref_head(model, instance);
  bool gone;
  ticket->state = WEIR_HELD; /* neither waits nor is in use, until it joins */
  ticket->leaving = true;
  evict(model, ticket);
  gone = head && head->state != WEIR_QUEUED;
  ticket->state = WEIR_QUEUED;
  ticket->leaving = false;
  ref_joined(model, ticket);
  if (gone)
    ref_settle(model, instance);
  else
    ref_tell(model, instance);
}

static void hold(reference *model, const ref_ticket *like) {
  ref_ticket *ticket = ref_make(model, like);
  ticket->state = WEIR_HELD;
  ref_admit(model, ticket);
  for (int i = 0; i < ticket->count; i++)
    ref_tell(model, ref_instance_at(model, &ticket->parts[i]));
}

/* Where there is no memory the key is settled already. */
static int refuse(reference *model, asking *all, int who,
                  weir_verdict verdict) {
  ref_part *part = &all->ticket.parts[who];
  ref_instance *instance;
  if (model->no_memory && part->free && !all->known[who]) part->key = 0;
  instance = instance_of(model, all, who);
  ref_refuse(all->limiters[who], instance->known ? instance : NULL, verdict);
  return (int)verdict;
}

int ref_acquire_all(reference *model, int port, const weir_limiter *handles,
                    const weir_request *requests, uint32_t count, uint64_t now,
                    weir_limiter *decider) {
  asking all;
  weir_verdict verdict;
  int error = 0, who;
  ref_tick(model, now);
  if (!count || count > REF_PARTS) return WEIR_E_CONFIG;
  error = read_all(model, &all, port, handles, requests, count);
  if (error) return error;
  verdict = judge_all(model, &all, &who);
  *decider = all.limiters[who]->handle;
  count_would(model, &all);
  all.ticket.waits = who;
  if (verdict != WEIR_ADMITTED && verdict != WEIR_WAITING)
    return refuse(model, &all, who, verdict);
  if (model->no_memory) return refuse(model, &all, who, WEIR_EXHAUSTED);
  settle_keys(model, &all);
  if (verdict == WEIR_ADMITTED)
    hold(model, &all.ticket);
  else
    join(model, &all.ticket);
  return (int)verdict;
}

int ref_acquire(reference *model, int port, weir_limiter handle,
                const weir_request *request, uint64_t now) {
  weir_limiter decider;
  return ref_acquire_all(model, port, &handle, request, 1, now, &decider);
}

/* --- without a queue ------------------------------------------------------ */

int ref_drain(reference *model, int port, weir_limiter handle,
              const weir_request *request, uint64_t now) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  ref_ticket ticket = { .kind = REF_DRAIN, .state = WEIR_QUEUED };
  ref_look_at(model, now);
  if (!limiter) return WEIR_E_STALE;
  ticket.count = 1;
  ticket.parts[0].limiter = (int)(limiter - model->limiters);
  ticket.port = port;
  ticket.cookie = request->cookie;
  ticket.arrived = now;
  ticket.deadline = request->deadline ? request->deadline : WEIR_NEVER;
  if (ref_is_idle_limiter(model, ticket.parts[0].limiter)) {
    limiter->closed = true;
    return WEIR_ADMITTED;
  }
  if (!request->try_only && ticket.deadline > now && model->no_memory)
    return WEIR_EXHAUSTED;
  limiter->closed = true;
  if (request->try_only) return WEIR_FULL;
  if (ticket.deadline <= now) return WEIR_TIMEOUT;
  ref_make(model, &ticket);
  return WEIR_WAITING;
}

int ref_park(reference *model, int port, const weir_request *request) {
  ref_ticket ticket = { .kind = REF_PARKED, .state = WEIR_QUEUED };
  if (model->no_memory) return WEIR_EXHAUSTED;
  ticket.port = port;
  ticket.cookie = request->cookie;
  ticket.deadline = request->deadline ? request->deadline : WEIR_NEVER;
  ref_make(model, &ticket);
  return WEIR_WAITING;
}

/* --- questions ------------------------------------------------------------ */

bool ref_holds_all(reference *model, int port, weir_limiter handle,
                   const weir_request *request) {
  ref_limiter *limiter = ref_limiter_of(model, handle);
  int key = ref_key_of(request->key, request->key_size);
  const ref_instance *instance;
  if (!limiter || key < 0) return false;
  instance = &limiter->keys[key];
  if (!instance->known || !ref_limit(model, instance)) return false;
  for (int i = 0; i < model->high; i++) {
    const ref_ticket *ticket = &model->tickets[i];
    for (int j = 0; ref_is_admitted(ticket) && j < ticket->count; j++)
      if (ref_instance_at(model, &ticket->parts[j]) == instance &&
          !ticket->parts[j].free &&
          (ticket->state != WEIR_HELD || ticket->port != port ||
           ticket->cookie != request->cookie))
        return false;
  }
  return ref_in_use(model, instance) > 0;
}

/* Whether what those who go first ask for, in sum, tells when they will be
** gone: of a window only if they ask for one token each, and not if it slides.
*/
static bool is_foreseen(reference *model, const asking *all, uint64_t demand) {
  weir_window window = all->limiters[0]->config.rate.window;
  return !demand || window == WEIR_GCRA ||
         (window == WEIR_FIXED &&
          demand == ref_ahead(model, instance_of(model, all, 0),
                              &all->ticket.parts[0]));
}

/* The time until the rate will have served `demand`, and then this. */
static uint64_t rate_wait(reference *model, const asking *all,
                          uint64_t demand) {
  const ref_instance *instance = instance_of(model, all, 0);
  const weir_meter *meter = &all->limiters[0]->meter;
  weir_rate_state state = instance->rate;
  uint64_t ready;
  if (!meter->rate.count) return 0;
  if (demand > WEIR_PERMITS_MAX || !is_foreseen(model, all, demand))
    return WEIR_NEVER;
  if (demand && meter->rate.window != WEIR_GCRA &&
      (meter->rate.window != WEIR_FIXED ||
       demand != ref_ahead(model, instance, &all->ticket.parts[0])))
    return WEIR_NEVER;
  if (demand) weir_meter_take(meter, &state, (uint32_t)demand, model->t);
  ready = weir_meter_ready(meter, &state, all->ticket.parts[0].cost, model->t);
  return ready == WEIR_NEVER ? WEIR_NEVER : ready - model->t;
}

/* Not at all, if there are enough permits for all who go first, too. */
static uint64_t permits_wait(reference *model, const asking *all,
                             uint64_t demand) {
  const ref_instance *instance = instance_of(model, all, 0);
  const ref_part *part = &all->ticket.parts[0];
  uint32_t limit = ref_limit(model, instance);
  uint64_t wait = 0;
  if (!limit || ref_in_use(model, instance) + demand + part->cost <= limit)
    return 0;
  if (!demand && ref_bound(model, instance, part->cost) != WEIR_BY_PERMITS)
    return 0;
  if (instance->controlled)
    wait =
        weir_pace_wait(&instance->pace, ref_ahead(model, instance, part) + 1);
  return wait ? wait : WEIR_NEVER;
}

static uint64_t retry_after(reference *model, const asking *all) {
  const ref_part *part = &all->ticket.parts[0];
  uint64_t demand, rate, permits;
  if (ref_is_impossible(all->limiters[0], part->cost)) return WEIR_NEVER;
  if (!all->known[0]) return 0;
  demand = ref_demand(model, instance_of(model, all, 0), part);
  rate = rate_wait(model, all, demand);
  permits = permits_wait(model, all, demand);
  return rate > permits ? rate : permits;
}

static uint64_t left_of(reference *model, const ref_instance *instance) {
  const weir_meter *meter = &ref_limiter_at(model, instance)->meter;
  uint32_t limit = ref_limit(model, instance);
  uint64_t used = ref_in_use(model, instance), left = UINT64_MAX, tokens;
  if (limit) left = used < limit ? limit - used : 0;
  tokens = meter->rate.count ? weir_meter_left(meter, &instance->rate, model->t)
                             : UINT64_MAX;
  return tokens < left ? tokens : left;
}

/* A key that is not known is as one that was never used. */
int ref_quota(reference *model, weir_limiter handle,
              const weir_request *request, uint64_t now, weir_quota *out) {
  asking all;
  ref_instance *instance, never_used;
  int error;
  bool leads, lost;
  ref_look_at(model, now);
  error = read_all(model, &all, 0, &handle, request, 1);
  if (error) return error;
  instance = instance_of(model, &all, 0);
  never_used = *instance;
  if (!all.known[0]) make_key(&never_used);
  lost = all.limiters[0]->closed || !has_room(model, &all, 0, true);
  leads = !all.known[0] || ref_leads(model, instance, &all.ticket);
  *out = (weir_quota){ 0, WEIR_NEVER, 0 };
  if (!lost && leads) out->left = left_of(model, &never_used);
  if (!lost) out->retry_ns = retry_after(model, &all);
  if (all.known[0] && all.limiters[0]->config.rate.count)
    out->reset_ns =
        weir_meter_idle(&all.limiters[0]->meter, &instance->rate, model->t) -
        model->t;
  return 0;
}
