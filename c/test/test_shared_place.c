/*
** test_shared_place.c - what is refused when a space is opened, and what the
** refusal says.
*/
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir_shared.h>

#include "check.h"
#include "choices.h"
#include "crew.h"
#include "shared/file.h"

enum { PATH = 512 };

typedef struct site { /* a directory with the space "s" in it, or without */
  char dir[CREW_PATH];
  char home[PATH], file[PATH];
  char why[WEIR_WHY_MAX];
  weir_shared_options options;
} site;

static void site_open(site *s) {
  memset(s, 0, sizeof *s);
  crew_dir(s->dir);
  snprintf(s->home, sizeof s->home, "%s/s", s->dir);
  snprintf(s->file, sizeof s->file, "%s/s/space", s->dir);
  s->options.dir = s->dir;
  s->options.size = WEIR_SHARED_SIZE_MIN;
}

static void site_close(site *s) { crew_clear(s->dir); }

static bool opens(site *s) {
  weir_space *space = weir_shared_open("s", &s->options, s->why);
  if (space) weir_space_free(space);
  return space != NULL;
}

static bool says(const site *s, const char *what) {
  if (strstr(s->why, what)) return true;
  return check_text(HERE, s->why, what);
}

/* It is refused, and says why, where and what to do. */
static void refused(check_place place, site *s, const char *what) {
  if (!check_true(place, "refused", !opens(s))) return;
  if (!strstr(s->why, what)) check_text(place, s->why, what);
  check_true(place, "names the path", strstr(s->why, s->dir) != NULL);
  check_true(place, "says what to do", strrchr(s->why, ':') != NULL);
}

static bool is_mode(const char *path, mode_t mode) {
  struct stat st;
  return stat(path, &st) == 0 && (st.st_mode & 0777) == mode;
}

static void put(const char *path, const char *text) {
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}

/* --- what is made --------------------------------------------------------- */

TEST(a_new_space_is_its_users_alone) {
  mode_t mask = umask(0);
  site s;
  site_open(&s);
  CHECK(opens(&s));
  CHECK(is_mode(s.home, 0700));
  CHECK(is_mode(s.file, 0600));
  umask(mask);
  site_close(&s);
}

TEST(a_new_space_may_be_its_groups) {
  mode_t mask = umask(077);
  site s;
  char dir[PATH / 2];
  site_open(&s);
  snprintf(dir, sizeof dir, "%s/deeper", s.dir);
  snprintf(s.home, sizeof s.home, "%s/s", dir);
  snprintf(s.file, sizeof s.file, "%s/s/space", dir);
  s.options.dir = dir;
  s.options.group = true;
  CHECK(opens(&s));
  CHECK(is_mode(dir, 0770));
  CHECK(is_mode(s.home, 0770));
  CHECK(is_mode(s.file, 0660));
  CHECK(opens(&s));
  umask(mask);
  site_close(&s);
}

TEST(the_variable_names_the_directory) {
  site s;
  site_open(&s);
  s.options.dir = NULL;
  setenv("WEIR_DIR", s.dir, 1);
  CHECK(opens(&s));
  unsetenv("WEIR_DIR");
  CHECK_EQ(access(s.file, F_OK), 0);
  site_close(&s);
}

/* --- names ---------------------------------------------------------------- */

TEST(names_that_are_none) {
  static const char *const names[] = {
    "",
    ".",
    "..",
    ".hidden",
    "a/b",
    "../s",
    "a b",
    "a\nb",
    "\xc3\xa4",
    "a\\",
    "0123456789012345678901234567890123456789012345678901234567890123"
  };
  site s;
  site_open(&s);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    CHECK(!weir_shared_open(names[i], &s.options, s.why));
    says(&s, "is no name of a space");
    CHECK(!strchr(s.why, '\n'));
    s.why[0] = '\0';
    CHECK(!weir_shared_check_name(names[i], s.why));
    says(&s, "is no name of a space");
    CHECK(!weir_shared_remove(names[i], s.dir, true, s.why));
    says(&s, "is no name of a space");
  }
  CHECK(!weir_shared_open("..", &s.options, NULL));
  CHECK(weir_shared_check_name("a.b-C_9", s.why));
  site_close(&s);
}

TEST(a_name_of_63_bytes_is_one) {
  static const char name[] =
      "Az09_-.3456789012345678901234567890123456789012345678901234567.";
  weir_space *space;
  site s;
  site_open(&s);
  CHECK_EQ(sizeof name - 1, WEIR_SHARED_NAME_MAX);
  space = weir_shared_open(name, &s.options, s.why);
  if (CHECK(space != NULL)) weir_space_free(space);
  CHECK(weir_shared_remove(name, s.dir, false, s.why));
  site_close(&s);
}

/* --- sizes ---------------------------------------------------------------- */

