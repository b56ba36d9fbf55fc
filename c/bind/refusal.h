/*
** refusal.h - refusals, and what is known of the limiter that refuses.
*/
#ifndef WEIR_BIND_REFUSAL_H
#define WEIR_BIND_REFUSAL_H

#include <lua.h>
#include <weir.h>

struct bind_limiter;

/* --- look.c: what limiters say of themselves ------------------------------ */

/* What is known of a limiter. */
typedef struct bind_knowledge {
  weir_config config;
  weir_key_info key;
  weir_quota quota;
} bind_knowledge;

/* Finds out what a request is told. Answers what stands against it: 0 or
** WEIR_E_.... */
int bind_look(const struct bind_limiter *limiter, const weir_request *request,
              bind_knowledge *out);

/* HTTP's fields of a limiter: see weir_text.h. "": there is nothing to say. */
typedef struct bind_http {
  char policy[512]; /* RateLimit-Policy */
  char limit[512];  /* RateLimit */
  char retry[32];   /* Retry-After */
} bind_http;

/* Fills them in, for the limiter at an index. */
void bind_write_http(lua_State *L, int limiter, const bind_knowledge *known,
                     bind_http *out);

/* --- refusal.c: the sentences --------------------------------------------- */

/* Pushes nil and the error object of another wait than a limiter's; answers
** 2. `what` was waited for. */
int bind_refuse(lua_State *L, weir_verdict verdict, const char *what);

/* A refused request to a limiter. */
typedef struct bind_refusal {
  int limiter; /* stack index of the object */
  int key;     /* stack index of the key; 0: none */
  weir_verdict verdict;
  uint32_t cost;
  uint64_t waited_ns;
} bind_refusal;

/* Pushes nil and its error object; answers 2. */
int bind_limiter_refuse(lua_State *L, const bind_refusal *refusal);

/* Whether the value at `index` is the refusal of a limiter; then the limiter is
** pushed, whatever has become of it. */
bool bind_push_refuser(lua_State *L, int index);

/* HTTP's fields of the refusal at `index`; false: there are none. */
bool bind_refusal_http(lua_State *L, int index, bind_http *out);

/* What the code of the refusal at `index` says; WEIR_VERDICTS: nothing that
** there is. */
weir_verdict bind_refusal_verdict(lua_State *L, int index);

#endif
