/*
** keys.h - the instances of a limiter, one for each key.
**
** A key comes with its first request. One that is idle, which is to say that
** nobody holds or waits and its rate has recovered, is as good as one that
** never was, and its place is used again: each limiter has a wheel of its keys
** without tickets, by the time when their rate will have recovered. A key is
** put there when its last ticket leaves, and looked at again when that time has
** come; meanwhile nothing of it is touched, however often it is used.
**
** Each request looks at two of those whose time has come, more than one request
** can add to them. One that finds no room looks at a thousand and no more: so
** nobody waits for what others have left, even where a million keys become due
** at once; but then it may be refused although one of the others is idle.
*/
#ifndef WEIR_CORE_KEYS_H
#define WEIR_CORE_KEYS_H

#include "record.h"

/* The instance for a key of this hash; 0: there is none. */
uint32_t weir_keys_find(const weir_space *space, uint32_t limiter,
                        const weir_hash *hash);

/* Takes a look at a few of the keys that may be idle by now. */
void weir_keys_tidy(weir_space *space, uint32_t limiter, uint64_t t);

/* Whether there is room for so many that are new or idle, memory not
** considered. */
bool weir_keys_room(const weir_space *space, uint32_t limiter, uint32_t wanted,
                    uint64_t t);

/* Whether a key's place could be another's. */
bool weir_keys_idle(const weir_space *space, uint32_t instance, uint64_t t);

/* Makes one, in the place of an idle one if need be; 0: no memory, or all are
** active. */
uint32_t weir_keys_make(weir_space *space, uint32_t limiter,
                        const weir_hash *hash, const void *key, uint32_t size,
                        uint64_t t);

/* Makes an instance without a key; 0: no memory. */
uint32_t weir_instance_make(weir_space *space, uint32_t limiter);

/* Frees a key that has no ticket. */
void weir_keys_free(weir_space *space, uint32_t instance);

/* The last ticket of a key has left. */
void weir_keys_leave(weir_space *space, uint32_t instance);

/* Frees all keys of a limiter; they have no tickets. */
void weir_keys_free_all(weir_space *space, uint32_t limiter);

/* The rate has changed: keys may be idle earlier than it was thought. */
void weir_keys_reorder(weir_space *space, uint32_t limiter, uint64_t t);

#endif
