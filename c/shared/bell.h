/*
** bell.h - how a process wakes another one's port: a FIFO for each port.
**
** WHY NOTHING IS LOST, AND NO SIGNAL COMES
**   Both ends open a bell for reading and writing: so there is always a reader,
**   and a byte for a port that is gone stays where it is instead of raising
**   SIGPIPE. A bell stays when its port goes, and the next port of that number
**   takes the same one; so a rope, the ringing end that is kept, is good as
**   long as the bell is. Where a bell has to be made anew all the same, a count
**   in the space's memory tells those who have a rope.
**
** THREADS
**   Ringing with a rope takes no lock. One that is out of date is replaced in
**   its very number, so that nobody writes to a descriptor that was closed.
*/
#ifndef WEIR_SHARED_BELL_H
#define WEIR_SHARED_BELL_H

#include <pthread.h>

#include "file.h"

enum { WEIR_ROPES_MAX = 128 }; /* that a process keeps, of one space */

typedef struct weir_bells {
  const weir_file *file;   /* not owned */
  int home;                /* DIR/NAME; not owned */
  uint32_t kept;           /* ropes */
  pthread_mutex_t roping;  /* who changes ropes has it */
  _Atomic uint64_t *ropes; /* of each port: how often its bell had been made,
                              and the descriptor plus 1; 0: none */
} weir_bells;

bool weir_bells_init(weir_bells *bells, const weir_file *file, int home);
void weir_bells_fini(weir_bells *bells);

/* A port's own end, which is readable when it was rung; -1: it cannot be. The
** space is locked. */
int weir_bells_hang(weir_bells *bells, uint32_t port);

void weir_bells_ring(weir_bells *bells, uint32_t port);

/* Makes an own end unreadable. */
void weir_bells_hush(int fd);

#endif
