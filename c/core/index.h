/*
** index.h - finds records by whose they are and the hash of their key.
**
** Linear hashing (Litwin 1980): the table grows by one bucket at a time, with
** the records, so no insertion ever pays for all others. A bucket is a cache
** line long. Beside each record stands the part of its hash that decides about
** its bucket, now and later, so that neither looking for a record nor growing
** has to read other records. Records that find no place in their bucket are
** linked to it by record.next, and a bit in the bucket tells whether it is
** worth going through them. They are few, for they cost a cache miss each when
** their bucket is split: before it is, it has twice as many as the mean.
*/
#ifndef WEIR_CORE_INDEX_H
#define WEIR_CORE_INDEX_H

#include "hash.h"
#include "slab.h"

/* How a record that can be found begins. */
typedef struct weir_entry {
  weir_record record; /* record.next: see above */
  weir_hash hash;     /* of its key */
  uint32_t owner;     /* index of whose it is: keys of others are others */
  uint32_t tickets;   /* the record's own use: how many tickets it has */
} weir_entry;

typedef struct weir_slot {
  uint32_t tag;    /* of its owner and hash */
  uint32_t record; /* index */
} weir_slot;

enum {
  WEIR_INDEX_SLOTS = 7, /* of a bucket */
  WEIR_INDEX_LOAD = 3   /* records of a bucket, on average */
};

typedef struct weir_bucket {
  uint16_t count;  /* slots in use */
  uint16_t others; /* a bit for what the tags of those in no slot begin with */
  uint32_t more;   /* the first record that is in no slot; 0: none */
  weir_slot slots[WEIR_INDEX_SLOTS];
} weir_bucket;

/* What others see of an index besides its buckets. */
typedef struct weir_index_head {
  uint32_t capacity; /* buckets there is memory for */
  uint32_t used;     /* buckets; 0: none yet */
  uint32_t mask;     /* 2^n - 1, the least that is no less than used - 1 */
  uint32_t count;    /* records in it */
} weir_index_head;

typedef struct weir_index {
  weir_array array; /* of buckets */
  weir_index_head *head;
} weir_index;

void weir_index_init(weir_index *index, const weir_memory *memory,
                     unsigned char *region, weir_index_head *head);
void weir_index_fini(weir_index *index);

/* Makes room for one more record; false: no memory, nothing changed. */
bool weir_index_reserve(weir_index *index);

/* Adds a record, whose entry is filled in; reserve made sure there is room. */
void weir_index_add(weir_index *index, const weir_slab *slab, uint32_t record);

/* The record; 0: there is none. */
uint32_t weir_index_find(const weir_index *index, const weir_slab *slab,
                         uint32_t owner, const weir_hash *hash);

/* Removes a record that is in it. */
void weir_index_remove(weir_index *index, const weir_slab *slab,
                       uint32_t record);

#endif
