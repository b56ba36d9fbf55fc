/*
** fuzz_damage.c - a shared space whose memory somebody scribbles in.
**
** A space lives for a while; then words of its memory become garbage; then it
** is used on. Any verdict and any error will do, but no crash, no access beyond
** the memory, no hang; and once a call has answered WEIR_E_DAMAGED, all do, and
** nothing changes any more.
**
** The first bytes of the input are the seed of the life before; the others
** decide about the damage and what comes after, and when they are used up, the
** seed does.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/port.h"
#include "test/choices.h"
#include "test/commons.h"

enum {
  REGION = 1 << 16, /* bytes */
  PORTS = 3,
  OWN_SEAT = 1,
  OTHER_SEAT = 2,
  LIMITERS = 6,
  TICKETS = 32,
  STEPS_BEFORE = 96,
  STEPS_AFTER = 48,
  STEPS_DAMAGED = 4 /* with everything that can be called, see below */
};

typedef struct life {
  choices bytes; /* what the fuzzer wants */
  choices seed;  /* what happens where it wants nothing */
  weir_space *space;
  commons_memory memory;
  weir_port *ports[PORTS];
  weir_limiter limiters[LIMITERS];
  weir_ticket tickets[TICKETS]; /* handles seen, stale ones too */
  uint64_t now;
} life;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_at(bool holds, int line) {
  if (holds) return;
  fprintf(stderr, "fuzz_damage.c:%d: that must not be\n", line);
  abort();
}

#define must(holds) must_at(holds, __LINE__)

static bool seat_is_dead;

static weir_life life_of(weir_sharing *sharing, uint32_t seat) {
  (void)sharing;
  return seat == OTHER_SEAT && seat_is_dead ? WEIR_DEAD : WEIR_LIVES;
}

static void vacate(weir_sharing *sharing, uint32_t seat) {
  (void)sharing;
  (void)seat;
  seat_is_dead = false;
}

/* --- choices -------------------------------------------------------------- */

static uint32_t pick(life *l, uint32_t below) {
  return choose(l->bytes.count ? &l->bytes : &l->seed, below);
}

static uint32_t word(life *l) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) value = value << 8 | pick(l, 256);
  return value;
}

/* Below any number that is not 0. */
static size_t far(life *l, size_t below) { return word(l) % below; }

static bool one_in(life *l, uint32_t n) { return pick(l, n) == 0; }

static weir_port *port_of(life *l) {
  weir_port *port = l->ports[pick(l, PORTS)];
  return port ? port : l->ports[0];
}

static weir_limiter limiter_of(life *l) {
  return l->limiters[pick(l, LIMITERS)];
}

static weir_ticket *ticket_of(life *l) { return &l->tickets[pick(l, TICKETS)]; }

static weir_request request_of(life *l) {
  static const char keys[] = "abcdefghijklmnop";
  weir_request request = { .cookie = pick(l, 3), .cost = pick(l, 4) };
  if (one_in(l, 2)) request.key = keys + pick(l, 12);
  if (one_in(l, 2)) request.flow = keys + pick(l, 6);
  request.key_size = request.flow_size = 1 + pick(l, 2);
  request.priority = (int8_t)((int)pick(l, 32) + WEIR_PRIORITY_MIN);
  request.try_only = one_in(l, 8);
  if (one_in(l, 3)) request.deadline = l->now + pick(l, 256);
  return request;
}

static void pick_shed(life *l, weir_config *config) {
  weir_shed *shed = &config->shed;
  shed->target_ns = shed->interval_ns = 1 + pick(l, 16);
  shed->codel = one_in(l, 2);
  shed->lifo = config->order == WEIR_FIFO && one_in(l, 2);
  shed->doomed = one_in(l, 2);
  shed->victim = (weir_victim)pick(l, 3);
  if (config->order != WEIR_PRIORITY && shed->victim == WEIR_LOWEST)
    shed->victim = WEIR_OLDEST;
}

