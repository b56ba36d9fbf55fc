/* rank.c - see rank.h. */
#include "rank.h"

static bool is_busier(const weir_key_info *a, const weir_key_info *b) {
  uint64_t now_a = a->in_use + a->waiting, now_b = b->in_use + b->waiting;
  if (now_a != now_b) return now_a > now_b;
  return a->admitted + (uint64_t)a->refused >
         b->admitted + (uint64_t)b->refused;
}

uint32_t weir_rank_key(weir_key_info *top, uint32_t count, uint32_t most,
                       const weir_key_info *key) {
  uint32_t at = count;
  if (count == most && !is_busier(key, &top[most - 1])) return count;
  if (count == most) at--;
  for (; at > 0 && is_busier(key, &top[at - 1]); at--) top[at] = top[at - 1];
  top[at] = *key;
  return count < most ? count + 1 : count;
}
