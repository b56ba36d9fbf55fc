/* index.c - see index.h. */
#include "index.h"

#include "memory.h"

enum { FIRST_CAPACITY = 16 }; /* buckets: a cache line */

/* The multiplier of Knuth's MMIX, good at spreading. Owners are small numbers,
** often in steps; without it those that share a key would share buckets. */
static const uint64_t SPREAD = 0x5851F42D4C957F2Du;

static inline uint32_t bucket_of(const weir_index *index, uint32_t owner,
                                 const weir_hash *hash) {
  uint32_t mixed = (uint32_t)(hash->word[0] ^ owner * SPREAD >> 32);
  uint32_t bucket = mixed & index->mask;
  return bucket < index->used ? bucket : mixed & index->mask >> 1;
}

static uint32_t bucket_of_record(const weir_index *index, const weir_slab *slab,
                                 uint32_t record) {
  const weir_entry *entry = weir_slab_at(slab, record);
  return bucket_of(index, entry->owner, &entry->hash);
}

/* The link to the next record of a bucket. */
static uint32_t *next_of(const weir_slab *slab, uint32_t record) {
  weir_entry *entry = weir_slab_at(slab, record);
  return &entry->record.next;
}

/* Adds a bucket. Its records come out of a single other one, the one whose
** number lacks the highest bit of its own; they keep their order. */
static void split(weir_index *index, const weir_slab *slab) {
  uint32_t fresh = index->used++;
  uint32_t *to = &index->buckets[fresh], *from;
  if (fresh > index->mask) index->mask = index->mask << 1 | 1;
  *to = 0;
  from = &index->buckets[fresh & index->mask >> 1];
  while (*from) {
    uint32_t record = *from, *next = next_of(slab, record);
    if (bucket_of_record(index, slab, record) == fresh) {
      *to = record;
      *from = *next;
      *next = 0;
      to = next;
    } else {
      from = next;
    }
  }
}

void weir_index_fini(weir_index *index, const weir_allocator *allocator) {
  weir_free(allocator, index->buckets, index->capacity * sizeof(uint32_t));
}

bool weir_index_reserve(weir_index *index, const weir_allocator *allocator) {
  if (index->count < index->used || index->used < index->capacity) return true;
  return weir_grow(allocator, (void **)&index->buckets, &index->capacity,
                   sizeof(uint32_t), FIRST_CAPACITY);
}

void weir_index_add(weir_index *index, const weir_slab *slab, uint32_t record) {
  uint32_t *first;
  if (index->count++ == index->used) split(index, slab);
  first = &index->buckets[bucket_of_record(index, slab, record)];
  *next_of(slab, record) = *first;
  *first = record;
}

uint32_t weir_index_find(const weir_index *index, const weir_slab *slab,
                         uint32_t owner, const weir_hash *hash) {
  uint32_t record;
  if (!index->count) return 0;
  record = index->buckets[bucket_of(index, owner, hash)];
  while (record) {
    const weir_entry *entry = weir_slab_at(slab, record);
    if (weir_hash_equal(&entry->hash, hash) && entry->owner == owner) break;
    record = entry->record.next;
  }
  return record;
}

void weir_index_remove(weir_index *index, const weir_slab *slab,
                       uint32_t record) {
  uint32_t *link = &index->buckets[bucket_of_record(index, slab, record)];
  while (*link != record) link = next_of(slab, *link);
  *link = *next_of(slab, record);
  index->count--;
}