static weir_config config_of(life *l) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = 1 + pick(l, 4);
  config.order = (weir_order)pick(l, 4);
  config.queue = one_in(l, 3) ? pick(l, 6) : WEIR_UNBOUNDED;
  config.keys = one_in(l, 3) ? 1 + pick(l, 4) : 0;
  config.aging_ns = one_in(l, 2) ? pick(l, 64) : 0;
  config.timeout_ns = one_in(l, 2) ? pick(l, 256) : WEIR_NEVER;
  if (one_in(l, 2))
    config.rate = (weir_rate){ 10 + pick(l, 200),       pick(l, 100),
                               1 + pick(l, 9),          1 + pick(l, 9),
                               (weir_window)pick(l, 3), one_in(l, 2) };
  if (one_in(l, 2)) pick_shed(l, &config);
  if (one_in(l, 2)) config.adaptive.algorithm = (weir_algorithm)pick(l, 4);
  config.pass_exhausted = one_in(l, 8);
  config.dry_run = one_in(l, 12);
  return config;
}

/* --- what can be called --------------------------------------------------- */

/* The answers of what answers false or the like when there is nothing, too. */
static int when(const life *l, bool something) {
  bool damaged = l->space->root->damaged;
  must(!damaged || !something);
  return damaged ? WEIR_E_DAMAGED : 0;
}

static int open_one(life *l) {
  static const char *const names[] = { "a", "b", "c", "d", "" };
  weir_config config = config_of(l);
  weir_limiter limiter = 0;
  int answer =
      weir_limiter_open(l->space, names[pick(l, 5)], &config, l->now, &limiter);
  if (limiter) l->limiters[pick(l, LIMITERS)] = limiter;
  return answer;
}

static int set_one(life *l) {
  weir_config config = config_of(l);
  return weir_limiter_set(l->space, limiter_of(l), &config, l->now);
}

static int close_one(life *l) {
  return weir_limiter_close(l->space, limiter_of(l), l->now);
}

static int drop_one(life *l) {
  return weir_limiter_drop(l->space, limiter_of(l));
}

static int acquire(life *l) {
  weir_request request = request_of(l);
  weir_ticket ticket;
  int answer =
      weir_acquire(port_of(l), limiter_of(l), &request, l->now, &ticket);
  if (ticket) *ticket_of(l) = ticket;
  return answer;
}

static uint32_t several(life *l, weir_limiter *limiters,
                        weir_request *requests) {
  uint32_t count = 1 + pick(l, 5);
  for (uint32_t i = 0; i < count; i++) {
    limiters[i] = limiter_of(l);
    requests[i] = request_of(l);
  }
  return count;
}

static int acquire_all(life *l) {
  weir_limiter limiters[WEIR_ALL_MAX], decider;
  weir_request requests[WEIR_ALL_MAX];
  uint32_t count = several(l, limiters, requests);
  weir_ticket ticket;
  int answer = weir_acquire_all(port_of(l), limiters, requests, count, l->now,
                                &ticket, &decider);
  if (ticket) *ticket_of(l) = ticket;
  return answer;
}

static int peek(life *l) {
  weir_request request = request_of(l);
  return weir_peek(port_of(l), limiter_of(l), &request, l->now);
}

static int peek_all(life *l) {
  weir_limiter limiters[WEIR_ALL_MAX];
  weir_request requests[WEIR_ALL_MAX];
  uint32_t count = several(l, limiters, requests);
  return weir_peek_all(port_of(l), limiters, requests, count, l->now);
}

static int holds_all(life *l) {
  weir_request request = request_of(l);
  return when(l, weir_holds_all(port_of(l), limiter_of(l), &request));
}

static int set_cookie(life *l) {
  return weir_set_cookie(port_of(l), *ticket_of(l), pick(l, 3));
}

static int release(life *l) {
  return weir_release(port_of(l), *ticket_of(l), (weir_outcome)pick(l, 3),
                      l->now);
}

static int cancel(life *l) {
  return weir_cancel(port_of(l), *ticket_of(l), l->now);
}

static int drain(life *l) {
  weir_request request = request_of(l);
  weir_ticket ticket;
  int answer = weir_drain(port_of(l), limiter_of(l), &request, l->now, &ticket);
  if (answer == WEIR_WAITING) *ticket_of(l) = ticket;
  return answer;
}

