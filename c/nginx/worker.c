/*
** worker.c - a worker's spaces: it is a port of each, and drives it from
** nginx's loop.
**
** A space has a bell, which is a descriptor in nginx's epoll; a timer for the
** next thing that is due; and a turn, an event that is posted when somebody is
** ready, so that nobody is resumed inside of what made him ready.
*/
#include <time.h>

#include "module.h"

enum {
  LONGEST_MS = 3600000, /* a timer looks again after an hour */
  LINES_PER_S = 10,     /* of refusals in the log, of one limiter */
  STEPS = 64,           /* of a policy, before others have their turn */
  FDS_MAX = 64          /* bells of a policy */
};

uint64_t weir_ngx_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- time ----------------------------------------------------------------- */

/* A worker that is told to quit goes when no timer is left that counts: while
** somebody waits, there is one. */
static void arm(ngx_event_t *timer, uint64_t *armed, uint64_t wake_at,
                bool somebody_waits) {
  uint64_t now, ms = LONGEST_MS;
  bool wanted = somebody_waits || wake_at != WEIR_NEVER;
  if (timer->timer_set == wanted && wake_at == *armed &&
      timer->cancelable == !somebody_waits)
    return;
  *armed = wake_at;
  if (timer->timer_set) ngx_del_timer(timer);
  timer->cancelable = !somebody_waits;
  if (!wanted) return;
  now = weir_ngx_now();
  if (wake_at <= now)
    ms = 0;
  else if ((wake_at - now) / WEIR_NGX_MS_TO_NS < ms)
    ms = (wake_at - now + WEIR_NGX_MS_TO_NS - 1) / WEIR_NGX_MS_TO_NS;
  ngx_add_timer(timer, (ngx_msec_t)ms);
}

/* While none of ours waits, nobody can be ready and nothing is due: the engine
** is not asked. */
void weir_ngx_touch(weir_ngx_space *space) {
  if (!space->waits) {
    arm(&space->timer, &space->wake_at, WEIR_NEVER, false);
    return;
  }
  if (weir_pending(space->port)) {
    ngx_post_event(&space->turn, &ngx_posted_events);
  }
  arm(&space->timer, &space->wake_at, weir_deadline(space->port), true);
}

/* Wakes whoever was decided. What they do may decide others: they have their
** turn in the next round of posted events. */
static void take_turn(weir_ngx_space *space) {
  weir_event event;
  while (weir_next(space->port, &event)) {
    weir_ngx_pass *pass = (weir_ngx_pass *)(uintptr_t)event.cookie;
    space->waits--;
    pass->decided = event.verdict;
    pass->waited_ns = event.waited_ns;
    pass->permits[pass->permits_count].ticket = event.ticket;
    weir_ngx_wake(pass);
  }
  weir_ngx_touch(space);
}

static void on_turn(ngx_event_t *event) { take_turn(event->data); }

static void on_time(ngx_event_t *event) {
  weir_ngx_space *space = event->data;
  space->wake_at = WEIR_NEVER;
  weir_advance(space->port, weir_ngx_now());
  take_turn(space);
}

/* Neither posted nor timed any more. nginx's macros are several statements. */
static void silence(ngx_event_t *event) {
  if (event->posted) {
    ngx_delete_posted_event(event);
  }
  if (event->timer_set) ngx_del_timer(event);
}

/* --- bells ---------------------------------------------------------------- */

static weir_ngx_space *space_of(ngx_event_t *event) {
  return ((ngx_connection_t *)event->data)->data;
}

static void on_bell(ngx_event_t *event) {
  weir_ngx_space *space = space_of(event);
  weir_advance(space->port, weir_ngx_now()); /* empties it */
  take_turn(space);
}

/* Watches a descriptor that is not the loop's to close. NULL: it cannot. */
static ngx_connection_t *watch(ngx_log_t *log, int fd,
                               ngx_event_handler_pt handler, void *data) {
  ngx_connection_t *c = ngx_get_connection(fd, log);
  if (!c) return NULL;
  c->data = data;
  c->log = log;
  c->read->log = log;
  c->write->log = log;
  c->read->handler = handler;
  c->read->channel = 1; /* it is open while the worker lives */
  if (ngx_add_event(c->read, NGX_READ_EVENT, 0) == NGX_OK) return c;
  ngx_free_connection(c);
  c->fd = (ngx_socket_t)-1;
  return NULL;
}

