/*
** bind.h - what the files of the Lua binding share.
**
** A weir_lua is everything weir keeps for one Lua state: its own space and the
** shared ones it opened, a port in each, the host that drives them, and a fiber
** for every coroutine that weir resumes. All C functions of the module have it
** as their first upvalue.
*/
#ifndef WEIR_BIND_H
#define WEIR_BIND_H

#include <lauxlib.h>
#include <lua.h>
#include <weir.h>
#include <weir_event.h>

#include "../core/slab.h"
#include "compat.h"
#include "field.h"
#include "refusal.h"
#include "space.h"

/* Of a fiber. */
typedef enum bind_state {
  BIND_RUNNING,  /* being resumed, or in somebody else's hands */
  BIND_RUNNABLE, /* in the run queue: just spawned, or gave way */
  BIND_WAITING,  /* its ticket is not decided */
  BIND_DECIDED,  /* its ticket is; in the run queue unless being resumed */
  BIND_RESTING,  /* yielded to whoever made it, who will run it again */
  BIND_ENDING,   /* its coroutine is being closed */
  BIND_DONE,     /* returned; from here on it is finished */
  BIND_FAILED,   /* raised */
  BIND_CANCELED  /* closed */
} bind_state;

/* A coroutine that weir resumes: a task, or a stranger while it waits. */
typedef struct bind_fiber {
  weir_record record;   /* record.next: in the run queue or a list of joiners */
  uint32_t prev;        /* in the same list; 0: the first */
  uint32_t joiners;     /* the first fiber that waits for this one's end */
  uint32_t joins;       /* the fiber it waits for; 0: none */
  int32_t base;         /* stack height at the wait */
  lua_State *co;        /* anchored in the fibers table; NULL once finished */
  weir_ticket ticket;   /* what it waits for, or was granted by the wait */
  bind_space *space;    /* the ticket's */
  void *source;         /* a weir_watch or weir_lookup it waits with, or NULL */
  uint64_t waited;      /* ns, once decided */
  weir_limiter limiter; /* who decided */
  uint32_t cost;        /* permits asked for, once decided */
  uint8_t state;        /* bind_state */
  uint8_t verdict;      /* weir_verdict, once decided */
  uint8_t lookup : 1;   /* `source` is a weir_lookup */
  uint8_t queued : 1;   /* in the run queue, or put off */
  uint8_t later : 1;    /* put off to the next frame */
  uint8_t task : 1;     /* made by spawn */
  uint8_t handled : 1;  /* a task object exists that may join it */
  uint8_t claimed : 1;  /* somebody saw its error */
  uint8_t outcome : 1;  /* there is one in the table */
} bind_fiber;

struct bind_request;

/* Who is told what becomes of requests to limiters (see replay.c). */
typedef struct bind_observer {
  void *data;
  /* WAITING: `fiber` does */
  void (*asked)(void *data, const struct bind_request *request, int verdict,
                uint32_t fiber);
  void (*decided)(void *data, uint32_t fiber, weir_verdict verdict,
                  uint64_t waited_ns);
} bind_observer;

