/*
** bell.pml - who wakes whom in a shared space, and what if they die of it.
**
** UNDER THE LOCK
**   Permits in use, the queue of waiting tickets, and for each port its ready
**   tickets, which have their permit and wait to be taken, and a flag, `rung`.
**   A permit that comes back goes to the head of the queue. Its port is to be
**   rung, unless it is rung, or it is the one in whose name the call is made;
**   then it is. Operations are done or not done at all: lock.pml shows that,
**   and that the lock of a dead one can be taken.
**
** THE BELL
**   A pipe of the port's own. Whoever has to ring writes a byte into it when
**   the lock is free again, unless it dies or is stopped before. A full pipe
**   takes none, and is readable all the same.
**
** A HOST
**   Takes its ready tickets, one by one, until there are none. Then it sleeps
**   until its bell is readable, which it heeds as long as it has tickets that
**   wait or are ready, or until its deadline, or until its own work wants
**   something.
**
** A TURN
**   For its bell, its patrol or (TIMERS) a deadline of its own, a host empties
**   its bell, whatever the flag says; then, with the lock, it is not rung any
**   more; then it takes what is ready. Emptied before the flag goes: whoever
**   finds the flag clear writes after the bell was emptied. Whatever was rung
**   for until then is ready.
**     A byte may come late, of one who set a flag that was cleared long ago:
**   then the host turns once for nothing. Nobody counts bytes or flags: there
**   may be more bytes than flags that were seen (MENDING), or fewer (who rings
**   may die). BAD_HEARS_OWED is a host that counts, and empties its bell only
**   if it saw the flag or thinks that a byte is still to come.
**
** PATROL
**   A host that has tickets which wait or are ready wakes up after a while, in
**   any case, and patrols: tickets of the dead leave, what they had goes to the
**   next, and who patrols is rung like any other. Ready ones count, too: their
**   ringer may be dead or stopped, and they may have become ready just before
**   the host looked for its deadline. Who is about to wait patrols before that,
**   if it is time.
**     In the model a deadline comes if something has changed since the port's
**   last patrol, since another one would change nothing: so every run ends, and
**   the end shows who was left behind. With EAGER it comes at any time.
**
** MENDING
**   Whoever takes the lock of a dead one rings all ports, its own, too, rung or
**   not: the dead one will not; then it patrols. (That those who died have
**   their flag set, too, means nothing.)
**
** WHAT IS CHECKED
**   The permits of all tickets are those in use and not more than there are;
**   nobody waits while one is free. Nobody who lives sleeps for ever with a
**   ticket: by the bell alone (PATROL 0) as long as all live, or die with the
**   lock and somebody takes it; with patrols, whoever dies or stops, whenever.
**   In the end nothing is in use and nobody in the queue. Nobody rings for a
**   flag that was set already, but who mends. No host turns twice for nothing
**   with a byte in its bell that it leaves there. Each NO_*, BAD_* macro breaks
**   one rule; .ci/model has the configurations.
*/
#ifndef PORTS
#define PORTS 3
#endif
#ifndef PERMITS
#define PERMITS 1
#endif
#ifndef TICKETS
#define TICKETS 1 /* of a port at the same time */
#endif
#ifndef ASKS
#define ASKS 2 /* of a port in all */
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef LOCK_DEATHS
#define LOCK_DEATHS 0 /* they die only while they have the lock */
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef PATROL
#define PATROL 0
#endif
#ifndef TIMERS
#define TIMERS 0 /* turns of a host for deadlines of its own */
#endif
#ifndef EAGER
#define EAGER 0 /* deadlines come at any time, over and over */
#endif

#if PATROL && !EAGER
#define NEWS news = (1 << PORTS) - 1
#else
#define NEWS skip
#endif

#define FREE 255
#define PIPE 2 /* bytes that fit into a bell */
#define NOBODY PORTS

#define WELL 0 /* what became of a host */
#define DEAD 1
#define STOPPED 2

byte owner = FREE; /* of the lock */
byte in_use;
chan queue = [PORTS * TICKETS] of { byte }; /* whose the waiting tickets are */
byte waiting[PORTS], ready[PORTS], held[PORTS];
bit rung[PORTS];
byte bell[PORTS];

byte fate[PORTS];
bit done[PORTS];
bit said[PORTS]; /* somebody is to ring, or has, by the flag */
byte settled, deaths, stops;
byte news; /* ports for whom something changed since they patrolled */
hidden byte i, n, who, sum;

