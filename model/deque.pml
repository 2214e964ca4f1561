/* The split deque of fork and join (src/sched/forks.h): one owner, two thieves.
 *
 *  RUN nested: -DJOBS=3 -DSLOTS=3 -DATTEMPTS=2 -DBELOW=0
 *  RUN below: -DJOBS=3 -DSLOTS=3 -DATTEMPTS=2 -DBELOW=1
 *
 * The owner forks and joins in every order that nesting allows, JOBS jobs in all, at most SLOTS at a time; each thief
 * tries ATTEMPTS times (in `below`, one of them once less). Claimed: every job runs exactly once, the one who joins sees its result, slots are used again
 * without a data race (the job's record in the slot is plain data), and the owner is never stuck.
 *
 *   ts        {tail, split} in one word: [tail, split) is public, [split, head) the owner's
 *   req       set by a thief that found nothing public
 *   done[i]   of the job in slot i
 *   record[i] function, arguments and result in slot i: plain data
 *
 * Mutants:
 *  WEAK 1: publish: the release of the read-modify-write on ts
 *  WEAK 2: steal: the acquire of the compare-and-swap on ts
 *  WEAK 3: steal: the release of the store of done
 *  WEAK 4: join: the acquire of the load of done
 *  WEAK 5: steal: the record is read before the compare-and-swap
 *  WEAK 6: join: a plain store of ts instead of a compare-and-swap takes a public job back
 *  WEAK 7: join: ts is not reset when the last job was stolen
 *  WEAK 8: join: the reset of ts leaves the split where it was
 *  WEAK 9 (below): a join below the top leaves the job in its slot
 *  WEAK 10 (below): a join below the top that had to wait resets ts
 *  WEAK 11 (below): a tombstone is dropped without a look whether it is stolen
 */
#define ts 0
#define req 1
#define done(i) (2 + (i))

#define N_ATOMICS (2 + SLOTS)
#define N_DATA SLOTS
#define N_MUTEXES 0
#define N_PROCESSES 4
#define N_MESSAGES 24
#define ALL 14
#define USERS { ALL, ALL, ALL, ALL, ALL }
#define INITIAL { 0, 0, 0, 0, 0 }
#include "weakmem.pml"

#define PAIR(t, s) ((t) * 8 + (s))
#define TAIL(w) ((w) / 8)
#define SPLIT(w) ((w) % 8)

#define RESULT 100
#define TOMBSTONE 200

byte record[SLOTS];
byte ran[JOBS];
byte finished;

/* Runs the job in slot i. Touching the record is one step with what comes next: if that were a data race, the other
 * order of the two accesses would show it. */
inline call(i)
{
	atomic {
		USE(i);
		run_once(record[i])
	}
}

inline run_once(j)
{
	if
	:: j == TOMBSTONE
	:: else ->
		assert(ran[j] == 0); /* else it runs twice */
		ran[j]++
	fi
}

/* take_back: makes slot idx private, `ours`, or it is stolen. */
inline take_back()
{
	if
	:: idx >= split -> ours = true
	:: else ->
		LOAD(w, ts, RELAXED);
		do
		:: TAIL(w) <= idx ->
			if
			:: MUTANT(6) -> STORE(ts, PAIR(TAIL(w), (TAIL(w) + idx + 1) / 2), RELAXED); seen = w
			:: else -> CAS(seen, ts, w, PAIR(TAIL(w), (TAIL(w) + idx + 1) / 2), RELAXED, RELAXED)
			fi;
			if
			:: seen == w ->
				split = (TAIL(w) + idx + 1) / 2;
				ours = true;
				break
			:: else -> w = seen
			fi
		:: else -> break
		od
	fi
}

inline wait_for_stolen()
{
	AWAIT(w, done(idx), latest[done(idx)] == 1, W(4, ACQUIRE, RELAXED));
	atomic {
		USE(idx);
		assert(record[idx] == TOMBSTONE || record[idx] == RESULT + job)
	}
}

inline reset()
{
	if
	:: MUTANT(7) -> split = idx
	:: MUTANT(8) -> STORE(ts, PAIR(idx, split), RELAXED)
	:: else ->
		STORE(ts, PAIR(idx, idx), RELAXED);
		split = idx
	fi
}

