/* slab.c - see slab.h. */
#include "slab.h"

#include "memory.h"

enum { FIRST_CAPACITY = 8 }; /* records; small, since most spaces stay small */

void weir_slab_init(weir_slab *slab, size_t record_size) {
  slab->base = NULL;
  slab->record_size = (uint32_t)record_size;
  slab->capacity = 0;
  slab->used = 1; /* record 0 stays unused */
  slab->free = 0;
}

void weir_slab_fini(weir_slab *slab, const weir_allocator *allocator) {
  weir_free(allocator, slab->base, (size_t)slab->capacity * slab->record_size);
}

bool weir_slab_grow(weir_slab *slab, const weir_allocator *allocator) {
  return weir_grow(allocator, (void **)&slab->base, &slab->capacity,
                   slab->record_size, FIRST_CAPACITY);
}