typedef struct weir_lua {
  bind_space home;
  bind_space *opened; /* the first of the shared ones */
  weir_slab fibers;
  weir_slab held;                   /* slots of held permits; see held.c */
  uint32_t later_first, later_last; /* those who gave way in this frame */
  uint32_t run_first, run_last;     /* the run queue, of fiber indices */
  uint32_t current;                 /* the fiber being resumed; 0: none */
  lua_State *current_co;            /* its coroutine; NULL: none */
  uint64_t current_id;              /* its handle */
  lua_State *ended;    /* whose guard has nothing left to do; NULL: nobody's */
  lua_State *driver;   /* who resumes */
  uint64_t now;        /* ns: the turn's time */
  uint64_t collect_at; /* ns: garbage was looked for a second before */
  long pid;         /* whose descriptors the loop has; after a fork: not ours */
  uint32_t alive;   /* fibers that are not finished */
  uint32_t sources; /* fibers that wait for a descriptor or a name */
  int idle_calls;   /* free call records in the pool */
  bool failed;      /* bind_fail noted something */
  bool unclaimed;   /* a task failed, and nobody has seen it yet */
  bool virtual_time; /* `now` is given by step */
  bool driving;      /* coroutines are being resumed */
  bool stepping;     /* inside a frame: weir.step, weir_lua_step */
  bool sentinel;     /* one is posted; see held.c */
  bool running;      /* inside weir.run */
  bool attached;     /* the loop's base is the program's */
  bool refused;      /* the limited call that returned last was refused */
  bool measures;     /* some limit is adaptive: releases tell the exact time */
  bool looking;      /* spaces are being walked through: none is freed */
  bool stirred;      /* somebody was resumed in this turn of the loop */
  bool littered;     /* somebody was since garbage was last looked for */
  bool fresh;        /* `now` has just been read, and nobody has used it */
  bool hosted; /* a program runs the tasks: there is no loop to run, and it
                  listens to the spaces, which stay */
  const void *refusal; /* as a pointer, the one that was made last; it may be no
                          more, and then no other one has it */
  uint64_t refused_at; /* ns: `now`, then */
  bind_knowledge known; /* then */
  weir_outcome outcome; /* of calls whose function returns */
  bool pretends;        /* weir.pretend: shared spaces are made up */
  bool traces;          /* weir.trace: where permits are asked for is noted */
  uint64_t epoch;       /* ns since 1970 of virtual time 0, in UTC */
  const bind_observer *observer;              /* NULL: nobody */
  void (*on_error)(lua_State *L, void *data); /* attached: see weir_lua.h */
  void *on_error_data;
  struct weir_status *status; /* what weir.status has read; NULL: nothing yet */
  struct weir_status *status_of_one; /* likewise, when asked for one space */
} weir_lua;

/* How a wait ended. */
typedef struct bind_result {
  weir_verdict verdict;
  weir_ticket ticket; /* held if a limiter admitted */
  uint64_t waited_ns;
  uint32_t cost;        /* permits asked for */
  weir_limiter limiter; /* who decided; 0: none */
  weir_lookup *lookup;  /* answered, the caller's to free; or NULL */
  bool guarded;         /* a stranger's: a guard lies on top of the stack; close
                          it (which may raise) or leave it to the return */
} bind_result;

/* The runtime of a C function of the module. */
static inline weir_lua *bind_self(lua_State *L) {
  weir_lua *W = lua_touserdata(L, lua_upvalueindex(1));
  if (!W->home.port) luaL_error(L, "weir: this Lua state is being closed");
  return W;
}

/* --- runtime.c ------------------------------------------------------------ */

/* Pushes the state's runtime, made if need be. */
weir_lua *bind_open(lua_State *L);

/* The state's runtime, or NULL. */
weir_lua *bind_find(lua_State *L);

/* The time: exact, or the turn's while coroutines are driven. While nothing
** waits in this state the time decides nothing, and the last one will do. */
uint64_t bind_now(weir_lua *W, bool exact);

/* The time of a call in a space: where others decide, too, it is exact. */
static inline uint64_t bind_time(const bind_space *space, bool exact) {
  return bind_now(space->W, exact || space->shared);
}

/* Tells the host that something may have been decided, unless it is looking. */
void bind_touch(weir_lua *W);

/* To be called where a loop is run or freed: it may be that of the process that
** this one was forked from. */
void bind_after_fork(weir_lua *W);

/* The libevent host, made if need be; raises where there can be none. */
weir_loop *bind_loop(lua_State *L, weir_lua *W);

/* The runtime's tables, in the registry. */
typedef enum bind_table {
  BIND_FIBERS, /* [thread] = index: anchors the coroutines that weir resumes */
  BIND_OUTCOMES,  /* [index] = {results, n=} or {error, traceback} */
  BIND_IDLE,      /* [1..idle_calls]: call records nobody uses; see call.c */
  BIND_HELD,      /* [slot] = permit, weakly; see held.c */
  BIND_SPACES,    /* [bind_space] = its object, weakly */
  BIND_MADE,      /* ["file:line"] = how many limiters were made there */
  BIND_PRETENDED, /* [url] = true: the spaces that were made up */
  BIND_TABLES     /* how many there are */
} bind_table;

/* Places that BIND_IDLE is made with, so that keeping a record in it never
** allocates. */
enum { BIND_IDLE_CALLS = 256 };

void bind_push_table(lua_State *L, bind_table which);

/* --- fiber.c: coroutines that weir resumes -------------------------------- */

