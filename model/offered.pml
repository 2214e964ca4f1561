/* The hand-over of short maps (sched/pool_range.c; tz_worker_linger in pool_sleep.c): a caller swaps its range into `offered` where a
 * worker lingers, and takes it out again, or waits for the worker that has it. All elements are called once, the caller has the results, nobody waits
 * for ever, and nobody touches the frame of a caller that has gone on.
 *
 *  RUN callers: -DCALLERS=2 -DWORKERS=1 -DMAPS=1 -DLINGERS=2
 *  RUN workers: -DCALLERS=1 -DWORKERS=2 -DMAPS=2 -DLINGERS=1
 *
 * Each caller does MAPS maps of two elements, one after the other, in the same frame; each worker lingers LINGERS times, one of them perhaps while the
 * other does.
 * A worker may have enough of lingering at any time, and of a range as well, as it has when jobs wait.
 *
 *   offered      NULL, no_range, or the range of a caller
 *   part(c)      `state` of the range of caller c
 *   left[c]      of its elements; range.pml has how they are handed out
 *   token[c]     the caller's park token, which hands over like a lock; token.pml has what is behind it
 *   plain data   two results of each caller, and the range itself, of which the frame of the caller has the fields
 *
 *  WEAK 1: share_short: the release of the compare-and-swap
 *  WEAK 2: end_offers: the acquire of the swap
 *  WEAK 3: leave_offered_range: the release of the swap
 *  WEAK 4: withdraw: the acquire of a look that sees the worker's part done
 *  WEAK 5: withdraw: the acquire of the compare-and-swap that finds it done
 *  WEAK 6: withdraw takes the range out by a store, whatever is there
 *  WEAK 7: withdraw does not wait for the worker
 *  WEAK 8: leave_offered_range reads who the caller is after the swap
 *  WEAK 9: end_offers: a load, and then a store
 *  WEAK 10: withdraw does not say that it waits
 *  WEAK 11: leave_offered_range: a load, and then a store
 *  WEAK 12: share_short stores its range, whatever is there
 *  WEAK 13 (workers): ask_for_offers stores, whatever is there
 *  WEAK 14: a range is offered where nobody lingers
 *  WEAK 15: a worker that ends its lingering leaves what it is offered there
 */
#define offered 0
#define part(c) (c)
#define N_ATOMICS (1 + CALLERS)
#define N_DATA (3 * CALLERS)
#define N_MUTEXES CALLERS
#define N_PROCESSES 4
#define N_MESSAGES 48
#define USERS { 14, 14, 14 }
#define INITIAL { 0, 0, 0 }
#include "weakmem.pml"

/* offered; besides, NO_RANGE + c is the range of caller c. Callers are pids from 1 on. */
#define NOBODY 0
#define NO_RANGE 1

/* part(c) */
#define RUNS 0
#define AWAITED 1
#define DONE 2

#define RESULT(c, i) (3 * ((c) - 1) + (i))
#define RANGE(c) (3 * ((c) - 1) + 2)

bool token[CALLERS + 1];
bool there[CALLERS + 1]; /* the caller's frame */
byte left[CALLERS + 1]; /* elements that nobody has taken */
byte finished;

/* tz_range_step */
inline step(c, over)
{
	atomic {
		if
		:: left[c] > 0 ->
			left[c]--;
			assert(there[c]);
			USE(RESULT(c, left[c]))
		:: else -> over = true
		fi
	}
}