proctype owner()
{
	byte head, split, forked, idx, job, mine[SLOTS];
	short w, seen;
	bool ours;

	do
	:: forked < JOBS && head < SLOTS ->
		/* fork */
		atomic {
			USE(head);
			record[head] = forked;
			mine[head] = forked;
			forked++;
			STORE(done(head), 0, RELAXED);
			head++
		}
		LOAD(w, req, RELAXED);
		if
		:: w == 1 ->
			/* publish */
			d_step {
				idx = (head - split + 1) / 2; /* how many more become public */
				split = split + idx
			}
			ADD(w, ts, idx, W(1, RELEASE, RELAXED));
			STORE(req, 0, RELAXED)
		:: else
		fi;
		d_step {
			idx = 0;
			w = 0
		}
	:: head > 0 && mine[head - 1] != TOMBSTONE ->
		/* join of the youngest */
		d_step {
			idx = head - 1;
			job = mine[idx]
		}
		take_back();
		if
		:: ours -> call(idx)
		:: else -> wait_for_stolen(); reset()
		fi;
		d_step {
			head = idx;
			mine[idx] = 0;
			idx = 0;
			job = 0;
			w = 0;
			seen = 0;
			ours = false
		}
#if BELOW
	:: head > 0 && mine[head - 1] == TOMBSTONE ->
		/* drop_tombstones, before the next join */
		d_step {
			idx = head - 1;
			job = mine[idx]
		}
		if
		:: MUTANT(11) -> ours = true; split = (split > idx -> idx : split)
		:: else -> take_back()
		fi;
		if
		:: !ours -> wait_for_stolen(); reset()
		:: else
		fi;
		d_step {
			head = idx;
			mine[idx] = 0;
			idx = 0;
			job = 0;
			w = 0;
			seen = 0;
			ours = false
		}
	:: head > 1 && mine[head - 1] != TOMBSTONE && mine[head - 2] != TOMBSTONE ->
		/* join_below */
		d_step {
			idx = head - 2;
			job = mine[idx]
		}
		take_back();
		if
		:: ours -> call(idx)
		:: else ->
			wait_for_stolen();
			if
			:: MUTANT(10) -> reset()
			:: else
			fi
		fi;
		if
		:: MUTANT(9)
		:: else ->
			atomic {
				USE(idx);
				record[idx] = TOMBSTONE
			}
		fi;
		d_step {
			mine[idx] = TOMBSTONE;
			idx = 0;
			job = 0;
			w = 0;
			seen = 0;
			ours = false
		}
#endif
	:: forked == JOBS && head == 0 -> break
	od;
	atomic { /* the stack may go */
		USE(0);
		USE(1);
		USE(SLOTS - 1);
		EXIT();
		finished++
	}
}

proctype thief(byte attempts)
{
	byte attempt, job;
	short w, seen;

	do
	:: attempt < attempts ->
		attempt++;
		LOAD(w, ts, RELAXED);
		if
		:: TAIL(w) < SPLIT(w) ->
			if
			:: MUTANT(5) -> USE(TAIL(w)); job = record[TAIL(w)]
			:: else
			fi;
			CAS(seen, ts, w, PAIR(TAIL(w) + 1, SPLIT(w)), W(2, ACQUIRE, RELAXED), RELAXED);
			if
			:: seen == w ->
				atomic {
					if
					:: !MUTANT(5) -> USE(TAIL(w)); job = record[TAIL(w)]
					:: else -> USE(TAIL(w))
					fi;
					run_once(job);
					record[TAIL(w)] = (job == TOMBSTONE -> TOMBSTONE : RESULT + job);
					STORE(done(TAIL(w)), 1, W(3, RELEASE, RELAXED))
				}
			:: else
			fi
		:: else -> STORE(req, 1, RELAXED)
		fi;
		d_step {
			w = 0;
			seen = 0;
			job = 0
		}
	:: else -> break
	od;
	atomic {
		EXIT();
		finished++
	}
}

init
{
	byte j;

	atomic {
		MEMORY_INIT();
		run owner();
		run thief(ATTEMPTS);
		run thief(ATTEMPTS - BELOW)
	}
	finished == 3; /* else the owner waits for ever */
	do
	:: j < JOBS ->
		assert(ran[j] == 1); /* else it was lost */
		j++
	:: else -> break
	od
}
