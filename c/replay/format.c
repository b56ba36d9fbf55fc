/* format.c - see format.h. */
#include <string.h>

#include "format.h"

#define COMBINED                                                               \
  "$remote_addr - $remote_user [$time_local] \"$request\" $status "            \
  "$body_bytes_sent \"$http_referer\" \"$http_user_agent\""

/* Names of HAProxy's own are its documentation's; `captured` is what it has of
** headers, "{one|two} {three} ". */
#define HAPROXY                                                                \
  "$remote_addr:$remote_port [$accept_date] $frontend $backend/$server "       \
  "$TR/$Tw/$Tc/$Tr/$Ta $status $bytes_read $request_cookie "                   \
  "$response_cookie $termination_state "                                       \
  "$actconn/$feconn/$beconn/$srv_conn/$retries $srv_queue/$backend_queue "     \
  "$captured\"$request\""

typedef struct known_format {
  const char *name;
  weir_log_kind kind;
  const char *text;
} known_format;

static const known_format FORMATS[] = {
  { "combined", WEIR_LOG_PLAIN, COMBINED },
  { "nginx", WEIR_LOG_PLAIN, COMBINED " $request_time" },
  { "common", WEIR_LOG_PLAIN,
    "$remote_addr - $remote_user [$time_local] \"$request\" $status "
    "$body_bytes_sent" },
  { "haproxy", WEIR_LOG_HAPROXY, HAPROXY },
  { "json", WEIR_LOG_JSON, "" },
};

typedef struct known_name {
  const char *name;
  uint8_t role;
} known_name;

static const known_name NAMES[] = {
  { "time_local", WEIR_LOG_TIME },
  { "time_iso8601", WEIR_LOG_TIME },
  { "msec", WEIR_LOG_TIME },
  { "accept_date", WEIR_LOG_BEGAN },
  { "request_time", WEIR_LOG_SERVICE },
  { "request_time_ms", WEIR_LOG_SERVICE_MS },
  { "request_time_us", WEIR_LOG_SERVICE_US },
  { "Ta", WEIR_LOG_SERVICE_MS },
  { "TR", WEIR_LOG_HEAD_MS },
  { "Tw", WEIR_LOG_QUEUE_MS },
  { "status", WEIR_LOG_STATUS },
  { "body_bytes_sent", WEIR_LOG_BYTES },
  { "bytes_sent", WEIR_LOG_BYTES },
  { "bytes_read", WEIR_LOG_BYTES },
  { "request", WEIR_LOG_REQUEST },
  { "request_method", WEIR_LOG_METHOD },
  { "request_uri", WEIR_LOG_URI },
  { "uri", WEIR_LOG_URI },
};

/* What people call members of a JSON log beside nginx's names. */
static const char *const ALIASES[][2] = {
  { "time", "time_iso8601" },
  { "@timestamp", "time_iso8601" },
  { "timestamp", "time_iso8601" },
  { "ts", "time_iso8601" },
  { "remote_ip", "remote_addr" },
  { "client_ip", "remote_addr" },
  { "client", "remote_addr" },
  { "method", "request_method" },
  { "url", "request_uri" },
  { "path", "request_uri" },
  { "duration", "request_time" },
  { "bytes", "body_bytes_sent" },
  { "user_agent", "http_user_agent" },
  { "agent", "http_user_agent" },
  { "referrer", "http_referer" },
  { "referer", "http_referer" },
  { "user", "remote_user" },
  { "protocol", "server_protocol" },
};

static bool is(const char *name, size_t size, const char *known) {
  return strlen(known) == size && memcmp(name, known, size) == 0;
}

static uint8_t role_of(const char *name, size_t size) {
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
    if (is(name, size, NAMES[i].name)) return NAMES[i].role;
  return WEIR_LOG_ROLES;
}

static bool is_named(const weir_log_format *format, uint16_t field,
                     const char *name, size_t size) {
  const weir_log_field *f = &format->fields[field];
  return f->name_size == size &&
         memcmp(format->text + f->name, name, size) == 0;
}

uint16_t weir_log_find(const weir_log_format *format, const char *name,
                       size_t size) {
  for (uint16_t i = 0; i < format->count; i++)
    if (is_named(format, i, name, size)) return i;
  return WEIR_LOG_NO_FIELD;
}

bool weir_log_has_service(const weir_log_format *format) {
  return format->roles[WEIR_LOG_SERVICE] != WEIR_LOG_NO_FIELD ||
         format->roles[WEIR_LOG_SERVICE_MS] != WEIR_LOG_NO_FIELD ||
         format->roles[WEIR_LOG_SERVICE_US] != WEIR_LOG_NO_FIELD;
}

/* --- building ------------------------------------------------------------- */

