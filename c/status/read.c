/*
** read.c - reads a space: once over its limiters, once over its keys, once over
** its tickets, and once more for who holds what others wait for.
*/
#include <stdlib.h>
#include <string.h>

#include "rank.h"
#include "status.h"

/* The steps of a decade as resistors have them (E6), from 10 us to 100 s. */
#define DECADE(n) 10 * (n), 15 * (n), 22 * (n), 33 * (n), 47 * (n), 68 * (n)

const uint64_t weir_status_bounds_ns[WEIR_STATUS_BOUNDS] = {
  DECADE(UINT64_C(1000)),       DECADE(UINT64_C(10000)),
  DECADE(UINT64_C(100000)),     DECADE(UINT64_C(1000000)),
  DECADE(UINT64_C(10000000)),   DECADE(UINT64_C(100000000)),
  DECADE(UINT64_C(1000000000)), UINT64_C(100000000000),
};

const uint64_t weir_status_le_ns[WEIR_STATUS_LE] = {
  100000,      500000,      1000000,      5000000,      10000000,
  50000000,    100000000,   250000000,    500000000,    1000000000,
  2500000000u, 5000000000u, 10000000000u, 30000000000u, 60000000000u,
};

/* One read of one space. */
typedef struct reading {
  weir_status *status;
  const weir_space *space;
  uint64_t now;
  uint32_t first; /* index of its first row */
} reading;

/* --- limiters ------------------------------------------------------------- */

/* false: it is gone meanwhile, or the space is damaged. */
static bool read_row(const reading *r, weir_limiter limiter,
                     weir_status_row *row) {
  weir_status_waits *waits = &row->waits;
  uint64_t sum, count;
  const char *name = weir_limiter_name(r->space, limiter);
  memset(row, 0, sizeof *row);
  if (!name) return false;
  weir_write_clean(row->name, sizeof row->name, name);
  row->space = r->status->space_count - 1;
  row->limiter = limiter;
  return weir_limiter_config(r->space, limiter, &row->config) == 0 &&
         weir_limiter_stats(r->space, limiter, &row->stats) == 0 &&
         weir_limiter_waits(r->space, limiter, weir_status_bounds_ns,
                            waits->counts, WEIR_STATUS_BOUNDS, &sum,
                            &count) == 0 &&
         weir_limiter_waits(r->space, limiter, weir_status_le_ns, waits->below,
                            WEIR_STATUS_LE, &waits->sum_ns, &waits->count) == 0;
}

static int read_limiters(const reading *r) {
  weir_status *status = r->status;
  weir_limiter limiter;
  uint32_t cursor = 0;
  while (weir_limiter_walk(r->space, &cursor, &limiter)) {
    weir_status_row *rows =
        weir_status_grow(status->rows, status->row_count, sizeof *rows);
    if (!rows) return WEIR_E_MEMORY;
    status->rows = rows;
    if (read_row(r, limiter, &status->rows[status->row_count]))
      status->row_count++;
  }
  return 0;
}

static int by_index(const void *handle, const void *row) {
  uint32_t wanted = (uint32_t) * (const weir_limiter *)handle;
  uint32_t is = (uint32_t)((const weir_status_row *)row)->limiter;
  return wanted < is ? -1 : wanted > is;
}

/* The row of a limiter, which the walk has come to in order of their indices;
** NULL: it came later, or none. */
static weir_status_row *row_of(const reading *r, weir_limiter limiter) {
  weir_status_row *rows = r->status->rows + r->first, *row;
  uint32_t count = r->status->row_count - r->first;
  if (!count) return NULL;
  row = bsearch(&limiter, rows, count, sizeof *rows, by_index);
  return row && row->limiter == limiter ? row : NULL;
}

/* --- keys ----------------------------------------------------------------- */

/* Whether another record may be looked at. */
static bool may_go_on(const reading *r, uint32_t seen) {
  if (!r->status->records || seen < r->status->records) return true;
  r->status->cut = true;
  return false;
}

static void read_keys(const reading *r) {
  weir_key_info key;
  uint32_t cursor = 0;
  for (uint32_t seen = 0; weir_key_walk_all(r->space, &cursor, &key); seen++) {
    weir_status_row *row = row_of(r, key.limiter);
    if (!may_go_on(r, seen)) return;
    if (row)
      row->keys = weir_rank_key(row->key, row->keys, WEIR_STATUS_TOP, &key);
  }
}

/* --- tickets -------------------------------------------------------------- */

/* Puts a ticket among those that are older. */
static uint32_t rank_ticket(weir_status_one *top, uint32_t count,
                            const weir_ticket_info *info) {
  uint32_t at = count;
  if (count == WEIR_STATUS_TOP) {
    if (info->since >= top[count - 1].info.since) return count;
    at--;
  }
  for (; at > 0 && info->since < top[at - 1].info.since; at--)
    top[at] = top[at - 1];
  top[at].info = *info;
  return count < WEIR_STATUS_TOP ? count + 1 : count;
}

