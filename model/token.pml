/* The park token of a strand, a thread (core/strand_thread.c) or a coroutine (loop/strand_coroutine.c), and a wait that stands on it
 * (core/strand.h): waker, timer and canceller meet, and what one of them leaves behind does not harm the next wait.
 *
 *  RUN thread: -DTHREAD
 *  RUN coroutine: -DCOROUTINE
 *
 * A strand waits twice, each time for `fired` to say so, with a node in a list that a lock guards. A waker takes the node, makes the condition true, and unparks.
 * During the first wait the time may be up, and a canceller comes at any time, perhaps when that wait is long over. The second wait can be ended by its waker only; but
 * one park of it may end early, as one does that waits in slices. Claimed: both waits end, the second one because it fired, and nobody touches a node that is gone.
 *
 *   token       ABSENT, PRESENT, SLEEPS (of a coroutine: PARKED)
 *   fired       number of the wait that was ended last by the waker
 *   cancelled   of the first wait's scope
 *   inbox       of the loop: the coroutine is in it. That a loop which sleeps is woken for it is left out.
 *   plain data: 0 the node and what the waker has for the waiter
 *
 * The process `strand` of a coroutine is its loop's thread, too: there is only one of both.
 *
 *  WEAK 1: unpark: the release of the swap
 *  WEAK 2: park: the acquire of the compare-and-swap that takes the token
 *  WEAK 3: park announces sleep by a store
 *  WEAK 4: unpark leaves a token alone that it sees there
 *  WEAK 5: park, its time up, puts the token away by a store
 *  WEAK 6: the waker unparks before it makes the condition true
 *  WEAK 7: the waiter takes every end of park for its own
 *  WEAK 8: unpark does not wake who sleeps
 *  WEAK 9: a waiter whose time is up, or who is cancelled, does not look whether it was chosen
 *  WEAK 10 (coroutine): unpark: the release of the swap
 *  WEAK 11 (coroutine): park: the acquire of the swap that takes the token
 *  WEAK 12 (coroutine): unpark puts the coroutine in line though it is not parked
 *  WEAK 13 (coroutine): the timer puts the coroutine in line without taking the token
 *  WEAK 14 (coroutine): the timer of a park that has ended is left set
 *  WEAK 15 (coroutine): park says PARKED by a store
 *  WEAK 16 (coroutine): unpark puts the coroutine in line only if the token was absent
 */
#define token 0
#define fired 1
#define cancelled 2
#define inbox 3
#define N_ATOMICS 4
#define N_DATA 1
#define N_MUTEXES 1
#define N_PROCESSES 4
#define N_MESSAGES 32
#define USERS { 14, 2, 2, 2 }
#define INITIAL { 0, 0, 0, 0 }
#include "weakmem.pml"

#define ABSENT 0
#define PRESENT 1
#define SLEEPS 2

byte listed; /* which wait's node is in the list; by the lock */
byte over; /* waits that have ended */
bool sliced; /* the second wait has had its early end */
byte finished;

#define MAY_END (now_waits == 1 || !sliced)

inline note_end()
{
	timed_out = true;
	sliced = sliced || now_waits == 2
}

#ifdef THREAD
inline park()
{
	timed_out = false;
	do
	:: CAS(seen, token, PRESENT, ABSENT, W(2, ACQUIRE, RELAXED), RELAXED);
		if
		:: seen == PRESENT -> break
		:: seen == ABSENT && MAY_END -> note_end(); break
		:: seen == ABSENT ->
			if
			:: MUTANT(3) -> STORE(token, SLEEPS, RELAXED)
			:: else -> CAS(seen, token, ABSENT, SLEEPS, RELAXED, RELAXED)
			fi
		:: seen == SLEEPS
		fi;
		if
		:: seen != PRESENT ->
			FUTEX_WAIT_UNLESS(token, SLEEPS, MAY_END);
			if
			:: MAY_END ->
				if
				:: MUTANT(5) -> STORE(token, ABSENT, RELAXED); seen = SLEEPS
				:: else -> CAS(seen, token, SLEEPS, ABSENT, RELAXED, RELAXED)
				fi;
				if
				:: seen == SLEEPS -> note_end(); break
				:: else
				fi
			:: true
			fi
		:: else
		fi
	od;
	seen = 0
}