static inline bind_fiber *bind_fiber_at(const weir_lua *W, uint32_t index) {
  return (bind_fiber *)(void *)W->fibers.array.base + index;
}

/* A fiber for the thread on top of L's stack (popped, anchored). Raises. */
uint32_t bind_fiber_new(lua_State *L, weir_lua *W, bool task);

/* Makes a task another one, in the same coroutine: who knew the old one does
** not know it. Answers its new id. */
uint64_t bind_fiber_renew(weir_lua *W, uint32_t fiber);

/* The fiber of L's running coroutine; 0: it has none. */
uint32_t bind_fiber_of(lua_State *L, const weir_lua *W);

/* Lets go of the coroutine: it is finished, or no longer waits. */
void bind_fiber_unanchor(lua_State *L, weir_lua *W, uint32_t fiber);

void bind_run_queue_add(weir_lua *W, uint32_t fiber);
void bind_run_queue_remove(weir_lua *W, uint32_t fiber);

/* Adds a fiber that gave way: at once, or in a frame when that is over. */
void bind_run_queue_again(weir_lua *W, uint32_t fiber);
void bind_run_queue_end_frame(weir_lua *W);

/* The list of fibers that wait for the end of `target`. */
void bind_join(weir_lua *W, uint32_t joiner, uint32_t target);
void bind_unjoin(weir_lua *W, uint32_t joiner);

/* --- wait.c: the one way to wait ------------------------------------------ */

enum { BIND_NO_TICKET = 0 }; /* of a wait that bind_wait_end alone ends */

/*
** To wait: bind_wait_prepare (may raise, so before there is a ticket), get a
** ticket whose cookie is bind_fiber_id, then return what bind_wait answers. It
** suspends L's coroutine; afterwards k runs with the stack as it was, asks
** bind_wait_over, and answers bind_wait_again while it is not.
*/
uint32_t bind_wait_prepare(lua_State *L, weir_lua *W, const char *what);
void bind_wait_skip(lua_State *L, weir_lua *W, uint32_t fiber);
int bind_wait(lua_State *L, bind_space *space, uint32_t fiber,
              weir_ticket ticket, lua_KFunction k);
bool bind_wait_over(lua_State *L, weir_lua *W, lua_KContext id,
                    bind_result *out);
int bind_wait_again(lua_State *L, lua_KContext id, lua_KFunction k);

/* A parked ticket for a prepared fiber. Raises when memory ran out. */
weir_ticket bind_park(lua_State *L, weir_lua *W, uint32_t fiber,
                      uint64_t deadline);

static inline uint64_t bind_fiber_id(const weir_lua *W, uint32_t fiber) {
  return weir_slab_handle(&W->fibers, fiber);
}

/* Takes the decided tickets to their fibers and these to the run queue: those
** of home, or with `all` of every space. */
void bind_collect(weir_lua *W, bool all);

/* Ends a wait without a ticket: it goes on when the run queue comes to it. */
void bind_wait_end(weir_lua *W, uint32_t fiber);

/* Ends all waits in a space that is being closed: they are told CLOSED. */
void bind_wait_end_all(const bind_space *space);

/* Likewise in the spaces that are damaged or forked: they raise. */
void bind_wait_end_troubled(weir_lua *W);

/* Ends a wait that will not be taken up again: the ticket leaves its queue. */
void bind_wait_abort(weir_lua *W, uint32_t fiber);

/* Pushes the value whose __close ends a fiber's wait. */
void bind_push_guard(lua_State *L);

/* --- drive.c: resuming ---------------------------------------------------- */

/* Makes it `now` in virtual time, and does what is due at it. */
void bind_set_time(weir_lua *W, uint64_t now);

/* Resumes up to `budget` fibers on L; answers how many, or -1 with an error
** on L's stack. Does not raise. */
int bind_drive(lua_State *L, weir_lua *W, int budget);

/* Likewise this one, which is in the run queue; others wait. The turn's time is
** as it was. Answers 1 or -1. */
int bind_drive_one(lua_State *L, weir_lua *W, uint32_t fiber);

/* As bind_drive, for whoever is `driving` already; raises where memory ran
** out. */
int bind_drive_bare(lua_State *L, weir_lua *W, int budget);

/* Ends a task with the outcome on top of L (popped): nil, {results, n=} or
** {error, traceback}. `state` is DONE, FAILED or CANCELED. */
void bind_finish(lua_State *L, weir_lua *W, uint32_t fiber, bind_state state);

