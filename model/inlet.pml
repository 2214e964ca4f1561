/* An inlet (sched/inlet.h, sched/inlet.c) and its end: its ring; who has it, and who frees it; and a submitter who meets the end of the pool
 * (see_to_inlet and attend in sched/pool.c, tz_pool_request_shutdown, tz_pool_shutdown and has_ended in sched/pool_life.c, end_tenure and
 * tz_pool_no_thread in sched/pool_threads.c).
 *
 *  RUN ring: -DRING
 *  RUN life: -DLIFE
 *  RUN heard: -DEND -DHEARD
 *  RUN late: -DEND
 *
 * `ring`: the thread that has the inlet pushes three jobs, one by one, into a ring of two; two workers take, one of them as many as there are.
 * `life`: a thread has an inlet, and ends, or drops it because its pool is gone. Two others look for a vacant one, and end, too. When
 * nobody is about to get one any more the pool lets go of all.
 * (That the compare-and-swap and the load of head by which places in the ring become free again are release and acquire is for loads that see a later
 * store of another thread because of each other, which this memory does not have.)
 * `heard`, `late`: a submitter pushes a job. Somebody closes the pool: in `heard` because the job has run, without waiting for the submitter; in
 * `late` at any time, and the pool is gone only when the submitter has come back. There is one worker at a time, which is always awake, if its thread
 * starts at all (pool.pml has several; ending.pml has the pool's own part of the end).
 * That a submitter looks at the number as well as at runnable, and that has_ended looks at the inlets after a fence, is more than is needed here: where
 * it finds no worker it asks under the lock.
 *
 *   tail, head, seen, slot(i), holders, vacant, inside    as in the inlet
 *   number       whether the pool's is not shut yet
 *   runnable     workers; the submitter leaves its job to those that there are
 *   lock 0       of the pool: guards ended, alive; 1: hands on that the job has run
 *   plain data   ring: the jobs; life: the inlet's `room`, and the inlet itself, as each touches it; end: the job, and the pool as the submitter touches it
 *
 *  WEAK 1: push: the release of the store of tail
 *  WEAK 2: take: the acquire of the load of tail
 *  WEAK 3: take: the release of the store of seen
 *  WEAK 4: take: the acquire of the load of seen
 *  WEAK 5: take moves head by a store
 *  WEAK 6: take loads the job when it has moved head
 *  WEAK 7 (life): leave_all: the release of the store of vacant
 *  WEAK 8 (life): vacant: the acquire of the load
 *  WEAK 9 (life): let_go: the release of the subtraction
 *  WEAK 10 (life): let_go: the acquire of the subtraction
 *  WEAK 11 (life): leave_all lets go before it says that the inlet is vacant
 *  WEAK 12 (life): who moves in is not counted
 *  WEAK 13 (life): vacant: two may move in, as the word goes on saying so
 *  WEAK 14 (heard): push says that it is inside when it has pushed
 *  WEAK 15 (heard): shutdown does not wait for who is inside
 *  WEAK 16 (heard): leave: the release of the store
 *  WEAK 17 (heard): the submitter leaves before it looks whether somebody comes
 *  WEAK 18 (late): push is seq_cst
 *  WEAK 19 (late): the submitter looks at the number and at runnable before it pushes
 *  WEAK 20 (late): the submitter leaves its job to the workers without a look
 *  WEAK 21 (late): the submitter does not ask whether the pool has ended
 *  WEAK 22 (late): who takes the job back says that it is accepted
 *  WEAK 23 (late): a worker that ends does not look once more
 *  WEAK 24 (late): a worker that ends: the fence before it looks once more
 *  WEAK 25 (late): no_thread: the fence before it looks at what others have left to the thread that did not start
 *  WEAK 26 (late): no_thread does not look at that
 */
