/*
** test_index.c - the table of records beside a naive one, what growing costs
** it, and what it does without memory.
*/
#include <string.h>

#include "check.h"
#include "choices.h"
#include "core/hash.h"
#include "core/index.h"
#include "core/memory.h"
#include "ledger.h"

typedef struct thing { /* a record as the core has them */
  weir_entry entry;
  uint32_t payload; /* so that it is larger than an entry */
} thing;

typedef struct table {
  ledger books; /* the index's; the slab's memory is another matter */
  weir_memory memory;
  weir_index_head head;
  weir_slab slab;
  weir_index index;
} table;

static void table_open(table *t) {
  memset(t, 0, sizeof *t);
  t->memory.allocator = ledger_allocator(&t->books);
  weir_slab_init(&t->slab, &weir_memory_default, NULL, NULL, sizeof(thing));
  weir_index_init(&t->index, &t->memory, NULL, &t->head);
}

static void table_close(table *t) {
  weir_index_fini(&t->index);
  weir_slab_fini(&t->slab);
  CHECK_EQ(t->books.live, 0);
  CHECK_EQ(t->books.wrong_sizes, 0);
}

/* A record that is not yet in the index. */
static uint32_t new_record(table *t, uint32_t owner, weir_hash hash) {
  uint32_t record;
  thing *made;
  CHECK(weir_slab_reserve(&t->slab));
  record = weir_slab_take(&t->slab);
  made = weir_slab_at(&t->slab, record);
  made->entry.hash = hash;
  made->entry.owner = owner;
  made->payload = ~record;
  return record;
}

static uint32_t add(table *t, uint32_t owner, weir_hash hash) {
  uint32_t record = new_record(t, owner, hash);
  CHECK(weir_index_reserve(&t->index));
  weir_index_add(&t->index, &t->slab, record);
  return record;
}

static uint32_t find(const table *t, uint32_t owner, weir_hash hash) {
  return weir_index_find(&t->index, &t->slab, owner, &hash);
}

static void drop(table *t, uint32_t record) {
  const thing *dropped = weir_slab_at(&t->slab, record);
  CHECK_EQ(dropped->payload, ~record);
  weir_index_remove(&t->index, &t->slab, record);
  weir_slab_give(&t->slab, record);
}

static weir_hash hash_of(uint32_t number) {
  static const uint64_t seed[2] = { 1, 2 };
  return weir_hash_bytes(seed, &number, sizeof number);
}

static uint32_t next_of(const table *t, uint32_t record) {
  const thing *at = weir_slab_at(&t->slab, record);
  return at->entry.record.next;
}

static const weir_bucket *bucket_at(const table *t, uint32_t at) {
  return weir_array_at(&t->index.array, at);
}

/* What the buckets are like. */
typedef struct shape {
  uint32_t records; /* in all buckets */
  uint32_t longest; /* records of a bucket that are in no slot */
  double probes;    /* records a find looks at, on average, the right one too */
} shape;

static shape shape_of(const table *t) {
  shape s = { 0, 0, 0 };
  for (uint32_t i = 0; i < t->head.used; i++) {
    const weir_bucket *bucket = bucket_at(t, i);
    uint32_t length = 0, record = bucket->more;
    for (; record; record = next_of(t, record)) s.probes += ++length;
    s.probes += bucket->count;
    s.records += length + bucket->count;
    if (length > s.longest) s.longest = length;
  }
  if (s.records) s.probes /= s.records;
  return s;
}

/* --- few records ---------------------------------------------------------- */

TEST(nothing_is_found_in_an_empty_index) {
  table t;
  table_open(&t);
  CHECK_EQ(find(&t, 1, hash_of(1)), 0);
  CHECK(weir_index_reserve(&t.index));
  CHECK_EQ(find(&t, 1, hash_of(1)), 0);
  drop(&t, add(&t, 1, hash_of(1)));
  CHECK_EQ(find(&t, 1, hash_of(1)), 0);
  CHECK_EQ(t.head.count, 0);
  table_close(&t);
}

TEST(an_index_never_used_has_no_memory) {
  table t;
  table_open(&t);
  CHECK_EQ(t.books.calls, 0);
  table_close(&t);
}

/* A word or the owner alone makes the difference. */
TEST(a_record_is_found_by_all_that_it_is) {
  static const weir_hash hash = { { 5, 6 } }, other = { { 5, 7 } },
                         third = { { 5 + ((uint64_t)1 << 40), 6 } };
  table t;
  uint32_t a, b, c, d;
  table_open(&t);
  a = add(&t, 1, hash);
  b = add(&t, 1, other);
  c = add(&t, 2, hash);
  d = add(&t, 1, third);
  CHECK_EQ(find(&t, 1, hash), a);
  CHECK_EQ(find(&t, 1, other), b);
  CHECK_EQ(find(&t, 2, hash), c);
  CHECK_EQ(find(&t, 1, third), d);
  CHECK_EQ(find(&t, 2, other), 0);
  CHECK_EQ(find(&t, 3, hash), 0);
  table_close(&t);
}

