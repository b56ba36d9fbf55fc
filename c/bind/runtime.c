/*
** runtime.c - what weir keeps for one Lua state, and its clock.
*/
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "../core/memory.h"
#include "bind.h"

static const char RUNTIME;             /* registry key */
static const char TABLES[BIND_TABLES]; /* registry keys */

void bind_push_table(lua_State *L, bind_table which) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &TABLES[which]);
}

/* A child's copy of a loop watches by what is still the parent's: it gets one
** of its own before it changes anything. The parent's bells are not for it. */
void bind_after_fork(weir_lua *W) {
  long pid = (long)getpid();
  if (W->pid == pid) return;
  W->pid = pid;
  if (!W->home.loop) return;
  event_reinit(weir_loop_base(W->home.loop));
  for (bind_space *space = W->opened; space; space = space->next) {
    if (!bind_space_trouble(space)) continue;
    weir_loop_free(space->loop);
    space->loop = NULL;
  }
}

/* Waiters and holders go with the state: nobody is left to resume them. */
static int runtime_gc(lua_State *L) {
  weir_lua *W = lua_touserdata(L, 1);
  bind_after_fork(W);
  for (uint32_t i = 1; i < W->fibers.head->used; i++) {
    bind_fiber *fiber = bind_fiber_at(W, i);
    if (!weir_slab_live(&W->fibers, i) || !fiber->source) continue;
    if (fiber->lookup)
      weir_lookup_free(fiber->source);
    else
      weir_watch_free(fiber->source);
  }
  bind_free_spaces(W, true);
  weir_loop_free(W->home.loop);
  if (W->home.port) weir_port_detach(W->home.port, W->now);
  weir_space_free(W->home.space);
  weir_slab_fini(&W->fibers);
  weir_slab_fini(&W->held);
  W->home.loop = NULL;
  W->home.port = NULL;
  W->home.space = NULL;
  weir_slab_init(&W->fibers, &weir_memory_default, NULL, NULL,
                 sizeof(bind_fiber));
  weir_slab_init(&W->held, &weir_memory_default, NULL, NULL,
                 sizeof(weir_record));
  return 0;
}

static void make_weak(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

static void make_tables(lua_State *L) {
  for (int i = 0; i < BIND_TABLES; i++) {
    lua_createtable(L, i == BIND_IDLE ? BIND_IDLE_CALLS : 0, 0);
    if (i == BIND_HELD || i == BIND_SPACES) make_weak(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &TABLES[i]);
  }
}

/* So that nobody can choose keys that collide. Without the system's random
** bytes an address has to do, which is seldom the same twice. */
static void seed(weir_lua *W) {
  uint64_t bytes[2] = { (uint64_t)(uintptr_t)W, (uint64_t)(uintptr_t)&RUNTIME };
  FILE *file = fopen("/dev/urandom", "rb");
  if (file) {
    uint64_t random[2];
    if (fread(random, sizeof random, 1, file) == 1)
      memcpy(bytes, random, sizeof bytes);
    fclose(file);
  }
  weir_space_seed(W->home.space, bytes);
}

static weir_lua *make_runtime(lua_State *L) {
  weir_lua *W = lua_newuserdatauv(L, sizeof *W, 0);
  *W = (weir_lua){ .pid = (long)getpid(), .outcome = WEIR_DONE };
  W->home.W = W;
  weir_slab_init(&W->fibers, &weir_memory_default, NULL, NULL,
                 sizeof(bind_fiber));
  weir_slab_init(&W->held, &weir_memory_default, NULL, NULL,
                 sizeof(weir_record));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, runtime_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  W->home.space = weir_space_new(NULL);
  W->home.port = W->home.space ? weir_port_attach(W->home.space) : NULL;
  if (!W->home.port) luaL_error(L, "not enough memory");
  seed(W);
  make_tables(L);
  bind_make_space_tables(L, &W->home);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &RUNTIME);
  return W;
}

weir_lua *bind_open(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &RUNTIME) == LUA_TUSERDATA)
    return lua_touserdata(L, -1);
  lua_pop(L, 1);
  return make_runtime(L);
}

weir_lua *bind_find(lua_State *L) {
  weir_lua *W;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &RUNTIME);
  W = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return W && W->home.port ? W : NULL;
}

uint64_t bind_now(weir_lua *W, bool exact) {
  if (!W->driving && W->alive) exact = true;
  if (exact && !W->virtual_time && !W->fresh) W->now = weir_loop_now();
  W->fresh = false;
  return W->now;
}

void bind_touch(weir_lua *W) {
  if (W->driving || !W->home.loop) return;
  if (W->run_first) weir_loop_kick(W->home.loop);
  weir_loop_touch(W->home.loop);
  bind_touch_opened(W, false);
}

void bind_register(lua_State *L, int self, const luaL_Reg *functions) {
  lua_pushvalue(L, self);
  luaL_setfuncs(L, functions, 1);
}

void bind_register_type(lua_State *L, int self, const void *key,
                        const char *name, const luaL_Reg *methods,
                        const luaL_Reg *metamethods) {
  lua_newtable(L);
  bind_register(L, self, metamethods);
  lua_newtable(L);
  bind_register(L, self, methods);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable"); /* keep strangers' hands off */
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}
