/*
** space.c - a space and the words for what it answers.
*/
#include <string.h>

#include "memory.h"
#include "record.h"

weir_space *weir_space_new(const weir_allocator *allocator) {
  weir_space *space;
  if (!allocator) allocator = &weir_allocator_default;
  space = weir_alloc(allocator, sizeof *space);
  if (!space) return NULL;
  space->allocator = *allocator;
  weir_slab_init(&space->tickets, sizeof(weir_ticket_record));
  weir_slab_init(&space->instances, sizeof(weir_instance_record));
  weir_slab_init(&space->queues, sizeof(weir_queue_record));
  weir_slab_init(&space->lanes, sizeof(weir_lane_record));
  weir_slab_init(&space->controls, sizeof(weir_control_record));
  weir_slab_init(&space->limiters, sizeof(weir_limiter_record));
  weir_slab_init(&space->ports, sizeof(weir_port_record));
  return space;
}

void weir_space_seed(weir_space *space, const void *bytes16) {
  memcpy(space->seed, bytes16, sizeof space->seed);
}

/* What limiters have beside their records. */
static void free_limiters(weir_space *space) {
  for (uint32_t i = 1; i < space->limiters.used; i++)
    if (weir_slab_live(&space->limiters, i))
      weir_heap_fini(&weir_limiter_at(space, i)->idle, &space->allocator);
}

void weir_space_free(weir_space *space) {
  weir_allocator allocator;
  if (!space) return;
  allocator = space->allocator;
  free_limiters(space);
  weir_index_fini(&space->keys, &allocator);
  weir_index_fini(&space->flows, &allocator);
  weir_slab_fini(&space->tickets, &allocator);
  weir_slab_fini(&space->instances, &allocator);
  weir_slab_fini(&space->queues, &allocator);
  weir_slab_fini(&space->lanes, &allocator);
  weir_slab_fini(&space->controls, &allocator);
  weir_slab_fini(&space->limiters, &allocator);
  weir_slab_fini(&space->ports, &allocator);
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
