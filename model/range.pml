/* Handing out the elements of a map (core/range.c): tz_range_step, take, note_failure, tz_range_interrupt. No element is called twice, all before the
 * lowest one that fails are called, and that one is the map's error, whoever takes which; the caller sees all results.
 *
 *  RUN fail: -DELEMENTS=4 -DFAILING=3
 *  RUN interrupt: -DELEMENTS=3 -DFAILING=0 -DINTERRUPT
 *  RUN pairs: -DELEMENTS=5 -DFAILING=1 -DCHUNK=2
 *
 * The caller and two workers step the range, in chunks of CHUNK elements. FAILING has a bit for each element that fails. In `interrupt` the caller's
 * scope is cancelled at some time; each of them may see that before it takes a chunk. When a worker is done with the range it says so under a lock, as
 * in leave_range (sched/pool_range.c); the caller waits for both.
 *
 *   next, stop   as in the range
 *   the lock     guards failed_at
 *   plain data   the elements' results, and the failure
 *
 * Left out: how large chunks are, and what the caller does alone, before.
 *
 *  WEAK 1: take: the acquire of the addition
 *  WEAK 2: take: the release of the subtraction
 *  WEAK 3: take looks at stop before the addition, and not again
 *  WEAK 4: take: a load, and then a store
 *  WEAK 5: note_failure: without the lock
 *  WEAK 6: note_failure: the element's, whoever has failed before
 *  WEAK 7: who fails stops all that has not begun
 *  WEAK 8: the caller does not wait for the workers
 */
#define next 0
#define stop 1
#define N_ATOMICS 2
#define N_DATA (ELEMENTS + 1)
#define N_MUTEXES 2
#define N_PROCESSES 4
#define N_MESSAGES 48
#define USERS { 14, 14 }
#define INITIAL { 0, ELEMENTS }
#include "weakmem.pml"

#ifndef CHUNK
#define CHUNK 1
#endif
#define NONE 99
#define FAILS(i) (FAILING >> (i) & 1)
#define FIRST_FAILURE (FAILS(0) -> 0 : (FAILS(1) -> 1 : (FAILS(2) -> 2 : NONE)))

bool called[ELEMENTS + CHUNK];
byte failed_at = NONE;
byte left; /* workers that have left the range; by lock 1 */
byte finished;
bool was_interrupted;

inline note_failure(i)
{
	atomic {
		if
		:: !MUTANT(5) -> LOCK(0)
		:: else
		fi;
		USE(ELEMENTS);
		if
		:: i < failed_at || MUTANT(6) ->
			failed_at = i;
			LOAD(see, stop, RELAXED);
			fails = i + 1 < see || MUTANT(6)
		:: else
		fi
	}
	if
	:: fails -> STORE(stop, (MUTANT(7) -> 0 : i + 1), RELAXED)
	:: else
	fi;
	fails = false;
	if
	:: !MUTANT(5) -> UNLOCK(0)
	:: else
	fi
}

/* Elements [lo, hi): to the end, or to the first failure. */
inline run_chunk()
{
	do
	:: lo < hi && lo < ELEMENTS ->
		atomic {
			USE(lo);
			assert(!called[lo]);
			called[lo] = true
		}
		if
		:: FAILS(lo) -> note_failure(lo); break
		:: else -> lo++
		fi
	:: else -> break
	od;
	lo = 0;
	hi = 0
}

inline interrupt()
{
	atomic { LOCK(0); was_interrupted = true }
	STORE(stop, 0, RELAXED);
	UNLOCK(0)
}

proctype taker()
{
	short see, lo, hi;
	bool fails, over;

	do
	:: over -> break
	:: else ->
		/* tz_range_step */
		LOAD(lo, next, RELAXED);
		LOAD(see, stop, RELAXED);
		if
		:: lo >= see -> over = true
#ifdef INTERRUPT
		:: lo < see && !over ->
			interrupt();
			over = true
#endif
		:: else
		fi;
		if
		:: over -> lo = 0
		:: else ->
			if
			:: MUTANT(4) -> LOAD(lo, next, ACQUIRE); STORE(next, lo + CHUNK, RELEASE)
			:: else -> ADD(lo, next, CHUNK, W(1, ACQUIRE, RELAXED))
			fi;
			if
			:: !MUTANT(3) -> LOAD(see, stop, RELAXED)
			:: else
			fi;
			if
			:: lo >= see ->
				SUB(see, next, CHUNK, W(2, RELEASE, RELAXED));
				lo = 0;
				over = true
			:: else -> hi = lo + CHUNK; run_chunk()
			fi
		fi;
		see = 0
	od;
	if
	:: _pid == 1 ->
		/* close_range */
		(left == 2 || MUTANT(8));
		atomic {
			LOCK(1);
			do
			:: lo < ELEMENTS ->
				USE(lo); /* the result */
				assert(called[lo] || lo > failed_at || was_interrupted);
				lo++
			:: else -> break
			od;
			USE(ELEMENTS);
			assert(was_interrupted || failed_at == FIRST_FAILURE);
			UNLOCK(1)
		}
	:: else ->
		atomic { LOCK(1); left++; UNLOCK(1) }
	fi;
	atomic {
		EXIT();
		finished++
	}
}

init
{
	atomic {
		MEMORY_INIT();
		run taker();
		run taker();
		run taker()
	}
	finished == 3
}
