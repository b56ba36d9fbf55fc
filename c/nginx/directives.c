/*
** directives.c - what nginx.conf says.
*/
#include <time.h>

#include "module.h"

#define CONF_ERROR ((char *)NGX_CONF_ERROR)

/* What directives of http { } see as their configuration. */
static weir_ngx_main *main_conf(ngx_conf_t *cf) {
  return ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);
}

static ngx_str_t *arguments(const ngx_conf_t *cf) { return cf->args->elts; }

/* An array of pointers gets one more, to zeroed memory; NULL: no memory. */
static void *add(ngx_conf_t *cf, ngx_array_t *array, size_t size) {
  void **place = ngx_array_push(array), *item;
  if (!place) return NULL;
  item = ngx_pcalloc(cf->pool, size);
  *place = item;
  return item;
}

static bool is_same(const ngx_str_t *a, const ngx_str_t *b) {
  return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}

static bool is_text(const ngx_str_t *a, const char *text) {
  return a->len == ngx_strlen(text) && ngx_memcmp(a->data, text, a->len) == 0;
}

static bool begins(const ngx_str_t *a, const char *text) {
  size_t size = ngx_strlen(text);
  return a->len >= size && ngx_memcmp(a->data, text, size) == 0;
}

/* --- weir_space ----------------------------------------------------------- */

static weir_ngx_space *find_space(weir_ngx_main *conf, const ngx_str_t *name) {
  weir_ngx_space **spaces = conf->spaces.elts;
  for (ngx_uint_t i = 0; i < conf->spaces.nelts; i++)
    if (is_text(name, spaces[i]->name)) return spaces[i];
  return NULL;
}

static weir_ngx_space *add_space(ngx_conf_t *cf, weir_ngx_main *conf,
                                 const ngx_str_t *name) {
  weir_ngx_space *space = add(cf, &conf->spaces, sizeof *space);
  if (!space) return NULL;
  ngx_memcpy(space->name, name->data, name->len);
  space->wake_at = WEIR_NEVER;
  return space;
}

static char *read_space_size(ngx_conf_t *cf, weir_ngx_space *space,
                             ngx_str_t *text) {
  off_t size = ngx_parse_offset(text);
  space->options.size = (uint64_t)size;
  if (size >= (off_t)WEIR_SHARED_SIZE_MIN &&
      size <= (off_t)WEIR_SHARED_SIZE_MAX)
    return NGX_CONF_OK;
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                     "\"%V\" is no size of a space: expected 256k to 64g, such "
                     "as 16m",
                     text);
  return CONF_ERROR;
}

/* weir_space NAME [SIZE] [group]; */
static char *set_space(ngx_conf_t *cf, ngx_command_t *cmd, void *data) {
  weir_ngx_main *conf = data;
  ngx_str_t *args = arguments(cf);
  weir_ngx_space *space;
  char why[WEIR_WHY_MAX];
  (void)cmd;
  if (!weir_shared_check_name((const char *)args[1].data, why)) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", why);
    return CONF_ERROR;
  }
  if (find_space(conf, &args[1])) return "names a space that there is already";
  space = add_space(cf, conf, &args[1]);
  if (!space) return CONF_ERROR;
  for (ngx_uint_t i = 2; i < cf->args->nelts; i++) {
    if (is_text(&args[i], "group"))
      space->options.group = true;
    else if (read_space_size(cf, space, &args[i]) != NGX_CONF_OK)
      return CONF_ERROR;
  }
  return NGX_CONF_OK;
}

/* Where no space was named: one of this server's own, that its next
** configuration and its next binary find again. */
static weir_ngx_space *make_default_space(ngx_conf_t *cf, weir_ngx_main *conf) {
  u_char buffer[sizeof "nginx-12345678"];
  ngx_str_t name = { 0, buffer };
  ngx_str_t *path = &cf->cycle->conf_file;
  bool stock = is_text(path, NGX_CONF_PATH);
  uint32_t hash = ngx_crc32_long(path->data, path->len);
  name.len = (size_t)((stock ? ngx_sprintf(buffer, "nginx")
                             : ngx_sprintf(buffer, "nginx-%08xD", hash)) -
                      buffer);
  return add_space(cf, conf, &name);
}

