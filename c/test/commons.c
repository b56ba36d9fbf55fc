/* commons.c - see commons.h. */
#include "commons.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/record.h"

enum { REGION = 1 << 24, BUDGET = 1 << 24, BELL = 1 << 20 };

typedef struct commons {
  weir_sharing sharing;
  weir_allocator allocator; /* what it pays for memory with */
  void *paid;               /* the last payment; each begins with the next */
  bool locked;
  weir_space *space;
  unsigned char *memory;
  size_t size;           /* of it, bytes */
  unsigned char *before; /* what was there when the last step was done */
  unsigned char *undone;
  uint64_t skip; /* steps, until the next is looked at */
  bool looking;  /* at this step */
} commons;

bool commons_shared(void) {
  const char *wanted = getenv("WEIR_TEST_SPACE");
  return wanted && strcmp(wanted, "shared") == 0;
}

static void fail(const char *what, size_t at) {
  fprintf(stderr, "commons: %s (%zu)\n", what, at);
  abort();
}

static size_t offset_of(const commons *c, const void *at) {
  return (size_t)((const unsigned char *)at - c->memory);
}

/* --- what the engine asks for --------------------------------------------- */

static int lock(weir_sharing *sharing) {
  commons *c = (commons *)(void *)sharing;
  if (c->locked) fail("locked twice", 0);
  c->locked = true;
  return 0;
}

static void unlock(weir_sharing *sharing) {
  commons *c = (commons *)(void *)sharing;
  if (!c->locked) fail("unlocked twice", 0);
  c->locked = false;
}

typedef struct payment {
  void *next;
  size_t size;
} payment;

/* Memory that is there anyway is paid for with some that is not. */
static bool commit(weir_sharing *sharing, void *at, size_t size) {
  commons *c = (commons *)(void *)sharing;
  payment *paid;
  (void)at;
  paid = c->allocator.resize(c->allocator.data, NULL, 0, sizeof *paid + size);
  if (!paid) return false;
  paid->next = c->paid;
  paid->size = size;
  c->paid = paid;
  return true;
}

static weir_life life(weir_sharing *sharing, uint32_t seat) {
  (void)sharing;
  (void)seat;
  return WEIR_LIVES;
}

static void vacate(weir_sharing *sharing, uint32_t seat) {
  (void)sharing;
  (void)seat;
}

static int hang_bell(weir_sharing *sharing, uint32_t port) {
  (void)sharing;
  return BELL + (int)port;
}

static void unhang_bell(weir_sharing *sharing, uint32_t port, int fd) {
  (void)sharing;
  if (fd != BELL + (int)port) fail("another's bell", port);
}

static void ring(weir_sharing *sharing, uint32_t port) {
  (void)sharing;
  (void)port;
}

static void hush(weir_sharing *sharing, int fd) {
  (void)sharing;
  (void)fd;
}

/* --- blocks --------------------------------------------------------------- */

/* Those of the last space are the next one's: new ones would take more time
** than most fuzzers' inputs. */
static void *spare[3];

static void *take_block(size_t size) {
  void *block = NULL;
  for (int i = 0; i < 3 && !block; i++) {
    block = spare[i];
    spare[i] = NULL;
  }
  if (!block) block = calloc(1, size);
  if (!block) fail("no memory", size);
  return block;
}

static void keep_block(void *block) {
  for (int i = 0; i < 3 && block; i++)
    if (!spare[i]) {
      spare[i] = block;
      block = NULL;
    }
  free(block);
}

/* A new space's memory is zero. Of the three blocks, any is the next one's. */
static void clear(const commons *c) {
  unsigned char *blocks[] = { c->memory, c->before, c->undone };
  weir_array *arrays[WEIR_REGIONS];
  weir_space_arrays(c->space, arrays);
  for (int b = 0; b < 3; b++) {
    memset(blocks[b], 0, weir_sharing_state());
    for (int i = 0; i < WEIR_REGIONS; i++)
      memset(blocks[b] + offset_of(c, arrays[i]->base), 0,
             (size_t)arrays[i]->limit * arrays[i]->size);
  }
}

static bool close_commons(weir_sharing *sharing) {
  commons *c = (commons *)(void *)sharing;
  weir_allocator allocator = c->allocator;
  while (c->paid) {
    payment *paid = c->paid;
    c->paid = paid->next;
    allocator.resize(allocator.data, paid, sizeof *paid + paid->size, 0);
  }
  if (c->before) {
    clear(c);
    keep_block(c->memory);
    keep_block(c->before);
    keep_block(c->undone);
  } else {
    free(c->memory);
  }
  free(c);
  return true;
}

/* --- the audit ------------------------------------------------------------ */

static void same(const commons *c, const char *what, size_t at, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (c->before[at + i] != c->undone[at + i]) fail(what, i);
}

/* Of a record that is free only its head matters. */
static void same_slab(const commons *c, const char *what,
                      const weir_slab *slab) {
  size_t head = offset_of(c, slab->head);
  weir_slab_head was;
  memcpy(&was, c->before + head, sizeof was);
  for (uint32_t i = 1; i < was.used; i++) {
    size_t at = offset_of(c, slab->array.base) + (size_t)i * slab->array.size;
    weir_record record;
    memcpy(&record, c->before + at, sizeof record);
    same(c, what, at, record.generation & 1 ? slab->array.size : sizeof record);
  }
}

