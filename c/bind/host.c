/*
** host.c - what drives the tasks of a Lua state: weir.run's own libevent loop,
** a base the program has, or the program's frames; and the waits for time.
*/
#include <weir_lua.h>

#include "bind.h"
#include "interrupt.h"

/***
Limit what runs at once.
@module weir
*/

enum { RESUMES_PER_TURN = 256 }; /* then the loop looks at its descriptors */

static const char INTERRUPTED; /* registry key of the value */

static int raise_failure(lua_State *L) {
  return bind_raise_failure(L, lua_touserdata(L, 1));
}

void bind_push_failure(lua_State *L, weir_lua *W) {
  lua_pushcfunction(L, raise_failure);
  lua_pushlightuserdata(L, W);
  lua_pcall(L, 1, 0, 0);
}

/* Outside weir.run a failure goes to the program that owns the base. */
static void report(lua_State *L, weir_lua *W) {
  bind_push_failure(L, W);
  if (W->on_error)
    W->on_error(L, W->on_error_data);
  else
    lua_writestringerror("weir: %s\n", luaL_tolstring(L, -1, NULL));
}

/* One turn of the loop; W->driver is whoever runs it. */
static void turn(void *data) {
  weir_lua *W = data;
  lua_State *L = W->driver;
  int top;
  if (W->stepping) return; /* weir.step resumes, and counts */
  top = lua_gettop(L);
  if (bind_drive(L, W, RESUMES_PER_TURN) < 0) { /* out of memory */
    lua_pop(L, 1);
    W->failed = true;
  }
  if (W->failed && !W->running) report(L, W);
  if (W->failed || bind_interrupted()) weir_loop_break(W->home.loop);
  if (W->run_first) weir_loop_kick(W->home.loop);
  bind_touch_opened(W, true);
  lua_settop(L, top);
}

/* Makes the loop, on a base the program has or, without, on one of its own, and
** hangs those of the shared spaces on it. */
static bool make_loop(weir_lua *W, struct event_base *base) {
  bool made;
  W->home.loop = weir_loop_new(W->home.port, base, turn, W);
  made = W->home.loop != NULL;
  for (bind_space *space = W->opened; made && space; space = space->next)
    made = bind_space_loop(space);
  return made;
}

weir_loop *bind_loop(lua_State *L, weir_lua *W) {
  if (W->home.loop) return W->home.loop;
  if (W->hosted)
    luaL_error(L, "weir: this program runs the tasks itself; there is no event "
                  "loop to run or to watch descriptors");
  if (W->virtual_time)
    luaL_error(L, "weir: this program gives the time itself (weir.step); there "
                  "is no event loop to run or to watch descriptors");
  if (!make_loop(W, NULL)) luaL_error(L, "weir: no event loop could be made");
  return W->home.loop;
}

/* --- weir.run ------------------------------------------------------------- */

typedef enum run_end {
  RUN_OVER,
  RUN_FAILED,
  RUN_INTERRUPTED,
  RUN_DEADLOCK
} run_end;

/* Whether anything but a permit of home can still wake somebody: permits of a
** shared space may come from other processes. */
static bool can_go_on(const weir_lua *W) {
  return W->run_first || W->sources || bind_pending(W) ||
         bind_next_deadline(W) != WEIR_NEVER || bind_waits_for_others(W);
}

/* Permits that nobody can reach any more come back when they are collected. */
static bool is_deadlock(lua_State *L, const weir_lua *W) {
  if (can_go_on(W)) return false;
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return !can_go_on(W);
}

/* The error of a task whose object nobody has any more can be claimed by
** nobody, and must not wait for the collector. */
void bind_find_lost_errors(lua_State *L, weir_lua *W) {
  if (!W->unclaimed || W->run_first || bind_pending(W)) return;
  W->unclaimed = false;
  lua_gc(L, LUA_GCCOLLECT);
}

/* Other processes cannot know of those. While somebody waits there the loop
** wakes for each patrol; when nobody was resumed since the last time, it is
** idle enough. */
void bind_find_lost_permits(lua_State *L, weir_lua *W) {
  bool idle = !W->stirred;
  if (!W->opened) return;
  W->littered |= W->stirred;
  W->stirred = false;
  if (!idle || !W->littered || bind_now(W, true) < W->collect_at ||
      !bind_waits_for_others(W))
    return;
  W->littered = false;
  W->collect_at = W->now + BIND_S_TO_NS;
  lua_gc(L, LUA_GCCOLLECT);
}

static run_end run_loop(lua_State *L, weir_lua *W, uint32_t main) {
  for (;;) {
    if (bind_interrupted()) return RUN_INTERRUPTED;
    bind_wait_end_troubled(W);
    bind_find_lost_errors(L, W);
    bind_find_lost_permits(L, W);
    if (W->failed || bind_fiber_at(W, main)->state == BIND_FAILED)
      return RUN_FAILED;
    if (W->alive == 0) return RUN_OVER;
    if (!W->attached && is_deadlock(L, W)) return RUN_DEADLOCK;
    bind_touch(W);
    if (!weir_loop_once(W->home.loop, true) && !can_go_on(W))
      return RUN_DEADLOCK;
  }
}

