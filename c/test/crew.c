/* crew.c - see crew.h. */
#include "crew.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void crew_dir(char *path) {
  snprintf(path, CREW_PATH, "/dev/shm/weir-test-XXXXXX");
  if (!mkdtemp(path)) abort();
}

static void clear_at(int at, const char *path) {
  int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
  if (!stream) {
    unlinkat(at, path, 0);
    return;
  }
  for (const struct dirent *e; (e = readdir(stream));)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      clear_at(fd, e->d_name);
  closedir(stream);
  unlinkat(at, path, AT_REMOVEDIR);
}

void crew_clear(const char *path) { clear_at(AT_FDCWD, path); }

crew_hand crew_hire(crew_work *work, void *data) {
  crew_hand hand, boss;
  int up[2], down[2];
  if (pipe(up) || pipe(down)) abort();
  hand = (crew_hand){ 0, up[0], down[1] };
  boss = (crew_hand){ 0, down[0], up[1] };
  hand.pid = fork();
  if (hand.pid < 0) abort();
  if (hand.pid == 0) {
    close(hand.in);
    close(hand.out);
    work(&boss, data);
    raise(SIGKILL); /* what it has inherited is not to be taken for leaks */
  }
  close(boss.in);
  close(boss.out);
  return hand;
}

void crew_say(const crew_hand *hand, char what) {
  if (write(hand->out, &what, 1) != 1) abort();
}

int crew_hear(const crew_hand *hand) {
  unsigned char what;
  return read(hand->in, &what, 1) == 1 ? what : -1;
}

bool crew_dismiss(crew_hand *hand, int signal) {
  int status = -1;
  if (signal) kill(hand->pid, signal);
  waitpid(hand->pid, &status, 0);
  close(hand->in);
  close(hand->out);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
