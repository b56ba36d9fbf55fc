/*
** status.c - weir_status: what the spaces of this nginx do, as JSON,
** OpenMetrics or a page, for whoever may see the location.
**
** It reads: it takes part in nothing and changes nothing, so that only GET and
** HEAD are answered.
*/
#include <weir_status.h>

#include "module.h"

/* What is kept from one answer to the next: counters of limiters that are no
** more go on. */
static weir_status *status;

static ngx_str_t text_of(const char *text) {
  return (ngx_str_t){ ngx_strlen(text), (u_char *)(uintptr_t)text };
}

static bool add_field(ngx_http_request_t *r, const char *name,
                      const char *value) {
  ngx_str_t key = text_of(name), text = text_of(value);
  return weir_ngx_add_field(r, &key, &text);
}

/* A space that cannot be read is said in the log, and left out. */
static void read_space(ngx_http_request_t *r, const weir_ngx_space *space) {
  char name[sizeof "shm:" + WEIR_SHARED_NAME_MAX];
  int answer;
  if (!space->space) return;
  ngx_sprintf((u_char *)name, "shm:%s%Z", space->name);
  answer = weir_status_read(status, space->space, name, weir_ngx_now());
  if (answer < 0)
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "weir_space %s: %s",
                  space->name, weir_error_text(answer));
}

static void read_spaces(ngx_http_request_t *r) {
  weir_ngx_main *conf = weir_ngx_main_of(r);
  weir_ngx_space **spaces = conf->spaces.elts;
  weir_status_clear(status);
  for (ngx_uint_t i = 0; i < conf->spaces.nelts; i++) read_space(r, spaces[i]);
}

/* The values of a field that may come several times, or once; 0: none. */
static ngx_str_t accept_of(const ngx_http_request_t *r) {
  const ngx_list_part_t *part = &r->headers_in.headers.part;
  for (; part; part = part->next) {
    const ngx_table_elt_t *fields = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; i++)
      if (fields[i].key.len == sizeof "accept" - 1 &&
          ngx_strncasecmp(fields[i].key.data, (u_char *)"accept",
                          fields[i].key.len) == 0)
        return fields[i].value;
  }
  return (ngx_str_t)ngx_null_string;
}

static weir_status_kind kind_of(const ngx_http_request_t *r) {
  ngx_str_t accept = accept_of(r);
  return weir_status_format((const char *)r->args.data, r->args.len,
                            (const char *)accept.data, accept.len);
}

/* The text as a buffer of the request's; the next answer writes another. */
static ngx_buf_t *copy(ngx_http_request_t *r, const char *text, size_t size) {
  ngx_buf_t *buffer = ngx_create_temp_buf(r->pool, size);
  if (!buffer) return NULL;
  buffer->last = ngx_cpymem(buffer->pos, text, size);
  buffer->last_buf = 1;
  return buffer;
}

static bool set_fields(ngx_http_request_t *r, weir_status_kind kind,
                       size_t size) {
  const char *policy = weir_status_policy(kind);
  r->headers_out.status = NGX_HTTP_OK;
  r->headers_out.content_length_n = (off_t)size;
  r->headers_out.content_type = text_of(weir_status_type(kind));
  r->headers_out.content_type_len = r->headers_out.content_type.len;
  return add_field(r, "Cache-Control", "no-store") &&
         add_field(r, "Vary", "Accept") &&
         add_field(r, "X-Content-Type-Options", "nosniff") &&
         (!policy || add_field(r, "Content-Security-Policy", policy));
}

static ngx_int_t send_text(ngx_http_request_t *r, weir_status_kind kind) {
  size_t size;
  const char *text = weir_status_text(status, kind, &size);
  ngx_chain_t out = { text ? copy(r, text, size) : NULL, NULL };
  ngx_int_t rc;
  if (!out.buf || !set_fields(r, kind, size))
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  rc = ngx_http_send_header(r);
  if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) return rc;
  return ngx_http_output_filter(r, &out);
}

ngx_int_t weir_ngx_status_handler(ngx_http_request_t *r) {
  ngx_int_t rc;
  if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)))
    return NGX_HTTP_NOT_ALLOWED;
  rc = ngx_http_discard_request_body(r);
  if (rc != NGX_OK) return rc;
  if (!status) status = weir_status_new();
  if (!status) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  read_spaces(r);
  return send_text(r, kind_of(r));
}
