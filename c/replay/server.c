/* server.c - see server.h. */
#include <stdlib.h>

#include "server.h"

static bool grow(weir_replay_times *times) {
  uint32_t room = times->room ? times->room * 2 : 64;
  uint64_t *heap = realloc(times->heap, room * sizeof *heap);
  if (!heap) return false;
  times->heap = heap;
  times->room = room;
  return true;
}

bool weir_replay_times_add(weir_replay_times *times, uint64_t ns) {
  uint32_t at = times->count;
  if (at == times->room && !grow(times)) return false;
  times->count++;
  for (; at > 0 && ns < times->heap[(at - 1) / 2]; at = (at - 1) / 2)
    times->heap[at] = times->heap[(at - 1) / 2];
  times->heap[at] = ns;
  return true;
}

uint64_t weir_replay_times_first(const weir_replay_times *times) {
  return times->count ? times->heap[0] : UINT64_MAX;
}

void weir_replay_times_drop(weir_replay_times *times) {
  uint64_t last = times->heap[--times->count];
  uint32_t at = 0, child;
  for (; (child = 2 * at + 1) < times->count; at = child) {
    if (child + 1 < times->count && times->heap[child + 1] < times->heap[child])
      child++;
    if (times->heap[child] >= last) break;
    times->heap[at] = times->heap[child];
  }
  times->heap[at] = last;
}

void weir_replay_times_free(weir_replay_times *times) {
  free(times->heap);
  *times = (weir_replay_times){ 0 };
}

uint64_t weir_replay_serve(weir_replay_server *server, uint64_t now,
                           uint64_t service_ns) {
  uint64_t begin = now;
  if (!server->capacity) return now + service_ns;
  if (server->places.count == server->capacity) {
    uint64_t free_at = weir_replay_times_first(&server->places);
    if (free_at > now) begin = free_at;
    weir_replay_times_drop(&server->places);
  }
  if (!weir_replay_times_add(&server->places, begin + service_ns))
    return UINT64_MAX;
  return begin + service_ns;
}

void weir_replay_server_free(weir_replay_server *server) {
  weir_replay_times_free(&server->places);
}
