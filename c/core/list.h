/*
** list.h - a list of tickets: append at the end, unlink anywhere, both O(1).
*/
#ifndef WEIR_CORE_LIST_H
#define WEIR_CORE_LIST_H

#include "record.h"

static inline void weir_list_append(weir_list *list, const weir_space *space,
                                    uint32_t index) {
  weir_ticket_record *ticket = weir_ticket_at(space, index);
  ticket->record.next = 0;
  ticket->prev = list->last;
  if (list->last)
    weir_ticket_at(space, list->last)->record.next = index;
  else
    list->first = index;
  list->last = index;
}

/* The ticket must be in this list. */
static inline void weir_list_unlink(weir_list *list, const weir_space *space,
                                    uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  if (ticket->prev)
    weir_ticket_at(space, ticket->prev)->record.next = ticket->record.next;
  else
    list->first = ticket->record.next;
  if (ticket->record.next)
    weir_ticket_at(space, ticket->record.next)->prev = ticket->prev;
  else
    list->last = ticket->prev;
}

#endif
