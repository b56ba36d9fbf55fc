/*
** module.c - the module weir.core.
*/
#include <weir_lua.h>

#include "bind.h"

int luaopen_weir_core(lua_State *L) {
  int self;
  luaL_checkversion(L);
  bind_open(L);
  self = lua_gettop(L);
  lua_createtable(L, 0, 32);
  bind_open_spaces(L, self);
  bind_open_wait(L, self);
  bind_open_refusal(L, self);
  bind_open_held(L, self);
  bind_open_permit(L, self);
  bind_open_call(L, self);
  bind_open_limiter(L, self);
  bind_open_request(L, self);
  bind_open_look(L, self);
  bind_open_report(L, self);
  bind_open_status(L, self);
  bind_open_all(L, self);
  bind_open_task(L, self);
  bind_open_host(L, self);
  bind_open_source(L, self);
  bind_open_replay(L, self);
  lua_pushliteral(L, WEIR_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
