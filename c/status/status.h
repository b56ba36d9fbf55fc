/*
** status.h - what a status has read. Nothing in it points into a space.
*/
#ifndef WEIR_STATUS_STATUS_H
#define WEIR_STATUS_STATUS_H

#include <weir_shared.h>
#include <weir_status.h>

#include "writer.h"

enum {
  WEIR_STATUS_TOP = 10,    /* keys, waiters and holders that are told of */
  WEIR_STATUS_HANDS = 16,  /* ports that are told to hold a waiter's key */
  WEIR_STATUS_BOUNDS = 43, /* of waits in the JSON ... */
  WEIR_STATUS_LE = 15,     /* ... and in the metrics */
  WEIR_STATUS_NAME = 200   /* bytes of a name, with U+FFFD for its bad bytes */
};

extern const uint64_t weir_status_bounds_ns[WEIR_STATUS_BOUNDS];
extern const uint64_t weir_status_le_ns[WEIR_STATUS_LE];

/* Who holds some of what a waiter waits for. */
typedef struct weir_status_hand {
  uint32_t port; /* number of one of the process' ports */
  uint32_t pid;  /* 0: not known */
  uint64_t permits;
  uint64_t since; /* ns: of the one that is held longest */
} weir_status_hand;

/* All who hold of it, the longest first. */
typedef struct weir_status_hands {
  uint32_t count;
  weir_status_hand list[WEIR_STATUS_HANDS];
} weir_status_hands;

/* A ticket. */
typedef struct weir_status_one {
  weir_ticket_info info;
  uint64_t age_ns;
  uint32_t pid; /* 0: not known */
} weir_status_one;

/* How long the admitted of a limiter waited. */
typedef struct weir_status_waits {
  uint64_t counts[WEIR_STATUS_BOUNDS]; /* at most so long */
  uint64_t below[WEIR_STATUS_LE];      /* likewise */
  uint64_t sum_ns;
  uint64_t count;
} weir_status_waits;

/* A limiter. */
typedef struct weir_status_row {
  uint32_t space; /* index of its space */
  weir_limiter limiter;
  char name[WEIR_STATUS_NAME + 1];
  weir_config config;
  weir_stats stats;
  weir_status_waits waits;
  uint32_t keys, waiters, holders; /* how many there are below */
  weir_key_info key[WEIR_STATUS_TOP];
  weir_status_one waiter[WEIR_STATUS_TOP];
  weir_status_one holder[WEIR_STATUS_TOP];
  weir_status_hands hands[WEIR_STATUS_TOP]; /* of each waiter */
} weir_status_row;

typedef struct weir_status_space {
  char name[WEIR_STATUS_NAME + 1]; /* "": one's own */
  weir_shared_use use;             /* all zero: likewise */
} weir_status_space;

/* The counters of a limiter, by what it is called. */
typedef struct weir_status_sum {
  weir_limiter limiter; /* 0: of limiters that are no more */
  char space[WEIR_STATUS_NAME + 1];
  char name[WEIR_STATUS_NAME + 1];
  uint64_t admitted, dropped, unused;
  uint64_t refused[WEIR_VERDICTS], would[WEIR_VERDICTS];
  uint64_t below[WEIR_STATUS_LE], wait_ns, waits;
  /* now: */
  uint64_t limit, in_use, waiting, keys;
} weir_status_sum;

typedef struct weir_status_sums {
  weir_status_sum *list;
  size_t count;
} weir_status_sums;

struct weir_status {
  uint32_t records; /* that a read looks at; see weir_status_bound */
  bool cut;         /* there were more */
  uint64_t now;     /* ns: of the last read */
  weir_status_space *spaces;
  uint32_t space_count;
  weir_status_row *rows;
  uint32_t row_count;
  weir_status_sums last; /* what was read before the last clear */
  weir_status_sums gone; /* what was of limiters that are no more */
  weir_writer text;
};

/* Writes what was read. */
void weir_status_json(const weir_status *status, weir_writer *out);
void weir_status_metrics(weir_status *status, weir_writer *out);
void weir_status_page(weir_writer *out);

/* Takes the counters of what was read for those that count on from; false: no
** memory, and they begin anew. */
bool weir_status_remember(weir_status *status);

/* The list with room for one more record; NULL: no memory, and the list is as
** it was. */
void *weir_status_grow(void *list, uint32_t count, size_t size);

#endif
