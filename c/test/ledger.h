/*
** ledger.h - an allocator that keeps books.
**
** It knows what is not given back, whether every `old_size` was what was asked
** for, and it fails the calls it is told to. A block moves whenever it is
** resized and leaves rubbish behind, so that a pointer kept across growth
** shows in any build.
*/
#ifndef WEIR_TEST_LEDGER_H
#define WEIR_TEST_LEDGER_H

#include <weir.h>

typedef struct ledger {
  size_t live;          /* bytes not given back */
  unsigned calls;       /* requests for memory so far; giving back is none */
  unsigned fail_first;  /* the call to fail, from 1; 0: none */
  unsigned fail_last;   /* fails all from fail_first to this one */
  unsigned failed;      /* calls that were failed */
  unsigned wrong_sizes; /* calls whose old_size was wrong */
} ledger;

/* Its allocator; the ledger stays the caller's and outlives the space. */
weir_allocator ledger_allocator(ledger *books);

/* Fails the next `count` calls. */
void ledger_fail(ledger *books, unsigned count);

/* Fails none from now on. */
void ledger_recover(ledger *books);

#endif
