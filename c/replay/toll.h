/*
** toll.h - what became of requests to limiters, for each key.
**
** In memory that does not grow: of too many keys those that were least affected
** are forgotten, and `forgotten` says how many. Should one of them come again,
** it counts from there.
*/
#ifndef WEIR_REPLAY_TOLL_H
#define WEIR_REPLAY_TOLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir.h>

enum {
  WEIR_REPLAY_KEYS = 65536, /* that are known at once */
  WEIR_REPLAY_KEY = 64      /* bytes that are kept of one */
};

typedef struct weir_replay_key {
  uint64_t hash[2];
  const void *space;        /* where the limiter is */
  weir_limiter limiter;     /* 0: the place is free */
  uint64_t at_once, waited; /* admitted */
  uint64_t refused[WEIR_VERDICTS];
  uint64_t wait_ns, longest_ns; /* of those admitted: together, and most */
  uint32_t pending;             /* that are not decided */
  uint32_t next;                /* in the list of free places */
  uint16_t size;                /* bytes of the key */
  char key[WEIR_REPLAY_KEY];    /* as many as are kept */
} weir_replay_key;

typedef struct weir_replay_toll {
  weir_replay_key *keys;
  uint32_t count, used, room; /* keys, places that were used, places */
  uint32_t idle;              /* the first place that is free again */
  uint32_t *index;            /* hash table of places in keys, and one */
  uint32_t index_room;
  uint32_t *waiting; /* by who waits: whose key it is, and one; 0: nobody's */
  uint32_t waiting_room;
  uint64_t forgotten;
  bool no_memory; /* something was not counted */
} weir_replay_toll;

void weir_replay_toll_free(weir_replay_toll *toll);

/* The entry of a key, made if need be; NULL: no memory. Until the next call. */
weir_replay_key *weir_replay_toll_key(weir_replay_toll *toll, const void *space,
                                      weir_limiter limiter, const void *key,
                                      size_t size);

/* A request of that key was decided at once. */
void weir_replay_toll_tell(weir_replay_key *key, weir_verdict verdict,
                           uint64_t waited_ns);

/* `who`, a small number, waits in the name of a key; or it was decided. */
void weir_replay_toll_wait(weir_replay_toll *toll, weir_replay_key *key,
                           uint32_t who);
void weir_replay_toll_end(weir_replay_toll *toll, uint32_t who,
                          weir_verdict verdict, uint64_t waited_ns);

/* How much a key was affected: all that were refused or had to wait. */
uint64_t weir_replay_toll_of(const weir_replay_key *key);

/* All keys, toll->count of them, those that were affected most first. */
void weir_replay_toll_sort(const weir_replay_toll *toll,
                           const weir_replay_key **out);

#endif
