/*
** desk.h - a process at a shared file, without the engine: file, seat, lock
** and bells.
*/
#ifndef WEIR_TEST_DESK_H
#define WEIR_TEST_DESK_H

#include "shared/bell.h"
#include "shared/lock.h"

typedef struct desk {
  weir_place place;
  weir_file file;
  weir_seats seats;
  weir_lock lock;
  weir_bells bells;
} desk;

/* Makes DIR/desk, or opens it; takes a seat. False: it could not. */
bool desk_open(desk *d, const char *dir);
void desk_close(desk *d);

/* Puts right what one has left who died with the lock: the second number is as
** the first. Opening does so as well. */
void desk_mend(const desk *d);

/* Bytes that all who have it open share, zero at first. */
volatile uint64_t *desk_numbers(const desk *d);

#endif
