/*
** heap.h - records in order of time: an implicit 4-ary min-heap.
**
** Four children share a cache line, which halves the lines a sift touches
** against a binary heap. Equal times leave in the order they are given. Each
** record knows its place, in a field that the heap is told of, so that moving
** or removing any one is O(log n).
*/
#ifndef WEIR_CORE_HEAP_H
#define WEIR_CORE_HEAP_H

#include "slab.h"

typedef struct weir_heap_entry {
  uint64_t time;   /* ns */
  uint32_t record; /* index of the record whose place field points back here */
  uint32_t order;  /* among equal times; compared by difference: it may wrap */
} weir_heap_entry;

typedef struct weir_heap {
  weir_heap_entry *entries; /* entries[0] is the earliest */
  uint32_t capacity;        /* entries */
  uint32_t count;           /* entries in use */
  uint32_t field;           /* offset of the records' place field, a uint32_t:
                               from 1; 0: in no heap */
} weir_heap;

void weir_heap_init(weir_heap *heap, size_t field);
void weir_heap_fini(weir_heap *heap, const weir_allocator *allocator);

/* Makes room for `count` entries in all; false: no memory. */
bool weir_heap_reserve(weir_heap *heap, const weir_allocator *allocator,
                       uint32_t count);

/* Adds a record that is in no heap; reserve made sure there is room. */
void weir_heap_add(weir_heap *heap, const weir_slab *slab, uint32_t record,
                   uint64_t time, uint32_t order);

/* Gives a record that is in the heap another time; its order stays. */
void weir_heap_move(weir_heap *heap, const weir_slab *slab, uint32_t record,
                    uint64_t time);

/* Removes a record; nothing happens if it is in no heap. */
void weir_heap_remove(weir_heap *heap, const weir_slab *slab, uint32_t record);

#endif
