/*
** space.c - a space and the words for what it answers.
*/
#include <string.h>

#include "door.h"
#include "record.h"

/* Where a region of a shared space is; NULL: the space is one's own. */
static unsigned char *region(const weir_memory *memory, uint32_t number) {
  const weir_sharing *sharing;
  if (!memory->commons) return NULL;
  sharing = memory->commons->sharing;
  return sharing->regions + number * sharing->region_size;
}

static void init_slabs(weir_space *space) {
  weir_memory *memory = &space->memory;
  weir_root *root = space->root;
  uint32_t at = 0;
#define SLAB(name, type)                                                       \
  weir_slab_init(&space->name, memory, region(memory, at++), &root->name,      \
                 sizeof(weir_##type##_record))
  SLAB(tickets, ticket);
  SLAB(instances, instance);
  SLAB(queues, queue);
  SLAB(lanes, lane);
  SLAB(controls, control);
  SLAB(limiters, limiter);
  SLAB(ports, port);
#undef SLAB
  weir_index_init(&space->keys, memory, region(memory, at++), &root->keys);
  weir_index_init(&space->flows, memory, region(memory, at++), &root->flows);
  weir_heaps_init(&space->heaps, memory, region(memory, at), &root->heaps);
}

void weir_space_init(weir_space *space) {
  init_slabs(space);
  space->tickets.heaps = &space->heaps;
  space->tickets.place = offsetof(weir_ticket_record, heap);
}

weir_space *weir_space_new(const weir_allocator *allocator) {
  weir_space *space;
  if (!allocator) allocator = &weir_allocator_default;
  space = weir_alloc(allocator, sizeof *space);
  if (!space) return NULL;
  space->memory.allocator = *allocator;
  space->root = &space->own;
  weir_space_init(space);
  return space;
}

void weir_space_seed(weir_space *space, const void *bytes16) {
  if (!space->memory.commons)
    memcpy(space->root->seed, bytes16, sizeof space->root->seed);
}

static void free_own(weir_space *space) {
  weir_index_fini(&space->keys);
  weir_index_fini(&space->flows);
  weir_heaps_fini(&space->heaps);
  weir_slab_fini(&space->tickets);
  weir_slab_fini(&space->instances);
  weir_slab_fini(&space->queues);
  weir_slab_fini(&space->lanes);
  weir_slab_fini(&space->controls);
  weir_slab_fini(&space->limiters);
  weir_slab_fini(&space->ports);
}

void weir_space_free(weir_space *space) {
  weir_allocator allocator;
  if (!space) return;
  allocator = space->memory.allocator;
  if (space->memory.commons) {
    weir_sharing_leave(space);
    return;
  }
  free_own(space);
  weir_free(&allocator, space, sizeof *space);
}

const char *weir_verdict_name(int verdict) {
  static const char *const names[WEIR_VERDICTS] = {
    "admitted", "waiting",    "full",   "timeout",   "closed",
    "canceled", "impossible", "doomed", "exhausted", "shed",
  };
  return verdict >= 0 && verdict < WEIR_VERDICTS ? names[verdict] : "unknown";
}

const char *weir_error_text(int error) {
  switch (error) {
  case WEIR_E_STALE: return "the handle names nothing that is still there";
  case WEIR_E_STATE: return "the ticket is not in a state for this call";
  case WEIR_E_CONFIG: return "a value is outside its range";
  case WEIR_E_MEMORY: return "out of memory";
  case WEIR_E_FORKED:
    return "the space belongs to the parent process: open it anew after a fork";
  case WEIR_E_DAMAGED:
    return "the memory of the shared space is damaged: stop who uses it and "
           "remove it";
  default: return "unknown error";
  }
}
