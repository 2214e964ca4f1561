/* Parking and waking of the pool (src/sched/pool.c, pool_sleep.c): three workers, a submitter.
 *
 *  RUN pair: -DLOCAL -DPUSHED=2 -DJOBS=2
 *  RUN mixed: -DLOCAL -DPUSHED=1 -DJOBS=2
 *  RUN burst: -DBURST -DJOBS=3
 *  RUN steal: -DSTEAL -DJOBS=3
 *  RUN inlet: -DINLET -DJOBS=3
 *
 * In the first two, worker 1 runs a job that goes on until all is over. That job submits PUSHED more, which go into the worker's own run
 * queue; worker 2 searches and worker 3 is asleep. In `pair` the two jobs come one by one or both at once, in `mixed` the submitter submits a second one from outside meanwhile. Two of the jobs end only when both have
 * begun: so workers 2 and 3 must both be awake, and one lost wake-up shows as an invalid end state.
 * In `burst` two sleep, the submitter submits three jobs at once, and who comes first moves two of them; each ends only when all three
 * have begun. In `steal` three jobs lie in the run queue of worker 1, which is busy; who comes first moves two of them, and these end only when
 * both have begun. `inlet` is as `burst`, but the submitter pushes into an inlet, without the lock.
 *
 *   the lock      guards injected, the idle list, and worker's `counted` while it is on the list
 *   idle_count    length of the idle list; written under the lock, read without
 *   searching     workers on their way from sleep to work, or looking for work before they sleep
 *   token         the park token of a worker's strand; token.pml has what is behind it
 *   queue(w)      {tail, head} of w's run queue. Public forks are published and looked for in the same way: one
 *                 read-modify-write (release), then a fence.
 *
 *   inlet_tail, inlet_head   what was pushed into the inlet, and taken
 *
 * Left out: the flag by which a worker asks for public forks (if it is missed, the forks stay with their owner, who is awake), and threads that
 * start, block or retire. The ring of a run queue is in runqueue.pml. With two jobs in the run queue and a third one from outside
 * there are more states than a test has time for; `pair` with one more job in the injector from the beginning (-DJOBS=3 -DINJECTED) has 19 million.
 *
 * Mutants:
 *  WEAK 1: submit_locally: the push is seq_cst
 *  WEAK 2: rest: the seq_cst fence between joining the idle list and the last look at the queues
 *  WEAK 3 (mixed): take_batch: the seq_cst fence between not searching any more and the look at the queues
 *  WEAK 4: push: the release of the publication
 *  WEAK 5 (mixed): take: the acquire of the compare-and-swap
 *  WEAK 6: offer looks before the job is pushed
 *  WEAK 7: rest does not look at the queues again
 *  WEAK 8 (mixed): rest looks at the injector in another critical section than it joins the idle list
 *  WEAK 9 (mixed): take_batch: a searcher does not look at the queues of others
 *  WEAK 10: rest: a searcher that goes to sleep stays counted
 *  WEAK 11 (burst): take_batch puts jobs into the run queue when it has released the lock
 *  WEAK 12 (burst): take_batch wakes nobody
 *  WEAK 13 (mixed): found stops searching without the lock
 *  WEAK 14: found: the seq_cst fence between not searching any more and the look at the queues
 *  WEAK 15: found does not look at the queues of others
 *  WEAK 16 (steal): found does not look at its own queue
 *  WEAK 17: found looks at the queues while it is still counted
 *  WEAK 18: found: a searcher that has found something stays counted
 *  WEAK 19 (mixed): found does not look at the injector
 *  WEAK 20 (inlet): take_batch_from: the seq_cst fence between a push and the look at searching and idle_count
 *  WEAK 21 (steal): steal_jobs wakes nobody for what it has moved
 *  WEAK 22: rest: who sees work in its last look goes back to it as if it did not search
 *  WEAK 23 (inlet): the submitter's push into the inlet is seq_cst
 *  WEAK 24 (inlet): who has made work visible looks at searching and idle_count with seq_cst
 *  WEAK 25 (inlet): rest does not look at the inlets again
 *  WEAK 26 (inlet): take_batch_from wakes nobody for what it has moved
 */
#define WORKERS 3

#define idle_count 0
#define searching 1
#define queue(w) (1 + (w))
#define inlet_tail 5
#define inlet_head 6
#define N_DATA JOBS
#define N_MUTEXES 1
#define N_PROCESSES 5
#define N_MESSAGES 48

/* The word of a queue. */
#define ONE_PUSHED 8
#define LENGTH(q) ((q) / 8 - (q) % 8)
#define HEAD(q) ((q) % 8)
#define TAIL(q) ((q) / 8)

