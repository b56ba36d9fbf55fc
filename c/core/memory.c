/* memory.c - see memory.h. The only place that names the C library's heap. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum {
  PAGE = 4096,         /* bytes; regions begin and end at one */
  MOST_AT_ONCE = 65536 /* bytes that a region grows by, so that nobody waits */
};

static void *resize_default(void *data, void *block, size_t old_size,
                            size_t size) {
  (void)data;
  (void)old_size;
  if (size) return realloc(block, size);
  free(block);
  return NULL;
}

const weir_allocator weir_allocator_default = { resize_default, NULL };
const weir_memory weir_memory_default = { { resize_default, NULL }, NULL };

void *weir_alloc(const weir_allocator *allocator, size_t size) {
  void *block = allocator->resize(allocator->data, NULL, 0, size);
  if (block) memset(block, 0, size);
  return block;
}

void weir_free(const weir_allocator *allocator, void *block, size_t size) {
  if (block) allocator->resize(allocator->data, block, size, 0);
}

void weir_array_init(weir_array *array, const weir_memory *memory,
                     unsigned char *region, uint32_t *capacity, size_t size) {
  array->base = region;
  array->memory = memory;
  array->commons = memory->commons;
  array->capacity = capacity;
  array->limit = 0;
  array->size = (uint32_t)size;
}

void weir_array_fini(weir_array *array) {
  if (!array->memory->commons)
    weir_free(&array->memory->allocator, array->base,
              (size_t)array->limit * array->size);
}

static bool grow_block(weir_array *array, uint64_t more) {
  const weir_allocator *allocator = &array->memory->allocator;
  void *block;
  if (more > SIZE_MAX / array->size) return false;
  block = allocator->resize(allocator->data, array->base,
                            (size_t)array->limit * array->size,
                            (size_t)more * array->size);
  if (!block) return false;
  array->base = block;
  return true;
}

static uint64_t up(uint64_t value, uint64_t step) {
  return (value + step - 1) / step * step;
}

/* As far as the budget goes, but to `least` elements; 0: it does not. The pages
** that are touched are paid for. */
static uint64_t grow_region(const weir_array *array, uint64_t more,
                            uint64_t least) {
  const weir_commons *commons = array->memory->commons;
  const weir_sharing *sharing = commons->sharing;
  uint64_t had = up((uint64_t)array->limit * array->size, PAGE), want, left;
  uint64_t wanted = up(least * array->size, PAGE);
  left =
      *commons->bytes < sharing->budget ? sharing->budget - *commons->bytes : 0;
  want = up(more * array->size, PAGE);
  if (want > had + MOST_AT_ONCE) want = had + MOST_AT_ONCE;
  if (want < wanted) want = wanted;
  if (want > had + left) want = had + left / PAGE * PAGE;
  if (want < wanted || want > sharing->region_size) return 0;
  if (!sharing->commit(commons->sharing, array->base + had,
                       (size_t)(want - had)))
    return 0;
  weir_note(array->memory->commons, commons->bytes, sizeof *commons->bytes);
  *commons->bytes += want - had;
  weir_note(array->memory->commons, commons->growths, sizeof *commons->growths);
  *commons->growths += 1;
  return want / array->size;
}

bool weir_array_grow(weir_array *array, uint32_t first, uint32_t least) {
  uint64_t more =
      array->limit ? array->limit + (uint64_t)array->limit / 2 + 1 : first;
  if (more < least) more = least;
  if (more > UINT32_MAX) return false;
  if (array->memory->commons)
    more = grow_region(array, more, least);
  else if (!grow_block(array, more))
    more = 0;
  if (!more) return false;
  weir_keep(array->memory, array->capacity, sizeof *array->capacity);
  *array->capacity = array->limit = (uint32_t)more;
  return true;
}

void weir_array_refresh(weir_array *array, size_t region_size) {
  uint32_t most = (uint32_t)(region_size / array->size);
  array->limit = *array->capacity < most ? *array->capacity : most;
}
