/* json.c - what a status has read as JSON; its shape is in weir_status.h. */
#include <string.h>

#include "status.h"

/* --- members -------------------------------------------------------------- */

/* `"key":`, after a comma where something stands before it. */
static void key(weir_writer *out, const char *name) {
  const char *last = out->size ? out->bytes + out->size - 1 : "{";
  if (*last != '{' && *last != '[') weir_write_put(out, ",");
  weir_write_put(out, "\"");
  weir_write_put(out, name);
  weir_write_put(out, "\":");
}

static void comma(weir_writer *out) {
  if (out->size && out->bytes[out->size - 1] != '[') weir_write_put(out, ",");
}

static void number(weir_writer *out, const char *name, uint64_t value) {
  key(out, name);
  weir_write_number(out, value);
}

/* null where there is none. */
static void number_or_null(weir_writer *out, const char *name, uint64_t value,
                           bool is_there) {
  if (is_there) {
    number(out, name, value);
    return;
  }
  key(out, name);
  weir_write_put(out, "null");
}

static void seconds(weir_writer *out, const char *name, uint64_t ns) {
  key(out, name);
  weir_write_seconds(out, ns);
}

static void boolean(weir_writer *out, const char *name, bool value) {
  key(out, name);
  weir_write_put(out, value ? "true" : "false");
}

/* NULL: null. */
static void string(weir_writer *out, const char *name, const char *value) {
  key(out, name);
  if (!value) {
    weir_write_put(out, "null");
    return;
  }
  weir_write_put(out, "\"");
  weir_write_json(out, value);
  weir_write_put(out, "\"");
}

static void verdicts(weir_writer *out, const char *name, const uint64_t *counts,
                     weir_verdict first) {
  key(out, name);
  weir_write_put(out, "{");
  for (int v = (int)first; v < WEIR_VERDICTS; v++)
    number(out, weir_verdict_name(v), counts[v]);
  weir_write_put(out, "}");
}

/* --- keys and tickets ----------------------------------------------------- */

static void put_key(weir_writer *out, const weir_key_info *info) {
  comma(out);
  weir_write_put(out, "{");
  string(out, "key", info->label);
  number_or_null(out, "limit", info->limit, info->limit != 0);
  number(out, "in_use", info->in_use);
  number(out, "waiting", info->waiting);
  number(out, "admitted", info->admitted);
  number(out, "refused", info->refused);
  weir_write_put(out, "}");
}

static void put_hand(weir_writer *out, const weir_status_hand *hand,
                     uint64_t now) {
  comma(out);
  weir_write_put(out, "{");
  number_or_null(out, "pid", hand->pid, hand->pid != 0);
  number(out, "permits", hand->permits);
  seconds(out, "held_seconds", now > hand->since ? now - hand->since : 0);
  weir_write_put(out, "}");
}

static const char *bound_name(weir_bound bound) {
  switch (bound) {
  case WEIR_BY_OTHERS: return "others";
  case WEIR_BY_PERMITS: return "permits";
  case WEIR_BY_RATE: return "rate";
  case WEIR_BY_NOTHING:
  default: return NULL;
  }
}

/* What waiters and holders have in common. */
static void put_ticket(weir_writer *out, const weir_status_one *one) {
  comma(out);
  weir_write_put(out, "{");
  string(out, "key", one->info.key_id ? one->info.key : NULL);
  number_or_null(out, "pid", one->pid, one->pid != 0);
  number(out, "cost", one->info.cost);
}

static void put_waiter(weir_writer *out, const weir_status_one *one,
                       const weir_status_hands *hands, uint64_t now) {
  put_ticket(out, one);
  seconds(out, "waited_seconds", one->age_ns);
  string(out, "bound_by", bound_name(one->info.bound));
  key(out, "holders");
  weir_write_put(out, "[");
  for (uint32_t i = 0; i < hands->count; i++)
    put_hand(out, &hands->list[i], now);
  weir_write_put(out, "]}");
}

static void put_holder(weir_writer *out, const weir_status_one *one) {
  put_ticket(out, one);
  seconds(out, "held_seconds", one->age_ns);
  weir_write_put(out, "}");
}

static void put_lists(weir_writer *out, const weir_status_row *row,
                      uint64_t now) {
  key(out, "busiest");
  weir_write_put(out, "[");
  for (uint32_t i = 0; i < row->keys; i++) put_key(out, &row->key[i]);
  weir_write_put(out, "]");
  key(out, "waiters");
  weir_write_put(out, "[");
  for (uint32_t i = 0; i < row->waiters; i++)
    put_waiter(out, &row->waiter[i], &row->hands[i], now);
  weir_write_put(out, "]");
  key(out, "holders");
  weir_write_put(out, "[");
  for (uint32_t i = 0; i < row->holders; i++) put_holder(out, &row->holder[i]);
  weir_write_put(out, "]");
}

