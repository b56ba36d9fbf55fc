/*
** config.c - the options of a limiter.
*/
#include <string.h>
#include <time.h>

#include <weir_text.h>

#include "bind.h"

#define NOT_GIVEN UINT32_MAX

static const char *const ORDERS[] = { "fifo", "lifo", "priority", "fair",
                                      NULL };
static const char *const WINDOWS[] = { "gcra", "fixed", "sliding", NULL };
static const char *const VICTIMS[] = { "newest", "oldest", "lowest", NULL };
static const char *const ALGORITHMS[] = { "aimd", "vegas", "gradient2", NULL };
static const char *const WHEN_EXHAUSTED[] = { "refuse", "admit", NULL };

/* --- rates ---------------------------------------------------------------- */

/* rate = "100/s", or a number that goes with `per`; false: none */
static void read_rate(lua_State *L, int index, const char *who,
                      const bind_option *option, void *out) {
  bind_settings *s = out;
  size_t size;
  const char *text;
  s->rate_given = true;
  if (lua_isboolean(L, index) && !lua_toboolean(L, index)) {
    s->config.rate = (weir_rate){ .count = 0 };
    return;
  }
  if (lua_type(L, index) == LUA_TNUMBER) {
    s->rate = (double)lua_tonumber(L, index);
    if (s->rate > 0 && s->rate <= WEIR_PERMITS_MAX) return;
  } else if (lua_type(L, index) == LUA_TSTRING) {
    text = lua_tolstring(L, index, &size);
    if (weir_parse_rate(text, size, &s->config.rate) == 0) return;
  }
  bind_expected(L, who, option->name,
                "a text such as '100/s', '5/m' or '10/250ms', or a number of "
                "tokens from above 0 to 2147483647 (per second, or per `per` "
                "seconds)",
                index);
}

static bool is_whole(double n) { return (double)(uint64_t)n == n; }

/* A rate that is a number: exactly, where a decimal fraction of up to six
** places says it exactly. */
static void set_number(lua_State *L, const char *who, bind_settings *s) {
  uint64_t per = s->per_ns ? s->per_ns : BIND_S_TO_NS;
  weir_rate *rate = &s->config.rate;
  double scale = 1, gap = (double)per / s->rate; /* ns */
  while (scale <= 1e6 && !is_whole(s->rate * scale)) scale *= 10;
  rate->count = 1;
  if (scale <= 1e6 && s->rate * scale <= WEIR_PERMITS_MAX &&
      (double)per * scale <= (double)WEIR_PER_MAX) {
    rate->count = (uint32_t)(s->rate * scale);
    rate->per_ns = per * (uint64_t)scale;
  } else if (gap <= (double)WEIR_PER_MAX) {
    rate->per_ns = (uint64_t)gap;
    rate->per_ns += (double)rate->per_ns < gap; /* up */
  } else {
    luaL_error(L, "%s: rate must be more than one in 36 years", who);
  }
}

/* Where periods begin that are aligned: on this machine's clock in UTC, or as
** virtual time has it. */
static uint64_t phase(const weir_lua *W, uint64_t per_ns) {
  struct timespec wall;
  uint64_t wall_ns, now = weir_loop_now();
  if (W->virtual_time && per_ns)
    return (BIND_VIRTUAL_ZERO + per_ns - W->epoch % per_ns) % per_ns;
  if (!per_ns) return BIND_VIRTUAL_ZERO;
  clock_gettime(CLOCK_REALTIME, &wall);
  wall_ns = (uint64_t)wall.tv_sec * BIND_S_TO_NS + (uint64_t)wall.tv_nsec;
  return (now % per_ns + per_ns - wall_ns % per_ns) % per_ns;
}

static void finish_rate(lua_State *L, const weir_lua *W, const char *who,
                        bind_settings *s) {
  weir_rate *rate = &s->config.rate;
  if (s->rate > 0) set_number(L, who, s);
  if (s->per_ns && !(s->rate > 0))
    luaL_error(L, "%s: per goes with a rate that is a number", who);
  if (!rate->count &&
      (s->burst != NOT_GIVEN || s->window != NOT_GIVEN || s->align_given))
    luaL_error(L, "%s: burst, window and align go with a rate", who);
  if (s->window != NOT_GIVEN) rate->window = (weir_window)s->window;
  if (s->burst != NOT_GIVEN && rate->window != WEIR_GCRA)
    luaL_error(L,
               "%s: burst goes with a rate without a window, which has its "
               "whole count at once",
               who);
  if (s->burst != NOT_GIVEN) rate->burst = s->burst;
  if (rate->count && !rate->burst) rate->burst = 1;
  if (s->align_given) rate->aligned = s->align;
  if (rate->aligned && rate->window == WEIR_GCRA)
    luaL_error(L, "%s: align goes with window = 'fixed' or 'sliding'", who);
  if (s->rate_given || s->align_given)
    rate->phase_ns = rate->aligned ? phase(W, rate->per_ns) : 0;
}

