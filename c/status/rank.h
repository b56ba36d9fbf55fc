/*
** rank.h - the first of many, by whatever order: of keys the busiest, of
** tickets the oldest.
*/
#ifndef WEIR_STATUS_RANK_H
#define WEIR_STATUS_RANK_H

#include <weir.h>

/* Puts a key among the `count` busiest, of at most `most`; answers how many
** there are then. Busier: more that use it and wait for it now, then more that
** asked since it was made. */
uint32_t weir_rank_key(weir_key_info *top, uint32_t count, uint32_t most,
                       const weir_key_info *key);

#endif
