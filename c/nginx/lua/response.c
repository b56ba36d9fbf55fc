/*
** response.c - what a script says of the response: req:refuse, and the fields
** that req:set_header sets, whoever answers.
**
** Such fields wait in the request's pool, where the cleanup of this file leads
** to them, until the first filter of nginx's sees the response's header.
*/
#include "half.h"

/* --- what became of it ---------------------------------------------------- */

static const char RESPONSE; /* registry key of the metatable */

/* Most scripts do not look at it: it is cheaper to make than a table. */
void half_push_response(lua_State *L, const weir_policy_result *result) {
  weir_policy_result *copy = lua_newuserdatauv(L, sizeof *copy, 0);
  *copy = *result;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &RESPONSE);
  lua_setmetatable(L, -2);
}

/* response.status, response.bytes, response.upstream_time */
static int response_index(lua_State *L) {
  const weir_policy_result *self = lua_touserdata(L, 1);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!strcmp(name, "status"))
    lua_pushinteger(L, (lua_Integer)self->status);
  else if (!strcmp(name, "bytes"))
    lua_pushinteger(L, (lua_Integer)self->bytes);
  else if (!strcmp(name, "upstream_time") && self->upstream_ns)
    bind_push_seconds(L, self->upstream_ns);
  else
    lua_pushnil(L);
  return 1;
}

void half_open_response(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, response_index);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "weir.response");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "weir.response");
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &RESPONSE);
}

/* --- req:refuse ----------------------------------------------------------- */

/* Upvalue of it and of set_header: what checks the arguments. */

int half_refuse(lua_State *L) {
  weir_policy_call *call = half_check_request(L, 1, false);
  lua_settop(L, 4);
  lua_pushvalue(L, lua_upvalueindex(1));
  for (int i = 2; i <= 4; i++) lua_pushvalue(L, i);
  lua_call(L, 3, 0);
  if (call->state != HALF_RUNS)
    return luaL_error(L, "req:refuse: the request has proceeded already");
  half_decide_answer(L, call);
  lua_pushnil(L);
  lua_getfield(L, LUA_REGISTRYINDEX, HALF_ANSWERED);
  return 2;
}

/* --- fields --------------------------------------------------------------- */

typedef struct wish {
  ngx_str_t name, value; /* value.data NULL: there shall be none */
  struct wish *next;
} wish;

static void no_cleanup(void *data) { (void)data; }

/* Where the request's wishes begin; NULL: there are none. */
static wish **find_wishes(ngx_http_request_t *r) {
  ngx_pool_cleanup_t *cleanup = r->pool->cleanup;
  while (cleanup && cleanup->handler != no_cleanup) cleanup = cleanup->next;
  return cleanup ? cleanup->data : NULL;
}

static wish **make_wishes(ngx_http_request_t *r) {
  ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, sizeof(wish *));
  if (!cleanup) return NULL;
  cleanup->handler = no_cleanup;
  *(wish **)cleanup->data = NULL;
  return cleanup->data;
}

static bool is_same(const ngx_str_t *a, const ngx_str_t *b) {
  return a->len == b->len && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}

/* The wish for that name, made if need be; NULL: no memory. */
static wish *wish_for(ngx_http_request_t *r, const ngx_str_t *name) {
  wish **first = find_wishes(r), **link;
  if (!first) first = make_wishes(r);
  for (link = first; link && *link; link = &(*link)->next)
    if (is_same(&(*link)->name, name)) return *link;
  if (!link || !(*link = ngx_pcalloc(r->pool, sizeof(wish)))) return NULL;
  (*link)->name = *name;
  return *link;
}

int half_set_header(lua_State *L) {
  ngx_http_request_t *r = half_check_request(L, 1, false)->r;
  ngx_str_t name;
  wish *made;
  lua_settop(L, 3);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushliteral(L, "req:set_header");
  lua_pushvalue(L, 2);
  if (lua_isnil(L, 3))
    lua_pushliteral(L, "");
  else
    lua_pushvalue(L, 3);
  lua_pushinteger(L, 3);
  lua_call(L, 4, 0);
  name = half_copy(r->pool, L, 2);
  made = name.data ? wish_for(r, &name) : NULL;
  if (!made) return luaL_error(L, "req:set_header: not enough memory");
  made->value = half_copy(r->pool, L, 3);
  return 0;
}

/* --- the filter ----------------------------------------------------------- */

static ngx_http_output_header_filter_pt next_filter;

/* Fields that nginx looks at in places of their own, and adds where there is
** none. */
static const struct {
  ngx_str_t name;
  size_t offset; /* in ngx_http_headers_out_t */
} PLACES[] = {
#define PLACE(text, field)                                                     \
  { ngx_string(text), offsetof(ngx_http_headers_out_t, field) }
  PLACE("Server", server),
  PLACE("Date", date),
  PLACE("Last-Modified", last_modified),
  PLACE("ETag", etag),
  PLACE("Expires", expires),
  PLACE("Location", location),
  PLACE("Refresh", refresh),
  PLACE("WWW-Authenticate", www_authenticate),
  PLACE("Accept-Ranges", accept_ranges),
  PLACE("Content-Encoding", content_encoding)
#undef PLACE
};

/* A location that nginx knows of it makes absolute. */
static void place(ngx_http_request_t *r, ngx_table_elt_t *field) {
  ngx_http_headers_out_t *out = &r->headers_out;
  for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
    if (is_same(&PLACES[i].name, &field->key))
      *(ngx_table_elt_t **)(void *)((char *)out + PLACES[i].offset) = field;
  if (out->location == field) out->location = NULL;
}

/* Takes all fields of that name out of the response. */
static void clear(ngx_http_request_t *r, const ngx_str_t *name) {
  ngx_list_part_t *part = &r->headers_out.headers.part;
  for (; part; part = part->next) {
    ngx_table_elt_t *fields = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; i++)
      if (is_same(&fields[i].key, name)) fields[i].hash = 0;
  }
}

/* One that shall not be there is there with a hash of 0, so that nginx does not
** add it. */
static ngx_int_t add(ngx_http_request_t *r, const wish *w) {
  ngx_table_elt_t *field = ngx_list_push(&r->headers_out.headers);
  if (!field) return NGX_ERROR;
  ngx_memzero(field, sizeof *field);
  field->hash = w->value.data != NULL;
  field->key = w->name;
  field->value = w->value;
  place(r, field);
  return NGX_OK;
}

/* The type of the response is no field to nginx. */
static bool set_type(ngx_http_request_t *r, const wish *w) {
  static const ngx_str_t type = ngx_string("Content-Type");
  if (!is_same(&w->name, &type)) return false;
  r->headers_out.content_type = w->value;
  r->headers_out.content_type_len = w->value.len;
  r->headers_out.charset.len = 0;
  return true;
}

static ngx_int_t filter(ngx_http_request_t *r) {
  wish **first = r == r->main && r->pool ? find_wishes(r) : NULL;
  for (const wish *w = first ? *first : NULL; w; w = w->next) {
    if (set_type(r, w)) continue;
    clear(r, &w->name);
    if (add(r, w) != NGX_OK) return NGX_ERROR;
  }
  return next_filter(r);
}

void half_install_filter(void) {
  if (ngx_http_top_header_filter == filter) return;
  next_filter = ngx_http_top_header_filter;
  ngx_http_top_header_filter = filter;
}