/* --- shed ----------------------------------------------------------------- */

typedef struct shedding {
  bool codel, lifo, doomed;
  uint64_t target_ns, interval_ns;
  uint32_t victim;
} shedding;

#define AT(field) offsetof(shedding, field)
static const bind_option SHED[] = {
  { .name = "codel", .kind = BIND_FLAG, .offset = AT(codel) },
  { .name = "lifo", .kind = BIND_FLAG, .offset = AT(lifo) },
  { .name = "doomed", .kind = BIND_FLAG, .offset = AT(doomed) },
  { .name = "target", .kind = BIND_SECONDS, .min = 1, .offset = AT(target_ns) },
  { .name = "interval",
    .kind = BIND_SECONDS,
    .min = 1,
    .offset = AT(interval_ns) },
  { .name = "victim",
    .kind = BIND_CHOICE,
    .offset = AT(victim),
    .names = VICTIMS },
  { .name = NULL }
};
#undef AT

/* shed = "codel", "lifo", "doomed", "oldest" or "lowest" */
static void set_shed_word(lua_State *L, int index, const char *who,
                          weir_shed *out) {
  static const char *const words[] = { "codel",  "lifo",   "doomed",
                                       "oldest", "lowest", NULL };
  static const bind_option option = { .name = "shed",
                                      .kind = BIND_CHOICE,
                                      .names = words };
  uint32_t word;
  bind_read_option(L, index, who, &option, &word);
  out->codel = word == 0;
  out->lifo = word == 1;
  out->doomed = word == 2;
  if (word == 3) out->victim = WEIR_OLDEST;
  if (word == 4) out->victim = WEIR_LOWEST;
}

static void set_shed_table(lua_State *L, int index, const char *who,
                           weir_shed *out) {
  shedding s = { .codel = false };
  lua_pushfstring(L, "%s: shed", who);
  bind_read_options(L, index, lua_tostring(L, -1), SHED, &s);
  lua_pop(L, 1);
  out->codel = s.codel || ((s.target_ns || s.interval_ns) && !s.lifo);
  out->lifo = s.lifo;
  out->doomed = s.doomed;
  out->target_ns = s.target_ns;
  out->interval_ns = s.interval_ns;
  out->victim = (weir_victim)s.victim;
}

static void read_shed(lua_State *L, int index, const char *who,
                      const bind_option *option, void *out) {
  weir_shed *shed = &((bind_settings *)out)->config.shed;
  (void)option;
  *shed = (weir_shed){ .victim = WEIR_NEWEST };
  if (lua_istable(L, index))
    set_shed_table(L, index, who, shed);
  else if (!lua_isboolean(L, index) || lua_toboolean(L, index))
    set_shed_word(L, index, who, shed);
}

/* --- adaptive ------------------------------------------------------------- */

typedef struct adapting {
  uint32_t algorithm;
  weir_adaptive adaptive;
} adapting;

#define AT(field) offsetof(adapting, adaptive.field)
#define PERMITS(label, field)                                                  \
  {                                                                            \
    .name = (label), .kind = BIND_COUNT, .min = 1, .max = WEIR_PERMITS_MAX,    \
    .offset = AT(field)                                                        \
  }
static const bind_option ADAPTIVE[] = {
  { .name = "algorithm",
    .kind = BIND_CHOICE,
    .offset = offsetof(adapting, algorithm),
    .names = ALGORITHMS },
  PERMITS("initial", initial),
  PERMITS("min", min),
  PERMITS("max", max),
  PERMITS("queue", queue),
  PERMITS("long_window", long_window),
  { .name = "backoff", .kind = BIND_NUMBER, .offset = AT(backoff) },
  { .name = "smoothing", .kind = BIND_NUMBER, .offset = AT(smoothing) },
  { .name = "tolerance", .kind = BIND_NUMBER, .offset = AT(tolerance) },
  { .name = "timeout",
    .kind = BIND_SECONDS,
    .min = 1,
    .offset = AT(timeout_ns) },
  { .name = NULL }
};
#undef AT
#undef PERMITS

