/*
** feed.h - requests out of access logs, in the order in which they came.
**
** USE
**     weir_log_feed *feed = weir_log_feed_new(&options);
**     int source = weir_log_feed_add(feed, &format);    // one for each log
**     for (;;) {
**       switch (weir_log_feed_next(feed, &record, &source)) {
**       case WEIR_LOG_RECORD: use(record);
**                             weir_log_feed_release(feed, record); break;
**       case WEIR_LOG_HUNGRY: weir_log_feed_bytes(feed, source, ...);
**                             // or weir_log_feed_end(feed, source)
**
**   The logs are merged: they may be those of several servers, or one log's old
**   and new files in any order.
**
** TIME
**   A request comes when its line says that it began, or that it ended, less
**   the time that it took. Times without a fraction are spread: the n lines of
**   one second come 1/n of a second after each other, in their order.
**
** BOUNDS
**   Of each log as many lines are held as `window_ns` needs, and of one whose
**   lines tell of a request's end and of the time that it took as many as the
**   `lookback_ns` before needs; at most twice `held`. A line that comes later
**   than that comes late: `late` counts it, and its arrival is that of the one
**   before.
**
** OWNERSHIP
**   A record is the caller's from next until release; the feed's memory.
*/
#ifndef WEIR_LOG_FEED_H
#define WEIR_LOG_FEED_H

#include "line.h"
#include "window.h"

enum {
  WEIR_LOG_SOURCES = 256, /* logs */
  WEIR_LOG_EXAMPLES = 5,  /* bad lines that are kept, of each log */
  WEIR_LOG_EXCERPT = 160  /* bytes of one */
};

/* A line that was read. */
typedef struct weir_log_record {
  uint64_t arrival_ns; /* since 1970 */
  uint64_t service_ns; /* that it took, if has_service */
  uint64_t number;     /* of the line in its log, from 1 */
  uint32_t id;         /* small, and its own while it is held */
  uint32_t next;       /* the feed's */
  uint32_t room;       /* bytes that there are for the line */
  uint16_t size;       /* of the line */
  uint16_t status;     /* 0: not known */
  uint16_t source;
  bool has_service, late;
  uint64_t time_ns;  /* the feed's: as logged */
  bool ended, exact; /* the feed's */
  uint16_t count;    /* of fields */
  weir_log_span method, uri, version;
  weir_log_span fields[WEIR_LOG_FIELDS]; /* as many as there were in its line;
                                            behind them the line itself */
} weir_log_record;

typedef struct weir_log_options {
  uint64_t window_ns;   /* how far lines are out of order */
  uint64_t lookback_ns; /* how long requests take that are not late */
  uint32_t held;        /* lines at most, twice, of each log; 0: 32,768 */
  bool spread;          /* times without a fraction */
  bool strict;          /* stop at the first bad line */
} weir_log_options;

typedef struct weir_log_example {
  uint64_t number;             /* of the line, from 1 */
  uint32_t at;                 /* byte of the line, from 0 */
  const char *why;             /* static */
  uint32_t size;               /* of the text */
  char text[WEIR_LOG_EXCERPT]; /* where the line begins */
} weir_log_example;

typedef struct weir_log_counts {
  uint64_t lines, bytes; /* empty lines are none */
  uint64_t bad;          /* skipped: not as the format says */
  uint64_t none;         /* skipped: of no request */
  uint64_t late;         /* came too late to be put in order */
  uint64_t timeless;     /* do not say how long the request took */
  uint64_t spread;       /* had no fraction of a second */
  uint32_t examples;
  weir_log_example example[WEIR_LOG_EXAMPLES];
} weir_log_counts;

typedef enum weir_log_state {
  WEIR_LOG_RECORD,
  WEIR_LOG_HUNGRY, /* *source wants bytes, or its end */
  WEIR_LOG_OVER,
  WEIR_LOG_STOPPED, /* strict: *source has a bad line, its last example */
  WEIR_LOG_NO_MEMORY
} weir_log_state;

typedef struct weir_log_feed weir_log_feed;

/* NULL: no memory. */
weir_log_feed *weir_log_feed_new(const weir_log_options *options);
void weir_log_feed_free(weir_log_feed *feed);

/* A log of this format, which is copied. Answers its number, or -1: no memory,
** or there are too many. */
int weir_log_feed_add(weir_log_feed *feed, const weir_log_format *format);

/* The next bytes of a log, of any size. false: no memory. */
bool weir_log_feed_bytes(weir_log_feed *feed, int source, const char *bytes,
                         size_t size);

/* There are no more; the last line may lack its end. false: no memory. */
bool weir_log_feed_end(weir_log_feed *feed, int source);

/* The next request. */
weir_log_state weir_log_feed_next(weir_log_feed *feed, weir_log_record **out,
                                  int *source);

void weir_log_feed_release(weir_log_feed *feed, weir_log_record *record);

/* The held record of that id. */
weir_log_record *weir_log_feed_record(const weir_log_feed *feed, uint32_t id);

const weir_log_counts *weir_log_feed_counts(const weir_log_feed *feed,
                                            int source);

/* The format of a log, with all names that its lines have taught it. */
const weir_log_format *weir_log_feed_format(const weir_log_feed *feed,
                                            int source);

static inline const char *weir_log_text(const weir_log_record *record) {
  return (const char *)&record->fields[record->count];
}

#endif
