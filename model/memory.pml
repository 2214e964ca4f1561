/* The memory itself (weakmem): the litmus tests by which models of memory are told apart.
 *
 *  RUN sb: -DTEST=1
 *  RUN sc: -DTEST=8
 *  RUN mp: -DTEST=2
 *  RUN mpf: -DTEST=3
 *  RUN rs: -DTEST=4
 *  RUN iriw: -DTEST=5
 *  RUN ww: -DTEST=6
 *  RUN lock: -DTEST=7
 *
 * Without mutant nothing happens that C11 forbids. In each mutant something happens that C11 allows: a memory
 * stronger than C11 would let it pass.
 *  WEAK 1 (sb): store buffering: no seq_cst fence in the first thread
 *  WEAK 2 (sb): store buffering: no seq_cst fence in the second thread
 *  WEAK 3 (sb): store buffering: a read-modify-write of another word instead of one of the fences
 *  WEAK 4 (mp): message passing: the store is relaxed
 *  WEAK 5 (mp): message passing: the load is relaxed
 *  WEAK 6 (mpf): message passing by fences: no release fence
 *  WEAK 7 (mpf): message passing by fences: no acquire fence
 *  WEAK 8 (rs): a plain store ends the release sequence that a relaxed read-modify-write continues
 *  WEAK 9 (iriw): independent readers of independent writes: no fence between the first one's loads
 *  WEAK 10 (iriw): independent readers of independent writes: no fence between the second one's loads
 *  WEAK 11 (ww): of two stores the one that was executed first ends up last
 *  WEAK 12 (lock): plain data without the lock
 *  WEAK 13 (sc): store buffering: the store of the side without a fence is no seq_cst one
 *  WEAK 14 (sc): ... its load is not
 */
#define x 0
#define y 1
#define z 2
#define N_ATOMICS 3
#define N_DATA 1
#define N_MUTEXES 1
#define N_PROCESSES 5
#define N_MESSAGES 16
#define USERS { 30, 30, 30 }
#define INITIAL { 0, 0, 0 }
#include "weakmem.pml"

short r[5];
byte data, executed_last, finished;

#define ME r[_pid]

proctype first()
{
	short seen;

#if TEST == 1
	STORE(x, 1, RELEASE);
	if
	:: MUTANT(3) -> ADD(seen, z, 1, ACQ_REL)
	:: else -> FENCE(W(1, F_SEQ_CST, F_NONE))
	fi;
	LOAD(ME, y, ACQUIRE);
#elif TEST == 8
	STORE(x, 1, W(13, SEQ_CST, RELEASE));
	LOAD(ME, y, W(14, SEQ_CST, ACQUIRE));
#elif TEST == 2 || TEST == 4
	USE(0);
	data = 7;
	STORE(x, 1, W(4, RELEASE, RELAXED));
#elif TEST == 3
	USE(0);
	data = 7;
	FENCE(W(6, F_RELEASE, F_NONE));
	STORE(x, 1, RELAXED);
#elif TEST == 5
	STORE(x, 1, RELEASE);
#elif TEST == 6
	atomic {
		STORE(x, 1, RELAXED);
		executed_last = 1
	}
	LOAD(ME, x, RELAXED);
	assert(ME == 1 || ME == 2);
	LOAD(seen, x, RELAXED);
	assert(!(ME == 2 && seen == 1)); /* coherence */
#else
	if
	:: !MUTANT(12) -> LOCK(0)
	:: else
	fi;
	USE(0);
	data++;
	if
	:: !MUTANT(12) -> UNLOCK(0)
	:: else
	fi;
#endif
	atomic {
		EXIT();
		finished++
	}
}

proctype second()
{
	short seen;

#if TEST == 1
	STORE(y, 1, RELEASE);
	FENCE(W(2, F_SEQ_CST, F_NONE));
	LOAD(ME, x, ACQUIRE);
#elif TEST == 8
	STORE(y, 1, RELAXED);
	FENCE(F_SEQ_CST);
	LOAD(ME, x, RELAXED);
#elif TEST == 2
	LOAD(ME, x, W(5, ACQUIRE, RELAXED));
	if
	:: ME == 1 -> USE(0); assert(data == 7)
	:: else
	fi;
#elif TEST == 3
	LOAD(ME, x, RELAXED);
	FENCE(W(7, F_ACQUIRE, F_NONE));
	if
	:: ME == 1 -> USE(0); assert(data == 7)
	:: else
	fi;
#elif TEST == 4
	LOAD(ME, x, RELAXED);
	if
	:: ME == 1 && MUTANT(8) -> STORE(x, 2, RELAXED)
	:: ME == 1 && !MUTANT(8) -> CAS(seen, x, 1, 2, RELAXED, RELAXED)
	:: else
	fi;
#elif TEST == 5
	STORE(y, 1, RELEASE);
#elif TEST == 6
	atomic {
		STORE(x, 2, RELAXED);
		executed_last = 2
	}
#else
	LOCK(0);
	USE(0);
	data++;
	UNLOCK(0);
#endif
	atomic {
		EXIT();
		finished++
	}
}

proctype third()
{
	short seen;

#if TEST == 4
	LOAD(ME, x, ACQUIRE);
	if
	:: ME == 2 -> USE(0); assert(data == 7)
	:: else
	fi;
#elif TEST == 5
	LOAD(ME, x, ACQUIRE);
	FENCE(W(9, F_SEQ_CST, F_NONE));
	LOAD(seen, y, ACQUIRE);
	ME = ME * 2 + seen;
#endif
	atomic {
		EXIT();
		finished++
	}
}

proctype fourth()
{
	short seen;

#if TEST == 5
	LOAD(ME, y, ACQUIRE);
	FENCE(W(10, F_SEQ_CST, F_NONE));
	LOAD(seen, x, ACQUIRE);
	ME = ME * 2 + seen;
#endif
	atomic {
		EXIT();
		finished++
	}
}

init
{
	atomic {
		MEMORY_INIT();
		run first();
		run second();
		run third();
		run fourth()
	}
	finished == 4;
#if TEST == 1 || TEST == 8
	assert(r[1] == 1 || r[2] == 1);
#elif TEST == 5
	assert(!(r[3] == 2 && r[4] == 2));
#elif TEST == 6
	assert(latest[x] == executed_last || !MUTANT(11));
#endif
}
