/*
** pass.c - a request's way through the gates of its location.
**
** A request passes in the preaccess phase, as with nginx's own limits: after
** rewriting, before it is asked who it is. Subrequests pass freely: they are
** part of their request. nginx forgets a module's context when it redirects a
** request, so a pass is found by the cleanup that gives everything back.
**
** A request asks a limiter once: what it holds or was refused by it is not
** asked again in another location, nor does a handler run twice.
*/
#include "module.h"

enum { STATUS_DROPPED = 500, STATUS_ABORTED = 499 };

/* --- giving back ---------------------------------------------------------- */

/* Whose worker is going has given everything back already. */
static void release(const weir_ngx_permit *permit, weir_outcome outcome,
                    uint64_t now) {
  weir_ngx_space *space = permit->limit->space;
  if (!permit->ticket || !space->port) return;
  weir_release(space->port, permit->ticket, outcome, now);
  weir_ngx_touch(space);
}

static weir_ngx_limit *limit_at(const weir_ngx_pass *pass) {
  weir_ngx_gate **gates = pass->gates->elts;
  return gates[pass->next]->limit;
}

/* It waits no longer, without an answer. */
static void withdraw(weir_ngx_pass *pass, uint64_t now) {
  weir_ngx_limit *limit = limit_at(pass);
  if (!limit) {
    weir_ngx_main_of(pass->r)->policy_waits--;
    return;
  }
  if (!limit->space->port) return;
  limit->space->waits--;
  weir_cancel(limit->space->port, pass->permits[pass->permits_count].ticket,
              now);
  weir_ngx_touch(limit->space);
}

/* A later gate refused: what the request was given is as if it had never been,
** and may be asked for again elsewhere. */
static void give_back(weir_ngx_pass *pass) {
  uint64_t now = weir_ngx_now();
  ngx_uint_t kept = 0;
  for (ngx_uint_t i = pass->permits_count; i-- > 0;)
    release(&pass->permits[i], WEIR_UNUSED, now);
  for (ngx_uint_t i = 0; i < pass->permits_count; i++)
    if (!pass->permits[i].ticket) pass->permits[kept++] = pass->permits[i];
  pass->permits_count = kept;
}

static uint64_t upstream_ns(const ngx_http_request_t *r) {
  ngx_http_upstream_state_t *states;
  uint64_t ms = 0;
  if (!r->upstream_states) return 0;
  states = r->upstream_states->elts;
  for (ngx_uint_t i = 0; i < r->upstream_states->nelts; i++)
    if (states[i].response_time != (ngx_msec_t)-1)
      ms += states[i].response_time;
  return ms * WEIR_NGX_MS_TO_NS;
}

static weir_policy_result result_of(ngx_http_request_t *r) {
  ngx_uint_t status = r->err_status ? r->err_status : r->headers_out.status;
  bool dropped = status >= STATUS_DROPPED || status == STATUS_ABORTED ||
                 status == 0 || r->connection->error;
  return (weir_policy_result){ .status = status ? status : STATUS_ABORTED,
                               .bytes = r->connection->sent,
                               .upstream_ns = upstream_ns(r),
                               .outcome = dropped ? WEIR_DROPPED : WEIR_DONE };
}

static void end_calls(weir_ngx_pass *pass, const weir_policy_result *result,
                      uint64_t now) {
  weir_ngx_main *conf = weir_ngx_main_of(pass->r);
  const weir_policy_half *half = weir_ngx_half();
  if (!pass->calls_count || !conf->policy) return;
  for (ngx_uint_t i = pass->calls_count; i-- > 0;)
    half->end(pass->calls[i], result, now);
  /* a turn also lets a worker go that nobody waits in any longer */
  if (pass->state == WEIR_NGX_WAITS || half->pending(conf->policy))
    weir_ngx_touch_policy(conf);
}

/* The request is over. */
static void clean_up(void *data) {
  weir_ngx_pass *pass = data;
  weir_policy_result result = result_of(pass->r);
  uint64_t now = weir_ngx_now();
  if (pass->state == WEIR_NGX_WAITS) withdraw(pass, now);
  for (ngx_uint_t i = pass->permits_count; i-- > 0;)
    release(&pass->permits[i], result.outcome, now);
  end_calls(pass, &result, now);
}

/* --- the pass ------------------------------------------------------------- */

