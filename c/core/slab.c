/* slab.c - see slab.h. */
#include "slab.h"

enum { FIRST_CAPACITY = 8 }; /* records; small, since most spaces stay small */

void weir_slab_init(weir_slab *slab, const weir_memory *memory,
                    unsigned char *region, weir_slab_head *head,
                    size_t record_size) {
  slab->own = (weir_slab_head){ 0, 0, 0 };
  if (!head) head = &slab->own;
  weir_array_init(&slab->array, memory, region, &head->capacity, record_size);
  slab->head = head;
  slab->heaps = NULL;
  slab->place = 0;
  if (!head->used) head->used = 1; /* record 0 stays unused */
}

void weir_slab_fini(weir_slab *slab) { weir_array_fini(&slab->array); }

bool weir_slab_grow(weir_slab *slab) {
  return weir_array_grow(&slab->array, FIRST_CAPACITY, slab->head->used + 1);
}
