/* The job's word (core/job.c, core/callback.c): whatever meets, a job ends once, is freed once, and nobody touches what is not his.
 *
 *  RUN wait: -DWAIT
 *  RUN callbacks: -DCALLBACKS
 *
 * In `wait` an executor comes to the job; the owner of the handle runs it himself if it has not begun, or waits, perhaps not for long enough, and
 * releases the handle; a canceller has a copy of the handle. Who frees the cell makes the next job of it at once. In `callbacks` the owner and somebody
 * else add a callback each, the owner releases the handle when both have, and the executor runs the job; callbacks that come too late are called by
 * the service.
 *
 *   state     phase, LOCKED, WAITERS, CANCEL, DETACHED, CALLBACKS, references, generation in one word
 *   frame     the runner's, when it is there
 *   fired     of the waiter's node
 *   plain data: 0 outcome and result, 1 the runner's frame, 2 the waiter's node, 3 the list of waiters
 *
 * Left out: fork(2), retries, and a callback that is added while the handle is released: that is not allowed.
 *
 * Mutants:
 *  WEAK 1: finish: the release of the swap to DONE
 *  WEAK 2: lock_bit: the acquire of the swap
 *  WEAK 3: unlock_bit: the release of the swap
 *  WEAK 4: fire: the release of the store of fired
 *  WEAK 5: the acquire of the load of fired
 *  WEAK 6: claim does not look at LOCKED
 *  WEAK 7: finish does not look at WAITERS
 *  WEAK 8: finish does not look at LOCKED
 *  WEAK 9: a waiter whose time is up leaves its node behind
 *  WEAK 10: a waiter whose time is up finds the job ended, and does not wait for fired
 *  WEAK 11: fire touches the node after fired
 *  WEAK 12: release does not change the generation
 *  WEAK 13: unref: the acquire of the subtraction
 *  WEAK 14: release: the release of the swap
 *  WEAK 15: release takes any job that is done for its own
 *  WEAK 16: the runner's store of frame is relaxed
 *  WEAK 17: cancel looks at the frame when it has unlocked
 *  WEAK 18: who cancels a job that has not begun leaves the executor's reference to nobody
 *  WEAK 19 (callbacks): who adds a callback to a job that is done joins callbacks that are not there
 *  WEAK 20 (callbacks): each batch of callbacks drops a reference
 *  WEAK 21 (callbacks): CALLBACKS is cleared in another step than the reference is dropped
 *  WEAK 22 (callbacks): who has called a batch does not look for the next
 */
#define state 0
#define frame 1
#define fired 2
#define N_ATOMICS 3
#define N_DATA 4
#define N_MUTEXES 1
#define N_PROCESSES 5
#define N_MESSAGES 40
#define USERS { 30, 30, 30 }

#define QUEUED 1
#define RUNNING 2
#define DONE 3
#define LOCKED 4
#define WAITERS 8
#define CANCEL 16
#define DETACHED 32
#define CALLED_BACK 64
#define REF 128
#define GENERATION 1024
#define PHASE(s) ((s) & 3)
#define REFS(s) (((s) >> 7) & 7)
#define GEN(s) ((s) >> 10)
#define INITIAL { GENERATION + 2 * REF + QUEUED, 0, 0 }
#include "weakmem.pml"

#define HAS(s, bit) (((s) & (bit)) != 0)
#define WITHOUT(s, bit) (HAS(s, bit) -> (s) - (bit) : (s))
#define WITH(s, bit) (HAS(s, bit) -> (s) : (s) + (bit))

byte finished, ends, frees, runs;
bool listed; /* the waiter's node is in the list */
byte callbacks; /* that are in it: bit i for that of i */
byte called[3];
bool calling;
bool added[3];
chan service = [2] of { byte };

/* Swaps `wanted`, which depends on s, into the state: `swapped`, or s is what is there. */
inline swap_state(order, failure_order)
{
	CAS(seen, state, s, wanted, order, failure_order);
	swapped = seen == s;
	s = seen
}

inline await_unlocked(order)
{
	AWAIT(s, state, !HAS(latest[state], LOCKED), order)
}

inline free_last()
{
	atomic {
		USE(0);
		assert(frees == 0);
		frees++;
		LOAD(s, state, RELAXED);
		/* the next job */
		STORE(state, GEN(s) * GENERATION + 2 * REF + QUEUED, RELAXED)
	}
}

inline lock_bit(any_generation)
{
	locked = false;
	LOAD(s, state, ACQUIRE);
	do
	:: !any_generation && GEN(s) != 1 -> stale = true; break
	:: (any_generation || GEN(s) == 1) && PHASE(s) == DONE -> break
	:: (any_generation || GEN(s) == 1) && PHASE(s) != DONE && HAS(s, LOCKED) -> await_unlocked(ACQUIRE)
	:: (any_generation || GEN(s) == 1) && PHASE(s) != DONE && !HAS(s, LOCKED) ->
		wanted = s + LOCKED;
		swap_state(W(2, ACQUIRE, RELAXED), ACQUIRE);
		if
		:: swapped -> s = wanted; locked = true; break
		:: else
		fi
	od
}

