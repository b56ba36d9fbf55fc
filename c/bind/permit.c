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

/* 0; or what is wrong, and *space where. What was held in a space that is
** closed came back when it was. */
static int give_back(bind_permit *self, weir_outcome outcome,
                     bind_space **space) {
  weir_lua *W = self->W;
  weir_ticket ticket;
  int error;
  *space = &W->home;
  ticket = bind_let_go(self, space);
  if (!ticket) return WEIR_E_STALE;
  error = (*space)->port ? weir_release((*space)->port, ticket, outcome,
                                        bind_time(*space, W->measures))
                         : 0;
  if (error) return error;
  bind_disuse(*space);
  bind_touch(W);
  return 0;
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
  bind_space *space;
  weir_outcome outcome;
  int error;
  if (!self)
    return bind_expected(L, "permit:release", NULL,
                         "a permit (call it as permit:release())", 1);
  bind_check_open(L, &self->W->home, "permit:release");
  outcome = check_outcome(L);
  error = give_back(self, outcome, &space);
  if (error == WEIR_E_STALE)
    return luaL_error(L, "permit:release: this permit was released before");
  bind_check(L, space, "permit:release", error);
  return 0;
}

/* do local permit <close> = limiter:acquire() ... end */
static int permit_close(lua_State *L) {
  bind_permit *self = bind_test(L, 1, &PERMIT, sizeof *self);
  bind_space *space;
  if (self && self->slot && self->W->home.port)
    give_back(self, lua_isnoneornil(L, 2) ? WEIR_DONE : WEIR_DROPPED, &space);
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
