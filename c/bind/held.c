/*
** held.c - which permits are held, and which of those nobody has any more.
**
** A permit that is dropped gives back what it held. A finalizer on each permit
** would do it, at a third of the price of an acquire; instead a held permit
** has a slot, a weak table says which permit each slot belongs to, and after
** every collection a sentinel looks for slots whose permit is gone.
*/
#include "../core/memory.h"
#include "bind.h"

typedef struct held_slot {
  weir_record record;
  weir_ticket ticket;
  bind_space *space; /* the ticket's, used by it */
} held_slot;

static const char SENTINEL; /* registry key of its metatable */

static held_slot *slot_at(const weir_lua *W, uint32_t slot) {
  return (held_slot *)(void *)W->held.array.base + slot;
}

/* lua_CFunction: (table, from, to). Gives the table's array places up to `to`,
** so that setting them later cannot fail. */
static int add_places(lua_State *L) {
  lua_Integer to = lua_tointeger(L, 3);
  for (lua_Integer i = lua_tointeger(L, 2); i <= to; i++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, 1, i);
  }
  return 0;
}

static bool add_slots(lua_State *L, weir_lua *W, int table) {
  int status;
  lua_pushcfunction(L, add_places);
  lua_pushvalue(L, table);
  lua_pushinteger(L, W->held.array.limit);
  if (!weir_slab_grow(&W->held)) return false;
  lua_pushinteger(L, W->held.array.limit);
  status = lua_pcall(L, 3, 0, 0);
  if (status != LUA_OK) lua_pop(L, 1);
  return status == LUA_OK;
}

static bool has_slot(const weir_lua *W) {
  return W->held.head->free || W->held.head->used < W->held.array.limit;
}

/* Gives back what nobody has. */
static void drop(bind_space *space, weir_ticket ticket) {
  if (space->port)
    weir_release(space->port, ticket, WEIR_DROPPED, bind_time(space, false));
}

void bind_hold(lua_State *L, bind_permit *permit, bind_space *space,
               weir_ticket ticket, int table) {
  weir_lua *W = permit->W;
  uint32_t slot;
  while (!has_slot(W)) { /* a finalizer may have taken the new ones */
    if (add_slots(L, W, table)) continue;
    drop(space, ticket);
    luaL_error(L, "not enough memory");
  }
  slot = weir_slab_take(&W->held);
  slot_at(W, slot)->ticket = ticket;
  slot_at(W, slot)->space = space;
  bind_use(space);
  permit->slot = weir_slab_handle(&W->held, slot);
  lua_pushvalue(L, -1);
  lua_rawseti(L, table, slot);
}

/* The slot is another's by now if a finalizer brought the permit back after
** the sentinel had seen it gone: the generation tells. */
weir_ticket bind_let_go(bind_permit *permit, bind_space **space) {
  weir_lua *W = permit->W;
  const held_slot *slot = weir_slab_find(&W->held, permit->slot);
  if (!slot) return 0;
  weir_slab_give(&W->held, (uint32_t)permit->slot);
  permit->slot = 0;
  *space = slot->space;
  return slot->ticket;
}

/* Whoever had the permit of this slot has it no more. */
static void free_slot(weir_lua *W, uint32_t i) {
  bind_space *space = slot_at(W, i)->space;
  weir_slab_give(&W->held, i);
  drop(space, slot_at(W, i)->ticket);
  bind_disuse(space);
}

static void sweep(lua_State *L, weir_lua *W) {
  bind_push_table(L, BIND_HELD);
  for (uint32_t i = 1; i < W->held.head->used; i++) {
    if (!weir_slab_live(&W->held, i)) continue;
    if (lua_rawgeti(L, -1, i) == LUA_TNIL) free_slot(W, i);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  bind_touch(W);
}

/* A sentinel is garbage from the start: the next collection finalizes it. (One
** that revives itself is finalized twice and then no more, by Lua 5.4.4.) Its
** place on the stack is cleared: a dead slot can come to life again below
** somebody's frame, and would keep it. */
void bind_post_sentinel(lua_State *L, weir_lua *W) {
  lua_newuserdatauv(L, 0, 0);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SENTINEL);
  lua_setmetatable(L, -2);
  W->sentinel = true;
  lua_pushnil(L);
  lua_replace(L, -2);
  lua_pop(L, 1);
}

/* Without memory for a new one, the next permit posts it. */
static int sentinel_gc(lua_State *L) {
  weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  if (!W->home.port) return 0;
  W->sentinel = false;
  sweep(L, W);
  bind_post_sentinel(L, W);
  return 0;
}

void bind_open_held(lua_State *L, int self) {
  weir_lua *W = lua_touserdata(L, self);
  weir_slab_init(&W->held, &weir_memory_default, NULL, NULL, sizeof(held_slot));
  bind_push_table(L, BIND_HELD);
  if (!add_slots(L, W, lua_gettop(L))) luaL_error(L, "not enough memory");
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, self);
  lua_pushcclosure(L, sentinel_gc, 1);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &SENTINEL);
  bind_post_sentinel(L, W);
}