/* adaptive = "vegas", or a table with the algorithm; false: none */
static void read_adaptive(lua_State *L, int index, const char *who,
                          const bind_option *option, void *out) {
  weir_adaptive *adaptive = &((bind_settings *)out)->config.adaptive;
  adapting a = { .algorithm = NOT_GIVEN };
  (void)option;
  *adaptive = (weir_adaptive){ .algorithm = WEIR_STATIC };
  if (lua_isboolean(L, index) && !lua_toboolean(L, index)) return;
  if (lua_istable(L, index)) {
    lua_pushfstring(L, "%s: adaptive", who);
    bind_read_options(L, index, lua_tostring(L, -1), ADAPTIVE, &a);
    lua_pop(L, 1);
    if (a.algorithm == NOT_GIVEN)
      luaL_error(L,
                 "%s: adaptive: algorithm is missing: 'aimd', 'vegas' or "
                 "'gradient2'",
                 who);
  } else {
    bind_option word = ADAPTIVE[0];
    word.name = "adaptive";
    bind_read_option(L, index, who, &word, &a.algorithm);
  }
  *adaptive = a.adaptive;
  adaptive->algorithm = (weir_algorithm)(WEIR_AIMD + a.algorithm);
}

/* --- all of them ---------------------------------------------------------- */

#define AT(field) offsetof(bind_settings, field)
/* What can be changed later. */
#define CHANGEABLE                                                             \
  { .name = "concurrent",                                                      \
    .kind = BIND_COUNT,                                                        \
    .min = 1,                                                                  \
    .max = WEIR_PERMITS_MAX,                                                   \
    .offset = AT(config.concurrent),                                           \
    .may_be_none = true },                                                     \
      { .name = "queue",                                                       \
        .kind = BIND_COUNT,                                                    \
        .max = WEIR_PERMITS_MAX,                                               \
        .offset = AT(config.queue),                                            \
        .may_be_none = true,                                                   \
        .none = WEIR_UNBOUNDED },                                              \
      { .name = "timeout",                                                     \
        .kind = BIND_SECONDS,                                                  \
        .offset = AT(config.timeout_ns),                                       \
        .may_be_none = true,                                                   \
        .none = WEIR_NEVER },                                                  \
      { .name = "rate", .kind = BIND_OTHER, .read = read_rate },               \
      { .name = "per", .kind = BIND_SECONDS, .min = 1, .offset = AT(per_ns) }, \
      { .name = "burst",                                                       \
        .kind = BIND_COUNT,                                                    \
        .min = 1,                                                              \
        .max = WEIR_PERMITS_MAX,                                               \
        .offset = AT(burst) },                                                 \
      { .name = "window",                                                      \
        .kind = BIND_CHOICE,                                                   \
        .offset = AT(window),                                                  \
        .names = WINDOWS },                                                    \
      { .name = "align", .kind = BIND_FLAG, .offset = AT(align) },             \
      { .name = "keys",                                                        \
        .kind = BIND_COUNT,                                                    \
        .min = 1,                                                              \
        .max = WEIR_PERMITS_MAX,                                               \
        .offset = AT(config.keys) },                                           \
      { .name = "on_exhausted",                                                \
        .kind = BIND_CHOICE,                                                   \
        .offset = AT(exhausted),                                               \
        .names = WHEN_EXHAUSTED },                                             \
      { .name = "order",                                                       \
        .kind = BIND_CHOICE,                                                   \
        .offset = AT(order),                                                   \
        .names = ORDERS },                                                     \
      { .name = "aging",                                                       \
        .kind = BIND_SECONDS,                                                  \
        .min = 1,                                                              \
        .offset = AT(config.aging_ns),                                         \
        .may_be_none = true },                                                 \
      { .name = "shed", .kind = BIND_OTHER, .read = read_shed },               \
      { .name = "adaptive", .kind = BIND_OTHER, .read = read_adaptive }, {     \
    .name = "dry_run", .kind = BIND_FLAG, .offset = AT(config.dry_run)         \
  }

/* space = what weir.open gave; a URL was made one before. */
static void read_space(lua_State *L, int index, const char *who,
                       const bind_option *option, void *out) {
  bind_settings *s = out;
  if (lua_type(L, index) == LUA_TSTRING) return;
  s->space = bind_to_space(L, index);
  if (s->space)
    bind_check_open(L, s->space, who);
  else
    bind_expected(L, who, option->name,
                  "what weir.open gave, or its URL such as 'shm:api'", index);
}

