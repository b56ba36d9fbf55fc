/* crash.c - see crash.h. */
#include "crash.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/door.h"
#include "core/record.h"

enum {
  REGION = 1 << 18, /* bytes */
  PAGE = 4096,
  SEAT_P = 1,
  SEAT_S = 2,
  TEXT = 1 << 14, /* bytes of what S tells */
  GRANTS_MAX = 100
};

/* --- one process' view of the memory -------------------------------------- */

typedef struct view {
  weir_sharing sharing; /* first */
  weir_space *space;
  bool p_died;       /* P is dead */
  bool in_its_hands; /* and has the lock */
} view;

static int lock(weir_sharing *sharing) {
  view *v = (view *)(void *)sharing;
  bool took = v->in_its_hands;
  v->in_its_hands = false;
  return took;
}

static void unlock(weir_sharing *sharing) { (void)sharing; }

static bool commit(weir_sharing *sharing, void *at, size_t size) {
  (void)sharing;
  (void)at;
  (void)size;
  return true;
}

static weir_life life(weir_sharing *sharing, uint32_t seat) {
  const view *v = (view *)(void *)sharing;
  return v->p_died && seat == SEAT_P ? WEIR_DEAD : WEIR_LIVES;
}

static void vacate(weir_sharing *sharing, uint32_t seat) {
  (void)sharing;
  (void)seat;
}

static int hang_bell(weir_sharing *sharing, uint32_t port) {
  (void)sharing;
  return (int)port;
}

static void unhang_bell(weir_sharing *sharing, uint32_t port, int fd) {
  (void)sharing;
  (void)port;
  (void)fd;
}

static void ring(weir_sharing *sharing, uint32_t port) {
  (void)sharing;
  (void)port;
}

static void hush(weir_sharing *sharing, int fd) {
  (void)sharing;
  (void)fd;
}

static bool close_view(weir_sharing *sharing) {
  free(sharing);
  return true;
}

static size_t state_size(void) {
  return (weir_sharing_state() + PAGE - 1) / PAGE * PAGE;
}

static size_t memory_size(void) {
  return state_size() + (size_t)WEIR_REGIONS * REGION;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): others write to it */
static view *new_view(unsigned char *memory, uint32_t seat, bool fresh) {
  static const char seed[16] = "0123456789abcde";
  view *v = calloc(1, sizeof *v);
  if (!v) abort();
  v->sharing = (weir_sharing){
    .state = memory,
    .regions = memory + state_size(),
    .region_size = REGION,
    .budget = (uint64_t)REGION * WEIR_REGIONS,
    .patrol_ns = 1000000,
    .seat = seat,
    .nameless = true,
    .lock = lock,
    .unlock = unlock,
    .commit = commit,
    .life = life,
    .vacate = vacate,
    .hang_bell = hang_bell,
    .unhang_bell = unhang_bell,
    .ring = ring,
    .hush = hush,
    .close = close_view,
  };
  v->space = weir_sharing_space(&v->sharing, fresh, seed);
  if (!v->space) abort();
  return v;
}

/* --- what S finds --------------------------------------------------------- */

typedef struct telling {
  char text[TEXT];
  size_t length;
} telling;

__attribute__((format(printf, 2, 3))) static void
tell(telling *t, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  t->length += (size_t)vsnprintf(t->text + t->length, TEXT - t->length, format,
                                 arguments);
  va_end(arguments);
  if (t->length >= TEXT) abort();
}

static void tell_limiter(telling *t, const weir_space *space,
                         weir_limiter limiter) {
  weir_quota quota;
  weir_stats s;
  weir_request one = { 0 };
  if (weir_limiter_stats(space, limiter, &s)) return;
  weir_limiter_quota(space, limiter, &one, CRASH_START, &quota);
  tell(t,
       "limiter %x: limit %u in_use %llu waiting %u keys %u changes %llu "
       "admitted %llu unused %llu closed %d left %llu;",
       (unsigned)limiter, s.limit, (unsigned long long)s.in_use, s.waiting,
       s.keys, (unsigned long long)s.changes, (unsigned long long)s.admitted,
       (unsigned long long)s.unused, s.closed, (unsigned long long)quota.left);
  for (int i = 0; i < WEIR_VERDICTS; i++)
    if (s.refused[i])
      tell(t, " %s %llu", weir_verdict_name(i),
           (unsigned long long)s.refused[i]);
  tell(t, "\n");
}

