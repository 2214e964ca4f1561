/* Parking and waking of the pool (src/sched/pool.c): three workers, a submitter.
 *
 *  RUN mixed: -DMIXED
 *  RUN burst: -DBURST
 *  RUN close: -DCLOSE
 *
 * In `mixed` and `burst` there are three jobs, each of which ends only when all three have begun: so all workers must be
 * awake together, and one lost wake-up shows as an invalid end state. In `mixed`, worker 1 runs the first, which
 * pushes the second one on the worker's run queue, while the submitter submits the third; worker 2 is
 * looking for work and worker 3 asleep. In `burst` two sleep, the submitter submits three jobs at once, and who comes
 * first moves two of them. In `close` there is no job: the pool is closed
 * while the workers go to sleep, and all of them must leave.
 *
 *   the lock      guards injected, the idle list, and worker's `counted` while it is on the list
 *   idle_count    length of the idle list; written under the lock, read without
 *   searching     workers on their way from sleep to work, or looking for work before they sleep
 *   closing       the pool is being closed
 *   token(w)      the park token of worker w's strand
 *   queue(w)      the job in w's run queue, 0: none. Public forks are published and looked for in the same way: one
 *                 read-modify-write (release), then a fence.
 *
 * The flag by which a worker asks for public forks is left out: if it is missed, the forks stay with their owner, who is
 * awake. So are threads that start, block or retire.
 *
 * Mutants:
 *  WEAK 1: offer: the seq_cst fence between a push and the look at searching and idle_count
 *  WEAK 2: rest: the seq_cst fence between joining the idle list and the last look at the queues
 *  WEAK 3: take_batch: the seq_cst fence between not searching any more and the look at the queues
 *  WEAK 4: push: the release of the publication
 *  WEAK 5: take: the acquire of the compare-and-swap
 *  WEAK 6 (close): close: the release of the swap that gives the token
 *  WEAK 7 (close): park: the acquire of the compare-and-swap that takes the token
 *  WEAK 8: offer looks before the job is pushed
 *  WEAK 9: rest does not look at the queues again
 *  WEAK 10: rest looks at the injector in another critical section than it joins the idle list
 *  WEAK 11: take_batch: a searcher does not look at the queues of others
 *  WEAK 12: rest: a searcher that goes to sleep stays counted
 *  WEAK 13 (burst): take_batch puts jobs into the run queue when it has released the lock
 *  WEAK 14 (burst): found wakes nobody
 *  WEAK 15 (close): closing gives no tokens
 *  WEAK 16: found stops searching without the lock
 */
#define WORKERS 3
#define JOBS 3

#define idle_count 0
#define searching 1
#define closing 2
#define token(w) (2 + (w))
#define queue(w) (5 + (w))
#define N_DATA JOBS
#define N_MUTEXES 1
#define N_PROCESSES 5
#define N_MESSAGES 30

#define ABSENT 0
#define PRESENT 1
#define SLEEPS 2

/* Workers are pids 1 to 3, the submitter is 4. Users are those who may see an old value: a token is
 * loaded by its owner only; other changes are read-modify-writes, which see the newest value in any case. */
#if defined(MIXED)
#define N_ATOMICS 7
#define USERS { 14, 30, 0, 2, 4, 8, 14 }
#define INITIAL { 1, 0, 0, ABSENT, ABSENT, ABSENT, 0 }
#elif defined(BURST)
#define N_ATOMICS 9
#define USERS { 14, 30, 0, 2, 4, 8, 14, 14, 14 }
#define INITIAL { 2, 0, 0, ABSENT, ABSENT, ABSENT, 0, 0, 0 }
#else
#define N_ATOMICS 7
#define USERS { 0, 14, 14, 2, 4, 8, 0 }
#define INITIAL { 0, 0, 0, ABSENT, ABSENT, ABSENT, 0 }
#endif
#include "weakmem.pml"

#ifdef CLOSE
#define OVER false
#else
#define OVER (begun == JOBS)
#endif

/* Who is on the idle list in the beginning. */
#if defined(MIXED)
#define ASLEEP(w) (w == 3)
#elif defined(BURST)
#define ASLEEP(w) (w != 1)
#else
#define ASLEEP(w) false
#endif

byte injected; /* the injector: jobs from number `next` on */
byte next;
bool idle[WORKERS + 1];
bool counted[WORKERS + 1]; /* in `searching` */
byte begun, finished;
bool ran[JOBS + 1];