TEST(sizes_that_cannot_be) {
  site s;
  site_open(&s);
  s.options.size = WEIR_SHARED_SIZE_MIN - 1;
  refused(HERE, &s, "is not possible");
  s.options.size = WEIR_SHARED_SIZE_MAX + 1;
  refused(HERE, &s, "is not possible");
  site_close(&s);
}

TEST(another_size_than_it_has) {
  site s;
  site_open(&s);
  CHECK(opens(&s));
  s.options.size *= 2;
  refused(HERE, &s, "its size is 262144, not 524288");
  s.options.size = 0;
  CHECK(opens(&s));
  site_close(&s);
}

TEST(a_size_that_the_process_may_not_have) {
  struct rlimit limit, was;
  site s;
  site_open(&s);
  getrlimit(RLIMIT_FSIZE, &was);
  limit = was;
  limit.rlim_cur = 1 << 20;
  setrlimit(RLIMIT_FSIZE, &limit);
  refused(HERE, &s, "cannot be made");
  CHECK_EQ(access(s.home, F_OK), -1);
  setrlimit(RLIMIT_FSIZE, &was);
  CHECK(opens(&s));
  site_close(&s);
}

TEST(an_existing_one_is_not_made) {
  site s;
  site_open(&s);
  s.options.existing = true;
  refused(HERE, &s, "is not there");
  CHECK_EQ(access(s.home, F_OK), -1);
  s.options.existing = false;
  CHECK(opens(&s));
  s.options.existing = true;
  CHECK(opens(&s));
  unlink(s.file);
  refused(HERE, &s, "is not there");
  site_close(&s);
}

/* --- directories ---------------------------------------------------------- */

TEST(a_directory_that_others_can_write_to) {
  site s;
  site_open(&s);
  chmod(s.dir, 01777);
  refused(HERE, &s, "everybody can write");
  chmod(s.dir, 0775);
  refused(HERE, &s, "its group can write");
  chmod(s.dir, 0755);
  CHECK(opens(&s));
  chmod(s.home, 0777);
  refused(HERE, &s, "everybody can write");
  chmod(s.home, 0720);
  refused(HERE, &s, "its group can write");
  site_close(&s);
}

TEST(a_directory_that_is_a_link) {
  char link[PATH];
  site s;
  site_open(&s);
  snprintf(link, sizeof link, "%s/link", s.dir);
  CHECK_EQ(symlink(".", link), 0);
  s.options.dir = link;
  refused(HERE, &s, "symbolic link");
  snprintf(link, sizeof link, "%s/link//", s.dir);
  refused(HERE, &s, "symbolic link");
  s.options.dir = s.dir;
  CHECK_EQ(symlink(".", s.home), 0);
  refused(HERE, &s, "symbolic link");
  unlink(s.home);
  put(s.home, "a file");
  refused(HERE, &s, "is no directory");
  site_close(&s);
}

TEST(a_directory_in_none) {
  char dir[PATH];
  site s;
  site_open(&s);
  snprintf(dir, sizeof dir, "%s/a/b", s.dir);
  s.options.dir = dir;
  refused(HERE, &s, "cannot be made");
  site_close(&s);
}

TEST(a_directory_of_somebody_else) {
  site s;
  if (geteuid() != 0) return;
  site_open(&s);
  CHECK(opens(&s));
  CHECK_EQ(chown(s.file, 12345, 12345), 0);
  refused(HERE, &s, "belongs to user 12345");
  CHECK_EQ(chown(s.file, 0, 0), 0);
  CHECK_EQ(chown(s.home, 12345, 12345), 0);
  refused(HERE, &s, "belongs to user 12345");
  CHECK_EQ(chown(s.home, 0, 0), 0);
  CHECK(opens(&s));
  site_close(&s);
}

/* Two users of one group, and one who is in none. */
static void open_as(uid_t user, gid_t group, site *s, bool wanted) {
  pid_t pid = fork();
  int status = -1;
  if (pid == 0) {
    umask(027);
    if (setgid(group) || setuid(user)) _exit(2);
    _exit(opens(s) != wanted);
  }
  waitpid(pid, &status, 0);
  CHECK_EQ(status, 0);
}

TEST(a_group_shares_what_was_made_for_it) {
  char dir[PATH];
  site s;
  if (geteuid() != 0) return;
  site_open(&s);
  chmod(s.dir, 0777); /* its mode is no matter: it is the deeper one's parent */
  snprintf(dir, sizeof dir, "%s/g", s.dir);
  s.options.dir = dir;
  s.options.group = true;
  open_as(1001, 3000, &s, true);
  open_as(1002, 3000, &s, true);
  open_as(1003, 3001, &s, false);
  s.options.group = false;
  open_as(1002, 3000, &s, true);
  site_close(&s);
}

/* --- files ---------------------------------------------------------------- */

