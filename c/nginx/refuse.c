/*
** refuse.c - what a refused request is told, and what the log says.
*/
#include "module.h"

enum {
  FIELD_MAX = 512, /* bytes of a field's value */
  KEY_MAX = 128,   /* bytes of a key in the log */
  UNLOGGED_MAX = sizeof ", 18446744073709551615 more not logged",
  FAILURES_GAP_S = 1 /* the same error of a script is logged once in it */
};

/* --- the log -------------------------------------------------------------- */

/* Whether there may be a line now; otherwise it is counted. */
static bool may_log(weir_ngx_main *conf, weir_ngx_lines *lines) {
  static const weir_request request = { .try_only = true };
  weir_ticket ticket;
  uint64_t now = weir_ngx_now();
  if (!lines->pace || weir_acquire(conf->local_port, lines->pace, &request, now,
                                   &ticket) != WEIR_ADMITTED) {
    lines->unlogged++;
    return false;
  }
  weir_release(conf->local_port, ticket, WEIR_DONE, now);
  return true;
}

/* ", 12 more not logged": those since the last line. */
static ngx_str_t unlogged_text(weir_ngx_lines *lines, u_char *buffer) {
  ngx_str_t text = { 0, buffer };
  if (lines->unlogged)
    text.len =
        (size_t)(ngx_sprintf(buffer, ", %ui more not logged", lines->unlogged) -
                 buffer);
  lines->unlogged = 0;
  return text;
}

/* A key for people: it may be an address in binary, or what a client made up to
** look like lines of ours. */
static ngx_str_t printable(const ngx_str_t *key, u_char *buffer) {
  ngx_str_t text = { ngx_min(key->len, (size_t)KEY_MAX), buffer };
  for (size_t i = 0; i < text.len; i++) {
    u_char byte = key->data[i];
    buffer[i] = byte < ' ' || byte == '"' || byte >= 0x7F ? '?' : byte;
  }
  return text;
}

/* "weir: backend refused: timeout after 0.500 s, key "10.0.0.1"" */
static void log_verdict(weir_ngx_pass *pass, weir_ngx_lines *lines,
                        const char *what, int verdict) {
  static ngx_str_t nameless = ngx_string("the policy");
  weir_ngx_verdict *told = &pass->told;
  ngx_log_t *log = pass->r->connection->log;
  ngx_uint_t level = weir_ngx_place_of(pass->r)->log_level;
  uint64_t ms = told->waited_ns / WEIR_NGX_MS_TO_NS;
  u_char buffer[UNLOGGED_MAX], key_buffer[KEY_MAX];
  ngx_str_t more, key;
  bool keyed = told->key.len > 0;
  if (log->log_level < level || !may_log(weir_ngx_main_of(pass->r), lines))
    return;
  more = unlogged_text(lines, buffer);
  key = printable(&told->key, key_buffer);
  ngx_log_error(level, log, 0, "weir: %V %s: %s after %uL.%03uL s%s%V%s%V",
                told->limiter.len ? &told->limiter : &nameless, what,
                weir_verdict_name(verdict), ms / 1000, ms % 1000,
                keyed ? ", key \"" : "", &key, keyed ? "\"" : "", &more);
}

void weir_ngx_would(weir_ngx_pass *pass, weir_ngx_limit *limit, int verdict) {
  log_verdict(pass, &limit->lines,
              verdict == WEIR_WAITING ? "would make wait" : "would refuse",
              verdict);
}

/* The same error of a script comes with each request that meets it. */
void weir_ngx_failed(weir_ngx_pass *pass, const char *why) {
  static uint32_t last;
  static time_t logged;
  size_t size = ngx_strlen(why);
  uint32_t hash = ngx_crc32_long((u_char *)(uintptr_t)why, size);
  if (hash == last && ngx_time() < logged + FAILURES_GAP_S) return;
  last = hash;
  logged = ngx_time();
  ngx_log_error(NGX_LOG_ERR, pass->r->connection->log, 0, "weir: %s", why);
}

/* --- fields --------------------------------------------------------------- */

bool weir_ngx_add_field(ngx_http_request_t *r, const ngx_str_t *name,
                        const ngx_str_t *value) {
  ngx_table_elt_t *field = ngx_list_push(&r->headers_out.headers);
  if (!field) return false;
  ngx_memzero(field, sizeof *field);
  field->hash = 1;
  field->key = *name;
  field->value = *value;
  return true;
}