/* Leaves the object of the space that the options name on the stack, so that it
** stays until the limiter has it. */
static void open_space(lua_State *L, weir_lua *W, int index, const char *who,
                       bind_settings *out) {
  const char *url;
  if (!lua_istable(L, index)) return;
  lua_pushliteral(L, "space");
  if (lua_rawget(L, index) != LUA_TSTRING) return;
  url = lua_tostring(L, -1);
  out->space = bind_open_space(L, W, url, NULL, who);
  if (!out->space) luaL_error(L, "%s: %s", who, lua_tostring(L, -1));
}

static const bind_option CREATION[] = {
  CHANGEABLE,
  { .name = "cost",
    .kind = BIND_COUNT_OR_FUNCTION,
    .min = 1,
    .max = WEIR_PERMITS_MAX,
    .offset = AT(cost) },
  { .name = "priority",
    .kind = BIND_SIGNED_OR_FUNCTION,
    .min = (uint32_t)WEIR_PRIORITY_MIN,
    .max = WEIR_PRIORITY_MAX,
    .offset = AT(priority) },
  { .name = "name",
    .kind = BIND_TEXT,
    .min = 1,
    .max = WEIR_NAME_MAX,
    .offset = AT(name) },
  { .name = "space", .kind = BIND_OTHER, .read = read_space },
  { .name = "key", .kind = BIND_FUNCTION, .offset = AT(key) },
  { .name = "flow", .kind = BIND_FUNCTION, .offset = AT(flow) },
  { .name = "on_refuse", .kind = BIND_FUNCTION, .offset = AT(on_refuse) },
  { .name = NULL }
};

static const bind_option CHANGES[] = {
  CHANGEABLE,
  { .name = "cost", .kind = BIND_FIXED },
  { .name = "priority", .kind = BIND_FIXED },
  { .name = "name", .kind = BIND_FIXED },
  { .name = "space", .kind = BIND_FIXED },
  { .name = "key", .kind = BIND_FIXED },
  { .name = "flow", .kind = BIND_FIXED },
  { .name = "on_refuse", .kind = BIND_FIXED },
  { .name = NULL }
};
#undef AT

static bool is_given(lua_State *L, int index, const char *name) {
  bool given = lua_getfield(L, index, name) != LUA_TNIL;
  lua_pop(L, 1);
  return given;
}

/* What stands in the order of nothing, and functions for what orders use. */
static void check_order(lua_State *L, const char *who, const bind_settings *s) {
  bool priority = s->priority != 0;
  if (priority && s->config.order != WEIR_PRIORITY)
    luaL_error(L, "%s: priority goes with order = 'priority'", who);
  if (s->config.aging_ns && s->config.order != WEIR_PRIORITY)
    luaL_error(L, "%s: aging goes with order = 'priority'", who);
  if (s->flow && s->config.order != WEIR_FAIR)
    luaL_error(L, "%s: flow goes with order = 'fair'", who);
}

void bind_read_settings(lua_State *L, weir_lua *W, int index, const char *who,
                        const weir_config *base, bool change,
                        bind_settings *out) {
  const char *wrong;
  *out = (bind_settings){ .config = *base,
                          .cost = 1,
                          .space = &W->home,
                          .burst = NOT_GIVEN,
                          .window = NOT_GIVEN,
                          .order = NOT_GIVEN,
                          .exhausted = NOT_GIVEN };
  if (!change) open_space(L, W, index, who, out);
  bind_read_options(L, index, who, change ? CHANGES : CREATION, out);
  out->align_given = is_given(L, index, "align");
  out->keyed = out->key || is_given(L, index, "keys");
  if (out->order != NOT_GIVEN) out->config.order = (weir_order)out->order;
  if (out->exhausted != NOT_GIVEN)
    out->config.pass_exhausted = out->exhausted == 1;
  finish_rate(L, W, who, out);
  if (!change) check_order(L, who, out);
  wrong = weir_config_check(&out->config);
  if (wrong) luaL_error(L, "%s: %s", who, wrong);
  if (out->space->shared && !out->name)
    luaL_error(L,
               "%s: a limiter in a shared space is found by its name: add "
               "name = 'backend' or what else you call it",
               who);
}
