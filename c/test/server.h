/*
** server.h - a simulated server behind an adaptive limit, in virtual time, and
** under steady overload: whatever the limit admits is there at once.
**
**   server s;
**   server_open(&s, &adaptive, (server_nature){ SERVER_STEEP, 40, MS(50) }, 1);
**   server_report r = server_run(&s, SECONDS(10));
*/
#ifndef WEIR_TEST_SERVER_H
#define WEIR_TEST_SERVER_H

#include "choices.h"
#include "core/tuner.h"

enum { SERVER_ROOM = 1024 }; /* permits; a limit beyond is not used up */

typedef enum server_slope {
  SERVER_STEEP,    /* base x (1 + 5 x the part above the knee) */
  SERVER_DROPPING, /* the same, but above 1.1 x knee requests fail at once */
  SERVER_SHARING   /* base x in-use / knee, from the knee on */
} server_slope;

typedef struct server_nature {
  server_slope slope;
  uint32_t knee;    /* requests that are served without queueing */
  uint64_t base_ns; /* latency up to the knee */
  bool wild;        /* latencies vary exponentially; else within 10 % */
} server_nature;

typedef struct server_flight { /* a request under way */
  uint64_t end;                /* ns: when its answer comes */
  uint64_t latency_ns;
  bool dropped;
} server_flight;

typedef struct server_report { /* what happened in a run */
  double limit;                /* average, outside of probes' dips */
  double estimate;             /* average of the limit that probes halve */
  double goodput;              /* requests answered, of those that knee/base
                                  can be, 0 to 1 */
  double dips;                 /* part of the time spent in probes */
  uint32_t dropped;            /* requests */
  uint32_t low, high;          /* of the limit, in probes and outside */
} server_report;

typedef struct server {
  weir_adaptive adaptive;             /* complete */
  weir_tuner tuner;                   /* the limit under test */
  server_nature nature;               /* may be changed between runs */
  choices random;                     /* noise */
  uint64_t now;                       /* ns, virtual */
  uint32_t demand;                    /* the most that want in; 0: no bound */
  uint32_t serving;                   /* requests under way and not failing */
  uint32_t in_use;                    /* requests under way: a heap of them */
  server_flight flights[SERVER_ROOM]; /* whose first is the next to end */
} server;

void server_open(server *s, const weir_adaptive *adaptive, server_nature nature,
                 uint64_t seed);

server_report server_run(server *s, uint64_t ns);

#endif
