/*
** journal.h - what a process has of a shared space besides the records: notes
** of what was there, and the way out when the memory is damaged.
**
** A call on a shared space changes records in steps, after each of which they
** agree with one another. What a step is going to change is noted first, in the
** mapping; a step that is done forgets the notes. If the process dies within a
** step, whoever comes next puts back what the notes say, the last one first,
** and it is as if the step had never begun. The stores of a process that was
** killed are all there, in the order of the program, so that the notes need no
** more than to be written before what they are about.
*/
#ifndef WEIR_CORE_JOURNAL_H
#define WEIR_CORE_JOURNAL_H

#include <setjmp.h>
#include <stdatomic.h>
#include <string.h>

#include "sharing.h"

enum { WEIR_NOTES_SIZE = 1 << 16 }; /* bytes of notes that a step can take */

typedef struct weir_commons {
  weir_sharing *sharing;
  weir_space *space;
  unsigned char *base;  /* of all that notes can be about */
  size_t span;          /* bytes */
  unsigned char *notes; /* WEIR_NOTES_SIZE bytes */
  uint32_t *noted;      /* bytes of notes there are */
  uint64_t *bytes;      /* of the budget that are used */
  uint32_t *growths;    /* how often an array has grown */
  uint32_t known;       /* the growths this process knows of */
  uint32_t acting;      /* the port in whose name a call is made; 0: none */
  uint32_t rings;       /* ports in `ring` */
  bool halved;          /* somebody died within a call */
  jmp_buf escape;       /* where a call ends that meets garbage */
  /* for tests: what is to be called before the notes are forgotten */
  void (*audit)(void *data);
  void *audit_data;
  uint16_t ring[WEIR_SHARED_PORTS + 1]; /* to be rung when the call is done */
} weir_commons;

/* How a note ends: what it is about, as an offset and a size. */
typedef uint64_t weir_note_end;
enum { WEIR_NOTE_OFFSET_BITS = 48 };

/* What is done for shared spaces stands out of the way of the others. */
#if defined(__GNUC__)
#define WEIR_SELDOM(condition) __builtin_expect(!!(condition), 0)
#else
#define WEIR_SELDOM(condition) (condition)
#endif

/* Ends a call that has met garbage, or a bug: what it changed is put back. */
#if defined(__GNUC__)
__attribute__((cold))
#endif
_Noreturn void
weir_lost(weir_commons *commons);

/* The compiler may not move stores over this. */
static inline void weir_in_order(void) {
  atomic_signal_fence(memory_order_seq_cst);
}

/* Where the size is known, a copy is a few moves; out of line it is `rep movs`,
** which takes longer to begin than such a copy takes. */
#if defined(__GNUC__)
#define WEIR_INLINE inline __attribute__((always_inline))
#else
#define WEIR_INLINE inline
#endif

/* Notes the bytes at an address in the mapping. */
static WEIR_INLINE void weir_note(weir_commons *commons, const void *at,
                                  size_t size) {
  size_t room = (size + 7) & ~(size_t)7;
  uint32_t used = *commons->noted;
  uint64_t offset = (uint64_t)((const unsigned char *)at - commons->base);
  weir_note_end end = offset | (uint64_t)size << WEIR_NOTE_OFFSET_BITS;
  if (used > WEIR_NOTES_SIZE - room - sizeof end) weir_lost(commons);
  memcpy(commons->notes + used, at, size);
  memcpy(commons->notes + used + room, &end, sizeof end);
  weir_in_order();
  *commons->noted = used + (uint32_t)(room + sizeof end);
  weir_in_order();
}

/* Forgets the notes: the step is done. */
static inline void weir_commit(weir_commons *commons) {
  weir_in_order();
  if (commons->audit) commons->audit(commons->audit_data);
  *commons->noted = 0;
  weir_in_order();
}

/* Puts back what the notes say. false: they are garbage. */
bool weir_undo(weir_commons *commons);

#endif