static void tell_events(telling *t, weir_port *port) {
  weir_event event;
  while (weir_next(port, &event))
    tell(t, "  %llu %s\n", (unsigned long long)event.cookie,
         weir_verdict_name((int)event.verdict));
}

static weir_ticket first_held(const weir_port *port, uint64_t now) {
  weir_ticket_info info;
  weir_ticket found = 0;
  uint64_t least = UINT64_MAX;
  uint32_t cursor = 0;
  while (weir_ticket_walk(port, &cursor, now, &info))
    if (info.state == WEIR_HELD && info.cookie < least) {
      found = info.ticket;
      least = info.cookie;
    }
  return found;
}

/* Gives all back that S holds, one after the other, and tells who goes. */
static void use_up(telling *t, weir_port *port) {
  uint64_t now = CRASH_START + 1000;
  for (int i = 0; i < GRANTS_MAX; i++) {
    weir_ticket held = first_held(port, now);
    uint64_t due = weir_deadline(port);
    if (held)
      weir_release(port, held, WEIR_DONE, now);
    else if (weir_waiting(port) && due != WEIR_NEVER)
      weir_advance(port, now = due > now ? due : now + 1);
    else
      break;
    tell_events(t, port);
  }
}

/* Looks, recovers if P died, and lives on. */
static void live_on(telling *t, unsigned char *memory, const crash *c,
                    bool halved) {
  view *v = new_view(memory, SEAT_S, false);
  weir_port port = { .space = v->space, .index = c->s->index };
  v->p_died = true;
  v->in_its_hands = halved;
  t->length = 0;
  weir_advance(&port, c->now);
  if (weir_sharing_patrol(v->space) < 0) tell(t, "damaged\n");
  for (int i = 0; i < CRASH_LIMITERS; i++)
    tell_limiter(t, v->space, c->limiter[i]);
  tell_events(t, &port);
  use_up(t, &port);
  for (int i = 0; i < CRASH_LIMITERS; i++)
    tell_limiter(t, v->space, c->limiter[i]);
  tell(t, "%u ports\n", v->space->ports.head->used);
  weir_space_free(v->space);
}

/* --- dying ---------------------------------------------------------------- */

typedef struct death {
  check_place place;
  crash *c;
  weir_space *watched;   /* a view of the memory P works on */
  unsigned char *memory; /* that */
  unsigned char *was;    /* how it was at the last look */
  unsigned char *found;  /* a copy for S */
  telling before, after, now;
  unsigned instructions, images;
  bool over; /* it has been as after */
} death;

static size_t used_of(weir_space *space, const unsigned char *memory,
                      size_t used[WEIR_REGIONS]) {
  weir_array *arrays[WEIR_REGIONS];
  weir_space_arrays(space, arrays);
  weir_space_refresh(space);
  for (int i = 0; i < WEIR_REGIONS; i++)
    used[i] = (size_t)arrays[i]->limit * arrays[i]->size;
  return sizeof(weir_root) + 128 +
         ((const weir_root *)(const void *)memory)->noted;
}

/* Copies what is used; whether it differs from what was there. */
static bool copy_used(weir_space *space, unsigned char *to,
                      const unsigned char *from) {
  size_t used[WEIR_REGIONS], state = used_of(space, from, used);
  bool differs = memcmp(to, from, state) != 0;
  memcpy(to, from, state);
  for (size_t i = 0; i < WEIR_REGIONS; i++) {
    size_t at = state_size() + i * REGION;
    if (!memcmp(to + at, from + at, used[i])) continue;
    memcpy(to + at, from + at, used[i]);
    differs = true;
  }
  return differs;
}

/* What S would find now. */
static void look(death *d) {
  d->images++;
  copy_used(d->watched, d->found, d->memory);
  live_on(&d->now, d->found, d->c, true);
  if (!d->over && strcmp(d->now.text, d->before.text) == 0) return;
  d->over = true;
  if (strcmp(d->now.text, d->after.text) == 0) return;
  check_true(d->place, "a death is before or after", false);
  printf("# after %u instructions, found:\n%s# before:\n%s# after:\n%s",
         d->instructions, d->now.text, d->before.text, d->after.text);
}

