/*
** replay.h - what the files of `weir.replayer` share.
**
** A replayer takes requests out of access logs and runs a policy's handler for
** each in virtual time. A request is a task; while it is being served it waits
** in req:proceed for the time that its service takes.
*/
#ifndef WEIR_BIND_REPLAY_H
#define WEIR_BIND_REPLAY_H

#include "../core/histogram.h"
#include "../replay/feed.h"
#include "../replay/server.h"
#include "../replay/timeline.h"
#include "../replay/toll.h"
#include "bind.h"

/* What became of a request. */
typedef enum replay_end {
  REPLAY_PASSED,   /* it was served */
  REPLAY_REFUSED,  /* by a limiter */
  REPLAY_ANSWERED, /* by the policy itself, with req:refuse */
  REPLAY_FAILED,   /* the handler has an error */
  REPLAY_ENDS      /* how many there are */
} replay_end;

enum {
  REPLAY_STATUSES = 600,
  REPLAY_ERRORS = 5,
  REPLAY_VARIABLES = 6 /* that policies ask for often */
};

/* Where these are in the lines of a log. */
typedef struct replay_map {
  uint16_t fields[REPLAY_VARIABLES];
  uint16_t count; /* fields that the log's format had then */
} replay_map;

/* A request that is there, by the id of its record. */
typedef struct replay_request {
  uint64_t arrived;    /* ns of virtual time, as all times here */
  uint64_t began;      /* when it was let through, if it was */
  uint64_t service_ns; /* how long serving it takes */
  uint32_t generation; /* of who has this id */
  uint8_t end;         /* replay_end; if handled */
  uint8_t verdict;     /* REFUSED */
  uint16_t status;     /* REFUSED, ANSWERED */
  bool let_through;
  bool served;  /* let through, and over */
  bool handled; /* its handler is over */
  bool active;
} replay_request;

/* In the uservalues of a replayer. */
typedef enum replay_value {
  REPLAY_MAIN = 1, /* the function of the tasks that requests run in */
  REPLAY_KIND,     /* the metatable of requests */
  REPLAY_EACH,     /* is told of each request that is over, or nil */
  REPLAY_MESSAGES, /* the first errors */
  REPLAY_SERVICES, /* keeps what `services` points to */
  REPLAY_VALUES = REPLAY_SERVICES
} replay_value;

typedef struct replayer {
  const void *tag;
  weir_lua *W;
  weir_log_feed *feed; /* NULL: it is closed */
  int sources;
  bind_observer observer;
  weir_log_record *first; /* read to know when the log begins; or NULL */
  uint64_t base;          /* ns since 1970 of virtual time 0 */
  bool begun, over, each;
  replay_request *requests; /* by the id of their records */
  uint32_t room;
  uint32_t active, in_service; /* of them */
  uint32_t starting; /* whose task is to begin, and one; 0: nobody's */
  uint64_t *idle;    /* tasks that have no request: ids of fibers */
  uint32_t idle_count, idle_room;
  replay_map maps[WEIR_LOG_SOURCES];
  const uint64_t *services; /* ns: each is as likely; NULL: as logged */
  uint32_t services_count;
  uint64_t random;
  weir_replay_server server;  /* as the policy uses it ... */
  weir_replay_server without; /* ... and without one */
  weir_replay_times ends;     /* of the requests in `without` */
  weir_replay_timeline timeline;
  weir_replay_toll toll;
  weir_histogram waits; /* from arrival until let through */
  weir_histogram times; /* from arrival until over, of those let through */
  uint64_t arrived, at_once, waited;
  uint64_t ended[REPLAY_ENDS];
  uint64_t refused[WEIR_VERDICTS];
  uint32_t statuses[REPLAY_STATUSES];
  uint64_t errors; /* of tasks that handlers have started, and after proceed */
  uint64_t progress; /* when a request came or was over */
  uint64_t last;     /* arrival */
} replayer;

/* The replayer at stack index 1, which is not closed; raises. */
replayer *replay_check(lua_State *L, const char *who);

/* Virtual time. */
static inline uint64_t replay_now(const replayer *R) {
  return R->W->now - BIND_VIRTUAL_ZERO;
}

/* --- replay_request.c ----------------------------------------------------- */

/* Sets what requests are made of from the options of rp:run at `index`. `self`:
** stack index of the replayer. Raises. */
void replay_prepare(lua_State *L, int self, int index);

/* Has a task begin with a request that has just come. */
void replay_start(lua_State *L, int self, replayer *R,
                  const weir_log_record *record);

/* rp:field(req, name), rp:names(req) */
int replay_field(lua_State *L);
int replay_names(lua_State *L);

/* --- replay_report.c ------------------------------------------------------ */

/* rp:counts(source), rp:results([keys]) */
int replay_counts(lua_State *L);
int replay_results(lua_State *L);

/* Notes the error on top of the stack (popped). `self`: stack index. */
void replay_note_error(lua_State *L, int self);

/* Notes what became of a request. */
void replay_count(replayer *R, const replay_request *request);

#endif
