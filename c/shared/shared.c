/*
** shared.c - opening a space: finding it, making it, joining it.
**
** All of it is done with the registry locked, so that a process has one
** descriptor of a space's file and takes part in it once.
**
** Linux only, as all of this folder.
*/
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "member.h"
#include "tidy.h"

enum { TRIES = 100, PATIENCE_S = 30, MS_PER_S = 1000 };

/* How long a process that holds the door or the lock may stand still. */
static const uint64_t patience = PATIENCE_S * MS_PER_S * WEIR_MS;

/* One call of weir_shared_open. */
typedef struct opening {
  const char *name;
  weir_shared_options options;
  weir_place place;
  weir_member *member; /* what is found */
} opening;

typedef enum outcome { FAILED, AGAIN, DONE } outcome;

/* Of a file that was there and could not be opened: whether that is because
** somebody took it away meanwhile. */
static outcome failed(const opening *o, const struct stat *was) {
  struct stat st;
  bool is_there =
      weir_place_stands(&o->place) &&
      fstatat(o->place.home, WEIR_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
      st.st_dev == was->st_dev && st.st_ino == was->st_ino;
  return is_there ? FAILED : AGAIN;
}

static weir_member *new_member(const opening *o, const weir_file *file) {
  weir_member *member = weir_member_new(file, &o->place);
  if (member && o->options.patrol_ns)
    member->sharing.patrol_ns = o->options.patrol_ns;
  if (member) member->looking = o->options.look;
  return member;
}

static outcome done(opening *o, weir_member *member) {
  weir_registry_add(member);
  o->member = member;
  return DONE;
}

/* --- making --------------------------------------------------------------- */

/* 1 as weir_file_publish; a directory that was moved away is another's. */
static int publish(const opening *o, const weir_member *member,
                   const char *name) {
  int published = weir_file_publish(&o->place, name);
  if (published != 1 || weir_file_stands(&member->file, &o->place))
    return published;
  unlinkat(o->place.home, WEIR_FILE, 0);
  return 0;
}

static outcome finish(opening *o, weir_member *member, const char *name) {
  int published;
  if (!weir_door_take(&member->file, 0) ||
      weir_member_join(member, &o->place, true, 0) != WEIR_JOINED) {
    unlinkat(o->place.home, name, 0);
    weir_member_free(member);
    return FAILED;
  }
  published = publish(o, member, name);
  if (published != 1) {
    weir_member_free(member);
    return published ? FAILED : AGAIN;
  }
  weir_tidy_new(o->place.home);
  weir_tidy_gone(o->place.dir);
  weir_door_leave(&member->file);
  return done(o, member);
}

static outcome make(opening *o) {
  uint64_t size = o->options.size ? o->options.size : WEIR_SHARED_SIZE;
  char name[32];
  weir_file file;
  weir_member *member;
  int made = weir_file_make(&file, &o->place, size, o->options.group, name);
  if (made != 1) return made ? FAILED : AGAIN;
  member = new_member(o, &file);
  if (member) return finish(o, member, name);
  unlinkat(o->place.home, name, 0);
  return FAILED;
}

/* Where nothing can be made, no directory is left, unless others use it. */
static outcome make_or_leave(opening *o) {
  outcome next = make(o);
  if (next == FAILED) unlinkat(o->place.dir, o->name, AT_REMOVEDIR);
  return next;
}

/* --- joining -------------------------------------------------------------- */

/* What an earlier boot has left is nobody's: the next try makes it anew, as
** large as it was. Unless a process on another machine has it. */
static outcome replace(opening *o, weir_file *file) {
  uint32_t pid;
  outcome next = FAILED;
  if (weir_seats_other(file->fd, &pid))
    weir_place_refuse(
        &o->place, WEIR_FILE,
        "another machine uses it: choose a directory of this one");
  else if (o->options.existing)
    weir_place_refuse(
        &o->place, WEIR_FILE,
        "is from before the system was started: start first who makes "
        "it");
  else {
    o->options.size = file->geometry.size;
    unlinkat(o->place.home, WEIR_FILE, 0);
    next = AGAIN;
  }
  weir_file_close(file);
  return next;
}

static outcome take_part(opening *o, const weir_file *file, bool is_remains) {
  weir_member *member = new_member(o, file);
  if (!member) return FAILED;
  if (weir_member_join(member, &o->place, false, patience) != WEIR_JOINED) {
    weir_member_free(member);
    return FAILED;
  }
  if (is_remains && !o->options.look) weir_tidy_new(o->place.home);
  weir_door_leave(&member->file);
  return done(o, member);
}

static outcome join(opening *o, const struct stat *st) {
  int fd = weir_registry_inherit(st->st_dev, st->st_ino);
  weir_file file;
  uint32_t pid;
  if (!weir_file_open(&file, &o->place, fd, o->options.size))
    return failed(o, st);
  if (!weir_door_take(&file, patience)) {
    weir_place_refuse(&o->place, WEIR_FILE,
                      "another process has opened half of it for %d seconds: "
                      "continue or stop that process",
                      PATIENCE_S);
    weir_file_close(&file);
    return FAILED;
  }
  if (!weir_file_stands(&file, &o->place)) {
    weir_file_close(&file);
    return AGAIN;
  }
  if (file.earlier) return replace(o, &file);
  return take_part(o, &file, !weir_seats_other(file.fd, &pid));
}

/* --- once more ------------------------------------------------------------ */

static outcome open_again(opening *o, weir_member *member) {
  uint64_t size = member->file.geometry.size;
  if (o->options.size && o->options.size != size) {
    weir_place_refuse(&o->place, WEIR_FILE,
                      "its size is %llu, not %llu: ask for that size or none",
                      (unsigned long long)size,
                      (unsigned long long)o->options.size);
    return FAILED;
  }
  member->opens++;
  member->looking &= o->options.look;
  o->member = member;
  return DONE;
}

static outcome find_file(opening *o) {
  struct stat st;
  weir_member *member;
  if (fstatat(o->place.home, WEIR_FILE, &st, AT_SYMLINK_NOFOLLOW)) {
    if (errno == ENOENT && !o->options.existing) return make_or_leave(o);
    weir_place_refuse(
        &o->place, WEIR_FILE,
        "is not there: start first who makes it, or choose another "
        "name or directory");
    return FAILED;
  }
  member = weir_registry_find(st.st_dev, st.st_ino);
  return member ? open_again(o, member) : join(o, &st);
}

/* A directory that vanishes as soon as it was made was removed by another. */
static outcome find_place(opening *o) {
  bool making = !o->options.existing;
  weir_found found;
  if (weir_place_open_dir(&o->place, making, o->options.group) != WEIR_THERE)
    return FAILED;
  found = weir_place_open_home(&o->place, o->name, making, o->options.group);
  if (found == WEIR_THERE) return find_file(o);
  return found == WEIR_ABSENT && making ? AGAIN : FAILED;
}

static bool is_possible(const opening *o) {
  uint64_t size = o->options.size;
  if (!size || (size >= WEIR_SHARED_SIZE_MIN && size <= WEIR_SHARED_SIZE_MAX))
    return true;
  return weir_place_refuse(
      &o->place, NULL, "a size of %llu is not possible: choose %llu to %llu",
      (unsigned long long)size, (unsigned long long)WEIR_SHARED_SIZE_MIN,
      (unsigned long long)WEIR_SHARED_SIZE_MAX);
}

static void try_to_open(opening *o) {
  outcome next = AGAIN;
  for (int i = 0; i < TRIES && next == AGAIN; i++) {
    next = find_place(o);
    weir_place_close(&o->place);
  }
  if (next == AGAIN)
    weir_place_refuse(&o->place, NULL,
                      "is removed as soon as it is made: find out "
                      "who does it");
}

weir_space *weir_shared_open(const char *name,
                             const weir_shared_options *options, char *why) {
  opening o = { .name = name };
  if (options) o.options = *options;
  if (o.options.look) o.options.existing = true;
  if (!weir_place_init(&o.place, o.options.dir, why) || !is_possible(&o))
    return NULL;
  o.place.looking = o.options.look;
  weir_registry_lock();
  try_to_open(&o);
  weir_registry_unlock();
  return o.member ? o.member->space : NULL;
}
