/*
** all.c - weir.all: several limiters that are asked together.
*/
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

int bind_push_member(lua_State *L, int all, weir_limiter handle) {
  const bind_limiter *self = lua_touserdata(L, all);
  int before = self->slots;
  bind_limiter_field(L, all, BIND_LIMITER_MEMBERS);
  for (int i = self->members; i >= 1; i--) {
    const bind_limiter *member;
    lua_rawgeti(L, -1, i);
    member = lua_touserdata(L, -1);
    before -= member->slots;
    if (member->handle == handle || i == 1) break;
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
  return before;
}

/* The members at index 1, checked; a copy of the list is pushed. */
static int check_members(lua_State *L) {
  lua_Integer count;
  if (!lua_istable(L, 1))
    bind_expected(L, "weir.all", NULL, "a list of limiters", 1);
  count = luaL_len(L, 1);
  if (count < 1 || count > WEIR_ALL_MAX)
    luaL_error(L, "weir.all: expected 1 to %d limiters, got %I", WEIR_ALL_MAX,
               count);
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    const bind_limiter *member;
    lua_geti(L, 1, i);
    member = bind_to_limiter(L, lua_gettop(L));
    if (!member || member->members) {
      lua_pushfstring(L, "limiter %I", i);
      bind_expected(L, "weir.all", lua_tostring(L, -1), "a limiter", -2);
    }
    lua_rawseti(L, -2, i);
  }
  return (int)count;
}

static const char *name_of(const bind_space *space) {
  return space->shared ? space->url : "this Lua state alone";
}

/* The one space that all of them are in. */
static bind_space *check_space(lua_State *L, int list, int count) {
  const bind_limiter *first, *other;
  lua_rawgeti(L, list, 1);
  first = lua_touserdata(L, -1);
  for (int i = 2; i <= count; i++) {
    lua_rawgeti(L, list, i);
    other = lua_touserdata(L, -1);
    if (other->space != first->space)
      luaL_error(L,
                 "weir.all: limiters 1 and %d are in different spaces (%s and "
                 "%s), where nothing happens at the same instant; use "
                 "weir.stack",
                 i, name_of(first->space), name_of(other->space));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return first->space;
}

/* Takes over what the members want to be asked. */
static void join_members(lua_State *L, int list, int count,
                         bind_limiter *self) {
  self->members = (uint8_t)count;
  self->asks = true;
  self->cost = 0;
  self->priority = BIND_THEIR_OWN;
  for (int i = 1; i <= count; i++) {
    const bind_limiter *member;
    lua_rawgeti(L, list, i);
    member = lua_touserdata(L, -1);
    for (int j = 1; j < i; j++) {
      const bind_limiter *other;
      lua_rawgeti(L, list, j);
      other = lua_touserdata(L, -1);
      if (other->handle == member->handle)
        luaL_error(L, "weir.all: limiters %d and %d are the same", j, i);
      lua_pop(L, 1);
    }
    self->slots = (uint8_t)(self->slots + member->slots);
    self->keyed |= member->keyed;
    lua_pop(L, 1);
  }
}

/* Pushes "a + b". */
static void push_label(lua_State *L, int list, int count) {
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    bind_limiter_field(L, lua_gettop(L), BIND_LIMITER_LABEL);
    lua_remove(L, -2);
    if (i == 1) continue;
    lua_pushfstring(L, "%s + %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
}

/***
Makes one decorator of several limiters that admits a call only when every one
of them can, in the same instant. While it waits it holds nothing, so it blocks
nobody, and there is no deadlock in whatever order callers name limiters. (A
@{stack} holds what the outer ones gave while it waits for the inner ones.)
@function all
@tparam table limiters a list of up to 16
@treturn limiter to be called with the function to limit; it also has `acquire`,
`try_acquire` and `wrap`
@usage local copy = weir.all{ disk, network }(function(file) end)
*/
static int all(lua_State *L) {
  int count, list;
  bind_limiter *self;
  bind_self(L);
  lua_settop(L, 1);
  count = check_members(L);
  list = lua_gettop(L);
  self = bind_limiter_new(L, check_space(L, list, count));
  join_members(L, list, count, self);
  lua_createtable(L, BIND_LIMITER_MEMBERS, 0);
  push_label(L, list, count);
  lua_rawseti(L, -2, BIND_LIMITER_LABEL);
  lua_pushvalue(L, list);
  lua_rawseti(L, -2, BIND_LIMITER_MEMBERS);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

void bind_open_all(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "all", all }, { NULL, NULL } };
  bind_register(L, self, functions);
}
