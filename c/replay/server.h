/*
** server.h - how long requests take, and how many are in a server at once.
**
** A server has `capacity` places; who finds none free waits for one, first come
** first served. With capacity 0 there are as many as it takes.
*/
#ifndef WEIR_REPLAY_SERVER_H
#define WEIR_REPLAY_SERVER_H

#include <stdbool.h>
#include <stdint.h>

/* Times, the earliest first. */
typedef struct weir_replay_times {
  uint64_t *heap;
  uint32_t count, room;
} weir_replay_times;

typedef struct weir_replay_server {
  uint32_t capacity;
  weir_replay_times places; /* when each will be free */
} weir_replay_server;

/* false: no memory. */
bool weir_replay_times_add(weir_replay_times *times, uint64_t ns);

/* The earliest; UINT64_MAX: there is none. */
uint64_t weir_replay_times_first(const weir_replay_times *times);
void weir_replay_times_drop(weir_replay_times *times);
void weir_replay_times_free(weir_replay_times *times);

/* When a request that comes now will be served; UINT64_MAX: no memory. */
uint64_t weir_replay_serve(weir_replay_server *server, uint64_t now,
                           uint64_t service_ns);
void weir_replay_server_free(weir_replay_server *server);

/* A random number; SplitMix64, by its formula. */
static inline uint64_t weir_replay_random(uint64_t *state) {
  uint64_t mixed = *state += 0x9E3779B97F4A7C15u;
  mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
  return mixed ^ mixed >> 31;
}

#endif
