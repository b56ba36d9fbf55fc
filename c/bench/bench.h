/*
** bench.h - what the benches of the engine share: `bench_xxx NAME` prints one
** number, mostly the nanoseconds of CPU time that one operation takes. run.lua
** runs them.
*/
#ifndef WEIR_BENCH_BENCH_H
#define WEIR_BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir.h>

static inline double ns_since(clock_t start, double operations) {
  return (double)(clock() - start) * (1e9 / CLOCKS_PER_SEC) / operations;
}

static inline void check(bool ok) {
  if (ok) return;
  fputs("bench: something went wrong\n", stderr);
  exit(1);
}

/* --- weir ----------------------------------------------------------------- */

typedef struct world {
  weir_space *space;
  weir_port *port;
  weir_limiter limiter;
} world;

static inline weir_limiter open_limiter(const world *w,
                                        const weir_config *config) {
  weir_limiter limiter;
  check(!weir_limiter_open(w->space, NULL, config, 0, &limiter));
  return limiter;
}

static inline world new_world(const weir_config *config) {
  world w;
  w.space = weir_space_new(NULL);
  check(w.space);
  w.port = weir_port_attach(w.space);
  check(w.port);
  w.limiter = open_limiter(&w, config);
  return w;
}

static inline void free_world(const world *w) {
  weir_port_detach(w->port, 0);
  weir_space_free(w->space);
}

/* --- the program ---------------------------------------------------------- */

typedef struct bench {
  const char *name;
  double (*run)(void);
} bench;

static inline int bench_main(int argc, char **argv, const bench *benches,
                             size_t count) {
  for (size_t i = 0; i < count; i++)
    if (argc == 2 && strcmp(argv[1], benches[i].name) == 0)
      return printf("%f\n", benches[i].run()) < 0;
  fprintf(stderr, "usage: %s NAME\n", argv[0]);
  return 2;
}

#endif
