/*
** file.h - the memory of a space: what the file holds, and the mapping of it.
**
** THE FILE
**   A header; the engine's state; the engine's regions, each as large as the
**   whole budget: it is the file that is that long, not the memory, which comes
**   with weir_file_commit.
**
** TRUST
**   The header is read once, into memory of the process, and checked there.
**   From then on nothing in the mapping decides how far anybody reads.
*/
#ifndef WEIR_SHARED_FILE_H
#define WEIR_SHARED_FILE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "core/sharing.h"
#include "place.h"

#define WEIR_FILE "space"     /* its name in DIR/NAME */
#define WEIR_FILE_GONE "gone" /* its name once it is removed, but used */
#define WEIR_FILE_NEW "new."  /* begins the names of those not finished */

enum { WEIR_BOOT_MAX = 40, WEIR_LINE = 64, WEIR_PAGE = 4096 };

/* What never changes. */
typedef struct weir_head {
  uint64_t magic;           /* also of the byte order */
  uint64_t layout;          /* weir_sharing_layout() */
  uint64_t size;            /* the budget, bytes */
  uint64_t total;           /* of the file, bytes */
  uint32_t version;         /* of this header */
  uint32_t group;           /* 1: the group may have it, too */
  char boot[WEIR_BOOT_MAX]; /* since when the system runs; "": not known */
} weir_head;

/* A process's place at the table. */
typedef struct weir_seat {
  _Atomic uint32_t generation; /* one more with each who takes it */
  _Atomic uint32_t used;       /* it is somebody's, who may have died */
  _Atomic uint32_t pid;        /* for people */
  uint32_t unused;
} weir_seat;

/* The lock has a cache line to itself. */
typedef struct weir_header {
  weir_head head;
  unsigned char apart_above[2 * WEIR_LINE - sizeof(weir_head)];
  _Atomic uint32_t lock;
  unsigned char apart_below[WEIR_LINE - sizeof(uint32_t)];
  weir_seat seats[WEIR_SEATS];
  _Atomic uint32_t bells[WEIR_SHARED_PORTS + 1]; /* how often a port's bell was
                                                    made anew */
} weir_header;

typedef struct weir_geometry {
  uint64_t size;        /* the budget */
  uint64_t state;       /* where the state begins */
  uint64_t regions;     /* where the regions begin */
  uint64_t region_size; /* of each */
  uint64_t total;       /* of the file */
} weir_geometry;

typedef struct weir_file {
  int fd;              /* -1: none. The process's only one of this file: a
                          second would take the locks along when it is closed */
  dev_t dev;           /* with `ino`: which file it is */
  ino_t ino;           /* see above */
  weir_header *header; /* the mapping; NULL: none */
  weir_geometry geometry;
  bool group;   /* the group may have it, too */
  bool earlier; /* from before the system was started */
} weir_file;

#define WEIR_FILE_NONE ((weir_file){ .fd = -1 })

weir_geometry weir_geometry_of(uint64_t size);

/* Makes a file under a name of its own, 32 bytes, and maps it; what it has is
** zero but for the head. 1; 0: the directory is being removed; -1: it says
** why. */
int weir_file_make(weir_file *file, const weir_place *place, uint64_t size,
                   bool group, char *name32);

/* Gives it its name, and takes the other one away. 1; 0: somebody was first, or
** the directory is being removed; -1: it says why. */
int weir_file_publish(const weir_place *place, const char *name);

/* Opens what is there, checks and maps it. `fd`: the descriptor of it that the
** process has, or -1; it is the file's from now on. `size` 0: any. */
bool weir_file_open(weir_file *file, const weir_place *place, int fd,
                    uint64_t size);

/* A descriptor of what is there, space or not, if it is a regular file that the
** user may trust; -1. */
int weir_file_open_any(const weir_place *place);

/* Whether the name is still this file's. */
bool weir_file_stands(const weir_file *file, const weir_place *place);

/* Makes sure that there is memory; false with errno: there is none. */
bool weir_file_commit(const weir_file *file, uint64_t offset, uint64_t size);

void weir_file_close(weir_file *file);

#endif
