/*
** file.c - see file.h. Linux only, as all of this folder.
*/
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  VERSION = 1,
  OF_USER = 0600,
  OF_GROUP = 0660,
  GROUP_WRITES = 020,
  STEP = 1 << 20 /* bytes committed at once: signals interrupt a long one */
};

static const uint64_t magic = 0x0a31726965775ffeu;

static uint64_t up_to_page(uint64_t bytes) {
  return (bytes + WEIR_PAGE - 1) / WEIR_PAGE * WEIR_PAGE;
}

weir_geometry weir_geometry_of(uint64_t size) {
  weir_geometry g;
  g.size = size;
  g.state = up_to_page(sizeof(weir_header));
  g.regions = g.state + up_to_page(weir_sharing_state());
  g.region_size = up_to_page(size);
  g.total = g.regions + WEIR_REGIONS * g.region_size;
  return g;
}

/* When the system was started; all zero: not known. */
static void read_boot(char *boot) {
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  memset(boot, 0, WEIR_BOOT_MAX);
  if (fd < 0) return;
  if (read(fd, boot, 36) != 36) memset(boot, 0, WEIR_BOOT_MAX);
  close(fd);
}

/* --- memory --------------------------------------------------------------- */

static bool commit_step(int fd, off_t at, off_t size) {
  while (fallocate(fd, 0, at, size))
    if (errno != EINTR) return false;
  return true;
}

bool weir_file_commit(const weir_file *file, uint64_t offset, uint64_t size) {
  uint64_t end = offset + size;
  if (offset > file->geometry.total || size > file->geometry.total - offset) {
    errno = EINVAL;
    return false;
  }
  for (uint64_t step; offset < end; offset += step) {
    step = end - offset < STEP ? end - offset : STEP;
    if (!commit_step(file->fd, (off_t)offset, (off_t)step)) return false;
  }
  return true;
}

/* The memory that everybody touches; a copy of a file may lack it. */
static bool commit_base(const weir_file *file, const weir_place *place) {
  if (weir_file_commit(file, 0, file->geometry.regions)) return true;
  return weir_place_refuse_errno(place, WEIR_FILE, "there is no memory for it");
}

static bool map(weir_file *file, const weir_place *place) {
  size_t length = (size_t)file->geometry.total;
  void *at = MAP_FAILED;
  errno = ENOMEM;
  if (length == file->geometry.total)
    at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
  if (at == MAP_FAILED)
    return weir_place_refuse_errno(place, WEIR_FILE, "cannot be mapped");
  file->header = at;
  return true;
}

void weir_file_close(weir_file *file) {
  if (file->header) munmap(file->header, file->geometry.total);
  if (file->fd >= 0) close(file->fd);
  *file = WEIR_FILE_NONE;
}

static bool identify(weir_file *file, struct stat *st) {
  if (fstat(file->fd, st)) return false;
  file->dev = st->st_dev;
  file->ino = st->st_ino;
  return true;
}

/* --- a new file ----------------------------------------------------------- */

static int make_name(int home, char *name32) {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number) return -1;
  snprintf(name32, 32, WEIR_FILE_NEW "%016llx", (unsigned long long)number);
  return openat(home, name32,
                O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, OF_USER);
}

/* Asks first: what is too long for the process is a signal that kills. */
static bool lengthen(int fd, uint64_t total) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      limit.rlim_cur < total) {
    errno = EFBIG;
    return false;
  }
  return ftruncate(fd, (off_t)total) == 0;
}

static void write_head(const weir_file *file) {
  weir_head head = { .magic = magic,
                     .layout = weir_sharing_layout(),
                     .size = file->geometry.size,
                     .total = file->geometry.total,
                     .version = VERSION,
                     .group = file->group };
  read_boot(head.boot);
  file->header->head = head;
}

static bool furnish(weir_file *file, const weir_place *place) {
  struct stat st;
  if (!identify(file, &st) ||
      fchmod(file->fd, file->group ? OF_GROUP : OF_USER) ||
      !lengthen(file->fd, file->geometry.total))
    return weir_place_refuse_errno(place, WEIR_FILE, "cannot be made");
  if (!commit_base(file, place) || !map(file, place)) return false;
  write_head(file);
  return true;
}

int weir_file_make(weir_file *file, const weir_place *place, uint64_t size,
                   bool group, char *name32) {
  *file = WEIR_FILE_NONE;
  file->geometry = weir_geometry_of(size);
  file->group = group;
  file->fd = make_name(place->home, name32);
  if (file->fd < 0) {
    if (errno == ENOENT) return 0;
    weir_place_refuse_errno(place, WEIR_FILE, "cannot be made");
    return -1;
  }
  if (furnish(file, place)) return 1;
  unlinkat(place->home, name32, 0);
  weir_file_close(file);
  return -1;
}

