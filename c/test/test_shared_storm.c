/*
** test_shared_storm.c - eight processes take thousands of permits a second
** while one after the other is killed and replaced: no limit is exceeded, as a
** witness outside tells; nothing is leaked; nobody is stranded.
**
** WEIR_STORM_SECONDS is how long each storm takes; 1, unless it says.
*/
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "check.h"
#include "shared/member.h"
#include "storm.h"

enum { PATIENCE_MS = 20000 }; /* for a slow machine; all of it is a failure */

/* What the weather is. */
typedef struct weather {
  const char *name;
  uint64_t size; /* of the space */
  bool stops;    /* some are stopped for a while */
  uint32_t doom; /* who has the lock dies once in so many times */
  bool full;     /* the space is */
} weather;

typedef struct storm {
  storm_board *board;
  crew_hand hands[STORM_WORKERS];
  uint64_t
      go_on[STORM_WORKERS];    /* when one that is stopped may; 0: it is not */
  crew_hand hog;               /* who fills the space */
  uint64_t kills, stops, most; /* most: users of the gate */
  choices from;
} storm;

typedef struct post { /* where a worker stands */
  storm_board *board;
  uint32_t place;
} post;

static uint64_t seconds(void) {
  const char *text = getenv("WEIR_STORM_SECONDS");
  uint64_t asked = text ? strtoull(text, NULL, 10) : 0;
  return asked ? asked : 1;
}

/* --- hiring and killing --------------------------------------------------- */

static void work(const crew_hand *boss, void *data) {
  const post *at = data;
  (void)boss;
  storm_work(at->board, at->place);
}

static void hire(storm *s, uint32_t i) {
  post at = { s->board, i };
  s->hands[i] = crew_hire(work, &at);
  s->go_on[i] = 0;
}

/* Nobody dies of anything else: an error that a sanitizer finds ends a worker,
** and so does abort. */
static void replace(storm *s, uint32_t i) {
  CHECK(crew_dismiss(&s->hands[i], SIGKILL));
  s->kills++;
  hire(s, i);
}

