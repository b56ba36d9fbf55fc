/*
** seat.h - which processes share a space, and which of them live.
**
** HOW LIFE IS KNOWN
**   A process holds a record lock (fcntl) on its seat's byte of the file, and
**   the kernel takes it away when the process ends, however it does. A pid
**   would be another process' some day, and means nothing in another container;
**   locks of an open description (OFD, flock) live on in a forked child.
**
** DYING
**   The kernel takes the locks away while it closes a process' files, and tells
**   those at the other ends of its sockets a moment later. What such a process
**   held is not for others before: a server would have one client more than
**   its limit. So where there is a /proc, a process that exits is dead when it
**   has done all that.
**
** THE PRICE
**   A process loses these locks when it closes any descriptor of the file, so
**   it has one, and its own locks it cannot see.
**
** THE DOOR
**   Who takes a seat, makes or removes a space holds byte 0, one at a time.
**   Meanwhile it is the janitor, who has seat 0, a new generation of it each
**   time.
*/
#ifndef WEIR_SHARED_SEAT_H
#define WEIR_SHARED_SEAT_H

#include "file.h"

/* Waits in ns; WEIR_NEVER waits for ever. */
#define WEIR_MS ((uint64_t)1000000)

typedef struct weir_seats {
  const weir_file *file; /* not owned */
  uint32_t own;          /* 0: none yet */
} weir_seats;

uint64_t weir_seats_now(void); /* CLOCK_MONOTONIC, ns */
void weir_seats_nap(uint64_t ns);

/* Takes the door; false: somebody else had it all the time. No two threads of a
** process ask at once. */
bool weir_door_take(const weir_file *file, uint64_t wait_ns);
void weir_door_leave(const weir_file *file);

/* Begins a janitor's turn. The door is ours. */
void weir_seats_janitor(const weir_seats *seats);

/* Makes a free seat this process'; 0: there is none. The space is locked, and
** the door is ours. */
uint32_t weir_seats_take(weir_seats *seats);

/* Gives the own seat back, before anything was had there. Likewise. */
void weir_seats_return(weir_seats *seats);

/* Whether a seat is somebody's who lives, as far as is known. */
bool weir_seats_lives(const weir_seats *seats, uint32_t seat);

/* The same, and of those who do not, whether they have come to their end. A
** dead one's seat is free only when the engine has cleared it and vacates it,
** so that nobody sits down on what another has left. */
weir_life weir_seats_life(const weir_seats *seats, uint32_t seat);

/* Whether another process sits there, or cannot be told not to. */
bool weir_seats_is_held(const weir_seats *seats, uint32_t seat);

/* A seat is free again. The space is locked. */
void weir_seats_vacate(const weir_seats *seats, uint32_t seat);

/* Whose seat it is, as that process has noted it; 0: not known. */
uint32_t weir_seats_pid(const weir_seats *seats, uint32_t seat);

/* How many live. */
uint32_t weir_seats_count(const weir_seats *seats);

/* Whether any other process has a seat, and its pid, or 0; whatever the file
** holds. */
bool weir_seats_other(int fd, uint32_t *pid);

static inline uint32_t weir_seats_generation(const weir_seats *seats,
                                             uint32_t seat) {
  return atomic_load_explicit(&seats->file->header->seats[seat].generation,
                              memory_order_relaxed);
}

#endif
