/*
** weir_shared.h - spaces that the processes of a machine share.
**
** PURPOSE
**   Opens a space by name. Every process that opens the name shares its
**   limiters: one limit and one queue for all of them. A process that dies, at
**   whatever instruction, leaves nothing behind: what it held comes back, what
**   it waited for goes to the next.
**
** USE
**   char why[WEIR_WHY_MAX];
**   weir_space *space = weir_shared_open("api", NULL, why);
**   if (!space) die(why);
**   weir_port *port = weir_port_attach(space);
**   ... as with a space of one's own, and in the host's loop:
**   when weir_fd(port) is readable, or weir_deadline(port) has come:
**     weir_advance(port, now); while (weir_next(port, &event)) ...
**
** TIME
**   All processes of a space use CLOCK_MONOTONIC.
**
** WHERE
**   In a directory of the space's own, DIR/NAME, which its user alone can
**   enter: `space` is the memory and `bell.N` are the ports' bells. DIR is
**   options.dir, or $WEIR_DIR, or /dev/shm/weir-UID.
**
** ORDER
**   Who waits for the same limiter and key is not only granted in order, but
**   begins in order, in whatever process: weir_next withholds a waiter until
**   the hosts of those who were granted before have called weir_next again.
**   Whoever it is the turn of is rung for, and weir_deadline says when it is
**   withheld no longer: a host that lags has others wait for a quarter of what
**   permits of the limiter are usually held at most, and for 5 ms. With more
**   than 64 ports in a space nobody is withheld.
**
** PROCESSES AND THREADS
**   Threads may share a space, each with a port of its own. fork() takes no
**   port along: what the child does with its parent's ports is WEIR_E_FORKED;
**   it opens the space for itself. Linux only.
**
** GARBAGE
**   What is no space, or of another version, owner or size, is refused when it
**   is opened. Memory that is damaged while it is used is noticed where it
**   matters: the call that meets it changes nothing and answers WEIR_E_DAMAGED,
**   and so do all after it.
*/
#ifndef WEIR_SHARED_H
#define WEIR_SHARED_H

#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_SHARED_NAME_MAX 63 /* bytes: letters, digits, "_", "-", "." */
#define WEIR_SHARED_SIZE ((uint64_t)16 << 20) /* bytes, unless it says */
#define WEIR_SHARED_SIZE_MIN ((uint64_t)256 << 10)
#define WEIR_SHARED_SIZE_MAX ((uint64_t)1 << 36)
#define WEIR_WHY_MAX 512 /* bytes of a sentence that says what is wrong */

typedef struct weir_shared_options {
  const char *dir;    /* NULL: see above */
  uint64_t size;      /* bytes for limiters, keys and tickets; 0: as it is, and
                         of a new one WEIR_SHARED_SIZE */
  uint64_t patrol_ns; /* how often to see whether all who hold something are
                         alive, while somebody waits; 0: 100 ms; WEIR_NEVER:
                         only where it is noticed by the way */
  bool existing;      /* do not make it: it must be there */
  bool group;         /* a new one is for its group, too: 0770 and 0660 */
  bool look; /* only to look at what others do there: `existing`, and no
                         port can be attached. Root may look at everybody's */
} weir_shared_options;

/* Opens a space, makes it if need be. NULL options: all zero. NULL: `why`, of
** WEIR_WHY_MAX bytes, names the path, what is wrong and what to do. A process
** that opens a space again gets the same one; each open wants one
** weir_space_free, before which its ports are detached. */
WEIR_API weir_space *weir_shared_open(const char *name,
                                      const weir_shared_options *options,
                                      char *why);

/* Whether it can be the name of a space; if not, `why` says so as for open. */
WEIR_API bool weir_shared_check_name(const char *name, char *why);

/* What can be told of a space without taking part in it. */
typedef struct weir_shared_info {
  char name[WEIR_SHARED_NAME_MAX + 1];
  uint64_t size;      /* bytes; 0: it is no space that this version can open,
                         and `why` says why */
  uint64_t used;      /* bytes */
  uint32_t processes; /* alive */
  uint32_t ports, limiters, keys, tickets;
  char why[WEIR_WHY_MAX];
} weir_shared_info;

/* What can be told of a space that this process has open. */
typedef struct weir_shared_use {
  uint64_t size;      /* bytes */
  uint64_t used;      /* bytes */
  uint32_t processes; /* alive, this one with them */
} weir_shared_use;

/* 0; WEIR_E_STALE: it is a space of one's own. */
WEIR_API int weir_shared_inspect(const weir_space *space, weir_shared_use *out);

/* The process that has a port, by its number as in weir_ticket_info: its pid,
** as that process itself sees it. 0: not known, as in a space of one's own. */
WEIR_API uint32_t weir_shared_pid(const weir_space *space, uint32_t port);

/* Lists the spaces of a directory (NULL: as for open) by name: start with
** *cursor = 0. 1: *out is one; 0: no more; -1: *out->why. A directory that is
** not there has none. */
WEIR_API int weir_shared_list(const char *dir, uint32_t *cursor,
                              weir_shared_info *out);

/* Removes a space's files. One that is used by a process that lives is refused
** unless `force`: those who have it open keep it to themselves, and whoever
** opens the name gets a new one. true; false: `why` as for open. */
WEIR_API bool weir_shared_remove(const char *name, const char *dir, bool force,
                                 char *why);

#ifdef __cplusplus
}
#endif
#endif
