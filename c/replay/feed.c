/* feed.c - see feed.h. */
#include <stdlib.h>
#include <string.h>

#include "feed.h"

#define NOBODY UINT32_MAX

enum { HELD = 32768 };

/* A log. */
typedef struct source {
  weir_log_format format;
  weir_log_clock clock;
  weir_log_counts counts;
  weir_log_window logged;  /* by the time that lines have */
  weir_log_window arrived; /* by the time that requests came */
  char *rest;              /* the begin of a line */
  size_t rest_size, rest_room;
  bool over, stopped; /* no more bytes; strict, and a bad line has come */
  uint64_t second_ns; /* that was spread last ... */
  uint64_t spread_ns; /* ... up to here */
} source;

struct weir_log_feed {
  weir_log_options options;
  source *sources[WEIR_LOG_SOURCES];
  int count;
  bool no_memory;
  uint64_t last_ns; /* the arrival that was told last */
  weir_log_record **records;
  uint32_t used, room; /* of records */
  uint32_t idle;       /* the first of those that nobody has */
  weir_log_line line;  /* that is being read */
};

weir_log_feed *weir_log_feed_new(const weir_log_options *options) {
  weir_log_feed *feed = calloc(1, sizeof *feed);
  if (!feed) return NULL;
  feed->options = *options;
  if (!feed->options.held) feed->options.held = HELD;
  feed->idle = NOBODY;
  return feed;
}

static void free_source(source *s) {
  weir_log_window_fini(&s->logged);
  weir_log_window_fini(&s->arrived);
  free(s->rest);
  free(s);
}

void weir_log_feed_free(weir_log_feed *feed) {
  if (!feed) return;
  for (int i = 0; i < feed->count; i++) free_source(feed->sources[i]);
  for (uint32_t i = 0; i < feed->used; i++) free(feed->records[i]);
  free(feed->records);
  free(feed);
}

int weir_log_feed_add(weir_log_feed *feed, const weir_log_format *format) {
  const weir_log_options *options = &feed->options;
  bool looks_back =
      weir_log_has_service(format) || format->kind == WEIR_LOG_JSON;
  source *s;
  if (feed->count == WEIR_LOG_SOURCES) return -1;
  s = calloc(1, sizeof *s);
  if (!s) return -1;
  s->format = *format;
  weir_log_window_init(&s->logged, options->window_ns, options->held);
  weir_log_window_init(&s->arrived, looks_back ? options->lookback_ns : 0,
                       options->held);
  feed->sources[feed->count] = s;
  return feed->count++;
}

/* --- records -------------------------------------------------------------- */

static bool grow_records(weir_log_feed *feed) {
  uint32_t room = feed->room ? feed->room * 2 : 64;
  weir_log_record **records =
      realloc(feed->records, room * sizeof *feed->records);
  if (!records) return false;
  feed->records = records;
  feed->room = room;
  return true;
}

/* A record with room for so many bytes; NULL: no memory. */
static weir_log_record *resize(weir_log_feed *feed, uint32_t id, size_t room) {
  size_t size = offsetof(weir_log_record, fields) + room;
  weir_log_record *record = realloc(feed->records[id], size);
  if (!record) return NULL;
  record->id = id;
  record->room = (uint32_t)room;
  feed->records[id] = record;
  return record;
}

static weir_log_record *take_record(weir_log_feed *feed, size_t room) {
  uint32_t id = feed->idle;
  if (id == NOBODY) {
    if (feed->used == feed->room && !grow_records(feed)) return NULL;
    id = feed->used;
    feed->records[id] = NULL;
    if (!resize(feed, id, room)) return NULL;
    feed->used++;
    return feed->records[id];
  }
  if (feed->records[id]->room < room && !resize(feed, id, room + room / 4))
    return NULL;
  feed->idle = feed->records[id]->next;
  return feed->records[id];
}

void weir_log_feed_release(weir_log_feed *feed, weir_log_record *record) {
  record->next = feed->idle;
  feed->idle = record->id;
}

weir_log_record *weir_log_feed_record(const weir_log_feed *feed, uint32_t id) {
  return feed->records[id];
}

/* --- lines ---------------------------------------------------------------- */

static void set_example(source *s, const weir_log_line *line, const char *text,
                        size_t size) {
  weir_log_example *example;
  if (s->counts.examples == WEIR_LOG_EXAMPLES) return;
  example = &s->counts.example[s->counts.examples++];
  example->number = s->counts.lines;
  example->why = line->why;
  example->at = line->at;
  example->size = (uint32_t)(size < WEIR_LOG_EXCERPT ? size : WEIR_LOG_EXCERPT);
  memcpy(example->text, text, example->size);
}

