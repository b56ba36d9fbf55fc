/*
** place.c - see place.h. Linux only, as all of this folder.
*/
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  OF_USER = 0700,
  OF_GROUP = 0770,
  INHERITED = 02000, /* what is made in it is its group's, whoever makes it */
  BITS = 0777,
  GROUP_WRITES = 020,
  OTHERS_WRITE = 002,
  GROUPS_MAX = 256
};

/* --- sentences ------------------------------------------------------------ */

bool weir_place_refuse(const weir_place *place, const char *leaf,
                       const char *format, ...) {
  va_list arguments;
  int used;
  if (!place->why) return false;
  used = snprintf(place->why, WEIR_WHY_MAX, "%.200s%s%s%s%.60s: ", place->path,
                  *place->name ? "/" : "", place->name, leaf ? "/" : "",
                  leaf ? leaf : "");
  va_start(arguments, format);
  vsnprintf(place->why + used, (size_t)(WEIR_WHY_MAX - used), format,
            arguments);
  va_end(arguments);
  return false;
}

static const char *advice(int error) {
  switch (error) {
  case EACCES:
  case EPERM:
  case EROFS: return "change its permissions, or choose another directory";
  case ENOSPC:
  case EDQUOT: return "make room there, or ask for a smaller size";
  case EFBIG: return "raise the limit of a file's size, or ask for less";
  case EMFILE:
  case ENFILE: return "raise the limit of open files";
  case ENOMEM: return "raise the limit of memory, or ask for a smaller size";
  case ENOENT: return "make the directory it is in";
  case EOPNOTSUPP: return "choose a directory on another file system, as tmpfs";
  default: return "choose another directory";
  }
}

bool weir_place_refuse_errno(const weir_place *place, const char *leaf,
                             const char *what) {
  int error = errno;
  return weir_place_refuse(place, leaf, "%s (%s): %s", what, strerror(error),
                           advice(error));
}

/* --- names ---------------------------------------------------------------- */

static bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

bool weir_place_is_name(const char *name) {
  size_t length = 0;
  if (*name == '.') return false;
  for (; name[length]; length++)
    if (length == WEIR_SHARED_NAME_MAX || !is_name_byte(name[length]))
      return false;
  return length > 0;
}

static bool refuse_name(const weir_place *place, const char *name) {
  char shown[WEIR_SHARED_NAME_MAX + 2]; /* as much as is to be seen of it */
  size_t i = 0;
  for (; i < sizeof shown - 1 && name[i]; i++) {
    bool is_plain = name[i] >= ' ' && name[i] <= '~';
    shown[i] = '?';
    if (is_plain) shown[i] = name[i];
  }
  shown[i] = '\0';
  return weir_place_refuse(
      place, NULL,
      "\"%s\" is no name of a space: choose 1 to %d letters, "
      "digits, \"_\", \"-\" and \".\", the first no \".\"",
      shown, WEIR_SHARED_NAME_MAX);
}

bool weir_shared_check_name(const char *name, char *why) {
  weir_place place;
  if (weir_place_is_name(name)) return true;
  weir_place_init(&place, NULL, why);
  return refuse_name(&place, name);
}

/* Behind a slash at its end a symbolic link would be followed. */
static void trim(char *path) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') path[--length] = '\0';
}

bool weir_place_init(weir_place *place, const char *dir, char *why) {
  memset(place, 0, sizeof *place);
  place->dir = place->home = -1;
  place->why = why;
  if (why) *why = '\0';
  if (!dir) dir = getenv("WEIR_DIR");
  place->ours = !dir || !*dir;
  if (place->ours) {
    snprintf(place->path, sizeof place->path, "/dev/shm/weir-%lu",
             (unsigned long)geteuid());
    return true;
  }
  if (strlen(dir) >= sizeof place->path)
    return weir_place_refuse(place, NULL,
                             "\"%.60s...\" is too long: choose a "
                             "directory of less than %d bytes",
                             dir, WEIR_PATH_MAX);
  memcpy(place->path, dir, strlen(dir) + 1);
  trim(place->path);
  return true;
}

/* --- trust ---------------------------------------------------------------- */

static bool is_of_us(const weir_place *place, uid_t owner) {
  uid_t user = geteuid();
  return owner == 0 || owner == user || (place->looking && user == 0);
}

static bool is_in_group(gid_t group) {
  gid_t groups[GROUPS_MAX];
  int count = getgroups(GROUPS_MAX, groups);
  if (group == getegid()) return true;
  for (int i = 0; i < count; i++)
    if (groups[i] == group) return true;
  return false;
}

/* Whether its owner made it for a group that the user is in. */
static bool is_for_us(const weir_place *place, const struct stat *st) {
  return !place->ours && (st->st_mode & BITS) == OF_GROUP &&
         is_in_group(st->st_gid);
}

