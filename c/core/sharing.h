/*
** sharing.h - what a space that processes share needs of the system.
**
** The engine keeps such a space's records in memory that others map as well.
** c/shared brings that memory, the lock around each call, and the news of who
** is alive; the engine brings the rest. Nothing here is public: WEIR_API is for
** c/shared, which is a library of its own.
**
** THE MEMORY
**   `state` and the regions lie in one mapping, at whatever address. A region
**   is address space for one array of records; it grows in place, from its
**   begin. All that the engine keeps there are numbers, no addresses.
**
** THE LOCK
**   Every public call is made between `lock` and `unlock`. Whoever dies between
**   them leaves a lock that can be taken, and a half of an operation, which the
**   next one undoes: the engine notes what was there before it changes
**   anything.
**
** SEATS
**   A process has one seat in a space, however many ports it attaches. What it
**   holds is its as long as its seat is alive.
*/
#ifndef WEIR_CORE_SHARING_H
#define WEIR_CORE_SHARING_H

#include <weir.h>

enum {
  WEIR_REGIONS = 10,       /* arrays of records in a space */
  WEIR_SEATS = 1024,       /* processes that can share a space */
  WEIR_SHARED_PORTS = 4095 /* ports that can be attached to a shared space */
};

typedef struct weir_sharing weir_sharing;

typedef enum weir_life {
  WEIR_LIVES, /* or nobody sits there */
  WEIR_DIES,  /* others may still see it at work: to be asked again soon */
  WEIR_DEAD
} weir_life;

struct weir_sharing {
  /* --- the memory; all of it is zero in a new space --- */
  unsigned char *state;   /* weir_sharing_state() bytes, at a multiple of 64 */
  unsigned char *regions; /* WEIR_REGIONS times region_size bytes, likewise */
  uint64_t region_size;   /* bytes, a multiple of 4096 */
  uint64_t budget;        /* bytes that the regions may have in all */
  uint64_t patrol_ns;     /* how often to see whether all are alive, while
                             somebody waits; WEIR_NEVER: not at all */
  uint32_t seat;          /* of this process: 1 to WEIR_SEATS - 1 */
  bool nameless;          /* limiters need no name: in tests */

  /* --- the system --- */
  /* Takes the lock. 0; 1: from somebody who died with it; or WEIR_E_FORKED:
  ** it was not taken, since this process is not the one that opened it. */
  int (*lock)(weir_sharing *sharing);
  void (*unlock)(weir_sharing *sharing);
  /* Makes sure that there is memory at these bytes of the mapping; false: there
  ** is none. The lock is held. */
  bool (*commit)(weir_sharing *sharing, void *at, size_t size);
  /* What is known of the process that has a seat. The lock is held. */
  weir_life (*life)(weir_sharing *sharing, uint32_t seat);
  /* A dead seat's belongings are gone: another process may have it. The lock is
  ** held. */
  void (*vacate)(weir_sharing *sharing, uint32_t seat);
  /* Makes the bell of a new port of this process, or unmakes it, and answers
  ** its descriptor, which the port owns; -1: it cannot. The lock is held for
  ** the one, but not for the other. */
  int (*hang_bell)(weir_sharing *sharing, uint32_t port);
  void (*unhang_bell)(weir_sharing *sharing, uint32_t port, int fd);
  /* Wakes a port's host, or does nothing if it is gone. The lock need not be
  ** held. */
  void (*ring)(weir_sharing *sharing, uint32_t port);
  /* Makes a port's own descriptor unreadable again. In a forked child it does
  ** nothing: the bell is its parent's. The lock is not held. */
  void (*hush)(weir_sharing *sharing, int fd);
  /* One open less of this process. If it was the last, takes its seat away and
  ** frees what `sharing` has; whether it was. */
  bool (*close)(weir_sharing *sharing);
};

/* How many bytes of state a space has. */
WEIR_API size_t weir_sharing_state(void);

/* A number that is another one if the records have another layout. */
WEIR_API uint64_t weir_sharing_layout(void);

/* A space in such memory. `fresh`: the memory is all zero, and `seed16` are 16
** random bytes. The lock is held. NULL: no memory, or, if not fresh, no room
** for what every space has. */
WEIR_API weir_space *weir_sharing_space(weir_sharing *sharing, bool fresh,
                                        const void *seed16);

/* Undoes what a dead process had half done, if it had the lock. Whoever gets 1
** from `lock` outside of the engine has to call it, with the lock held. 0; -1:
** the memory is damaged. */
WEIR_API int weir_sharing_mend(weir_space *space);

/* Takes back what the processes of dead seats had, and vacates them; how many
** there were; -1: the memory is damaged. The lock is held. */
WEIR_API int weir_sharing_patrol(weir_space *space);

/* Counts for people; the lock is held. */
typedef struct weir_sharing_counts {
  uint64_t bytes; /* of the budget that are used */
  uint32_t ports, limiters, keys, tickets;
} weir_sharing_counts;

WEIR_API void weir_sharing_count(const weir_space *space,
                                 weir_sharing_counts *out);

/* The seat of the process that has a port, by its number as in a ticket's info;
** 0: there is no such port, or the space is one's own. */
WEIR_API uint32_t weir_port_seat(const weir_space *space, uint32_t port);

/* Bytes of the budget that are used. */
WEIR_API uint64_t weir_space_bytes(const weir_space *space);

#endif