/* Closes a task's coroutine where it is suspended. */
void bind_cancel(lua_State *L, weir_lua *W, uint32_t fiber);

/* Closes all tasks. */
void bind_cancel_all(lua_State *L, weir_lua *W);

/* Forgets all errors that nobody has seen: a run that ends by one of them, or
** by an interrupt, tells no more than one. */
void bind_claim_all(weir_lua *W);

/* Pushes the outcome of a finished task, or nil. */
void bind_push_outcome(lua_State *L, uint32_t fiber);

/* Forgets a finished task that no task object refers to any more. */
void bind_forget(lua_State *L, weir_lua *W, uint32_t fiber);

/* Notes the {error, traceback} on top of L (popped) as nobody's to join. */
void bind_fail(lua_State *L, weir_lua *W);

/* Raises what bind_fail noted first, with its traceback if it is a string. */
int bind_raise_failure(lua_State *L, weir_lua *W);

/* Pushes it. Does not raise. */
void bind_push_failure(lua_State *L, weir_lua *W);

/* To be called by whoever drives, before it sleeps: finds the errors of tasks
** that nobody can join any more. */
void bind_find_lost_errors(lua_State *L, weir_lua *W);

/* To be called by whoever drives, after each turn: finds the permits of shared
** spaces that nobody here can reach any more. */
void bind_find_lost_permits(lua_State *L, weir_lua *W);

/* --- options.c: the one parser of options --------------------------------- */

typedef enum bind_kind {
  BIND_COUNT,              /* uint32_t: a whole number from min to max */
  BIND_SIGNED,             /* int32_t: likewise, min and max being signed */
  BIND_SECONDS,            /* uint64_t, ns: 0 (min 1: more) to a billion
                              seconds */
  BIND_NUMBER,             /* double, above 0 */
  BIND_SIZE,               /* uint64_t, bytes: a number, or "256k" "16m" "1g" */
  BIND_FLAG,               /* bool */
  BIND_CHOICE,             /* uint32_t: the place of a string in `names` */
  BIND_TEXT,               /* const char *: min to max bytes, without NUL; the
                              caller's table keeps it */
  BIND_FUNCTION,           /* bool: whether it is there */
  BIND_COUNT_OR_FUNCTION,  /* uint32_t: 0 for a function */
  BIND_SIGNED_OR_FUNCTION, /* int32_t: INT32_MIN for a function */
  BIND_OTHER,              /* `read` knows */
  BIND_FIXED               /* known, but not to be given in this call */
} bind_kind;

typedef struct bind_option {
  const char *name; /* NULL ends a list */
  void (*read)(lua_State *L, int index, const char *who,
               const struct bind_option *option, void *out); /* of an OTHER */
  const char *const *names; /* of a CHOICE; NULL ends them */
  size_t offset;            /* of the field in the caller's struct */
  uint64_t none;            /* what `false` stands for, if it may be ... */
  bind_kind kind;
  uint32_t min, max;
  bool may_be_none; /* ... which takes the option back */
} bind_option;

/* Reads the table at `index` into `out`. Raises for an unknown name or a wrong
** value, at the caller's line; `who` is what was called: "weir.limiter". */
void bind_read_options(lua_State *L, int index, const char *who,
                       const bind_option *options, void *out);

/* Reads one value, at `index`. */
void bind_read_option(lua_State *L, int index, const char *who,
                      const bind_option *option, void *out);

/* An optional number of seconds as a deadline from now; absent: NEVER. */
uint64_t bind_deadline(lua_State *L, weir_lua *W, int index, const char *who);

/* Raises "who: name must be `expected`, got ...", about the value at `index`;
** `name` NULL: the argument itself. */
int bind_expected(lua_State *L, const char *who, const char *name,
                  const char *expected, int index);

/* Raises unless the value at `index` can be called. */
void bind_check_callable(lua_State *L, int index, const char *who,
                         const char *name);

/* --- types ---------------------------------------------------------------- */

/* A type's userdata start with the address of its tag; NULL: another type. */
static inline void *bind_test(lua_State *L, int index, const void *tag,
                              size_t size) {
  void *block = lua_touserdata(L, index);
  if (!block || lua_rawlen(L, index) != size) return NULL;
  return *(const void *const *)block == tag ? block : NULL;
}

