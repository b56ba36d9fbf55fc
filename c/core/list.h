/*
** list.h - a list of tickets: add at an end, unlink anywhere, both O(1). What
** is changed of them is noted; the list itself has to be edited by its owner.
*/
#ifndef WEIR_CORE_LIST_H
#define WEIR_CORE_LIST_H

#include "record.h"

/* A ticket whose links are going to be changed. */
static inline weir_ticket_record *weir_list_link(const weir_space *space,
                                                 uint32_t index) {
  weir_ticket_record *ticket = weir_ticket_fresh(space, index);
  weir_keep(&space->memory, ticket, offsetof(weir_ticket_record, instance));
  return ticket;
}

/* Adds a ticket before another one, 0: at the end. */
static inline void weir_list_insert(weir_list *list, const weir_space *space,
                                    uint32_t index, uint32_t before) {
  weir_ticket_record *ticket = weir_list_link(space, index);
  uint32_t after = before ? weir_ticket_at(space, before)->prev : list->last;
  ticket->record.next = before;
  ticket->prev = after;
  if (after)
    weir_list_link(space, after)->record.next = index;
  else
    list->first = index;
  if (before)
    weir_list_link(space, before)->prev = index;
  else
    list->last = index;
}

static inline void weir_list_append(weir_list *list, const weir_space *space,
                                    uint32_t index) {
  weir_list_insert(list, space, index, 0);
}

/* The ticket must be in this list. */
static inline void weir_list_unlink(weir_list *list, const weir_space *space,
                                    uint32_t index) {
  const weir_ticket_record *ticket = weir_ticket_at(space, index);
  if (ticket->prev)
    weir_list_link(space, ticket->prev)->record.next = ticket->record.next;
  else
    list->first = ticket->record.next;
  if (ticket->record.next)
    weir_list_link(space, ticket->record.next)->prev = ticket->prev;
  else
    list->last = ticket->prev;
}

#endif
