/*
** open.c - weir.open, the object of a space, and which spaces there are.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/record.h"
#include "../core/sharing.h"
#include "bind.h"

/***
Limit what runs at once.
@module weir
*/

static const char SPACE; /* tag, and registry key of the metatable */

typedef struct space_object {
  const void *tag;
  bind_space *space; /* NULL: collected */
} space_object;

bind_space *bind_to_space(lua_State *L, int index) {
  const space_object *self = bind_test(L, index, &SPACE, sizeof *self);
  return self ? self->space : NULL;
}

static bind_space *check_space(lua_State *L, const char *who) {
  bind_space *space = bind_to_space(L, 1);
  if (!space) {
    lua_pushfstring(L, "a space (call it as %s())", who);
    bind_expected(L, who, NULL, lua_tostring(L, -1), 1);
  }
  return space;
}

/* --- names ---------------------------------------------------------------- */

/* The name in "shm:name"; raises if it is another kind of URL. */
static const char *check_url(lua_State *L, const char *url, const char *who) {
  static const char scheme[] = "shm:";
  if (strncmp(url, scheme, sizeof scheme - 1) != 0)
    luaL_error(L,
               "%s: expected 'shm:' and a name, as 'shm:api', for a space that "
               "the processes of this machine share, got '%s'",
               who, url);
  return url + sizeof scheme - 1;
}

/* Pushes "16m", or bytes where they are not whole. */
static const char *push_size(lua_State *L, uint64_t size) {
  static const char units[] = "kmg";
  int unit = -1;
  while (unit < 2 && size && size % 1024 == 0) {
    size /= 1024;
    unit++;
  }
  return lua_pushfstring(L, unit < 0 ? "%I bytes" : "%I%c", (lua_Integer)size,
                         unit < 0 ? 0 : units[unit]);
}

/* --- opening -------------------------------------------------------------- */

/* Pushes the object of a space, made if need be. */
static void push_object(lua_State *L, bind_space *space) {
  space_object *self;
  bind_push_table(L, BIND_SPACES);
  if (lua_rawgetp(L, -1, space) == LUA_TNIL) {
    lua_pop(L, 1);
    self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = (space_object){ .tag = &SPACE };
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SPACE);
    lua_setmetatable(L, -2);
    self->space = space;
    bind_use(space);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, space);
  }
  lua_remove(L, -2);
}

static bind_space *find(const weir_lua *W, const weir_space *shared) {
  bind_space *space = W->opened;
  while (space && space->space != shared) space = space->next;
  return space;
}

/* Makes what a Lua state has of a space, which it owns from now on; NULL: no
** room for another port, or no memory. */
static bind_space *join(weir_lua *W, weir_space *shared, const char *url) {
  bind_space *space = calloc(1, sizeof *space);
  weir_port *port = space && shared ? weir_port_attach(shared) : NULL;
  if (!port) {
    free(space);
    weir_space_free(shared);
    return NULL;
  }
  *space = (bind_space){ .W = W,
                         .space = shared,
                         .port = port,
                         .shared = true,
                         .users = 1, /* who opens it, for now */
                         .next = W->opened };
  if (!W->pretends) space->size = shared->memory.commons->sharing->budget;
  snprintf(space->url, sizeof space->url, "%s", url);
  W->opened = space;
  return space;
}

/* lua_CFunction: (space). What may raise once there is one. */
static int furnish(lua_State *L) {
  bind_space *space = lua_touserdata(L, 1);
  bind_make_space_tables(L, space);
  push_object(L, space);
  return 1;
}

/* Pushes the object of a new space; false: an error message. */
static bool present(lua_State *L, bind_space *space) {
  bool fine = !space->W->home.loop || bind_space_loop(space);
  if (!fine) {
    lua_pushliteral(L, "no event loop could be made");
  } else {
    lua_pushcfunction(L, furnish);
    lua_pushlightuserdata(L, space);
    fine = lua_pcall(L, 1, 1, 0) == LUA_OK;
  }
  bind_disuse(space);
  return fine;
}

static bind_space *join_new(lua_State *L, weir_lua *W, weir_space *shared,
                            const char *url) {
  bind_space *space = join(W, shared, url);
  if (space && W->pretends) space->pretended = true;
  if (space) return present(L, space) ? space : NULL;
  lua_pushfstring(L,
                  "the space '%s' has no room for another user, or there is "
                  "no memory for its descriptors: close one",
                  url);
  return NULL;
}

/* --- made-up ones --------------------------------------------------------- */

static bind_space *find_pretended(const weir_lua *W, const char *url) {
  bind_space *space = W->opened;
  while (space && !(space->port && strcmp(space->url, url) == 0))
    space = space->next;
  return space;
}

/* As bind_open_space, of a space that this Lua state has for itself. */
static bind_space *open_pretended(lua_State *L, weir_lua *W, const char *url,
                                  const char *name, uint64_t size) {
  char why[WEIR_WHY_MAX];
  bind_space *space = find_pretended(W, url);
  if (!weir_shared_check_name(name, why)) {
    lua_pushstring(L, why);
    return NULL;
  }
  if (space) {
    push_object(L, space);
    return space;
  }
  bind_push_table(L, BIND_PRETENDED);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, url);
  lua_pop(L, 1);
  space = join_new(L, W, weir_space_new(NULL), url);
  if (space) space->size = size ? size : WEIR_SHARED_SIZE;
  return space;
}

