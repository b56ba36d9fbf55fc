/*
** script.c - the policy script: the half of the module that has Lua, which is
** loaded only where there is a script; a trial of the script; its life in a
** worker.
**
** The trial runs in a process of its own: whatever the script does there, an
** endless loop or worse, `nginx -t` and the master go on.
*/
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"

#define HALF "ngx_http_weir_lua.so"
#define LIBLUA "liblua5.4.so.0"

enum {
  TRIAL_MS = 10000,  /* it may take */
  REPORT_MAX = 8192, /* bytes of what it says */
  HANDLER_MAX = 256  /* bytes of a handler's name, with its NUL */
};

static const weir_policy_half *half;

const weir_policy_half *weir_ngx_half(void) { return half; }

/* --- the other half ------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
#define DEEP 0 /* which its interceptors do not survive */
#else
#define DEEP RTLD_DEEPBIND
#endif

/* It lies beside this one. */
static bool path_of_half(char *path, size_t size) {
  Dl_info info;
  const char *slash;
  if (!dladdr(&ngx_http_weir_module, &info)) return false;
  slash = strrchr(info.dli_fname, '/');
  return (size_t)snprintf(path, size, "%.*s%s",
                          slash ? (int)(slash - info.dli_fname) + 1 : 0,
                          info.dli_fname, HALF) < size;
}

static char *load_half(ngx_conf_t *cf) {
  char path[PATH_MAX];
  void *object;
  if (half) return NGX_CONF_OK;
  if (!path_of_half(path, sizeof path)) return (char *)NGX_CONF_ERROR;
  object = dlopen(path, RTLD_NOW | RTLD_LOCAL | DEEP);
  if (object) half = dlsym(object, "weir_policy_half");
  if (half && half->version == WEIR_POLICY_VERSION) return NGX_CONF_OK;
  ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                "weir_script wants %s, which could not be loaded: %s", path,
                half ? "it is of another version" : dlerror());
  half = NULL;
  return (char *)NGX_CONF_ERROR;
}

/* --- how a script is loaded ----------------------------------------------- */

/* C modules for Lua find Lua's functions among the program's own, where there
** must be no other Lua. To be called in a process that loads no more modules of
** nginx: one of another Lua would find ours. */
static const char *why_no_c(const weir_ngx_main *conf) {
  if (!conf->cpath.len)
    return "there is no weir_cpath in nginx.conf that says where they are";
  if (dlsym(RTLD_DEFAULT, "lua_newstate"))
    return "another Lua is in this nginx (as of http_lua), whose functions "
           "they would find instead of ours";
  if (!dlopen(LIBLUA, RTLD_NOW | RTLD_GLOBAL))
    return LIBLUA " could not be loaded";
  return NULL;
}

static weir_policy_options options_of(weir_ngx_main *conf, bool trial) {
  const char *why = why_no_c(conf);
  return (weir_policy_options){
    .script = (const char *)conf->script.data,
    .path = conf->path.len ? (const char *)conf->path.data : "",
    .cpath = why ? NULL : (const char *)conf->cpath.data,
    .why_no_c = why,
    .memory = conf->memory,
    .budget = (uint32_t)conf->budget,
    .sandbox = conf->sandbox,
    .trial = trial
  };
}

void weir_ngx_load_script(ngx_cycle_t *cycle, weir_ngx_main *conf) {
  char why[WEIR_POLICY_WHY_MAX];
  weir_policy_options options = options_of(conf, false);
  /* what weir.open of the script looks at */
  if (conf->dir.len) setenv("WEIR_DIR", (const char *)conf->dir.data, 1);
  conf->policy = half->load(&options, why);
  if (!conf->policy)
    ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                  "weir_script: %s; requests that want it go on as "
                  "weir_on_error says",
                  why);
}

void weir_ngx_unload_script(weir_ngx_main *conf) {
  if (conf->policy) half->unload(conf->policy);
  conf->policy = NULL;
}

/* --- the trial ------------------------------------------------------------ */

/* A line of the report: "W" a warning, "E" an error. */
static void report(int out, char kind, const char *text) {
  char line[REPORT_MAX];
  int size = snprintf(line, sizeof line, "%c%s", kind, text);
  if (size >= (int)sizeof line) size = (int)sizeof line - 1;
  if (write(out, line, (size_t)size + 1) < 0) _exit(1);
}