/* Workers are pids 1 to 3, the submitter is 4. Users are those who may see an old value: other changes are
 * read-modify-writes, which see the newest value in any case. */
#if defined(LOCAL)
#define N_ATOMICS 3
#define USERS { 14, 30, 14 }
#define INITIAL { 1, 1, 0 }
#elif defined(BURST)
#define N_ATOMICS 5
#define USERS { 14, 30, 14, 14, 14 }
#define INITIAL { 2, 0, 0, 0, 0 }
#elif defined(INLET)
#define N_ATOMICS 7
#define USERS { 30, 30, 14, 14, 14, 14, 14 }
#define INITIAL { 2, 0, 0, 0, 0, 0, 0 }
#else
#define N_ATOMICS 5
#define USERS { 14, 30, 14, 14, 14 }
#define INITIAL { 0, 1, 3 * ONE_PUSHED, 0, 0 }
#endif
#include "weakmem.pml"

/* What lies between two steps of a look for work is of interest where jobs are on their way from queue to queue without the lock. */
#if defined(STEAL) || defined(INLET)
#define FIND_JOB
#else
#define FIND_JOB atomic
#endif

#define OVER (begun == JOBS)

/* Who is on the idle list in the beginning; and whether job j may end. */
#if defined(LOCAL)
#define ASLEEP(w) (w == 3)
#define MAY_END(j) (j == 3 || ran[1] && ran[2])
#elif defined(BURST) || defined(INLET)
#define ASLEEP(w) (w != 1)
#define MAY_END(j) OVER
#else
#define ASLEEP(w) false
#define MAY_END(j) (j == 3 || ran[1] && ran[2])
#endif

byte injected; /* the injector: jobs from number `next` on */
byte next;
byte entry[12]; /* four for each queue: none is used twice */
bool idle[WORKERS + 1];
bool counted[WORKERS + 1]; /* in `searching` */
byte begun, finished;
bool ran[4];
bool token[WORKERS + 1];

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
		SUB(seen, idle_count, 1, SEQ_CST);
		ADD(seen, searching, 1, SEQ_CST)
	:: else
	fi;
	seen = 0
}

/* act. */
inline unpark(w)
{
	if
	:: w != 0 -> token[w] = true; w = 0
	:: else
	fi
}

/* offer's look without the lock. */
inline look_for_sleepers(w)
{
	LOAD(w, searching, W(24, SEQ_CST, RELAXED));
	if
	:: w == 0 -> LOAD(w, idle_count, W(24, SEQ_CST, RELAXED))
	:: else -> w = 0
	fi
}

/* offer, after something was made visible. */
inline offer(w)
{
	look_for_sleepers(w);
	wake_if(w)
}

inline wake_if(w)
{
	if
	:: w > 0 ->
		atomic {
			LOCK(0);
			one_more(w);
			UNLOCK(0);
			unpark(w)
		}
	:: else
	fi
}

/* tz_runqueue_push, which is seq_cst, and tz_runqueue_push_all, which is a release. */
inline push(j, order)
{
	entry[(_pid - 1) * 4 + TAIL(latest[queue(_pid)])] = j;
	ADD(seen, queue(_pid), ONE_PUSHED, order);
	seen = 0
}

/* tz_runqueue_take. That another one may be faster makes it look empty, which is one behaviour more than the code has. */
inline take(j, w)
{
	LOAD(j, queue(w), RELAXED);
	if
	:: LENGTH(j) > 0 ->
		CAS(seen, queue(w), j, j + 1, W(5, ACQUIRE, RELAXED), RELAXED);
		if
		:: seen == j -> j = entry[(w - 1) * 4 + HEAD(j)]
		:: else -> j = 0
		fi
	:: else -> j = 0
	fi;
	seen = 0
}

/* steal_jobs: half of the other's queue; what is not for us goes into ours. */
inline steal(v)
{
	if
	:: job == 0 && v != _pid ->
#ifdef STEAL
		LOAD(more, queue(v), RELAXED);
		half = LENGTH(more) > 1;
		more = 0;
#endif
		take(job, v);
#ifdef STEAL
		if
		:: job != 0 && half ->
			take(more, v);
			if
			:: more != 0 -> push(more, SEQ_CST)
			:: else
			fi;
			moved = true;
			more = 0
		:: else
		fi;
		half = false
#endif
	:: else
	fi
}

/* outside. */
inline look_at_inlets(w)
{
#ifdef INLET
	LOAD(seen, inlet_head, RELAXED);
	LOAD(more, inlet_tail, RELAXED);
	w = (more > seen -> 1 : w);
	more = 0
#else
	skip
#endif
}