/* The first task whose error nobody saw; 0: none. */
static uint32_t unclaimed(const weir_lua *W) {
  for (uint32_t i = 1; i < W->fibers.head->used; i++) {
    const bind_fiber *fiber = bind_fiber_at(W, i);
    if (weir_slab_live(&W->fibers, i) && fiber->state == BIND_FAILED &&
        !fiber->claimed)
      return i;
  }
  return 0;
}

/* Pushes the error a run ends with. */
static void push_end(lua_State *L, weir_lua *W, run_end end) {
  if (end == RUN_DEADLOCK)
    bind_push_deadlock(L, W);
  else if (end == RUN_INTERRUPTED)
    lua_rawgetp(L, LUA_REGISTRYINDEX, &INTERRUPTED);
}

/* Ends a run: whatever still goes is closed, whatever failed is raised. */
static void end_run(lua_State *L, weir_lua *W, uint32_t main, run_end end) {
  uint32_t failed =
      bind_fiber_at(W, main)->state == BIND_FAILED ? main : unclaimed(W);
  if (failed && !W->failed) {
    bind_push_outcome(L, failed);
    bind_fail(L, W);
  }
  push_end(L, W, end);
  if (end != RUN_OVER) bind_cancel_all(L, W);
  if (end == RUN_INTERRUPTED || end == RUN_DEADLOCK) {
    bind_claim_all(W);
    lua_error(L);
  }
  if (!W->failed) return;
  bind_claim_all(W);
  bind_raise_failure(L, W);
}

/***
Runs a function as a task on a libevent loop, and goes on until all tasks have
ended. An error in main, or in a task that nobody joins, ends the run: the other
tasks are canceled and the error is raised here, with the task's own traceback
if it is a string. If nothing is left to wait for but permits, a report of who
holds and who waits is raised. Ctrl-C cancels all tasks and raises
`weir.interrupted`.
@function run
@tparam function main
@param ... its arguments
@return what main returned
*/
static int run(lua_State *L) {
  weir_lua *W = bind_self(L);
  lua_State *driver = W->driver;
  uint32_t main;
  run_end end;
  bind_check_callable(L, 1, "weir.run", "the main function");
  if (W->running || W->driving)
    return luaL_error(L, "weir.run: the loop runs already; use weir.spawn");
  bind_after_fork(W);
  bind_loop(L, W);
  main = bind_spawn(L, W, 1);
  W->driver = L;
  W->running = true;
  bind_interrupt_begin(W);
  end = run_loop(L, W, main);
  bind_interrupt_end();
  W->running = false;
  W->driver = driver;
  end_run(L, W, main, end);
  return bind_push_result(L, W, main);
}

/* --- frames --------------------------------------------------------------- */

void bind_set_time(weir_lua *W, uint64_t now) {
  W->virtual_time = true;
  W->now = now + BIND_VIRTUAL_ZERO;
  bind_advance(W);
}

/* The deadline as the program tells time. */
static uint64_t next_deadline(const weir_lua *W) {
  uint64_t deadline = bind_next_deadline(W);
  return W->virtual_time && deadline != WEIR_NEVER
             ? deadline - BIND_VIRTUAL_ZERO
             : deadline;
}

/* Resumes for one frame; -1: an error is on L's stack. */
static int frame(lua_State *L, weir_lua *W, int budget) {
  int resumed = bind_drive(L, W, budget);
  bind_run_queue_end_frame(W);
  W->stepping = false;
  return resumed;
}

/* What descriptors have to say, without waiting for more. */
static void poll_loop(weir_lua *W) {
  if (W->home.loop) weir_loop_once(W->home.loop, false);
}

/* A shared space goes by the clock that all its processes have. */
static void refuse_time(lua_State *L, const weir_lua *W) {
  const bind_space *space = bind_first_opened(W);
  if (space)
    luaL_error(L,
               "weir.step: the space '%s' is open, which goes by the machine's "
               "clock: call weir.step without a time, or close the space",
               space->url);
}