proctype caller()
{
	short i, seen;
	byte maps;
	bool over, offers;

	do
	:: maps == MAPS -> break
	:: else ->
		/* begin_alone has left this much; share_short */
		atomic {
			assert(!there[_pid]);
			there[_pid] = true;
			left[_pid] = 2;
			USE(RANGE(_pid));
			STORE(part(_pid), RUNS, RELAXED)
		}
		if
		:: MUTANT(12) -> STORE(offered, NO_RANGE + _pid, RELEASE); seen = NO_RANGE
		:: MUTANT(14) -> LOAD(i, offered, RELAXED); CAS(seen, offered, i, NO_RANGE + _pid, RELEASE, RELAXED); seen = (seen == i -> NO_RANGE : NOBODY)
		:: else -> CAS(seen, offered, NO_RANGE, NO_RANGE + _pid, W(1, RELEASE, RELAXED), RELAXED)
		fi;
		i = 0;
		offers = seen == NO_RANGE;
		do
		:: over -> break
		:: else -> step(_pid, over)
		od;
		over = false;
		/* withdraw */
		if
		:: offers ->
			if
			:: MUTANT(6) -> STORE(offered, NO_RANGE, RELAXED); seen = NO_RANGE + _pid
			:: else -> CAS(seen, offered, NO_RANGE + _pid, NO_RANGE, RELAXED, RELAXED)
			fi;
			if
			:: seen == NO_RANGE + _pid || MUTANT(7)
			:: else ->
				LOAD(seen, part(_pid), W(4, ACQUIRE, RELAXED)); /* it spins */
				if
				:: seen != DONE && MUTANT(10) -> seen = AWAITED
				:: seen != DONE && !MUTANT(10) -> CAS(seen, part(_pid), RUNS, AWAITED, ACQUIRE, W(5, ACQUIRE, RELAXED))
				:: else
				fi;
				do
				:: seen == DONE -> break
				:: else ->
					LOAD(seen, part(_pid), ACQUIRE);
					if
					:: seen != DONE -> atomic { token[_pid] -> LOCK(_pid - 1); token[_pid] = false; UNLOCK(_pid - 1) }
					:: else
					fi
				od
			fi
		:: else
		fi;
		atomic {
			USE(RESULT(_pid, 0));
			USE(RESULT(_pid, 1));
			USE(RANGE(_pid));
			assert(left[_pid] == 0);
			there[_pid] = false;
			maps++
		};
		offers = false;
		seen = 0
	od;
	atomic {
		EXIT();
		finished++
	}
}

proctype worker()
{
	short seen, was;
	byte times;
	bool asks, over;

	do
	:: times == LINGERS -> break
	:: else ->
		/* tz_worker_linger */
		if
		:: MUTANT(13) -> STORE(offered, NO_RANGE, RELAXED); seen = NOBODY
		:: else -> CAS(seen, offered, NOBODY, NO_RANGE, RELAXED, RELAXED)
		fi;
		asks = seen == NOBODY;
		seen = NO_RANGE;
		if
		:: asks -> LOAD(seen, offered, RELAXED) /* it goes on if it has seen something, or when it has had enough */
		:: true
		fi;
		was = NO_RANGE;
		if
		:: asks && MUTANT(9) -> LOAD(was, offered, ACQUIRE); STORE(offered, NOBODY, RELAXED)
		:: asks && MUTANT(15) -> CAS(was, offered, NO_RANGE, NOBODY, ACQUIRE, ACQUIRE)
		:: asks && !MUTANT(9) && !MUTANT(15) -> SWAP(was, offered, NOBODY, W(2, ACQUIRE, RELAXED))
		:: else
		fi;
		if
		:: MUTANT(15) && seen == NO_RANGE -> was = NO_RANGE
		:: else
		fi;
		assert(was != NOBODY);
		if
		:: was > NO_RANGE ->
			was = was - NO_RANGE;
			/* tz_worker_run_offered_range */
			atomic { assert(there[was]); USE(RANGE(was)) }
			do
			:: over -> break
			:: !over -> step(was, over)
			:: !over -> over = true
			od;
			over = false;
			if
			:: MUTANT(11) -> LOAD(seen, part(was), ACQUIRE); STORE(part(was), DONE, RELEASE)
			:: else -> atomic { assert(there[was]); SWAP(seen, part(was), DONE, W(3, ACQ_REL, ACQUIRE)) }
			fi;
			if
			:: MUTANT(8) -> assert(there[was])
			:: else
			fi;
			if
			:: seen == AWAITED -> atomic { LOCK(was - 1); token[was] = true; UNLOCK(was - 1) }
			:: else
			fi
		:: else
		fi;
		was = 0;
		seen = 0;
		asks = false;
		times++
	od;
	atomic {
		EXIT();
		finished++
	}
}

init
{
	atomic {
		MEMORY_INIT();
		run caller();
#if CALLERS == 2
		run caller();
#endif
		run worker();
#if WORKERS == 2
		run worker()
#endif
	}
	finished == 3 /* else somebody waits for ever */
}
