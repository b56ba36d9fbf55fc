/*
** fiber.c - the coroutines weir resumes, and the lists they stand in.
**
** A fiber's record is in the runtime's slab; its coroutine is anchored by the
** fibers table in the registry: [thread] = index of the record.
*/
#include "../core/memory.h"
#include "bind.h"

uint32_t bind_fiber_new(lua_State *L, weir_lua *W, bool task) {
  bind_fiber *fiber;
  weir_record record;
  uint32_t index;
  bind_push_table(L, BIND_FIBERS);
  lua_pushvalue(L, -2);
  lua_pushinteger(L, 0); /* a place, which may run the collector and with it */
  lua_rawset(L, -3);     /* anything; from here on nothing of Lua's allocates */
  if (!weir_slab_reserve(&W->fibers)) luaL_error(L, "not enough memory");
  index = weir_slab_take(&W->fibers);
  fiber = bind_fiber_at(W, index);
  record = fiber->record;
  *fiber = (bind_fiber){ .record = record, .task = task };
  fiber->co = lua_tothread(L, -2);
  lua_insert(L, -2);
  lua_pushinteger(L, index);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  W->alive++;
  return index;
}

uint64_t bind_fiber_renew(weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  fiber->record.generation += 2; /* odd: in use */
  return bind_fiber_id(W, index);
}

uint32_t bind_fiber_of(lua_State *L, const weir_lua *W) {
  uint32_t index;
  if (W->current_co == L) return W->current;
  bind_push_table(L, BIND_FIBERS);
  lua_pushthread(L);
  lua_rawget(L, -2);
  index = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 2);
  return index;
}

void bind_fiber_unanchor(lua_State *L, weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  lua_State *co = fiber->co;
  if (!co) return;
  fiber->co = NULL;
  W->alive--;
  bind_push_table(L, BIND_FIBERS);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void append(weir_lua *W, uint32_t index, uint32_t *first,
                   uint32_t *last) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  fiber->queued = 1;
  fiber->record.next = 0;
  fiber->prev = *last;
  if (*last)
    bind_fiber_at(W, *last)->record.next = index;
  else
    *first = index;
  *last = index;
}

void bind_run_queue_add(weir_lua *W, uint32_t index) {
  bind_fiber_at(W, index)->later = 0;
  append(W, index, &W->run_first, &W->run_last);
}

void bind_run_queue_again(weir_lua *W, uint32_t index) {
  if (!W->stepping) {
    bind_run_queue_add(W, index);
    return;
  }
  bind_fiber_at(W, index)->later = 1;
  append(W, index, &W->later_first, &W->later_last);
}

/* Closes the gap a fiber leaves in its list. */
static void unlink(weir_lua *W, const bind_fiber *fiber, uint32_t *first,
                   uint32_t *last) {
  if (fiber->prev)
    bind_fiber_at(W, fiber->prev)->record.next = fiber->record.next;
  else
    *first = fiber->record.next;
  if (fiber->record.next)
    bind_fiber_at(W, fiber->record.next)->prev = fiber->prev;
  else
    *last = fiber->prev;
}

void bind_run_queue_remove(weir_lua *W, uint32_t index) {
  bind_fiber *fiber = bind_fiber_at(W, index);
  if (!fiber->queued) return;
  fiber->queued = 0;
  if (fiber->later)
    unlink(W, fiber, &W->later_first, &W->later_last);
  else
    unlink(W, fiber, &W->run_first, &W->run_last);
}

void bind_run_queue_end_frame(weir_lua *W) {
  uint32_t index;
  while ((index = W->later_first) != 0) {
    bind_run_queue_remove(W, index);
    bind_run_queue_add(W, index);
  }
}

void bind_join(weir_lua *W, uint32_t joiner, uint32_t target) {
  bind_fiber *fiber = bind_fiber_at(W, joiner);
  bind_fiber *joined = bind_fiber_at(W, target);
  bind_run_queue_remove(W, joiner); /* it gave way, and a stranger resumed it */
  fiber->joins = target;
  fiber->prev = 0;
  fiber->record.next = joined->joiners;
  if (joined->joiners) bind_fiber_at(W, joined->joiners)->prev = joiner;
  joined->joiners = joiner;
}

void bind_unjoin(weir_lua *W, uint32_t joiner) {
  bind_fiber *fiber = bind_fiber_at(W, joiner);
  uint32_t last; /* nobody asks for it */
  if (!fiber->joins) return;
  unlink(W, fiber, &bind_fiber_at(W, fiber->joins)->joiners, &last);
  fiber->joins = 0;
}
