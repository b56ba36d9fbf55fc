/* heap.c - see heap.h. */
#include "heap.h"

enum { CHILDREN = 4, LEVELS_MAX = 20 };

/* --- pieces --------------------------------------------------------------- */

/* Which of a heap's pieces an entry is in, and where in it. */
typedef struct spot {
  uint32_t piece;
  uint32_t offset;
} spot;

/* Entries that all pieces up to a size have. */
static uint32_t up_to(uint32_t size) {
  return WEIR_HEAP_FIRST * WEIR_HEAP_EACH * ((1u << size) - 1);
}

static uint32_t log2_of(uint32_t value) {
#if defined(__GNUC__)
  return 31 - (uint32_t)__builtin_clz(value);
#else
  uint32_t log = 0;
  while (value >>= 1) log++;
  return log;
#endif
}

/* By shifts: a division would take longer than all the rest. */
static spot spot_of(uint32_t place) {
  uint32_t size, rest, bits;
  if (place < WEIR_HEAP_FIRST) return (spot){ 0, place };
  size = log2_of(place / (WEIR_HEAP_FIRST * WEIR_HEAP_EACH) + 1);
  rest = place - up_to(size);
  bits = WEIR_HEAP_BITS + size;
  return (spot){ size * WEIR_HEAP_EACH + (rest >> bits),
                 rest & ((1u << bits) - 1) };
}

static weir_heap_entry *entry_at(const weir_heap *heap, const weir_heaps *heaps,
                                 uint32_t place) {
  spot at = spot_of(place);
  if (at.piece >= WEIR_HEAP_PIECES) weir_lost(heaps->array.commons);
  /* cppcheck-suppress arrayIndexOutOfBoundsCond ; it does not return */
  return weir_array_at(&heaps->array, heap->piece[at.piece] + at.offset);
}

/* A piece of a size that nobody has; UINT32_MAX: no memory. */
static uint32_t take_piece(weir_heaps *heaps, uint32_t size) {
  weir_heaps_head *head = heaps->head;
  const weir_memory *memory = heaps->array.memory;
  uint32_t piece = head->free[size], entries = WEIR_HEAP_FIRST << size;
  if (piece) {
    const weir_heap_entry *entry = weir_array_at(&heaps->array, piece - 1);
    weir_keep(memory, &head->free[size], sizeof head->free[size]);
    head->free[size] = entry->record;
    return piece - 1;
  }
  if (entries > UINT32_MAX - 1 - head->used) return UINT32_MAX;
  if (head->used + entries > heaps->array.limit &&
      !weir_array_grow(&heaps->array, WEIR_HEAP_FIRST, head->used + entries))
    return UINT32_MAX;
  weir_keep(memory, &head->used, sizeof head->used);
  head->used += entries;
  return head->used - entries;
}

static void give_piece(weir_heaps *heaps, uint32_t piece, uint32_t size) {
  weir_heap_entry *entry = weir_array_at(&heaps->array, piece);
  weir_keep(heaps->array.memory, entry, sizeof *entry);
  weir_keep(heaps->array.memory, &heaps->head->free[size], sizeof(uint32_t));
  entry->record = heaps->head->free[size];
  heaps->head->free[size] = piece + 1;
}

void weir_heaps_init(weir_heaps *heaps, const weir_memory *memory,
                     unsigned char *region, weir_heaps_head *head) {
  weir_array_init(&heaps->array, memory, region, &head->capacity,
                  sizeof(weir_heap_entry));
  heaps->head = head;
}

void weir_heaps_fini(weir_heaps *heaps) { weir_array_fini(&heaps->array); }

static void keep_counts(const weir_heap *heap, const weir_memory *memory) {
  weir_keep(memory, heap, offsetof(weir_heap, piece));
}

static void check_pieces(const weir_heap *heap, const weir_heaps *heaps) {
  if (heap->pieces > WEIR_HEAP_PIECES) weir_lost(heaps->array.commons);
}

void weir_heap_fini(weir_heap *heap, weir_heaps *heaps) {
  check_pieces(heap, heaps);
  keep_counts(heap, heaps->array.memory);
  heap->count = 0;
  while (heap->pieces) {
    heap->pieces--;
    give_piece(heaps, heap->piece[heap->pieces], heap->pieces / WEIR_HEAP_EACH);
  }
}

/* Entries that fit in so many pieces. */
static uint32_t room_of(uint32_t pieces) {
  uint32_t size = pieces / WEIR_HEAP_EACH;
  return up_to(size) + (WEIR_HEAP_FIRST << size) * (pieces % WEIR_HEAP_EACH);
}

bool weir_heap_reserve(weir_heap *heap, weir_heaps *heaps, uint32_t count) {
  const weir_memory *memory = heaps->array.memory;
  check_pieces(heap, heaps);
  while (room_of(heap->pieces) < count) {
    uint32_t *piece = &heap->piece[heap->pieces], found;
    if (heap->pieces >= WEIR_HEAP_PIECES - 1) return false;
    found = take_piece(heaps, heap->pieces / WEIR_HEAP_EACH);
    if (found == UINT32_MAX) return false;
    weir_keep(memory, piece, sizeof *piece);
    keep_counts(heap, memory);
    *piece = found;
    heap->pieces++;
  }
  return true;
}

