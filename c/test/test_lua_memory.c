/*
** test_lua_memory.c - the binding when Lua has no memory left.
**
** A script that uses most of the module is run again and again, and each time
** another allocation of Lua's fails, and so does the second attempt that Lua
** makes after collecting. Whatever the script was doing, afterwards
** everything can be finished, every permit comes back, and nothing is lost.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir_lua.h>
#include <weir_shared.h>

#include "check.h"

enum { RUNS_MAX = 5000 }; /* the script allocates less often */

typedef struct heap {
  long countdown; /* allocations until one fails; negative: none will */
  int failures;   /* how many in a row */
  int unfinished; /* finalizers that Lua had no memory to call: it says so and
                     does not try again, so what they would give back is lost */
  bool failed;
  size_t live; /* bytes */
} heap;

static void *resize(void *data, void *block, size_t old_size, size_t size) {
  heap *h = data;
  if (!block) old_size = 0;
  if (size > old_size && h->countdown >= 0 && h->countdown-- == 0) {
    h->failed = true;
    if (h->failures++ == 0) h->countdown = 0;
    return NULL;
  }
  h->live += size;
  h->live -= old_size;
  if (size) return realloc(block, size);
  free(block);
  return NULL;
}

static const char script[] =
    "local weir = require 'weir.core'\n"
    "sem = weir.limiter{ concurrent = 2, queue = 9, timeout = 5,\n"
    "                    on_refuse = function(err) return err.code end }\n"
    "local limited = sem(function(n, ...) weir.sleep(0.01) return n, ... end)\n"
    "local tasks = {}\n"
    "for i = 1, 6 do tasks[i] = weir.spawn(limited, i, nil, i) end\n"
    "local stranger = coroutine.wrap(function()\n"
    "  local permit <close> = sem:acquire{ cost = 2 }\n"
    "  coroutine.yield()\n"
    "end)\n"
    "weir.step(0)\n"
    "stranger()\n"
    "local dropped = coroutine.wrap(function() sem:acquire() end)\n"
    "dropped()\n"
    "tasks[6]:cancel()\n"
    "local joiner = weir.spawn(function() return tasks[1]:join(1) end)\n"
    "for frame = 1, 9 do weir.step(frame / 100) end\n"
    "stranger()\n"
    "assert(tasks[3]:join() == 3 and joiner:join() == 1)\n"
    "assert(not tasks[6]:join())\n"
    "local permit = sem:acquire()\n"
    "assert(not pcall(sem.acquire, sem, { costs = 1 }))\n"
    "permit:release()\n"
    "assert(tostring(sem) and tostring(tasks[1]) and sem:stats().wait.p99)\n"
    "for i = 1, 40 do sem:try_acquire() end\n"
    "local late = weir.spawn(function() return sem:drain(2) end)\n"
    "weir.step(1)\n";

/* Lets all who are left finish, then drops everything. */
static const char finish[] =
    "local weir = require 'weir.core'\n"
    "collectgarbage() collectgarbage()\n"
    "for s = 1, 20 do pcall(weir.step, s * 10) collectgarbage() end\n"
    "local stats = sem and sem:stats() or { in_use = 0, waiting = 0 }\n"
    "assert(stats.in_use == 0, 'in use: ' .. stats.in_use)\n"
    "assert(stats.waiting == 0, 'waiting: ' .. stats.waiting)\n";