/* --- limiters ------------------------------------------------------------- */

static void put_rate(weir_writer *out, const weir_rate *rate) {
  key(out, "rate");
  if (!rate->count) {
    weir_write_put(out, "null");
    return;
  }
  weir_write_put(out, "{");
  number(out, "count", rate->count);
  seconds(out, "per_seconds", rate->per_ns);
  number_or_null(out, "burst", rate->burst, rate->window == WEIR_GCRA);
  weir_write_put(out, "}");
}

static void put_waits(weir_writer *out, const weir_status_row *row) {
  const weir_wait_stats *wait = &row->stats.wait;
  key(out, "wait");
  weir_write_put(out, "{");
  seconds(out, "p50_seconds", wait->p50);
  seconds(out, "p90_seconds", wait->p90);
  seconds(out, "p99_seconds", wait->p99);
  seconds(out, "max_seconds", wait->max);
  seconds(out, "sum_seconds", row->waits.sum_ns);
  number(out, "count", row->waits.count);
  key(out, "at_most");
  weir_write_put(out, "[");
  for (int i = 0; i < WEIR_STATUS_BOUNDS; i++) {
    comma(out);
    weir_write_number(out, row->waits.counts[i]);
  }
  weir_write_put(out, "]}");
}

static void put_identity(weir_writer *out, const weir_status *status,
                         const weir_status_row *row) {
  const char *space = status->spaces[row->space].name;
  string(out, "name", row->name);
  string(out, "space", *space ? space : NULL);
  key(out, "id"); /* as text: more than the numbers of JSON's readers hold */
  weir_write_put(out, "\"");
  weir_write_number(out, row->limiter);
  weir_write_put(out, "\"");
}

static void put_counts(weir_writer *out, const weir_status_row *row) {
  const weir_stats *stats = &row->stats;
  bool is_dry = row->config.dry_run;
  for (int v = 0; v < WEIR_VERDICTS; v++) is_dry |= stats->would[v] != 0;
  number(out, "admitted", stats->admitted);
  number(out, "dropped", stats->dropped);
  number(out, "unused", stats->unused);
  verdicts(out, "refused", stats->refused, WEIR_FULL);
  if (is_dry) {
    verdicts(out, "would", stats->would, WEIR_ADMITTED);
    return;
  }
  key(out, "would");
  weir_write_put(out, "null");
}

static void put_row(weir_writer *out, const weir_status *status,
                    const weir_status_row *row) {
  const weir_stats *stats = &row->stats;
  comma(out);
  weir_write_put(out, "{");
  put_identity(out, status, row);
  boolean(out, "closed", stats->closed);
  number(out, "generation", stats->changes);
  number_or_null(out, "limit", stats->limit, stats->limit != 0);
  number(out, "in_use", stats->in_use);
  number(out, "waiting", stats->waiting);
  number(out, "keys", stats->keys);
  put_rate(out, &row->config.rate);
  number_or_null(out, "queue_limit", row->config.queue,
                 row->config.queue != WEIR_UNBOUNDED);
  put_counts(out, row);
  put_waits(out, row);
  put_lists(out, row, status->now);
  weir_write_put(out, "}");
}

/* --- all of it ------------------------------------------------------------ */

static void put_space(weir_writer *out, const weir_status_space *space) {
  bool is_shared = space->use.size != 0;
  comma(out);
  weir_write_put(out, "{");
  string(out, "name", *space->name ? space->name : NULL);
  number_or_null(out, "size_bytes", space->use.size, is_shared);
  number_or_null(out, "used_bytes", space->use.used, is_shared);
  number_or_null(out, "processes", space->use.processes, is_shared);
  weir_write_put(out, "}");
}

static void put_bounds(weir_writer *out) {
  key(out, "wait_bounds_seconds");
  weir_write_put(out, "[");
  for (int i = 0; i < WEIR_STATUS_BOUNDS; i++) {
    comma(out);
    weir_write_seconds(out, weir_status_bounds_ns[i]);
  }
  weir_write_put(out, "]");
}

void weir_status_json(const weir_status *status, weir_writer *out) {
  weir_write_put(out, "{");
  string(out, "version", WEIR_VERSION);
  seconds(out, "now_seconds", status->now);
  boolean(out, "complete", !status->cut);
  put_bounds(out);
  key(out, "spaces");
  weir_write_put(out, "[");
  for (uint32_t i = 0; i < status->space_count; i++)
    put_space(out, &status->spaces[i]);
  weir_write_put(out, "]");
  key(out, "limiters");
  weir_write_put(out, "[");
  for (uint32_t i = 0; i < status->row_count; i++)
    put_row(out, status, &status->rows[i]);
  weir_write_put(out, "]}\n");
}