static bool keep(weir_log_feed *feed, source *s, int number, const char *text,
                 size_t size) {
  const weir_log_line *line = &feed->line;
  uint16_t count = s->format.count;
  weir_log_record *record =
      take_record(feed, count * sizeof *record->fields + size);
  if (!record) return false;
  record->service_ns = line->service_ns;
  record->number = s->counts.lines;
  record->size = (uint16_t)size;
  record->status = line->status;
  record->source = (uint16_t)number;
  record->has_service = line->has_service;
  record->time_ns = line->time_ns;
  record->ended = line->ended;
  record->exact = line->exact;
  record->method = line->method;
  record->uri = line->uri;
  record->version = line->version;
  record->count = count;
  memcpy(record->fields, line->fields, count * sizeof *record->fields);
  memcpy(&record->fields[count], text, size);
  s->counts.timeless += !line->has_service;
  s->counts.spread += !line->exact;
  return weir_log_window_put(&s->logged, line->time_ns, record->id);
}

/* One line, without its end. */
static bool read_line(weir_log_feed *feed, int number, const char *text,
                      size_t size) {
  source *s = feed->sources[number];
  s->counts.lines++;
  if (size && text[size - 1] == '\r') size--;
  if (!size) return true;
  switch (weir_log_parse(&s->format, &s->clock, text, size, &feed->line)) {
  case WEIR_LOG_OK: return keep(feed, s, number, text, size);
  case WEIR_LOG_NO_REQUEST: s->counts.none++; return true;
  default:
    s->counts.bad++;
    set_example(s, &feed->line, text, size);
    s->stopped = feed->options.strict;
    return true;
  }
}

/* Adds to the begin of a line. Of one that is too long no more is kept than
** tells that it is. */
static bool add_rest(source *s, const char *bytes, size_t size) {
  if (s->rest_size + size > WEIR_LOG_LINE_MAX + 1)
    size = WEIR_LOG_LINE_MAX + 1 - s->rest_size;
  if (s->rest_size + size > s->rest_room) {
    size_t room = 2 * (s->rest_size + size);
    char *rest = realloc(s->rest, room);
    if (!rest) return false;
    s->rest = rest;
    s->rest_room = room;
  }
  if (size) memcpy(s->rest + s->rest_size, bytes, size);
  s->rest_size += size;
  return true;
}

static bool finish_rest(weir_log_feed *feed, int number) {
  source *s = feed->sources[number];
  size_t size = s->rest_size;
  s->rest_size = 0;
  return read_line(feed, number, s->rest, size);
}

static bool read_bytes(weir_log_feed *feed, int number, const char *bytes,
                       size_t size) {
  source *s = feed->sources[number];
  while (size && !s->stopped) {
    const char *end = memchr(bytes, '\n', size);
    size_t length = end ? (size_t)(end - bytes) : size;
    bool whole = end && !s->rest_size;
    if (whole ? !read_line(feed, number, bytes, length)
              : !add_rest(s, bytes, length))
      return false;
    if (!end) return true;
    if (!whole && !finish_rest(feed, number)) return false;
    bytes = end + 1;
    size -= length + 1;
  }
  return true;
}

bool weir_log_feed_bytes(weir_log_feed *feed, int number, const char *bytes,
                         size_t size) {
  feed->sources[number]->counts.bytes += size;
  if (!read_bytes(feed, number, bytes, size)) feed->no_memory = true;
  return !feed->no_memory;
}

bool weir_log_feed_end(weir_log_feed *feed, int number) {
  source *s = feed->sources[number];
  if (s->rest_size && !s->stopped && !finish_rest(feed, number))
    feed->no_memory = true;
  s->over = s->logged.over = true;
  return !feed->no_memory;
}

/* --- order ---------------------------------------------------------------- */

/* Takes a line from the order of its own time to that of its arrival. */
static bool arrive(weir_log_feed *feed, source *s, weir_log_record *record,
                   uint64_t time_ns) {
  uint64_t took = record->ended && record->has_service ? record->service_ns : 0;
  record->arrival_ns = time_ns > took ? time_ns - took : 0;
  if (time_ns > s->arrived.newest_ns) s->arrived.newest_ns = time_ns;
  if (weir_log_window_put(&s->arrived, record->arrival_ns, record->id))
    return true;
  feed->no_memory = true;
  return false;
}

static bool is_to_be_spread(const weir_log_feed *feed, uint32_t id) {
  return feed->options.spread && !feed->records[id]->exact;
}

