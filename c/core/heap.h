/*
** heap.h - records in order of time: an implicit 4-ary min-heap.
**
** Four children share a cache line, which halves the lines a sift touches
** against a binary heap. Equal times leave in the order they are given. Each
** record knows its place, in a field that its slab is told of, so that moving
** or removing any one is O(log n).
**
** The entries of all heaps of a space are in one array. A heap has pieces of
** it: four of 16 entries, four of 32, four of 64 and so on, so that it grows
** without copying anything, and a quarter of it is empty at most. Pieces of
** heaps that are gone are used again.
*/
#ifndef WEIR_CORE_HEAP_H
#define WEIR_CORE_HEAP_H

#include "slab.h"

typedef struct weir_heap_entry {
  uint64_t time;   /* ns */
  uint32_t record; /* index of the record whose place field points back here */
  uint32_t order;  /* among equal times; compared by difference: it may wrap */
} weir_heap_entry;

enum {
  WEIR_HEAP_BITS = 4, /* log2 of the entries of the smallest pieces */
  WEIR_HEAP_FIRST = 1 << WEIR_HEAP_BITS,
  WEIR_HEAP_SIZES = 22, /* of pieces, each twice the one before */
  WEIR_HEAP_EACH = 4,   /* pieces of a size in a heap */
  WEIR_HEAP_PIECES = WEIR_HEAP_SIZES * WEIR_HEAP_EACH
};

/* What others see of a space's heaps besides the entries. */
typedef struct weir_heaps_head {
  uint32_t capacity;              /* entries there is memory for */
  uint32_t used;                  /* entries that were ever in a piece */
  uint32_t free[WEIR_HEAP_SIZES]; /* the first free piece, from 1; 0: none. Its
                                     first entry's `record` is the next one */
} weir_heaps_head;

typedef struct weir_heaps {
  weir_array array;
  weir_heaps_head *head;
} weir_heaps;

/* A heap; all zero it is empty. */
typedef struct weir_heap {
  uint32_t count;                   /* entries in use */
  uint32_t pieces;                  /* that it has */
  uint32_t piece[WEIR_HEAP_PIECES]; /* the first entry of each */
} weir_heap;

void weir_heaps_init(weir_heaps *heaps, const weir_memory *memory,
                     unsigned char *region, weir_heaps_head *head);
void weir_heaps_fini(weir_heaps *heaps);

/* Empties a heap and gives its pieces back. */
void weir_heap_fini(weir_heap *heap, weir_heaps *heaps);

/* Makes room for `count` entries in all; false: no memory. */
bool weir_heap_reserve(weir_heap *heap, weir_heaps *heaps, uint32_t count);

/* The record that is first, and its time; there is one. */
uint32_t weir_heap_first(const weir_heap *heap, const weir_heaps *heaps);
uint64_t weir_heap_time(const weir_heap *heap, const weir_heaps *heaps);

/* Adds a record that is in no heap; reserve made sure there is room. */
void weir_heap_add(weir_heap *heap, const weir_slab *slab, uint32_t record,
                   uint64_t time, uint32_t order);

/* Gives a record that is in the heap another time; its order stays. */
void weir_heap_move(weir_heap *heap, const weir_slab *slab, uint32_t record,
                    uint64_t time);

/* Removes a record; nothing happens if it is in no heap. */
void weir_heap_remove(weir_heap *heap, const weir_slab *slab, uint32_t record);

#endif