inline unpark()
{
	if
	:: MUTANT(4) -> LOAD(seen, token, RELAXED)
	:: else -> seen = ABSENT
	fi;
	if
	:: seen != PRESENT ->
		SWAP(seen, token, PRESENT, W(1, RELEASE, RELAXED));
		if
		:: seen == SLEEPS && !MUTANT(8) -> FUTEX_WAKE(token)
		:: else
		fi
	:: else
	fi;
	seen = 0
}
#else
/* The switch to the loop, until the coroutine is in line again. */
inline suspend()
{
	do
	:: AWAIT(seen, inbox, latest[inbox] != 0, RELAXED);
		SWAP(seen, inbox, 0, ACQUIRE);
		break
	:: timer -> /* it is due */
		timer = false;
		if
		:: MUTANT(13) -> LOAD(seen, token, RELAXED); seen = SLEEPS
		:: else -> CAS(seen, token, SLEEPS, ABSENT, ACQ_REL, ACQUIRE)
		fi;
		if
		:: seen == SLEEPS -> assert(has_deadline); note_end(); break
		:: else
		fi
	od
}

inline park()
{
	timed_out = false;
	if
	:: MUTANT(15) -> STORE(token, SLEEPS, RELAXED); seen = ABSENT
	:: else -> CAS(seen, token, ABSENT, SLEEPS, ACQ_REL, ACQUIRE)
	fi;
	if
	:: seen == ABSENT ->
		if
		:: MAY_END -> timer = true; has_deadline = true
		:: true
		fi;
		suspend();
		timer = timer && MUTANT(14);
		has_deadline = false
	:: else
	fi;
	if
	:: !timed_out -> SWAP(seen, token, ABSENT, W(11, ACQUIRE, RELAXED))
	:: else
	fi;
	seen = 0
}

inline unpark()
{
	SWAP(seen, token, PRESENT, W(10, ACQ_REL, ACQUIRE));
	if
	:: seen == (MUTANT(16) -> ABSENT : SLEEPS) || seen == ABSENT && MUTANT(12) ->
		SWAP(seen, inbox, 1, ACQ_REL);
		assert(seen == 0) /* it is in line once */
	:: else
	fi;
	seen = 0
}
#endif

proctype strand()
{
	byte now_waits;
	bool timer, has_deadline;
	short seen, see;
	bool timed_out, leave;

	do
	:: now_waits == 2 -> break
	:: else ->
		atomic {
			now_waits++;
			LOCK(0);
			USE(0);
			listed = now_waits;
			UNLOCK(0)
		}
		do
		:: LOAD(see, fired, ACQUIRE);
			if
			:: see == now_waits -> break
			:: else
			fi;
			if
			:: now_waits == 1 -> LOAD(see, cancelled, ACQUIRE); leave = see == 1
			:: else
			fi;
			if
			:: !leave -> park(); leave = timed_out && now_waits == 1
			:: else
			fi;
			if
			:: MUTANT(7) && !leave -> break
			:: leave ->
				atomic {
					LOCK(0);
					leave = listed == now_waits;
					listed = 0;
					UNLOCK(0)
				}
				if
				:: leave || MUTANT(9)
				:: else -> AWAIT(see, fired, latest[fired] == now_waits, ACQUIRE)
				fi;
				leave = false;
				break
			:: else
			fi
		od;
		skip;
		atomic {
			USE(0);
			assert(now_waits == 1 || latest[fired] == 2);
			over++;
			see = 0
		}
	od;
	atomic {
		EXIT();
		finished++
	}
}

proctype waker()
{
	byte round;
	short seen;
	bool taken;

	do
	:: round == 2 -> break
	:: else ->
		round++;
		atomic {
			(listed == round || over >= round);
			LOCK(0);
			taken = listed == round;
			listed = (taken -> 0 : listed);
			UNLOCK(0)
		}
		if
		:: taken ->
			USE(0);
			if
			:: MUTANT(6) -> unpark()
			:: else
			fi;
			STORE(fired, round, RELEASE);
			if
			:: !MUTANT(6) -> unpark()
			:: else
			fi
		:: else
		fi;
		taken = false
	od;
	atomic {
		EXIT();
		finished++
	}
}

proctype canceller()
{
	short seen;

	STORE(cancelled, 1, RELEASE);
	unpark();
	atomic {
		EXIT();
		finished++
	}
}

init
{
	atomic {
		MEMORY_INIT();
		run strand();
		run waker();
		run canceller()
	}
	finished == 3 /* else the strand waits for ever */
}
