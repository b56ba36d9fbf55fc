/*
** memory.h - the arrays that records are in, and how they grow.
**
** In a space of one's own an array is a block that moves when it grows. In a
** shared one it is a region of the mapping: it grows in place, and whoever
** changes something in it notes first what was there (see journal.h).
**
** Numbers in shared memory may be garbage. An element is only reached through
** weir_array_at, which does not believe them; in one's own they are right.
*/
#ifndef WEIR_CORE_MEMORY_H
#define WEIR_CORE_MEMORY_H

#include "journal.h"

typedef struct weir_memory {
  weir_allocator allocator; /* of what is this process' own */
  weir_commons *commons;    /* NULL: nobody else sees the records */
} weir_memory;

typedef struct weir_array {
  unsigned char *base;
  const weir_memory *memory;
  weir_commons *commons; /* the memory's */
  uint32_t *capacity;    /* elements that there is memory for; others see it */
  uint32_t limit;        /* the same, as this process knows it */
  uint32_t size;         /* bytes of an element */
} weir_array;

extern const weir_allocator weir_allocator_default; /* realloc and free */
extern const weir_memory weir_memory_default;       /* of that */

/* A new block of zero bytes; NULL: no memory. */
void *weir_alloc(const weir_allocator *allocator, size_t size);

void weir_free(const weir_allocator *allocator, void *block, size_t size);

/* An array of a space of one's own is empty; one of a shared space is at
** `region`, and as large as *capacity says. */
void weir_array_init(weir_array *array, const weir_memory *memory,
                     unsigned char *region, uint32_t *capacity, size_t size);

void weir_array_fini(weir_array *array);

/* Grows it by half, to `first` elements at least, and to `least` at the very
** least. false: no memory or too many; nothing changed. */
bool weir_array_grow(weir_array *array, uint32_t first, uint32_t least);

/* Learns how far others have grown it. */
void weir_array_refresh(weir_array *array, size_t region_size);

/* Notes what is there, for it is going to be changed. */
static WEIR_INLINE void weir_keep(const weir_memory *memory, const void *at,
                                  size_t size) {
  if (WEIR_SELDOM(memory->commons)) weir_note(memory->commons, at, size);
}

static inline void *weir_array_at(const weir_array *array, uint32_t index) {
  if (WEIR_SELDOM(array->commons) && index >= array->limit)
    weir_lost(array->commons);
  return array->base + (size_t)index * array->size;
}

#endif