#define HAS(port) (waiting[port] + ready[port] + held[port])

/* --- under the lock ------------------------------------------------------- */

inline check() {
  i = 0; sum = 0;
  do
  :: i < PORTS -> sum = sum + ready[i] + held[i]; i++
  :: else -> break
  od;
  i = 0;
  assert(sum == in_use && in_use <= PERMITS);
  assert(len(queue) == 0 || in_use == PERMITS)
}

inline pump(acting) {
  do
  :: in_use < PERMITS && len(queue) > 0 ->
     queue?who;
     in_use++;
     waiting[who]--;
     ready[who]++;
     if
#ifdef BAD_RINGS_ALWAYS
     :: true ->
#else
     :: !rung[who] && who != acting ->
#endif
        assert(!said[who]); /* rung once */
        said[who] = 1;
        rung[who] = 1;
        to_ring = to_ring | (1 << who)
     :: else
     fi
  :: else -> break
  od;
  who = 0
}

inline bury() {
  n = len(queue);
  do
  :: n > 0 ->
     n--;
     queue?who;
     if
#ifdef BAD_PATROL_QUEUE
     :: false -> skip
#else
     :: fate[who] == DEAD -> waiting[who]--; NEWS
#endif
     :: else -> queue!who
     fi
  :: else -> break
  od;
  i = 0;
  do
  :: i < PORTS && fate[i] == DEAD ->
     if
     :: held[i] + ready[i] > 0 -> NEWS
     :: else
     fi;
#ifdef BAD_PATROL_READY
     in_use = in_use - held[i];
     held[i] = 0;
#else
     in_use = in_use - held[i] - ready[i];
     held[i] = 0;
     ready[i] = 0;
#endif
     i++
  :: i < PORTS && fate[i] != DEAD -> i++
  :: else -> break
  od;
  pump(NOBODY)
}

inline mend() {
  d_step {
    i = 0;
    do
#ifdef NO_RERING
    :: i < PORTS && false
#elif defined(BAD_RERING)
    :: i < PORTS && fate[i] != DEAD && !rung[i] ->
#else
    :: i < PORTS && fate[i] != DEAD ->
#endif
       rung[i] = 1;
       said[i] = 1;
       to_ring = to_ring | (1 << i);
       i++
    :: else ->
       if
       :: i < PORTS -> i++
       :: else -> break
       fi
    od;
#ifndef NO_PATROL
    bury();
#endif
    check()
  }
}

/* --- around it ------------------------------------------------------------ */

/* At the begin of an atomic, which an operation follows. */
inline take() {
  owner == FREE || fate[owner] == DEAD ->
  if
  :: owner != FREE -> mend()
  :: else
  fi;
  owner = me
}

inline ring() { /* one port, the first */
  d_step {
    i = 0;
    do
    :: !(to_ring & (1 << i)) -> i++
    :: else -> break
    od;
    to_ring = to_ring - (1 << i);
    bell[i] = (bell[i] < PIPE -> bell[i] + 1 : PIPE);
    i = 0
  }
}

#ifdef BAD_HEARS_OWED
inline empty_bell() {
  atomic {
    if
    :: saw || owed > 0 ->
       owed = owed + saw;
       owed = (bell[me] < owed -> owed - bell[me] : 0);
       bell[me] = 0;
       emptied = 1
    :: else
    fi
  }
}
#define HEARD saw
#else
inline empty_bell() {
  atomic { bell[me] = 0; emptied = 1 }
}
#define HEARD true
#endif

inline silence() { /* the flag */
  if
  :: HEARD -> rung[me] = 0; said[me] = 0
  :: else
  fi
}

#ifdef BAD_HEED
#define HEEDS (waiting[me] > 0)
#else
#define HEEDS (waiting[me] + ready[me] > 0)
#endif
#ifdef BAD_DEADLINE
#define DUE (waiting[me] > 0)
#else
#define DUE (waiting[me] + ready[me] > 0)
#endif