static int park(life *l) {
  weir_request request = request_of(l);
  weir_ticket ticket;
  int answer = weir_park(port_of(l), &request, &ticket);
  if (answer == WEIR_WAITING) *ticket_of(l) = ticket;
  return answer;
}

static int wake(life *l) { return weir_wake(port_of(l), *ticket_of(l)); }

static int advance(life *l) {
  l->now += pick(l, 64);
  return when(l, weir_advance(port_of(l), l->now) != WEIR_NEVER);
}

static int deadline(life *l) {
  return when(l, weir_deadline(port_of(l)) != WEIR_NEVER);
}

static int pending(life *l) { return when(l, weir_pending(port_of(l))); }

static int next(life *l) {
  weir_event event;
  bool was = weir_next(port_of(l), &event);
  must(!was || event.verdict < WEIR_VERDICTS);
  return when(l, was);
}

static int claim(life *l) {
  weir_event event;
  return weir_claim(port_of(l), *ticket_of(l), &event);
}

static int config(life *l) {
  weir_config is;
  int answer = weir_limiter_config(l->space, limiter_of(l), &is);
  must(answer || !weir_config_check(&is));
  return answer;
}

static int timed(life *l) {
  return when(l, weir_limiter_timed(l->space, limiter_of(l)));
}

static int name(life *l) {
  const char *is = weir_limiter_name(l->space, limiter_of(l));
  must(!is || strlen(is) <= WEIR_NAME_MAX);
  return when(l, is != NULL);
}

static int stats(life *l) {
  weir_stats is;
  return weir_limiter_stats(l->space, limiter_of(l), &is);
}

static int waits(life *l) {
  static const uint64_t bounds[] = { 1, 100, 10000 };
  uint64_t counts[3], sum, count;
  return weir_limiter_waits(l->space, limiter_of(l), bounds, counts, 3, &sum,
                            &count);
}

static int inspect_key(life *l) {
  weir_request request = request_of(l);
  weir_key_info info;
  int answer = weir_key_inspect(l->space, limiter_of(l), request.key,
                                request.key_size, &info);
  must(answer || strlen(info.label) <= WEIR_LABEL_MAX);
  return answer;
}

static int walk_keys(life *l) {
  weir_limiter limiter = limiter_of(l);
  uint32_t cursor = 0;
  weir_key_info info;
  bool any = false;
  while (weir_key_walk(l->space, limiter, &cursor, &info)) any = true;
  return when(l, any && l->space->root->damaged && !cursor);
}

static int walk_all_keys(life *l) {
  uint32_t cursor = 0;
  weir_key_info info;
  while (weir_key_walk_all(l->space, &cursor, &info))
    must(strlen(info.label) <= WEIR_LABEL_MAX);
  return when(l, false);
}

static int walk_limiters(life *l) {
  uint32_t cursor = 0;
  weir_limiter limiter;
  while (weir_limiter_walk(l->space, &cursor, &limiter)) must(limiter != 0);
  return when(l, false);
}

static int quota(life *l) {
  weir_request request = request_of(l);
  weir_quota is;
  return weir_limiter_quota(l->space, limiter_of(l), &request, l->now, &is);
}

static int inspect_ticket(life *l) {
  weir_ticket_info info;
  int answer = weir_ticket_inspect(port_of(l), *ticket_of(l), l->now, &info);
  must(answer || strlen(info.key) <= WEIR_LABEL_MAX);
  return answer;
}

static int walk_tickets(life *l) {
  const weir_port *port = port_of(l);
  uint32_t cursor = 0;
  weir_ticket_info info;
  bool any = false;
  while (weir_ticket_walk(port, &cursor, l->now, &info)) any = true;
  return when(l, any && l->space->root->damaged && !cursor);
}

static int walk_all_tickets(life *l) {
  uint32_t cursor = 0;
  weir_ticket_info info;
  while (weir_ticket_walk_all(l->space, &cursor, l->now, &info))
    must(strlen(info.key) <= WEIR_LABEL_MAX);
  return when(l, false);
}

