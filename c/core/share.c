/*
** share.c - a space that processes share: the part of one process, what is done
** around each call, and what is done for those who died.
*/
#include <string.h>

#include "door.h"
#include "instance.h"
#include "keys.h"

static weir_commons *commons_of(const weir_space *space) {
  return space->memory.commons;
}

/* --- the part of one process ---------------------------------------------- */

/* The notes follow the root, in whole cache lines. */
static size_t root_size(void) { return (sizeof(weir_root) + 63) & ~(size_t)63; }

size_t weir_sharing_state(void) { return root_size() + WEIR_NOTES_SIZE; }

uint64_t weir_sharing_layout(void) {
  static const size_t sizes[] = {
    sizeof(weir_ticket_record),
    sizeof(weir_instance_record),
    sizeof(weir_queue_record),
    sizeof(weir_lane_record),
    sizeof(weir_control_record),
    sizeof(weir_limiter_record),
    sizeof(weir_port_record),
    sizeof(weir_bucket),
    sizeof(weir_heap_entry),
    sizeof(weir_root),
    sizeof(void *),
    WEIR_NOTES_SIZE,
  };
  uint64_t sum = WEIR_VERSION_MAJOR * 65536 + WEIR_VERSION_MINOR;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    sum = sum * 0x100000001B3 + sizes[i];
  return sum;
}

static void init_commons(weir_space *space, weir_sharing *sharing) {
  weir_commons *commons = commons_of(space);
  weir_root *root = (weir_root *)(void *)sharing->state;
  unsigned char *end =
      sharing->regions + (size_t)sharing->region_size * WEIR_REGIONS;
  commons->sharing = sharing;
  commons->space = space;
  commons->base = sharing->state;
  commons->span = (size_t)(end - sharing->state);
  commons->notes = sharing->state + root_size();
  commons->noted = &root->noted;
  commons->bytes = &root->bytes;
  commons->growths = &root->growths;
  space->root = root;
}

weir_space *weir_sharing_space(weir_sharing *sharing, bool fresh,
                               const void *seed16) {
  const weir_allocator *allocator = &weir_allocator_default;
  weir_space *space = weir_alloc(allocator, sizeof *space);
  if (!space) return NULL;
  space->memory.allocator = *allocator;
  space->memory.commons = weir_alloc(allocator, sizeof(weir_commons));
  if (!space->memory.commons) {
    weir_free(allocator, space, sizeof *space);
    return NULL;
  }
  init_commons(space, sharing);
  weir_space_init(space);
  if (fresh) memcpy(space->root->seed, seed16, sizeof space->root->seed);
  weir_space_refresh(space);
  return space;
}

void weir_sharing_leave(weir_space *space) {
  weir_allocator allocator = space->memory.allocator;
  weir_sharing *sharing = commons_of(space)->sharing;
  if (!sharing->close(sharing)) return; /* others of this process have it */
  weir_free(&allocator, space->memory.commons, sizeof(weir_commons));
  weir_free(&allocator, space, sizeof *space);
}

/* --- around each call ----------------------------------------------------- */

void weir_space_arrays(weir_space *space, weir_array *arrays[WEIR_REGIONS]) {
  weir_array *const all[WEIR_REGIONS] = {
    &space->tickets.array, &space->instances.array, &space->queues.array,
    &space->lanes.array,   &space->controls.array,  &space->limiters.array,
    &space->ports.array,   &space->keys.array,      &space->flows.array,
    &space->heaps.array,
  };
  memcpy(arrays, all, sizeof all);
}

void weir_space_refresh(const weir_space *constant) {
  weir_space *space = commons_of(constant)->space;
  size_t size = (size_t)commons_of(space)->sharing->region_size;
  weir_array *arrays[WEIR_REGIONS];
  weir_space_arrays(space, arrays);
  for (uint32_t i = 0; i < WEIR_REGIONS; i++)
    weir_array_refresh(arrays[i], size);
  commons_of(space)->known = space->root->growths;
}

int weir_enter(const weir_space *space, uint32_t acting) {
  weir_commons *commons = commons_of(space);
  int got = commons->sharing->lock(commons->sharing);
  if (got < 0) return got;
  commons->halved = got > 0 || *commons->noted;
  if (space->root->damaged) {
    commons->sharing->unlock(commons->sharing);
    return WEIR_E_DAMAGED;
  }
  commons->acting = acting;
  return 0;
}

/* Whoever grew an array and died may have it undone here: so first that. Notes
** that are garbage may even have said that the space is damaged. */
void weir_settle(const weir_space *space) {
  weir_commons *commons = commons_of(space);
  uint32_t acting = commons->acting;
  if (commons->halved && (!weir_undo(commons) || space->root->damaged))
    weir_lost(commons);
  if (*commons->growths != commons->known) weir_space_refresh(space);
  if (!commons->halved) return;
  weir_mend(commons->space);
  commons->acting = acting;
}

