/*
** look.h - what is told of one key and one ticket, however it was found.
*/
#ifndef WEIR_CORE_LOOK_H
#define WEIR_CORE_LOOK_H

#include "record.h"

void weir_look_key(const weir_space *space, uint32_t instance,
                   weir_key_info *out);

void weir_look_ticket(const weir_space *space, uint32_t ticket, uint64_t now,
                      weir_ticket_info *out);

#endif
