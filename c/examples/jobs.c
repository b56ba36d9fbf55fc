/*
** jobs.c - the smallest embedding: the engine alone, on a clock made by hand.
**
** Six jobs pass through two permits. The engine runs nothing by itself: this
** program says what time it is, and asks once a turn who may go.
**
**   cc jobs.c $(pkg-config --cflags --libs weir) && ./a.out
*/
#include <stdio.h>
#include <weir.h>

enum { JOBS = 6, PERMITS = 2, TICKS_OF_WORK = 3 };
static const uint64_t MS = 1000000; /* weir counts in nanoseconds */

typedef struct job {
  weir_ticket ticket; /* what it holds */
  int left;           /* ticks of work; 0: not running */
} job;

/* One limiter, in a space of its own, used through one port. */
static weir_port *port;
static weir_limiter bench;

static job jobs[JOBS];
static int running, most, done, refused;

static void say(uint64_t now, int number, const char *what) {
  printf("%d ms: job %d %s\n", (int)(now / MS), number, what);
}

static void start(int number, weir_ticket ticket, uint64_t now) {
  jobs[number].ticket = ticket;
  jobs[number].left = TICKS_OF_WORK;
  if (++running > most) most = running;
  say(now, number, "starts");
}

/* The cookie comes back with the event; here it is the job's number. Nobody
** waits longer than five milliseconds. */
static void ask(int number, uint64_t now) {
  weir_request request = { .cookie = (uint64_t)number,
                           .deadline = now + 5 * MS };
  weir_ticket ticket;
  if (weir_acquire(port, bench, &request, now, &ticket) == WEIR_ADMITTED)
    start(number, ticket, now);
}

static void work(int number, uint64_t now) {
  if (!jobs[number].left || --jobs[number].left) return;
  running--;
  done++;
  say(now, number, "is done");
  weir_release(port, jobs[number].ticket, WEIR_DONE, now); /* starts nobody */
}

/* Now that all have worked: expire what is due, then see who was decided. */
static void turn(uint64_t now) {
  weir_event event;
  weir_advance(port, now);
  while (weir_next(port, &event)) {
    if (event.verdict == WEIR_ADMITTED) {
      start((int)event.cookie, event.ticket, now);
    } else {
      refused++;
      say(now, (int)event.cookie, "gave up waiting"); /* TIMEOUT */
    }
  }
}

int main(void) {
  weir_space *space = weir_space_new(NULL);
  weir_config config = WEIR_CONFIG_INIT;
  uint64_t now = 0;
  config.concurrent = PERMITS;
  port = space ? weir_port_attach(space) : NULL;
  if (!port || weir_limiter_open(space, "bench", &config, now, &bench)) {
    fprintf(stderr, "jobs: out of memory\n");
    return 1;
  }
  for (int i = 0; i < JOBS; i++) ask(i, now);
  while (done + refused < JOBS) {
    now += MS;
    for (int i = 0; i < JOBS; i++) work(i, now);
    turn(now);
  }
  weir_port_detach(port, now);
  weir_space_free(space);
  return most == PERMITS && done == 4 && refused == 2 ? 0 : 1;
}