/* take_batch_from: as take_batch, without the lock. */
inline take_from_inlet()
{
	if
	:: job == 0 ->
		LOAD(more, inlet_head, RELAXED);
		LOAD(job, inlet_tail, ACQUIRE);
		half = job - more == 3;
		if
		:: job > more ->
			CAS(seen, inlet_head, more, more + 1 + half, RELEASE, RELAXED);
			job = (seen == more -> more + 1 : 0);
			more = (seen == more && half -> more + 2 : 0)
		:: else -> job = 0; more = 0
		fi;
		if
		:: more != 0 -> push(more, RELEASE); moved = true; more = 0
		:: else
		fi;
		half = false;
		seen = 0
	:: else
	fi
}

/* has_work, of all workers but `except`, and what is outside. */
inline look(w, except)
{
	w = 0;
	look_at_inlets(w);
	w = (MUTANT(25) && in_list -> 0 : w);
	if
	:: except != 1 -> LOAD(seen, queue(1), RELAXED); w = (LENGTH(seen) > 0 -> 1 : w)
	:: else
	fi;
#ifndef LOCAL
	if
	:: except != 2 -> LOAD(seen, queue(2), RELAXED); w = (LENGTH(seen) > 0 -> 1 : w)
	:: else
	fi;
	if
	:: except != 3 -> LOAD(seen, queue(3), RELAXED); w = (LENGTH(seen) > 0 -> 1 : w)
	:: else
	fi;
#endif
	seen = 0
}

/* Under the lock. */
inline stop_searching()
{
	counted[_pid] = false;
	SUB(seen, searching, 1, SEQ_CST);
	seen = 0
}

/* found: whoever searched and found something that did not come from the injector. */
inline found()
{
	if
	:: MUTANT(17) -> atomic { look(w, 0); early = w > 0 }
	:: else
	fi;
	atomic {
		if
		:: !MUTANT(13) -> LOCK(0)
		:: else
		fi;
		if
		:: MUTANT(18) -> counted[_pid] = false
		:: else -> stop_searching()
		fi;
		w = injected > 0;
		look_at_inlets(w);
		if
		:: w > 0 && !MUTANT(13) && !MUTANT(19) -> one_more(w)
		:: w > 0 && (MUTANT(13) || MUTANT(19)) -> w = 0
		:: else
		fi;
		if
		:: !MUTANT(13) -> UNLOCK(0)
		:: else
		fi
	}
	if
	:: w != 0 -> unpark(w)
	:: else ->
		atomic {
			FENCE(W(14, F_SEQ_CST, F_NONE));
			if
			:: MUTANT(15) -> w = 0
			:: MUTANT(16) -> look(w, _pid)
			:: MUTANT(17) -> w = early; early = false
			:: else -> look(w, 0)
			fi
		}
		if
		:: w > 0 -> offer(w)
		:: else
		fi
	fi
}

inline join_idle()
{
	idle[_pid] = true;
	ADD(seen, idle_count, 1, SEQ_CST);
	if
	:: counted[_pid] && !MUTANT(10) -> SUB(seen, searching, 1, SEQ_CST)
	:: else
	fi;
	counted[_pid] = false;
	seen = 0
}

inline leave_idle()
{
	idle[_pid] = false;
	SUB(seen, idle_count, 1, SEQ_CST);
	seen = 0
}

/* Under the lock. */
inline search_again()
{
	if
	:: !MUTANT(22) ->
		counted[_pid] = true;
		ADD(seen, searching, 1, SEQ_CST);
		seen = 0
	:: else
	fi
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
		:: more != 0 && !MUTANT(11) -> push(more, W(4, RELEASE, RELAXED))
		:: else
		fi;
		if
		:: searched -> stop_searching()
		:: else
		fi;
		if
		:: (injected > 0 || more != 0) && !MUTANT(12) -> one_more(w)
		:: else
		fi;
		more = (MUTANT(11) -> more : 0);
		searched = searched && w == 0
	fi;
	UNLOCK(0)
}