/* A limiter; or several that are asked together (weir.all), and then it has no
** handle of its own. */
typedef struct bind_limiter {
  const void *tag;   /* see bind_test */
  bind_space *space; /* so that no upvalue has to be looked up */
  weir_limiter handle;
  uint32_t cost;   /* of a call; 0: a function knows */
  int8_t priority; /* of a call, unless a function knows; of members: each its
                      own, BIND_THEIR_OWN */
  uint8_t members; /* that are asked together; 0: it is one limiter */
  uint8_t slots;   /* values that asking its functions leaves on the stack */
  bool keyed;      /* it has an instance for each key */
  bool gone;       /* collected */
  bool asks;       /* some function has to be asked, or members */
  bool key_function, flow_function, priority_function;
} bind_limiter; /* uservalue: a table, see bind_field */

enum { BIND_THEIR_OWN = INT8_MIN }; /* no request can have this priority */

typedef struct bind_permit {
  const void *tag;
  weir_lua *W;
  uint64_t slot; /* handle; see held.c; 0: holds nothing (any more) */
} bind_permit;

/* In a limiter's uservalue table. */
typedef enum bind_field {
  BIND_LIMITER_LABEL = 1,
  BIND_LIMITER_COST,
  BIND_LIMITER_ON_REFUSE,
  BIND_LIMITER_KEY,
  BIND_LIMITER_FLOW,
  BIND_LIMITER_PRIORITY,
  BIND_LIMITER_REFUSAL, /* the metatable of its refusals, once there was one */
  BIND_LIMITER_OBJECTS, /* the list in BIND_LIMITERS that this one is in */
  BIND_LIMITER_MEMBERS  /* of several: a list of limiters */
} bind_field;

/* The limiter a method was called on; raises "who: expected a limiter", or that
** its space is closed. */
bind_limiter *bind_check_limiter(lua_State *L, const char *who);

/* As above, or several that are asked together. */
bind_limiter *bind_check_asked(lua_State *L, const char *who);

/* The limiter at `index`, or NULL. */
bind_limiter *bind_to_limiter(lua_State *L, int index);

/* Pushes an object that has this handle; false, and nothing: nobody has one. */
bool bind_push_limiter(lua_State *L, const bind_space *space,
                       weir_limiter limiter);

/* Pushes a new limiter object without a handle. */
bind_limiter *bind_limiter_new(lua_State *L, bind_space *space);

/* Pushes a field of the limiter's table. */
int bind_limiter_field(lua_State *L, int index, int field);

/* --- config.c: the options of a limiter ----------------------------------- */

typedef struct bind_settings {
  weir_config config;
  uint32_t cost;    /* 0: a function */
  int32_t priority; /* INT32_MIN: a function */
  const char *name; /* NULL: none */
  bind_space *space;
  bool key, flow, on_refuse; /* functions that are there */
  bool keyed;                /* by key or keys */
  /* What is read here first and then put into `config`: */
  double rate;     /* tokens per `per_ns`, if it was a number; else 0 */
  uint64_t per_ns; /* 0: not given */
  uint32_t burst, window, order, exhausted; /* UINT32_MAX: not given */
  bool rate_given, align, align_given;
} bind_settings;

/* Reads the options of weir.limiter, or of limiter:set with `change`, over what
** is in `base`. Raises. What it leaves on the stack keeps the space. */
void bind_read_settings(lua_State *L, weir_lua *W, int index, const char *who,
                        const weir_config *base, bool change,
                        bind_settings *out);

/* --- request.c: asking ---------------------------------------------------- */

/* What is asked of one limiter, or of several together. */
typedef struct bind_request {
  bind_space *space;
  uint32_t count;
  const weir_limiter *limiters;
  weir_request *requests;
  weir_limiter decider; /* who refused, or is waited for */
} bind_request;

/* The verdict on a request; WAITING: *fiber is to wait for *ticket. `limiter`:
** stack index of what is asked. Raises where it would have to wait and cannot,
** or would wait for permits that its own coroutine holds. */
weir_verdict bind_ask(lua_State *L, int limiter, bind_request *request,
                      uint32_t *fiber, weir_ticket *ticket);

/* What was asked of the one that refused. */
uint32_t bind_refused_cost(const bind_request *request);

