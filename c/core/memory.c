/* memory.c - see memory.h. The only place that names the C library's heap. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

static void *resize_default(void *data, void *block, size_t old_size,
                            size_t size) {
  (void)data;
  (void)old_size;
  if (size) return realloc(block, size);
  free(block);
  return NULL;
}

const weir_allocator weir_allocator_default = { resize_default, NULL };

void *weir_alloc(const weir_allocator *allocator, size_t size) {
  void *block = allocator->resize(allocator->data, NULL, 0, size);
  if (block) memset(block, 0, size);
  return block;
}

void weir_free(const weir_allocator *allocator, void *block, size_t size) {
  if (block) allocator->resize(allocator->data, block, size, 0);
}

bool weir_grow(const weir_allocator *allocator, void **base, uint32_t *capacity,
               size_t element_size, uint32_t first) {
  uint64_t more = *capacity ? *capacity + (uint64_t)*capacity / 2 : first;
  void *block;
  if (more > UINT32_MAX || more > SIZE_MAX / element_size) return false;
  block = allocator->resize(allocator->data, *base, *capacity * element_size,
                            more * element_size);
  if (!block) return false;
  *base = block;
  *capacity = (uint32_t)more;
  return true;
}
