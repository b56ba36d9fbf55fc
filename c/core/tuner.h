/*
** tuner.h - an adaptive limit: one number, moved by what permits tell about the
** work done under them.
**
** Update rules and defaults are those of Netflix's concurrency-limits (AIMD,
** Vegas, Gradient2). As there, samples are gathered into windows and a rule is
** applied once a window, so a burst of drops is one step back. A window lasts
** two of its average latencies, at most 1 s, and 10 samples. What is ours:
**
** DRAINED PROBES
**   Vegas and Gradient2 compare a latency with the baseline, that of work which
**   did not queue. As published they measure it under the load of the moment: a
**   steady overload raises the baseline to what its queue makes of it, that
**   raises the limit, that the queue, and so on without end. Here only samples
**   from without a queue tell the baseline. When a probe is due, the tuner
**
**     drains    halves the limit, until in-use has come down to it,
**     settles   until those who had begun before have left, too,
**     measures  for one latency: that is the baseline, and
**     refills   the limit returns; a latency later samples count again.
**
**   With even latencies this takes 2.5 of them, and every 30 x limit x 0.5..1
**   samples there is a probe (at first at once, then after 2, 4, ... x limit):
**   5 % of the throughput of a server that is never idle. Work that never uses
**   half of the limit is measured all the time and needs no probes.
**
**   The baseline is the mean over some probes (Vegas: 100 samples, Gradient2:
**   half of long_window, the centre of its exponential average), so that
**   uneven latencies do not throw it about. One that is off by half, in 50
**   samples, replaces it.
**
**   If half of the limit takes half of the latency, it gets as much done, and
**   becomes the limit. So a limit far above what the server can do comes down
**   by halves, where its own latency at half would be no baseline.
**
** OTHER DEPARTURES
**   Vegas does not take the least latency of all windows for its baseline.
**   Gradient2 takes a drop for a gradient of 0.5, and lets nothing queue then;
**   the published one ignores drops, and so grows without end where a server
**   that is full fails fast.
**   The lower bound is `min` for all.
**
** Pure functions of the state and the time. A time that goes backwards begins
** the current window or step of a probe anew.
*/
#ifndef WEIR_CORE_TUNER_H
#define WEIR_CORE_TUNER_H

#include <weir.h>

/* Invariant: min <= limit <= max. */
typedef struct weir_tuner {
  double limit;      /* permits, as estimated; a probe does not change it */
  double baseline;   /* ns: latency without a queue; 0: none measured */
  double latency;    /* ns: average of the last window; 0: none measured */
  double before;     /* ns: average of the window before that */
  double sum;        /* ns: latencies in this window */
  uint64_t since;    /* ns: when this window or step of a probe began */
  uint64_t last;     /* ns: when the last sample came */
  uint32_t finished; /* samples in this window that were not drops */
  uint32_t dropped;  /* samples in this window that were */
  uint32_t in_use;   /* permits: the most in use in this window */
  uint32_t left;     /* samples until the next probe */
  uint32_t known;    /* samples in the baseline */
  uint32_t awaited;  /* samples, by this step of a probe */
  uint8_t phase;     /* of probing; see tuner.c */
  uint8_t rounds;    /* samples between probes, as a multiple of the limit */
  bool light;        /* less than half of the limit was used in the window
                        before this one */
} weir_tuner;

/* What is wrong with it, as a static sentence; NULL: nothing, also for one that
** is STATIC. */
const char *weir_adaptive_check(const weir_adaptive *adaptive);

/* The same with every default filled in; a default gives way to what was said:
** max to min, initial to both. It must have passed the check. */
weir_adaptive weir_adaptive_complete(const weir_adaptive *adaptive);

/* In what follows `adaptive` is complete and not STATIC. */
void weir_tuner_init(weir_tuner *tuner, const weir_adaptive *adaptive);

/* Permits that may be in use now: from min to max. It may be less than are in
** use, or than one request asks for: whoever asks for more should go when
** nothing is in use. */
uint32_t weir_tuner_limit(const weir_tuner *tuner,
                          const weir_adaptive *adaptive);

/* One permit came back at `t`: its work took `latency_ns`, with `in_use`
** permits in use (itself included); `dropped`: it failed. */
void weir_tuner_sample(weir_tuner *tuner, const weir_adaptive *adaptive,
                       uint64_t latency_ns, uint32_t in_use, bool dropped,
                       uint64_t t);

/* When a probe is to be given up if no sample comes before: a probe waits for
** permits to come back, and those in use may be held for very long. NEVER: no
** probe. */
uint64_t weir_tuner_due(const weir_tuner *tuner);

/* Gives up a probe that is due to be given up at `t`: the limit returns. */
void weir_tuner_advance(weir_tuner *tuner, uint64_t t);

#endif