inline unlock_bit()
{
	USE(3);
	LOAD(s, state, RELAXED);
	do
	:: wanted = WITHOUT(s - LOCKED, WAITERS) + (listed || callbacks != 0 -> WAITERS : 0);
		swap_state(W(3, RELEASE, RELAXED), RELAXED);
		if
		:: swapped -> break
		:: else
		fi
	od
}

inline end_locked(refs)
{
	atomic {
		USE(3);
		to_fire = listed;
		listed = false;
		to_call = callbacks;
		callbacks = 0
	}
	LOAD(s, state, RELAXED);
	do
	:: wanted = WITHOUT(s - LOCKED, WAITERS) - PHASE(s) + DONE - refs * REF;
		swap_state(ACQ_REL, RELAXED);
		if
		:: swapped -> ends++; assert(ends == 1); break
		:: else
		fi
	od;
	if
	:: REFS(wanted) == 0 -> free_last()
	:: else
	fi;
	if
	:: to_fire ->
		to_fire = false;
		USE(2);
		STORE(fired, 1, W(4, RELEASE, RELAXED));
		if
		:: MUTANT(11) -> USE(2)
		:: else
		fi
	:: else
	fi
}

inline claim()
{
	LOAD(s, state, RELAXED);
	do
	:: PHASE(s) != QUEUED -> claimed = false; break
	:: PHASE(s) == QUEUED && HAS(s, LOCKED) && !MUTANT(6) -> await_unlocked(RELAXED)
	:: PHASE(s) == QUEUED && (!HAS(s, LOCKED) || MUTANT(6)) ->
		wanted = s + 1;
		swap_state(ACQUIRE, RELAXED);
		if
		:: swapped -> claimed = true; break
		:: else
		fi
	od
}

inline finish(refs)
{
	USE(0);
	LOAD(s, state, RELAXED);
	do
	:: HAS(s, LOCKED) && !MUTANT(8) || HAS(s, WAITERS) && !MUTANT(7) ->
		lock_bit(true);
		assert(locked);
		end_locked(refs);
		break
	:: else ->
		wanted = WITHOUT(WITHOUT(s, LOCKED), WAITERS) + 1 - refs * REF;
		swap_state(W(1, ACQ_REL, RELAXED), RELAXED);
		if
		:: swapped ->
			ends++;
			assert(ends == 1);
			if
			:: REFS(wanted) == 0 -> free_last()
			:: else
			fi;
			break
		:: else
		fi
	od
}

inline run_claimed(refs)
{
	USE(1);
	STORE(frame, 1, W(16, RELEASE, RELAXED));
	atomic {
		USE(0);
		runs++;
		assert(runs == 1 && ends == 0)
	}
	finish(refs);
	USE(1) /* it is gone */
}

inline unref()
{
	SUB(s, state, REF, W(13, ACQ_REL, RELEASE));
	if
	:: REFS(s) == 1 -> free_last()
	:: else
	fi
}

inline release()
{
	LOAD(s, state, ACQUIRE);
	do
	:: PHASE(s) == DONE && (REFS(s) == 1 || MUTANT(15)) ->
		STORE(state, s + (MUTANT(12) -> 0 : GENERATION), RELAXED);
		free_last();
		break
	:: else ->
		wanted = s + (MUTANT(12) -> 0 : GENERATION) - REF + (PHASE(s) == DONE -> 0 : DETACHED);
		swap_state(W(14, ACQ_REL, ACQUIRE), ACQUIRE);
		if
		:: swapped -> break
		:: else
		fi
	od
}

/* --- callbacks: i is 1 or 2 */

inline hand_over(list)
{
	atomic {
		LOCK(0);
		service ! list;
		UNLOCK(0)
	}
}

/* call_all: those of `to_call`. What comes meanwhile goes to the service. */
inline call_all()
{
	if
	:: to_call != 0 ->
		atomic {
			assert(!calling); /* one strand at a time */
			calling = true
		}
		USE(0);
		atomic {
			called[1] = called[1] + (to_call & 1);
			called[2] = called[2] + (to_call >> 1 & 1);
			calling = false;
			to_call = 0
		}
		LOAD(s, state, ACQUIRE);
		do
		:: MUTANT(22) -> break
		:: HAS(s, LOCKED) -> await_unlocked(ACQUIRE)
		:: !HAS(s, LOCKED) && HAS(s, WAITERS) ->
			wanted = s + LOCKED - (MUTANT(20) -> REF : 0);
			swap_state(ACQ_REL, ACQUIRE);
			if
			:: swapped ->
				atomic {
					USE(3);
					to_call = callbacks;
					callbacks = 0
				}
				unlock_bit();
				hand_over(to_call);
				to_call = 0;
				break
			:: else
			fi
		:: !HAS(s, LOCKED) && !HAS(s, WAITERS) ->
			wanted = s - REF - (MUTANT(21) -> 0 : CALLED_BACK);
			swap_state(ACQ_REL, ACQUIRE);
			if
			:: swapped && REFS(wanted) == 0 -> free_last(); break
			:: swapped && REFS(wanted) != 0 ->
				if
				:: MUTANT(21) -> SUB(s, state, CALLED_BACK, ACQ_REL)
				:: else
				fi;
				break
			:: else
			fi
		od
	:: else
	fi
}

