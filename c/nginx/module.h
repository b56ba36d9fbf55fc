/*
** module.h - what the files of the nginx module share.
**
** ROOMS
**   module.c      what nginx sees: the module, its configurations, its hooks
**   directives.c  reads weir_space, weir_limit, weir and the others
**   worker.c      a worker's spaces and ports: time, bells, who is ready
**   pass.c        a request's way through the gates of its location
**   refuse.c      what a refused request is told, and the log
**   script.c      the policy script: its half of the module, trial and life
**   variable.c    $weir_verdict and the others
**   status.c      the status location
**
** WORDS
**   A gate is one word of the directive `weir`: a limiter, or a handler of the
**   policy script. A pass is a request's state at them.
*/
#ifndef WEIR_NGINX_MODULE_H
#define WEIR_NGINX_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <weir_shared.h>
#include <weir_text.h>

#include "policy.h"

extern ngx_module_t ngx_http_weir_module;

/* A space that the workers share. What begins with `port` is a worker's. */
typedef struct weir_ngx_space {
  char name[WEIR_SHARED_NAME_MAX + 1];
  weir_shared_options options;
  weir_space *space;      /* NULL: not a worker, or it could not be opened */
  weir_port *port;        /* likewise */
  ngx_connection_t *bell; /* rings when others decided something of ours */
  ngx_uint_t waits;       /* requests of ours in its queues */
  ngx_event_t turn;       /* posted when somebody is ready */
  ngx_event_t timer;
  uint64_t wake_at; /* ns, what the timer is set for; WEIR_NEVER: it is not */
} weir_ngx_space;

/* The lines that refusals get in the log, a worker's. */
typedef struct weir_ngx_lines {
  weir_limiter pace;   /* in weir_ngx_main.local; 0: there are none */
  ngx_uint_t unlogged; /* refusals since the last one */
} weir_ngx_lines;

/* A weir_limit. The values are NULL where they were not given. */
typedef struct weir_ngx_limit {
  ngx_str_t name;
  weir_config config;
  weir_ngx_space *space;
  ngx_http_complex_value_t *key, *flow, *cost, *priority;
  const char *file; /* where it stands, for messages */
  ngx_uint_t line;
  weir_limiter handle; /* a worker's; 0: there is none */
  weir_ngx_lines lines;
} weir_ngx_limit;

/* One word of `weir`. */
typedef struct weir_ngx_gate {
  ngx_str_t name;        /* without "policy:" */
  weir_ngx_limit *limit; /* NULL: it is a handler of the script */
  int handler;           /* its number, a worker's; -1: there is none */
  const char *file;
  ngx_uint_t line;
  bool is_policy;
} weir_ngx_gate;

/* http { } */
typedef struct weir_ngx_main {
  ngx_array_t spaces; /* of weir_ngx_space *; the first is the default one */
  ngx_array_t limits; /* of weir_ngx_limit * */
  ngx_array_t gates;  /* of weir_ngx_gate *, of all locations */
  ngx_str_t dir;      /* "": where weir_shared_open looks */
  ngx_str_t script, path, cpath;
  ngx_flag_t sandbox;
  ngx_int_t budget;  /* thousands of instructions */
  size_t memory;     /* bytes */
  weir_space *local; /* a worker's: what paces the log */
  weir_port *local_port;
  weir_policy *policy; /* a worker's; NULL: none, or it could not be loaded */
  ngx_uint_t policy_waits;     /* requests that wait in handlers of it */
  weir_ngx_lines policy_lines; /* of all its limiters */
  ngx_event_t policy_turn, policy_timer;
  uint64_t policy_wake_at;  /* as weir_ngx_space.wake_at */
  ngx_array_t policy_bells; /* of ngx_connection_t * */
} weir_ngx_main;

/* server { }, location { } and what is around them */
typedef struct weir_ngx_place {
  ngx_array_t *gates;       /* of weir_ngx_gate *; empty: `weir off` */
  ngx_uint_t refuse_status; /* 0: 429 of a keyed limiter, 503 of others */
  ngx_uint_t log_level;
  ngx_uint_t pass_on_error;
  ngx_flag_t dry_run;
} weir_ngx_place;

enum { WEIR_NGX_GATES_MAX = 16 }; /* that one request can pass */
enum { WEIR_NGX_MS_TO_NS = 1000000 };

/* A permit that a request holds, or waits for. */
typedef struct weir_ngx_permit {
  weir_ngx_limit *limit;
  weir_ticket ticket; /* 0: it is not to be given back, the key was empty or it
                         was refused */
} weir_ngx_permit;

typedef enum weir_ngx_state {
  WEIR_NGX_WALKS, /* through the gates */
  WEIR_NGX_WAITS, /* for a limiter or for its handler */
  WEIR_NGX_WOKEN  /* it has been decided: the handler of the phase goes on */
} weir_ngx_state;