static int seat_of_port(life *l) {
  weir_port_seat(l->space, pick(l, UINT32_MAX));
  weir_port_seat(l->space, pick(l, 2 * PORTS));
  return when(l, false);
}

static weir_port *attach_to(life *l, uint32_t seat) {
  weir_port *port;
  l->memory.sharing->seat = seat;
  port = weir_port_attach(l->space);
  l->memory.sharing->seat = OWN_SEAT;
  return port;
}

/* A port that goes, and one that comes in its stead if there is room. */
static int change_port(life *l) {
  uint32_t i = pick(l, PORTS - 1);
  weir_port *port = attach_to(l, OWN_SEAT);
  if (!port) return when(l, false);
  weir_port_detach(l->ports[i], l->now);
  l->ports[i] = port;
  return when(l, false);
}

static int mend(life *l) {
  return weir_sharing_mend(l->space) ? WEIR_E_DAMAGED : 0;
}

/* The last port is another process', which may die. */
static int patrol(life *l) {
  weir_port **port = &l->ports[PORTS - 1];
  bool dies = !l->space->root->damaged && one_in(l, 2);
  if (dies) seat_is_dead = true;
  if (weir_sharing_patrol(l->space) < 0) return WEIR_E_DAMAGED;
  if (!dies) return 0;
  free(*port);
  *port = attach_to(l, OTHER_SEAT);
  return when(l, false);
}

static int count(life *l) {
  weir_sharing_counts counts;
  weir_sharing_count(l->space, &counts);
  return when(l, false);
}

/* Those that come first are called more often. */
static int (*const calls[])(life *) = {
  acquire,        release,
  next,           advance,
  acquire_all,    cancel,
  park,           drain,
  wake,           claim,
  open_one,       set_one,
  close_one,      drop_one,
  peek,           peek_all,
  holds_all,      set_cookie,
  deadline,       pending,
  config,         timed,
  name,           stats,
  waits,          inspect_key,
  walk_keys,      quota,
  inspect_ticket, walk_tickets,
  change_port,    mend,
  walk_tickets,   patrol,
  count,          walk_limiters,
  walk_all_keys,  walk_all_tickets,
  seat_of_port,
};

enum { CALLS = sizeof calls / sizeof *calls, OFTEN = 6 };

static void operate(life *l) {
  bool damaged = l->space->root->damaged;
  int answer = calls[one_in(l, 3) ? pick(l, CALLS) : pick(l, OFTEN)](l);
  must((answer == WEIR_E_DAMAGED) == (l->space->root->damaged != 0));
  must(!damaged || answer == WEIR_E_DAMAGED);
}

/* --- damage --------------------------------------------------------------- */

/* Where a word may be that somebody reads. */
typedef struct target {
  unsigned char *begin;
  size_t size;  /* of one of them */
  size_t count; /* how many are alike */
} target;

static target array_of(const weir_array *array, uint32_t used) {
  return (target){ array->base, array->size,
                   used < array->limit ? used : array->limit };
}

static target slab_of(const weir_slab *slab) {
  return array_of(&slab->array, slab->head->used);
}

static target target_of(life *l) {
  const weir_space *s = l->space;
  weir_commons *commons = s->memory.commons;
  switch (pick(l, 14)) {
  case 0: return (target){ (unsigned char *)s->root, sizeof *s->root, 1 };
  case 1: return (target){ commons->notes, 256, 1 };
  case 2: return slab_of(&s->instances);
  case 3: return slab_of(&s->queues);
  case 4: return slab_of(&s->lanes);
  case 5: return slab_of(&s->controls);
  case 6: return slab_of(&s->limiters);
  case 7: return slab_of(&s->ports);
  case 8: return array_of(&s->keys.array, s->keys.head->used);
  case 9: return array_of(&s->flows.array, s->flows.head->used);
  case 10: return array_of(&s->heaps.array, s->heaps.head->used);
  case 11: return (target){ (unsigned char *)commons->noted, 4, 1 };
  default: return slab_of(&s->tickets);
  }
}

