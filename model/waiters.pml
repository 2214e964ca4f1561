/* The line of waiters of a queue (sync/waiters.c), and the rule by which a queue wakes (sync/queue.c): nobody sleeps while there is an
 * element for him, though wakes do not add up, waits end early, and a signal handler wakes while the lock is held by whom it interrupted.
 *
 *  RUN handler: -DGETTERS=2 -DPUTTERS=1 -DEACH=1 -DHANDLER=1 -DEARLY=0
 *  RUN early: -DGETTERS=2 -DPUTTERS=1 -DEACH=1 -DHANDLER=0 -DEARLY=1
 *  RUN batch: -DGETTERS=2 -DPUTTERS=1 -DEACH=2 -DHANDLER=0 -DEARLY=0
 *
 * Each step is one atomic operation, and memory is sequentially consistent: the operations on which the protocol depends (lining up, making the
 * condition true, looking at the word, looking at the condition) are so in the code.
 *
 *  WEAK 1: no second look at the condition after lining up
 *  WEAK 2: who wakes looks at the word before the element is in
 *  WEAK 3: who wakes and finds the lock held leaves no wake behind
 *  WEAK 4: the lock is let go by a store, over wakes that came meanwhile
 *  WEAK 5 (batch): who was served does not wake the next one
 *  WEAK 6 (early): who was woken when his time was up leaves without a look at it, and wakes nobody
 *  WEAK 7: the word goes on saying that nobody waits when somebody lines up again
 *  WEAK 8 (early): a waiter whose time is up leaves without unlinking himself
 *  WEAK 9: the waker gives the token before it says that the waiter is woken
 */
/* Whose time may be up at any moment. */
#define MAY_END(me) (EARLY && me == 0)

c_decl { \#include <stdlib.h> };
hidden byte mutant;
#define MUTANT(n) (mutant == n)

/* The word, and what it guards. */
bool locked, waiting, one;
chan line = [GETTERS] of { byte };

bool woken[GETTERS], token[GETTERS];
bool gone[GETTERS]; /* its memory is: nobody may touch it */
byte items, served, gave_up;

inline lock()
{
	atomic { !locked -> locked = true }
}

/* The batch is one waiter at a time: more wakes than that are left to the next turn of the loop. */
inline unlock()
{
	do
	:: one ->
		one = false; /* fetch_and */
		if
		:: atomic { nempty(line) -> line ? popped }
			if
			:: MUTANT(9) -> assert(!gone[popped]); token[popped] = true
			:: else
			fi;
			if
			:: empty(line) -> waiting = false
			:: nempty(line)
			fi;
			assert(!gone[popped]);
			woken[popped] = true;
			to_unpark = to_unpark | ((!MUTANT(9)) << popped)
		:: empty(line) -> skip
		fi
	:: else ->
		if
		:: MUTANT(4) -> locked = false; one = false; break
		:: else ->
			atomic { /* compare and swap */
				if
				:: !one -> locked = false; break
				:: else
				fi
			}
		fi
	od;
	atomic {
		who = 0;
		do
		:: who < GETTERS ->
			if
			:: (to_unpark >> who) & 1 -> token[who] = true /* a strand outlives its waits */
			:: else
			fi;
			who++
		:: else -> break
		od;
		to_unpark = 0;
		who = 0
	}
}

inline kick()
{
	atomic { /* fetch_or */
		if
		:: locked && MUTANT(3) -> had = true
		:: else -> had = locked; locked = true; one = true
		fi
	}
	if
	:: !had -> unlock()
	:: else
	fi
}

inline wake_one()
{
	if
	:: waiting -> kick()
	:: else
	fi
}

inline attempt()
{
	atomic {
		if
		:: items > 0 -> items--; got = true
		:: else
		fi
	}
}

proctype getter(byte me)
{
	bool got, had, ended;
	byte popped, to_unpark, who;

	attempt();
	do
	:: got || ended -> break
	:: else ->
		/* enter */
		woken[me] = false;
		gone[me] = false;
		lock();
		line ! me;
		if
		:: MUTANT(7) && served > 0 -> skip
		:: else -> waiting = true
		fi;
		unlock();
		if
		:: !MUTANT(1) -> attempt()
		:: else
		fi;
		if
		:: got -> goto leave
		:: else
		fi;
		/* wait */
		do
		:: woken[me] -> break
		:: else ->
end_park: /* to sleep for ever is right if there is no element, as the judge knows */
			if
			:: token[me] -> token[me] = false
			:: MAY_END(me) -> ended = true; goto leave
			fi
		od;
		goto out;
leave:
		if
		:: woken[me] -> skip
		:: else ->
			lock();
			if
			:: !woken[me] && !MUTANT(8) ->
				atomic {
					line ?? eval(me);
					if
					:: empty(line) -> waiting = false
					:: nempty(line)
					fi
				}
			:: else
			fi;
			unlock()
		fi;
out:
		gone[me] = true;
		if
		:: !got && !(ended && MUTANT(6)) -> attempt()
		:: else
		fi
	od;
	/* there may be more for others */
	if
	:: waiting && items > 0 && !MUTANT(5) && !(ended && MUTANT(6)) -> wake_one()
	:: else
	fi;
	if
	:: got -> served++
	:: else -> gave_up++
	fi
}

proctype putter()
{
	bool had, saw;
	byte popped, to_unpark, who;

	if
	:: MUTANT(2) ->
		saw = waiting;
		items = items + EACH;
		if
		:: saw -> kick()
		:: else
		fi
	:: else ->
		items = items + EACH; /* a batch: one look for all of it */
		wake_one()
	fi
}

/* A signal handler: as a putter, and it can interrupt whoever holds the lock, since nothing in kick and unlock waits. */
proctype handler()
{
	bool had;
	byte popped, to_unpark, who;

	items++;
	wake_one()
}

/* When nothing can move any more: nobody sleeps beside an element. */
proctype judge()
{
	timeout;
	assert(!locked && !one);
	assert(items == 0 || served + gave_up == GETTERS);
	assert(served + items == PUTTERS * EACH + HANDLER)
}

init
{
	c_code { mutant = getenv("WEAK") ? atoi(getenv("WEAK")) : 0; };
	atomic {
		byte i = 0;
		do
		:: i < GETTERS -> run getter(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < PUTTERS -> run putter(); i++
		:: else -> break
		od;
		if
		:: HANDLER -> run handler()
		:: else
		fi;
		run judge()
	}
}