proctype Host(byte me) {
  byte asks, mine, to_ring, nothing, owed, timers;
  bit by_bell, patrols, armed, heeds, saw, emptied;
  {
    asks = ASKS;
    timers = TIMERS;
rest:
#ifdef BAD_EMPTY_LAST
    bell[me] = 0;
#endif
    if
    :: ready[me] > 0 -> goto taking
    :: else
    fi;
    heeds = HEEDS;
#if PATROL
    armed = DUE;
#endif
    if /* sleeps until one of these */
    :: asks > 0 && mine < TICKETS -> goto ask
    :: held[me] > 0 -> goto release
    :: atomic { heeds && bell[me] > 0 -> by_bell = 1 }; goto turn
#if TIMERS
    :: atomic { heeds && timers > 0 -> timers-- }; goto turn
#endif
#if PATROL
    :: atomic { armed && (EAGER || (news & (1 << me))) ->
                patrols = 1; news = news & ~(1 << me) };
       goto turn
#endif
    :: asks == 0 && mine == 0 -> goto finish
    fi;

ask:
    atomic {
      take();
#if PATROL && !defined(NO_PATROL)
      if
      :: in_use == PERMITS || len(queue) > 0 ->
         if
         :: d_step { bury() }
         :: true
         fi
      :: else
      fi;
#endif
      d_step {
        asks--;
        mine++;
        NEWS;
        if
        :: in_use < PERMITS && len(queue) == 0 -> in_use++; held[me]++
        :: else -> queue!me; waiting[me]++
        fi;
        check()
      }
    };
    goto leave;

release:
    atomic {
      take();
      d_step {
        held[me]--;
        in_use--;
        mine--;
        NEWS;
        pump(me);
        check()
      }
    };
    goto leave;

turn:
#ifdef BAD_HEARS_OWED
    saw = rung[me];
#endif
#ifdef BAD_CLEAR_FIRST
    atomic { take(); silence(); owner = FREE };
#endif
#ifndef BAD_EMPTY_LAST
    empty_bell();
#endif
    atomic {
      take();
      d_step {
#ifndef BAD_CLEAR_FIRST
        silence();
#endif
        if
#ifdef NO_PATROL
        :: false -> skip
#else
        :: patrols && waiting[me] + ready[me] > 0 -> bury()
#endif
        :: else
        fi;
        nothing = (by_bell && !emptied && ready[me] == 0 -> nothing + 1 : 0);
        assert(nothing < 2); /* a byte stays, and there is nothing to do */
        patrols = 0; by_bell = 0; saw = 0; emptied = 0; heeds = 0; armed = 0;
        check()
      }
    };
    goto leave;

taking:
    atomic {
      take();
      d_step {
        if
        :: ready[me] > 0 -> ready[me]--; held[me]++; NEWS
        :: else
        fi
      }
    };

leave:
    atomic {
      owner = FREE;
      heeds = 0; armed = 0;
      if
      :: to_ring == 0 -> goto rest
      :: else
      fi
    };
ringing: /* here one may die, too */
    atomic {
      ring();
      if
      :: to_ring == 0 -> goto rest
      :: else -> goto ringing
      fi
    };

finish:
    atomic { done[me] = 1; settled++ }
  } unless { fate[me] != WELL }
}

#define KILL(victim) \
  atomic { deaths < DEATHS && fate[victim] == WELL && !done[victim] && \
           (!LOCK_DEATHS || owner == victim) -> \
           deaths++; settled++; fate[victim] = DEAD; NEWS }
/* With a ticket it would keep a permit, and rightly so. */
#define STOP(victim) \
  atomic { stops < STOPS && fate[victim] == WELL && !done[victim] && \
           owner != victim && HAS(victim) == 0 -> \
           stops++; settled++; fate[victim] = STOPPED; NEWS }

proctype Fate() {
  do
  :: KILL(0) :: STOP(0)
  :: KILL(1) :: STOP(1)
#if PORTS > 2
  :: KILL(2) :: STOP(2)
#endif
  :: break
  od
}

/* Comes when nobody moves any more. */
proctype Last() {
  byte me = PORTS, to_ring;
again:
  timeout;
  if
  :: owner != FREE -> /* somebody who calls, and mends */
     assert(fate[owner] == DEAD);
     atomic {
       mend();
       owner = FREE;
       do
       :: to_ring != 0 -> ring()
       :: else -> break
       od
     };
     goto again
  :: else
  fi;
  assert(settled == PORTS); /* nobody sleeps for ever */
  d_step { bury(); check() };
  assert(in_use == 0 && len(queue) == 0)
}

init {
  atomic {
    run Host(0);
    run Host(1);
#if PORTS > 2
    run Host(2);
#endif
    run Fate();
    run Last()
  }
}
