/*
** check.h - a test harness in two pages.
**
**   TEST(two_and_two_make_four) { CHECK_EQ(2 + 2, 4); }
**   CHECK_MAIN
**
** A TEST registers itself; check.c runs them in the order of the file, or
** those whose names are given as arguments. A CHECK that fails prints where
** and what, and the test goes on. The last line is "N passed, N failed".
*/
#ifndef WEIR_TEST_CHECK_H
#define WEIR_TEST_CHECK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct check_test {
  const char *name;
  void (*run)(void);
  struct check_test *next; /* in the order of registering; NULL: the last */
} check_test;

typedef struct check_place { /* where a check stands, for its report */
  const char *file;
  int line;
} check_place;

#define HERE ((check_place){ __FILE__, __LINE__ })

void check_register(check_test *test);

/* These answer whether the check held, so that a caller can stop. */
bool check_true(check_place place, const char *text, bool holds);
bool check_equal(check_place place, const char *text, uint64_t got,
                 uint64_t wanted);
bool check_text(check_place place, const char *got, const char *wanted);

int check_main(int argc, char **argv);

#define CHECK(cond) check_true(HERE, #cond, (cond))

/* Any two integers; the second is what is wanted. */
#define CHECK_EQ(got, wanted)                                                  \
  check_equal(HERE, #got " == " #wanted, (uint64_t)(got), (uint64_t)(wanted))

#define CHECK_TEXT(got, wanted) check_text(HERE, (got), (wanted))

#define TEST(name)                                                             \
  static void name(void);                                                      \
  __attribute__((constructor)) static void register_##name(void) {             \
    static check_test test = { #name, name, NULL };                            \
    check_register(&test);                                                     \
  }                                                                            \
  static void name(void)

#define CHECK_MAIN                                                             \
  int main(int argc, char **argv) { return check_main(argc, argv); }

#endif
