/*
** variable.c - $weir_verdict, $weir_limiter, $weir_key and $weir_wait, for
** log_format and whatever else takes variables.
*/
#include "module.h"

enum { WAIT_MAX = sizeof "18446744073709.551" };

typedef enum variable { VERDICT, LIMITER, KEY, WAIT } variable;

static ngx_int_t set(ngx_http_variable_value_t *out, const ngx_str_t *text) {
  out->valid = text->len > 0;
  out->not_found = !text->len;
  out->no_cacheable = 1; /* it may change while the request waits */
  out->data = text->data;
  out->len = (unsigned)text->len & 0xfffffff;
  return NGX_OK;
}

static ngx_int_t set_wait(ngx_http_request_t *r, const weir_ngx_pass *pass,
                          ngx_http_variable_value_t *out) {
  uint64_t ns = pass->told.waited_ns, ms;
  ngx_str_t text = { 0, ngx_pnalloc(r->pool, WAIT_MAX) };
  if (!text.data) return NGX_ERROR;
  if (pass->state == WEIR_NGX_WAITS) ns += weir_ngx_now() - pass->since;
  ms = (ns + WEIR_NGX_MS_TO_NS / 2) / WEIR_NGX_MS_TO_NS;
  text.len =
      (size_t)(ngx_sprintf(text.data, "%uL.%03uL", ms / 1000, ms % 1000) -
               text.data);
  return set(out, &text);
}

/* What a request that met no gate has nothing of. */
static ngx_int_t get(ngx_http_request_t *r, ngx_http_variable_value_t *out,
                     uintptr_t which) {
  const weir_ngx_pass *pass = weir_ngx_find_pass(r->main);
  ngx_str_t text = ngx_null_string;
  if (!pass || (pass->told.verdict < 0 && pass->state == WEIR_NGX_WALKS))
    return set(out, &text);
  if (which == WAIT) return set_wait(r, pass, out);
  if (which == LIMITER) return set(out, &pass->told.limiter);
  if (which == KEY) return set(out, &pass->told.key);
  /* who left while it waited */
  text.data = (u_char *)(uintptr_t)weir_verdict_name(
      pass->state == WEIR_NGX_WAITS ? WEIR_CANCELED : pass->told.verdict);
  text.len = ngx_strlen(text.data);
  return set(out, &text);
}

ngx_int_t weir_ngx_add_variables(ngx_conf_t *cf) {
  static ngx_str_t names[] = { ngx_string("weir_verdict"),
                               ngx_string("weir_limiter"),
                               ngx_string("weir_key"),
                               ngx_string("weir_wait") };
  for (uintptr_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    ngx_http_variable_t *v =
        ngx_http_add_variable(cf, &names[i], NGX_HTTP_VAR_NOCACHEABLE);
    if (!v) return NGX_ERROR;
    v->get_handler = get;
    v->data = i;
  }
  return NGX_OK;
}