/* One more worker: under the lock. w: who is to be given its token, or 0. */
inline one_more(w)
{
	LOAD(seen, searching, RELAXED);
	if
	:: seen > 0 -> w = 0
	:: seen == 0 && idle[1] -> w = 1
	:: seen == 0 && !idle[1] && idle[2] -> w = 2
	:: seen == 0 && !idle[1] && !idle[2] && idle[3] -> w = 3
	:: else -> w = 0
	fi;
	if
	:: w != 0 ->
		idle[w] = false;
		counted[w] = true;
		SUB(seen, idle_count, 1, RELAXED);
		ADD(seen, searching, 1, RELAXED)
	:: else
	fi;
	seen = 0
}

/* act, thread_unpark. */
inline unpark(w)
{
	if
	:: w != 0 ->
		atomic {
			SWAP(seen, token(w), PRESENT, W(6, RELEASE, RELAXED));
			if
			:: seen == SLEEPS -> FUTEX_WAKE(token(w))
			:: else
			fi;
			seen = 0;
			w = 0
		}
	:: else
	fi
}

/* thread_park. Who sleeps when all is over is let go. */
inline park()
{
	do
	:: OVER -> break
	:: CAS(seen, token(_pid), PRESENT, ABSENT, W(7, ACQUIRE, RELAXED), RELAXED);
		if
		:: seen == PRESENT -> break
		:: seen == ABSENT -> CAS(seen, token(_pid), ABSENT, SLEEPS, RELAXED, RELAXED)
		:: else
		fi;
		if
		:: seen != PRESENT -> FUTEX_WAIT_UNLESS(token(_pid), SLEEPS, OVER)
		:: else
		fi
	od;
	seen = 0
}

/* offer, after its fence. */
inline offer(w)
{
	if
	:: MUTANT(8) && early -> w = looked
	:: else ->
		LOAD(w, searching, RELAXED);
		if
		:: w == 0 -> LOAD(w, idle_count, RELAXED)
		:: else -> w = 0
		fi
	fi;
	if
	:: w > 0 ->
		atomic {
			LOCK(0);
			one_more(w);
			UNLOCK(0)
		}
		unpark(w)
	:: else
	fi
}

inline look_early()
{
	if
	:: MUTANT(8) ->
		LOAD(looked, searching, RELAXED);
		if
		:: looked == 0 -> LOAD(looked, idle_count, RELAXED)
		:: else -> looked = 0
		fi
	:: else
	fi
}

/* tz_runqueue_push. */
inline push(j)
{
	ADD(seen, queue(_pid), j, W(4, RELEASE, RELAXED));
	seen = 0
}

/* tz_runqueue_take. */
inline take(w)
{
	if
	:: job == 0 ->
		LOAD(seen, queue(w), RELAXED);
		if
		:: seen > 0 ->
			job = seen;
			CAS(seen, queue(w), job, 0, W(5, ACQUIRE, RELAXED), RELAXED);
			job = (seen == job -> job : 0)
		:: else
		fi;
		seen = 0
	:: else
	fi
}

/* has_work, of all workers. */
inline look(w)
{
	w = 0;
	LOAD(seen, queue(1), RELAXED);
	w = (seen > 0 -> 1 : w);
#ifdef BURST
	LOAD(seen, queue(2), RELAXED);
	w = (seen > 0 -> 1 : w);
	LOAD(seen, queue(3), RELAXED);
	w = (seen > 0 -> 1 : w);
#endif
	seen = 0
}

/* A searcher that has found something stops searching: under the lock. */
inline stop_searching()
{
	counted[_pid] = false;
	SUB(seen, searching, 1, RELAXED);
	seen = 0
}

/* found: whoever searched and found something that did not come from the injector. */
inline found()
{
	if
	:: MUTANT(16) ->
		stop_searching();
		offer(w)
	:: else ->
		atomic {
			LOCK(0);
			stop_searching();
			if
			:: !MUTANT(14) -> one_more(w)
			:: else
			fi;
			UNLOCK(0)
		}
	fi;
	unpark(w)
}

inline join_idle()
{
	idle[_pid] = true;
	ADD(seen, idle_count, 1, RELAXED);
	if
	:: counted[_pid] && !MUTANT(12) -> SUB(seen, searching, 1, RELAXED)
	:: else
	fi;
	counted[_pid] = false;
	seen = 0
}

inline leave_idle()
{
	idle[_pid] = false;
	SUB(seen, idle_count, 1, RELAXED);
	seen = 0
}

inline begin_job(j)
{
	atomic {
		USE(j - 1);
		assert(!ran[j]); /* else it runs twice */
		ran[j] = true;
		begun++
	}
}

