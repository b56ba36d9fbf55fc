/*
** limiter.c - limiters: opening, changing, closing, counting.
*/
#include <string.h>

#include "instance.h"
#include "memory.h"

const char *weir_config_check(const weir_config *config) {
  if (config->concurrent < 1 || config->concurrent > WEIR_PERMITS_MAX)
    return "concurrent must be from 1 to 2147483647";
  return NULL;
}

/* The open limiter of that name; 0: none. Reads every limiter: names are few
** and looked up when a program starts, not per request. */
static uint32_t find_name(const weir_space *space, const char *name) {
  for (uint32_t i = 1; i < space->limiters.used; i++) {
    const weir_limiter_record *limiter = weir_limiter_at(space, i);
    if (weir_slab_live(&space->limiters, i) && !limiter->closed &&
        strcmp(limiter->name, name) == 0)
      return i;
  }
  return 0;
}

static uint32_t new_instance(weir_space *space, uint32_t limiter) {
  uint32_t index = weir_slab_take(&space->instances);
  weir_instance_record *instance = weir_instance_at(space, index);
  weir_record record = instance->record;
  memset(instance, 0, sizeof *instance);
  instance->record = record;
  instance->limiter = limiter;
  return index;
}

/* A new limiter; 0: no memory. */
static uint32_t new_limiter(weir_space *space, const char *name) {
  weir_limiter_record *limiter;
  weir_record record;
  uint32_t index;
  if (!weir_slab_reserve(&space->limiters, &space->allocator) ||
      !weir_slab_reserve(&space->instances, &space->allocator))
    return 0;
  index = weir_slab_take(&space->limiters);
  limiter = weir_limiter_at(space, index);
  record = limiter->record;
  memset(limiter, 0, sizeof *limiter);
  limiter->record = record;
  memcpy(limiter->name, name, strlen(name) + 1);
  limiter->instance = new_instance(space, index);
  return index;
}

static void configure(weir_space *space, weir_limiter_record *limiter,
                      const weir_config *config, uint64_t now) {
  limiter->config = *config;
  weir_instance_pump(space, limiter->instance, now);
}

int weir_limiter_open(weir_space *space, const char *name,
                      const weir_config *config, uint64_t now,
                      weir_limiter *out) {
  uint32_t index;
  *out = 0;
  if (!name) name = "";
  if (weir_config_check(config) || strlen(name) > WEIR_NAME_MAX)
    return WEIR_E_CONFIG;
  index = *name ? find_name(space, name) : 0;
  if (!index) index = new_limiter(space, name);
  if (!index) return WEIR_E_MEMORY;
  weir_limiter_at(space, index)->refs++;
  configure(space, weir_limiter_at(space, index), config, now);
  *out = weir_slab_handle(&space->limiters, index);
  return 0;
}

int weir_limiter_set(weir_space *space, weir_limiter handle,
                     const weir_config *config, uint64_t now) {
  weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter) return WEIR_E_STALE;
  if (weir_config_check(config)) return WEIR_E_CONFIG;
  configure(space, limiter, config, now);
  return 0;
}

int weir_limiter_config(const weir_space *space, weir_limiter handle,
                        weir_config *out) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter) return WEIR_E_STALE;
  *out = limiter->config;
  return 0;
}

int weir_limiter_close(weir_space *space, weir_limiter handle, uint64_t now) {
  weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  const weir_instance_record *instance;
  uint32_t next;
  if (!limiter) return WEIR_E_STALE;
  limiter->closed = true;
  instance = weir_instance_at(space, limiter->instance);
  for (uint32_t i = instance->queue.first; i; i = next) {
    const weir_ticket_record *ticket = weir_ticket_at(space, i);
    next = ticket->record.next;
    /* those who wait for a drain go on waiting for the holders */
    if (ticket->cost) weir_instance_decide(space, i, WEIR_CLOSED, now);
  }
  weir_instance_pump(space, limiter->instance, now);
  return 0;
}

void weir_limiter_collect(weir_space *space, uint32_t index) {
  const weir_limiter_record *limiter = weir_limiter_at(space, index);
  if (limiter->refs || weir_instance_at(space, limiter->instance)->tickets)
    return;
  weir_slab_give(&space->instances, limiter->instance);
  weir_slab_give(&space->limiters, index);
}

int weir_limiter_drop(weir_space *space, weir_limiter handle) {
  weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  if (!limiter || !limiter->refs) return WEIR_E_STALE;
  limiter->refs--;
  weir_limiter_collect(space, (uint32_t)handle);
  return 0;
}

bool weir_limiter_timed(const weir_space *space, weir_limiter handle) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  return limiter && limiter->config.timeout_ns != WEIR_NEVER;
}

int weir_limiter_stats(const weir_space *space, weir_limiter handle,
                       weir_stats *out) {
  const weir_limiter_record *limiter = weir_slab_find(&space->limiters, handle);
  const weir_instance_record *instance;
  if (!limiter) return WEIR_E_STALE;
  instance = weir_instance_at(space, limiter->instance);
  out->limit = limiter->config.concurrent;
  out->in_use = instance->in_use;
  out->waiting = instance->waiting;
  out->admitted = limiter->admitted;
  out->dropped = limiter->dropped;
  out->closed = limiter->closed;
  memcpy(out->refused, limiter->refused, sizeof out->refused);
  weir_histogram_read(&limiter->waits, &out->wait);
  return 0;
}
