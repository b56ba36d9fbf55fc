/*
** look.c - which spaces there are, and removing one.
**
** Linux only, as all of this folder.
*/
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "member.h"
#include "tidy.h"

/* How long to wait for a process that stands still: to look, and to remove. */
static const uint64_t glance = 200 * WEIR_MS, patience = 2000 * WEIR_MS;

/* --- a look --------------------------------------------------------------- */

/* What the engine tells, if the lock is to be had. */
static void count(const weir_member *member, weir_shared_info *out) {
  weir_sharing_counts counts = { 0 };
  int got = weir_lock_wait(&member->lock, glance);
  if (got == WEIR_LOCK_BUSY) return;
  if (got == 0 || weir_sharing_mend(member->space) == 0)
    weir_sharing_count(member->space, &counts);
  weir_lock_give(&member->lock);
  out->used = counts.bytes;
  out->ports = counts.ports;
  out->limiters = counts.limiters;
  out->keys = counts.keys;
  out->tickets = counts.tickets;
}

static void look_at_ours(const weir_member *member, weir_shared_info *out) {
  out->size = member->file.geometry.size;
  out->processes = weir_seats_count(&member->seats);
  count(member, out);
}

/* Takes part for a moment; what is of an earlier boot stays as it is. */
static void take_part(weir_member *member, const weir_place *place,
                      weir_shared_info *out) {
  bool joined = !member->file.earlier &&
                weir_door_take(&member->file, glance) &&
                weir_member_join(member, place, false, glance) == WEIR_JOINED;
  if (!joined) return;
  weir_door_leave(&member->file);
  count(member, out);
}

static void look_at(const weir_place *place, weir_shared_info *out) {
  weir_file file;
  weir_member *member;
  if (!weir_file_open(&file, place, -1, 0)) return;
  member = weir_member_new(&file, place);
  if (!member) return;
  out->size = member->file.geometry.size;
  out->processes = weir_seats_count(&member->seats);
  take_part(member, place, out);
  weir_member_free(member);
  out->why[0] = '\0';
}

static void describe(weir_place *place, const char *name,
                     weir_shared_info *out) {
  struct stat st;
  const weir_member *member;
  memcpy(out->name, name, strlen(name) + 1);
  if (weir_place_open_home(place, name, false, false) != WEIR_THERE) return;
  if (fstatat(place->home, WEIR_FILE, &st, AT_SYMLINK_NOFOLLOW)) {
    weir_place_refuse(place, NULL, "there is no space in it: remove it");
    return;
  }
  member = weir_registry_find(st.st_dev, st.st_ino);
  if (member)
    look_at_ours(member, out);
  else
    look_at(place, out);
}

/* The cursor is how many names were before; where spaces come and go meanwhile
** one may be left out. */
static int list(weir_place *place, uint32_t *cursor, weir_shared_info *out) {
  weir_name *names;
  weir_found found = weir_place_open_dir(place, false, false);
  int count, left;
  if (found != WEIR_THERE) return found == WEIR_ABSENT ? 0 : -1;
  count = weir_tidy_names(place->dir, &names);
  if (count < 0) {
    weir_place_refuse_errno(place, NULL, "cannot be read");
    return -1;
  }
  left = *cursor < (uint32_t)count;
  if (left) describe(place, names[(*cursor)++], out);
  free(names);
  return left;
}

int weir_shared_list(const char *dir, uint32_t *cursor, weir_shared_info *out) {
  weir_place place;
  int found;
  memset(out, 0, sizeof *out);
  if (!weir_place_init(&place, dir, out->why)) return -1;
  place.looking = true;
  weir_registry_lock();
  found = list(&place, cursor, out);
  weir_place_close(&place);
  weir_registry_unlock();
  return found;
}

/* --- a space that is open ------------------------------------------------- */

/* What this process has of it; NULL: it is no such space. It stays, as long as
** whoever asks has the space. */
static const weir_member *member_of(const weir_space *space) {
  const weir_member *member;
  weir_registry_lock();
  member = weir_registry_of(space);
  weir_registry_unlock();
  return member;
}

int weir_shared_inspect(const weir_space *space, weir_shared_use *out) {
  const weir_member *member = member_of(space);
  if (!member) return WEIR_E_STALE;
  out->size = member->file.geometry.size;
  out->used = weir_space_bytes(space);
  out->processes = weir_seats_count(&member->seats);
  return 0;
}

uint32_t weir_shared_pid(const weir_space *space, uint32_t port) {
  const weir_member *member = member_of(space);
  uint32_t seat = member ? weir_port_seat(space, port) : 0;
  return seat ? weir_seats_pid(&member->seats, seat) : 0;
}

/* --- removing ------------------------------------------------------------- */

/* Files first, so that who waits at the door finds them gone. */
static bool clear(const weir_place *place) {
  if (unlinkat(place->home, WEIR_FILE, 0) && errno != ENOENT)
    return weir_place_refuse_errno(place, WEIR_FILE, "cannot be removed");
  weir_tidy_remains(place->dir, place->name, place->home);
  return true;
}

static bool hide(const weir_place *place) {
  return weir_tidy_hide(place) ||
         weir_place_refuse_errno(place, NULL, "cannot be moved away");
}

/* `ours`: this process has it open. The file may be no space. */
static bool remove_file(const weir_place *place, const weir_file *file,
                        bool ours, bool force) {
  uint32_t pid = 0;
  bool door = weir_door_take(file, force ? glance : patience);
  bool used = weir_seats_other(file->fd, &pid), removed;
  if (used && !force)
    removed = weir_place_refuse(
        place, WEIR_FILE, "process %u uses it: stop it, or use force", pid);
  else if (!door && !force)
    removed =
        weir_place_refuse(place, WEIR_FILE,
                          "a process is about to open it and does not go on: "
                          "stop it, or use force");
  else
    removed = used || ours || !door ? hide(place) : clear(place);
  if (door) weir_door_leave(file);
  return removed;
}

static bool remove_space(const weir_place *place, bool force) {
  struct stat st;
  weir_file file = WEIR_FILE_NONE;
  const weir_member *member;
  bool removed;
  if (fstatat(place->home, WEIR_FILE, &st, AT_SYMLINK_NOFOLLOW) ||
      !S_ISREG(st.st_mode))
    return clear(place);
  member = weir_registry_find(st.st_dev, st.st_ino);
  if (member) return remove_file(place, &member->file, true, force);
  file.fd = weir_file_open_any(place);
  if (file.fd < 0) return false;
  removed = remove_file(place, &file, false, force);
  weir_file_close(&file);
  return removed;
}

bool weir_shared_remove(const char *name, const char *dir, bool force,
                        char *why) {
  weir_place place;
  bool removed;
  if (!weir_place_init(&place, dir, why)) return false;
  weir_registry_lock();
  removed = weir_place_open_dir(&place, false, false) == WEIR_THERE &&
            weir_place_open_home(&place, name, false, false) == WEIR_THERE &&
            remove_space(&place, force);
  if (removed) weir_tidy_gone(place.dir);
  weir_place_close(&place);
  weir_registry_unlock();
  return removed;
}