static bool trusts_dir(const weir_place *place, const struct stat *st) {
  unsigned mode = st->st_mode & BITS;
  if (mode & OTHERS_WRITE)
    return weir_place_refuse(
        place, NULL,
        "everybody can write to it (mode %04o): make it 0700, "
        "or choose another directory",
        mode);
  if ((mode & GROUP_WRITES) && mode != OF_GROUP)
    return weir_place_refuse(
        place, NULL,
        "its group can write to it (mode %04o): make it 0700, "
        "or 0770 if the group is meant to",
        mode);
  if (is_of_us(place, st->st_uid) || is_for_us(place, st)) return true;
  return weir_place_refuse(
      place, NULL,
      "belongs to user %lu, not to user %lu: choose another "
      "directory",
      (unsigned long)st->st_uid, (unsigned long)geteuid());
}

/* In a group's directory each of the group can replace each file. */
bool weir_place_trusts(const weir_place *place, const char *leaf,
                       const struct stat *st) {
  unsigned mode = st->st_mode & BITS;
  bool is_groups = place->of_group && st->st_gid == place->group;
  if (mode & OTHERS_WRITE)
    return weir_place_refuse(
        place, leaf, "everybody can write to it (mode %04o): make it 0600",
        mode);
  if (is_of_us(place, st->st_uid) || is_groups) return true;
  return weir_place_refuse(
      place, leaf,
      "belongs to user %lu, not to user %lu: choose another "
      "name or directory",
      (unsigned long)st->st_uid, (unsigned long)geteuid());
}

/* --- opening -------------------------------------------------------------- */

static int open_at(int at, const char *path) {
  return openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The mode is set once more, since umask takes from what mkdir is told. */
static int make_at(int at, const char *path, bool group) {
  bool made = mkdirat(at, path, OF_USER) == 0;
  int fd;
  if (!made && errno != EEXIST) return -1;
  fd = open_at(at, path);
  if (fd >= 0 && made) fchmod(fd, group ? OF_GROUP | INHERITED : OF_USER);
  return fd;
}

static bool is_link(int at, const char *path) {
  struct stat st;
  return fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISLNK(st.st_mode);
}

static weir_found cannot_open(const weir_place *place, int at, const char *path,
                              bool make) {
  int error = errno;
  bool absent = error == ENOENT;
  if (absent && !make)
    weir_place_refuse(place, NULL,
                      "is not there: make it first, or choose another name or "
                      "directory");
  else if (is_link(at, path))
    weir_place_refuse(
        place, NULL,
        "is a symbolic link: remove it, or name the directory itself");
  else if (error == ENOTDIR)
    weir_place_refuse(place, NULL,
                      "is no directory: remove it, or choose another one");
  else {
    errno = error;
    weir_place_refuse_errno(place, NULL,
                            make ? "cannot be made" : "cannot be opened");
  }
  return absent ? WEIR_ABSENT : WEIR_REFUSED;
}

/* A directory that is checked; *fd is it if so. */
static weir_found enter(const weir_place *place, int at, const char *path,
                        bool make, bool group, struct stat *st, int *fd) {
  *fd = open_at(at, path);
  if (*fd < 0 && errno == ENOENT && make) *fd = make_at(at, path, group);
  if (*fd < 0) return cannot_open(place, at, path, make);
  if (fstat(*fd, st) == 0 && trusts_dir(place, st)) return WEIR_THERE;
  close(*fd);
  *fd = -1;
  return WEIR_REFUSED;
}

weir_found weir_place_open_dir(weir_place *place, bool make, bool group) {
  struct stat st;
  place->name[0] = '\0';
  return enter(place, AT_FDCWD, place->path, make, group, &st, &place->dir);
}

weir_found weir_place_open_home(weir_place *place, const char *name, bool make,
                                bool group) {
  struct stat st = { 0 };
  weir_found found;
  if (!weir_place_is_name(name)) {
    refuse_name(place, name);
    return WEIR_REFUSED;
  }
  memcpy(place->name, name, strlen(name) + 1);
  found = enter(place, place->dir, name, make, group, &st, &place->home);
  if (found != WEIR_THERE) return found;
  place->of_group = (st.st_mode & BITS) == OF_GROUP;
  place->group = st.st_gid;
  return WEIR_THERE;
}

bool weir_place_stands(const weir_place *place) {
  struct stat named, open;
  return fstatat(place->dir, place->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstat(place->home, &open) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}

void weir_place_close_home(weir_place *place) {
  if (place->home >= 0) close(place->home);
  place->home = -1;
}

void weir_place_close(weir_place *place) {
  weir_place_close_home(place);
  if (place->dir >= 0) close(place->dir);
  place->dir = -1;
}
