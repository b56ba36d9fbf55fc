/*
** decide.c - what a handler has decided, as the module is told. What is told is
** copied to the request's pool.
*/
#include "half.h"

static void settle(weir_policy_call *call, weir_policy_step step) {
  call->step = step;
  call->settled = true;
  half_note_waited(call);
}

void half_note_waited(weir_policy_call *call) {
  if (call->waits)
    call->decision.waited_ns = call->owner.policy->W->now - call->since;
}

ngx_str_t half_copy_text(ngx_pool_t *pool, const char *text, size_t size) {
  ngx_str_t copy = ngx_null_string;
  u_char *data = ngx_pnalloc(pool, size + 1);
  if (!data) return copy;
  ngx_memcpy(data, text, size);
  data[size] = '\0';
  copy.data = data;
  copy.len = size;
  return copy;
}

ngx_str_t half_copy(ngx_pool_t *pool, lua_State *L, int index) {
  ngx_str_t none = ngx_null_string;
  size_t size;
  const char *text;
  if (!lua_isstring(L, index)) return none;
  text = lua_tolstring(L, index, &size);
  return half_copy_text(pool, text, size);
}

void half_decide_pass(weir_policy_call *call) {
  settle(call, WEIR_POLICY_PASSES);
}

void half_decide_failed(weir_policy_call *call, const char *why) {
  size_t size = ngx_strlen(why) + 1;
  char *copy = ngx_pnalloc(call->r->pool, size);
  if (copy) ngx_memcpy(copy, why, size);
  call->decision.why = copy ? copy : "not enough memory";
  settle(call, WEIR_POLICY_FAILS);
}

/* --- fields of the response ----------------------------------------------- */

static ngx_uint_t count_of(lua_State *L, int table) {
  ngx_uint_t count = 0;
  lua_pushnil(L);
  for (; lua_next(L, table); lua_pop(L, 1)) count++;
  return count;
}

/* Takes the fields of the table on top (popped). A key that was a number in
** another form would confuse next. */
static void take_fields(lua_State *L, weir_policy_call *call) {
  int table = lua_gettop(L);
  ngx_pool_t *pool = call->r->pool;
  ngx_uint_t count = count_of(L, table);
  weir_policy_field *fields = ngx_palloc(pool, count * sizeof *fields);
  call->decision.fields = fields;
  lua_pushnil(L);
  while (fields && lua_next(L, table)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      fields->name = half_copy(pool, L, -2);
      fields->value = half_copy(pool, L, -1);
      if (fields->name.data && fields->value.data) fields++;
    }
    lua_pop(L, 1);
  }
  lua_settop(L, table - 1);
  call->decision.fields_count =
      fields ? (ngx_uint_t)(fields - call->decision.fields) : 0;
}

/* --- refusals ------------------------------------------------------------- */

/* A field as text; data NULL: it has none. */
static ngx_str_t text_of(lua_State *L, weir_policy_call *call, int refusal,
                         const char *name) {
  ngx_str_t text;
  lua_getfield(L, refusal, name);
  text = half_copy(call->r->pool, L, -1);
  lua_pop(L, 1);
  return text;
}

static void add_field(weir_policy_call *call, ngx_str_t name,
                      const char *value) {
  weir_policy_decision *decision = &call->decision;
  ngx_str_t copy;
  if (!*value) return;
  copy = half_copy_text(call->r->pool, value, ngx_strlen(value));
  if (copy.data)
    decision->fields[decision->fields_count++] =
        (weir_policy_field){ name, copy };
}

enum { HTTP_FIELDS = 3 };

static void add_fields(weir_policy_call *call, const bind_http *http) {
  static const ngx_str_t policy = ngx_string("RateLimit-Policy");
  static const ngx_str_t limit = ngx_string("RateLimit");
  static const ngx_str_t retry = ngx_string("Retry-After");
  call->decision.fields =
      ngx_palloc(call->r->pool, HTTP_FIELDS * sizeof *call->decision.fields);
  if (!call->decision.fields) return;
  add_field(call, retry, http->retry);
  add_field(call, limit, http->limit);
  add_field(call, policy, http->policy);
}

void half_decide_refusal(lua_State *L, weir_policy_call *call, int refusal) {
  weir_policy_decision *decision = &call->decision;
  weir_verdict verdict = bind_refusal_verdict(L, refusal);
  bind_http http;
  decision->verdict =
      verdict == WEIR_VERDICTS ? (int)WEIR_CANCELED : (int)verdict;
  decision->limiter = text_of(L, call, refusal, "limiter");
  decision->key = text_of(L, call, refusal, "key");
  decision->keyed = decision->key.data != NULL;
  if (bind_refusal_http(L, refusal, &http)) add_fields(call, &http);
  settle(call, WEIR_POLICY_REFUSES);
}

/* (req, status, headers, body) */
void half_decide_answer(lua_State *L, weir_policy_call *call) {
  weir_policy_decision *decision = &call->decision;
  lua_settop(L, 4);
  *decision = (weir_policy_decision){ .verdict = WEIR_ADMITTED };
  decision->status = (ngx_uint_t)lua_tointeger(L, 2);
  decision->body = half_copy(call->r->pool, L, 4);
  lua_pushvalue(L, 3);
  if (lua_istable(L, -1)) take_fields(L, call);
  settle(call, WEIR_POLICY_REFUSES);
}

void half_decide(lua_State *L, weir_policy_call *call) {
  const char *kind = lua_tostring(L, -2);
  if (!strcmp(kind, "pass"))
    half_decide_pass(call);
  else if (!strcmp(kind, "refuse"))
    half_decide_refusal(L, call, lua_gettop(L));
  else
    half_decide_failed(call, lua_tostring(L, -1));
}
