/*
** test_shared_order.c - waiters of several processes for one permit, in an
** order that is known; some of the processes are killed or stopped while the
** permit goes round. The others have it in that order, all of them.
**
** WEIR_STORM_SECONDS is how long it takes; 1, unless it says.
*/
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "shared/seat.h"
#include "storm.h"

enum { TICKETS = 128, VICTIMS = 3, PATIENCE_MS = 20000, HURRY = 10 };

typedef struct line {
  storm_board *board;
  storm_part part; /* who has the permit first */
  crew_hand hands[STORM_WORKERS];
  bool lives[STORM_WORKERS];
  uint8_t owner[TICKETS]; /* of each number */
  choices from;
} line;

typedef struct tally {
  uint64_t rounds, turns, victims, mends;
} tally;

/* --- a waiter ------------------------------------------------------------- */

static int ask(storm_part *p, uint32_t number, weir_ticket *ticket) {
  weir_request request = { .key = "k", .key_size = 1, .cookie = number };
  return weir_acquire(p->port, p->keyed, &request, weir_seats_now(), ticket);
}

/* Only who has the permit writes; one that dies after it has written and before
** it has counted is not in the list. */
static void take_turn(storm_part *p, const weir_event *event) {
  storm_board *b = p->board;
  if (!storm_enter(b, OF_KEYS)) atomic_fetch_add(&p->place->over, 1);
  b->order[b->turns] = (uint32_t)event->cookie;
  atomic_fetch_add(&b->turns, 1);
  if (once_in(&p->from, 4)) weir_seats_nap(choose(&p->from, 100) * 1000);
  storm_exit(b, OF_KEYS);
  weir_release(p->port, event->ticket, WEIR_DONE, weir_seats_now());
}

typedef struct post {
  storm_board *board;
  uint32_t place;
} post;

/* 'q': waits once more; 'g': takes all its turns. */
static void stand_in_line(const crew_hand *boss, void *data) {
  const post *at = data;
  uint32_t waiting = 0;
  storm_part part;
  weir_ticket ticket;
  if (!storm_join(&part, at->board, at->place)) return;
  crew_say(boss, 'j');
  while (crew_hear(boss) == 'q') {
    bool waits = ask(&part, at->board->number, &ticket) == WEIR_WAITING;
    waiting += waits;
    crew_say(boss, waits ? 'w' : 'x');
  }
  for (weir_event event; waiting--;)
    if (storm_await(&part, WEIR_NEVER, &event)) take_turn(&part, &event);
  crew_say(boss, 'd');
  crew_hear(boss);
}

/* --- the line ------------------------------------------------------------- */

static int hear_in_time(const crew_hand *hand) {
  struct pollfd fd = { .fd = hand->in, .events = POLLIN };
  return poll(&fd, 1, PATIENCE_MS) == 1 ? crew_hear(hand) : -1;
}

static bool begin(line *l) {
  memset(l, 0, sizeof *l);
  l->board = storm_new(0);
  l->board->patrol_ns = HURRY * WEIR_MS;
  l->from = choices_of_seed(weir_seats_now());
  for (uint32_t i = 0; i < STORM_WORKERS; i++) {
    post at = { l->board, i };
    l->hands[i] = crew_hire(stand_in_line, &at);
    l->lives[i] = true;
  }
  for (uint32_t i = 0; i < STORM_WORKERS; i++)
    CHECK_EQ(hear_in_time(&l->hands[i]), 'j');
  return CHECK(storm_join(&l->part, l->board, STORM_WORKERS));
}

static weir_ticket line_up(line *l) {
  weir_ticket held;
  CHECK_EQ(ask(&l->part, 0, &held), WEIR_ADMITTED);
  for (uint32_t i = 0; i < TICKETS; i++) {
    l->owner[i] = (uint8_t)choose(&l->from, STORM_WORKERS);
    l->board->number = i;
    crew_say(&l->hands[l->owner[i]], 'q');
    CHECK_EQ(hear_in_time(&l->hands[l->owner[i]]), 'w');
  }
  for (int i = 0; i < STORM_WORKERS; i++) crew_say(&l->hands[i], 'g');
  return held;
}

/* Some are killed wherever they are, some within a call; one is stopped. */
static void strike(line *l, tally *t) {
  uint32_t stopped = choose(&l->from, STORM_WORKERS);
  kill(l->hands[stopped].pid, SIGSTOP);
  for (uint32_t i = 0; i < VICTIMS; i++) {
    uint32_t victim = choose(&l->from, STORM_WORKERS);
    bool by_itself = l->lives[victim] && once_in(&l->from, 2);
    if (by_itself) l->board->places[victim].doom = 1 + choose(&l->from, 8);
    weir_seats_nap(choose(&l->from, 200) * WEIR_MS / 200);
    kill(l->hands[victim].pid, SIGKILL);
    t->victims += l->lives[victim];
    l->lives[victim] = false;
  }
  kill(l->hands[stopped].pid, SIGCONT);
}

/* All numbers were had in their order, and all that are a survivor's. */
static void check_order(const line *l, tally *t) {
  uint32_t next = 0;
  for (uint32_t i = 0; i < l->board->turns; i++) {
    uint32_t number = l->board->order[i];
    CHECK(number >= next && number < TICKETS);
    for (; next < number && next < TICKETS; next++)
      CHECK(!l->lives[l->owner[next]]);
    next = number + 1;
  }
  for (; next < TICKETS; next++) CHECK(!l->lives[l->owner[next]]);
  t->turns += l->board->turns;
}

static void end(line *l, tally *t) {
  for (int i = 0; i < STORM_WORKERS; i++) {
    if (l->lives[i]) CHECK_EQ(hear_in_time(&l->hands[i]), 'd');
    t->mends += l->board->places[i].mends;
    CHECK_EQ(l->board->places[i].over, 0);
  }
  for (int i = 0; i < STORM_WORKERS; i++)
    CHECK(crew_dismiss(&l->hands[i], SIGKILL));
  check_order(l, t);
  storm_leave(&l->part);
  storm_free(l->board);
}

static void one_round(tally *t) {
  line l;
  weir_ticket held;
  if (!begin(&l)) return;
  held = line_up(&l);
  CHECK_EQ(weir_release(l.part.port, held, WEIR_DONE, weir_seats_now()), 0);
  strike(&l, t);
  end(&l, t);
  t->rounds++;
}

TEST(survivors_go_in_the_order_they_came) {
  const char *text = getenv("WEIR_STORM_SECONDS");
  uint64_t asked = text ? strtoull(text, NULL, 10) : 1;
  uint64_t until = weir_seats_now() + asked * 1000 * WEIR_MS;
  tally t = { 0 };
  do one_round(&t);
  while (weir_seats_now() < until);
  printf("# %llu rounds: %llu turns of %llu waiters, %llu kills, %llu mends\n",
         (unsigned long long)t.rounds, (unsigned long long)t.turns,
         (unsigned long long)t.rounds * TICKETS, (unsigned long long)t.victims,
         (unsigned long long)t.mends);
}

CHECK_MAIN