static void put_number(life *l, unsigned char *at, size_t size) {
  static const double numbers[] = { NAN, INFINITY, -INFINITY, -1, 1e300, 0 };
  uint64_t value = (uint64_t)word(l) << 32 | word(l);
  double number = numbers[pick(l, 6)];
  switch (pick(l, 6)) {
  case 0: value = pick(l, 20); break;
  case 1: value = UINT64_MAX; break;
  case 2: memcpy(&value, &number, sizeof value); break;
  case 3: value = (uint64_t)1 << pick(l, 64); break;
  case 4: value = 0; break;
  default: break;
  }
  memcpy(at, &value, size < sizeof value ? size : sizeof value);
}

/* At a field's begin more often than elsewhere; a few bits, or all of it. */
static void damage(life *l) {
  target t = target_of(l);
  unsigned char *record;
  size_t size, at, other;
  if (!t.count) return;
  record = t.begin + far(l, t.count) * t.size;
  other = far(l, t.count) * t.size;
  size = (size_t)1 << pick(l, 4);
  at = far(l, t.size) / size * size;
  if (at + size > t.size) return;
  switch (pick(l, 6)) {
  case 0: record[at] ^= (unsigned char)(1u << pick(l, 8)); break;
  case 1: memcpy(record + at, t.begin + other + at, size); break;
  case 2: record[at]++; break;
  case 3: memmove(record, t.begin + other, t.size); break;
  default: put_number(l, record + at, size); break;
  }
}

/* A process that died between two stores, and notes that are garbage. */
static void damage_notes(life *l) {
  weir_commons *commons = l->space->memory.commons;
  uint64_t offset = one_in(l, 2) ? far(l, commons->span) : word(l);
  uint64_t end = offset | (uint64_t)pick(l, 64) << WEIR_NOTE_OFFSET_BITS;
  uint32_t used = 8 + 8 * pick(l, 16);
  memcpy(commons->notes + used - sizeof end, &end, sizeof end);
  *commons->noted = used;
}

/* --- a life --------------------------------------------------------------- */

static void begin(life *l, const uint8_t *data, size_t size) {
  uint64_t seed = 0;
  memset(l, 0, sizeof *l);
  seat_is_dead = false;
  for (size_t i = 0; i < size && i < 4; i++) seed = seed << 8 | data[i];
  l->seed = choices_of_seed(seed * 0xD1342543DE82EF95u);
  l->now = 1000;
  l->space = commons_unchecked(REGION, &l->memory);
  l->memory.sharing->life = life_of;
  l->memory.sharing->vacate = vacate;
  for (int i = 0; i < PORTS; i++)
    l->ports[i] = attach_to(l, i == PORTS - 1 ? OTHER_SEAT : OWN_SEAT);
  for (int i = 0; i < LIMITERS; i++) open_one(l);
  for (int i = 0; i < STEPS_BEFORE; i++) operate(l);
  must(!l->space->root->damaged);
  if (size > 4) l->bytes = choices_of_bytes(data + 4, size - 4);
}

/* Whatever is called now answers the same, and changes nothing. */
static void check_damaged(life *l) {
  unsigned char *was = malloc(l->memory.size);
  if (!was) return;
  memcpy(was, l->memory.begin, l->memory.size);
  for (int i = 0; i < STEPS_DAMAGED * CALLS; i++)
    must(calls[i % CALLS](l) == WEIR_E_DAMAGED);
  must(!memcmp(was, l->memory.begin, l->memory.size));
  free(was);
}

static void end(life *l) {
  for (int i = 0; i < PORTS; i++)
    if (l->ports[i]) weir_port_detach(l->ports[i], l->now);
  weir_space_free(l->space);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  life l;
  begin(&l, data, size);
  for (uint32_t i = pick(&l, 8); i < 8; i++) damage(&l);
  if (one_in(&l, 8)) damage_notes(&l);
  for (int i = 0; i < STEPS_AFTER && !l.space->root->damaged; i++) operate(&l);
  if (l.space->root->damaged) check_damaged(&l);
  end(&l);
  return 0;
}
