/*
** heap.h - a port's deadlines: an implicit 4-ary min-heap.
**
** Four children share a cache line, which halves the lines a sift touches
** against a binary heap. Equal deadlines leave in the order they came. Each
** ticket record knows its place, so that removing any one is O(log n).
*/
#ifndef WEIR_CORE_HEAP_H
#define WEIR_CORE_HEAP_H

#include "record.h"

typedef struct weir_heap_entry {
  uint64_t deadline; /* ns */
  uint32_t ticket;   /* index of the record whose `heap` points back here */
  uint32_t order;    /* of coming; compared by difference, so it may wrap */
} weir_heap_entry;

typedef struct weir_heap {
  weir_heap_entry *entries; /* entries[0] is the earliest */
  uint32_t capacity;        /* entries */
  uint32_t count;           /* entries in use */
  uint32_t order;           /* the next newcomer's */
} weir_heap;

void weir_heap_fini(weir_heap *heap, const weir_allocator *allocator);

/* Makes room for one more; false: no memory. */
bool weir_heap_reserve(weir_heap *heap, const weir_allocator *allocator);

/* Adds a ticket that is in no heap; reserve made sure there is room. */
void weir_heap_add(weir_heap *heap, const weir_slab *tickets, uint32_t ticket,
                   uint64_t deadline);

/* Removes a ticket; nothing happens if it is in no heap. */
void weir_heap_remove(weir_heap *heap, const weir_slab *tickets,
                      uint32_t ticket);

#endif
