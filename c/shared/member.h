/*
** member.h - a process that takes part in a space: all that it has of it.
**
** OWNERSHIP
**   The engine's space points to the `sharing` in here. When its last owner
**   frees it, the engine calls close, and the member frees itself.
**
** FORK
**   A child inherits its parent's members, but not their seats. It can do no
**   more with them than close them; it opens the space anew.
*/
#ifndef WEIR_SHARED_MEMBER_H
#define WEIR_SHARED_MEMBER_H

#include "bell.h"
#include "lock.h"

typedef struct weir_member weir_member;

struct weir_member {
  weir_sharing sharing; /* first: what the engine has of us */
  weir_file file;
  weir_seats seats;
  weir_lock lock;
  weir_bells bells;
  int home;          /* DIR/NAME, a descriptor of its own */
  weir_space *space; /* NULL: not yet */
  weir_member *next; /* in the registry */
  uint32_t opens;    /* how many weir_space_free it wants */
  bool listed;       /* in the registry */
  bool looking;      /* it attaches no port */
};

/* What became of joining. */
typedef enum weir_joined {
  WEIR_NOT_JOINED = -1, /* `why` says why */
  WEIR_BUSY,            /* somebody has the door or the lock; likewise */
  WEIR_JOINED
} weir_joined;

/* A member of the file, which it owns from now on. NULL: no memory, it says so;
** the file is closed. */
weir_member *weir_member_new(const weir_file *file, const weir_place *place);

/* Takes a seat, with the door ours: makes the engine's space, and clears up
** behind the dead. `fresh`: the file is new, and nobody else can see it. */
weir_joined weir_member_join(weir_member *member, const weir_place *place,
                             bool fresh, uint64_t wait_ns);

/* Frees one that is not listed, with its space if it has one. */
void weir_member_free(weir_member *member);

/* --- the registry: of all spaces this process has open -------------------- */

/* Between them, no other thread opens or closes any, and nobody forks. */
void weir_registry_lock(void);
void weir_registry_unlock(void);

/* The member of that file, or NULL; and an inherited one's descriptor of it,
** which is the caller's then, or -1. */
weir_member *weir_registry_find(dev_t dev, ino_t ino);
int weir_registry_inherit(dev_t dev, ino_t ino);

/* The member whose space it is, or NULL. */
const weir_member *weir_registry_of(const weir_space *space);

void weir_registry_add(weir_member *member);

#endif