/* Puts back what can be, and lets nobody go on from there. */
static void condemn(const weir_space *space) {
  weir_commons *commons = commons_of(space);
  weir_undo(commons);
  *commons->noted = 0;
  commons->rings = 0;
  space->root->damaged = 1;
}

int weir_give_up(const weir_space *space) {
  weir_sharing *sharing = commons_of(space)->sharing;
  condemn(space);
  sharing->unlock(sharing);
  return WEIR_E_DAMAGED;
}

/* Rings when the lock is free again, that those who come do not have to wait;
** where there are many, for some of them before. */
void weir_leave(const weir_space *space) {
  enum { AFTERWARDS = 16 };
  weir_commons *commons = commons_of(space);
  weir_sharing *sharing = commons->sharing;
  uint16_t ring[AFTERWARDS];
  uint32_t count;
  weir_commit(commons);
  while (commons->rings > AFTERWARDS)
    sharing->ring(sharing, commons->ring[--commons->rings]);
  count = commons->rings;
  commons->rings = 0;
  for (uint32_t i = 0; i < count; i++) ring[i] = commons->ring[i];
  sharing->unlock(sharing);
  for (uint32_t i = 0; i < count; i++) sharing->ring(sharing, ring[i]);
}

void weir_ring_port(const weir_space *space, uint32_t port) {
  weir_commons *commons = commons_of(space);
  weir_port_record *record = weir_port_fresh(space, port);
  if (port == commons->acting || record->rung) return;
  weir_note(commons, &record->rung, sizeof record->rung);
  record->rung = 1;
  if (commons->rings < WEIR_SHARED_PORTS)
    commons->ring[commons->rings++] = (uint16_t)port;
}

/* --- those who died ------------------------------------------------------- */

uint64_t weir_patrol_at(const weir_space *space) {
  const weir_commons *commons = commons_of(space);
  return commons && commons->sharing->patrol_ns != WEIR_NEVER
             ? space->root->patrol_at
             : WEIR_NEVER;
}

bool weir_patrol_due(const weir_space *space, uint64_t now) {
  const weir_commons *commons = commons_of(space);
  uint64_t period, *at;
  if (!commons || commons->sharing->patrol_ns == WEIR_NEVER) return false;
  period = commons->sharing->patrol_ns;
  at = &space->root->patrol_at;
  if (*at > now && *at - now <= period) return false;
  weir_keep(&space->memory, at, sizeof *at);
  *at = now + period;
  return true;
}

static bool is_live_port(const weir_space *space, uint32_t index) {
  return weir_slab_live(&space->ports, index);
}

/* Takes back what the ports of a dead seat have. */
static void clear_seat(weir_space *space, uint32_t seat, uint64_t now) {
  for (uint32_t i = 1; i < space->ports.head->used; i++)
    if (is_live_port(space, i) && weir_port_at(space, i)->seat == seat) {
      weir_port_clear(space, i, now);
      weir_step(space);
    }
}

/* A process that is stopped, or late, may own who goes next: what the time lets
** go is let go in its name, that others need not wait for it. */
static void help_the_late(weir_space *space, uint64_t now) {
  uint64_t late = commons_of(space)->sharing->patrol_ns / 2;
  for (uint32_t i = 1; i < space->ports.head->used; i++)
    if (is_live_port(space, i) && now > late)
      weir_port_expire(space, i, now - late);
}

/* Somebody is about to be dead. */
static void patrol_soon(const weir_space *space, uint64_t now) {
  enum { SOON_NS = 1000000 };
  uint64_t *at = &space->root->patrol_at;
  if (*at <= now + SOON_NS) return;
  weir_keep(&space->memory, at, sizeof *at);
  *at = now + SOON_NS;
}

uint32_t weir_patrol(weir_space *space, uint64_t now) {
  weir_sharing *sharing = commons_of(space)->sharing;
  uint32_t dead = 0;
  commons_of(space)->acting = 0;
  for (uint32_t seat = 1; seat < WEIR_SEATS; seat++) {
    weir_life life = sharing->life(sharing, seat);
    if (life == WEIR_DIES) patrol_soon(space, now);
    if (life != WEIR_DEAD) continue;
    clear_seat(space, seat, now);
    sharing->vacate(sharing, seat);
    dead++;
  }
  help_the_late(space, now);
  return dead;
}

/* --- what one who died within a call has left ----------------------------- */

