/*
** permit.c - a held ticket as Lua sees it.
**
** Whoever gets hold of a permit owns it until it is released, closed or
** collected; the permits come back in any case.
*/
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

/***
@type permit
*/

static const char PERMIT; /* tag, and registry key of the metatable */

bind_permit *bind_permit_new(lua_State *L, weir_lua *W, int metatable) {
  bind_permit *self;
  if (!W->sentinel) bind_post_sentinel(L, W);
  self = lua_newuserdatauv(L, sizeof *self, 0);
  self->tag = &PERMIT;
  self->W = W;
  self->slot = 0;
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
  return self;
}

void bind_push_permit_metatable(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &PERMIT);
}

static bool give_back(bind_permit *self, weir_outcome outcome) {
  weir_lua *W = self->W;
  weir_ticket ticket = bind_let_go(self);
  if (weir_release(W->port, ticket, outcome, bind_now(W, W->measures)))
    return false;
  bind_touch(W);
  return true;
}

static weir_outcome check_outcome(lua_State *L) {
  static const char *const names[] = { "done", "dropped", "unused", NULL };
  if (lua_isnoneornil(L, 2)) return WEIR_DONE;
  for (int i = 0; names[i]; i++) {
    lua_pushstring(L, names[i]);
    if (lua_rawequal(L, -1, 2)) return (weir_outcome)i;
  }
  bind_expected(L, "permit:release", "the outcome",
                "'done', 'dropped' or 'unused'", 2);
  return WEIR_DONE;
}

/***
Gives a permit back; a second time raises. A permit held by a to-be-closed
variable (`local permit <close> = limiter:acquire()`) or dropped gives itself
back.
@function permit:release
@tparam[opt="done"] string outcome "done"; "dropped" if the work failed;
"unused" if it never began: then the tokens of a rate come back as well
*/
static int permit_release(lua_State *L) {
  bind_permit *self = bind_test(L, 1, &PERMIT, sizeof *self);
  weir_outcome outcome;
  if (!self)
    return bind_expected(L, "permit:release", NULL,
                         "a permit (call it as permit:release())", 1);
  bind_check_open(L, self->W);
  outcome = check_outcome(L);
  if (!give_back(self, outcome))
    return luaL_error(L, "permit:release: this permit was released before");
  return 0;
}

/* do local permit <close> = limiter:acquire() ... end */
static int permit_close(lua_State *L) {
  bind_permit *self = bind_test(L, 1, &PERMIT, sizeof *self);
  if (self && self->slot && self->W->port)
    give_back(self, lua_isnoneornil(L, 2) ? WEIR_DONE : WEIR_DROPPED);
  return 0;
}

/* tostring(permit) */
static int permit_tostring(lua_State *L) {
  const bind_permit *self = bind_test(L, 1, &PERMIT, sizeof *self);
  lua_pushstring(L, self && self->slot ? "weir.permit (held)"
                                       : "weir.permit (released)");
  return 1;
}

void bind_open_permit(lua_State *L, int self) {
  static const luaL_Reg methods[] = { { "release", permit_release },
                                      { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__close", permit_close },
                                          { "__tostring", permit_tostring },
                                          { NULL, NULL } };
  bind_register_type(L, self, &PERMIT, "weir.permit", methods, metamethods);
}
