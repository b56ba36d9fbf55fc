/*
** permit.c - a held ticket as Lua sees it.
**
** Whoever gets hold of a permit owns it until it is released, closed or
** collected; the permits come back in any case.
*/
#include "bind.h"

static const char PERMIT; /* tag, and registry key of the metatable */

typedef struct permit {
  const void *tag;
  weir_ticket ticket; /* 0: released */
} permit;

void bind_permit_new(lua_State *L, int metatable) {
  permit *self = lua_newuserdatauv(L, sizeof *self, 0);
  self->tag = &PERMIT;
  self->ticket = 0;
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
}

void bind_permit_set(lua_State *L, weir_ticket ticket) {
  permit *self = lua_touserdata(L, -1);
  self->ticket = ticket;
}

void bind_push_permit_metatable(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &PERMIT);
}

static int give_back(weir_lua *W, permit *self, weir_outcome outcome) {
  weir_ticket ticket = self->ticket;
  self->ticket = 0;
  if (weir_release(W->port, ticket, outcome, bind_now(W, false))) return -1;
  bind_touch(W);
  return 0;
}

static weir_outcome check_outcome(lua_State *L) {
  static const char *const names[] = { "done", "dropped", NULL };
  const char *name;
  if (lua_isnoneornil(L, 2)) return WEIR_DONE;
  name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (int i = 0; names[i]; i++) {
    lua_pushstring(L, names[i]);
    lua_pushstring(L, name);
    if (lua_rawequal(L, -1, -2)) return (weir_outcome)i;
  }
  bind_expected(L, "permit:release", "the outcome", "'done' or 'dropped'", 2);
  return WEIR_DONE;
}

/* permit:release([outcome]) */
static int permit_release(lua_State *L) {
  weir_lua *W = bind_self(L);
  permit *self = bind_test(L, 1, &PERMIT, sizeof *self);
  weir_outcome outcome;
  if (!self)
    return bind_expected(L, "permit:release", NULL,
                         "a permit (call it as permit:release())", 1);
  outcome = check_outcome(L);
  if (give_back(W, self, outcome))
    return luaL_error(L, "permit:release: this permit was released before");
  return 0;
}

/* do local permit <close> = limiter:acquire() ... end */
static int permit_close(lua_State *L) {
  weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  permit *self = bind_test(L, 1, &PERMIT, sizeof *self);
  if (self && self->ticket && W->port)
    give_back(W, self, lua_isnoneornil(L, 2) ? WEIR_DONE : WEIR_DROPPED);
  return 0;
}

/* Dropped without a word. */
static int permit_gc(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, 1); /* not as it should be */
  return permit_close(L);
}

/* tostring(permit) */
static int permit_tostring(lua_State *L) {
  const permit *self = bind_test(L, 1, &PERMIT, sizeof *self);
  lua_pushstring(L, self && self->ticket ? "weir.permit (held)"
                                         : "weir.permit (released)");
  return 1;
}

void bind_open_permit(lua_State *L, int self) {
  static const luaL_Reg methods[] = { { "release", permit_release },
                                      { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__close", permit_close },
                                          { "__gc", permit_gc },
                                          { "__tostring", permit_tostring },
                                          { NULL, NULL } };
  bind_register_type(L, self, &PERMIT, "weir.permit", methods, metamethods);
}
