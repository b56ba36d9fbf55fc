/* storm.c - see storm.h. Linux only. */
#include "storm.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <unistd.h>

#include "core/record.h"
#include "shared/seat.h"

const char storm_keys[STORM_KEYS + 1] = "abcd";

/* --- the witness ---------------------------------------------------------- */

uint32_t storm_limit(uint32_t resource) {
  if (resource == OF_GATE) return STORM_GATE;
  return resource == OF_PAIR ? STORM_PAIR : 1;
}

static int new_witness(void) {
  unsigned short values[WITNESSES];
  int witness = semget(IPC_PRIVATE, WITNESSES, 0600);
  for (uint32_t i = 0; i < WITNESSES; i++)
    values[i] = (unsigned short)storm_limit(i);
  if (witness >= 0 && semctl(witness, 0, SETALL, values)) return -1;
  return witness;
}

uint32_t storm_users(const storm_board *board, uint32_t resource) {
  int left = semctl(board->witness, (int)resource, GETVAL);
  return storm_limit(resource) - (uint32_t)left;
}

static bool add(const storm_board *board, uint32_t resource, short what) {
  struct sembuf change = { (unsigned short)resource, what,
                           IPC_NOWAIT | SEM_UNDO };
  return semop(board->witness, &change, 1) == 0;
}

bool storm_enter(const storm_board *board, uint32_t resource) {
  return add(board, resource, -1);
}

void storm_exit(const storm_board *board, uint32_t resource) {
  if (!add(board, resource, 1)) abort();
}

/* --- the board ------------------------------------------------------------ */

storm_board *storm_new(uint64_t size) {
  storm_board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (board == MAP_FAILED) return NULL;
  board->size = size;
  board->witness = new_witness();
  crew_dir(board->dir);
  return board;
}

void storm_free(storm_board *board) {
  semctl(board->witness, 0, IPC_RMID);
  crew_clear(board->dir);
  munmap(board, sizeof *board);
}

/* --- dying with the lock, and noticing who did ---------------------------- */

static storm_part *present; /* this process's part */
static int (*lock_of_space)(weir_sharing *);

static void die_perhaps(void) {
  uint32_t doom = atomic_load(&present->place->doom);
  if (doom && once_in(&present->from, doom)) raise(SIGKILL);
}

/* Whoever comes after one that died in a call finds its notes, or is told. */
static int on_lock(weir_sharing *sharing) {
  int got = lock_of_space(sharing);
  if (got < 0) return got;
  if (got == 1 || present->space->root->noted)
    atomic_fetch_add(&present->place->mends, 1);
  die_perhaps();
  return got;
}

/* Before a step's notes are forgotten: what it did would be undone. */
static void on_step(void *data) {
  (void)data;
  die_perhaps();
}

static void watch(storm_part *part) {
  weir_commons *commons = part->space->memory.commons;
  present = part;
  lock_of_space = commons->sharing->lock;
  commons->sharing->lock = on_lock;
  commons->audit = on_step;
}

/* --- taking part ---------------------------------------------------------- */

static bool open_limiters(storm_part *p) {
  weir_config gate = WEIR_CONFIG_INIT, pair = gate, keyed = gate, rated = gate;
  uint64_t now = weir_seats_now();
  gate.concurrent = STORM_GATE;
  pair.concurrent = STORM_PAIR;
  rated.concurrent = 0;
  rated.rate = (weir_rate){ .per_ns = 1000 * WEIR_MS,
                            .count = STORM_RATE,
                            .burst = STORM_BURST };
  return !weir_limiter_open(p->space, "gate", &gate, now, &p->gate) &&
         !weir_limiter_open(p->space, "pair", &pair, now, &p->pair) &&
         !weir_limiter_open(p->space, "keyed", &keyed, now, &p->keyed) &&
         !weir_limiter_open(p->space, "rated", &rated, now, &p->rated);
}

bool storm_join(storm_part *part, storm_board *board, uint32_t place) {
  weir_shared_options options = { .dir = board->dir,
                                  .size = board->size,
                                  .patrol_ns = board->patrol_ns };
  char why[WEIR_WHY_MAX];
  *part = (storm_part){ .board = board, .place = &board->places[place] };
  part->from = choices_of_seed((uint64_t)getpid() << 32 ^ weir_seats_now());
  part->space = weir_shared_open("storm", &options, why);
  if (!part->space) return false;
  watch(part);
  part->port = weir_port_attach(part->space);
  return part->port && open_limiters(part);
}

void storm_leave(storm_part *part) {
  if (part->port) weir_port_detach(part->port, weir_seats_now());
  if (part->space) weir_space_free(part->space);
}

static int ms_until(uint64_t at, uint64_t now) {
  enum { LONGEST = 1000 };
  if (at <= now) return 0;
  if (at - now >= LONGEST * WEIR_MS) return LONGEST;
  return (int)((at - now + WEIR_MS - 1) / WEIR_MS);
}

bool storm_await(storm_part *part, uint64_t until, weir_event *out) {
  for (;;) {
    struct pollfd fd = { .fd = weir_fd(part->port), .events = POLLIN };
    uint64_t now = weir_seats_now(), at = weir_advance(part->port, now);
    if (weir_next(part->port, out)) return true;
    if (now >= until) return false;
    poll(&fd, 1, ms_until(at < until ? at : until, now));
  }
}

