/*
** tidy.h - names in directories: which there are, and taking them away.
**
** A SPACE THAT IS REMOVED WHILE IT IS USED
**   Its directory becomes DIR/.gone.NUMBER and its file `gone` there. So those
**   who use it find their bells still, and none of a new space of that name.
**   Whoever leaves it as the last, or makes or removes a space in DIR
**   thereafter, takes it away.
*/
#ifndef WEIR_SHARED_TIDY_H
#define WEIR_SHARED_TIDY_H

#include "place.h"

/* All names of spaces in a directory, sorted; the caller frees them. -1: it
** cannot, see errno. */
typedef char weir_name[WEIR_SHARED_NAME_MAX + 1];
int weir_tidy_names(int dir, weir_name **names);

/* Files that those who wanted to make a space, and died, have left. Its door
** is ours. */
void weir_tidy_new(int home);

/* Bells and the like, and the directory of a space that is gone itself. */
void weir_tidy_remains(int dir, const char *name, int home);

/* Puts a space that is used out of sight; false, with errno. */
bool weir_tidy_hide(const weir_place *place);

/* Those out of sight that nobody uses any more. The registry is locked. */
void weir_tidy_gone(int dir);

/* Likewise, if this was one. */
void weir_tidy_behind(int home);

#endif
