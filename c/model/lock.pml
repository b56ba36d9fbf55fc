/*
** lock.pml - the lock of a shared space, and what the dead leave behind in it.
**
** THE WORD
**   0: free. Otherwise the owner's seat and generation, and a bit that says
**   that somebody sleeps for it. It goes from 0 to an owner by
**   compare-and-swap, and back so, too: first from the bare owner, and if that
**   fails from the one with the bit, and then somebody is woken: one of them.
**
** WAITING
**   Sets the bit - by compare-and-swap, since the word may have become free
**   meanwhile, and a bit without an owner would lock for ever -, sleeps as long
**   as the word stays what it was, and at most for a while. Whoever found the
**   lock taken takes it with the bit set: others may sleep still, unknown to
**   it.
**   After that while it asks whether the owner lives. If not, the word is
**   swapped from exactly the value that was asked about to its own: one of all
**   who ask wins, and mends.
**
** SEATS
**   A seat is a process' as long as the kernel holds a lock for it. A dead
**   one's seat is free for another when a patrol, under the lock, has vacated
**   it; the other one counts up its generation before anything else. So a value
**   of the word means one process only, and who decided long ago that its owner
**   is dead does not take the lock from a newcomer in the same seat.
**
** MENDING
**   An operation is some stores. Before each the old value is noted, and after
**   the note the count of notes goes up; the operation is done when the count
**   goes to 0, before the lock is given back. Mending restores what is noted,
**   last first, and counts down only after a value is restored: who mends may
**   die of it, too.
**
** DEATH
**   At any step, also between giving and waking. Whoever is stopped for ever
**   is as good as dead, but lives: it must not be so inside of the lock.
**
** WHAT IS CHECKED
**   One living owner at most; it finds all of each operation or nothing; and
**   all who live get the lock in the end (`served`; without timeouts, and if
**   nobody dies: nobody is left asleep). Each NO_*, BAD_* macro breaks one
**   rule; .ci/model has the configurations.
*/
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef BIRTHS
#define BIRTHS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1
#endif

#define FREE 0
#define CONTENDED 64
#define OWNER(word) ((word) & 63)
#define TAG(seat) (1 + (seat) + 4 * generation[seat])
#define SEAT(word) (((word) & 3) - 1)
#define GENERATION(word) (OWNER(word) >> 2)

#define WELL 0 /* what became of a process */
#define DEAD 1
#define STOPPED 2

byte word;
byte generation[PROCESSES];
bit vacant[PROCESSES];
bit asleep[PROCESSES]; /* in the kernel's queue for the word */
byte fate[PROCESSES];

byte value[2];         /* what the lock protects: equal between operations */
byte note_of[3], note_was[3], notes; /* the journal */

bit inside[PROCESSES]; /* those who live and have the lock */
bit right;             /* both values, as far as operations were completed */
byte settled;          /* processes that are done, dead or stopped */
bit done[PROCESSES];
byte deaths, births, stops;
hidden byte i;

#if PROCESSES > 2
#define INSIDE (inside[0] + inside[1] + inside[2])
#else
#define INSIDE (inside[0] + inside[1])
#endif

inline enter() {
  inside[me] = 1;
  assert(INSIDE == 1) /* one owner */
}

inline note(which) {
#ifdef BAD_COUNT_FIRST
  notes++;
  d_step { note_of[notes - 1] = which; note_was[notes - 1] = value[which] }
#else
  d_step { note_of[notes] = which; note_was[notes] = value[which] };
  notes++
#endif
}

inline change(which, what) {
#ifdef BAD_NOTE_AFTER
  d_step { note_of[notes] = which; note_was[notes] = value[which];
           value[which] = what };
  notes++
#else
  note(which);
  value[which] = what
#endif
}

inline operate() {
  change(0, 2);
#ifdef BAD_NOTE_FORGOTTEN
  value[1] = 1 - right;
#else
  change(1, 1 - right);
#endif
  change(0, 1 - right)
}

inline commit() {
  d_step {
    notes = 0;
    right = 1 - right;
    i = 0;
    do /* what is beyond the count means nothing */
    :: i < 3 -> note_of[i] = 0; note_was[i] = 0; i++
    :: else -> break
    od;
    i = 0
  }
}

inline mend() {
#if defined(BAD_UNDO_FORWARD)
  undone = 0;
  do
  :: undone < notes -> value[note_of[undone]] = note_was[undone]; undone++
  :: else -> break
  od;
  undone = 0;
  notes = 0
#elif defined(BAD_UNDO_COUNTS_FIRST)
  do
  :: notes > 0 ->
     notes--;
     value[note_of[notes]] = note_was[notes]
  :: else -> break
  od
#elif defined(NO_UNDO)
  skip
#else
  do
  :: notes > 0 ->
     value[note_of[notes - 1]] = note_was[notes - 1];
     notes--
  :: else -> break
  od
#endif
}