/* sleep_idle; or, if the last look has shown something, what rest does then. */
inline sleep_idle()
{
	do
	:: w == 0 && in_list ->
		if
		:: token[_pid] ->
			token[_pid] = false;
			atomic {
				LOCK(0);
				in_list = idle[_pid]; /* whoever woke us took us off */
				UNLOCK(0)
			}
		:: OVER -> break
		fi
	:: w > 0 ->
		atomic {
			LOCK(0);
			if
			:: idle[_pid] -> leave_idle(); search_again()
			:: else
			fi;
			in_list = false;
			w = 0;
			UNLOCK(0)
		}
	:: w == 0 && !in_list -> break
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
		w = injected > 0;
		look_at_inlets(w);
		if
		:: w > 0 -> w = 0
		:: else ->
			in_list = true;
			if
			:: MUTANT(8)
			:: else -> join_idle()
			fi
		fi;
		UNLOCK(0)
	}
	if
	:: in_list ->
		if
		:: MUTANT(8) ->
			atomic {
				LOCK(0);
				join_idle();
				UNLOCK(0)
			}
		:: else
		fi;
		atomic {
			FENCE(W(2, F_SEQ_CST, F_NONE));
			look(w, 0);
			w = (MUTANT(7) -> 0 : w)
		}
		sleep_idle()
	:: else
	fi
}

/* submit_locally, after a push. */
inline submitted_locally()
{
	if
	:: MUTANT(6) -> wake_if(w)
	:: else -> offer(w)
	fi
}

inline look_early()
{
	if
	:: MUTANT(6) -> look_for_sleepers(w)
	:: else
	fi
}

proctype worker()
{
	byte job, more; /* their numbers, from 1 */
	byte w;
	bool in_list, searched, early, half, moved;
	short seen;

#ifdef LOCAL
	if
	:: _pid == 1 -> /* a job that submits two */
		look_early();
		atomic {
			USE(0);
			push(1, (mutant == 1 -> RELEASE : W(4, SEQ_CST, RELAXED)))
		}
#if JOBS == 2 && PUSHED == 2
		if
		:: atomic { submitted_locally() }
			look_early()
		:: skip /* both at once */
		fi;
#endif
#if PUSHED == 2
		atomic {
			USE(1);
			push(2, (mutant == 1 -> RELEASE : W(4, SEQ_CST, RELAXED)))
		}
#endif
		atomic { submitted_locally() }
		OVER
	:: else
	fi;
#endif
#ifdef STEAL
	if
	:: _pid == 1 -> OVER /* it is busy */
	:: else
	fi;
#endif
	if
	:: ASLEEP(_pid) -> in_list = true; sleep_idle()
	:: else
	fi;
	do
	:: OVER -> break
	:: else ->
		FIND_JOB { /* find_job */
#ifdef BURST
			take(job, _pid);
#endif
#if defined(STEAL) || defined(INLET)
			take(job, _pid);
#endif
#ifdef INLET
			take_from_inlet();
#elif !defined(STEAL)
			if
			:: job == 0 -> take_batch()
			:: else
			fi;
#endif
			steal(1);
#ifndef LOCAL
			steal(2);
			steal(3)
#endif
		}
		if
		:: MUTANT(11) && more != 0 -> push(more, W(4, RELEASE, RELAXED)); more = 0
		:: else
		fi;
		unpark(w);
		if
		:: searched && !MUTANT(9) ->
			atomic {
				FENCE(W(3, F_SEQ_CST, F_NONE));
				look(w, _pid)
			}
			if
			:: w > 0 -> offer(w)
			:: else
			fi
		:: else
		fi;
		if
		:: moved && !MUTANT(21) && !MUTANT(26) ->
			atomic { FENCE(W(20, F_SEQ_CST, F_NONE)); offer(w) }
		:: else
		fi;
		moved = false;
		searched = false;
		if
		:: job == 0 -> rest()
		:: else ->
			if
			:: counted[_pid] -> found()
			:: else
			fi;
			begin_job(job);
			MAY_END(job);
			job = 0
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

#ifdef INLET
	USE(0);
	USE(1);
	USE(2);
	STORE(inlet_tail, 3, W(23, SEQ_CST, RELEASE));
	offer(w);
#endif
#if defined(BURST) || PUSHED == 1
	atomic { /* see_to_it */
		LOCK(0);
#ifdef LOCAL
		USE(1);
		injected = 1;
		next = 2;
#else
		USE(0);
		USE(1);
		USE(2);
		injected = 3;
		next = 1;
#endif
		one_more(w);
		UNLOCK(0);
		unpark(w)
	}
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
#ifndef BURST
		counted[2] = true;
#endif
#ifdef INJECTED
		injected = 1;
		next = 3;
#endif
		idle[1] = ASLEEP(1);
		idle[2] = ASLEEP(2);
		idle[3] = ASLEEP(3);
#ifdef STEAL
		entry[0] = 1;
		entry[1] = 2;
		entry[2] = 3;
#endif
		run worker();
		run worker();
		run worker();
		run submitter()
	}
	finished == 4 /* else somebody waits for ever */
}
