/*
** metrics.c - what a status has read as OpenMetrics text.
**
** The text is valid OpenMetrics 1.0 and, byte for byte, valid in Prometheus's
** older format, whose `promtool check metrics` has nothing to say against it.
** The two contradict each other about counters: the one takes "_total" off the
** name in a counter's TYPE and HELP, the other wants it there. What is right in
** both is a counter whose TYPE is left out. HELP has no quotes: the two escape
** them differently.
**
** Limiters whose labels are alike are summed. When one of them is no more, what
** it had counted stays in the sum as long as another one is there, so that the
** counters never go down.
*/
#include <stdlib.h>
#include <string.h>

#include "status.h"

typedef weir_status_sum sum;
typedef weir_status_sums sums;

/* --- sums ----------------------------------------------------------------- */

static void sum_of(const weir_status *status, const weir_status_row *row,
                   sum *out) {
  const weir_stats *stats = &row->stats;
  memset(out, 0, sizeof *out);
  out->limiter = row->limiter;
  memcpy(out->space, status->spaces[row->space].name, sizeof out->space);
  memcpy(out->name, row->name, sizeof out->name);
  out->admitted = stats->admitted;
  out->dropped = stats->dropped;
  out->unused = stats->unused;
  memcpy(out->refused, stats->refused, sizeof out->refused);
  memcpy(out->would, stats->would, sizeof out->would);
  memcpy(out->below, row->waits.below, sizeof out->below);
  out->wait_ns = row->waits.sum_ns;
  out->waits = row->waits.count;
  out->limit = stats->limit;
  out->in_use = stats->in_use;
  out->waiting = stats->waiting;
  out->keys = stats->keys;
}

static void add_counts(uint64_t *to, const uint64_t *from, int count) {
  for (int i = 0; i < count; i++) to[i] += from[i];
}

/* Adds the counters of one to another's, and what there is now if it is there
** now. */
static void add_sum(sum *to, const sum *from) {
  to->admitted += from->admitted;
  to->dropped += from->dropped;
  to->unused += from->unused;
  add_counts(to->refused, from->refused, WEIR_VERDICTS);
  add_counts(to->would, from->would, WEIR_VERDICTS);
  add_counts(to->below, from->below, WEIR_STATUS_LE);
  to->wait_ns += from->wait_ns;
  to->waits += from->waits;
  if (!from->limiter) return;
  to->limit += from->limit;
  to->in_use += from->in_use;
  to->waiting += from->waiting;
  to->keys += from->keys;
}

/* Which limiter it is. */
static int by_limiter(const void *a, const void *b) {
  const sum *x = a, *y = b;
  if (x->limiter != y->limiter) return x->limiter < y->limiter ? -1 : 1;
  return strcmp(x->space, y->space);
}

static int by_labels(const sum *x, const sum *y) {
  int order = strcmp(x->name, y->name);
  return order ? order : strcmp(x->space, y->space);
}

/* What its labels are, and those first that are there. */
static int by_name(const void *a, const void *b) {
  const sum *x = a, *y = b;
  int order = by_labels(x, y);
  return order ? order : (x->limiter == 0) - (y->limiter == 0);
}

static void sort(sums *list, int (*order)(const void *, const void *)) {
  if (list->count) qsort(list->list, list->count, sizeof *list->list, order);
}

static void drop(sums *list) {
  free(list->list);
  *list = (sums){ NULL, 0 };
}

/* A new list of what was read, with room for more; false: no memory. */
static bool collect(const weir_status *status, size_t more, sums *out) {
  out->count = status->row_count;
  out->list = malloc((out->count + more + 1) * sizeof *out->list);
  if (!out->list) {
    out->count = 0;
    return false;
  }
  for (size_t i = 0; i < out->count; i++)
    sum_of(status, &status->rows[i], &out->list[i]);
  return true;
}

/* --- limiters that are no more -------------------------------------------- */

static bool is_among(const sums *list, const sum *which) {
  return list->count && bsearch(which, list->list, list->count,
                                sizeof *list->list, by_limiter);
}

/* Adds those of the last read that are not there now to those that are gone. */
static bool bury(weir_status *status, const sums *now) {
  sums *gone = &status->gone;
  const sums *last = &status->last;
  sum *more =
      realloc(gone->list, (gone->count + last->count + 1) * sizeof *gone->list);
  if (!more) return false;
  gone->list = more;
  for (size_t i = 0; i < last->count; i++) {
    if (is_among(now, &last->list[i])) continue;
    more[gone->count] = last->list[i];
    more[gone->count++].limiter = 0;
  }
  return true;
}