/* --- sifting -------------------------------------------------------------- */

static bool before(const weir_heap_entry *a, const weir_heap_entry *b) {
  if (a->time != b->time) return a->time < b->time;
  return (int32_t)(a->order - b->order) < 0;
}

/* The field in which a record has its place. */
static uint32_t *place_of(const weir_slab *slab, uint32_t record) {
  unsigned char *begin = weir_slab_at(slab, record);
  return (uint32_t *)(void *)(begin + slab->place);
}

/* The entry of a record, which says itself where that is. */
static weir_heap_entry entry_of(const weir_heap *heap, const weir_slab *slab,
                                uint32_t record, uint32_t at) {
  const weir_heap_entry *entry = entry_at(heap, slab->heaps, at);
  if (at >= heap->count || entry->record != record)
    weir_lost(slab->array.commons);
  return *entry;
}

/* Puts an entry at a place and tells its record; places count from 1 there. */
static void place(weir_heap *heap, const weir_slab *slab, uint32_t at,
                  weir_heap_entry entry) {
  weir_heap_entry *to = entry_at(heap, slab->heaps, at);
  uint32_t *field = place_of(slab, entry.record);
  weir_keep(slab->array.memory, to, sizeof *to);
  weir_keep(slab->array.memory, field, sizeof *field);
  *to = entry;
  *field = at + 1;
}

static void sift_up(weir_heap *heap, const weir_slab *slab, uint32_t at,
                    weir_heap_entry entry) {
  while (at > 0) {
    uint32_t parent = (at - 1) / CHILDREN;
    const weir_heap_entry *above = entry_at(heap, slab->heaps, parent);
    if (!before(&entry, above)) break;
    place(heap, slab, at, *above);
    at = parent;
  }
  place(heap, slab, at, entry);
}

/* The earliest child of a place, or heap->count if it has none. */
static uint32_t first_child(const weir_heap *heap, const weir_heaps *heaps,
                            uint32_t at) {
  uint64_t child = (uint64_t)at * CHILDREN + 1;
  uint64_t end = child + CHILDREN;
  const weir_heap_entry *best, *other;
  uint32_t found = (uint32_t)child;
  if (child >= heap->count) return heap->count;
  if (end > heap->count) end = heap->count;
  best = entry_at(heap, heaps, found);
  while (++child < end) {
    other = entry_at(heap, heaps, (uint32_t)child);
    if (!before(other, best)) continue;
    best = other;
    found = (uint32_t)child;
  }
  return found;
}

static void sift_down(weir_heap *heap, const weir_slab *slab, uint32_t at,
                      weir_heap_entry entry) {
  for (uint32_t level = 0;; level++) {
    uint32_t child = first_child(heap, slab->heaps, at);
    const weir_heap_entry *below;
    if (child >= heap->count) break;
    if (level > LEVELS_MAX) weir_lost(slab->array.commons);
    below = entry_at(heap, slab->heaps, child);
    if (before(&entry, below)) break;
    place(heap, slab, at, *below);
    at = child;
  }
  place(heap, slab, at, entry);
}

/* Puts an entry near a place, where its time wants it. */
static void sift(weir_heap *heap, const weir_slab *slab, uint32_t at,
                 weir_heap_entry entry) {
  if (at > 0 &&
      before(&entry, entry_at(heap, slab->heaps, (at - 1) / CHILDREN)))
    sift_up(heap, slab, at, entry);
  else
    sift_down(heap, slab, at, entry);
}

/* --- entries -------------------------------------------------------------- */

uint32_t weir_heap_first(const weir_heap *heap, const weir_heaps *heaps) {
  return entry_at(heap, heaps, 0)->record;
}

uint64_t weir_heap_time(const weir_heap *heap, const weir_heaps *heaps) {
  return entry_at(heap, heaps, 0)->time;
}

void weir_heap_add(weir_heap *heap, const weir_slab *slab, uint32_t record,
                   uint64_t time, uint32_t order) {
  weir_heap_entry entry = { time, record, order };
  keep_counts(heap, slab->array.memory);
  sift_up(heap, slab, heap->count++, entry);
}

void weir_heap_move(weir_heap *heap, const weir_slab *slab, uint32_t record,
                    uint64_t time) {
  uint32_t at = *place_of(slab, record) - 1;
  weir_heap_entry entry = entry_of(heap, slab, record, at);
  if (entry.time == time) return;
  entry.time = time;
  sift(heap, slab, at, entry);
}

void weir_heap_remove(weir_heap *heap, const weir_slab *slab, uint32_t record) {
  uint32_t *field = place_of(slab, record);
  uint32_t at = *field - 1;
  if (!*field) return;
  entry_of(heap, slab, record, at);
  weir_keep(slab->array.memory, field, sizeof *field);
  keep_counts(heap, slab->array.memory);
  *field = 0;
  heap->count--;
  if (at < heap->count)
    sift(heap, slab, at, *entry_at(heap, slab->heaps, heap->count));
}