static void unwatch(ngx_connection_t *c) {
  if (!c) return;
  silence(c->read);
  ngx_del_event(c->read, NGX_READ_EVENT, 0);
  ngx_free_connection(c);
  c->fd = (ngx_socket_t)-1;
}

static void set_event(ngx_event_t *event, ngx_event_handler_pt handler,
                      void *data, ngx_log_t *log) {
  event->handler = handler;
  event->data = data;
  event->log = log;
}

/* --- spaces --------------------------------------------------------------- */

/* One that is there with another size stays as it is: others use it, perhaps
** the workers that this one is to take over from. */
static weir_space *open_as_it_is(ngx_cycle_t *cycle, weir_ngx_space *space,
                                 char *why) {
  weir_shared_options options = space->options;
  char first[WEIR_WHY_MAX];
  weir_space *opened = weir_shared_open(space->name, &options, why);
  if (opened || !options.size) return opened;
  options.size = 0;
  options.existing = true;
  opened = weir_shared_open(space->name, &options, first);
  if (!opened) return NULL;
  ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                "weir_space %s stays as it is: %s, or, while no nginx runs, "
                "weir rm %s",
                space->name, why, space->name);
  return opened;
}

static bool open_space(ngx_cycle_t *cycle, weir_ngx_space *space) {
  char why[WEIR_WHY_MAX];
  space->space = open_as_it_is(cycle, space, why);
  if (!space->space) {
    ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                  "weir_space %s: %s; requests that want it go on as "
                  "weir_on_error says",
                  space->name, why);
    return false;
  }
  space->port = weir_port_attach(space->space);
  if (space->port)
    space->bell = watch(cycle->log, weir_fd(space->port), on_bell, space);
  if (!space->bell)
    ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                  "weir_space %s: there is no room for another process, or no "
                  "worker_connections are left",
                  space->name);
  return space->bell != NULL;
}

static void close_space(weir_ngx_space *space) {
  unwatch(space->bell);
  silence(&space->turn);
  silence(&space->timer);
  if (space->port) weir_port_detach(space->port, weir_ngx_now());
  if (space->space) weir_space_free(space->space);
  space->bell = NULL;
  space->port = NULL;
  space->space = NULL;
}

static void start_space(ngx_cycle_t *cycle, weir_ngx_space *space) {
  set_event(&space->turn, on_turn, space, cycle->log);
  set_event(&space->timer, on_time, space, cycle->log);
  if (!open_space(cycle, space)) close_space(space);
}

/* --- limiters ------------------------------------------------------------- */

static void start_lines(weir_ngx_main *conf, weir_ngx_lines *lines) {
  weir_config config = WEIR_CONFIG_INIT;
  config.concurrent = 0;
  config.rate = (weir_rate){ .count = LINES_PER_S,
                             .per_ns = 1000000000,
                             .burst = LINES_PER_S };
  if (conf->local)
    weir_limiter_open(conf->local, NULL, &config, weir_ngx_now(), &lines->pace);
}

static void start_limit(ngx_cycle_t *cycle, weir_ngx_main *conf,
                        weir_ngx_limit *limit) {
  char name[WEIR_NAME_MAX + 1];
  int answer;
  if (!limit->space->space) return;
  ngx_cpystrn((u_char *)name, limit->name.data, limit->name.len + 1);
  answer = weir_limiter_open(limit->space->space, name, &limit->config,
                             weir_ngx_now(), &limit->handle);
  if (answer < 0)
    ngx_log_error(NGX_LOG_ALERT, cycle->log, 0, "weir_limit %V: %s",
                  &limit->name, weir_error_text(answer));
  start_lines(conf, &limit->lines);
}

/* --- the policy ----------------------------------------------------------- */

/* Takes the decided ones, and whoever that decides; whether there were any. */
static bool take_policy_turn(weir_ngx_main *conf) {
  const weir_policy_half *half = weir_ngx_half();
  ngx_http_request_t *r;
  weir_policy_step step;
  bool taken = false;
  weir_ngx_watch_policy(conf);
  while (half->next(conf->policy, &r, &step)) {
    weir_ngx_pass *pass = weir_ngx_find_pass(r);
    conf->policy_waits--;
    pass->step = step;
    taken = true;
    weir_ngx_wake(pass);
  }
  return taken;
}