/* --- a worker ------------------------------------------------------------- */

/* What a permit allows to use: one resource, or two. */
typedef struct use {
  uint32_t first, count;
} use;

static void fail(const storm_part *p, int error) {
  atomic_fetch_add(&p->place->errors, 1);
  atomic_store(&p->place->last_error, error);
}

static void enter_all(const storm_part *p, use what) {
  for (uint32_t i = 0; i < what.count; i++)
    if (!storm_enter(p->board, what.first + i)) {
      atomic_fetch_add(&p->place->over, 1);
      raise(SIGKILL); /* the kernel puts the count right */
    }
}

/* Some work is done at once, some takes a while, some gives the processor up in
** its midst. */
static void be_busy(storm_part *p) {
  uint32_t how = choose(&p->from, 16);
  if (how == 0) weir_seats_nap(choose(&p->from, 200) * WEIR_MS / 1000);
  if (how < 4) sched_yield();
}

static void use_it(storm_part *p, weir_ticket ticket, use what) {
  int answer;
  if (!what.count) atomic_fetch_add(&p->board->rated, 1);
  enter_all(p, what);
  be_busy(p);
  for (uint32_t i = 0; i < what.count; i++)
    storm_exit(p->board, what.first + i);
  answer = weir_release(p->port, ticket, WEIR_DONE, weir_seats_now());
  if (answer) fail(p, answer);
  atomic_fetch_add(&p->place->done, 1);
}

static int ask(storm_part *p, weir_request *request, use *what,
               weir_ticket *ticket) {
  const weir_limiter both[2] = { p->gate, p->pair };
  weir_request two[2] = { *request, *request };
  uint32_t key = choose(&p->from, STORM_KEYS);
  uint64_t now = weir_seats_now();
  switch (choose(&p->from, 8)) {
  case 0:
  case 1:
    *what = (use){ OF_GATE, 2 };
    return weir_acquire_all(p->port, both, two, 2, now, ticket, NULL);
  case 2:
    *what = (use){ OF_KEYS + key, 1 };
    request->key = &storm_keys[key];
    request->key_size = 1;
    return weir_acquire(p->port, p->keyed, request, now, ticket);
  case 3:
    *what = (use){ OF_GATE, 0 };
    return weir_acquire(p->port, p->rated, request, now, ticket);
  default:
    *what = (use){ OF_GATE, 1 };
    return weir_acquire(p->port, p->gate, request, now, ticket);
  }
}

/* Most wait as long as it takes, some not at all, some for a while, and some
** until they change their mind. */
static uint64_t be_patient(storm_part *p, weir_request *request) {
  uint32_t how = choose(&p->from, 16);
  uint64_t soon = weir_seats_now() + choose(&p->from, 200) * WEIR_MS / 20;
  *request = (weir_request){ .try_only = how == 0 };
  request->deadline = how == 1 ? soon : WEIR_NEVER;
  return how == 2 ? soon : WEIR_NEVER;
}

/* Changes its mind, which may come too late. */
static int withdraw(const storm_part *p, weir_ticket ticket) {
  int answer = weir_cancel(p->port, ticket, weir_seats_now());
  if (answer) fail(p, answer);
  return WEIR_CANCELED;
}

static int wait_for(storm_part *p, weir_ticket ticket, uint64_t until) {
  weir_event event;
  atomic_fetch_add(&p->place->waits, 1);
  if (!storm_await(p, until, &event)) return withdraw(p, ticket);
  if (event.ticket != ticket) fail(p, 1);
  return (int)event.verdict;
}

static void note_wait(const storm_part *p, uint64_t since) {
  uint64_t waited = weir_seats_now() - since;
  if (waited > atomic_load(&p->place->longest))
    atomic_store(&p->place->longest, waited);
}

/* There is no queue for room: who asks again at once runs, on one processor,
** whenever the others sleep with all that there is, and at no other time. */
static void back_off(storm_part *p) {
  weir_seats_nap(choose(&p->from, 1000) * WEIR_MS / 1000);
}

static void take_a_turn(storm_part *p) {
  weir_request request;
  weir_ticket ticket;
  uint64_t until = be_patient(p, &request), since = weir_seats_now();
  use what;
  int verdict = ask(p, &request, &what, &ticket);
  if (verdict == WEIR_WAITING) verdict = wait_for(p, ticket, until);
  note_wait(p, since);
  if (verdict == WEIR_ADMITTED)
    use_it(p, ticket, what);
  else if (verdict < 0)
    fail(p, verdict);
  else
    atomic_fetch_add(&p->place->refused[verdict], 1);
  if (verdict == WEIR_EXHAUSTED) back_off(p);
}

/* Where there is no room for it, it tries again. */
void storm_work(storm_board *board, uint32_t place) {
  storm_part part;
  while (!storm_join(&part, board, place)) {
    storm_leave(&part);
    weir_seats_nap(WEIR_MS);
  }
  while (!atomic_load(&board->stop)) take_a_turn(&part);
  storm_leave(&part);
}