weir_ngx_pass *weir_ngx_find_pass(ngx_http_request_t *r) {
  weir_ngx_pass *pass = ngx_http_get_module_ctx(r, ngx_http_weir_module);
  ngx_pool_cleanup_t *cleanup = r->pool->cleanup;
  if (pass) return pass;
  while (cleanup && cleanup->handler != clean_up) cleanup = cleanup->next;
  return cleanup ? cleanup->data : NULL;
}

static weir_ngx_pass *make_pass(ngx_http_request_t *r) {
  ngx_pool_cleanup_t *cleanup =
      ngx_pool_cleanup_add(r->pool, sizeof(weir_ngx_pass));
  weir_ngx_pass *pass;
  if (!cleanup) return NULL;
  pass = cleanup->data;
  ngx_memzero(pass, offsetof(weir_ngx_pass, permits));
  pass->r = r;
  pass->told.verdict = -1;
  cleanup->handler = clean_up;
  return pass;
}

/* The pass of a request that comes to a location; NULL: no memory. */
static weir_ngx_pass *enter(ngx_http_request_t *r, ngx_array_t *gates) {
  weir_ngx_pass *pass = weir_ngx_find_pass(r);
  if (!pass) pass = make_pass(r);
  if (!pass) return NULL;
  ngx_http_set_ctx(r, pass, ngx_http_weir_module);
  if (pass->state != WEIR_NGX_WALKS) return pass;
  pass->gates = gates;
  pass->next = 0;
  return pass;
}

static bool has_met(const weir_ngx_pass *pass, const weir_ngx_limit *limit) {
  for (ngx_uint_t i = 0; i < pass->permits_count; i++)
    if (pass->permits[i].limit == limit) return true;
  return false;
}

static bool has_called(const weir_ngx_pass *pass, const weir_ngx_gate *gate) {
  for (ngx_uint_t i = 0; i < pass->calls_count; i++)
    if (pass->called[i]->handler == gate->handler) return true;
  return false;
}

/* --- waiting -------------------------------------------------------------- */