/* A value that weir_http_... wrote; of none and one cut off there is none. */
static void add_text(ngx_http_request_t *r, const char *name, const char *text,
                     size_t size) {
  ngx_str_t key = { ngx_strlen(name), (u_char *)(uintptr_t)name };
  ngx_str_t value = { size, NULL };
  if (!size || size >= FIELD_MAX) return;
  value.data = ngx_pnalloc(r->pool, size);
  if (!value.data) return;
  ngx_memcpy(value.data, text, size);
  weir_ngx_add_field(r, &key, &value);
}

static void add_quota(ngx_http_request_t *r, weir_ngx_limit *limit,
                      const weir_request *request, const char *name) {
  const weir_space *space = limit->space->space;
  char text[FIELD_MAX];
  weir_key_info key;
  weir_quota quota;
  if (weir_limiter_quota(space, limit->handle, request, weir_ngx_now(),
                         &quota) ||
      weir_key_inspect(space, limit->handle, request->key, request->key_size,
                       &key))
    return;
  add_text(r, "Retry-After", text,
           weir_http_retry_after(quota.retry_ns, text, sizeof text));
  add_text(r, "RateLimit", text,
           weir_http_ratelimit(name, &limit->config, &key, &quota, text,
                               sizeof text));
}

static void add_fields(ngx_http_request_t *r, weir_ngx_limit *limit,
                       const weir_request *request) {
  char name[WEIR_NAME_MAX + 1], text[FIELD_MAX];
  ngx_cpystrn((u_char *)name, limit->name.data, limit->name.len + 1);
  add_quota(r, limit, request, name);
  add_text(r, "RateLimit-Policy", text,
           weir_http_policy(name, &limit->config, text, sizeof text));
}

/* --- refusals ------------------------------------------------------------- */

static ngx_int_t status_of(ngx_http_request_t *r, bool keyed) {
  ngx_uint_t status = weir_ngx_place_of(r)->refuse_status;
  if (status) return (ngx_int_t)status;
  return keyed ? NGX_HTTP_TOO_MANY_REQUESTS : NGX_HTTP_SERVICE_UNAVAILABLE;
}

ngx_int_t weir_ngx_refuse(weir_ngx_pass *pass, weir_ngx_limit *limit,
                          const weir_request *request) {
  log_verdict(pass, &limit->lines, "refused", pass->told.verdict);
  add_fields(pass->r, limit, request);
  return status_of(pass->r, limit->key != NULL);
}

ngx_int_t weir_ngx_broken(ngx_http_request_t *r) {
  return weir_ngx_place_of(r)->pass_on_error ? NGX_OK
                                             : NGX_HTTP_SERVICE_UNAVAILABLE;
}

/* --- of a policy ---------------------------------------------------------- */

static bool is_content_type(const ngx_str_t *name) {
  return name->len == sizeof "Content-Type" - 1 &&
         ngx_strncasecmp(name->data, (u_char *)(uintptr_t) "Content-Type",
                         name->len) == 0;
}

/* The script wrote the whole answer. */
static ngx_int_t answer(ngx_http_request_t *r, ngx_uint_t status,
                        ngx_str_t *type, const ngx_str_t *body) {
  ngx_http_complex_value_t value;
  ngx_memzero(&value, sizeof value);
  value.value = *body;
  ngx_http_finalize_request(r, ngx_http_send_response(r, status, type, &value));
  return NGX_DONE;
}

ngx_int_t weir_ngx_refuse_by_policy(weir_ngx_pass *pass,
                                    const weir_policy_decision *decision) {
  ngx_http_request_t *r = pass->r;
  ngx_str_t type = ngx_string("text/plain");
  ngx_int_t status = decision->status ? (ngx_int_t)decision->status
                                      : status_of(r, decision->keyed);
  for (ngx_uint_t i = 0; i < decision->fields_count; i++) {
    const weir_policy_field *field = &decision->fields[i];
    if (is_content_type(&field->name))
      type = field->value;
    else
      weir_ngx_add_field(r, &field->name, &field->value);
  }
  if (decision->verdict != WEIR_ADMITTED)
    log_verdict(pass, &weir_ngx_main_of(r)->policy_lines, "refused",
                decision->verdict);
  if (decision->body.data || status < NGX_HTTP_SPECIAL_RESPONSE)
    return answer(r, (ngx_uint_t)status, &type, &decision->body);
  return status;
}
