/*
** half.h - what the files of the Lua half of the nginx module share.
**
** ROOMS
**   half.c      the table that the module finds: policies, their descriptors
**   state.c     a policy's Lua state: its memory, its modules, its script
**   call.c      calls: a coroutine for each request, from begin to end
**   memory.c    how much memory it may have
**   budget.c    how long it may run
**   request.c   req: a request's fields
**   look.c      req.headers, req.var and the other tables that are read
**   decide.c    what a handler has decided, as the module is told
**   response.c  what a script sets of the response
**
** LIMITS
**   Memory and instructions are counted while a script runs, not while this
**   half works for it: what is due to a script that has used up its share, as a
**   traceback, is still there.
*/
#ifndef WEIR_NGINX_HALF_H
#define WEIR_NGINX_HALF_H

#include "../policy.h"

#include "../../bind/bind.h"

/* Whose a coroutine is: every Lua thread has the address of one of these in its
** extra space. Those that a script makes have that of the policy. */
typedef struct half_owner {
  weir_policy *policy;
  weir_policy_call *call; /* NULL: nobody's */
} half_owner;

/* Where things lie on the main thread's stack, and what they are. */
typedef enum half_slot {
  HALF_MAKE = 1, /* the function that makes a coroutine */
  HALF_HANDLERS, /* [number] = function, [name] = number */
  HALF_WARNINGS, /* a list of sentences */
  HALF_FIXED = HALF_WARNINGS
} half_slot;

/* What leads from a req to its call. */
typedef struct half_ref {
  weir_record record;
  weir_policy_call *call;
} half_ref;

enum {
  HALF_IDLE_MAX = 1024, /* coroutines that are kept to be used again */
  HALF_BLOCK_STEP = 16, /* bytes between the sizes of kept blocks of memory */
  HALF_BLOCK_SIZES = 8
};

typedef struct half_block half_block;

struct weir_policy {
  half_owner nobody;
  lua_State *L; /* the main thread */
  weir_lua *W;
  size_t used, limit; /* bytes; limit 0: as many as it likes */
  half_block *blocks[HALF_BLOCK_SIZES]; /* kept ones, by size */
  bool limited;   /* a script runs: the limit of memory counts */
  bool starved;   /* it was refused some */
  bool exhausted; /* its instructions are used up */
  char exhausted_at[LUA_IDSIZE + 16]; /* where: "limits.lua:3: " */
  uint32_t budget;     /* thousands of instructions; 0: any number */
  uint64_t left;       /* looks at them that are left */
  uint64_t until;      /* ns, how long it may run; 0: nobody has looked yet */
  uint64_t errors_at;  /* ns, when to look for those of tasks again */
  uint64_t due;        /* ns, when something is, as of the last step */
  uint32_t proceeding; /* calls in req:proceed() */
  int idle;            /* coroutines that rest */
  lua_CFunction yield; /* coroutine.yield */
  ngx_queue_t decided; /* calls that the module has to be told of */
  weir_slab calls;     /* of half_ref: the calls that last */
  uint64_t resting[HALF_IDLE_MAX]; /* ids of fibers */
};

typedef enum half_state {
  HALF_RUNS,     /* its handler has not decided */
  HALF_PROCEEDS, /* it waits in req:proceed() */
  HALF_RETURNED  /* its coroutine is no more */
} half_state;

struct weir_policy_call {
  half_owner owner;
  ngx_queue_t link; /* in `decided`, if it is queued */
  ngx_http_request_t *r;
  lua_State *co;  /* NULL: it has returned, or was closed */
  uint64_t fiber; /* id, of co */
  int handler;    /* its number */
  half_state state;
  bool waits;       /* the module was told that it waits */
  bool queued;      /* it is in `decided` */
  bool settled;     /* `step` and `decision` say what was decided */
  bool over;        /* the request is */
  uint64_t handle;  /* by which its req finds it */
  uint64_t since;   /* ns, when it began */
  uint64_t longest; /* ns, its longest wait for a limiter */
  weir_policy_step step;
  weir_policy_decision decision;
  const weir_policy_result *result; /* while it is handed on */
};

static inline half_owner *half_owner_of(lua_State *L) {
  return *(half_owner **)lua_getextraspace(L);
}

static inline void half_own(lua_State *L, half_owner *owner) {
  *(half_owner **)lua_getextraspace(L) = owner;
}

/* --- state.c -------------------------------------------------------------- */

/* A policy with its script loaded; NULL: `why`. */
weir_policy *half_state_new(const weir_policy_options *options, char *why);
void half_state_free(weir_policy *policy);

/* --- call.c --------------------------------------------------------------- */

/* Pushes the function of HALF_MAKE; stack indices of weir.policy and of the
** handlers. */
void half_push_make(lua_State *L, int module, int handlers);