/***
One frame of a program that has a loop of its own: expires what is due, resumes
whoever may go on, and returns at once. Where `now` is given it is the time from
then on, for weir.now and all timeouts, and there is no event loop.
@function step
@tparam[opt] number now seconds, on any clock that goes forward
@tparam[opt] integer budget resume at most so many; the others wait for the next
@treturn integer how many were resumed
@treturn number when the next deadline is due, in seconds; nil if there is none
*/
static int step(lua_State *L) {
  static const bind_option now_option = { .name = "the time",
                                          .kind = BIND_SECONDS };
  static const bind_option budget_option = {
    .name = "the budget", .kind = BIND_COUNT, .min = 1, .max = INT32_MAX
  };
  weir_lua *W = bind_self(L);
  uint64_t now;
  uint32_t budget = INT32_MAX;
  int resumed;
  if (W->running || W->driving)
    return luaL_error(L, "weir.step: the tasks are being run already");
  if (!lua_isnoneornil(L, 2))
    bind_read_option(L, 2, "weir.step", &budget_option, &budget);
  if (!lua_isnoneornil(L, 1)) {
    if (W->home.loop)
      return luaL_error(L, "weir.step: the time belongs to the event loop");
    refuse_time(L, W);
    bind_read_option(L, 1, "weir.step", &now_option, &now);
    bind_set_time(W, now);
  }
  W->stepping = true;
  poll_loop(W);
  bind_advance(W);
  bind_wait_end_troubled(W);
  resumed = frame(L, W, (int)budget);
  if (resumed < 0) return lua_error(L);
  if (W->failed) return bind_raise_failure(L, W);
  lua_pushinteger(L, resumed);
  if (next_deadline(W) == WEIR_NEVER) return 1;
  bind_push_seconds(L, next_deadline(W));
  return 2;
}

int weir_lua_step(lua_State *L, uint64_t now, int budget) {
  weir_lua *W = bind_find(L);
  int resumed;
  if (!W || W->running || W->driving || W->home.loop || bind_first_opened(W)) {
    lua_pushliteral(L, "weir_lua_step: the module is not open here, its tasks "
                       "are run by an event loop, or a shared space is open, "
                       "which goes by the machine's clock");
    return -1;
  }
  bind_set_time(W, now);
  W->stepping = true;
  resumed = frame(L, W, budget);
  if (resumed < 0 || !W->failed) return resumed;
  bind_push_failure(L, W);
  return -1;
}

uint64_t weir_lua_deadline(lua_State *L) {
  const weir_lua *W = bind_find(L);
  return W ? next_deadline(W) : WEIR_NEVER;
}

/* --- a base the program has ----------------------------------------------- */

int weir_lua_attach(lua_State *L, struct event_base *base,
                    void (*on_error)(lua_State *L, void *data), void *data) {
  weir_lua *W = bind_find(L);
  if (W && !W->home.loop && !W->virtual_time && !W->driving) make_loop(W, base);
  if (!W || !W->home.loop || weir_loop_base(W->home.loop) != base) {
    lua_pushliteral(L, "weir_lua_attach: the module is not open here, or its "
                       "tasks are run by another loop");
    return -1;
  }
  W->attached = true;
  W->on_error = on_error;
  W->on_error_data = data;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  W->driver = lua_tothread(L, -1);
  lua_pop(L, 1);
  bind_touch(W);
  return 0;
}

/***
Lets tasks run on a libevent loop that the program has; see weir_lua_attach in
weir_lua.h.
@function attach
@param base the event_base, as light userdata
*/
static int attach(lua_State *L) {
  bind_self(L);
  if (!lua_islightuserdata(L, 1))
    return bind_expected(L, "weir.attach", NULL,
                         "an event_base as light userdata", 1);
  if (weir_lua_attach(L, lua_touserdata(L, 1), NULL, NULL)) return lua_error(L);
  return 0;
}

/* --- time ----------------------------------------------------------------- */

/***
@function now
@treturn number seconds, on a clock that only goes forward
*/
static int now(lua_State *L) {
  weir_lua *W = bind_self(L);
  uint64_t ns = bind_now(W, true);
  bind_push_seconds(L, W->virtual_time ? ns - BIND_VIRTUAL_ZERO : ns);
  return 1;
}

static int sleep_k(lua_State *L, int status, lua_KContext id) {
  weir_lua *W = bind_self(L);
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result))
    return bind_wait_again(L, id, sleep_k);
  return 0;
}

/* A task that gave way goes on whoever resumes it. */
static int give_way_k(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}

/***
Suspends the running task.
@function sleep
@tparam number seconds at least so long; 0 lets the others run
*/
static int sleep(lua_State *L) {
  static const bind_option option = { .name = "the time to sleep",
                                      .kind = BIND_SECONDS };
  weir_lua *W = bind_self(L);
  weir_ticket ticket;
  uint32_t fiber;
  uint64_t ns;
  bind_read_option(L, 1, "weir.sleep", &option, &ns);
  fiber = bind_wait_prepare(L, W, "weir.sleep");
  if (!ns && W->current_co == L) return lua_yieldk(L, 0, 0, give_way_k);
  ticket = bind_park(L, W, fiber, ns ? bind_now(W, true) + ns : WEIR_NEVER);
  if (!ns) weir_wake(W->home.port, ticket);
  return bind_wait(L, &W->home, fiber, ticket, sleep_k);
}

/* tostring(weir.interrupted) */
static int interrupted_tostring(lua_State *L) {
  lua_pushliteral(L, "interrupted");
  return 1;
}

static void set_interrupted(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, interrupted_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &INTERRUPTED);
  lua_setfield(L, -2, "interrupted");
}

void bind_open_host(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "run", run },       { "step", step },
                                        { "attach", attach }, { "now", now },
                                        { "sleep", sleep },   { NULL, NULL } };
  bind_register(L, self, functions);
  set_interrupted(L);
}
