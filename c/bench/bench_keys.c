/*
** bench_keys.c - a million keys, each with a rate and permits of its own,
** beside the floors of nodes.h and table.h: see bench.h. Every key is of the
** same limiter. Time is virtual, and so slow that no key is idle, but where
** keys come and go.
*/
#include <unistd.h>

#include "bench.h"
#include "core/hash.h"
#include "nodes.h"
#include "table.h"

enum {
  KEYS = 1000000,
  CHURN = 2000000, /* keys that come and go, of which KEYS are there at once */
  PASSES = 2,      /* over all keys, in random order */
  ROUNDS = 3,      /* of inserting all keys, for what each takes */
  PERMITS = 10,
  RATE = 10, /* tokens a second, and burst */
  STEP_NS = 10,
  S_TO_NS = 1000000000,
  IDLE_NS = S_TO_NS / RATE /* after one token a key is idle again */
};

/* --- keys ----------------------------------------------------------------- */

typedef struct key {
  char text[15];
  uint8_t size;
} key;

static key nth_key(uint32_t n) {
  key k;
  k.size = (uint8_t)snprintf(k.text, sizeof k.text, "user:%u", 100000 + n);
  return k;
}

static key *new_keys(uint32_t count) {
  key *keys = calloc(count, sizeof *keys);
  check(keys);
  for (uint32_t i = 0; i < count; i++) keys[i] = nth_key(i);
  return keys;
}

/* rand is not seeded, so the order is the same in every run. */
static void shuffle(key *keys, uint32_t count) {
  for (uint32_t i = count - 1; i > 0; i--) {
    uint32_t j = (uint32_t)rand() % (i + 1);
    key k = keys[i];
    keys[i] = keys[j];
    keys[j] = k;
  }
}

/* --- weir and its floors -------------------------------------------------- */

typedef struct user {
  world w;        /* weir's */
  table t;        /* a floor's */
  nodes n;        /* another one's */
  uint64_t *ring; /* hashes of the newest KEYS keys, the others are to be
                     removed; NULL: none are */
  uint64_t now;   /* ns */
  uint32_t next;  /* place in the ring */
} user;

typedef void asker(user *u, const key *k);

static void ask_weir(user *u, const key *k) {
  weir_request request = { .key = k->text, .key_size = k->size };
  weir_ticket ticket;
  check(!weir_acquire(u->w.port, u->w.limiter, &request, u->now, &ticket));
  weir_release(u->w.port, ticket, WEIR_DONE, u->now);
}

static void ask_table(user *u, uint64_t hash) {
  if (u->ring) {
    table_remove(&u->t, u->ring[u->next]);
    u->ring[u->next] = hash;
    u->next = u->next + 1 == KEYS ? 0 : u->next + 1;
  }
  check(table_take(&u->t, hash, u->now));
}

/* What weir hashes with. */
static uint64_t sip_of(const key *k) {
  static const uint64_t seed[2] = { 0, 0 };
  return weir_hash_bytes(seed, k->text, k->size).word[0];
}

/* Slots that know no key. */
static void ask_sip(user *u, const key *k) { ask_table(u, sip_of(k)); }

/* Chains of nodes with their key. */
static void ask_nodes(user *u, const key *k) {
  check(nodes_take(&u->n, sip_of(k), k->text, k->size, u->now));
}

/* The slots with a hash that is fast, and that a stranger can make collide. */
static void ask_fast(user *u, const key *k) {
  uint64_t first, last;
  memcpy(&first, k->text, sizeof first);
  memcpy(&last, k->text + k->size - sizeof last, sizeof last);
  first = (first ^ k->size) * 0x9E3779B97F4A7C15u;
  first = (first ^ first >> 32 ^ last) * 0xD6E8FEB86659FD93u;
  ask_table(u, first ^ first >> 32);
}

static user new_user(void) {
  weir_config config = WEIR_CONFIG_INIT;
  user u = { .ring = NULL };
  config.concurrent = PERMITS;
  config.rate.count = config.rate.burst = RATE;
  config.rate.per_ns = S_TO_NS;
  config.keys = KEYS;
  u.w = new_world(&config);
  check(table_init(&u.t, IDLE_NS, RATE));
  check(nodes_init(&u.n, IDLE_NS, RATE));
  return u;
}

static void free_user(user *u) {
  free_world(&u->w);
  table_fini(&u->t);
  nodes_fini(&u->n);
  free(u->ring);
}