/* take_batch: of three jobs it takes two, one of them for the run queue. */
inline take_batch()
{
	LOCK(0);
	if
	:: injected == 0
	:: else ->
		job = next;
		more = (injected == 3 -> next + 1 : 0);
		next = next + (more != 0 -> 2 : 1);
		injected = injected - (more != 0 -> 2 : 1);
		searched = counted[_pid];
		if
		:: searched -> stop_searching()
		:: else
		fi;
		if
		:: injected > 0 || more != 0 -> one_more(w)
		:: else
		fi;
		searched = searched && w == 0;
		if
		:: more != 0 && !MUTANT(13) -> push(more); more = 0
		:: else
		fi
	fi;
	UNLOCK(0)
}

/* sleep_idle; or, if the last look has shown something, what rest does then. */
inline sleep_idle()
{
	do
	:: w == 0 && in_list ->
		park();
		atomic {
			LOCK(0);
			LOAD(seen, closing, ACQUIRE);
			if
			:: !idle[_pid] -> in_list = false /* whoever woke us took us off */
			:: idle[_pid] && seen == 1 -> leave_idle(); in_list = false
			:: else
			fi;
			seen = 0;
			UNLOCK(0)
		}
	:: w > 0 ->
		atomic {
			LOCK(0);
			if
			:: idle[_pid] -> leave_idle()
			:: else
			fi;
			in_list = false;
			w = 0;
			UNLOCK(0)
		}
	:: (w == 0 && !in_list) || OVER -> break
	od
}

/* linger and rest. */
inline rest()
{
	if
	:: !counted[_pid] ->
		CAS(seen, searching, 0, 1, RELAXED, RELAXED);
		counted[_pid] = (seen == 0);
		seen = 0
	:: else
	fi;
	atomic {
		LOCK(0);
		LOAD(seen, closing, ACQUIRE);
		if
		:: injected > 0
		:: injected == 0 && seen == 1 -> end = true
		:: injected == 0 && seen == 0 ->
			in_list = true;
			if
			:: MUTANT(10)
			:: else -> join_idle()
			fi
		fi;
		seen = 0;
		UNLOCK(0)
	}
	if
	:: in_list ->
		if
		:: MUTANT(10) ->
			atomic {
				LOCK(0);
				join_idle();
				UNLOCK(0)
			}
		:: else
		fi;
		atomic {
			FENCE(W(2, F_SEQ_CST, F_NONE));
			look(w);
			w = (MUTANT(9) -> 0 : w)
		}
		sleep_idle()
	:: else
	fi
}

proctype worker()
{
	byte job, more; /* their numbers, from 1 */
	byte w, looked;
	bool end, in_list, searched, early;
	short seen;

	if
	:: ASLEEP(_pid) -> in_list = true; sleep_idle()
	:: else
	fi;
#ifdef MIXED
	if
	:: _pid == 1 -> /* submit_locally, in the first job */
		begin_job(1);
		early = true;
		look_early();
		atomic {
			USE(1);
			push(2)
		}
		atomic {
			FENCE(W(1, F_SEQ_CST, F_NONE));
			offer(w);
			early = false
		}
		OVER
	:: else
	fi;
#endif
	do
	:: atomic { /* find_job */
			take(1);
#ifdef BURST
			take(2);
			take(3);
#endif
			if
			:: job == 0 -> take_batch()
			:: else
			fi
		}
		if
		:: MUTANT(13) && more != 0 -> push(more); more = 0
		:: else
		fi;
		unpark(w);
		if
		:: searched && !MUTANT(11) ->
			atomic {
				FENCE(W(3, F_SEQ_CST, F_NONE));
				look(w)
			}
			if
			:: w > 0 -> w = 0; offer(w)
			:: else
			fi
		:: else
		fi;
		searched = false;
		if
		:: job == 0 -> rest()
		:: else ->
			if
			:: counted[_pid] -> found()
			:: else
			fi;
			begin_job(job);
			OVER;
			job = 0
		fi;
		if
		:: end || OVER -> break
		:: else
		fi
	od;
	atomic {
		EXIT();
		finished++
	}
}

proctype submitter()
{
	byte w;
	short seen;

#ifndef CLOSE
	atomic { /* inject */
		LOCK(0);
#ifdef MIXED
		USE(2);
		injected = 1;
		next = 3;
#else
		USE(0);
		USE(1);
		USE(2);
		injected = 3;
		next = 1;
#endif
		one_more(w);
		UNLOCK(0)
	}
	unpark(w);
#endif
#ifdef CLOSE
	STORE(closing, 1, RELAXED);
	if
	:: !MUTANT(15) ->
		w = 1;
		unpark(w);
		w = 2;
		unpark(w);
		w = 3;
		unpark(w)
	:: else
	fi;
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
		idle[1] = ASLEEP(1);
		idle[2] = ASLEEP(2);
		idle[3] = ASLEEP(3);
		run worker();
		run worker();
		run worker();
		run submitter()
	}
	finished == 4 /* else somebody waits for ever */
}
