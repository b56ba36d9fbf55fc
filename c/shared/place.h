/*
** place.h - where a space's files are, and whether they can be trusted.
**
** PURPOSE
**   DIR and DIR/NAME as descriptors, so that what was checked is what is used:
**   every name below is looked up from them, and no symbolic link is followed.
**
** WHO IS TRUSTED
**   The user itself and root. Whoever else can write to a directory or a file
**   could do as it likes with a process that maps it, so such a place is
**   refused. The exception is a group's: mode 0770 says that its owner wants
**   it, and a DIR that somebody named says that its user does. Root may look at
**   what is another user's: it makes no file there.
**
** FAILURES
**   A refusal is one sentence in `why`: the path, what is wrong, what to do.
*/
#ifndef WEIR_SHARED_PLACE_H
#define WEIR_SHARED_PLACE_H

#include <sys/stat.h>
#include <weir_shared.h>

enum { WEIR_PATH_MAX = 1024 };

typedef struct weir_place {
  int dir;       /* DIR; -1: not open */
  int home;      /* DIR/NAME, the space's own; -1: not open */
  bool ours;     /* DIR is the user's own: nobody named it */
  bool looking;  /* for root everybody's is as its own */
  bool of_group; /* DIR/NAME lets its group in */
  gid_t group;   /* whose it is */
  char *why;     /* WEIR_WHY_MAX bytes of the caller; NULL: it is not asked */
  char path[WEIR_PATH_MAX];            /* DIR */
  char name[WEIR_SHARED_NAME_MAX + 1]; /* "": DIR alone */
} weir_place;

/* What a look for something answers. */
typedef enum weir_found {
  WEIR_REFUSED = -1, /* `why` says why */
  WEIR_ABSENT,       /* it is not there; `why` says so */
  WEIR_THERE
} weir_found;

/* Names DIR as the header of weir_shared.h says; opens nothing. */
bool weir_place_init(weir_place *place, const char *dir, char *why);

/* Opens DIR, and makes it if it may. */
weir_found weir_place_open_dir(weir_place *place, bool make, bool group);

/* Opens DIR/NAME, likewise; DIR is open. */
weir_found weir_place_open_home(weir_place *place, const char *name, bool make,
                                bool group);

/* Whether DIR/NAME is still what `home` is. */
bool weir_place_stands(const weir_place *place);

void weir_place_close_home(weir_place *place);
void weir_place_close(weir_place *place);

/* Whether it can be a space's name. */
bool weir_place_is_name(const char *name);

/* Whether the user may trust a file of DIR/NAME; false: it says why. */
bool weir_place_trusts(const weir_place *place, const char *leaf,
                       const struct stat *st);

/* Says what is wrong with DIR, DIR/NAME or, leaf not NULL, a file in it;
** answers false. */
bool weir_place_refuse(const weir_place *place, const char *leaf,
                       const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Likewise about a call that failed, from errno. */
bool weir_place_refuse_errno(const weir_place *place, const char *leaf,
                             const char *what);

#endif