bind_space *bind_open_space(lua_State *L, weir_lua *W, const char *url,
                            const weir_shared_options *options,
                            const char *who) {
  const char *name = check_url(L, url, who);
  char why[WEIR_WHY_MAX];
  weir_space *shared;
  bind_space *space;
  if (W->pretends)
    return open_pretended(L, W, url, name, options ? options->size : 0);
  if (W->virtual_time)
    luaL_error(L,
               "%s: this program gives the time itself (weir.step); a shared "
               "space goes by the machine's clock",
               who);
  luaL_checkstack(L, LUA_MINSTACK, "weir");
  bind_free_spaces(W, false);
  shared = weir_shared_open(name, options, why);
  if (!shared) {
    lua_pushstring(L, why);
    return NULL;
  }
  space = find(W, shared);
  if (!space) return join_new(L, W, shared, url);
  weir_space_free(shared); /* one open is enough */
  push_object(L, space);
  return space;
}

typedef struct open_options {
  uint64_t size;
  const char *dir;
  bool create, group, force;
} open_options;

#define AT(field) offsetof(open_options, field)
#define DIR_OPTION                                                             \
  { .name = "dir", .kind = BIND_TEXT, .min = 1, .max = 1023, .offset = AT(dir) }

static const char *check_text(lua_State *L, const char *who, const char *what) {
  bind_option option = { .kind = BIND_TEXT, .min = 1, .max = 255 };
  const char *text;
  if (lua_isnone(L, 1)) lua_settop(L, 1);
  option.name = what;
  bind_read_option(L, 1, who, &option, &text);
  return text;
}

static void read_options(lua_State *L, const char *who,
                         const bind_option *options, open_options *out) {
  if (!lua_isnoneornil(L, 2)) bind_read_options(L, 2, who, options, out);
}

/***
Opens a space that the processes of this machine share, and makes it if it is
not there. It goes when it is closed, or when nobody has it, a limiter in it, or
a permit of one of those any more; what this process held comes back. Opening a
space again gives the same object.
@function open
@tparam string url "shm:" and a name of 1 to 63 letters, digits, "_", "-", "."
@tparam[opt] table options
@tparam[opt="16m"] integer|string options.size bytes for limiters, keys and
tickets, or "256k" (the least), "16m", "1g"; of one that is there: as it is
@tparam[opt=true] boolean options.create make it if it is not there
@tparam[opt] string options.dir the directory that spaces are in; else the
environment variable WEIR_DIR, else /dev/shm/weir- and the user's number
@tparam[opt=false] boolean options.group a new one is also for the user's group
@treturn[1] space
@treturn[2] nil
@treturn[2] string what is wrong, where, and what to do
@usage local space = assert(weir.open "shm:api")
*/
static int open(lua_State *L) {
  static const bind_option known[] = {
    { .name = "size", .kind = BIND_SIZE, .offset = AT(size) },
    { .name = "create", .kind = BIND_FLAG, .offset = AT(create) },
    DIR_OPTION,
    { .name = "group", .kind = BIND_FLAG, .offset = AT(group) },
    { .name = NULL }
  };
  weir_lua *W = bind_self(L);
  const char *url = check_text(L, "weir.open", "the URL");
  open_options o = { .create = true };
  weir_shared_options options = { .dir = NULL };
  read_options(L, "weir.open", known, &o);
  options.dir = o.dir;
  options.size = o.size;
  options.existing = !o.create;
  options.group = o.group;
  if (bind_open_space(L, W, url, &options, "weir.open")) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/***
From here on shared spaces are made up: @{open} gives one that this Lua state
has for itself, and that goes by its time. So a script can be tried without
touching what is in use. It cannot be taken back.
@function pretend
*/
static int pretend(lua_State *L) {
  weir_lua *W = bind_self(L);
  if (bind_first_opened(W))
    return luaL_error(L, "weir.pretend: the space '%s' is open already",
                      bind_first_opened(W)->url);
  W->pretends = true;
  return 0;
}

/***
@function pretended
@treturn table the URLs of all spaces that were made up, in no order
*/
static int pretended(lua_State *L) {
  lua_Integer count = 0;
  bind_self(L);
  lua_newtable(L);
  bind_push_table(L, BIND_PRETENDED);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, ++count);
  }
  lua_pop(L, 1);
  return 1;
}

/* --- looking -------------------------------------------------------------- */

const char *bind_check_look(lua_State *L, const char **dir) {
  static const bind_option known[] = { DIR_OPTION, { .name = NULL } };
  static const char WHO[] = "weir.look";
  const char *url = check_text(L, WHO, "the URL");
  open_options o = { .dir = NULL };
  read_options(L, WHO, known, &o);
  *dir = o.dir;
  return check_url(L, url, WHO);
}