/* ENOENT: who was first has cleared up behind himself, and us with it. */
int weir_file_publish(const weir_place *place, const char *name) {
  int failed = linkat(place->home, name, place->home, WEIR_FILE, 0);
  int error = errno;
  unlinkat(place->home, name, 0);
  if (!failed) return 1;
  if (error == EEXIST || error == ENOENT) return 0;
  errno = error;
  weir_place_refuse_errno(place, WEIR_FILE, "cannot be given its name");
  return -1;
}

/* --- a file that is there ------------------------------------------------- */

static bool refuse(const weir_place *place, const char *what) {
  return weir_place_refuse(place, WEIR_FILE, "%s", what);
}

static bool is_trusted(const weir_place *place, const struct stat *st) {
  if (S_ISLNK(st->st_mode))
    return refuse(place, "is a symbolic link: remove it");
  if (!S_ISREG(st->st_mode))
    return refuse(place, "is no regular file: remove it");
  return weir_place_trusts(place, WEIR_FILE, st);
}

/* Opening what is no file could block or do something: it is looked at first,
** and then once more, since it may be another one by now. */
int weir_file_open_any(const weir_place *place) {
  struct stat st;
  int fd = -1;
  if (fstatat(place->home, WEIR_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!is_trusted(place, &st)) return -1;
    fd = openat(place->home, WEIR_FILE,
                O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  }
  if (fd < 0) weir_place_refuse_errno(place, WEIR_FILE, "cannot be opened");
  return fd;
}

static bool read_head(int fd, const weir_place *place, weir_head *head) {
  ssize_t got = pread(fd, head, sizeof *head, 0);
  if (got < 0)
    return weir_place_refuse_errno(place, WEIR_FILE, "cannot be read");
  if (got != sizeof *head)
    return refuse(place, "is too short for a space: remove it");
  return true;
}

static bool is_of_this_version(const weir_place *place, const weir_head *head) {
  if (head->magic != magic) return refuse(place, "is no space: remove it");
  if (head->version == VERSION && head->layout == weir_sharing_layout())
    return true;
  return refuse(place, "is of another version of weir: stop who uses it and "
                       "remove it, or choose another name");
}

static bool is_whole(const weir_place *place, const weir_head *head,
                     off_t length) {
  weir_geometry g;
  if (head->size < WEIR_SHARED_SIZE_MIN || head->size > WEIR_SHARED_SIZE_MAX)
    return refuse(place, "is damaged, its size is out of range: remove it");
  g = weir_geometry_of(head->size);
  if (head->total != g.total || head->group > 1 ||
      head->boot[WEIR_BOOT_MAX - 1])
    return refuse(place, "is damaged, its header does not fit: remove it");
  if ((uint64_t)length == g.total) return true;
  return weir_place_refuse(
      place, WEIR_FILE,
      "has %llu bytes instead of %llu, as if cut off: remove it",
      (unsigned long long)length, (unsigned long long)g.total);
}

static bool is_as_asked(const weir_place *place, const weir_head *head,
                        uint64_t size) {
  if (!size || size == head->size) return true;
  return weir_place_refuse(
      place, WEIR_FILE,
      "its size is %llu, not %llu: ask for that size or none, "
      "or stop who uses it and remove it",
      (unsigned long long)head->size, (unsigned long long)size);
}

static bool is_its_groups(const weir_place *place, const weir_head *head,
                          const struct stat *st) {
  if (head->group || !(st->st_mode & GROUP_WRITES)) return true;
  return refuse(place, "its group can write to it, and it was not made so: "
                       "make it 0600");
}

static bool is_of_earlier_boot(const weir_head *head) {
  char boot[WEIR_BOOT_MAX];
  read_boot(boot);
  return *boot && *head->boot && memcmp(boot, head->boot, sizeof boot) != 0;
}

static bool check(weir_file *file, const weir_place *place, uint64_t size) {
  weir_head head;
  struct stat st;
  if (!identify(file, &st))
    return weir_place_refuse_errno(place, WEIR_FILE, "cannot be looked at");
  if (!is_trusted(place, &st) || !read_head(file->fd, place, &head) ||
      !is_of_this_version(place, &head) ||
      !is_whole(place, &head, st.st_size) ||
      !is_its_groups(place, &head, &st) || !is_as_asked(place, &head, size))
    return false;
  file->geometry = weir_geometry_of(head.size);
  file->group = head.group;
  file->earlier = is_of_earlier_boot(&head);
  return true;
}

bool weir_file_open(weir_file *file, const weir_place *place, int fd,
                    uint64_t size) {
  *file = WEIR_FILE_NONE;
  file->fd = fd >= 0 ? fd : weir_file_open_any(place);
  if (file->fd >= 0 && check(file, place, size) && commit_base(file, place) &&
      map(file, place))
    return true;
  weir_file_close(file);
  return false;
}

bool weir_file_stands(const weir_file *file, const weir_place *place) {
  struct stat st;
  return weir_place_stands(place) &&
         fstatat(place->home, WEIR_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         st.st_dev == file->dev && st.st_ino == file->ino;
}