/* --- weir_limit ----------------------------------------------------------- */

static weir_ngx_limit *find_limit(const weir_ngx_main *conf,
                                  const ngx_str_t *name) {
  weir_ngx_limit **limits = conf->limits.elts;
  for (ngx_uint_t i = 0; i < conf->limits.nelts; i++)
    if (is_same(name, &limits[i]->name)) return limits[i];
  return NULL;
}

/* Of periods that are aligned: on this machine's clock in UTC. */
static uint64_t phase_ns(uint64_t per_ns) {
  struct timespec wall;
  uint64_t wall_ns;
  clock_gettime(CLOCK_REALTIME, &wall);
  wall_ns = (uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec;
  return (weir_ngx_now() % per_ns + per_ns - wall_ns % per_ns) % per_ns;
}

/* A value with $variables in it, or without. */
static char *read_value(ngx_conf_t *cf, ngx_str_t *text,
                        ngx_http_complex_value_t **out) {
  ngx_http_compile_complex_value_t compile;
  *out = ngx_pcalloc(cf->pool, sizeof **out);
  if (!*out) return CONF_ERROR;
  ngx_memzero(&compile, sizeof compile);
  compile.cf = cf;
  compile.value = text;
  compile.complex_value = *out;
  return ngx_http_compile_complex_value(&compile) == NGX_OK ? NGX_CONF_OK
                                                            : CONF_ERROR;
}

/* What is found out for each request; NULL: it is another option. */
static ngx_http_complex_value_t **value_of(weir_ngx_limit *limit,
                                           const ngx_str_t *name) {
  if (is_text(name, "key")) return &limit->key;
  if (is_text(name, "flow")) return &limit->flow;
  if (is_text(name, "cost")) return &limit->cost;
  if (is_text(name, "priority")) return &limit->priority;
  return NULL;
}

static char *unknown_option(ngx_conf_t *cf, const ngx_str_t *name) {
  u_char list[512], *end = list;
  for (size_t i = 0; weir_option_name(i); i++)
    end = ngx_slprintf(end, list + sizeof list, "%s%s", i ? ", " : "",
                       weir_option_name(i));
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                     "there is no option \"%V\" of weir_limit: expected key, "
                     "flow, cost, priority, space, %*s",
                     name, (size_t)(end - list), list);
  return CONF_ERROR;
}

static char *read_config_option(ngx_conf_t *cf, weir_ngx_limit *limit,
                                const ngx_str_t *name, ngx_str_t *value) {
  const char *expected;
  if (!weir_parse_option((const char *)name->data, name->len,
                         (const char *)value->data, value->len, &limit->config,
                         &expected))
    return NGX_CONF_OK;
  if (!expected) return unknown_option(cf, name);
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V must be %s, got \"%V\"", name,
                     expected, value);
  return CONF_ERROR;
}

static char *read_limit_option(ngx_conf_t *cf, weir_ngx_main *conf,
                               weir_ngx_limit *limit, const ngx_str_t *arg) {
  u_char *equals = ngx_strlchr(arg->data, arg->data + arg->len, '=');
  ngx_str_t name = *arg, value = ngx_null_string;
  ngx_http_complex_value_t **complex;
  if (!equals) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is no option: expected NAME=VALUE, such as "
                       "concurrent=8",
                       arg);
    return CONF_ERROR;
  }
  name.len = (size_t)(equals - arg->data);
  value.data = equals + 1;
  value.len = arg->len - name.len - 1;
  if (is_text(&name, "space")) {
    limit->space = find_space(conf, &value);
    if (limit->space) return NGX_CONF_OK;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "there is no space \"%V\": declare it before, as in "
                       "weir_space %V 16m;",
                       &value, &value);
    return CONF_ERROR;
  }
  complex = value_of(limit, &name);
  if (complex) return read_value(cf, &value, complex);
  return read_config_option(cf, limit, &name, &value);
}

