/*
** refusal.c - the error object of a refusal, and the sentence it reads as.
**
** { code =, limiter =, waited =, cost =, limit =, queue =, what = }
*/
#include "bind.h"

static const char REFUSAL; /* registry key of the metatable */

int bind_refuse(lua_State *L, const bind_refusal *refusal) {
  lua_pushnil(L);
  lua_createtable(L, 0, 6);
  lua_pushstring(L, weir_verdict_name(refusal->verdict));
  lua_setfield(L, -2, "code");
  bind_push_seconds(L, refusal->waited_ns);
  lua_setfield(L, -2, "waited");
  if (refusal->label) {
    lua_pushstring(L, refusal->label);
    lua_setfield(L, -2, "limiter");
    lua_pushinteger(L, refusal->cost);
    lua_setfield(L, -2, "cost");
    lua_pushinteger(L, refusal->limit);
    lua_setfield(L, -2, "limit");
    if (refusal->queue != WEIR_UNBOUNDED) {
      lua_pushinteger(L, refusal->queue);
      lua_setfield(L, -2, "queue");
    }
  } else {
    lua_pushstring(L, refusal->what);
    lua_setfield(L, -2, "what");
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &REFUSAL);
  lua_setmetatable(L, -2);
  return 2;
}

/* A field as text, "?" if somebody changed it; pushes one value. */
static const char *text(lua_State *L, const char *field) {
  lua_getfield(L, 1, field);
  return lua_isstring(L, -1) ? lua_tostring(L, -1) : "?";
}

static weir_verdict verdict_of(lua_State *L) {
  const char *code = text(L, "code");
  for (int v = 0; v < WEIR_VERDICTS; v++) {
    lua_pushstring(L, weir_verdict_name(v));
    lua_pushstring(L, code);
    if (lua_rawequal(L, -1, -2)) return (weir_verdict)v;
    lua_pop(L, 2);
  }
  return WEIR_VERDICTS;
}

static const char *push_waited(lua_State *L) {
  lua_getfield(L, 1, "waited");
  return lua_pushfstring(L, "%f s", lua_tonumber(L, -1));
}

static int push_sentence(lua_State *L, weir_verdict verdict,
                         const char *label) {
  switch (verdict) {
  case WEIR_FULL:
    lua_getfield(L, 1, "queue");
    if (lua_isnil(L, -1))
      lua_pushfstring(L, "%s is full: its %s permits are taken or waited for",
                      label, text(L, "limit"));
    else
      lua_pushfstring(L,
                      "%s is full: its %s permits are taken or waited for, "
                      "and at most %s may wait",
                      label, text(L, "limit"), text(L, "queue"));
    break;
  case WEIR_TIMEOUT:
    lua_pushfstring(L, "%s gave no permit in time, after %s", label,
                    push_waited(L));
    break;
  case WEIR_CLOSED:
    lua_pushfstring(L, "%s is closed and takes no more calls", label);
    break;
  case WEIR_CANCELED:
    lua_pushfstring(L, "the wait for %s was canceled after %s", label,
                    push_waited(L));
    break;
  case WEIR_IMPOSSIBLE:
    lua_pushfstring(L,
                    "%s can never admit this call: it costs %s permits and "
                    "there are only %s",
                    label, text(L, "cost"), text(L, "limit"));
    break;
  case WEIR_EXHAUSTED:
    lua_pushfstring(L, "%s has no memory for another call", label);
    break;
  default: lua_pushfstring(L, "%s refused (%s)", label, text(L, "code"));
  }
  return 1;
}

/* tostring(err) */
static int refusal_tostring(lua_State *L) {
  weir_verdict verdict = verdict_of(L);
  lua_getfield(L, 1, "limiter");
  if (!lua_isnil(L, -1)) {
    lua_pushfstring(L, "limiter '%s'", text(L, "limiter"));
    return push_sentence(L, verdict, lua_tostring(L, -1));
  }
  lua_pushfstring(L, "%s: %s", text(L, "what"), text(L, "code"));
  return 1;
}

void bind_open_refusal(lua_State *L, int self) {
  static const luaL_Reg methods[] = { { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__tostring", refusal_tostring },
                                          { NULL, NULL } };
  bind_register_type(L, self, &REFUSAL, "weir.refusal", methods, metamethods);
}
