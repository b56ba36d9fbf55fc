/*
** options.c - the one parser of options and of what people pass by mistake.
*/
#include <math.h>
#include <string.h>

#include "bind.h"

enum { SECONDS_MAX = 1000000000, NAME_LONGEST = 32 };

/* Pushes what a person would call the value at `index`. */
static void push_description(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TNONE: lua_pushliteral(L, "nothing"); break;
  case LUA_TNIL: lua_pushliteral(L, "nil"); break;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    break;
  case LUA_TNUMBER:
    if (isnan(lua_tonumber(L, index)))
      lua_pushliteral(L, "nan"); /* C may print it with a sign */
    else
      luaL_tolstring(L, index, NULL);
    break;
  case LUA_TSTRING:
    if (lua_rawlen(L, index) <= NAME_LONGEST)
      lua_pushfstring(L, "the string '%s'", lua_tostring(L, index));
    else
      lua_pushfstring(L, "a string of %d bytes", (int)lua_rawlen(L, index));
    break;
  default:
    if (luaL_getmetafield(L, index, "__name") != LUA_TSTRING)
      lua_pushstring(L, luaL_typename(L, index));
    lua_pushfstring(L, "a %s", lua_tostring(L, -1));
  }
}

int bind_expected(lua_State *L, const char *who, const char *name,
                  const char *expected, int index) {
  push_description(L, index);
  return luaL_error(L, "%s: %s%s%s, got %s", who, name ? name : "expected",
                    name ? " must be " : " ", expected, lua_tostring(L, -1));
}

static bool callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

void bind_check_callable(lua_State *L, int index, const char *who,
                         const char *name) {
  if (!callable(L, index)) bind_expected(L, who, name, "a function", index);
}

/* --- values --------------------------------------------------------------- */

/* A whole number in the option's range. */
static bool to_integer(lua_State *L, int index, lua_Integer min,
                       lua_Integer max, lua_Integer *out) {
  int whole;
  *out = lua_tointegerx(L, index, &whole);
  return lua_type(L, index) == LUA_TNUMBER && whole && *out >= min &&
         *out <= max;
}

static lua_Integer read_integer(lua_State *L, int index, const char *who,
                                const bind_option *option, bool is_signed) {
  bool alternative = option->kind == BIND_COUNT_OR_FUNCTION ||
                     option->kind == BIND_SIGNED_OR_FUNCTION;
  lua_Integer min = option->min, max = option->max, n;
  if (is_signed) min = (int32_t)option->min;
  if (is_signed) max = (int32_t)option->max;
  if (to_integer(L, index, min, max, &n)) return n;
  lua_pushfstring(L, "a whole number from %I to %I%s", min, max,
                  alternative ? " or a function" : "");
  bind_expected(L, who, option->name, lua_tostring(L, -1), index);
  return 0;
}

static void read_number(lua_State *L, int index, const char *who,
                        const bind_option *option, double *out) {
  *out = (double)lua_tonumber(L, index);
  if (lua_type(L, index) != LUA_TNUMBER || !isfinite(*out) || !(*out > 0))
    bind_expected(L, who, option->name, "a number above 0", index);
}

static void read_flag(lua_State *L, int index, const char *who,
                      const bind_option *option, bool *out) {
  if (!lua_isboolean(L, index))
    bind_expected(L, who, option->name, "true or false", index);
  *out = lua_toboolean(L, index);
}

