/* space.c - see space.h. */
#include <stdlib.h>

#include "bind.h"

/* --- what is wrong -------------------------------------------------------- */

static const char *push_shared_trouble(lua_State *L, const char *url,
                                       int error) {
  const char *name = url + sizeof "shm:" - 1;
  switch (error) {
  case BIND_E_CLOSED:
    return lua_pushfstring(L,
                           "the space '%s' is closed: open it again with "
                           "weir.open('%s'), and make its limiters anew",
                           url, url);
  case WEIR_E_FORKED:
    return lua_pushfstring(L,
                           "the space '%s' is the parent process': after a "
                           "fork the child opens it for itself with "
                           "weir.open('%s'), and makes its limiters anew",
                           url, url);
  case WEIR_E_DAMAGED:
    return lua_pushfstring(L,
                           "the memory of the space '%s' is damaged: stop the "
                           "programs that use it, remove it with `weir rm "
                           "--force %s`, and start them again",
                           url, name);
  case WEIR_E_MEMORY:
    return lua_pushfstring(L,
                           "the space '%s' is full: stop the programs that use "
                           "it, remove it with `weir rm %s`, and open it with "
                           "a larger size",
                           url, name);
  default:
    return lua_pushfstring(L, "the space '%s': %s", url,
                           weir_error_text(error));
  }
}

const char *bind_push_trouble(lua_State *L, const bind_space *space,
                              int error) {
  if (space->shared) return push_shared_trouble(L, space->url, error);
  return lua_pushstring(L, error == BIND_E_CLOSED
                               ? "this Lua state is being closed"
                               : weir_error_text(error));
}

int bind_raise(lua_State *L, const bind_space *space, const char *who,
               int error) {
  return luaL_error(L, "%s: %s", who, bind_push_trouble(L, space, error));
}

/* Nobody's ticket is stale, unless something else comes first. */
int bind_space_trouble(const bind_space *space) {
  int error = space->port ? weir_cancel(space->port, 0, 0) : BIND_E_CLOSED;
  return error == WEIR_E_STALE ? 0 : error;
}

/* --- tables --------------------------------------------------------------- */

void bind_push_space_table(lua_State *L, const bind_space *space,
                           bind_space_table which) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &space->tables[which]);
}

void bind_make_space_tables(lua_State *L, const bind_space *space) {
  for (int i = 0; i < BIND_SPACE_TABLES; i++) {
    lua_newtable(L);
    if (i == BIND_LIMITERS) { /* weak, as the lists in it */
      lua_createtable(L, 0, 1);
      lua_pushliteral(L, "v");
      lua_setfield(L, -2, "__mode");
      lua_setmetatable(L, -2);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &space->tables[i]);
  }
}

/* --- over all of them ----------------------------------------------------- */

const bind_space *bind_first_opened(const weir_lua *W) {
  const bind_space *space = W->opened;
  while (space && (!space->port || space->pretended)) space = space->next;
  return space;
}

/* A bell that a child has inherited is the parent's to hear. */
void bind_advance_in(const bind_space *space, uint64_t now) {
  if (!space->shared || !bind_space_trouble(space))
    weir_advance(space->port, now);
}

void bind_advance(weir_lua *W) {
  uint64_t now = bind_now(W, true);
  weir_advance(W->home.port, now);
  for (bind_space *space = W->opened; space; space = space->next)
    bind_advance_in(space, now);
}

uint64_t bind_next_deadline(const weir_lua *W) {
  uint64_t next = weir_deadline(W->home.port);
  for (const bind_space *space = W->opened; space; space = space->next) {
    uint64_t due = space->port ? weir_deadline(space->port) : WEIR_NEVER;
    if (due < next) next = due;
  }
  return next;
}

bool bind_pending(const weir_lua *W) {
  if (weir_pending(W->home.port)) return true;
  for (const bind_space *space = W->opened; space; space = space->next)
    if (space->port && weir_pending(space->port)) return true;
  return false;
}

bool bind_waits_for_others(const weir_lua *W) {
  for (const bind_space *space = W->opened; space; space = space->next)
    if (space->port && !space->pretended && weir_waiting(space->port))
      return true;
  return false;
}

/* --- loops ---------------------------------------------------------------- */

/* Whoever was decided is resumed in home's turn, so that no other loop is in a
** turn while Lua runs: its space may be closed then. */
static void pass_on(void *data) {
  weir_loop_kick(((bind_space *)data)->W->home.loop);
}

bool bind_space_loop(bind_space *space) {
  weir_loop *home = space->W->home.loop;
  if (space->port && !space->loop)
    space->loop =
        weir_loop_new(space->port, weir_loop_base(home), pass_on, space);
  return !space->port || space->loop;
}

/* What is left to be taken is taken in another turn. */
void bind_touch_opened(weir_lua *W, bool in_turn) {
  for (bind_space *space = W->opened; space; space = space->next) {
    if (!space->loop) continue;
    if (in_turn && weir_pending(space->port))
      weir_loop_kick(W->home.loop);
    else
      weir_loop_touch(space->loop);
  }
}

/* --- the end -------------------------------------------------------------- */

static void detach(bind_space *space) {
  if (!space->port) return;
  weir_loop_free(space->loop);
  weir_port_detach(space->port, weir_loop_now());
  weir_space_free(space->space);
  space->loop = NULL;
  space->port = NULL;
  space->space = NULL;
}

void bind_close_space(bind_space *space) {
  if (!space->port) return;
  bind_wait_end_all(space);
  detach(space);
  bind_touch(space->W);
}

void bind_free_spaces(weir_lua *W, bool all) {
  bind_space **link = &W->opened;
  if ((W->looking || W->hosted) && !all) return;
  while (*link) {
    bind_space *space = *link;
    if (space->users && !all) {
      link = &space->next;
      continue;
    }
    *link = space->next;
    detach(space);
    free(space);
  }
}
