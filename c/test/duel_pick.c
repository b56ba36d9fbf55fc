/* duel_pick.c - see duel.h: random arguments. */
#include "duel.h"

/* --- times --------------------------------------------------------------- */

/* The clock of a duel stays below WEIR_NEVER, which is no time. */
uint64_t duel_later(uint64_t now, uint64_t ns) {
  return ns < WEIR_NEVER - 1 - now ? now + ns : WEIR_NEVER - 1;
}

uint64_t duel_earlier(uint64_t now, uint64_t ns) {
  return ns < now ? now - ns : 0;
}

static uint64_t pick_deadline(duel *d) {
  if (d->plain && !once_in(d->from, 4)) return 0;
  switch (choose(d->from, 10)) {
  case 0: return WEIR_NEVER;
  case 1: return duel_earlier(d->now, choose(d->from, 3));
  case 2: return duel_later(d->now, choose(d->from, 32));
  case 3: return duel_later(d->now, choose(d->from, 256));
  case 4: return duel_later(d->now, (uint64_t)choose(d->from, 256) * 16);
  default: return 0; /* as configured */
  }
}

/* --- handles ------------------------------------------------------------- */

int duel_pick_port(duel *d) {
  int port = (int)choose(d->from, REF_PORTS);
  for (int i = 0; i < REF_PORTS; i++, port = (port + 1) % REF_PORTS) {
    if (!d->ports[port]) continue;
    duel_arg(d, "port", (uint64_t)port);
    return port;
  }
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

/* One that is forged may happen to be good; if it names one of a group's other
** records it is stale to the engine and unknown to the model. */
weir_ticket duel_pick_ticket(duel *d) {
  uint32_t at = choose(d->from, REF_TICKETS);
  bool live = choose(d->from, 8) > 0;
  weir_ticket ticket;
  for (int i = 0; live && i < REF_TICKETS; i++) {
    if (ref_ticket_of(&d->model, d->tickets[at])) break;
    at = (at + 1) % REF_TICKETS;
  }
  ticket = d->tickets[at];
  if (once_in(d->from, 64)) ticket = forge(d, ticket);
  return duel_arg(d, "ticket", ticket);
}

int duel_pick_owner(duel *d, weir_ticket handle) {
  const ref_ticket *ticket = ref_ticket_of(&d->model, handle);
  if (!ticket || once_in(d->from, 64)) return duel_pick_port(d);
  duel_arg(d, "port", (uint64_t)ticket->port);
  return ticket->port;
}

weir_limiter duel_pick_limiter(duel *d) {
  uint32_t at = choose(d->from, REF_LIMITERS);
  bool open = choose(d->from, 8) > 0;
  weir_limiter limiter;
  for (int i = 0; open && i < REF_LIMITERS; i++) {
    const ref_limiter *known = ref_limiter_of(&d->model, d->limiters[at]);
    if (known && !known->closed) break;
    at = (at + 1) % REF_LIMITERS;
  }
  limiter = d->limiters[at];
  if (once_in(d->from, 64)) limiter = forge(d, limiter);
  return duel_arg(d, "limiter", limiter);
}

/* --- requests ------------------------------------------------------------ */

static uint32_t pick_permits(duel *d) {
  static const uint8_t few[] = { 0, 1, 1, 1, 2, 2, 3, 5 };
  if (!once_in(d->from, 48)) return few[choose(d->from, 8)];
  return WEIR_PERMITS_MAX - 1 + choose(d->from, 4);
}

static void pick_key(duel *d, weir_request *request) {
  uint32_t key = choose(d->from, REF_KEYS);
  if (d->calm ? !once_in(d->from, 8) : once_in(d->from, 3)) key = 0;
  request->key = ref_keys[key].bytes;
  request->key_size = ref_keys[key].size;
  duel_arg(d, "key", key);
}

static void pick_flow(duel *d, weir_request *request) {
  uint32_t flow = choose(d->from, REF_FLOWS);
  request->flow = ref_flows[flow].bytes;
  request->flow_size = ref_flows[flow].size;
  duel_arg(d, "flow", flow);
}

static void make_unsound(duel *d, weir_request *request) {
  switch (choose(d->from, 4)) {
  case 0: request->key_size = WEIR_KEY_MAX + 1; break;
  case 1: request->flow_size = WEIR_KEY_MAX + 1; break;
  case 2: request->priority = WEIR_PRIORITY_MAX + 1; break;
  default: request->priority = WEIR_PRIORITY_MIN - 1; break;
  }
}

weir_request duel_pick_request(duel *d) {
  static const int8_t priorities[] = { 0, 0, 0, 1, 1, 2, -1, 15, -16 };
  weir_request request = { .cookie = once_in(d->from, 2) ? 1 : d->step };
  request.cost = (uint32_t)duel_arg(d, "cost", pick_permits(d));
  request.deadline = duel_arg(d, "deadline", pick_deadline(d));
  request.try_only = duel_arg(d, "try", once_in(d->from, 6));
  pick_key(d, &request);
  pick_flow(d, &request);
  request.priority = priorities[choose(d->from, 9)];
  duel_arg(d, "priority", (uint64_t)request.priority);
  if (once_in(d->from, 128)) make_unsound(d, &request);
  return request;
}

/* Where drops are many an adaptive limit knows one way only. */
weir_outcome duel_pick_outcome(duel *d) {
  weir_outcome outcome = WEIR_DONE;
  if (once_in(d->from, d->calm ? 16 : 4))
    outcome = WEIR_DROPPED;
  else if (once_in(d->from, d->calm ? 16 : 3))
    outcome = WEIR_UNUSED;
  return (weir_outcome)duel_arg(d, "outcome", outcome);
}

/* --- configurations ------------------------------------------------------- */

static bool half(duel *d) { return choose(d->from, 2); }

static weir_rate pick_rate(duel *d) {
  static const uint16_t pers[] = { 1, 2, 3, 7, 10, 24, 100, 300 };
  weir_rate rate = { .count = 0 };
  if (half(d)) return rate;
  rate.count = (uint32_t)duel_arg(d, "count", 1 + choose(d->from, 4));
  rate.per_ns = duel_arg(d, "per", pers[choose(d->from, 8)]);
  if (rate.per_ns < rate.count && !once_in(d->from, 8))
    rate.per_ns = rate.count;
  rate.burst = (uint32_t)duel_arg(d, "burst", 1 + choose(d->from, 5));
  rate.window = (weir_window)duel_arg(d, "window", choose(d->from, 3));
  rate.aligned = duel_arg(d, "aligned", half(d));
  rate.phase_ns = duel_arg(d, "phase", choose(d->from, 40));
  return rate;
}

/* The combinations that are refused come, but not often. */
static weir_shed pick_shed(duel *d, weir_order order) {
  weir_shed shed = { 0 };
  bool any = once_in(d->from, 32);
  shed.victim = (weir_victim)choose(d->from, 3);
  if (shed.victim == WEIR_LOWEST && order != WEIR_PRIORITY && !any)
    shed.victim = WEIR_OLDEST;
  duel_arg(d, "victim", shed.victim);
  shed.codel = duel_arg(d, "codel", once_in(d->from, 4));
  shed.lifo = once_in(d->from, 5) && (order == WEIR_FIFO || any);
  duel_arg(d, "lifo", shed.lifo);
  shed.doomed = duel_arg(d, "doomed", once_in(d->from, 5));
  if (!shed.codel && !shed.lifo) return shed;
  shed.target_ns = duel_arg(d, "target", 1 + choose(d->from, 20));
  shed.interval_ns = duel_arg(d, "interval", 1 + choose(d->from, 60));
  return shed;
}

static weir_adaptive pick_adaptive(duel *d) {
  weir_adaptive adaptive = { .algorithm = WEIR_STATIC };
  if (!once_in(d->from, d->calm ? 2 : 4)) return adaptive;
  adaptive.algorithm =
      (weir_algorithm)duel_arg(d, "algorithm", 1 + choose(d->from, 3));
  adaptive.initial = (uint32_t)duel_arg(d, "initial", 1 + choose(d->from, 4));
  adaptive.min = (uint32_t)duel_arg(d, "min", choose(d->from, 3));
  adaptive.max = (uint32_t)duel_arg(d, "max", 3 + choose(d->from, 6));
  adaptive.queue = choose(d->from, 3);
  if (half(d)) adaptive.timeout_ns = choose(d->from, 256);
  duel_arg(d, "late", adaptive.timeout_ns);
  return adaptive;
}

/* What makes a limiter depend on the time. */
static void pick_times(duel *d, weir_config *config) {
  if (d->plain && !once_in(d->from, 4)) return;
  if (half(d))
    config->timeout_ns = (uint64_t)choose(d->from, 256) * choose(d->from, 5);
  config->rate = pick_rate(d);
  config->adaptive = pick_adaptive(d);
}

weir_config duel_pick_config(duel *d) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = (uint32_t)duel_arg(d, "concurrent", pick_permits(d));
  if (half(d)) config.queue = choose(d->from, 8);
  duel_arg(d, "queue", config.queue);
  pick_times(d, &config);
  duel_arg(d, "timeout", config.timeout_ns);
  config.order = (weir_order)duel_arg(d, "order", choose(d->from, 4));
  if (half(d)) config.aging_ns = duel_arg(d, "aging", choose(d->from, 40));
  config.shed = pick_shed(d, config.order);
  if (half(d)) config.keys = choose(d->from, 5);
  duel_arg(d, "keys", config.keys);
  config.pass_exhausted = duel_arg(d, "pass", once_in(d->from, 5));
  config.dry_run = duel_arg(d, "dry", once_in(d->from, 12));
  return config;
}
