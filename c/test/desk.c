/* desk.c - see desk.h. */
#include "desk.h"

#include <fcntl.h>
#include <string.h>

static bool open_file(desk *d) {
  char name[32];
  struct stat st;
  if (fstatat(d->place.home, WEIR_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
    return weir_file_open(&d->file, &d->place, -1, 0);
  return weir_file_make(&d->file, &d->place, WEIR_SHARED_SIZE_MIN, false,
                        name) == 1 &&
         weir_file_publish(&d->place, name) == 1;
}

void desk_mend(const desk *d) {
  volatile uint64_t *numbers = desk_numbers(d);
  numbers[1] = numbers[0];
}

static bool sit(desk *d) {
  uint32_t seat;
  bool sits;
  if (!weir_door_take(&d->file, WEIR_NEVER)) return false;
  weir_seats_janitor(&d->seats);
  d->lock.mine = weir_lock_word(0, weir_seats_generation(&d->seats, 0));
  if (weir_lock_wait(&d->lock, WEIR_NEVER) == 1) desk_mend(d);
  seat = weir_seats_take(&d->seats);
  sits = seat != 0;
  weir_lock_give(&d->lock);
  d->lock.mine = weir_lock_word(seat, weir_seats_generation(&d->seats, seat));
  weir_door_leave(&d->file);
  return sits;
}

bool desk_open(desk *d, const char *dir) {
  memset(d, 0, sizeof *d);
  d->file = WEIR_FILE_NONE;
  d->seats.file = &d->file;
  return weir_place_init(&d->place, dir, NULL) &&
         weir_place_open_dir(&d->place, true, false) == WEIR_THERE &&
         weir_place_open_home(&d->place, "desk", true, false) == WEIR_THERE &&
         open_file(d) && weir_lock_init(&d->lock, &d->seats) &&
         weir_bells_init(&d->bells, &d->file, d->place.home) && sit(d);
}

void desk_close(desk *d) {
  weir_bells_fini(&d->bells);
  weir_lock_fini(&d->lock);
  weir_file_close(&d->file);
  weir_place_close(&d->place);
}

volatile uint64_t *desk_numbers(const desk *d) {
  return (uint64_t *)(void *)((unsigned char *)d->file.header +
                              d->file.geometry.state);
}