/* Links the lines of one second, as one of them may go; answers how many. */
static uint32_t take_second(weir_log_feed *feed, source *s, uint64_t second_ns,
                            uint32_t *first) {
  const weir_log_entry *entry;
  uint32_t count = 0, *link = first;
  while ((entry = weir_log_window_first(&s->logged)) != NULL &&
         entry->time_ns == second_ns && is_to_be_spread(feed, entry->line)) {
    *link = entry->line;
    link = &feed->records[entry->line]->next;
    weir_log_window_drop(&s->logged);
    count++;
  }
  *link = NOBODY;
  return count;
}

/* What the lines of a second are spread over. If nothing later has come yet,
** which is so when one second has more lines than may be held, others of it
** follow: half of what is left is for them. */
static uint64_t room_for(source *s, uint64_t second_ns, uint64_t *from) {
  uint64_t end = second_ns + WEIR_LOG_SECOND;
  bool cut_off = !s->logged.over && s->logged.newest_ns == second_ns;
  *from = second_ns == s->second_ns ? s->spread_ns : second_ns;
  s->second_ns = second_ns;
  s->spread_ns = cut_off ? *from + (end - *from) / 2 : end;
  return s->spread_ns - *from;
}

static bool spread(weir_log_feed *feed, source *s, uint64_t second_ns) {
  uint64_t from, room;
  uint32_t id, count = take_second(feed, s, second_ns, &id);
  room = room_for(s, second_ns, &from);
  for (uint64_t i = 0; i < count; i++) {
    weir_log_record *record = feed->records[id];
    id = record->next;
    if (!arrive(feed, s, record, from + room * i / count)) return false;
  }
  return true;
}

/* Takes on what may go, a second or a line. false: there is nothing. */
static bool move(weir_log_feed *feed, source *s) {
  const weir_log_entry *entry = weir_log_window_peek(&s->logged);
  uint64_t time_ns;
  uint32_t id;
  if (!entry) {
    s->arrived.over = s->over;
    return false;
  }
  time_ns = entry->time_ns;
  id = entry->line;
  if (is_to_be_spread(feed, id)) return spread(feed, s, time_ns);
  weir_log_window_drop(&s->logged);
  return arrive(feed, s, feed->records[id], time_ns);
}

/* The first request of a log; NULL: it is hungry, or over. */
static const weir_log_entry *head(weir_log_feed *feed, source *s) {
  const weir_log_entry *entry;
  while ((entry = weir_log_window_peek(&s->arrived)) == NULL)
    if (!move(feed, s)) break;
  return entry ? entry : weir_log_window_peek(&s->arrived);
}

static weir_log_state find_first(weir_log_feed *feed, int *first) {
  uint64_t best = UINT64_MAX;
  *first = -1;
  for (int i = 0; i < feed->count; i++) {
    source *s = feed->sources[i];
    const weir_log_entry *entry = head(feed, s);
    if (feed->no_memory) return WEIR_LOG_NO_MEMORY;
    if (s->stopped || (!entry && !s->over)) {
      *first = i;
      return s->stopped ? WEIR_LOG_STOPPED : WEIR_LOG_HUNGRY;
    }
    if (!entry || entry->time_ns >= best) continue;
    best = entry->time_ns;
    *first = i;
  }
  return *first < 0 ? WEIR_LOG_OVER : WEIR_LOG_RECORD;
}

/* Brings in what is going to be told of soon. */
static void prefetch(const weir_log_feed *feed, const weir_log_window *window) {
#if defined(__GNUC__)
  enum { AHEAD = 4, LINE = 64 };
  const weir_log_entry *entry = weir_log_window_ahead(window, AHEAD);
  const char *record;
  if (!entry) return;
  record = (const char *)feed->records[entry->line];
  for (int i = 0; i < 6; i++) __builtin_prefetch(record + i * LINE);
#else
  (void)feed;
  (void)window;
#endif
}

weir_log_state weir_log_feed_next(weir_log_feed *feed, weir_log_record **out,
                                  int *number) {
  weir_log_state state = find_first(feed, number);
  source *s;
  if (state != WEIR_LOG_RECORD) return state;
  s = feed->sources[*number];
  *out = feed->records[weir_log_window_peek(&s->arrived)->line];
  weir_log_window_drop(&s->arrived);
  prefetch(feed, &s->arrived);
  (*out)->late = (*out)->arrival_ns < feed->last_ns;
  if ((*out)->late) (*out)->arrival_ns = feed->last_ns;
  s->counts.late += (*out)->late;
  feed->last_ns = (*out)->arrival_ns;
  return state;
}

const weir_log_counts *weir_log_feed_counts(const weir_log_feed *feed,
                                            int number) {
  return &feed->sources[number]->counts;
}

const weir_log_format *weir_log_feed_format(const weir_log_feed *feed,
                                            int number) {
  return &feed->sources[number]->format;
}
