/* format.c - what a request wants; see weir_status.h. */
#include <string.h>

#include "status.h"

enum { QUALITY_MOST = 1000, KINDS = 3 };

/* A piece of text, not ended by a NUL. */
typedef struct piece {
  const char *at;
  size_t size;
} piece;

static int lower(int c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; }

/* Whether it is this word, in whatever case. */
static bool is(piece text, const char *word) {
  if (text.size != strlen(word)) return false;
  for (size_t i = 0; i < text.size; i++)
    if (lower(text.at[i]) != word[i]) return false;
  return true;
}

static piece trimmed(piece text) {
  while (text.size && (*text.at == ' ' || *text.at == '\t')) {
    text.at++;
    text.size--;
  }
  while (text.size &&
         (text.at[text.size - 1] == ' ' || text.at[text.size - 1] == '\t'))
    text.size--;
  return text;
}

/* Cuts the part before the first `by` off the rest. */
static piece cut(piece *rest, char by) {
  piece part = *rest;
  const char *found = rest->size ? memchr(rest->at, by, rest->size) : NULL;
  if (found) part.size = (size_t)(found - rest->at);
  rest->at += part.size + (found != NULL);
  rest->size -= part.size + (found != NULL);
  return part;
}

/* --- the query ------------------------------------------------------------ */

static const char *const names[KINDS] = { "json", "metrics", "html" };

/* The last `format=` counts that names one; -1: none does. */
static int asked_for(piece query) {
  int asked = -1;
  while (query.size) {
    piece value = cut(&query, '&'), name = cut(&value, '=');
    for (int kind = 0; is(name, "format") && kind < KINDS; kind++)
      if (is(value, names[kind])) asked = kind;
  }
  return asked;
}

/* --- Accept --------------------------------------------------------------- */

/* "1", "0.25": thousandths; what is none counts as 1. */
static int quality(piece text) {
  int value = 0, digit = QUALITY_MOST;
  if (!text.size || (*text.at != '0' && *text.at != '1')) return QUALITY_MOST;
  for (size_t i = 0; i < text.size && digit; i++) {
    if (i == 1 && text.at[i] == '.') continue;
    if (text.at[i] < '0' || text.at[i] > '9') return QUALITY_MOST;
    value += (text.at[i] - '0') * digit;
    digit /= 10;
  }
  return value < QUALITY_MOST ? value : QUALITY_MOST;
}

static int quality_of(piece parameters) {
  while (parameters.size) {
    piece value = trimmed(cut(&parameters, ';')), name;
    name = cut(&value, '=');
    if (is(name, "q")) return quality(value);
  }
  return QUALITY_MOST;
}

/* How exactly a media range names what a kind is; 0: not at all. */
static int exactness(piece range, int kind) {
  static const char *const types[KINDS][3] = {
    { "application/json", "application/*", NULL },
    { "application/openmetrics-text", "text/plain", NULL },
    { "text/html", "text/*", "application/xhtml+xml" },
  };
  if (is(range, "*/*")) return 1;
  for (int i = 0; i < 3; i++)
    if (types[kind][i] && is(range, types[kind][i]))
      return types[kind][i][strlen(types[kind][i]) - 1] == '*' ? 2 : 3;
  return 0;
}

/* What a field says of a kind, by its most exact range: how much it is liked,
** and how exactly it is named. */
typedef struct liking {
  int quality, exactness;
} liking;

static liking liking_of(piece accept, int kind) {
  liking best = { 0, 0 };
  while (accept.size) {
    piece parameters = cut(&accept, ',');
    piece range = trimmed(cut(&parameters, ';'));
    liking this = { quality_of(parameters), exactness(range, kind) };
    if (this.exactness > best.exactness ||
        (this.exactness && this.exactness == best.exactness &&
         this.quality > best.quality))
      best = this;
  }
  return best;
}

/* What is named is meant: a range for everything is less than that. */
static bool is_better(liking a, liking b) {
  if (a.quality != b.quality) return a.quality > b.quality;
  return a.quality && a.exactness > b.exactness;
}

weir_status_kind weir_status_format(const char *query, size_t query_size,
                                    const char *accept, size_t accept_size) {
  piece field = { accept, accept_size };
  int asked = asked_for((piece){ query, query_size });
  int best = WEIR_STATUS_JSON;
  if (asked >= 0) return (weir_status_kind)asked;
  for (int kind = 1; kind < KINDS; kind++)
    if (is_better(liking_of(field, kind), liking_of(field, best))) best = kind;
  return (weir_status_kind)best;
}

/* --- what it is sent as --------------------------------------------------- */

const char *weir_status_type(weir_status_kind kind) {
  switch (kind) {
  case WEIR_STATUS_METRICS:
    return "application/openmetrics-text; version=1.0.0; charset=utf-8";
  case WEIR_STATUS_HTML: return "text/html; charset=utf-8";
  case WEIR_STATUS_JSON:
  default: return "application/json";
  }
}