#if defined(RING)
#define tail 0
#define head 1
#define seen_tail 2
#define slot(i) (3 + (i) % 2)
#define N_ATOMICS 5
#define N_DATA 3
#define USERS { 14, 14, 14, 14, 14 }
#define INITIAL { 0, 0, 0, 0, 0 }
#elif defined(LIFE)
#define holders 0
#define vacant 1
#define tail 2
#define N_ATOMICS 3
#define N_DATA 5
#define USERS { 30, 30, 30 }
#define INITIAL { 2, 0, 0 }
#else
#define tail 0
#define head 1
#define inside 2
#define number 3
#define runnable 4
#define N_ATOMICS 5
#define N_DATA 2
#define USERS { 14, 14, 14, 14, 14 }
#define INITIAL { 0, 0, 0, 1, 1 }
#endif
#define N_MUTEXES 2
#define N_PROCESSES 5
#define N_MESSAGES 48
#include "weakmem.pml"

byte finished;

#ifdef RING
byte taken; /* jobs; bit i for that of number i + 1 */

proctype pusher()
{
	short seen;
	byte job, room = 2;

	do
	:: job == 3 -> break
	:: else ->
		if
		:: room == job -> /* tz_inlet_push_all */
			(latest[head] > job - 2); /* else there is none */
			LOAD(seen, head, ACQUIRE);
			room = seen + 2
		:: else
		fi;
		seen = 0;
		if
		:: room == job
		:: else ->
			atomic { USE(job); STORE(slot(job), job + 1, RELAXED) }
			job++;
			STORE(tail, job, W(1, SEQ_CST, RELAXED))
		fi
	od;
	atomic {
		EXIT();
		finished++
	}
}

inline take_slot(at, into)
{
	LOAD(into, slot(at), RELAXED)
}

inline begin(job)
{
	atomic {
		assert(job != 0 && !(taken >> (job - 1) & 1));
		taken = taken | 1 << (job - 1);
		USE(job - 1);
		job = 0
	}
}

proctype taker()
{
	short seen, at, beyond, first, second;

	do
	:: taken == 7 -> break
	:: else ->
		/* tz_inlet_take; of pid 2, tz_inlet_take_all */
		LOAD(at, head, RELAXED);
		do
		:: /* tz_inlet_beyond */
			LOAD(beyond, seen_tail, W(4, ACQUIRE, RELAXED));
			if
			:: at >= beyond ->
				LOAD(beyond, tail, W(2, ACQUIRE, RELAXED));
				if
				:: at < beyond -> STORE(seen_tail, beyond, W(3, RELEASE, RELAXED))
				:: else
				fi
			:: else
			fi;
			if
			:: at >= beyond -> break
			:: else
			fi;
			beyond = (_pid == 2 -> beyond - at : 1);
			if
			:: !MUTANT(6) ->
				take_slot(at, first);
				if
				:: beyond == 2 -> take_slot(at + 1, second)
				:: else
				fi
			:: else
			fi;
			if
			:: MUTANT(5) -> STORE(head, at + beyond, RELEASE); seen = at
			:: else -> CAS(seen, head, at, at + beyond, RELEASE, RELAXED)
			fi;
			if
			:: seen == at ->
				if
				:: MUTANT(6) -> take_slot(at, first)
				:: else
				fi;
				begin(first);
				if
				:: second != 0 -> begin(second)
				:: else
				fi;
				break
			:: else -> at = seen; first = 0; second = 0
			fi
		od;
		seen = 0;
		at = 0;
		beyond = 0;
		first = 0;
		(taken == 7 || latest[head] < latest[tail]) /* there is something, or nothing will come */
	od;
	atomic {
		EXIT();
		finished++
	}
}
#endif

#ifdef LIFE
bool freed;
byte looked; /* threads that will not move in any more */
byte owners; /* threads that have the inlet */

/* Somebody's last touch; each has a datum. */
inline let_go()
{
	atomic {
		assert(!freed);
		USE(_pid);
		SUB(seen, holders, 1, (mutant == 9 -> ACQUIRE : W(10, ACQ_REL, RELEASE)));
		if
		:: seen == 1 ->
			freed = true;
			USE(1);
			USE(2);
			USE(3);
			USE(4)
		:: else
		fi;
		seen = 0
	}
}

