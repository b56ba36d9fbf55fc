/* heap.c - see heap.h. */
#include "heap.h"

#include "memory.h"

enum { CHILDREN = 4, FIRST_CAPACITY = 16 };

static bool before(const weir_heap_entry *a, const weir_heap_entry *b) {
  if (a->time != b->time) return a->time < b->time;
  return (int32_t)(a->order - b->order) < 0;
}

static uint32_t *place_of(const weir_heap *heap, const weir_slab *slab,
                          uint32_t record) {
  return (uint32_t *)(void *)((unsigned char *)weir_slab_at(slab, record) +
                              heap->field);
}

/* Puts an entry at a place and tells its record; places count from 1 there. */
static void place(weir_heap *heap, const weir_slab *slab, uint32_t at,
                  weir_heap_entry entry) {
  heap->entries[at] = entry;
  *place_of(heap, slab, entry.record) = at + 1;
}

static void sift_up(weir_heap *heap, const weir_slab *slab, uint32_t at,
                    weir_heap_entry entry) {
  while (at > 0) {
    uint32_t parent = (at - 1) / CHILDREN;
    if (!before(&entry, &heap->entries[parent])) break;
    place(heap, slab, at, heap->entries[parent]);
    at = parent;
  }
  place(heap, slab, at, entry);
}

/* The earliest child of a place, or heap->count if it has none. */
static uint32_t first_child(const weir_heap *heap, uint32_t at) {
  uint64_t child = (uint64_t)at * CHILDREN + 1;
  uint64_t end = child + CHILDREN;
  uint32_t best;
  if (child >= heap->count) return heap->count;
  if (end > heap->count) end = heap->count;
  best = (uint32_t)child;
  while (++child < end)
    if (before(&heap->entries[child], &heap->entries[best]))
      best = (uint32_t)child;
  return best;
}

static void sift_down(weir_heap *heap, const weir_slab *slab, uint32_t at,
                      weir_heap_entry entry) {
  for (;;) {
    uint32_t child = first_child(heap, at);
    if (child == heap->count || before(&entry, &heap->entries[child])) break;
    place(heap, slab, at, heap->entries[child]);
    at = child;
  }
  place(heap, slab, at, entry);
}

/* Puts an entry near a place, where its time wants it. */
static void sift(weir_heap *heap, const weir_slab *slab, uint32_t at,
                 weir_heap_entry entry) {
  if (at > 0 && before(&entry, &heap->entries[(at - 1) / CHILDREN]))
    sift_up(heap, slab, at, entry);
  else
    sift_down(heap, slab, at, entry);
}

void weir_heap_init(weir_heap *heap, size_t field) {
  *heap = (weir_heap){ .field = (uint32_t)field };
}

void weir_heap_fini(weir_heap *heap, const weir_allocator *allocator) {
  weir_free(allocator, heap->entries, heap->capacity * sizeof(weir_heap_entry));
}

bool weir_heap_reserve(weir_heap *heap, const weir_allocator *allocator,
                       uint32_t count) {
  while (heap->capacity < count)
    if (!weir_grow(allocator, (void **)&heap->entries, &heap->capacity,
                   sizeof(weir_heap_entry), FIRST_CAPACITY))
      return false;
  return true;
}

void weir_heap_add(weir_heap *heap, const weir_slab *slab, uint32_t record,
                   uint64_t time, uint32_t order) {
  weir_heap_entry entry = { time, record, order };
  sift_up(heap, slab, heap->count++, entry);
}

void weir_heap_move(weir_heap *heap, const weir_slab *slab, uint32_t record,
                    uint64_t time) {
  uint32_t at = *place_of(heap, slab, record) - 1;
  weir_heap_entry entry = heap->entries[at];
  if (entry.time == time) return;
  entry.time = time;
  sift(heap, slab, at, entry);
}

void weir_heap_remove(weir_heap *heap, const weir_slab *slab, uint32_t record) {
  uint32_t *field = place_of(heap, slab, record);
  uint32_t at = *field - 1;
  if (!*field) return;
  *field = 0;
  heap->count--;
  if (at < heap->count) sift(heap, slab, at, heap->entries[heap->count]);
}