/* First, middle and last of a chain, in each order. */
TEST(any_of_a_chain_can_be_removed) {
  enum { LENGTH = 3, ORDERS = LENGTH * LENGTH };
  for (uint64_t order = 0; order < ORDERS; order++) {
    table t;
    uint64_t first = order % LENGTH, second = order / LENGTH;
    if (first == second) continue;
    table_open(&t);
    for (uint64_t i = 0; i < LENGTH; i++) add(&t, 1, (weir_hash){ { 8, i } });
    drop(&t, find(&t, 1, (weir_hash){ { 8, first } }));
    drop(&t, find(&t, 1, (weir_hash){ { 8, second } }));
    for (uint64_t i = 0; i < LENGTH; i++)
      CHECK_EQ(find(&t, 1, (weir_hash){ { 8, i } }) != 0,
               i != first && i != second);
    CHECK_EQ(shape_of(&t).records, 1);
    table_close(&t);
  }
}

/* --- beside a naive table ------------------------------------------------- */

enum { OWNERS = 5, FIRSTS = 24, SECONDS = 4 };

/* Where each record is that could be; 0: it is not there. */
typedef uint32_t naive[OWNERS][FIRSTS][SECONDS];

/* Every third differs from another only above what can pick a bucket. */
static weir_hash colliding(uint32_t first, uint32_t second) {
  weir_hash hash = { { first, second } };
  if (first % 3 == 0) hash.word[0] = (uint64_t)(first + 1) << 40 | 1;
  return hash;
}

static void agree(check_place place, const table *t, naive model) {
  uint32_t count = 0;
  for (uint32_t o = 0; o < OWNERS; o++)
    for (uint32_t f = 0; f < FIRSTS; f++)
      for (uint32_t s = 0; s < SECONDS; s++) {
        check_equal(place, "find", find(t, o, colliding(f, s)), model[o][f][s]);
        count += model[o][f][s] != 0;
      }
  check_equal(place, "count", t->head.count, count);
  check_equal(place, "records in buckets", shape_of(t).records, count);
}

/* One of them, any: added if `adds` and it is not there, or else removed. */
static void change(table *t, naive model, choices *from, bool adds) {
  uint32_t o = choose(from, OWNERS), f = choose(from, FIRSTS);
  uint32_t s = choose(from, SECONDS), *record = &model[o][f][s];
  CHECK_EQ(find(t, o, colliding(f, s)), *record);
  if (adds == (*record != 0)) return;
  if (adds) {
    *record = add(t, o, colliding(f, s));
  } else {
    drop(t, *record);
    *record = 0;
  }
  CHECK_EQ(find(t, o, colliding(f, s)), *record);
}

/* It fills and empties by turns, so that it grows at every load. */
TEST(it_finds_what_a_naive_table_finds) {
  enum { SEEDS = 20, STEPS = 4000, TURN = 500 };
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    choices from = choices_of_seed(seed);
    naive model = { 0 };
    table t;
    table_open(&t);
    for (uint32_t step = 0; step < STEPS; step++) {
      uint32_t adds_of_8 = step / TURN % 2 ? 2 : 6;
      change(&t, model, &from, choose(&from, 8) < adds_of_8);
      if (step % 50 == 0) agree(HERE, &t, model);
    }
    agree(HERE, &t, model);
    table_close(&t);
  }
}

/* --- many records --------------------------------------------------------- */

enum { MANY = 100000, SCATTER = 61803 }; /* SCATTER has no divisor of MANY */

/* Number i, whose it is and which record it is. */
static uint32_t owner_of(uint32_t i) { return 1 + i % 7; }
static uint32_t found(const table *t, uint32_t i) {
  return find(t, owner_of(i), hash_of(i));
}
static uint32_t scattered(uint32_t i) {
  return (uint32_t)((uint64_t)i * SCATTER % MANY);
}

TEST(a_hundred_thousand_are_found_and_removed) {
  static uint32_t records[MANY];
  table t;
  table_open(&t);
  for (uint32_t i = 0; i < MANY; i++)
    records[i] = add(&t, owner_of(i), hash_of(i));
  for (uint32_t i = 0; i < MANY; i++) CHECK_EQ(found(&t, i), records[i]);
  for (uint32_t i = 0; i < MANY; i++) {
    uint32_t gone = scattered(i);
    drop(&t, records[gone]);
    records[gone] = 0;
    CHECK_EQ(found(&t, gone), 0);
    if (i != MANY / 2) continue;
    for (uint32_t j = 0; j < MANY; j++) CHECK_EQ(found(&t, j), records[j]);
  }
  CHECK_EQ(t.head.count, 0);
  CHECK_EQ(shape_of(&t).records, 0);
  table_close(&t);
}

/* At every size, also between two powers of two. */
TEST(chains_are_short) {
  table t;
  table_open(&t);
  for (uint32_t i = 0; i < MANY; i++) {
    add(&t, owner_of(i), hash_of(i));
    if (i % 5000 != 4999) continue;
    CHECK_EQ(shape_of(&t).records, i + 1);
    CHECK(shape_of(&t).probes < 1.3);
    CHECK(shape_of(&t).longest < 20);
  }
  table_close(&t);
}