/* What weir.rate_limit says of options that want others. */
static const char *wrong_together(const weir_ngx_limit *limit) {
  const weir_config *config = &limit->config;
  if (limit->flow && config->order != WEIR_FAIR)
    return "flow goes with order=fair";
  if (limit->priority && config->order != WEIR_PRIORITY)
    return "priority goes with order=priority";
  if (config->aging_ns && config->order != WEIR_PRIORITY)
    return "aging goes with order=priority";
  if (config->rate.aligned && config->rate.window == WEIR_GCRA)
    return "align goes with window=fixed or window=sliding";
  return weir_config_check(config);
}

static char *finish_limit(ngx_conf_t *cf, weir_ngx_limit *limit) {
  weir_rate *rate = &limit->config.rate;
  const char *wrong;
  if (rate->aligned && rate->count) rate->phase_ns = phase_ns(rate->per_ns);
  wrong = wrong_together(limit);
  if (!wrong) return NGX_CONF_OK;
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "weir_limit %V: %s", &limit->name,
                     wrong);
  return CONF_ERROR;
}

static char *check_limit_name(ngx_conf_t *cf, weir_ngx_main *conf,
                              const ngx_str_t *name) {
  const weir_ngx_limit *other = find_limit(conf, name);
  if (other) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "there is a weir_limit %V already, in %s:%ui", name,
                       other->file, other->line);
    return CONF_ERROR;
  }
  if (name->len && name->len <= WEIR_NAME_MAX && !is_text(name, "off") &&
      !begins(name, "policy:") &&
      !ngx_strlchr(name->data, name->data + name->len, '='))
    return NGX_CONF_OK;
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                     "\"%V\" is no name of a limiter: expected 1 to %d bytes, "
                     "no \"=\", and neither \"off\" nor \"policy:...\"",
                     name, WEIR_NAME_MAX);
  return CONF_ERROR;
}

/* weir_limit NAME OPTION=VALUE...; */
static char *set_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *data) {
  weir_ngx_main *conf = data;
  ngx_str_t *args = arguments(cf);
  weir_ngx_limit *limit;
  (void)cmd;
  if (check_limit_name(cf, conf, &args[1]) != NGX_CONF_OK) return CONF_ERROR;
  limit = add(cf, &conf->limits, sizeof *limit);
  if (!limit) return CONF_ERROR;
  limit->name = args[1];
  limit->config = (weir_config)WEIR_CONFIG_INIT;
  limit->config.concurrent = 0;
  limit->file = (const char *)cf->conf_file->file.name.data;
  limit->line = cf->conf_file->line;
  for (ngx_uint_t i = 2; i < cf->args->nelts; i++)
    if (read_limit_option(cf, conf, limit, &args[i]) != NGX_CONF_OK)
      return CONF_ERROR;
  return finish_limit(cf, limit);
}

/* --- weir ----------------------------------------------------------------- */

/* "policy:NAME", and "policy" of a script that returns a function. */
static void read_gate_name(weir_ngx_gate *gate, const ngx_str_t *word) {
  size_t prefix = sizeof "policy:" - 1;
  gate->name = *word;
  gate->is_policy = begins(word, "policy:") || is_text(word, "policy");
  if (!gate->is_policy) return;
  prefix = prefix < word->len ? prefix : word->len;
  gate->name.data += prefix;
  gate->name.len -= prefix;
}

static weir_ngx_gate *add_gate(ngx_conf_t *cf, weir_ngx_main *conf,
                               ngx_array_t *gates, const ngx_str_t *word) {
  weir_ngx_gate *gate = add(cf, &conf->gates, sizeof *gate);
  weir_ngx_gate **place = ngx_array_push(gates);
  if (!gate || !place) return NULL;
  *place = gate;
  read_gate_name(gate, word);
  gate->file = (const char *)cf->conf_file->file.name.data;
  gate->line = cf->conf_file->line;
  gate->handler = -1;
  return gate;
}