/* What it takes to ask for each of these keys, in ns each. */
static double ask_all(user *u, asker *ask, const key *keys, uint32_t count,
                      uint32_t step_ns) {
  clock_t start = clock();
  for (uint32_t i = 0; i < count; i++, u->now += step_ns) ask(u, &keys[i]);
  return ns_since(start, count);
}

/* --- what is measured ----------------------------------------------------- */

static double insert(asker *ask) {
  user u = new_user();
  key *keys = new_keys(KEYS);
  double ns = ask_all(&u, ask, keys, KEYS, STEP_NS);
  free(keys);
  free_user(&u);
  return ns;
}

static double hit(asker *ask) {
  user u = new_user();
  key *keys = new_keys(KEYS);
  double ns = 0;
  ask_all(&u, ask, keys, KEYS, STEP_NS);
  shuffle(keys, KEYS);
  for (int i = 0; i < PASSES; i++)
    ns += ask_all(&u, ask, keys, KEYS, STEP_NS) / PASSES;
  free(keys);
  free_user(&u);
  return ns;
}

/* As many keys come as are idle again: a new one takes the oldest's place. */
static double churn(asker *ask) {
  user u = new_user();
  key *keys = new_keys(KEYS + CHURN);
  double ns;
  u.ring = calloc(KEYS, sizeof *u.ring);
  check(u.ring);
  ask_all(&u, ask, keys, KEYS, IDLE_NS / KEYS);
  ns = ask_all(&u, ask, keys + KEYS, CHURN, IDLE_NS / KEYS);
  free(keys);
  free_user(&u);
  return ns;
}

/* The second number of this file is VmRSS, in pages. */
static double resident(void) {
  char text[64] = "";
  const char *pages;
  FILE *file = fopen("/proc/self/statm", "r");
  check(file && fgets(text, sizeof text, file));
  fclose(file);
  pages = strchr(text, ' ');
  check(pages);
  return (double)strtol(pages, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static double bytes(asker *ask) {
  user u = new_user();
  key *keys = new_keys(KEYS);
  double before = resident(), after;
  ask_all(&u, ask, keys, KEYS, STEP_NS);
  after = resident();
  free(keys);
  free_user(&u);
  return (after - before) / KEYS;
}

static uint32_t ns_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint32_t)t.tv_sec * S_TO_NS + (uint32_t)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const uint32_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* Notes what each insertion takes, unless it took less before. */
static void time_each(asker *ask, const key *keys, uint32_t *spent) {
  user u = new_user();
  for (uint32_t i = 0; i < KEYS; i++, u.now += STEP_NS) {
    uint32_t start = ns_now(), took;
    ask(&u, &keys[i]);
    took = ns_now() - start;
    if (took < spent[i]) spent[i] = took;
  }
  free_user(&u);
}

/* What the `rank`th slowest of all insertions takes, in ns of real time; the
** best of some rounds, for each: what the machine does besides is left out. */
static double slowest(asker *ask, uint32_t rank) {
  static uint32_t spent[KEYS];
  key *keys = new_keys(KEYS);
  memset(spent, 0xFF, sizeof spent);
  for (int i = 0; i < ROUNDS; i++) time_each(ask, keys, spent);
  qsort(spent, KEYS, sizeof *spent, compare);
  free(keys);
  return spent[KEYS - rank];
}

static double longest(asker *ask) { return slowest(ask, 1); }
static double tail(asker *ask) { return slowest(ask, KEYS / 10000); }

/* --- what there is -------------------------------------------------------- */

static const struct {
  const char *name;
  asker *ask;
} users[] = { { "weir", ask_weir },
              { "sip", ask_sip },
              { "fast", ask_fast },
              { "nodes", ask_nodes } };

static const struct {
  const char *name;
  double (*run)(asker *ask);
} benches[] = {
  { "insert", insert }, { "hit", hit },         { "churn", churn },
  { "bytes", bytes },   { "longest", longest }, { "tail", tail },
};

static double (*find_bench(const char *name))(asker *) {
  for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
    if (strcmp(benches[i].name, name) == 0) return benches[i].run;
  return NULL;
}

static asker *find_user(const char *name) {
  for (size_t i = 0; i < sizeof users / sizeof *users; i++)
    if (strcmp(users[i].name, name) == 0) return users[i].ask;
  return NULL;
}

int main(int argc, char **argv) {
  asker *ask = argc == 3 ? find_user(argv[1]) : NULL;
  double (*run)(asker *) = ask ? find_bench(argv[2]) : NULL;
  if (run) return printf("%f\n", run(ask)) < 0;
  fputs("usage: bench_keys USER NAME\n", stderr);
  return 2;
}