/* Frees the tickets that had given everything back, and who was never put
** anywhere. */
static void free_gone(weir_space *space, uint64_t now) {
  for (uint32_t i = 1; i < space->tickets.head->used; i++) {
    const weir_ticket_record *ticket = weir_ticket_at(space, i);
    uint32_t instance = ticket->instance;
    if (!weir_slab_live(&space->tickets, i) || ticket->state != WEIR_FREE)
      continue;
    if (instance) weir_instance_pump(space, instance, now);
    weir_ticket_free(space, i);
    weir_step(space);
  }
}

/* Counts again how many tickets a key has: one that was about to be asked for
** had one more. */
static void recount_keys(weir_space *space) {
  for (uint32_t i = 1; i < space->instances.head->used; i++)
    weir_instance_fresh(space, i)->entry.tickets = 0;
  for (uint32_t i = 1; i < space->tickets.head->used; i++) {
    uint32_t instance = weir_ticket_at(space, i)->instance;
    if (weir_slab_live(&space->tickets, i) && instance)
      weir_instance_fresh(space, instance)->entry.tickets++;
  }
  for (uint32_t i = 1; i < space->instances.head->used; i++) {
    const weir_instance_record *instance = weir_instance_at(space, i);
    if (!weir_slab_live(&space->instances, i) || instance->entry.tickets ||
        i == weir_limiter_of(space, instance)->instance)
      continue;
    weir_keys_leave(space, i);
    weir_step(space);
  }
}

/* Goes on with what was begun with a limiter. */
static void finish_limiter(weir_space *space, uint32_t index, uint64_t now) {
  const weir_limiter_record *limiter = weir_limiter_at(space, index);
  uint64_t t = weir_clock_at(&space->root->clock, now);
  if (limiter->moving) weir_limiter_move(space, index, t);
  if (limiter->refusing) weir_limiter_refuse(space, index, now);
  weir_step(space);
  weir_limiter_drained(space, index, now);
  weir_limiter_collect(space, index);
  weir_step(space);
}

/* Whoever died may have died before it rang. */
static void ring_all(const weir_space *space) {
  for (uint32_t i = 1; i < space->ports.head->used; i++) {
    if (!is_live_port(space, i)) continue;
    weir_port_fresh(space, i)->rung = 0;
    weir_ring_port(space, i);
    weir_step(space);
  }
}

void weir_mend(weir_space *space) {
  uint64_t now = space->root->clock.last;
  commons_of(space)->acting = 0;
  commons_of(space)->rings = 0;
  recount_keys(space);
  free_gone(space, now);
  for (uint32_t i = 1; i < space->limiters.head->used; i++)
    if (weir_slab_live(&space->limiters, i)) finish_limiter(space, i, now);
  weir_pump_all(space, 0, now);
  weir_step(space);
  ring_all(space);
  weir_patrol(space, now);
}

/* --- for c/shared --------------------------------------------------------- */

static void finish(weir_commons *commons) {
  weir_commit(commons);
  while (commons->rings)
    commons->sharing->ring(commons->sharing, commons->ring[--commons->rings]);
}

int weir_sharing_mend(weir_space *space) {
  weir_commons *commons = commons_of(space);
  if (space->root->damaged) return -1;
  if (setjmp(commons->escape)) {
    condemn(space);
    return -1;
  }
  commons->halved = true;
  weir_settle(space);
  finish(commons);
  return 0;
}

int weir_sharing_patrol(weir_space *space) {
  weir_commons *commons = commons_of(space);
  int dead;
  if (space->root->damaged) return -1;
  if (setjmp(commons->escape)) {
    condemn(space);
    return -1;
  }
  weir_settle(space);
  dead = (int)weir_patrol(space, space->root->clock.last);
  finish(commons);
  return dead;
}

static uint32_t live_in(const weir_slab *slab) {
  uint32_t count = 0;
  for (uint32_t i = 1; i < slab->head->used && i < slab->array.limit; i++)
    count += weir_slab_live(slab, i);
  return count;
}

void weir_sharing_count(const weir_space *space, weir_sharing_counts *out) {
  out->bytes = space->root->bytes;
  out->ports = live_in(&space->ports);
  out->limiters = live_in(&space->limiters);
  out->keys = live_in(&space->instances) - out->limiters;
  out->tickets = live_in(&space->tickets);
}

uint32_t weir_do_port_seat(const weir_space *space, uint32_t port) {
  if (!port || port >= space->ports.head->used ||
      port >= space->ports.array.limit || !weir_slab_live(&space->ports, port))
    return 0;
  return weir_port_at(space, port)->seat;
}

uint64_t weir_do_space_bytes(const weir_space *space) {
  return space->root->bytes;
}
