/*
** member.c - see member.h. Linux only, as all of this folder.
*/
#include "member.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tidy.h"

/* --- the registry --------------------------------------------------------- */

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static weir_member *registry;

static void take_registry(void) { pthread_mutex_lock(&registry_mutex); }
void weir_registry_unlock(void) { pthread_mutex_unlock(&registry_mutex); }

/* A child must not inherit a registry that a thread was about to change. */
static void watch_forks(void) {
  pthread_atfork(take_registry, weir_registry_unlock, weir_registry_unlock);
}

void weir_registry_lock(void) {
  pthread_once(&registry_once, watch_forks);
  take_registry();
}

static bool is_of(const weir_member *member, dev_t dev, ino_t ino) {
  return member->file.dev == dev && member->file.ino == ino;
}

weir_member *weir_registry_find(dev_t dev, ino_t ino) {
  weir_member *m = registry;
  while (m && !(is_of(m, dev, ino) && weir_lock_is_ours(&m->lock))) m = m->next;
  return m;
}

const weir_member *weir_registry_of(const weir_space *space) {
  const weir_member *m = registry;
  while (m && m->space != space) m = m->next;
  return m;
}

/* A child that has locks of its own must not lose them when it frees what it
** has inherited: there is only one descriptor still. */
int weir_registry_inherit(dev_t dev, ino_t ino) {
  for (weir_member *m = registry; m; m = m->next)
    if (is_of(m, dev, ino) && !weir_lock_is_ours(&m->lock) && m->file.fd >= 0) {
      int fd = m->file.fd;
      m->file.fd = -1;
      return fd;
    }
  return -1;
}

void weir_registry_add(weir_member *member) {
  member->next = registry;
  member->listed = true;
  member->opens = 1;
  registry = member;
}

static void take_out(weir_member *member) {
  weir_member **link = &registry;
  while (*link && *link != member) link = &(*link)->next;
  if (*link) *link = member->next;
}

/* --- what the engine asks ------------------------------------------------- */

static weir_member *of(weir_sharing *sharing) {
  return (weir_member *)(void *)sharing;
}

static int on_lock(weir_sharing *sharing) {
  return weir_lock_take(&of(sharing)->lock);
}

static void on_unlock(weir_sharing *sharing) {
  weir_lock_give(&of(sharing)->lock);
}

static bool on_commit(weir_sharing *sharing, void *at, size_t size) {
  const weir_file *file = &of(sharing)->file;
  uintptr_t base = (uintptr_t)file->header, begin = (uintptr_t)at;
  return begin >= base && weir_file_commit(file, begin - base, size);
}

static weir_life on_life(weir_sharing *sharing, uint32_t seat) {
  return weir_seats_life(&of(sharing)->seats, seat);
}

static void on_vacate(weir_sharing *sharing, uint32_t seat) {
  weir_seats_vacate(&of(sharing)->seats, seat);
}

static int on_hang_bell(weir_sharing *sharing, uint32_t port) {
  return of(sharing)->looking ? -1 : weir_bells_hang(&of(sharing)->bells, port);
}

/* The bell stays: see bell.h. */
static void on_unhang_bell(weir_sharing *sharing, uint32_t port, int fd) {
  (void)sharing;
  (void)port;
  if (fd >= 0) close(fd);
}

static void on_ring(weir_sharing *sharing, uint32_t port) {
  weir_bells_ring(&of(sharing)->bells, port);
}

static void on_hush(weir_sharing *sharing, int fd) {
  if (weir_lock_is_ours(&of(sharing)->lock)) weir_bells_hush(fd);
}

/* --- the end -------------------------------------------------------------- */

static void drop(weir_member *member) {
  weir_bells_fini(&member->bells);
  weir_lock_fini(&member->lock);
  weir_file_close(&member->file);
  if (member->home >= 0) {
    weir_tidy_behind(member->home);
    close(member->home);
  }
  free(member);
}

/* The seat falls with the descriptor, as if the process had died, and is made
** free as a dead one's is: after what was left there, if the host has left
** something, and without waiting for anybody now. */
static bool on_close(weir_sharing *sharing) {
  weir_member *member = of(sharing);
  if (!member->listed) {
    drop(member);
    return true;
  }
  weir_registry_lock();
  if (--member->opens) {
    weir_registry_unlock();
    return false;
  }
  take_out(member);
  drop(member);
  weir_registry_unlock();
  return true;
}