/* Asks the functions of the limiter at `limiter` about a call whose arguments
** are at `first`, `count` of them; pushes `slots` values that the request then
** refers to. false: the call has no key, and passes freely. */
bool bind_ask_functions(lua_State *L, int limiter, int first, int count,
                        weir_request *out);

/* The key at `index`; raises "who: name must be ...". */
const void *bind_check_key(lua_State *L, int index, const char *who,
                           const char *name, uint32_t *size);

/* Whether all that has keys below this limiter has functions that know them. */
bool bind_has_key_functions(lua_State *L, int index);

/* Pushes the member of weir.all{...} that has this handle, or the first;
** answers how many slots those before it have. */
int bind_push_member(lua_State *L, int all, weir_limiter handle);

/* Pushes the table of methods. */
void bind_push_limiter_methods(lua_State *L);

/* Whoever holds a permit: a task by its fiber, another coroutine by itself. */
uint64_t bind_owner(lua_State *L);

/* Pushes a permit that holds nothing yet. */
bind_permit *bind_permit_new(lua_State *L, weir_lua *W, int metatable);

/* Gives the permit on top of the stack its ticket. Raises when memory ran out;
** the ticket is released then. `table`: stack index of BIND_HELD. */
void bind_hold(lua_State *L, bind_permit *permit, bind_space *space,
               weir_ticket ticket, int table);

/* Posts what finds dropped permits after the next collection. Raises. */
void bind_post_sentinel(lua_State *L, weir_lua *W);

/* Takes the ticket from a permit, and says in which space it is; 0: it has
** none. Whoever takes it is the space's user for it. */
weir_ticket bind_let_go(bind_permit *permit, bind_space **space);
void bind_push_permit_metatable(lua_State *L);

/* lua_CFunction, upvalues (runtime, ...): weir.limiter(fn), limiter:wrap(fn) */
int bind_wrap(lua_State *L);

/* Makes a task of the function and arguments on L's stack from `first` (taken
** off), pushes the task. */
uint32_t bind_spawn(lua_State *L, weir_lua *W, int first);

/* Pushes what a finished task returned and answers how many; or raises. */
int bind_push_result(lua_State *L, weir_lua *W, uint32_t fiber);

/* Pushes a message that names all who hold and all who wait. */
void bind_push_deadlock(lua_State *L, weir_lua *W);

/* Pushes what people call a limiter. */
void bind_push_limiter_label(lua_State *L, const bind_space *space,
                             weir_limiter limiter);

/* Pushes "file:line" of whoever called into this module. */
void bind_push_place(lua_State *L, const char *otherwise);

/* Notes where in the source a ticket was asked for; see weir.trace. */
void bind_trace(lua_State *L, bind_space *space, weir_ticket ticket);

/* Pushes "task 3 (crawl.lua:12)". */
void bind_push_fiber_name(lua_State *L, weir_lua *W, uint64_t id);

/* --- each file adds its functions to the module table on top of L --------- */

/* Registers functions with the runtime, which is at index `self`. */
void bind_register(lua_State *L, int self, const luaL_Reg *functions);

/* A metatable under `key` in the registry, with methods and metamethods. */
void bind_register_type(lua_State *L, int self, const void *key,
                        const char *name, const luaL_Reg *methods,
                        const luaL_Reg *metamethods);

void bind_open_spaces(lua_State *L, int self);
void bind_open_wait(lua_State *L, int self);
void bind_open_refusal(lua_State *L, int self);
void bind_open_held(lua_State *L, int self);
void bind_open_permit(lua_State *L, int self);
void bind_open_call(lua_State *L, int self);
void bind_open_limiter(lua_State *L, int self);
void bind_open_request(lua_State *L, int self);
void bind_open_all(lua_State *L, int self);
void bind_open_look(lua_State *L, int self);
void bind_open_report(lua_State *L, int self);
void bind_open_status(lua_State *L, int self);
void bind_open_task(lua_State *L, int self);
void bind_open_host(lua_State *L, int self);
void bind_open_source(lua_State *L, int self);
void bind_open_replay(lua_State *L, int self);

/* A program's own time may be 0, but to the engine a deadline of 0 is none:
** inside, virtual time is that much ahead. */
enum { BIND_VIRTUAL_ZERO = 1 };

#endif
