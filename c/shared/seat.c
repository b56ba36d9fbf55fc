/*
** seat.c - see seat.h. Linux only, as all of this folder.
*/
#include "seat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000000000, JANITOR = 0 };

/* The bytes that are locked lie behind all that a file could be. */
static const off_t base = (off_t)1 << 50;

/* --- time ----------------------------------------------------------------- */

uint64_t weir_seats_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void weir_seats_nap(uint64_t ns) {
  struct timespec t;
  t.tv_sec = (time_t)(ns / NS_PER_S);
  t.tv_nsec = (long)(ns % NS_PER_S);
  nanosleep(&t, NULL);
}

/* --- bytes ---------------------------------------------------------------- */

static struct flock bytes(short type, uint32_t from, uint32_t count) {
  struct flock lock = { 0 };
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = base + (off_t)from;
  lock.l_len = (off_t)count;
  return lock;
}

static bool take_byte(int fd, uint32_t seat) {
  struct flock lock = bytes(F_WRLCK, seat, 1);
  return fcntl(fd, F_SETLK, &lock) == 0;
}

static void give_byte(int fd, uint32_t seat) {
  struct flock lock = bytes(F_UNLCK, seat, 1);
  fcntl(fd, F_SETLK, &lock);
}

/* Whether another process holds one of these bytes. What cannot be asked is
** taken for held: it is worse to think somebody dead who lives. */
static bool is_held(int fd, uint32_t from, uint32_t count, uint32_t *pid) {
  struct flock lock = bytes(F_WRLCK, from, count);
  if (fcntl(fd, F_GETLK, &lock)) return true;
  if (lock.l_type != F_UNLCK && pid)
    *pid = lock.l_pid > 0 ? (uint32_t)lock.l_pid : 0;
  return lock.l_type != F_UNLCK;
}

/* Whether the descriptor is still what it was: a host that closes all it does
** not know has closed ours, and the number may be another file's. */
static bool is_ours(const weir_file *file) {
  struct stat st;
  return fstat(file->fd, &st) == 0 && st.st_dev == file->dev &&
         st.st_ino == file->ino;
}

/* --- the door ------------------------------------------------------------- */

/* It asks again and again rather than wait in the kernel, where a process that
** was stopped at the door would keep all others for ever, unheard. */
bool weir_door_take(const weir_file *file, uint64_t wait_ns) {
  uint64_t since = weir_seats_now(), pause = WEIR_MS / 20;
  while (!take_byte(file->fd, JANITOR)) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return false;
    if (weir_seats_now() - since >= wait_ns) return false;
    weir_seats_nap(pause);
    if (pause < 4 * WEIR_MS) pause *= 2;
  }
  return true;
}

void weir_door_leave(const weir_file *file) { give_byte(file->fd, JANITOR); }

/* --- the table ------------------------------------------------------------ */

static weir_seat *seat_at(const weir_seats *seats, uint32_t seat) {
  return &seats->file->header->seats[seat];
}

static bool is_used(const weir_seats *seats, uint32_t seat) {
  return atomic_load_explicit(&seat_at(seats, seat)->used,
                              memory_order_relaxed) != 0;
}

static void next_generation(const weir_seats *seats, uint32_t seat) {
  atomic_fetch_add_explicit(&seat_at(seats, seat)->generation, 1,
                            memory_order_relaxed);
}

void weir_seats_janitor(const weir_seats *seats) {
  next_generation(seats, JANITOR);
}

static void sit_down(weir_seats *seats, uint32_t seat) {
  weir_seat *at = seat_at(seats, seat);
  next_generation(seats, seat);
  atomic_store_explicit(&at->used, 1, memory_order_relaxed);
  atomic_store_explicit(&at->pid, (uint32_t)getpid(), memory_order_relaxed);
  seats->own = seat;
}

