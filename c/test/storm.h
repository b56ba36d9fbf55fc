/*
** storm.h - processes that share limiters while they are killed, and a witness
** outside of the space who counts how many use what the limiters guard.
**
** THE WITNESS
**   For every limit there is a semaphore of the kernel (System V, SEM_UNDO)
**   that is as large. Whoever has been admitted takes it without waiting, and
**   gives it back before it releases: so one that cannot be had is a limit that
**   was exceeded, exactly. The kernel gives back what a dead process had, and
**   does so before it drops the process's file locks, by which others notice
**   that it died: so a permit that is recovered was given back here, too.
**
** THE BOARD
**   What the processes count, in memory of the test's own. A place at it is a
**   worker's and its replacements'.
*/
#ifndef WEIR_TEST_STORM_H
#define WEIR_TEST_STORM_H

#include <stdatomic.h>
#include <sys/types.h>
#include <weir_shared.h>

#include "choices.h"
#include "crew.h"

enum {
  STORM_WORKERS = 8,
  STORM_GATE = 3,     /* permits of the limiter that all want */
  STORM_PAIR = 2,     /* of the one that is asked for together with it */
  STORM_KEYS = 4,     /* keys, of one permit each */
  STORM_RATE = 20000, /* per second */
  STORM_BURST = 50,
  STORM_TURNS = 4096 /* that the order of is kept */
};

/* Whom the witness counts: a semaphore each. */
enum { OF_GATE, OF_PAIR, OF_KEYS, WITNESSES = OF_KEYS + STORM_KEYS };

extern const char storm_keys[STORM_KEYS + 1]; /* of a byte each */

typedef struct storm_place {
  _Atomic uint32_t doom; /* who has the lock dies once in so many times; 0 */
  _Atomic uint64_t done; /* permits had and given back */
  _Atomic uint64_t refused[WEIR_VERDICTS]; /* by verdict */
  _Atomic uint64_t waits;                  /* how many had to wait first */
  _Atomic uint64_t mends;   /* halves of a call found and undone */
  _Atomic uint64_t over;    /* admitted, though the resource was full */
  _Atomic uint64_t errors;  /* answers that ought not to be */
  _Atomic int last_error;   /* the last of them */
  _Atomic uint64_t longest; /* ns, from asking to the answer */
} storm_place;

typedef struct storm_board {
  storm_place places[STORM_WORKERS + 1]; /* the last is of the test itself */
  _Atomic uint64_t rated;                /* admitted by the rate */
  _Atomic bool stop;
  uint32_t number;             /* for the next who waits */
  _Atomic uint32_t turns;      /* in `order` */
  uint32_t order[STORM_TURNS]; /* the numbers of those admitted */
  char dir[CREW_PATH];
  uint64_t size;      /* bytes of the space; 0: as usual */
  uint64_t patrol_ns; /* likewise */
  int witness;        /* semaphores */
} storm_board;

/* A board with a fresh directory and witness; NULL: there is none. */
storm_board *storm_new(uint64_t size);
void storm_free(storm_board *board);

/* How many use a resource now; its limit. */
uint32_t storm_users(const storm_board *board, uint32_t resource);
uint32_t storm_limit(uint32_t resource);

/* One process's part in a storm. */
typedef struct storm_part {
  storm_board *board;
  storm_place *place;
  weir_space *space;
  weir_port *port;
  weir_limiter gate, pair, keyed, rated;
  choices from;
} storm_part;

/* Takes part at a place; false: it could not. */
bool storm_join(storm_part *part, storm_board *board, uint32_t place);
void storm_leave(storm_part *part);

/* Waits through weir_fd for one of the part's tickets; false: the time came. */
bool storm_await(storm_part *part, uint64_t until, weir_event *out);

/* Uses a resource, and does not any more; false: it was full. */
bool storm_enter(const storm_board *board, uint32_t resource);
void storm_exit(const storm_board *board, uint32_t resource);

/* Takes permits of all kinds and gives them back, until it is to stop. */
void storm_work(storm_board *board, uint32_t place);

#endif