void weir_member_free(weir_member *member) {
  if (member->space)
    weir_space_free(member->space);
  else
    drop(member);
}

/* --- joining -------------------------------------------------------------- */

static void fill_in(weir_member *member) {
  unsigned char *base = (unsigned char *)member->file.header;
  const weir_geometry *g = &member->file.geometry;
  member->sharing = (weir_sharing){
    .state = base + g->state,
    .regions = base + g->regions,
    .region_size = g->region_size,
    .budget = g->size,
    .patrol_ns = 100 * WEIR_MS,
    .lock = on_lock,
    .unlock = on_unlock,
    .commit = on_commit,
    .life = on_life,
    .vacate = on_vacate,
    .hang_bell = on_hang_bell,
    .unhang_bell = on_unhang_bell,
    .ring = on_ring,
    .hush = on_hush,
    .close = on_close,
  };
}

static bool equip(weir_member *member, const weir_place *place) {
  member->home = fcntl(place->home, F_DUPFD_CLOEXEC, 0);
  member->seats.file = &member->file;
  return member->home >= 0 &&
         weir_bells_init(&member->bells, &member->file, member->home) &&
         weir_lock_init(&member->lock, &member->seats);
}

weir_member *weir_member_new(const weir_file *file, const weir_place *place) {
  weir_member *member = calloc(1, sizeof *member);
  weir_file left = *file;
  if (!member) {
    weir_place_refuse_errno(place, NULL, "no memory for it");
    weir_file_close(&left);
    return NULL;
  }
  member->file = *file;
  fill_in(member);
  if (equip(member, place)) return member;
  weir_place_refuse_errno(place, NULL, "cannot be joined");
  drop(member);
  return NULL;
}

static void take_seat(weir_member *member) {
  if (!member->sharing.seat)
    member->sharing.seat = weir_seats_take(&member->seats);
}

static bool make_space(weir_member *member, const weir_place *place,
                       bool fresh) {
  unsigned char seed[16];
  if (getrandom(seed, sizeof seed, 0) != sizeof seed)
    return weir_place_refuse_errno(place, WEIR_FILE,
                                   "there are no random numbers");
  member->space = weir_sharing_space(&member->sharing, fresh, seed);
  if (member->space) return true;
  return weir_place_refuse(
      place, WEIR_FILE,
      "there is no memory for it, or it is damaged: free some, "
      "or stop who uses it and remove it");
}

/* With the lock. It takes a seat before the dead are cleared away where it can,
** so that the engine has it from the first. */
static bool settle(weir_member *member, const weir_place *place, bool fresh,
                   bool from_dead) {
  take_seat(member);
  if (!make_space(member, place, fresh)) {
    weir_seats_return(&member->seats);
    return false;
  }
  if ((from_dead && weir_sharing_mend(member->space)) ||
      weir_sharing_patrol(member->space) < 0)
    return weir_place_refuse(place, WEIR_FILE,
                             "is damaged: stop who uses it and remove it");
  take_seat(member);
  if (member->sharing.seat) return true;
  return weir_place_refuse(
      place, WEIR_FILE,
      "%d processes share it, there is room for no more: stop "
      "one, or choose another name",
      WEIR_SEATS - 1);
}

static weir_joined busy(const weir_member *member, const weir_place *place) {
  weir_place_refuse(
      place, WEIR_FILE,
      "process %u has locked it and does not go on: continue or stop "
      "that process",
      weir_lock_owner(&member->lock));
  return WEIR_BUSY;
}

static uint32_t word_of(const weir_member *member, uint32_t seat) {
  return weir_lock_word(seat, weir_seats_generation(&member->seats, seat));
}

/* A lock from the dead goes on to the next one where it cannot be mended: who
** leaves without giving it is as dead as they. */
weir_joined weir_member_join(weir_member *member, const weir_place *place,
                             bool fresh, uint64_t wait_ns) {
  weir_lock *lock = &member->lock;
  int got;
  bool settled;
  weir_seats_janitor(&member->seats);
  lock->mine = word_of(member, 0);
  got = weir_lock_wait(lock, wait_ns);
  if (got == WEIR_LOCK_BUSY) return busy(member, place);
  settled = settle(member, place, fresh, got == 1);
  if (member->space || got == 0) weir_lock_give(lock);
  if (!settled) return WEIR_NOT_JOINED;
  lock->mine = word_of(member, member->sharing.seat);
  return WEIR_JOINED;
}
