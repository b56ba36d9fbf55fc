/*
** index.h - finds records by whose they are and the hash of their key.
**
** Linear hashing (Litwin 1980): the table grows by one bucket at a time, with
** the records, so no insertion ever pays for all others. A bucket is the index
** of its first record, 4 bytes; the records of a bucket are linked by
** record.next. There is about one bucket a record.
*/
#ifndef WEIR_CORE_INDEX_H
#define WEIR_CORE_INDEX_H

#include "hash.h"
#include "slab.h"

/* How a record that can be found begins. */
typedef struct weir_entry {
  weir_record record; /* record.next: the next in its bucket */
  weir_hash hash;     /* of its key */
  uint32_t owner;     /* index of whose it is: keys of others are others */
  uint32_t tickets;   /* the record's own use: how many tickets it has */
} weir_entry;

typedef struct weir_index {
  uint32_t *buckets; /* first record of each; 0: empty */
  uint32_t capacity; /* of the array */
  uint32_t used;     /* buckets; 0: none yet */
  uint32_t mask;     /* 2^n - 1, the least that is no less than used - 1 */
  uint32_t count;    /* records in it */
} weir_index;

void weir_index_fini(weir_index *index, const weir_allocator *allocator);

/* Makes room for one more record; false: no memory, nothing changed. */
bool weir_index_reserve(weir_index *index, const weir_allocator *allocator);

/* Adds a record, whose entry is filled in; reserve made sure there is room. */
void weir_index_add(weir_index *index, const weir_slab *slab, uint32_t record);

/* The record; 0: there is none. */
uint32_t weir_index_find(const weir_index *index, const weir_slab *slab,
                         uint32_t owner, const weir_hash *hash);

/* Removes a record that is in it. */
void weir_index_remove(weir_index *index, const weir_slab *slab,
                       uint32_t record);

#endif
