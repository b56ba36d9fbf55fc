/*
** weir_lua.h - the Lua module from C: for programs that own a Lua state.
**
** PURPOSE
**   A program that embeds Lua gives its scripts `require "weir.core"` and keeps
**   its own loop: it steps weir once a frame, or lets weir join its event_base.
**
** USE
**   luaL_requiref(L, "weir.core", luaopen_weir_core, 0);
**   ... each frame:
**   if (weir_lua_step(L, frame_time_ns, 100) < 0) report(lua_tostring(L, -1));
**
** OWNERSHIP
**   Everything belongs to the Lua state and goes with lua_close. An event_base
**   given to weir_lua_attach stays the caller's and must outlive the state.
**
** FAILURES
**   No function here raises. A negative answer leaves the error on L's stack.
*/
#ifndef WEIR_LUA_H
#define WEIR_LUA_H

#include <lua.h>
#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;

/* Opens the module: the functions of require "weir" that need no Lua files. */
WEIR_API int luaopen_weir_core(lua_State *L);

/*
** One frame: the time is `now` (ns, monotonic, the program's own) from here on,
** what is due expires, and at most `budget` coroutines are resumed; the others
** wait for the next frame. Answers how many were resumed, or -1 with the error
** of a task that nobody joins.
*/
WEIR_API int weir_lua_step(lua_State *L, uint64_t now, int budget);

/* When the next deadline of this state's waiters is due (ns), or WEIR_NEVER. */
WEIR_API uint64_t weir_lua_deadline(lua_State *L);

/*
** Runs this state's tasks on a base the program has: from here on coroutines
** are resumed while that base loops. The error of a task that nobody joins
** goes to `on_error` (may be NULL: it is printed on stderr), with the error on
** top of L's stack. 0, or -1.
*/
WEIR_API int weir_lua_attach(lua_State *L, struct event_base *base,
                             void (*on_error)(lua_State *L, void *data),
                             void *data);

#ifdef __cplusplus
}
#endif
#endif
