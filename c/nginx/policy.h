/*
** policy.h - the border between the two halves of the nginx module.
**
** PURPOSE
**   ngx_http_weir_module.so is what nginx loads: directives, limiters, spaces.
**   It has no Lua. ngx_http_weir_lua.so is the other half: Lua 5.4, the binding
**   and the policy scripts. The first opens the second with dlopen(RTLD_NOW |
**   RTLD_LOCAL | RTLD_DEEPBIND), so that another Lua in the same nginx does not
**   get in its way, and knows of it what is written here. Both use one engine,
**   which is the module's: the Lua half does not bring it along.
**
** A REQUEST
**   begin() runs a handler in a coroutine of its own until it decides or waits.
**   What waits is decided in step(), which the module calls when a descriptor
**   of fds() is readable or the time that step() answered has come; then it
**   takes the calls that were decided, one by one, with next(). No function
**   here calls the module back, and none is called inside another.
**   A call lasts until end(): the module ends each when its request is over,
**   whatever became of it.
**
** OWNERSHIP
**   Strings that a function here answers live until the next call of the same
**   policy, those of a decision until end() of its call.
*/
#ifndef WEIR_NGINX_POLICY_H
#define WEIR_NGINX_POLICY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <weir.h>

enum { WEIR_POLICY_VERSION = 1, WEIR_POLICY_WHY_MAX = 4096 };

typedef struct weir_policy weir_policy;           /* a script in a Lua state */
typedef struct weir_policy_call weir_policy_call; /* a request's coroutine */

typedef struct weir_policy_options {
  const char *script; /* its path */
  const char *path;   /* where its `require` looks, as package.path; "" */
  const char *cpath;  /* likewise for C modules; NULL: there can be none, and
                          why_no_c says why */
  const char *why_no_c;
  size_t memory;   /* bytes the Lua state may have; 0: as it likes */
  uint32_t budget; /* thousands of instructions between two waits of a
                          request; 0: as many as it likes */
  bool sandbox;
  bool trial; /* only to see whether it is right: spaces are not opened but
                 made up */
} weir_policy_options;

typedef enum weir_policy_step {
  WEIR_POLICY_WAITS,   /* next() will tell */
  WEIR_POLICY_PASSES,  /* the request goes on */
  WEIR_POLICY_REFUSES, /* it is answered with the decision */
  WEIR_POLICY_FAILS    /* the script has an error: decision->why */
} weir_policy_step;

/* One field of a response. */
typedef struct weir_policy_field {
  ngx_str_t name, value;
} weir_policy_field;

typedef struct weir_policy_decision {
  int verdict;            /* REFUSES: of the limiter; WEIR_ADMITTED: it was
                              the script's own, by req:refuse */
  ngx_uint_t status;      /* REFUSES: HTTP status; 0: as configured */
  bool keyed;             /* the limiter has keys */
  ngx_str_t limiter, key; /* who decided; "" if nobody */
  uint64_t waited_ns;
  ngx_str_t body;            /* REFUSES: of the script's own; data NULL: none */
  weir_policy_field *fields; /* REFUSES: of the response */
  ngx_uint_t fields_count;
  const char *why; /* FAILS: message and traceback */
} weir_policy_decision;

/* How a request ended: what req:proceed() answers. */
typedef struct weir_policy_result {
  ngx_uint_t status;
  off_t bytes;          /* sent */
  uint64_t upstream_ns; /* 0: there was no upstream */
  weir_outcome outcome; /* DROPPED: aborted or 5xx */
} weir_policy_result;

/* What dlsym finds as "weir_policy_half". */
typedef struct weir_policy_half {
  uint32_t version; /* WEIR_POLICY_VERSION */

  /* Loads a script. NULL: `why`, of WEIR_POLICY_WHY_MAX bytes, with file and
  ** line where there is one. */
  weir_policy *(*load)(const weir_policy_options *options, char *why);
  void (*unload)(weir_policy *policy);

  /* The number of a handler, for begin(); -1: the script defines none of that
  ** name. "" is the one of a script that returns a function. */
  int (*find)(weir_policy *policy, const char *name);

  /* What the script's author should know, one at a time, as a limiter that is
  ** each worker's own; NULL: no more. */
  const char *(*warning)(weir_policy *policy, ngx_uint_t i);

  /* Runs a handler for a request. Where *call is not NULL, end() is owed. */
  weir_policy_step (*begin)(weir_policy *policy, int handler,
                            ngx_http_request_t *r, uint64_t now,
                            weir_policy_call **call);

  /* What it decided, or has waited for until now. */
  const weir_policy_decision *(*decision)(weir_policy_call *call);

  /* The request is over: a handler in req:proceed() goes on with the result; of
  ** one that waits, or with result NULL, the coroutine is closed. */
  void (*end)(weir_policy_call *call, const weir_policy_result *result,
              uint64_t now);

  /* Whether step() has something to do at once: to be asked after begin() and
  ** end(), which may make others ready. */
  bool (*pending)(weir_policy *policy);

  /* Resumes whose wait is over; answers when to call it again at the latest
  ** (ns), or WEIR_NEVER. `rung`: a descriptor of fds() is readable. */
  uint64_t (*step)(weir_policy *policy, bool rung, uint64_t now);

  /* Takes a call that waited and is decided; false: no more. */
  bool (*next)(weir_policy *policy, ngx_http_request_t **r,
               weir_policy_step *step);

  /* Descriptors that say when step() is worth a call, up to `max`; their number
  ** may grow with each begin() and step(). */
  int (*fds)(weir_policy *policy, int *fds, int max);
} weir_policy_half;

#endif
