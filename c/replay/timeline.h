/*
** timeline.h - what went on when, in memory that does not grow.
**
** Time is cut into equal buckets, at most WEIR_REPLAY_BUCKETS of them; when one
** more would be needed, two of them become one. Of what is counted a bucket has
** the sum, of what has a level the highest that it had in the bucket's time.
*/
#ifndef WEIR_REPLAY_TIMELINE_H
#define WEIR_REPLAY_TIMELINE_H

#include <stdint.h>

enum { WEIR_REPLAY_BUCKETS = 512 }; /* even */

typedef enum weir_replay_count {
  WEIR_REPLAY_ARRIVED,
  WEIR_REPLAY_REFUSED,
  WEIR_REPLAY_COUNTS
} weir_replay_count;

typedef enum weir_replay_level {
  WEIR_REPLAY_IN_FLIGHT, /* requests that are being served */
  WEIR_REPLAY_WAITING,   /* requests that wait to be */
  WEIR_REPLAY_WITHOUT,   /* that would be being served without a policy */
  WEIR_REPLAY_LEVELS
} weir_replay_level;

typedef struct weir_replay_bucket {
  uint64_t counts[WEIR_REPLAY_COUNTS];
  uint32_t levels[WEIR_REPLAY_LEVELS];
} weir_replay_bucket;

typedef struct weir_replay_timeline {
  uint64_t width_ns; /* of a bucket */
  uint32_t used;     /* buckets; the last is that of now */
  uint32_t now[WEIR_REPLAY_LEVELS];
  uint32_t highest[WEIR_REPLAY_LEVELS];
  weir_replay_bucket buckets[WEIR_REPLAY_BUCKETS];
} weir_replay_timeline;

/* All zero, and buckets of this width to begin with. */
void weir_replay_timeline_init(weir_replay_timeline *timeline,
                               uint64_t width_ns);

/* When the bucket after that of now begins, as ns since the timeline did. */
uint64_t weir_replay_timeline_end(const weir_replay_timeline *timeline);

/* Makes it be now. Time goes forward. */
void weir_replay_timeline_move(weir_replay_timeline *timeline, uint64_t now);

static inline void weir_replay_timeline_add(weir_replay_timeline *timeline,
                                            weir_replay_count count) {
  timeline->buckets[timeline->used - 1].counts[count]++;
}

static inline void weir_replay_timeline_set(weir_replay_timeline *timeline,
                                            weir_replay_level level,
                                            uint32_t value) {
  weir_replay_bucket *bucket = &timeline->buckets[timeline->used - 1];
  timeline->now[level] = value;
  if (value > bucket->levels[level]) bucket->levels[level] = value;
  if (value > timeline->highest[level]) timeline->highest[level] = value;
}

#endif
