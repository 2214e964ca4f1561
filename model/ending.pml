/* The end of a pool, and the ends of its threads (sched/pool_life.c, pool_threads.c, pool_sleep.c): what was accepted is run, though its submitter meets
 * workers that end because they are idle, or because the pool is closing; a shutdown ends when they have; threads are joined; and then nobody
 * touches the pool any more.
 *
 *  RUN one: -DPLACES=1 -DJOBS=2 -DIDLE_EXITS=2
 *  RUN two: -DPLACES=2 -DJOBS=2 -DIDLE_EXITS=1
 *  RUN stay: -DPLACES=1 -DJOBS=1 -DIDLE_EXITS=0
 *  RUN heard: -DPLACES=1 -DJOBS=1 -DIDLE_EXITS=0 -DHEARD
 *
 * One job may run at a time. PLACES threads may exist, so with two a new one may start while another is still on its way out. A submitter submits JOBS
 * jobs through the injector, perhaps too late; somebody shuts the pool down at any time, and destroys it when the submitter has
 * come back; or, in `heard`, because the job has run, though its submitter may still be about to come back. An idle worker's
 * time is up IDLE_EXITS times. That each worker finds the others' work is pool.pml; submitters without the lock are inlet.pml.
 *
 *   closing      the pool's
 *   strand(w)    of the worker at place w: the number of its thread there, 0: none yet; who shuts the pool down reads it without the lock
 *   lock 0       of the pool: guards all that has no lock of its own below
 *   w, 2 + w     hand on that the thread at place w starts or has ended; its park token
 *   lock 5       of the bucket where who waits for the end waits (`changes`)
 *
 * Left out: threads that do not start (inlet.pml), blocked workers, jobs that leave by pthread_exit, and a shutdown with a deadline.
 *
 *  WEAK 1: one_more gives up the jobs where all workers are on their way out
 *  WEAK 2: end_tenure gives nobody its own place
 *  WEAK 3: who gives its own place away joins itself
 *  WEAK 4 (heard): has_ended does not look at calls
 *  WEAK 5: end_tenure does not tell
 *  WEAK 6: act does not tell
 *  WEAK 7: end_tenure does not look once more
 *  WEAK 8: who waits for the end looks before it has the bucket's lock
 *  WEAK 9 (stay): a shutdown wakes nobody who is idle
 *  WEAK 10 (stay): a shutdown wakes only those whose strands it has seen without the lock
 *  WEAK 11: a submitter looks at closing before it has the lock
 *  WEAK 12 (two): start_thread says that there is a thread to join when it runs
 *  WEAK 13: one_more leaves the place's last thread counted as one to be joined
 *  WEAK 14: destroy joins nobody
 */
#define closing 0
#define strand(w) (w)
#define N_ATOMICS 3
#define N_DATA 0
#define N_MUTEXES 6
#define N_PROCESSES 5
#define N_MESSAGES 24
#define USERS { 30, 30, 30 }
#define INITIAL { 0, 0, 0 }
#include "weakmem.pml"

#define NOBODY 0

byte injected, alive, leaving, calls, searching;
byte unjoined;
bool ended, freed;
bool taken[3], joinable[3], idle[3], searches[3], succeeds[3];
byte threads[3]; /* that there were at this place */
bool started[3], gone[3], token[3];
bool waiting, woken; /* of who waits for the end; by lock 5 */
byte idle_exits;
byte accepted, ran, finished;
bool came_back;

inline lock() { atomic { assert(!freed); LOCK(0) } }

#define IDLERS (idle[1] + idle[2])
#define VACANT(w) (w <= PLACES && !taken[w])
#define UNJOINED ((!taken[1] && joinable[1]) + (!taken[2] && joinable[2]))

inline search(w, yes)
{
	searching = searching - searches[w] + yes;
	searches[w] = yes
}

/* Under the lock: sets wake, start, nobody. */
inline one_more()
{
	d_step {
		if
		:: searching > 0 || alive - IDLERS >= 1
		:: else ->
			if
			:: idle[1] -> wake = 1
			:: !idle[1] && idle[2] -> wake = 2
			:: else ->
				if
				:: alive < PLACES && VACANT(1) -> start = 1
				:: alive < PLACES && !VACANT(1) && VACANT(2) -> start = 2
				:: else -> nobody = alive == 0 && (leaving == 0 || MUTANT(1))
				fi
			fi;
			if
			:: wake != NOBODY -> idle[wake] = false; search(wake, true)
			:: start != NOBODY ->
				taken[start] = true;
				unjoined = unjoined - (joinable[start] && !MUTANT(13));
				alive++;
				search(start, true)
			:: else
			fi;
			calls = calls + (wake != NOBODY || start != NOBODY || nobody)
		fi
	}
}