inline add_callback(i)
{
	LOAD(s, state, ACQUIRE);
	do
	:: HAS(s, LOCKED) -> await_unlocked(ACQUIRE)
	:: else ->
		wanted = (HAS(s, CALLED_BACK) -> s : s + CALLED_BACK + REF) + (PHASE(s) == DONE && !HAS(s, CALLED_BACK) && !MUTANT(19) -> 0 : LOCKED);
		swap_state(ACQUIRE, ACQUIRE);
		if
		:: swapped -> break
		:: else
		fi
	od;
	if
	:: HAS(wanted, LOCKED) ->
		atomic {
			USE(3);
			callbacks = callbacks | i
		}
		unlock_bit()
	:: else -> hand_over(i)
	fi;
	atomic {
		LOCK(0);
		added[i] = true;
		UNLOCK(0)
	}
}

proctype executor()
{
	short s, seen, wanted;
	bool swapped, claimed, locked, to_fire, stale;
	byte to_call;

	claim();
	if
	:: claimed -> run_claimed(1); call_all()
	:: else -> unref()
	fi;
	atomic {
		EXIT();
		finished++
	}
}

#ifdef WAIT
proctype owner()
{
	short s, seen, wanted;
	bool swapped, claimed, locked, to_fire, stale, ended;
	byte to_call;

	if
	:: claim()
	:: skip
	fi;
	if
	:: claimed -> run_claimed(0); ended = true
	:: else ->
		USE(2);
		lock_bit(false);
		assert(!stale);
		if
		:: locked ->
			atomic {
				USE(3);
				listed = true
			}
			unlock_bit();
			if
			:: AWAIT(s, fired, latest[fired] == 1, W(5, ACQUIRE, RELAXED)); ended = true
			:: MUTANT(9)
			:: !MUTANT(9) -> /* time is up */
				lock_bit(false);
				if
				:: locked ->
					atomic {
						USE(3);
						assert(listed);
						listed = false
					}
					unlock_bit()
				:: else ->
					if
					:: MUTANT(10)
					:: else -> AWAIT(s, fired, latest[fired] == 1, W(5, ACQUIRE, RELAXED)); ended = true
					fi
				fi
			fi
		:: else -> ended = true
		fi;
		USE(2) /* it is gone */
	fi;
	if
	:: ended -> USE(0)
	:: else
	fi;
	release();
	atomic {
		EXIT();
		finished++
	}
}

proctype canceller()
{
	short s, seen, wanted, f;
	bool swapped, locked, to_fire, stale;
	byte to_call;

	lock_bit(false);
	if
	:: locked && PHASE(s) == QUEUED ->
		atomic {
			USE(0);
			assert(frees == 0 && runs == 0)
		}
		end_locked((MUTANT(18) -> 1 : 0))
	:: locked && PHASE(s) != QUEUED ->
		assert(frees == 0);
		OR(s, state, CANCEL, RELAXED);
		if
		:: MUTANT(17) -> unlock_bit()
		:: else
		fi;
		AWAIT(f, frame, latest[frame] != 0, ACQUIRE);
		USE(1);
		if
		:: !MUTANT(17) -> unlock_bit()
		:: else
		fi
	:: else
	fi;
	atomic {
		EXIT();
		finished++
	}
}
#endif

#ifdef CALLBACKS
proctype owner()
{
	short s, seen, wanted;
	bool swapped;

	add_callback(1);
	atomic {
		added[2];
		LOCK(0);
		UNLOCK(0)
	}
	release();
	atomic {
		EXIT();
		finished++
	}
}

proctype other()
{
	short s, seen, wanted;
	bool swapped;

	add_callback(2);
	atomic {
		EXIT();
		finished++
	}
}

proctype servant()
{
	short s, seen, wanted;
	bool swapped;
	byte to_call;

	do
	:: atomic { service ? to_call; LOCK(0); UNLOCK(0) }
		call_all()
	:: called[1] > 0 && called[2] > 0 && empty(service) -> break
	od;
	atomic {
		EXIT();
		finished++
	}
}
#endif

init
{
	atomic {
		MEMORY_INIT();
		run executor();
		run owner();
#ifdef WAIT
		run canceller()
#else
		run other();
		run servant()
#endif
	}
#ifdef WAIT
	finished == 3;
#else
	finished == 4;
	assert(called[1] == 1 && called[2] == 1 && callbacks == 0);
#endif
	assert(ends == 1);
	assert(frees == 1)
}
