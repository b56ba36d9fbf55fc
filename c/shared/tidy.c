/*
** tidy.c - see tidy.h. Linux only, as all of this folder.
*/
#include "tidy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "member.h"

#define HIDDEN ".gone."

enum {
  HIDDEN_SIZE = 32,
  OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
};

static DIR *entries(int dir) {
  int fd = openat(dir, ".", OPEN_DIR);
  DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
  if (fd >= 0 && !stream) close(fd);
  return stream;
}

static bool begins(const char *name, const char *with) {
  return strncmp(name, with, strlen(with)) == 0;
}

/* --- names ---------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) { return strcmp(a, b); }

static bool add_name(weir_name **names, int count, const char *name) {
  size_t room = ((size_t)count + 1) * sizeof **names;
  weir_name *more = realloc(*names, room);
  if (!more) return false;
  *names = more;
  memcpy(more[count], name, strlen(name) + 1);
  return true;
}

int weir_tidy_names(int dir, weir_name **names) {
  DIR *stream = entries(dir);
  int count = 0;
  *names = NULL;
  if (!stream) return -1;
  for (const struct dirent *e; count >= 0 && (e = readdir(stream));)
    if (weir_place_is_name(e->d_name))
      count = add_name(names, count, e->d_name) ? count + 1 : -1;
  closedir(stream);
  if (count > 1) qsort(*names, (size_t)count, sizeof **names, by_bytes);
  if (count < 0) free(*names);
  return count;
}

/* --- files ---------------------------------------------------------------- */

static void unlink_all(int home, const char *with) {
  DIR *stream = entries(home);
  if (!stream) return;
  for (const struct dirent *e; (e = readdir(stream));)
    if (begins(e->d_name, with)) unlinkat(home, e->d_name, 0);
  closedir(stream);
}

void weir_tidy_new(int home) { unlink_all(home, WEIR_FILE_NEW); }

void weir_tidy_remains(int dir, const char *name, int home) {
  weir_tidy_new(home);
  unlink_all(home, "bell.");
  unlinkat(dir, name, AT_REMOVEDIR);
}

/* --- out of sight --------------------------------------------------------- */

bool weir_tidy_hide(const weir_place *place) {
  char name[HIDDEN_SIZE];
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number) return false;
  snprintf(name, sizeof name, HIDDEN "%016llx", (unsigned long long)number);
  if (renameat(place->home, WEIR_FILE, place->home, WEIR_FILE_GONE))
    return false;
  if (renameat(place->dir, place->name, place->dir, name) == 0) return true;
  renameat(place->home, WEIR_FILE_GONE, place->home, WEIR_FILE);
  return false;
}

/* Whether somebody has it still; then it must not be opened and closed here if
** it is this process. */
static bool is_used(int home) {
  struct stat st;
  uint32_t pid;
  int fd;
  bool used;
  if (fstatat(home, WEIR_FILE_GONE, &st, AT_SYMLINK_NOFOLLOW)) return false;
  if (weir_registry_find(st.st_dev, st.st_ino)) return true;
  if (!S_ISREG(st.st_mode)) return false;
  fd = openat(home, WEIR_FILE_GONE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  used = fd < 0 || weir_seats_other(fd, &pid);
  if (fd >= 0) close(fd);
  return used;
}

static void remove_hidden(int dir, const char *name) {
  int home = openat(dir, name, OPEN_DIR);
  if (home < 0) return;
  if (!is_used(home)) {
    unlinkat(home, WEIR_FILE_GONE, 0);
    weir_tidy_remains(dir, name, home);
  }
  close(home);
}

void weir_tidy_gone(int dir) {
  DIR *stream = entries(dir);
  if (!stream) return;
  for (const struct dirent *e; (e = readdir(stream));)
    if (begins(e->d_name, HIDDEN)) remove_hidden(dir, e->d_name);
  closedir(stream);
}

void weir_tidy_behind(int home) {
  struct stat st;
  int dir;
  if (fstatat(home, WEIR_FILE_GONE, &st, AT_SYMLINK_NOFOLLOW)) return;
  dir = openat(home, "..", OPEN_DIR);
  if (dir < 0) return;
  weir_tidy_gone(dir);
  close(dir);
}
