/*
** crash.h - a process that dies at an instruction, and what others find.
**
** Two processes share a space: P, which dies, and S, which lives on. What P
** does is run in a child, one instruction at a time; whenever the memory has
** changed, a copy of it is what S would find if P had died there. S recovers
** the copy, tells all that can be seen of it and uses it up. What it tells must
** be as if P had died before what it did, or after it; never a third thing, and
** never before again once it was after.
*/
#ifndef WEIR_TEST_CRASH_H
#define WEIR_TEST_CRASH_H

#include <weir.h>

#include "check.h"

enum { CRASH_LIMITERS = 4, CRASH_START = 5000 };

/* One process' part, or rather what a test has of both. */
typedef struct crash {
  weir_space *space;                    /* P's view of it */
  weir_port *p, *s;                     /* the ports of P and S */
  weir_limiter limiter[CRASH_LIMITERS]; /* 0: none */
  weir_ticket ticket[8];                /* a test's own */
  uint64_t now;                         /* ns */
  uint64_t cookie;                      /* of the last ticket asked for */
} crash;

/* Whether a process can be run by single instructions here. */
bool crash_possible(void);

/* Runs `before`, and then `act` with P dying at each of its instructions. */
void crash_everywhere(check_place place, void (*before)(crash *),
                      void (*act)(crash *));

/* What both of them may use: opens limiter i; asks by a port, checks the answer
** and answers the ticket. */
void crash_open(crash *c, int i, weir_config config);
weir_ticket crash_ask(crash *c, weir_port *port, int i, weir_request request,
                      int verdict);

#endif