static void look_for_handlers(weir_ngx_main *conf, weir_policy *policy,
                              int out) {
  weir_ngx_gate **gates = conf->gates.elts;
  char name[HANDLER_MAX], text[REPORT_MAX];
  for (ngx_uint_t i = 0; i < conf->gates.nelts; i++) {
    const weir_ngx_gate *gate = gates[i];
    size_t size = gate->name.len < sizeof name ? gate->name.len + 1 : 1;
    if (!gate->is_policy) continue;
    ngx_cpystrn((u_char *)name, gate->name.data, size);
    if (half->find(policy, name) >= 0) continue;
    snprintf(text, sizeof text, "%s defines no handler \"%s\" in %s:%lu",
             (char *)conf->script.data, name, gate->file,
             (unsigned long)gate->line);
    report(out, 'E', text);
  }
}

static void try_out(weir_ngx_main *conf, int out) {
  char why[WEIR_POLICY_WHY_MAX];
  weir_policy_options options = options_of(conf, true);
  weir_policy *policy = half->load(&options, why);
  const char *warning;
  if (!policy) {
    report(out, 'E', why);
    return;
  }
  look_for_handlers(conf, policy, out);
  for (ngx_uint_t i = 0; (warning = half->warning(policy, i)) != NULL; i++)
    report(out, 'W', warning);
  half->unload(policy);
}

/* Reads until the other end closes; false: it took too long. */
static bool read_report(int in, char *text, size_t size, size_t *got) {
  struct pollfd poll_in = { .fd = in, .events = POLLIN };
  uint64_t end = weir_ngx_now() + (uint64_t)TRIAL_MS * WEIR_NGX_MS_TO_NS;
  *got = 0;
  while (*got < size) {
    uint64_t now = weir_ngx_now();
    ssize_t n;
    if (now >= end ||
        poll(&poll_in, 1, (int)((end - now) / WEIR_NGX_MS_TO_NS) + 1) == 0)
      return false;
    n = read(in, text + *got, size - *got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    *got += (size_t)n;
  }
  return true;
}

/* Logs what the trial said; answers how many errors. */
static ngx_uint_t log_report(ngx_conf_t *cf, const char *text, size_t size) {
  ngx_uint_t errors = 0;
  for (const char *at = text; at < text + size; at += ngx_strlen(at) + 1) {
    ngx_uint_t level = *at == 'E' ? NGX_LOG_EMERG : NGX_LOG_WARN;
    if (*at != 'E' && *at != 'W') continue;
    errors += *at == 'E';
    ngx_log_error(level, cf->log, 0, "weir_script: %s", at + 1);
  }
  return errors;
}

/* The child's end; the last byte says that it came to it. */
static void run_child(weir_ngx_main *conf, int out) {
  signal(SIGALRM, SIG_DFL);
  alarm(TRIAL_MS / 1000 + 1);
  try_out(conf, out);
  report(out, 'D', "");
  _exit(0);
}

static char *end_trial(ngx_conf_t *cf, const weir_ngx_main *conf, pid_t child,
                       int in) {
  char text[REPORT_MAX * 4];
  size_t size;
  bool in_time = read_report(in, text, sizeof text - 1, &size);
  bool done = size >= 2 && text[size - 2] == 'D';
  text[size] = '\0';
  if (!in_time) kill(child, SIGKILL);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
    ;
  close(in);
  if (log_report(cf, text, size)) return (char *)NGX_CONF_ERROR;
  if (done) return NGX_CONF_OK;
  ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                "weir_script: %V %s while it was loaded for a trial",
                &conf->script,
                in_time ? "ended its process" : "took more than 10 s");
  return (char *)NGX_CONF_ERROR;
}

char *weir_ngx_try_script(ngx_conf_t *cf, weir_ngx_main *conf) {
  int ends[2];
  pid_t child;
  if (!conf->script.len) return NGX_CONF_OK;
  if (load_half(cf) != NGX_CONF_OK) return (char *)NGX_CONF_ERROR;
  if (pipe(ends) < 0) return (char *)NGX_CONF_ERROR;
  child = fork();
  if (child == 0) {
    close(ends[0]);
    run_child(conf, ends[1]);
  }
  close(ends[1]);
  if (child > 0) return end_trial(cf, conf, child, ends[0]);
  close(ends[0]);
  ngx_log_error(NGX_LOG_EMERG, cf->log, errno, "weir_script: fork() failed");
  return (char *)NGX_CONF_ERROR;
}
