/*
** budget.c - how long a script may run.
**
** A count hook looks every hundred instructions. Once the share is used up it
** looks at each one, so that no pcall of the script's goes on for long: what is
** behind it is stopped as well. Coroutines that a script makes inherit the hook
** and draw on the same share. Some instructions take long, as a call that moves
** a large table: so the time counts as well, from the first look on.
*/
#include <weir_event.h>

#include "half.h"

enum { STEP = 100, LOOKS_PER_THOUSAND = 1000 / STEP, SECONDS = 2 };

static bool is_in_time(weir_policy *policy) {
  uint64_t now = weir_loop_now();
  if (!policy->until) policy->until = now + (uint64_t)SECONDS * BIND_S_TO_NS;
  return now < policy->until;
}

/* Whatever tries to make a better message of it is stopped as well: the place
** is that of the first time. */
static void note_place(lua_State *L, weir_policy *policy) {
  luaL_where(L, 0); /* a hook is no function on the stack */
  snprintf(policy->exhausted_at, sizeof policy->exhausted_at, "%s",
           lua_tostring(L, -1));
  lua_pop(L, 1);
}

static void look(lua_State *L, lua_Debug *frame) {
  weir_policy *policy = half_owner_of(L)->policy;
  (void)frame;
  if (!policy->exhausted && policy->left > 0 && is_in_time(policy)) {
    policy->left--;
    if (lua_gethookcount(L) != STEP) lua_sethook(L, look, LUA_MASKCOUNT, STEP);
    return;
  }
  if (!policy->exhausted) note_place(L, policy);
  policy->exhausted = true;
  lua_sethook(L, look, LUA_MASKCOUNT, 1);
  luaL_error(L,
             "%smore than %d thousand instructions without a wait, or %d s: an "
             "endless loop? (weir_budget)",
             policy->exhausted_at, (int)policy->budget, SECONDS);
}

void half_budget_begin(weir_policy *policy, lua_State *co) {
  policy->left = (uint64_t)policy->budget * LOOKS_PER_THOUSAND;
  policy->until = 0;
  policy->exhausted = false;
  policy->starved = false;
  policy->limited = true;
  if (policy->budget && !lua_gethook(co))
    lua_sethook(co, look, LUA_MASKCOUNT, STEP);
}

void half_budget_end(weir_policy *policy, lua_State *co) {
  policy->limited = false;
  policy->left = UINT64_MAX;
  policy->until = WEIR_NEVER;
  if (policy->exhausted) lua_sethook(co, NULL, 0, 0);
  policy->exhausted = false;
}

const char *half_push_error(lua_State *L, const weir_policy *policy,
                            const char *message) {
  if (!policy->starved || !strstr(message, "not enough memory"))
    return lua_pushstring(L, message);
  return lua_pushfstring(L, "%s: the script may have %I KB (weir_memory)",
                         message, (lua_Integer)(policy->limit / 1024));
}
