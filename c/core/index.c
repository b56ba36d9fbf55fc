/* index.c - see index.h. */
#include "index.h"

#include "memory.h"

enum { FIRST_CAPACITY = 2 }; /* buckets */

/* The multiplier of Knuth's MMIX, good at spreading. Owners are small numbers,
** often in steps; without it those that share a key would share buckets. */
static const uint64_t SPREAD = 0x5851F42D4C957F2Du;

static inline uint32_t tag_of(uint32_t owner, const weir_hash *hash) {
  return (uint32_t)(hash->word[0] ^ owner * SPREAD >> 32);
}

static inline weir_bucket *bucket_of(const weir_index *index, uint32_t tag) {
  uint32_t bucket = tag & index->mask;
  if (bucket >= index->used) bucket = tag & index->mask >> 1;
  return &index->buckets[bucket];
}

static inline weir_entry *entry_at(const weir_slab *slab, uint32_t record) {
  return weir_slab_at(slab, record);
}

static weir_slot slot_of(const weir_slab *slab, uint32_t record) {
  const weir_entry *entry = entry_at(slab, record);
  return (weir_slot){ tag_of(entry->owner, &entry->hash), record };
}

static uint16_t bit_of(uint32_t tag) { return (uint16_t)(1u << (tag >> 28)); }

static void put(const weir_index *index, const weir_slab *slab,
                weir_slot slot) {
  weir_bucket *bucket = bucket_of(index, slot.tag);
  if (bucket->count < WEIR_INDEX_SLOTS) {
    bucket->slots[bucket->count++] = slot;
  } else {
    entry_at(slab, slot.record)->record.next = bucket->more;
    bucket->more = slot.record;
    bucket->others |= bit_of(slot.tag);
  }
}

/* Adds a bucket. Its records come out of a single other one, the one whose
** number lacks the highest bit of its own. */
static void split(weir_index *index, const weir_slab *slab) {
  uint32_t fresh = index->used++, record;
  const weir_bucket empty = { .count = 0 };
  weir_bucket *from, old;
  if (fresh > index->mask) index->mask = index->mask << 1 | 1;
  from = &index->buckets[fresh & index->mask >> 1];
  index->buckets[fresh] = empty;
  if (!fresh) return;
  old = *from;
  *from = empty;
  for (uint32_t i = 0; i < old.count; i++) put(index, slab, old.slots[i]);
  while ((record = old.more) != 0) {
    old.more = entry_at(slab, record)->record.next;
    put(index, slab, slot_of(slab, record));
  }
}

void weir_index_fini(weir_index *index, const weir_allocator *allocator) {
  weir_free(allocator, index->buckets, index->capacity * sizeof(weir_bucket));
}

static bool is_loaded(const weir_index *index) {
  return index->count >= (uint64_t)index->used * WEIR_INDEX_LOAD;
}

bool weir_index_reserve(weir_index *index, const weir_allocator *allocator) {
  if (!is_loaded(index) || index->used < index->capacity) return true;
  return weir_grow(allocator, (void **)&index->buckets, &index->capacity,
                   sizeof(weir_bucket), FIRST_CAPACITY);
}

void weir_index_add(weir_index *index, const weir_slab *slab, uint32_t record) {
  if (is_loaded(index)) split(index, slab);
  index->count++;
  put(index, slab, slot_of(slab, record));
}

static bool matches(const weir_slab *slab, uint32_t record, uint32_t owner,
                    const weir_hash *hash) {
  const weir_entry *entry = entry_at(slab, record);
  return weir_hash_equal(&entry->hash, hash) && entry->owner == owner;
}

uint32_t weir_index_find(const weir_index *index, const weir_slab *slab,
                         uint32_t owner, const weir_hash *hash) {
  uint32_t tag = tag_of(owner, hash), record;
  const weir_bucket *bucket;
  if (!index->count) return 0;
  bucket = bucket_of(index, tag);
  for (uint32_t i = 0; i < bucket->count; i++)
    if (bucket->slots[i].tag == tag &&
        matches(slab, bucket->slots[i].record, owner, hash))
      return bucket->slots[i].record;
  record = (bucket->others & bit_of(tag)) ? bucket->more : 0;
  while (record && !matches(slab, record, owner, hash))
    record = entry_at(slab, record)->record.next;
  return record;
}

/* Takes a record out of its bucket's list; the first one, if it is not there:
** that gets the slot, which has become free. */
void weir_index_remove(weir_index *index, const weir_slab *slab,
                       uint32_t record) {
  weir_bucket *bucket = bucket_of(index, slot_of(slab, record).tag);
  uint32_t *link = &bucket->more, i = 0;
  index->count--;
  while (i < bucket->count && bucket->slots[i].record != record) i++;
  if (i < bucket->count) {
    record = bucket->more;
    bucket->slots[i] =
        record ? slot_of(slab, record) : bucket->slots[--bucket->count];
    if (!record) return;
  }
  while (*link != record) link = &entry_at(slab, *link)->record.next;
  *link = entry_at(slab, record)->record.next;
}
