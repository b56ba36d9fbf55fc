/*
** slab.h - fixed-size records, addressed by index and generation.
**
** A slab is one array of equal records. Record 0 is never given out, so that
** index 0 and handle 0 mean "none". Every record type begins with a
** weir_record. Growing may move the array: keep indices, not pointers, across
** anything that can add a record.
**
** A generation is odd while its record is in use and even while it is free; a
** handle carries the generation it was made with, so it is good exactly as
** long as they are equal. (A handle kept while its record is used 2^31 more
** times would be mistaken for the newest; nobody keeps one that long.)
*/
#ifndef WEIR_CORE_SLAB_H
#define WEIR_CORE_SLAB_H

#include "memory.h"

typedef struct weir_record {
  uint32_t generation; /* odd: in use */
  uint32_t next;       /* the next in the list it is in; 0: the last */
} weir_record;

/* What others see of a slab besides its records. */
typedef struct weir_slab_head {
  uint32_t capacity; /* records there is memory for */
  uint32_t used;     /* records ever given out, with record 0 */
  uint32_t free;     /* the first free one; 0: none */
} weir_slab_head;

typedef struct weir_slab {
  weir_array array;
  weir_slab_head *head;
  weir_slab_head own;             /* the head of one that is in no space */
  const struct weir_heaps *heaps; /* the heaps its records can be in */
  size_t place; /* offset of their place there, a uint32_t; see heap.h */
} weir_slab;

/* A slab whose head is all zero is new; head NULL: it is in no space. */
void weir_slab_init(weir_slab *slab, const weir_memory *memory,
                    unsigned char *region, weir_slab_head *head,
                    size_t record_size);
void weir_slab_fini(weir_slab *slab);

/* Adds room for free records; false: no memory, nothing changed. */
bool weir_slab_grow(weir_slab *slab);

static inline void *weir_slab_at(const weir_slab *slab, uint32_t index) {
  return weir_array_at(&slab->array, index);
}

/* The same, to be changed. */
static inline void *weir_slab_edit(const weir_slab *slab, uint32_t index) {
  void *record = weir_array_at(&slab->array, index);
  weir_keep(slab->array.memory, record, slab->array.size);
  return record;
}

static inline uint64_t weir_slab_handle(const weir_slab *slab, uint32_t index) {
  const weir_record *record = weir_slab_at(slab, index);
  return (uint64_t)record->generation << 32 | index;
}

/* The record a handle names, or NULL if it is stale. */
static inline const void *weir_slab_find(const weir_slab *slab,
                                         uint64_t handle) {
  uint32_t index = (uint32_t)handle;
  uint32_t generation = (uint32_t)(handle >> 32);
  const weir_record *record;
  if (!index || index >= slab->array.limit || index >= slab->head->used ||
      !(generation & 1))
    return NULL;
  record = weir_slab_at(slab, index);
  return record->generation == generation ? record : NULL;
}

/* Takes a record that is free, or beyond those that were ever given out, once
** it is noted what was there. */
static inline void weir_slab_claim(weir_slab_head *head, weir_record *record) {
  if (head->free) {
    head->free = record->next;
  } else {
    head->used++;
    record->generation = 0;
  }
  record->generation++;
  record->next = 0;
}

/* The index of a free record, now in use; reserve made sure there is one.
** Only its weir_record is initialized. */
static inline uint32_t weir_slab_take(weir_slab *slab) {
  weir_slab_head *head = slab->head;
  uint32_t index = head->free ? head->free : head->used;
  weir_record *record = weir_slab_at(slab, index);
  if (WEIR_SELDOM(slab->array.commons)) {
    if (head->free && record->generation & 1) weir_lost(slab->array.commons);
    weir_note(slab->array.commons, &head->used, 2 * sizeof head->used);
    weir_note(slab->array.commons, record, sizeof *record);
  }
  weir_slab_claim(head, record);
  return index;
}

/* Whether take finds a record. */
static inline bool weir_slab_has_room(const weir_slab *slab) {
  return slab->head->free || slab->head->used < slab->array.limit;
}

/* Makes sure that take finds a record; false: no memory. */
static inline bool weir_slab_reserve(weir_slab *slab) {
  return weir_slab_has_room(slab) || weir_slab_grow(slab);
}

/* Makes a record free, once it is noted what was there. */
static inline void weir_slab_yield(weir_slab_head *head, weir_record *record,
                                   uint32_t index) {
  record->generation++;
  record->next = head->free;
  head->free = index;
}

/* Makes every handle of the record stale and the record free. */
static inline void weir_slab_give(weir_slab *slab, uint32_t index) {
  weir_record *record = weir_slab_at(slab, index);
  if (WEIR_SELDOM(slab->array.commons)) {
    if (!(record->generation & 1)) weir_lost(slab->array.commons);
    weir_note(slab->array.commons, record, sizeof *record);
    weir_note(slab->array.commons, &slab->head->free, sizeof(uint32_t));
  }
  weir_slab_yield(slab->head, record, index);
}

/* Whether the record at `index` is in use. */
static inline bool weir_slab_live(const weir_slab *slab, uint32_t index) {
  const weir_record *record = weir_slab_at(slab, index);
  return record->generation & 1;
}

#endif
