/*
** look.c - req.headers, req.var and req.ssl: what is looked up in nginx.
**
** The first two are userdata that have req as their uservalue, and so know when
** the request is over.
*/
#include "half.h"

static const char HEADERS, VARIABLES; /* registry keys of the metatables */

enum { NAME_MAX_BYTES = 256 };

/* The request of the object at 1. */
static ngx_http_request_t *request_of(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return half_check_request(L, -1, false)->r;
}

/* A name of letters in lower case, "-" for "_" if so wished; false: too long
** for any that there is. */
static bool read_name(lua_State *L, char *name, size_t *size, bool dashes) {
  const char *text = lua_tolstring(L, 2, size);
  if (!text || *size > NAME_MAX_BYTES) return false;
  for (size_t i = 0; i < *size; i++) {
    name[i] = (char)ngx_tolower(text[i]);
    if (dashes && name[i] == '_') name[i] = '-';
  }
  return true;
}

/* --- headers -------------------------------------------------------------- */

/* Calls visit for each field of the request. */
static void each(ngx_http_request_t *r, void *data,
                 void (*visit)(void *data, const ngx_table_elt_t *field)) {
  const ngx_list_part_t *part = &r->headers_in.headers.part;
  for (; part; part = part->next) {
    const ngx_table_elt_t *fields = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; i++) visit(data, &fields[i]);
  }
}

typedef struct search {
  lua_State *L;
  const char *name;
  size_t size;
  int found;
} search;

/* Repeated ones are one list, as RFC 9110 has it. */
static void match(void *data, const ngx_table_elt_t *field) {
  search *s = data;
  if (field->key.len != s->size ||
      ngx_strncasecmp(field->key.data, (u_char *)(uintptr_t)s->name, s->size))
    return;
  if (s->found++)
    lua_pushstring(s->L,
                   s->size == 6 && !memcmp(s->name, "cookie", 6) ? "; " : ", ");
  half_push_str(s->L, &field->value);
  if (s->found > 1) lua_concat(s->L, 3);
}

int half_push_header(lua_State *L, ngx_http_request_t *r, const char *name,
                     size_t size) {
  search s = { L, name, size, 0 };
  each(r, &s, match);
  if (!s.found) lua_pushnil(L);
  return 1;
}

/* headers[name] */
static int headers_index(lua_State *L) {
  ngx_http_request_t *r = request_of(L);
  char name[NAME_MAX_BYTES];
  size_t size;
  if (lua_type(L, 2) != LUA_TSTRING || !read_name(L, name, &size, true))
    return 0;
  return half_push_header(L, r, name, size);
}

static void collect(void *data, const ngx_table_elt_t *field) {
  lua_State *L = data;
  half_push_str(L, &field->key);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
}

/* Pushes {[name in lower case] = value}, of a table of names as sent. */
static void read_all(lua_State *L, ngx_http_request_t *r, int names) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, names)) {
    char name[NAME_MAX_BYTES];
    size_t size = 0;
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_replace(L, 2);
    if (!read_name(L, name, &size, false)) continue;
    lua_pushlstring(L, name, size);
    half_push_header(L, r, name, size);
    lua_rawset(L, -4);
  }
}

/* pairs(headers) */
static int headers_pairs(lua_State *L) {
  ngx_http_request_t *r = request_of(L);
  lua_settop(L, 2);
  lua_newtable(L);
  each(r, L, collect);
  lua_getglobal(L, "next");
  read_all(L, r, 3);
  return 2;
}

/* --- variables ------------------------------------------------------------ */

int half_push_variable(lua_State *L, ngx_http_request_t *r, const char *name,
                       size_t size) {
  ngx_str_t text = { size, (u_char *)(uintptr_t)name };
  ngx_uint_t key = ngx_hash_key(text.data, size);
  const ngx_http_variable_value_t *value = ngx_http_get_variable(r, &text, key);
  if (!value || value->not_found || !value->valid)
    lua_pushnil(L);
  else
    lua_pushlstring(L, (const char *)value->data, value->len);
  return 1;
}

/* var.name */
static int variables_index(lua_State *L) {
  ngx_http_request_t *r = request_of(L);
  char name[NAME_MAX_BYTES];
  size_t size;
  if (lua_type(L, 2) != LUA_TSTRING || !read_name(L, name, &size, false))
    return 0;
  return half_push_variable(L, r, name, size);
}

/* --- ssl ------------------------------------------------------------------ */

/* Sets a field of the table on top, unless there is nothing. */
static void set_ssl(lua_State *L, ngx_http_request_t *r, const char *name,
                    const char *variable) {
  half_push_variable(L, r, variable, ngx_strlen(variable));
  if (lua_isstring(L, -1) && lua_rawlen(L, -1))
    lua_setfield(L, -2, name);
  else
    lua_pop(L, 1);
}

void half_push_ssl(lua_State *L, ngx_http_request_t *r) {
  static const char *const names[][2] = {
    { "protocol", "ssl_protocol" },
    { "cipher", "ssl_cipher" },
    { "server_name", "ssl_server_name" },
    { "session_reused", "ssl_session_reused" },
    { "client_verify", "ssl_client_verify" },
    { "client_dn", "ssl_client_s_dn" },
    { "client_issuer", "ssl_client_i_dn" },
    { "client_serial", "ssl_client_serial" },
    { "client_fingerprint", "ssl_client_fingerprint" }
  };
  half_push_variable(L, r, "ssl_protocol", sizeof "ssl_protocol" - 1);
  if (!lua_isstring(L, -1) || !lua_rawlen(L, -1)) {
    lua_pushnil(L);
    lua_replace(L, -2);
    return;
  }
  lua_createtable(L, 0, 9);
  lua_replace(L, -2);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    set_ssl(L, r, names[i][0], names[i][1]);
}

/* --- types ---------------------------------------------------------------- */

static void push_look(lua_State *L, const char *type) {
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, type);
  lua_setmetatable(L, -2);
}

void half_push_headers(lua_State *L) { push_look(L, &HEADERS); }
void half_push_variables(lua_State *L) { push_look(L, &VARIABLES); }

static int refuse_to_set(lua_State *L) {
  return luaL_error(L, "what came with the request cannot be set; "
                       "req:set_header is for the response");
}

static void open_look(lua_State *L, const char *type, const char *name,
                      const luaL_Reg *metamethods) {
  lua_createtable(L, 0, 5);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushcfunction(L, refuse_to_set);
  lua_setfield(L, -2, "__newindex");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, type);
}

void half_open_looks(lua_State *L) {
  static const luaL_Reg headers[] = { { "__index", headers_index },
                                      { "__pairs", headers_pairs },
                                      { NULL, NULL } };
  static const luaL_Reg variables[] = { { "__index", variables_index },
                                        { NULL, NULL } };
  open_look(L, &HEADERS, "weir.headers", headers);
  open_look(L, &VARIABLES, "weir.var", variables);
}