inline unpark(w)
{
	atomic { LOCK(2 + w); token[w] = true; UNLOCK(2 + w) }
}

inline join(w)
{
	atomic { gone[w] -> LOCK(w); gone[w] = false; UNLOCK(w) }
}

inline notify_change()
{
	LOCK(5);
	atomic { woken = woken || waiting; waiting = false; UNLOCK(5) }
}

/* tz_pool_start_thread. `mine`: the place of the calling thread, which has given it up. */
inline start_thread(mine)
{
	if
	:: joinable[start] ->
		if
		:: start == mine && !MUTANT(3) -> succeeds[start] = true
		:: else -> join(start)
		fi
	:: else
	fi;
	threads[start]++;
	STORE(strand(start), threads[start], RELEASE);
	joinable[start] = !MUTANT(12);
	atomic { LOCK(start); started[start] = true; UNLOCK(start) }
	if
	:: MUTANT(12) -> joinable[start] = true
	:: else
	fi
}

/* tz_pool_act */
inline act(mine)
{
	if
	:: wake != NOBODY || start != NOBODY || nobody ->
		assert(!nobody); /* the jobs would fail */
		if
		:: wake != NOBODY -> unpark(wake)
		:: else
		fi;
		if
		:: start != NOBODY -> start_thread(mine)
		:: else
		fi;
		lock();
		atomic {
			calls--;
			LOAD(seen, closing, ACQUIRE);
			tell = calls == 0 && seen != 0 && !MUTANT(6);
			seen = 0;
			wake = 0;
			start = 0;
			UNLOCK(0)
		}
		if
		:: tell -> tell = false; notify_change()
		:: else
		fi
	:: else
	fi
}

/* tz_pool_retire, under the lock */
inline retire(w)
{
	search(w, false);
	alive--;
	leaving++
}

/* tz_pool_join_leavers */
inline join_leavers()
{
	assert(unjoined == UNJOINED);
	if
	:: !taken[1] && joinable[1] && gone[1] -> LOCK(1); gone[1] = false; UNLOCK(1); joinable[1] = false; unjoined--
	:: else
	fi;
	if
	:: !taken[2] && joinable[2] && gone[2] -> LOCK(2); gone[2] = false; UNLOCK(2); joinable[2] = false; unjoined--
	:: else
	fi
}

/* tz_worker_work, to its end */
inline work()
{
	do
	:: ends -> break
	:: else ->
		lock();
		if
		:: injected > 0 -> /* take_batch_injected */
			atomic {
				injected--;
				search(_pid, false);
				if
				:: injected > 0 -> one_more()
				:: else
				fi;
				UNLOCK(0)
			}
			act(NOBODY);
			ran++
		:: else -> /* tz_worker_rest */
			atomic {
				LOAD(seen, closing, ACQUIRE);
				if
				:: seen != 0 -> retire(_pid); ends = true
				:: else ->
					idle[_pid] = true;
					search(_pid, false);
					join_leavers()
				fi;
				seen = 0;
				UNLOCK(0)
			}
			do /* sleep_idle */
			:: ends || !sleeps && !ends && !idle[_pid] -> break
			:: !ends && (sleeps || idle[_pid]) ->
				if
				:: atomic { token[_pid] -> LOCK(2 + _pid); token[_pid] = false; UNLOCK(2 + _pid) }
				:: atomic { idle_exits < IDLE_EXITS -> idle_exits++; late = true }
				fi;
				lock();
				atomic {
					join_leavers();
					sleeps = idle[_pid];
					if
					:: sleeps ->
						LOAD(seen, closing, ACQUIRE);
						if
						:: seen != 0 -> idle[_pid] = false; sleeps = false
						:: seen == 0 && late && injected == 0 -> retire(_pid); idle[_pid] = false; sleeps = false; ends = true
						:: else
						fi;
						seen = 0
					:: else
					fi;
					late = false;
					UNLOCK(0)
				}
				if
				:: !sleeps -> break
				:: else
				fi
			od
		fi
	od;
	ends = false
}