uint32_t weir_seats_take(weir_seats *seats) {
  for (uint32_t seat = 1; seat < WEIR_SEATS; seat++)
    if (!is_used(seats, seat) && take_byte(seats->file->fd, seat)) {
      sit_down(seats, seat);
      return seat;
    }
  return 0;
}

void weir_seats_return(weir_seats *seats) {
  if (!seats->own) return;
  weir_seats_vacate(seats, seats->own);
  give_byte(seats->file->fd, seats->own);
  seats->own = 0;
}

/* --- the dying ------------------------------------------------------------ */

/* Whether a thread exits and has not come to the end of it, by its `stat` in
** /proc: see proc(5). */
static bool says_exiting(const char *stat) {
  enum { PF_EXITING = 4, BETWEEN = 5 /* fields, of the state and the flags */ };
  const char *at = strrchr(stat, ')'); /* of its name, which may be anything */
  if (!at || strlen(at) < sizeof ") S" || strchr("ZX", at[2])) return false;
  at += sizeof ") S" - 1;
  for (int i = 0; at && i < BETWEEN; i++) at = strchr(at + 1, ' ');
  return at && (strtoul(at, NULL, 10) & PF_EXITING);
}

static bool is_thread_exiting(int tasks, const char *thread) {
  char text[512];
  ssize_t size;
  int fd;
  snprintf(text, sizeof text, "%s/stat", thread);
  fd = openat(tasks, text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size = read(fd, text, sizeof text - 1);
  close(fd);
  text[size > 0 ? size : 0] = 0;
  return says_exiting(text);
}

/* One whose pid is another's by now, or is of another namespace, is thought to
** be exiting for no longer than that other one is. */
static bool is_exiting(uint32_t pid) {
  char path[32];
  DIR *tasks;
  bool found = false;
  snprintf(path, sizeof path, "/proc/%u/task", (unsigned)pid);
  tasks = opendir(path);
  if (!tasks) return false;
  for (const struct dirent *e; !found && (e = readdir(tasks));)
    found = is_thread_exiting(dirfd(tasks), e->d_name);
  closedir(tasks);
  return found;
}

/* --- life ----------------------------------------------------------------- */

bool weir_seats_is_held(const weir_seats *seats, uint32_t seat) {
  return is_held(seats->file->fd, seat, 1, NULL) || !is_ours(seats->file);
}

static bool is_somebodys(const weir_seats *seats, uint32_t seat) {
  return seat > 0 && seat < WEIR_SEATS && is_used(seats, seat);
}

bool weir_seats_lives(const weir_seats *seats, uint32_t seat) {
  return is_somebodys(seats, seat) &&
         (seat == seats->own || weir_seats_is_held(seats, seat));
}

weir_life weir_seats_life(const weir_seats *seats, uint32_t seat) {
  if (!is_somebodys(seats, seat) || weir_seats_lives(seats, seat))
    return WEIR_LIVES;
  return is_exiting(weir_seats_pid(seats, seat)) ? WEIR_DIES : WEIR_DEAD;
}

void weir_seats_vacate(const weir_seats *seats, uint32_t seat) {
  if (seat == 0 || seat >= WEIR_SEATS) return;
  atomic_store_explicit(&seat_at(seats, seat)->used, 0, memory_order_relaxed);
}

uint32_t weir_seats_pid(const weir_seats *seats, uint32_t seat) {
  if (!is_somebodys(seats, seat)) return 0;
  return atomic_load_explicit(&seat_at(seats, seat)->pid, memory_order_relaxed);
}

/* --- others --------------------------------------------------------------- */

uint32_t weir_seats_count(const weir_seats *seats) {
  uint32_t count = 0;
  for (uint32_t seat = 1; seat < WEIR_SEATS; seat++)
    count += weir_seats_lives(seats, seat);
  return count;
}

bool weir_seats_other(int fd, uint32_t *pid) {
  *pid = 0;
  return is_held(fd, 1, WEIR_SEATS - 1, pid);
}
