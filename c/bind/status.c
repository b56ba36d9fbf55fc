/*
** status.c - what spaces do and have done, for an embedder to serve; and a look
** at a space without taking part in it.
*/
#include <stdio.h>
#include <string.h>

#include <weir_status.h>

#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

static const char LOOK; /* tag, and registry key of the metatable */

/* A shared space that is only looked at. */
typedef struct look_object {
  const void *tag;
  weir_space *space; /* NULL: closed */
  weir_status *status;
  char url[BIND_URL_MAX];
} look_object;

static look_object *to_look(lua_State *L, int index) {
  return bind_test(L, index, &LOOK, sizeof(look_object));
}

/* --- reading -------------------------------------------------------------- */

/* Keeps one, so that counters need not begin anew. */
static weir_status *status_of(lua_State *L, weir_status **kept) {
  if (!*kept) *kept = weir_status_new();
  if (!*kept) luaL_error(L, "not enough memory");
  weir_status_clear(*kept);
  return *kept;
}

/* Limiters of one's own are called by where they were made. */
static void name_limiters(lua_State *L, const bind_space *home,
                          weir_status *status) {
  weir_limiter limiter;
  uint32_t cursor = 0;
  while (weir_status_nameless(status, &cursor, &limiter)) {
    bind_push_limiter_label(L, home, limiter);
    weir_status_name(status, cursor, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
}

/* 0, or what is wrong. */
static int read_space(lua_State *L, const bind_space *space,
                      weir_status *status) {
  uint64_t now = bind_now(space->W, true);
  int error = space->port
                  ? weir_status_read(status, space->space,
                                     space->shared ? space->url : NULL, now)
                  : BIND_E_CLOSED;
  if (!error && !space->shared) name_limiters(L, space, status);
  return error;
}

/* Reads all that this Lua state takes part in; NULL, or the one that has
** something wrong. */
static const bind_space *read_all(lua_State *L, const weir_lua *W,
                                  weir_status *status, int *error) {
  *error = read_space(L, &W->home, status);
  if (*error) return &W->home;
  for (const bind_space *space = W->opened; space; space = space->next) {
    if (space->port) *error = read_space(L, space, status);
    if (*error) return space;
  }
  return NULL;
}

/* --- weir.status ---------------------------------------------------------- */

static const char *const kinds[] = { "json", "metrics", "html", NULL };

static weir_status_kind check_kind(lua_State *L, int index, const char *who) {
  const char *name = luaL_optstring(L, index, "json");
  for (int kind = 0; kinds[kind]; kind++)
    if (strcmp(name, kinds[kind]) == 0) return (weir_status_kind)kind;
  luaL_error(L, "%s: expected 'json', 'metrics' or 'html', got '%s'", who,
             name);
  return WEIR_STATUS_JSON;
}

/* Pushes the text, and the fields that it is to be sent with. */
static int push_status(lua_State *L, weir_status *status,
                       weir_status_kind kind) {
  size_t size;
  const char *text = weir_status_text(status, kind, &size);
  if (!text) return luaL_error(L, "not enough memory");
  lua_pushlstring(L, text, size);
  lua_createtable(L, 0, 4);
  bind_set_string(L, "Content-Type", weir_status_type(kind));
  if (weir_status_policy(kind))
    bind_set_string(L, "Content-Security-Policy", weir_status_policy(kind));
  bind_set_string(L, "Cache-Control", "no-store");
  bind_set_string(L, "Vary", "Accept");
  return 2;
}

static int push_failure(lua_State *L, const bind_space *space, int error) {
  lua_pushnil(L);
  bind_push_trouble(L, space, error);
  return 2;
}

static int status_of_look(lua_State *L, look_object *look,
                          weir_status_kind kind) {
  bind_space named = { .shared = true }; /* for the sentence */
  weir_status *status;
  int error = BIND_E_CLOSED;
  snprintf(named.url, sizeof named.url, "%s", look->url);
  if (look->space) {
    status = status_of(L, &look->status);
    weir_status_bound(status, 0);
    error = weir_status_read(status, look->space, look->url, weir_loop_now());
    if (!error) return push_status(L, status, kind);
  }
  return push_failure(L, &named, error);
}

/***
What limiters do and have done, to be served under an address of one's own: for
scripts, for Prometheus, or as a page that shows it live.
@function status
@tparam[opt] space space which one, or what @{look} gives; none: this Lua
state's own, and all shared ones that it has open
@tparam[opt="json"] string format "json", "metrics" (OpenMetrics) or "html": a
page that asks its own address, with format=json in the query, once a second
@treturn[1] string the text
@treturn[1] table what HTTP has to say with it: `Content-Type` and others; the
page's `Content-Security-Policy` allows it what it needs and nothing more
@treturn[2] nil
@treturn[2] string what is wrong with the space
@usage local body, fields = weir.status(nil, weir.status_format(query, accept))
*/
static int status(lua_State *L) {
  static const char WHO[] = "weir.status";
  weir_lua *W = bind_self(L);
  const bind_space *one = bind_to_space(L, 1), *bad;
  weir_status_kind kind = check_kind(L, 2, WHO);
  look_object *look = to_look(L, 1);
  weir_status *of;
  int error;
  if (look) return status_of_look(L, look, kind);
  if (!one && !lua_isnoneornil(L, 1))
    return bind_expected(L, WHO, NULL, "a space or nil", 1);
  luaL_checkstack(L, LUA_MINSTACK, "weir");
  of = status_of(L, one ? &W->status_of_one : &W->status);
  if (one) {
    error = read_space(L, one, of);
    bad = error ? one : NULL;
  } else {
    bad = read_all(L, W, of, &error);
  }
  return bad ? push_failure(L, bad, error) : push_status(L, of, kind);
}

/***
Which of the formats of @{status} a request wants: what `format=` in its query
names, else what its Accept field likes most.
@function status_format
@tparam[opt] string query without "?"
@tparam[opt] string accept the field's value
@treturn string "json", "metrics" or "html"
*/
static int status_format(lua_State *L) {
  size_t query_size = 0, accept_size = 0;
  const char *query = luaL_optlstring(L, 1, NULL, &query_size);
  const char *accept = luaL_optlstring(L, 2, NULL, &accept_size);
  lua_pushstring(
      L, kinds[weir_status_format(query, query_size, accept, accept_size)]);
  return 1;
}

/* --- looking -------------------------------------------------------------- */

static void close_look(look_object *look) {
  weir_status_free(look->status);
  if (look->space) weir_space_free(look->space);
  look->status = NULL;
  look->space = NULL;
}

/***
Opens a shared space only to look at what others do there, for @{status}: it is
not made, nothing can be asked for in it, and root may look at every user's. It
has one method, `close`, which the end of a block does as well.
@function look
@tparam string url as for @{open}
@tparam[opt] table options
@tparam[opt] string options.dir as for @{open}
@treturn[1] look
@treturn[2] nil
@treturn[2] string what is wrong, where, and what to do
*/
static int look(lua_State *L) {
  char why[WEIR_WHY_MAX];
  weir_shared_options options = { .look = true };
  look_object *self;
  const char *name;
  bind_self(L);
  name = bind_check_look(L, &options.dir);
  self = lua_newuserdatauv(L, sizeof *self, 0);
  *self = (look_object){ .tag = &LOOK };
  lua_rawgetp(L, LUA_REGISTRYINDEX, &LOOK);
  lua_setmetatable(L, -2);
  lua_pushfstring(L, "shm:%s", name);
  snprintf(self->url, sizeof self->url, "%s", lua_tostring(L, -1));
  lua_pop(L, 1);
  self->space = weir_shared_open(name, &options, why);
  if (self->space) return 1;
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* look:close() */
static int look_close(lua_State *L) {
  look_object *self = to_look(L, 1);
  if (!self)
    return bind_expected(L, "look:close", NULL,
                         "what weir.look gives (call it as look:close())", 1);
  close_look(self);
  return 0;
}

static int look_gc(lua_State *L) {
  close_look(lua_touserdata(L, 1));
  return 0;
}

/* tostring(look) */
static int look_tostring(lua_State *L) {
  const look_object *self = to_look(L, 1);
  lua_pushfstring(L, "weir.look: %s%s", self ? self->url : "",
                  self && self->space ? "" : " (closed)");
  return 1;
}

void bind_open_status(lua_State *L, int self) {
  static const luaL_Reg functions[] = { { "status", status },
                                        { "status_format", status_format },
                                        { "look", look },
                                        { NULL, NULL } };
  static const luaL_Reg methods[] = { { "close", look_close }, { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__close", look_close },
                                          { "__gc", look_gc },
                                          { "__tostring", look_tostring },
                                          { NULL, NULL } };
  bind_register(L, self, functions);
  bind_register_type(L, self, &LOOK, "weir.look", methods, metamethods);
}