/* Parked tickets and drains are no business of a limiter. */
static weir_status_row *row_of_ticket(const reading *r,
                                      const weir_ticket_info *info) {
  return info->limiter && info->cost ? row_of(r, info->limiter) : NULL;
}

static void see_ticket(const reading *r, const weir_ticket_info *info) {
  weir_status_row *row = row_of_ticket(r, info);
  if (!row) return;
  if (info->state == WEIR_QUEUED)
    row->waiters = rank_ticket(row->waiter, row->waiters, info);
  else if (info->state == WEIR_HELD)
    row->holders = rank_ticket(row->holder, row->holders, info);
}

/* Adds a ticket to what its port holds. */
static void add_hand(weir_status_hands *hands, const weir_ticket_info *info) {
  weir_status_hand *hand = hands->list, *end = hand + hands->count;
  while (hand < end && hand->port != info->port) hand++;
  if (hand == end) {
    if (hands->count == WEIR_STATUS_HANDS) return;
    hands->count++;
    *hand = (weir_status_hand){ .port = info->port, .since = info->since };
  }
  hand->permits += info->cost;
  if (info->since < hand->since) hand->since = info->since;
}

/* The second time: who holds what the oldest wait for. */
static void see_holder(const reading *r, const weir_ticket_info *info) {
  weir_status_row *row =
      info->state == WEIR_HELD ? row_of_ticket(r, info) : NULL;
  for (uint32_t i = 0; row && i < row->waiters; i++)
    if (row->waiter[i].info.key_id == info->key_id)
      add_hand(&row->hands[i], info);
}

static void read_tickets(const reading *r,
                         void (*see)(const reading *r,
                                     const weir_ticket_info *info)) {
  weir_ticket_info info;
  uint32_t cursor = 0, seen = 0;
  while (weir_ticket_walk_all(r->space, &cursor, r->now, &info)) {
    if (!may_go_on(r, seen++)) return;
    see(r, &info);
  }
}

/* --- who it is ------------------------------------------------------------ */

static int by_age(const void *a, const void *b) {
  const weir_status_hand *x = a, *y = b;
  if (x->since != y->since) return x->since < y->since ? -1 : 1;
  return x->port < y->port ? -1 : x->port > y->port;
}

static void name_ones(const reading *r, weir_status_one *ones, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    ones[i].pid = weir_shared_pid(r->space, ones[i].info.port);
    ones[i].age_ns =
        r->now > ones[i].info.since ? r->now - ones[i].info.since : 0;
  }
}

static void name_hands(const reading *r, weir_status_hands *hands) {
  qsort(hands->list, hands->count, sizeof *hands->list, by_age);
  for (uint32_t i = 0; i < hands->count; i++)
    hands->list[i].pid = weir_shared_pid(r->space, hands->list[i].port);
}

static void name_all(const reading *r) {
  for (uint32_t i = r->first; i < r->status->row_count; i++) {
    weir_status_row *row = &r->status->rows[i];
    name_ones(r, row->waiter, row->waiters);
    name_ones(r, row->holder, row->holders);
    for (uint32_t j = 0; j < row->waiters; j++) name_hands(r, &row->hands[j]);
  }
}

/* --- all of it ------------------------------------------------------------ */

static bool any_waits(const reading *r) {
  for (uint32_t i = r->first; i < r->status->row_count; i++)
    if (r->status->rows[i].waiters) return true;
  return false;
}

/* Nobody's limiter is stale, unless something is wrong with the space. */
static int trouble_of(const weir_space *space) {
  weir_stats stats;
  int error = weir_limiter_stats(space, 0, &stats);
  return error == WEIR_E_STALE ? 0 : error;
}

static int read_all(const reading *r) {
  int error = read_limiters(r);
  if (error) return error;
  read_keys(r);
  read_tickets(r, see_ticket);
  if (any_waits(r)) read_tickets(r, see_holder);
  name_all(r);
  return trouble_of(r->space);
}

static bool add_space(weir_status *status, const weir_space *space,
                      const char *name) {
  weir_status_space *to =
      weir_status_grow(status->spaces, status->space_count, sizeof *to);
  if (!to) return false;
  status->spaces = to;
  to += status->space_count++;
  weir_write_clean(to->name, sizeof to->name, name ? name : "");
  if (weir_shared_inspect(space, &to->use))
    to->use = (weir_shared_use){ 0, 0, 0 };
  return true;
}

int weir_status_read(weir_status *status, const weir_space *space,
                     const char *name, uint64_t now) {
  reading r = { status, space, now, status->row_count };
  int error = trouble_of(space);
  if (error) return error;
  if (!add_space(status, space, name)) return WEIR_E_MEMORY;
  status->now = now;
  error = read_all(&r);
  if (!error) return 0;
  status->space_count--;
  status->row_count = r.first;
  return error;
}