/* weir NAME...; or weir off; */
static char *set_gates(ngx_conf_t *cf, ngx_command_t *cmd, void *data) {
  weir_ngx_place *place = data;
  ngx_str_t *args = arguments(cf);
  ngx_uint_t count = cf->args->nelts - 1;
  (void)cmd;
  if (place->gates != NGX_CONF_UNSET_PTR) return "is duplicate";
  place->gates = ngx_array_create(cf->pool, count, sizeof(void *));
  if (!place->gates) return CONF_ERROR;
  if (count == 1 && is_text(&args[1], "off")) return NGX_CONF_OK;
  if (count > WEIR_NGX_GATES_MAX) return "names more than 16 gates";
  for (ngx_uint_t i = 1; i <= count; i++) {
    if (is_text(&args[i], "off")) return "says off among others";
    for (ngx_uint_t j = 1; j < i; j++)
      if (is_same(&args[i], &args[j])) return "names one of them twice";
    if (!add_gate(cf, main_conf(cf), place->gates, &args[i])) return CONF_ERROR;
  }
  return NGX_CONF_OK;
}

/* --- the others ----------------------------------------------------------- */

/* weir_refuse_status CODE; */
static char *set_status_code(ngx_conf_t *cf, ngx_command_t *cmd, void *data) {
  weir_ngx_place *place = data;
  ngx_str_t *args = arguments(cf);
  ngx_int_t code = ngx_atoi(args[1].data, args[1].len);
  (void)cmd;
  if (place->refuse_status != NGX_CONF_UNSET_UINT) return "is duplicate";
  if (is_text(&args[1], "default")) code = 0;
  if (code && (code < 400 || code > 599)) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is no status of a refusal: expected 400 to "
                       "599, or default",
                       &args[1]);
    return CONF_ERROR;
  }
  place->refuse_status = (ngx_uint_t)code;
  return NGX_CONF_OK;
}

/* weir_status; in a location */
static char *set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *data) {
  ngx_http_core_loc_conf_t *core =
      ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
  (void)cmd;
  (void)data;
  core->handler = weir_ngx_status_handler;
  return NGX_CONF_OK;
}

static ngx_conf_enum_t on_error_words[] = { { ngx_string("refuse"), 0 },
                                            { ngx_string("pass"), 1 },
                                            { ngx_null_string, 0 } };

static ngx_conf_enum_t log_levels[] = { { ngx_string("info"), NGX_LOG_INFO },
                                        { ngx_string("notice"),
                                          NGX_LOG_NOTICE },
                                        { ngx_string("warn"), NGX_LOG_WARN },
                                        { ngx_string("error"), NGX_LOG_ERR },
                                        { ngx_null_string, 0 } };

static ngx_conf_num_bounds_t budget_bounds = { ngx_conf_check_num_bounds, 0,
                                               4000000 };

#define HTTP NGX_HTTP_MAIN_CONF
#define ANY (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)
#define IN_MAIN(field) NGX_HTTP_MAIN_CONF_OFFSET, offsetof(weir_ngx_main, field)
#define IN_PLACE(field)                                                        \
  NGX_HTTP_LOC_CONF_OFFSET, offsetof(weir_ngx_place, field)

