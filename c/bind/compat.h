/*
** compat.h - the parts of Lua's C API that differ between its versions.
**
** Written for 5.4; what only 5.4 has is named here, so that another version
** needs to change this file and the two that suspend (wait.c, call.c).
*/
#ifndef WEIR_BIND_COMPAT_H
#define WEIR_BIND_COMPAT_H

#include <lua.h>

#if LUA_VERSION_NUM != 504
#error "weir is built for Lua 5.4"
#endif

/* Closes a suspended coroutine; answers a status, its error on co's stack. */
static inline int compat_close_thread(lua_State *co, lua_State *from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, from);
#else
  (void)from;
  return lua_resetthread(co);
#endif
}

#endif