static void one_key(uint32_t step) {
  enum { COUNT = 10000 };
  static uint32_t records[COUNT];
  table t;
  table_open(&t);
  for (uint32_t i = 0; i < COUNT; i++)
    records[i] = add(&t, 1 + i * step, hash_of(0));
  for (uint32_t i = 0; i < COUNT; i++)
    CHECK_EQ(find(&t, 1 + i * step, hash_of(0)), records[i]);
  CHECK(shape_of(&t).probes < 3);
  CHECK(shape_of(&t).longest < 20);
  table_close(&t);
}

TEST(one_key_of_many_owners_fills_no_bucket) {
  static const uint32_t steps[] = { 1, 2, 7, 8, 64, 1000, 1024, 65536 };
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) one_key(steps[i]);
}

/* --- growth --------------------------------------------------------------- */

/* How many of the first `count` buckets do not begin as they did. */
static uint32_t changed(const table *t, const weir_bucket *was,
                        uint32_t count) {
  uint32_t changes = 0;
  for (uint32_t i = 0; i < count; i++)
    changes += bucket_at(t, i)->count != was[i].count ||
               bucket_at(t, i)->more != was[i].more;
  return changes;
}

/* The bucket that is split and the one that gets the record. */
TEST(adding_one_touches_two_buckets_at_most) {
  enum { COUNT = 3000 };
  static weir_bucket was[COUNT];
  table t;
  table_open(&t);
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t used = t.head.used;
    if (used) memcpy(was, t.index.array.base, used * sizeof was[0]);
    add(&t, 1, hash_of(i));
    CHECK(t.head.used - used <= 1);
    CHECK(changed(&t, was, used) <= 2);
  }
  table_close(&t);
}

TEST(a_bucket_for_three_records_and_not_much_memory_more) {
  table t;
  table_open(&t);
  for (uint32_t i = 0; i < MANY; i++) {
    add(&t, 1, hash_of(i));
    CHECK_EQ(t.head.used, (i + WEIR_INDEX_LOAD) / WEIR_INDEX_LOAD);
    CHECK(t.books.live <= 192 + 33 * (size_t)t.head.count);
  }
  CHECK(t.books.calls < 30);
  table_close(&t);
}

TEST(records_that_come_and_go_need_no_memory) {
  table t;
  unsigned calls;
  table_open(&t);
  for (uint32_t i = 0; i < 100; i++) add(&t, 1, hash_of(i));
  calls = t.books.calls;
  for (uint32_t i = 0; i < 1000; i++) {
    drop(&t, find(&t, 1, hash_of(i)));
    add(&t, 1, hash_of(i + 100));
  }
  CHECK_EQ(t.books.calls, calls);
  CHECK_EQ(t.head.used, (99 + WEIR_INDEX_LOAD) / WEIR_INDEX_LOAD);
  table_close(&t);
}

TEST(reserving_twice_is_reserving_once) {
  table t;
  table_open(&t);
  for (uint32_t i = 0; i < 1000; i++) {
    unsigned calls;
    CHECK(weir_index_reserve(&t.index));
    calls = t.books.calls;
    CHECK(weir_index_reserve(&t.index));
    add(&t, 1, hash_of(i));
    CHECK_EQ(t.books.calls, calls);
  }
  table_close(&t);
}

/* --- no memory ------------------------------------------------------------ */

/* Asks for room while there is no memory; whether there was room anyway. */
static bool reserve_without_memory(table *t) {
  weir_index_head was = t->head;
  const unsigned char *buckets = t->index.array.base;
  bool fits;
  ledger_fail(&t->books, 1);
  fits = weir_index_reserve(&t->index);
  ledger_recover(&t->books);
  CHECK(t->index.array.base == buckets);
  CHECK_EQ(t->head.capacity, was.capacity);
  CHECK_EQ(t->head.used, was.used);
  CHECK_EQ(t->head.mask, was.mask);
  CHECK_EQ(t->head.count, was.count);
  return fits;
}

TEST(a_failed_reserve_changes_nothing) {
  table t;
  table_open(&t);
  for (uint32_t i = 0; i < 500; i++) {
    if (!reserve_without_memory(&t))
      for (uint32_t j = 0; j < i; j++) CHECK(find(&t, 1, hash_of(j)) != 0);
    add(&t, 1, hash_of(i));
  }
  CHECK(t.books.failed > 5);
  for (uint32_t i = 0; i < 500; i++) CHECK(find(&t, 1, hash_of(i)) != 0);
  table_close(&t);
}

/* What room there is can be filled, also after others have gone. */
TEST(a_reserved_add_needs_no_memory) {
  table t;
  uint32_t i = 0;
  table_open(&t);
  add(&t, 1, hash_of(i++));
  while (reserve_without_memory(&t)) add(&t, 1, hash_of(i++));
  CHECK_EQ(t.head.count, t.head.capacity * WEIR_INDEX_LOAD);
  drop(&t, find(&t, 1, hash_of(0)));
  CHECK(reserve_without_memory(&t));
  add(&t, 1, hash_of(0));
  CHECK(!reserve_without_memory(&t));
  table_close(&t);
}

CHECK_MAIN
