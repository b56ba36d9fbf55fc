/*
** memory.c - how much memory a script may have, and where it comes from.
**
** Each request makes a few small objects and drops them, in turn with nginx's
** pools, which to the C library's heap is the dearest order there is. So small
** blocks that are given back are kept for the next ones of their size.
*/
#include "half.h"

enum { STEP = HALF_BLOCK_STEP };

#if defined(__SANITIZE_ADDRESS__)
enum { KEPT_MAX = 0 }; /* it has to see what is given back */
#else
enum { KEPT_MAX = STEP * HALF_BLOCK_SIZES }; /* bytes of a block */
#endif

typedef struct half_block {
  half_block *next;
} block;

static size_t class_of(size_t size) { return (size - 1) / STEP; }

/* Between two collections so many blocks are given out that the next one has
** left the caches: it is brought back until it is wanted. */
static void *get(weir_policy *policy, size_t size) {
  block **list, *found;
  if (size > KEPT_MAX) return malloc(size);
  list = &policy->blocks[class_of(size)];
  found = *list;
  if (!found) return malloc((class_of(size) + 1) * STEP);
  *list = found->next;
  WEIR_PREFETCH(found->next);
  return found;
}

static void give(weir_policy *policy, void *given, size_t size) {
  block **list, *kept = given;
  if (!given || size > KEPT_MAX) {
    free(given);
    return;
  }
  list = &policy->blocks[class_of(size)];
  kept->next = *list;
  *list = kept;
}

static void *move(weir_policy *policy, void *had, size_t before, size_t size) {
  void *got;
  if (before > KEPT_MAX && size > KEPT_MAX) return realloc(had, size);
  got = get(policy, size);
  if (!got) return NULL;
  memcpy(got, had, before < size ? before : size);
  give(policy, had, before);
  return got;
}

/* To make a block smaller always goes well: Lua counts on it. */
static void *resize(weir_policy *policy, void *had, size_t before,
                    size_t size) {
  void *got = move(policy, had, before, size);
  return got || size > before ? got : had;
}

void *half_allocate(void *data, void *had, size_t before, size_t size) {
  weir_policy *policy = data;
  void *got;
  if (!had) before = 0;
  if (!size) {
    give(policy, had, before);
    policy->used -= before;
    return NULL;
  }
  if (policy->limited && size > before && policy->limit &&
      policy->used - before + size > policy->limit) {
    policy->starved = true;
    return NULL;
  }
  got = had ? resize(policy, had, before, size) : get(policy, size);
  if (got) policy->used = policy->used - before + size;
  return got;
}

void half_free_blocks(weir_policy *policy) {
  for (int i = 0; i < HALF_BLOCK_SIZES; i++)
    while (policy->blocks[i]) {
      block *next = policy->blocks[i]->next;
      free(policy->blocks[i]);
      policy->blocks[i] = next;
    }
}