/* What became of a request, for the log and the response. */
typedef struct weir_ngx_verdict {
  int verdict;            /* -1: it met no gate */
  ngx_str_t limiter, key; /* who decided, or held it up for longest */
  uint64_t waited_ns;     /* in all */
  uint64_t longest_ns;    /* at one gate */
} weir_ngx_verdict;

/* A request's way through its gates. It lives as long as the request's pool,
** whose cleanup gives everything back. */
typedef struct weir_ngx_pass {
  ngx_http_request_t *r;
  ngx_array_t *gates;      /* of the location it is in */
  ngx_array_t *refused_in; /* those at which it was refused: its error page
                              is not asked again */
  ngx_uint_t next;         /* the gate it comes to */
  weir_ngx_state state;
  weir_verdict decided;  /* WOKEN: what the limiter said */
  uint64_t waited_ns;    /* likewise: how long it took */
  uint64_t since;        /* WAITS: ns, from when */
  weir_policy_step step; /* WOKEN at a handler: likewise */
  weir_ngx_verdict told;
  ngx_uint_t permits_count, calls_count;
  weir_ngx_permit permits[WEIR_NGX_GATES_MAX]; /* one for each limiter met; from
                                                  here on, what does not count
                                                  is not initialized */
  weir_policy_call *calls[WEIR_NGX_GATES_MAX];
  weir_ngx_gate *called[WEIR_NGX_GATES_MAX]; /* whose calls they are */
} weir_ngx_pass;

/* --- module.c ------------------------------------------------------------- */

weir_ngx_main *weir_ngx_main_of(ngx_http_request_t *r);
weir_ngx_place *weir_ngx_place_of(ngx_http_request_t *r);

/* --- directives.c --------------------------------------------------------- */

extern ngx_command_t weir_ngx_commands[];

/* Whatever the script's end says may stand anywhere: names are looked up when
** all has been read. NGX_CONF_OK, or it has been logged. */
char *weir_ngx_resolve(ngx_conf_t *cf, weir_ngx_main *conf);

/* --- worker.c ------------------------------------------------------------- */

/* CLOCK_MONOTONIC, ns: the clock of all spaces. */
uint64_t weir_ngx_now(void);

ngx_int_t weir_ngx_start(ngx_cycle_t *cycle, weir_ngx_main *conf);
void weir_ngx_stop(weir_ngx_main *conf);

/* After a call that may have made somebody ready or changed what is due. */
void weir_ngx_touch(weir_ngx_space *space);
void weir_ngx_touch_policy(weir_ngx_main *conf);

/* The policy's descriptors, of which there may be more. */
void weir_ngx_watch_policy(weir_ngx_main *conf);

/* --- pass.c --------------------------------------------------------------- */

ngx_int_t weir_ngx_handler(ngx_http_request_t *r); /* of the preaccess phase */

/* The request's pass; NULL: it has none. */
weir_ngx_pass *weir_ngx_find_pass(ngx_http_request_t *r);

/* A waiter was decided: its request goes on. */
void weir_ngx_wake(weir_ngx_pass *pass);

/* --- refuse.c ------------------------------------------------------------- */

/* Logs a refusal and puts its fields into the response; answers the status. */
ngx_int_t weir_ngx_refuse(weir_ngx_pass *pass, weir_ngx_limit *limit,
                          const weir_request *request);

/* Likewise, of the policy script. May have answered it wholly: NGX_DONE. */
ngx_int_t weir_ngx_refuse_by_policy(weir_ngx_pass *pass,
                                    const weir_policy_decision *decision);

/* Something of ours is broken: the request passes this gate (NGX_OK), or is
** refused (a status), as weir_on_error says. */
ngx_int_t weir_ngx_broken(ngx_http_request_t *r);

/* Adds a field to the response, whose name and value must last as long as the
** request. false: no memory. */
bool weir_ngx_add_field(ngx_http_request_t *r, const ngx_str_t *name,
                        const ngx_str_t *value);

/* Logs an error of the script or of a space; the same one seldom. */
void weir_ngx_failed(weir_ngx_pass *pass, const char *why);

/* In a dry run: says what would have been. */
void weir_ngx_would(weir_ngx_pass *pass, weir_ngx_limit *limit, int verdict);

/* --- script.c ------------------------------------------------------------- */

/* Tries the script out in a process of its own, before anything depends on
** it. NGX_CONF_OK, or it has been logged. */
char *weir_ngx_try_script(ngx_conf_t *cf, weir_ngx_main *conf);

/* Loads it in a worker. */
void weir_ngx_load_script(ngx_cycle_t *cycle, weir_ngx_main *conf);
void weir_ngx_unload_script(weir_ngx_main *conf);

/* The half of the module that has Lua; NULL where there is no script. */
const weir_policy_half *weir_ngx_half(void);

/* --- variable.c ----------------------------------------------------------- */

ngx_int_t weir_ngx_add_variables(ngx_conf_t *cf);

/* --- status.c ------------------------------------------------------------- */

ngx_int_t weir_ngx_status_handler(ngx_http_request_t *r);

#endif
