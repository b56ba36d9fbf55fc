/*
** nodes.h - a floor under keys: the hash table that most C programs have,
** with a rate in each of its nodes.
**
** Chains of nodes from the heap that have their key with them, and compare it.
** As many buckets as nodes, a power of two, which doubles. A key stays for
** good.
*/
#ifndef WEIR_BENCH_NODES_H
#define WEIR_BENCH_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct node {
  struct node *next;
  uint64_t hash;
  uint64_t tat; /* ns */
  size_t size;  /* of the key, bytes */
  char key[];
} node;

typedef struct nodes {
  node **buckets;
  size_t mask;    /* buckets - 1 */
  size_t count;   /* nodes */
  uint64_t step;  /* ns that a token takes */
  uint64_t spare; /* ns that a tat may be ahead, and leave room for one */
} nodes;

enum { NODES_FIRST = 16 }; /* buckets */

static inline bool nodes_init(nodes *n, uint64_t step, uint32_t burst) {
  n->buckets = calloc(NODES_FIRST, sizeof *n->buckets);
  n->mask = NODES_FIRST - 1;
  n->count = 0;
  n->step = step;
  n->spare = step * (burst - 1);
  return n->buckets != NULL;
}

static inline void nodes_fini(nodes *n) {
  for (size_t i = 0; i <= n->mask; i++)
    while (n->buckets[i]) {
      node *next = n->buckets[i]->next;
      free(n->buckets[i]);
      n->buckets[i] = next;
    }
  free(n->buckets);
}

/* Where the link to a key's node is, or would be. */
static inline node **nodes_find(const nodes *n, uint64_t hash, const char *key,
                                size_t size) {
  node **link = &n->buckets[hash & n->mask];
  while (*link && ((*link)->hash != hash || (*link)->size != size ||
                   memcmp((*link)->key, key, size) != 0))
    link = &(*link)->next;
  return link;
}

static inline bool nodes_double(nodes *n) {
  size_t mask = n->mask * 2 + 1;
  node **buckets = calloc(mask + 1, sizeof *buckets);
  if (!buckets) return false;
  for (size_t i = 0; i <= n->mask; i++)
    for (node *at = n->buckets[i], *next; at; at = next) {
      next = at->next;
      at->next = buckets[at->hash & mask];
      buckets[at->hash & mask] = at;
    }
  free(n->buckets);
  n->buckets = buckets;
  n->mask = mask;
  return true;
}

static inline node *nodes_add(nodes *n, uint64_t hash, const char *key,
                              size_t size) {
  node *made = malloc(sizeof *made + size), **bucket;
  if (!made || (n->count > n->mask && !nodes_double(n))) {
    free(made);
    return NULL;
  }
  bucket = &n->buckets[hash & n->mask];
  *made = (node){ .next = *bucket, .hash = hash, .tat = 0, .size = size };
  memcpy(made->key, key, size);
  *bucket = made;
  n->count++;
  return made;
}

/* Takes a token of a key; false: there is none, or no memory for a new key. */
static inline bool nodes_take(nodes *n, uint64_t hash, const char *key,
                              size_t size, uint64_t now) {
  node *found = *nodes_find(n, hash, key, size);
  if (!found) found = nodes_add(n, hash, key, size);
  if (!found) return false;
  if (found->tat < now) found->tat = now;
  if (found->tat - now > n->spare) return false;
  found->tat += n->step;
  return true;
}

#endif