/* A step ends with those who can begin; the one after it tells others that they
** have. */
static void run_policy(weir_ngx_main *conf, bool rung) {
  uint64_t now, wake_at;
  int left = STEPS;
  bool taken;
  do {
    now = weir_ngx_now();
    wake_at = weir_ngx_half()->step(conf->policy, rung, now);
    taken = take_policy_turn(conf);
    rung = false;
  } while ((taken || wake_at <= now) && --left);
  arm(&conf->policy_timer, &conf->policy_wake_at, wake_at,
      conf->policy_waits > 0);
}

static void on_policy_turn(ngx_event_t *event) {
  run_policy(event->data, false);
}

void weir_ngx_touch_policy(weir_ngx_main *conf) {
  ngx_post_event(&conf->policy_turn, &ngx_posted_events);
}

static void on_policy_bell(ngx_event_t *event) {
  run_policy(((ngx_connection_t *)event->data)->data, true);
}

static bool is_watched(const weir_ngx_main *conf, int fd) {
  ngx_connection_t **bells = conf->policy_bells.elts;
  for (ngx_uint_t i = 0; i < conf->policy_bells.nelts; i++)
    if (bells[i]->fd == fd) return true;
  return false;
}

void weir_ngx_watch_policy(weir_ngx_main *conf) {
  int fds[FDS_MAX], count = weir_ngx_half()->fds(conf->policy, fds, FDS_MAX);
  if ((ngx_uint_t)count == conf->policy_bells.nelts) return;
  for (int i = 0; i < count; i++) {
    ngx_connection_t *c, **place;
    if (is_watched(conf, fds[i])) continue;
    c = watch(ngx_cycle->log, fds[i], on_policy_bell, conf);
    place = c ? ngx_array_push(&conf->policy_bells) : NULL;
    if (place) *place = c;
  }
}

static void stop_policy(weir_ngx_main *conf) {
  ngx_connection_t **bells = conf->policy_bells.elts;
  for (ngx_uint_t i = 0; i < conf->policy_bells.nelts; i++) unwatch(bells[i]);
  conf->policy_bells.nelts = 0;
  silence(&conf->policy_turn);
  silence(&conf->policy_timer);
  weir_ngx_unload_script(conf);
}

static void start_policy(ngx_cycle_t *cycle, weir_ngx_main *conf) {
  weir_ngx_gate **gates = conf->gates.elts;
  char name[256];
  set_event(&conf->policy_turn, on_policy_turn, conf, cycle->log);
  set_event(&conf->policy_timer, on_policy_turn, conf, cycle->log);
  weir_ngx_load_script(cycle, conf);
  start_lines(conf, &conf->policy_lines);
  for (ngx_uint_t i = 0; conf->policy && i < conf->gates.nelts; i++) {
    if (!gates[i]->is_policy || gates[i]->name.len >= sizeof name) continue;
    ngx_cpystrn((u_char *)name, gates[i]->name.data, gates[i]->name.len + 1);
    gates[i]->handler = weir_ngx_half()->find(conf->policy, name);
  }
  if (conf->policy) weir_ngx_watch_policy(conf);
}

/* --- a worker ------------------------------------------------------------- */

/* Nothing that goes wrong here may keep a worker from serving. */
ngx_int_t weir_ngx_start(ngx_cycle_t *cycle, weir_ngx_main *conf) {
  weir_ngx_space **spaces = conf->spaces.elts;
  weir_ngx_limit **limits = conf->limits.elts;
  conf->local = weir_space_new(NULL);
  conf->local_port = conf->local ? weir_port_attach(conf->local) : NULL;
  for (ngx_uint_t i = 0; i < conf->spaces.nelts; i++)
    start_space(cycle, spaces[i]);
  for (ngx_uint_t i = 0; i < conf->limits.nelts; i++)
    start_limit(cycle, conf, limits[i]);
  if (conf->script.len) start_policy(cycle, conf);
  return NGX_OK;
}

void weir_ngx_stop(weir_ngx_main *conf) {
  weir_ngx_space **spaces = conf->spaces.elts;
  if (conf->script.len) stop_policy(conf);
  for (ngx_uint_t i = 0; i < conf->spaces.nelts; i++) close_space(spaces[i]);
  if (conf->local_port) weir_port_detach(conf->local_port, weir_ngx_now());
  if (conf->local) weir_space_free(conf->local);
}
