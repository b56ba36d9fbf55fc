/*
** wait.c - the one way to wait: a coroutine yields until its ticket is decided.
**
** Whatever weir makes a coroutine wait for is a ticket: a permit, a time, a
** descriptor, the end of a task. (A host that itself knows when a wait is over,
** and whose, ends it without one.) A task is resumed by the loop alone: anyone
** else who resumes it finds that it yields again. A stranger, a coroutine that
** weir did not make, may also be resumed by its own scheduler; whoever comes
** first once the ticket is decided lets it go on.
**
** When a coroutine is closed while it waits, its ticket leaves the queue at
** once: a guard in a to-be-closed slot sees to it. A task has one at the bottom
** of its stack for all its waits, a stranger gets one for each.
*/
#include "bind.h"

static const char GUARD; /* registry key */

void bind_push_guard(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &GUARD);
}

uint32_t bind_wait_prepare(lua_State *L, weir_lua *W, const char *what) {
  uint32_t index;
  if (!lua_isyieldable(L))
    luaL_error(L,
               "%s would have to wait, and nothing can wait here: call it in "
               "a task (weir.run, weir.spawn) or in a coroutine",
               what);
  index = bind_fiber_of(L, W);
  if (index) return index;
  lua_pushthread(L);
  return bind_fiber_new(L, W, false);
}

/* A stranger's fiber lives as long as its wait. */
static void free_stranger(lua_State *L, weir_lua *W, uint32_t index) {
  if (bind_fiber_at(W, index)->task) return;
  bind_fiber_unanchor(L, W, index);
  weir_slab_give(&W->fibers, index);
}

void bind_wait_skip(lua_State *L, weir_lua *W, uint32_t index) {
  free_stranger(L, W, index);
}

int bind_wait(lua_State *L, bind_space *space, uint32_t index,
              weir_ticket ticket, lua_KFunction k) {
  weir_lua *W = space->W;
  bind_fiber *fiber = bind_fiber_at(W, index);
  bind_run_queue_remove(W, index); /* it gave way, and a stranger resumed it */
  fiber->ticket = ticket;
  fiber->space = space;
  fiber->state = BIND_WAITING;
  if (!fiber->task) {
    bind_push_guard(L);
    lua_toclose(L, -1);
  }
  fiber->base = lua_gettop(L);
  bind_touch(W);
  return lua_yieldk(L, 0, (lua_KContext)bind_fiber_id(W, index), k);
}

int bind_wait_again(lua_State *L, lua_KContext id, lua_KFunction k) {
  return lua_yieldk(L, 0, id, k);
}

weir_ticket bind_park(lua_State *L, weir_lua *W, uint32_t fiber,
                      uint64_t deadline) {
  weir_request request = { .cookie = bind_fiber_id(W, fiber),
                           .deadline = deadline };
  weir_ticket ticket;
  if (weir_park(W->home.port, &request, &ticket) != WEIR_WAITING) {
    bind_wait_skip(L, W, fiber);
    luaL_error(L, "not enough memory");
  }
  return ticket;
}

/* What a fiber has besides its ticket while it waits. */
static void end_wait(weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  bind_unjoin(W, index);
  if (!fiber->source) return;
  W->sources--;
  if (fiber->lookup)
    weir_lookup_free(fiber->source);
  else
    weir_watch_free(fiber->source);
  fiber->source = NULL;
}

/* The answer of a lookup is still to be read; a watch has done its work. */
static weir_lookup *take_lookup(weir_lua *W, bind_fiber *fiber) {
  weir_lookup *lookup = fiber->source;
  if (!lookup || !fiber->lookup) return NULL;
  W->sources--;
  fiber->source = NULL;
  return lookup;
}

/* What comes of a space that is no more, or that is in trouble. */
static const weir_event NOTHING = { .verdict = WEIR_CLOSED };

static void tell(const weir_lua *W, uint32_t index, weir_verdict verdict,
                 uint64_t waited_ns) {
  if (W->observer)
    W->observer->decided(W->observer->data, index, verdict, waited_ns);
}

static void decide(weir_lua *W, uint32_t index, const weir_event *event) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  bool held = event->limiter && event->verdict == WEIR_ADMITTED;
  fiber->ticket = held ? event->ticket : 0;
  fiber->verdict = (uint8_t)event->verdict;
  fiber->waited = event->waited_ns;
  fiber->cost = event->cost;
  fiber->limiter = event->limiter;
  fiber->state = BIND_DECIDED;
  bind_unjoin(W, index);
  tell(W, index, event->verdict, event->waited_ns);
}

void bind_wait_end(weir_lua *W, uint32_t index) {
  static const weir_event woken = { .verdict = WEIR_ADMITTED };
  decide(W, index, &woken);
  bind_run_queue_add(W, index);
}

