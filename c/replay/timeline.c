/* timeline.c - see timeline.h. */
#include <string.h>

#include "timeline.h"

/* The bucket that begins now: its levels are what they are. */
static void begin(weir_replay_timeline *timeline) {
  weir_replay_bucket *bucket = &timeline->buckets[timeline->used++];
  memset(bucket->counts, 0, sizeof bucket->counts);
  memcpy(bucket->levels, timeline->now, sizeof bucket->levels);
}

void weir_replay_timeline_init(weir_replay_timeline *timeline,
                               uint64_t width_ns) {
  memset(timeline, 0, sizeof *timeline);
  timeline->width_ns = width_ns;
  begin(timeline);
}

uint64_t weir_replay_timeline_end(const weir_replay_timeline *timeline) {
  return timeline->width_ns * timeline->used;
}

static void join(weir_replay_bucket *into, const weir_replay_bucket *a,
                 const weir_replay_bucket *b) {
  for (int i = 0; i < WEIR_REPLAY_COUNTS; i++)
    into->counts[i] = a->counts[i] + b->counts[i];
  for (int i = 0; i < WEIR_REPLAY_LEVELS; i++)
    into->levels[i] = a->levels[i] > b->levels[i] ? a->levels[i] : b->levels[i];
}

/* There is an even number of them. */
static void halve(weir_replay_timeline *timeline) {
  timeline->used /= 2;
  timeline->width_ns *= 2;
  for (uint32_t i = 0; i < timeline->used; i++)
    join(&timeline->buckets[i], &timeline->buckets[2 * i],
         &timeline->buckets[2 * i + 1]);
}

void weir_replay_timeline_move(weir_replay_timeline *timeline, uint64_t now) {
  while (now >= weir_replay_timeline_end(timeline)) {
    if (timeline->used == WEIR_REPLAY_BUCKETS) halve(timeline);
    if (now < weir_replay_timeline_end(timeline)) return;
    begin(timeline);
  }
}
