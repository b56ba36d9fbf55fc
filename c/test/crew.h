/*
** crew.h - fresh directories and child processes for tests of what processes
** share.
*/
#ifndef WEIR_TEST_CREW_H
#define WEIR_TEST_CREW_H

#include <stdbool.h>
#include <sys/types.h>

enum { CREW_PATH = 128 };

/* A new directory of mode 0700; and what is in it, away with it. */
void crew_dir(char *path);
void crew_clear(const char *path);

/* A child that does `work` and exits; they talk in single bytes. */
typedef struct crew_hand {
  pid_t pid;
  int in;  /* from the other */
  int out; /* to the other */
} crew_hand;

typedef void crew_work(const crew_hand *boss, void *data);

crew_hand crew_hire(crew_work *work, void *data);
void crew_say(const crew_hand *hand, char what);
int crew_hear(const crew_hand *hand); /* -1: nobody is there */

/* Ends a child by a signal, 0: waits until it ends by itself; whether it came
** to no other end than these. */
bool crew_dismiss(crew_hand *hand, int signal);

#endif