/* Pushes what can be told of one. */
static void push_info(lua_State *L, const weir_shared_info *info) {
  lua_createtable(L, 0, 8);
  lua_pushfstring(L, "shm:%s", info->name);
  lua_setfield(L, -2, "name");
  if (!info->size) {
    bind_set_string(L, "why", info->why);
    return;
  }
  bind_set_integer(L, "size", info->size);
  bind_set_integer(L, "used", info->used);
  bind_set_integer(L, "processes", info->processes);
  bind_set_integer(L, "ports", info->ports);
  bind_set_integer(L, "limiters", info->limiters);
  bind_set_integer(L, "keys", info->keys);
  bind_set_integer(L, "tickets", info->tickets);
}

/***
Which shared spaces there are, without taking part in them.
@function spaces
@tparam[opt] string dir as for @{open}
@treturn[1] table a list of `name` ("shm:api"), `size` and `used` (bytes),
`processes`, `ports` (Lua states and C programs' ports), `limiters`, `keys` and
`tickets` (held or waiting); or of `name` and `why` it cannot be opened
@treturn[2] nil
@treturn[2] string what is wrong with the directory
*/
static int spaces(lua_State *L) {
  weir_shared_info info;
  uint32_t cursor = 0;
  int found;
  lua_Integer count = 0;
  const char *dir = lua_isnoneornil(L, 1)
                        ? NULL
                        : check_text(L, "weir.spaces", "the directory");
  bind_self(L);
  lua_newtable(L);
  while ((found = weir_shared_list(dir, &cursor, &info)) == 1) {
    push_info(L, &info);
    lua_rawseti(L, -2, ++count);
  }
  if (found == 0) return 1;
  lua_pushnil(L);
  lua_pushstring(L, info.why);
  return 2;
}

/***
Removes a shared space: its files go, and whoever opens it makes a new one.
@function remove
@tparam string url as for @{open}
@tparam[opt] table options
@tparam[opt=false] boolean options.force also one that other processes use: they
keep it to themselves
@tparam[opt] string options.dir as for @{open}
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] string why not
*/
static int remove_space(lua_State *L) {
  static const bind_option known[] = {
    { .name = "force", .kind = BIND_FLAG, .offset = AT(force) },
    DIR_OPTION,
    { .name = NULL }
  };
  const char *url = check_text(L, "weir.remove", "the URL");
  const char *name = check_url(L, url, "weir.remove");
  open_options o = { .force = false };
  char why[WEIR_WHY_MAX];
  bind_self(L);
  read_options(L, "weir.remove", known, &o);
  if (weir_shared_remove(name, o.dir, o.force, why)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}
#undef AT

/* --- the object ----------------------------------------------------------- */

/***
A space that processes share. Its `name` is its URL, its `size` is in bytes.
@type space
*/

/***
Leaves the space: who waits in it is refused as closed, what is held in it comes
back, and its limiters can be used no more. To close it again is no error; it
also closes at the end of its block as `local space <close>`.
@function space:close
*/
static int space_close(lua_State *L) {
  bind_space *space = check_space(L, "space:close");
  if (space->W->hosted)
    return luaL_error(L, "space:close: this program listens to its spaces; "
                         "they stay open");
  bind_close_space(space);
  return 0;
}

/* space.name, space.size, space.close; upvalues: runtime, methods */
static int space_index(lua_State *L) {
  const bind_space *space = check_space(L, "space");
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  if (lua_type(L, 2) != LUA_TSTRING) return 1;
  if (strcmp(lua_tostring(L, 2), "name") == 0) {
    lua_pushstring(L, space->url);
  } else if (strcmp(lua_tostring(L, 2), "size") == 0) {
    lua_pushinteger(L, (lua_Integer)space->size);
  }
  return 1;
}

/* tostring(space) */
static int space_tostring(lua_State *L) {
  const bind_space *space = check_space(L, "tostring");
  const char *what = space->port ? push_size(L, space->size) : "closed";
  lua_pushfstring(L, "weir.space: %s (%s)", space->url, what);
  return 1;
}

/* upvalue: the runtime, which may have freed its spaces before. */
static int space_gc(lua_State *L) {
  const weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  space_object *self = lua_touserdata(L, 1);
  bind_space *space = self->space;
  self->space = NULL;
  if (space && W->home.port) bind_disuse(space);
  return 0;
}

static void set_index(lua_State *L, int self) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SPACE);
  lua_pushvalue(L, self);
  lua_getfield(L, -2, "__index");
  lua_pushcclosure(L, space_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void bind_open_spaces(lua_State *L, int self) {
  static const luaL_Reg functions[] = {
    { "open", open },           { "pretend", pretend },
    { "pretended", pretended }, { "spaces", spaces },
    { "remove", remove_space }, { NULL, NULL }
  };
  static const luaL_Reg methods[] = { { "close", space_close },
                                      { NULL, NULL } };
  static const luaL_Reg metamethods[] = { { "__close", space_close },
                                          { "__tostring", space_tostring },
                                          { "__gc", space_gc },
                                          { NULL, NULL } };
  bind_register(L, self, functions);
  bind_register_type(L, self, &SPACE, "weir.space", methods, metamethods);
  set_index(L, self);
}
