/* The event (sync/event.c) and the notes that signal handlers leave in the parking lot (core/parking.c): who waits when the event is set is woken,
 * though the handler cannot wait for the bucket's lock and the event may be clear again; and a waiter may free the event.
 *
 *  RUN pulse: -DWAITERS=2 -DSETTERS=1 -DCLEARS=1 -DOTHERS=1 -DEARLY=0
 *  RUN early: -DWAITERS=2 -DSETTERS=2 -DCLEARS=1 -DOTHERS=0 -DEARLY=1
 *  RUN free: -DWAITERS=2 -DSETTERS=1 -DCLEARS=0 -DOTHERS=1 -DEARLY=0
 *
 * SETTERS set the event, and clear it again if CLEARS; they are signal handlers, so nothing in them waits. OTHERS lock and unlock the same bucket for
 * some other object. If EARLY, the time of the first waiter may be up. Memory is sequentially consistent, as these
 * operations are in the code.
 *
 *  WEAK 1: who unlocks the bucket does not look for notes
 *  WEAK 2: who unlocks the bucket looks for notes first
 *  WEAK 3: a handler that finds the bucket locked leaves no note
 *  WEAK 4 (early): the note is taken away after the look at the waiters
 *  WEAK 5 (free): a waiter queues without looking at the word again
 *  WEAK 6: setting counts no generation: who is to be woken is told by the flag
 *  WEAK 7 (early): a waiter whose time is up does not look whether the event was set
 *  WEAK 8 (free): the setter says in the word that nobody waits when it has woken them
 */
#define MAY_END(me) (EARLY && me == 0)

c_decl { \#include <stdlib.h> };
hidden byte mutant;
#define MUTANT(n) (mutant == n)

bool set, waiting, freed; /* the event's word, and whether it is there */
byte generation;

bool bucket, notes;
chan queue = [WAITERS] of { byte };

byte kind[WAITERS]; /* the generation that it saw */
bool begun[WAITERS], must_wake[WAITERS], woken[WAITERS];
byte left = WAITERS;

inline lock_bucket()
{
	atomic { !bucket -> bucket = true }
}

/* By the bucket lock: takes one whose generation is over. Its event is there, since it waits for it. */
inline take_overtaken()
{
	who = 0;
	do
	:: who < WAITERS ->
		if
		:: queue ?? [eval(who)] ->
			assert(!freed);
			if
			:: (!MUTANT(6) && generation != kind[who]) || (MUTANT(6) && set) ->
				queue ?? eval(who);
				to_wake = to_wake | (1 << who)
			:: else
			fi
		:: else
		fi;
		who++
	:: else -> break
	od
}

inline wake_all()
{
	who = 0;
	do
	:: who < WAITERS ->
		if
		:: (to_wake >> who) & 1 -> woken[who] = true
		:: else
		fi;
		who++
	:: else -> break
	od;
	to_wake = 0;
	who = 0
}

inline serve_notes()
{
	do
	:: notes ->
		atomic { locked_by_me = !bucket; bucket = true };
		if
		:: !locked_by_me -> break
		:: else
		fi;
		if
		:: !MUTANT(4) -> notes = false
		:: else
		fi;
		take_overtaken();
		if
		:: MUTANT(4) -> notes = false
		:: else
		fi;
		bucket = false;
		wake_all()
	:: else -> break
	od
}

inline unlock_bucket()
{
	if
	:: MUTANT(2) ->
		saw = notes;
		bucket = false;
		if
		:: saw -> serve_notes()
		:: else
		fi
	:: MUTANT(1) -> bucket = false
	:: else ->
		bucket = false;
		serve_notes()
	fi
}

proctype waiter(byte me)
{
	byte who, to_wake;
	bool locked_by_me, saw, refused, ended;

	lock_bucket();
	atomic {
		refused = set && !MUTANT(5);
		if
		:: !refused -> waiting = true; kind[me] = generation; begun[me] = true
		:: else
		fi
	};
	if
	:: !refused -> queue ! me
	:: else
	fi;
	unlock_bucket();
	if
	:: refused -> skip
	:: !refused ->
end_wait: /* for ever is right if nobody sets it; the judge knows */
		if
		:: woken[me]
		:: MAY_END(me) ->
			lock_bucket();
			if
			:: queue ?? [eval(me)] ->
				atomic { queue ?? eval(me); waiting = waiting && nempty(queue); ended = true }
			:: else
			fi;
			unlock_bucket();
			if
			:: ended ->
				/* it answers that its time was up only if the event was not set since it began */
				atomic {
					if
					:: generation != kind[me] && !MUTANT(7)
					:: else -> assert(!must_wake[me])
					fi;
					begun[me] = false
				}
			:: else -> woken[me]
			fi
		fi
	fi;
	atomic {
		left--;
		if
		:: left == 0 && !CLEARS -> freed = true
		:: else
		fi
	}
}

proctype setter()
{
	byte who, to_wake;
	bool locked_by_me, had;

	atomic {
		assert(!freed);
		if
		:: !set ->
			set = true;
			generation = generation + !MUTANT(6);
			had = waiting;
			waiting = waiting && MUTANT(8);
			do
			:: who < WAITERS -> must_wake[who] = must_wake[who] || begun[who]; who++
			:: else -> break
			od
		:: else
		fi;
		who = 0
	};
	if
	:: had && MUTANT(3) ->
		atomic { locked_by_me = !bucket; bucket = true };
		if
		:: locked_by_me -> take_overtaken(); bucket = false; wake_all()
		:: else
		fi
	:: had && !MUTANT(3) -> notes = true; serve_notes()
	:: else
	fi;
	if
	:: had && MUTANT(8) -> atomic { assert(!freed); waiting = false }
	:: else
	fi;
	if
	:: CLEARS -> set = false
	:: else
	fi
}

proctype other()
{
	byte who, to_wake;
	bool locked_by_me, saw;

	lock_bucket();
	unlock_bucket()
}

/* When nothing can move any more: nobody waits who was there when the event was set. */
proctype judge()
{
	byte i;

	timeout;
	assert(!bucket && !notes);
	do
	:: i < WAITERS -> assert(!must_wake[i] || woken[i] || !begun[i]); i++
	:: else -> break
	od;
	assert(CLEARS || left == 0)
}

init
{
	c_code { mutant = getenv("WEAK") ? atoi(getenv("WEAK")) : 0; };
	atomic {
		byte i = 0;
		do
		:: i < WAITERS -> run waiter(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < SETTERS -> run setter(); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < OTHERS -> run other(); i++
		:: else -> break
		od;
		run judge()
	}
}
