/* interrupt.c - see interrupt.h. */
#include "interrupt.h"

#include <event2/event.h>
#include <signal.h>

static volatile sig_atomic_t interrupted;
static weir_lua *runtime;          /* whose run has SIGINT; NULL: nobody's */
static struct event *event;        /* libevent's half: wakes the loop */
static struct sigaction libevents; /* its handler, called by ours */

static void stop(lua_State *L, lua_Debug *frame) {
  (void)frame;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted");
}

/* Only what may be done in a signal handler: setting a hook is meant for it. */
static void on_signal(int signal) {
  lua_State *co = runtime ? runtime->current_co : NULL;
  interrupted = 1;
  if (co) lua_sethook(co, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  libevents.sa_handler(signal);
}

static void on_event(evutil_socket_t signal, short what, void *data) {
  (void)signal;
  (void)what;
  weir_loop_break(data);
}

void bind_interrupt_begin(weir_lua *W) {
  struct sigaction action;
  interrupted = 0;
  if (runtime || sigaction(SIGINT, NULL, &action)) return;
  if (action.sa_handler == SIG_IGN) return;
  event = evsignal_new(weir_loop_base(W->home.loop), SIGINT, on_event,
                       W->home.loop);
  if (!event) return;
  evsignal_add(event, NULL);
  sigaction(SIGINT, NULL, &libevents);
  action = libevents;
  action.sa_handler = on_signal;
  runtime = W;
  sigaction(SIGINT, &action, NULL);
}

void bind_interrupt_end(void) {
  interrupted = 0;
  if (!runtime) return;
  sigaction(SIGINT, &libevents, NULL);
  event_free(event); /* libevent puts back what was there before */
  event = NULL;
  runtime = NULL;
}

void bind_interrupt_forget(lua_State *co) {
  if (lua_gethook(co) == stop) lua_sethook(co, NULL, 0, 0);
}

bool bind_interrupted(void) { return interrupted != 0; }