static bool is_dead(const crew_hand *hand) {
  siginfo_t info = { 0 };
  return waitid(P_PID, (id_t)hand->pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
         info.si_pid != 0;
}

static void stop_one(storm *s, uint32_t i, uint64_t now) {
  if (s->go_on[i]) return;
  kill(s->hands[i].pid, SIGSTOP);
  s->go_on[i] = now + (10 + choose(&s->from, 90)) * WEIR_MS;
  s->stops++;
}

static void let_go_on(storm *s, uint64_t now) {
  for (uint32_t i = 0; i < STORM_WORKERS; i++)
    if (s->go_on[i] && s->go_on[i] <= now) {
      kill(s->hands[i].pid, SIGCONT);
      s->go_on[i] = 0;
    }
}

/* --- a full space --------------------------------------------------------- */

/* Everything there can be but tickets is made as long as there is room for it:
** every port waits once, for every key. */
static void use_all(const storm_part *p) {
  enum { PORTS = STORM_WORKERS + 2 };
  weir_port *ports[PORTS];
  weir_ticket ticket;
  for (int i = 0; i < PORTS; i++) {
    ports[i] = weir_port_attach(p->space);
    for (uint32_t k = 0; k < STORM_KEYS; k++) {
      weir_request request = { .key = &storm_keys[k], .key_size = 1 };
      request.deadline = WEIR_NEVER - 1;
      weir_acquire(ports[i], p->keyed, &request, 0, &ticket);
    }
  }
  for (int i = 0; i < PORTS; i++) weir_port_detach(ports[i], 0);
}

/* Takes all tickets that there are, and gives a few back: fewer than eight
** need. */
static void fill(const crew_hand *boss, void *board) {
  enum { MOST = 65536, LEFT = 6 };
  static weir_ticket tickets[MOST];
  weir_request request = { .cookie = 0 };
  storm_part part;
  uint32_t n = 0;
  if (storm_join(&part, board, STORM_WORKERS)) {
    use_all(&part);
    while (n < MOST &&
           weir_park(part.port, &request, &tickets[n]) == WEIR_WAITING)
      n++;
    for (int i = 0; i < LEFT && n; i++) weir_cancel(part.port, tickets[--n], 0);
  }
  crew_say(boss, n && n < MOST ? 'f' : 'x');
  crew_hear(boss);
}

/* --- the storm ------------------------------------------------------------ */

static void witness(storm *s) {
  uint32_t users = storm_users(s->board, OF_GATE);
  if (users > s->most) s->most = users;
}

static void blow(storm *s, const weather *w, uint64_t now) {
  uint32_t i = choose(&s->from, STORM_WORKERS);
  let_go_on(s, now);
  if (w->stops && once_in(&s->from, 3))
    stop_one(s, i, now);
  else if (!w->doom || once_in(&s->from, 4))
    replace(s, i);
  for (i = 0; i < STORM_WORKERS; i++)
    if (is_dead(&s->hands[i])) replace(s, i);
}

static void doom_all(const storm *s, uint32_t doom) {
  for (uint32_t i = 0; i < STORM_WORKERS; i++)
    atomic_store(&s->board->places[i].doom, doom);
}

static void begin(storm *s, const weather *w) {
  memset(s, 0, sizeof *s);
  s->board = storm_new(w->size);
  s->from = choices_of_seed(weir_seats_now());
  if (w->full) {
    s->hog = crew_hire(fill, s->board);
    CHECK_EQ(crew_hear(&s->hog), 'f');
  }
  for (uint32_t i = 0; i < STORM_WORKERS; i++) hire(s, i);
  doom_all(s, w->doom);
}

static storm_place sum(const storm *s) {
  storm_place all = { 0 };
  for (uint32_t i = 0; i < STORM_WORKERS; i++) {
    const storm_place *p = &s->board->places[i];
    all.done += p->done;
    all.waits += p->waits;
    all.mends += p->mends;
    all.over += p->over;
    all.errors += p->errors;
    if (p->errors) all.last_error = p->last_error;
    if (p->longest > all.longest) all.longest = p->longest;
    for (int v = 0; v < WEIR_VERDICTS; v++) all.refused[v] += p->refused[v];
  }
  return all;
}

/* Whether that has happened which the weather is about: on a slow machine it
** takes a while. */
static bool is_seen(const storm *s, const weather *w) {
  storm_place all = sum(s);
  return (!w->doom || all.mends) && (!w->full || all.refused[WEIR_EXHAUSTED]);
}

static void rage(storm *s, const weather *w) {
  uint64_t end = weir_seats_now() + seconds() * 1000 * WEIR_MS, now;
  uint64_t last = end + PATIENCE_MS * WEIR_MS;
  while ((now = weir_seats_now()) < end || (now < last && !is_seen(s, w))) {
    weir_seats_nap((1 + choose(&s->from, 8)) * WEIR_MS / 2);
    blow(s, w, now);
    witness(s);
  }
  doom_all(s, 0);
  let_go_on(s, WEIR_NEVER);
}

/* Whether `holds` comes to be of all workers in time. */
static bool comes_to_be(storm *s, bool (*holds)(storm *, uint32_t)) {
  for (int ms = 0; ms < PATIENCE_MS; ms++) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < STORM_WORKERS; i++) count += holds(s, i);
    if (count == STORM_WORKERS) return true;
    weir_seats_nap(WEIR_MS);
  }
  return false;
}

static uint64_t done_before[STORM_WORKERS];

/* Somebody who had resolved to die with the lock before it was told not to any
** more may do so only now, however long ago that was. */
static bool goes_on(storm *s, uint32_t i) {
  if (is_dead(&s->hands[i])) {
    replace(s, i);
    done_before[i] = atomic_load(&s->board->places[i].done);
  }
  return atomic_load(&s->board->places[i].done) >= done_before[i] + 2;
}

static bool has_ended(storm *s, uint32_t i) { return is_dead(&s->hands[i]); }

/* Nobody is killed any more, and everybody has a permit before long. */
static uint64_t check_calm(storm *s) {
  uint64_t since = weir_seats_now();
  for (uint32_t i = 0; i < STORM_WORKERS; i++)
    done_before[i] = atomic_load(&s->board->places[i].done);
  CHECK(comes_to_be(s, goes_on));
  return weir_seats_now() - since;
}

/* Half of them leave, half are killed. */
static void end(storm *s) {
  for (uint32_t i = 0; i < STORM_WORKERS; i += 2)
    CHECK(crew_dismiss(&s->hands[i], SIGKILL));
  atomic_store(&s->board->stop, true);
  CHECK(comes_to_be(s, has_ended));
  for (uint32_t i = 1; i < STORM_WORKERS; i += 2)
    CHECK(crew_dismiss(&s->hands[i], SIGKILL));
  if (s->hog.pid) CHECK(crew_dismiss(&s->hog, SIGKILL));
}