ngx_command_t weir_ngx_commands[] = {
  { ngx_string("weir_space"), HTTP | NGX_CONF_TAKE123, set_space,
    NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
  { ngx_string("weir_limit"), HTTP | NGX_CONF_2MORE, set_limit,
    NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
  { ngx_string("weir_dir"), HTTP | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
    IN_MAIN(dir), NULL },
  { ngx_string("weir_script"), HTTP | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
    IN_MAIN(script), NULL },
  { ngx_string("weir_path"), HTTP | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
    IN_MAIN(path), NULL },
  { ngx_string("weir_cpath"), HTTP | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
    IN_MAIN(cpath), NULL },
  { ngx_string("weir_sandbox"), HTTP | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
    IN_MAIN(sandbox), NULL },
  { ngx_string("weir_budget"), HTTP | NGX_CONF_TAKE1, ngx_conf_set_num_slot,
    IN_MAIN(budget), &budget_bounds },
  { ngx_string("weir_memory"), HTTP | NGX_CONF_TAKE1, ngx_conf_set_size_slot,
    IN_MAIN(memory), NULL },
  { ngx_string("weir"), ANY | NGX_CONF_1MORE, set_gates,
    NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },
  { ngx_string("weir_refuse_status"), ANY | NGX_CONF_TAKE1, set_status_code,
    NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },
  { ngx_string("weir_on_error"), ANY | NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
    IN_PLACE(pass_on_error), on_error_words },
  { ngx_string("weir_log_level"), ANY | NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
    IN_PLACE(log_level), log_levels },
  { ngx_string("weir_dry_run"), ANY | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
    IN_PLACE(dry_run), NULL },
  { ngx_string("weir_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_status,
    NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },
  ngx_null_command
};

/* --- when all has been read ----------------------------------------------- */

static char *resolve_gate(ngx_conf_t *cf, weir_ngx_main *conf,
                          weir_ngx_gate *gate) {
  if (gate->is_policy) {
    if (conf->script.len) return NGX_CONF_OK; /* the trial knows its names */
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"weir policy:%V\" wants a weir_script in %s:%ui",
                  &gate->name, gate->file, gate->line);
    return CONF_ERROR;
  }
  gate->limit = find_limit(conf, &gate->name);
  if (gate->limit) return NGX_CONF_OK;
  ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                "there is no weir_limit \"%V\" in %s:%ui", &gate->name,
                gate->file, gate->line);
  return CONF_ERROR;
}

static char *give_spaces(ngx_conf_t *cf, weir_ngx_main *conf) {
  weir_ngx_limit **limits = conf->limits.elts;
  weir_ngx_space **spaces;
  if (!conf->limits.nelts) return NGX_CONF_OK;
  if (!conf->spaces.nelts && !make_default_space(cf, conf)) return CONF_ERROR;
  spaces = conf->spaces.elts;
  for (ngx_uint_t i = 0; i < conf->limits.nelts; i++)
    if (!limits[i]->space) limits[i]->space = spaces[0];
  return NGX_CONF_OK;
}

static char *full_path(ngx_conf_t *cf, ngx_str_t *path) {
  if (!path->len) return NGX_CONF_OK;
  return ngx_conf_full_name(cf->cycle, path, 1) == NGX_OK ? NGX_CONF_OK
                                                          : CONF_ERROR;
}

/* "dir" is "dir/?.lua;dir/?/init.lua", from the directory of nginx.conf on;
** what has a "?" is a template of package.path already. */
static char *make_template(ngx_conf_t *cf, ngx_str_t *path,
                           const char *format) {
  size_t size;
  u_char *text, *end;
  if (!path->len || ngx_strlchr(path->data, path->data + path->len, '?'))
    return NGX_CONF_OK;
  if (full_path(cf, path) != NGX_CONF_OK) return CONF_ERROR;
  size = 2 * path->len + ngx_strlen(format) + 1;
  text = ngx_pnalloc(cf->pool, size);
  if (!text) return CONF_ERROR;
  end = ngx_snprintf(text, size - 1, format, path, path);
  *end = '\0';
  path->data = text;
  path->len = (size_t)(end - text);
  return NGX_CONF_OK;
}

char *weir_ngx_resolve(ngx_conf_t *cf, weir_ngx_main *conf) {
  weir_ngx_gate **gates = conf->gates.elts;
  weir_ngx_space **spaces;
  if (full_path(cf, &conf->script) != NGX_CONF_OK ||
      full_path(cf, &conf->dir) != NGX_CONF_OK ||
      make_template(cf, &conf->path, "%V/?.lua;%V/?/init.lua") != NGX_CONF_OK ||
      make_template(cf, &conf->cpath, "%V/?.so") != NGX_CONF_OK ||
      give_spaces(cf, conf) != NGX_CONF_OK)
    return CONF_ERROR;
  for (ngx_uint_t i = 0; i < conf->gates.nelts; i++)
    if (resolve_gate(cf, conf, gates[i]) != NGX_CONF_OK) return CONF_ERROR;
  spaces = conf->spaces.elts;
  for (ngx_uint_t i = 0; conf->dir.len && i < conf->spaces.nelts; i++)
    spaces[i]->options.dir = (const char *)conf->dir.data;
  return NGX_CONF_OK;
}
