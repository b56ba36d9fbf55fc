/*
** interrupt.h - Ctrl-C while weir.run runs.
**
** SIGINT ends the run: at once where tasks wait, and where one computes at its
** next instruction. If the program ignores SIGINT, or another state's run has
** it already, it is left alone.
*/
#ifndef WEIR_BIND_INTERRUPT_H
#define WEIR_BIND_INTERRUPT_H

#include "bind.h"

void bind_interrupt_begin(weir_lua *W);
void bind_interrupt_end(void);

/* A coroutine that is closed is interrupted no more: its variables are to be
** closed in peace. */
void bind_interrupt_forget(lua_State *co);

/* Whether SIGINT came since begin. */
bool bind_interrupted(void);

#endif
