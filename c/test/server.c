/* server.c - see server.h. */
#include "server.h"

#include <string.h>

enum { FAIL_NS = 1000000, BILLION = 1000000000 };

void server_open(server *s, const weir_adaptive *adaptive, server_nature nature,
                 uint64_t seed) {
  memset(s, 0, sizeof *s);
  s->adaptive = weir_adaptive_complete(adaptive);
  weir_tuner_init(&s->tuner, &s->adaptive);
  s->nature = nature;
  s->random = choices_of_seed(seed);
}

/* --- requests under way: a binary heap ----------------------------------- */

static void add_flight(server *s, server_flight flight) {
  uint32_t at = s->in_use++;
  while (at > 0) {
    uint32_t parent = (at - 1) / 2;
    if (s->flights[parent].end <= flight.end) break;
    s->flights[at] = s->flights[parent];
    at = parent;
  }
  s->flights[at] = flight;
}

static server_flight take_flight(server *s) {
  server_flight first = s->flights[0], last = s->flights[--s->in_use];
  uint32_t at = 0, child;
  while ((child = 2 * at + 1) < s->in_use) {
    if (child + 1 < s->in_use &&
        s->flights[child + 1].end < s->flights[child].end)
      child++;
    if (last.end <= s->flights[child].end) break;
    s->flights[at] = s->flights[child];
    at = child;
  }
  s->flights[at] = last;
  return first;
}

/* --- the server ---------------------------------------------------------- */

static double uniform(server *s) {
  uint32_t high = choose(&s->random, 256), low = choose(&s->random, 256);
  return (256 * high + low) / 65536.0;
}

/* How many numbers fall one after the other, from `first` on. */
static unsigned falling(server *s, double first) {
  double last = first, next = uniform(s);
  unsigned count = 1;
  while (next < last) {
    last = next;
    next = uniform(s);
    count++;
  }
  return count;
}

/* Exponential, mean 1, by comparing only (von Neumann): of runs of falling
** numbers, the first of odd length tells by its first number, and those before
** by how many they are. */
static double exponential(server *s) {
  unsigned whole = 0;
  for (;;) {
    double first = uniform(s);
    if (falling(s, first) % 2) return whole + first;
    whole++;
  }
}

static double noise(server *s) {
  if (s->nature.wild) return exponential(s);
  return 0.9 + 0.2 * choose(&s->random, 256) / 255;
}

/* How much longer than base it takes with `n` requests, on average. */
static double slowness(const server_nature *nature, double n) {
  double above = (n - nature->knee) / nature->knee;
  if (above <= 0) return 1;
  return nature->slope == SERVER_SHARING ? 1 + above : 1 + 5 * above;
}

static server_flight serve(server *s) {
  bool drops = s->nature.slope == SERVER_DROPPING;
  double n = s->serving + 1;
  server_flight flight = { 0 };
  flight.dropped = drops && n > 1.1 * s->nature.knee;
  if (!flight.dropped) s->serving++;
  flight.latency_ns = flight.dropped
                          ? FAIL_NS
                          : (uint64_t)((double)s->nature.base_ns *
                                       slowness(&s->nature, n) * noise(s));
  flight.end = s->now + flight.latency_ns;
  return flight;
}

static bool wants_in(const server *s) {
  return s->in_use < weir_tuner_limit(&s->tuner, &s->adaptive) &&
         s->in_use < SERVER_ROOM && (!s->demand || s->in_use < s->demand);
}

static void answer(server *s) {
  server_flight flight = take_flight(s);
  s->now = flight.end;
  s->serving -= !flight.dropped;
  weir_tuner_sample(&s->tuner, &s->adaptive, flight.latency_ns, s->in_use + 1,
                    flight.dropped, s->now);
}

/* --- runs ---------------------------------------------------------------- */

typedef struct tally {
  double whole, outside; /* ns: in all, and without dips */
  double limit;          /* permits x ns, without dips */
  double estimate;       /* permits x ns */
  uint32_t answered;
} tally;

static void count_time(const server *s, tally *sums, server_report *report) {
  double span = (double)(s->flights[0].end - s->now);
  uint32_t limit = weir_tuner_limit(&s->tuner, &s->adaptive);
  bool dips = weir_tuner_due(&s->tuner) != WEIR_NEVER;
  if (limit < report->low) report->low = limit;
  if (limit > report->high) report->high = limit;
  if (!dips) {
    sums->limit += span * limit;
    sums->outside += span;
  }
  sums->whole += span;
  sums->estimate += span * s->tuner.limit;
  sums->answered += !s->flights[0].dropped;
  report->dropped += s->flights[0].dropped;
}

static void finish(const server *s, const tally *sums, server_report *report) {
  double possible = sums->whole / (double)s->nature.base_ns * s->nature.knee;
  report->limit = sums->outside > 0 ? sums->limit / sums->outside : 0;
  report->estimate = sums->estimate / sums->whole;
  report->dips = 1 - sums->outside / sums->whole;
  report->goodput = sums->answered / possible;
}

server_report server_run(server *s, uint64_t ns) {
  uint64_t end = s->now + ns;
  server_report report = { .low = UINT32_MAX };
  tally sums = { 0 };
  while (s->now < end) {
    while (wants_in(s)) add_flight(s, serve(s));
    count_time(s, &sums, &report);
    answer(s);
    weir_tuner_advance(&s->tuner, s->now);
  }
  finish(s, &sums, &report);
  return report;
}