/* Whoever has nothing else to do takes one at a time from others: they go on
** when it comes back for the next. */
static void collect(const bind_space *space) {
  bool one = space->shared && !space->W->run_first;
  weir_event event;
  while (weir_next(space->port, &event)) {
    uint32_t index = (uint32_t)event.cookie;
    decide(space->W, index, &event);
    bind_run_queue_add(space->W, index);
    if (one) return;
  }
}

void bind_collect(weir_lua *W, bool all) {
  collect(&W->home);
  if (!all) return;
  for (const bind_space *space = W->opened; space; space = space->next)
    if (space->port) collect(space);
}

/* Whatever was decided, or not, is no more. */
static void end_in(weir_lua *W, uint32_t index) {
  bool waits = bind_fiber_at(W, index)->state == BIND_WAITING;
  decide(W, index, &NOTHING);
  if (waits) bind_run_queue_add(W, index);
}

void bind_wait_end_all(const bind_space *space) {
  weir_lua *W = space->W;
  for (uint32_t i = 1; i < W->fibers.head->used; i++) {
    const bind_fiber *fiber = bind_fiber_at(W, i);
    if (weir_slab_live(&W->fibers, i) && fiber->space == space &&
        fiber->ticket &&
        (fiber->state == BIND_WAITING || fiber->state == BIND_DECIDED))
      end_in(W, i);
  }
}

void bind_wait_end_troubled(weir_lua *W) {
  for (const bind_space *space = W->opened; space; space = space->next)
    if (space->port && bind_space_trouble(space)) bind_wait_end_all(space);
}

/* A stranger's scheduler asks; nobody else may be there to advance time. */
static void decide_out_of_turn(weir_lua *W, uint32_t index) {
  const bind_fiber *fiber = bind_fiber_at(W, index);
  weir_event event;
  int claimed;
  bind_advance_in(fiber->space, bind_now(W, true));
  claimed = weir_claim(fiber->space->port, fiber->ticket, &event);
  if (claimed < 0) event = NOTHING;
  if (claimed) decide(W, index, &event);
  bind_touch(W);
}

/* Why a wait ended that was told CLOSED, if it was not by closing. */
static int trouble_of(const bind_fiber *fiber) {
  if (fiber->verdict != WEIR_CLOSED || !fiber->space->shared) return 0;
  return fiber->space->port ? bind_space_trouble(fiber->space) : 0;
}

bool bind_wait_over(lua_State *L, weir_lua *W, lua_KContext id,
                    bind_result *out) {
  uint32_t index = (uint32_t)id;
  bind_fiber *fiber = bind_fiber_at(W, index);
  const bind_space *space = fiber->space;
  int trouble;
  lua_settop(L, fiber->base); /* what the resumer passed is nothing to us */
  if (fiber->task && W->current_co != L) return false;
  if (fiber->state == BIND_WAITING) decide_out_of_turn(W, index);
  if (fiber->state != BIND_DECIDED) return false;
  out->verdict = (weir_verdict)fiber->verdict;
  out->ticket = fiber->ticket;
  out->waited_ns = fiber->waited;
  out->cost = fiber->cost;
  out->limiter = fiber->limiter;
  out->lookup = take_lookup(W, fiber);
  fiber->ticket = 0;
  fiber->state = BIND_RUNNING;
  bind_run_queue_remove(W, index);
  end_wait(W, index);
  out->guarded = !fiber->task;
  if (!fiber->task && out->ticket)
    weir_set_cookie(space->port, out->ticket, bind_owner(L));
  trouble = trouble_of(fiber);
  free_stranger(L, W, index);
  bind_check(L, space, "weir", trouble);
  return true;
}

void bind_wait_abort(weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  weir_port *port = fiber->ticket ? fiber->space->port : NULL;
  uint64_t now = bind_now(W, port && fiber->space->shared);
  if (port && fiber->state == BIND_WAITING) {
    weir_cancel(port, fiber->ticket, now);
    tell(W, index, WEIR_CANCELED, 0);
  } else if (port)
    weir_release(port, fiber->ticket, WEIR_UNUSED, now);
  fiber->ticket = 0;
  bind_run_queue_remove(W, index);
  end_wait(W, index);
  bind_touch(W);
}

/* The coroutine L is being closed where it waits, or is done waiting. (The task
** that runs is not: somebody got hold of the guard and plays with it.) */
static int guard_close(lua_State *L) {
  weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  bool ours = W->home.port && L != W->ended && L != W->current_co;
  uint32_t index = ours ? bind_fiber_of(L, W) : 0;
  bind_fiber *fiber = index ? bind_fiber_at(W, index) : NULL;
  if (!fiber || fiber->state >= BIND_ENDING) return 0;
  bind_wait_abort(W, index);
  if (fiber->task) {
    lua_pushnil(L);
    bind_finish(L, W, index, BIND_CANCELED);
  } else {
    free_stranger(L, W, index);
  }
  return 0;
}

void bind_open_wait(lua_State *L, int self) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, self);
  lua_pushcclosure(L, guard_close, 1);
  lua_setfield(L, -2, "__close");
  lua_pushliteral(L, "weir.guard");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &GUARD);
}
