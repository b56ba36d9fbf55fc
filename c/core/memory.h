/*
** memory.h - the space's allocator, and the one way an array grows.
*/
#ifndef WEIR_CORE_MEMORY_H
#define WEIR_CORE_MEMORY_H

#include <weir.h>

extern const weir_allocator weir_allocator_default; /* realloc and free */

/* A new block of zero bytes; NULL: no memory. */
void *weir_alloc(const weir_allocator *allocator, size_t size);

void weir_free(const weir_allocator *allocator, void *block, size_t size);

/* Grows the array *base of *capacity elements by half, from at least `first`.
** false: no memory or too many elements; nothing changed. */
bool weir_grow(const weir_allocator *allocator, void **base, uint32_t *capacity,
               size_t element_size, uint32_t first);

#endif
