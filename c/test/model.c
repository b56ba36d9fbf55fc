/*
** model.c - random duels of the engine with its reference: model [STEPS [SEED]]
**
** A disagreement prints the seed of the duel it happened in; `model 1 SEED`
** repeats it, and looks at everything after each step, to find it sooner.
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "duel.h"

enum { DUEL_STEPS = 2000, LOOK_EVERY = 64 };

static uint64_t argument(int argc, char **argv, int at, uint64_t otherwise) {
  return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
  static duel d;
  uint64_t steps = argument(argc, argv, 1, 1000000);
  uint64_t seed = argument(argc, argv, 2, 1);
  unsigned look_every = steps > 1 ? LOOK_EVERY : 1;
  uint64_t done = 0;
  printf("# %" PRIu64 " steps from seed %" PRIu64 "\n", steps, seed);
  for (; done < steps; seed++) {
    choices from = choices_of_seed(seed * 0xD1342543DE82EF95u);
    unsigned ran = duel_run(&d, &from, DUEL_STEPS, look_every);
    if (!ran) {
      printf("# seed %" PRIu64 "\n0 passed, 1 failed\n", seed);
      return 1;
    }
    done += ran;
  }
  printf("1 passed, 0 failed\n");
  return 0;
}