/* leave_all */
inline end_thread()
{
	if
	:: MUTANT(11) -> owners--; let_go()
	:: else
	fi;
	atomic {
		assert(!freed);
		owners = owners - !MUTANT(11);
		USE(_pid);
		STORE(vacant, 1, W(7, RELEASE, RELAXED))
	}
	if
	:: !MUTANT(11) -> let_go()
	:: else
	fi
}

/* Pushes. */
inline use_it()
{
	atomic {
		assert(owners == 1);
		USE(0);
		LOAD(seen, tail, RELAXED);
		assert(seen == latest[tail]);
		STORE(tail, seen + 1, SEQ_CST);
		seen = 0
	}
}

proctype first()
{
	short seen;

	use_it();
	if
	:: LOAD(seen, holders, RELAXED); /* drop_dead */
		if
		:: seen == 1 -> owners--; let_go()
		:: else -> end_thread()
		fi
	:: end_thread()
	fi;
	atomic {
		EXIT();
		finished++
	}
}

/* tz_inlet_add, under the pool's lock */
proctype another()
{
	short seen;
	bool mine;

	LOCK(0);
	atomic { assert(!freed); LOAD(seen, vacant, W(8, ACQUIRE, RELAXED)) }
	if
	:: seen == 1 ->
		mine = true;
		owners++;
		if
		:: !MUTANT(13) -> STORE(vacant, 0, RELAXED)
		:: else
		fi;
		if
		:: !MUTANT(12) -> atomic { assert(!freed); ADD(seen, holders, 1, RELAXED) }
		:: else
		fi
	:: else
	fi;
	seen = 0;
	atomic { UNLOCK(0); looked++ }
	if
	:: mine -> use_it(); end_thread()
	:: else
	fi;
	atomic {
		EXIT();
		finished++
	}
}

/* tz_inlets_done */
proctype pool()
{
	short seen;

	atomic { looked == 2; LOCK(0); UNLOCK(0) }
	let_go();
	atomic {
		EXIT();
		finished++
	}
}
#endif

#ifdef END
byte alive = 1; /* by the lock, as is ended */
bool ended, freed, changed, came_back;
bool accepted, ran;

inline touch()
{
	atomic { assert(!freed); USE(1) }
}

proctype submitter()
{
	short seen, early;

	early = 1;
	if
	:: MUTANT(19) ->
		LOAD(early, number, SEQ_CST);
		LOAD(seen, runnable, SEQ_CST);
		early = early && seen > 0
	:: else
	fi;
	atomic { touch(); LOAD(seen, number, RELAXED) }
	if
	:: seen == 0 -> goto out
	:: else
	fi;
	/* tz_inlet_push */
	USE(0);
	if
	:: !MUTANT(14) -> STORE(inside, 1, RELAXED)
	:: else
	fi;
	STORE(tail, 1, W(18, SEQ_CST, RELEASE));
	if
	:: MUTANT(14) -> STORE(inside, 1, RELAXED)
	:: MUTANT(17) -> STORE(inside, 0, RELEASE)
	:: else
	fi;
	accepted = true;
	/* see_to_inlet */
	if
	:: MUTANT(19) -> seen = early
	:: MUTANT(20) -> seen = 1
	:: else ->
		atomic { touch(); LOAD(seen, runnable, SEQ_CST) }
		if
		:: seen > 0 -> atomic { touch(); LOAD(seen, number, SEQ_CST) }
		:: else
		fi
	fi;
	if
	:: seen == 0 ->
		/* attend */
		LOCK(0);
		touch();
		if
		:: ended && !MUTANT(21) -> /* take_back */
			CAS(seen, head, 0, 1, RELEASE, RELAXED);
			accepted = seen != 0 || MUTANT(22)
		:: else ->
			if
			:: alive == 0 -> atomic { assert(!ended); alive = 1; ADD(seen, runnable, 1, SEQ_CST) }
			:: else
			fi
		fi;
		UNLOCK(0)
	:: else
	fi;
	if
	:: !MUTANT(17) -> STORE(inside, 0, W(16, RELEASE, RELAXED))
	:: else
	fi;
out:
	atomic {
		LOCK(1);
		came_back = true;
		UNLOCK(1);
		EXIT();
		finished++
	}
}

