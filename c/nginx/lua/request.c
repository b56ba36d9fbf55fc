/*
** request.c - req: a request's fields, read from nginx's own when they are
** asked for.
**
** It is a userdata that leads to the call for as long as the request lives.
** What takes work to make, as its arguments, is made once and kept in a table.
*/
#include "half.h"

static const char REQUEST; /* tag */

typedef struct request {
  const void *tag;
  uint64_t call; /* handle; stale: the request is over */
} request;       /* uservalue: [field] = value, once there is one */

/* Upvalues of get. */
enum { UP_FIELDS = 1, UP_ARGS, UP_COOKIES };

static weir_policy_call *find(lua_State *L, const request *self) {
  const half_ref *ref =
      weir_slab_find(&half_owner_of(L)->policy->calls, self->call);
  return ref ? ref->call : NULL;
}

weir_policy_call *half_check_request(lua_State *L, int index, bool after) {
  const request *self = bind_test(L, index, &REQUEST, sizeof *self);
  weir_policy_call *call;
  if (!self) bind_expected(L, "req", NULL, "a request", index);
  call = find(L, self);
  if (!call) {
    luaL_error(L, "this request is over: what is needed of it later has to be "
                  "kept by then");
    return NULL;
  }
  if (!after && !call->r->pool)
    luaL_error(L, "the response is finished: this has to be read or done "
                  "before req:proceed()");
  return call;
}

bool half_link_request(weir_policy_call *call) {
  weir_slab *calls = &call->owner.policy->calls;
  uint32_t index;
  if (!weir_slab_reserve(calls)) return false;
  index = weir_slab_take(calls);
  ((half_ref *)weir_slab_at(calls, index))->call = call;
  call->handle = weir_slab_handle(calls, index);
  return true;
}

void half_unlink_request(weir_policy_call *call) {
  if (call->handle)
    weir_slab_give(&call->owner.policy->calls, (uint32_t)call->handle);
  call->handle = 0;
}

void half_push_request(lua_State *L, const weir_policy_call *call,
                       int metatable) {
  request *self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (request){ .tag = &REQUEST, .call = call->handle };
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
}

/* --- fields that are there ------------------------------------------------ */

static void push_text(lua_State *L, const ngx_str_t *text) {
  if (text->data)
    lua_pushlstring(L, (const char *)text->data, text->len);
  else
    lua_pushnil(L);
}

static void push_method(lua_State *L, ngx_http_request_t *r) {
  push_text(L, &r->method_name);
}

static void push_uri(lua_State *L, ngx_http_request_t *r) {
  push_text(L, &r->unparsed_uri);
}

static void push_path(lua_State *L, ngx_http_request_t *r) {
  push_text(L, &r->uri);
}

/* "1.1", of "HTTP/1.1" */
static void push_version(lua_State *L, ngx_http_request_t *r) {
  static const size_t prefix = sizeof "HTTP/" - 1;
  if (r->http_protocol.len <= prefix)
    lua_pushliteral(L, "0.9");
  else
    lua_pushlstring(L, (const char *)r->http_protocol.data + prefix,
                    r->http_protocol.len - prefix);
}

static void push_address(lua_State *L, ngx_http_request_t *r) {
  push_text(L, &r->connection->addr_text);
}

static void push_port(lua_State *L, ngx_http_request_t *r) {
  in_port_t port = ngx_inet_get_port(r->connection->sockaddr);
  if (port)
    lua_pushinteger(L, port);
  else
    lua_pushnil(L);
}

static void push_agent(lua_State *L, ngx_http_request_t *r) {
  if (r->headers_in.user_agent)
    push_text(L, &r->headers_in.user_agent->value);
  else
    lua_pushnil(L);
}

/* --- fields that nginx has as variables ----------------------------------- */

static void push_scheme(lua_State *L, ngx_http_request_t *r) {
  half_push_variable(L, r, "scheme", sizeof "scheme" - 1);
}

static void push_host(lua_State *L, ngx_http_request_t *r) {
  half_push_variable(L, r, "host", sizeof "host" - 1);
}

static void push_server(lua_State *L, ngx_http_request_t *r) {
  half_push_variable(L, r, "server_name", sizeof "server_name" - 1);
}

static void push_id(lua_State *L, ngx_http_request_t *r) {
  half_push_variable(L, r, "request_id", sizeof "request_id" - 1);
}

/* --- fields that are made once -------------------------------------------- */

static void push_args(lua_State *L, ngx_http_request_t *r) {
  lua_pushvalue(L, lua_upvalueindex(UP_ARGS));
  push_text(L, &r->args);
  lua_call(L, 1, 1);
}

static void push_cookies(lua_State *L, ngx_http_request_t *r) {
  lua_pushvalue(L, lua_upvalueindex(UP_COOKIES));
  half_push_header(L, r, "cookie", sizeof "cookie" - 1);
  lua_call(L, 1, 1);
}

static void push_headers(lua_State *L, ngx_http_request_t *r) {
  (void)r;
  half_push_headers(L);
}