TEST(a_file_that_is_none) {
  site s;
  site_open(&s);
  CHECK_EQ(mkdir(s.home, 0700), 0);
  CHECK_EQ(symlink("elsewhere", s.file), 0);
  refused(HERE, &s, "is a symbolic link");
  unlink(s.file);
  CHECK_EQ(mkfifo(s.file, 0600), 0);
  refused(HERE, &s, "is no regular file");
  unlink(s.file);
  CHECK_EQ(mkdir(s.file, 0700), 0);
  refused(HERE, &s, "is no regular file");
  site_close(&s);
}

TEST(a_file_that_others_can_write_to) {
  site s;
  site_open(&s);
  CHECK(opens(&s));
  chmod(s.file, 0606);
  refused(HERE, &s, "everybody can write");
  chmod(s.file, 0660);
  refused(HERE, &s, "its group can write");
  site_close(&s);
}

TEST(a_file_that_is_no_space) {
  site s;
  site_open(&s);
  CHECK_EQ(mkdir(s.home, 0700), 0);
  put(s.file, "");
  refused(HERE, &s, "is too short");
  put(s.file, "a text that is longer than the header of a space is, so that it "
              "is not refused for this, and that has nothing of one anyway. It "
              "says so here");
  refused(HERE, &s, "is no space");
  site_close(&s);
}

TEST(a_file_that_was_cut_off) {
  struct stat st;
  site s;
  site_open(&s);
  CHECK(opens(&s));
  CHECK_EQ(stat(s.file, &st), 0);
  CHECK_EQ(truncate(s.file, st.st_size - 1), 0);
  refused(HERE, &s, "as if cut off");
  CHECK_EQ(truncate(s.file, st.st_size + 1), 0);
  refused(HERE, &s, "has ");
  CHECK_EQ(truncate(s.file, 50), 0);
  refused(HERE, &s, "is too short");
  site_close(&s);
}

static void overwrite(const char *path, size_t at, const void *with,
                      size_t size) {
  int fd = open(path, O_WRONLY);
  CHECK_EQ(pwrite(fd, with, size, (off_t)at), size);
  close(fd);
}

TEST(a_space_of_another_version) {
  const uint32_t version = 999;
  const uint64_t layout = 0;
  site s;
  site_open(&s);
  CHECK(opens(&s));
  overwrite(s.file, offsetof(weir_head, version), &version, sizeof version);
  refused(HERE, &s, "another version");
  unlink(s.file);
  CHECK(opens(&s));
  overwrite(s.file, offsetof(weir_head, layout), &layout, sizeof layout);
  refused(HERE, &s, "another version");
  site_close(&s);
}

TEST(a_header_that_contradicts_itself) {
  static const uint64_t sizes[] = { 0, 1, WEIR_SHARED_SIZE_MIN + 4096,
                                    WEIR_SHARED_SIZE_MAX, UINT64_MAX };
  site s;
  site_open(&s);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    CHECK(opens(&s));
    overwrite(s.file, offsetof(weir_head, size), &sizes[i], sizeof sizes[i]);
    refused(HERE, &s, "is damaged");
    CHECK(weir_shared_remove("s", s.dir, false, s.why));
  }
  site_close(&s);
}

/* It opens or it does not; and it can always be removed. */
TEST(garbage_in_the_header_never_crashes) {
  choices from = choices_of_seed(3);
  unsigned opened = 0;
  site s;
  site_open(&s);
  for (int i = 0; i < 300; i++) {
    uint32_t end = i % 2 ? sizeof(weir_head) : sizeof(weir_header);
    CHECK(opens(&s));
    for (uint32_t n = 1 + choose(&from, i % 3 ? 4 : 400); n; n--) {
      unsigned char byte = (unsigned char)choose(&from, 256);
      overwrite(s.file, choose(&from, end), &byte, 1);
    }
    opened += opens(&s);
    if (!CHECK(weir_shared_remove("s", s.dir, false, s.why))) puts(s.why);
  }
  CHECK(opened > 20 && opened < 280);
  site_close(&s);
}

/* What an earlier boot has left is made anew, as large as it was. */
TEST(a_space_of_an_earlier_boot_is_made_anew) {
  struct stat was, is;
  site s;
  site_open(&s);
  s.options.size *= 2;
  CHECK(opens(&s));
  overwrite(s.file, offsetof(weir_head, boot), "another boot", 12);
  CHECK_EQ(stat(s.file, &was), 0);
  s.options.size = 0;
  s.options.existing = true;
  refused(HERE, &s, "is from before");
  s.options.existing = false;
  CHECK(opens(&s));
  CHECK_EQ(stat(s.file, &is), 0);
  CHECK(is.st_ino != was.st_ino);
  CHECK_EQ(is.st_size, was.st_size);
  site_close(&s);
}

CHECK_MAIN