inline end_tenure()
{
	lock();
	atomic {
		if
		:: injected > 0 && !MUTANT(7) -> one_more()
		:: else
		fi;
		more = injected > 0 && wake == NOBODY && start == NOBODY;
		leaving--;
		join_leavers();
		taken[_pid] = false;
		unjoined++;
		if
		:: more && !MUTANT(2) && !MUTANT(7) -> one_more()
		:: else
		fi;
		more = false;
		LOAD(seen, closing, ACQUIRE);
		if
		:: seen == 0 && idle[1] -> unpark(1)
		:: seen == 0 && !idle[1] && idle[2] -> unpark(2)
		:: else
		fi;
		seen = 0;
		UNLOCK(0)
	}
	act(_pid);
	if
	:: !MUTANT(5) -> notify_change()
	:: else
	fi
}

/* The threads at a place, one after the other: the next one joins the last, or who starts it has. */
proctype worker()
{
	short seen;
	byte wake, start;
	bool nobody, ends, late, more, tell, sleeps;

	do
	:: freed -> break
	:: atomic { started[_pid] -> LOCK(_pid); started[_pid] = false; UNLOCK(_pid); succeeds[_pid] = false }
		work();
		end_tenure();
		atomic {
			LOCK(_pid);
			gone[_pid] = !succeeds[_pid];
			UNLOCK(_pid)
		}
	od;
	atomic {
		EXIT();
		finished++
	}
}

proctype submitter()
{
	short seen;
	byte wake, start, jobs;
	bool nobody, tell;

	do
	:: jobs == JOBS -> break
	:: else ->
		jobs++;
		if
		:: MUTANT(11) -> LOAD(seen, closing, ACQUIRE)
		:: else
		fi;
		lock();
		atomic {
			if
			:: !MUTANT(11) -> LOAD(seen, closing, ACQUIRE)
			:: else
			fi;
			if
			:: seen == 0 ->
				assert(!ended);
				injected++;
				accepted++;
				one_more()
			:: else
			fi;
			seen = 0;
			UNLOCK(0)
		}
		act(NOBODY)
	od;
	atomic {
		EXIT();
		came_back = true;
		finished++
	}
}

/* has_ended; and who sleeps is told to look again. */
inline look_for_end()
{
	lock();
	atomic {
		ended = alive == 0 && leaving == 0 && (calls == 0 || MUTANT(4)) && injected == 0;
		if
		:: !ended && !MUTANT(9) && !MUTANT(10) ->
			if
			:: idle[1] -> unpark(1)
			:: else
			fi;
			if
			:: idle[2] -> unpark(2)
			:: else
			fi
		:: else
		fi;
		UNLOCK(0)
	}
}

proctype closer()
{
	short seen;

#ifdef HEARD
	ran == 1;
#endif
	/* tz_pool_request_shutdown */
	CAS(seen, closing, 0, 1, SEQ_CST, RELAXED);
	if
	:: !MUTANT(9) ->
		atomic {
			LOAD(seen, strand(1), ACQUIRE);
			if
			:: seen != 0 && seen == threads[1] -> unpark(1)
			:: else
			fi
		}
#if PLACES == 2
		atomic {
			LOAD(seen, strand(2), ACQUIRE);
			if
			:: seen != 0 && seen == threads[2] -> unpark(2)
			:: else
			fi
		}
#endif
	:: else
	fi;
	seen = 0;
	/* tz_pool_shutdown */
	do
	:: if
		:: MUTANT(8) -> look_for_end(); LOCK(5)
		:: else -> LOCK(5); look_for_end()
		fi;
		atomic { waiting = !ended; woken = false; UNLOCK(5) }
		if
		:: ended -> break
		:: else -> woken
		fi
	od;
#ifndef HEARD
	came_back;
#endif
	/* tz_pool_destroy */
	if
	:: joinable[1] && !MUTANT(14) -> join(1)
	:: else
	fi;
	if
	:: joinable[2] && !MUTANT(14) -> join(2)
	:: else
	fi;
	freed = true;
	assert(!gone[1] && !gone[2]);
	atomic {
		EXIT();
		finished++
	}
}

init
{
	atomic {
		MEMORY_INIT();
		taken[2] = PLACES < 2;
		run worker();
		run worker();
		run submitter();
		run closer()
	}
	finished == 4; /* else somebody waits for ever */
	assert(ran == accepted && injected == 0)
}
