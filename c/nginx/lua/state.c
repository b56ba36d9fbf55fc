/*
** state.c - a policy's Lua state: its memory, its modules, its script.
*/
#include <lualib.h>
#include <stdio.h>
#include <weir_lua.h>

#include "half.h"

/* --- what the script says ------------------------------------------------- */

static ngx_log_t *log_of(lua_State *L) {
  const weir_policy_call *call = half_owner_of(L)->call;
  return call && !call->over ? call->r->connection->log : ngx_cycle->log;
}

/* print(...) */
static int print(lua_State *L) {
  int n = lua_gettop(L);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&buffer, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&buffer);
  }
  luaL_pushresult(&buffer);
  ngx_log_error(NGX_LOG_NOTICE, log_of(L), 0, "weir: %s", lua_tostring(L, -1));
  return 0;
}

static void warn(void *data, const char *text, int more) {
  const weir_policy *policy = data;
  (void)more;
  if (*text != '@')
    ngx_log_error(NGX_LOG_WARN, log_of(policy->L), 0, "weir: %s", text);
}

/* --- modules -------------------------------------------------------------- */

/* Upvalue: the file. */
static int open_file(lua_State *L) {
  const half_file *file = lua_touserdata(L, lua_upvalueindex(1));
  const char *name = luaL_gsub(L, file->name, ".", "/");
  lua_pushfstring(L, "@%s.lua", name);
  if (luaL_loadbufferx(L, (const char *)file->text, file->size,
                       lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, file->name);
  lua_call(L, 1, 1);
  return 1;
}

static void preload(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_weir_core);
  lua_setfield(L, -2, "weir.core");
  for (const half_file *file = half_files; file->name; file++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)file);
    lua_pushcclosure(L, open_file, 1);
    lua_setfield(L, -2, file->name);
  }
  lua_pop(L, 1);
}

static void require(lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

static void set_text(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* --- the script ----------------------------------------------------------- */

/* Pushes the options of weir.policy.load. */
static void push_options(lua_State *L, const weir_policy_options *options) {
  lua_createtable(L, 0, 8);
  lua_pushboolean(L, options->sandbox);
  lua_setfield(L, -2, "sandbox");
  lua_pushboolean(L, options->trial);
  lua_setfield(L, -2, "trial");
  lua_pushcfunction(L, print);
  lua_setfield(L, -2, "print");
  set_text(L, "path", options->path);
  set_text(L, "cpath", options->cpath);
  set_text(L, "why_no_c", options->why_no_c);
}

/* Calls load(script, options) of weir.policy, which is on top; leaves what it
** answers. Raises a message. */
static void load_script(lua_State *L, weir_policy *policy,
                        const weir_policy_options *options) {
  lua_getfield(L, -1, "load");
  lua_pushstring(L, options->script);
  push_options(L, options);
  half_budget_begin(policy, L);
  lua_call(L, 2, 3);
  half_budget_end(policy, L);
  if (lua_toboolean(L, -3)) {
    lua_pop(L, 2);
    return;
  }
  half_push_error(L, policy, lua_tostring(L, -2));
  lua_pushvalue(L, -2); /* where it was called; or nil */
  if (!lua_isstring(L, -1))
    lua_pop(L, 1);
  else
    lua_concat(L, 2);
  lua_error(L);
}

/* Pushes [number] = function, [name] = number. */
static void push_handlers(lua_State *L) {
  lua_Integer count;
  int loaded = lua_gettop(L);
  lua_getfield(L, loaded, "handlers");
  lua_getfield(L, loaded, "names");
  count = luaL_len(L, -1);
  lua_createtable(L, (int)count, (int)count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -2, i);
    lua_pushvalue(L, -1);
    lua_rawget(L, -5);
    lua_rawseti(L, -3, i);
    lua_pushinteger(L, i);
    lua_rawset(L, -3);
  }
}

/* lua_CFunction: (policy, options) -> what HALF_MAKE and the slots behind it
** are to be */
static int set_up(lua_State *L) {
  enum { POLICY = 3, LOADED, HANDLERS = LOADED + 3 };
  weir_policy *policy = lua_touserdata(L, 1);
  luaL_openlibs(L);
  preload(L);
  require(L, "weir.core");
  lua_settop(L, 2);
  policy->W = bind_find(L);
  policy->W->hosted = true;
  lua_getglobal(L, "coroutine");
  lua_getfield(L, -1, "yield");
  policy->yield = lua_tocfunction(L, -1);
  lua_settop(L, 2);
  require(L, "weir.policy");
  load_script(L, policy, lua_touserdata(L, 2));
  lua_settop(L, LOADED);
  push_handlers(L);
  half_push_make(L, POLICY, HANDLERS);
  lua_pushvalue(L, HANDLERS);
  lua_getfield(L, LOADED, "warnings");
  return HALF_FIXED;
}

static bool set_up_protected(weir_policy *policy,
                             const weir_policy_options *options, char *why) {
  lua_State *L = policy->L;
  lua_pushcfunction(L, set_up);
  lua_pushlightuserdata(L, policy);
  lua_pushlightuserdata(L, (void *)(uintptr_t)options);
  if (lua_pcall(L, 2, HALF_FIXED, 0) == LUA_OK) return true;
  snprintf(why, WEIR_POLICY_WHY_MAX, "%s",
           lua_isstring(L, -1) ? lua_tostring(L, -1) : "(no message)");
  return false;
}

weir_policy *half_state_new(const weir_policy_options *options, char *why) {
  weir_policy *policy = calloc(1, sizeof *policy);
  lua_State *L = policy ? lua_newstate(half_allocate, policy) : NULL;
  if (!L) {
    free(policy);
    snprintf(why, WEIR_POLICY_WHY_MAX, "%s: not enough memory",
             options->script);
    return NULL;
  }
  policy->nobody = (half_owner){ policy, NULL };
  policy->L = L;
  policy->limit = options->memory;
  policy->budget = options->budget;
  ngx_queue_init(&policy->decided);
  weir_slab_init(&policy->calls, &weir_memory_default, NULL, NULL,
                 sizeof(half_ref));
  half_own(L, &policy->nobody);
  lua_setwarnf(L, warn, policy);
  if (set_up_protected(policy, options, why)) return policy;
  half_state_free(policy);
  return NULL;
}

void half_state_free(weir_policy *policy) {
  lua_close(policy->L);
  weir_slab_fini(&policy->calls);
  half_free_blocks(policy);
  free(policy);
}
