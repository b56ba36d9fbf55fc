/* index.c - see index.h. */
#include "index.h"

enum { FIRST_CAPACITY = 2 }; /* buckets */

/* The multiplier of Knuth's MMIX, good at spreading. Owners are small numbers,
** often in steps; without it those that share a key would share buckets. */
static const uint64_t SPREAD = 0x5851F42D4C957F2Du;

static inline uint32_t tag_of(uint32_t owner, const weir_hash *hash) {
  return (uint32_t)(hash->word[0] ^ owner * SPREAD >> 32);
}

static inline const weir_bucket *bucket_at(const weir_index *index,
                                           uint32_t at) {
  const weir_bucket *bucket = weir_array_at(&index->array, at);
  if (bucket->count > WEIR_INDEX_SLOTS) weir_lost(index->array.commons);
  return bucket;
}

/* Which bucket a tag belongs to. */
static inline uint32_t home_of(const weir_index *index, uint32_t tag) {
  uint32_t bucket = tag & index->head->mask;
  return bucket < index->head->used ? bucket : tag & index->head->mask >> 1;
}

static inline const weir_bucket *bucket_of(const weir_index *index,
                                           uint32_t tag) {
  return bucket_at(index, home_of(index, tag));
}

static weir_bucket *bucket_edit(const weir_index *index, uint32_t at) {
  const weir_bucket *bucket = bucket_at(index, at);
  weir_keep(index->array.memory, bucket, sizeof *bucket);
  return weir_array_at(&index->array, at);
}

static inline const weir_entry *entry_at(const weir_slab *slab,
                                         uint32_t record) {
  return weir_slab_at(slab, record);
}

/* The next of the records in no slot. Damaged memory may have them in a circle;
** `left` is how many there can be. */
static uint32_t next_of(const weir_slab *slab, uint32_t record,
                        uint32_t *left) {
  if (!--*left) weir_lost(slab->array.commons);
  return entry_at(slab, record)->record.next;
}

static void set_next(const weir_slab *slab, uint32_t record, uint32_t next) {
  weir_record *entry = weir_slab_at(slab, record);
  weir_keep(slab->array.memory, entry, sizeof *entry);
  entry->next = next;
}

static weir_slot slot_of(const weir_slab *slab, uint32_t record) {
  const weir_entry *entry = entry_at(slab, record);
  return (weir_slot){ tag_of(entry->owner, &entry->hash), record };
}

static uint16_t bit_of(uint32_t tag) { return (uint16_t)(1u << (tag >> 28)); }

static void put(const weir_index *index, const weir_slab *slab,
                weir_slot slot) {
  weir_bucket *bucket = bucket_edit(index, home_of(index, slot.tag));
  if (bucket->count < WEIR_INDEX_SLOTS) {
    bucket->slots[bucket->count++] = slot;
  } else {
    set_next(slab, slot.record, bucket->more);
    bucket->more = slot.record;
    bucket->others |= bit_of(slot.tag);
  }
}

static weir_index_head *head_edit(const weir_index *index) {
  weir_keep(index->array.memory, index->head, sizeof *index->head);
  return index->head;
}

/* Adds a bucket. Its records come out of a single other one, the one whose
** number lacks the highest bit of its own. */
static void split(weir_index *index, const weir_slab *slab) {
  weir_index_head *head = head_edit(index);
  uint32_t fresh = head->used++, record, left = slab->array.limit;
  const weir_bucket empty = { .count = 0 };
  weir_bucket *from, old;
  if (fresh > head->mask) head->mask = head->mask << 1 | 1;
  *(weir_bucket *)weir_array_at(&index->array, fresh) = empty;
  if (!fresh) return;
  from = bucket_edit(index, fresh & head->mask >> 1);
  old = *from;
  *from = empty;
  for (uint32_t i = 0; i < old.count; i++) put(index, slab, old.slots[i]);
  while ((record = old.more) != 0) {
    old.more = next_of(slab, record, &left);
    put(index, slab, slot_of(slab, record));
  }
}

void weir_index_init(weir_index *index, const weir_memory *memory,
                     unsigned char *region, weir_index_head *head) {
  weir_array_init(&index->array, memory, region, &head->capacity,
                  sizeof(weir_bucket));
  index->head = head;
}

void weir_index_fini(weir_index *index) { weir_array_fini(&index->array); }

static bool is_loaded(const weir_index *index) {
  return index->head->count >= (uint64_t)index->head->used * WEIR_INDEX_LOAD;
}

bool weir_index_reserve(weir_index *index) {
  uint32_t used = index->head->used;
  return !is_loaded(index) || used < index->array.limit ||
         weir_array_grow(&index->array, FIRST_CAPACITY, used + 1);
}

void weir_index_add(weir_index *index, const weir_slab *slab, uint32_t record) {
  if (is_loaded(index)) split(index, slab);
  head_edit(index)->count++;
  put(index, slab, slot_of(slab, record));
}

static bool matches(const weir_slab *slab, uint32_t record, uint32_t owner,
                    const weir_hash *hash) {
  const weir_entry *entry = entry_at(slab, record);
  return weir_hash_equal(&entry->hash, hash) && entry->owner == owner;
}

uint32_t weir_index_find(const weir_index *index, const weir_slab *slab,
                         uint32_t owner, const weir_hash *hash) {
  uint32_t tag = tag_of(owner, hash), record, left = slab->array.limit;
  const weir_bucket *bucket;
  if (!index->head->count) return 0;
  bucket = bucket_of(index, tag);
  for (uint32_t i = 0; i < bucket->count; i++)
    if (bucket->slots[i].tag == tag &&
        matches(slab, bucket->slots[i].record, owner, hash))
      return bucket->slots[i].record;
  record = (bucket->others & bit_of(tag)) ? bucket->more : 0;
  while (record && !matches(slab, record, owner, hash))
    record = next_of(slab, record, &left);
  return record;
}

/* Takes a record out of its bucket's list. */
static void unlink(weir_bucket *bucket, const weir_slab *slab,
                   uint32_t record) {
  uint32_t at = bucket->more, next = entry_at(slab, record)->record.next;
  uint32_t left = slab->array.limit;
  if (at == record) {
    bucket->more = next;
    return;
  }
  while (entry_at(slab, at)->record.next != record)
    at = next_of(slab, at, &left);
  set_next(slab, at, next);
}

/* One that has a slot leaves it to the first of those that have none. */
void weir_index_remove(weir_index *index, const weir_slab *slab,
                       uint32_t record) {
  uint32_t tag = slot_of(slab, record).tag, i = 0;
  weir_bucket *bucket = bucket_edit(index, home_of(index, tag));
  head_edit(index)->count--;
  while (i < bucket->count && bucket->slots[i].record != record) i++;
  if (i < bucket->count) {
    record = bucket->more;
    bucket->slots[i] =
        record ? slot_of(slab, record) : bucket->slots[--bucket->count];
    if (!record) return;
  }
  unlink(bucket, slab, record);
}
