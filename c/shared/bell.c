/*
** bell.c - see bell.h. Linux only, as all of this folder.
*/
#include "bell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OF_USER = 0600, OF_GROUP = 0660, BITS = 0777, NAME_SIZE = 24 };

bool weir_bells_init(weir_bells *bells, const weir_file *file, int home) {
  bells->file = file;
  bells->home = home;
  bells->kept = 0;
  pthread_mutex_init(&bells->roping, NULL);
  bells->ropes = calloc(WEIR_SHARED_PORTS + 1, sizeof *bells->ropes);
  return bells->ropes != NULL;
}

static uint64_t rope_of(int fd, uint32_t made) {
  return (uint64_t)made << 32 | ((uint32_t)fd + 1);
}

static int fd_of(uint64_t rope) { return (int)(uint32_t)rope - 1; }

void weir_bells_fini(weir_bells *bells) {
  for (uint32_t i = 0; bells->ropes && i <= WEIR_SHARED_PORTS; i++)
    if (bells->ropes[i]) close(fd_of(bells->ropes[i]));
  free((void *)(uintptr_t)bells->ropes);
  bells->ropes = NULL;
}

/* --- a bell --------------------------------------------------------------- */

static void name_of(uint32_t port, char *name) {
  snprintf(name, NAME_SIZE, "bell.%u", port);
}

/* What is no FIFO is looked at only, and does not block. */
static int open_bell(const weir_bells *bells, const char *name,
                     struct stat *st) {
  int fd = -1;
  if (fstatat(bells->home, name, st, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISFIFO(st->st_mode))
    fd =
        openat(bells->home, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || (fstat(fd, st) == 0 && S_ISFIFO(st->st_mode))) return fd;
  close(fd);
  return -1;
}

static _Atomic uint32_t *made(const weir_bells *bells, uint32_t port) {
  return &bells->file->header->bells[port];
}

/* Whether those who may use the space can ring it, and nobody else. */
static bool fits(const weir_bells *bells, const struct stat *st) {
  mode_t mode = bells->file->group ? OF_GROUP : OF_USER;
  bool is_of_us = st->st_uid == geteuid() || st->st_uid == 0;
  return (st->st_mode & BITS) == mode && (is_of_us || bells->file->group);
}

static int make_bell(const weir_bells *bells, uint32_t port, const char *name) {
  struct stat st;
  int fd;
  if (unlinkat(bells->home, name, 0) && errno != ENOENT) return -1;
  if (mkfifoat(bells->home, name, OF_USER)) return -1;
  fd = open_bell(bells, name, &st);
  if (fd < 0) return -1;
  fchmod(fd, bells->file->group ? OF_GROUP : OF_USER); /* whatever umask says */
  atomic_fetch_add_explicit(made(bells, port), 1, memory_order_release);
  return fd;
}

int weir_bells_hang(weir_bells *bells, uint32_t port) {
  char name[NAME_SIZE];
  struct stat st;
  int fd;
  if (port > WEIR_SHARED_PORTS) return -1;
  name_of(port, name);
  fd = open_bell(bells, name, &st);
  if (fd >= 0 && fits(bells, &st)) {
    weir_bells_hush(fd);
    return fd;
  }
  if (fd >= 0) close(fd);
  return make_bell(bells, port, name);
}

void weir_bells_hush(int fd) {
  char bytes[4096];
  ssize_t got;
  do {
    got = read(fd, bytes, sizeof bytes);
  } while (got == sizeof bytes || (got < 0 && errno == EINTR));
}

/* --- ringing -------------------------------------------------------------- */

/* A bell that is full has been rung enough. */
static void pull(int fd) {
  while (write(fd, "", 1) < 0 && errno == EINTR) {
  }
}

/* An old rope's number becomes the new one. */
static void keep(weir_bells *bells, uint32_t port, int fd, uint32_t count) {
  uint64_t old = bells->ropes[port];
  int kept = fd;
  if (old) {
    kept = dup3(fd, fd_of(old), O_CLOEXEC);
    close(fd);
    if (kept < 0) return;
  } else if (bells->kept++ >= WEIR_ROPES_MAX) {
    bells->kept--;
    close(fd);
    return;
  }
  atomic_store_explicit(&bells->ropes[port], rope_of(kept, count),
                        memory_order_release);
}

/* The count is read before the bell is opened: a bell that is made between them
** is found out of date rather than kept for good. */
static void ring_anew(weir_bells *bells, uint32_t port) {
  char name[NAME_SIZE];
  struct stat st;
  uint32_t count =
      atomic_load_explicit(made(bells, port), memory_order_acquire);
  int fd;
  name_of(port, name);
  fd = open_bell(bells, name, &st);
  if (fd < 0) return;
  pull(fd);
  keep(bells, port, fd, count);
}

void weir_bells_ring(weir_bells *bells, uint32_t port) {
  uint64_t rope;
  uint32_t count;
  if (port > WEIR_SHARED_PORTS) return;
  count = atomic_load_explicit(made(bells, port), memory_order_acquire);
  rope = atomic_load_explicit(&bells->ropes[port], memory_order_acquire);
  if (rope && (uint32_t)(rope >> 32) == count) {
    pull(fd_of(rope));
    return;
  }
  pthread_mutex_lock(&bells->roping);
  ring_anew(bells, port);
  pthread_mutex_unlock(&bells->roping);
}
