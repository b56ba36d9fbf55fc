/*
** source.c - waits for descriptors and names.
*/
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

static void set_source(weir_lua *W, uint32_t fiber, void *source, bool lookup) {
  bind_fiber_at(W, fiber)->source = source;
  bind_fiber_at(W, fiber)->lookup = lookup;
  W->sources++;
}

/* A descriptor, or something with a getfd method, as LuaSocket's objects. */
static int check_fd(lua_State *L, const char *who) {
  static const bind_option option = { .name = "the descriptor",
                                      .kind = BIND_COUNT,
                                      .max = INT32_MAX };
  uint32_t fd;
  if (lua_type(L, 1) == LUA_TUSERDATA || lua_type(L, 1) == LUA_TTABLE) {
    if (lua_getfield(L, 1, "getfd") == LUA_TNIL)
      return bind_expected(L, who, NULL,
                           "a descriptor or an object with getfd()", 1);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_replace(L, 1);
  }
  bind_read_option(L, 1, who, &option, &fd);
  return (int)fd;
}

static int watch_k(lua_State *L, int status, lua_KContext id) {
  weir_lua *W = bind_self(L);
  bind_result result;
  (void)status;
  if (!bind_wait_over(L, W, id, &result))
    return bind_wait_again(L, id, watch_k);
  if (result.verdict == WEIR_TIMEOUT)
    return bind_refuse(L, WEIR_TIMEOUT, "the wait for a descriptor");
  lua_pushboolean(L, 1);
  return 1;
}

/* Whether an object, as LuaSocket's, has read more than it gave out: then its
** descriptor may never become readable. */
static bool is_dirty(lua_State *L) {
  bool dirty;
  if (lua_type(L, 1) != LUA_TUSERDATA && lua_type(L, 1) != LUA_TTABLE)
    return false;
  if (lua_getfield(L, 1, "dirty") == LUA_TNIL) return false;
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  dirty = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return dirty;
}

static int watch(lua_State *L, const char *who, bool write) {
  weir_lua *W = bind_self(L);
  int fd = check_fd(L, who);
  uint64_t deadline = bind_deadline(L, W, 2, who);
  weir_loop *loop = bind_loop(L, W);
  uint32_t fiber = bind_wait_prepare(L, W, who);
  weir_ticket ticket = bind_park(L, W, fiber, deadline);
  weir_watch *source = weir_watch_new(loop, fd, write, ticket);
  if (!source) {
    weir_cancel(W->home.port, ticket, W->now);
    if (W->current != fiber) bind_wait_skip(L, W, fiber);
    return luaL_error(L, "%s: descriptor %d cannot be watched", who, fd);
  }
  set_source(W, fiber, source, false);
  return bind_wait(L, &W->home, fiber, ticket, watch_k);
}

/***
Waits until a descriptor can be read.
@function readable
@tparam integer|table fd or an object with a getfd method, as LuaSocket's
@tparam[opt] number timeout seconds
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] table `code` is timeout
*/
static int readable(lua_State *L) {
  if (is_dirty(L)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  return watch(L, "weir.readable", false);
}

/***
Waits until a descriptor can be written.
@function writable
@tparam integer|table fd
@tparam[opt] number timeout seconds
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] table `code` is timeout
*/
static int writable(lua_State *L) { return watch(L, "weir.writable", true); }

/***
Ends all waits for a descriptor that is about to be closed, as if it were ready.
@function wake
@tparam integer|table fd
@treturn integer how many tasks waited
*/
static int wake(lua_State *L) {
  weir_lua *W = bind_self(L);
  int fd = check_fd(L, "weir.wake");
  lua_pushinteger(L, W->home.loop ? weir_loop_wake_fd(W->home.loop, fd) : 0);
  return 1;
}

static int push_addresses(lua_State *L, const weir_lookup *lookup) {
  const char *address;
  if (weir_lookup_error(lookup)) {
    lua_pushnil(L);
    lua_pushstring(L, weir_lookup_error(lookup));
    return 2;
  }
  lua_newtable(L);
  for (int i = 0; (address = weir_lookup_address(lookup, i)) != NULL; i++) {
    lua_pushstring(L, address);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int resolve_k(lua_State *L, int status, lua_KContext id) {
  weir_lua *W = bind_self(L);
  bind_result result;
  int pushed;
  (void)status;
  if (!bind_wait_over(L, W, id, &result))
    return bind_wait_again(L, id, resolve_k);
  pushed = push_addresses(L, result.lookup);
  weir_lookup_free(result.lookup);
  return pushed;
}

/***
Looks a host name up without blocking the others.
@function resolve
@tparam string host
@treturn[1] table numeric addresses
@treturn[2] nil
@treturn[2] string what went wrong
*/
static int resolve(lua_State *L) {
  static const bind_option option = {
    .name = "the host", .kind = BIND_TEXT, .min = 1, .max = 255
  };
  weir_lua *W = bind_self(L);
  const char *host;
  weir_loop *loop;
  weir_lookup *source;
  weir_ticket ticket;
  uint32_t fiber;
  bind_read_option(L, 1, "weir.resolve", &option, &host);
  loop = bind_loop(L, W);
  fiber = bind_wait_prepare(L, W, "weir.resolve");
  ticket = bind_park(L, W, fiber, WEIR_NEVER);
  source = weir_lookup_new(loop, host, ticket);
  if (!source) {
    weir_cancel(W->home.port, ticket, W->now);
    if (W->current != fiber) bind_wait_skip(L, W, fiber);
    return luaL_error(L, "weir.resolve: the resolver could not be started");
  }
  set_source(W, fiber, source, true);
  return bind_wait(L, &W->home, fiber, ticket, resolve_k);
}

void bind_open_source(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "readable", readable },
                                        { "writable", writable },
                                        { "resolve", resolve },
                                        { "wake", wake },
                                        { NULL, NULL } };
  bind_register(L, self, functions);
}