/* Sums up what has the same labels; what has gone with the last of them is
** gone. Answers how many are left, of the `count` in order of their names. */
static size_t merge(sum *list, size_t count) {
  size_t left = 0;
  for (size_t i = 0; i < count; i++) {
    if (left && by_labels(&list[left - 1], &list[i]) == 0)
      add_sum(&list[left - 1], &list[i]);
    else if (list[i].limiter)
      list[left++] = list[i];
  }
  return left;
}

static bool has_name(const sums *named, const sum *which) {
  size_t low = 0, high = named->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = by_labels(&named->list[middle], which);
    if (order == 0) return true;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

/* Forgets those that are gone and have no namesake among these. */
static void forget(sums *gone, const sums *named) {
  size_t left = 0;
  for (size_t i = 0; i < gone->count; i++)
    if (has_name(named, &gone->list[i])) gone->list[left++] = gone->list[i];
  gone->count = left;
}

/* Sees who has gone since the last read. *now is what was read, in order of
** names, with room for those that are gone; false: no memory. */
static bool settle(weir_status *status, sums *now) {
  bool fine = collect(status, status->gone.count + status->last.count, now);
  if (!fine) return false;
  sort(now, by_limiter);
  fine = bury(status, now);
  drop(&status->last);
  sort(now, by_name);
  forget(&status->gone, now);
  return fine;
}

bool weir_status_remember(weir_status *status) {
  sums now;
  if (!settle(status, &now)) {
    drop(&now);
    drop(&status->last);
    drop(&status->gone);
    return false;
  }
  status->last = now;
  return true;
}

/* --- families ------------------------------------------------------------- */

typedef struct family {
  const char *name, *type, *help;
  size_t at;      /* of what it tells in a sum */
  const char *by; /* the label of its parts, which are verdicts */
  int first;      /* of them */
  bool if_any;    /* only where it is not zero */
} family;

#define AT(field) offsetof(sum, field)

static const family families[] = {
  { "weir_permits_limit", "gauge",
    "Permits there are now, per key; absent: not limited.", AT(limit), NULL, 0,
    true },
  { "weir_permits_in_use", "gauge", "Permits in use now.", AT(in_use), NULL, 0,
    false },
  { "weir_waiting", "gauge", "Requests that wait now.", AT(waiting), NULL, 0,
    false },
  { "weir_keys", "gauge", "Keys known now, some of them idle.", AT(keys), NULL,
    0, false },
  { "weir_admitted_total", NULL, "Requests admitted.", AT(admitted), NULL, 0,
    false },
  { "weir_refused_total", NULL, "Requests refused, by code.", AT(refused),
    "code", WEIR_FULL, false },
  { "weir_dropped_total", NULL,
    "Permits given back by an error or by being dropped.", AT(dropped), NULL, 0,
    false },
  { "weir_unused_total", NULL, "Permits given back before the work began.",
    AT(unused), NULL, 0, false },
  { "weir_dry_run_total", NULL,
    "Requests admitted by a dry run, by what it would have told them.",
    AT(would), "verdict", WEIR_ADMITTED, true },
};

static const char waits[] = "weir_wait_seconds";

/* The verdicts in the order of their names. */
static const int ordered[WEIR_VERDICTS] = {
  WEIR_ADMITTED, WEIR_CANCELED,   WEIR_CLOSED, WEIR_DOOMED,  WEIR_EXHAUSTED,
  WEIR_FULL,     WEIR_IMPOSSIBLE, WEIR_SHED,   WEIR_TIMEOUT, WEIR_WAITING,
};

static const uint64_t *numbers_of(const sum *of, const family *what) {
  return (const uint64_t *)(const void *)((const char *)of + what->at);
}

static bool is_there(const sum *of, const family *what) {
  const uint64_t *numbers = numbers_of(of, what);
  if (!what->if_any) return true;
  for (int i = 0; i < (what->by ? WEIR_VERDICTS : 1); i++)
    if (numbers[i]) return true;
  return false;
}

/* --- lines ---------------------------------------------------------------- */

static void put_line(weir_writer *out, const char *what, const char *name,
                     const char *text) {
  if (!text) return;
  weir_write_put(out, "# ");
  weir_write_put(out, what);
  weir_write_put(out, " ");
  weir_write_put(out, name);
  weir_write_put(out, " ");
  weir_write_put(out, text);
  weir_write_put(out, "\n");
}

static void put_label(weir_writer *out, const char *name, const char *value) {
  weir_write_put(out, name);
  weir_write_put(out, "=\"");
  weir_write_label(out, value);
  weir_write_put(out, "\"");
}

/* The sample's name and its labels, up to what stands behind them. `by` NULL:
** none more. */
static void begin(weir_writer *out, const char *name, const char *suffix,
                  const sum *of, const char *by, const char *part) {
  weir_write_put(out, name);
  weir_write_put(out, suffix);
  weir_write_put(out, "{");
  put_label(out, "limiter", of->name);
  if (*of->space) {
    weir_write_put(out, ",");
    put_label(out, "space", of->space);
  }
  if (by) {
    weir_write_put(out, ",");
    put_label(out, by, part);
  }
  weir_write_put(out, "} ");
}

static void put_number(weir_writer *out, uint64_t number) {
  weir_write_number(out, number);
  weir_write_put(out, "\n");
}

static void put_samples(weir_writer *out, const family *what, const sum *of) {
  const uint64_t *numbers = numbers_of(of, what);
  if (!is_there(of, what)) return;
  if (!what->by) {
    begin(out, what->name, "", of, NULL, NULL);
    put_number(out, *numbers);
    return;
  }
  for (int i = 0; i < WEIR_VERDICTS; i++) {
    if (ordered[i] < what->first) continue;
    begin(out, what->name, "", of, what->by, weir_verdict_name(ordered[i]));
    put_number(out, numbers[ordered[i]]);
  }
}

/* The lines of a family; none, where no limiter has it. */
static void put_family(weir_writer *out, const family *what, const sums *all) {
  size_t i = 0;
  while (i < all->count && !is_there(&all->list[i], what)) i++;
  if (i == all->count) return;
  put_line(out, "TYPE", what->name, what->type);
  put_line(out, "HELP", what->name, what->help);
  for (; i < all->count; i++) put_samples(out, what, &all->list[i]);
}

/* A bound as OpenMetrics wants it. */
static void put_bucket(weir_writer *out, const sum *of, int i) {
  char le[24];
  weir_writer bound = { NULL, 0, 0, false };
  weir_write_seconds(&bound, weir_status_le_ns[i]);
  weir_write_end(&bound);
  weir_write_clean(le, sizeof le, bound.bytes ? bound.bytes : "");
  weir_write_free(&bound);
  begin(out, waits, "_bucket", of, "le", le);
  put_number(out, of->below[i]);
}

static void put_waits(weir_writer *out, const sum *of) {
  for (int i = 0; i < WEIR_STATUS_LE; i++) put_bucket(out, of, i);
  begin(out, waits, "_bucket", of, "le", "+Inf");
  put_number(out, of->waits);
  begin(out, waits, "_count", of, NULL, NULL);
  put_number(out, of->waits);
  begin(out, waits, "_sum", of, NULL, NULL);
  weir_write_seconds(out, of->wait_ns);
  weir_write_put(out, "\n");
}

static void put_histogram(weir_writer *out, const sums *all) {
  if (!all->count) return;
  put_line(out, "TYPE", waits, "histogram");
  put_line(out, "UNIT", waits, "seconds");
  put_line(out, "HELP", waits, "How long the admitted waited, within 3.2 %.");
  for (size_t i = 0; i < all->count; i++) put_waits(out, &all->list[i]);
}

/* --- spaces --------------------------------------------------------------- */

static uint64_t number_of_space(const weir_status_space *space, int which) {
  switch (which) {
  case 0: return space->use.size;
  case 1: return space->use.used;
  default: return space->use.processes;
  }
}

static void put_spaces(weir_writer *out, const weir_status *status) {
  static const struct {
    const char *name, *unit, *help;
  } what[] = {
    { "weir_space_size_bytes", "bytes", "Bytes that a shared space has." },
    { "weir_space_used_bytes", "bytes", "Bytes of them that are used." },
    { "weir_space_processes", NULL, "Processes that have it open." },
  };
  for (int i = 0; i < 3; i++) {
    bool begun = false;
    for (uint32_t j = 0; j < status->space_count; j++) {
      const weir_status_space *space = &status->spaces[j];
      if (!space->use.size) continue;
      if (!begun) {
        put_line(out, "TYPE", what[i].name, "gauge");
        put_line(out, "UNIT", what[i].name, what[i].unit);
        put_line(out, "HELP", what[i].name, what[i].help);
      }
      begun = true;
      weir_write_put(out, what[i].name);
      weir_write_put(out, "{");
      put_label(out, "space", space->name);
      weir_write_put(out, "} ");
      put_number(out, number_of_space(space, i));
    }
  }
}

/* --- all of it ------------------------------------------------------------ */

void weir_status_metrics(weir_status *status, weir_writer *out) {
  sums all;
  if (!settle(status, &all)) {
    drop(&all);
    out->lost = true;
    return;
  }
  for (size_t i = 0; i < status->gone.count; i++)
    all.list[all.count++] = status->gone.list[i];
  sort(&all, by_name);
  all.count = merge(all.list, all.count);
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    put_family(out, &families[i], &all);
  put_histogram(out, &all);
  drop(&all);
  put_spaces(out, status);
  weir_write_put(out, "# EOF\n");
}
