/* field.h - what is pushed and set in many places. */
#ifndef WEIR_BIND_FIELD_H
#define WEIR_BIND_FIELD_H

#include <lua.h>
#include <stdint.h>

enum { BIND_S_TO_NS = 1000000000 };

static inline void bind_push_seconds(lua_State *L, uint64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / BIND_S_TO_NS);
}

/* Fields of the table on top. */
static inline void bind_set_integer(lua_State *L, const char *key, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, key);
}

static inline void bind_set_seconds(lua_State *L, const char *key,
                                    uint64_t ns) {
  bind_push_seconds(L, ns);
  lua_setfield(L, -2, key);
}

static inline void bind_set_string(lua_State *L, const char *key,
                                   const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

#endif
