/*
** space.h - the spaces of a Lua state: its own, and those that it shares with
** other processes.
**
** OWNERSHIP
**   A shared one is used by its object, by its limiters, and by whoever has a
**   ticket of it. It is detached from with the last of them, or when it is
**   closed; the record stays until nobody uses it.
*/
#ifndef WEIR_BIND_SPACE_H
#define WEIR_BIND_SPACE_H

#include <lua.h>
#include <weir_event.h>
#include <weir_shared.h>

struct weir_lua;

/* The tables of a space, in the registry. */
typedef enum bind_space_table {
  BIND_LIMITERS, /* [handle] = list of its objects, both weak; each object holds
                    the list */
  BIND_TRACES,   /* [ticket] = "file:line" of the call that asked for it */
  BIND_SPACE_TABLES /* how many there are */
} bind_space_table;

enum { BIND_URL_MAX = sizeof "shm:" + WEIR_SHARED_NAME_MAX };

/* A space as a Lua state has it: its port, and what drives that. The state's
** own one, home, has the parked tickets, too. */
typedef struct bind_space {
  struct weir_lua *W;
  weir_space *space;       /* NULL: closed */
  weir_port *port;         /* likewise */
  weir_loop *loop;         /* NULL until something needs one */
  struct bind_space *next; /* of those that were opened */
  uint64_t size;           /* bytes; 0: home */
  uint32_t users; /* the object, limiters, and who has a ticket of it: the space
                     goes with the last of them */
  uint32_t traced; /* places in BIND_TRACES since old ones were looked for */
  bool shared;     /* others decide, too: the time always matters */
  bool pretended;  /* shared, but there are no others: see weir.pretend */
  char tables[BIND_SPACE_TABLES]; /* their addresses are the tables' keys */
  char url[BIND_URL_MAX];         /* "shm:api"; "": home */
} bind_space;

/* What is wrong when a call asks of a space that is closed. */
enum { BIND_E_CLOSED = -100 };

/* Pushes the sentence about an error of a space's call. */
const char *bind_push_trouble(lua_State *L, const bind_space *space, int error);

/* Raises it: "who: ...". */
int bind_raise(lua_State *L, const bind_space *space, const char *who,
               int error);

/* Raises it if there is an error. */
static inline void bind_check(lua_State *L, const bind_space *space,
                              const char *who, int error) {
  if (error < 0) bind_raise(L, space, who, error);
}

/* Raises unless the space is open. */
static inline void bind_check_open(lua_State *L, const bind_space *space,
                                   const char *who) {
  if (!space->port) bind_raise(L, space, who, BIND_E_CLOSED);
}

/* BIND_E_CLOSED, WEIR_E_FORKED, WEIR_E_DAMAGED; 0: all is well. */
int bind_space_trouble(const bind_space *space);

void bind_push_space_table(lua_State *L, const bind_space *space,
                           bind_space_table which);

/* Makes a space's tables. */
void bind_make_space_tables(lua_State *L, const bind_space *space);

/* The first shared space that is open, and not made up; NULL: none. */
const bind_space *bind_first_opened(const struct weir_lua *W);

/* The space of that URL, opened if need be; pushes its object. Pushes an error
** message and answers NULL if there can be none. */
bind_space *bind_open_space(lua_State *L, struct weir_lua *W, const char *url,
                            const weir_shared_options *options,
                            const char *who);

/* What weir.look is called with: the name in its URL and, or NULL, the
** directory. Raises. */
const char *bind_check_look(lua_State *L, const char **dir);

/* The space of the object at `index`; NULL: it is none. */
bind_space *bind_to_space(lua_State *L, int index);

/* Somebody has something of a space from here on; and no longer. What nobody
** uses is freed, or with `all` every shared space; but none while spaces are
** walked through. */
static inline void bind_use(bind_space *space) { space->users++; }
void bind_free_spaces(struct weir_lua *W, bool all);
static inline void bind_disuse(bind_space *space) {
  if (!--space->users && space->shared) bind_free_spaces(space->W, false);
}

/* Closes a space and ends all waits in it. */
void bind_close_space(bind_space *space);

/* Over all spaces: */
void bind_advance(struct weir_lua *W);
void bind_advance_in(const bind_space *space, uint64_t now); /* one of them */
uint64_t bind_next_deadline(const struct weir_lua *W);
bool bind_pending(const struct weir_lua *W);

/* Whether somebody waits for what another process may do. */
bool bind_waits_for_others(const struct weir_lua *W);

/* Gives a space a loop on the base that home's is on; false: it cannot be. */
bool bind_space_loop(bind_space *space);

/* As bind_touch, the shared ones; `in_turn`: of home's loop. */
void bind_touch_opened(struct weir_lua *W, bool in_turn);

#endif