/* Pushes "'a', 'b' or 'c'". */
static const char *push_names(lua_State *L, const char *const *names) {
  lua_pushfstring(L, "'%s'", names[0]);
  for (int i = 1; names[i]; i++) {
    lua_pushfstring(L, "%s'%s'", names[i + 1] ? ", " : " or ", names[i]);
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

static void read_choice(lua_State *L, int index, const char *who,
                        const bind_option *option, uint32_t *out) {
  for (uint32_t i = 0; option->names[i]; i++) {
    lua_pushstring(L, option->names[i]);
    if (lua_rawequal(L, -1, index)) {
      *out = i;
      lua_pop(L, 1);
      return;
    }
    lua_pop(L, 1);
  }
  bind_expected(L, who, option->name, push_names(L, option->names), index);
}

static void read_seconds(lua_State *L, int index, const char *who,
                         const bind_option *option, uint64_t *out) {
  lua_Number s = lua_tonumber(L, index);
  bool in_range = s >= 0 && s <= SECONDS_MAX && (s > 0 || !option->min);
  if (lua_type(L, index) != LUA_TNUMBER || !in_range)
    bind_expected(L, who, option->name,
                  option->min ? "a number of seconds above 0, up to 1000000000"
                              : "a number of seconds from 0 to 1000000000",
                  index);
  s *= BIND_S_TO_NS;
  *out = (uint64_t)s;
  *out += (lua_Number)*out < s; /* a wait may be longer, but never shorter */
}

enum { KB = 1024, UNITS = 3 };

/* "256k", "16m" or "1g" as bytes; 0: it is something else. */
static uint64_t parse_size(const char *text, size_t length) {
  static const char units[] = "kmgKMG";
  const char *unit = length ? strchr(units, text[length - 1]) : NULL;
  uint64_t size = 0, scale = 1;
  if (!unit || length < 2 || length > 9) return 0; /* it fits, times 2^30 */
  for (size_t i = 0; i < length - 1; i++) {
    if (text[i] < '0' || text[i] > '9') return 0;
    size = size * 10 + (uint64_t)(text[i] - '0');
  }
  for (int i = 0; i <= (unit - units) % UNITS; i++) scale *= KB;
  return size * scale;
}

static void read_size(lua_State *L, int index, const char *who,
                      const bind_option *option, uint64_t *out) {
  size_t length;
  lua_Integer bytes;
  const char *text;
  *out = 0;
  if (lua_type(L, index) == LUA_TSTRING) {
    text = lua_tolstring(L, index, &length);
    *out = parse_size(text, length);
  } else if (to_integer(L, index, 1, INT64_MAX, &bytes)) {
    *out = (uint64_t)bytes;
  }
  if (*out < WEIR_SHARED_SIZE_MIN || *out > WEIR_SHARED_SIZE_MAX)
    bind_expected(L, who, option->name,
                  "a number of bytes, or a text such as '256k', '16m' or '1g', "
                  "from '256k' to '64g'",
                  index);
}

static void read_text(lua_State *L, int index, const char *who,
                      const bind_option *option, const char **out) {
  size_t length = 0;
  if (lua_type(L, index) == LUA_TSTRING)
    *out = lua_tolstring(L, index, &length);
  if (length >= option->min && length <= option->max &&
      (length == 0 || strlen(*out) == length))
    return;
  lua_pushfstring(L, "a string of %I to %I bytes without NUL",
                  (lua_Integer)option->min, (lua_Integer)option->max);
  bind_expected(L, who, option->name, lua_tostring(L, -1), index);
}

/* An alternative to a number. */
static bool read_function(lua_State *L, int index, const bind_option *option,
                          void *out) {
  if (!callable(L, index)) return false;
  if (option->kind == BIND_COUNT_OR_FUNCTION)
    *(uint32_t *)out = 0;
  else
    *(int32_t *)out = INT32_MIN;
  return true;
}

void bind_read_option(lua_State *L, int index, const char *who,
                      const bind_option *option, void *out) {
  switch (option->kind) {
  case BIND_COUNT_OR_FUNCTION:
    if (read_function(L, index, option, out)) break;
    /* fallthrough */
  case BIND_COUNT:
    *(uint32_t *)out = (uint32_t)read_integer(L, index, who, option, false);
    break;
  case BIND_SIGNED_OR_FUNCTION:
    if (read_function(L, index, option, out)) break;
    /* fallthrough */
  case BIND_SIGNED:
    *(int32_t *)out = (int32_t)read_integer(L, index, who, option, true);
    break;
  case BIND_SECONDS: read_seconds(L, index, who, option, out); break;
  case BIND_NUMBER: read_number(L, index, who, option, out); break;
  case BIND_SIZE: read_size(L, index, who, option, out); break;
  case BIND_FLAG: read_flag(L, index, who, option, out); break;
  case BIND_CHOICE: read_choice(L, index, who, option, out); break;
  case BIND_TEXT: read_text(L, index, who, option, out); break;
  case BIND_FUNCTION:
    bind_check_callable(L, index, who, option->name);
    *(bool *)out = true;
    break;
  case BIND_OTHER: option->read(L, index, who, option, out); break;
  case BIND_FIXED:
    luaL_error(L, "%s: %s cannot be changed; make another limiter", who,
               option->name);
  }
}

/* `false` takes an option back, where there is something to take back. */
static bool read_none(lua_State *L, int index, const bind_option *option,
                      void *out) {
  if (!option->may_be_none || !lua_isboolean(L, index) ||
      lua_toboolean(L, index))
    return false;
  if (option->kind == BIND_SECONDS)
    *(uint64_t *)out = option->none;
  else
    *(uint32_t *)out = (uint32_t)option->none;
  return true;
}

/* --- names ---------------------------------------------------------------- */

static size_t smallest(size_t a, size_t b, size_t c) {
  if (b < a) a = b;
  return c < a ? c : a;
}

/* How many letters must be changed, added or left out (Levenshtein's distance
** in one row); both names are at most NAME_LONGEST bytes. */
static size_t distance(const char *a, const char *b) {
  size_t row[NAME_LONGEST + 1], length = strlen(b);
  for (size_t j = 0; j <= length; j++) row[j] = j;
  for (size_t i = 1; *a; a++, i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= length; j++) {
      size_t above = row[j];
      row[j] = smallest(diagonal + (*a != b[j - 1]), above + 1, row[j - 1] + 1);
      diagonal = above;
    }
  }
  return row[length];
}

static const char *nearest(const char *name, const bind_option *options) {
  const char *best = NULL;
  size_t limit = strlen(name) / 2 + 1; /* further off is another word */
  if (strlen(name) > NAME_LONGEST) return NULL;
  for (; options->name; options++) {
    size_t d = distance(name, options->name);
    if (d < limit) {
      limit = d;
      best = options->name;
    }
  }
  return best;
}

static int unknown(lua_State *L, int index, const char *who,
                   const bind_option *options) {
  const char *name =
      lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
  const char *guess = name ? nearest(name, options) : NULL;
  if (guess)
    return luaL_error(L, "%s: unknown option '%s'; did you mean '%s'?", who,
                      name, guess);
  if (name && strlen(name) <= NAME_LONGEST)
    lua_pushfstring(L, "'%s'", name);
  else
    push_description(L, index);
  lua_pushliteral(L, "; known are:");
  for (int i = 0; options[i].name; i++)
    lua_pushfstring(L, "%s %s", i ? "," : "", options[i].name),
        lua_concat(L, 2);
  return luaL_error(L, "%s: unknown option %s%s", who, lua_tostring(L, -2),
                    lua_tostring(L, -1));
}

static const bind_option *find(lua_State *L, int index,
                               const bind_option *options) {
  const char *name;
  if (lua_type(L, index) != LUA_TSTRING) return NULL;
  name = lua_tostring(L, index);
  if (strlen(name) != lua_rawlen(L, index)) return NULL; /* a NUL in it */
  while (options->name && strcmp(options->name, name) != 0) options++;
  return options->name ? options : NULL;
}

void bind_read_options(lua_State *L, int index, const char *who,
                       const bind_option *options, void *out) {
  if (!lua_istable(L, index)) bind_expected(L, who, NULL, "a table", index);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const bind_option *option = find(L, -2, options);
    void *field;
    if (!option) {
      unknown(L, lua_gettop(L) - 1, who, options);
      return;
    }
    field = (char *)out + option->offset;
    if (!read_none(L, -1, option, field))
      bind_read_option(L, lua_gettop(L), who, option, field);
    lua_pop(L, 1);
  }
}

uint64_t bind_deadline(lua_State *L, weir_lua *W, int index, const char *who) {
  static const bind_option timeout = { .name = "timeout",
                                       .kind = BIND_SECONDS };
  uint64_t ns;
  if (lua_isnoneornil(L, index)) return WEIR_NEVER;
  bind_read_option(L, index, who, &timeout, &ns);
  ns += bind_now(W, true);
  return ns ? ns : 1; /* 0 would be none */
}