static void clear(weir_log_format *format, weir_log_kind kind) {
  memset(format, 0, offsetof(weir_log_format, text));
  format->kind = kind;
  for (int i = 0; i < WEIR_LOG_ROLES; i++) format->roles[i] = WEIR_LOG_NO_FIELD;
}

/* Adds a byte to the text; false: it is full. */
static bool keep(weir_log_format *format, char c) {
  if (format->used == WEIR_LOG_TEXT) return false;
  format->text[format->used++] = c;
  return true;
}

/* A new field whose name stands at the end of the text, `size` bytes. */
static uint16_t add_field(weir_log_format *format, uint16_t size) {
  uint16_t index = format->count++;
  weir_log_field *field = &format->fields[index];
  const char *name = format->text + format->used - size;
  field->name = (uint16_t)(format->used - size);
  field->name_size = size;
  field->end = format->used;
  field->role = role_of(name, size);
  field->list = size > 9 && memcmp(name, "upstream_", 9) == 0;
  if (field->role != WEIR_LOG_ROLES &&
      format->roles[field->role] == WEIR_LOG_NO_FIELD)
    format->roles[field->role] = index;
  return index;
}

static uint16_t add_name(weir_log_format *format, const char *name,
                         size_t size) {
  if (format->count == WEIR_LOG_FIELDS || size > WEIR_LOG_NAME ||
      format->used + size > WEIR_LOG_TEXT)
    return WEIR_LOG_NO_FIELD;
  memcpy(format->text + format->used, name, size);
  format->used = (uint16_t)(format->used + size);
  return add_field(format, (uint16_t)size);
}

uint16_t weir_log_add(weir_log_format *format, const char *name, size_t size) {
  uint16_t found;
  for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++) {
    if (!is(name, size, ALIASES[i][0])) continue;
    name = ALIASES[i][1];
    size = strlen(name);
    break;
  }
  found = weir_log_find(format, name, size);
  return found != WEIR_LOG_NO_FIELD ? found : add_name(format, name, size);
}

/* --- compiling ------------------------------------------------------------ */

static bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

/* Reads "$name" or "${name}" at text[*at]. */
static const char *compile_name(const char *text, size_t size, size_t *at,
                                weir_log_format *out) {
  bool braced = *at + 1 < size && text[*at + 1] == '{';
  size_t from = *at + 1 + braced, to = from;
  while (to < size && is_name_byte(text[to])) to++;
  if (to == from) return "a $ without a name behind it";
  if (braced && (to == size || text[to] != '}')) return "a ${ without its }";
  if (out->count == WEIR_LOG_FIELDS) return "more than 48 fields";
  if (to - from > WEIR_LOG_NAME) return "a name of more than 64 bytes";
  if (add_name(out, text + from, to - from) == WEIR_LOG_NO_FIELD)
    return "more than 4096 bytes";
  *at = to + braced;
  return NULL;
}

/* Reads the text up to the next name, which ends the last field. */
static const char *compile_between(const char *text, size_t size, size_t *at,
                                   weir_log_format *out) {
  uint16_t from = out->used;
  for (; *at < size && text[*at] != '$'; ++*at)
    if (!keep(out, text[*at])) return "more than 4096 bytes";
  if (out->count) {
    weir_log_field *last = &out->fields[out->count - 1];
    last->end = from;
    last->end_size = (uint16_t)(out->used - from);
    last->quoted = last->end_size && out->text[from] == '"';
    if (!last->end_size && *at < size)
      return "two fields with nothing between them";
  } else {
    out->begin = from;
    out->begin_size = (uint16_t)(out->used - from);
  }
  return NULL;
}

static const char *check_roles(const weir_log_format *format) {
  if (format->roles[WEIR_LOG_TIME] == WEIR_LOG_NO_FIELD &&
      format->roles[WEIR_LOG_BEGAN] == WEIR_LOG_NO_FIELD)
    return "no time: it wants $time_local, $time_iso8601 or $msec";
  return NULL;
}

static const char *compile_text(const char *text, size_t size,
                                weir_log_format *out) {
  size_t at = 0;
  const char *why = compile_between(text, size, &at, out);
  while (!why && at < size) {
    why = compile_name(text, size, &at, out);
    if (!why) why = compile_between(text, size, &at, out);
  }
  return why ? why : check_roles(out);
}

const char *weir_log_compile(const char *text, size_t size,
                             weir_log_format *out) {
  for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
    const known_format *known = &FORMATS[i];
    if (!is(text, size, known->name)) continue;
    clear(out, known->kind);
    return *known->text ? compile_text(known->text, strlen(known->text), out)
                        : NULL;
  }
  clear(out, WEIR_LOG_PLAIN);
  return compile_text(text, size, out);
}
