/* ledger.c - see ledger.h. */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

typedef struct head { /* before each block; keeps it aligned for anything */
  _Alignas(16) size_t size;
} head;

static bool shall_fail(ledger *books) {
  books->calls++;
  if (!books->fail_first || books->calls < books->fail_first ||
      books->calls > books->fail_last)
    return false;
  books->failed++;
  return true;
}

static void *new_block(size_t size) {
  head *block = malloc(sizeof *block + size);
  if (!block) abort(); /* only the failures that were ordered are a test */
  block->size = size;
  memset(block + 1, 0xA5, size);
  return block + 1;
}

static void give_back(void *block, size_t size) {
  memset(block, 0xDD, size);
  free((head *)block - 1);
}

static void *resize(void *data, void *block, size_t old_size, size_t size) {
  ledger *books = data;
  size_t had = block ? ((head *)block - 1)->size : 0;
  void *moved = NULL;
  if (had != old_size) books->wrong_sizes++;
  if (size) {
    if (shall_fail(books)) return NULL;
    moved = new_block(size);
    if (block) memcpy(moved, block, had < size ? had : size);
  }
  if (block) give_back(block, had);
  books->live += size;
  books->live -= had;
  return moved;
}

weir_allocator ledger_allocator(ledger *books) {
  return (weir_allocator){ resize, books };
}

void ledger_fail(ledger *books, unsigned count) {
  books->fail_first = books->calls + 1;
  books->fail_last = books->calls + count;
}

void ledger_recover(ledger *books) { books->fail_first = 0; }