/* Vacates the seats of the dead; one's own is taken. */
inline patrol() {
  d_step {
    i = 0;
    do
    :: i < PROCESSES && fate[i] == DEAD -> vacant[i] = 1; i++
    :: i < PROCESSES && fate[i] != DEAD -> i++
    :: else -> break
    od;
    vacant[me] = 0
  }
}

proctype Process(byte me) {
  byte rounds, old, undone;
  bit slow, took_over;
born:
  {
    do
    :: rounds == ROUNDS -> break
    :: else ->
       rounds++;
attempt:
       old = word;
       if
       :: old == FREE ->
          atomic {
            if
            :: word == FREE ->
#ifdef BAD_TAKES_BARE
               word = TAG(me);
#else
               word = TAG(me) + (slow -> CONTENDED : 0);
#endif
               enter();
               goto within
            :: else -> slow = 1; goto attempt
            fi
          }
       :: old != FREE && !slow -> slow = 1; goto attempt
       :: old != FREE && slow && !(old & CONTENDED) ->
          atomic {
#ifdef BAD_BIT_BLIND
            word = word | CONTENDED;
            old = old | CONTENDED
#else
            if
            :: word == old -> word = old | CONTENDED; old = word
            :: else -> goto attempt
            fi
#endif
          }
       :: else -> skip
       fi;
       atomic { /* sleeps as long as the word is the old one */
         if
         :: word == old -> asleep[me] = 1
         :: else -> goto attempt
         fi
       };
       if
       :: atomic { !asleep[me] -> old = 0 }; goto attempt
       :: atomic { asleep[me] && TIMEOUTS -> asleep[me] = 0 }
       fi;
       if
       :: OWNER(old) != 0 && (fate[SEAT(old)] == DEAD ||
                              generation[SEAT(old)] != GENERATION(old)) ->
          skip
       :: else -> goto attempt
       fi;
#ifdef NO_TAKEOVER
       goto attempt;
#endif
       atomic {
         if
#ifdef BAD_TAKEOVER_ANY
         :: true ->
#else
         :: word == old ->
#endif
            word = TAG(me) + CONTENDED;
            took_over = 1;
            enter()
         :: else -> goto attempt
         fi
       };
within:
       if
       :: took_over -> mend(); took_over = 0
       :: else -> skip
       fi;
       /* all or nothing */
       assert(notes == 0 && value[0] == right && value[1] == right);
       patrol();
       operate();
#ifndef BAD_COMMIT_LATE
       commit();
#endif
       old = 0;
       atomic {
         assert(OWNER(word) == TAG(me));
         if
         :: word == TAG(me) -> word = FREE; inside[me] = 0
         :: else -> old = CONTENDED
         fi;
         slow = 0
       };
       if
       :: old & CONTENDED ->
          d_step {
            assert(word == TAG(me) + CONTENDED);
            word = FREE;
            inside[me] = 0
          }
       :: else
       fi;
#ifdef BAD_COMMIT_LATE
       commit();
#endif
       if
       :: old & CONTENDED ->
          atomic {
            if
            :: asleep[0] -> asleep[0] = 0
            :: asleep[1] -> asleep[1] = 0
#if PROCESSES > 2
            :: asleep[2] -> asleep[2] = 0
#endif
            :: else -> skip
            fi;
            old = 0
          }
       :: else -> old = 0
       fi
    od;
    atomic { done[me] = 1; settled++ }
  } unless { fate[me] != WELL }

  /* Dead, and the next one may have the seat. */
#if BIRTHS
end:
  atomic {
    fate[me] == DEAD && vacant[me] && births < BIRTHS ->
    births++;
    rounds = 0; old = 0; undone = 0; slow = 0; took_over = 0;
    settled--;
    fate[me] = WELL
  };
#ifndef NO_GENERATION
  generation[me]++;
#endif
  goto born
#endif
}

#define KILL(who) \
  atomic { deaths < DEATHS && fate[who] == WELL && !done[who] -> \
           deaths++; settled++; \
           fate[who] = DEAD; asleep[who] = 0; inside[who] = 0 }
#define STOP(who) \
  atomic { stops < STOPS && fate[who] == WELL && !done[who] && !inside[who] -> \
           stops++; settled++; \
           fate[who] = STOPPED; asleep[who] = 0 }

proctype Fate() {
  do
  :: KILL(0) :: STOP(0)
  :: KILL(1) :: STOP(1)
#if PROCESSES > 2
  :: KILL(2) :: STOP(2)
#endif
  :: break
  od
}

init {
  atomic {
    run Process(0);
    run Process(1);
#if PROCESSES > 2
    run Process(2);
#endif
    run Fate()
  }
}

#ifdef SERVED
ltl served { <> [] (settled == PROCESSES) }
#endif