static int step(pid_t child) {
  int status;
  if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) ||
      waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
    return -1;
  return WSTOPSIG(status);
}

static pid_t start(void (*act)(crash *), crash *c) {
  pid_t child = fork();
  int status;
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    kill(getpid(), SIGSTOP);
    act(c);
    kill(getpid(), SIGSTOP);
    _exit(0);
  }
  waitpid(child, &status, 0);
  return child;
}

static void stop(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static void step_through(death *d, void (*act)(crash *)) {
  enum { BROKEN_MAX = 3 };
  pid_t child = start(act, d->c);
  int signal;
  while ((signal = step(child)) == SIGTRAP) {
    d->instructions++;
    if (copy_used(d->watched, d->was, d->memory)) look(d);
  }
  check_equal(d->place, "it stopped at its end", (uint64_t)signal, SIGSTOP);
  stop(child);
}

/* How it is when P has done it and dies then. */
static void run_through(death *d, void (*act)(crash *)) {
  pid_t child = start(act, d->c);
  int status;
  ptrace(PTRACE_CONT, child, NULL, NULL);
  waitpid(child, &status, 0);
  copy_used(d->watched, d->found, d->memory);
  live_on(&d->after, d->found, d->c, false);
  stop(child);
}

/* Zero bytes; `shared`: with children. */
static unsigned char *new_memory(bool shared) {
  FILE *file = tmpfile();
  void *memory;
  if (!file || ftruncate(fileno(file), (off_t)memory_size())) abort();
  memory = mmap(NULL, memory_size(), PROT_READ | PROT_WRITE,
                shared ? MAP_SHARED : MAP_PRIVATE, fileno(file), 0);
  fclose(file);
  if (memory == MAP_FAILED) abort();
  return memory;
}

static void prepare(crash *c, death *d, void (*before)(crash *)) {
  view *p = new_view(d->memory, SEAT_P, true);
  view *s = new_view(d->memory, SEAT_S, false);
  *c = (crash){ .space = p->space, .now = CRASH_START };
  c->p = weir_port_attach(p->space);
  c->s = weir_port_attach(s->space);
  before(c);
  d->watched = s->space;
}

void crash_everywhere(check_place place, void (*before)(crash *),
                      void (*act)(crash *)) {
  static death d;
  unsigned char *first;
  crash c;
  memset(&d, 0, sizeof d);
  d.place = place;
  d.c = &c;
  d.memory = new_memory(true);
  d.was = new_memory(false);
  d.found = new_memory(false);
  first = new_memory(false);
  prepare(&c, &d, before);
  copy_used(d.watched, first, d.memory);
  copy_used(d.watched, d.found, d.memory);
  live_on(&d.before, d.found, &c, false);
  run_through(&d, act);
  memcpy(d.memory, first, memory_size());
  copy_used(d.watched, d.was, d.memory);
  step_through(&d, act);
  printf("# %u instructions, %u images\n", d.instructions, d.images);
  check_true(place, "it changed something", d.images > 2);
  weir_space_free(c.space);
  weir_space_free(d.watched);
  munmap(d.memory, memory_size());
  munmap(d.was, memory_size());
  munmap(d.found, memory_size());
  munmap(first, memory_size());
  free(c.p);
  free(c.s);
}

bool crash_possible(void) {
  pid_t child = fork();
  int status;
  bool possible;
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    kill(getpid(), SIGSTOP);
    _exit(0);
  }
  possible = waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
             step(child) == SIGTRAP;
  stop(child);
  return possible;
}

/* --- what tests do -------------------------------------------------------- */

void crash_open(crash *c, int i, weir_config config) {
  weir_space *space = c->space;
  CHECK_EQ(weir_limiter_open(space, NULL, &config, c->now, &c->limiter[i]), 0);
}

weir_ticket crash_ask(crash *c, weir_port *port, int i, weir_request request,
                      int verdict) {
  weir_ticket ticket;
  request.cookie = ++c->cookie;
  CHECK_EQ(weir_acquire(port, c->limiter[i], &request, c->now, &ticket),
           verdict);
  return ticket;
}
