/*
** fuzz_engine.c - the duel of c/test/duel.h, its decisions made by libFuzzer.
*/
#include <stdio.h>
#include <stdlib.h>

#include "test/duel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static duel d;
  choices from = choices_of_bytes(data, size);
  if (duel_run(&d, &from, DUEL_STEPS_MAX, 16)) return 0;
  fflush(stdout); /* the report */
  abort();
}
