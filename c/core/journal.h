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

/* What is done for shared spaces stands out of the way of the others. What is
** going to be used soon is brought near. */
#if defined(__GNUC__)
#define WEIR_SELDOM(condition) __builtin_expect(!!(condition), 0)
#define WEIR_PREFETCH(at) __builtin_prefetch(at)
#else
#define WEIR_SELDOM(condition) (condition)
#define WEIR_PREFETCH(at) ((void)(at))
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

#if defined(__GNUC__)
#define WEIR_INLINE inline __attribute__((always_inline))
#else
#define WEIR_INLINE inline
#endif

/* A copy whose size is known is a few moves; a compiler may make it a
** `rep movs`, which takes longer to begin than all of them take. */
static WEIR_INLINE void weir_copy(void *target, const void *source,
                                  size_t size) {
  unsigned char *to = target;
  const unsigned char *from = source;
  size_t many = size & ~(size_t)63;
#define WEIR_MOVE(n) (memcpy(to, from, n), to += (n), from += (n))
  if (many > 64) WEIR_MOVE(many);
  if (many == 64) WEIR_MOVE(16), WEIR_MOVE(16), WEIR_MOVE(16), WEIR_MOVE(16);
  if (size & 32) WEIR_MOVE(16), WEIR_MOVE(16);
  if (size & 16) WEIR_MOVE(16);
  if (size & 8) WEIR_MOVE(8);
  if (size & 4) WEIR_MOVE(4);
  if (size & 3) memcpy(to, from, size & 3);
#undef WEIR_MOVE
}

/* How many bytes a note of `size` bytes takes. */
static inline uint32_t weir_note_room(size_t size) {
  return (uint32_t)((size + 7) & ~(size_t)7) + (uint32_t)sizeof(weir_note_end);
}

/* Writes a note behind `used` bytes of notes, where there is room; it counts
** once weir_note_upto tells. Answers how many bytes there are with it. */
static WEIR_INLINE uint32_t weir_note_write(const weir_commons *commons,
                                            uint32_t used, const void *at,
                                            size_t size) {
  uint32_t after = used + weir_note_room(size);
  uint64_t offset = (uint64_t)((const unsigned char *)at - commons->base);
  weir_note_end end = offset | (uint64_t)size << WEIR_NOTE_OFFSET_BITS;
  weir_copy(commons->notes + used, at, size);
  memcpy(commons->notes + after - sizeof end, &end, sizeof end);
  return after;
}

/* So many bytes of notes count. */
static inline void weir_note_upto(const weir_commons *commons, uint32_t used) {
  weir_in_order();
  *commons->noted = used;
  weir_in_order();
}

/* Notes the bytes at an address in the mapping. */
static WEIR_INLINE void weir_note(weir_commons *commons, const void *at,
                                  size_t size) {
  uint32_t used = *commons->noted;
  if (used > WEIR_NOTES_SIZE - weir_note_room(size)) weir_lost(commons);
  weir_note_upto(commons, weir_note_write(commons, used, at, size));
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
