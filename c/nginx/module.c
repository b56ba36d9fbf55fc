/*
** module.c - what nginx sees of weir: the module, its configurations and its
** hooks.
*/
#include "module.h"

enum { BUDGET = 10000, MEMORY = 64 << 20 }; /* unless it says */

weir_ngx_main *weir_ngx_main_of(ngx_http_request_t *r) {
  return ngx_http_get_module_main_conf(r, ngx_http_weir_module);
}

weir_ngx_place *weir_ngx_place_of(ngx_http_request_t *r) {
  return ngx_http_get_module_loc_conf(r, ngx_http_weir_module);
}

/* --- configurations ------------------------------------------------------- */

static bool make_list(ngx_conf_t *cf, ngx_array_t *list) {
  return ngx_array_init(list, cf->pool, 4, sizeof(void *)) == NGX_OK;
}

static void *create_main(ngx_conf_t *cf) {
  weir_ngx_main *conf = ngx_pcalloc(cf->pool, sizeof *conf);
  if (!conf || !make_list(cf, &conf->spaces) || !make_list(cf, &conf->limits) ||
      !make_list(cf, &conf->gates) || !make_list(cf, &conf->policy_bells))
    return NULL;
  conf->sandbox = NGX_CONF_UNSET;
  conf->budget = NGX_CONF_UNSET;
  conf->memory = NGX_CONF_UNSET_SIZE;
  conf->policy_wake_at = WEIR_NEVER;
  return conf;
}

static char *init_main(ngx_conf_t *cf, void *data) {
  weir_ngx_main *conf = data;
  (void)cf;
  ngx_conf_init_value(conf->sandbox, 1);
  ngx_conf_init_value(conf->budget, BUDGET);
  ngx_conf_init_size_value(conf->memory, MEMORY);
  return NGX_CONF_OK;
}

static void *create_place(ngx_conf_t *cf) {
  weir_ngx_place *place = ngx_pcalloc(cf->pool, sizeof *place);
  if (!place) return NULL;
  place->gates = NGX_CONF_UNSET_PTR;
  place->refuse_status = NGX_CONF_UNSET_UINT;
  place->log_level = NGX_CONF_UNSET_UINT;
  place->pass_on_error = NGX_CONF_UNSET_UINT;
  place->dry_run = NGX_CONF_UNSET;
  return place;
}

static char *merge_place(ngx_conf_t *cf, void *outer, void *inner) {
  weir_ngx_place *from = outer, *to = inner;
  (void)cf;
  ngx_conf_merge_ptr_value(to->gates, from->gates, NULL);
  ngx_conf_merge_uint_value(to->refuse_status, from->refuse_status, 0);
  ngx_conf_merge_uint_value(to->log_level, from->log_level, NGX_LOG_ERR);
  ngx_conf_merge_uint_value(to->pass_on_error, from->pass_on_error, 1);
  ngx_conf_merge_value(to->dry_run, from->dry_run, 0);
  return NGX_CONF_OK;
}

/* --- hooks ---------------------------------------------------------------- */

static ngx_int_t hang_handler(ngx_conf_t *cf) {
  ngx_http_core_main_conf_t *core =
      ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
  ngx_http_handler_pt *handler =
      ngx_array_push(&core->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
  if (!handler) return NGX_ERROR;
  *handler = weir_ngx_handler;
  return NGX_OK;
}

static ngx_int_t postconfiguration(ngx_conf_t *cf) {
  weir_ngx_main *conf =
      ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);
  if (weir_ngx_resolve(cf, conf) != NGX_CONF_OK ||
      weir_ngx_try_script(cf, conf) != NGX_CONF_OK)
    return NGX_ERROR;
  return conf->gates.nelts ? hang_handler(cf) : NGX_OK;
}

static bool serves(void) {
  return ngx_process == NGX_PROCESS_WORKER || ngx_process == NGX_PROCESS_SINGLE;
}

static weir_ngx_main *conf_of(ngx_cycle_t *cycle) {
  return serves()
             ? ngx_http_cycle_get_module_main_conf(cycle, ngx_http_weir_module)
             : NULL;
}

static ngx_int_t init_process(ngx_cycle_t *cycle) {
  weir_ngx_main *conf = conf_of(cycle);
  return conf ? weir_ngx_start(cycle, conf) : NGX_OK;
}

static void exit_process(ngx_cycle_t *cycle) {
  weir_ngx_main *conf = conf_of(cycle);
  if (conf) weir_ngx_stop(conf);
}

static ngx_http_module_t context = {
  weir_ngx_add_variables, /* preconfiguration */
  postconfiguration,
  create_main,
  init_main,
  NULL, /* of a server: all is as in a location */
  NULL,
  create_place,
  merge_place
};

__attribute__((visibility("default")))
ngx_module_t ngx_http_weir_module = { NGX_MODULE_V1,
                                      &context,
                                      weir_ngx_commands,
                                      NGX_HTTP_MODULE,
                                      NULL, /* init master */
                                      NULL, /* init module */
                                      init_process,
                                      NULL, /* init thread */
                                      NULL, /* exit thread */
                                      exit_process,
                                      NULL, /* exit master */
                                      NGX_MODULE_V1_PADDING };

/* What nginx asks an object for that it loads. */
__attribute__((visibility("default")))
ngx_module_t *ngx_modules[] = { &ngx_http_weir_module, NULL };
__attribute__((visibility("default"))) char *ngx_module_names[] = {
  (char *)"ngx_http_weir_module", NULL
};
__attribute__((visibility("default"))) char *ngx_module_order[] = { NULL };