/* Until then a client that goes away ends the request, and so its pass. */
static ngx_int_t suspend(weir_ngx_pass *pass) {
  ngx_http_request_t *r = pass->r;
  ngx_event_t *read = r->connection->read;
  pass->state = WEIR_NGX_WAITS;
  r->read_event_handler = ngx_http_test_reading;
  r->write_event_handler = ngx_http_request_empty_handler;
  if (!read->ready) {
    return ngx_handle_read_event(read, 0) == NGX_OK
               ? NGX_AGAIN
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  ngx_post_event(read, &ngx_posted_events);
  return NGX_AGAIN;
}

void weir_ngx_wake(weir_ngx_pass *pass) {
  ngx_http_request_t *r = pass->r;
  ngx_connection_t *c = r->connection;
  pass->state = WEIR_NGX_WOKEN;
  r->read_event_handler = ngx_http_block_reading;
  r->write_event_handler = ngx_http_core_run_phases;
  ngx_http_set_log_request(c->log, r);
  ngx_http_core_run_phases(r);
  ngx_http_run_posted_requests(c);
}

/* --- a limiter ------------------------------------------------------------ */

/* Notes what the log says of a gate: the one that refused, or that held the
** request up for longest. */
static void tell(weir_ngx_pass *pass, const ngx_str_t *limiter,
                 const ngx_str_t *key, int verdict, uint64_t waited_ns) {
  weir_ngx_verdict *told = &pass->told;
  told->waited_ns += waited_ns;
  if (verdict != WEIR_ADMITTED || told->verdict < 0 ||
      waited_ns > told->longest_ns) {
    told->limiter = *limiter;
    told->key = *key;
    told->longest_ns = waited_ns;
  }
  told->verdict = verdict;
}

static ngx_str_t key_of(const weir_request *request) {
  return (ngx_str_t){ request->key_size, (u_char *)(uintptr_t)request->key };
}

static void note(weir_ngx_pass *pass, weir_ngx_limit *limit,
                 const weir_request *request, int verdict, uint64_t waited_ns) {
  ngx_str_t key = key_of(request);
  pass->permits[pass->permits_count++].limit = limit;
  tell(pass, &limit->name, &key, verdict, waited_ns);
}

static ngx_int_t integer_of(ngx_http_request_t *r,
                            ngx_http_complex_value_t *value, ngx_int_t usual,
                            ngx_int_t min, ngx_int_t max) {
  ngx_str_t text;
  ngx_int_t n;
  bool negative;
  if (!value || ngx_http_complex_value(r, value, &text) != NGX_OK || !text.len)
    return usual;
  negative = text.data[0] == '-';
  n = ngx_atoi(text.data + negative, text.len - negative);
  if (n == NGX_ERROR) return usual;
  if (negative) n = -n;
  return n < min ? min : n > max ? max : n;
}

static bool text_of(ngx_http_request_t *r, ngx_http_complex_value_t *value,
                    const void **out, uint32_t *size) {
  ngx_str_t text;
  if (!value) return true;
  if (ngx_http_complex_value(r, value, &text) != NGX_OK) return false;
  if (text.len > WEIR_KEY_MAX) text.len = WEIR_KEY_MAX;
  *out = text.len ? text.data : NULL;
  *size = (uint32_t)text.len;
  return true;
}

/* false: no memory */
static bool make_request(weir_ngx_pass *pass, const weir_ngx_limit *limit,
                         weir_request *out) {
  ngx_http_request_t *r = pass->r;
  *out = (weir_request){ .cookie = (uintptr_t)pass };
  out->cost =
      (uint32_t)integer_of(r, limit->cost, 1, 1, (ngx_int_t)WEIR_PERMITS_MAX);
  out->priority = (int8_t)integer_of(r, limit->priority, 0, WEIR_PRIORITY_MIN,
                                     WEIR_PRIORITY_MAX);
  return text_of(r, limit->key, &out->key, &out->key_size) &&
         text_of(r, limit->flow, &out->flow, &out->flow_size);
}

static ngx_int_t refuse(weir_ngx_pass *pass, weir_ngx_limit *limit,
                        const weir_request *request, int verdict,
                        uint64_t waited_ns) {
  pass->permits[pass->permits_count].ticket = 0;
  note(pass, limit, request, verdict, waited_ns);
  pass->refused_in = pass->gates;
  pass->state = WEIR_NGX_WALKS;
  give_back(pass);
  return weir_ngx_refuse(pass, limit, request);
}

/* Asks and then does nothing about it; who would not have been admitted at once
** is not counted as using anything. */
static bool would_refuse(weir_ngx_pass *pass, weir_ngx_limit *limit,
                         const weir_request *request, uint64_t now) {
  int verdict = weir_peek(limit->space->port, limit->handle, request, now);
  if (!weir_ngx_place_of(pass->r)->dry_run || verdict == WEIR_ADMITTED)
    return false;
  pass->permits[pass->permits_count].ticket = 0;
  note(pass, limit, request, verdict, 0);
  weir_ngx_would(pass, limit, verdict);
  return true;
}

/* Until it is decided, the log names the limiter that it waits for. */
static ngx_int_t queue(weir_ngx_pass *pass, weir_ngx_limit *limit,
                       const weir_request *request, uint64_t now) {
  pass->told.limiter = limit->name;
  pass->told.key = key_of(request);
  pass->since = now;
  limit->space->waits++;
  weir_ngx_touch(limit->space);
  return suspend(pass);
}

static ngx_int_t acquire(weir_ngx_pass *pass, weir_ngx_limit *limit,
                         const weir_request *request) {
  uint64_t now = weir_ngx_now();
  int verdict;
  if (weir_ngx_place_of(pass->r)->dry_run &&
      would_refuse(pass, limit, request, now))
    return NGX_OK;
  verdict = weir_acquire(limit->space->port, limit->handle, request, now,
                         &pass->permits[pass->permits_count].ticket);
  if (verdict < 0) {
    weir_ngx_failed(pass, weir_error_text(verdict));
    return weir_ngx_broken(pass->r);
  }
  if (verdict == WEIR_WAITING) return queue(pass, limit, request, now);
  if (verdict != WEIR_ADMITTED) return refuse(pass, limit, request, verdict, 0);
  note(pass, limit, request, verdict, 0);
  return NGX_OK;
}

/* NGX_OK: it is through; NGX_AGAIN: it waits; else a status. */
static ngx_int_t ask(weir_ngx_pass *pass, weir_ngx_limit *limit) {
  weir_request request;
  if (has_met(pass, limit)) return NGX_OK;
  if (!limit->handle || pass->permits_count == WEIR_NGX_GATES_MAX)
    return weir_ngx_broken(pass->r);
  if (!make_request(pass, limit, &request))
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (limit->key && !request.key) return NGX_OK; /* an empty key is nobody's */
  return acquire(pass, limit, &request);
}

/* Its wait for a limiter is over. */
static ngx_int_t go_on_at_limit(weir_ngx_pass *pass, weir_ngx_limit *limit) {
  weir_request request;
  if (!make_request(pass, limit, &request))
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (pass->decided != WEIR_ADMITTED)
    return refuse(pass, limit, &request, pass->decided, pass->waited_ns);
  note(pass, limit, &request, pass->decided, pass->waited_ns);
  return NGX_OK;
}

/* --- a handler of the script ---------------------------------------------- */

static ngx_int_t refuse_by_policy(weir_ngx_pass *pass,
                                  const weir_policy_decision *decision) {
  tell(pass, &decision->limiter, &decision->key, decision->verdict,
       decision->waited_ns);
  pass->refused_in = pass->gates;
  give_back(pass);
  return weir_ngx_refuse_by_policy(pass, decision);
}

/* What a handler has come to. */
static ngx_int_t take_step(weir_ngx_pass *pass, weir_policy_step step) {
  const weir_policy_half *half = weir_ngx_half();
  weir_policy_call *call =
      pass->calls_count ? pass->calls[pass->calls_count - 1] : NULL;
  const weir_policy_decision *decision = call ? half->decision(call) : NULL;
  if (step == WEIR_POLICY_WAITS) return suspend(pass);
  if (step == WEIR_POLICY_PASSES && decision)
    tell(pass, &decision->limiter, &decision->key, WEIR_ADMITTED,
         decision->waited_ns);
  if (step == WEIR_POLICY_PASSES) return NGX_OK;
  if (step == WEIR_POLICY_REFUSES && decision)
    return refuse_by_policy(pass, decision);
  weir_ngx_failed(pass, decision ? decision->why : "out of memory");
  return weir_ngx_broken(pass->r);
}

static ngx_int_t call(weir_ngx_pass *pass, weir_ngx_gate *gate) {
  weir_ngx_main *conf = weir_ngx_main_of(pass->r);
  weir_policy_call *made = NULL;
  weir_policy_step step;
  uint64_t now = weir_ngx_now();
  if (has_called(pass, gate)) return NGX_OK;
  if (!conf->policy || gate->handler < 0 ||
      pass->calls_count == WEIR_NGX_GATES_MAX)
    return weir_ngx_broken(pass->r);
  step =
      weir_ngx_half()->begin(conf->policy, gate->handler, pass->r, now, &made);
  if (made) {
    pass->called[pass->calls_count] = gate;
    pass->calls[pass->calls_count++] = made;
  }
  if (step == WEIR_POLICY_WAITS) {
    pass->since = now;
    conf->policy_waits++;
  }
  if (step == WEIR_POLICY_WAITS || weir_ngx_half()->pending(conf->policy))
    weir_ngx_touch_policy(conf);
  return take_step(pass, step);
}

/* --- the way -------------------------------------------------------------- */

static ngx_int_t go_on(weir_ngx_pass *pass) {
  weir_ngx_limit *limit = limit_at(pass);
  pass->state = WEIR_NGX_WALKS;
  return limit ? go_on_at_limit(pass, limit) : take_step(pass, pass->step);
}

static ngx_int_t walk(weir_ngx_pass *pass) {
  weir_ngx_gate **gates = pass->gates->elts;
  for (; pass->next < pass->gates->nelts; pass->next++) {
    weir_ngx_gate *gate = gates[pass->next];
    ngx_int_t rc = gate->is_policy ? call(pass, gate) : ask(pass, gate->limit);
    if (rc != NGX_OK) return rc;
  }
  return NGX_DECLINED;
}

ngx_int_t weir_ngx_handler(ngx_http_request_t *r) {
  ngx_array_t *gates = weir_ngx_place_of(r)->gates;
  weir_ngx_pass *pass;
  ngx_int_t rc;
  if (r != r->main || !gates || !gates->nelts) return NGX_DECLINED;
  pass = enter(r, gates);
  if (!pass) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (pass->state == WEIR_NGX_WAITS) return NGX_AGAIN;
  if (pass->refused_in == gates) return NGX_DECLINED; /* its error page */
  if (pass->state == WEIR_NGX_WOKEN) {
    rc = go_on(pass);
    if (rc != NGX_OK) return rc;
    pass->next++;
  }
  return walk(pass);
}