/* --- what is left --------------------------------------------------------- */

static void check_idle(const weir_space *space, weir_limiter limiter) {
  weir_stats stats;
  CHECK_EQ(weir_limiter_stats(space, limiter, &stats), 0);
  CHECK_EQ(stats.in_use, 0);
  CHECK_EQ(stats.waiting, 0);
}

static void check_permits(storm_part *p) {
  weir_request request = { .try_only = true };
  weir_ticket ticket;
  uint64_t now = weir_seats_now();
  for (uint32_t i = 0; i < STORM_GATE; i++)
    CHECK_EQ(weir_acquire(p->port, p->gate, &request, now, &ticket), 0);
  CHECK_EQ(weir_acquire(p->port, p->gate, &request, now, &ticket), WEIR_FULL);
}

static void check_left(storm *s) {
  weir_sharing_counts counts;
  storm_part part;
  if (!CHECK(storm_join(&part, s->board, STORM_WORKERS))) return;
  weir_sharing_count(part.space, &counts);
  CHECK_EQ(counts.tickets, 0);
  CHECK_EQ(counts.ports, 1);
  CHECK_EQ(counts.limiters, 4);
  check_idle(part.space, part.gate);
  check_idle(part.space, part.pair);
  check_idle(part.space, part.keyed);
  check_idle(part.space, part.rated);
  check_permits(&part);
  storm_leave(&part);
  for (uint32_t i = 0; i < WITNESSES; i++)
    CHECK_EQ(storm_users(s->board, i), 0);
}

static void tell(const storm *s, const weather *w, const storm_place *all,
                 uint64_t calm) {
  printf("# %s, %u s: %llu acquisitions, %llu kills, %llu stops, %llu mends, "
         "at most %u of %u in use\n",
         w->name, (unsigned)seconds(), (unsigned long long)all->done,
         (unsigned long long)s->kills, (unsigned long long)s->stops,
         (unsigned long long)all->mends, (unsigned)s->most,
         (unsigned)STORM_GATE);
  printf("#   %llu waited; refused: %llu full, %llu timeout, %llu canceled, "
         "%llu exhausted; "
         "longest wait %llu ms; all went on within %llu ms\n",
         (unsigned long long)all->waits,
         (unsigned long long)all->refused[WEIR_FULL],
         (unsigned long long)all->refused[WEIR_TIMEOUT],
         (unsigned long long)all->refused[WEIR_CANCELED],
         (unsigned long long)all->refused[WEIR_EXHAUSTED],
         (unsigned long long)(all->longest / WEIR_MS),
         (unsigned long long)(calm / WEIR_MS));
}

/* How many a rate can have admitted in that time. */
static uint64_t most_rated(uint64_t ns) {
  return STORM_BURST + ns / (1000 * WEIR_MS / STORM_RATE) + 1;
}

static storm_place weather_out(const weather *w) {
  uint64_t since = weir_seats_now(), calm;
  storm_place all;
  storm s;
  begin(&s, w);
  rage(&s, w);
  calm = check_calm(&s);
  end(&s);
  CHECK(s.board->rated <= most_rated(weir_seats_now() - since));
  all = sum(&s);
  tell(&s, w, &all, calm);
  CHECK_EQ(all.over, 0);
  CHECK_EQ(all.errors, 0);
  CHECK_EQ(all.last_error, 0);
  check_left(&s);
  storm_free(s.board);
  return all;
}

TEST(a_kill_storm) {
  weather w = { .name = "kills" };
  storm_place all = weather_out(&w);
  CHECK_EQ(all.refused[WEIR_EXHAUSTED], 0);
}

TEST(some_are_stopped_and_go_on) {
  weather w = { .name = "kills and stops", .stops = true };
  weather_out(&w);
}

TEST(they_die_with_the_lock) {
  weather w = { .name = "deaths with the lock", .doom = 500 };
  storm_place all = weather_out(&w);
  CHECK(all.mends != 0);
}

TEST(they_die_with_the_lock_and_some_are_stopped) {
  weather w = { .name = "deaths with the lock, and stops",
                .doom = 500,
                .stops = true };
  storm_place all = weather_out(&w);
  CHECK(all.mends != 0);
}

TEST(the_space_is_full) {
  weather w = { .name = "a full space",
                .size = WEIR_SHARED_SIZE_MIN,
                .full = true };
  storm_place all = weather_out(&w);
  CHECK(all.refused[WEIR_EXHAUSTED] != 0);
}

CHECK_MAIN
