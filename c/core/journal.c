/* journal.c - see journal.h. */
#include "journal.h"

void weir_lost(weir_commons *commons) {
  if (commons) longjmp(commons->escape, 1);
  for (;;) { /* a bug: records of one's own do not go astray */
#if defined(__GNUC__)
    __builtin_trap();
#endif
  }
}

/* No note is about the notes. */
static bool is_of_notes(const weir_commons *commons, uint64_t offset,
                        uint64_t size) {
  uint64_t notes = (uint64_t)(commons->notes - commons->base);
  return offset < notes + WEIR_NOTES_SIZE && offset + size > notes;
}

/* Puts the last of `used` bytes of notes back; how many bytes are left, or
** UINT32_MAX: it is no note. */
static uint32_t undo_last(const weir_commons *commons, uint32_t used) {
  weir_note_end end;
  uint64_t offset, size, room;
  if (used < sizeof end || used > WEIR_NOTES_SIZE) return UINT32_MAX;
  used -= (uint32_t)sizeof end;
  memcpy(&end, commons->notes + used, sizeof end);
  offset = end & (((uint64_t)1 << WEIR_NOTE_OFFSET_BITS) - 1);
  size = end >> WEIR_NOTE_OFFSET_BITS;
  room = (size + 7) & ~(uint64_t)7;
  if (room > used || offset > commons->span || size > commons->span - offset ||
      is_of_notes(commons, offset, size))
    return UINT32_MAX;
  used -= (uint32_t)room;
  memcpy(commons->base + offset, commons->notes + used, (size_t)size);
  return used;
}

/* Whoever dies in here leaves the notes that are still to be put back, and
** putting one back twice does no harm. */
bool weir_undo(weir_commons *commons) {
  uint32_t used = *commons->noted;
  while (used) {
    used = undo_last(commons, used);
    if (used == UINT32_MAX) return false;
    weir_in_order();
    *commons->noted = used;
  }
  return true;
}