/* The time, as the module has just read it. */
static inline void half_set_time(weir_policy *policy, uint64_t now) {
  policy->W->now = now;
  policy->W->fresh = true;
}

/* Runs a handler until it decides or waits. */
void half_begin(weir_policy_call *call);

/* The request is over. */
void half_end(weir_policy_call *call, const weir_policy_result *result);

/* Resumes a fiber that may go on, and sees what has become of it. */
void half_resume(weir_policy *policy, uint32_t fiber);

/* Logs the error of a task that nobody joins, if there is one. */
void half_log_failure(weir_policy *policy);

/* What a call has come to. */
weir_policy_step half_step_of(const weir_policy_call *call);

/* req:proceed() */
int half_proceed(lua_State *L);

/* --- memory.c ------------------------------------------------------------- */

/* lua_Alloc; data: the policy. */
void *half_allocate(void *data, void *had, size_t before, size_t size);

/* Frees the blocks that are kept. */
void half_free_blocks(weir_policy *policy);

/* --- budget.c ------------------------------------------------------------- */

/* Gives a coroutine that is about to run its share of instructions. */
void half_budget_begin(weir_policy *policy, lua_State *co);

/* From here on it is this half that runs. */
void half_budget_end(weir_policy *policy, lua_State *co);

/* Pushes what an error says, with the directive that helps if memory was the
** reason. */
const char *half_push_error(lua_State *L, const weir_policy *policy,
                            const char *message);

/* --- request.c ------------------------------------------------------------ */

/* Pushes the metatable of req. */
void half_push_request_metatable(lua_State *L);

/* Pushes req of a call; `metatable`: stack index. */
void half_push_request(lua_State *L, const weir_policy_call *call,
                       int metatable);

/* Lets req find the call from here on, and no longer. false: no memory. */
bool half_link_request(weir_policy_call *call);
void half_unlink_request(weir_policy_call *call);

/* The call of the req at `index`. Raises where its request is over, but with
** `after` not while its handler goes on behind req:proceed(). */
weir_policy_call *half_check_request(lua_State *L, int index, bool after);

static inline void half_push_str(lua_State *L, const ngx_str_t *text) {
  lua_pushlstring(L, (const char *)text->data, text->len);
}

/* --- look.c --------------------------------------------------------------- */

/* The tables in which to look; req is at index 1. */
void half_push_headers(lua_State *L);
void half_push_variables(lua_State *L);
void half_push_ssl(lua_State *L, ngx_http_request_t *r);

/* Makes their types. */
void half_open_looks(lua_State *L);

/* Pushes a variable of nginx's, in lower case; nil: it has no value. */
int half_push_variable(lua_State *L, ngx_http_request_t *r, const char *name,
                       size_t size);

/* Pushes a field of the request by its name in lower case, or nil. */
int half_push_header(lua_State *L, ngx_http_request_t *r, const char *name,
                     size_t size);

/* --- decide.c ------------------------------------------------------------- */

/* Notes what a handler has come to: `kind` and its value, as weir.policy's
** conclude answers, are on top of L. */
void half_decide(lua_State *L, weir_policy_call *call);

void half_decide_pass(weir_policy_call *call);

/* Notes that it hands on a limiter's refusal, or another wait's; `refusal`: its
** stack index. */
void half_decide_refusal(lua_State *L, weir_policy_call *call, int refusal);

/* Notes that it failed. */
void half_decide_failed(weir_policy_call *call, const char *why);

/* Notes that it is refused by the script: (req, status, headers, body). */
void half_decide_answer(lua_State *L, weir_policy_call *call);

/* Notes how long it has waited until now. */
void half_note_waited(weir_policy_call *call);

/* A copy of the text at `index` that lives as long as the request, with a NUL
** behind it; "" if it is none, or if there is no memory. */
ngx_str_t half_copy(ngx_pool_t *pool, lua_State *L, int index);
ngx_str_t half_copy_text(ngx_pool_t *pool, const char *text, size_t size);

/* --- response.c ----------------------------------------------------------- */

/* Pushes what req:proceed() answers. */
void half_push_response(lua_State *L, const weir_policy_result *result);
void half_open_response(lua_State *L); /* makes its type */

#define HALF_ANSWERED "weir.answered" /* registry key of what refuse answers */

int half_refuse(lua_State *L);     /* req:refuse(status, headers, body) */
int half_set_header(lua_State *L); /* req:set_header(name, value) */

/* Fields of a response are set by a filter of nginx's, in a worker. */
void half_install_filter(void);

/* --- the scripts that are built in ---------------------------------------- */

typedef struct half_file {
  const char *name; /* "weir.stack"; NULL ends the list */
  const unsigned char *text;
  size_t size;
} half_file;

extern const half_file half_files[];

#endif
