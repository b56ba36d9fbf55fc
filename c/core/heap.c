/* heap.c - see heap.h. */
#include "heap.h"

#include "memory.h"

enum { CHILDREN = 4, FIRST_CAPACITY = 16 };

static bool before(const weir_heap_entry *a, const weir_heap_entry *b) {
  if (a->deadline != b->deadline) return a->deadline < b->deadline;
  return (int32_t)(a->order - b->order) < 0;
}

/* Puts an entry at a place and tells its ticket; places count from 1 there. */
static void place(weir_heap *heap, const weir_slab *tickets, uint32_t at,
                  weir_heap_entry entry) {
  weir_ticket_record *ticket = weir_slab_at(tickets, entry.ticket);
  heap->entries[at] = entry;
  ticket->heap = at + 1;
}

static void sift_up(weir_heap *heap, const weir_slab *tickets, uint32_t at,
                    weir_heap_entry entry) {
  while (at > 0) {
    uint32_t parent = (at - 1) / CHILDREN;
    if (!before(&entry, &heap->entries[parent])) break;
    place(heap, tickets, at, heap->entries[parent]);
    at = parent;
  }
  place(heap, tickets, at, entry);
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

static void sift_down(weir_heap *heap, const weir_slab *tickets, uint32_t at,
                      weir_heap_entry entry) {
  for (;;) {
    uint32_t child = first_child(heap, at);
    if (child == heap->count || before(&entry, &heap->entries[child])) break;
    place(heap, tickets, at, heap->entries[child]);
    at = child;
  }
  place(heap, tickets, at, entry);
}

void weir_heap_fini(weir_heap *heap, const weir_allocator *allocator) {
  weir_free(allocator, heap->entries, heap->capacity * sizeof(weir_heap_entry));
}

bool weir_heap_reserve(weir_heap *heap, const weir_allocator *allocator) {
  if (heap->count < heap->capacity) return true;
  return weir_grow(allocator, (void **)&heap->entries, &heap->capacity,
                   sizeof(weir_heap_entry), FIRST_CAPACITY);
}

void weir_heap_add(weir_heap *heap, const weir_slab *tickets, uint32_t ticket,
                   uint64_t deadline) {
  weir_heap_entry entry = { deadline, ticket, heap->order++ };
  sift_up(heap, tickets, heap->count++, entry);
}

void weir_heap_remove(weir_heap *heap, const weir_slab *tickets,
                      uint32_t ticket) {
  weir_ticket_record *record = weir_slab_at(tickets, ticket);
  uint32_t at = record->heap - 1;
  weir_heap_entry last;
  if (!record->heap) return;
  record->heap = 0;
  last = heap->entries[--heap->count];
  if (at == heap->count) return;
  if (at > 0 && before(&last, &heap->entries[(at - 1) / CHILDREN]))
    sift_up(heap, tickets, at, last);
  else
    sift_down(heap, tickets, at, last);
}
