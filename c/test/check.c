/* check.c - see check.h. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 10 }; /* failures a test prints; a loop may have thousands */

static check_test *first_test;
static check_test **last_link = &first_test;
static unsigned failures; /* of the running test */

void check_register(check_test *test) {
  *last_link = test;
  last_link = &test->next;
}

/* Counts a failure; whether it shall be printed. */
static bool failed(check_place place) {
  if (++failures > SHOWN_MAX) return false;
  printf("# %s:%d: ", place.file, place.line);
  return true;
}

bool check_true(check_place place, const char *text, bool holds) {
  if (!holds && failed(place)) printf("%s\n", text);
  return holds;
}

bool check_equal(check_place place, const char *text, uint64_t got,
                 uint64_t wanted) {
  if (got == wanted) return true;
  if (failed(place))
    printf("%s: got %" PRId64 ", wanted %" PRId64 "\n", text, (int64_t)got,
           (int64_t)wanted);
  return false;
}

bool check_text(check_place place, const char *got, const char *wanted) {
  if (got && !strcmp(got, wanted)) return true;
  if (failed(place))
    printf("got \"%s\", wanted \"%s\"\n", got ? got : "(null)", wanted);
  return false;
}

static bool is_asked_for(const check_test *test, int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], test->name)) return true;
  return argc < 2;
}

int check_main(int argc, char **argv) {
  unsigned passed = 0, broken = 0;
  setvbuf(stdout, NULL, _IOLBF, 0); /* a crash shall not hide who it was */
  for (check_test *test = first_test; test; test = test->next) {
    if (!is_asked_for(test, argc, argv)) continue;
    failures = 0;
    test->run();
    printf("%sok %u - %s\n", failures ? "not " : "", passed + broken + 1,
           test->name);
    *(failures ? &broken : &passed) += 1;
  }
  printf("1..%u\n%u passed, %u failed\n", passed + broken, passed, broken);
  return broken > 0 || passed == 0;
}