static void same_index(const commons *c, const weir_index *index) {
  weir_index_head was;
  memcpy(&was, c->before + offset_of(c, index->head), sizeof was);
  same(c, "index", offset_of(c, index->array.base),
       was.used * sizeof(weir_bucket));
}

static void same_heaps(const commons *c, const weir_heaps *heaps) {
  weir_heaps_head was;
  memcpy(&was, c->before + offset_of(c, heaps->head), sizeof was);
  same(c, "heaps", offset_of(c, heaps->array.base),
       was.used * sizeof(weir_heap_entry));
}

static void same_space(const commons *c) {
  const weir_space *space = c->space;
  size_t skip = sizeof(weir_clock); /* only grows */
  same(c, "root", skip, sizeof(weir_root) - skip);
  same_slab(c, "tickets", &space->tickets);
  same_slab(c, "instances", &space->instances);
  same_slab(c, "queues", &space->queues);
  same_slab(c, "lanes", &space->lanes);
  same_slab(c, "controls", &space->controls);
  same_slab(c, "limiters", &space->limiters);
  same_slab(c, "ports", &space->ports);
  same_index(c, &space->keys);
  same_index(c, &space->flows);
  same_heaps(c, &space->heaps);
}

/* Copies what is used of the memory; how much that was. */
static size_t copy(const commons *c, unsigned char *to) {
  weir_array *arrays[WEIR_REGIONS];
  size_t notes = offset_of(c, c->space->memory.commons->notes);
  size_t sum = notes + *c->space->memory.commons->noted;
  weir_space_arrays(c->space, arrays);
  memcpy(to, c->memory, sum);
  for (int i = 0; i < WEIR_REGIONS; i++) {
    size_t size = (size_t)arrays[i]->limit * arrays[i]->size;
    memcpy(to + offset_of(c, arrays[i]->base), arrays[i]->base, size);
    sum += size;
  }
  return sum;
}

static void undo(commons *c) {
  weir_commons pretended = *c->space->memory.commons;
  pretended.base = c->undone;
  pretended.notes = c->undone + (pretended.notes - c->memory);
  pretended.noted = &((weir_root *)(void *)c->undone)->noted;
  if (!weir_undo(&pretended)) fail("the notes are garbage", 0);
}

/* A step is done, and its notes are about to be forgotten. */
static void audit(void *data) {
  commons *c = data;
  if (c->space->root->noted > WEIR_NOTES_SIZE / 2)
    fail("a step takes more than half of the notes", c->space->root->noted);
  if (c->looking) {
    copy(c, c->undone);
    undo(c);
    same_space(c);
  }
  c->looking = !c->skip--;
  if (!c->looking) return;
  c->skip = copy(c, c->before) / 4096;
  ((weir_root *)(void *)c->before)->noted = 0;
}

/* --- spaces --------------------------------------------------------------- */

static size_t memory_size(size_t region) {
  size_t state = (weir_sharing_state() + 4095) & ~(size_t)4095;
  return state + WEIR_REGIONS * region;
}

static commons *new_commons(const weir_allocator *allocator, size_t region) {
  commons *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->allocator = *allocator;
  c->size = memory_size(region);
  c->memory = region == REGION ? take_block(c->size) : calloc(1, c->size);
  if (!c->memory) fail("no memory", c->size);
  c->sharing = (weir_sharing){
    .state = c->memory,
    .regions = c->memory + c->size - WEIR_REGIONS * region,
    .region_size = region,
    .budget = BUDGET,
    .patrol_ns = WEIR_NEVER,
    .seat = 1,
    .nameless = true,
    .lock = lock,
    .unlock = unlock,
    .commit = commit,
    .life = life,
    .vacate = vacate,
    .hang_bell = hang_bell,
    .unhang_bell = unhang_bell,
    .ring = ring,
    .hush = hush,
    .close = close_commons,
  };
  return c;
}

static weir_space *new_space(commons *c) {
  static const char seed[16] = { 0 };
  c->space = weir_sharing_space(&c->sharing, true, seed);
  return c->space;
}

weir_space *commons_space(const weir_allocator *allocator) {
  weir_space *space;
  commons *c;
  if (!commons_shared()) return weir_space_new(allocator);
  c = new_commons(allocator, REGION);
  if (!c) return NULL;
  c->before = take_block(c->size);
  c->undone = take_block(c->size);
  space = new_space(c);
  space->memory.commons->audit = audit;
  space->memory.commons->audit_data = c;
  return space;
}

weir_space *commons_unchecked(size_t region, commons_memory *out) {
  commons *c = new_commons(&weir_allocator_default, region);
  if (!c || !new_space(c)) fail("no memory", region);
  c->sharing.patrol_ns = 1000;
  *out = (commons_memory){ &c->sharing, c->memory, c->size };
  return c->space;
}