static void push_var(lua_State *L, ngx_http_request_t *r) {
  (void)r;
  half_push_variables(L);
}

static void push_ctx(lua_State *L, ngx_http_request_t *r) {
  (void)r;
  lua_newtable(L);
}

/* --- index ---------------------------------------------------------------- */

typedef enum kind {
  PLAIN,  /* can be read as long as the request lives */
  ALLOCS, /* while it has its pool, too */
  KEPT    /* likewise, and is made once */
} kind;

typedef struct field {
  const char *name;
  void (*push)(lua_State *L, ngx_http_request_t *r);
  kind kind;
} field;

static const field FIELDS[] = { { "method", push_method, PLAIN },
                                { "uri", push_uri, PLAIN },
                                { "path", push_path, PLAIN },
                                { "http_version", push_version, PLAIN },
                                { "remote_addr", push_address, PLAIN },
                                { "remote_port", push_port, PLAIN },
                                { "user_agent", push_agent, PLAIN },
                                { "scheme", push_scheme, ALLOCS },
                                { "host", push_host, ALLOCS },
                                { "server_name", push_server, ALLOCS },
                                { "id", push_id, ALLOCS },
                                { "ssl", half_push_ssl, KEPT },
                                { "args", push_args, KEPT },
                                { "cookies", push_cookies, KEPT },
                                { "headers", push_headers, KEPT },
                                { "var", push_var, KEPT },
                                { "ctx", push_ctx, KEPT },
                                { NULL, NULL, PLAIN } };

/* Pushes what is kept of a field; false, and nothing: it has not been made. */
static bool push_kept(lua_State *L, lua_Integer number) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
    if (lua_rawgeti(L, -1, number) != LUA_TNIL) return true;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

/* Keeps what is on top. */
static void keep(lua_State *L, lua_Integer number) {
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 1);
  }
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, number);
  lua_pop(L, 1);
}

static int raise_unknown(lua_State *L) {
  return luaL_error(L, "a request has no field %s; your own belong in req.ctx",
                    luaL_tolstring(L, 2, NULL));
}

/* req.name; what is kept may be read at any time */
static int get(lua_State *L) {
  const field *found;
  lua_Integer number;
  int type;
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  type = lua_rawget(L, lua_upvalueindex(UP_FIELDS));
  if (type == LUA_TFUNCTION) return 1;
  if (type != LUA_TNUMBER) return raise_unknown(L);
  number = lua_tointeger(L, -1);
  found = &FIELDS[number - 1];
  if (found->kind == KEPT && push_kept(L, number)) return 1;
  found->push(L, half_check_request(L, 1, found->kind == PLAIN)->r);
  if (found->kind == KEPT) keep(L, number);
  return 1;
}

static int set(lua_State *L) {
  return luaL_error(L,
                    "req.%s cannot be set; your own fields belong in req.ctx",
                    luaL_tolstring(L, 2, NULL));
}

/* tostring(req) */
static int to_string(lua_State *L) {
  const request *self = lua_touserdata(L, 1);
  const weir_policy_call *call = find(L, self);
  lua_pushliteral(L, "weir.request: ");
  if (call) {
    half_push_str(L, &call->r->method_name);
    lua_pushliteral(L, " ");
    half_push_str(L, &call->r->unparsed_uri);
    lua_concat(L, 4);
  } else {
    lua_pushliteral(L, "over");
    lua_concat(L, 2);
  }
  return 1;
}

/* --- the type ------------------------------------------------------------- */

/* Pushes a method whose upvalue is a function of weir.request; that is on top
** of the table of methods. */
static void set_method(lua_State *L, const char *name, lua_CFunction method,
                       const char *helper) {
  lua_getfield(L, -1, helper);
  lua_pushcclosure(L, method, 1);
  lua_setfield(L, -3, name);
}

static void set_index(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; FIELDS[i].name; i++) {
    lua_pushinteger(L, i + 1);
    lua_setfield(L, -2, FIELDS[i].name);
  }
  lua_getglobal(L, "require");
  lua_pushliteral(L, "weir.request");
  lua_call(L, 1, 1);
  set_method(L, "proceed", half_proceed, "check_answer");
  set_method(L, "refuse", half_refuse, "check_answer");
  set_method(L, "set_header", half_set_header, "check_field");
  lua_getfield(L, -1, "ANSWERED");
  lua_setfield(L, LUA_REGISTRYINDEX, HALF_ANSWERED);
  lua_getfield(L, -1, "args");
  lua_getfield(L, -2, "cookies");
  lua_remove(L, -3);
  lua_pushcclosure(L, get, UP_COOKIES);
  lua_setfield(L, -2, "__index");
}

void half_push_request_metatable(lua_State *L) {
  static const luaL_Reg metamethods[] = { { "__newindex", set },
                                          { "__tostring", to_string },
                                          { NULL, NULL } };
  half_open_looks(L);
  half_open_response(L);
  lua_createtable(L, 0, 6);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushliteral(L, "weir.request");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "weir.request");
  lua_setfield(L, -2, "__metatable");
  set_index(L);
}
