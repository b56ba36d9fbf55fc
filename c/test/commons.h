/*
** commons.h - the spaces of tests: one's own, or, when WEIR_TEST_SPACE is
** "shared", such as processes share, in memory of this process.
**
** Of such a space it is checked whenever a step is done that its notes were
** complete: undone, they must give what was there before it, byte for byte.
** The more there is to compare, the fewer steps are looked at.
*/
#ifndef WEIR_TEST_COMMONS_H
#define WEIR_TEST_COMMONS_H

#include "core/sharing.h"

/* Whether tests run on shared spaces now. */
bool commons_shared(void);

/* A new space with memory from this allocator; NULL: no memory. */
weir_space *commons_space(const weir_allocator *allocator);

/* What a shared space's records are in. */
typedef struct commons_memory {
  weir_sharing *sharing; /* as long as the space is */
  unsigned char *begin;
  size_t size; /* bytes */
} commons_memory;

/* A new shared space, whatever tests run on, with regions of so many bytes, and
** its memory for who wants to damage it: its notes are not checked. */
weir_space *commons_unchecked(size_t region, commons_memory *out);

/* For the begin of a test that is about something that shared spaces do not do,
** or do otherwise, and why. */
#define OF_ONES_OWN(why)                                                       \
  do {                                                                         \
    if (commons_shared()) return;                                              \
  } while (0)

#endif