/* The same for a space that processes share. */
static const char shared_script[] =
    "local weir = require 'weir.core'\n"
    "space = assert(weir.open('shm:oom', { size = '256k' }))\n"
    "sem = weir.limiter{ space = space, name = 'sem', concurrent = 1 }\n"
    "local limited = sem(function(n) coroutine.yield() return n end)\n"
    "local tasks = {}\n"
    "for i = 1, 4 do tasks[i] = weir.spawn(limited, i) end\n"
    "weir.step()\n"
    "local dropped = coroutine.wrap(function() sem:acquire() end)\n"
    "dropped()\n"
    "tasks[4]:cancel()\n"
    "assert(tostring(weir.explain()) and #weir.limiters() == 1)\n"
    "for frame = 1, 9 do weir.step() end\n"
    "assert(tasks[3]:join() == 3)\n"
    "weir.limiter{ space = 'shm:oom', name = 'sem', concurrent = 1 }\n"
    "assert(tostring(sem) and tostring(space) and sem:stats().generation)\n"
    "assert(#weir.spaces() == 1)\n"
    "late = weir.spawn(limited, 5)\n"
    "weir.step()\n"
    "space:close()\n"
    "weir.step()\n";

static const char shared_finish[] =
    "local weir = require 'weir.core'\n"
    "collectgarbage() collectgarbage()\n"
    "for s = 1, 20 do pcall(weir.step) collectgarbage() end\n"
    "local space <close> = assert(weir.open('shm:oom', { size = '256k' }))\n"
    "local stats = weir.limiter{ space = space, name = 'sem',\n"
    "                            concurrent = 1 }:stats()\n"
    "assert(stats.in_use == 0, 'in use: ' .. stats.in_use)\n"
    "assert(stats.waiting == 0, 'waiting: ' .. stats.waiting)\n";

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "weir.core", luaopen_weir_core, 0);
  return 0;
}

/* Whether a piece of code succeeds; if not, says why. */
static bool succeeds(lua_State *L, const char *code) {
  bool ok = luaL_dostring(L, code) == LUA_OK;
  if (!ok) printf("# %s\n", lua_tostring(L, -1));
  lua_settop(L, 0);
  return ok;
}

static bool opens(lua_State *L) {
  bool ok;
  lua_pushcfunction(L, open_all);
  ok = lua_pcall(L, 0, 0, 0) == LUA_OK;
  lua_settop(L, 0);
  return ok;
}

/* WEIR_OOM_EVERY=N: only every N-th fails, where all of them take too long. */
static long step(void) {
  const char *text = getenv("WEIR_OOM_EVERY");
  long asked = text ? strtol(text, NULL, 10) : 1;
  return asked > 0 ? asked : 1;
}

/* Lua warns piece by piece: "error in ", "__gc", ... */
static void warned(void *data, const char *piece, int goes_on) {
  heap *h = data;
  (void)goes_on;
  if (strcmp(piece, "__gc") == 0) h->unfinished++;
}

/* Runs the script with the k-th allocation failing; whether one did. */
static bool run_with(long k, const char *code, const char *end) {
  heap h = { .countdown = k };
  lua_State *L = lua_newstate(resize, &h);
  if (L) lua_setwarnf(L, warned, &h);
  if (L && opens(L)) {
    bool done = luaL_dostring(L, code) == LUA_OK;
    lua_settop(L, 0);
    h.countdown = -1;
    CHECK(done || h.failed);
    CHECK(h.unfinished || succeeds(L, end));
  }
  if (L) lua_close(L);
  CHECK_EQ(h.live, 0);
  return h.failed;
}

TEST(every_allocation_of_lua_fails_once) {
  long k = 0;
  while (k < RUNS_MAX && run_with(k, script, finish)) k += step();
  CHECK(k > 100 && k < RUNS_MAX);
}

TEST(every_allocation_with_a_shared_space_fails_once) {
  char dir[] = "/tmp/weir-XXXXXX", why[WEIR_WHY_MAX];
  long k = 0;
  CHECK(mkdtemp(dir) && setenv("WEIR_DIR", dir, 1) == 0);
  while (k < RUNS_MAX && run_with(k, shared_script, shared_finish)) k += step();
  CHECK(k > 100 && k < RUNS_MAX);
  CHECK(weir_shared_remove("oom", NULL, false, why));
  CHECK(rmdir(dir) == 0);
}

CHECK_MAIN