/* tz_pool_no_thread: the jobs that wait fail. */
inline no_thread()
{
	atomic { LOCK(0); SUB(seen, runnable, 1, SEQ_CST) }
	atomic { FENCE(W(25, F_SEQ_CST, F_NONE)); LOAD(see, head, RELAXED) }
	LOAD(seen, tail, ACQUIRE);
	if
	:: see < seen && !MUTANT(26) ->
		CAS(seen, head, see, see + 1, RELEASE, RELAXED);
		if
		:: seen == see -> atomic { USE(0); ran = true }
		:: else
		fi
	:: else
	fi;
	alive = 0;
	UNLOCK(0);
	changed = true;
	see = 0;
	seen = 0
}

proctype worker()
{
	short seen, see;
	bool ends;

#ifndef HEARD
	if
	:: no_thread()
	:: skip
	fi;
#endif
	do
	:: atomic { freed && alive == 0 -> break }
	:: alive == 1 ->
		LOAD(see, head, RELAXED);
		LOAD(seen, tail, ACQUIRE);
		if
		:: see < seen ->
			CAS(seen, head, see, see + 1, RELEASE, RELAXED);
			if
			:: seen == see ->
				atomic {
					USE(0);
					assert(!ran);
					LOCK(1);
					ran = true;
					UNLOCK(1)
				}
			:: else
			fi
		:: else ->
			/* rest */
			LOCK(0);
			LOAD(seen, number, ACQUIRE); /* closing, which is set before */
			if
			:: seen == 0 ->
				LOAD(see, head, RELAXED);
				LOAD(seen, tail, RELAXED);
				ends = see == seen
			:: else
			fi;
			if
			:: ends -> SUB(seen, runnable, 1, SEQ_CST)
			:: else
			fi;
			UNLOCK(0);
			if
			:: ends ->
				ends = false;
				/* end_tenure; until then it is `leaving` */
				LOCK(0);
				atomic { FENCE(W(24, F_SEQ_CST, F_NONE)); LOAD(see, head, RELAXED) }
				LOAD(seen, tail, RELAXED);
				if
				:: see < seen && !MUTANT(23) -> ADD(seen, runnable, 1, SEQ_CST) /* one_more: a new thread */
				:: else -> alive = 0
				fi;
				UNLOCK(0);
				changed = true
			:: else -> (latest[number] == 0 || latest[head] < latest[tail]) /* it would sleep */
			fi
		fi;
		see = 0;
		seen = 0
	od;
	atomic {
		EXIT();
		finished++
	}
}

inline settle_inside()
{
	if
	:: !MUTANT(15) -> AWAIT(seen, inside, latest[inside] == 0, ACQUIRE)
	:: else
	fi;
	seen = 0
}

proctype closer()
{
	short seen, see;

#ifdef HEARD
	atomic { ran || came_back -> LOCK(1); UNLOCK(1) }
#endif
	STORE(number, 0, SEQ_CST);
	settle_inside();
	do
	:: /* has_ended */
		LOCK(0);
		atomic { FENCE(F_SEQ_CST); LOAD(see, head, RELAXED) }
		LOAD(seen, tail, RELAXED);
		ended = alive == 0 && see == seen;
		UNLOCK(0);
		if
		:: ended -> break
		:: else
		fi;
		see = 0;
		seen = 0;
		atomic { changed -> changed = false };
		settle_inside()
	od;
	see = 0;
	seen = 0;
#ifndef HEARD
	atomic { came_back -> LOCK(1); UNLOCK(1) }
#endif
	atomic { freed = true; USE(1) }
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
#if defined(RING)
		run pusher();
		run taker();
		run taker()
#elif defined(LIFE)
		owners = 1;
		run first();
		run another();
		run another();
		run pool()
#else
		run submitter();
		run worker();
		run closer()
#endif
	}
#ifdef LIFE
	finished == 4;
#else
	finished == 3; /* else somebody waits for ever */
#endif
#ifdef END
	assert(accepted == ran)
#endif
#ifdef LIFE
	assert(freed)
#endif
}
